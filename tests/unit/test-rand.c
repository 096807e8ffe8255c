/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "agent/base/guard.h"
#include "agent/base/rand.h"
#include "tests/unit/unit.h"

#define THREADS    4
#define PER_THREAD 250000
#define ALL        (THREADS * PER_THREAD)
#define FEW        64

static int by_value(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static size_t count_repeats(uint64_t *ids, size_t count)
{
        size_t repeats = 0;

        qsort(ids, count, sizeof(*ids), by_value);
        for (size_t i = 1; i < count; i++)
                repeats += ids[i] == ids[i - 1];
        return repeats;
}

static void *draw(void *arg)
{
        uint64_t *ids = arg;

        for (size_t i = 0; i < PER_THREAD; i++)
                ids[i] = rand_u64();
        return NULL;
}

START_TEST(test_rand_u64_when_threads_draw)
{
        uint64_t *ids = calloc(ALL, sizeof(*ids));
        uint64_t ones = 0, all = UINT64_MAX;
        pthread_t threads[THREADS];

        ck_assert_ptr_nonnull(ids);
        process_generation = 1;
        for (size_t i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, draw, ids + i * PER_THREAD), 0);
        for (size_t i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        for (size_t i = 0; i < ALL; i++) {
                ones |= ids[i];
                all &= ids[i];
        }
        ck_assert_uint_eq(count_repeats(ids, ALL), 0);
        ck_assert_uint_eq(ones, UINT64_MAX);
        ck_assert_uint_eq(all, 0);
        free(ids);
}
END_TEST

struct family {
        uint64_t *ids;
        bool counted; /* the generation is counted up in the child */
};

static void draw_in_child(void *arg)
{
        struct family *family = arg;

        process_generation += family->counted;
        for (size_t i = 0; i < FEW; i++)
                family->ids[FEW + i] = rand_u64();
}

/* Ids of a parent (first half) and its child, drawn after the same beginning. */
static size_t repeats_after_fork(bool counted)
{
        struct family family = {.counted = counted};

        family.ids = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(family.ids, MAP_FAILED);
        rand_u64();
        ck_assert_int_eq(unit_in_child(draw_in_child, &family), 0);
        for (size_t i = 0; i < FEW; i++)
                family.ids[i] = rand_u64();
        return count_repeats(family.ids, 2 * FEW);
}

START_TEST(test_rand_u64_when_forked)
{
        process_generation = 1;
        ck_assert_uint_eq(repeats_after_fork(true), 0);
        /* The proof that the test can fail: without a new generation both draw the same. */
        ck_assert_uint_eq(repeats_after_fork(false), FEW);
}
END_TEST

START_TEST(test_rand_u64_when_generation_is_zero)
{
        uint64_t first = rand_u64(), state[4];

        ck_assert_uint_eq(process_generation, 0);
        ck_assert_uint_ne(first, rand_u64());
        memcpy(state, thread_state.rand, sizeof(state));
        rand_u64();
        ck_assert_mem_ne(state, thread_state.rand, sizeof(state));
        process_generation = 1;
        rand_u64();
        ck_assert_uint_eq(thread_state.rand_generation, 1);
}
END_TEST

START_TEST(test_rand_u64_when_state_is_known)
{
        static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240ull};

        process_generation = thread_state.rand_generation = 1;
        for (uint64_t i = 0; i < 4; i++)
                thread_state.rand[i] = i + 1;
        for (size_t i = 0; i < 4; i++)
                ck_assert_uint_eq(rand_u64(), expected[i]);
}
END_TEST

static void forbid_getrandom(void)
{
        struct sock_filter rows[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {.len = 4, .filter = rows};

        ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(test_rand_u64_when_kernel_gives_no_seed)
{
        uint64_t *ids = calloc(ALL, sizeof(*ids));
        pthread_t threads[THREADS];

        ck_assert_ptr_nonnull(ids);
        forbid_getrandom();
        ck_assert_int_eq(syscall(SYS_getrandom, ids, 8, 0), -1);
        process_generation = 1;
        errno = E2BIG;
        rand_u64();
        ck_assert_int_eq(errno, E2BIG);
        ck_assert_uint_eq(repeats_after_fork(true), 0);
        for (size_t i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, draw, ids + i * PER_THREAD), 0);
        for (size_t i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(count_repeats(ids, ALL), 0);
        free(ids);
}
END_TEST

UNIT_MAIN("rand", test_rand_u64_when_threads_draw, test_rand_u64_when_forked,
          test_rand_u64_when_generation_is_zero, test_rand_u64_when_state_is_known,
          test_rand_u64_when_kernel_gives_no_seed)
