/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/base/limits.h"
#include "export/encode/otlp_encode.h"
#include "tests/unit/refined.h"

/* Linked with --wrap: the allocation after so many fails. */
static long allocations_left = -1;
void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);

static bool allocation_fails(void)
{
        return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_malloc(size_t len)
{
        return allocation_fails() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t count, size_t len)
{
        return allocation_fails() ? NULL : __real_calloc(count, len);
}

static const struct out_attr resource_attrs[] = {{.key = "service.name", .type = ATTR_STR, .str = {"s", 1}}};
static const struct resource resource = {.attrs = resource_attrs, .attr_count = 1, .service_name = "s"};

static struct out_span sample_span(void)
{
        struct out_span span = {.kind = SPAN_CLIENT, .name = SLICE("GET"), .start_ns = 1, .end_ns = 2};

        memset(span.trace_id, 1, sizeof(span.trace_id));
        memset(span.span_id, 2, sizeof(span.span_id));
        return span;
}

START_TEST(test_otlp_encode_when_nothing_to_send)
{
        struct encode_group groups[2] = {{.resource = &resource}, {.resource = &resource}};
        uint8_t *bytes = (uint8_t *)1;
        size_t len = 1;

        ck_assert_int_eq(otlp_encode_traces(groups, 2, &bytes, &len), -ENODATA);
        ck_assert_int_eq(otlp_encode_traces(groups, 0, &bytes, &len), -ENODATA);
        ck_assert_ptr_eq(bytes, (uint8_t *)1);
}
END_TEST

/* A group without spans leaves no trace in the bytes. */
START_TEST(test_otlp_encode_when_a_group_is_empty)
{
        struct out_span span = sample_span();
        struct encode_group full = {&resource, &span, 1}, empty = {&resource, NULL, 0};
        struct encode_group mixed[] = {empty, full, empty};
        uint8_t *one, *three;
        size_t one_len, three_len;

        ck_assert_int_eq(otlp_encode_traces(&full, 1, &one, &one_len), 0);
        ck_assert_int_eq(otlp_encode_traces(mixed, 3, &three, &three_len), 0);
        ck_assert_uint_eq(one_len, three_len);
        ck_assert_mem_eq(one, three, one_len);
        free(one);
        free(three);
}
END_TEST

START_TEST(test_otlp_encode_when_too_large)
{
        size_t len = LIMIT_REQUEST;
        char *text = malloc(len + 1);
        struct out_attr attr = {.key = "k", .type = ATTR_STR, .str = {text, len}};
        struct out_span span = sample_span();
        struct encode_group group = {&resource, &span, 1};
        uint8_t *bytes;

        memset(text, 'x', len);
        text[len] = '\0';
        span.attrs = &attr;
        span.attr_count = 1;
        ck_assert_int_eq(otlp_encode_traces(&group, 1, &bytes, &len), -E2BIG);
        free(text);
}
END_TEST

START_TEST(test_otlp_encode_when_an_allocation_fails)
{
        static struct out_span spans[2000];
        struct encode_group group = {&resource, spans, 2000};
        uint8_t *bytes;
        size_t len;
        int r = -ENOMEM;
        long n;

        for (size_t i = 0; i < 2000; i++)
                spans[i] = sample_span();
        for (n = 0; r == -ENOMEM; n++) {
                allocations_left = n;
                r = otlp_encode_traces(&group, 1, &bytes, &len);
        }
        allocations_left = -1;
        ck_assert_int_eq(r, 0);
        ck_assert_int_gt(n, 3);
        free(bytes);
}
END_TEST

/* partial_success {rejected_spans: 3, error_message: "two\nlines"}, then an unknown field */
static const char partial[] = "\x0a\x0d\x08\x03\x12\x09two\nlines\x98\x06\x01";

START_TEST(test_otlp_decode_response_when_partial)
{
        struct otlp_answer answer;

        ck_assert_int_eq(otlp_decode_response(SLICE_NULL, &answer), 0);
        ck_assert_int_eq(answer.rejected_spans, 0);
        ck_assert_str_eq(answer.message, "");
        ck_assert_int_eq(otlp_decode_response(SLICE(partial), &answer), 0);
        ck_assert_int_eq(answer.rejected_spans, 3);
        ck_assert_str_eq(answer.message, "two lines");
        /* minus one rejected */
        ck_assert_int_eq(
                otlp_decode_response(SLICE("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &answer),
                0);
        ck_assert_int_eq(answer.rejected_spans, 0);
}
END_TEST

START_TEST(test_otlp_decode_response_when_cut)
{
        for (size_t len = 1; len < sizeof(partial) - 1; len++) {
                struct otlp_answer answer = {.rejected_spans = 77};
                struct slice body = slice_make(unit_guarded(partial, len), len);

                if (len == 15) /* where the unknown field begins */
                        continue;
                ck_assert_int_eq(otlp_decode_response(body, &answer), -EBADMSG);
                ck_assert_int_eq(answer.rejected_spans, 77);
        }
}
END_TEST

START_TEST(test_otlp_decode_status_when_text_is_hostile)
{
        struct otlp_answer answer;
        char body[600] = "\x12\xd4\x04";

        ck_assert_int_eq(otlp_decode_status(SLICE("\x08\x03\x12\x0d"
                                                  "a\x1b[31m\xff\xc2\x9b"
                                                  "b\xc3\xa4z"),
                                            &answer),
                         0);
        ck_assert_str_eq(answer.message, "a [31m\xef\xbf\xbd b\xc3\xa4z");
        for (size_t i = 3; i < sizeof(body) - 1; i++)
                body[i] = "\xe2\x82\xac"[i % 3];
        ck_assert_int_eq(otlp_decode_status(slice_make(body, 3 + 596), &answer), 0);
        ck_assert_uint_eq(strlen(answer.message), 255);
        ck_assert(utf8_valid(slice_str(answer.message)));
        ck_assert_int_eq(otlp_decode_status(SLICE("<html>502 Bad Gateway</html>"), &answer), -EBADMSG);
}
END_TEST

START_TEST(test_otlp_decode_when_bytes_are_random)
{
        struct otlp_answer answer;
        unsigned good = 0;
        char bytes[64];

        srandom(7);
        for (unsigned i = 0; i < 100000; i++) {
                size_t len = (size_t)random() % sizeof(bytes);

                for (size_t n = 0; n < len; n++)
                        bytes[n] = random() % 2 ? (char)random()
                                                : "\x0a\x12\x08\x01\x02\x03\x10\x1a"[random() % 8];
                if (otlp_decode_response(slice_make(bytes, len), &answer) == 0) {
                        ck_assert(utf8_valid(slice_str(answer.message)));
                        ck_assert_int_ge(answer.rejected_spans, 0);
                        good++;
                }
                if (otlp_decode_status(slice_make(bytes, len), &answer) == 0)
                        ck_assert(utf8_valid(slice_str(answer.message)));
        }
        ck_assert_uint_gt(good, 100);
}
END_TEST

/* Millions of fields that nobody knows, and more bytes than we take. */
START_TEST(test_otlp_decode_when_huge)
{
        size_t len = LIMIT_RESPONSE;
        char *body = malloc(len + 1);
        struct otlp_answer answer;

        for (size_t i = 0; i < len; i++)
                body[i] = i % 2 ? '\x01' : '\x78';
        ck_assert_int_eq(otlp_decode_response(slice_make(body, len), &answer), -EBADMSG);
        memset(body, 0, len + 1);
        ck_assert_int_eq(otlp_decode_response(slice_make(body, len + 1), &answer), -EBADMSG);
        free(body);
}
END_TEST

UNIT_MAIN("encode", test_otlp_encode_when_nothing_to_send, test_otlp_encode_when_a_group_is_empty,
          test_otlp_encode_when_too_large, test_otlp_encode_when_an_allocation_fails,
          test_otlp_decode_response_when_partial, test_otlp_decode_response_when_cut,
          test_otlp_decode_status_when_text_is_hostile, test_otlp_decode_when_bytes_are_random,
          test_otlp_decode_when_huge)
