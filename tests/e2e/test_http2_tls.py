# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 over TLS: agreed on by ALPN, followed through the TLS library's calls."""
import pytest

from certificates import Authority
from serving import PYTHON, Serving, nginx, site  # noqa: F401 (a fixture)
from test_http2 import contexts, nghttpd, received
from test_servers import FIRST

PATHS = ["/hello.txt", "/none", "/hello.txt?2"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def secure_nginx(site, authority):
    plan = nginx(site, f"ssl_certificate {authority.cert}; ssl_certificate_key {authority.key};", tls=True)
    conf = plan.command[-1]
    conf.write_text(conf.read_text().replace(f"127.0.0.1:{plan.listen} ssl;", f"127.0.0.1:{plan.listen} ssl http2;", 1))
    return plan


def secure_nghttpd(site, authority):
    """Says what it received."""
    plan = nghttpd(site)
    plan.command.remove("--no-tls")
    plan.command += [authority.key, authority.cert]
    return plan


def curl(port, *paths):
    return ["curl", "-sS", "--http2", "-w", "%{http_version}\n", *(f"https://localhost:{port}{path}" for path in paths)]


def by_hand(site, port, *paths):
    return [PYTHON, site.path / "h2_client.py", port, *paths]


@pytest.mark.parametrize("who", ["curl", "by hand"])
def test_a_server_and_its_client(run, site, authority, spans, who):
    with Serving(run, secure_nginx(site, authority)) as server:
        command = curl(server.port, *PATHS) if who == "curl" else by_hand(site, server.port, *PATHS)
        result = run(command, env=authority.trusted)
        assert result.stdout.count(b"hello\n" if who == "curl" else b"b'hello\\n'") == 2, result
        server.stop(3)
        got = spans(6)
    clients = {span.span_id: span for span in got if span.kind == "CLIENT"}
    servers = [span for span in got if span.kind == "SERVER"]
    assert len(clients) == len(servers) == 3
    for span in servers:
        client = clients.pop(span.parent_id)
        assert client.trace_id == span.trace_id
        assert client.attributes["url.full"].split(f":{server.port}")[1] in PATHS
        for attributes in (client.attributes, span.attributes):
            assert attributes["network.protocol.version"] == "2"
            assert attributes["http.response.status_code"] == (404 if "none" in client.attributes["url.full"] else 200)
        assert span.attributes["url.scheme"] == "https"


@pytest.mark.parametrize("who", ["curl", "by hand"])
def test_one_context_arrives(run, site, authority, spans, who):
    with Serving(run, secure_nghttpd(site, authority), instrumented=False) as server:
        command = curl(server.port, *PATHS) if who == "curl" else by_hand(site, server.port, *PATHS)
        plain = run(command, instrumented=False, env=authority.trusted)
        without = received(server)
        ours = run(command, env=authority.trusted)
        assert ours.behaviour == plain.behaviour
        assert received(server) == without * 2
        assert contexts(server) == sorted(span.traceparent for span in spans(3))


def test_a_server_goes_on_with_a_trace(run, site, authority, spans):
    with Serving(run, secure_nginx(site, authority)) as server:
        result = run(["curl", "-sS", "--http2", "-H", f"traceparent: {FIRST}", f"https://localhost:{server.port}/hello.txt"],
                     instrumented=False, env=authority.trusted)
        assert result.stdout == b"hello\n"
        server.stop(3)
        span, = spans(1)
    assert (span.trace_id, span.parent_id) == tuple(FIRST.split("-")[1:3])
    assert span.attributes["network.protocol.version"] == "2"
