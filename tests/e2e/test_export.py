# SPDX-License-Identifier: Apache-2.0
"""Collectors that fail, and how spans leave nevertheless: what can arrive arrives once, and no program notices."""
import email.utils
import os
import re
import signal
import time

import pytest

import collectors
import otlp
from conftest import DEADLINE_S, HOMES, Runner, wait_for_end
from http_spans import pair
from log import Log
from sink import Answer, Sink
from talk import Talk, is_up, terminate, wait_until

PYTHON = "/usr/bin/python3"
URLLIB = "import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())"
BRIEF = {"OTEL_EXPORTER_OTLP_TIMEOUT": "600", "OTEL_INSTRUMENT_EXIT_TIMEOUT": "300"}
NOTICEABLE_S = 1.5  # more than any program of these takes, less than what they would wait for


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "agent.log")


@pytest.fixture
def against(home, tmp_path):
    """against(collector): a way to run programs; relays that could go on for long do not outlive the test."""
    runners = []

    def make(collector):
        runners.append(Runner(collector, home, tmp_path))
        return runners[-1]
    yield make
    for pid in [pid for runner in runners for pid in runner.relays()]:
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid, DEADLINE_S)


def make_pauses(sink):
    return [later - earlier for earlier, later in zip(sink.moments, sink.moments[1:])]


# What a collector does, and what the relay says became of the one span.
BAD = {
    "refused": (collectors.Refused, "late"),
    "black hole": (collectors.black_hole, "late"),
    "full backlog": (collectors.FullBacklog, "late"),
    "garbage": (collectors.garbage, "failed"),
    "half an answer": (collectors.half_an_answer, "late"),
    "huge answer": (collectors.huge_answer, "failed"),
    "huge head": (collectors.huge_head, "late"),
    "unusable url": (collectors.Unusable, "no endpoint"),
}


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("bad", BAD)
def test_no_program_notices_a_bad_collector(against, origin, log, bad, home):
    make, outcome = BAD[bad]
    with make() as collector:
        run = against(collector)
        plain = run(["curl", "-sS", origin.url + "/a"], instrumented=False)
        ours = run(["curl", "-sS", origin.url + "/a"], {**BRIEF, **log.env}, strict=False)
        assert (ours.stdout, ours.status) == (plain.stdout, plain.status)
        assert ours.stderr == plain.stderr if outcome != "no endpoint" else b"usable" in ours.stderr or b"URL" in ours.stderr
        assert ours.seconds < plain.seconds + NOTICEABLE_S
        run.settle()
        if home == "inproc" and outcome != "no endpoint":
            assert log.outcomes() in ({outcome: 1}, {"left": 1})
        else:
            assert log.outcomes() == {outcome: 1}
        assert "hidden" not in log.text


@pytest.mark.parametrize("bad", ["refused", "black hole", "full backlog", "huge answer"])
def test_the_relay_gives_up_within_the_time_limit(against, origin, bad):
    with BAD[bad][0]() as collector:
        run = against(collector)
        begin = time.monotonic()
        run(["curl", "-sS", origin.url], {"OTEL_EXPORTER_OTLP_TIMEOUT": "1200"})
        run.settle()
        assert time.monotonic() - begin < 1.2 + NOTICEABLE_S


@pytest.mark.parametrize("home", HOMES)
def test_a_slow_collector_holds_nobody(run, sink, origin, spans, home):
    sink.answers.append(Answer(delay=3))
    result = run(["curl", "-sS", origin.url], {"OTEL_INSTRUMENT_EXIT_TIMEOUT": "500"})
    ended = time.monotonic()
    assert result.status == 0 and result.seconds < 3
    spans(1)
    assert len(sink.requests) == 1 and ended < sink.moments[0] + 2.5


@pytest.mark.parametrize("status, home", [*((status, "relay") for status in (301, 400, 401, 403, 404, 408, 413, 500, 501)),
                                          (400, "inproc")])
def test_a_refusal_is_final(run, sink, origin, log, status, home):
    sink.otherwise = Answer(status, body=b"<html>no status message</html>")
    assert run(["curl", "-sS", "-o", "/dev/null", origin.url], log.env).behaviour == (b"", b"", 0)
    run.settle()
    assert len(sink.requests) == 1 and not sink.spans
    assert log.outcomes() == {"refused": 1}
    assert [level for level, text in log.lines if f"HTTP status {status}" in text] == ["error"]


@pytest.mark.parametrize("status, home", [(429, "relay"), (502, "relay"), (503, "relay"), (504, "relay"), (503, "inproc")])
def test_what_is_refused_for_now_is_sent_again(run, sink, origin, spans, log, status, home):
    sink.answers.append(Answer(status))
    with Talk(run, origin, log.env) as talk:
        talk.ask("/again")
        sink.wait_requests(2)
    span, = spans(1)
    assert span.attributes["url.full"].endswith("/again")
    assert len(sink.requests) == 2 and 0.75 < make_pauses(sink)[0] < 1.2 + NOTICEABLE_S
    assert log.outcomes() == {"delivered": 1}


def test_pauses_grow(run, sink, origin, spans, log):
    sink.answers += [Answer(503)] * 3
    run(["curl", "-sS", origin.url], log.env)
    spans(1)
    first, second, third = make_pauses(sink)
    assert 0.75 < first < 1.2 + 0.7 and 1.15 < second < 1.8 + 0.7 and 1.75 < third < 2.7 + 0.7
    warned = [text for level, text in log.lines if level == "warn"]
    assert len(warned) == 1, "one line per outage"


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after(run, sink, origin, spans, form):
    moment = email.utils.formatdate(time.time() + 5, usegmt=True)
    sink.answers.append(Answer(429, {"Retry-After": "2" if form == "seconds" else moment}))
    begin = time.time()
    run(["curl", "-sS", origin.url])
    spans(1)
    pause, = make_pauses(sink)
    if form == "seconds":
        assert 1.95 < pause < 2 + NOTICEABLE_S
    else:
        assert 3.5 < time.time() - begin and 3 < pause < 5 + NOTICEABLE_S


def test_retry_after_beyond_the_time_limit_gives_up_at_once(run, sink, origin, log):
    sink.answers.append(Answer(503, {"Retry-After": "3600"}))
    begin = time.monotonic()
    run(["curl", "-sS", origin.url], log.env)
    run.settle()
    assert time.monotonic() - begin < NOTICEABLE_S and len(sink.requests) == 1
    assert log.outcomes() == {"late": 1}


def test_the_time_limit_covers_all_attempts(run, sink, origin, log):
    sink.otherwise = Answer(503)
    run(["curl", "-sS", origin.url], {**log.env, "OTEL_EXPORTER_OTLP_TIMEOUT": "1700"})
    run.settle()
    assert len(sink.requests) == 2, "the third would come after 2 s or more"
    assert sink.moments[-1] - sink.moments[0] < 1.7
    assert log.outcomes() == {"late": 1}


@pytest.mark.parametrize("limits, least, most", [
    ({"OTEL_EXPORTER_OTLP_TIMEOUT": "600"}, 0.55, 2),
    ({"OTEL_EXPORTER_OTLP_TIMEOUT": "60000", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "600"}, 0.55, 2),
    ({"OTEL_EXPORTER_OTLP_TIMEOUT": "60000", "OTEL_BSP_EXPORT_TIMEOUT": "600"}, 0.55, 2),
    ({"OTEL_EXPORTER_OTLP_TIMEOUT": "0", "OTEL_BSP_EXPORT_TIMEOUT": "600"}, 0.55, 2),
], ids=["general", "traces", "processor", "zero is none"])
def test_time_limits(against, origin, log, limits, least, most):
    with collectors.black_hole() as collector:
        run = against(collector)
        begin = time.monotonic()
        run(["curl", "-sS", origin.url], {**log.env, **limits})
        run.settle()
        assert least < time.monotonic() - begin < most
    assert log.outcomes() == {"late": 1}


def test_what_waited_through_an_outage_arrives_once(against, origin, log):
    with collectors.Refused() as collector:
        run = against(collector)
        for path in "abc":
            run(["curl", "-sS", f"{origin.url}/{path}"], {**log.env, "OTEL_INSTRUMENT_RELAY_LINGER": "200"})
        relay, = run.relays()
    with Sink(port=collector.port) as sink:
        sink.wait(3)
        run.settle()
        pair(sink.spans, origin.requests)
        assert not sink.sins and log.outcomes() == {"delivered": 3}


@pytest.mark.parametrize("home", HOMES)
def test_an_answer_lost_on_its_way(run, sink, origin, spans, home):
    sink.answers.append(Answer(hangup=True))
    with Talk(run, origin) as talk:
        talk.ask()
        sink.wait_requests(2)
    spans(1)
    assert len(sink.requests) == 2


def partial(rejected, message):
    response = otlp.ExportResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return Answer(body=response.SerializeToString())


@pytest.mark.parametrize("home", HOMES)
def test_partial_success_is_never_repeated(run, sink, origin, log, home):
    sink.answers.append(partial(2, "two\nof \x1b[31mthem"))
    with Talk(run, origin, log.env) as talk:
        talk.ask(count=3)
        sink.wait(3)
    run.settle()
    assert len(sink.requests) == 1
    assert log.outcomes() == {"rejected": 2, "delivered": 1}
    assert [level for level, text in log.lines if "rejected 2 of 3 spans: two of  [31mthem" in text] == ["warn"]


def test_more_rejected_than_sent(run, sink, origin, log):
    sink.answers.append(partial(2**62, ""))
    run(["curl", "-sS", origin.url], log.env)
    run.settle()
    assert log.outcomes() == {"rejected": 1}


def test_success_with_a_warning(run, sink, origin, log):
    sink.answers.append(partial(0, "use another endpoint"))
    run(["curl", "-sS", origin.url], log.env)
    run.settle()
    assert log.outcomes() == {"delivered": 1} and "use another endpoint" in log.text


@pytest.mark.parametrize("body", [b"", b"\xff\xff not OTLP", b'{"partialSuccess": {}}'], ids=["empty", "garbage", "json"])
def test_bodies_of_a_success(run, sink, origin, spans, log, body):
    sink.answers.append(Answer(body=body))
    run(["curl", "-sS", origin.url], log.env)
    spans(1)
    assert log.outcomes() == {"delivered": 1}
    assert ("not OTLP" in log.text) == bool(body)


ENDPOINTS = {
    "base": ("OTEL_EXPORTER_OTLP_ENDPOINT", "", "/v1/traces"),
    "base with slash": ("OTEL_EXPORTER_OTLP_ENDPOINT", "/", "/v1/traces"),
    "base with path": ("OTEL_EXPORTER_OTLP_ENDPOINT", "/my", "/my/v1/traces"),
    "base with path and slash": ("OTEL_EXPORTER_OTLP_ENDPOINT", "/my/", "/my/v1/traces"),
    "traces without path": ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "", "/"),
    "traces exact": ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/own", "/own"),
    "traces exact with slash": ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/own/v1/traces/", "/own/v1/traces/"),
    "traces with query": ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/own?key=1", "/own?key=1"),
}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoints(run, sink, origin, spans, name):
    variable, suffix, sink.path = ENDPOINTS[name]
    env = {variable: sink.url + suffix}
    if "TRACES" in variable:
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1/not/this"
    run(["curl", "-sS", origin.url], env)
    spans(1)


BAD_URLS = ["{}", "127.0.0.1:{}", "ftp://127.0.0.1:{}", "http://", "http://[::1:{}", "http://a b:{}/",
            "http://127.0.0.1:{}0000000", "http://u:s3cret@[127.0.0.1:{}"]


@pytest.mark.parametrize("url, home", [*((url, "relay") for url in BAD_URLS), ("ftp://127.0.0.1:{}", "inproc")])
def test_an_endpoint_that_is_none(run, sink, origin, log, url, home):
    env = {**log.env, "OTEL_EXPORTER_OTLP_ENDPOINT": url.format(sink.port),
           "OTEL_EXPORTER_OTLP_HEADERS": f"x-of=127.0.0.1:{sink.port}"}  # what this test's relay is known by
    result = run(["curl", "-sS", origin.url + "/x"], env, strict=False)
    assert (result.stdout, result.status) == (b"GET /x\n", 0)
    assert result.stderr.count(b"\n") == 1 and b"OTEL_EXPORTER_OTLP_ENDPOINT" in result.stderr and b"s3cret" not in result.stderr
    run.settle()
    assert log.outcomes() == {"no endpoint": 1}
    assert [level for level, text in log.lines if "OTEL_EXPORTER_OTLP_ENDPOINT" in text] == ["error"]
    assert not sink.requests and "s3cret" not in log.text


SECRET = "s3cr3t-t0ken"


@pytest.mark.parametrize("home", HOMES)
def test_headers(run, sink, origin, spans, log, home):
    headers = f"Authorization=Bearer%20{SECRET}, x-pad = {SECRET}==,X-Comma=a%2Cb%3D%3B,empty="
    env = {**log.env, "OTEL_EXPORTER_OTLP_HEADERS": headers}
    with Talk(run, origin, env) as talk:
        talk.ask()
        sink.wait(1)
        for pid in run.relays():
            assert SECRET.encode() not in open(f"/proc/{pid}/cmdline", "rb").read()
    spans(1)
    (got, _), = sink.requests
    assert got["Authorization"] == f"Bearer {SECRET}" and got["x-pad"] == f"{SECRET}=="
    assert got["X-Comma"] == "a,b=;" and got["empty"] == ""
    assert SECRET not in log.text and log.outcomes() == {"delivered": 1}


def test_headers_for_traces_replace_the_general_ones(run, sink, origin, spans):
    run(["curl", "-sS", origin.url], {"OTEL_EXPORTER_OTLP_HEADERS": "x-general=1",
                                      "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-traces=1"})
    spans(1)
    (got, _), = sink.requests
    assert got["x-traces"] == "1" and got["x-general"] is None


@pytest.mark.parametrize("bad", ["no-equals", "bad name=v", f"k=%zz{SECRET}", f"k={SECRET}%0d%0aX-Injected%3A1",
                                 f"Content-Length={SECRET}", f"={SECRET}", f"Transfer-Encoding={SECRET}"])
def test_bad_headers_are_left_out_with_a_warning(run, sink, origin, spans, log, bad):
    run(["curl", "-sS", origin.url], {**log.env, "OTEL_EXPORTER_OTLP_HEADERS": f"x-before=1,{bad},x-after=2"},
        strict=False)
    spans(1)
    (got, _), = sink.requests
    assert (got["x-before"], got["x-after"], got["k"], got["X-Injected"]) == ("1", "2", None, None)
    assert [level for level, text in log.lines if "item 2 is left out" in text] == ["warn"]
    assert SECRET not in log.text


@pytest.mark.parametrize("home", HOMES)
def test_no_secret_is_in_any_message_of_a_failure(against, origin, log, home):
    with collectors.Refused() as collector:
        run = against(collector)
        url = f"http://user:{SECRET}@127.0.0.1:{collector.port}/?k={SECRET}"
        env = {**log.env, **BRIEF, "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRET}"}
        result = run(["curl", "-sS", "-u", f"me:{SECRET}", f"{origin.url}/?sig={SECRET}"], env)
        assert SECRET.encode() not in result.stderr and result.status == 0
        run.settle()
    assert log.lines and SECRET not in log.text


@pytest.mark.parametrize("home", HOMES)
def test_no_proxy_counts_for_the_export_too(run, sink, origin, spans, home):
    env = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"}
    run.both(["curl", "-sS", origin.url], env)
    pair(spans(1), [request for request in origin.requests if request.header("traceparent")])


@pytest.mark.parametrize("home", HOMES)
def test_batches_are_no_larger_than_told(run, sink, origin, spans, home):
    with Talk(run, origin, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "3", "OTEL_BSP_SCHEDULE_DELAY": "300"}) as talk:
        talk.ask(count=10)
        sink.wait(10)
    spans(10)
    assert max(len(sent) for _, sent in sink.requests) == 3


def test_one_connection_serves_many_batches(run, sink, origin, spans):
    with Talk(run, origin) as talk:
        for i in range(1, 4):
            talk.ask()
            sink.wait(i)
    spans(3)
    assert len(sink.requests) == 3 and sink.connections == 1


def test_spans_of_many_processes_share_a_batch(run, sink, origin, spans):
    run(["sh", "-c", "for i in 1 2 3 4 5; do curl -sS -o /dev/null $0/$i; done", origin.url],
        {"OTEL_BSP_SCHEDULE_DELAY": "5000", "OTEL_INSTRUMENT_RELAY_LINGER": "3000"})
    got = spans(5)
    assert len(sink.requests) < 5
    assert len({span.resource["process.pid"] for span in got}) == 5


def switches(pid):
    """Voluntary context switches of all its threads: how often it has woken up."""
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", open(f"/proc/{pid}/task/{task}/status").read(), re.M)[1])
               for task in os.listdir(f"/proc/{pid}/task"))


def test_nobody_wakes_up_without_need(run, sink, origin, spans):
    with Talk(run, origin, {"OTEL_INSTRUMENT_RELAY_LINGER": "10000"}) as talk:
        talk.ask(count=20)
        sink.wait(20)
        time.sleep(1.5)  # the schedule's last turn is over
        relay, = run.relays()
        before = switches(relay), switches(talk.process.pid)
        time.sleep(3)
        assert (switches(relay), switches(talk.process.pid)) == before
        talk.ask()
        sink.wait(21)
    terminate(relay)
    spans(21)


def test_a_dead_collector_costs_few_wake_ups(against, origin):
    with collectors.Refused() as collector:
        run = against(collector)
        with Talk(run, origin) as talk:
            talk.ask(count=20)
            wait_until(lambda: len(run.relays()) == 1)
            relay, = run.relays()
            wait_until(lambda: is_up(relay))
            before = switches(relay)
            time.sleep(3)
            assert switches(relay) - before < 30


@pytest.mark.parametrize("home", HOMES)
def test_a_collector_that_comes_and_goes(run, sink, origin, spans, home):
    """Requests all the while; every answer that is no success means the same bytes again, and none twice."""
    now = {"Retry-After": "0"}
    sink.answers += [Answer(), Answer(503, now), Answer(hangup=True), Answer(), Answer(429, now)]
    with Talk(run, origin, {"OTEL_BSP_SCHEDULE_DELAY": "50"}) as talk:
        for i in range(6):
            talk.ask(f"/{i}", 10)
            sink.wait(10 * i + 1)
        sink.wait(60)
    pair(spans(60), origin.requests)
