/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/trace/traceparent.h"
#include "tests/unit/unit.h"

#define TRACE "12345678901234567890123456789012"
#define SPAN  "1234567890123456"
#define IDS   TRACE "-" SPAN
#define GOOD  "00-" IDS "-01"

static bool parse(const char *value, struct trace_context *ret_context)
{
        size_t len = strlen(value);

        return traceparent_parse(slice_make(unit_guarded(value, len), len), ret_context);
}

struct accepted {
        const char *value;
        uint8_t flags;
};

START_TEST(test_traceparent_parse_when_valid)
{
        static const struct accepted rows[] = {
                {GOOD, 1},
                {"00-" IDS "-00", 0},
                {"00-" IDS "-02", 2},
                {"00-" IDS "-03", 3},
                {"00-" IDS "-ff", 3},
                {"00-" IDS "-fc", 0},
                {" \t" GOOD "\t ", 1},
                {"cc-" IDS "-01", 1},
                {"cc-" IDS "-01-what-the-future-will-be-like", 1},
                {"01-" IDS "-01-", 1},
                {"fe-" IDS "-03-x", 3},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct trace_context context = {.tracestate = SLICE("old")};
                char out[TRACEPARENT_LEN], expected[TRACEPARENT_LEN + 1];

                ck_assert_msg(parse(rows[i].value, &context), "%s", rows[i].value);
                ck_assert_uint_eq(context.flags, rows[i].flags);
                ck_assert_mem_eq(context.trace_id,
                                 "\x12\x34\x56\x78\x90\x12\x34\x56\x78\x90\x12\x34\x56\x78\x90\x12", 16);
                ck_assert_mem_eq(context.span_id, "\x12\x34\x56\x78\x90\x12\x34\x56", 8);
                ck_assert_uint_eq(context.tracestate.len, 0);
                snprintf(expected, sizeof(expected), "00-" IDS "-%02x", rows[i].flags);
                traceparent_write(out, &context);
                ck_assert_mem_eq(out, expected, TRACEPARENT_LEN);
        }
}
END_TEST

START_TEST(test_traceparent_parse_when_invalid)
{
        static const char *const rows[] = {
                "",
                " ",
                "00",
                GOOD "-what",
                GOOD ".",
                GOOD "-",
                GOOD "0",
                GOOD " " GOOD,
                GOOD "," GOOD,
                "cc-" IDS "-01.what-the-future-will-be-like",
                "cc-" IDS "-011",
                "cc-" IDS "-0",
                "ff-" IDS "-01",
                "ff-" IDS "-01-more",
                "0-" IDS "-01",
                "000-" IDS "-01",
                ".0-" IDS "-01",
                "0.-" IDS "-01",
                "CC-" IDS "-01",
                "00_" IDS "-01",
                "00-" TRACE "_" SPAN "-01",
                "00-" IDS "_01",
                "00-" IDS "-0",
                "00-" IDS "-.0",
                "00-" IDS "-0A",
                "00-" IDS "-0x",
                "00-00000000000000000000000000000000-" SPAN "-01",
                "00-" TRACE "-0000000000000000-01",
                "00-1234567890123456789012345678901A-" SPAN "-01",
                "00-1234567890123456789012345678901g-" SPAN "-01",
                "00-" TRACE "-123456789012345F-01",
                "00-1234567890123456789012345678901-" SPAN "-01",
                "00-" TRACE "-123456789012345-01",
                "00-" TRACE "0-" SPAN "-01",
                "00-" TRACE SPAN "-01",
                "\v" GOOD,
        };
        const struct trace_context before = {.flags = 77, .tracestate = SLICE_NULL};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct trace_context context = before;

                ck_assert_msg(!parse(rows[i], &context), "%s", rows[i]);
                ck_assert_uint_eq(context.flags, 77);
        }
        ck_assert(!traceparent_parse(SLICE_NULL, &(struct trace_context){0}));
}
END_TEST

START_TEST(test_traceparent_parse_when_cut_or_damaged_anywhere)
{
        struct trace_context context;
        char text[] = GOOD;

        for (size_t len = 0; len < TRACEPARENT_LEN; len++)
                ck_assert(!traceparent_parse(slice_make(unit_guarded(GOOD, len), len), &context));
        for (size_t i = 0; i < TRACEPARENT_LEN; i++) {
                for (const char *bad = "G:`/ZA@g \n\x80\xff"; *bad; bad++) {
                        /* A blank at either end leaves 54 characters, which is as wrong. */
                        text[i] = *bad;
                        ck_assert_msg(!parse(text, &context), "%s", text);
                }
                text[i] = GOOD[i];
        }
        ck_assert(parse(text, &context));
}
END_TEST

static bool check(const char *value)
{
        size_t len = strlen(value);

        return tracestate_check(slice_make(unit_guarded(value, len), len));
}

START_TEST(test_tracestate_check_when_valid)
{
        static const char *const rows[] = {
                "",
                " \t",
                ",",
                "foo=1",
                "foo=1 \t , \t bar=2, \t baz=3",
                "foo=1,,bar=2",
                "foo=1, ,bar=2,",
                "foo@=1,bar=2",
                "foo@@bar=1,bar=2",
                "0foo=1",
                "1a-2/f@foo=bar1,a*/foo-_/bar=bar4",
                "foo=  leading blanks belong to the value",
                "foo=1,foo=2",
                "a=!\"#$%&'()*+-./0:;<>?@A[\\]^_`a{|}~",
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                ck_assert_msg(check(rows[i]), "%s", rows[i]);
        ck_assert(tracestate_check(SLICE_NULL));
}
END_TEST

START_TEST(test_tracestate_check_when_invalid)
{
        static const char *const rows[] = {
                "@foo=1,bar=2", "FOO=1",    "foo.bar=1",    "foo =1",       "foo=bar=baz",   "foo=,bar=3",
                "foo",          "=1",       "foo=1,bar",    "fOo=1",        "foo=1;bar = 2", "foo=\x01",
                "foo=a\tb",     "foo=\x80", "foo=\r\nx: y", "foo=1\nbar=2", "-foo=1",        "*foo=1",
                "/foo=1",       "_foo=1",   "foo=1,b,c=3",  "f\xc3\xb6=1",  "foo=\x7f",      "foo= ",
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                ck_assert_msg(!check(rows[i]), "%s", rows[i]);
        ck_assert(!tracestate_check(slice_make("foo=a\0b", 7)));
}
END_TEST

START_TEST(test_tracestate_check_when_at_the_limits)
{
        char text[1024], *end = text;

        memset(text, 'k', 257);
        strcpy(text + 256, "=v");
        ck_assert(check(text));
        strcpy(text + 257, "=v");
        text[256] = 'k';
        ck_assert(!check(text));

        memcpy(text, "k=", 2);
        memset(text + 2, 'v', 257);
        text[2 + 256] = 0;
        ck_assert(check(text));
        text[2 + 256] = 'v';
        text[2 + 257] = 0;
        ck_assert(!check(text));

        for (int i = 0; i < 32; i++)
                end += sprintf(end, "%sk%d=%d", i ? "," : "", i, i);
        ck_assert(check(text));
        strcpy(end, ", ,");
        ck_assert(check(text));
        strcpy(end, ",k=1");
        ck_assert(!check(text));
}
END_TEST

static void assert_fit(const char *value, size_t size, const char *expected)
{
        char *buf = unit_guarded(value, size);
        struct slice fit = tracestate_fit(slice_str(value), buf, size);

        ck_assert(slice_eq(fit, slice_str(expected)));
}

START_TEST(test_tracestate_fit_when_too_long)
{
        char text[400];

        assert_fit("a=1,b=2,c=3", 11, "a=1,b=2,c=3");
        assert_fit("a=1,b=2,c=3", 10, "a=1,b=2");
        assert_fit("a=1,b=2,c=3", 7, "a=1,b=2");
        assert_fit("a=1,b=2,c=3", 6, "a=1");
        assert_fit("a=1,b=2,c=3", 3, "a=1");
        assert_fit("a=1,b=2,c=3", 2, "");
        assert_fit("a=1,b=2,c=3", 0, "");
        assert_fit(" a=1 ,\t, b=2", 7, "a=1,b=2");

        memset(text, 'v', sizeof(text));
        memcpy(text, "a=1,long=", 9);
        strcpy(text + 9 + 124, ",b=2");
        assert_fit(text, 12, "a=1,b=2");
        assert_fit(text, strlen(text), text);
        strcpy(text + 9 + 123, ",b=2"); /* 128 bytes is not yet long */
        assert_fit(text, 12, "a=1");
}
END_TEST

UNIT_MAIN("traceparent", test_traceparent_parse_when_valid, test_traceparent_parse_when_invalid,
          test_traceparent_parse_when_cut_or_damaged_anywhere, test_tracestate_check_when_valid,
          test_tracestate_check_when_invalid, test_tracestate_check_when_at_the_limits,
          test_tracestate_fit_when_too_long)
