/* SPDX-License-Identifier: Apache-2.0 */
/* Of each request that processes share, one telling is final. */
#include "export/refine_shared.h"

#include "tests/unit/unit.h"

#define SECOND 1000000000ull

static struct refine_shared shared;

/* What was given back last. */
static struct span given;
static int told, dropped;
static void *given_owner;

static void take(void *ctx, void *owner, const struct span *raw)
{
        given_owner = owner;
        told += raw != NULL;
        dropped += raw == NULL;
        if (raw)
                given = *raw;
}

static struct span numbered(uint8_t number)
{
        struct span span = {.kind = SPAN_SERVER, .shape = SHAPE_HTTP_SERVER, .start_ns = 1, .shared = true};

        memset(span.context.trace_id, 1, sizeof(span.context.trace_id));
        memset(span.context.span_id, number + 1, sizeof(span.context.span_id));
        span_add_str(&span, SEMCONV_RAW_METHOD, SLICE("GET"));
        return span;
}

static bool tell(uint8_t number)
{
        struct span span = numbered(number);

        return refine_shared_tell(&shared, &span, take, NULL);
}

static enum refine_shared_verdict hold(uint8_t number, uint64_t mono_ns)
{
        struct span span = numbered(number);

        return refine_shared_hold(&shared, &shared, &span, 77, mono_ns);
}

static void expect_given(int wanted_told, int wanted_dropped)
{
        ck_assert_int_eq(told, wanted_told);
        ck_assert_int_eq(dropped, wanted_dropped);
        if (told + dropped)
                ck_assert_ptr_eq(given_owner, &shared);
}

START_TEST(test_refine_shared_tell_twice)
{
        ck_assert(tell(0));
        ck_assert(tell(1));
        ck_assert(!tell(0));
        ck_assert_int_eq(hold(1, SECOND), REFINE_SHARED_TOLD);
        ck_assert_uint_eq(refine_shared_due(&shared), UINT64_MAX);
        expect_given(0, 0);
}
END_TEST

START_TEST(test_refine_shared_hold_until_told)
{
        ck_assert_int_eq(hold(0, SECOND), REFINE_SHARED_HELD);
        ck_assert_int_eq(hold(0, SECOND), REFINE_SHARED_TOLD); /* both processes are dead */
        ck_assert_uint_eq(refine_shared_due(&shared), SECOND + LIMIT_SHARED_NS);
        ck_assert(tell(0));
        expect_given(0, 1);
        ck_assert(!tell(0));
        refine_shared_release(&shared, UINT64_MAX, take, NULL);
        expect_given(0, 1);
}
END_TEST

START_TEST(test_refine_shared_release_old)
{
        ck_assert_int_eq(hold(0, SECOND), REFINE_SHARED_HELD);
        ck_assert_int_eq(hold(1, 2 * SECOND), REFINE_SHARED_HELD);
        refine_shared_release(&shared, SECOND, take, NULL);
        expect_given(0, 0);
        refine_shared_release(&shared, SECOND + 1, take, NULL);
        expect_given(1, 0);
        ck_assert_uint_eq(given.end_ns, 77);
        ck_assert_uint_eq(given.context.span_id[0], 1);
        ck_assert_int_eq(given.attr_count, 1);
        ck_assert(!tell(0)); /* too late */
        ck_assert_uint_eq(refine_shared_due(&shared), 2 * SECOND + LIMIT_SHARED_NS);
        refine_shared_release(&shared, UINT64_MAX, take, NULL);
        expect_given(2, 0);
        ck_assert_uint_eq(shared.held, 0);
}
END_TEST

START_TEST(test_refine_shared_no_room)
{
        for (unsigned i = 0; i < LIMIT_SHARED_SPANS; i++)
                ck_assert_int_eq(hold((uint8_t)i, SECOND), REFINE_SHARED_HELD);
        ck_assert_int_eq(hold(LIMIT_SHARED_SPANS, SECOND), REFINE_SHARED_NOW);
        ck_assert(!tell(LIMIT_SHARED_SPANS));
        ck_assert(tell(0));
        ck_assert_int_eq(hold(LIMIT_SHARED_SPANS + 1, SECOND), REFINE_SHARED_HELD);
        refine_shared_release(&shared, UINT64_MAX, take, NULL);
        expect_given(LIMIT_SHARED_SPANS, 1);
}
END_TEST

UNIT_MAIN("refine-shared", test_refine_shared_tell_twice, test_refine_shared_hold_until_told,
          test_refine_shared_release_old, test_refine_shared_no_room)
