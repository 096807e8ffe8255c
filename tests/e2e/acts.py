# SPDX-License-Identifier: Apache-2.0
"""Runs the small hosts of tests/apps that are made of acts: the same with and without us, to the byte."""
from http_spans import TRACEPARENT, pair
from paths import APPS


def bare(requests):
    """Their bytes less our header, in no order: programs of many threads have none."""
    return sorted(TRACEPARENT.sub(b"", request.raw) for request in requests)


def traced(requests):
    """Those that carry a context; none carries two."""
    assert all(len(request.header("traceparent")) < 2 for request in requests)
    return [request for request in requests if request.header("traceparent")]


def play(run, origin, app, act, *more, answered, env=None, before=(), **options):
    """An act without and with us, perhaps as the last argument of another command. Return: the requests under us."""
    command = [*before, APPS / app, act, origin.port, *more]
    origin.clear()
    plain = run(command, {k: v for k, v in (env or {}).items() if not k.startswith("OTEL_")}, instrumented=False, **options)
    assert plain.stdout.splitlines()[-1] == f"{answered} answered".encode(), plain
    seen, origin.requests = origin.requests, []
    ours = run(command, env, **options)
    assert ours.behaviour == plain.behaviour
    assert bare(origin.requests) == bare(seen) and not traced(seen)
    return origin.requests


def check_all(spans, requests, more=0):
    """One right span for each request, and so many others. Return: the others."""
    got = spans(len(requests) + more)
    others = [span for span in got if span.name != "GET"]
    assert len(others) == more
    for span, request in pair([span for span in got if span.name == "GET"], requests):
        attributes = span.attributes
        assert (attributes["http.response.status_code"], span.status) == (200, "UNSET")
        assert attributes["url.full"].endswith(request.target)
    assert len({span.span_id for span in got}) == len(got)
    return others
