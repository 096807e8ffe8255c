/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>

#include "agent/base/limits.h"
#include "tests/unit/refined.h"

#define SECOND 1000000000ull

/* A failed connect of look-up @lookup to @address, @at nanoseconds after the first. */
static struct span failed(int64_t lookup, const char *address, uint64_t at)
{
        struct span raw = raw_span(SHAPE_CONNECT);

        raw.start_ns += at;
        raw.end_ns += at;
        span_add_str(&raw, SEMCONV_RAW_NAME, SLICE("db.local"));
        span_add_bytes(&raw, SEMCONV_RAW_PEER, raw_peer(address, 5432));
        span_add_int(&raw, SEMCONV_SERVER_PORT, 5432);
        span_add_int(&raw, SEMCONV_RAW_ERRNO, ECONNREFUSED);
        if (lookup)
                span_add_int(&raw, SEMCONV_RAW_LOOKUP, lookup);
        return raw;
}

static struct span not_found(const char *name)
{
        struct span raw = raw_span(SHAPE_CONNECT);

        span_add_str(&raw, SEMCONV_RAW_NAME, slice_str(name));
        span_add_int(&raw, SEMCONV_RAW_EAI, EAI_NONAME);
        return raw;
}

static struct span superseded(int64_t lookup, const char *name)
{
        struct span raw = raw_span(SHAPE_CONNECT_SUPERSEDED);

        span_add_str(&raw, SEMCONV_RAW_NAME, slice_str(name));
        if (lookup)
                span_add_int(&raw, SEMCONV_RAW_LOOKUP, lookup);
        return raw;
}

static void feed(struct refined *got, struct span raw)
{
        refined_feed(got, &raw);
}

static void release_all(struct refined *got)
{
        refine_release(got->refine, &got->arena, UINT64_MAX, refined_catch, got);
        ck_assert(!refine_holds(got->refine));
        for (unsigned i = 0; i < got->count; i++)
                check_out_span(&got->spans[i]);
}

START_TEST(test_refine_connect_when_it_fails)
{
        struct refined got;

        refined_init(&got);
        feed(&got, failed(0, "10.0.0.1", 0));
        ck_assert_uint_eq(got.count, 1);
        ck_assert_str_eq(got.spans->name.p, "connect");
        ck_assert_int_eq(got.spans->status, SPAN_ERROR);
        ck_assert_str_eq(out_text(got.spans, "error.type"), "ECONNREFUSED");
        ck_assert_str_eq(out_text(got.spans, "server.address"), "db.local");
        ck_assert_str_eq(out_text(got.spans, "server.port"), "5432");
        ck_assert_str_eq(out_text(got.spans, "network.peer.address"), "10.0.0.1");
        ck_assert_str_eq(out_text(got.spans, "network.peer.port"), "5432");
        ck_assert_str_eq(out_text(got.spans, "network.transport"), "tcp");
        ck_assert_uint_eq(got.spans->attr_count, 6);
        refined_done(&got);
}
END_TEST

START_TEST(test_refine_connect_when_it_succeeds)
{
        struct span raw = raw_span(SHAPE_CONNECT);
        struct refined got;

        span_add_bytes(&raw, SEMCONV_RAW_PEER, raw_peer("::1", 5432));
        span_add_int(&raw, SEMCONV_RAW_LOOKUP, 3);
        refined_init(&got);
        feed(&got, raw);
        ck_assert_uint_eq(got.count, 1);
        ck_assert_int_eq(got.spans->status, SPAN_UNSET);
        ck_assert_str_eq(out_text(got.spans, "server.address"), "::1");
        ck_assert_str_eq(out_text(got.spans, "server.port"), "5432");
        refined_done(&got);
}
END_TEST

START_TEST(test_refine_lookup_when_name_is_unknown)
{
        struct refined got;

        refined_init(&got);
        feed(&got, not_found("no.such.host"));
        ck_assert_uint_eq(got.count, 0);
        ck_assert(refine_holds(got.refine));
        release_all(&got);
        ck_assert_uint_eq(got.count, 1);
        ck_assert_str_eq(out_text(got.spans, "error.type"), "EAI_NONAME");
        ck_assert_str_eq(out_text(got.spans, "server.address"), "no.such.host");
        ck_assert_uint_eq(got.spans->attr_count, 2);
        refined_done(&got);
}
END_TEST

START_TEST(test_refine_hold_when_another_address_succeeds)
{
        struct refined got;

        refined_init(&got);
        feed(&got, failed(7, "::1", 0));
        feed(&got, failed(8, "::1", 0));
        feed(&got, superseded(7, "db.local"));
        release_all(&got);
        ck_assert_uint_eq(got.count, 1);
        refined_done(&got);
}
END_TEST

START_TEST(test_refine_hold_when_all_addresses_fail)
{
        struct refined got;

        refined_init(&got);
        feed(&got, failed(7, "::1", 0));
        feed(&got, failed(7, "127.0.0.1", 10));
        feed(&got, failed(7, "127.0.0.2", 20));
        ck_assert_uint_eq(got.count, 0);
        release_all(&got);
        ck_assert_uint_eq(got.count, 1);
        ck_assert_str_eq(out_text(got.spans, "network.peer.address"), "127.0.0.2");
        refined_done(&got);
}
END_TEST

/* Twice through the same list of addresses: two attempts, each with its last failure. */
START_TEST(test_refine_hold_when_the_same_address_fails_again)
{
        struct refined got;

        refined_init(&got);
        feed(&got, failed(7, "127.0.0.1", 0));
        feed(&got, failed(7, "127.0.0.1", 10));
        release_all(&got);
        ck_assert_uint_eq(got.count, 2);
        got.count = 0;
        feed(&got, failed(9, "::1", 0));
        feed(&got, failed(9, "127.0.0.1", 10));
        feed(&got, failed(9, "::1", 20));
        feed(&got, failed(9, "127.0.0.1", 30));
        release_all(&got);
        ck_assert_uint_eq(got.count, 2);
        ck_assert_str_eq(out_text(&got.spans[0], "network.peer.address"), "127.0.0.1");
        ck_assert_str_eq(out_text(&got.spans[1], "network.peer.address"), "127.0.0.1");
        ck_assert_uint_lt(got.spans[0].start_ns, got.spans[1].start_ns);
        refined_done(&got);
}
END_TEST

/* What follows more than a second later is no fall-back any more. */
START_TEST(test_refine_hold_when_the_next_address_comes_late)
{
        struct refined got;

        refined_init(&got);
        feed(&got, failed(7, "::1", 0));
        feed(&got, failed(7, "127.0.0.1", 2 * SECOND));
        release_all(&got);
        ck_assert_uint_eq(got.count, 2);
        refined_done(&got);
}
END_TEST

START_TEST(test_refine_release_when_old_and_young)
{
        struct span first = failed(1, "::1", 0), second = failed(2, "::1", SECOND);
        struct refined got;

        refined_init(&got);
        feed(&got, first);
        feed(&got, second);
        refine_release(got.refine, &got.arena, first.end_ns, refined_catch, &got);
        ck_assert_uint_eq(got.count, 0);
        refine_release(got.refine, &got.arena, second.end_ns, refined_catch, &got);
        ck_assert_uint_eq(got.count, 1);
        ck_assert(refine_holds(got.refine));
        refine_release(got.refine, &got.arena, second.end_ns + 1, refined_catch, &got);
        ck_assert_uint_eq(got.count, 2);
        ck_assert(!refine_holds(got.refine));
        refined_done(&got);
}
END_TEST

START_TEST(test_refine_lookup_when_a_good_one_follows)
{
        struct refined got;

        refined_init(&got);
        feed(&got, not_found("a.example"));
        feed(&got, not_found("a.example"));
        feed(&got, not_found("b.example"));
        feed(&got, superseded(0, "a.example"));
        release_all(&got);
        ck_assert_uint_eq(got.count, 1);
        ck_assert_str_eq(out_text(got.spans, "server.address"), "b.example");
        refined_done(&got);
}
END_TEST

/* More than are held: the oldest go out, none is lost. The raw texts may be gone by then. */
START_TEST(test_refine_hold_when_full)
{
        struct refined got;

        refined_init(&got);
        for (int i = 0; i < LIMIT_HELD_SPANS + 10; i++) {
                char *name = strdup("soon.gone");
                struct span raw = failed(i + 1, "10.0.0.1", (uint64_t)i);

                raw.attrs[0].str = slice_str(name);
                raw.context.tracestate = slice_str(name);
                refined_feed(&got, &raw);
                memset(name, 'X', strlen(name));
                free(name);
        }
        ck_assert_uint_eq(got.count, 10);
        release_all(&got);
        ck_assert_uint_eq(got.count, LIMIT_HELD_SPANS + 10);
        for (unsigned i = 0; i < got.count; i++) {
                ck_assert_str_eq(out_text(&got.spans[i], "server.address"), "soon.gone");
                ck_assert_str_eq(got.spans[i].tracestate.p, "soon.gone");
                ck_assert_uint_eq(got.spans[i].start_ns, got.spans[0].start_ns + i);
        }
        refined_done(&got);
}
END_TEST

UNIT_MAIN("refine-hold", test_refine_connect_when_it_fails, test_refine_connect_when_it_succeeds,
          test_refine_lookup_when_name_is_unknown, test_refine_hold_when_another_address_succeeds,
          test_refine_hold_when_all_addresses_fail, test_refine_hold_when_the_same_address_fails_again,
          test_refine_hold_when_the_next_address_comes_late, test_refine_release_when_old_and_young,
          test_refine_lookup_when_a_good_one_follows, test_refine_hold_when_full)
