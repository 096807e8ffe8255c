# SPDX-License-Identifier: Apache-2.0
"""Asks for HTTP/2 by a request of HTTP/1, and then for as many paths at once as are wanted: port, paths."""
import socket
import sys

import h2.connection
import h2.events

port, first, *more = sys.argv[1:]
connection = h2.connection.H2Connection()
settings = connection.initiate_upgrade_connection().decode()
sock = socket.create_connection(("127.0.0.1", int(port)))
sock.sendall(f"GET {first} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade, HTTP2-Settings\r\n"
             f"Upgrade: h2c\r\nHTTP2-Settings: {settings}\r\n\r\n".encode())
got = b""
while b"\r\n\r\n" not in got:
    got += sock.recv(65536)
head, _, got = got.partition(b"\r\n\r\n")
assert head.startswith(b"HTTP/1.1 101 "), head
for path in more:
    connection.send_headers(connection.get_next_available_stream_id(), [
        (":method", "GET"), (":scheme", "http"), (":authority", f"127.0.0.1:{port}"), (":path", path)], end_stream=True)
sock.sendall(connection.data_to_send())
ended = 0
while ended < 1 + len(more):
    for event in connection.receive_data(got):
        ended += isinstance(event, h2.events.StreamEnded)
        if isinstance(event, h2.events.DataReceived):
            connection.acknowledge_received_data(len(event.data), event.stream_id)
            print(event.stream_id, len(event.data))
    sock.sendall(connection.data_to_send())
    if ended < 1 + len(more):
        got = sock.recv(65536)
        assert got, "the server has closed"
