/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>

#include "agent/base/fault.h"
#include "agent/base/log.h"
#include "agent/base/stats.h"
#include "tests/unit/unit.h"

#define THREADS 4
#define ADDS    10000

static _Atomic uint64_t cells[STAT_COUNT];
static _Atomic uint64_t more_cells[STAT_COUNT];

START_TEST(test_stats_move_when_counted_before)
{
        stat_add(STAT_INJECTED, 3);
        stat_add(STAT_FAULTS, 1);
        atomic_store(&cells[STAT_INJECTED], 10);
        stats_move(cells);
        ck_assert_uint_eq(stat_get(STAT_INJECTED), 13);
        ck_assert_uint_eq(atomic_load(&cells[STAT_FAULTS]), 1);
        stat_add(STAT_INJECTED, 1);
        ck_assert_uint_eq(atomic_load(&cells[STAT_INJECTED]), 14);
        stats_move(cells);
        ck_assert_uint_eq(atomic_load(&cells[STAT_INJECTED]), 14);

        stats_move(NULL);
        ck_assert_uint_eq(stat_get(STAT_INJECTED), 0);
        stat_add(STAT_INJECTED, 5);
        ck_assert_uint_eq(atomic_load(&cells[STAT_INJECTED]), 14);
        stats_move(NULL);
        ck_assert_uint_eq(stat_get(STAT_INJECTED), 0);
}
END_TEST

START_TEST(test_stat_texts_when_listed)
{
        for (int i = 0; i < STAT_COUNT; i++)
                ck_assert_ptr_nonnull(stat_texts[i]);
        ck_assert_str_eq(stat_texts[STAT_WAKEUPS], "wake-ups sent to the consumer");
}
END_TEST

static void *count(void *arg)
{
        for (int i = 0; i < ADDS; i++)
                stat_add(STAT_SPANS_MADE, 1);
        return arg;
}

START_TEST(test_stats_move_when_threads_count)
{
        pthread_t threads[THREADS];
        uint64_t sum;

        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
        stats_move(cells);
        stats_move(more_cells);
        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        sum = stat_get(STAT_SPANS_MADE) + atomic_load(&cells[STAT_SPANS_MADE]);
        /* An addition that was under way at a move may stay behind, one per thread and move. */
        ck_assert_uint_le(sum, THREADS * ADDS);
        ck_assert_uint_ge(sum, THREADS * ADDS - 2 * THREADS);
}
END_TEST

START_TEST(test_fault_off_when_called_twice)
{
        char text[256];
        int ends[2];
        ssize_t n;

        ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
        log_set_target((struct log_target){.level = LOG_ERROR, .fd = ends[1]});
        ck_assert(fault_none(FAULT_FLOW));
        fault_off(FAULT_FLOW, "a test");
        fault_off(FAULT_FLOW, "a test");
        ck_assert(!fault_none(FAULT_FLOW));
        for (int part = FAULT_FLOW + 1; part < FAULT_PARTS; part++)
                ck_assert(fault_none((enum fault_part)part));
        ck_assert_uint_eq(stat_get(STAT_FAULTS), 1);
        n = read(ends[0], text, sizeof(text) - 1);
        ck_assert_int_gt(n, 0);
        text[n] = 0;
        ck_assert_ptr_nonnull(strstr(text, "]: error: connections switched off: a test\n"));
        ck_assert_ptr_null(strstr(strchr(text, '\n'), "off"));
}
END_TEST

UNIT_MAIN("stats", test_stats_move_when_counted_before, test_stat_texts_when_listed,
          test_stats_move_when_threads_count, test_fault_off_when_called_twice)
