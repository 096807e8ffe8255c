# SPDX-License-Identifier: Apache-2.0
"""starttls.py PORT CERTIFICATE KEY: greets in clear, changes to TLS on the same socket when asked to, then is an HTTP server."""
import http.server
import socketserver
import ssl
import sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[2:])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        self.request.sendall(b"220 hello\r\n")
        assert self.request.recv(100) == b"STARTTLS\r\n"
        self.request.sendall(b"220 go on\r\n")
        self.request = context.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self):
        body = f"{self.path} {self.headers.get('traceparent', 'none')}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
