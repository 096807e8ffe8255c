/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing FastCGI requests: what each says, and where its context goes. */
#include "agent/base/load.h"
#include "agent/flow/fcgi_flow.h"
#include "agent/flow/out_call.h"
#include "agent/ring/home.h"
#include "agent/trace/traceparent.h"

static bool on_begin(void *ctx, struct fcgi *parser, uint16_t id, size_t at, char **ret_text,
                     uint16_t *ret_max)
{
        struct out_call *call = ctx;
        struct exchange *exchange = call->plan->scratch ? out_open_exchange(call, 0) : NULL;

        if (!exchange)
                return false;
        exchange->fcgi_id = id;
        call->plan->conn->sending = exchange;
        *ret_text = exchange->text.p;
        *ret_max = exchange->text.size;
        return true;
}

static bool on_grow(void *ctx, struct fcgi *parser, size_t need)
{
        struct out_call *call = ctx;

        return exchange_grow(call->plan->conn->sending, need, parser->text_used, &parser->text,
                             &parser->text_max);
}

/* No record of these is longer: header, padding, and two lengths of four bytes each. */
static size_t record_max(const struct fcgi_param *params, size_t count)
{
        size_t len = FCGI_HEADER_LEN + 7;

        for (size_t i = 0; i < count; i++)
                len += 8 + params[i].name.len + params[i].value.len;
        return len;
}

/* Parameters of ours behind the program's: of two with one name the later one counts. */
static void compose_record(struct exchange *exchange, const struct fcgi *parser)
{
        char traceparent[TRACEPARENT_LEN];
        bool stated = parser->head.text[FCGI_HTTP_TRACESTATE].present;
        bool carried = parser->head.text[FCGI_HTTP_BAGGAGE].present;
        const struct fcgi_param params[] = {
                {SLICE("HTTP_TRACEPARENT"), slice_make(traceparent, sizeof(traceparent))},
                {SLICE("HTTP_TRACESTATE"), stated ? SLICE_NULL : exchange->decision.context.tracestate},
                {SLICE("HTTP_BAGGAGE"), carried ? SLICE_NULL : exchange->decision.baggage},
        };

        traceparent_write(traceparent, &exchange->decision.context);
        if (!room_grow(&exchange->added, record_max(params, ARRAY_LEN(params)), 0))
                return;
        exchange->inject_len = (uint16_t)fcgi_write_param_record(exchange->added.p, exchange->added.size,
                                                                 parser->head.id, params, ARRAY_LEN(params));
}

static void compose_value(struct exchange *exchange)
{
        if (!room_grow(&exchange->added, TRACEPARENT_LEN, 0))
                return;
        traceparent_write(exchange->added.p, &exchange->decision.context);
        exchange->inject_len = TRACEPARENT_LEN;
}

/* The one context that the program's parameters hold. Return: whether it is understood; several are not. */
static bool read_header(const struct fcgi *parser, struct trace_context *ret_header)
{
        return parser->head.traceparent_count == 1 &&
               traceparent_parse(fcgi_text_get(parser, FCGI_HTTP_TRACEPARENT), ret_header);
}

/* Is it one that it passes on? */
static bool passed_on(const struct fcgi *parser)
{
        struct trace_context header;

        return read_header(parser, &header) && cause_by_header(&header) != CAUSE_NONE;
}

static void decide(struct conn *conn, struct exchange *exchange, const struct fcgi *parser)
{
        struct cause_departure departure = {.method = fcgi_text_get(parser, FCGI_REQUEST_METHOD),
                                            .target = fcgi_text_get(parser, FCGI_REQUEST_URI),
                                            .opening = &conn->opening};

        exchange->decided = true;
        exchange->replaces = parser->head.traceparent_count > 0;
        (void)read_header(parser, &departure.header); /* else it stays invalid */
        scope_decide_into(&exchange->decision, &departure, &exchange->carry);
        if (exchange->replaces && out_is_foreign(&departure.header, exchange->decision.rung)) {
                out_respect(exchange);
                return;
        }
        exchange->traced = true;
        if (exchange->decision.sampled)
                home_prepare();
        else
                stat_add(STAT_SPANS_UNSAMPLED, 1);
}

/* Where in the stream this call's bytes begin. */
static uint64_t first_of(const struct out_call *call, const struct fcgi *parser)
{
        return parser->position - call->base;
}

/* Does the value stand whole in this call's bytes? Then *ret_at is its offset there. */
static bool is_here(const struct out_call *call, const struct fcgi *parser, const struct fcgi_place *place,
                    size_t *ret_at)
{
        uint64_t first = first_of(call, parser);

        *ret_at = (size_t)(place->at - first);
        return place->whole && place->at >= first;
}

static bool is_inserted(const struct out_scratch *scratch, const struct exchange *exchange)
{
        for (unsigned i = scratch->insert_count; i-- > 0;)
                if (!scratch->inserts[i].blank && scratch->inserts[i].exchange == exchange)
                        return true;
        return false;
}

static bool is_blanked(const struct out_scratch *scratch, size_t at)
{
        for (unsigned i = scratch->insert_count; i-- > 0;)
                if (scratch->inserts[i].blank && scratch->inserts[i].at == at)
                        return true;
        return false;
}

/* See http1_out.c: a tracestate that is not our parent's makes way for blanks, and once that has begun, all
 * of it that is still to come. */
static void blank_stale_state(struct out_call *call, struct exchange *exchange, const struct fcgi *parser)
{
        const struct fcgi_head *head = &parser->head;
        const struct http1_span *text = &head->text[FCGI_HTTP_TRACESTATE];
        struct insert insert = {.remove = text->len, .exchange = exchange, .blank = true};
        bool parents = exchange->decision.context.tracestate.len > 0;
        bool here = is_here(call, parser, &head->tracestate, &insert.at);

        if (exchange->blanks && !here && head->tracestate.whole) {
                uint64_t gone = first_of(call, parser) - head->tracestate.at;

                insert.at = 0;
                insert.remove = gone < text->len ? text->len - gone : 0;
                here = true;
        }
        if (!(head->traceparent_count && parents) && head->tracestate_count == 1 && !text->cut &&
            insert.remove && text->len <= LIMIT_TRACESTATE && here &&
            (exchange->blanks || parser->pair.which != FCGI_HTTP_TRACESTATE) &&
            !is_blanked(call->plan->scratch, insert.at))
                inject_add(call->plan->scratch, insert);
}

void fcgi_out_rest(struct out_call *call)
{
        const struct fcgi *parser = call->plan->conn->out.fcgi;
        struct exchange *exchange = call->plan->conn->sending;

        if (exchange->fcgi_id == parser->head.id && !exchange->head_done)
                blank_stale_state(call, exchange, parser);
}

/* Where the program's own value stands whole in this call's bytes: there; else in a record of its own, where
 * @room says that there is a place for it, @at. */
static void insert(struct out_call *call, struct exchange *exchange, const struct fcgi *parser, bool room,
                   size_t at)
{
        struct insert insert = {.exchange = exchange};

        if (parser->head.traceparent_count == 1 &&
            parser->head.text[FCGI_HTTP_TRACEPARENT].len == TRACEPARENT_LEN &&
            is_here(call, parser, &parser->head.traceparent, &insert.at)) {
                insert.remove = TRACEPARENT_LEN;
                compose_value(exchange);
        } else if (room) {
                insert.at = at;
                compose_record(exchange, parser);
        } else {
                return; /* too late: the request goes on without */
        }
        insert.len = exchange->inject_len;
        if (insert.len)
                inject_add(call->plan->scratch, insert);
}

/* What of the request's parameters is in this call's bytes, and what is due there: once each. */
static void work_in(struct out_call *call, struct exchange *exchange, const struct fcgi *parser, bool room,
                    size_t at)
{
        const struct out_scratch *scratch = call->plan->scratch;

        if (!exchange->traced)
                return;
        if (exchange->inject == INJECT_NONE && !is_inserted(scratch, exchange))
                insert(call, exchange, parser, room, at);
        if (exchange->inject != INJECT_NONE || is_inserted(scratch, exchange))
                blank_stale_state(call, exchange, parser);
}

static bool on_params_end(void *ctx, struct fcgi *parser, uint16_t id, uint64_t position)
{
        struct out_call *call = ctx;
        struct conn *conn = call->plan->conn;
        struct exchange *exchange = conn->sending;
        uint64_t first = first_of(call, parser);

        if (call->again)
                return true;
        if (!exchange->decided)
                decide(conn, exchange, parser);
        work_in(call, exchange, parser, position >= first, (size_t)(position - first));
        return true;
}

/* The parameters are all that there is to be captured: what follows changes nothing. */
static bool on_head(void *ctx, struct fcgi *parser, uint16_t id, size_t at)
{
        struct out_call *call = ctx;
        struct exchange *exchange = call->plan->conn->sending;

        fcgi_flow_texts(exchange, &parser->head);
        exchange->head_done = exchange->request_done = true;
        call->plan->conn->sending = NULL;
        return true;
}

/* Before its parameters were complete, it is no request at all. */
static bool on_aborted(void *ctx, struct fcgi *parser, uint16_t id, size_t at)
{
        struct out_call *call = ctx;
        struct exchange *exchange = call->plan->conn->sending;

        if (!exchange || exchange->fcgi_id != id)
                return true;
        exchange->request_done = true;
        call->plan->conn->sending = NULL;
        return true;
}

static struct fcgi_sink sink_for(struct out_call *call)
{
        return (struct fcgi_sink){.begin = on_begin,
                                  .params_end = on_params_end,
                                  .head = on_head,
                                  .aborted = on_aborted,
                                  .ctx = call,
                                  .grow = on_grow};
}

/* A value that is passed on leaves before the parameters are complete: now or never. */
static void replace_early(struct out_call *call)
{
        struct fcgi *parser = call->plan->conn->out.fcgi;
        struct exchange *exchange = call->plan->conn->sending;

        if (!exchange || call->again || parser->pair.which == FCGI_HTTP_TRACEPARENT || !passed_on(parser))
                return;
        if (!exchange->decided)
                decide(call->plan->conn, exchange, parser);
        /* The parser's position is behind these bytes by now, as the base will be. */
        work_in(call, exchange, parser, false, 0);
}

bool fcgi_out_feed(struct out_call *call, struct slice bytes)
{
        struct fcgi_sink sink = sink_for(call);

        if (fcgi_feed(call->plan->conn->out.fcgi, bytes, &sink) != (long)bytes.len)
                return false;
        call->base += bytes.len;
        replace_early(call);
        call->base -= bytes.len;
        return true;
}

bool fcgi_out_skip(struct out_call *call, uint64_t n)
{
        struct fcgi_sink sink = sink_for(call);

        return fcgi_skip(call->plan->conn->out.fcgi, n, &sink);
}
