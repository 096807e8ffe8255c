# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 that a request of HTTP/1 asked for: the request goes on as the first stream, and is one span."""
from pathlib import Path

import pytest

import serving
from serving import PYTHON, Serving, site  # noqa: F401 (a fixture)

CLIENTS = ["nghttp", "nghttp, no output", "curl", "python"]


def command(client, port, count=1):
    paths = [f"/hello.txt?{i}" for i in range(count)]
    urls = [f"http://127.0.0.1:{port}{path}" for path in paths]
    if client.startswith("python"):
        return [PYTHON, Path(__file__).with_name("services") / "h2c_client.py", port, *paths]
    if client.startswith("nghttp"):
        return ["nghttp", "-un" if "no output" in client else "-u", *urls]
    return ["curl", "-sS", "--http2", *urls]


def apache(site, upgrade="on"):
    """Writes down the context, the protocol and the path of each request."""
    log = site.folder("log") / "requests"
    plan = serving.apache(site, "event", f"""
        Protocols h2c http/1.1
        H2Upgrade {upgrade}
        CustomLog {log} "%{{traceparent}}i %H %U%q" """, ["http2"])
    plan.log = log
    return plan


def received(plan, protocol):
    """Apache writes a request that became a stream down twice."""
    return sorted(line.split() for line in plan.log.read_text().splitlines() if f" {protocol} " in line)


@pytest.mark.parametrize("client", CLIENTS)
def test_client(run, site, spans, client):
    plan = apache(site)
    with Serving(run, plan, instrumented=False) as server:
        for instrumented in (False, True):
            result = run(command(client, server.port), instrumented=instrumented)
            assert (result.status, result.stderr) == (0, b"")
        server.stop(15)
    span, = spans(1)
    assert received(plan, "HTTP/2.0") == [["-", "HTTP/2.0", "/hello.txt?0"], [span.traceparent, "HTTP/2.0", "/hello.txt?0"]]
    assert (span.name, span.kind, span.attributes["http.response.status_code"]) == ("GET", "CLIENT", 200)
    assert span.attributes["network.protocol.version"] == "2"
    assert span.attributes["url.full"] == f"http://127.0.0.1:{server.port}/hello.txt?0"


@pytest.mark.parametrize("client", CLIENTS)
def test_both_sides(run, site, spans, client):
    with Serving(run, apache(site)) as server:
        assert run(command(client, server.port)).status == 0
        server.stop(15)
        asked, served = sorted(spans(2), key=lambda span: span.kind)
    for span in asked, served:
        assert span.attributes["network.protocol.version"] == "2"
        assert span.attributes["http.response.status_code"] == 200
    assert (asked.kind, served.kind) == ("CLIENT", "SERVER")
    assert (served.parent_id, served.trace_id) == (asked.span_id, asked.trace_id)
    assert served.attributes["url.path"] == "/hello.txt"


@pytest.mark.parametrize("client", ["nghttp", "curl", "python"])
@pytest.mark.parametrize("instrumented", [False, True])
def test_many_streams(run, site, spans, client, instrumented):
    """The streams that follow, one after the other or all at once."""
    count = {"curl": 3, "nghttp": 20, "python": 50}[client]
    with Serving(run, serving.script(site, "h2c_server.py"), instrumented=instrumented) as server:
        assert run(command(client, server.port, count)).status == 0
        server.stop(15)
        heard = [line.decode().split() for line in server.said().splitlines()]
        got = spans(count * (2 if instrumented else 1))
    clients = {span.span_id: span for span in got if span.kind == "CLIENT"}
    servers = [span for span in got if span.kind == "SERVER"]
    assert sorted(line[0] for line in heard) == sorted(span.traceparent for span in clients.values())
    assert sorted(line[1] for line in heard) == sorted(f"/hello.txt?{i}" for i in range(count))
    assert len(servers) == (count if instrumented else 0)
    for span in got:
        assert span.attributes["network.protocol.version"] == "2"
        assert span.attributes["http.response.status_code"] == 200
    for span in servers:
        assert clients.pop(span.parent_id).trace_id == span.trace_id


def test_refused(run, site, spans):
    """The server goes on as if nobody had asked."""
    plan = apache(site, "off")
    with Serving(run, plan) as server:
        assert run(command("curl", server.port, 2)).stdout == b"hello\n" * 2
        server.stop(15)
        got = spans(4)
    assert {span.attributes["network.protocol.version"] for span in got} == {"1.1"}
    assert sorted(line[0] for line in received(plan, "HTTP/1.1")) == sorted(span.traceparent for span in got if span.kind == "CLIENT")
