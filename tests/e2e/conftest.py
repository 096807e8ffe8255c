# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a strict collector, a server that keeps bytes, and a way to run programs with and without us.

Each test has a collector of its own, so a configuration of its own, so relays of its own: their
environment names the collector's port, by which they are found.
"""
import os
import re
import select
import subprocess
import time
from dataclasses import dataclass

import pytest

pytest.register_assert_rewrite("http_spans")

from paths import LAUNCHER, RELAY
from servers import Origin
from sink import Sink

DEADLINE_S = 20
HOMES = ["relay", "inproc"]

own_mounts = pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "mount", "-o", "remount,bind,ro", "/"], capture_output=True).returncode != 0,
    reason="takes root, and a root that is a mount point (a bare chroot's is none)")


@dataclass
class Result:
    stdout: bytes
    stderr: bytes
    status: int
    seconds: float

    @property
    def behaviour(self):
        """What must be the same with and without us; curl says how long a failed connect took, which never is."""
        return self.stdout, re.sub(rb"after \d+ ms", b"after some ms", self.stderr), self.status


def pytest_configure(config):
    if not LAUNCHER.exists():
        pytest.exit(f"{LAUNCHER} is not there: build first (./dev build)", returncode=3)


@pytest.fixture
def sink():
    with Sink() as sink:
        yield sink
    assert not sink.sins


@pytest.fixture
def origin():
    with Origin() as origin:
        yield origin


def read_or_none(path):
    try:
        return path.read_bytes() if hasattr(path, "read_bytes") else open(path, "rb").read()
    except OSError:
        return None  # gone meanwhile


def environ_of(pid):
    """Empty for a process that is gone; one that is just being executed has none for a moment."""
    while (text := read_or_none(f"/proc/{pid}/environ")) == b"" and read_or_none(f"/proc/{pid}/maps"):
        time.sleep(0.001)
    return text or b""


def find_relays(port):
    """Process ids of the relays that export to this port."""
    mark = f"127.0.0.1:{port}".encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            ours = os.path.samefile(f"/proc/{pid}/exe", RELAY)
        except OSError:
            continue
        if ours and mark in environ_of(pid):
            found.append(int(pid))
    return found


def wait_for_end(pid, seconds):
    """True when the process is gone (or a zombie of nobody's) by then."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], seconds)[0])
    finally:
        os.close(fd)


class Runner:
    """Runs programs against one collector."""

    def __init__(self, sink, home, tmp_path):
        self.sink = sink
        self.home = home
        self.base = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
                     "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "GIT_CONFIG_NOSYSTEM": "1",
                     "PERL_HASH_SEED": "0"}  # perl's clients order their headers by it
        self.tmp_path = tmp_path

    def env(self, more=None):
        """What an instrumented run gets."""
        return {**self.base, "OTEL_EXPORTER_OTLP_ENDPOINT": self.sink.url, "OTEL_SERVICE_NAME": "e2e",
                "OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_INSTRUMENT_RELAY_LINGER": "0",
                "OTEL_INSTRUMENT_RELAY": "off" if self.home == "inproc" else "auto", **(more or {})}

    def popen(self, command, env=None, instrumented=True, strict=True, **more):
        command = [str(word) for word in command]
        if instrumented:
            command = [str(LAUNCHER), *(["--strict"] if strict else []), "--", *command]
        env = self.env(env) if instrumented else {**self.base, **(env or {})}
        return subprocess.Popen(command, env=env, cwd=more.pop("cwd", self.tmp_path),
                                stdin=more.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def __call__(self, command, env=None, instrumented=True, timeout=60, **more):
        begin = time.monotonic()
        with self.popen(command, env, instrumented, **more) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                pytest.fail(f"{command[0]} did not end within {timeout} s: {out!r} {err!r}")
        return Result(out, err, process.returncode, time.monotonic() - begin)

    def both(self, command, env=None, **more):
        """Run without and with us; nobody may see a difference. Return: the result."""
        plain = self(command, {k: v for k, v in (env or {}).items() if not k.startswith("OTEL_")}, instrumented=False, **more)
        ours = self(command, env, **more)
        assert ours.behaviour == plain.behaviour
        return ours

    def relays(self):
        return find_relays(self.sink.port)

    def settle(self, seconds=DEADLINE_S):
        """Until every relay has delivered and left, so that nothing can follow."""
        deadline = time.monotonic() + seconds
        for pid in self.relays():
            assert wait_for_end(pid, deadline - time.monotonic()), f"relay {pid} stays"


@pytest.fixture
def home():
    """The relay, unless a test is parametrized over HOMES."""
    return "relay"


@pytest.fixture
def run(sink, home, tmp_path):
    runner = Runner(sink, home, tmp_path)
    yield runner
    for pid in runner.relays():
        wait_for_end(pid, DEADLINE_S)


@pytest.fixture
def spans(sink, run):
    """spans(n): the n spans of the test, in order of their start; neither fewer nor more ever come."""
    def exactly(count):
        sink.wait(count, DEADLINE_S)
        run.settle()
        got = sorted(sink.wait(count, 0), key=lambda span: span.start)
        assert len(got) == count, [(span.name, span.attributes) for span in got]
        return got
    return exactly
