/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/record/record.h"

#include "tests/unit/unit.h"

#define NOBODY 0xee

static char letters[LIMIT_TRACESTATE + 64];

static struct span plain_span(void)
{
        struct span span = {
                .kind = SPAN_CLIENT,
                .status = SPAN_ERROR,
                .shape = SHAPE_HTTP_CLIENT,
                .parent_remote = true,
                .shared = true,
                .start_ns = 1000,
                .end_ns = 2000,
        };

        memset(span.context.trace_id, 0x11, 16);
        memset(span.context.span_id, 0x22, 8);
        memset(span.parent_id, 0x33, 8);
        span.context.flags = TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM;
        return span;
}

static struct span full_span(void)
{
        struct span span = plain_span();

        span.context.tracestate = SLICE("vendor=value,other=1");
        span_add_str(&span, SEMCONV_RAW_METHOD, SLICE("GET"));
        span_add_str(&span, SEMCONV_RAW_TARGET, SLICE("/a/rather/long/target?with=a&query=string"));
        span_add_int(&span, SEMCONV_HTTP_RESPONSE_STATUS_CODE, -503);
        span_add_bytes(&span, SEMCONV_RAW_PEER, slice_make("\0\1\2\3\4\5\6\7\x08", 9));
        return span;
}

static void assert_same(const struct span *a, const struct span *b)
{
        ck_assert_mem_eq(a->context.trace_id, b->context.trace_id, 16);
        ck_assert_mem_eq(a->context.span_id, b->context.span_id, 8);
        ck_assert_mem_eq(a->parent_id, b->parent_id, 8);
        ck_assert_uint_eq(a->context.flags, b->context.flags);
        ck_assert(slice_eq(a->context.tracestate, b->context.tracestate));
        ck_assert(a->parent_remote == b->parent_remote);
        ck_assert(a->shared == b->shared);
        ck_assert_uint_eq(a->kind, b->kind);
        ck_assert_uint_eq(a->status, b->status);
        ck_assert_uint_eq(a->shape, b->shape);
        ck_assert(a->start_ns == b->start_ns && a->end_ns == b->end_ns);
        ck_assert_uint_eq(a->attr_count, b->attr_count);
        for (unsigned i = 0; i < a->attr_count; i++) {
                ck_assert_uint_eq(a->attrs[i].key, b->attrs[i].key);
                ck_assert_uint_eq(a->attrs[i].type, b->attrs[i].type);
                ck_assert(slice_eq(a->attrs[i].str, b->attrs[i].str));
                ck_assert_int_eq(a->attrs[i].num, b->attrs[i].num);
        }
}

/* @span as a record whose end is the end of memory. */
static struct slice written(const struct span *span)
{
        static _Alignas(8) unsigned char bytes[LIMIT_RECORD];
        size_t size = record_size(span);

        ck_assert_uint_le(size, sizeof(bytes));
        ck_assert_uint_eq(size % 8, 0);
        memset(bytes, NOBODY, sizeof(bytes));
        record_write(bytes, span);
        if (size < sizeof(bytes))
                ck_assert_uint_eq(bytes[size], NOBODY);
        return slice_make(unit_guarded(bytes, size), size);
}

static bool reads(struct slice bytes)
{
        struct span span;

        return record_read(bytes, &span);
}

START_TEST(test_record_read_what_was_written)
{
        struct span span = full_span(), back;

        ck_assert(record_read(written(&span), &back));
        assert_same(&span, &back);
        span = plain_span();
        ck_assert(record_read(written(&span), &back));
        assert_same(&span, &back);
}
END_TEST

START_TEST(test_record_write_texts_of_every_length)
{
        for (size_t len = 1; len < 300; len++) {
                struct span span = plain_span(), back;
                struct slice bytes;

                span_add_str(&span, SEMCONV_RAW_TARGET, slice_make(unit_guarded(letters, len), len));
                span_add_int(&span, SEMCONV_RAW_ERRNO, 111);
                bytes = written(&span);
                ck_assert(record_read(bytes, &back));
                assert_same(&span, &back);
                /* Nothing of the memory's past is left in the padding. */
                for (size_t i = sizeof(struct record_span) + sizeof(struct record_attr) + len; i % 8; i++)
                        ck_assert_int_eq(bytes.p[i], 0);
        }
}
END_TEST

START_TEST(test_record_write_tracestate_at_its_limit)
{
        struct span span = plain_span(), back;

        span.context.tracestate = slice_make(letters, LIMIT_TRACESTATE);
        ck_assert(record_read(written(&span), &back));
        ck_assert_uint_eq(back.context.tracestate.len, LIMIT_TRACESTATE);
        span.context.tracestate.len++;
        ck_assert(record_read(written(&span), &back));
        ck_assert_uint_eq(back.context.tracestate.len, 0);
}
END_TEST

START_TEST(test_record_read_every_truncation)
{
        struct span span = full_span();
        struct slice bytes = written(&span);

        for (size_t len = 0; len < bytes.len; len++)
                ck_assert(!reads(slice_make(unit_guarded(bytes.p, len), len)));
        ck_assert(reads(bytes));
}
END_TEST

/* No outcome is asked for: only that nothing is read beyond the bytes, and that what is accepted is sane. */
START_TEST(test_record_read_every_byte_changed)
{
        struct span span = full_span(), back;
        struct slice bytes = written(&span);
        unsigned refused = 0;

        for (size_t at = 0; at < bytes.len; at++) {
                for (unsigned bit = 0; bit < 8; bit++) {
                        char *p = (char *)(uintptr_t)bytes.p;

                        p[at] = (char)(p[at] ^ 1 << bit);
                        if (record_read(bytes, &back)) {
                                ck_assert_uint_le(back.attr_count, LIMIT_SPAN_ATTRS);
                                for (unsigned i = 0; i < back.attr_count; i++)
                                        ck_assert(back.attrs[i].str.p + back.attrs[i].str.len <=
                                                  bytes.p + bytes.len);
                        } else {
                                refused++;
                        }
                        p[at] = (char)(p[at] ^ 1 << bit);
                }
        }
        ck_assert_uint_gt(refused, 100);
}
END_TEST

START_TEST(test_record_read_unknown_attributes)
{
        struct span span = full_span(), back;
        struct slice bytes;

        span.attrs[0].key = SEMCONV_COUNT;
        span.attrs[2].type = 77;
        bytes = written(&span);
        ck_assert(record_read(bytes, &back));
        ck_assert_uint_eq(back.attr_count, 2);
        ck_assert_uint_eq(back.attrs[0].key, SEMCONV_RAW_TARGET);
        ck_assert_uint_eq(back.attrs[1].key, SEMCONV_RAW_PEER);
}
END_TEST

START_TEST(test_record_read_more_attributes_than_we_keep)
{
        enum { MANY = LIMIT_SPAN_ATTRS + 10 };
        static _Alignas(
                8) unsigned char bytes[sizeof(struct record_span) + MANY * sizeof(struct record_attr)];
        struct record_span *head = (struct record_span *)(void *)bytes;
        struct span span = plain_span(), back;

        record_write(bytes, &span);
        head->len = sizeof(bytes);
        head->attr_count = MANY;
        for (unsigned i = 0; i < MANY; i++)
                ((struct record_attr *)(void *)(head + 1))[i] =
                        (struct record_attr){.key = SEMCONV_RAW_ERRNO, .type = ATTR_INT, .num = i};
        ck_assert(record_read(slice_make(bytes, sizeof(bytes)), &back));
        ck_assert_uint_eq(back.attr_count, LIMIT_SPAN_ATTRS);
        ck_assert_int_eq(back.attrs[LIMIT_SPAN_ATTRS - 1].num, LIMIT_SPAN_ATTRS - 1);
}
END_TEST

START_TEST(test_record_read_nonsense_heads)
{
        struct span span = full_span();

        span.shape = 0;
        ck_assert(!reads(written(&span)));
        span.shape = SHAPES;
        ck_assert(!reads(written(&span)));
        span = full_span();
        span.kind = 0;
        ck_assert(!reads(written(&span)));
        span = full_span();
        span.status = SPAN_ERROR + 1;
        ck_assert(!reads(written(&span)));
        span = full_span();
        memset(span.context.trace_id, 0, 16);
        ck_assert(!reads(written(&span)));
        span.shape = SHAPE_CONNECT_SUPERSEDED; /* no span: may be without ids */
        ck_assert(reads(written(&span)));
        span.shape = SHAPE_PROCESS_ENDED;
        ck_assert(reads(written(&span)));
}
END_TEST

START_TEST(test_record_read_end_before_start)
{
        struct span span = full_span(), back;

        span.end_ns = span.start_ns - 1;
        ck_assert(record_read(written(&span), &back));
        ck_assert(back.end_ns == back.start_ns);
        span.end_ns = 0; /* still open */
        ck_assert(record_read(written(&span), &back));
        ck_assert(back.end_ns == 0);
}
END_TEST

__attribute__((constructor)) static void fill_letters(void)
{
        for (size_t i = 0; i < sizeof(letters); i++)
                letters[i] = (char)('a' + i % 26);
}

UNIT_MAIN("record", test_record_read_what_was_written, test_record_write_texts_of_every_length,
          test_record_write_tracestate_at_its_limit, test_record_read_every_truncation,
          test_record_read_every_byte_changed, test_record_read_unknown_attributes,
          test_record_read_more_attributes_than_we_keep, test_record_read_nonsense_heads,
          test_record_read_end_before_start)
