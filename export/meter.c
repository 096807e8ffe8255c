/* SPDX-License-Identifier: Apache-2.0 */
#include "export/meter.h"

#include "agent/base/load.h"
#include "agent/base/log.h"
#include "agent/ring/ring.h"

static const char *const meter_texts[METER_COUNT] = {
#define X(id, text) [METER_##id] = (text),
        METER_ROWS(X)
#undef X
};

/* The process's own counters that mean lost spans. */
static const struct {
        enum stat_id id;
        const char *text;
} lost_rows[] = {
        {STAT_DROPPED_RING_FULL, "ring full"},
        {STAT_DROPPED_NO_RING, "no ring"},
        {STAT_DROPPED_TOO_LARGE, "record too large"},
        {STAT_DROPPED_ABANDONED, "record never committed"},
};

/* A process that writes nonsense into its header must not drown the true figures. */
#define LOST_PLAUSIBLE (1ull << 48)

void meter_ring(struct meter *meter, const struct ring_header *header)
{
        for (size_t i = 0; i < ARRAY_LEN(lost_rows); i++) {
                uint64_t n = atomic_load_explicit(&header->stats[lost_rows[i].id], memory_order_relaxed);

                if (n == 0 || n > LOST_PLAUSIBLE)
                        continue;
                meter_add(meter, METER_LOST_IN_PROCESS, n);
                log_warn("process %u: %lu spans dropped: %s", header->pid, (unsigned long)n,
                         lost_rows[i].text);
        }
}

void meter_log(const struct meter *meter)
{
        for (unsigned i = 0; i < METER_COUNT; i++)
                if (meter->count[i])
                        log_info("%s: %lu", meter_texts[i], (unsigned long)meter->count[i]);
}
