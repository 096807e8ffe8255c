/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/stats.h"
#include "agent/ring/home.h"
#include "agent/tap/tap_http.h"
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

static struct tap_request begun(const char *traceparent)
{
        struct tap_request request;

        process_generation = 1;
        agent_enabled = 1;
        scope_start(traceparent, NULL, NULL);
        tap_http_begin(&request, 1000000000);
        ck_assert(request.active);
        return request;
}

START_TEST(test_tap_http_end_when_there_was_a_response)
{
        struct tap_request request = begun(NULL);
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

        tap_http_end(&request, &result);
        ck_assert(!request.active);
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
        tap_http_end(&request, &result);
        ck_assert_uint_eq(spans, 1);
}
END_TEST

START_TEST(test_tap_http_end_when_it_failed_or_was_cancelled)
{
        struct tap_request request = begun(NULL);
        struct tap_request_result result = {.curle = 7};

        tap_http_end(&request, &result);
        ck_assert_int_eq(attr(SEMCONV_RAW_CURLE)->num, 7);
        ck_assert_uint_eq(last.attr_count, 1);
        ck_assert_uint_ge(last.end_ns, last.start_ns);
        request = begun(NULL);
        result.cancelled = true;
        tap_http_end(&request, &result);
        ck_assert_uint_eq(spans, 2);
        ck_assert_ptr_null(attr(SEMCONV_RAW_CURLE));
}
END_TEST

START_TEST(test_tap_http_end_when_the_end_is_before_the_start)
{
        struct tap_request request = begun(NULL);

        tap_http_end(&request, &(struct tap_request_result){.end_mono_ns = 1});
        ck_assert_uint_eq(last.end_ns, last.start_ns);
}
END_TEST

START_TEST(test_tap_http_resend_when_there_is_a_parent)
{
        struct tap_request request = begun(PARENT);
        struct scope_decision first = request.decision;

        tap_http_resend(&request, 2);
        ck_assert_mem_eq(request.decision.context.trace_id, first.context.trace_id, 16);
        ck_assert_mem_eq(request.decision.parent_id, first.parent_id, 8);
        ck_assert_mem_ne(request.decision.context.span_id, first.context.span_id, 8);
        ck_assert(span_id_valid(request.decision.context.span_id));
        ck_assert(request.decision.parent_remote);
        ck_assert_uint_eq(request.start_mono_ns, 2);
}
END_TEST

START_TEST(test_tap_http_resend_when_it_is_a_root)
{
        struct tap_request request = begun(NULL);
        struct scope_decision first = request.decision;

        tap_http_resend(&request, 2);
        ck_assert_mem_ne(request.decision.context.trace_id, first.context.trace_id, 16);
        ck_assert(!span_id_valid(request.decision.parent_id));
}
END_TEST

START_TEST(test_tap_http_open_when_it_ends_or_is_forgotten)
{
        struct tap_request request = begun(NULL);
        struct tap_request_result so_far = {.method = SLICE("GET")};

        tap_http_open(&request, &so_far);
        tap_http_open(&request, &so_far);
        ck_assert_uint_eq(opened, 1);
        tap_http_end(&request, &so_far);
        ck_assert_int_eq(cleared, open_slot);
        request = begun(NULL);
        cleared = -1;
        tap_http_open(&request, &so_far);
        tap_http_forget(&request);
        ck_assert_int_eq(cleared, open_slot);
        ck_assert_uint_eq(spans, 1);
        open_slot = -1;
        request = begun(NULL);
        cleared = -1;
        tap_http_open(&request, &so_far);
        tap_http_end(&request, &so_far);
        ck_assert_int_eq(cleared, -1);
}
END_TEST

START_TEST(test_tap_http_end_when_it_is_not_sampled)
{
        struct tap_request request = begun("00-12345678901234567890123456789012-1234567890123456-00");
        struct tap_request_result result = {.status = 200};
        uint64_t before = stat_get(STAT_SPANS_UNSAMPLED);

        ck_assert(!request.decision.sampled);
        tap_http_open(&request, &result);
        tap_http_end(&request, &result);
        ck_assert_uint_eq(opened + spans, 0);
        ck_assert_uint_eq(stat_get(STAT_SPANS_UNSAMPLED), before + 1);
}
END_TEST

START_TEST(test_tap_http_begin_when_the_agent_is_off)
{
        struct tap_request request = begun(NULL);

        agent_enabled = 0;
        tap_http_begin(&request, 1);
        ck_assert(!request.active);
        tap_http_end(&request, &(struct tap_request_result){.status = 200});
        ck_assert_uint_eq(spans, 0);
}
END_TEST

UNIT_MAIN("tap-http", test_tap_http_end_when_there_was_a_response,
          test_tap_http_end_when_it_failed_or_was_cancelled,
          test_tap_http_end_when_the_end_is_before_the_start, test_tap_http_resend_when_there_is_a_parent,
          test_tap_http_resend_when_it_is_a_root, test_tap_http_open_when_it_ends_or_is_forgotten,
          test_tap_http_end_when_it_is_not_sampled, test_tap_http_begin_when_the_agent_is_off)
