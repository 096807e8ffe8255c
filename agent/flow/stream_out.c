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
#include "agent/flow/http2_flow.h"
#include "agent/flow/out_call.h"
#include "agent/flow/tls.h"
#include "agent/flow/to_span.h"

#define PAGE 4096

uint64_t out_now(struct out_call *call)
{
        if (!call->now_ns)
                call->now_ns = clock_mono_ns();
        return call->now_ns;
}

char out_host_byte(const struct out_plan *plan, size_t at)
{
        const struct iovec *iov = plan->host_iov;

        for (; at >= iov->iov_len; iov++)
                at -= iov->iov_len;
        return ((const char *)iov->iov_base)[at];
}

/* A request begins: the exchange that it will be. */
struct exchange *out_open_exchange(struct out_call *call, uint32_t stream)
{
        struct out_scratch *scratch = call->plan->scratch;
        struct exchange *exchange;

        if (call->again)
                return scratch->opened[scratch->kept++];
        if (scratch->opened_count == LIMIT_HEADS_PER_WRITE)
                return NULL;
        exchange = exchange_new(out_now(call));
        if (!exchange)
                return NULL;
        exchange->stream = stream;
        if (!conn_queue_push(call->plan->conn, exchange)) {
                exchange_drop(exchange);
                exchange_drop(exchange);
                return NULL;
        }
        scratch->opened[scratch->opened_count++] = exchange;
        return exchange;
}

void out_respect(struct exchange *exchange)
{
        exchange->traced = false;
        stat_add(STAT_SPANS_RESPECTED, 1);
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

/* Not a protocol that we know, and never will be. */
static bool give_up(struct conn *conn, enum stat_id why)
{
        if (conn_phase(conn) == CONN_OPEN || !conn->spoke_http)
                conn_tell_setup(conn);
        conn_opaque(conn, why);
        return false;
}

/* What has to happen before anything is read: a byte that has left is left out, what is owed goes in. */
static void add_owed(struct out_plan *plan)
{
        struct conn *conn = plan->conn;
        struct exchange *owed = conn->owed;

        if (conn->swallow)
                inject_add(plan->scratch, (struct insert){.remove = 1, .gone = true});
        if (!owed || conn->owed_in >= plan->host_len)
                return;
        owed->added.p[conn->owed_from] = out_host_byte(plan, conn->owed_in);
        inject_add(plan->scratch, (struct insert){.at = conn->owed_in,
                                                  .remove = 1,
                                                  .exchange = owed,
                                                  .from = conn->owed_from,
                                                  .len = (uint16_t)(owed->inject_len - conn->owed_from),
                                                  .held = true});
}

static size_t total_len(const struct iovec *iov, int iovcnt)
{
        size_t total = 0;

        for (int i = 0; i < iovcnt; i++)
                if (__builtin_add_overflow(total, iov[i].iov_len, &total))
                        return 0; /* the kernel will refuse it */
        return total;
}

/*
 * What is owed must leave with the host's byte: of more pieces than leave room for ours, the first ones are
 * sent. The host is told of a short write.
 */
static void shorten(struct out_plan *plan)
{
        while (plan->host_iov->iov_len == 0) {
                plan->host_iov++;
                plan->host_iovcnt--;
        }
        plan->host_iovcnt = MIN(plan->host_iovcnt, LIMIT_IOV - 2 * INJECT_MOST);
        plan->host_len = total_len(plan->host_iov, plan->host_iovcnt);
}

/* Slow path: a request head is under way or begins. */
static bool plan_heads(struct out_plan *plan)
{
        struct conn *conn = plan->conn;
        struct out_call call = {.plan = plan};
        uint32_t open = CONN_OPEN;
        bool owes = conn_owes(conn);

        plan->scratch = conn->owed_scratch ? out_scratch_again(conn->owed_scratch) : out_scratch_new();
        conn->owed_scratch = NULL;
        if (!plan->scratch)
                return give_up(conn, STAT_OPAQUE_UNSEEN);
        if (owes)
                shorten(plan);
        out_remember_parser(plan);
        plan->scratch->opening = conn->opening;
        plan->scratch->sending = conn->sending;
        plan->scratch->sending_head_done = conn->sending && conn->sending->head_done;
        /* A wait that ran out before the request was not for its answer. */
        atomic_store_explicit(&conn->timed_out, 0, memory_order_relaxed);
        /* Before the call, not after: another thread may read the response before we are back. */
        (void)atomic_compare_exchange_strong(&conn->phase, &open, out_protocol(conn));
        add_owed(plan);
        if (conn_phase(conn) != CONN_OPAQUE && !out_feed(&call, plan->host_len))
                (void)give_up(conn, STAT_OPAQUE_ERROR); /* what was planned for earlier heads stands */
        else if (UNLIKELY(conn->sending && conn->sending->blanks))
                conn->fcgi ? fcgi_out_rest(&call) : http1_out_rest(&call);
        if (plan->scratch->insert_count == 0 && !owes)
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

bool stream_out_plan(struct out_plan *ret_plan, struct conn *conn, const struct iovec *iov, int iovcnt)
{
        struct out_plan *plan = ret_plan;

        if ((conn_phase(conn) == CONN_OPAQUE && !conn_owes(conn)) || iovcnt > LIMIT_IOV)
                return false;
        if (!direction_enter(&conn->out)) {
                conn_opaque(conn, STAT_OPAQUE_CONTENTION);
                return false;
        }
        *plan = (struct out_plan){.conn = conn, .host_iov = iov, .host_iovcnt = iovcnt};
        plan->host_len = total_len(iov, iovcnt);
        if (plan->host_len == 0)
                goto pass;
        if (conn_speaks(conn) && out_body_left(conn) >= plan->host_len)
                return true;
        if (!readable(plan)) {
                (void)give_up(conn, STAT_OPAQUE_UNSEEN);
                goto pass;
        }
        if (!conn_speaks(conn) && !conn_owes(conn) && !out_begins(plan)) {
                if (!tls_leaves(conn, iov, iovcnt))
                        (void)give_up(conn, STAT_OPAQUE_UNKNOWN);
                goto pass;
        }
        if (UNLIKELY(conn->maybe_http2))
                out_reconsider(plan);
        if (conn->http2 && !http2_flow_ready(conn, &conn->out)) {
                (void)give_up(conn, STAT_OPAQUE_UNSEEN);
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

        conn->sending = scratch->sending;
        out_rewind_parser(plan);
        if (conn->sending) {
                conn->sending->head_done = scratch->sending_head_done;
                conn->sending->request_done = false;
        }
        for (unsigned i = 0; i < scratch->opened_count; i++)
                scratch->opened[i]->head_done = scratch->opened[i]->request_done = false;
        scratch->kept = 0;
        if (accepted && !out_feed(&call, accepted))
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
                                     ENETRESET,    ECONNABORTED, ESHUTDOWN,    EPROTO};

        for (size_t i = 0; i < ARRAY_LEN(broken); i++)
                if (broken[i] == error)
                        return true;
        return false;
}

static void commit_body(struct out_plan *plan, size_t n)
{
        struct out_call call = {.plan = plan};
        struct exchange *exchange = plan->conn->sending;

        if (exchange)
                pay(exchange);
        if (!out_skip(&call, n))
                conn_opaque(plan->conn, STAT_OPAQUE_ERROR);
        if (exchange && exchange->request_done)
                exchange_drop(exchange);
}

/* How many of the @n bytes that left were the host's. */
static size_t share(struct out_plan *plan, size_t n)
{
        struct conn *conn = plan->conn;
        bool far = conn->owed && conn->owed_in >= plan->host_len;
        size_t accepted;

        if (!far)
                conn->owed = NULL;
        accepted = inject_share(conn, plan->scratch, n);
        if (far)
                conn->owed_in -= accepted;
        conn->swallow = false;
        return accepted;
}

/* Nothing that leaves from here on belongs to what has left before. */
static void owe_nothing(struct conn *conn)
{
        conn->owed = NULL;
        conn->swallow = false;
}

static ssize_t commit_heads(struct out_plan *plan, ssize_t n, int error)
{
        struct out_scratch *scratch = plan->scratch;
        struct conn *conn = plan->conn;
        size_t accepted = n >= 0 ? share(plan, (size_t)n) : 0;
        bool broken = n < 0 && breaks_connection(error);

        if (broken)
                owe_nothing(conn);
        scratch->kept = scratch->opened_count;
        /* On a broken connection the requests stay as they were meant: they failed. */
        if (accepted < plan->host_len && !broken)
                rewind_to(plan, accepted);
        if (conn->sending)
                inject_remember_blanks(conn->sending, scratch, accepted);
        if (scratch->sending)
                settle(conn, scratch->sending, n > 0);
        for (unsigned i = 0; i < scratch->kept; i++)
                settle(conn, scratch->opened[i], n > 0);
        if (conn->out.http2)
                http2_unmark(conn->out.http2);
        if (conn_owes(conn) || conn->leftover_held)
                conn->owed_scratch = scratch;
        else
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
                (void)atomic_compare_exchange_strong(&conn->phase, &open, out_protocol(conn));
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
        if (scratch)
                owe_nothing(conn);
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
        return slice_make(exchange->added.p + conn->leftover_at, conn->leftover_end - conn->leftover_at);
}

void stream_out_leftover_sent(struct conn *conn, size_t n)
{
        conn->leftover_at += (uint32_t)n;
        if (conn->leftover_at < conn->leftover_end)
                return;
        if (conn->leftover_end == conn->leftover->inject_len)
                inject_done(conn->leftover);
        conn->swallow = conn->leftover_held;
        conn->leftover_held = false;
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
        if (conn_speaks(conn) && out_body_left(conn) >= n)
                commit_body(&plan, n);
        else
                (void)give_up(conn, STAT_OPAQUE_UNSEEN);
        direction_leave(&conn->out);
}
