# SPDX-License-Identifier: Apache-2.0
"""Whose child is it, under load: many interleaved requests through proxies, and no call may stand under another's request.

A request's number is its User-Agent, which every proxy passes on: the server behind logs it beside the traceparent that it
got. So it is known of each CLIENT span whose it is, also where all targets are equal.
"""
import os
import signal
from collections import Counter
from dataclasses import dataclass

import pytest

from paths import APPS
from serving import Serving, app, haproxy, lighttpd, nginx, site  # noqa: F401 (a fixture)
from traces import path_of

COUNT = int(os.environ.get("OTEL_TEST_REQUESTS", 2000))
AT_ONCE = 64
DEPTH = 24  # requests that the server behind holds back at most
QUEUE = {"OTEL_BSP_MAX_QUEUE_SIZE": str(4 * COUNT + 2048)}
MARK = {"OTEL_INSTRUMENT_MARK_INBOUND": "true"}


def nginx_to(site, port):
    return nginx(site, "location / { proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ''; }",
                 f"keepalive_requests 1000000; upstream back {{ server 127.0.0.1:{port}; keepalive 32; }}")


def lighttpd_to(site, port):
    return lighttpd(site, f'proxy.server = ("" => (("host" => "127.0.0.1", "port" => {port})))')


PROXIES = {
    "nginx": nginx_to,
    "lighttpd": lighttpd_to,
    "haproxy": lambda site, port: haproxy(site, "", port),
    "haproxy-4-threads": lambda site, port: haproxy(site, "", port, threads=4),
    "epoll-proxy": lambda site, port: app("epoll-proxy", "{port}", port),
}


@dataclass
class Seen:
    """By the server behind."""
    agent: str
    context: str
    target: str


def press(run, plan, *how, env=None, count=COUNT, at_once=AT_ONCE, depth=DEPTH):
    """The load through what plan says of the port behind. Return: what the server behind saw."""
    backend = app("backend", "{port}", depth)
    with Serving(run, backend, instrumented=False) as behind:
        with Serving(run, plan(behind.port), {**QUEUE, **(env or {})}) as front:
            result = run([APPS / "load", front.port, count, at_once, *how], instrumented=False, timeout=120)
            assert result.behaviour == (f"{count} answered\n".encode(), b"", 0)
        behind.stop(signal.SIGTERM)
        seen = [Seen(*line.split(" ")) for line in behind.said().decode().splitlines()]
    assert len(seen) == count and len({one.agent for one in seen}) == count
    return seen


def press_proxy(run, site, proxy, *how, env=None):
    return press(run, lambda port: PROXIES[proxy](site, port), *how, env=env)


def judge(spans, seen):
    """How many calls stand under the right request, under none, under a wrong one. Every call has a span."""
    servers = {span.span_id: span for span in spans if span.kind == "SERVER"}
    clients = {span.traceparent: span for span in spans if span.kind == "CLIENT"}
    verdicts = Counter()
    assert len(servers) == len({span.attributes["user_agent.original"] for span in servers.values()}) == len(seen)
    for one in seen:
        client = clients.pop(one.context)  # exactly one header, and it is our span's
        assert path_of(client) == one.target
        if not client.parent_id:
            verdicts["unknown"] += 1
        elif servers[client.parent_id].attributes["user_agent.original"] == one.agent:
            assert client.start >= servers[client.parent_id].start and client.trace_id == servers[client.parent_id].trace_id
            verdicts["right"] += 1
        else:
            verdicts["wrong"] += 1
    assert not clients
    return verdicts


@pytest.mark.parametrize("context", ["with contexts", "without"])
@pytest.mark.parametrize("proxy", PROXIES)
def test_each_call_under_its_request(run, site, spans, proxy, context):
    seen = press_proxy(run, site, proxy, *(["context"] if context == "with contexts" else []))
    got = spans(2 * COUNT)
    verdicts = judge(got, seen)
    print(proxy, context, dict(verdicts))
    assert verdicts["wrong"] == 0 and verdicts["right"] >= 0.99 * COUNT, verdicts
    if context == "with contexts":
        assert {(span.trace_id, span.parent_id) for span in got if span.kind == "SERVER"} == {
            (f"{i:032x}", f"{i:016x}") for i in range(1, COUNT + 1)}


@pytest.mark.parametrize("proxy", PROXIES)
def test_equal_targets_and_nothing_is_guessed(run, site, spans, proxy):
    seen = press_proxy(run, site, proxy, "same")
    verdicts = judge(spans(2 * COUNT), seen)
    print(proxy, dict(verdicts))
    assert verdicts["wrong"] == 0, verdicts


@pytest.mark.parametrize("proxy", PROXIES)
def test_marked_requests_are_all_right(run, site, spans, proxy):
    """The proxy is shown a context that it passes on: exact, also where all targets are equal."""
    seen = press_proxy(run, site, proxy, "same", env=MARK)
    verdicts = judge(spans(2 * COUNT), seen)
    assert verdicts == {"right": COUNT}
