/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/stats.h"

#include <stddef.h>

const char *const stat_texts[STAT_COUNT] = {
#define X(id, text) [STAT_##id] = text,
        STAT_ROWS(X)
#undef X
};

static _Atomic uint64_t own_cells[STAT_COUNT];

_Atomic(_Atomic uint64_t *) stats_base __attribute__((visibility("hidden"))) = own_cells;

static void empty_own_cells(void)
{
        for (size_t i = 0; i < STAT_COUNT; i++)
                atomic_store_explicit(&own_cells[i], 0, memory_order_relaxed);
}

void stats_move(_Atomic uint64_t *to)
{
        _Atomic uint64_t *from;

        if (!to) {
                empty_own_cells();
                atomic_store_explicit(&stats_base, own_cells, memory_order_release);
                return;
        }
        from = atomic_exchange_explicit(&stats_base, to, memory_order_acq_rel);
        if (from == to)
                return;
        /* Taken, not copied: whoever still adds to the old cells is not counted twice. */
        for (size_t i = 0; i < STAT_COUNT; i++)
                atomic_fetch_add_explicit(&to[i], atomic_exchange_explicit(&from[i], 0, memory_order_relaxed),
                                          memory_order_relaxed);
}
