/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/handoff.h"

#include "agent/base/clock.h"
#include "agent/config/config.h"
#include "agent/flow/handoff_table.h"
#include "agent/flow/to_span.h"
#include "agent/process.h"

/* Where the request of a slot is in this process. Checked against the request's own name. */
struct place {
        _Atomic uint64_t name;
        struct conn *_Atomic conn;
        _Atomic uint32_t serial;
};

/* Read at every fork and end: on pages that are there already. */
START_DATA _Atomic uint64_t handoff_held, handoff_left;

static struct place places[HANDOFF_SLOTS];

static void let_go(uint64_t name)
{
        uint64_t bit = 1ull << handoff_slot(name);

        if (atomic_load(&places[handoff_slot(name)].name) != name)
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

/* Another process claimed what its place was for, and this one has not seen that yet. */
static bool is_vacant(uint64_t name)
{
        if (!(atomic_load(&handoff_held) >> handoff_slot(name) & 1))
                return true;
        (void)handoff_table_claim(name);
        return false;
}

static void share(struct conn *conn, struct exchange *exchange, bool begun)
{
        uint64_t name;

        if (exchange->done || !exchange->head_done)
                return;
        exchange->shared = true;
        conn->was_shared = true;
        if (begun || exchange->handoff || !exchange->traced)
                return;
        name = handoff_table_add(atomic_load(&handoff_held));
        if (name == HANDOFF_NONE || !is_vacant(name))
                return;
        exchange->handoff = name;
        handoff_table_shown(name, atomic_load(&exchange->open_slot) >= 0 && config_now.relay != RELAY_OFF);
        atomic_store(&places[handoff_slot(name)].name, name);
        atomic_store(&places[handoff_slot(name)].conn, conn);
        atomic_store(&places[handoff_slot(name)].serial, conn->serial);
        atomic_fetch_or(&handoff_held, 1ull << handoff_slot(name));
}

static void share_conn(struct conn *conn)
{
        uint32_t first, tail;

        if (conn->role != CONN_SERVER || conn->generation != process_generation || !conn_queue_first(conn))
                return;
        /* Another thread's fork may be sharing it: that is over before this one forks. */
        if (!enter(conn) && !direction_enter_settling(&conn->out, DIRECTION_SETTLING))
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
        uint64_t bits;

        if (!handoff_any() && !cause_any())
                return;
        handoff_look();
        handoff_look_at_left();
        conn_table_each(share_conn);
        bits = atomic_load(&handoff_held) & ~atomic_load(&handoff_left);
        if (bits)
                atomic_store(&cause_look_again, handoff_look);
        thread_state.forks_with = bits;
        for (; bits; bits &= bits - 1)
                handoff_table_expect(atomic_load(&places[__builtin_ctzll(bits)].name));
}

void handoff_after_fork(void)
{
        /* Of what its parent left, the child has no descriptor. */
        uint64_t bits = atomic_load(&handoff_held) & ~atomic_load(&handoff_left);
        uint64_t awaited = thread_state.forks_with;

        thread_state.forks_with = 0;
        atomic_store(&handoff_left, 0);
        atomic_store(&handoff_held, bits);
        for (; bits; bits &= bits - 1)
                /* Of a request that another thread shared meanwhile, another child is awaited. */
                handoff_table_join(atomic_load(&places[__builtin_ctzll(bits)].name), awaited & bits & -bits);
}

void handoff_after_fork_parent(void)
{
        thread_state.forks_with = 0;
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
                /* A child that answers may do so long before we look again. */
                to_span_dropped(exchange);
                handoff_table_shown(exchange->handoff, false);
                atomic_fetch_or(&handoff_left, 1ull << handoff_slot(exchange->handoff));
        }
        atomic_store_explicit(&conn->refs, 1, memory_order_release);
        handoff_look_at_left();
}

void handoff_leave_inherited(struct conn *conn)
{
        uint32_t tail = atomic_load(&conn->queue_tail);
        struct exchange_outcome outcome = {.incomplete = true};

        if (conn->role != CONN_SERVER || !handoff_any())
                return;
        for (uint32_t at = atomic_load(&conn->queue_head); at != tail; at++) {
                struct exchange *exchange = conn_queue_at(conn, at);

                if (!exchange->handoff)
                        continue;
                handoff_table_leave(exchange->handoff);
                if (handoff_table_others(exchange->handoff) || !handoff_claim(exchange))
                        continue;
                atomic_store(&exchange->open_slot, OPEN_NONE); /* the parent's */
                outcome.end_ns = clock_mono_ns();
                to_span_exchange(conn, exchange, &outcome);
                exchange->traced = false;
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

/* The request's connection with a reference and its responses' side, or NULL. */
static struct conn *take(const struct place *place, struct exchange **ret_exchange)
{
        struct conn *conn = atomic_load(&place->conn);

        if (!conn || !conn_ref(conn))
                return NULL;
        if (conn->serial == atomic_load(&place->serial) && conn->generation == process_generation &&
            enter(conn)) {
                *ret_exchange = find(conn, atomic_load(&place->name));
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
static void end(const struct place *place)
{
        struct exchange *exchange;
        struct conn *conn = take(place, &exchange);

        if (!conn)
                return;
        conn_exchange_answered(conn, exchange,
                               &(struct exchange_outcome){.end_ns = clock_mono_ns(), .incomplete = true});
        give_back(conn);
}

void handoff_look(void)
{
        for (uint64_t bits = atomic_load(&handoff_held); bits; bits &= bits - 1) {
                const struct place *place = &places[__builtin_ctzll(bits)];

                if (!handoff_table_open(atomic_load(&place->name)))
                        end(place);
        }
}

void handoff_look_at_left(void)
{
        for (uint64_t bits = atomic_load(&handoff_left); bits; bits &= bits - 1) {
                const struct place *place = &places[__builtin_ctzll(bits)];

                if (!handoff_table_others(atomic_load(&place->name)))
                        end(place);
        }
}

void handoff_last_words(void)
{
        for (uint64_t bits = atomic_load(&handoff_left); bits; bits &= bits - 1)
                end(&places[__builtin_ctzll(bits)]);
}
