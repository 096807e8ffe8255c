# SPDX-License-Identifier: Apache-2.0
"""Requests that fail: one ERROR span each, with the right error.type, and the program's own complaint unchanged."""
import socket

import pytest

from conftest import own_mounts
from http_spans import check_http, pair
from paths import LAUNCHER
from test_clients import CLIENTS, both

FAILING = ["curl", "wget", "python-urllib"]


def command(client, url):
    return [*CLIENTS[client], url]


@pytest.fixture
def closed_port():
    """A port of loopback where nobody listens, and nobody else can while the test runs."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.mark.parametrize("status", [404, 500, 503])
@pytest.mark.parametrize("client", FAILING)
def test_a_status_that_is_an_error(run, origin, spans, client, status):
    url = f"{origin.url}/status/{status}"
    _, requests = both(run, origin, command(client, url))
    (span, request), = pair(spans(1), requests)
    check_http(span, request, url, status)


@pytest.mark.parametrize("status", [204, 304, 201])
def test_a_status_that_is_none(run, origin, spans, status):
    url = f"{origin.url}/status/{status}"
    _, requests = both(run, origin, ["curl", "-sS", url])
    (span, request), = pair(spans(1), requests)
    check_http(span, request, url, status)


@pytest.mark.parametrize("client, error", [("curl", "CURLE_COULDNT_CONNECT"), ("wget", "ECONNREFUSED"),
                                           ("python-urllib", "ECONNREFUSED")])
def test_nobody_listens(run, spans, closed_port, client, error):
    result = run.both(command(client, f"http://127.0.0.1:{closed_port}/"))
    assert result.status != 0
    span, = spans(1)
    assert (span.status, span.kind, span.attributes["error.type"]) == ("ERROR", "CLIENT", error)
    assert span.attributes["server.address"] == "127.0.0.1" and span.attributes["server.port"] == closed_port
    assert "http.response.status_code" not in span.attributes
    assert span.name == ("GET" if client == "curl" else "connect")


@pytest.mark.parametrize("client, errors", [
    ("curl", {"CURLE_COULDNT_RESOLVE_HOST"}),
    ("wget", {"EAI_NONAME", "EAI_AGAIN", "EAI_NODATA"}),
    ("python-urllib", {"EAI_NONAME", "EAI_AGAIN", "EAI_NODATA"}),
])
def test_nobody_knows_the_name(run, spans, client, errors):
    result = run.both(command(client, "http://name.invalid/"))
    assert result.status != 0
    span, = spans(1)
    assert (span.status, span.kind) == ("ERROR", "CLIENT") and span.attributes["error.type"] in errors
    assert span.attributes["server.address"] == "name.invalid"


@pytest.mark.parametrize("client, error", [("curl", "CURLE_GOT_NOTHING"), ("wget", "unexpected_eof"),
                                           ("python-urllib", "unexpected_eof")])
def test_the_server_hangs_up(run, origin, spans, client, error):
    url = origin.url + "/hangup"
    result, requests = both(run, origin, command(client, url))
    assert result.status != 0
    (span, request), = pair(spans(1), requests)
    assert (span.name, span.status, span.attributes["error.type"]) == ("GET", "ERROR", error)
    assert span.attributes["url.full"] == url and "http.response.status_code" not in span.attributes


@pytest.mark.parametrize("client", ["wget", "python-urllib"])
def test_the_server_hangs_up_in_its_head(run, origin, spans, client):
    """curl takes such a head for a response, wget and python as well; on the socket it is one that never came whole."""
    _, requests = both(run, origin, command(client, origin.url + "/half-head"))
    (span, request), = pair(spans(1), requests)
    assert (span.name, span.status, span.attributes["error.type"]) == ("GET", "ERROR", "unexpected_eof")


@pytest.mark.parametrize("client", FAILING)
def test_the_body_ends_too_early(run, origin, spans, client):
    url = origin.url + "/half-body"
    _, requests = both(run, origin, command(client, url))
    (span, _), = pair(spans(1), requests)
    assert (span.name, span.status, span.attributes["http.response.status_code"]) == ("GET", "ERROR", 200)


@pytest.mark.parametrize("client", FAILING)
def test_the_answer_is_no_http(run, origin, spans, client):
    """libcurl calls it an error. On the socket we only know that we no longer follow (wget takes it for HTTP/0.9)."""
    _, requests = both(run, origin, command(client, origin.url + "/garbage"))
    (span, _), = pair(spans(1), requests)
    assert span.name == "GET" and "http.response.status_code" not in span.attributes
    if client == "curl":
        assert (span.status, span.attributes["error.type"]) == ("ERROR", "CURLE_UNSUPPORTED_PROTOCOL")
    else:
        assert (span.status, span.attributes["otel.instrument.incomplete"]) == ("UNSET", True)


SLOW_CONNECT = """
import socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(0)
full = [socket.create_connection(listener.getsockname())]  # the backlog has room for this one
late = [socket.socket() for _ in range(3)]
for s in late[:2]:
    s.setblocking(False)
    s.connect_ex(listener.getsockname())
late[2].setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)
try:
    late[2].connect(listener.getsockname())
except OSError as error:
    print(error.strerror)
"""
UNREACHABLE = """
import socket
try:
    socket.create_connection(("127.0.0.1", 80))
except OSError as error:
    print(error.strerror)
"""


def test_a_connect_that_times_out(run, sink):
    result = run.both(["/usr/bin/python3", "-c", SLOW_CONNECT])
    assert result.stdout == b"Connection timed out\n"
    spans = sink.wait(1, 15)
    assert ("connect", "ERROR", "ETIMEDOUT") in {(s.name, s.status, s.attributes.get("error.type")) for s in spans}


@own_mounts
def test_a_network_that_is_unreachable(run):
    """In a network without any interface up, where no sink is either: the console tells."""
    result = run(["unshare", "-n", LAUNCHER, "--traces_exporter", "console", "/usr/bin/python3", "-c", UNREACHABLE],
                 instrumented=False)
    assert (result.stdout, result.status) == (b"Network is unreachable\n", 0)
    assert result.stderr.count(b"connect 127.0.0.1:80") == 1 and b"ERROR ENETUNREACH" in result.stderr


def test_a_timeout_of_the_client(run, origin, spans):
    result, requests = both(run, origin, ["curl", "-s", "--max-time", "0.5", origin.url + "/hold"])
    assert result.status == 28
    (span, _), = pair(spans(1), requests)
    assert (span.status, span.attributes["error.type"]) == ("ERROR", "CURLE_OPERATION_TIMEDOUT")


def test_an_upgraded_connection_is_left_alone(run, origin, spans):
    talk = ("import socket, sys\ns = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
            "s.sendall(b'GET /upgrade HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n')\n"
            "got = s.recv(4096)\nassert b'101' in got\n"
            "for i in range(3):\n"
            "    s.sendall(b'GET /fake HTTP/1.1\\r\\nHost: y\\r\\n\\r\\n')\n"
            "    print(s.recv(4096))\n")
    both(run, origin, ["/usr/bin/python3", "-c", talk, origin.port])
    fake = b"GET /fake HTTP/1.1\r\nHost: y\r\n\r\n"
    assert origin.upgraded == fake * 6
    (span, _), = pair(spans(1), origin.requests)
    assert span.attributes["http.response.status_code"] == 101
