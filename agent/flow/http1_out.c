/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing HTTP/1 requests: what each head says, and where its context goes. */
#include <stddef.h>
#include <string.h>

#include "agent/flow/out_call.h"
#include "agent/ring/home.h"
#include "agent/trace/traceparent.h"

static bool on_begin(void *ctx, struct http1 *parser, size_t at, char **ret_text, uint16_t *ret_max,
                     bool *ret_head_request, bool *ret_connect_request)
{
        struct out_call *call = ctx;
        struct exchange *exchange = call->plan->scratch ? out_open_exchange(call, 0) : NULL;

        if (!exchange)
                return false;
        call->plan->conn->sending = exchange;
        *ret_text = exchange->text.p;
        *ret_max = exchange->text.size;
        return true;
}

static bool on_grow(void *ctx, struct http1 *parser, size_t need)
{
        struct out_call *call = ctx;

        return exchange_grow(call->plan->conn->sending, need, parser->text_used, &parser->text,
                             &parser->text_max);
}

/* How far before its blank line the head's context value begins. */
static size_t context_back(const struct http1 *parser)
{
        return parser->head_len - parser->head.traceparent.from;
}

/*
 * May the head's context be replaced, as far as it goes? One that the program passes on from a request of its
 * own may; so may a value that nobody understands, where that is known to be of a server request.
 */
static bool may_replace(const struct http1 *parser, size_t blank_at, struct trace_context *ret_header)
{
        if (parser->head.traceparent_count != 1 || parser->head.traceparent.end == 0 ||
            context_back(parser) > blank_at)
                return false;
        if (!traceparent_parse(http1_text_get(parser, HTTP1_TRACEPARENT), ret_header))
                return true;
        return cause_by_header(ret_header) != CAUSE_NONE;
}

static void decide(struct conn *conn, struct exchange *exchange, const struct http1 *parser, size_t blank_at)
{
        struct cause_departure departure = {.method = http1_text_get(parser, HTTP1_METHOD),
                                            .target = http1_text_get(parser, HTTP1_TARGET),
                                            .opening = &conn->opening};

        exchange->decided = true;
        exchange->replaces = parser->head.traceparent_count > 0;
        if (exchange->replaces && !may_replace(parser, blank_at, &departure.header)) {
                out_respect(exchange);
                return;
        }
        scope_decide_into(&exchange->decision, &departure, &exchange->carry);
        if (exchange->replaces && out_is_foreign(&departure.header, exchange->decision.rung)) {
                out_respect(exchange);
                return;
        }
        exchange->traced = inject_compose(exchange, &parser->head);
        if (exchange->decision.sampled)
                home_prepare();
        else
                stat_add(STAT_SPANS_UNSAMPLED, 1);
}

/*
 * A tracestate that is not our parent's makes way for blanks: a proxy passed it on from a request that came
 * without a traceparent, or is not to be trusted, and beside ours it would mean something. What of it left in
 * an earlier call may have left as blanks: then the rest of it must follow. @first: where in the head this
 * call's bytes begin; negative: the head begins in them.
 */
static void blank_stale_state(struct out_scratch *scratch, struct exchange *exchange,
                              const struct http1 *parser, ptrdiff_t first)
{
        const struct http1_place *place = &parser->head.tracestate;
        ptrdiff_t from = place->from, end = place->end;

        if (exchange->blanks && from < first)
                from = first;
        if ((exchange->replaces && exchange->decision.context.tracestate.len) ||
            parser->head.tracestate_count != 1 || from < first || end <= from ||
            end - from > LIMIT_TRACESTATE)
                return;
        inject_add(scratch, (struct insert){.at = (size_t)(from - first),
                                            .remove = (size_t)(end - from),
                                            .exchange = exchange,
                                            .blank = true});
}

void http1_out_rest(struct out_call *call)
{
        const struct out_plan *plan = call->plan;
        const struct http1 *parser = plan->conn->out.http1;

        /* Where the blank line has come, it is done. */
        if (plan->scratch->insert_count == 0 && !plan->conn->sending->head_done)
                blank_stale_state(plan->scratch, plan->conn->sending, parser,
                                  (ptrdiff_t)parser->head_len - (ptrdiff_t)plan->host_len);
}

static void insert(struct out_scratch *scratch, struct exchange *exchange, const struct http1 *parser,
                   size_t blank_at)
{
        const struct http1_head *head = &parser->head;
        struct insert ours = {.at = blank_at, .exchange = exchange, .len = exchange->inject_len};

        /* What did not leave when it was decided about may have left by now, or be another head's. */
        if (head->traceparent_count != exchange->replaces ||
            (exchange->replaces && context_back(parser) > blank_at)) {
                out_respect(exchange);
                return;
        }
        if (exchange->replaces) {
                ours.at -= context_back(parser);
                ours.remove = head->traceparent.end - head->traceparent.from;
        }
        inject_add(scratch, ours);
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
        if (exchange->traced || exchange->blanks)
                blank_stale_state(call->plan->scratch, exchange, parser,
                                  (ptrdiff_t)parser->head_len - (ptrdiff_t)(call->base + at));
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
        return (struct http1_sink){on_begin, on_blank, on_head, on_end, call, on_grow};
}

bool http1_out_feed(struct out_call *call, struct slice bytes)
{
        struct http1 *parser = conn_http1(call->plan->conn, &call->plan->conn->out);
        struct http1_sink sink = sink_for(call);

        return parser && http1_feed(parser, bytes, &sink) == (long)bytes.len;
}

bool http1_out_skip(struct out_call *call, uint64_t n)
{
        struct http1 *parser = call->plan->conn->out.http1;
        struct http1_sink sink = sink_for(call);

        return parser && http1_skip(parser, n, &sink);
}
