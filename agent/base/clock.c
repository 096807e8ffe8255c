/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "agent/base/guard.h"

#define NS_PER_S      1000000000ull
#define REFRESH_NS    ((int64_t)NS_PER_S)
#define GOOD_GAP_NS   2000u /* a measurement whose two readings lie closer was not interrupted */
#define MEASURE_TRIES 4

/*
 * Each value is one atomic word and right alone: a reader that meets a refresh uses the former
 * offset. 0 means never measured.
 */
static _Atomic int64_t wall_offset;
static _Atomic uint64_t measured_at;
static _Atomic uint32_t measured_generation;

static uint64_t clock_read(clockid_t id)
{
        struct timespec t = {0};

        (void)clock_gettime(id, &t); /* the vDSO cannot fail for these two clocks */
        return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
        return clock_read(CLOCK_MONOTONIC);
}

/* The wall clock read between two monotonic readings; the closest pair wins over a preempted one. */
static int64_t measure(void)
{
        uint64_t best_gap = UINT64_MAX;
        int64_t best = 0;

        for (int i = 0; i < MEASURE_TRIES && best_gap > GOOD_GAP_NS; i++) {
                uint64_t before = clock_read(CLOCK_MONOTONIC);
                uint64_t wall = clock_read(CLOCK_REALTIME);
                uint64_t gap = clock_read(CLOCK_MONOTONIC) - before;

                if (gap >= best_gap)
                        continue;
                best_gap = gap;
                best = (int64_t)(wall - before - gap / 2);
        }
        return best;
}

/*
 * A forked child measures anew: it may live in another time namespace, and its parent may have been
 * caught between claiming the refresh and storing the result.
 */
static int64_t current_offset(uint64_t mono_ns)
{
        uint32_t generation = __atomic_load_n(&process_generation, __ATOMIC_RELAXED);
        bool ours = atomic_load_explicit(&measured_generation, memory_order_acquire) == generation;
        uint64_t at = atomic_load_explicit(&measured_at, memory_order_relaxed);
        int64_t offset = atomic_load_explicit(&wall_offset, memory_order_relaxed);
        bool usable = ours && offset != 0;

        if (usable && (int64_t)(mono_ns - at) < REFRESH_NS)
                return offset;
        if (!atomic_compare_exchange_strong(&measured_at, &at, clock_mono_ns()) && usable)
                return offset;
        offset = measure();
        atomic_store_explicit(&wall_offset, offset, memory_order_relaxed);
        atomic_store_explicit(&measured_generation, generation, memory_order_release);
        return offset;
}

uint64_t clock_wall_ns(uint64_t mono_ns)
{
        return mono_ns + (uint64_t)current_offset(mono_ns);
}
