# SPDX-License-Identifier: Apache-2.0
"""TLS that begins late, ends early, begins again, is refused, and what is no request at all: the bytes and the results are
those of a run without us."""
import select
import ssl

import pytest

from certificates import Authority
from http_spans import check_http, check_same_bytes, pair
from servers import Origin
from serving import PYTHON, Serving, free_port, script, site, Plan  # noqa: F401 (a fixture)
from traces import path_of

CLIENT = """import socket, ssl, sys
port = int(sys.argv[1])
context = ssl.create_default_context()
def connect(**more):
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost", **more)
def get(path, *fields):
    return "\\r\\n".join([f"GET {path} HTTP/1.1", f"Host: localhost:{port}", *fields]).encode() + b"\\r\\n\\r\\n"
def answer(s):
    data = b""
    while b"\\r\\n\\r\\n" not in data or not data.endswith(b"\\n"):
        piece = s.recv(65536)
        if not piece:
            break
        data += piece
    print(data)
"""


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def both(run, authority, origin, code):
    """Without and with us. Return: result, requests under us."""
    command = [PYTHON, "-c", CLIENT + code, origin.port]
    plain = run(command, authority.trusted, instrumented=False)
    seen, before = origin.requests, origin.upgraded
    origin.requests, origin.upgraded = [], b""
    ours = run(command, authority.trusted)
    assert ours.behaviour == plain.behaviour
    assert origin.upgraded == before
    check_same_bytes(seen, origin.requests)
    return ours, origin.requests


STARTTLS = """
s = socket.create_connection(("127.0.0.1", port))
print(s.recv(100)); s.sendall(b"STARTTLS\\r\\n"); print(s.recv(100))
s = context.wrap_socket(s, server_hostname="localhost")
for i in range(2):
    s.sendall(get(f"/{i}"))
    lines = b""
    while lines.count(b"\\n") < 6:
        lines += s.recv(65536)
    print(lines.splitlines()[0], lines.splitlines()[-1])
"""


def test_tls_begins_after_other_words(run, site, authority, spans):
    with Serving(run, script(site, "starttls.py", authority.cert, authority.key)) as server:
        result = run([PYTHON, "-c", CLIENT + STARTTLS, server.port], authority.trusted)
        server.stop(15)
        got = spans(4 + 1)
    clients = [span for span in got if span.kind == "CLIENT" and span.name == "GET"]
    servers = {span.parent_id: span for span in got if span.kind == "SERVER"}
    assert [path_of(span) for span in clients] == ["/0", "/1"]
    for client in clients:
        assert f"{path_of(client)} {client.traceparent}".encode() in result.stdout
        assert servers[client.span_id].trace_id == client.trace_id
        assert client.attributes["url.full"].startswith(f"https://localhost:{server.port}/")
        assert servers[client.span_id].attributes["url.scheme"] == "https"


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_that_is_resumed(run, authority, spans, version):
    code = f"""
context.minimum_version = context.maximum_version = ssl.TLSVersion.{version}
first = connect(); first.sendall(get("/status/200")); answer(first); kept = first.session; first.close()
second = connect(session=kept); second.sendall(get("/status/200")); answer(second); print(second.session_reused)
"""
    with Origin(tls=authority.server()) as origin:
        result, requests = both(run, authority, origin, code)
        assert result.stdout.endswith(b"True\n")
        for span, request in pair(spans(2), requests):
            check_http(span, request, f"https://localhost:{origin.port}/status/200", 200)


def test_a_client_that_has_no_more_to_say(run, authority, spans):
    """It ends its own direction, and reads on."""
    code = """
raw = socket.create_connection(("127.0.0.1", port))
came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(came, goes, server_hostname="localhost")
def until_done(what):
    while True:
        try:
            return what()
        except ssl.SSLWantReadError:
            raw.sendall(goes.read())
            came.write(raw.recv(65536))
until_done(tls.do_handshake)
tls.write(get("/slow")); raw.sendall(goes.read())
try:
    tls.unwrap()
except ssl.SSLWantReadError:
    raw.sendall(goes.read())
print(until_done(lambda: tls.read(1000)))
"""
    with Origin(tls=authority.server()) as origin:
        _, requests = both(run, authority, origin, code)
        (span, request), = pair(spans(1), requests)
        check_http(span, request, f"https://localhost:{origin.port}/slow", 200)


class Refusing(Origin):
    """Leaves whom it refuses the time to hear of it."""

    def _secure(self, connection):
        try:
            super()._secure(connection)
        except ssl.SSLError:
            poll = select.poll()
            poll.register(connection.sock, select.POLLRDHUP)
            poll.poll(10000)
            raise


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_server_that_wants_a_certificate(run, authority, spans, version):
    """With TLS 1.3 its alert comes when the client believes that all is well."""
    code = """
try:
    s = connect(); s.sendall(get("/")); answer(s)
except ssl.SSLError as e:
    print(e.reason)
"""
    context = authority.server(verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(authority.ca)
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    with Refusing(tls=context) as origin:
        result, requests = both(run, authority, origin, code)
        assert b"ALERT" in result.stdout and not requests
        span, = spans(1)
    late = version == "TLSv1_3"
    assert (span.name, span.status) == ("GET" if late else "connect", "ERROR")
    assert span.attributes["error.type"] == ("tls_error" if late else "tls_handshake_failed")


def test_what_follows_an_upgrade(run, authority, spans):
    """A WebSocket's frames, and what looks like requests among them."""
    code = """
s = connect()
s.sendall(get("/upgrade", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"))
while not s.recv(1000).endswith(b"\\r\\n\\r\\n"): pass
for words in (b"\\x81\\x05hello", b"GET /not HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n", b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n",
              bytes(range(256))):
    s.sendall(words)
    got = b""
    while len(got) < len(words): got += s.recv(1000)
    print(got)
"""
    with Origin(tls=authority.server()) as origin:
        _, requests = both(run, authority, origin, code)
        (span, request), = pair(spans(1), requests)
        check_http(span, request, f"https://localhost:{origin.port}/upgrade", 101)


def test_keys_that_are_agreed_on_again(run, site, authority, spans):
    """Renegotiation in the middle of a connection of TLS 1.2."""
    (run.tmp_path / "page").write_text("a page\n")
    port = free_port()
    server = Plan(["openssl", "s_server", "-quiet", "-WWW", "-tls1_2", "-client_renegotiation", "-accept", f"127.0.0.1:{port}",
                   "-cert", authority.cert, "-key", authority.key], port)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", authority.ca, "-tls1_2"]
    bodies = []
    for instrumented in (False, True):
        with Serving(run, server, instrumented=False), run.popen(command, instrumented=instrumented, stdin=-1) as client:
            client.stdin.write(b"R\n")
            client.stdin.flush()
            while b"RENEGOTIATING" not in (line := client.stderr.readline()):
                assert line
            client.stdin.write(b"GET /page HTTP/1.0\r\n\r\n")
            client.stdin.flush()
            out = b"".join(iter(lambda: client.stdout.read(1), b""))
            bodies.append(out[out.index(b"HTTP/1.0"):])
            client.stdin.close()
            assert client.wait(20) == 0
    assert bodies[0] == bodies[1]
    span, = spans(1)
    assert (span.name, span.attributes["url.full"]) == ("GET", f"https://127.0.0.1:{port}/page")
