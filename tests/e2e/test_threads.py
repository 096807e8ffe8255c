# SPDX-License-Identifier: Apache-2.0
"""Threads that are many, small, interrupted, cancelled or the last of their process."""
import re

import pytest

from acts import bare, check_all, play, traced
from conftest import HOMES
from paths import APPS

REQUEST = re.compile(rb"GET /[a-z]+ HTTP/1\.1\r\nHost: here\r\n\r\n")
INCOMPLETE = "otel.instrument.incomplete"
STACK = 2048  # bytes that a hook may use


def threads(run, origin, act, answered, **options):
    return play(run, origin, "threads", act, answered=answered, **options)


@pytest.mark.parametrize("home", HOMES)
def test_many_threads(run, origin, spans, home):
    env = {"OTEL_BSP_MAX_QUEUE_SIZE": "8192", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2048", "OTEL_INSTRUMENT_EXIT_TIMEOUT": "20000"}
    requests = threads(run, origin, "many", answered=4000, env=env)
    assert len(requests) == 4000
    check_all(spans, requests)


@pytest.mark.parametrize("home", HOMES)
def test_threads_with_the_smallest_stack(run, origin, spans, home):
    check_all(spans, threads(run, origin, "small", answered=40))


def test_little_stack_is_used(run, origin, spans):
    command = [APPS / "threads", "stack", origin.port]
    plain, ours = run(command, instrumented=False), run(command)
    assert (ours.stdout, ours.status) == (plain.stdout, plain.status) == (b"6 answered\n", 0)
    used = [{name: int(size) for name, size in (line.split() for line in result.stderr.decode().splitlines())}
            for result in (plain, ours)]
    assert used[1]["/measured"] - used[0]["/measured"] <= STACK, used
    check_all(spans, traced(origin.requests))


def both(run, origin, act, answered):
    """Acts whose requests are counted by the clock. Return: those that carry a context, under us."""
    command = [APPS / "threads", act, origin.port]
    plain = run(command, instrumented=False)
    seen, origin.requests = origin.requests, []
    ours = run(command)
    assert ours.behaviour == plain.behaviour and ours.status == 0
    assert ours.stdout.splitlines()[-1] == f"{answered} answered".encode()
    assert all(REQUEST.fullmatch(raw) for raw in bare(seen + origin.requests))
    assert not traced(seen)
    return traced(origin.requests)


@pytest.mark.parametrize("home", HOMES)
def test_requests_in_signal_handlers(run, origin, spans, home):
    requests = both(run, origin, "interrupted", 200)
    check_all(spans, requests)
    assert sum(request.target == "/interrupted" for request in requests) == 200


def interrupted(run, sink, requests, most):
    """
    Each span is one request's; a call that never returned may have been the end of at most so many of them. Whether
    anything left in it is not known: its request may be one that nobody has seen.
    """
    run.settle()
    contexts = [request.header("traceparent")[0] for request in requests]
    known = [span.traceparent for span in sink.spans if span.name == "GET"]
    unseen = [span for span in sink.spans if span.name == "GET" and span.traceparent not in contexts]
    assert len(set(known)) == len(known) and all(span.attributes.get(INCOMPLETE) for span in unseen)
    assert len(unseen) <= most and len(contexts) - len(known) <= most
    after = [request.header("traceparent")[0] for request in requests if request.target == "/after"]
    assert len(after) == 2 and set(after) <= set(known)


def test_signal_handlers_that_jump_out(run, origin, sink):
    interrupted(run, sink, both(run, origin, "jumped", 52), most=50)


@pytest.mark.parametrize("home", HOMES)
def test_threads_that_are_cancelled(run, origin, sink, home):
    interrupted(run, sink, both(run, origin, "cancelled", 2), most=40)


@pytest.mark.parametrize("act", ["abandoned", "cancelled-sends"])
def test_sends_that_never_return(run, origin, sink, act):
    """What they hold is given back: the next request is traced, and their own are told, as far as they are known."""
    requests = threads(run, origin, act, answered=2)
    run.settle()
    check_all(lambda count: [span for span in sink.spans if span.name == "GET"], requests)
    others = [span for span in sink.spans if span.name == "POST"]
    assert len(others) + 2 == len(sink.spans)
    assert all(span.attributes.get(INCOMPLETE) for span in others), others[0]
    assert len(others) >= 280  # some were left before they had begun


@pytest.mark.parametrize("act", ["abandoned-reads", "cancelled-reads"])
def test_reads_that_never_return(run, origin, spans, act):
    """They took nothing with them: whoever reads next goes on."""
    check_all(spans, threads(run, origin, act, answered=3))


@pytest.mark.parametrize("home", HOMES)
def test_main_ends_before_the_last_thread(run, origin, spans, home):
    command = [APPS / "threads", "main-ends", origin.port]
    result = run.both(command, timeout=10)
    assert result.behaviour == (b"1 before\n3 after main\n", b"", 0)
    check_all(spans, traced(origin.requests))
    assert len(origin.requests) == 8


@pytest.mark.parametrize("home", HOMES)
def test_main_ends_and_nobody_is_left(run, origin, spans, home):
    result = run.both([APPS / "threads", "main-ends-alone", origin.port], timeout=10)
    assert result.behaviour == (b"1 before\n", b"", 0)
    check_all(spans, traced(origin.requests))
    assert len(origin.requests) == 2


@pytest.mark.parametrize("home", HOMES)
def test_a_child_of_a_thread_ends_with_it(run, origin, spans, home):
    check_all(spans, threads(run, origin, "fork", answered=3, timeout=10))


def test_no_thread_and_no_signal_of_ours(run, origin, spans):
    check_all(spans, threads(run, origin, "count", answered=2))
