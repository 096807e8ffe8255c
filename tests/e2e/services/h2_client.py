# SPDX-License-Identifier: Apache-2.0
"""h2_client.py PORT PATHS...: HTTP/2 over TLS by hand, a stream for each path, one after another; prints the bodies."""
import socket
import ssl
import sys

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def text(value):
    return bytes([len(value)]) + value.encode()


def request(stream, path):
    block = b"\x82\x87\x04" + text(path) + b"\x01" + text(f"localhost:{sys.argv[1]}") + b"\x00" + text("x-mine") + text("1")
    return frame(HEADERS, 0x5, stream, block)


def answer(file, stream):
    body = b""
    while True:
        head = file.read(9)
        length, kind, flags, of = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
        payload = file.read(length)
        if kind == DATA and of == stream:
            body += payload
        if kind in (DATA, HEADERS) and of == stream and flags & 0x1:
            return body


context = ssl.create_default_context()
context.set_alpn_protocols(["h2"])
with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="localhost") as tls:
    assert tls.selected_alpn_protocol() == "h2"
    file = tls.makefile("rb")
    tls.sendall(PREFACE + frame(SETTINGS, 0, 0))
    for i, path in enumerate(sys.argv[2:]):
        tls.sendall(request(2 * i + 1, path))
        print(answer(file, 2 * i + 1))
