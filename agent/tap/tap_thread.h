/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The door between hooks and agent, for threads: their waits, and what they inherit. Laws of tap_net.h. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/guard.h"

/* Does this process take connections? Until it does there is nothing to be inherited. */
extern _Atomic bool tap_thread_serves_at_all __attribute__((visibility("hidden")));

static inline bool tap_thread_serves(void)
{
        return atomic_load_explicit(&tap_thread_serves_at_all, memory_order_relaxed);
}

static inline void tap_thread_now_serves(void)
{
        atomic_store_explicit(&tap_thread_serves_at_all, true, memory_order_relaxed);
}

void tap_thread_new_slice(void);

/*
 * A wait for descriptors (epoll_wait, poll, select, ...) returned: the thread begins something new. Nothing
 * while a higher seam's call runs: the wait is libcurl's, not the program's. Context: hook.
 */
static inline void tap_thread_waited(void)
{
        if (__builtin_expect(tap_thread_serves(), 0) && !thread_state.mute)
                tap_thread_new_slice();
}

/* The server request that this thread works for is handed to a thread or a job that it starts. */
uint64_t tap_thread_hand_over(void);

/* The thread begins with what its creator handed to it. */
void tap_thread_begin(uint64_t request);

/* Around a job that was handed to a pool: works for @request; back to what was before. */
void tap_thread_enter(uint64_t request, struct thread_cause *ret_before);
void tap_thread_leave(const struct thread_cause *before);
