# SPDX-License-Identifier: Apache-2.0
"""Goes on as HTTP/2 when a request of HTTP/1 asks for it: port. Says the context and the path of each request."""
import re
import socketserver
import sys

import h2.connection
import h2.events


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(65536)
        path = head.split()[1].decode()
        fields = {name.lower(): value for name, value in re.findall(r"(?m)^([^:\r\n]+): *([^\r\n]*)", head.decode())}
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_upgrade_connection(fields["http2-settings"].encode())
        self.request.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        self.answer(connection, 1, path, fields)
        while got := self.request.recv(65536):
            for event in connection.receive_data(got):
                if isinstance(event, h2.events.RequestReceived):
                    headers = dict(event.headers)
                    self.answer(connection, event.stream_id, headers[":path"], headers)
            self.request.sendall(connection.data_to_send())

    def answer(self, connection, stream, path, fields):
        print(fields.get("traceparent", "-"), path, flush=True)
        connection.send_headers(stream, [(":status", "200" if "hello" in path else "404")])
        connection.send_data(stream, b"hello\n", end_stream=True)
        self.request.sendall(connection.data_to_send())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
