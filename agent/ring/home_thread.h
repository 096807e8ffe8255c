/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The home inside the traced program: a thread of ours that loads the export library (export/inproc)
 * and drains the ring. It exists from the first wake-up on, and not across a change of identity.
 *
 * home_thread_wake() and home_thread_stop() are called by one thread at a time (home.c sees to that).
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/ring/ring.h"

/**
 * home_thread_wake() - have @ring drained, by a new thread when there is none
 * @at_exit: called at the process's end, before the exit handlers of the libraries that the thread uses
 *
 * A new thread costs the host's thread a pthread_create, which allocates: the first wake-up of a process must
 * not come from a signal handler in the midst of malloc.
 *
 * Context: hook. errno kept.
 * Return: false when that is impossible in this process.
 */
bool home_thread_wake(struct ring *ring, void (*at_exit)(int status, void *unused));

/* Is there one, dead or alive? Context: signal. */
bool home_thread_exists(void);

/* False once it will never do anything any more, and home_thread_wake() would start another. Context: signal.
 */
bool home_thread_alive(void);

/**
 * home_thread_stop() - have it leave, at once
 * @timeout_ms: how long to wait for that; a thread that is still inside of third-party code then is left
 * there
 *
 * Context: hook; waits.
 */
void home_thread_stop(int64_t timeout_ms);

/* Around fork: no child is born while the thread is inside of third-party code, unless it stays there
 * too long; then the child will not use that code. Context: hook; the child's: signal. */
void home_thread_before_fork(void);
void home_thread_after_fork_parent(void);
void home_thread_after_fork(void);
