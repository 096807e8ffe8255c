/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What we do about a contradiction inside ourselves: switch the part off, count it, log it, and let
 * the host run on. Never abort, never assert in shipped code.
 */
#include <stdbool.h>
#include <stdint.h>

enum fault_part { FAULT_FLOW, FAULT_RING, FAULT_CURL, FAULT_RELAY, FAULT_PARTS };

extern uint32_t fault_bits __attribute__((visibility("hidden")));

/* True while the part works. Context: signal. */
static inline bool fault_none(enum fault_part part)
{
        return !(__atomic_load_n(&fault_bits, __ATOMIC_RELAXED) & (1u << part));
}

/* Switch @part off for good; @why is logged once. Context: signal. */
void fault_off(enum fault_part part, const char *why);
