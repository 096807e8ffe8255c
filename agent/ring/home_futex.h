/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Waiting for a word in memory that may be shared with another process. */
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/base/sys.h"

/* Until @word is no longer @value, somebody wakes us, @timeout_ns is over, or for no reason. Context: waits.
 */
static inline void home_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
        const struct timespec timeout = {(time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};

        (void)sys_call(SYS_futex, (long)word, FUTEX_WAIT, value, (long)&timeout, 0, 0); /* the caller looks */
}

static inline void home_futex_wake(_Atomic uint32_t *word, int count)
{
        (void)sys_call(SYS_futex, (long)word, FUTEX_WAKE, count, 0, 0, 0); /* cannot fail */
}
