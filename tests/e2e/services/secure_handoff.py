# SPDX-License-Identifier: Apache-2.0
"""HTTPS by a server that reads a request itself and may fork then: secure_handoff.py PORT CERTIFICATE KEY

/child: a child answers, while the parent closes at once; /keep: a child does, and the parent goes on with the connection;
/nobody: a child has nothing to do with it; /beside: the parent, after a child has ended; else the parent."""
import os
import signal
import socket
import ssl
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndone\n"


def by_child(peer):
    if os.fork() == 0:
        peer.sendall(ANSWER)
        sys.exit(0)
    return False


def by_child_and_keep(peer):
    pid = os.fork()
    if pid == 0:
        peer.sendall(ANSWER)
        os._exit(0)
    os.waitpid(pid, 0)
    return True


def by_nobody(peer):
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    return False


def beside_a_child(peer):
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    return by_parent(peer)


def by_parent(peer):
    peer.sendall(ANSWER)
    return True


WAYS = {b"/child": by_child, b"/keep": by_child_and_keep, b"/nobody": by_nobody, b"/beside": beside_a_child}


def serve(peer):
    goes_on = True
    while goes_on:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = peer.recv(4096)
            if not piece:
                return
            head += piece
        goes_on = WAYS.get(head.split(b" ")[1], by_parent)(peer)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
        serve(peer)
