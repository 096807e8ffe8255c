/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Start, fork and stop of all parts, in one visible order. Called by hooks/preload.c and the process hooks.
 */
#include <stdbool.h>

#include "agent/process.h"

/**
 * lifecycle_start() - from the preload's constructor
 * @environ_now: the process's environment
 *
 * Reads the kill switch before anything else. Makes no ring, no descriptor, no thread.
 *
 * Context: start.
 * Return: true when the agent is on.
 */
bool lifecycle_start(char *const *environ_now);

/* Around fork(2). Context: hook; the child's: signal. */
void lifecycle_before_fork(void);
void lifecycle_after_fork_parent(void);
void lifecycle_after_fork_child(void);

/* A normal end is near: exit, _exit, quick_exit, exec. May be called more than once. Context: hook. */
void lifecycle_stop(void);

/* The process ends with @status, here and now: so does its span. Context: hook. */
void lifecycle_end(int status);

/* exit() was called: handlers run first, and lifecycle_end() after them, unless they take the ground away.
 * Context: hook. */
void lifecycle_exit(int status);

/* Around daemon(): its parent ends inside libc, by an _exit(0) that nobody sees. Context: hook. */
void lifecycle_daemon(bool begins);

/* Must somebody tell lifecycle_end() how exit() ended? Context: signal. */
bool lifecycle_minds_status(void);
