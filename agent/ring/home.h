/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where this process's spans go: the ring, made at the first record, and the way to whoever drains
 * it (design 10): the relay of this user and export configuration, or a thread of our own inside
 * the process (OTEL_INSTRUMENT_RELAY=off, or where no relay can be started).
 *
 * Everything here runs on the host's thread and never waits: sockets are non-blocking, a relay that
 * is not there yet gets its ring at the next wake-up.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/record/span.h"

/**
 * home_start() - remember where we are installed and what a relay will need of the environment
 * @environ_now: the process's environment; copied from
 *
 * Opens and maps nothing.
 *
 * Context: start.
 */
void home_start(char *const *environ_now);

/**
 * home_span() - hand over one finished span
 * @now_mono_ns: current CLOCK_MONOTONIC
 *
 * The first one makes the ring and finds or starts the consumer. Counts what it drops.
 *
 * Context: hook (signal once the ring is there).
 */
void home_span(const struct span *span, uint64_t now_mono_ns);

/**
 * home_prepare() - a request is about to leave: have the ring made and, for the relay, handed over
 *
 * Whoever dies in the midst of its very first request is known to the relay by then.
 *
 * Context: hook.
 */
void home_prepare(void);

/* Is there nothing left to prepare? Another thread may be about it. Context: signal. */
bool home_is_prepared(void);

/**
 * home_open() / home_open_clear() - a span has begun / is finished or was given up
 *
 * Return: a slot (>= 0) or -1. Context: hook.
 */
int home_open(const struct span *span);
void home_open_clear(int slot);
/* Another process may tell of it, too. Context: signal. */
void home_open_share(int slot);

/* Called when the ring has been made, before its first record, if set: what is open already belongs into it.
 * Context: hook. */
extern void (*home_ring_made)(void);

/* Called, if set, when exit() has come to where nothing can be exported any more, with its status. Context:
 * hook. */
extern void (*home_closing)(int status);

/* Is that before the host's own exit handlers, since the thread uses libraries that have some? Context:
 * signal. */
bool home_closes_early(void);

/**
 * home_flush() - wait until what was written has been taken (and for the console: printed)
 * @timeout_ms: at most so long; OTEL_INSTRUMENT_EXIT_TIMEOUT at exit
 *
 * Does nothing unless the process must wait at its end: process 1, console exporter, in-process home.
 *
 * Context: hook; the one place where the host's thread waits (design 11).
 */
void home_flush(int64_t timeout_ms);

/* True when home_flush() would wait: someone has written records and the end must be waited for. */
bool home_must_flush(void);

/**
 * home_at_exit() - last look before a normal end
 *
 * A relay that died with records of ours in the ring is started again. What must be waited for is waited for,
 * OTEL_INSTRUMENT_EXIT_TIMEOUT at most.
 *
 * Context: hook.
 */
void home_at_exit(void);

/* In a forked child: forget the parent's ring, socket and thread without touching them. Context: signal. */
void home_after_fork(void);

/* Around fork in the parent: waits (bounded) for a waker to be done and, in process, until the thread is
 * outside of third-party code. Context: hook. */
void home_before_fork(void);
void home_after_fork_parent(void);

/* Before setuid and the like, in process only: the thread leaves, the next record starts a new one. Context:
 * hook. */
void home_before_identity_change(void);

/* Is this descriptor number one of ours? Hooks answer EBADF / skip it. Context: signal. */
bool home_owns_fd(int fd);

/* The lowest of our descriptors that is >= @from, or -1: close_range goes around it. Context: signal. */
int home_next_fd(int from);

/* The host is about to put something else under one of our numbers: ours moves to another. Context: signal.
 */
void home_lose_fd(int fd);
