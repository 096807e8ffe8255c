/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>

#include "agent/base/slab.h"
#include "tests/unit/unit.h"

#define THREADS 4
#define ROUNDS  20000
#define HELD    8

struct object {
        uint64_t payload[8];
        _Atomic uint32_t owners;
};

START_TEST(test_slab_alloc_when_fresh)
{
        SLAB_DEFINE(static, slab, sizeof(struct object), 4, 12);
        static const struct object zero;
        struct object *objects[12];
        uint32_t index;

        ck_assert_uint_eq(slab.object_size % 64, 0);
        for (uint32_t i = 0; i < 12; i++) {
                errno = E2BIG;
                objects[i] = slab_alloc(&slab, &index);
                ck_assert_int_eq(errno, E2BIG);
                ck_assert_uint_eq(index, i);
                ck_assert_ptr_eq(objects[i], slab_at(&slab, index));
                ck_assert_uint_eq((uintptr_t)objects[i] % 64, 0);
                ck_assert_mem_eq(objects[i], &zero, sizeof(zero));
                memset(objects[i], 0xee, sizeof(*objects[i]));
        }
        ck_assert_ptr_null(slab_alloc(&slab, &index));
        ck_assert_uint_eq(index, 11);
}
END_TEST

START_TEST(test_slab_alloc_when_reused)
{
        SLAB_DEFINE(static, slab, sizeof(struct object), 4, 4);
        struct object *object;
        uint32_t a, b, again;

        object = slab_alloc(&slab, &a);
        ck_assert_ptr_nonnull(slab_alloc(&slab, &b));
        memset(object, 0xee, sizeof(*object));
        slab_free(&slab, a);
        ck_assert(!slab_has(&slab, a) && slab_has(&slab, b));
        ck_assert_ptr_eq(slab_alloc(&slab, &again), object);
        ck_assert_uint_eq(again, a);
        ck_assert(slab_has(&slab, a));
        ck_assert_uint_eq(object->payload[0], 0xeeeeeeeeeeeeeeeeull);
        ck_assert_uint_eq(object->payload[7], 0xeeeeeeeeeeeeeeeeull);

        slab_free(&slab, a);
        slab_free(&slab, b);
        ck_assert_ptr_eq(slab_alloc(&slab, NULL), slab_at(&slab, a)); /* the lowest, not the latest */
        ck_assert_ptr_eq(slab_alloc(&slab, NULL), slab_at(&slab, b));
        ck_assert_ptr_nonnull(slab_alloc(&slab, NULL));
        ck_assert_ptr_nonnull(slab_alloc(&slab, NULL));
        ck_assert_ptr_null(slab_alloc(&slab, NULL));
        slab_free(&slab, b);
        ck_assert_ptr_eq(slab_alloc(&slab, &again), slab_at(&slab, b));
        ck_assert_uint_eq(slab_end(&slab), 4);
}
END_TEST

START_TEST(test_slab_alloc_when_memory_cannot_be_mapped)
{
        SLAB_DEFINE(static, slab, 1024 * 1024, 4, 8);
        struct rlimit limit, none;
        uint32_t index = 77;

        ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
        none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
        ck_assert_int_eq(setrlimit(RLIMIT_AS, &none), 0);
        ck_assert_ptr_null(slab_alloc(&slab, &index));
        ck_assert_ptr_null(slab_alloc(&slab, &index));
        ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
        ck_assert_uint_eq(index, 77);
        ck_assert_uint_eq(slab_end(&slab), 0);
        ck_assert_ptr_nonnull(slab_alloc(&slab, &index));
        ck_assert_uint_eq(index, 0);
}
END_TEST

START_TEST(test_slab_alloc_when_chunks_run_out)
{
        SLAB_DEFINE(static, slab, 64, 1, SLAB_CHUNKS_MAX);

        for (int i = 0; i < SLAB_CHUNKS_MAX; i++)
                ck_assert_ptr_nonnull(slab_alloc(&slab, NULL));
        ck_assert_ptr_null(slab_alloc(&slab, NULL));
}
END_TEST

#define PAGE 4096
#define MANY 1024

SLAB_DEFINE(static, pages, PAGE, 16, MANY);

static void take_all(void)
{
        uint32_t index;

        for (uint32_t i = 0; i < MANY; i++) {
                unsigned char *object = slab_alloc(&pages, &index);

                ck_assert_ptr_nonnull(object);
                ck_assert_uint_eq(index, i);
                memset(object, (int)(i % 255 + 1), PAGE);
        }
        ck_assert_ptr_null(slab_alloc(&pages, &index));
}

/* How many objects still hold what was written. */
static uint32_t count_written(void)
{
        uint32_t count = 0;

        for (uint32_t i = 0; i < MANY; i++) {
                const unsigned char *object = slab_at(&pages, i);

                ck_assert_uint_eq(object[0], object[PAGE - 1]);
                ck_assert(object[0] == 0 || object[0] == i % 255 + 1);
                count += object[0] != 0;
        }
        return count;
}

START_TEST(test_slab_free_when_a_burst_is_over)
{
        for (int round = 0; round < 3; round++) {
                take_all();
                for (uint32_t i = 0; i < MANY; i++)
                        slab_free(&pages, round == 1 ? MANY - 1 - i : i);
                ck_assert_uint_le(count_written(), 2 * pages.kept * 16);
        }
}
END_TEST

START_TEST(test_slab_free_when_some_stay)
{
        uint32_t index;

        take_all();
        /* One of each chunk in the upper half: none of them is anybody's but its own. */
        for (uint32_t i = 0; i < MANY; i++)
                if (i < MANY / 2 || i % 16 != i / 16 % 16)
                        slab_free(&pages, i);
        ck_assert_uint_ge(count_written(), MANY / 2);
        for (uint32_t i = MANY / 2; i < MANY; i++)
                if (slab_has(&pages, i))
                        ck_assert_uint_eq(*(unsigned char *)slab_at(&pages, i), i % 255 + 1);
        for (uint32_t i = MANY / 2; i < MANY; i++)
                if (slab_has(&pages, i))
                        slab_free(&pages, i);
        ck_assert_uint_le(count_written(), 2 * pages.kept * 16);
        ck_assert_ptr_nonnull(slab_alloc(&pages, &index));
        ck_assert_uint_eq(index, 0);
        slab_free(&pages, index);
}
END_TEST

START_TEST(test_slab_free_when_little_is_used_again_and_again)
{
        uint32_t index;
        unsigned char *object;

        take_all();
        for (uint32_t i = 0; i < MANY; i++)
                slab_free(&pages, i);
        /* What is kept is kept: no page comes and goes with each object. */
        for (int i = 0; i < 100; i++) {
                object = slab_alloc(&pages, &index);
                ck_assert_uint_eq(index, 0);
                ck_assert_uint_ne(object[100], 0);
                slab_free(&pages, index);
        }
}
END_TEST

#define STORM_HELD 200

static void *storm(void *arg)
{
        static _Atomic uint32_t seeds;
        uint32_t held[STORM_HELD], seed = atomic_fetch_add(&seeds, 1) + 1;

        for (unsigned round = 0; round < 300; round++) {
                unsigned count = 0;

                for (; count < STORM_HELD; count++) {
                        uint64_t *object = slab_alloc(&pages, &held[count]);

                        if (!object)
                                break;
                        object[0] = object[PAGE / 8 - 1] = (uint64_t)seed << 32 | held[count];
                }
                while (count-- > 0) {
                        const uint64_t *object = slab_at(&pages, held[count]);

                        ck_assert_uint_eq(object[0], (uint64_t)seed << 32 | held[count]);
                        ck_assert_uint_eq(object[PAGE / 8 - 1], object[0]);
                        slab_free(&pages, held[count]);
                }
        }
        return arg;
}

START_TEST(test_slab_free_when_threads_compete)
{
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, storm, NULL), 0);
        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        take_all();
}
END_TEST

SLAB_DEFINE(static, shared, sizeof(struct object), 8, THREADS *HELD);

static void take_and_give(uint32_t held[HELD], unsigned seed)
{
        for (int i = 0; i < HELD; i++) {
                struct object *object = slab_alloc(&shared, &held[i]);

                ck_assert_ptr_nonnull(object);
                ck_assert_uint_eq(atomic_fetch_add(&object->owners, 1), 0);
                object->payload[0] = seed;
        }
        for (int i = 0; i < HELD; i++) {
                struct object *object = slab_at(&shared, held[i]);

                ck_assert_uint_eq(object->payload[0], seed);
                ck_assert_uint_eq(atomic_fetch_sub(&object->owners, 1), 1);
                slab_free(&shared, held[i]);
        }
}

static void *churn(void *arg)
{
        uint32_t held[HELD];

        for (unsigned round = 0; round < ROUNDS / HELD; round++)
                take_and_give(held, round + 1);
        return arg;
}

START_TEST(test_slab_alloc_when_threads_compete)
{
        pthread_t threads[THREADS];
        uint32_t seen = 0;

        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, NULL), 0);
        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        while (slab_alloc(&shared, NULL))
                seen++;
        ck_assert_uint_eq(seen, THREADS * HELD);
}
END_TEST

UNIT_MAIN("slab", test_slab_alloc_when_fresh, test_slab_alloc_when_reused,
          test_slab_alloc_when_memory_cannot_be_mapped, test_slab_alloc_when_chunks_run_out,
          test_slab_free_when_a_burst_is_over, test_slab_free_when_some_stay,
          test_slab_free_when_little_is_used_again_and_again, test_slab_free_when_threads_compete,
          test_slab_alloc_when_threads_compete)
