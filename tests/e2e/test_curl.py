# SPDX-License-Identifier: Apache-2.0
"""The libcurl seam: one span and one header per request, whatever a program does with its handles."""
import re
import socket

import pytest

from conftest import HOMES
from curl_servers import CurlOrigin, Proxy, SecureOrigin, make_certificate
from http_spans import TRACEPARENT, check_http
from paths import APPS

CURL_HOST = {"openssl": APPS / "curl-host", "gnutls": APPS / "curl-host-gnutls"}
PARENT = {"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "TRACESTATE": "a=1,b=2"}
SHARED_LIBRARIES = ["libcurl.so.4", "libcurl-gnutls.so.4"]


@pytest.fixture
def origin():
    with CurlOrigin() as origin:
        yield origin


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(certificate):
    with SecureOrigin(certificate) as secure:
        yield secure


@pytest.fixture
def proxy():
    with Proxy() as proxy:
        yield proxy


@pytest.fixture
def curl(certificate):
    return ["curl", "-sS", "--noproxy", "", "--cacert", certificate[0]]


def comparable(requests):
    """Requests as bytes, less our header and what differs from run to run; in no order."""
    random = re.compile(rb'cnonce="[^"]*"|response="[^"]*"|boundary=\S+|-{20,}[0-9a-f]+')
    return sorted(random.sub(b"", TRACEPARENT.sub(b"", request.raw)) for request in requests)


def both(run, servers, command, env=None):
    """Run without and with us, on the same behaviour and bytes. Return: the requests under us, by server and order."""
    plain = run(command, env, instrumented=False)
    before = [comparable(server.requests) for server in servers]
    for server in servers:
        server.clear()
    ours = run(command, env)
    assert ours.behaviour == plain.behaviour
    assert [comparable(server.requests) for server in servers] == before
    return [request for server in servers for request in server.requests]


def pair(spans, requests):
    """{span id: (span, request)} of the requests that reached a server, and the spans that did not."""
    carried = {}
    for request in requests:
        assert len(request.header("traceparent")) == 1, request.raw
        assert request.header("traceparent")[0] not in carried, "one context for two requests"
        carried[request.header("traceparent")[0]] = request
    pairs = [(span, carried.pop(span.traceparent)) for span in spans if span.traceparent in carried]
    assert not carried, "a request without its span"
    return pairs, [span for span in spans if span not in [one for one, _ in pairs]]


def summary(span):
    """(method, path, status code, error.type, resend count)"""
    attributes = span.attributes
    path = re.sub(r"^\w+://[^/]*", "", attributes["url.full"])
    return (attributes["http.request.method"], path, attributes.get("http.response.status_code"),
            attributes.get("error.type"), attributes.get("http.request.resend_count"))


@pytest.mark.parametrize("home", HOMES)
def test_https(run, secure, spans, curl, home):
    request, = both(run, [secure], [*curl, secure.url + "/items?x=1#part"])
    ((span, _),), _ = pair(spans(1), [request])
    assert span.attributes["url.full"] == secure.url + "/items?x=1#part"
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("localhost", secure.port)
    assert span.attributes["network.peer.address"] == "127.0.0.1"
    assert span.attributes["network.peer.port"] == secure.port
    assert span.attributes["network.protocol.version"] == "1.1"
    assert span.attributes["http.response.status_code"] == 200
    assert (span.name, span.kind, span.status) == ("GET", "CLIENT", "UNSET")


def test_a_parent_with_tracestate(run, secure, spans, curl):
    plain = run([*curl, secure.url + "/"], instrumented=False)
    secure.clear()
    assert run([*curl, secure.url + "/"], PARENT).behaviour == plain.behaviour
    ((span, request),), _ = pair(spans(1), secure.requests)
    assert (span.trace_id, span.parent_id) == tuple(PARENT["TRACEPARENT"].split("-")[1:3])
    assert request.header("tracestate") == [PARENT["TRACESTATE"]]


def test_an_unsampled_parent_is_passed_on(run, origin, spans, curl):
    run([*curl, origin.url + "/"], {"TRACEPARENT": PARENT["TRACEPARENT"][:-2] + "00"})
    assert spans(0) == []
    context, = origin.requests[0].header("traceparent")
    assert context.split("-")[1] == PARENT["TRACEPARENT"].split("-")[1]
    assert context.split("-")[2] != PARENT["TRACEPARENT"].split("-")[2] and context.endswith("-00")


@pytest.mark.parametrize("name", ["traceparent", "TraceParent"])
def test_a_context_of_the_programs_own_is_respected(run, origin, spans, curl, name):
    own = "00-11111111111111111111111111111111-2222222222222222-01"
    run([*curl, "-H", f"{name}: {own}", origin.url + "/"])
    assert origin.requests[0].header("traceparent") == [own]
    assert spans(0) == []


@pytest.mark.parametrize("status, method", [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_redirects_are_a_span_each(run, origin, spans, curl, status, method):
    path = f"/redirect/{status}/end"
    requests = both(run, [origin], [*curl, "-L", "-d", "x=1", origin.url + path])
    pairs, _ = pair(spans(2), requests)
    assert [summary(span) for span, _ in pairs] == [("POST", path, status, None, None), (method, "/end", 200, None, 1)]
    (first, _), (second, _) = pairs
    assert first.end <= second.start and first.trace_id != second.trace_id


def test_redirects_under_a_parent_are_siblings(run, origin, spans, curl):
    requests = both(run, [origin], [*curl, "-L", origin.url + "/redirect/302/redirect/302/end"],
                    {"TRACEPARENT": PARENT["TRACEPARENT"]})
    pairs, _ = pair(spans(3), requests)
    assert {(span.trace_id, span.parent_id) for span, _ in pairs} == {tuple(PARENT["TRACEPARENT"].split("-")[1:3])}
    assert [span.attributes.get("http.request.resend_count") for span, _ in pairs] == [None, 1, 2]


def test_redirect_to_another_server_and_protocol(run, origin, secure, spans, curl):
    requests = both(run, [origin, secure], [*curl, "-L", f"{origin.url}/redirect/302/{secure.url}/end"])
    pairs, _ = pair(spans(2), requests)
    assert [span.attributes["network.peer.port"] for span, _ in pairs] == [origin.port, secure.port]
    assert pairs[1][0].attributes["url.full"] == secure.url + "/end"


def test_redirect_to_where_nobody_listens(run, origin, spans, curl):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        target = f"http://127.0.0.1:{closed.getsockname()[1]}/end"
        requests = both(run, [origin], [*curl, "-L", f"{origin.url}/redirect/302/{target}"])
    ((first, _),), (second,) = pair(spans(2), requests)
    assert first.attributes["http.response.status_code"] == 302 and first.status == "UNSET"
    assert summary(second) == ("GET", "/end", None, "CURLE_COULDNT_CONNECT", 1)
    assert second.attributes["url.full"] == target and second.status == "ERROR"


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1:1/x"])
def test_redirect_to_another_protocol(run, origin, spans, curl, target):
    requests = both(run, [origin], [*curl, "-L", "--proto-redir", "=all", f"{origin.url}/redirect/302/{target}"])
    ((span, _),), _ = pair(spans(1), requests)
    assert span.attributes["http.response.status_code"] == 302


def test_too_many_redirects(run, origin, spans, curl):
    path = "/redirect/302/redirect/302/end"
    requests = both(run, [origin], [*curl, "-L", "--max-redirs", "1", origin.url + path])
    pairs, _ = pair(spans(2), requests)
    assert summary(pairs[1][0]) == ("GET", "/redirect/302/end", 302, "CURLE_TOO_MANY_REDIRECTS", 1)
    assert [span.status for span, _ in pairs] == ["UNSET", "ERROR"]


def test_authentication_rounds(run, origin, spans, curl):
    requests = both(run, [origin], [*curl, "--digest", "-u", "u:p", "-d", "x=1", origin.url + "/digest"])
    pairs, _ = pair(spans(2), requests)
    assert [summary(span)[2:] for span, _ in pairs] == [(401, "401", None), (200, None, 1)]


def test_retry_on_a_connection_that_was_dead(run, origin, spans, curl):
    requests = both(run, [origin], [*curl, origin.url + "/last", "-o", "/dev/null", origin.url + "/next"])
    pairs, (dead,) = pair(spans(3), requests)
    assert [summary(span)[1:] for span, _ in pairs] == [("/last", 200, None, None), ("/next", 200, None, 1)]
    assert summary(dead) == ("GET", "/next", None, "CURLE_GOT_NOTHING", None)


def test_retries_of_the_tool_are_transfers_of_their_own(run, origin, spans, curl):
    requests = both(run, [origin], [*curl, "--retry", "1", "--retry-delay", "1", origin.url + "/status/503"])
    pairs, _ = pair(spans(2), requests)
    assert [summary(span)[2:] for span, _ in pairs] == [(503, "503", None)] * 2


@pytest.mark.parametrize("more, path, status, error", [
    ([], "/status/404", 404, "404"), (["-f"], "/status/404", 404, "404"), (["-f"], "/status/500", 500, "500"),
    ([], "/hangup", None, "CURLE_GOT_NOTHING"), ([], "/half-body", 200, "CURLE_PARTIAL_FILE"),
    (["-m", "0.3"], "/slow/2000", None, "CURLE_OPERATION_TIMEDOUT"),
])
def test_failures(run, origin, spans, curl, more, path, status, error):
    requests = both(run, [origin], [*curl[:1], "-s", *more, origin.url + path])
    ((span, _),), _ = pair(spans(1), requests)
    assert summary(span) == ("GET", path, status, error, None)
    assert span.status == "ERROR"


def test_an_untrusted_certificate(run, secure, spans):
    both(run, [secure], ["curl", "-sS", secure.url + "/"])
    span, = spans(1)
    assert summary(span) == ("GET", "/", None, "CURLE_PEER_FAILED_VERIFICATION", None)


@pytest.mark.parametrize("more, method", [
    (["-I"], "HEAD"), (["-T", "/etc/hostname"], "PUT"), (["-F", "a=b", "-H", "X-One: 1"], "POST"),
    (["-X", "PATCH", "-d", "x"], "PATCH"), (["-H", "Expect: 100-continue", "-d", "x"], "POST"), (["--http1.0"], "GET"),
])
def test_kinds_of_request(run, origin, spans, curl, more, method):
    requests = both(run, [origin], [*curl, *more, "-A", "agent/1", origin.url + "/thing"])
    ((span, _),), _ = pair(spans(1), requests)
    assert span.attributes["http.request.method"] == method and span.name == method
    assert span.attributes.get("user_agent.original", "agent/1") == "agent/1"


def test_a_url_without_protocol(run, origin, spans, curl):
    requests = both(run, [origin], [*curl, f"localhost:{origin.port}/items"])
    ((span, request),), _ = pair(spans(1), requests)
    check_http(span, request, origin.url + "/items", 200)


def test_other_protocols_are_left_alone(run, spans, curl):
    assert run.both([*curl, "file:///etc/hostname"]).status == 0
    assert spans(0) == []


def test_a_proxy_gets_no_context_with_connect(run, secure, proxy, spans, curl):
    requests = both(run, [proxy, secure], [*curl, "-x", proxy.url, secure.url + "/items"])
    assert [request.method for request in requests] == ["CONNECT", "GET"]
    assert requests[0].header("traceparent") == []
    ((span, _),), _ = pair(spans(1), requests[1:])
    assert span.attributes["network.peer.port"] == proxy.port and span.attributes["server.port"] == secure.port


def test_a_plain_request_by_proxy(run, proxy, spans, curl):
    requests = both(run, [proxy], [*curl, "-x", proxy.url, "http://example.invalid/items"])
    ((span, _),), _ = pair(spans(1), requests)
    assert span.attributes["url.full"] == "http://example.invalid/items"


def test_a_proxy_that_refuses(run, proxy, spans, curl):
    both(run, [proxy], [*curl, "-x", proxy.url, "https://refused.invalid/"])
    span, = spans(1)
    assert summary(span) == ("GET", "/", None, "CURLE_RECV_ERROR", None)


def test_a_redirect_through_a_tunnel(run, secure, proxy, spans, curl):
    requests = both(run, [proxy, secure], [*curl, "-x", proxy.url, "-L", f"{proxy.url}/redirect/302/{secure.url}/end"])
    pairs, _ = pair(spans(2), [request for request in requests if request.method != "CONNECT"])
    assert [span.status for span, _ in pairs] == ["UNSET", "UNSET"]
    assert [span.attributes.get("http.request.resend_count") for span, _ in pairs] == [None, 1]


def test_parallel_transfers(run, secure, spans, curl):
    requests = both(run, [secure], [*curl, "-Z", "--no-progress-meter", *(f"{secure.url}/slow/{i * 20}" for i in range(8))])
    pairs, _ = pair(spans(8), requests)
    assert {summary(span)[1] for span, _ in pairs} == {f"/slow/{i * 20}" for i in range(8)}
    for span, _ in pairs:
        assert span.end - span.start >= int(summary(span)[1].rsplit("/", 1)[1]) * 1_000_000


# What a program does with its handles: scenario -> (path, status, error) of each span, in no order.
OK = (200, None)
SCENARIOS = {
    "keep-list": [("/kept", *OK)] * 4,
    "free-list-early": [("/early", *OK)] * 3,
    "duplicate": [("/slow/50", None, None), ("/slow/50", *OK), ("/slow/50", *OK)],
    "reset": [("/before", *OK), ("/after", *OK)],
    "own-prereq": [("/redirect/302/redirect/302/end", 302, None), ("/redirect/302/end", 302, None), ("/end", *OK),
                   ("/redirect/302/redirect/302/end", None, None),
                   ("/redirect/302/redirect/302/end", 302, None), ("/redirect/302/end", 302, None), ("/end", *OK)],
    "multi-perform": [("/slow/60", *OK), ("/redirect/302/slow/20", 302, None), ("/slow/20", *OK),
                      ("/status/500", 500, "500"), ("/hangup", None, "hangup")],
    "multi-events": [("/slow/60", *OK), ("/redirect/302/slow/20", 302, None), ("/slow/20", *OK),
                     ("/status/500", 500, "500"), ("/hangup", None, "hangup")],
    "multi-late": [("/quick", *OK), ("/slow/200", *OK)],
    "multi-unread": [("/good", *OK), ("/hangup", None, "_OTHER"), ("/good", *OK)],
    "multi-remove": [("/slow/900", None, None)] * 3 + [("/slow/900", *OK)] * 2,
    "multi-list-late": [("/slow/50", *OK)],
    "nested": [("/outer", *OK), ("/inner", *OK)],
    "url-object": [("/object", *OK)],
}
HANGUP = {"http": "CURLE_GOT_NOTHING", "https": "CURLE_RECV_ERROR"}


def key(row):
    return tuple(str(part) for part in row)


@pytest.mark.parametrize("flavour, protocol", [("openssl", "http"), ("gnutls", "https")])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_programs_do_with_handles(run, origin, secure, spans, certificate, scenario, flavour, protocol):
    server = secure if protocol == "https" else origin
    requests = both(run, [server], [CURL_HOST[flavour], scenario, server.url], {"CURL_HOST_CA": str(certificate[0])})
    expected = [(path, status, HANGUP[protocol] if error == "hangup" else error)
                for path, status, error in SCENARIOS[scenario]]
    got = spans(len(expected))
    assert sorted((summary(span)[1:4] for span in got), key=key) == sorted(expected, key=key)
    pair(got, [request for request in requests if request.path != "/own"])


def test_a_late_look_does_not_stretch_a_span(run, origin, spans):
    both(run, [origin], [CURL_HOST["openssl"], "multi-late", origin.url])
    quick, = (span for span in spans(2) if span.attributes["url.full"].endswith("/quick"))
    assert quick.end - quick.start < 150_000_000


def test_handles_on_many_threads(run, origin, spans):
    requests = both(run, [origin], [CURL_HOST["openssl"], "threads", origin.url])
    pairs, rest = pair(spans(400), requests)
    assert len(pairs) == 400 and not rest


@pytest.mark.parametrize("plugins", [["openssl", "gnutls"], ["gnutls", "openssl"], ["openssl", "gnutls", "openssl"]])
def test_plugins_with_two_libcurls(run, secure, spans, plugins):
    """Each plugin is served by the libcurl that it is linked to: the error text is that library's."""
    result = run.both([APPS / "curl-plugins", "error-text", secure.url,
                       *(APPS / f"curl-plugin-{flavour}.so" for flavour in plugins)])
    assert result.stdout.count(b"SSL certificate problem") == plugins.count("openssl")
    assert {summary(span)[3] for span in spans(len(plugins))} == {"CURLE_PEER_FAILED_VERIFICATION"}


@pytest.mark.parametrize("library", SHARED_LIBRARIES)
def test_a_libcurl_that_the_program_loads_itself(run, secure, spans, library):
    result = run.both([APPS / "curl-dlopen", secure.url, library])
    assert result.status == 0
    assert {summary(span)[3] for span in spans(1)} == {"CURLE_PEER_FAILED_VERIFICATION"}


def test_two_libcurls_that_the_program_loads_itself(run, secure, spans):
    """The second one passes the seam by: nothing says which of the two a bare pointer's caller means."""
    assert run.both([APPS / "curl-dlopen", secure.url, *SHARED_LIBRARIES]).status == 0
    assert [span.name for span in spans(2)] == ["GET", "connect"]
