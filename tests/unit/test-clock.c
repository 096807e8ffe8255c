/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's clocks are replaced by ones that the tests move. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "tests/unit/unit.h"

#define SECOND 1000000000ull
#define STEP   (3600 * SECOND)
#define MONO   (50000 * SECOND)
#define WALL   (1700000000 * SECOND)

static _Atomic bool faked;
static _Atomic uint64_t mono = MONO;
static _Atomic uint64_t difference = WALL - MONO; /* of the wall clock to the other */
static _Atomic unsigned wall_readings;
static _Atomic uint64_t preempted_for; /* passes once, behind the next reading of the wall clock */

int clock_gettime(clockid_t id, struct timespec *t)
{
        uint64_t now;

        if (!atomic_load(&faked))
                return (int)syscall(SYS_clock_gettime, id, t);
        now = atomic_load(&mono);
        if (id == CLOCK_REALTIME) {
                now += atomic_load(&difference);
                atomic_fetch_add(&wall_readings, 1);
                atomic_fetch_add(&mono, atomic_exchange(&preempted_for, 0));
        }
        t->tv_sec = (time_t)(now / SECOND);
        t->tv_nsec = (long)(now % SECOND);
        return 0;
}

static void pass(uint64_t ns)
{
        atomic_fetch_add(&mono, ns);
}

static void fake(void)
{
        process_generation = 1;
        atomic_store(&faked, true);
}

/* At a test's end: Check measures how long it took. */
static void unfake(void)
{
        atomic_store(&faked, false);
}

START_TEST(test_clock_wall_ns_when_real)
{
        uint64_t before = clock_mono_ns();
        struct timespec t;
        uint64_t now, ours;

        ours = clock_wall_ns(clock_mono_ns());
        ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &t), 0);
        now = (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
        ck_assert_uint_le(ours, now + SECOND / 100);
        ck_assert_uint_ge(ours + SECOND, now);
        ck_assert_uint_ge(clock_mono_ns(), before);
        ck_assert_uint_gt(before, 0);
}
END_TEST

START_TEST(test_clock_wall_ns_when_wall_clock_steps)
{
        fake();
        ck_assert_uint_eq(clock_mono_ns(), MONO);
        ck_assert_uint_eq(clock_wall_ns(MONO), WALL);
        ck_assert_uint_eq(clock_wall_ns(MONO - 5), WALL - 5);

        atomic_fetch_add(&difference, STEP);
        pass(SECOND - 1);
        ck_assert_uint_eq(clock_wall_ns(MONO + SECOND - 1), WALL + SECOND - 1);
        pass(1);
        ck_assert_uint_eq(clock_wall_ns(MONO + SECOND), WALL + STEP + SECOND);

        atomic_fetch_sub(&difference, 2 * STEP);
        pass(2 * SECOND);
        ck_assert_uint_eq(clock_wall_ns(clock_mono_ns()), WALL - STEP + 3 * SECOND);
        unfake();
}
END_TEST

START_TEST(test_clock_wall_ns_when_called_often)
{
        fake();
        for (int i = 0; i < 10000; i++) {
                clock_wall_ns(clock_mono_ns());
                clock_wall_ns(clock_mono_ns() - SECOND / 2);
                pass(SECOND / 1000);
        }
        ck_assert_uint_ge(atomic_load(&wall_readings), 9);
        ck_assert_uint_le(atomic_load(&wall_readings), 10);
        unfake();
}
END_TEST

START_TEST(test_clock_wall_ns_when_preempted_in_measurement)
{
        fake();
        atomic_store(&preempted_for, 300 * 1000 * 1000);
        ck_assert_uint_eq(clock_wall_ns(MONO), WALL);
        ck_assert_uint_eq(clock_mono_ns(), MONO + 300 * 1000 * 1000);
        unfake();
}
END_TEST

static void look_in_child(void *arg)
{
        uint64_t step = *(const uint64_t *)arg;

        process_generation++;
        atomic_fetch_add(&difference, step);
        ck_assert_uint_eq(clock_wall_ns(clock_mono_ns()), WALL + step);
        atomic_fetch_add(&difference, step);
        ck_assert_uint_eq(clock_wall_ns(clock_mono_ns()), WALL + step);
}

START_TEST(test_clock_wall_ns_when_forked)
{
        uint64_t step = STEP;

        fake();
        ck_assert_uint_eq(clock_wall_ns(clock_mono_ns()), WALL);
        ck_assert_int_eq(unit_in_child(look_in_child, &step), 0);
        unfake();
}
END_TEST

static void *look(void *arg)
{
        for (int i = 0; i < 20000; i++) {
                /* A moment this late makes every call measure. */
                uint64_t offset = clock_wall_ns(MONO + SECOND) - (MONO + SECOND);

                ck_assert(offset == WALL - MONO || offset == WALL - MONO + (STEP << 20));
        }
        return arg;
}

static void *step(void *arg)
{
        for (int i = 0; i < 20000; i++)
                atomic_store(&difference, WALL - MONO + (i & 1 ? STEP << 20 : 0));
        return arg;
}

START_TEST(test_clock_wall_ns_when_threads_refresh)
{
        pthread_t threads[4];

        fake();
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, i ? look : step, NULL), 0);
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        unfake();
}
END_TEST

UNIT_MAIN("clock", test_clock_wall_ns_when_real, test_clock_wall_ns_when_wall_clock_steps,
          test_clock_wall_ns_when_called_often, test_clock_wall_ns_when_preempted_in_measurement,
          test_clock_wall_ns_when_forked, test_clock_wall_ns_when_threads_refresh)
