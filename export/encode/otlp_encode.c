/* SPDX-License-Identifier: Apache-2.0 */
#include "export/encode/otlp_encode.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "otlp.pb-c.h"

#define SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"
#define SCOPE_NAME "otel-instrument"

/* The messages as C structures take more room than as bytes, about four times for short texts. */
#define ENCODE_ARENA_MAX ((size_t)LIMIT_REQUEST * 4)

/* A structure with the pointer that protobuf-c wants to it, and what hangs on it. */
struct encode_attr {
        Opentelemetry__Proto__KeyValue pair;
        Opentelemetry__Proto__AnyValue value;
};

struct encode_span {
        Opentelemetry__Proto__Span span;
        Opentelemetry__Proto__Status status;
};

struct encode_resource {
        Opentelemetry__Proto__ResourceSpans spans;
        Opentelemetry__Proto__Resource resource;
        Opentelemetry__Proto__ScopeSpans scope_spans, *scope_spans_list[1];
        Opentelemetry__Proto__InstrumentationScope scope;
};

/*
 * protobuf-c has no const; it does not write to what it packs. Its own empty string would mean "not set"
 * where an attribute's empty text is meant.
 */
static char *text_of(struct slice text)
{
        return text.p ? (char *)(uintptr_t)text.p : (char *)(uintptr_t) "";
}

static ProtobufCBinaryData bytes_of(const uint8_t *bytes, size_t len)
{
        return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)(uintptr_t)bytes};
}

static void fill_value(Opentelemetry__Proto__AnyValue *value, const struct out_attr *attr)
{
        opentelemetry__proto__any_value__init(value);
        switch (attr->type) {
        case ATTR_INT:
                value->value_case = OPENTELEMETRY__PROTO__ANY_VALUE__VALUE_INT_VALUE;
                value->int_value = attr->num;
                break;
        case ATTR_BOOL:
                value->value_case = OPENTELEMETRY__PROTO__ANY_VALUE__VALUE_BOOL_VALUE;
                value->bool_value = attr->num != 0;
                break;
        default:
                value->value_case = OPENTELEMETRY__PROTO__ANY_VALUE__VALUE_STRING_VALUE;
                value->string_value = text_of(attr->str);
        }
}

static Opentelemetry__Proto__KeyValue **make_attrs(struct arena *arena, const struct out_attr *attrs,
                                                   size_t count)
{
        Opentelemetry__Proto__KeyValue **list = arena_alloc(arena, count * sizeof(*list));
        struct encode_attr *cells = arena_alloc(arena, count * sizeof(*cells));

        if (!list || !cells)
                return NULL;
        for (size_t i = 0; i < count; i++) {
                opentelemetry__proto__key_value__init(&cells[i].pair);
                fill_value(&cells[i].value, &attrs[i]);
                cells[i].pair.key = (char *)(uintptr_t)attrs[i].key;
                cells[i].pair.value = &cells[i].value;
                list[i] = &cells[i].pair;
        }
        return list;
}

static bool fill_span(struct arena *arena, struct encode_span *cell, const struct out_span *out)
{
        Opentelemetry__Proto__Span *span = &cell->span;

        opentelemetry__proto__span__init(span);
        span->trace_id = bytes_of(out->trace_id, sizeof(out->trace_id));
        span->span_id = bytes_of(out->span_id, sizeof(out->span_id));
        if (out->has_parent)
                span->parent_span_id = bytes_of(out->parent_id, sizeof(out->parent_id));
        span->trace_state = text_of(out->tracestate);
        span->name = text_of(out->name);
        span->kind = (Opentelemetry__Proto__Span__SpanKind)out->kind;
        span->start_time_unix_nano = out->start_ns;
        span->end_time_unix_nano = out->end_ns;
        span->flags = out->flags;
        if (out->status != SPAN_UNSET) {
                opentelemetry__proto__status__init(&cell->status);
                cell->status.code = (Opentelemetry__Proto__Status__StatusCode)out->status;
                span->status = &cell->status;
        }
        span->n_attributes = out->attr_count;
        span->attributes = make_attrs(arena, out->attrs, out->attr_count);
        return span->attributes != NULL;
}

static bool fill_spans(struct arena *arena, Opentelemetry__Proto__ScopeSpans *scope,
                       const struct encode_group *group)
{
        struct encode_span *cells = arena_alloc(arena, group->span_count * sizeof(*cells));

        scope->n_spans = group->span_count;
        scope->spans = arena_alloc(arena, group->span_count * sizeof(*scope->spans));
        if (!cells || !scope->spans)
                return false;
        for (size_t i = 0; i < group->span_count; i++) {
                if (!fill_span(arena, &cells[i], &group->spans[i]))
                        return false;
                scope->spans[i] = &cells[i].span;
        }
        return true;
}

static Opentelemetry__Proto__ResourceSpans *make_group(struct arena *arena, const struct encode_group *group)
{
        struct encode_resource *cell = arena_alloc(arena, sizeof(*cell));

        if (!cell)
                return NULL;
        opentelemetry__proto__resource_spans__init(&cell->spans);
        opentelemetry__proto__resource__init(&cell->resource);
        opentelemetry__proto__scope_spans__init(&cell->scope_spans);
        opentelemetry__proto__instrumentation_scope__init(&cell->scope);
        cell->spans.resource = &cell->resource;
        cell->spans.n_scope_spans = 1;
        cell->spans.scope_spans = cell->scope_spans_list;
        cell->spans.schema_url = (char *)(uintptr_t)SCHEMA_URL;
        cell->scope_spans_list[0] = &cell->scope_spans;
        cell->scope_spans.scope = &cell->scope;
        cell->scope_spans.schema_url = (char *)(uintptr_t)SCHEMA_URL;
        cell->scope.name = (char *)(uintptr_t)SCOPE_NAME;
        cell->scope.version = (char *)(uintptr_t)OTEL_INSTRUMENT_VERSION;
        cell->resource.n_attributes = group->resource->attr_count;
        cell->resource.attributes = make_attrs(arena, group->resource->attrs, group->resource->attr_count);
        if (!cell->resource.attributes || !fill_spans(arena, &cell->scope_spans, group))
                return NULL;
        return &cell->spans;
}

static int pack(const Opentelemetry__Proto__ExportTraceServiceRequest *request, uint8_t **ret_bytes,
                size_t *ret_len)
{
        size_t len = opentelemetry__proto__export_trace_service_request__get_packed_size(request);
        uint8_t *bytes;

        if (len > LIMIT_REQUEST)
                return -E2BIG;
        bytes = malloc(len);
        if (!bytes)
                return -ENOMEM;
        *ret_len = opentelemetry__proto__export_trace_service_request__pack(request, bytes);
        *ret_bytes = bytes;
        return 0;
}

static int encode(struct arena *arena, const struct encode_group *groups, size_t group_count,
                  uint8_t **ret_bytes, size_t *ret_len)
{
        Opentelemetry__Proto__ExportTraceServiceRequest request =
                OPENTELEMETRY__PROTO__EXPORT_TRACE_SERVICE_REQUEST__INIT;
        Opentelemetry__Proto__ResourceSpans **list = arena_alloc(arena, group_count * sizeof(*list));

        if (!list)
                return -ENOMEM;
        request.resource_spans = list;
        for (size_t i = 0; i < group_count; i++) {
                if (!groups[i].span_count)
                        continue;
                list[request.n_resource_spans] = make_group(arena, &groups[i]);
                if (!list[request.n_resource_spans])
                        return -ENOMEM;
                request.n_resource_spans++;
        }
        return request.n_resource_spans ? pack(&request, ret_bytes, ret_len) : -ENODATA;
}

int otlp_encode_traces(const struct encode_group *groups, size_t group_count, uint8_t **ret_bytes,
                       size_t *ret_len)
{
        struct arena arena = {.max = ENCODE_ARENA_MAX};
        int r = encode(&arena, groups, group_count, ret_bytes, ret_len);

        arena_done(&arena);
        return r;
}
