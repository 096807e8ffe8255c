/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/serve.h"

#include <string.h>
#include <sys/syscall.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/flow/fcgi_flow.h"
#include "agent/flow/glob.h"
#include "agent/flow/handoff_table.h"
#include "agent/flow/http2_flow.h"
#include "agent/flow/tls.h"
#include "agent/flow/to_span.h"
#include "agent/process.h"
#include "agent/ring/home.h"
#include "agent/trace/traceparent.h"

struct serve_call {
        struct conn *conn;
        struct serve_mark *mark;
        int fd;
        uint64_t now_ns;
        size_t base;     /* of what is being fed, in the bytes of this call */
        bool begun;      /* a request began in this call ... */
        size_t blank_at; /* ... and its blank line here */
};

struct conn *serve_new(const struct sockaddr *addr, socklen_t len)
{
        struct conn *conn = conn_new(addr, len, 0);

        if (!conn)
                return NULL;
        conn->role = CONN_SERVER;
        atomic_store(&conn->setup_told, 1); /* a server has none of its own */
        atomic_store(&conn->phase, CONN_OPEN);
        return conn;
}

static bool on_begin(void *ctx, struct http1 *parser, size_t at, char **ret_text, uint16_t *ret_max,
                     bool *ret_head_request, bool *ret_connect_request)
{
        struct serve_call *call = ctx;
        struct exchange *exchange = exchange_new(call->now_ns);

        if (!exchange)
                return false;
        if (!conn_queue_push(call->conn, exchange)) {
                exchange_drop(exchange);
                exchange_drop(exchange);
                return false;
        }
        call->conn->sending = exchange;
        call->begun = true;
        *ret_text = exchange->text.p;
        *ret_max = exchange->text.size;
        return true;
}

static bool on_grow(void *ctx, struct http1 *parser, size_t need)
{
        struct serve_call *call = ctx;

        return exchange_grow(call->conn->sending, need, parser->text_used, &parser->text, &parser->text_max);
}

/* What the request came in with. Return: invalid ids when that is nothing, or too much, or not valid. */
static struct trace_context read_context(struct exchange *exchange, unsigned contexts)
{
        /* FastCGI's parameters come with the blanks that stood around the field. */
        struct slice state = slice_trim(exchange_text(exchange, HTTP1_TRACESTATE));
        struct trace_context context = {.tracestate = SLICE_NULL};

        if (contexts != 1 || !traceparent_parse(exchange_text(exchange, HTTP1_TRACEPARENT), &context))
                return (struct trace_context){.tracestate = SLICE_NULL};
        if (tracestate_check(state) &&
            (state.len <= LIMIT_TRACESTATE || room_take(&exchange->carry, LIMIT_TRACESTATE)))
                context.tracestate = tracestate_fit(state, exchange->carry.p, LIMIT_TRACESTATE);
        return context;
}

/* The path of a target in origin or absolute form, without its query. */
static struct slice path_of(struct slice target)
{
        size_t scheme = slice_find(target, ':');

        if (target.len && target.p[0] != '/' && slice_starts(slice_from(target, scheme), SLICE("://"))) {
                target = slice_from(target, scheme + 3);
                target = slice_from(target, slice_find(target, '/'));
        }
        return slice_to(target, slice_find(target, '?'));
}

static bool is_ignored(struct slice target)
{
        return *config_now.http_ignored_paths &&
               glob_list_matches(slice_str(config_now.http_ignored_paths), path_of(target));
}

/* The line that shows the program our own context. Return: false where it does not fit. */
static bool mark(struct serve_call *call, const struct exchange *exchange, const struct http1_head *head)
{
        static const char name[] = "traceparent: ";
        size_t eol_len = head->eol_lf ? 1 : 2, len = sizeof(name) - 1 + TRACEPARENT_LEN + eol_len;

        _Static_assert(sizeof(name) - 1 + TRACEPARENT_LEN + 2 <= SERVE_MARK_MAX, "the line must fit");
        if (!call->mark || call->mark->len || !call->begun || head->traceparent_count ||
            len > call->mark->room)
                return false;
        memcpy(call->mark->line, name, sizeof(name) - 1);
        traceparent_write(call->mark->line + sizeof(name) - 1, &exchange->decision.context);
        memcpy(call->mark->line + len - eol_len, &"\r\n"[2 - eol_len], eol_len);
        call->mark->len = len;
        call->mark->at = call->blank_at;
        return true;
}

void serve_remember_local(struct conn *conn, int fd)
{
        struct sockaddr_storage addr;
        socklen_t len = sizeof(addr);

        if (fd < 0 || !conn->tcp || conn->local_len ||
            sys_call(SYS_getsockname, fd, (long)&addr, (long)&len, 0, 0, 0) < 0)
                return;
        conn->local_len = addr.ss_family == AF_INET    ? sizeof(conn->local.in)
                          : addr.ss_family == AF_INET6 ? sizeof(conn->local.in6)
                                                       : 0;
        memcpy(&conn->local, &addr, conn->local_len);
}

/* Known as a cause from here on, until its response is complete. */
static void open_cause(struct exchange *exchange, const struct trace_context *incoming, bool marked)
{
        struct cause_arrival arrival = {
                .context = exchange->decision.context,
                .incoming = *incoming,
                .baggage = exchange->decision.baggage,
                .method = exchange_text(exchange, HTTP1_METHOD),
                .target = exchange_text(exchange, HTTP1_TARGET),
                .sampled = exchange->decision.sampled,
                .marked = marked,
        };

        atomic_store(&exchange->request, cause_open(&thread_state.cause, &arrival));
        /* Answered before it was asked, by another thread. */
        if (atomic_load(&exchange->open_slot) == OPEN_OVER)
                cause_close(atomic_exchange(&exchange->request, CAUSE_NONE));
}

static bool on_blank(void *ctx, struct http1 *parser, size_t at)
{
        struct serve_call *call = ctx;

        call->blank_at = call->base + at;
        return true;
}

/* Its context and whether it is recorded. Return: what it came in with, trusted or not. */
static struct trace_context decide(struct exchange *exchange, unsigned contexts)
{
        struct trace_context incoming = read_context(exchange, contexts);
        struct slice baggage = slice_trim(exchange_text(exchange, HTTP1_BAGGAGE));
        bool trusted = config_now.trust_inbound;

        scope_serve(&exchange->decision, trusted ? &incoming : NULL);
        if (trusted && baggage.len <= LIMIT_BAGGAGE)
                exchange->decision.baggage = baggage;
        if (is_ignored(exchange_target(exchange, LIMIT_HTTP_TARGET))) {
                exchange->decision.sampled = false;
                exchange->decision.context.flags &= (uint8_t)~TRACE_FLAG_SAMPLED;
        }
        exchange->decided = exchange->traced = true;
        return incoming;
}

static void show(struct conn *conn, struct exchange *exchange)
{
        atomic_store_explicit(&exchange->head_done, true, memory_order_release);
        conn->spoke_http = true;
        if (!exchange->decision.sampled) {
                stat_add(STAT_SPANS_UNSAMPLED, 1);
                return;
        }
        home_prepare();
        to_span_open(conn, exchange);
}

void serve_arrived(struct conn *conn, struct exchange *exchange, int fd, unsigned contexts)
{
        struct trace_context incoming;

        incoming = decide(exchange, contexts);
        serve_remember_local(conn, fd);
        open_cause(exchange, &incoming, false);
        show(conn, exchange);
}

static bool on_head(void *ctx, struct http1 *parser, size_t at)
{
        struct serve_call *call = ctx;
        struct exchange *exchange = call->conn->sending;
        struct trace_context incoming;

        memcpy(exchange->text_at, parser->head.text, sizeof(exchange->text_at));
        exchange->minor = parser->head.minor;
        exchange->is_head = slice_eq(exchange_text(exchange, HTTP1_METHOD), SLICE("HEAD"));
        exchange->is_connect = parser->head.connect;
        incoming = decide(exchange, parser->head.traceparent_count);
        serve_remember_local(call->conn, call->fd);
        open_cause(exchange, &incoming, mark(call, exchange, &parser->head));
        show(call->conn, exchange);
        return true;
}

static bool on_end(void *ctx, struct http1 *parser, size_t at)
{
        struct serve_call *call = ctx;
        struct exchange *exchange = call->conn->sending;

        exchange->request_done = true;
        call->conn->sending = NULL;
        call->begun = false;
        exchange_drop(exchange);
        return true;
}

/* What do the first bytes begin? Return: CONN_OPAQUE: nothing that we know, or not what the server's did. */
static enum conn_phase recognise(struct conn *conn, struct slice bytes)
{
        bool preface = http2_guess(bytes, HTTP2_CLIENT) != PROTO_NO;

        if (preface && (bytes.len >= HTTP2_PREFACE_SURE || conn->http2))
                return http2_flow_begin(conn) ? CONN_HTTP2 : CONN_OPAQUE;
        conn->maybe_http2 = preface;
        if (conn->http2)
                return CONN_OPAQUE;
        if (http1_guess(bytes, HTTP1_REQUESTS) != PROTO_NO)
                return CONN_HTTP1;
        return fcgi_guess(bytes, FCGI_REQUESTS) != PROTO_NO && conn_becomes_fcgi(conn) ? CONN_FCGI
                                                                                       : CONN_OPAQUE;
}

void serve_in_bytes(struct conn *conn, int fd, struct slice bytes, struct serve_mark *ret_mark,
                    uint64_t now_ns)
{
        struct serve_call call = {.conn = conn, .mark = ret_mark, .fd = fd, .now_ns = now_ns};
        struct http1_sink sink = {on_begin, on_blank, on_head, on_end, &call, on_grow};
        struct http1 *parser;
        uint32_t open = CONN_OPEN;

        if (conn_phase(conn) == CONN_OPEN) {
                enum conn_phase protocol = recognise(conn, bytes);

                if (protocol == CONN_OPAQUE) {
                        if (tls_came(conn, fd, bytes))
                                return;
                        conn_opaque(conn, STAT_OPAQUE_UNKNOWN);
                        return;
                }
                (void)atomic_compare_exchange_strong(&conn->phase, &open, protocol);
        } else if (UNLIKELY(conn->maybe_http2)) {
                http2_flow_reconsider(conn, &conn->in, bytes);
        }
        if (conn_phase(conn) == CONN_FCGI)
                fcgi_flow_requests(conn, fd, bytes, now_ns);
        if (conn_phase(conn) == CONN_HTTP2)
                http2_flow_requests(conn, fd, bytes, now_ns);
        if (conn_phase(conn) != CONN_HTTP1)
                return;
        parser = conn_http1(conn, &conn->in);
        if (!parser || http1_feed(parser, bytes, &sink) != (long)bytes.len)
                conn_opaque(conn, STAT_OPAQUE_ERROR);
        if (!conn->sending)
                direction_http1_rest(&conn->in);
}

void serve_in_unseen(struct conn *conn, uint64_t n)
{
        struct serve_call call = {.conn = conn, .fd = -1};
        struct http1_sink sink = {on_begin, on_blank, on_head, on_end, &call, on_grow};

        if (conn_phase(conn) == CONN_FCGI)
                fcgi_flow_requests_unseen(conn, n);
        else if (conn_phase(conn) == CONN_HTTP2)
                http2_flow_requests_unseen(conn, n);
        else if (conn_phase(conn) == CONN_OPEN || !conn->in.http1 || !http1_skip(conn->in.http1, n, &sink))
                conn_opaque(conn, STAT_OPAQUE_UNSEEN);
        if (!conn->sending && !conn->fcgi)
                direction_http1_rest(&conn->in);
}

uint64_t serve_reads_for(const struct conn *conn)
{
        return conn->sending && conn->sending->head_done ? atomic_load(&conn->sending->request) : CAUSE_NONE;
}

uint64_t serve_writes_for(struct conn *conn)
{
        struct exchange *exchange = conn_queue_first(conn);

        return exchange ? atomic_load(&exchange->request) : CAUSE_NONE;
}

/* One that the parent read. Its numbers mean nothing here. It is shown when it is ours to tell. */
static void adopt_request(struct exchange *exchange)
{
        struct trace_context incoming = {.tracestate = SLICE_NULL};

        atomic_store(&exchange->open_slot, OPEN_NONE);
        atomic_store(&exchange->request, CAUSE_NONE);
        if (!exchange->head_done)
                return;
        memcpy(incoming.trace_id, exchange->decision.context.trace_id, sizeof(incoming.trace_id));
        memcpy(incoming.span_id, exchange->decision.parent_id, sizeof(incoming.span_id));
        open_cause(exchange, &incoming, false);
        exchange->guest = true;
        exchange->traced = exchange->handoff != HANDOFF_NONE;
}

void serve_adopt(struct conn *conn)
{
        uint32_t first = atomic_load(&conn->queue_head), tail = atomic_load(&conn->queue_tail);

        if (conn->http2)
                return; /* opaque here: its streams are the parent's */
        conn_take_over(conn);
        for (uint32_t at = first; at != tail; at++) {
                struct exchange *exchange = conn_queue_at(conn, at);

                if (!exchange->done)
                        adopt_request(exchange);
        }
}
