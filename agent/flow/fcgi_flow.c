/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/fcgi_flow.h"

#include <string.h>

#include "agent/base/load.h"
#include "agent/flow/handoff.h"
#include "agent/flow/serve.h"
#include "agent/flow/to_span.h"

struct fcgi_call {
        struct conn *conn;
        int fd;
        uint64_t now_ns;
};

void fcgi_flow_texts(struct exchange *exchange, const struct fcgi_head *head)
{
        static const struct {
                enum http1_text to;
                enum fcgi_text from;
        } rows[] = {
                {HTTP1_METHOD, FCGI_REQUEST_METHOD},
                {HTTP1_TARGET, FCGI_REQUEST_URI},
                {HTTP1_HOST, FCGI_HTTP_HOST},
                {HTTP1_TRACEPARENT, FCGI_HTTP_TRACEPARENT},
                {HTTP1_TRACESTATE, FCGI_HTTP_TRACESTATE},
                {HTTP1_USER_AGENT, FCGI_HTTP_USER_AGENT},
                {HTTP1_BAGGAGE, FCGI_HTTP_BAGGAGE},
                {HTTP1_FORWARDED, FCGI_HTTP_FORWARDED},
                {HTTP1_X_FORWARDED_FOR, FCGI_HTTP_X_FORWARDED_FOR},
                {HTTP1_X_FORWARDED_PROTO, FCGI_HTTP_X_FORWARDED_PROTO},
                {HTTP1_X_FORWARDED_HOST, FCGI_HTTP_X_FORWARDED_HOST},
        };
        const struct http1_span *https = &head->text[FCGI_HTTPS];

        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                exchange->text_at[rows[i].to] = head->text[rows[i].from];
        if (!exchange->text_at[HTTP1_HOST].present)
                exchange->text_at[HTTP1_HOST] = head->text[FCGI_SERVER_NAME];
        /* The web server's client is the client, unless somebody knows it better. */
        if (!exchange->text_at[HTTP1_FORWARDED].present && !exchange->text_at[HTTP1_X_FORWARDED_FOR].present)
                exchange->text_at[HTTP1_X_FORWARDED_FOR] = head->text[FCGI_REMOTE_ADDR];
        exchange->fcgi_id = head->id;
        exchange->https =
                https->present && https->len &&
                !slice_eq_nocase(slice_make(exchange->text.p + https->at, https->len), SLICE("off"));
        exchange->is_head = slice_eq(exchange_text(exchange, HTTP1_METHOD), SLICE("HEAD"));
}

/* --- requests in --- */

static bool on_begin(void *ctx, struct fcgi *parser, uint16_t id, size_t at, char **ret_text,
                     uint16_t *ret_max)
{
        struct fcgi_call *call = ctx;
        struct exchange *exchange = exchange_new(call->now_ns);

        if (!exchange)
                return false;
        exchange->fcgi_id = id;
        if (!conn_queue_push(call->conn, exchange)) {
                exchange_drop(exchange);
                exchange_drop(exchange);
                return false;
        }
        call->conn->sending = exchange;
        *ret_text = exchange->text.p;
        *ret_max = exchange->text.size;
        return true;
}

static bool on_grow(void *ctx, struct fcgi *parser, size_t need)
{
        struct fcgi_call *call = ctx;

        return exchange_grow(call->conn->sending, need, parser->text_used, &parser->text, &parser->text_max);
}

/* What follows, its body, changes nothing: the requests' side lets go. */
static bool on_head(void *ctx, struct fcgi *parser, uint16_t id, size_t at)
{
        struct fcgi_call *call = ctx;
        struct exchange *exchange = call->conn->sending;

        fcgi_flow_texts(exchange, &parser->head);
        serve_arrived(call->conn, exchange, call->fd, parser->head.traceparent_count);
        call->conn->sending = NULL;
        exchange_drop(exchange);
        return true;
}

/* Before its parameters were complete, it is no request at all. */
static bool on_aborted(void *ctx, struct fcgi *parser, uint16_t id, size_t at)
{
        struct fcgi_call *call = ctx;
        struct exchange *exchange = call->conn->sending;

        if (!exchange || exchange->fcgi_id != id)
                return true;
        call->conn->sending = NULL;
        exchange_drop(exchange);
        return true;
}

static struct fcgi_sink requests_sink(struct fcgi_call *call)
{
        return (struct fcgi_sink){
                .begin = on_begin, .head = on_head, .aborted = on_aborted, .ctx = call, .grow = on_grow};
}

void fcgi_flow_requests(struct conn *conn, int fd, struct slice bytes, uint64_t now_ns)
{
        struct fcgi_call call = {conn, fd, now_ns};
        struct fcgi_sink sink = requests_sink(&call);

        if (fcgi_feed(conn->in.fcgi, bytes, &sink) != (long)bytes.len)
                conn_opaque(conn, STAT_OPAQUE_ERROR);
}

void fcgi_flow_requests_unseen(struct conn *conn, uint64_t n)
{
        struct fcgi_call call = {.conn = conn, .fd = -1};
        struct fcgi_sink sink = requests_sink(&call);

        if (!fcgi_skip(conn->in.fcgi, n, &sink))
                conn_opaque(conn, STAT_OPAQUE_UNSEEN);
}

/* --- answers --- */

static struct exchange *claimed(struct conn *conn, uint16_t id)
{
        struct exchange *exchange = conn_queue_find(conn, id);
        uint32_t claim = CLAIM_NONE;

        if (!exchange || atomic_compare_exchange_strong(&exchange->claim, &claim, CLAIM_ANSWERED) ||
            claim == CLAIM_ANSWERED)
                return exchange;
        return NULL;
}

static struct fcgi_reply *on_reply(void *ctx, struct fcgi *parser, uint16_t id)
{
        struct fcgi_call *call = ctx;
        struct exchange *exchange = claimed(call->conn, id);

        return exchange ? &exchange->reply : NULL;
}

static bool on_status(void *ctx, struct fcgi *parser, uint16_t id, size_t at, const struct fcgi_reply *reply)
{
        struct fcgi_call *call = ctx;
        struct exchange *exchange = claimed(call->conn, id);

        if (exchange) {
                handoff_answers(call->conn, exchange);
                exchange->status = reply->status;
        }
        return true;
}

static bool on_answered(void *ctx, struct fcgi *parser, uint16_t id, size_t at, uint32_t app_status,
                        uint8_t outcome)
{
        struct fcgi_call *call = ctx;
        struct exchange *exchange = claimed(call->conn, id);
        struct exchange_outcome end = {.end_ns = call->now_ns};

        if (!exchange)
                return true;
        /* Refused, or ended within its head. */
        end.truncated = outcome != FCGI_REQUEST_COMPLETE || !exchange->reply.done;
        conn_exchange_answered(call->conn, exchange, &end);
        return true;
}

static struct fcgi *answers_parser(struct conn *conn)
{
        return conn->role == CONN_SERVER ? conn->out.fcgi : conn->in.fcgi;
}

static struct fcgi_sink answers_sink(struct fcgi_call *call)
{
        return (struct fcgi_sink){
                .reply = on_reply, .status = on_status, .answered = on_answered, .ctx = call};
}

void fcgi_flow_answers(struct conn *conn, struct slice bytes, uint64_t now_ns)
{
        struct fcgi_call call = {.conn = conn, .now_ns = now_ns};
        struct fcgi_sink sink = answers_sink(&call);

        if (fcgi_feed(answers_parser(conn), bytes, &sink) != (long)bytes.len)
                conn_opaque(conn, STAT_OPAQUE_ERROR);
}

void fcgi_flow_answers_unseen(struct conn *conn, uint64_t n)
{
        struct fcgi_call call = {.conn = conn};
        struct fcgi_sink sink = answers_sink(&call);

        if (!fcgi_skip(answers_parser(conn), n, &sink))
                conn_opaque(conn, STAT_OPAQUE_UNSEEN);
}
