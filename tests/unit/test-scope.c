/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/stats.h"
#include "agent/trace/scope.h"
#include "tests/unit/unit.h"

#define IDS "12345678901234567890123456789012-1234567890123456"

static const uint8_t trace_id[16] = "\x12\x34\x56\x78\x90\x12\x34\x56\x78\x90\x12\x34\x56\x78\x90\x12";
static const uint8_t span_id[8] = "\x12\x34\x56\x78\x90\x12\x34\x56";

static void assert_root(void)
{
        struct scope_decision a, b;

        scope_decide(&a, &(struct cause_departure){.opening = NULL}, NULL);
        scope_decide(&b, &(struct cause_departure){.opening = NULL}, NULL);
        ck_assert(trace_context_valid(&a.context) && trace_context_valid(&b.context));
        ck_assert(!span_id_valid(a.parent_id));
        ck_assert(!a.parent_remote);
        ck_assert(a.sampled);
        ck_assert_uint_eq(a.context.flags, TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);
        ck_assert_uint_eq(a.context.tracestate.len, 0);
        ck_assert_mem_ne(a.context.trace_id, b.context.trace_id, 16);
        ck_assert_mem_ne(a.context.span_id, b.context.span_id, 8);
}

START_TEST(test_scope_decide_when_there_is_no_parent)
{
        assert_root();
        scope_start(NULL, NULL, NULL);
        assert_root();
        scope_start("", "", NULL);
        assert_root();
        scope_start("00-" IDS "-0x", "foo=1", NULL);
        assert_root();
        scope_start(NULL, "foo=1", NULL);
        assert_root();
}
END_TEST

struct parented {
        const char *flags;
        uint8_t expected;
};

START_TEST(test_scope_decide_when_environment_has_a_parent)
{
        static const struct parented rows[] = {{"00", 0}, {"01", 1}, {"02", 2},
                                               {"03", 3}, {"fd", 1}, {"fe", 2}};
        char traceparent[] = "00-" IDS "-xx";

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct scope_decision a, b;

                memcpy(traceparent + sizeof(traceparent) - 3, rows[i].flags, 2);
                scope_start(traceparent, NULL, NULL);
                scope_decide(&a, &(struct cause_departure){.opening = NULL}, NULL);
                scope_decide(&b, &(struct cause_departure){.opening = NULL}, NULL);
                ck_assert_mem_eq(a.context.trace_id, trace_id, 16);
                ck_assert_mem_eq(a.parent_id, span_id, 8);
                ck_assert_mem_ne(a.context.span_id, span_id, 8);
                ck_assert_mem_ne(a.context.span_id, b.context.span_id, 8);
                ck_assert(span_id_valid(a.context.span_id));
                ck_assert(a.parent_remote);
                ck_assert_uint_eq(a.context.flags, rows[i].expected);
                ck_assert_int_eq(a.sampled, rows[i].expected & TRACE_FLAG_SAMPLED);
        }
}
END_TEST

static struct slice state_of(const char *tracestate)
{
        struct scope_decision decision;

        scope_start("00-" IDS "-01", tracestate, NULL);
        scope_decide(&decision, &(struct cause_departure){.opening = NULL}, NULL);
        ck_assert_mem_eq(decision.context.trace_id, trace_id, 16);
        return decision.context.tracestate;
}

START_TEST(test_scope_decide_when_environment_has_a_tracestate)
{
        char text[600];

        ck_assert(slice_eq(state_of("foo=1,bar=2"), SLICE("foo=1,bar=2")));
        ck_assert(slice_eq(state_of(" foo=1\t"), SLICE("foo=1")));
        ck_assert_uint_eq(state_of(NULL).len, 0);
        ck_assert_uint_eq(state_of("").len, 0);
        ck_assert_uint_eq(state_of("FOO=1").len, 0);
        ck_assert_uint_eq(state_of("foo=1\r\nevil: 1").len, 0);

        memset(text, 'v', sizeof(text));
        memcpy(text, "a=", 2);
        memcpy(text + 250, ",b=", 3);
        memcpy(text + 500, ",c=3", 5);
        ck_assert_uint_eq(state_of(text).len, 504);
        memcpy(text + 500, ",c=345678,dd", 13);
        ck_assert_uint_eq(state_of(text).len, 0);
        memcpy(text + 500, ",c=345678,d=4", 14);
        ck_assert(slice_eq(state_of(text), SLICE("c=345678,d=4")));
}
END_TEST

static void decide_in_child(void *arg)
{
        process_generation++;
        scope_decide(arg, &(struct cause_departure){.opening = NULL}, NULL);
}

START_TEST(test_scope_decide_when_forked)
{
        struct scope_decision *child =
                mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct scope_decision parent;

        ck_assert_ptr_ne(child, MAP_FAILED);
        process_generation = 1;
        scope_decide(&parent, &(struct cause_departure){.opening = NULL}, NULL);
        ck_assert_int_eq(unit_in_child(decide_in_child, child), 0);
        scope_decide(&parent, &(struct cause_departure){.opening = NULL}, NULL);
        ck_assert(trace_context_valid(&child->context));
        ck_assert_mem_ne(child->context.trace_id, parent.context.trace_id, 16);
        ck_assert_mem_ne(child->context.span_id, parent.context.span_id, 8);

        scope_start("00-" IDS "-01", "foo=1", NULL);
        ck_assert_int_eq(unit_in_child(decide_in_child, child), 0);
        ck_assert_mem_eq(child->context.trace_id, trace_id, 16);
        ck_assert_mem_eq(child->parent_id, span_id, 8);
}
END_TEST

/* --- below server requests --- */

static uint64_t serve(struct cause_arrival *arrival, uint8_t flags)
{
        struct scope_decision decision;

        arrival->incoming = (struct trace_context){.flags = flags, .tracestate = SLICE("s=1")};
        memcpy(arrival->incoming.trace_id, trace_id, 16);
        memcpy(arrival->incoming.span_id, span_id, 8);
        scope_serve(&decision, &arrival->incoming);
        ck_assert_mem_eq(decision.parent_id, span_id, 8);
        ck_assert(decision.parent_remote);
        arrival->context = decision.context;
        arrival->sampled = decision.sampled;
        arrival->baggage = SLICE("b=1");
        return cause_open(&thread_state.cause, arrival);
}

START_TEST(test_scope_decide_when_a_server_request_is_open)
{
        struct cause_arrival arrival = {.marked = false};
        struct cause_departure departure = {.opening = NULL};
        struct scope_decision decision;
        struct scope_carry carry;
        uint64_t before = stat_get(STAT_PARENT_DEBT), request = serve(&arrival, TRACE_FLAG_SAMPLED);

        scope_start("00-11111111111111111111111111111111-1111111111111111-01", NULL, NULL);
        scope_decide(&decision, &departure, &carry);
        ck_assert_mem_eq(decision.context.trace_id, trace_id, 16);
        ck_assert_mem_eq(decision.parent_id, arrival.context.span_id, 8);
        ck_assert_mem_ne(decision.context.span_id, arrival.context.span_id, 8);
        ck_assert(!decision.parent_remote && decision.sampled);
        ck_assert(slice_eq(decision.context.tracestate, SLICE("s=1")) &&
                  slice_eq(decision.baggage, SLICE("b=1")));
        ck_assert_ptr_eq(decision.baggage.p, carry.baggage);
        ck_assert_uint_eq(decision.request, request);
        ck_assert_uint_eq(decision.rung, CAUSE_BY_DEBT);
        ck_assert_uint_eq(stat_get(STAT_PARENT_DEBT), before + 1);
        scope_decide(&decision, &departure, NULL);
        ck_assert_uint_eq(decision.context.tracestate.len + decision.baggage.len, 0);
        ck_assert(scope_below(&decision, request, CAUSE_BY_SEAM, &carry));
        ck_assert_uint_eq(decision.rung, CAUSE_BY_SEAM);
        cause_close(request);
        ck_assert(!scope_below(&decision, request, CAUSE_BY_SEAM, &carry));
        scope_decide(&decision, &departure, &carry);
        ck_assert_mem_ne(decision.context.trace_id, trace_id, 16);
        ck_assert_uint_eq(decision.rung, CAUSE_BY_ENVIRON);
}
END_TEST

START_TEST(test_scope_decide_when_the_server_request_is_not_sampled)
{
        struct cause_arrival arrival = {.marked = false};
        struct scope_decision decision;
        struct scope_carry carry;

        serve(&arrival, 0);
        scope_decide(&decision, &(struct cause_departure){.opening = NULL}, &carry);
        ck_assert_mem_eq(decision.context.trace_id, trace_id, 16);
        ck_assert(!decision.sampled);
        ck_assert_uint_eq(decision.context.flags & TRACE_FLAG_SAMPLED, 0);
}
END_TEST

START_TEST(test_scope_again)
{
        struct cause_arrival arrival = {.marked = false};
        struct scope_decision decision, first;
        struct scope_carry carry;
        uint64_t before;

        serve(&arrival, TRACE_FLAG_SAMPLED);
        scope_decide(&first, &(struct cause_departure){.opening = NULL}, &carry);
        cause_waited(&thread_state.cause);
        serve(&arrival, TRACE_FLAG_SAMPLED); /* what the thread does meanwhile */
        decision = first;
        before = stat_get(STAT_PARENT_DEBT);
        scope_again(&decision);
        ck_assert_mem_eq(decision.parent_id, first.parent_id, 8);
        ck_assert_mem_ne(decision.context.span_id, first.context.span_id, 8);
        ck_assert(slice_eq(decision.baggage, SLICE("b=1")));
        ck_assert_uint_eq(decision.request, first.request);
        ck_assert_uint_eq(stat_get(STAT_PARENT_DEBT), before + 1);

        first = (struct scope_decision){.rung = CAUSE_BY_NOTHING, .sampled = true, .baggage = SLICE("b=1")};
        decision = first;
        scope_again(&decision);
        ck_assert(trace_context_valid(&decision.context) && decision.sampled);
        ck_assert(!span_id_valid(decision.parent_id));
        ck_assert(slice_eq(decision.baggage, SLICE("b=1")));
        ck_assert_uint_eq(decision.rung, CAUSE_BY_NOTHING);
}
END_TEST

START_TEST(test_scope_start_when_the_baggage_is_bad)
{
        static char longest[LIMIT_BAGGAGE + 2];
        static const char *const bad[] = {"a=1\r\nX: y", "a=\n", "a=\x7f", "\x01"};
        struct slice baggage;

        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                scope_start("00-" IDS "-01", NULL, bad[i]);
                ck_assert_ptr_nonnull(scope_process_context(&baggage));
                ck_assert_uint_eq(baggage.len, 0);
        }
        scope_start("00-" IDS "-01", NULL, " a=1;p\t,b=%20 ");
        ck_assert_ptr_nonnull(scope_process_context(&baggage));
        ck_assert(slice_eq(baggage, SLICE("a=1;p\t,b=%20")));
        memset(longest, 'a', sizeof(longest) - 1);
        scope_start("00-" IDS "-01", NULL, longest);
        ck_assert_ptr_nonnull(scope_process_context(&baggage));
        ck_assert_uint_eq(baggage.len, 0);
        longest[LIMIT_BAGGAGE] = '\0';
        scope_start("00-" IDS "-01", NULL, longest);
        ck_assert_ptr_nonnull(scope_process_context(&baggage));
        ck_assert_uint_eq(baggage.len, LIMIT_BAGGAGE);
}
END_TEST

START_TEST(test_scope_rung_text)
{
        ck_assert(slice_eq(scope_rung_text(CAUSE_BY_SEAM), SLICE("seam")));
        ck_assert(slice_eq(scope_rung_text(CAUSE_BY_NOTHING), SLICE("none")));
        for (unsigned i = CAUSE_BY_SEAM; i < CAUSE_RUNGS; i++)
                ck_assert_uint_gt(scope_rung_text(i).len, 0);
        ck_assert_uint_eq(scope_rung_text(0).len + scope_rung_text(CAUSE_RUNGS).len, 0);
}
END_TEST

UNIT_MAIN("scope", test_scope_decide_when_there_is_no_parent, test_scope_decide_when_environment_has_a_parent,
          test_scope_decide_when_environment_has_a_tracestate, test_scope_decide_when_forked,
          test_scope_decide_when_a_server_request_is_open,
          test_scope_decide_when_the_server_request_is_not_sampled, test_scope_again,
          test_scope_start_when_the_baggage_is_bad, test_scope_rung_text)
