# SPDX-License-Identifier: Apache-2.0
"""Servers and clients at odds: requests that are none, end early, come too soon; contexts that are not to be followed; what
is left of a worker that was killed; many connections."""
import os
import re
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from asking import Ask, Asker, ask_one, check_served, play
from conftest import wait_for_end
from http_spans import pair
from log import Log
from paths import APPS
from serving import Serving, app, gunicorn, nginx, script, site  # noqa: F401 (a fixture)
from test_servers import FIRST, NGINX, SECOND, SERVERS, play_both
from traces import check_trace

TRACE, PARENT = FIRST.split("-")[1:3]
IDLE = 10000
IDLE_BYTES = 4096   # that one idle connection may cost
IDLE_QUEUE = 20000
KEPT = 8192  # bytes of a target that a span shows at most
RECORD_BYTES = 512  # that the ring has for each


def proxy(site, port, rules="", **more):
    return nginx(site, f"location / {{ proxy_pass http://127.0.0.1:{port}; {rules} }}", **more)


@pytest.mark.parametrize("plan, body", [
    (lambda site: app("daemon", "thread", "{port}"), b"x" * 1000),
    (lambda site: gunicorn(site, "gthread", "--threads", "2"), b"x" * 1000), (lambda site: script(site, "w3c.py"), b"[]"),
], ids=["c", "gunicorn", "http.server"])
def test_a_client_that_waits_for_100_continue(run, site, spans, plan, body):
    ask = Ask("POST", "/post", body, FIRST, headers=(("Expect", "100-continue"),))

    def act(serving):
        with Asker(serving.port) as asker:
            asker.send(asker.bytes_of(ask, "asker/0")[:-len(body)])
            first = asker.interim()
            asker.send(body)
            done = [ask_one(asker, ask, "asker/0", sent=True), ask_one(asker, Ask("POST", "/next", b"[]"), "asker/1")]
            return done, (first, [one.status for one in done])
    done = play_both(run, site, plan, act)
    check_served(spans(2), done)


def test_an_answer_before_the_body(run, site, spans):
    early, later = Ask("POST", "/early", b"x" * 1000, FIRST), Ask("GET", "/next", context=SECOND)

    def act(serving):
        with Asker(serving.port) as asker:
            asker.send(asker.bytes_of(early, "asker/0")[:-1000])
            done = [ask_one(asker, early, "asker/0", sent=True)]
            asker.send(b"x" * 1000)
            done.append(ask_one(asker, later, "asker/1"))
            return done, [one.status for one in done]
    done = play_both(run, site, SERVERS["c-thread"].plan, act)
    check_served(spans(2), done)


@pytest.mark.parametrize("kind", ["thread", "fork"])
def test_a_client_that_hangs_up(run, site, origin, spans, kind):
    """Before there is an answer: the server's call goes on, and both are told."""
    with Serving(run, app("daemon", kind, "{port}", origin.port)) as serving:
        with Asker(serving.port) as asker:
            asker.send(asker.bytes_of(Ask("GET", "/hold", context=FIRST), "asker/0"))
        with Asker(serving.port) as asker:
            asker.send(asker.bytes_of(Ask("GET", "/call/slow", context=SECOND), "asker/1"))
            origin.wait(1)
        with Asker(serving.port) as asker:
            ask_one(asker, Ask("GET", "/next"), "asker/2")
        got = {span.attributes.get("url.path", "called"): span for span in spans_later(run, spans, 4, serving)}
    assert set(got) == {"/hold", "/call/slow", "called", "/next"}
    assert "http.response.status_code" not in got["/hold"].attributes
    assert got["/hold"].parent_id == PARENT
    assert got["called"].parent_id == got["/call/slow"].span_id
    assert (got["/next"].status, got["/next"].attributes["http.response.status_code"]) == ("UNSET", 200)


def spans_later(run, spans, count, serving):
    """When nothing of the server is open any more; only its end shows that nothing follows."""
    run.sink.wait(count)
    serving.stop(signal.SIGTERM)
    return spans(count)


def test_heads_that_come_slowly(run, site, spans):
    """Fifty that are begun, fifty that come byte by byte, one that overtakes them all."""
    ask = Ask("GET", "/hello.txt")
    with Serving(run, nginx(site, "")) as serving:
        askers = [Asker(serving.port).__enter__() for _ in range(100)]
        heads = [asker.bytes_of(ask, f"asker/{number}") for number, asker in enumerate(askers)]
        for at in range(max(map(len, heads))):
            for asker, head in zip(askers, heads):
                if at < len(head) - (2 if asker in askers[50:] else 0):
                    asker.send(head[at:at + 1])
        with Asker(serving.port) as asker:
            done = [ask_one(asker, ask, "overtakes")]
        done += [ask_one(asker, ask, f"asker/{number}", sent=True) for number, asker in enumerate(askers[:50])]
        for asker in askers:
            asker.__exit__()
    check_served(spans(51), done)


GARBAGE = {
    "noise": bytes((i * 167 + 13) % 256 for i in range(4096)),
    "zeros": bytes(4096),
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "words": b"hello, is anybody there?\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\n\r\n",
    "0.9": b"GET /hello.txt\r\n\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n",
    "long line": b"GET /" + b"a" * 10000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "no head": b"\r\n" * 1000,
}


@pytest.mark.parametrize("name", ["nginx", "apache-event", "haproxy", "lighttpd", "http.server", "c-thread"])
def test_what_is_no_request(run, site, spans, name):
    """Answered as without us; it makes no span that is none's, and the next connection is seen."""
    good = Ask("GET", SERVERS[name].good)

    def act(serving):
        same = []
        for what, noise in GARBAGE.items():
            with Asker(serving.port) as asker:
                try:
                    asker.send(noise)
                    asker.sock.shutdown(1)
                except OSError:
                    pass  # it did not wait for the end
                same.append((what, asker.rest()[:12]))
        done, answers = play(serving.port, [[good]])
        return done, same + answers
    done = play_both(run, site, SERVERS[name].plan, act)
    run.settle()
    got = [span for span in run.sink.wait(1) if "user_agent.original" in span.attributes]
    check_served(got, done)
    others = [span for span in run.sink.spans if span not in got]
    assert {span.attributes.get("url.path", "")[:5] for span in others} <= {"/aaaa"}, others  # the one that is a request


@pytest.mark.parametrize("fields, followed", [
    ([f"traceparent: {FIRST}"], True),
    ([f"traceparent: {FIRST}x"], False),
    ([f"traceparent: {FIRST.upper()}"], False),
    ([f"traceparent: {FIRST}", f"traceparent: {SECOND}"], False),
    ([f"traceparent: {FIRST}", f"TraceParent: {FIRST}"], False),
    (["traceparent: " + "0" * 5000], False),
    (["traceparent:"], False),
    ([f"traceparent: {FIRST}", "tracestate: " + "a" * 5000], True),
    ([f"traceparent: {FIRST}", "tracestate: a=1,,,b=" + "2" * 300], True),
    ([f"traceparent: {FIRST}", *["tracestate: a=1"] * 50], True),
    ([f"traceparent: {FIRST}", "baggage: " + "b=1," * 1500], True),
    ([f"traceparent: {FIRST}", "baggage: \xff;;;==="], True),
], ids=range(12))
def test_odd_contexts(run, site, spans, fields, followed):
    ask = Ask("GET", "/hello.txt", headers=tuple(field.split(": ", 1) if ": " in field else (field[:-1], "")
                                                 for field in fields))
    done = play_both(run, site, SERVERS["nginx"].plan, lambda serving: play(serving.port, [[ask, Ask("GET", "/hello.txt")]]))
    if followed:
        ask.context = FIRST
    check_served(spans(2), done)


def test_a_context_that_is_not_trusted(run, site, origin, spans):
    """A new trace begins here, also for the server behind, although the proxy passes the header on."""
    with Serving(run, proxy(site, origin.port), {"OTEL_INSTRUMENT_TRUST_INBOUND": "false"}) as serving, \
            Asker(serving.port) as asker:
        ask_one(asker, Ask("GET", "/x", context=FIRST, headers=(("tracestate", "a=1"),)), "asker")
    server, client = sorted(spans(2), key=lambda span: span.kind, reverse=True)
    check_trace([server, client])
    assert server.parent_id == "" and server.trace_id != TRACE and not server.trace_state
    request, = origin.requests
    assert request.header("traceparent") == [client.traceparent] and not "".join(request.header("tracestate")).strip()


def test_long_targets(run, site, origin, spans):
    """Both spans show the first of it; the server behind gets all of it, with the right context."""
    ask = Ask("GET", "/x?" + "t" * 60000, context=FIRST)
    rules = f"large_client_header_buffers 4 80k; location / {{ proxy_pass http://127.0.0.1:{origin.port}; }}"
    with Serving(run, nginx(site, rules)) as serving, Asker(serving.port) as asker:
        done = ask_one(asker, ask, "asker")
    server, client = sorted(spans(2), key=lambda span: span.kind, reverse=True)
    request, = origin.requests
    assert done.status == 200 and request.target == ask.target
    assert server.parent_id == PARENT and client.parent_id == server.span_id
    assert request.header("traceparent") == [client.traceparent]
    assert server.attributes["url.path"] == "/x" and server.attributes["url.query"] == "t" * (KEPT - len("/x?"))
    assert client.attributes["url.full"].endswith("/x?" + "t" * (KEPT - len("/x?")))


def test_paths_that_are_ignored(run, site, origin, spans):
    """Neither recorded themselves nor what is done because of them."""
    with Serving(run, proxy(site, origin.port), {"OTEL_INSTRUMENT_HTTP_IGNORED_PATHS": "/healthz,/metrics*"}) as serving:
        done, _ = play(serving.port, [[Ask("GET", path)] for path in ("/healthz", "/metrics/x?y", "/healthz/no", "/seen")]
                       + [[Ask("GET", "/healthz", context=FIRST), Ask("GET", "/seen", context=FIRST)]])
    got = spans(6)
    recorded = ("/seen", "/healthz/no")
    check_served([span for span in got if span.kind == "SERVER"], [one for one in done if one.ask.target in recorded])
    seen = [request for request in origin.requests if request.target in recorded]
    pair([span for span in got if span.kind == "CLIENT"], seen)
    for request in origin.requests:
        if request not in seen:
            assert not any(int(value[-2:], 16) & 1 for value in request.header("traceparent"))


def test_a_client_s_context_that_is_not_sampled(run, site, origin, spans):
    quiet = FIRST[:-2] + "00"
    with Serving(run, proxy(site, origin.port)) as serving, Asker(serving.port) as asker:
        ask_one(asker, Ask("GET", "/x", context=quiet), "asker")
    assert spans(0) == []
    value, = origin.requests[0].header("traceparent")
    assert value.startswith(f"00-{TRACE}-") and value.endswith("-00")


@pytest.mark.parametrize("name", ["nginx", "fork"])
def test_a_worker_that_is_killed(run, site, origin, spans, name):
    """In the middle of a request, and of the one that it made for it: both are exported and say so."""
    plan = proxy(site, origin.port) if name == "nginx" else app("daemon", "fork", "{port}", origin.port)
    with Serving(run, plan, {"OTEL_BSP_SCHEDULE_DELAY": "60000"}) as serving:
        with Asker(serving.port) as asker:
            asker.send(asker.bytes_of(Ask("GET", "/hold" if name == "nginx" else "/call/hold", context=FIRST), "asker/0"))
            origin.wait(1)
            worker, = serving.children()
            os.kill(worker, signal.SIGKILL)
            assert wait_for_end(worker, 20)
        origin.release()
        done, _ = play(serving.port, [[Ask("GET", "/next")]])
    got = spans(4 if name == "nginx" else 3)
    broken = [span for span in got if span.attributes.get("otel.instrument.incomplete")]
    assert sorted(span.kind for span in broken) == ["CLIENT", "SERVER"]
    assert check_trace(broken, PARENT).kind == "SERVER"
    assert not any("http.response.status_code" in span.attributes for span in broken)
    check_served([span for span in got if span not in broken and span.kind == "SERVER"], done)


def resident(pid):
    """Bytes of memory."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) << 10


def hold(run, port, count):
    """So many connections that had an answer each and are kept. Return: the process that holds them."""
    process = run.popen(["prlimit", f"--nofile={count + 500}", APPS / "load", port, count, 64, "hold"], instrumented=False,
                        stdin=subprocess.PIPE)
    assert process.stdout.readline() == f"{count} answered\n".encode()
    return process


def test_idle_connections(run, site, spans):
    count = min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1000)
    used = {}
    for instrumented in (False, True):
        plan = nginx(site, "keepalive_timeout 300; location / { return 200 x; }", connections=count + 200)
        with Serving(run, plan, {"OTEL_BSP_MAX_QUEUE_SIZE": str(IDLE_QUEUE)}, instrumented) as serving:
            worker, = serving.children()
            before = resident(worker)
            with hold(run, serving.port, count) as process:
                used[instrumented] = resident(worker) - before
                process.stdin.close()
    got = spans(count)
    assert len({span.attributes["url.path"] for span in got}) == count
    assert used[True] - used[False] < IDLE_QUEUE * RECORD_BYTES + count * IDLE_BYTES, used


@pytest.mark.parametrize("name", ["c-thread", "nginx", "haproxy"])
def test_descriptors_are_used_again(run, site, spans, name):
    """A connection for each request, 64 at once: every number is soon another's."""
    count = 2000
    plan = nginx(site, "location / { return 200 x; }") if name == "nginx" else SERVERS[name].plan(site)
    with Serving(run, plan, {"OTEL_BSP_MAX_QUEUE_SIZE": "8192"}) as serving:
        play(serving.port, [[Ask("GET", "/first")]])  # so that the ring is there
        result = run([APPS / "load", serving.port, count, 64, "close", "context"], instrumented=False)
    assert result.stdout == f"{count} answered\n".encode(), result
    first, *others = spans(count + 1)
    assert first.attributes["url.path"] == "/first"
    for span in others:
        number = int(span.attributes["user_agent.original"].removeprefix("n-"))
        assert span.attributes["url.path"] == f"/r/{number}"
        assert (span.trace_id, span.parent_id) == (f"{number + 1:032x}", f"{number + 1:016x}")


def test_all_of_wrk_s_requests_are_counted(run, site, sink):
    """However fast they come: what was not exported was counted."""
    folder = site.folder("wrk")
    log, access = Log(folder / "log", "info"), folder / "access"
    plan = nginx(site, "location / { return 200 x; }", f"access_log {access} combined buffer=64k;")
    with Serving(run, plan, {**log.env, "OTEL_BSP_MAX_QUEUE_SIZE": "2048"}) as serving:
        wrk = run(["/usr/bin/wrk", "-t1", "-c50", "-d1s", f"http://127.0.0.1:{serving.port}/"], instrumented=False)
        assert wrk.status == 0, wrk
    run.settle()
    requests = len(access.read_text().splitlines())
    outcomes = log.outcomes()
    assert requests > 1000
    assert sum(outcomes.values()) == requests, outcomes
    assert outcomes["delivered"] == len(sink.spans)
