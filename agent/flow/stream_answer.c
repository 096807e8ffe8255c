/* SPDX-License-Identifier: Apache-2.0 */
/* Responses: each belongs to the oldest request that waits. They come in on a client's connection and go out
 * on a server's. */
#include "agent/base/clock.h"
#include "agent/flow/fcgi_flow.h"
#include "agent/flow/handoff.h"
#include "agent/flow/http2_flow.h"
#include "agent/flow/stream.h"
#include "agent/flow/to_span.h"

#define STATUS_SWITCHING 101

struct answer_call {
        struct conn *conn;
        uint64_t now_ns;
        bool tunnel;     /* HTTP ended on this connection */
        bool unprovoked; /* a response without a request */
        bool ended;      /* a response is complete */
};

static struct direction *answers_of(struct conn *conn)
{
        return conn->role == CONN_SERVER ? &conn->out : &conn->in;
}

static bool on_begin(void *ctx, struct http1 *parser, size_t at, char **ret_text, uint16_t *ret_max,
                     bool *ret_head_request, bool *ret_connect_request)
{
        struct answer_call *call = ctx;
        struct exchange *exchange = conn_queue_first(call->conn);
        uint32_t claim = CLAIM_NONE;
        bool known;

        /* Already answered: this is the final response after an interim one. */
        if (!exchange || (!atomic_compare_exchange_strong(&exchange->claim, &claim, CLAIM_ANSWERED) &&
                          claim != CLAIM_ANSWERED)) {
                call->unprovoked = true;
                return false;
        }
        *ret_text = NULL;
        *ret_max = 0;
        /* A server may answer what it has not read to the end of its head. */
        known = call->conn->role == CONN_CLIENT || exchange->head_done;
        *ret_head_request = known && exchange->is_head;
        *ret_connect_request = known && exchange->is_connect;
        return true;
}

static bool on_head(void *ctx, struct http1 *parser, size_t at)
{
        struct answer_call *call = ctx;
        struct exchange *exchange = conn_queue_first(call->conn);

        if (parser->head.status >= 100 && parser->head.status < 200 &&
            parser->head.status != STATUS_SWITCHING)
                return true;
        if (parser->head.status == STATUS_SWITCHING && parser->head.h2c && http2_flow_upgrade(call->conn))
                return false;
        handoff_answers(call->conn, exchange);
        exchange->status = parser->head.status;
        exchange->response_minor = parser->head.minor;
        if (parser->head.body == HTTP1_BODY_TUNNEL) {
                conn_answered(call->conn, &(struct exchange_outcome){.end_ns = call->now_ns});
                call->tunnel = true;
                return false;
        }
        return true;
}

static bool on_end(void *ctx, struct http1 *parser, size_t at)
{
        struct answer_call *call = ctx;

        conn_answered(call->conn, &(struct exchange_outcome){.end_ns = call->now_ns});
        call->ended = true;
        return true;
}

static struct http1_sink sink_for(struct answer_call *call)
{
        return (struct http1_sink){.begin = on_begin, .head = on_head, .end = on_end, .ctx = call};
}

/* Whoever should have been asked spoke first: not a protocol that we know. */
static void answer_first(struct conn *conn)
{
        conn_tell_setup(conn);
        conn_opaque(conn, STAT_OPAQUE_UNKNOWN);
}

/* A server of HTTP/2 need not wait for the client's first word. */
static bool greets(struct conn *conn, struct slice bytes)
{
        return conn->http2 || (http2_guess(bytes, HTTP2_SERVER) != PROTO_NO && http2_flow_begin(conn));
}

void stream_answer_bytes(struct conn *conn, struct slice bytes, uint64_t now_ns)
{
        struct answer_call call = {.conn = conn, .now_ns = now_ns};
        struct http1_sink sink = sink_for(&call);

        if (conn_phase(conn) == CONN_OPEN) {
                if (greets(conn, bytes))
                        http2_flow_answers(conn, bytes, now_ns);
                else
                        answer_first(conn);
                return;
        }
        if (conn_phase(conn) == CONN_FCGI)
                fcgi_flow_answers(conn, bytes, now_ns);
        while (bytes.len && conn_phase(conn) == CONN_HTTP1) {
                struct http1 *parser = conn_http1(conn, answers_of(conn));
                long used = parser ? http1_feed(parser, bytes, &sink) : PROTO_LOST;

                if (call.tunnel)
                        conn_opaque(conn, STAT_OPAQUE_UPGRADE);
                else if (call.unprovoked || used <= 0)
                        conn_opaque(conn, STAT_OPAQUE_ERROR);
                bytes = slice_from(bytes, used > 0 ? (size_t)used : bytes.len);
        }
        if (bytes.len && conn_phase(conn) == CONN_HTTP2)
                http2_flow_answers(conn, bytes, now_ns);
        if (call.ended && conn->role == CONN_SERVER)
                direction_http1_rest(&conn->out);
}

void stream_answer_unseen(struct conn *conn, uint64_t n, uint64_t now_ns)
{
        struct answer_call call = {.conn = conn, .now_ns = now_ns};
        struct http1_sink sink = sink_for(&call);
        struct direction *answers = answers_of(conn);

        if (conn_phase(conn) == CONN_OPEN)
                answer_first(conn);
        else if (conn_phase(conn) == CONN_FCGI)
                fcgi_flow_answers_unseen(conn, n);
        else if (conn_phase(conn) == CONN_HTTP2)
                http2_flow_answers_unseen(conn, n);
        else if (!answers->http1 || !http1_skip(answers->http1, n, &sink) || call.unprovoked)
                conn_opaque(conn, STAT_OPAQUE_UNSEEN);
        if (call.ended && conn->role == CONN_SERVER)
                direction_http1_rest(answers);
}

void stream_answer_eof(struct conn *conn, uint64_t now_ns)
{
        struct answer_call call = {.conn = conn, .now_ns = now_ns};
        struct http1_sink sink = sink_for(&call);
        struct direction *answers = answers_of(conn);

        if (conn_phase(conn) == CONN_HTTP1 && direction_http1_busy(answers))
                (void)http1_eof(answers->http1,
                                &sink); /* what it could not complete is cut off by the caller */
}
