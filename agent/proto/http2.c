/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/2 parser's drive: preface, frames, which of them may stand where. */
#include "agent/base/load.h"
#include "agent/proto/http2_priv.h"

#define SETTING_LEN  6
#define PRIORITY_LEN 5
#define STREAM_BITS  0x7fffffffu
#define ANY_LEN      (-1)

enum http2_state {
        HTTP2_IN_PREFACE,
        HTTP2_IN_HEADER,
        HTTP2_IN_FIXED, /* payload that is kept */
        HTTP2_IN_BLOCK,
        HTTP2_IN_PASS, /* payload that is counted */
        HTTP2_STATES
};

/* One call of http2_feed(). */
struct http2_cursor {
        struct http2 *parser;
        const struct http2_sink *sink;
        const char *base;
        size_t at; /* next byte */
        size_t len;
        bool stop; /* the sink said so */
};

/* Return: false when the parser is lost. */
typedef bool (*frame_fn)(struct http2_cursor *cursor);

enum stream_rule { STREAM_ANY, STREAM_NONE, STREAM_SOME };

struct frame_row {
        int32_t len;       /* of the payload, or ANY_LEN ... */
        uint32_t least;    /* ... and then no less than this, ... */
        uint32_t multiple; /* ... and a multiple of this */
        uint8_t stream;    /* enum stream_rule */
        uint8_t fixed;     /* bytes of the payload that are kept, at a time */
        frame_fn begun;    /* its header is complete */
        frame_fn kept;     /* those bytes are there */
        frame_fn complete; /* its last byte was read */
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

_Static_assert(sizeof(preface) - 1 == HTTP2_PREFACE_LEN, "the preface has 24 bytes");

static uint32_t load_be32(const uint8_t *b)
{
        return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

bool http2_init(struct http2 *parser, enum http2_sender sender, struct http2_memory *memory)
{
        memset(parser, 0, sizeof(*parser));
        parser->sender = (uint8_t)sender;
        parser->state = sender == HTTP2_CLIENT ? HTTP2_IN_PREFACE : HTTP2_IN_HEADER;
        parser->frame_max = parser->told_frame_max = HTTP2_FRAME_MIN;
        parser->table_max = parser->told_table = HTTP2_TABLE_DEFAULT;
        parser->memory = memory;
        return http2_hpack_init(memory);
}

bool http2_limit_table(struct http2 *parser, uint32_t size)
{
        size = MIN(size, LIMIT_HTTP2_TABLE);
        if (size == parser->table_max)
                return true;
        parser->table_max = size;
        return !parser->block_open && http2_hpack_limit(parser, size);
}

/* --- header blocks --- */

/* Is it a request that the client makes? Return: false where no such stream can be. */
static bool place_stream(const struct http2 *parser, bool *ret_opens)
{
        bool odd = parser->stream & 1;

        *ret_opens = parser->sender == HTTP2_CLIENT && parser->stream > parser->client_last;
        if (*ret_opens)
                return odd;
        return odd || parser->sender == HTTP2_SERVER;
}

static void begin_block(struct http2_cursor *cursor, bool opens)
{
        struct http2 *parser = cursor->parser;
        char *text = NULL;
        uint16_t max = 0;

        parser->block_open = true;
        parser->block_opens = opens;
        parser->block_len = parser->list_len = parser->text_used = parser->field_begun = 0;
        parser->head = (struct http2_head){
                .stream = parser->stream,
                .begin_at = parser->frame_at,
                .kind = HTTP2_TRAILERS,
                .end_stream = parser->type == HTTP2_HEADERS && parser->flags & HTTP2_END_STREAM,
                .grpc_status = HTTP2_NO_GRPC_STATUS,
        };
        if (cursor->sink->begin)
                cursor->stop =
                        !cursor->sink->begin(cursor->sink->ctx, parser, cursor->at, opens, &text, &max);
        parser->text = text;
        parser->text_max = text ? max : 0;
}

/* How much of the frame is the block's. */
static bool measure_block(struct http2 *parser)
{
        if (parser->pad > parser->left)
                return false;
        parser->block_left = parser->left - parser->pad;
        parser->block_len += parser->block_left;
        parser->state = HTTP2_IN_BLOCK;
        return parser->block_len <= LIMIT_HTTP_HEAD;
}

static bool begun_headers(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;

        parser->want = (uint8_t)((parser->flags & HTTP2_PADDED ? 1 : 0) +
                                 (parser->flags & HTTP2_WITH_PRIORITY ? PRIORITY_LEN : 0));
        return parser->want <= parser->len;
}

static bool kept_headers(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;
        bool opens;

        parser->pad = parser->flags & HTTP2_PADDED ? parser->fixed[0] : 0;
        if (!place_stream(parser, &opens))
                return false;
        if (opens)
                parser->client_last = parser->stream;
        begin_block(cursor, opens);
        return measure_block(parser);
}

static bool begun_promise(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;

        parser->want = parser->flags & HTTP2_PADDED ? 5 : 4;
        return parser->sender == HTTP2_SERVER && parser->stream & 1 && parser->want <= parser->len;
}

static bool kept_promise(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;
        bool padded = parser->flags & HTTP2_PADDED;
        uint32_t promised = load_be32(parser->fixed + padded) & STREAM_BITS;

        parser->pad = padded ? parser->fixed[0] : 0;
        if (promised & 1 || promised <= parser->promise_last)
                return false;
        parser->promise_last = promised;
        begin_block(cursor, false);
        parser->head.promised = promised;
        return measure_block(parser);
}

static bool kept_continuation(struct http2_cursor *cursor)
{
        cursor->parser->pad = 0;
        return measure_block(cursor->parser);
}

/* Return: false when the parser is lost. */
static bool end_block(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;

        parser->state = HTTP2_IN_PASS;
        if (!(parser->flags & HTTP2_END_HEADERS))
                return true;
        parser->block_open = false;
        parser->head.frame_at = parser->frame_at;
        parser->head.frame_len = parser->len;
        parser->head.frame_flags = parser->flags;
        parser->head.block_end = parser->position + cursor->at;
        if (!http2_head_end(parser))
                return false;
        if (cursor->sink->head)
                cursor->stop = !cursor->sink->head(cursor->sink->ctx, parser, cursor->at);
        return true;
}

static bool take_block(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;
        size_t n = MIN((size_t)parser->block_left, cursor->len - cursor->at);
        struct slice bytes = slice_make(cursor->base + cursor->at, n);

        cursor->at += n;
        parser->block_left -= (uint32_t)n;
        parser->left -= (uint32_t)n;
        parser->bytes_end = parser->position + cursor->at;
        if (!http2_hpack_feed(parser, bytes, parser->block_left == 0 && parser->flags & HTTP2_END_HEADERS))
                return false;
        return parser->block_left > 0 || end_block(cursor);
}

/* The last frame of a block is complete, or one of DATA. */
static bool complete_part(struct http2_cursor *cursor)
{
        const struct http2 *parser = cursor->parser;
        bool ends = parser->type == HTTP2_DATA ? parser->flags & HTTP2_END_STREAM : parser->head.end_stream;

        if (ends && !parser->block_open && cursor->sink->end)
                cursor->stop = !cursor->sink->end(cursor->sink->ctx, cursor->parser, cursor->at);
        return true;
}

/* --- the other frames --- */

static bool begun_data(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;

        if (parser->sender == HTTP2_CLIENT && (!(parser->stream & 1) || parser->stream > parser->client_last))
                return false;
        if (cursor->sink->data)
                cursor->stop = !cursor->sink->data(cursor->sink->ctx, parser, cursor->at);
        return true;
}

static bool kept_reset(struct http2_cursor *cursor)
{
        if (cursor->sink->reset)
                cursor->stop = !cursor->sink->reset(cursor->sink->ctx, cursor->parser, cursor->at,
                                                    load_be32(cursor->parser->fixed));
        return true;
}

static bool begun_settings(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;

        if (parser->flags & HTTP2_ACK)
                return parser->settled && parser->len == 0;
        parser->settled = true;
        return true;
}

static bool kept_setting(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;
        uint16_t id = load_be16(parser->fixed);
        uint32_t value = load_be32(parser->fixed + 2);

        if (id == HTTP2_HEADER_TABLE_SIZE)
                parser->told_table = value;
        if (id == HTTP2_MAX_FRAME_SIZE)
                parser->told_frame_max = value;
        return parser->told_frame_max >= HTTP2_FRAME_MIN && parser->told_frame_max <= HTTP2_FRAME_MAX;
}

static bool complete_settings(struct http2_cursor *cursor)
{
        const struct http2_sink *sink = cursor->sink;
        bool ack = cursor->parser->flags & HTTP2_ACK;
        bool (*tell)(void *, struct http2 *, size_t) = ack ? sink->settings_ack : sink->settings_end;

        cursor->parser->ack_count += ack;
        cursor->parser->told_count += !ack;
        if (tell)
                cursor->stop = !tell(sink->ctx, cursor->parser, cursor->at);
        return true;
}

static bool kept_goaway(struct http2_cursor *cursor)
{
        const uint8_t *fixed = cursor->parser->fixed;

        if (cursor->sink->goaway)
                cursor->stop = !cursor->sink->goaway(cursor->sink->ctx, cursor->parser, cursor->at,
                                                     load_be32(fixed) & STREAM_BITS, load_be32(fixed + 4));
        return true;
}

static bool begun_continuation(struct http2_cursor *cursor)
{
        return cursor->parser->block_open && cursor->parser->stream == cursor->parser->head.stream;
}

static const struct frame_row frames[HTTP2_FRAMES + 1] = {
        [HTTP2_DATA] = {ANY_LEN, 0, 1, STREAM_SOME, 0, begun_data, NULL, complete_part},
        [HTTP2_HEADERS] = {ANY_LEN, 0, 1, STREAM_SOME, 0, begun_headers, kept_headers, complete_part},
        [HTTP2_PRIORITY] = {PRIORITY_LEN, 0, 1, STREAM_SOME, 0, NULL, NULL, NULL},
        [HTTP2_RST_STREAM] = {4, 0, 1, STREAM_SOME, 4, NULL, kept_reset, NULL},
        [HTTP2_SETTINGS] = {ANY_LEN, 0, SETTING_LEN, STREAM_NONE, SETTING_LEN, begun_settings, kept_setting,
                            complete_settings},
        [HTTP2_PUSH_PROMISE] = {ANY_LEN, 4, 1, STREAM_SOME, 0, begun_promise, kept_promise, complete_part},
        [HTTP2_PING] = {8, 0, 1, STREAM_NONE, 0, NULL, NULL, NULL},
        [HTTP2_GOAWAY] = {ANY_LEN, 8, 1, STREAM_NONE, 8, NULL, kept_goaway, NULL},
        [HTTP2_WINDOW_UPDATE] = {4, 0, 1, STREAM_ANY, 0, NULL, NULL, NULL},
        [HTTP2_CONTINUATION] = {ANY_LEN, 0, 1, STREAM_SOME, 0, begun_continuation, kept_continuation,
                                complete_part},
        [HTTP2_FRAMES] = {ANY_LEN, 0, 1, STREAM_ANY, 0, NULL, NULL, NULL},
};

static const struct frame_row *row_of(const struct http2 *parser)
{
        return &frames[MIN(parser->type, HTTP2_FRAMES)];
}

static bool has_block(const struct http2 *parser)
{
        return parser->type == HTTP2_HEADERS || parser->type == HTTP2_PUSH_PROMISE ||
               parser->type == HTTP2_CONTINUATION;
}

/* May such a frame stand here? */
static bool header_fits(const struct http2 *parser, const struct frame_row *row)
{
        if (parser->len > parser->frame_max || (row->len != ANY_LEN && parser->len != (uint32_t)row->len))
                return false;
        if (parser->len < row->least || parser->len % row->multiple)
                return false;
        if (row->stream != STREAM_ANY && (row->stream == STREAM_SOME) != (parser->stream != 0))
                return false;
        if (!parser->settled && (parser->type != HTTP2_SETTINGS || parser->flags & HTTP2_ACK))
                return false;
        return !parser->block_open || parser->type == HTTP2_CONTINUATION;
}

static bool header_complete(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;
        const uint8_t *header = parser->fixed;
        const struct frame_row *row;

        parser->len = parser->left = load_be32(header) >> 8;
        parser->type = header[3];
        parser->flags = header[4];
        parser->stream = load_be32(header + 5) & STREAM_BITS;
        row = row_of(parser);
        parser->have = 0;
        parser->want = (uint8_t)MIN(row->fixed, parser->len);
        parser->state = parser->want || has_block(parser) ? HTTP2_IN_FIXED : HTTP2_IN_PASS;
        return header_fits(parser, row) && (!row->begun || row->begun(cursor));
}

static size_t gather(struct http2_cursor *cursor, size_t want)
{
        struct http2 *parser = cursor->parser;
        size_t n = MIN(want - parser->have, cursor->len - cursor->at);

        if (n)
                memcpy(parser->fixed + parser->have, cursor->base + cursor->at, n);
        parser->have = (uint8_t)(parser->have + n);
        cursor->at += n;
        return n;
}

static bool take_preface(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;

        (void)gather(cursor, HTTP2_PREFACE_LEN);
        if (memcmp(parser->fixed, preface, parser->have) != 0)
                return false;
        if (parser->have == HTTP2_PREFACE_LEN) {
                parser->have = 0;
                parser->state = HTTP2_IN_HEADER;
        }
        return true;
}

static bool take_header(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;

        if (parser->have == 0)
                parser->frame_at = parser->position + cursor->at;
        (void)gather(cursor, HTTP2_FRAME_HEADER_LEN);
        return parser->have < HTTP2_FRAME_HEADER_LEN || header_complete(cursor);
}

static bool take_fixed(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;
        const struct frame_row *row = row_of(parser);

        parser->left -= (uint32_t)gather(cursor, parser->want);
        if (parser->have < parser->want)
                return true;
        parser->have = 0;
        /* Settings are kept one by one. */
        if (row->multiple == 1 || parser->left == 0)
                parser->state = HTTP2_IN_PASS;
        return row->kept(cursor);
}

static bool take_pass(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;
        const struct frame_row *row = row_of(parser);
        size_t n = MIN((size_t)parser->left, cursor->len - cursor->at);

        cursor->at += n;
        parser->left -= (uint32_t)n;
        if (parser->left)
                return true;
        parser->have = 0;
        parser->state = HTTP2_IN_HEADER;
        return !row->complete || row->complete(cursor);
}

static const frame_fn steps[HTTP2_STATES] = {
        [HTTP2_IN_PREFACE] = take_preface, [HTTP2_IN_HEADER] = take_header, [HTTP2_IN_FIXED] = take_fixed,
        [HTTP2_IN_BLOCK] = take_block,     [HTTP2_IN_PASS] = take_pass,
};

/* Is there a step that needs no byte? */
static bool is_due(const struct http2 *parser)
{
        switch (parser->state) {
        case HTTP2_IN_FIXED:
                return parser->have == parser->want;
        case HTTP2_IN_BLOCK:
                return parser->block_left == 0;
        case HTTP2_IN_PASS:
                return parser->left == 0;
        default:
                return false;
        }
}

static void run(struct http2_cursor *cursor)
{
        struct http2 *parser = cursor->parser;

        while (!parser->lost && !cursor->stop && (cursor->at < cursor->len || is_due(parser)))
                if (!steps[parser->state](cursor))
                        parser->lost = true;
        parser->position += cursor->at;
}

long http2_feed(struct http2 *parser, struct slice bytes, const struct http2_sink *sink)
{
        struct http2_cursor cursor = {.parser = parser, .sink = sink, .base = bytes.p, .len = bytes.len};

        parser->sink = sink;
        run(&cursor);
        parser->sink = NULL;
        return parser->lost ? PROTO_LOST : (long)cursor.at;
}

bool http2_skip(struct http2 *parser, uint64_t n, const struct http2_sink *sink)
{
        struct http2_cursor cursor = {.parser = parser, .sink = sink, .len = (size_t)n};

        if (n > http2_body_left(parser))
                parser->lost = true;
        run(&cursor);
        return !parser->lost;
}

uint64_t http2_body_left(const struct http2 *parser)
{
        bool body = parser->state == HTTP2_IN_PASS && parser->type == HTTP2_DATA;

        return body && !parser->lost ? parser->left : 0;
}

bool http2_busy(const struct http2 *parser)
{
        return parser->state != HTTP2_IN_HEADER || parser->have > 0 || parser->block_open;
}

/* The header of a SETTINGS frame of reasonable length. */
static enum proto_guess guess_settings(struct slice first)
{
        static const uint8_t header[HTTP2_FRAME_HEADER_LEN] = {0, 0, 0, HTTP2_SETTINGS};
        const uint8_t *bytes = (const uint8_t *)first.p;

        for (size_t i = 0; i < MIN(first.len, sizeof(header)); i++)
                if (i == 2 ? bytes[i] % SETTING_LEN != 0 : bytes[i] != header[i])
                        return PROTO_NO;
        return first.len < sizeof(header) ? PROTO_MAYBE : PROTO_YES;
}

enum proto_guess http2_guess(struct slice first, enum http2_sender sender)
{
        size_t n = MIN(first.len, (size_t)HTTP2_PREFACE_LEN);

        if (sender == HTTP2_SERVER)
                return guess_settings(first);
        if (n && memcmp(first.p, preface, n) != 0)
                return PROTO_NO;
        return n == HTTP2_PREFACE_LEN ? PROTO_YES : PROTO_MAYBE;
}
