# SPDX-License-Identifier: Apache-2.0
"""OTLP trace messages for Debian's python3-protobuf: official package, field names and numbers, written down here once
more and apart from what the exporter encodes with, so that one typing error cannot hide in both."""
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

F = descriptor_pb2.FieldDescriptorProto
BASE = "opentelemetry.proto."
COMMON, RESOURCE, TRACE = BASE + "common.v1", BASE + "resource.v1", BASE + "trace.v1"
COLLECTOR = BASE + "collector.trace.v1"

STRING, BYTES, BOOL, DOUBLE = F.TYPE_STRING, F.TYPE_BYTES, F.TYPE_BOOL, F.TYPE_DOUBLE
INT32, INT64, UINT32 = F.TYPE_INT32, F.TYPE_INT64, F.TYPE_UINT32
FIXED32, FIXED64, ENUM = F.TYPE_FIXED32, F.TYPE_FIXED64, F.TYPE_INT32  # an enum is a varint; its range is checked elsewhere


def many(what):
    return ("many", what)


# Message: {field: (number, type or message name, or many(...))}; a name ending in '*' is the oneof's member.
MESSAGES = {
    COMMON: {
        "AnyValue": {"string_value*": (1, STRING), "bool_value*": (2, BOOL), "int_value*": (3, INT64),
                     "double_value*": (4, DOUBLE), "array_value*": (5, "ArrayValue"),
                     "kvlist_value*": (6, "KeyValueList"), "bytes_value*": (7, BYTES)},
        "ArrayValue": {"values": (1, many("AnyValue"))},
        "KeyValueList": {"values": (1, many("KeyValue"))},
        "KeyValue": {"key": (1, STRING), "value": (2, "AnyValue")},
        "InstrumentationScope": {"name": (1, STRING), "version": (2, STRING), "attributes": (3, many("KeyValue")),
                                 "dropped_attributes_count": (4, UINT32)},
    },
    RESOURCE: {
        "Resource": {"attributes": (1, many(COMMON + ".KeyValue")), "dropped_attributes_count": (2, UINT32)},
    },
    TRACE: {
        "ResourceSpans": {"resource": (1, RESOURCE + ".Resource"), "scope_spans": (2, many("ScopeSpans")),
                          "schema_url": (3, STRING)},
        "ScopeSpans": {"scope": (1, COMMON + ".InstrumentationScope"), "spans": (2, many("Span")),
                       "schema_url": (3, STRING)},
        "Span": {"trace_id": (1, BYTES), "span_id": (2, BYTES), "trace_state": (3, STRING), "parent_span_id": (4, BYTES),
                 "name": (5, STRING), "kind": (6, ENUM), "start_time_unix_nano": (7, FIXED64),
                 "end_time_unix_nano": (8, FIXED64), "attributes": (9, many(COMMON + ".KeyValue")),
                 "dropped_attributes_count": (10, UINT32), "events": (11, many("Event")),
                 "dropped_events_count": (12, UINT32), "links": (13, many("Link")),
                 "dropped_links_count": (14, UINT32), "status": (15, "Status"), "flags": (16, FIXED32)},
        "Event": {"time_unix_nano": (1, FIXED64), "name": (2, STRING), "attributes": (3, many(COMMON + ".KeyValue")),
                  "dropped_attributes_count": (4, UINT32)},
        "Link": {"trace_id": (1, BYTES), "span_id": (2, BYTES), "trace_state": (3, STRING),
                 "attributes": (4, many(COMMON + ".KeyValue")), "dropped_attributes_count": (5, UINT32),
                 "flags": (6, FIXED32)},
        "Status": {"message": (2, STRING), "code": (3, ENUM)},
    },
    COLLECTOR: {
        "ExportTraceServiceRequest": {"resource_spans": (1, many(TRACE + ".ResourceSpans"))},
        "ExportTraceServiceResponse": {"partial_success": (1, "ExportTracePartialSuccess")},
        "ExportTracePartialSuccess": {"rejected_spans": (1, INT64), "error_message": (2, STRING)},
    },
}


def add_field(message, package, name, number, kind):
    repeated = isinstance(kind, tuple)
    kind = kind[1] if repeated else kind
    field = message.field.add(name=name.rstrip("*"), number=number,
                              label=F.LABEL_REPEATED if repeated else F.LABEL_OPTIONAL)
    if name.endswith("*"):
        field.oneof_index = 0
        if not message.oneof_decl:
            message.oneof_decl.add(name="value")
    if isinstance(kind, str):
        field.type = F.TYPE_MESSAGE
        field.type_name = "." + (kind if "." in kind else f"{package}.{kind}")
    else:
        field.type = kind


def build_pool():
    pool = descriptor_pool.DescriptorPool()
    earlier = []
    for package, messages in MESSAGES.items():
        file = descriptor_pb2.FileDescriptorProto(name=package + ".proto", package=package, syntax="proto3",
                                                  dependency=earlier)
        for message_name, fields in messages.items():
            message = file.message_type.add(name=message_name)
            for name, (number, kind) in fields.items():
                add_field(message, package, name, number, kind)
        pool.Add(file)
        earlier.append(file.name)
    return pool


_POOL = build_pool()
_FACTORY = message_factory.MessageFactory(_POOL)


def message_class(name):
    return _FACTORY.GetPrototype(_POOL.FindMessageTypeByName(name))


ExportRequest = message_class(COLLECTOR + ".ExportTraceServiceRequest")
ExportResponse = message_class(COLLECTOR + ".ExportTraceServiceResponse")


def unknown_fields(message, where=""):
    """Names the messages that hold fields which OTLP does not have."""
    found = [f"{where or 'request'}: field {unknown.field_number}" for unknown in message.UnknownFields()]
    for field, value in message.ListFields():
        if field.type != F.TYPE_MESSAGE:
            continue
        for part in value if field.label == F.LABEL_REPEATED else [value]:
            found += unknown_fields(part, f"{where}.{field.name}")
    return found
