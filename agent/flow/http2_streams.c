/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 connections: their memory, the streams that are open, and the settings that each side tells the
 * other. */
#include <stddef.h>
#include <string.h>

#include "agent/base/load.h"
#include "agent/base/slab.h"
#include "agent/flow/http2_flow.h"

#define PER_CHUNK 1

SLAB_DEFINE(static, slab, sizeof(struct http2_flow), PER_CHUNK, LIMIT_HTTP2_CONNECTIONS);

static struct http2_flow *flow_new(void)
{
        uint32_t index;
        struct http2_flow *flow = slab_alloc(&slab, &index);

        if (!flow) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                return NULL;
        }
        memset(&flow->upgraded, 0,
               offsetof(struct http2_flow, memory_out) - offsetof(struct http2_flow, upgraded));
        atomic_store_explicit(&flow->rules_out.frame_max, HTTP2_FRAME_MIN, memory_order_relaxed);
        atomic_store_explicit(&flow->rules_in.frame_max, HTTP2_FRAME_MIN, memory_order_relaxed);
        flow->index = index;
        return flow;
}

void http2_flow_free(struct http2_flow *flow)
{
        if (flow)
                slab_free(&slab, flow->index);
}

bool http2_flow_ready(struct conn *conn, struct direction *direction)
{
        bool out = direction == &conn->out, asks = out == (conn->role == CONN_CLIENT);
        struct http2_flow *flow = conn->http2;

        if (LIKELY(direction->http2 != NULL))
                return true;
        if (asks && direction_http1_busy(direction))
                return false; /* a request that has not ended is none of HTTP/2 */
        return conn_becomes_http2(direction) &&
               http2_init(direction->http2, asks ? HTTP2_CLIENT : HTTP2_SERVER,
                          out ? &flow->memory_out : &flow->memory_in) &&
               (!flow->upgraded || http2_go_on(direction->http2, &flow->hello));
}

bool http2_flow_begin(struct conn *conn)
{
        struct http2_flow *flow = conn->http2 ? NULL : flow_new(), *none = NULL;

        /* Both directions may find it out at the same time. */
        if (flow && !__atomic_compare_exchange_n(&conn->http2, &none, flow, false, __ATOMIC_ACQ_REL,
                                                 __ATOMIC_ACQUIRE))
                http2_flow_free(flow);
        return conn->http2;
}

/* None of its bytes is one of a request. Return: false when somebody has answered it. */
static bool take_back(struct conn *conn)
{
        struct exchange *exchange = conn->sending;

        if (!exchange)
                return true;
        if (!conn_queue_withdraw(conn, exchange))
                return false;
        conn->sending = NULL;
        exchange_drop(exchange);
        exchange_drop(exchange);
        return true;
}

void http2_flow_reconsider(struct conn *conn, struct direction *direction, struct slice bytes)
{
        static const struct http2_sink nobody = {.ctx = NULL};
        struct slice begun = direction->http1 ? http1_begun(direction->http1) : SLICE("");
        uint32_t http1 = CONN_HTTP1;
        char first[HTTP2_PREFACE_LEN];

        if (begun.len + bytes.len < HTTP2_PREFACE_SURE)
                return;
        conn->maybe_http2 = false;
        if (begun.len >= HTTP2_PREFACE_SURE)
                return;
        bytes = slice_to(bytes, sizeof(first) - begun.len);
        memcpy(first, begun.p, begun.len);
        memcpy(first + begun.len, bytes.p, bytes.len);
        if (http2_guess(slice_make(first, begun.len + bytes.len), HTTP2_CLIENT) == PROTO_NO ||
            !take_back(conn))
                return;
        if (direction->http1)
                http1_init(direction->http1, HTTP1_REQUESTS);
        if (!http2_flow_begin(conn) || !http2_flow_ready(conn, direction))
                return; /* HTTP/1 cannot read on either */
        (void)http2_feed(direction->http2, slice_make(first, begun.len), &nobody);
        (void)atomic_compare_exchange_strong(&conn->phase, &http1, CONN_HTTP2);
}

/* Did it ask for it, as the only request that waits, whole, and nobody else's to tell? */
static bool may_upgrade(const struct conn *conn, const struct exchange *exchange,
                        struct http2_hello *ret_hello)
{
        uint32_t waiting = atomic_load(&conn->queue_tail) - atomic_load(&conn->queue_head);
        const struct http1_span *settings = &exchange->text_at[HTTP1_HTTP2_SETTINGS];

        return !conn->http2 && !conn->fcgi && waiting == 1 && exchange->head_done && exchange->request_done &&
               !exchange->shared && !exchange->handoff && settings->present && !settings->cut &&
               http2_hello_read(exchange_text(exchange, HTTP1_HTTP2_SETTINGS), ret_hello);
}

bool http2_flow_upgrade(struct conn *conn)
{
        struct exchange *exchange = conn_queue_first(conn);
        struct http2_hello hello;
        struct http2_flow *flow;
        uint32_t http1 = CONN_HTTP1;

        if (!may_upgrade(conn, exchange, &hello) || !(flow = flow_new()))
                return false;
        flow->upgraded = true;
        flow->hello = hello;
        exchange->stream = HTTP2_UPGRADED;
        (void)http2_flow_put(flow, exchange);
        __atomic_store_n(&conn->http2, flow, __ATOMIC_RELEASE);
        conn_queue_leave(conn);
        (void)atomic_compare_exchange_strong(&conn->phase, &http1, CONN_HTTP2);
        return true;
}

/* --- open streams --- */

/* A word for each: stream << 32, whether it was given up, and with which code, the index of its exchange + 1.
 */
#define GIVEN_UP   (1ull << 31)
#define CODE_SHIFT 20
#define CODE_MAX   0xffu
#define INDEX_MASK 0xfffffull

_Static_assert(LIMIT_EXCHANGES < INDEX_MASK, "an index must fit");

static uint64_t entry_of(const struct exchange *exchange)
{
        return (uint64_t)exchange->stream << 32 | (exchange->index + 1);
}

static struct exchange *exchange_of(uint64_t entry)
{
        return exchange_at((uint32_t)(entry & INDEX_MASK) - 1);
}

/* Streams of one side have every other number: as many of them as there are places never meet. */
static _Atomic uint64_t *place_of(struct http2_flow *flow, uint32_t stream, uint32_t step)
{
        return &flow->open[(stream / 2 + step) % LIMIT_HTTP2_STREAMS];
}

/* The stream's place, and *ret_entry what stands there; NULL: it is not open. */
static _Atomic uint64_t *find_place(struct http2_flow *flow, uint32_t stream, uint64_t *ret_entry)
{
        for (uint32_t step = 0; step < LIMIT_HTTP2_STREAMS; step++) {
                _Atomic uint64_t *place = place_of(flow, stream, step);

                *ret_entry = atomic_load_explicit(place, memory_order_acquire);
                if (*ret_entry && *ret_entry >> 32 == stream)
                        return place;
        }
        return NULL;
}

bool http2_flow_put(struct http2_flow *flow, struct exchange *exchange)
{
        for (uint32_t step = 0; step < LIMIT_HTTP2_STREAMS; step++) {
                uint64_t none = 0;

                if (atomic_compare_exchange_strong_explicit(place_of(flow, exchange->stream, step), &none,
                                                            entry_of(exchange), memory_order_acq_rel,
                                                            memory_order_relaxed))
                        return true;
        }
        return false;
}

struct exchange *http2_flow_find(struct http2_flow *flow, uint32_t stream)
{
        uint64_t entry;

        return find_place(flow, stream, &entry) ? exchange_of(entry) : NULL;
}

bool http2_flow_take(struct http2_flow *flow, const struct exchange *exchange)
{
        uint64_t entry;
        _Atomic uint64_t *place;

        /* Again where it was given up meanwhile. */
        while ((place = find_place(flow, exchange->stream, &entry)) && exchange_of(entry) == exchange)
                if (atomic_compare_exchange_strong(place, &entry, 0))
                        return true;
        return false;
}

struct exchange *http2_flow_next(struct http2_flow *flow, uint32_t *at)
{
        while (*at < LIMIT_HTTP2_STREAMS) {
                uint64_t entry = atomic_load_explicit(&flow->open[(*at)++], memory_order_acquire);

                if (entry)
                        return exchange_of(entry);
        }
        return NULL;
}

void http2_flow_give_up(struct http2_flow *flow, uint32_t stream, uint32_t code)
{
        uint64_t entry;
        _Atomic uint64_t *place = find_place(flow, stream, &entry);

        if (place && atomic_compare_exchange_strong(place, &entry,
                                                    (entry & ~(GIVEN_UP - INDEX_MASK - 1)) | GIVEN_UP |
                                                            (uint64_t)MIN(code, CODE_MAX) << CODE_SHIFT))
                atomic_fetch_add(&flow->given_up, 1);
}

bool http2_flow_is_given_up(struct http2_flow *flow, const struct exchange *exchange, uint32_t *ret_code)
{
        uint64_t entry;

        if (!find_place(flow, exchange->stream, &entry) || !(entry & GIVEN_UP))
                return false;
        *ret_code = (uint32_t)(entry >> CODE_SHIFT) & CODE_MAX;
        return true;
}

/* --- settings --- */

static struct http2_rules *rules_for(const struct conn *conn, const struct http2 *parser)
{
        return parser == conn->out.http2 ? &conn->http2->rules_out : &conn->http2->rules_in;
}

static struct http2_rules *rules_by(const struct conn *conn, const struct http2 *parser)
{
        return parser == conn->out.http2 ? &conn->http2->rules_in : &conn->http2->rules_out;
}

bool http2_flow_told(struct conn *conn, const struct http2 *parser)
{
        struct http2_rules *rules = rules_by(conn, parser);

        atomic_store_explicit(&rules->table[parser->told_count % HTTP2_FLOW_SETTINGS], parser->told_table,
                              memory_order_relaxed);
        atomic_store_explicit(&rules->frame_max, parser->told_frame_max, memory_order_relaxed);
        atomic_store_explicit(&rules->told, parser->told_count, memory_order_release);
        return true;
}

bool http2_flow_acked(struct conn *conn, struct http2 *parser)
{
        struct http2_rules *rules = rules_for(conn, parser);
        uint32_t told = atomic_load_explicit(&rules->told, memory_order_acquire), count = parser->ack_count;

        /* What was told may not have been looked at yet by the thread that told it. */
        if ((int32_t)(told - count) < 0)
                return true;
        return told - count < HTTP2_FLOW_SETTINGS &&
               http2_limit_table(parser, atomic_load_explicit(&rules->table[count % HTTP2_FLOW_SETTINGS],
                                                              memory_order_relaxed));
}

/* Before it is acknowledged already: a larger one harms nobody. */
void http2_flow_heed(struct conn *conn, struct http2 *parser)
{
        uint32_t max = atomic_load_explicit(&rules_for(conn, parser)->frame_max, memory_order_relaxed);

        parser->frame_max = MAX(parser->frame_max, max);
}

uint32_t http2_flow_frame_max(const struct conn *conn)
{
        return atomic_load_explicit(&conn->http2->rules_out.frame_max, memory_order_relaxed);
}

void http2_flow_texts(struct exchange *exchange, const struct http2 *parser)
{
        static const struct {
                enum http1_text to;
                enum http2_text from;
        } rows[] = {
                {HTTP1_METHOD, HTTP2_METHOD},
                {HTTP1_TARGET, HTTP2_PATH},
                {HTTP1_HOST, HTTP2_AUTHORITY},
                {HTTP1_TRACEPARENT, HTTP2_TRACEPARENT},
                {HTTP1_TRACESTATE, HTTP2_TRACESTATE},
                {HTTP1_USER_AGENT, HTTP2_USER_AGENT},
                {HTTP1_BAGGAGE, HTTP2_BAGGAGE},
                {HTTP1_FORWARDED, HTTP2_FORWARDED},
                {HTTP1_X_FORWARDED_FOR, HTTP2_X_FORWARDED_FOR},
                {HTTP1_X_FORWARDED_PROTO, HTTP2_X_FORWARDED_PROTO},
                {HTTP1_X_FORWARDED_HOST, HTTP2_X_FORWARDED_HOST},
        };
        const struct http2_head *head = &parser->head;

        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                exchange->text_at[rows[i].to] = head->text[rows[i].from];
        if (!head->text[HTTP2_AUTHORITY].present)
                exchange->text_at[HTTP1_HOST] = head->text[HTTP2_HOST];
        if (slice_eq(http2_text_get(parser, HTTP2_METHOD), SLICE("CONNECT")))
                exchange->text_at[HTTP1_TARGET] = head->text[HTTP2_AUTHORITY];
        exchange->https = slice_eq(http2_text_get(parser, HTTP2_SCHEME), SLICE("https"));
        exchange->grpc = head->grpc && slice_eq(http2_text_get(parser, HTTP2_METHOD), SLICE("POST"));
}
