# SPDX-License-Identifier: Apache-2.0
"""What clients can make a traced server hold: bytes for an idle connection, for a head that is begun, for an open request; and
that it is given back afterwards."""
import contextlib
import os
import resource
import socket
import time
from pathlib import Path

import pytest

from serving import Serving, nginx, site  # noqa: F401 (a fixture)

DEADLINE_S = 60
SPARE_FDS = 500
ASK = (b"GET /r/%d HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101\r\n"
       b"Accept: */*\r\nAccept-Language: en-US,en;q=0.5\r\ntraceparent: 00-%032x-%016x-01\r\n")


def mapped(pid):
    """Bytes of private memory that are in use, but for the heap: that is the server's own, whose allocator gives back what it
    likes. The ring is shared and has its own cap."""
    used = name = 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            name = words[-1]
        elif words[0] == "Anonymous:" and name != "[heap]":
            used += int(words[1]) << 10
    return used


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def wait_until(done):
    deadline = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # /proc tells nobody


@contextlib.contextmanager
def many_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Connections to a server; each sends one text."""

    def __init__(self, port, numbers, end=b""):
        self.socks = [socket.create_connection(("127.0.0.1", port)) for _ in numbers]
        for number, sock in zip(numbers, self.socks):
            sock.sendall(ASK % (number, number, number) + end)

    def close(self):
        for sock in self.socks:
            sock.close()


class Upstream:
    """Takes every request and never answers."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.settimeout(DEADLINE_S)
        self.port = self.listener.getsockname()[1]
        self.socks = []
        return self

    def take(self, count):
        for _ in range(count):
            sock, _ = self.listener.accept()
            sock.settimeout(DEADLINE_S)
            assert b"\r\n\r\n" in sock.recv(4096)
            self.socks.append(sock)

    def __exit__(self, *_):
        for sock in [*self.socks, self.listener]:
            sock.close()


def idle(port, numbers, upstream):
    crowd = Crowd(port, numbers, b"\r\n")
    for sock in crowd.socks:
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    return crowd


def half(port, numbers, upstream):
    return Crowd(port, numbers)


def opened(port, numbers, upstream):
    crowd = Crowd(port, numbers, b"\r\n")
    upstream.take(len(numbers))
    return crowd


def wait_until_read(port):
    """Nothing that was sent to the server waits in the kernel."""
    server = f"0100007F:{port:04X}"

    def is_read():
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return not any(row[1] == server and row[3] == "01" and not row[4].endswith(":00000000") for row in rows)
    wait_until(is_read)


def burst(run, site, make, count, instrumented):
    """Return: bytes that a worker holds for each of @count, and bytes of all that it still holds when they are gone."""
    with Upstream() as upstream, many_descriptors(2 * count + SPARE_FDS):
        rule = f"proxy_pass http://127.0.0.1:{upstream.port};" if make is opened else "return 200 x;"
        plan = nginx(site, f"keepalive_timeout 300; location / {{ {rule} }}", connections=2 * count + SPARE_FDS)
        with Serving(run, plan, {"OTEL_BSP_MAX_QUEUE_SIZE": "20000"}, instrumented) as serving:
            worker, = serving.children()
            first = make(serving.port, range(1, 2), upstream)
            wait_until_read(serving.port)
            before, fds = mapped(worker), descriptors(worker)
            crowd = make(serving.port, range(2, count + 2), upstream)
            wait_until(lambda: descriptors(worker) >= fds + count)
            wait_until_read(serving.port)
            used = mapped(worker) - before
            crowd.close()
            wait_until(lambda: descriptors(worker) <= fds)
            left = mapped(worker) - before
            first.close()
    return used / count, left


# How many, bytes that each may cost beyond what it costs without us, bytes that may be left of them all.
ROWS = {
    "idle connection": (idle, 9000, 510, 500 << 10),
    "half head": (half, 5000, 2200, 900 << 10),
    "open request": (opened, 2000, 4400, 1250 << 10),
}


@pytest.mark.parametrize("name", ROWS)
def test_what_a_client_can_make_a_server_hold(run, site, name):
    make, count, each_max, left_max = ROWS[name]
    (bare, bare_left), (each, left) = (burst(run, site, make, count, instrumented) for instrumented in (False, True))
    print(f"{name}: {bare:.0f} -> {each:.0f} bytes each, {bare_left} -> {left} left of {count}")
    assert each - bare < each_max
    assert left - bare_left < left_max
