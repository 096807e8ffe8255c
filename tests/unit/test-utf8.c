/* SPDX-License-Identifier: Apache-2.0 */
#include "export/utf8.h"
#include "tests/unit/unit.h"

#define R "\xef\xbf\xbd"

struct utf8_row {
        struct slice bytes;
        const char *repaired;
};

#define ROW(bytes, repaired)                         \
        {                                            \
                {bytes, sizeof(bytes) - 1}, repaired \
        }

static const struct utf8_row utf8_rows[] = {
        ROW("", ""),
        ROW("plain", "plain"),
        ROW("a\0b", "a" R "b"),
        ROW("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
        ROW("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"),
        ROW("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"),
        /* lone and missing continuation bytes: one mark for each maximal part */
        ROW("\x80", R),
        ROW("\x80\xbf", R R),
        ROW("\xc3", R),
        ROW("\xc3(", R "("),
        ROW("\xe2\x82", R),
        ROW("\xe2\x82(", R "("),
        ROW("\xf0\x9f\x98", R),
        ROW("\xf0\x9f\x98(", R "("),
        ROW("\xe2\xe2\x82\xac", R "\xe2\x82\xac"),
        /* overlong, surrogates, too large, never used */
        ROW("\xc0\x80", R R),
        ROW("\xc1\xbf", R R),
        ROW("\xe0\x80\xaf", R R R),
        ROW("\xf0\x80\x80\xaf", R R R R),
        ROW("\xed\xa0\x80", R R R),
        ROW("\xf4\x90\x80\x80", R R R R),
        ROW("\xf5\x80\x80\x80", R R R R),
        ROW("\xfe\xff", R R),
        /* the standard's own example */
        ROW("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", "a" R R R "b" R "c" R R "d"),
};

START_TEST(test_utf8_copy_when_well_and_ill_formed)
{
        for (size_t i = 0; i < sizeof(utf8_rows) / sizeof(*utf8_rows); i++) {
                struct slice in = utf8_rows[i].bytes, out;
                struct arena arena = {.max = 0};

                in.p = unit_guarded(in.p, in.len);
                out = utf8_copy(&arena, in);
                ck_assert_str_eq(out.p, utf8_rows[i].repaired);
                ck_assert_uint_eq(out.len, strlen(utf8_rows[i].repaired));
                ck_assert(utf8_valid(out));
                ck_assert_int_eq(utf8_valid(in), slice_eq(in, out) || slice_find(in, '\0') < in.len);
                arena_done(&arena);
        }
}
END_TEST

/* Every code point there and back; every two and three bytes agree with that. */
START_TEST(test_utf8_step_when_all_code_points)
{
        unsigned valid2 = 0, valid3 = 0;
        char bytes[3];
        uint32_t code;

        for (unsigned i = 0; i < 1u << 24; i++) {
                bytes[0] = (char)(i >> 16), bytes[1] = (char)(i >> 8), bytes[2] = (char)i;
                if ((i & 0xff) == 0)
                        valid2 += utf8_step(slice_make(bytes, 2), &code) == 2 && code != UTF8_BAD;
                valid3 += utf8_step(slice_make(bytes, 3), &code) == 3 && code != UTF8_BAD;
        }
        ck_assert_uint_eq(valid2, 0x800 - 0x80);
        ck_assert_uint_eq(valid3, 0x10000 - 0x800 - 0x800);
}
END_TEST

START_TEST(test_utf8_cut_when_inside_a_character)
{
        struct slice text = SLICE("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
        static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

        for (size_t max = 0; max < sizeof(expected) / sizeof(*expected); max++)
                ck_assert_uint_eq(utf8_cut(text, max).len, expected[max]);
}
END_TEST

START_TEST(test_utf8_copy_when_memory_is_short)
{
        struct arena arena = {.max = 16};

        ck_assert_ptr_null(utf8_copy(&arena, SLICE("sixteen bytes ..")).p);
        ck_assert_ptr_nonnull(utf8_copy(&arena, SLICE("fifteen bytes .")).p);
        arena_done(&arena);
}
END_TEST

UNIT_MAIN("utf8", test_utf8_copy_when_well_and_ill_formed, test_utf8_step_when_all_code_points,
          test_utf8_cut_when_inside_a_character, test_utf8_copy_when_memory_is_short)
