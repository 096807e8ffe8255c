/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/http2_flow.h"

#include "agent/base/guard.h"
#include "agent/flow/serve.h"
#include "agent/flow/to_span.h"

#define CODE_NO_ERROR       0x0 /* RFC 9113, section 7 */
#define CODE_REFUSED_STREAM 0x7
#define CODE_CANCEL         0x8

struct http2_call {
        struct conn *conn;
        int fd;
        uint64_t now_ns;
};

/* For which server request are bytes of this stream? */
static uint64_t owner_of(const struct conn *conn, uint32_t stream)
{
        struct exchange *exchange = http2_flow_find(conn->http2, stream);

        if (!exchange)
                return CAUSE_NONE;
        return conn->role == CONN_SERVER ? atomic_load(&exchange->request) : exchange->decision.request;
}

/* Bytes of the stream came in, or went out. */
static void touch(const struct conn *conn, const struct direction *direction, uint32_t stream)
{
        if (direction == &conn->in)
                cause_read(&thread_state.cause, owner_of(conn, stream));
        else
                cause_wrote(&thread_state.cause, owner_of(conn, stream));
}

static bool on_settings_end(void *ctx, struct http2 *parser, size_t at)
{
        return http2_flow_told(((struct http2_call *)ctx)->conn, parser);
}

static bool on_settings_ack(void *ctx, struct http2 *parser, size_t at)
{
        return http2_flow_acked(((struct http2_call *)ctx)->conn, parser);
}

/* --- requests in --- */

static bool on_request_begin(void *ctx, struct http2 *parser, size_t at, bool opens, char **ret_text,
                             uint16_t *ret_max)
{
        struct http2_call *call = ctx;
        struct exchange *exchange = opens ? exchange_new(call->now_ns) : NULL;

        if (!exchange)
                return true; /* trailers, or a request that is not traced: the blocks after it are all the
                                same */
        exchange->stream = parser->stream;
        if (!http2_flow_put(call->conn->http2, exchange)) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                exchange_drop(exchange);
                exchange_drop(exchange);
                return true;
        }
        call->conn->sending = exchange;
        *ret_text = exchange->text.p;
        *ret_max = exchange->text.size;
        return true;
}

static bool on_request_grow(void *ctx, struct http2 *parser, size_t need)
{
        struct http2_call *call = ctx;

        return exchange_grow(call->conn->sending, need, parser->text_used, &parser->text, &parser->text_max);
}

/* What follows, its body, changes nothing: the requests' side lets go. */
static bool on_request_head(void *ctx, struct http2 *parser, size_t at)
{
        struct http2_call *call = ctx;
        struct exchange *exchange = call->conn->sending;

        if (!exchange)
                return true;
        http2_flow_texts(exchange, parser);
        serve_arrived(call->conn, exchange, call->fd, parser->head.traceparent_count);
        call->conn->sending = NULL;
        exchange_drop(exchange);
        return true;
}

static bool on_request_data(void *ctx, struct http2 *parser, size_t at)
{
        struct http2_call *call = ctx;

        touch(call->conn, &call->conn->in, parser->stream);
        return true;
}

static bool on_request_reset(void *ctx, struct http2 *parser, size_t at, uint32_t code)
{
        struct http2_call *call = ctx;

        http2_flow_reset(call->conn, parser->stream, code, call->now_ns);
        return true;
}

static struct http2_sink requests_sink(struct http2_call *call)
{
        return (struct http2_sink){.begin = on_request_begin,
                                   .head = on_request_head,
                                   .data = on_request_data,
                                   .reset = on_request_reset,
                                   .settings_end = on_settings_end,
                                   .settings_ack = on_settings_ack,
                                   .ctx = call,
                                   .grow = on_request_grow};
}

/* Return: false when the connection cannot be followed any more. */
static bool feed(struct http2_call *call, struct direction *direction, struct slice bytes,
                 const struct http2_sink *sink)
{
        if (!http2_flow_ready(call->conn, direction))
                return false;
        if (http2_body_left(direction->http2))
                touch(call->conn, direction, direction->http2->stream);
        http2_flow_heed(call->conn, direction->http2);
        return http2_feed(direction->http2, bytes, sink) == (long)bytes.len;
}

void http2_flow_requests(struct conn *conn, int fd, struct slice bytes, uint64_t now_ns)
{
        struct http2_call call = {conn, fd, now_ns};
        struct http2_sink sink = requests_sink(&call);

        if (!feed(&call, &conn->in, bytes, &sink))
                conn_opaque(conn, STAT_OPAQUE_ERROR);
}

void http2_flow_requests_unseen(struct conn *conn, uint64_t n)
{
        struct http2_call call = {.conn = conn, .fd = -1};
        struct http2_sink sink = requests_sink(&call);

        if (!conn->in.http2 || !http2_skip(conn->in.http2, n, &sink))
                conn_opaque(conn, STAT_OPAQUE_UNSEEN);
}

/* --- answers --- */

static struct direction *answers_direction(struct conn *conn)
{
        return conn->role == CONN_SERVER ? &conn->out : &conn->in;
}

static bool on_answer_head(void *ctx, struct http2 *parser, size_t at)
{
        struct http2_call *call = ctx;
        const struct http2_head *head = &parser->head;
        struct exchange *exchange = http2_flow_find(call->conn->http2, head->stream);
        uint32_t claim = CLAIM_NONE;
        bool interim = head->kind == HTTP2_RESPONSE && head->status < 200;

        touch(call->conn, answers_direction(call->conn), head->stream);
        if (!exchange || interim || head->kind == HTTP2_PROMISE)
                return true;
        if (!atomic_compare_exchange_strong(&exchange->claim, &claim, CLAIM_ANSWERED) &&
            claim != CLAIM_ANSWERED)
                return true;
        if (head->kind == HTTP2_RESPONSE)
                exchange->status = head->status;
        if (head->grpc_status != HTTP2_NO_GRPC_STATUS) {
                exchange->grpc_status = head->grpc_status;
                exchange->grpc_answered = true;
        }
        return true;
}

static bool on_answer_data(void *ctx, struct http2 *parser, size_t at)
{
        struct http2_call *call = ctx;

        touch(call->conn, answers_direction(call->conn), parser->stream);
        return true;
}

/* The stream is over. */
static void finish(struct conn *conn, uint32_t stream, const struct exchange_outcome *outcome)
{
        struct exchange *exchange = http2_flow_find(conn->http2, stream);

        if (exchange)
                conn_exchange_answered(conn, exchange, outcome);
}

static bool on_answer_end(void *ctx, struct http2 *parser, size_t at)
{
        struct http2_call *call = ctx;

        finish(call->conn, parser->stream, &(struct exchange_outcome){.end_ns = call->now_ns});
        return true;
}

static bool on_answer_reset(void *ctx, struct http2 *parser, size_t at, uint32_t code)
{
        struct http2_call *call = ctx;

        finish(call->conn, parser->stream,
               &(struct exchange_outcome){.end_ns = call->now_ns, .reset = true, .reset_code = code});
        return true;
}

/* Streams above the last one will never be answered. */
static bool on_goaway(void *ctx, struct http2 *parser, size_t at, uint32_t last, uint32_t code)
{
        struct http2_call *call = ctx;
        struct exchange *exchange;
        struct exchange_outcome outcome = {
                .end_ns = call->now_ns, .reset = true, .reset_code = code ? code : CODE_REFUSED_STREAM};

        for (uint32_t i = 0; (exchange = http2_flow_next(call->conn->http2, &i));)
                if (exchange->stream > last)
                        conn_exchange_answered(call->conn, exchange, &outcome);
        return true;
}

/* Whoever asked does not want it any more: nobody's failure. */
static struct exchange_outcome given_up_outcome(uint32_t code, uint64_t now_ns)
{
        bool cancelled = code == CODE_NO_ERROR || code == CODE_CANCEL;

        return (struct exchange_outcome){
                .end_ns = now_ns, .reset = !cancelled, .reset_code = code, .cancelled = cancelled};
}

/* Streams that were given up end here. */
static void sweep(struct conn *conn, uint64_t now_ns)
{
        struct exchange *exchange;
        uint32_t at = 0, code;

        atomic_store(&conn->http2->given_up, 0);
        while ((exchange = http2_flow_next(conn->http2, &at)))
                if (http2_flow_is_given_up(conn->http2, exchange, &code)) {
                        struct exchange_outcome outcome = given_up_outcome(code, now_ns);

                        /* Of a call no status is known then, which is never its success. */
                        outcome.reset |= exchange->grpc && conn->role == CONN_CLIENT;
                        conn_exchange_answered(conn, exchange, &outcome);
                }
}

static struct http2_sink answers_sink(struct http2_call *call)
{
        return (struct http2_sink){.head = on_answer_head,
                                   .data = on_answer_data,
                                   .end = on_answer_end,
                                   .reset = on_answer_reset,
                                   .goaway = on_goaway,
                                   .settings_end = on_settings_end,
                                   .settings_ack = on_settings_ack,
                                   .ctx = call};
}

void http2_flow_answers(struct conn *conn, struct slice bytes, uint64_t now_ns)
{
        struct http2_call call = {.conn = conn, .now_ns = now_ns};
        struct http2_sink sink = answers_sink(&call);

        if (!feed(&call, answers_direction(conn), bytes, &sink))
                conn_opaque(conn, STAT_OPAQUE_ERROR);
        if (atomic_load_explicit(&conn->http2->given_up, memory_order_relaxed))
                sweep(conn, now_ns);
}

void http2_flow_answers_unseen(struct conn *conn, uint64_t n)
{
        struct http2_call call = {.conn = conn};
        struct http2_sink sink = answers_sink(&call);
        struct direction *direction = answers_direction(conn);

        if (!direction->http2 || !http2_skip(direction->http2, n, &sink))
                conn_opaque(conn, STAT_OPAQUE_UNSEEN);
}

void http2_flow_reset(struct conn *conn, uint32_t stream, uint32_t code, uint64_t now_ns)
{
        struct direction *answers = answers_direction(conn);

        http2_flow_give_up(conn->http2, stream, code);
        /* Held: whoever is reading looks after it. */
        if (!atomic_load(&conn->http2->given_up) || !direction_enter(answers))
                return;
        sweep(conn, now_ns);
        direction_leave(answers);
}
