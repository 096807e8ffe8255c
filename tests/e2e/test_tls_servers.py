# SPDX-License-Identifier: Apache-2.0
"""HTTPS servers: the same answers as without us, one right SERVER span for each request; proxies in one trace."""
import pytest

from asking import Ask, check_served, play
from certificates import Authority
from serving import Serving, apache, haproxy, nginx, script, site  # noqa: F401 (a fixture)
from servers import Origin
from test_servers import FIRST, SECOND

ASKS = [
    [Ask("GET", "/hello.txt")], [Ask("GET", "/missing")], [Ask("GET", "/hello.txt", context=FIRST)],
    [Ask("HEAD", "/hello.txt")], [Ask("GET", "/hello.txt?a=1&b=2")],
    [Ask("GET", "/hello.txt", context=FIRST), Ask("GET", "/big.bin", context=SECOND), Ask("GET", "/missing"),
     Ask("GET", "/hello.txt", headers=(("X-Pad", "p" * 5000),))],
]


def by_nginx(site, authority, more=""):
    return nginx(site, f"ssl_certificate {authority.cert}; ssl_certificate_key {authority.key}; "
                       f"location /fail {{ return 500; }} {more}", tls=True)


def by_apache(site, authority, more="", modules=(), mpm="event"):
    return apache(site, mpm,
                  f"SSLEngine on\nSSLCertificateFile {authority.cert}\nSSLCertificateKeyFile {authority.key}\n{more}",
                  modules=("socache_shmcb", "ssl", *modules))


def by_haproxy(site, authority):
    """Ends TLS, and asks itself."""
    pem = site.folder("pem") / "server.pem"
    pem.write_bytes(authority.cert.read_bytes() + authority.key.read_bytes())
    plan = haproxy(site, "http-request return status 404 if { path /missing }\n"
                         "http-request return status 200 content-type text/plain string hello")
    conf = plan.command[-1]
    conf.write_text(conf.read_text().replace(f"bind 127.0.0.1:{plan.listen}",
                                             f"bind 127.0.0.1:{plan.listen} ssl crt {pem} alpn h2,http/1.1", 1))
    return plan


def by_script(name, *more):
    return lambda site, authority: script(site, name, authority.cert, authority.key, site.files, *more)


SERVERS = {
    "nginx": by_nginx,
    "apache-event": by_apache,
    "apache-prefork": lambda site, authority: by_apache(site, authority, mpm="prefork"),
    "http.server": by_script("secure.py"),
    "http.server-forking": by_script("secure.py", "fork"),
    "aiohttp": by_script("secure_asyncio.py"),
    "haproxy": by_haproxy,
}


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("name", SERVERS)
def test_one_span_for_each_request(run, site, authority, spans, name):
    with Serving(run, SERVERS[name](site, authority), instrumented=False) as serving:
        _, plain = play(serving.port, ASKS, tls=authority.client())
    with Serving(run, SERVERS[name](site, authority)) as serving:
        done, ours = play(serving.port, ASKS, tls=authority.client())
        run.sink.wait(len(done))
    assert ours == plain
    check_served(spans(len(done)), done)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_proxy_in_one_trace(run, site, authority, spans, secure):
    with Origin(tls=authority.server() if secure else None) as origin:
        with Serving(run, by_nginx(site, authority, f"location /up {{ proxy_pass {origin.url}/; }}")) as serving:
            done, _ = play(serving.port, [[Ask("GET", "/up/a", context=FIRST), Ask("GET", "/up/b")]], tls=authority.client())
            run.sink.wait(4)
        requests = origin.requests
    got = {span.span_id: span for span in spans(4)}
    assert len(done) == len(requests) == 2
    for request in requests:
        context, = request.header("traceparent")
        client = got[context.split("-")[2]]
        server = got[client.parent_id]
        assert (client.kind, server.kind, client.trace_id) == ("CLIENT", "SERVER", server.trace_id)
        assert client.attributes["url.full"].startswith("https:" if secure else "http:")
        assert client.attributes["network.peer.port"] == origin.port
    assert FIRST.split("-")[1] in {span.trace_id for span in got.values()}
