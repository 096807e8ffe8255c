# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 in clear text and gRPC, clients and servers: one right span each, one traceparent, nothing else changed."""
import re

import pytest

import serving
from certificates import Authority
from serving import PYTHON, Plan, Serving, free_port, site  # noqa: F401 (a fixture)

TRACEPARENT = re.compile(rb"traceparent: (00-[0-9a-f]{32}-[0-9a-f]{16}-0[13])")
CURL = ["curl", "-sS", "--http2-prior-knowledge"]


def nghttpd(site, *more):
    port = free_port()
    return Plan(["/usr/sbin/nghttpd", "--no-tls", "-v", "-a", "127.0.0.1", *more, "-d", site.files, port], port, name="nghttpd")


@pytest.fixture
def plain(run, site):
    """nghttpd without us: says what it received."""
    with Serving(run, nghttpd(site), instrumented=False) as server:
        yield server


def contexts(server):
    return sorted(context.decode() for context in TRACEPARENT.findall(server.said()))


def received(server):
    """The fields of every request that the server has seen, less what we add."""
    fields = re.findall(rb"recv \(stream_id=\d+\) ([^\n]*)\n", server.said())
    return [field for field in fields if not TRACEPARENT.search(field)]


@pytest.mark.parametrize("more, path, method, status", [
    ([], "/hello.txt", "GET", 200), ([], "/none", "GET", 404), ([], "/big.bin", "GET", 200),
    (["-I", "-o", "/dev/null"], "/hello.txt", "HEAD", 200),
    (["--data", "a=1"], "/hello.txt", "POST", 200), (["-A", "x" * 10000], "/hello.txt", "GET", 200),
    (["-H", "x-long: " + "y" * 30000], "/hello.txt", "GET", 200)], ids=range(7))
def test_curl(run, plain, spans, more, path, method, status):
    url = f"http://127.0.0.1:{plain.port}{path}"
    run(CURL + more + [url], instrumented=False)
    without = received(plain)
    ours = run(CURL + more + [url])
    assert ours.behaviour == run(CURL + more + [url], instrumented=False).behaviour
    assert received(plain) == without * 3
    span, = spans(1)
    assert contexts(plain) == [span.traceparent]
    assert (span.name, span.kind, span.attributes["http.response.status_code"]) == (method, "CLIENT", status)
    assert span.attributes["url.full"] == url
    assert span.attributes.get("error.type") == ("404" if status == 404 else None)


def test_nghttp(run, plain, spans):
    urls = [f"http://127.0.0.1:{plain.port}/hello.txt?{i}" for i in range(5)]
    result = run.both(["nghttp", "--no-dep", *urls])
    assert result.stdout == b"hello\n" * 5
    got = spans(5)
    assert contexts(plain) == sorted(span.traceparent for span in got)
    assert sorted(span.attributes["url.full"] for span in got) == urls
    for span in got:
        assert span.attributes["network.protocol.version"] == "2"
        assert span.attributes["server.port"] == plain.port


def test_padded_frames_and_continuations(run, plain, spans):
    """The padding and a header that takes several frames are nghttp's own."""
    result = run.both(["nghttp", "-b", "13", "--continuation", f"http://127.0.0.1:{plain.port}/hello.txt"])
    assert result.stdout == b"hello\n"
    span, = spans(1)
    assert contexts(plain) == [span.traceparent]


def test_both_sides_at_once(run, site, spans):
    """100 streams at a time on two connections."""
    plan = nghttpd(site)
    plan.command.remove("-v")
    with Serving(run, plan) as server:
        result = run(["h2load", "-n", "400", "-c", "2", "-m", "100", f"http://127.0.0.1:{server.port}/hello.txt"])
        assert b"400 succeeded, 0 failed, 0 errored" in result.stdout
        server.stop(2)
        got = spans(800)
    clients = {span.span_id: span for span in got if span.kind == "CLIENT"}
    servers = [span for span in got if span.kind == "SERVER"]
    assert len(clients) == len(servers) == 400
    for span in servers:
        assert clients.pop(span.parent_id).trace_id == span.trace_id
        assert span.attributes["http.response.status_code"] == 200
        assert span.attributes["network.protocol.version"] == "2"
        assert span.attributes["url.path"] == "/hello.txt"


def test_nginx_in_front(run, site, spans):
    """nginx speaks HTTP/2 to its clients and HTTP/1 to whoever is behind it: one trace."""
    with Serving(run, serving.nginx(site, ""), instrumented=False) as backend:
        plan = serving.nginx(site, f"location / {{ proxy_pass http://127.0.0.1:{backend.port}; }}")
        conf = plan.command[-1]
        conf.write_text(conf.read_text().replace(f"127.0.0.1:{plan.listen};", f"127.0.0.1:{plan.listen} http2;", 1))
        with Serving(run, plan) as front:
            result = run(["h2load", "-n", "100", "-c", "1", "-m", "100", f"http://127.0.0.1:{front.port}/hello.txt"])
            assert b"100 succeeded, 0 failed, 0 errored" in result.stdout
            front.stop(3)
        got = spans(300)
    by_id = {span.span_id: span for span in got}
    chains = set()
    for span in got:
        if span.kind == "CLIENT" and span.parent_id:
            server = by_id[span.parent_id]
            client = by_id[server.parent_id]
            assert (server.kind, client.kind, client.parent_id) == ("SERVER", "CLIENT", "")
            assert span.trace_id == server.trace_id == client.trace_id
            chains.add(server.span_id)
    assert len(chains) == 100


def by_haproxy(site, upstream):
    plan = serving.haproxy(site, "", upstream)
    conf = plan.command[-1]
    conf.write_text(conf.read_text().replace(f"127.0.0.1:{upstream}", f"127.0.0.1:{upstream} proto h2"))
    return plan


def by_nginx_grpc(site, upstream):
    plan = serving.nginx(site, f"location / {{ grpc_pass grpc://127.0.0.1:{upstream}; }}")
    conf = plan.command[-1]
    conf.write_text(conf.read_text().replace(f"127.0.0.1:{plan.listen};", f"127.0.0.1:{plan.listen} http2;", 1))
    return plan


@pytest.mark.parametrize("proxy", [by_haproxy, by_nginx_grpc])
def test_a_context_that_a_proxy_passes_on(run, site, plain, spans, proxy):
    """It becomes that of the proxy's own request, many times on one connection."""
    count = 30
    with Serving(run, proxy(site, plain.port)) as front:
        curl = CURL if proxy is by_nginx_grpc else ["curl", "-sS"]
        for i in range(count):
            result = run([*curl, "-H", f"traceparent: 00-{'a' * 32}-{i + 1:016x}-01", "-H", "x-after: 1",
                          f"http://127.0.0.1:{front.port}/hello.txt"], instrumented=False)
            assert result.stdout == b"hello\n"
        front.stop(15)
        got = spans(2 * count)
    servers = {span.span_id: span for span in got if span.kind == "SERVER"}
    clients = [span for span in got if span.kind == "CLIENT"]
    assert sorted(span.parent_id for span in servers.values()) == [f"{i + 1:016x}" for i in range(count)]
    assert contexts(plain) == sorted(span.traceparent for span in clients)
    for span in clients:
        assert servers.pop(span.parent_id).trace_id == span.trace_id == "a" * 32


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_grpc(run, site, spans, tmp_path, tls):
    authority = Authority(tmp_path)
    plan = serving.script(site, "grpc_server.py", *([authority.cert, authority.key] if tls else []))
    with Serving(run, plan) as server:
        result = run([PYTHON, site.path / "grpc_client.py", server.port, *([authority.ca] if tls else [])])
        assert result.stdout.split(b"\n") == [b"b'oneone'", b"True", b"NOT_FOUND", b"UNKNOWN", b"UNIMPLEMENTED",
                                             b"[b'a', b'b', b'c']", b"DEADLINE_EXCEEDED", b""], result
        heard = [line.decode() for line in server.said().split() if line.startswith(b"00-")]
        server.stop(15)
        got = spans(14)
    clients = [span for span in got if span.kind == "CLIENT"]
    servers = {span.parent_id: span for span in got if span.kind == "SERVER"}
    assert heard == [span.traceparent for span in clients if span.name != "test.Echo/Nothing"]
    expected = [("test.Echo/Unary", "OK", None), ("test.Echo/Unary", "OK", None),
                ("test.Echo/Unary", "NOT_FOUND", None), ("test.Echo/Unary", "UNKNOWN", "UNKNOWN"),
                ("test.Echo/Nothing", "UNIMPLEMENTED", "UNIMPLEMENTED"), ("test.Echo/Stream", "OK", None),
                ("test.Echo/Unary", None, None)]
    for span, (method, status, server_error) in zip(clients, expected, strict=True):
        served = servers.pop(span.span_id)
        assert (span.name, span.attributes["rpc.method"], span.attributes["rpc.system.name"]) == (method, method, "grpc")
        assert (served.trace_id, served.status == "ERROR") == (span.trace_id, "error.type" in served.attributes)
        assert (span.attributes["server.address"], span.attributes["server.port"]) == ("127.0.0.1", plan.listen)
        if status:
            assert span.attributes["rpc.response.status_code"] == status
            assert span.attributes.get("error.type") == (status if status != "OK" else None)
            assert served.attributes.get("error.type") == server_error
        else:  # the deadline is the client's, and the server's as well: whoever is faster says so
            assert span.attributes["error.type"] in ("CANCEL", "DEADLINE_EXCEEDED")
            assert served.attributes.get("error.type") in (None, "DEADLINE_EXCEEDED")
