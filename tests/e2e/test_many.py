# SPDX-License-Identifier: Apache-2.0
"""Many processes, and processes that end badly: nothing lost, nothing doubled, one relay, and none without need."""
import signal
import threading
from collections import Counter

import pytest

from conftest import HOMES
from http_spans import pair
from paths import APPS

PYTHON = "/usr/bin/python3"
CURLS = 1000
LOOP = ('i=0; while [ $i -lt "$2" ]; do curl -sS -o /dev/null "$1/$i" || echo "failed: $i"; i=$((i+1)); done')


class RelayWatch:
    """Counts every relay of a test that lives for longer than a blink, within a with block."""

    def __init__(self, run):
        self.run = run
        self.seen = set()

    def __enter__(self):
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.done.wait(0.1):
            self.seen.update(self.run.relays())

    def __exit__(self, *_):
        self.seen.update(self.run.relays())
        self.done.set()
        self.thread.join()


def test_a_thousand_short_commands_share_one_relay(run, origin, spans, sink):
    with RelayWatch(run) as watch:
        result = run(["sh", "-c", LOOP, "loop", origin.url, CURLS], {"OTEL_INSTRUMENT_RELAY_LINGER": "3000"}, timeout=180)
        got = spans(CURLS)
    assert result.behaviour == (b"", b"", 0)
    assert len(watch.seen) == 1
    assert {request.target for _, request in pair(got, origin.requests)} == {f"/{i}" for i in range(CURLS)}
    assert len({span.trace_id for span in got}) == CURLS


@pytest.mark.parametrize("home", HOMES)
def test_a_hundred_children(run, origin, spans, home):
    result = run.both([APPS / "fork100", origin.port])
    assert result.status == 0
    requests = [request for request in origin.requests if request.header("traceparent")]
    assert len(origin.requests) == 202 and len(requests) == 101
    pairs = pair(spans(101), requests)
    assert Counter(request.target for _, request in pairs) == {"/parent": 1, "/child": 100}
    assert len({span.resource["process.pid"] for span, _ in pairs}) == 101


ONE_REQUEST = ("import sys, urllib.request as u\nu.urlopen(sys.argv[1]).read()\n"
               "print('done', flush=True)\nsys.stdin.read()")


def test_killed_between_the_request_and_the_next_batch(run, origin, spans):
    process = run.popen([PYTHON, "-c", ONE_REQUEST, origin.url + "/last"], {"OTEL_BSP_SCHEDULE_DELAY": "60000"}, stdin=-1)
    with process:
        assert process.stdout.readline() == b"done\n"
        process.send_signal(signal.SIGKILL)
    (span, _), = pair(spans(1), origin.requests)
    assert span.attributes["http.response.status_code"] == 200 and span.status == "UNSET"


SEND_AND_WAIT = """import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for path in sys.argv[2:]:
    s.sendall(b"GET %s HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" % path.encode())
    print("sent", flush=True)
    s.recv(65536)"""


@pytest.mark.parametrize("paths", [["/hold"], ["/before", "/hold"]], ids=["the first", "a later one"])
def test_killed_in_the_middle_of_a_request(run, origin, spans, paths):
    process = run.popen([PYTHON, "-c", SEND_AND_WAIT, origin.port, *paths], {"OTEL_BSP_SCHEDULE_DELAY": "60000"})
    with process:
        assert [process.stdout.readline() for _ in paths] == [b"sent\n"] * len(paths)
        process.send_signal(signal.SIGKILL)
    origin.wait(len(paths))
    span, _ = pair(spans(len(paths)), origin.requests)[-1]
    assert span.name == "GET" and span.attributes["otel.instrument.incomplete"]
    assert "http.response.status_code" not in span.attributes


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 15)", "os.execlp('true', 'true')", "os.abort()"])
def test_every_end_of_a_process_keeps_its_span(run, origin, spans, end):
    code = f"import os, sys, urllib.request as u\nu.urlopen(sys.argv[1]).read()\n{end}"
    run.both([PYTHON, "-c", code, origin.url + "/end"])
    pair(spans(1), [request for request in origin.requests if request.header("traceparent")])


def test_a_program_without_network_starts_nothing(run, sink):
    with RelayWatch(run) as watch:
        for command in (["true"], ["sh", "-c", "echo a | cat; ls / >/dev/null"], [PYTHON, "-c", "print(1)"]):
            run.both(command)
    assert not watch.seen and not sink.requests


LOOK = ("import os, sys, urllib.request as u\n{request}\n"
        "print(len(os.listdir('/proc/self/task')), 'memfd:' in open('/proc/self/maps').read(), sorted(os.listdir('/proc/self/fd')))")


def test_no_thread_with_the_relay_and_no_ring_without_a_request(run, origin, spans):
    plain = run([PYTHON, "-c", LOOK.format(request=""), origin.url], instrumented=False)
    idle = run([PYTHON, "-c", LOOK.format(request=""), origin.url])
    assert idle.behaviour == plain.behaviour
    busy = run([PYTHON, "-c", LOOK.format(request="u.urlopen(sys.argv[1]).read()"), origin.url])
    assert busy.stdout.split()[0] == b"1"
    spans(1)


def test_console_prints_before_the_prompt_comes_back(run, origin, sink):
    result = run(["curl", "-sS", origin.url + "/shown"], {"OTEL_TRACES_EXPORTER": "console"})
    assert result.stdout == b"GET /shown\n" and result.status == 0
    assert b"GET" in result.stderr and b"/shown" in result.stderr and b"\x1b" not in result.stderr
    assert not sink.requests
