/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Outgoing calls that never return: the thread was cancelled in them, or a signal handler jumped out. What
 * they hold (a reference, the direction, working memory) is found again by where on the stack they were made,
 * as a guard that was given up is, and given back at the thread's next send or close. Of a thread that has
 * ended, at the close of the connection. What left is not known, so the connection is opaque from there on;
 * its requests are told as incomplete.
 */
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/flow/stream.h"

/**
 * abandoned_reclaim() - give back what this thread's abandoned calls hold
 * @at: stack address of a frame that they were called deeper than, or would have been
 *
 * Context: signal, guard held.
 */
void abandoned_reclaim(uintptr_t at);

/* Ask the kernel for this thread's number. Context: signal. */
void abandoned_name_thread(void);

/* The number, asked for once. Context: signal. */
static inline uint32_t abandoned_thread(void)
{
        if (UNLIKELY(thread_state.tid_generation != process_generation))
                abandoned_name_thread();
        return thread_state.tid;
}

/* @conn is about to be closed: give back what a thread that has ended holds of it. Guard held. Context:
 * signal. */
void abandoned_look(struct conn *conn);

/* Where abandoned_begin() notes a call when there are others already; NULL: nowhere. Context: signal. */
struct thread_send *abandoned_next(uintptr_t at);

/* The call that @send is nested in; NULL = none. Context: signal. */
static inline struct thread_send *abandoned_outer(struct thread_send *send)
{
        return send == thread_state.sends ? NULL : send - 1;
}

/**
 * abandoned_begin() - a call on @conn begins, whose reference it holds
 * @at: stack pointer
 *
 * Return: for the functions below; NULL when it is not remembered. Context: signal.
 */
static inline struct thread_send *abandoned_begin(struct conn *conn, uintptr_t at)
{
        struct thread_send *send = thread_state.sends;

        if (UNLIKELY(thread_state.send != NULL)) {
                send = abandoned_next(at);
                if (!send)
                        return NULL;
        }
        send->at = at;
        send->conn = conn;
        send->planned = false;
        atomic_signal_fence(memory_order_seq_cst);
        thread_state.send = send;
        return send;
}

/* It holds the direction too, and working memory (or NULL). Context: signal. */
static inline void abandoned_planned(struct thread_send *send, struct conn *conn, struct out_scratch *scratch)
{
        if (UNLIKELY(!send))
                return;
        conn->under_way = scratch;
        atomic_store_explicit(&conn->sender, abandoned_thread(), memory_order_release);
        send->planned = true;
}

/* Slow path of abandoned_kept(). Context: signal. */
bool abandoned_nested(const struct thread_send *send, const struct conn *conn);

/* Is it still known, and not taken for abandoned? What was nested in it is over by now. Context: signal. */
static inline bool abandoned_kept(const struct thread_send *send, const struct conn *conn)
{
        return LIKELY(thread_state.send == send && send->conn == conn) || abandoned_nested(send, conn);
}

/* The planned call has come back, and is the caller's to commit: false when nothing of it is left. Context:
 * signal. */
static inline bool abandoned_returned(struct thread_send *send, struct conn *conn)
{
        if (UNLIKELY(!send))
                return true;
        if (UNLIKELY(!abandoned_kept(send, conn)))
                return false;
        send->planned = false;
        conn->under_way = NULL;
        atomic_store_explicit(&conn->sender, 0, memory_order_relaxed);
        return true;
}

/* All is over: true when the reference is the caller's again. Context: signal. */
static inline bool abandoned_end(struct thread_send *send, const struct conn *conn)
{
        if (UNLIKELY(!send))
                return true;
        if (UNLIKELY(!abandoned_kept(send, conn)))
                return false;
        thread_state.send = abandoned_outer(send);
        return true;
}
