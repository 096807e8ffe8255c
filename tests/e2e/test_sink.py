# SPDX-License-Identifier: Apache-2.0
"""The judge judged: what the sink must object to, it objects to."""
import time
import urllib.error
import urllib.request

import pytest

import otlp
from sink import SCHEMA_URL, Answer, Sink

AGENT = {"Content-Type": "application/x-protobuf", "User-Agent": "OTel-OTLP-Exporter-Test/1"}


def add(pairs, key, value):
    pair = pairs.add(key=key)
    setattr(pair.value, "string_value" if isinstance(value, str) else "int_value", value)


def good():
    request = otlp.ExportRequest()
    group = request.resource_spans.add()
    for key in ("service.name", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"):
        add(group.resource.attributes, key, "x")
    add(group.resource.attributes, "process.pid", 1)
    scope = group.scope_spans.add(schema_url=SCHEMA_URL)
    scope.scope.name = "test"
    now = time.time_ns()
    span = scope.spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, name="GET", kind=3, start_time_unix_nano=now - 5,
                           end_time_unix_nano=now - 1, flags=0x103)
    add(span.attributes, "a", "b")
    return request, group, scope, span


def post(sink, body, headers=AGENT, path="/v1/traces"):
    request = urllib.request.Request(sink.url + path, data=body, headers=headers, method="POST")
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).status


@pytest.fixture
def sink():
    with Sink() as sink:
        yield sink


def test_a_good_export_is_kept_without_a_word(sink):
    request, *_ = good()
    assert post(sink, request.SerializeToString()) == 200
    span, = sink.wait(1)
    assert not sink.sins
    assert (span.name, span.kind, span.status, span.attributes) == ("GET", "CLIENT", "UNSET", {"a": "b"})
    assert span.traceparent == f"00-{'01' * 16}-{'02' * 8}-03"


SINS = {
    "trace id of zeros": lambda r, g, sc, s: setattr(s, "trace_id", bytes(16)),
    "short trace id": lambda r, g, sc, s: setattr(s, "trace_id", b"\1" * 15),
    "no span id": lambda r, g, sc, s: setattr(s, "span_id", b""),
    "parent of zeros": lambda r, g, sc, s: setattr(s, "parent_span_id", bytes(8)),
    "end before start": lambda r, g, sc, s: setattr(s, "end_time_unix_nano", s.start_time_unix_nano - 1),
    "start in 1970": lambda r, g, sc, s: setattr(s, "start_time_unix_nano", 5),
    "no kind": lambda r, g, sc, s: setattr(s, "kind", 0),
    "no name": lambda r, g, sc, s: setattr(s, "name", ""),
    "status ok": lambda r, g, sc, s: setattr(s.status, "code", 1),
    "error without type": lambda r, g, sc, s: setattr(s.status, "code", 2),
    "type without error": lambda r, g, sc, s: add(s.attributes, "error.type", "500"),
    "key twice": lambda r, g, sc, s: add(s.attributes, "a", "c"),
    "internal key": lambda r, g, sc, s: add(s.attributes, "raw.target", "/"),
    "no value": lambda r, g, sc, s: s.attributes.add(key="k"),
    "not sampled": lambda r, g, sc, s: setattr(s, "flags", 0x100),
    "unknown flag": lambda r, g, sc, s: setattr(s, "flags", 0x501),
    "no spans": lambda r, g, sc, s: sc.ClearField("spans"),
    "no scopes": lambda r, g, sc, s: g.ClearField("scope_spans"),
    "nothing": lambda r, g, sc, s: r.ClearField("resource_spans"),
    "no resource": lambda r, g, sc, s: g.ClearField("resource"),
    "other schema": lambda r, g, sc, s: setattr(sc, "schema_url", "https://example.org/"),
}


@pytest.mark.parametrize("sin", SINS)
def test_a_sin_is_noted(sink, sin):
    request, *parts = good()
    SINS[sin](request, *parts)
    post(sink, request.SerializeToString())
    assert len(sink.sins) >= 1


@pytest.mark.parametrize("sin", ["unknown field", "bad utf-8", "cut", "type", "path", "user agent", "twice", "traced"])
def test_a_sin_of_the_wire_is_noted(sink, sin):
    request, _, _, span = good()
    headers, path = dict(AGENT), "/v1/traces"
    body = request.SerializeToString()
    if sin == "unknown field":
        body += b"\x98\x06\x01"
    elif sin == "bad utf-8":
        body = body.replace(b"GET", b"G\xffT")
    elif sin == "cut":
        body = body[:-3]
    elif sin == "type":
        headers["Content-Type"] = "application/json"
    elif sin == "path":
        path = "/v1/trace"
    elif sin == "user agent":
        headers["User-Agent"] = "curl/8"
    elif sin == "traced":
        headers["traceparent"] = span.trace_id.hex()
    elif sin == "twice":
        post(sink, body)
        assert not sink.sins
    post(sink, body, headers, path)
    assert sink.sins


def test_answers_are_given_in_order(sink):
    request, *_ = good()
    sink.answers += [Answer(503, {"Retry-After": "1"}), Answer(hangup=True)]
    with pytest.raises(urllib.error.HTTPError, match="503"):
        post(sink, request.SerializeToString())
    with pytest.raises(OSError):
        post(sink, request.SerializeToString())
    assert post(sink, request.SerializeToString()) == 200
    assert len(sink.spans) == 1 and len(sink.requests) == 3 and not sink.sins
