/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/limits.h"
#include "export/text.h"
#include "tests/unit/unit.h"

START_TEST(test_arena_alloc_when_sizes_vary)
{
        static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 65535, 65536, 65537, 1 << 20, 3};
        struct arena arena = {.max = 0};
        unsigned dirty = 0;

        for (unsigned round = 0; round < 40; round++) {
                for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                        unsigned char *p = arena_alloc(&arena, sizes[i]);

                        ck_assert_ptr_nonnull(p);
                        ck_assert_uint_eq((uintptr_t)p % 16, 0);
                        for (size_t n = 0; n < sizes[i]; n++)
                                dirty |= p[n];
                        memset(p, 0xff, sizes[i]);
                }
        }
        ck_assert_uint_eq(dirty, 0);
        arena_done(&arena);
        ck_assert_uint_eq(arena.used, 0);
        ck_assert_ptr_null(arena.blocks);
}
END_TEST

START_TEST(test_arena_alloc_when_cap_is_reached)
{
        struct arena arena = {.max = 64};

        ck_assert_ptr_nonnull(arena_alloc(&arena, 48));
        ck_assert_ptr_null(arena_alloc(&arena, 17));
        ck_assert_ptr_nonnull(arena_alloc(&arena, 16));
        ck_assert_ptr_null(arena_alloc(&arena, 0));
        arena_done(&arena);
        ck_assert_ptr_nonnull(arena_alloc(&arena, 64));
        arena_done(&arena);
        arena.max = 0;
        ck_assert_ptr_null(arena_alloc(&arena, (size_t)LIMIT_REQUEST + 1));
        ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
        ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX - 15));
        ck_assert_ptr_null(arena_copy(&arena, slice_make("", SIZE_MAX)));
        arena_done(&arena);
}
END_TEST

START_TEST(test_arena_copy_when_any_text)
{
        struct arena arena = {.max = 0};

        ck_assert_str_eq(arena_copy(&arena, SLICE_NULL), "");
        ck_assert_str_eq(arena_copy(&arena, slice_make(unit_guarded("text", 4), 4)), "text");
        arena_done(&arena);
}
END_TEST

START_TEST(test_text_add_when_growing)
{
        struct arena arena = {.max = 0};
        struct text text = {.arena = &arena};
        struct slice all;

        for (int i = 0; i < 10000; i++) {
                text_add_int(&text, i % 10);
                text_add_str(&text, "");
        }
        all = text_get(&text);
        ck_assert_uint_eq(all.len, 10000);
        ck_assert_int_eq(all.p[10000], '\0');
        for (int i = 0; i < 10000; i++)
                ck_assert_int_eq(all.p[i], '0' + i % 10);
        arena_done(&arena);
}
END_TEST

START_TEST(test_text_add_when_memory_is_short)
{
        struct arena arena = {.max = 256};
        struct text text = {.arena = &arena};
        char piece[100];

        memset(piece, 'x', sizeof(piece));
        text_add(&text, slice_make(piece, sizeof(piece)));
        ck_assert_uint_eq(text_get(&text).len, 100);
        text_add(&text, slice_make(piece, sizeof(piece)));
        text_add(&text, slice_make(piece, 1));
        ck_assert(text.failed);
        ck_assert_ptr_null(text_get(&text).p);
        arena_done(&arena);
}
END_TEST

UNIT_MAIN("arena", test_arena_alloc_when_sizes_vary, test_arena_alloc_when_cap_is_reached,
          test_arena_copy_when_any_text, test_text_add_when_growing, test_text_add_when_memory_is_short)
