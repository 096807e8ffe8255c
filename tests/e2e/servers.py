#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP/1 server by hand, on loopback: it keeps every request's bytes, and misbehaves where a path asks for it.

    servers.py          serve until the end of standard input; the first line printed is the port
"""
import contextlib
import re
import socket
import ssl
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HEAD_MAX = 1 << 20
SLOW_S = 0.3


@dataclass
class Request:
    raw: bytes        # everything that was read for it: head and body as they came
    method: str
    target: str
    version: str
    headers: list     # (name, value) in order
    body: bytes       # without chunk framing
    connection: int   # number of the connection, from 0
    client_port: int

    def header(self, name):
        """All values of a field, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def path(self):
        return re.sub(r"^https?://[^/]*", "", self.target).split("?")[0] or "/"


class Closed(Exception):
    """The client is gone, or the answer asked for the end of the connection."""


@dataclass
class Connection:
    sock: socket.socket
    number: int
    client_port: int
    buffer: bytes = b""
    taken: bytes = b""
    keep: bool = True

    def take(self, count):
        """Exactly so many bytes."""
        parts = [self.buffer]
        missing = count - len(self.buffer)
        while missing > 0:
            self.buffer = b""
            self._more()
            parts.append(self.buffer)
            missing -= len(self.buffer)
        whole = b"".join(parts)
        part, self.buffer = whole[:count], whole[count:]
        self.taken += part
        return part

    def take_until(self, mark):
        while mark not in self.buffer:
            if len(self.buffer) > HEAD_MAX:
                raise Closed
            self._more()
        return self.take(self.buffer.index(mark) + len(mark))

    def _more(self):
        part = self.sock.recv(65536)
        if not part:
            raise Closed
        self.buffer += part


def read_chunked(connection):
    body = b""
    while True:
        size = int(connection.take_until(b"\r\n").split(b";")[0], 16)
        body += connection.take(size)
        if size == 0:
            while connection.take_until(b"\r\n") != b"\r\n":
                pass
            return body
        connection.take(2)


def read_request(connection):
    connection.taken = b""
    head = connection.take_until(b"\r\n\r\n").decode("latin-1")
    line, *fields = head[:-4].split("\r\n")
    method, target, version = line.split(" ")
    headers = [(name, value.removeprefix(" ")) for name, value in (f.split(":", 1) for f in fields)]
    request = Request(b"", method, target, version, headers, b"", connection.number, connection.client_port)
    if "100-continue" in request.header("Expect"):
        connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.header("Transfer-Encoding"):
        request.body = read_chunked(connection)
    elif request.header("Content-Length"):
        request.body = connection.take(int(request.header("Content-Length")[0]))
    request.raw = connection.taken
    wants = ",".join(request.header("Connection")).lower()
    connection.keep = "close" not in wants if version == "HTTP/1.1" else "keep-alive" in wants
    return request


def answer(connection, request, status, body=b"", headers=(), reason="Reason"):
    """A response with Content-Length; no body where HTTP allows none."""
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if status >= 200 and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    if not connection.keep:
        lines.append("Connection: close")
    elif request.version == "HTTP/1.0":
        lines.append("Connection: keep-alive")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    connection.sock.sendall(head + (b"" if request.method == "HEAD" or status in (204, 304) else body))


def on_status(server, connection, request, code):
    answer(connection, request, int(code), f"status {code}\n".encode(), [("Content-Type", "text/plain")])


def on_chunked(server, connection, request, trailer=b""):
    connection.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in (b"one ", b"two ", b"three\n"):
        connection.sock.sendall(b"%x;ext=1\r\n%s\r\n" % (len(part), part))
    connection.sock.sendall(b"0\r\n" + trailer + b"\r\n")


def on_trailer(server, connection, request):
    on_chunked(server, connection, request, b"X-Sum: 3\r\nX-More: 4\r\n")


def on_close(server, connection, request):
    connection.sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end\n")
    raise Closed


def on_hangup(server, connection, request):
    raise Closed


def on_half_head(server, connection, request):
    connection.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    raise Closed


def on_half_body(server, connection, request):
    connection.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    raise Closed


def on_slow(server, connection, request):
    server.stopping.wait(SLOW_S)
    answer(connection, request, 200, b"slow\n")


def on_hold(server, connection, request):
    """No answer until release() is called."""
    server.released.wait(30)
    answer(connection, request, 200, b"released\n")


def on_redirect(server, connection, request, count="1"):
    target = f"/redirect/{int(count) - 1}" if int(count) > 1 else "/status/200"
    answer(connection, request, 302, b"moved\n", [("Location", target)])


def on_echo(server, connection, request):
    answer(connection, request, 200, request.body)


def on_big(server, connection, request):
    answer(connection, request, 200, b"0123456789abcdef" * 65536)


def on_big_head(server, connection, request):
    answer(connection, request, 200, b"big head\n", [(f"X-Filler-{i}", "f" * 1000) for i in range(64)])


def on_garbage(server, connection, request):
    connection.sock.sendall(b"\x00\x01 this is no HTTP\r\n\r\n" * 50)
    raise Closed


def on_upgrade(server, connection, request):
    connection.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    while True:
        connection.buffer or connection._more()
        server.upgraded += connection.buffer
        connection.sock.sendall(connection.buffer)
        connection.buffer = b""


def on_file(server, connection, request, name):
    path = Path(server.files, name) if server.files and ".." not in name else None
    if path and path.is_file():
        answer(connection, request, 200, path.read_bytes(), [("Content-Type", "application/octet-stream")])
    else:
        answer(connection, request, 404, b"no such file\n")


ROUTES = [
    (r"/status/(\d{3})", on_status), (r"/chunked", on_chunked), (r"/trailer", on_trailer),
    (r"/close", on_close), (r"/hangup", on_hangup),
    (r"/half-head", on_half_head), (r"/half-body", on_half_body), (r"/slow", on_slow), (r"/hold", on_hold),
    (r"/redirect", on_redirect), (r"/redirect/(\d)", on_redirect), (r"/echo", on_echo), (r"/big", on_big),
    (r"/big-head", on_big_head), (r"/garbage", on_garbage), (r"/upgrade", on_upgrade), (r"/files/(.+)", on_file),
]


@dataclass
class Origin:
    """Serves from the start of a with block to its end."""
    address: str = "127.0.0.1"
    files: Path = None
    tls: ssl.SSLContext = None
    requests: list = field(default_factory=list)
    upgraded: bytes = b""
    connections: int = 0

    def __enter__(self):
        self.stopping = threading.Event()
        self.released = threading.Event()
        self.changed = threading.Condition()
        self.open = set()
        self.listener = socket.create_server((self.address, 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://{self.address}:{self.port}"
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.released.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.listener.close()
        with self.changed:
            for sock in self.open:
                with suppress(OSError):  # its client is gone already
                    sock.shutdown(socket.SHUT_RDWR)
            assert self.changed.wait_for(lambda: not self.open, 10), "a connection did not end"

    def wait(self, count, seconds=20):
        """Until so many requests have come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, seconds), f"{len(self.requests)} requests"

    def release(self):
        self.released.set()

    def clear(self):
        with self.changed:
            self.requests = []

    def _accept(self):
        while True:
            try:
                sock, (_, client_port, *_) = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.open.add(sock)
            connection = Connection(sock, self.connections, client_port)
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.tls:
                self._secure(connection)
            while connection.keep:
                self._respond(connection, read_request(connection))
        except (Closed, OSError, ValueError):
            pass
        finally:
            if self.tls and isinstance(connection.sock, ssl.SSLSocket):
                with suppress(OSError, ValueError):  # its end is said, and nobody waits for the client's
                    connection.sock.settimeout(0)
                    connection.sock.unwrap()
            with self.changed:
                self.open.discard(connection.sock)
                connection.sock.close()
                self.changed.notify_all()

    def _secure(self, connection):
        with self.changed:
            self.open.discard(connection.sock)
            connection.sock = self.tls.wrap_socket(connection.sock, server_side=True, do_handshake_on_connect=False)
            self.open.add(connection.sock)
        connection.sock.do_handshake()

    def _respond(self, connection, request):
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        for pattern, handler in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match:
                handler(self, connection, request, *match.groups())
                return
        answer(connection, request, 200, f"{request.method} {request.target}\n".encode(), [("Content-Type", "text/plain")])



class Tunnel:
    """An HTTP proxy that knows CONNECT only, from the start of a with block to its end."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()

    def _serve(self, client):
        with client, suppress(Closed, OSError, ValueError):
            request = read_request(Connection(client, 0, 0))
            host, port = request.target.split(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
                self._copy(client, server)

    @staticmethod
    def _copy(source, sink):
        with suppress(OSError):
            while part := source.recv(65536):
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    with Origin() as origin:
        print(origin.port, flush=True)
        sys.stdin.read()
