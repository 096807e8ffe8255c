/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/handoff.h"

#include <sys/syscall.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/flow/handoff_table.h"
#include "agent/flow/tls.h"
#include "agent/flow/to_span.h"
#include "agent/process.h"

/*
 * Where the request of a slot is in this process. Other threads use the place for the next request at any
 * time: what is found there is checked against the request's own name.
 */
struct place {
        _Atomic uint64_t name; /* HANDOFF_NONE: over */
        struct conn *_Atomic conn;
        _Atomic uint32_t serial;
        _Atomic uint64_t turn; /* when it was shared, as forks count; NOT_YET: a fork may not have seen it */
};

#define NOT_YET UINT64_MAX
#define SHARE_WAIT_NS                                                                        \
        10000000ull /* forks of other threads hold what they share as long as one fork takes \
                     */
#define PAUSE_NS 50000

/* Read at every fork and end: on pages that are there already. */
START_DATA _Atomic uint64_t handoff_held, handoff_left;

static struct place places[HANDOFF_SLOTS];
static _Atomic uint64_t turns;

static struct place *place_of(uint64_t bits)
{
        return &places[__builtin_ctzll(bits)];
}

static void let_go(uint64_t name)
{
        uint64_t bit = 1ull << handoff_slot(name);

        if (!atomic_compare_exchange_strong(&places[handoff_slot(name)].name, &name, HANDOFF_NONE))
                return;
        atomic_fetch_and(&handoff_left, ~bit);
        atomic_fetch_and(&handoff_held, ~bit);
}

/* Nobody is waited for, not even this thread; who comes meanwhile waits a little. */
static bool enter(struct conn *conn)
{
        uint32_t seen = DIRECTION_FREE;

        return atomic_compare_exchange_strong(&conn->out.busy, &seen, DIRECTION_SETTLING);
}

/* --- fork --- */

/* The same for a connection that another thread's fork may be sharing: that is over before this one forks. */
static bool enter_patiently(struct conn *conn)
{
        const struct timespec pause = {0, PAUSE_NS};
        uint64_t end = 0;

        while (!enter(conn)) {
                if (atomic_load(&conn->out.busy) % DIRECTION_STATES == DIRECTION_IN_CALL ||
                    (end && clock_mono_ns() > end))
                        return false;
                if (!end)
                        end = clock_mono_ns() + SHARE_WAIT_NS;
                (void)sys_call(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
        }
        return true;
}

/* A name whose place is free in this process: another one may have claimed what that is for, which has not
 * been seen here yet. */
static uint64_t new_name(void)
{
        uint64_t avoid = 0, name;

        while ((name = handoff_table_add(avoid | atomic_load(&handoff_held))) != HANDOFF_NONE &&
               atomic_load(&handoff_held) >> handoff_slot(name) & 1) {
                (void)handoff_table_claim(name);
                avoid |= 1ull << handoff_slot(name);
        }
        return name;
}

static void share(struct conn *conn, struct exchange *exchange, bool begun)
{
        struct place *place;
        uint64_t name;

        if (exchange->done || !exchange->head_done)
                return;
        exchange->shared = true;
        conn->was_shared = true;
        if (begun || exchange->handoff || !exchange->traced)
                return;
        name = new_name();
        if (name == HANDOFF_NONE)
                return;
        exchange->handoff = name;
        handoff_table_shown(name, to_span_share(exchange) && config_now.relay != RELAY_OFF);
        place = &places[handoff_slot(name)];
        atomic_store(&place->turn, NOT_YET);
        atomic_store(&place->conn, conn);
        atomic_store(&place->serial, conn->serial);
        atomic_store(&place->name, name);
        atomic_fetch_or(&handoff_held, 1ull << handoff_slot(name));
        atomic_store(&place->turn, atomic_fetch_add(&turns, 1) + 1);
}

static void share_conn(struct conn *conn)
{
        uint32_t first, tail;

        if (conn->role != CONN_SERVER || conn->generation != process_generation || !conn_queue_first(conn))
                return;
        if (!enter_patiently(conn))
                return;
        first = atomic_load(&conn->queue_head);
        tail = atomic_load(&conn->queue_tail);
        for (uint32_t at = first; at != tail; at++) {
                struct exchange *exchange = conn_queue_at(conn, at);

                share(conn, exchange, (at == first || conn->fcgi) && conn_answer_begun(conn, exchange));
        }
        direction_leave(&conn->out);
}

void handoff_before_fork(void)
{
        uint64_t bits, turn;

        if (!handoff_any() && !cause_any())
                return;
        handoff_look();
        handoff_look_at_left();
        conn_table_each(share_conn);
        tls_each(share_conn);
        thread_state.forks_at = turn = atomic_load(&turns);
        bits = atomic_load(&handoff_held) & ~atomic_load(&handoff_left);
        if (bits)
                atomic_store(&cause_look_again, handoff_look);
        for (; bits; bits &= bits - 1) {
                bool seen = atomic_load(&place_of(bits)->turn) <= turn;
                uint64_t name = atomic_load(&place_of(bits)->name);

                if (seen && name != HANDOFF_NONE)
                        handoff_table_expect(name);
        }
}

void handoff_after_fork(void)
{
        /* Of what its parent left, the child has no descriptor. */
        uint64_t bits = atomic_load(&handoff_held) & ~atomic_load(&handoff_left);
        uint64_t turn = thread_state.forks_at;

        thread_state.forks_at = 0;
        atomic_store(&handoff_left, 0);
        atomic_store(&handoff_held, bits);
        for (; bits; bits &= bits - 1) {
                const struct place *place = place_of(bits);
                uint64_t name = atomic_load(&place->name);

                /* Of a request that another thread shared meanwhile, another child is awaited. */
                if (name != HANDOFF_NONE)
                        handoff_table_join(name, atomic_load(&place->turn) <= turn);
                else /* another thread was about to */
                        atomic_fetch_and(&handoff_held, ~(bits & -bits));
        }
}

void handoff_after_fork_parent(void)
{
        thread_state.forks_at = 0;
}

/* --- who tells --- */

bool handoff_claim(struct exchange *exchange)
{
        uint64_t name = exchange->handoff;

        if (name == HANDOFF_NONE)
                return true;
        exchange->handoff = HANDOFF_NONE;
        let_go(name);
        exchange->traced = handoff_table_claim(name);
        return exchange->traced;
}

void handoff_answers(struct conn *conn, struct exchange *exchange)
{
        if (exchange->handoff == HANDOFF_NONE)
                return;
        if (handoff_claim(exchange))
                to_span_open(conn, exchange);
        else
                to_span_dropped(exchange);
}

enum handoff_end handoff_ends(struct exchange *exchange, bool decide)
{
        uint64_t name = exchange->handoff;

        if (name == HANDOFF_NONE)
                return HANDOFF_OURS;
        handoff_table_leave(name);
        if (decide || !handoff_table_others(name))
                return handoff_claim(exchange) ? HANDOFF_OURS : HANDOFF_THEIRS;
        if (!exchange->guest)
                return HANDOFF_LATER;
        exchange->traced = false;
        exchange->handoff = HANDOFF_NONE;
        let_go(name);
        return HANDOFF_THEIRS;
}

bool handoff_alone(const struct exchange *exchange)
{
        return exchange->handoff == HANDOFF_NONE || !handoff_table_others(exchange->handoff);
}

void handoff_keep(struct conn *conn)
{
        uint32_t tail = atomic_load(&conn->queue_tail);

        conn->kept = true;
        for (uint32_t at = atomic_load(&conn->queue_head); at != tail; at++) {
                struct exchange *exchange = conn_queue_at(conn, at);

                cause_close(atomic_exchange(&exchange->request, CAUSE_NONE));
                if (!exchange->handoff)
                        continue;
                atomic_fetch_or(&handoff_left, 1ull << handoff_slot(exchange->handoff));
        }
        atomic_store_explicit(&conn->refs, 1, memory_order_release);
        handoff_look_at_left();
}

/* Of one request of it. */
static void leave(struct conn *conn, struct exchange *exchange)
{
        handoff_table_leave(exchange->handoff);
        if (handoff_table_others(exchange->handoff) || !handoff_claim(exchange))
                return;
        atomic_store(&exchange->open_slot, OPEN_NONE); /* the parent's */
        to_span_exchange(conn, exchange,
                         &(struct exchange_outcome){.end_ns = clock_mono_ns(), .incomplete = true});
        exchange->traced = false;
}

void handoff_leave_inherited(struct conn *conn, bool for_good)
{
        uint32_t tail = atomic_load(&conn->queue_tail);

        if (conn->role != CONN_SERVER || !handoff_any())
                return;
        for (uint32_t at = atomic_load(&conn->queue_head); at != tail; at++) {
                struct exchange *exchange = conn_queue_at(conn, at);
                uint64_t name = exchange->handoff;

                if (name == HANDOFF_NONE)
                        continue;
                leave(conn, exchange);
                if (for_good)
                        let_go(name);
        }
}

/* --- looking again --- */

static struct exchange *find(struct conn *conn, uint64_t name)
{
        uint32_t tail = atomic_load(&conn->queue_tail);

        for (uint32_t at = atomic_load(&conn->queue_head); at != tail; at++) {
                struct exchange *exchange = conn_queue_at(conn, at);

                if (exchange->handoff == name && !exchange->done)
                        return exchange;
        }
        return NULL;
}

/* The connection of the request of that @name, with a reference and its responses' side; or NULL. */
static struct conn *take(uint64_t name, struct exchange **ret_exchange)
{
        const struct place *place = &places[handoff_slot(name)];
        struct conn *conn = atomic_load(&place->conn);

        if (!conn || !conn_ref(conn))
                return NULL;
        if (conn->serial == atomic_load(&place->serial) && conn->generation == process_generation &&
            enter(conn)) {
                *ret_exchange = find(conn, name);
                if (*ret_exchange)
                        return conn;
                direction_leave(&conn->out);
        }
        conn_unref(conn);
        return NULL;
}

/* After take(). A connection that was kept for its requests goes with the last of them. */
static void give_back(struct conn *conn)
{
        bool over = conn->kept && !conn_queue_first(conn);

        if (over)
                conn->kept = false;
        direction_leave(&conn->out);
        if (over)
                conn_unref(conn);
        conn_unref(conn);
}

/* It is over here: told, when it is ours and nobody's else. */
static void end(uint64_t name)
{
        struct exchange *exchange;
        struct conn *conn = take(name, &exchange);

        if (!conn)
                return;
        conn_exchange_answered(conn, exchange,
                               &(struct exchange_outcome){.end_ns = clock_mono_ns(), .incomplete = true});
        give_back(conn);
}

/* Of its parent's connections, a child only forgets. */
static bool is_inherited(uint64_t name)
{
        const struct conn *conn = atomic_load(&places[handoff_slot(name)].conn);

        return conn && conn->generation != process_generation;
}

void handoff_look(void)
{
        for (uint64_t bits = atomic_load(&handoff_held); bits; bits &= bits - 1) {
                uint64_t name = atomic_load(&place_of(bits)->name);

                if (name == HANDOFF_NONE || handoff_table_open(name))
                        continue;
                if (is_inherited(name))
                        let_go(name);
                else
                        end(name);
        }
}

/* The name of the first of @bits if that is left: the place may have another one's since they were read. */
static uint64_t left_name(uint64_t bits)
{
        uint64_t name = atomic_load(&place_of(bits)->name);

        return atomic_load(&handoff_left) & bits & -bits ? name : HANDOFF_NONE;
}

void handoff_look_at_left(void)
{
        for (uint64_t bits = atomic_load(&handoff_left); bits; bits &= bits - 1) {
                uint64_t name = left_name(bits);

                if (name != HANDOFF_NONE && !handoff_table_others(name))
                        end(name);
        }
}

void handoff_last_words(void)
{
        for (uint64_t bits = atomic_load(&handoff_left); bits; bits &= bits - 1) {
                uint64_t name = left_name(bits);

                if (name != HANDOFF_NONE)
                        end(name);
        }
}
