#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Decodes what otlp-sample writes with another implementation of protobuf and the standard's own field numbers."""
import struct
import subprocess
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

F = descriptor_pb2.FieldDescriptorProto
TYPES = {"string": F.TYPE_STRING, "bytes": F.TYPE_BYTES, "bool": F.TYPE_BOOL, "int64": F.TYPE_INT64,
         "double": F.TYPE_DOUBLE, "uint32": F.TYPE_UINT32, "fixed32": F.TYPE_FIXED32, "fixed64": F.TYPE_FIXED64,
         "enum": F.TYPE_INT32}

# message: field -> (number, type); a type in brackets is repeated, one with a capital is a message
SCHEMA = {
    "AnyValue": {"string_value": (1, "string"), "bool_value": (2, "bool"), "int_value": (3, "int64"),
                 "double_value": (4, "double"), "array_value": (5, "ArrayValue"), "bytes_value": (7, "bytes")},
    "ArrayValue": {"values": (1, "[AnyValue]")},
    "KeyValue": {"key": (1, "string"), "value": (2, "AnyValue")},
    "InstrumentationScope": {"name": (1, "string"), "version": (2, "string"), "attributes": (3, "[KeyValue]"),
                             "dropped_attributes_count": (4, "uint32")},
    "Resource": {"attributes": (1, "[KeyValue]"), "dropped_attributes_count": (2, "uint32")},
    "Status": {"message": (2, "string"), "code": (3, "enum")},
    "Event": {"time_unix_nano": (1, "fixed64"), "name": (2, "string"), "attributes": (3, "[KeyValue]")},
    "Link": {"trace_id": (1, "bytes"), "span_id": (2, "bytes"), "attributes": (4, "[KeyValue]")},
    "Span": {"trace_id": (1, "bytes"), "span_id": (2, "bytes"), "trace_state": (3, "string"),
             "parent_span_id": (4, "bytes"), "name": (5, "string"), "kind": (6, "enum"),
             "start_time_unix_nano": (7, "fixed64"), "end_time_unix_nano": (8, "fixed64"),
             "attributes": (9, "[KeyValue]"), "dropped_attributes_count": (10, "uint32"), "events": (11, "[Event]"),
             "dropped_events_count": (12, "uint32"), "links": (13, "[Link]"), "dropped_links_count": (14, "uint32"),
             "status": (15, "Status"), "flags": (16, "fixed32")},
    "ScopeSpans": {"scope": (1, "InstrumentationScope"), "spans": (2, "[Span]"), "schema_url": (3, "string")},
    "ResourceSpans": {"resource": (1, "Resource"), "scope_spans": (2, "[ScopeSpans]"), "schema_url": (3, "string")},
    "Request": {"resource_spans": (1, "[ResourceSpans]")},
}


def request_class():
    file = descriptor_pb2.FileDescriptorProto(name="otlp-check", package="check", syntax="proto2")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = F.LABEL_REPEATED if kind[0] == "[" else F.LABEL_OPTIONAL
            kind = kind.strip("[]")
            proto = message.field.add(name=field, number=number, label=label)
            if kind in TYPES:
                proto.type = TYPES[kind]
            else:
                proto.type = F.TYPE_MESSAGE
                proto.type_name = ".check." + kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("check.Request"))


def no_unknown(message):
    assert len(message.UnknownFields()) == 0, type(message)
    for field, value in message.ListFields():
        for item in value if field.label == F.LABEL_REPEATED else [value]:
            if field.type == F.TYPE_MESSAGE:
                no_unknown(item)
            if field.type == F.TYPE_STRING and isinstance(item, bytes):
                item.decode("utf-8")


def attributes(pairs):
    found = {}
    for pair in pairs:
        assert pair.key and pair.key not in found, pair.key
        (field, value), = pair.value.ListFields()  # exactly one kind of value
        found[pair.key] = value
    return found


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def wire_fields(data):
    """The bare wire format, so that not even two protobuf libraries can agree on the same mistake."""
    at, found = 0, {}
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = struct.unpack_from("<Q", data, at)[0], at + 8
        elif kind == 5:
            value, at = struct.unpack_from("<I", data, at)[0], at + 4
        else:
            assert kind == 2, kind
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            assert len(value) == size
        found.setdefault(tag >> 3, []).append((kind, value))
    return found


def check_wire(data):
    group = wire_fields(wire_fields(data)[1][0][1])
    span = wire_fields(wire_fields(group[2][0][1])[2][0][1])
    assert span[1] == [(2, b"\x11" * 16)] and span[2] == [(2, b"\x22" * 8)] and span[4] == [(2, b"\x33" * 8)]
    assert span[7] == [(1, 1000000000000)] and span[8] == [(1, 1000005000000)]
    assert span[16] == [(5, 0x303)] and span[6] == [(0, 3)]
    assert 15 not in span, "no status where all went well"


def check_good(group):
    span, = group.scope_spans[0].spans
    assert span.name == "GET" and span.kind == 3 and span.trace_state == "vendor=1"
    assert attributes(span.attributes) == {
        "http.request.method": "GET", "url.full": "http://127.0.0.1:8080/items?sig=REDACTED&n=1",
        "server.address": "127.0.0.1", "server.port": 8080, "network.peer.address": "127.0.0.1",
        "network.peer.port": 8080, "network.protocol.version": "1.1", "user_agent.original": "agent \ufffd\ufffd",
        "http.response.status_code": 200}
    resource = attributes(group.resource.attributes)
    assert resource["service.name"] == "unknown_service:curl" and resource["process.pid"] == 11
    assert resource["empty"] == "" and resource["a"] == "\u00e4"


def check_failed(group):
    curl, connect = group.scope_spans[0].spans
    assert attributes(group.resource.attributes)["service.name"] == "billing"
    assert not curl.HasField("parent_span_id") and curl.flags == 0x101
    assert curl.name == "HTTP" and curl.status.code == 2 and not curl.status.HasField("message")
    assert attributes(curl.attributes) == {
        "http.request.method": "_OTHER", "http.request.method_original": "BREW",
        "url.full": "https://REDACTED:REDACTED@example.com/", "server.address": "example.com", "server.port": 443,
        "error.type": "CURLE_COULDNT_CONNECT"}
    assert connect.name == "connect" and connect.end_time_unix_nano == connect.start_time_unix_nano + 1
    assert attributes(connect.attributes) == {
        "server.address": "db.local", "server.port": 5432, "network.peer.address": "::1", "network.peer.port": 5432,
        "network.transport": "tcp", "error.type": "ECONNREFUSED", "otel.instrument.incomplete": True}


def main():
    data = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE).stdout
    request = request_class().FromString(data)
    no_unknown(request)
    good, failed = request.resource_spans
    for group in (good, failed):
        assert group.schema_url == "https://opentelemetry.io/schemas/1.44.0"
        scope_spans, = group.scope_spans
        assert scope_spans.schema_url == group.schema_url
        assert scope_spans.scope.name == "otel-instrument" and scope_spans.scope.version
    check_wire(data)
    check_good(good)
    check_failed(failed)


if __name__ == "__main__":
    main()
