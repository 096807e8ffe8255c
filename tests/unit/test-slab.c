/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>

#include "agent/base/slab.h"
#include "tests/unit/unit.h"

#define THREADS 4
#define ROUNDS  20000
#define HELD    8

struct object {
        uint64_t link; /* the slab's while the object is free */
        uint64_t payload[7];
        _Atomic uint32_t owners;
};

START_TEST(test_slab_alloc_when_fresh)
{
        static struct slab slab = SLAB_INIT(sizeof(struct object), 4, 10);
        static const struct object zero;
        struct object *objects[10];
        uint32_t index;

        ck_assert_uint_eq(slab.object_size % 64, 0);
        for (uint32_t i = 0; i < 10; i++) {
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
        ck_assert_uint_eq(index, 9);
}
END_TEST

START_TEST(test_slab_alloc_when_reused)
{
        static struct slab slab = SLAB_INIT(sizeof(struct object), 4, 3);
        struct object *object;
        uint32_t a, b, again;

        object = slab_alloc(&slab, &a);
        ck_assert_ptr_nonnull(slab_alloc(&slab, &b));
        memset(object, 0xee, sizeof(*object));
        slab_free(&slab, a);
        ck_assert_ptr_eq(slab_alloc(&slab, &again), object);
        ck_assert_uint_eq(again, a);
        ck_assert_uint_eq(object->link, 0);
        ck_assert_uint_eq(object->payload[0], 0xeeeeeeeeeeeeeeeeull);
        ck_assert_uint_eq(object->payload[6], 0xeeeeeeeeeeeeeeeeull);

        slab_free(&slab, a);
        slab_free(&slab, b);
        object = slab_alloc(&slab, NULL);
        ck_assert_ptr_eq(object, slab_at(&slab, b));
        ck_assert_uint_eq(object->link, 0);
        ck_assert_ptr_eq(slab_alloc(&slab, NULL), slab_at(&slab, a));
        ck_assert_ptr_nonnull(slab_alloc(&slab, NULL));
        ck_assert_ptr_null(slab_alloc(&slab, NULL));
}
END_TEST

START_TEST(test_slab_free_when_the_same_object_returns)
{
        static struct slab slab = SLAB_INIT(sizeof(struct object), 4, 4);
        uint64_t seen[8];
        uint32_t index;

        /* A thread that looked at the list before must not take it for unchanged (ABA). */
        for (size_t i = 0; i < 8; i++) {
                ck_assert_ptr_nonnull(slab_alloc(&slab, &index));
                ck_assert_uint_eq(index, 0);
                slab_free(&slab, index);
                seen[i] = atomic_load(&slab.free_head);
                for (size_t j = 0; j < i; j++)
                        ck_assert_uint_ne(seen[i], seen[j]);
        }
}
END_TEST

START_TEST(test_slab_alloc_when_memory_cannot_be_mapped)
{
        /* 2^61 bytes at a time: no address space holds them. */
        static struct slab slab = {.object_size = 1u << 30, .chunk_objects = 1u << 31, .count_max = 1u << 31};
        uint32_t index = 77;

        ck_assert_ptr_null(slab_alloc(&slab, &index));
        ck_assert_ptr_null(slab_alloc(&slab, &index));
        ck_assert_uint_eq(index, 77);
        ck_assert_uint_eq(atomic_load(&slab.made), 0);

        slab.object_size = 64;
        slab.chunk_objects = 4;
        ck_assert_ptr_nonnull(slab_alloc(&slab, &index));
        ck_assert_uint_eq(index, 0);
}
END_TEST

START_TEST(test_slab_alloc_when_chunks_run_out)
{
        static struct slab slab = SLAB_INIT(64, 1, SLAB_CHUNKS_MAX + 10);

        for (int i = 0; i < SLAB_CHUNKS_MAX; i++)
                ck_assert_ptr_nonnull(slab_alloc(&slab, NULL));
        ck_assert_ptr_null(slab_alloc(&slab, NULL));
}
END_TEST

static struct slab shared = SLAB_INIT(sizeof(struct object), 8, THREADS *HELD);

static void take_and_give(uint32_t held[HELD], unsigned seed)
{
        for (int i = 0; i < HELD; i++) {
                struct object *object = slab_alloc(&shared, &held[i]);

                ck_assert_ptr_nonnull(object);
                ck_assert_uint_eq(atomic_fetch_add(&object->owners, 1), 0);
                object->link = seed;
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
          test_slab_free_when_the_same_object_returns, test_slab_alloc_when_memory_cannot_be_mapped,
          test_slab_alloc_when_chunks_run_out, test_slab_alloc_when_threads_compete)
