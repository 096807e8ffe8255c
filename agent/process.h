/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which process this is: notices children that were made behind our back (raw clone, without the
 * fork handlers) and children that share their parent's memory (vfork) and must leave it alone.
 */
#include <stdbool.h>
#include <stdint.h>

/**
 * process_watch_forks() - from now on process_notice_fork() works
 *
 * Maps one page that the kernel empties in every child with memory of its own (MADV_WIPEONFORK). Called
 * when the first connection is made, so that a process without network never pays for it.
 *
 * Context: hook.
 */
void process_watch_forks(void);

/* One load: when this is a new child, process_after_fork() is run first. Context: signal. */
void process_notice_fork(void);

/**
 * process_own_memory() - does this thread run in the process whose state this is?
 *
 * False in a vfork (or raw CLONE_VM) child. Costs a system call: for rare calls only (close, dup2,
 * connect of a tracked descriptor).
 *
 * Context: signal.
 */
bool process_own_memory(void);

/* True while process_begin() was called in this very process. Context: signal. */
bool process_is_known(void);

/**
 * process_begin() - remember who we are
 *
 * At start, and in each child. Counts process_generation up.
 *
 * Context: signal.
 */
void process_begin(void);

/* What a child must do before anything else: set by lifecycle. */
extern void (*process_after_fork)(void);
