/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/load.h"
#include "export/retry.h"
#include "tests/unit/unit.h"

#define NOW 1700000000 /* Tue, 14 Nov 2023 22:13:20 GMT */

START_TEST(test_retry_status_when_any)
{
        static const long yes[] = {429, 502, 503, 504};
        static const long no[] = {0,   100, 200, 202, 204, 301, 307, 400,
                                  401, 403, 404, 408, 413, 500, 501, 505};

        for (size_t i = 0; i < ARRAY_LEN(yes); i++)
                ck_assert_msg(retry_status(yes[i]), "%ld", yes[i]);
        for (size_t i = 0; i < ARRAY_LEN(no); i++)
                ck_assert_msg(!retry_status(no[i]), "%ld", no[i]);
}
END_TEST

START_TEST(test_retry_pause_when_repeated)
{
        static const uint32_t middle[] = {1000, 1500, 2250, 3375, 5000, 5000, 5000};
        struct retry low = {0}, high = {0};

        for (size_t i = 0; i < ARRAY_LEN(middle); i++) {
                uint32_t spread = middle[i] / 5;

                ck_assert_uint_eq(retry_pause(&low, 0), middle[i] - spread);
                ck_assert_uint_eq(retry_pause(&high, 2 * spread), middle[i] + spread);
        }
        retry_reset(&low);
        ck_assert_uint_eq(retry_pause(&low, 200), 1000);
}
END_TEST

START_TEST(test_retry_pause_when_random)
{
        for (uint64_t random = 0; random < 100000; random += 7) {
                struct retry retry = {.pause_ms = RETRY_LAST_MS};
                uint32_t pause = retry_pause(&retry, random * 0x9e3779b97f4a7c15ull);

                ck_assert_uint_ge(pause, 4000);
                ck_assert_uint_le(pause, 6000);
        }
}
END_TEST

START_TEST(test_retry_after_when_seconds)
{
        ck_assert_int_eq(retry_after("0", NOW), 0);
        ck_assert_int_eq(retry_after("1", NOW), 1000);
        ck_assert_int_eq(retry_after(" 120 ", NOW), 120000);
        ck_assert_int_eq(retry_after("3600", NOW), RETRY_AFTER_MAX_MS);
        ck_assert_int_eq(retry_after("3601", NOW), RETRY_AFTER_MAX_MS);
        ck_assert_int_eq(retry_after("99999999999999999999999999", NOW), RETRY_AFTER_MAX_MS);
}
END_TEST

START_TEST(test_retry_after_when_date)
{
        ck_assert_int_eq(retry_after("Tue, 14 Nov 2023 22:13:30 GMT", NOW), 10000);
        ck_assert_int_eq(retry_after("Tuesday, 14-Nov-23 22:13:30 GMT", NOW), 10000);
        ck_assert_int_eq(retry_after("Tue Nov 14 22:13:30 2023", NOW), 10000);
        ck_assert_int_eq(retry_after("Tue, 14 Nov 2023 22:13:20 GMT", NOW), 0);
        ck_assert_int_eq(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", NOW), 0);
        ck_assert_int_eq(retry_after("Thu, 14 Nov 2030 22:13:20 GMT", NOW), RETRY_AFTER_MAX_MS);
}
END_TEST

START_TEST(test_retry_after_when_neither)
{
        static const char *const bad[] = {"", " ", "-1", "1.5", "+5", "5 s", "0x10", "soon", "1s", "\x80"};

        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                ck_assert_msg(retry_after(bad[i], NOW) == -1, "\"%s\"", bad[i]);
}
END_TEST

UNIT_MAIN("retry", test_retry_status_when_any, test_retry_pause_when_repeated, test_retry_pause_when_random,
          test_retry_after_when_seconds, test_retry_after_when_date, test_retry_after_when_neither)
