# SPDX-License-Identifier: Apache-2.0
"""Requests through chains of real servers, all unmodified: each is one trace, and nothing hangs loose."""
import json
from contextlib import ExitStack

import pytest

from asking import Ask, Asker, play
from serving import Serving, apache, app, gunicorn, haproxy, http_server, nginx, php_fpm, site  # noqa: F401 (a fixture)
from traces import by_trace, chain, check_trace, path_of, shape

CONTEXTS = ["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"]
UPSTREAM = "proxy_http_version 1.1; proxy_set_header Connection '';"


def to(port, rules=""):
    return f"location / {{ proxy_pass http://127.0.0.1:{port}; {rules} }}"


def serve(stack, run, *builders):
    """From the last to the first: each gets the address of the one behind it. Return: where the first listens."""
    behind = None
    for builder in reversed(builders):
        plan = builder(behind)
        stack.enter_context(Serving(run, plan))
        behind = plan.listen
    return behind


def c_service(_):
    return app("daemon", "thread", "{port}")


def c_service_forking(_):
    return app("daemon", "fork", "{port}")


def apache_to(site, mpm):
    return lambda port: apache(site, mpm, f"ProxyPass / http://127.0.0.1:{port}/", ("proxy", "proxy_http"))


def apache_to_fpm(site, mpm):
    """Every request is the one script's; what it asks for stands in its query."""
    return lambda path: apache(site, mpm, f"""
        ProxyPass /call unix:{path}|fcgi://localhost{site.path}/call.php""", ("proxy", "proxy_fcgi"))


def wsgi(site, *kind):
    return lambda port: gunicorn(site, *kind, env={"UPSTREAM": f"http://127.0.0.1:{port}"})


def nginx_to(site, rules=""):
    return lambda port: nginx(site, to(port, rules))


def haproxy_to(site, threads=1):
    return lambda port: haproxy(site, "", port, threads)


CHAINS = {  # the builders, and what the trace must look like
    "nginx-c": (lambda site: (nginx_to(site), c_service), ["nginx", "daemon+"]),
    "nginx-c-forking": (lambda site: (nginx_to(site, UPSTREAM), c_service_forking), ["nginx", "daemon+"]),
    "nginx-prefork-c": (lambda site: (nginx_to(site), apache_to(site, "prefork"), c_service), ["nginx", "apache", "daemon+"]),
    "nginx-event-c": (lambda site: (nginx_to(site), apache_to(site, "event"), c_service), ["nginx", "apache", "daemon+"]),
    "haproxy-haproxy-c": (lambda site: (haproxy_to(site), haproxy_to(site, 4), c_service), ["haproxy", "haproxy", "daemon+"]),
    "haproxy-sync-http.server": (lambda site: (haproxy_to(site), wsgi(site, "sync"), lambda _: http_server(site)),
                                 ["haproxy", "gunicorn", "http.server+"]),
    "haproxy-gthread-http.server": (
        lambda site: (haproxy_to(site), wsgi(site, "gthread", "--threads", "4"), lambda _: http_server(site)),
        ["haproxy", "gunicorn", "http.server+"]),
}


def check_all(got, requests, expected):
    """One trace of this shape for each request: (target, context)."""
    traces = by_trace(got)
    assert len(traces) == len(requests)
    outsides = {context.split("-")[1]: context.split("-")[2] for _, context in requests if context}
    assert set(outsides) <= set(traces)
    for trace_id, spans in traces.items():
        assert shape(spans, check_trace(spans, outsides.get(trace_id, ""))) == expected
    roots = [check_trace(spans, outsides.get(trace_id, "")) for trace_id, spans in traces.items()]
    assert sorted(root.attributes["url.path"] for root in roots) == sorted(target.split("?")[0] for target, _ in requests)


@pytest.mark.parametrize("name", CHAINS)
def test_a_request_is_one_trace(run, site, spans, name):
    builders, services = CHAINS[name]
    target = "/call/hello.txt?{}" if "http.server" in name else "/r/{}"
    requests = [(target.format(i), context) for i, context in enumerate(CONTEXTS)]
    with ExitStack() as stack:
        port = serve(stack, run, *builders(site))
        done, _ = play(port, [[Ask("GET", target, context=context)] for target, context in requests])
        kept, _ = play(port, [[Ask("GET", target.format(i)) for i in range(10, 15)]])
    assert {one.status for one in done + kept} == {200}
    requests += [(one.ask.target, "") for one in kept]
    check_all(spans(len(requests) * (2 * len(services) - 1)), requests, chain(*services))


@pytest.mark.parametrize("mpm", ["prefork", "event"])
def test_apache_and_php_fpm(run, site, spans, mpm):
    """nginx, Apache, php-fpm over FastCGI, a service in C."""
    with ExitStack() as stack:
        service = stack.enter_context(Serving(run, c_service(None)))
        port = serve(stack, run, lambda port: nginx(site, to(port)), apache_to_fpm(site, mpm), lambda _: php_fpm(site))
        requests = [(f"/call?url=http://127.0.0.1:{service.port}/r/{i}", context) for i, context in enumerate(CONTEXTS)]
        done, same = play(port, [[Ask("GET", target, context=context)] for target, context in requests])
    assert [(one.status, answer[3]) for one, answer in zip(done, same)] == [(200, b"GET /r/%d\n" % i) for i in range(3)]
    check_all(spans(3 * 7), requests, chain("nginx", "apache", "php-fpm", "daemon+"))


def test_nginx_and_php_fpm_keep_their_connection(run, site, spans):
    """FastCGI with keep_conn: many requests follow each other on one connection."""
    with ExitStack() as stack:
        service = stack.enter_context(Serving(run, c_service(None)))
        fpm = stack.enter_context(Serving(run, php_fpm(site, children=1)))
        front = stack.enter_context(Serving(run, nginx(site, f"""location / {{
            fastcgi_pass back; fastcgi_keep_conn on; fastcgi_param SCRIPT_FILENAME {site.path}/call.php;
            fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD GET; }}""",
            f"upstream back {{ server unix:{fpm.port}; keepalive 1; }}")))
        requests = [(f"/{i}?url=http://127.0.0.1:{service.port}/r/{i}", "") for i in range(10)]
        done, _ = play(front.port, [[Ask("GET", target) for target, _ in requests]])
    assert [one.status for one in done] == [200] * 10
    check_all(spans(10 * 5), requests, chain("nginx", "php-fpm", "daemon+"))


def test_curl_is_the_root(run, site, spans):
    with ExitStack() as stack:
        port = serve(stack, run, lambda port: nginx(site, to(port)), c_service)
        result = run(["curl", "-sS", f"http://127.0.0.1:{port}/r/1"], {"OTEL_SERVICE_NAME": "curl"})
    assert result.behaviour == (b"GET /r/1\n", b"", 0)
    got = spans(4)
    assert shape(got, check_trace(got)) == chain("curl*", "nginx", "daemon+")


def test_a_service_that_calls_many(run, site, spans, origin):
    """Three calls because of one request, one after the other: siblings."""
    with Serving(run, app("w3c-service", "{port}")) as serving, Asker(serving.port) as asker:
        body = json.dumps([{"url": f"{origin.url}/{i}", "arguments": []} for i in range(3)]).encode()
        assert asker.ask(Ask("POST", "/all", body)).status == 200
    got = spans(4)
    root = check_trace(got)
    assert shape(got, root) == ("w3c-service SERVER", *[("w3c-service CLIENT",)] * 3)
    assert [span.end <= later.start for span, later in zip(got[1:], got[2:])] == [True, True]


@pytest.mark.parametrize("upstream", ["keep-alive", "a connection for each"])
def test_pipelines_through_nginx(run, site, spans, upstream):
    """Requests that come at once, on one connection, each with or without a context: their traces stay apart."""
    asks = [Ask("GET", f"/r/{i}", context=f"00-{i:032x}-{i:016x}-01" if i % 3 else "") for i in range(1, 61)]
    keep = upstream == "keep-alive"
    with ExitStack() as stack:
        port = serve(stack, run, lambda port: nginx(
            site, f"location / {{ proxy_pass http://back; {UPSTREAM if keep else ''} }}",
            f"upstream back {{ server 127.0.0.1:{port}; {'keepalive 8;' if keep else ''} }}"), c_service)
        done, _ = play(port, [asks], pipelined=True)
    assert [one.status for one in done] == [200] * 60
    assert len({one.client_port for one in done}) == 1
    got = spans(60 * 3)
    check_all(got, [(one.ask.target, one.ask.context) for one in done], chain("nginx", "daemon+"))
    for spans_of_one in by_trace(got).values():
        assert len({path_of(span) for span in spans_of_one}) == 1
