# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 over TLS: agreed on by ALPN, followed through the TLS library's calls."""
import pytest

from asking import ALLOWED, DATES
from certificates import Authority
from serving import PYTHON, Serving, nginx, site  # noqa: F401 (a fixture)
from test_http2 import contexts, nghttpd, received
from test_servers import FIRST, SECOND
from test_tls_servers import by_apache, by_haproxy

PATHS = ["/hello.txt", "/none", "/hello.txt?2"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def secure_nginx(site, authority):
    plan = nginx(site, f"ssl_certificate {authority.cert}; ssl_certificate_key {authority.key};", tls=True)
    conf = plan.command[-1]
    conf.write_text(conf.read_text().replace(f"127.0.0.1:{plan.listen} ssl;", f"127.0.0.1:{plan.listen} ssl http2;", 1))
    return plan


def secure_nghttpd(site, authority, *more):
    """Says what it received."""
    plan = nghttpd(site, *more)
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


SERVERS = {
    "nginx": secure_nginx,
    "apache": lambda site, authority: by_apache(site, authority, "Protocols h2 http/1.1", ("http2",)),
    "haproxy": by_haproxy,
    "nghttpd": secure_nghttpd,
}


def ask(run, authority, server, method, target, status, context):
    """Return: what must be the same in every run."""
    how = ["-I"] if method == "HEAD" else []
    context = ["-H", f"traceparent: {context}"] if context else []
    result = run(["curl", "-sS", "--http2", "-A", "asker", "-w", " %{http_version} %{http_code}", *how, *context,
                  f"https://localhost:{server.port}{target}"], instrumented=False, env=authority.trusted)
    version, code = result.stdout.split()[-2:]
    assert version == b"2" and int(code) == status, result
    return DATES.sub(b"DATE", result.stdout).replace(str(server.port).encode(), b"PORT")


@pytest.mark.parametrize("name", SERVERS)
def test_servers_go_on_with_a_trace(run, site, authority, spans, name):
    asked = [("GET", "/hello.txt", 200, FIRST), ("GET", "/missing", 404, SECOND), ("HEAD", "/hello.txt", 200, FIRST),
             ("GET", "/big.bin", 200, FIRST), ("GET", "/hello.txt?a=1", 200, "")]
    answers = []
    for instrumented in (False, True):
        with Serving(run, SERVERS[name](site, authority), instrumented=instrumented) as server:
            answers.append([ask(run, authority, server, *one) for one in asked])
            server.stop(3 if name == "nginx" else 15)
    assert answers[0] == answers[1]
    for span, (method, target, status, context) in zip(spans(len(asked)), asked, strict=True):
        path, _, query = target.partition("?")
        attributes = span.attributes
        expected = {"http.request.method": method, "url.path": path, "url.query": query or None, "url.scheme": "https",
                    "server.address": "localhost", "server.port": server.port, "network.protocol.version": "2",
                    "network.peer.address": "127.0.0.1", "http.response.status_code": status, "user_agent.original": "asker"}
        assert {key: attributes.get(key) for key in expected} == expected
        assert set(attributes) <= ALLOWED
        assert (span.name, span.kind, span.status) == (method, "SERVER", "UNSET")
        assert (span.trace_id, span.parent_id) == tuple(context.split("-")[1:3]) if context else span.parent_id == ""


def test_attributes_of_tls(run, site, authority, spans):
    wanted = {"OTEL_INSTRUMENT_TLS_ATTRIBUTES": "true"}
    with Serving(run, secure_nginx(site, authority), wanted) as server:
        run(by_hand(site, server.port, *PATHS), env={**authority.trusted, **wanted})
        server.stop(3)
        got = spans(6)
    for span in got:
        assert span.attributes["tls.next_protocol"] == "h2"
        assert (span.attributes["tls.protocol.name"], span.attributes["tls.protocol.version"]) == ("tls", "1.2")
        assert span.attributes["tls.cipher"].startswith("TLS_ECDHE_")
        assert span.attributes["tls.resumed"] is False
