# SPDX-License-Identifier: Apache-2.0
"""HTTPS by http.server: secure.py PORT CERTIFICATE KEY FOLDER [fork], with a thread or a process for each connection."""
import functools
import http.server
import socketserver
import ssl
import sys

handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[4])
handler.func.protocol_version = "HTTP/1.1"
by = socketserver.ForkingMixIn if "fork" in sys.argv else socketserver.ThreadingMixIn
server = type("Server", (by, http.server.HTTPServer), {"daemon_threads": True})(("127.0.0.1", int(sys.argv[1])), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
