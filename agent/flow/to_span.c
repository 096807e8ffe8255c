/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/to_span.h"

#include <stddef.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/load.h"
#include "agent/config/config.h"
#include "agent/ring/home.h"

static void span_begin(struct span *span, const struct scope_decision *decision, enum span_shape shape)
{
        span->context = decision->context;
        memcpy(span->parent_id, decision->parent_id, sizeof(span->parent_id));
        span->parent_remote = decision->parent_remote;
        span->shared = false;
        span->kind = SPAN_CLIENT;
        span->status = SPAN_UNSET; /* the worker settles it from the facts */
        span->shape = (uint8_t)shape;
        span->attr_count = 0;
        if (config_now.parent_rule && decision->rung)
                span_add_str(span, SEMCONV_OTEL_PARENT_RULE, scope_rung_text(decision->rung));
}

/* Both ends from one reading of the wall clock: a step of it in between cannot turn the span around. */
static void set_times(struct span *span, uint64_t start_ns, uint64_t end_ns)
{
        span->start_ns = clock_wall_ns(start_ns);
        span->end_ns = span->start_ns + (end_ns > start_ns ? end_ns - start_ns : 0);
}

static void add_peer(struct span *span, const struct peer *peer)
{
        span_add_str(span, SEMCONV_RAW_NAME, slice_make(peer->name.p, peer->name_len));
        span_add_bytes(span, SEMCONV_RAW_PEER, slice_make(&peer->addr, peer->len));
}

/* Of a request's texts, in their order of importance. */
static const struct text_row {
        enum http1_text text;
        enum semconv key;
        bool shown;       /* not taken apart: may be cut to the room that there is */
        bool server_only; /* tells a server where a request comes from */
} text_rows[] = {
        {HTTP1_METHOD, SEMCONV_RAW_METHOD, false, false},
        {HTTP1_TARGET, SEMCONV_RAW_TARGET, true, false},
        {HTTP1_HOST, SEMCONV_RAW_HOST, false, false},
        {HTTP1_FORWARDED, SEMCONV_RAW_FORWARDED, false, true},
        {HTTP1_X_FORWARDED_FOR, SEMCONV_RAW_X_FORWARDED_FOR, false, true},
        {HTTP1_X_FORWARDED_PROTO, SEMCONV_RAW_X_FORWARDED_PROTO, false, true},
        {HTTP1_X_FORWARDED_HOST, SEMCONV_RAW_X_FORWARDED_HOST, false, true},
        {HTTP1_USER_AGENT, SEMCONV_USER_AGENT_ORIGINAL, true, false},
};

_Static_assert(LIMIT_HTTP_TARGET + LIMIT_RECORD_OTHER < LIMIT_RECORD, "a target leaves room");

/* As much of the texts as a record of @most bytes can hold: the target up to three quarters of it. */
static void add_texts(struct span *span, const struct exchange *exchange, bool server, size_t most)
{
        size_t room = most - LIMIT_RECORD_OTHER;

        for (const struct text_row *row = text_rows; row < text_rows + ARRAY_LEN(text_rows); row++) {
                struct slice text = row->text == HTTP1_TARGET ? exchange_target(exchange, room - room / 4)
                                                              : exchange_text(exchange, row->text);

                if ((row->server_only && !server) || (text.len > room && !row->shown))
                        continue;
                text = slice_to(text, room);
                span_add_str(span, row->key, text);
                room -= text.len;
        }
}

static void exchange_span(struct span *span, const struct conn *conn, const struct exchange *exchange,
                          size_t most)
{
        bool server = conn->role == CONN_SERVER;
        /* A client learns the version from the answer, a server is told it in the question. */
        enum span_shape shape = server ? SHAPE_HTTP_SERVER : SHAPE_HTTP_CLIENT;
        uint8_t minor = !server && exchange->status ? exchange->response_minor : exchange->minor;

        if (exchange->grpc)
                shape = server ? SHAPE_GRPC_SERVER : SHAPE_GRPC_CLIENT;
        span_begin(span, &exchange->decision, shape);
        if (server) {
                span->kind = SPAN_SERVER;
                span->shared = exchange->shared;
                span_add_bytes(span, SEMCONV_RAW_LOCAL, slice_make(&conn->local, conn->local_len));
        }
        add_texts(span, exchange, server, most);
        span_add_str(span, SEMCONV_RAW_SCHEME, exchange->https || conn->tls ? SLICE("https") : SLICE("http"));
        if (exchange->fcgi_id)
                span_add_str(span, SEMCONV_NETWORK_PROTOCOL_NAME, SLICE("fastcgi"));
        else if (exchange->stream)
                span_add_int(span, SEMCONV_RAW_HTTP_VERSION, 20);
        else
                span_add_int(span, SEMCONV_RAW_HTTP_VERSION, minor ? 11 : 10);
        add_peer(span, &conn->peer);
}

void to_span_dropped(struct exchange *exchange)
{
        int shown = atomic_exchange(&exchange->open_slot, OPEN_OVER);

        if (shown >= 0)
                home_open_clear(shown);
}

bool to_span_share(const struct exchange *exchange)
{
        int shown = atomic_load(&exchange->open_slot);

        if (shown >= 0)
                home_open_share(shown);
        return shown >= 0;
}

static inline void add_failure(struct span *span, const struct conn *conn,
                               const struct exchange_outcome *outcome)
{
        if (outcome->error && conn->tls_error)
                span_add_int(span, SEMCONV_RAW_TLS_ERROR, conn->tls_error);
        else if (outcome->error)
                span_add_int(span, SEMCONV_RAW_ERRNO, outcome->error);
        if (outcome->timed_out)
                span_add_str(span, SEMCONV_ERROR_TYPE, SLICE("timeout"));
}

static void add_tls(struct span *span, const struct conn *conn)
{
        const struct span_tls *tls = (const void *)conn->tls_facts.p;

        span_add_bytes(
                span, SEMCONV_RAW_TLS,
                slice_make(tls, offsetof(struct span_tls, text) + tls->cipher_len + tls->next_protocol_len));
}

void to_span_exchange(const struct conn *conn, struct exchange *exchange,
                      const struct exchange_outcome *outcome)
{
        struct span span;

        to_span_dropped(exchange);
        if (!exchange->head_done || !exchange->traced || !exchange->decision.sampled)
                return;
        exchange_span(&span, conn, exchange, LIMIT_RECORD);
        set_times(&span, exchange->start_ns, outcome->end_ns);
        if (exchange->status)
                span_add_int(&span, SEMCONV_HTTP_RESPONSE_STATUS_CODE, exchange->status);
        if (UNLIKELY(conn->tls_facts.p))
                add_tls(&span, conn);
        if (UNLIKELY(outcome->error || outcome->timed_out))
                add_failure(&span, conn, outcome);
        if (UNLIKELY(exchange->grpc_answered))
                span_add_int(&span, SEMCONV_RAW_GRPC_STATUS, exchange->grpc_status + 1ll);
        if (UNLIKELY(outcome->reset))
                span_add_int(&span, SEMCONV_RAW_RESET, outcome->reset_code + 1ll);
        if (outcome->unanswered)
                span_add_int(&span, SEMCONV_RAW_UNANSWERED, 1);
        else if (outcome->truncated)
                span_add_int(&span, SEMCONV_RAW_TRUNCATED, 1);
        if (outcome->incomplete)
                span_add_int(&span, SEMCONV_OTEL_INCOMPLETE, 1);
        home_span(&span, outcome->end_ns);
}

void to_span_open(const struct conn *conn, struct exchange *exchange)
{
        struct span span;
        int none = OPEN_NONE, slot;

        if (!exchange->traced || !exchange->decision.sampled ||
            atomic_load(&exchange->open_slot) != OPEN_NONE)
                return;
        exchange_span(&span, conn, exchange, LIMIT_OPEN_SPAN_SIZE);
        span.start_ns = clock_wall_ns(exchange->start_ns);
        span.end_ns = 0;
        slot = home_open(&span);
        /* The response may have been read by another thread meanwhile. */
        if (slot >= 0 && !atomic_compare_exchange_strong(&exchange->open_slot, &none, slot))
                home_open_clear(slot);
}

void to_span_connect(const struct conn *conn, const struct exchange_outcome *outcome)
{
        const struct peer *peer = &conn->peer;
        struct scope_decision decision;
        struct span span;

        scope_decide(&decision, &(struct cause_departure){.opening = NULL}, NULL);
        if (!decision.sampled)
                return;
        span_begin(&span, &decision, SHAPE_CONNECT);
        set_times(&span, conn->connect_start_ns, outcome->end_ns);
        add_peer(&span, peer);
        span_add_int(&span, SEMCONV_SERVER_PORT, peer_port(peer));
        span_add_str(&span, SEMCONV_NETWORK_TRANSPORT, SLICE("tcp"));
        if (peer->lookup)
                span_add_int(&span, SEMCONV_RAW_LOOKUP, peer->lookup);
        add_failure(&span, conn, outcome);
        home_span(&span, outcome->end_ns);
}

void to_span_lookup(struct slice name, int port, int eai, uint64_t start_ns, uint64_t end_ns)
{
        struct scope_decision decision;
        struct span span;

        scope_decide(&decision, &(struct cause_departure){.opening = NULL}, NULL);
        if (!decision.sampled)
                return;
        span_begin(&span, &decision, SHAPE_CONNECT);
        set_times(&span, start_ns, end_ns);
        span_add_str(&span, SEMCONV_RAW_NAME, name);
        if (port)
                span_add_int(&span, SEMCONV_SERVER_PORT, port);
        span_add_int(&span, SEMCONV_RAW_EAI, eai);
        home_span(&span, end_ns);
}

void to_span_superseded(uint32_t lookup, struct slice name, uint64_t now_ns)
{
        struct scope_decision decision;
        struct span span;

        scope_decide(&decision, &(struct cause_departure){.opening = NULL}, NULL);
        span_begin(&span, &decision, SHAPE_CONNECT_SUPERSEDED);
        set_times(&span, now_ns, now_ns);
        span_add_str(&span, SEMCONV_RAW_NAME, name);
        if (lookup)
                span_add_int(&span, SEMCONV_RAW_LOOKUP, lookup);
        home_span(&span, now_ns);
}
