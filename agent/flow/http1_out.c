/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing HTTP/1 requests: what each head says, and where its context goes. */
#include <string.h>

#include "agent/flow/out_call.h"
#include "agent/ring/home.h"
#include "agent/trace/traceparent.h"

static bool on_begin(void *ctx, struct http1 *parser, size_t at, char **ret_text, uint16_t *ret_max,
                     bool *ret_head_request, bool *ret_connect_request)
{
        struct out_call *call = ctx;
        struct exchange *exchange = call->plan->scratch ? out_open_exchange(call) : NULL;

        if (!exchange)
                return false;
        call->plan->conn->sending = exchange;
        *ret_text = exchange->text;
        *ret_max = sizeof(exchange->text);
        return true;
}

/* How far before its blank line the head's context value begins. */
static size_t context_back(const struct http1 *parser)
{
        return parser->head_len - parser->head.traceparent.from;
}

/* Is the head's context one that the program passes on from a request of its own, and still to be sent? */
static bool passed_on(const struct http1 *parser, size_t blank_at, struct trace_context *ret_header)
{
        uint64_t request;

        if (parser->head.traceparent_count != 1 || context_back(parser) > blank_at ||
            !traceparent_parse(http1_text_get(parser, HTTP1_TRACEPARENT), ret_header))
                return false;
        request = cause_by_header(ret_header);
        return request != CAUSE_NONE && request != CAUSE_UNKNOWN;
}

static void decide(struct conn *conn, struct exchange *exchange, const struct http1 *parser, size_t blank_at)
{
        struct cause_departure departure = {.method = http1_text_get(parser, HTTP1_METHOD),
                                            .target = http1_text_get(parser, HTTP1_TARGET),
                                            .opening = &conn->opening};

        exchange->decided = true;
        exchange->replaces = parser->head.traceparent_count > 0;
        if (exchange->replaces && !passed_on(parser, blank_at, &departure.header)) {
                out_respect(exchange);
                return;
        }
        scope_decide(&exchange->decision, &departure, &exchange->carry);
        if (exchange->replaces && exchange->decision.rung != CAUSE_BY_HEADER) { /* it ended just now */
                out_respect(exchange);
                return;
        }
        exchange->traced = true;
        if (exchange->decision.sampled)
                home_prepare();
        else
                stat_add(STAT_SPANS_UNSAMPLED, 1);
        inject_compose(exchange, &parser->head);
}

/*
 * A tracestate without a traceparent means nothing, until ours stands beside it: a proxy passed it on from a
 * request that came so. Its value makes way for blanks.
 */
static bool blank_stale_state(struct insert *insert, const struct http1 *parser, size_t blank_at)
{
        const struct http1_place *place = &parser->head.tracestate;
        size_t back = parser->head_len - place->from, len = place->end - place->from;

        if (parser->head.tracestate_count != 1 || len == 0 || len > LIMIT_TRACESTATE || back > blank_at)
                return false;
        *insert = (struct insert){.at = blank_at - back, .remove = len};
        return true;
}

static void insert(struct out_scratch *scratch, struct exchange *exchange, const struct http1 *parser,
                   size_t blank_at)
{
        const struct http1_head *head = &parser->head;
        struct insert *insert = &scratch->inserts[scratch->insert_count];

        /* What did not leave when it was decided about may have left by now, or be another head's. */
        if (head->traceparent_count != exchange->replaces ||
            (exchange->replaces && context_back(parser) > blank_at)) {
                out_respect(exchange);
                return;
        }
        if (!exchange->replaces && blank_stale_state(insert, parser, blank_at)) {
                scratch->insert_count++;
                insert++;
        }
        *insert = (struct insert){.at = blank_at, .exchange = exchange};
        if (exchange->replaces) {
                insert->at -= context_back(parser);
                insert->remove = head->traceparent.end - head->traceparent.from;
        }
        scratch->insert_count++;
}

static bool on_blank(void *ctx, struct http1 *parser, size_t at)
{
        struct out_call *call = ctx;
        struct conn *conn = call->plan->conn;
        struct exchange *exchange = conn->sending;

        if (call->again)
                return true;
        if (!exchange->decided)
                decide(conn, exchange, parser, call->base + at);
        if (exchange->traced && exchange->inject == INJECT_NONE)
                insert(call->plan->scratch, exchange, parser, call->base + at);
        return true;
}

static bool on_head(void *ctx, struct http1 *parser, size_t at)
{
        struct out_call *call = ctx;
        struct exchange *exchange = call->plan->conn->sending;

        memcpy(exchange->text_at, parser->head.text, sizeof(exchange->text_at));
        exchange->minor = parser->head.minor;
        exchange->is_head = slice_eq(exchange_text(exchange, HTTP1_METHOD), SLICE("HEAD"));
        exchange->is_connect = parser->head.connect;
        exchange->head_done = true;
        return true;
}

static bool on_end(void *ctx, struct http1 *parser, size_t at)
{
        struct out_call *call = ctx;

        call->plan->conn->sending->request_done = true;
        call->plan->conn->sending = NULL;
        return true;
}

static struct http1_sink sink_for(struct out_call *call)
{
        return (struct http1_sink){on_begin, on_blank, on_head, on_end, call};
}

bool http1_out_feed(struct out_call *call, struct slice bytes)
{
        struct http1_sink sink = sink_for(call);

        return http1_feed(&call->plan->conn->out.parser, bytes, &sink) == (long)bytes.len;
}

bool http1_out_skip(struct out_call *call, uint64_t n)
{
        struct http1_sink sink = sink_for(call);

        return http1_skip(&call->plan->conn->out.parser, n, &sink);
}
