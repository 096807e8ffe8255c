/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "agent/base/intmap.h"
#include "tests/unit/unit.h"

#define THREADS 4
#define KEYS    32
#define ROUNDS  500

START_TEST(test_intmap_put_when_new_replaced_and_taken)
{
        INTMAP_DEFINE(map, 16);
        uint32_t value = 99;

        ck_assert(!intmap_get(&map, 7, &value));
        ck_assert(!intmap_take(&map, 7, &value));
        ck_assert_uint_eq(value, 99);
        ck_assert(intmap_put(&map, 7, 70));
        ck_assert(intmap_put(&map, 8, 80));
        ck_assert(intmap_get(&map, 7, &value));
        ck_assert_uint_eq(value, 70);
        ck_assert(intmap_put(&map, 7, 71));
        ck_assert(intmap_take(&map, 7, &value));
        ck_assert_uint_eq(value, 71);
        ck_assert(!intmap_take(&map, 7, &value));
        ck_assert(!intmap_get(&map, 7, &value));
        ck_assert(intmap_get(&map, 8, &value));
        ck_assert_uint_eq(value, 80);
}
END_TEST

START_TEST(test_intmap_put_when_full)
{
        INTMAP_DEFINE(map, 8);
        uint32_t value;

        for (uint32_t i = 1; i <= 8; i++)
                ck_assert(intmap_put(&map, i * 0x10, i));
        ck_assert(!intmap_put(&map, 0x1000, 9));
        ck_assert(!intmap_get(&map, 0x1000, &value));
        ck_assert(intmap_put(&map, 0x10, 11));
        ck_assert(intmap_take(&map, 0x50, &value));
        ck_assert(intmap_put(&map, 0x1000, 9));
        ck_assert(intmap_get(&map, 0x1000, &value));
        ck_assert_uint_eq(value, 9);
        for (uint32_t i = 1; i <= 8; i++)
                ck_assert_int_eq(intmap_get(&map, i * 0x10, &value), i != 5);
}
END_TEST

START_TEST(test_intmap_put_when_key_is_reserved)
{
        static const uint64_t reserved[] = {0, UINT64_MAX, UINT64_MAX - 1};
        INTMAP_DEFINE(map, 8);
        uint32_t value = 1;

        for (size_t i = 0; i < 3; i++) {
                ck_assert(!intmap_put(&map, reserved[i], 5));
                ck_assert(!intmap_get(&map, reserved[i], &value));
                ck_assert(!intmap_take(&map, reserved[i], &value));
        }
}
END_TEST

START_TEST(test_intmap_take_when_keys_come_and_go)
{
        INTMAP_DEFINE(map, 64);
        uint32_t value;

        for (uint64_t key = 1; key <= 100000; key++) {
                ck_assert(intmap_put(&map, key * 16, (uint32_t)key));
                if (key <= 4)
                        continue;
                ck_assert(intmap_take(&map, (key - 4) * 16, &value));
                ck_assert_uint_eq(value, key - 4);
        }
        /* Every slot was used by now; a miss is short all the same. */
        ck_assert_uint_lt(atomic_load(&map.reach), 8);
}
END_TEST

START_TEST(test_intmap_get_when_search_ends_at_the_reach)
{
        INTMAP_DEFINE(map, 64);
        uint64_t key = 0;
        uint32_t value;

        while (atomic_load(&map.reach) == 0)
                ck_assert(intmap_put(&map, key += 16, 5));
        ck_assert(intmap_get(&map, key, &value));
        atomic_store(&map.reach, 0);
        ck_assert(!intmap_get(&map, key, &value));
}
END_TEST

INTMAP_DEFINE(shared, 256);

static void *churn(void *arg)
{
        uint64_t base = ((uint64_t)(uintptr_t)arg + 1) << 32;
        uint32_t value;

        for (uint32_t round = 0; round < ROUNDS; round++) {
                for (uint32_t i = 0; i < KEYS; i++)
                        ck_assert(intmap_put(&shared, base + i, round * KEYS + i));
                for (uint32_t i = 0; i < KEYS; i++) {
                        ck_assert(intmap_get(&shared, base + i, &value));
                        ck_assert_uint_eq(value, round * KEYS + i);
                        ck_assert(intmap_take(&shared, base + i, &value));
                        ck_assert_uint_eq(value, round * KEYS + i);
                        ck_assert(!intmap_get(&shared, base + i, &value));
                }
        }
        return NULL;
}

START_TEST(test_intmap_put_when_threads_compete)
{
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i), 0);
        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        for (uint32_t i = 0; i < 256; i++)
                ck_assert(intmap_put(&shared, 0x100 + i, i));
        ck_assert(!intmap_put(&shared, 0x9999, 1));
}
END_TEST

UNIT_MAIN("intmap", test_intmap_put_when_new_replaced_and_taken, test_intmap_put_when_full,
          test_intmap_put_when_key_is_reserved, test_intmap_take_when_keys_come_and_go,
          test_intmap_get_when_search_ends_at_the_reach, test_intmap_put_when_threads_compete)
