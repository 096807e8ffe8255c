# SPDX-License-Identifier: Apache-2.0
"""What a CLIENT span of a request must say, and how the request that carried it must look."""
import re

TRACEPARENT = re.compile(rb"^traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]\r\n", re.M | re.I)
ALLOWED = {
    "http.request.method", "http.request.method_original", "http.response.status_code", "http.request.resend_count",
    "error.type", "server.address", "server.port", "url.full", "url.scheme", "network.peer.address",
    "network.peer.port", "network.protocol.name", "network.protocol.version", "network.transport",
    "user_agent.original",
}


def without_context(raw):
    """A request's bytes less the one traceparent that we added."""
    rest, count = TRACEPARENT.subn(b"", raw)
    assert count == 1, raw
    return rest


def check_same_bytes(plain, ours):
    """The server must not notice anything but the header."""
    assert [without_context(request.raw) for request in ours] == [request.raw for request in plain]


def pair(spans, requests):
    """(span, request) for each request, by the traceparent that the server saw; every span is one request's."""
    by_context = {span.traceparent: span for span in spans}
    pairs = []
    for request in requests:
        context, = request.header("traceparent")
        pairs.append((by_context.pop(context), request))
    assert not by_context
    return pairs


def check_http(span, request, url, status, peer=("127.0.0.1", None), version="1.1"):
    """Everything that the convention asks of this request's span."""
    attributes = dict(span.attributes)
    scheme, host, port = re.match(r"(https?)://([^/:]+|\[[^]]+\])(?::(\d+))?", url).groups()
    port = port or {"http": 80, "https": 443}[scheme]
    expected = {
        "http.request.method": request.method,
        "url.full": url,
        "server.address": host.strip("[]"),
        "server.port": int(port),
        "network.peer.address": peer[0],
        "network.peer.port": peer[1] or int(port),
        "network.protocol.version": version,
        "http.response.status_code": status,
    }
    if status >= 400:
        expected["error.type"] = str(status)
    wrong = {key: (attributes.get(key), value) for key, value in expected.items() if attributes.get(key) != value}
    assert not wrong  # (what is there, what should be)
    assert set(attributes) <= ALLOWED, set(attributes) - ALLOWED
    assert ("error.type" in attributes) == (status >= 400)
    assert (span.name, span.kind) == (request.method, "CLIENT")
    assert (span.status, span.message) == ("ERROR" if status >= 400 else "UNSET", "")
