/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whose child is it? The parent rule of design 9: one function, cause_find(), over a small state that
 * agent/flow feeds. A wrong parent is worse than none, so the rule follows debts: a thread that read
 * for a request owes, one that wrote for it has paid.
 *
 * Requests are named by a number (index and use of their memory): a number outlives its request and is
 * then nobody's. Nothing here waits or allocates; every shared word changes by one compare-and-swap.
 * All functions: Context: signal, with the thread's own struct thread_cause.
 *
 * Two things beyond reading and writing settle debts. Opening a connection for a request pays what is owed
 * to it: event loops open one per event and write later. And a reply that begins (nothing was written
 * or passed on for its request before) right after an answer that nobody knew pays for that.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/guard.h"
#include "agent/base/room.h"
#include "agent/trace/context.h"

#define CAUSE_NONE    0 /* no server request: a program without server side, or nothing is known yet */
#define CAUSE_UNKNOWN UINT64_MAX /* of some server request, but of which? */

/* By which rung of the rule a parent was found; the numbers are those of design 9. */
enum cause_rung {
        CAUSE_BY_SEAM = 1,    /* the API seam's own context, captured when its handle started */
        CAUSE_BY_HEADER = 2,  /* the head carries the context that an open server request came in with */
        CAUSE_BY_OPENING = 3, /* first request of a connection that was opened for it */
        CAUSE_BY_DEBT = 4,    /* the thread's only debt, or all it touched in this slice */
        CAUSE_BY_TARGET = 5,  /* the only open request with this method and target, not passed on yet */
        CAUSE_BY_THREAD = 6,  /* the thread's only open request, or the one its creator worked for */
        CAUSE_BY_PROCESS = 7, /* the only open request of the process */
        CAUSE_BY_ENVIRON = 8, /* the process's own context */
        CAUSE_BY_NOTHING = 9, /* a new root */
        CAUSE_RUNGS
};

/* What is known of a server request when its head has been read. Copied from. */
struct cause_arrival {
        struct trace_context context;  /* of its SERVER span; tracestate included */
        struct trace_context incoming; /* what it came in with; invalid ids: nothing */
        struct slice baggage;
        struct slice method, target;
        bool sampled;
        bool marked; /* the program was shown @context in the head: that coming back is exact as well */
};

/* For which request a client connection was opened; lives in the connection. */
struct cause_opening {
        uint64_t request;
        uint32_t thread, slice; /* who opened it, and when */
        bool over;              /* its first request is out: says nothing any more */
};

/* What an outgoing request says of itself. */
struct cause_departure {
        struct slice method, target;   /* may be empty: API seams, other protocols */
        struct trace_context header;   /* context header found in its head; invalid ids: none */
        struct cause_opening *opening; /* of its connection, or NULL */
};

/**
 * cause_open() - a server request's head was read on this thread
 *
 * Return: its number; CAUSE_UNKNOWN when there is no room.
 */
uint64_t cause_open(struct thread_cause *thread, const struct cause_arrival *arrival);

/* Its response is complete, or never will be. Any thread. Also owed to the CAUSE_UNKNOWN of a request without
 * room: as long as there is one, nothing is the only one. */
void cause_close(uint64_t request);

/* The thread begins a new slice: a wait (epoll_wait, poll, select, ...) returned. */
void cause_waited(struct thread_cause *thread);

/* Bytes were read from / written to a descriptor that belongs to @owner (a request, CAUSE_UNKNOWN; nothing
 * for CAUSE_NONE). */
void cause_read(struct thread_cause *thread, uint64_t owner);
void cause_wrote(struct thread_cause *thread, uint64_t owner);

/* Bytes were read on a connection that we do not understand: with @asks a client's, which may ask for
 * anything; else an answer, to the thread's only request if it has no more than that. */
void cause_read_opaque(struct thread_cause *thread, bool asks);

/*
 * A connection begins, or is over, on which clients may ask for what we cannot read. While there is one, a
 * request that is the only open one of the process, or of a thread that reads such connections, may not be
 * the only one.
 */
void cause_others(bool begins);

/* A client connection is being opened: remember for whom, who is paid by that. */
void cause_connect(struct thread_cause *thread, struct cause_opening *ret_opening);

/**
 * cause_find() - rungs 2 to 7 for a new outgoing request
 * @ret_request: the server request that it belongs to; CAUSE_UNKNOWN when there are some and none is
 *               certain; CAUSE_NONE when the process has none
 *
 * A request found is passed on from here (rung 5 gives it to nobody else), and the connection's opening
 * is over. The caller's own write is told by cause_wrote() afterwards.
 *
 * Return: the rung; CAUSE_BY_NOTHING when none of these applied.
 */
enum cause_rung cause_find(struct thread_cause *thread, const struct cause_departure *departure,
                           uint64_t *ret_request);

/* The request that this thread works for, by rungs 4, 6 and 7, without consuming anything: for processes that
 * it starts. CAUSE_NONE or CAUSE_UNKNOWN as above. */
uint64_t cause_current(const struct thread_cause *thread);

/*
 * The same for a thread or a job that it starts. A loop that reads several requests in one slice hands each
 * over before it reads the next: of what was read, that which was not handed over yet. For calls of the
 * thread's own nothing is settled by that. A request that is listed as a debt becomes a handed one.
 */
uint64_t cause_hand_over(struct thread_cause *thread);

/*
 * Around a job that was handed over for @request: what the thread does is for that request and no other,
 * until *ret_before, which the caller keeps, is put back. The job of CAUSE_UNKNOWN may be anybody's;
 * CAUSE_NONE: it is nobody's that we know.
 */
void cause_enter(struct thread_cause *thread, uint64_t request, struct thread_cause *ret_before);
void cause_leave(struct thread_cause *thread, const struct thread_cause *before);

/**
 * cause_context() - copy what a request's children need
 * @tracestate, @baggage: LIMIT_TRACESTATE and LIMIT_BAGGAGE bytes of the caller's that the slices in the
 * result point into; NULL: leave it out
 *
 * Method and target are not kept, nor is the tracestate that it came in with.
 *
 * Return: false when the request is over.
 */
bool cause_context(uint64_t request, char *tracestate, char *baggage, struct cause_arrival *ret_arrival);

/* The same, with what @room gets room for; where there is none, tracestate and baggage are left out. */
bool cause_context_into(uint64_t request, struct room *room, struct cause_arrival *ret_arrival);

/* Is the context one that exactly one open server request came in with (or was marked with)? Its number, or
 * CAUSE_NONE. */
uint64_t cause_by_header(const struct trace_context *header);

/* Is any server request open? Context: signal. */
bool cause_any(void);

/* Asked before a question is answered, if set: are all still open? */
extern void (*_Atomic cause_look_again)(void);

/* Still open? */
bool cause_is_open(uint64_t request);

/* In a forked child, after cause_current() was asked: no request of the parent's is open here. */
void cause_after_fork(struct thread_cause *thread);
