/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: plan, real call, commit. Planning parses everything the host offers; when the kernel takes
 * less, the parser is put back to where it was and fed exactly what left, so that what the host offers
 * next time (the rest, or something else) is met in the right state.
 */
#include <errno.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/flow/inject.h"
#include "agent/flow/stream.h"
#include "agent/flow/to_span.h"
#include "agent/ring/home.h"
#include "agent/trace/traceparent.h"

#define PAGE 4096

struct out_call {
        struct out_plan *plan;
        size_t base; /* of the iovec being fed, in the host's bytes */
        uint64_t now_ns;
        bool again; /* second pass: meet the same requests, decide nothing */
};

/* A request begins: the exchange that it will be. */
static struct exchange *open_exchange(struct out_call *call)
{
        struct out_scratch *scratch = call->plan->scratch;
        struct exchange *exchange;

        if (call->again)
                return scratch->opened[scratch->kept++];
        if (scratch->opened_count == LIMIT_HEADS_PER_WRITE)
                return NULL;
        if (!call->now_ns)
                call->now_ns = clock_mono_ns();
        exchange = exchange_new(call->now_ns);
        if (!exchange)
                return NULL;
        if (!conn_queue_push(call->plan->conn, exchange)) {
                exchange_drop(exchange);
                exchange_drop(exchange);
                return NULL;
        }
        scratch->opened[scratch->opened_count++] = exchange;
        return exchange;
}

static bool on_begin(void *ctx, struct http1 *parser, size_t at, char **ret_text, uint16_t *ret_max,
                     bool *ret_head_request, bool *ret_connect_request)
{
        struct out_call *call = ctx;
        struct exchange *exchange = call->plan->scratch ? open_exchange(call) : NULL;

        if (!exchange)
                return false;
        call->plan->conn->sending = exchange;
        *ret_text = exchange->text;
        *ret_max = sizeof(exchange->text);
        return true;
}

/* The request goes out as it is, unrecorded. */
static void respect(struct exchange *exchange)
{
        exchange->traced = false;
        stat_add(STAT_SPANS_RESPECTED, 1);
}

/* How far before its blank line the head's context value begins. */
static size_t context_back(const struct http1 *parser)
{
        return parser->head_len - parser->head.traceparent_from;
}

/* Is the head's context one that the program passes on from a request of its own, and still to be sent? */
static bool passed_on(const struct http1 *parser, size_t blank_at, struct trace_context *ret_header)
{
        uint64_t request;

        if (parser->head.traceparent_count != 1 || context_back(parser) > blank_at ||
            !traceparent_parse(http1_text_get(parser, HTTP1_TRACEPARENT), ret_header))
                return false;
        request = cause_by_header(ret_header);
        return request != CAUSE_NONE && request != CAUSE_UNKNOWN;
}

static void decide(struct conn *conn, struct exchange *exchange, const struct http1 *parser, size_t blank_at)
{
        struct cause_departure departure = {.method = http1_text_get(parser, HTTP1_METHOD),
                                            .target = http1_text_get(parser, HTTP1_TARGET),
                                            .opening = &conn->opening};

        exchange->decided = true;
        exchange->replaces = parser->head.traceparent_count > 0;
        if (exchange->replaces && !passed_on(parser, blank_at, &departure.header)) {
                respect(exchange);
                return;
        }
        scope_decide(&exchange->decision, &departure, &exchange->carry);
        if (exchange->replaces && exchange->decision.rung != CAUSE_BY_HEADER) { /* it ended just now */
                respect(exchange);
                return;
        }
        exchange->traced = true;
        if (exchange->decision.sampled)
                home_prepare();
        else
                stat_add(STAT_SPANS_UNSAMPLED, 1);
        inject_compose(exchange, &parser->head);
}

static void insert(struct out_scratch *scratch, struct exchange *exchange, const struct http1 *parser,
                   size_t blank_at)
{
        const struct http1_head *head = &parser->head;
        struct insert *insert = &scratch->inserts[scratch->insert_count];

        /* What did not leave when it was decided about may have left by now, or be another head's. */
        if (head->traceparent_count != exchange->replaces ||
            (exchange->replaces && context_back(parser) > blank_at)) {
                respect(exchange);
                return;
        }
        *insert = (struct insert){.at = blank_at, .exchange = exchange};
        if (exchange->replaces) {
                insert->at -= context_back(parser);
                insert->remove = head->traceparent_end - head->traceparent_from;
        }
        scratch->insert_count++;
}

static bool on_blank(void *ctx, struct http1 *parser, size_t at)
{
        struct out_call *call = ctx;
        struct conn *conn = call->plan->conn;
        struct exchange *exchange = conn->sending;

        if (call->again)
                return true;
        if (!exchange->decided)
                decide(conn, exchange, parser, call->base + at);
        if (exchange->traced && exchange->inject == INJECT_NONE)
                insert(call->plan->scratch, exchange, parser, call->base + at);
        return true;
}

static bool on_head(void *ctx, struct http1 *parser, size_t at)
{
        struct out_call *call = ctx;
        struct exchange *exchange = call->plan->conn->sending;

        memcpy(exchange->text_at, parser->head.text, sizeof(exchange->text_at));
        exchange->minor = parser->head.minor;
        exchange->is_head = slice_eq(exchange_text(exchange, HTTP1_METHOD), SLICE("HEAD"));
        exchange->is_connect = parser->head.connect;
        exchange->head_done = true;
        return true;
}

static bool on_end(void *ctx, struct http1 *parser, size_t at)
{
        struct out_call *call = ctx;

        call->plan->conn->sending->request_done = true;
        call->plan->conn->sending = NULL;
        return true;
}

static struct http1_sink sink_for(struct out_call *call)
{
        return (struct http1_sink){on_begin, on_blank, on_head, on_end, call};
}

/* The first @len of the host's bytes through the parser. Return: false when it is lost. */
static bool feed(struct out_call *call, size_t len)
{
        struct out_plan *plan = call->plan;
        struct http1_sink sink = sink_for(call);

        call->base = 0;
        for (int i = 0; i < plan->host_iovcnt && call->base < len; i++) {
                size_t piece = MIN(plan->host_iov[i].iov_len, len - call->base);
                long used = piece ? http1_feed(&plan->conn->out.parser,
                                               slice_make(plan->host_iov[i].iov_base, piece), &sink)
                                  : 0;

                if (used != (long)piece)
                        return false;
                call->base += piece;
        }
        return true;
}

/* A client sends its heads from one buffer: the kernel is asked about it once, not with every request. */
static bool buffer_readable(const struct iovec *iov)
{
        uintptr_t first = (uintptr_t)iov->iov_base, last = first + iov->iov_len - 1;

        if (!iov->iov_len ||
            (first / PAGE == thread_state.readable_first && last / PAGE == thread_state.readable_last))
                return true;
        if (!sys_readable(iov->iov_base, iov->iov_len))
                return false;
        thread_state.readable_first = first / PAGE;
        thread_state.readable_last = last / PAGE;
        return true;
}

/* Buffers that cannot be read are for the kernel to refuse, not for us to crash on. */
static bool readable(const struct out_plan *plan)
{
        for (int i = 0; i < plan->host_iovcnt; i++)
                if (!buffer_readable(&plan->host_iov[i]))
                        return false;
        return true;
}

/* Could the host's first bytes be a request? */
static bool looks_like_http(const struct out_plan *plan)
{
        char first[64];
        size_t len = 0;

        for (int i = 0; i < plan->host_iovcnt && len < sizeof(first); i++) {
                size_t piece = MIN(plan->host_iov[i].iov_len, sizeof(first) - len);

                memcpy(first + len, piece ? plan->host_iov[i].iov_base : "", piece);
                len += piece;
        }
        return http1_guess(slice_make(first, len), HTTP1_REQUESTS) != PROTO_NO;
}

/* Not a protocol that we know, and never will be. */
static bool give_up(struct conn *conn, enum stat_id why)
{
        if (conn_phase(conn) == CONN_OPEN || !conn->spoke_http)
                conn_tell_setup(conn);
        conn_opaque(conn, why);
        return false;
}

/* Slow path: a request head is under way or begins. */
static bool plan_heads(struct out_plan *plan)
{
        struct conn *conn = plan->conn;
        struct out_call call = {.plan = plan};
        uint32_t open = CONN_OPEN;

        plan->scratch = out_scratch_new();
        if (!plan->scratch)
                return give_up(conn, STAT_OPAQUE_UNSEEN);
        plan->scratch->before = conn->out.parser;
        plan->scratch->opening = conn->opening;
        plan->scratch->sending = conn->sending;
        plan->scratch->sending_head_done = conn->sending && conn->sending->head_done;
        /* A wait that ran out before the request was not for its answer. */
        atomic_store_explicit(&conn->timed_out, 0, memory_order_relaxed);
        /* Before the call, not after: another thread may read the response before we are back. */
        (void)atomic_compare_exchange_strong(&conn->phase, &open, CONN_HTTP1);
        if (!feed(&call, plan->host_len))
                (void)give_up(conn, STAT_OPAQUE_ERROR); /* what was planned for earlier heads stands */
        if (plan->scratch->insert_count == 0)
                return true;
        plan->iovcnt = inject_build(plan->scratch, plan->host_iov, plan->host_iovcnt, plan->host_len);
        if (plan->iovcnt) {
                plan->iov = plan->scratch->iov;
                return true;
        }
        plan->scratch->insert_count = 0;
        (void)give_up(conn, STAT_OPAQUE_UNSEEN);
        return true;
}

static size_t total_len(const struct iovec *iov, int iovcnt)
{
        size_t total = 0;

        for (int i = 0; i < iovcnt; i++)
                if (__builtin_add_overflow(total, iov[i].iov_len, &total))
                        return 0; /* the kernel will refuse it */
        return total;
}

bool stream_out_plan(struct out_plan *ret_plan, struct conn *conn, const struct iovec *iov, int iovcnt)
{
        struct out_plan *plan = ret_plan;

        if (conn_phase(conn) == CONN_OPAQUE || iovcnt > LIMIT_IOV)
                return false;
        if (!direction_enter(&conn->out)) {
                conn_opaque(conn, STAT_OPAQUE_CONTENTION);
                return false;
        }
        *plan = (struct out_plan){.conn = conn, .host_iov = iov, .host_iovcnt = iovcnt};
        plan->host_len = total_len(iov, iovcnt);
        if (plan->host_len == 0)
                goto pass;
        if (conn_phase(conn) == CONN_HTTP1 && http1_body_left(&conn->out.parser) >= plan->host_len)
                return true;
        if (!readable(plan)) {
                (void)give_up(conn, STAT_OPAQUE_UNSEEN);
                goto pass;
        }
        if (conn_phase(conn) != CONN_HTTP1 && !looks_like_http(plan)) {
                (void)give_up(conn, STAT_OPAQUE_UNKNOWN);
                goto pass;
        }
        if (plan_heads(plan))
                return true;
pass:
        direction_leave(&conn->out);
        return false;
}

/* Put everything back to where exactly @accepted of the host's bytes have left. */
static void rewind_to(struct out_plan *plan, size_t accepted)
{
        struct out_scratch *scratch = plan->scratch;
        struct out_call call = {.plan = plan, .again = true};
        struct conn *conn = plan->conn;

        conn->out.parser = scratch->before;
        conn->sending = scratch->sending;
        if (conn->sending) {
                conn->sending->head_done = scratch->sending_head_done;
                conn->sending->request_done = false;
        }
        for (unsigned i = 0; i < scratch->opened_count; i++)
                scratch->opened[i]->head_done = scratch->opened[i]->request_done = false;
        scratch->kept = 0;
        if (accepted && !feed(&call, accepted))
                conn_opaque(conn, STAT_OPAQUE_ERROR);
        if (!scratch->sending && !scratch->kept)
                conn->opening = scratch->opening; /* its first request is still to come */
        while (scratch->opened_count > scratch->kept) {
                struct exchange *exchange = scratch->opened[--scratch->opened_count];

                if (!conn_queue_withdraw(conn, exchange)) {
                        conn_opaque(conn, STAT_OPAQUE_ERROR); /* answered before it was asked */
                        exchange_drop(exchange);
                        continue;
                }
                exchange_drop(exchange);
                exchange_drop(exchange);
        }
}

/* Bytes of the request left: what the thread owed to its cause is paid. */
static void pay(const struct exchange *exchange)
{
        cause_wrote(&thread_state.cause, exchange->decision.request);
}

/* The outgoing side's last look at a request of this call. */
static void settle(struct conn *conn, struct exchange *exchange, bool left)
{
        if (left)
                pay(exchange);
        if (exchange->head_done) {
                conn->spoke_http = true;
                to_span_open(conn, exchange);
        }
        if (exchange->request_done)
                exchange_drop(exchange);
}

static bool breaks_connection(int error)
{
        static const int broken[] = {ECONNRESET,   EPIPE,        ECONNREFUSED, ETIMEDOUT,
                                     EHOSTUNREACH, ENETUNREACH,  EHOSTDOWN,    ENETDOWN,
                                     ENETRESET,    ECONNABORTED, ESHUTDOWN};

        for (size_t i = 0; i < ARRAY_LEN(broken); i++)
                if (broken[i] == error)
                        return true;
        return false;
}

static void commit_body(struct out_plan *plan, size_t n)
{
        struct out_call call = {.plan = plan};
        struct http1_sink sink = sink_for(&call);
        struct exchange *exchange = plan->conn->sending;

        if (exchange)
                pay(exchange);
        if (!http1_skip(&plan->conn->out.parser, n, &sink))
                conn_opaque(plan->conn, STAT_OPAQUE_ERROR);
        if (exchange && exchange->request_done)
                exchange_drop(exchange);
}

static ssize_t commit_heads(struct out_plan *plan, ssize_t n, int error)
{
        struct out_scratch *scratch = plan->scratch;
        struct conn *conn = plan->conn;
        size_t accepted = n > 0 ? inject_share(conn, scratch, (size_t)n) : 0;
        bool broken = n < 0 && breaks_connection(error);

        scratch->kept = scratch->opened_count;
        /* On a broken connection the requests stay as they were meant: they failed. */
        if (accepted < plan->host_len && !broken)
                rewind_to(plan, accepted);
        if (scratch->sending)
                settle(conn, scratch->sending, n > 0);
        for (unsigned i = 0; i < scratch->kept; i++)
                settle(conn, scratch->opened[i], n > 0);
        out_scratch_free(scratch);
        return n < 0 ? -1 : (ssize_t)accepted;
}

ssize_t stream_out_commit(struct out_plan *plan, ssize_t n, int error)
{
        struct conn *conn = plan->conn;
        ssize_t result = n;

        if (n >= 0 && conn_phase(conn) == CONN_CONNECTING) {
                uint32_t open = CONN_OPEN;

                conn_established(conn, clock_mono_ns());
                (void)atomic_compare_exchange_strong(&conn->phase, &open, CONN_HTTP1);
        }
        if (plan->scratch)
                result = commit_heads(plan, n, error);
        else if (n > 0)
                commit_body(plan, (size_t)n);
        if (n < 0 && breaks_connection(error))
                conn_failed(conn, error, clock_mono_ns());
        direction_leave(&conn->out);
        return result;
}

void stream_out_abandoned(struct conn *conn, struct out_scratch *scratch)
{
        bool own = conn->generation == process_generation; /* else its requests are the parent's to tell */

        conn_opaque(conn, STAT_OPAQUE_UNSEEN);
        if (scratch && own && scratch->sending)
                settle(conn, scratch->sending, false);
        for (unsigned i = 0; scratch && own && i < scratch->opened_count; i++)
                settle(conn, scratch->opened[i], false);
        if (scratch)
                out_scratch_free(scratch);
        direction_leave(&conn->out);
}

struct slice stream_out_leftover(const struct conn *conn)
{
        const struct exchange *exchange = conn->leftover;

        if (!exchange)
                return SLICE_NULL;
        return slice_make(exchange->inject_text + conn->leftover_sent,
                          exchange->inject_len - conn->leftover_sent);
}

void stream_out_leftover_sent(struct conn *conn, size_t n)
{
        conn->leftover_sent += (uint32_t)n;
        if (conn->leftover_sent < conn->leftover->inject_len)
                return;
        inject_done(conn->leftover);
        conn->leftover = NULL;
}

void stream_out_unseen(struct conn *conn, uint64_t n)
{
        struct out_plan plan = {.conn = conn};

        if (conn_phase(conn) == CONN_OPAQUE)
                return;
        if (!direction_enter(&conn->out)) {
                conn_opaque(conn, STAT_OPAQUE_CONTENTION);
                return;
        }
        if (http1_body_left(&conn->out.parser) >= n)
                commit_body(&plan, n);
        else
                (void)give_up(conn, STAT_OPAQUE_UNSEEN);
        direction_leave(&conn->out);
}
