# SPDX-License-Identifier: Apache-2.0
"""Real servers: the same answers as without us, and exactly one right SERVER span for each request."""
import socket
from dataclasses import dataclass

import pytest

from asking import Ask, Asker, ask_one, check_served, play
from paths import APPS
from serving import (Serving, apache, app, gunicorn, haproxy, http_server, lighttpd, nginx, php_server, script,
                     site)  # noqa: F401 (a fixture)

FIRST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECOND = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"

NGINX = 'location /fail { return 500; } location /post { return 200 "posted\\n"; } sendfile on;'
HAPROXY = """http-request return status 404 content-type text/plain string no if { path /missing }
    http-request return status 500 content-type text/plain string no if { path /fail }
    http-request return status 200 content-type text/plain string yes"""
LIGHTTPD = 'cgi.assign = (".fail" => "/bin/false")'


@dataclass
class Server:
    plan: object                  # site -> Plan
    good: str = "/hello.txt"      # a path with an answer
    missing: str = "/missing"
    fail: str = "/fail"
    post: str = "/hello.txt"
    pipelines: bool = True        # does it serve several requests that come at once?
    statuses: tuple = (200, 404, 500)


def scripted(plan, **more):
    """One that answers /status/NNN as it is told."""
    return Server(plan, "/hello", "/status/404", "/status/500", "/post", **more)


SERVERS = {
    "nginx": Server(lambda site: nginx(site, NGINX), post="/post"),
    "apache-prefork": Server(lambda site: apache(site, "prefork", "Redirect 500 /fail")),
    "apache-event": Server(lambda site: apache(site, "event", "Redirect 500 /fail")),
    "haproxy": Server(lambda site: haproxy(site, HAPROXY)),
    "lighttpd": Server(lambda site: lighttpd(site, LIGHTTPD, modules=("mod_cgi",)), fail="/x.fail"),
    "http.server": Server(http_server, fail="/missing", statuses=(200, 404, 501)),
    "gunicorn-sync": scripted(lambda site: gunicorn(site, "sync"), pipelines=False),
    "gunicorn-gthread": scripted(lambda site: gunicorn(site, "gthread", "--threads", "4"), pipelines=False),
    "php": scripted(lambda site: php_server(site, "status.php"), pipelines=False),
    "perl": scripted(lambda site: script(site, "status.pl"), pipelines=False),
    "c-fork": scripted(lambda site: app("daemon", "fork", "{port}")),
    "c-thread": scripted(lambda site: app("daemon", "thread", "{port}")),
}


def conversations(server):
    """Each list is a connection."""
    good, missing, fail = Ask("GET", server.good), Ask("GET", server.missing), Ask("GET", server.fail)
    return [
        [good], [missing], [fail],
        [Ask("GET", server.good, context=FIRST)],
        [Ask("HEAD", server.good)],
        [Ask("POST", server.post, b"a=1&b=2" * 1000)],
        [Ask("GET", server.good + "?a=1&b=2")],
        [Ask("GET", server.good, version="1.0")],
        [good, Ask("GET", server.good, context=FIRST), missing, Ask("HEAD", server.good, context=SECOND), fail, good],
        [Ask("POST", server.post, b"c=3", context=SECOND), good],
    ]


def pipelines(server):
    contexts = [f"00-{i:032x}-{i:016x}-01" for i in range(1, 40)]
    return [[Ask("GET", f"{server.good}?{i}", context=context) for i, context in enumerate(contexts)],
            [Ask("GET", server.good), Ask("HEAD", server.good), Ask("GET", server.good), Ask("GET", server.missing)]]


def play_both(run, site, plan, act, env=None):
    """act(serving) -> (done, same), without us and with us. Return: what was done under us."""
    with Serving(run, plan(site), instrumented=False) as serving:
        _, plain = act(serving)
    with Serving(run, plan(site), env) as serving:
        done, ours = act(serving)
        run.sink.wait(len(done))  # what a signal kills does not finish the call that brought the answer
    assert ours == plain
    return done


@pytest.mark.parametrize("name", SERVERS)
def test_one_span_for_each_request(run, site, spans, name):
    server = SERVERS[name]
    done = play_both(run, site, server.plan, lambda serving: play(serving.port, conversations(server)))
    check_served(spans(len(done)), done)
    assert {one.status for one in done} >= set(server.statuses)


@pytest.mark.parametrize("name", [name for name in SERVERS if SERVERS[name].pipelines])
def test_pipelines(run, site, spans, name):
    server = SERVERS[name]
    done = play_both(run, site, server.plan, lambda serving: play(serving.port, pipelines(server), pipelined=True))
    assert len(done) == 43
    check_served(spans(len(done)), done)


@pytest.mark.parametrize("plan", [lambda site: nginx(site, "sendfile on;"), lambda site: apache(site, "prefork", ""),
                                  lambda site: apache(site, "event", ""), lambda site: lighttpd(site, ""), http_server],
                         ids=["nginx", "apache-prefork", "apache-event", "lighttpd", "http.server"])
def test_a_large_file(run, site, spans, plan):
    """The next request comes before the file is through."""
    asks = [Ask("GET", "/big.bin", context=FIRST), Ask("GET", "/hello.txt", context=SECOND), Ask("GET", "/big.bin"),
            Ask("GET", "/hello.txt")]
    done = play_both(run, site, plan, lambda serving: play(serving.port, [asks], pipelined=True))
    assert len({one.client_port for one in done}) == 1
    check_served(spans(4), done)


UNIX = {
    "nginx": lambda site: nginx(site, NGINX, listen=site.folder("socket") / "s"),
    "haproxy": lambda site: haproxy(site, HAPROXY, listen=site.folder("socket") / "s"),
    "lighttpd": lambda site: lighttpd(site, "", listen=site.folder("socket") / "s"),
    "gunicorn": lambda site: gunicorn(site, "sync", listen=site.folder("socket") / "s"),
}


@pytest.mark.parametrize("name", UNIX)
def test_a_unix_socket(run, site, spans, name):
    asks = [[Ask("GET", "/hello.txt")], [Ask("GET", "/hello.txt", context=FIRST), Ask("HEAD", "/hello.txt")]]

    def act(serving):
        done, same = play(serving.port, asks)
        return done, [entry[3] for entry in same]  # the socket's path is in no answer that matters
    done = play_both(run, site, UNIX[name], act)
    check_served(spans(3), done)


def test_a_socket_on_descriptor_0(run, spans):
    """As inetd starts it: a process per connection."""
    done = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for context in (FIRST, ""):
            with Asker(listener.getsockname()[1]) as asker:
                inherited, _ = listener.accept()
                with run.popen([APPS / "daemon", "inetd"], stdin=inherited) as process:
                    inherited.close()
                    for target in ("/one", "/two"):
                        done.append(ask_one(asker, Ask("GET", target, context=context), f"asker/{len(done)}"))
                    asker.sock.shutdown(socket.SHUT_WR)
                    assert process.communicate(timeout=20) == (b"", b"")
    check_served(spans(4), done)


def test_routes_name_the_spans(run, site, spans):
    routes = {"/users/17": "/users/{id}", "/users/17/x": None, "/files/a/b.txt": "/files/{path...}", "/other": None}
    setting = {"OTEL_INSTRUMENT_HTTP_ROUTES": "/users/{id},/files/{path...}"}
    with Serving(run, nginx(site, "location / { return 200; }"), setting) as serving:
        done, _ = play(serving.port, [[Ask("GET", path)] for path in routes])
    for one in done:
        one.fields["http.route"] = routes[one.ask.target]
    check_served(spans(4), done)


def test_secrets_in_the_query_are_not_kept(run, site, spans):
    with Serving(run, nginx(site, "")) as serving:
        done, _ = play(serving.port, [[Ask("GET", "/hello.txt?sig=secret&a=b")]])
    done[0].fields["url.query"] = "sig=REDACTED&a=b"
    check_served(spans(1), done)


FORWARDED = [
    ({"X-Forwarded-For": "203.0.113.7, 10.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"},
     {"client.address": "203.0.113.7", "url.scheme": "https", "server.address": "shop.example", "server.port": 443}),
    ({"Forwarded": 'for="[2001:db8::7]:4711";proto=https;host="shop.example:8443", for=10.0.0.1'},
     {"client.address": "2001:db8::7", "url.scheme": "https", "server.address": "shop.example", "server.port": 8443}),
]


def test_what_proxies_say_of_the_client(run, site, spans):
    with Serving(run, nginx(site, "")) as serving:
        done, _ = play(serving.port, [[Ask("GET", "/hello.txt", headers=tuple(sent.items()))] for sent, _ in FORWARDED])
    for one, (_, fields) in zip(done, FORWARDED):
        one.fields.update(fields)
    check_served(spans(2), done)


def test_a_method_that_nobody_knows(run, site, spans):
    def act(serving):
        return play(serving.port, [[Ask("FROB", "/hello")]])
    play_both(run, site, SERVERS["c-thread"].plan, act)
    span, = spans(1)
    assert (span.name, span.kind, span.attributes["http.request.method"]) == ("HTTP", "SERVER", "_OTHER")
    assert span.attributes["http.request.method_original"] == "FROB"


@pytest.mark.parametrize("name", ["nginx", "c-thread", "http.server"])
def test_off_is_off(run, site, sink, name):
    with Serving(run, SERVERS[name].plan(site), {"OTEL_SDK_DISABLED": "true"}) as serving:
        play(serving.port, [[Ask("GET", SERVERS[name].good)]])
    run.settle()
    assert not sink.requests


@pytest.mark.parametrize("name", ["nginx", "c-fork", "c-thread", "gunicorn-sync", "http.server"])
def test_in_process(run, site, spans, name):
    """Without a relay."""
    run.home = "inproc"
    server = SERVERS[name]
    done = play_both(run, site, server.plan, lambda serving: play(serving.port, conversations(server)))
    check_served(spans(len(done)), done)
