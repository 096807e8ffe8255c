# SPDX-License-Identifier: Apache-2.0
"""h2_streams.py PORT COUNT [contexts] [tls]: so many requests at once on one connection, /r/0 and on, with a trace each or
without; prints the status and the body of each."""
import socket
import ssl
import sys

from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

port, count = int(sys.argv[1]), int(sys.argv[2])
answers = {}
sock = socket.create_connection(("127.0.0.1", port))
if "tls" in sys.argv:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    sock = context.wrap_socket(sock, server_hostname="localhost")
connection = H2Connection()
connection.initiate_connection()
for i in range(count):
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", f"localhost:{port}"), (":path", f"/r/{i}")]
    if "contexts" in sys.argv:
        fields.append(("traceparent", f"00-{i + 1:032x}-{i + 1:016x}-01"))
    connection.send_headers(2 * i + 1, fields, end_stream=True)
    answers[2 * i + 1] = []
left = count
while left:
    sock.sendall(connection.data_to_send())
    for event in connection.receive_data(sock.recv(65536)):
        if isinstance(event, ResponseReceived):
            answers[event.stream_id].append(dict(event.headers)[b":status"])
        elif isinstance(event, DataReceived):
            answers[event.stream_id].append(event.data)
        left -= isinstance(event, StreamEnded)
print(*(b" ".join(answer).decode() for answer in answers.values()), sep="\n")
