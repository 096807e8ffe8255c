/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Process 1 of a container takes all others with it, the relay that one of its children started too: before
 * it goes it has that relay send what it has of anybody. It starts none, and mostly finds none.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/ring/ring.h"

struct home_last {
        struct ring ring; /* of no records: where the relay answers */
        int handle;       /* of the connection; -1: there is no relay */
};

/* Is this process such a one? Context: signal. */
bool home_last_wanted(void);

/* Ask, and do not wait. Context: hook. */
void home_last_ask(struct home_last *ret_last);

/**
 * home_last_wait() - for the answer, until @end_ns at the latest (CLOCK_MONOTONIC)
 * @last: from home_last_ask(); nothing of it is left
 *
 * Context: hook; waits.
 * Return: false when it was in vain.
 */
bool home_last_wait(struct home_last *last, uint64_t end_ns);
