/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/fault.h"

#include "agent/base/log.h"
#include "agent/base/stats.h"

uint32_t fault_bits __attribute__((visibility("hidden")));

static const char *const part_names[FAULT_PARTS] = {
        [FAULT_FLOW] = "connections",
        [FAULT_RING] = "ring",
        [FAULT_CURL] = "libcurl",
        [FAULT_RELAY] = "relay",
};

void fault_off(enum fault_part part, const char *why)
{
        uint32_t bit = 1u << part;

        if (__atomic_fetch_or(&fault_bits, bit, __ATOMIC_RELAXED) & bit)
                return;
        stat_add(STAT_FAULTS, 1);
        log_error("%s switched off: %s", part_names[part], why);
}
