/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outgoing HTTP/2 requests: what each says, and where its context goes: as literals that no table remembers,
 * behind the last field of the header block. The frame that ends the block grows by them; where it would be
 * too long, they follow it in a frame of their own.
 */
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/flow/http2_flow.h"
#include "agent/flow/out_call.h"
#include "agent/ring/home.h"
#include "agent/trace/traceparent.h"

#define PRIORITY_LEN 5
#define FRONT_MAX    (HTTP2_FRAME_HEADER_LEN + 1 + PRIORITY_LEN)

static bool on_begin(void *ctx, struct http2 *parser, size_t at, bool opens, char **ret_text,
                     uint16_t *ret_max)
{
        struct out_call *call = ctx;
        struct out_scratch *scratch = call->plan->scratch;
        struct exchange *exchange = NULL;

        if (opens && !call->again)
                exchange = out_open_exchange(call, parser->stream);
        else if (opens && scratch->kept < scratch->opened_count &&
                 scratch->opened[scratch->kept]->stream == parser->stream)
                exchange = out_open_exchange(call, parser->stream);
        if (!exchange)
                return true; /* trailers, or a request that is not traced: the blocks after it are all the
                                same */
        call->plan->conn->sending = exchange;
        *ret_text = exchange->text.p;
        *ret_max = exchange->text.size;
        return true;
}

static bool on_grow(void *ctx, struct http2 *parser, size_t need)
{
        struct out_call *call = ctx;

        return exchange_grow(call->plan->conn->sending, need, parser->text_used, &parser->text,
                             &parser->text_max);
}

static void change_digit(uint8_t *span_id, unsigned which, bool shortest)
{
        uint8_t *byte = &span_id[which / 2];
        unsigned shift = which % 2 ? 0 : 4;
        uint8_t digit = *byte >> shift & 0xf;

        *byte = (uint8_t)(*byte ^ (digit ^ http2_other_digit(digit, shortest)) << shift);
}

/* Ours in place of a value. Digits of the span id change until the code is as long. Return: false: it never
 * is.
 */
static bool compose(struct exchange *exchange, const struct http2_place *place)
{
        struct trace_context *context = &exchange->decision.context;
        char traceparent[TRACEPARENT_LEN];
        size_t len = 0;

        for (unsigned i = 0; i <= 2 * sizeof(context->span_id) && len != place->len; i++) {
                if (i)
                        change_digit(context->span_id, i - 1, len > place->len);
                traceparent_write(traceparent, context);
                len = http2_write_value(exchange->added.p, slice_make(traceparent, sizeof(traceparent)),
                                        place->coded);
        }
        exchange->inject_len = (uint16_t)len;
        return len == place->len && span_id_valid(context->span_id);
}

/*
 * A context that the program passes on from a request of its own becomes ours, where no table remembers it:
 * to replace another one would take its place in the table from the fields after it.
 */
static bool replaces(struct exchange *exchange, const struct http2_head *head,
                     const struct trace_context *passed_on)
{
        const struct scope_decision *decision = &exchange->decision;

        return !out_is_foreign(passed_on, decision->rung) &&
               (!head->tracestate_count || decision->context.tracestate.len) &&
               room_grow(&exchange->added, TRACEPARENT_LEN, 0) && compose(exchange, &head->traceparent);
}

/* Nor may a tracestate get a traceparent beside it that it does not belong to. */
static void decide(struct conn *conn, struct exchange *exchange, const struct http2 *parser)
{
        const struct http2_head *head = &parser->head;
        struct cause_departure departure = {.method = http2_text_get(parser, HTTP2_METHOD),
                                            .target = http2_text_get(parser, HTTP2_PATH),
                                            .opening = &conn->opening};

        exchange->decided = true;
        exchange->replaces = head->traceparent_count > 0;
        if (exchange->replaces &&
            (head->traceparent_count > 1 || !head->traceparent.from ||
             !traceparent_parse(http2_text_get(parser, HTTP2_TRACEPARENT), &departure.header) ||
             cause_by_header(&departure.header) == CAUSE_NONE)) {
                out_respect(exchange);
                return;
        }
        if (!exchange->replaces && head->tracestate_count) {
                out_respect(exchange);
                return;
        }
        scope_decide_into(&exchange->decision, &departure, &exchange->carry);
        if (exchange->replaces && !replaces(exchange, head, &departure.header)) {
                out_respect(exchange);
                return;
        }
        exchange->traced = true;
        if (exchange->decision.sampled)
                home_prepare();
        else
                stat_add(STAT_SPANS_UNSAMPLED, 1);
}

/* Where the exchange's addition has room for them behind @before bytes. Return: bytes written, 0: it has not.
 */
static size_t write_fields(struct exchange *exchange, const struct http2 *parser, size_t before)
{
        char traceparent[TRACEPARENT_LEN];
        bool carried = parser->head.text[HTTP2_BAGGAGE].present;
        const struct http2_field {
                struct slice name, value;
                size_t most;
        } fields[] = {
                {SLICE("traceparent"), slice_make(traceparent, sizeof(traceparent)), TRACEPARENT_LEN},
                {SLICE("tracestate"), exchange->decision.context.tracestate, LIMIT_TRACESTATE},
                {SLICE("baggage"), carried ? SLICE_NULL : exchange->decision.baggage, LIMIT_BAGGAGE},
        };
        size_t size = before, len = before;

        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
                size += HTTP2_FIELD_EXTRA + fields[i].name.len + MIN(fields[i].value.len, fields[i].most);
        if (!room_grow(&exchange->added, size, 0))
                return 0;
        traceparent_write(traceparent, &exchange->decision.context);
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
                if (fields[i].value.len && fields[i].value.len <= fields[i].most)
                        len += http2_write_field(exchange->added.p + len, size - len, fields[i].name,
                                                 fields[i].value);
        return len - before;
}

/*
 * The frame that ends a block, as far as it stands before the block: with the host's bytes of it replaced as
 * a whole, no part of ours leaves before the request is known to have begun.
 */
struct front {
        size_t at;   /* in this call's bytes */
        uint8_t len; /* header, length of padding, priority */
        char bytes[FRONT_MAX];
};

static void read_front(const struct out_call *call, const struct http2_head *head, uint64_t first,
                       struct front *ret)
{
        bool headers = head->frame_at == head->begin_at;

        ret->at = (size_t)(head->frame_at - first);
        ret->len = HTTP2_FRAME_HEADER_LEN;
        if (headers && head->frame_flags & HTTP2_PADDED)
                ret->len++;
        if (headers && head->frame_flags & HTTP2_WITH_PRIORITY)
                ret->len += PRIORITY_LEN;
        for (size_t i = 0; i < ret->len; i++)
                ret->bytes[i] = out_host_byte(call->plan, ret->at + i);
}

/* Both pieces of the exchange's text: the front, and ours behind the block's last byte. */
static void add_pieces(struct out_call *call, struct exchange *exchange, const struct front *front,
                       size_t last_at, size_t len)
{
        struct out_scratch *scratch = call->plan->scratch;

        memcpy(exchange->added.p, front->bytes, front->len);
        exchange->added.p[front->len] = out_host_byte(call->plan, last_at);
        exchange->inject_len = (uint16_t)(front->len + 1 + len);
        inject_add(scratch,
                   (struct insert){
                           .at = front->at, .remove = front->len, .exchange = exchange, .len = front->len});
        inject_add(scratch, (struct insert){.at = last_at,
                                            .remove = 1,
                                            .exchange = exchange,
                                            .from = front->len,
                                            .len = (uint16_t)(1 + len),
                                            .held = true});
}

/* Where the last frame began in an earlier call, or holds nothing of the block, the request goes on without.
 */
static void insert(struct out_call *call, struct exchange *exchange, const struct http2 *parser)
{
        const struct http2_head *head = &parser->head;
        uint64_t first = parser->position - call->base;
        uint32_t frame_max = http2_flow_frame_max(call->plan->conn);
        struct front front;
        size_t len, at;

        if (head->frame_at < first)
                return;
        read_front(call, head, first, &front);
        if (head->block_end - head->frame_at <= front.len)
                return;
        at = (size_t)front.len + 1;
        len = write_fields(exchange, parser, at + HTTP2_FRAME_HEADER_LEN);
        if (len == 0 || len > frame_max)
                return;
        if (head->frame_len + len <= frame_max) {
                http2_write_len(front.bytes, (uint32_t)(head->frame_len + len));
                memmove(exchange->added.p + at, exchange->added.p + at + HTTP2_FRAME_HEADER_LEN, len);
        } else if (!(head->frame_flags & HTTP2_PADDED)) {
                front.bytes[HTTP2_FLAGS_AT] &= (char)~HTTP2_END_HEADERS;
                http2_write_header(exchange->added.p + at, (uint32_t)len, HTTP2_CONTINUATION,
                                   HTTP2_END_HEADERS, head->stream);
                len += HTTP2_FRAME_HEADER_LEN;
        } else {
                return; /* the padding stands in the way */
        }
        add_pieces(call, exchange, &front, (size_t)(head->block_end - first) - 1, len);
}

/*
 * Where the value has left before it was known, the request stays what it was; and where nothing of the
 * host's comes behind it, which would take ours along if only a part of it leaves.
 */
static void replace(struct out_call *call, struct exchange *exchange, const struct http2 *parser)
{
        const struct http2_place *place = &parser->head.traceparent;
        uint64_t first = parser->position - call->base;

        if (place->from < first || place->from + place->len - first >= call->plan->host_len ||
            place->len != exchange->inject_len || parser->head.traceparent_count != 1) {
                out_respect(exchange);
                return;
        }
        inject_add(call->plan->scratch, (struct insert){.at = (size_t)(place->from - first),
                                                        .remove = place->len,
                                                        .exchange = exchange,
                                                        .len = place->len});
}

/* What follows, its body, changes nothing: the requests' side lets go. */
static bool on_head(void *ctx, struct http2 *parser, size_t at)
{
        struct out_call *call = ctx;
        struct conn *conn = call->plan->conn;
        struct exchange *exchange = conn->sending;

        if (!exchange)
                return true;
        if (!call->again && !exchange->decided)
                decide(conn, exchange, parser);
        if (!call->again && exchange->traced && exchange->inject == INJECT_NONE)
                (exchange->replaces ? replace : insert)(call, exchange, parser);
        http2_flow_texts(exchange, parser);
        exchange->head_done = exchange->request_done = true;
        conn->sending = NULL;
        return true;
}

static bool on_data(void *ctx, struct http2 *parser, size_t at)
{
        struct out_call *call = ctx;
        const struct exchange *exchange = http2_flow_find(call->plan->conn->http2, parser->stream);

        if (exchange)
                cause_wrote(&thread_state.cause, exchange->decision.request);
        return true;
}

static bool on_reset(void *ctx, struct http2 *parser, size_t at, uint32_t code)
{
        struct out_call *call = ctx;

        if (!call->again)
                http2_flow_reset(call->plan->conn, parser->stream, code, out_now(call));
        return true;
}

static bool on_settings_end(void *ctx, struct http2 *parser, size_t at)
{
        return http2_flow_told(((struct out_call *)ctx)->plan->conn, parser);
}

static bool on_settings_ack(void *ctx, struct http2 *parser, size_t at)
{
        return http2_flow_acked(((struct out_call *)ctx)->plan->conn, parser);
}

static struct http2_sink sink_for(struct out_call *call)
{
        return (struct http2_sink){.begin = on_begin,
                                   .head = on_head,
                                   .data = on_data,
                                   .reset = on_reset,
                                   .settings_end = on_settings_end,
                                   .settings_ack = on_settings_ack,
                                   .ctx = call,
                                   .grow = on_grow};
}

bool http2_out_feed(struct out_call *call, struct slice bytes)
{
        struct http2 *parser = call->plan->conn->out.http2;
        struct http2_sink sink = sink_for(call);

        http2_flow_heed(call->plan->conn, parser);
        return http2_feed(parser, bytes, &sink) == (long)bytes.len;
}

bool http2_out_skip(struct out_call *call, uint64_t n)
{
        struct http2_sink sink = sink_for(call);

        return http2_skip(call->plan->conn->out.http2, n, &sink);
}
