/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/load.h"
#include "agent/base/stats.h"
#include "agent/config/config.h"
#include "agent/ring/home.h"
#include "agent/tap/tap_http.h"
#include "agent/trace/traceparent.h"
#include "tests/unit/unit.h"

#define PARENT "00-12345678901234567890123456789012-1234567890123456-01"

/* In place of agent/ring: keeps what it was handed. */
static struct span last;
static unsigned spans, opened;
static int open_slot = 7, cleared = -1;

void home_span(const struct span *span, uint64_t now_mono_ns)
{
        last = *span;
        spans++;
}

int home_open(const struct span *span)
{
        ck_assert_uint_eq(span->end_ns, 0);
        opened++;
        return open_slot;
}

void home_open_clear(int slot)
{
        cleared = slot;
}

static const struct attr *attr(enum semconv key)
{
        const struct attr *found = NULL;

        for (unsigned i = 0; i < last.attr_count; i++) {
                if (last.attrs[i].key != key)
                        continue;
                ck_assert_ptr_null(found);
                found = &last.attrs[i];
        }
        return found;
}

static struct tap_request *begun(const char *traceparent)
{
        static struct tap_request request;

        process_generation = 1;
        agent_enabled = 1;
        scope_start(traceparent, "k=v", NULL);
        ck_assert(tap_http_begin(&request, &(struct tap_request_start){.mono_ns = 1000000000}));
        ck_assert(request.active);
        return &request;
}

#define INCOMING "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-01"

/* A server request that came in with INCOMING is open on this thread. */
static uint64_t serving(struct cause_arrival *ret_arrival)
{
        struct scope_decision decision;

        process_generation = 1;
        agent_enabled = 1;
        *ret_arrival = (struct cause_arrival){
                .baggage = SLICE("b=1"), .method = SLICE("GET"), .target = SLICE("/"), .sampled = true};
        ck_assert(traceparent_parse(SLICE(INCOMING), &ret_arrival->incoming));
        ret_arrival->incoming.tracestate = SLICE("s=1");
        scope_serve(&decision, &ret_arrival->incoming);
        ret_arrival->context = decision.context;
        return cause_open(&thread_state.cause, ret_arrival);
}

static void expect_below(const struct tap_request *request, const struct cause_arrival *arrival,
                         enum cause_rung rung)
{
        ck_assert_mem_eq(request->decision.context.trace_id, arrival->context.trace_id, 16);
        ck_assert_mem_eq(request->decision.parent_id, arrival->context.span_id, 8);
        ck_assert_mem_ne(request->decision.context.span_id, arrival->context.span_id, 8);
        ck_assert(slice_eq(request->decision.context.tracestate, SLICE("s=1")));
        ck_assert(slice_eq(request->decision.baggage, SLICE("b=1")));
        ck_assert_uint_eq(request->decision.rung, rung);
}

START_TEST(test_tap_http_begin_when_a_server_request_is_open)
{
        struct tap_request request;
        struct cause_arrival arrival;
        uint64_t number = serving(&arrival), seam = stat_get(STAT_PARENT_SEAM);

        ck_assert(tap_http_begin(&request, &(struct tap_request_start){.mono_ns = 1}));
        expect_below(&request, &arrival, CAUSE_BY_DEBT);
        ck_assert_uint_eq(request.decision.request, number);
        ck_assert(!request.decision.parent_remote);
        cause_wrote(&thread_state.cause, number); /* its response */
        tap_http_end(&request, &(struct tap_request_result){.status = 200});
        ck_assert_uint_eq(thread_state.cause.debt_count, 1); /* its answer was read for it */
        ck_assert_uint_eq(stat_get(STAT_PARENT_SEAM), seam);

        ck_assert(tap_http_begin(&request, &(struct tap_request_start){.mono_ns = 1, .deferred = true}));
        expect_below(&request, &arrival, CAUSE_BY_SEAM);
        ck_assert_uint_eq(thread_state.cause.debt_count, 0);
        ck_assert_uint_eq(stat_get(STAT_PARENT_SEAM), seam + 1);
        cause_close(number);
        tap_http_resend(&request, 2); /* a redirect: the seam remembers for whom */
        expect_below(&request, &arrival, CAUSE_BY_SEAM);
        ck_assert(tap_http_begin(&request, &(struct tap_request_start){.mono_ns = 1, .deferred = true}));
        ck_assert_uint_eq(request.decision.rung, CAUSE_BY_NOTHING);
}
END_TEST

START_TEST(test_tap_http_begin_when_the_caller_has_a_context)
{
        static const struct {
                const char *traceparent;
                bool passed_on;
        } rows[] = {{INCOMING, true},
                    {"01-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-01-later", true},
                    {"00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01", false},
                    {"00-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-aaaaaaaaaaaaaaaa-01", false},
                    {"00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-0", false},
                    {"x", false}};
        struct tap_request request;
        struct cause_arrival arrival;
        uint64_t number = serving(&arrival);

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct tap_request_start start = {.traceparent = slice_str(rows[i].traceparent),
                                                  .deferred = i % 2};

                ck_assert_int_eq(tap_http_begin(&request, &start), rows[i].passed_on);
                ck_assert_int_eq(request.active, rows[i].passed_on);
                if (rows[i].passed_on)
                        expect_below(&request, &arrival, CAUSE_BY_HEADER);
        }
        cause_close(number);
        ck_assert(!tap_http_begin(&request, &(struct tap_request_start){.traceparent = SLICE(INCOMING)}));
}
END_TEST

START_TEST(test_tap_http_end_when_the_rule_is_to_be_told)
{
        struct tap_request *request = begun(PARENT);

        config_now.parent_rule = true;
        tap_http_end(request, &(struct tap_request_result){.status = 200});
        ck_assert(slice_eq(attr(SEMCONV_OTEL_PARENT_RULE)->str, SLICE("environ")));
        request = begun(NULL);
        tap_http_end(request, &(struct tap_request_result){.status = 200});
        ck_assert(slice_eq(attr(SEMCONV_OTEL_PARENT_RULE)->str, SLICE("none")));
}
END_TEST

START_TEST(test_tap_http_end_when_there_was_a_response)
{
        struct tap_request *request = begun(NULL);
        struct tap_request_result result = {.method = SLICE("PUT"),
                                            .url = SLICE("http://h/x"),
                                            .scheme = SLICE("http"),
                                            .user_agent = SLICE("a/1"),
                                            .peer = "peer",
                                            .peer_len = 4,
                                            .http_version = 20,
                                            .status = 503,
                                            .resend_count = 2,
                                            .end_mono_ns = 1000005000};

        tap_http_end(request, &result);
        ck_assert(!request->active);
        ck_assert_uint_eq(spans, 1);
        ck_assert_uint_eq(last.shape, SHAPE_CURL_CLIENT);
        ck_assert_uint_eq(last.kind, SPAN_CLIENT);
        ck_assert_uint_eq(last.end_ns - last.start_ns, 5000);
        ck_assert(slice_eq(attr(SEMCONV_RAW_METHOD)->str, result.method));
        ck_assert(slice_eq(attr(SEMCONV_RAW_URL)->str, result.url));
        ck_assert(slice_eq(attr(SEMCONV_RAW_SCHEME)->str, result.scheme));
        ck_assert(slice_eq(attr(SEMCONV_USER_AGENT_ORIGINAL)->str, result.user_agent));
        ck_assert(slice_eq(attr(SEMCONV_RAW_PEER)->str, SLICE("peer")));
        ck_assert_int_eq(attr(SEMCONV_RAW_HTTP_VERSION)->num, 20);
        ck_assert_int_eq(attr(SEMCONV_HTTP_RESPONSE_STATUS_CODE)->num, 503);
        ck_assert_int_eq(attr(SEMCONV_HTTP_REQUEST_RESEND_COUNT)->num, 2);
        ck_assert_ptr_null(attr(SEMCONV_RAW_CURLE));
        tap_http_end(request, &result);
        ck_assert_uint_eq(spans, 1);
}
END_TEST

START_TEST(test_tap_http_end_when_it_failed_or_was_cancelled)
{
        struct tap_request *request = begun(NULL);
        struct tap_request_result result = {.curle = 7};

        tap_http_end(request, &result);
        ck_assert_int_eq(attr(SEMCONV_RAW_CURLE)->num, 7);
        ck_assert_uint_eq(last.attr_count, 1);
        ck_assert_uint_ge(last.end_ns, last.start_ns);
        request = begun(NULL);
        result.cancelled = true;
        tap_http_end(request, &result);
        ck_assert_uint_eq(spans, 2);
        ck_assert_ptr_null(attr(SEMCONV_RAW_CURLE));
}
END_TEST

START_TEST(test_tap_http_end_when_the_end_is_before_the_start)
{
        struct tap_request *request = begun(NULL);

        tap_http_end(request, &(struct tap_request_result){.end_mono_ns = 1});
        ck_assert_uint_eq(last.end_ns, last.start_ns);
}
END_TEST

START_TEST(test_tap_http_resend_when_there_is_a_parent)
{
        struct tap_request *request = begun(PARENT);
        struct scope_decision first = request->decision;

        tap_http_resend(request, 2);
        ck_assert_mem_eq(request->decision.context.trace_id, first.context.trace_id, 16);
        ck_assert_mem_eq(request->decision.parent_id, first.parent_id, 8);
        ck_assert_mem_ne(request->decision.context.span_id, first.context.span_id, 8);
        ck_assert(span_id_valid(request->decision.context.span_id));
        ck_assert(request->decision.parent_remote);
        ck_assert_uint_eq(request->start_mono_ns, 2);
        ck_assert(slice_eq(request->decision.context.tracestate, SLICE("k=v")));
}
END_TEST

START_TEST(test_tap_http_resend_when_it_is_a_root)
{
        struct tap_request *request = begun(NULL);
        struct scope_decision first = request->decision;

        tap_http_resend(request, 2);
        ck_assert_mem_ne(request->decision.context.trace_id, first.context.trace_id, 16);
        ck_assert(!span_id_valid(request->decision.parent_id));
}
END_TEST

START_TEST(test_tap_http_open_when_it_ends_or_is_forgotten)
{
        struct tap_request *request = begun(NULL);
        struct tap_request_result so_far = {.method = SLICE("GET")};

        tap_http_open(request, &so_far);
        tap_http_open(request, &so_far);
        ck_assert_uint_eq(opened, 1);
        tap_http_end(request, &so_far);
        ck_assert_int_eq(cleared, open_slot);
        request = begun(NULL);
        cleared = -1;
        tap_http_open(request, &so_far);
        tap_http_forget(request);
        ck_assert_int_eq(cleared, open_slot);
        ck_assert_uint_eq(spans, 1);
        open_slot = -1;
        request = begun(NULL);
        cleared = -1;
        tap_http_open(request, &so_far);
        tap_http_end(request, &so_far);
        ck_assert_int_eq(cleared, -1);
}
END_TEST

START_TEST(test_tap_http_end_when_it_is_not_sampled)
{
        struct tap_request *request = begun("00-12345678901234567890123456789012-1234567890123456-00");
        struct tap_request_result result = {.status = 200};
        uint64_t before = stat_get(STAT_SPANS_UNSAMPLED);

        ck_assert(!request->decision.sampled);
        tap_http_open(request, &result);
        tap_http_end(request, &result);
        ck_assert_uint_eq(opened + spans, 0);
        ck_assert_uint_eq(stat_get(STAT_SPANS_UNSAMPLED), before + 1);
}
END_TEST

START_TEST(test_tap_http_begin_when_the_agent_is_off)
{
        struct tap_request *request = begun(NULL);

        agent_enabled = 0;
        ck_assert(tap_http_begin(request, &(struct tap_request_start){.traceparent = SLICE("x")}));
        ck_assert(!request->active);
        tap_http_end(request, &(struct tap_request_result){.status = 200});
        ck_assert_uint_eq(spans, 0);
}
END_TEST

UNIT_MAIN("tap-http", test_tap_http_end_when_there_was_a_response,
          test_tap_http_end_when_it_failed_or_was_cancelled,
          test_tap_http_end_when_the_end_is_before_the_start, test_tap_http_resend_when_there_is_a_parent,
          test_tap_http_resend_when_it_is_a_root, test_tap_http_open_when_it_ends_or_is_forgotten,
          test_tap_http_end_when_it_is_not_sampled, test_tap_http_begin_when_the_agent_is_off,
          test_tap_http_begin_when_a_server_request_is_open,
          test_tap_http_begin_when_the_caller_has_a_context, test_tap_http_end_when_the_rule_is_to_be_told)
