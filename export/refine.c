/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine.h"

#include <stdlib.h>

#include "agent/base/load.h"
#include "export/refine_draft.h"
#include "export/refine_error.h"
#include "export/refine_grpc.h"
#include "export/refine_hold.h"
#include "export/refine_http.h"
#include "export/refine_process.h"
#include "export/refine_route.h"
#include "export/refine_server.h"
#include "export/refine_tls.h"

#define OTLP_FLAG_REMOTE_KNOWN 0x100u
#define OTLP_FLAG_REMOTE       0x200u

struct refine {
        struct refine_hold hold;
        struct refine_routes *routes; /* NULL: none */
        uint64_t lost;
};

/* What one call works with. */
struct refine_call {
        struct refine *refine;
        struct arena *arena;
        bool incomplete;
        uint64_t now_wall_ns;
        refine_emit_fn *emit;
        void *ctx;
};

/* Set-up of a connection, its failure, or a failed look-up. */
static void refine_connect(struct refine_draft *draft)
{
        struct slice name = refine_draft_str(draft, SEMCONV_RAW_NAME);
        struct slice transport = refine_draft_str(draft, SEMCONV_NETWORK_TRANSPORT);
        struct refine_peer peer = refine_draft_peer(draft, SEMCONV_RAW_PEER);
        int64_t port = refine_draft_int(draft, SEMCONV_SERVER_PORT);

        draft->out.name = refine_draft_copy(draft, SLICE("connect"));
        refine_draft_add_str(draft, SEMCONV_SERVER_ADDRESS, name.len ? name : slice_str(peer.address));
        if (port < 1 || port > 65535)
                port = peer.port;
        if (port)
                refine_draft_add_int(draft, SEMCONV_SERVER_PORT, port);
        refine_draft_add_peer(draft, &peer);
        /* A look-up that failed never came to a transport. */
        if (!transport.len && peer.address[0])
                transport = SLICE("tcp");
        refine_draft_add_str(draft, SEMCONV_NETWORK_TRANSPORT, transport);
}

static const struct {
        enum span_shape shape;
        enum span_kind kind;
        void (*make)(struct refine_draft *draft);
} shapes[] = {
        {SHAPE_HTTP_CLIENT, SPAN_CLIENT, refine_http_socket},
        {SHAPE_CURL_CLIENT, SPAN_CLIENT, refine_http_curl},
        {SHAPE_CONNECT, SPAN_CLIENT, refine_connect},
        {SHAPE_HTTP_SERVER, SPAN_SERVER, refine_server},
        {SHAPE_GRPC_CLIENT, SPAN_CLIENT, refine_grpc},
        {SHAPE_GRPC_SERVER, SPAN_SERVER, refine_grpc},
        {SHAPE_PROCESS, SPAN_INTERNAL, refine_process},
};

static bool make_shape(struct refine_draft *draft)
{
        for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
                if (shapes[i].shape == draft->raw->shape) {
                        draft->out.kind = (uint8_t)shapes[i].kind;
                        shapes[i].make(draft);
                        return true;
                }
        return false;
}

static struct slice printable_tracestate(struct slice tracestate)
{
        if (tracestate.len > LIMIT_TRACESTATE)
                return SLICE_NULL;
        for (size_t i = 0; i < tracestate.len; i++)
                if (tracestate.p[i] < ' ' || tracestate.p[i] > '~')
                        return SLICE_NULL;
        return tracestate;
}

static void make_identity(struct refine_draft *draft)
{
        const struct span *raw = draft->raw;
        struct out_span *out = &draft->out;

        memcpy(out->trace_id, raw->context.trace_id, sizeof(out->trace_id));
        memcpy(out->span_id, raw->context.span_id, sizeof(out->span_id));
        memcpy(out->parent_id, raw->parent_id, sizeof(out->parent_id));
        out->has_parent = span_id_valid(raw->parent_id);
        out->flags = raw->context.flags | OTLP_FLAG_REMOTE_KNOWN;
        if (out->has_parent && raw->parent_remote)
                out->flags |= OTLP_FLAG_REMOTE;
        out->tracestate = refine_draft_copy(draft, printable_tracestate(raw->context.tracestate));
        out->status = SPAN_UNSET;
}

static void make_times(struct refine_draft *draft, const struct refine_call *call)
{
        struct out_span *out = &draft->out;

        out->start_ns = draft->raw->start_ns;
        out->end_ns = call->incomplete ? call->now_wall_ns : draft->raw->end_ns;
        if (out->end_ns < out->start_ns)
                out->end_ns = out->start_ns;
}

static bool make_attrs(struct refine_draft *draft)
{
        struct out_attr *attrs = arena_alloc(draft->arena, draft->attr_count * sizeof(*attrs));

        if (!attrs)
                return false;
        memcpy(attrs, draft->attrs, draft->attr_count * sizeof(*attrs));
        draft->out.attrs = attrs;
        draft->out.attr_count = draft->attr_count;
        return true;
}

/* What the agent says of its own work. */
static void add_notes(struct refine_draft *draft, bool incomplete)
{
        if (incomplete || refine_draft_int(draft, SEMCONV_OTEL_INCOMPLETE))
                refine_draft_add_bool(draft, SEMCONV_OTEL_INCOMPLETE, true);
        refine_draft_add_str(draft, SEMCONV_OTEL_PARENT_RULE,
                             refine_draft_str(draft, SEMCONV_OTEL_PARENT_RULE));
}

/* A span that is final. */
static void finish(const struct refine_call *call, const struct span *raw)
{
        struct refine_draft draft = {.arena = call->arena, .raw = raw, .routes = call->refine->routes};

        if (!trace_context_valid(&raw->context) || !make_shape(&draft))
                return;
        make_identity(&draft);
        make_times(&draft, call);
        refine_error(&draft);
        refine_tls(&draft);
        add_notes(&draft, call->incomplete);
        if (draft.failed || !make_attrs(&draft)) {
                call->refine->lost++;
                return;
        }
        call->emit(call->ctx, &draft.out);
}

static void finish_released(void *ctx, const struct span *raw)
{
        finish(ctx, raw);
}

struct refine *refine_new(void)
{
        return calloc(1, sizeof(struct refine));
}

struct refine *refine_free(struct refine *refine)
{
        if (refine) {
                refine_hold_done(&refine->hold);
                refine_routes_free(refine->routes);
        }
        free(refine);
        return NULL;
}

void refine_set_routes(struct refine *refine, struct slice patterns)
{
        refine_routes_free(refine->routes);
        refine->routes = refine_routes_new(patterns);
}

void refine_span(struct refine *refine, struct arena *arena, const struct span *raw, bool incomplete,
                 uint64_t now_wall_ns, refine_emit_fn *emit, void *ctx)
{
        struct refine_call held = {.refine = refine, .arena = arena, .emit = emit, .ctx = ctx};
        struct refine_call call = held;

        if (raw->shape == SHAPE_CONNECT_SUPERSEDED) {
                refine_hold_drop(&refine->hold, raw);
                return;
        }
        if (raw->shape == SHAPE_CONNECT && !incomplete &&
            refine_hold_take(&refine->hold, raw, finish_released, &held))
                return;
        call.incomplete = incomplete;
        call.now_wall_ns = now_wall_ns;
        finish(&call, raw);
}

void refine_release(struct refine *refine, struct arena *arena, uint64_t older_than_ns, refine_emit_fn *emit,
                    void *ctx)
{
        struct refine_call call = {.refine = refine, .arena = arena, .emit = emit, .ctx = ctx};

        refine_hold_release(&refine->hold, older_than_ns, finish_released, &call);
}

bool refine_holds(const struct refine *refine)
{
        return refine->hold.count > 0;
}

uint64_t refine_lost(const struct refine *refine)
{
        return refine->lost;
}
