/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/conn.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/flow/conn_slab.h"
#include "agent/flow/handoff.h"
#include "agent/flow/http2_flow.h"
#include "agent/flow/inject.h"
#include "agent/flow/stream.h"
#include "agent/flow/to_span.h"
#include "agent/process.h"

#define PER_CHUNK 64

SLAB_DEFINE(, conn_slab, sizeof(struct conn), PER_CHUNK, LIMIT_CONNECTIONS);

struct conn *conn_new(const struct sockaddr *addr, socklen_t len, uint64_t start_ns)
{
        static _Atomic uint32_t serials;
        uint32_t index;
        struct conn *conn = slab_alloc(&conn_slab, &index);

        if (!conn) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                return NULL;
        }
        /* refs stays out of it: a late reader of the memory's last use may be looking at it. */
        memset(&conn->index, 0, sizeof(*conn) - offsetof(struct conn, index));
        conn->index = index;
        conn->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed);
        conn->generation = process_generation;
        conn->tcp = peer_fill(&conn->peer, addr, len) && conn->peer.len;
        conn->connect_start_ns = start_ns;
        atomic_store_explicit(&conn->refs, 1, memory_order_release);
        return conn;
}

bool conn_ref(struct conn *conn)
{
        uint32_t refs = atomic_load_explicit(&conn->refs, memory_order_relaxed);

        while (refs != 0)
                if (atomic_compare_exchange_weak_explicit(&conn->refs, &refs, refs + 1, memory_order_acquire,
                                                          memory_order_relaxed))
                        return true;
        return false;
}

void conn_opaque(struct conn *conn, enum stat_id why)
{
        if (atomic_exchange_explicit(&conn->phase, CONN_OPAQUE, memory_order_acq_rel) == CONN_OPAQUE)
                return;
        stat_add(why, 1);
        conn->others = conn->role == CONN_SERVER && conn->generation == process_generation;
        if (conn->others)
                cause_others(true);
}

void conn_carries(struct conn *conn)
{
        (void)atomic_exchange_explicit(&conn->phase, CONN_OPAQUE, memory_order_acq_rel);
        conn->carries = true;
        conn->unseen_tls = false;
        if (conn->others)
                cause_others(false);
        conn->others = false;
}

void conn_established(struct conn *conn, uint64_t now_ns)
{
        uint32_t expected = CONN_CONNECTING;

        if (!atomic_compare_exchange_strong(&conn->phase, &expected, CONN_OPEN))
                return;
        conn->connect_end_ns = now_ns;
        if (conn->peer.lookup && thread_state.connect_failed == conn->peer.lookup) {
                thread_state.connect_failed = 0;
                to_span_superseded(conn->peer.lookup, SLICE_NULL, now_ns);
        }
}

void conn_tell_setup(struct conn *conn)
{
        if (!conn->tcp || atomic_exchange(&conn->setup_told, 1) || !conn->connect_end_ns)
                return;
        to_span_connect(conn, &(struct exchange_outcome){.end_ns = conn->connect_end_ns});
}

/* The set-up itself failed. */
static void setup_failed(struct conn *conn, int error, bool timed_out, uint64_t now_ns)
{
        if (!conn->tcp || atomic_exchange(&conn->setup_told, 1))
                return;
        thread_state.connect_failed = conn->peer.lookup;
        to_span_connect(conn,
                        &(struct exchange_outcome){.end_ns = now_ns, .error = error, .timed_out = timed_out});
}

static inline void count_unseen(struct conn *conn)
{
        if (LIKELY(!conn->unseen_tls))
                return;
        stat_add(STAT_OPAQUE_TLS, 1);
        conn->unseen_tls = false;
}

/* Whoever is waited for may need a core first, or the other one's run queue has to be worked off. */
static void pause_turn(unsigned turn)
{
        const struct timespec nap = {.tv_nsec = LIMIT_SETTLE_NAP_NS};

        if (turn < LIMIT_SETTLE_YIELDS)
                (void)sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
        else
                (void)sys_call(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
}

/* Waits while it settles, and while it is @in_call. */
static bool wait_for(struct direction *direction, uint32_t wanted, bool in_call)
{
        uint64_t end_ns = clock_mono_ns() + LIMIT_SETTLE_NS;

        for (unsigned turn = 0;; turn++) {
                uint32_t seen = DIRECTION_FREE;

                pause_turn(turn);
                if (atomic_compare_exchange_strong_explicit(&direction->busy, &seen, wanted,
                                                            memory_order_acquire, memory_order_relaxed))
                        return true;
                if (seen == wanted || (seen % DIRECTION_STATES == DIRECTION_IN_CALL && !in_call) ||
                    clock_mono_ns() >= end_ns)
                        return false;
        }
}

bool direction_enter_settling(struct direction *direction, uint32_t wanted)
{
        return wait_for(direction, wanted, false);
}

bool conn_client_went_on(const struct conn *conn)
{
        uint32_t waiting = atomic_load(&conn->queue_tail) - atomic_load(&conn->queue_head);

        return conn->role == CONN_SERVER && conn_phase(conn) == CONN_HTTP1 && (waiting > 1 || conn->eof);
}

bool direction_enter_returning(struct direction *direction, uint32_t thread)
{
        uint32_t wanted = thread * DIRECTION_STATES + DIRECTION_IN_CALL;

        return atomic_load_explicit(&direction->busy, memory_order_relaxed) != wanted &&
               wait_for(direction, wanted, true);
}

bool direction_take_over(struct direction *direction, uint32_t thread)
{
        uint32_t seen = atomic_load_explicit(&direction->busy, memory_order_acquire);
        uint32_t holder = seen / DIRECTION_STATES;

        if (seen % DIRECTION_STATES != DIRECTION_IN_CALL || holder == 0)
                return false;
        if (holder != thread && sys_call(SYS_tgkill, sys_getpid(), holder, 0, 0, 0, 0) != -ESRCH)
                return false;
        return atomic_compare_exchange_strong(&direction->busy, &seen,
                                              thread * DIRECTION_STATES + DIRECTION_IN_CALL);
}

bool conn_answer_begun(const struct conn *conn, const struct exchange *exchange)
{
        if (exchange->status)
                return true;
        return conn->fcgi || conn->http2 ? atomic_load(&exchange->claim) == CLAIM_ANSWERED
                                         : direction_http1_busy(&conn->out);
}

bool conn_owes_answer(struct conn *conn)
{
        const struct exchange *exchange = conn_queue_first(conn);

        return exchange && exchange->head_done && !(exchange->shared && conn_answer_begun(conn, exchange));
}

void conn_exchange_answered(struct conn *conn, struct exchange *exchange,
                            const struct exchange_outcome *outcome)
{
        if (UNLIKELY(exchange->handoff))
                (void)handoff_claim(exchange);
        to_span_exchange(conn, exchange, outcome);
        if (conn->role == CONN_SERVER)
                cause_close(
                        atomic_exchange(&exchange->request, CAUSE_NONE)); /* once, whoever finds it over */
        exchange->done = true;
        if (exchange->stream && http2_flow_take(conn->http2, exchange))
                exchange_drop(exchange);
        while ((exchange = conn_queue_first(conn)) && exchange->done)
                conn_queue_pop(conn);
}

void conn_answered(struct conn *conn, const struct exchange_outcome *outcome)
{
        conn_exchange_answered(conn, conn_queue_first(conn), outcome);
}

/* How a server's request ends whose response we did not see to its end. */
static struct exchange_outcome served_outcome(const struct conn *conn, struct exchange *exchange,
                                              const struct exchange_outcome *outcome)
{
        struct exchange_outcome end = *outcome;
        bool begun = conn_answer_begun(conn, exchange);

        /* The status line may have left without the rest of the head: a CGI program writes that. */
        if (begun && !exchange->status && !conn->fcgi && !conn->http2 &&
            conn->out.http1->head.status >= 200) {
                exchange->status = conn->out.http1->head.status;
                exchange->response_minor = conn->out.http1->head.minor;
        }
        end.unanswered = !exchange->status && !outcome->incomplete;
        if (!exchange->shared)
                return end;
        /* A child may have written what is missing. */
        if (begun || (!conn->silent && !outcome->error))
                end.truncated = end.unanswered = false;
        end.incomplete |= !begun && !conn->silent && !outcome->error;
        return end;
}

/* Return: false when a child may answer it yet: it stays. */
static bool end_request(struct conn *conn, struct exchange *exchange, const struct exchange_outcome *outcome,
                        bool last_words)
{
        bool begun = conn_answer_begun(conn, exchange);
        struct exchange_outcome end;

        if (conn->role == CONN_CLIENT) {
                conn_exchange_answered(conn, exchange, outcome);
                return true;
        }
        if (handoff_ends(exchange, begun || (last_words && !exchange->guest)) == HANDOFF_LATER)
                return false;
        end = served_outcome(conn, exchange, outcome);
        conn_exchange_answered(conn, exchange, &end);
        return true;
}

static bool end_queue(struct conn *conn, const struct exchange_outcome *outcome, bool last_words)
{
        uint32_t tail = atomic_load(&conn->queue_tail);
        bool all = true;

        for (uint32_t at = atomic_load(&conn->queue_head); at != tail; at++) {
                struct exchange *exchange = conn_queue_at(conn, at);

                if ((int32_t)(at - atomic_load(&conn->queue_head)) < 0 || exchange->done)
                        continue; /* was over before those in front of it */
                all &= end_request(conn, exchange, outcome, last_words);
        }
        return all;
}

/* Streams never stay. */
static void end_streams(struct conn *conn, const struct exchange_outcome *outcome, bool last_words)
{
        struct exchange *exchange;
        uint32_t at = 0;

        while ((exchange = http2_flow_next(conn->http2, &at)))
                (void)end_request(conn, exchange, outcome, last_words);
}

/* Return: false when there is something that stays. */
static bool end_requests(struct conn *conn, const struct exchange_outcome *outcome, bool last_words)
{
        uint32_t first = 0;

        if (!conn_queue_first(conn) && !(conn->http2 && http2_flow_next(conn->http2, &first)))
                return true;
        /* What may come all the same (after SHUT_RD, from exit handlers) is nobody's answer. */
        atomic_store_explicit(&conn->phase, CONN_OPAQUE, memory_order_release);
        if (conn->http2)
                end_streams(conn, outcome, last_words);
        return end_queue(conn, outcome, last_words);
}

void conn_unanswered(struct conn *conn, const struct exchange_outcome *outcome)
{
        (void)end_requests(conn, outcome, true);
}

void conn_failed(struct conn *conn, int error, uint64_t now_ns)
{
        uint32_t none = 0;

        if (!atomic_compare_exchange_strong(&conn->error, &none, (uint32_t)error))
                return;
        conn->error_ns = now_ns;
        if (conn_phase(conn) == CONN_CONNECTING) {
                setup_failed(conn, error, false, now_ns);
                conn_opaque(conn, STAT_OPAQUE_UNKNOWN);
        }
}

/* What becomes of requests whose response will not be read any more. */
static struct exchange_outcome outcome_now(const struct conn *conn)
{
        struct exchange_outcome outcome = {.end_ns = clock_mono_ns(), .error = (int)conn->error};

        if (outcome.error)
                outcome.end_ns = conn->error_ns;
        else if (conn->role == CONN_SERVER ? conn_speaks(conn) : conn->eof)
                outcome.truncated = true; /* a server's own end of the stream is one as well */
        else if (conn_phase(conn) == CONN_OPAQUE)
                outcome.incomplete = true;
        else
                outcome.timed_out = conn->timed_out != 0;
        return outcome;
}

/* A server's own end of the stream may be what completes its response. Return: as end_requests(). */
static bool end_answers(struct conn *conn, const struct exchange_outcome *outcome, bool last_words)
{
        if (conn->role == CONN_SERVER && !conn->error)
                stream_answer_eof(conn, outcome->end_ns);
        return end_requests(conn, outcome, last_words);
}

/* Nobody uses the connection any more. Return: false when requests of it are left to children. */
static bool conn_finish(struct conn *conn)
{
        struct exchange_outcome outcome = outcome_now(conn);
        enum conn_phase phase = conn_phase(conn);

        if (phase == CONN_CONNECTING && conn->timed_out)
                setup_failed(conn, 0, true, outcome.end_ns);
        else if (phase == CONN_OPEN)
                conn_tell_setup(conn); /* ended without a word */
        count_unseen(conn);
        return end_answers(conn, &outcome, false);
}

void conn_last_words(struct conn *conn)
{
        struct direction *answers = conn->role == CONN_SERVER ? &conn->out : &conn->in;
        struct exchange_outcome outcome = outcome_now(conn);

        if (conn->generation != process_generation) {
                handoff_leave_inherited(conn, false);
                return;
        }
        if (conn_phase(conn) == CONN_OPEN)
                conn_tell_setup(conn);
        count_unseen(conn);
        /* Held: another thread is reading. What it does not finish is found in shared memory. */
        if (!direction_enter(answers))
                return;
        (void)end_answers(conn, &outcome, true);
        direction_leave(answers);
}

/* What only memory holds is given back; a forked child does nothing more with its parent's connections. */
static void conn_release(struct conn *conn)
{
        struct exchange *exchange;
        uint32_t at = 0;

        while ((exchange = conn_queue_first(conn)))
                conn_queue_pop(conn);
        while (conn->http2 && (exchange = http2_flow_next(conn->http2, &at)))
                exchange_drop(exchange);
        http2_flow_free(conn->http2);
        if (conn->owed_scratch)
                out_scratch_free(conn->owed_scratch);
        if (conn->sending)
                exchange_drop(conn->sending);
        conn->sending = NULL;
        if (conn->others && conn->generation == process_generation)
                cause_others(false);
        conn_drop_parsers(conn);
        room_give(&conn->peer.name);
        room_give(&conn->tls_facts);
        room_give(&conn->more);
        slab_free(&conn_slab, conn->index);
}

void conn_take_over(struct conn *conn)
{
        conn->generation = process_generation;
        conn->others = conn->role == CONN_SERVER && conn_phase(conn) == CONN_OPAQUE && !conn->carries;
        if (conn->others)
                cause_others(true);
        direction_leave(&conn->out);
        direction_leave(&conn->in);
}

void conn_adopt(struct conn *conn)
{
        bool idle = !conn->sending && !conn->leftover && !conn_queue_first(conn) && !conn->fcgi &&
                    !conn->http2 && !direction_http1_busy(&conn->out) && !direction_http1_busy(&conn->in);

        /* The child may only be about to close it: see serve_adopt(). */
        if (!idle && conn->role == CONN_SERVER && !conn->http2)
                return;
        if (!idle) {
                conn_opaque(conn, STAT_OPAQUE_UNSEEN);
                return;
        }
        atomic_store(&conn->setup_told, 1); /* by the parent */
        conn_take_over(conn);
}

void conn_unref(struct conn *conn)
{
        if (atomic_fetch_sub_explicit(&conn->refs, 1, memory_order_acq_rel) != 1)
                return;
        if (conn->generation != process_generation) {
                handoff_leave_inherited(conn, true);
        } else if (!conn_finish(conn)) {
                handoff_keep(conn);
                return;
        }
        conn_release(conn);
}
