/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tap/tap_http.h"

#include <netinet/in.h>

#include "agent/base/clock.h"
#include "agent/base/stats.h"
#include "agent/config/config.h"
#include "agent/record/span.h"
#include "agent/ring/home.h"
#include "agent/trace/traceparent.h"

static void fill_span(struct span *span, const struct tap_request *request,
                      const struct tap_request_result *result)
{
        span->context = request->decision.context;
        memcpy(span->parent_id, request->decision.parent_id, sizeof(span->parent_id));
        span->parent_remote = request->decision.parent_remote;
        span->shared = false;
        span->kind = SPAN_CLIENT;
        span->status = SPAN_UNSET; /* the worker judges status code and CURLE */
        span->shape = SHAPE_CURL_CLIENT;
        span->start_ns = clock_wall_ns(request->start_mono_ns);
        span->end_ns = 0;
        span->attr_count = 0;
        if (config_now.parent_rule)
                span_add_str(span, SEMCONV_OTEL_PARENT_RULE, scope_rung_text(request->decision.rung));
        span_add_str(span, SEMCONV_RAW_METHOD, result->method);
        span_add_str(span, SEMCONV_RAW_URL, result->url);
        span_add_str(span, SEMCONV_RAW_SCHEME, result->scheme);
        span_add_str(span, SEMCONV_USER_AGENT_ORIGINAL, result->user_agent);
        if (result->peer)
                span_add_bytes(span, SEMCONV_RAW_PEER, slice_make(result->peer, result->peer_len));
        if (result->resend_count > 0)
                span_add_int(span, SEMCONV_HTTP_REQUEST_RESEND_COUNT, result->resend_count);
}

static bool is_known(uint64_t request)
{
        return request != CAUSE_NONE && request != CAUSE_UNKNOWN;
}

/* For what the thread works for at this moment. */
static bool decide_by_seam(struct tap_request *request)
{
        uint64_t current = cause_current(&thread_state.cause);

        return is_known(current) && scope_below(&request->decision, current, CAUSE_BY_SEAM, &request->carry);
}

/* Return: false where a context of the caller's own is none that is passed on. */
static bool decide(struct tap_request *request, const struct tap_request_start *start)
{
        struct cause_departure departure = {.opening = NULL};

        if (start->traceparent.len) {
                if (!traceparent_parse(start->traceparent, &departure.header) ||
                    !is_known(cause_by_header(&departure.header)))
                        return false;
                scope_decide(&request->decision, &departure, &request->carry);
                return request->decision.rung == CAUSE_BY_HEADER;
        }
        if (!start->deferred || !decide_by_seam(request))
                scope_decide(&request->decision, &departure, &request->carry);
        return true;
}

static void begin(struct tap_request *request, uint64_t start_mono_ns)
{
        cause_wrote(&thread_state.cause, request->decision.request);
        request->start_mono_ns = start_mono_ns;
        request->open_slot = -1;
        request->active = true;
}

bool tap_http_begin(struct tap_request *request, const struct tap_request_start *start)
{
        bool respected = false;

        request->active = false;
        OBSERVE({
                respected = !decide(request, start);
                if (!respected)
                        begin(request, start->mono_ns);
        });
        return !respected;
}

void tap_http_resend(struct tap_request *request, uint64_t start_mono_ns)
{
        request->active = false;
        OBSERVE({
                scope_again(&request->decision);
                begin(request, start_mono_ns);
        });
}

static void open_span(struct tap_request *request, const struct tap_request_result *so_far)
{
        struct span span;

        fill_span(&span, request, so_far);
        request->open_slot = home_open(&span);
}

void tap_http_open(struct tap_request *request, const struct tap_request_result *so_far)
{
        if (request->active && request->decision.sampled && request->open_slot < 0)
                OBSERVE(open_span(request, so_far));
}

static void close_slot(struct tap_request *request)
{
        if (request->open_slot >= 0)
                home_open_clear(request->open_slot);
        request->open_slot = -1;
}

static void end(struct tap_request *request, const struct tap_request_result *result)
{
        uint64_t now = clock_mono_ns();
        uint64_t end_ns = result->end_mono_ns ? result->end_mono_ns : now;
        struct span span;

        cause_read(&thread_state.cause, request->decision.request);
        if (!request->decision.sampled) {
                stat_add(STAT_SPANS_UNSAMPLED, 1);
                return;
        }
        fill_span(&span, request, result);
        /* Both ends from one reading of the wall clock: a step of it in between cannot turn the span around.
         */
        span.end_ns = span.start_ns + (end_ns > request->start_mono_ns ? end_ns - request->start_mono_ns : 0);
        if (result->status > 0)
                span_add_int(&span, SEMCONV_HTTP_RESPONSE_STATUS_CODE, result->status);
        if (result->http_version)
                span_add_int(&span, SEMCONV_RAW_HTTP_VERSION, result->http_version);
        if (result->curle && !result->cancelled)
                span_add_int(&span, SEMCONV_RAW_CURLE, result->curle);
        home_span(&span, now);
        close_slot(request);
}

void tap_http_end(struct tap_request *request, const struct tap_request_result *result)
{
        if (request->active)
                OBSERVE(end(request, result));
        request->active = false;
}

void tap_http_forget(struct tap_request *request)
{
        if (request->active)
                OBSERVE(close_slot(request));
        request->active = false;
}
