# SPDX-License-Identifier: Apache-2.0
"""HTTPS clients: the same result and bytes as without us, one right span per request, one context header."""
import re
import ssl

import pytest

from certificates import Authority
from http_spans import check_http, check_same_bytes, pair
from paths import APPS
from servers import Origin, Tunnel
from test_clients import PHP, PYTHON, REQUESTS, RUBY, URLLIB
from traces import path_of

POST = """import sys, urllib.request as u
sys.stdout.buffer.write(u.urlopen(sys.argv[1], data=b'x' * int(sys.argv[2])).read()[-100:])"""
KEEP = """import sys, http.client, urllib.parse as p, ssl
url = p.urlsplit(sys.argv[1]); c = http.client.HTTPSConnection(url.hostname, url.port)
for i in range(20):
    c.request('GET', url.path + str(i), headers={'X-Pad': 'p' * (i * 2000)})
    print(c.getresponse().read())"""
ASYNC = """import asyncio, ssl, sys, urllib.parse as p
async def main():
    url = p.urlsplit(sys.argv[1])
    r, w = await asyncio.open_connection(url.hostname, url.port, ssl=ssl.create_default_context())
    target = sys.argv[1].split(url.netloc)[1]
    w.write(f'GET {target} HTTP/1.1\\r\\nHost: {url.netloc}\\r\\nConnection: close\\r\\n\\r\\n'.encode())
    print(await r.read())
    w.close()
asyncio.run(main())"""
AIOHTTP = """import aiohttp, asyncio, ssl, sys
async def main():
    async with aiohttp.ClientSession() as s:
        async with s.get(sys.argv[1], ssl=ssl.create_default_context()) as r: print(await r.text())
asyncio.run(main())"""
SILENT = """import socket, ssl, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s = ssl.create_default_context().wrap_socket(s, server_hostname=sys.argv[1])
print(s.version())"""

OPEN = """import os, socket, ssl, sys
kept = []
for i in range(int(sys.argv[3])):
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    kept.append(ssl.create_default_context().wrap_socket(s, server_hostname=sys.argv[1]))
    kept[i].sendall(f'GET /hold/{i} HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'.encode())
os._exit(0)"""
OLD = SILENT.replace("s = ssl.create_default_context()", "c = ssl.create_default_context(); c.maximum_version = 0x303; s = c")
RESUME = """import http.client, ssl, sys, urllib.parse as p
url = p.urlsplit(sys.argv[1]); context = ssl.create_default_context(); kept = None
for i in range(2):
    c = http.client.HTTPSConnection(url.hostname, url.port, context=context)
    c.sock = context.wrap_socket(__import__('socket').create_connection((url.hostname, url.port)),
                                 server_hostname=url.hostname, session=kept)
    c.request('GET', url.path); c.getresponse().read()
    kept = c.sock.session"""

CLIENTS = {
    "curl": ["curl", "-sS", "--http1.1"],
    "wget": ["wget", "-q", "--tries=1", "-O", "-"],  # GnuTLS
    "python-urllib": [PYTHON, "-c", URLLIB],
    "python-requests": [PYTHON, "-c", REQUESTS],
    "php-streams": ["php", "-r", PHP, "--"],
    "ruby-net-http": ["ruby", "-e", RUBY],
    "python-asyncio": [PYTHON, "-c", ASYNC],
    "python-aiohttp": [PYTHON, "-c", AIOHTTP],
}
PATHS = ["/items?id=1", "/chunked", "/close", "/big", "/slow"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def secure(request, authority):
    context = authority.server()
    context.minimum_version = context.maximum_version = {"TLSv1.2": 0x303, "TLSv1.3": 0x304}[request.param]
    with Origin(tls=context) as origin:
        yield origin


@pytest.fixture
def trusted(authority, tmp_path):
    """Environment of clients that trust the authority; wget is told by a file only."""
    (tmp_path / "wgetrc").write_text(f"ca_certificate={authority.ca}\n")
    return {**authority.trusted, "WGETRC": str(tmp_path / "wgetrc")}


TLS_ON = {"OTEL_INSTRUMENT_TLS_ATTRIBUTES": "true"}
SUITES = {"1.2": r"TLS_ECDHE_(RSA|ECDSA)_WITH_[A-Z0-9_]+", "1.3": r"TLS_(AES|CHACHA20)_[A-Z0-9_]+"}


def tls_of(span):
    return {key[4:]: value for key, value in span.attributes.items() if key.startswith("tls.")}


def both(run, origin, command, env, **more):
    """Run without and with us, compare what the program and the server saw. Return: result, requests under us."""
    plain = run(command, env, instrumented=False, **more)
    seen = origin.requests
    origin.clear()
    ours = run(command, env, **more)
    assert ours.behaviour == plain.behaviour
    check_same_bytes(seen, origin.requests)
    return ours, origin.requests


@pytest.mark.parametrize("client, path", [(client, path) for client in CLIENTS for path in PATHS])
def test_get(run, secure, trusted, spans, client, path):
    url = f"https://localhost:{secure.port}{path}"
    result, requests = both(run, secure, [*CLIENTS[client], url], trusted)
    assert result.status == 0 and result.stdout
    (span, request), = pair(spans(1), requests)
    check_http(span, request, url, 200)
    assert span.parent_id == ""


@pytest.mark.parametrize("size", [10, 20000, 10 << 20])
def test_post(run, secure, trusted, spans, size):
    url = f"https://127.0.0.1:{secure.port}/echo"
    result, requests = both(run, secure, [PYTHON, "-c", POST, url, size], trusted)
    assert result.status == 0 and len(requests[0].body) == size
    (span, request), = pair(spans(1), requests)
    check_http(span, request, url, 200)


def test_requests_of_one_connection_with_heads_of_every_size(run, secure, trusted, spans):
    url = f"https://localhost:{secure.port}/items"
    result, requests = both(run, secure, [PYTHON, "-c", KEEP, url], trusted)
    assert result.status == 0
    for i, (span, request) in enumerate(pair(spans(20), requests)):
        check_http(span, request, f"{url}{i}", 200)
    assert {request.connection for request in requests} == {requests[0].connection}


@pytest.mark.parametrize("client", ["python-urllib", "php-streams", "ruby-net-http"])
def test_a_certificate_that_is_not_trusted(run, secure, spans, client):
    run.both([*CLIENTS[client], f"https://localhost:{secure.port}/"], {"SSL_CERT_FILE": "/dev/null"})
    span, = spans(1)
    assert (span.name, span.kind, span.status) == ("connect", "CLIENT", "ERROR")
    assert span.attributes["error.type"].startswith("X509_V_ERR_UNABLE_TO_")
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("localhost", secure.port)


def test_a_connection_without_a_request(run, secure, trusted, spans):
    run.both([PYTHON, "-c", SILENT, "localhost", secure.port], trusted)
    span, = spans(1)
    assert (span.name, span.status) == ("connect", "UNSET")


@pytest.mark.parametrize("home", ["inproc"])
def test_requests_that_are_open_at_the_end(run, secure, trusted, spans):
    run([PYTHON, "-c", OPEN, "localhost", secure.port, 3], trusted)
    assert sorted(path_of(span) for span in spans(3)) == ["/hold/0", "/hold/1", "/hold/2"]


def test_a_server_that_ends_the_handshake(run, authority, trusted, spans):
    with Origin(tls=authority.server(minimum_version=ssl.TLSVersion.TLSv1_3)) as origin:
        result = run.both([PYTHON, "-c", OLD, "127.0.0.1", origin.port], trusted)
    assert b"SSL" in result.stderr
    span, = spans(1)
    assert (span.name, span.status, span.attributes["error.type"]) == ("connect", "ERROR", "tls_handshake_failed")


@pytest.mark.parametrize("path, error", [("/hangup", "unexpected_eof"), ("/half-body", "unexpected_eof")])
def test_a_server_that_ends_the_response_early(run, secure, trusted, spans, path, error):
    url = f"https://localhost:{secure.port}{path}"
    both(run, secure, [*CLIENTS["python-urllib"], url], trusted)
    span, = spans(1)
    assert (span.name, span.status) == ("GET", "ERROR")
    assert span.attributes["error.type"] == error


@pytest.mark.parametrize("client", ["python-urllib", "wget"])
def test_attributes_of_tls(request, run, secure, trusted, spans, client):
    """Of both libraries; only when they are asked for."""
    version = request.node.callspec.params["secure"][4:]
    command = [*CLIENTS[client], f"https://localhost:{secure.port}/items?id=1"]
    run(command, trusted)
    run(command, {**trusted, **TLS_ON})
    silent, told = sorted(spans(2), key=lambda span: len(span.attributes))
    assert tls_of(silent) == {}
    tls = tls_of(told)
    assert re.fullmatch(SUITES[version], tls.pop("cipher"))
    assert tls.pop("next_protocol", "http/1.1") == "http/1.1"
    assert tls == {"protocol.name": "tls", "protocol.version": version, "resumed": False}


def test_a_session_that_is_resumed(run, secure, trusted, spans):
    run([PYTHON, "-c", RESUME, f"https://localhost:{secure.port}/items"], {**trusted, **TLS_ON})
    assert [tls_of(span)["resumed"] for span in sorted(spans(2), key=lambda span: span.start)] == [False, True]


def test_s_client(run, secure, trusted, spans):
    """Not HTTP from a program that knows nothing of it: what it sends and gets is untouched."""
    command = ["openssl", "s_client", "-brief", "-connect", f"localhost:{secure.port}"]
    result = run.both(command, trusted)
    assert result.stderr
    spans(1)


@pytest.mark.parametrize("flags", ["-", "p", "m", "pm", "e", "epm"])
@pytest.mark.parametrize("transport", ["socket", "memory", "custom"])
def test_calls_that_would_block(run, secure, authority, spans, transport, flags):
    """Results, error queue and bytes as without us, in every way that OpenSSL can be used."""
    command = [APPS / "tls-client", transport, flags, secure.port, authority.ca]
    result, requests = both(run, secure, command, {})
    assert result.status == 0 and result.stdout.count(b"HTTP/1.1 200") == 4, result
    for i, (span, request) in enumerate(pair(spans(4), requests)):
        check_http(span, request, f"https://localhost:{secure.port}/echo/{i}", 200)


def test_git(run, authority, trusted, spans, tmp_path):
    """libcurl over GnuTLS in a helper process: one request, one span, made by libcurl's seam alone."""
    repository = tmp_path / "files" / "r.git"
    for words in (["init", "-q", "--bare", repository], ["-C", repository, "update-server-info"]):
        assert run(["git", *words], instrumented=False).status == 0
    with Origin(tls=authority.server(), files=tmp_path / "files") as origin:
        url = f"https://localhost:{origin.port}/files/r.git"
        result, requests = both(run, origin, ["git", "ls-remote", url], trusted)
    assert result.status == 0 and requests
    assert all(span.attributes["url.full"].startswith(url) for span, _ in pair(spans(len(requests)), requests))


@pytest.mark.parametrize("client", ["curl", "wget", "python-urllib", "python-requests"])
def test_through_a_proxy(run, secure, trusted, spans, client):
    """CONNECT in clear, then TLS on the same socket."""
    url = f"https://localhost:{secure.port}/items"
    with Tunnel() as tunnel:
        result, requests = both(run, secure, [*CLIENTS[client], url],
                                {**trusted, "https_proxy": tunnel.url, "HTTPS_PROXY": tunnel.url})
    assert result.status == 0
    got = spans(1 if client == "curl" else 2)
    (span, request), = pair([span for span in got if span.attributes["http.request.method"] == "GET"], requests)
    check_http(span, request, url, 200, peer=("127.0.0.1", tunnel.port))
