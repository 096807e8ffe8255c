/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An open server request and the forked children that may answer it: exactly one process tells of it, whoever
 * began the answer. Who closes the connection without an answer leaves the request to the others while there
 * are any; the last one tells that nobody answered, as far as we saw. The process that read the request keeps
 * what it left until it is claimed, so that a child that is killed takes nothing with it; at its own end
 * it tells of what is not claimed, as incomplete. When it is killed, what it shows is told by others, unless
 * a child tells of it (export/refine_shared.h). A request without a slot (no room, or forked behind our back)
 * stays with the process that read it.
 *
 * Nothing here costs anything in a process that never forks with a request open.
 */
#include "agent/base/load.h"
#include "agent/flow/conn.h"

/* Around fork; the child's before anything else is asked. Context: hook; the child's: signal. */
void handoff_before_fork(void);
void handoff_after_fork(void);
void handoff_after_fork_parent(void);

/* Requests that this process shares, a bit for each slot; of them, those whose connections are closed here.
 */
extern _Atomic uint64_t handoff_held, handoff_left;

static inline bool handoff_any(void)
{
        return atomic_load_explicit(&handoff_held, memory_order_relaxed) != 0;
}

/* Lets go of what another process has begun to answer. Context: signal. */
void handoff_look(void);

/* Something happens on a server's connection. */
static inline void handoff_look_if_any(void)
{
        if (UNLIKELY(handoff_any()))
                handoff_look();
}

/* The same, and of requests whose connections are closed here: those that nobody can answer any more are
 * told. Context: signal. */
void handoff_look_at_left(void);
/* Are there such? Context: signal. */
static inline bool handoff_has_left(void)
{
        return atomic_load_explicit(&handoff_left, memory_order_relaxed) != 0;
}

/* The process is about to end: they are told as they are. Context: signal. */
void handoff_last_words(void);

/* The answer to it has begun here: is it ours to tell? True without any doubt for what was never shared.
 * Responses' side. Context: signal. */
bool handoff_claim(struct exchange *exchange);

/* The same when its head is seen: what a child tells from now on, it shows as open, too. */
void handoff_answers(struct conn *conn, struct exchange *exchange);

enum handoff_end {
        HANDOFF_OURS,   /* to be told here */
        HANDOFF_THEIRS, /* nothing is to be told here */
        HANDOFF_LATER,  /* to be kept until it is known */
};

/**
 * handoff_ends() - no answer will be seen here any more
 * @decide: it began to leave, or the process ends
 *
 * Responses' side. Context: signal.
 */
enum handoff_end handoff_ends(struct exchange *exchange, bool decide);

/* Could nobody but this process answer it, of those that we know of? Context: signal. */
bool handoff_alone(const struct exchange *exchange);

/* The connection, closed here, is kept with what handoff_ends() left. */
void handoff_keep(struct conn *conn);

/* A child lets go of its parent's connection; @for_good: it cannot come back to it. Context: signal. */
void handoff_leave_inherited(struct conn *conn, bool for_good);
