# SPDX-License-Identifier: Apache-2.0
"""Collectors that fail: each listens (or pointedly does not) from the start of a with block to its end."""
import select
import socket
import threading

from servers import Closed, Connection, read_request

HUGE = 5 << 20  # bytes of an answer, more than an exporter takes


class Collector:
    """An address."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self.socket.close()


class Refused(Collector):
    """Nobody listens there, and nobody else can."""


class FullBacklog(Collector):
    """Listens, accepts nobody, and has no room for one more."""

    def __enter__(self):
        super().__enter__()
        self.socket.listen(0)
        self.fillers = []
        while True:
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.socket.getsockname())
            self.fillers.append(filler)
            if not select.select([], [filler], [], 0.2)[1]:
                return self

    def __exit__(self, *_):
        super().__exit__()
        for filler in self.fillers:
            filler.close()


class Raw(Collector):
    """Reads a request, answers with these bytes, closes. None: never answers."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = 0

    def __enter__(self):
        super().__enter__()
        self.stopping = threading.Event()
        self.socket.listen(64)
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        super().__exit__()
        for thread in self.threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                sock, (_, port) = self.socket.accept()
            except OSError:
                return
            sock.settimeout(10)
            self.threads.append(threading.Thread(target=self._serve, args=(sock, port)))
            self.threads[-1].start()

    def _serve(self, sock, port):
        with sock:
            try:
                read_request(Connection(sock, 0, port))
                self.requests += 1
                if self.answer is None:
                    self.stopping.wait(30)
                else:
                    sock.sendall(self.answer)
            except (Closed, OSError):
                pass


def black_hole():
    return Raw(None)


def garbage():
    return Raw(b"\x00\xff\x01 nothing that HTTP knows\r\n" * 100)


def half_an_answer():
    return Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")


def huge_answer():
    return Raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE + bytes(HUGE))


def huge_head():
    return Raw(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"f" * HUGE + b"\r\n\r\n")


class Unusable(Refused):
    """Not even an address: its url is no http URL."""

    def __enter__(self):
        super().__enter__()
        self.url = f"gopher://user:hidden@127.0.0.1:{self.port}/"
        return self
