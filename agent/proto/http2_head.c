/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of header blocks: those that matter are read, others passed over; and ours written. */
#include "agent/base/load.h"
#include "agent/proto/http2_priv.h"

#define SHORT_MAX  126 /* longest length that stands in its first byte alone: seven bits, not all set */
#define LENGTH_MAX 2   /* further bytes of a length that we write: seven bits each */
#define GRPC       "application/grpc"

/* Return: false when the block is not acceptable. */
typedef bool (*field_fn)(struct http2 *parser, struct slice value);

struct field_row {
        struct slice name;
        field_fn read; /* NULL: its text is captured */
        uint8_t text;  /* enum http2_text */
        bool joined;   /* several fields are one value */
};

/* Digits only. Return: false when it is something else, or more than @most. */
static bool read_number(struct slice value, uint64_t most, uint64_t *ret)
{
        uint64_t number = 0;

        if (value.len == 0)
                return false;
        for (size_t i = 0; i < value.len; i++) {
                if (value.p[i] < '0' || value.p[i] > '9')
                        return false;
                number = number * 10 + (uint64_t)(value.p[i] - '0');
                if (number > most)
                        return false;
        }
        *ret = number;
        return true;
}

static bool read_status(struct http2 *parser, struct slice value)
{
        uint64_t status;

        if (value.len != 3 || !read_number(value, 999, &status) || status < 100 || parser->head.status)
                return false;
        parser->head.status = (uint16_t)status;
        return true;
}

/* What cannot be read is as good as nothing: the stream may fail of it, the connection does not. */
static bool read_grpc_status(struct http2 *parser, struct slice value)
{
        uint64_t status;

        if (read_number(value, INT32_MAX, &status))
                parser->head.grpc_status = (int32_t)status;
        return true;
}

static bool read_grpc_message(struct http2 *parser, struct slice value)
{
        parser->head.grpc_message_len = (uint32_t)value.len;
        return true;
}

static bool read_content_length(struct http2 *parser, struct slice value)
{
        parser->head.length_known = read_number(value, INT64_MAX / 10, &parser->head.content_length);
        return true;
}

#define ROW_TEXT(name, which)                                \
        {                                                    \
                {name, sizeof(name) - 1}, NULL, which, false \
        }
#define ROW_JOIN(name, which)                               \
        {                                                   \
                {name, sizeof(name) - 1}, NULL, which, true \
        }
#define ROW_READ(name, read)                                       \
        {                                                          \
                {name, sizeof(name) - 1}, read, HTTP2_TEXTS, false \
        }

/* In order of the names' lengths. */
static const struct field_row rows[] = {
        ROW_TEXT("te", HTTP2_TE),
        ROW_TEXT("host", HTTP2_HOST),
        ROW_TEXT(":path", HTTP2_PATH),
        ROW_TEXT(":method", HTTP2_METHOD),
        ROW_TEXT(":scheme", HTTP2_SCHEME),
        ROW_READ(":status", read_status),
        ROW_JOIN("baggage", HTTP2_BAGGAGE),
        ROW_JOIN("forwarded", HTTP2_FORWARDED),
        ROW_TEXT(":authority", HTTP2_AUTHORITY),
        ROW_JOIN("tracestate", HTTP2_TRACESTATE),
        ROW_TEXT("user-agent", HTTP2_USER_AGENT),
        ROW_TEXT("traceparent", HTTP2_TRACEPARENT),
        ROW_READ("grpc-status", read_grpc_status),
        ROW_READ("grpc-message", read_grpc_message),
        ROW_TEXT("content-type", HTTP2_CONTENT_TYPE),
        ROW_READ("content-length", read_content_length),
        ROW_JOIN("x-forwarded-for", HTTP2_X_FORWARDED_FOR),
        ROW_TEXT("x-forwarded-host", HTTP2_X_FORWARDED_HOST),
        ROW_TEXT("x-forwarded-proto", HTTP2_X_FORWARDED_PROTO),
};

/* By the names' lengths, before any byte of them is looked at. */
#define NAME_MAX_LEN 17
static const uint32_t lengths = 1u << 2 | 1u << 4 | 1u << 5 | 1u << 7 | 1u << 9 | 1u << 10 | 1u << 11 |
                                1u << 12 | 1u << 14 | 1u << 15 | 1u << 16 | 1u << 17;

static const struct field_row *find_row(struct slice name)
{
        if (name.len > NAME_MAX_LEN || !(lengths >> name.len & 1))
                return NULL;
        for (size_t i = 0; i < ARRAY_LEN(rows) && rows[i].name.len <= name.len; i++)
                if (slice_eq(rows[i].name, name))
                        return &rows[i];
        return NULL;
}

static bool is_clean(struct slice value)
{
        for (size_t i = 0; i < value.len; i++)
                if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
                        return false;
        return true;
}

static bool has_room(struct http2 *parser, size_t len)
{
        size_t need = parser->text_used + len;
        const struct http2_sink *sink = parser->sink;

        return need <= parser->text_max ||
               (parser->text && sink->grow && sink->grow(sink->ctx, parser, need));
}

/* What was captured before stays where it is, and goes on behind the other texts: a rewind relies on that. */
static void add_text(struct http2 *parser, struct http1_span *span, struct slice value)
{
        size_t before = span->len ? (size_t)span->len + 1 : 0;
        char *to;

        span->present = true;
        if (!is_clean(value) || !has_room(parser, before + value.len))
                span->cut = true;
        if (span->cut || value.len == 0)
                return;
        to = parser->text + parser->text_used;
        if (before) {
                memcpy(to, parser->text + span->at, span->len);
                to[span->len] = ',';
        }
        memcpy(to + before, value.p, value.len);
        span->at = parser->text_used;
        span->len = (uint16_t)(before + value.len);
        parser->text_used = (uint16_t)(parser->text_used + span->len);
}

static void count_context(struct http2_head *head, uint8_t text)
{
        if (text == HTTP2_TRACEPARENT && head->traceparent_count < UINT16_MAX)
                head->traceparent_count++;
        if (text == HTTP2_TRACESTATE && head->tracestate_count < UINT16_MAX)
                head->tracestate_count++;
}

bool http2_head_field(struct http2 *parser, const struct http2_field *field)
{
        const struct field_row *row = find_row(field->name);
        struct slice value = field->value;
        struct http1_span *span;

        if (!row)
                return true;
        if (row->read)
                return row->read(parser, value);
        count_context(&parser->head, row->text);
        if (row->text == HTTP2_TRACEPARENT && parser->head.traceparent_count == 1)
                parser->head.traceparent = http2_place_of(field);
        if (row->text == HTTP2_CONTENT_TYPE && slice_starts(value, SLICE(GRPC)))
                parser->head.grpc = true;
        span = &parser->head.text[row->text];
        if (!span->present || row->joined)
                add_text(parser, span, value);
        return true;
}

bool http2_head_end(struct http2 *parser)
{
        struct http2_head *head = &parser->head;
        bool asks = head->text[HTTP2_METHOD].present;

        if (head->promised) {
                head->kind = HTTP2_PROMISE;
                return asks && !head->status;
        }
        if (asks)
                head->kind = HTTP2_REQUEST;
        else if (head->status)
                head->kind = HTTP2_RESPONSE;
        return asks == parser->block_opens && !(head->status && parser->sender == HTTP2_CLIENT);
}

/* A string of HPACK (RFC 7541 section 5.2). Return: where it ends. */
static char *put_string(char *out, struct slice text)
{
        size_t rest = text.len - SHORT_MAX - 1;

        if (text.len <= SHORT_MAX) {
                *out++ = (char)text.len;
        } else {
                *out++ = SHORT_MAX + 1;
                for (; rest > SHORT_MAX + 1; rest >>= 7)
                        *out++ = (char)(0x80 | (rest & 0x7f));
                *out++ = (char)rest;
        }
        memcpy(out, text.p, text.len);
        return out + text.len;
}

size_t http2_write_field(char *out, size_t room, struct slice name, struct slice value)
{
        char *end = out;

        _Static_assert(1 + 2 * (1 + LENGTH_MAX) == HTTP2_FIELD_EXTRA, "a byte before two strings");
        if (room < HTTP2_FIELD_EXTRA + name.len + value.len || value.len >= 1u << 14)
                return 0;
        *end++ = 0; /* literal without indexing, new name */
        end = put_string(end, name);
        return (size_t)(put_string(end, value) - out);
}

void http2_write_len(char out[3], uint32_t len)
{
        for (int i = 0; i < 3; i++)
                out[i] = (char)(len >> (16 - 8 * i));
}

void http2_write_header(char out[HTTP2_FRAME_HEADER_LEN], uint32_t len, enum http2_frame type, uint8_t flags,
                        uint32_t stream)
{
        const unsigned char header[HTTP2_FRAME_HEADER_LEN] = {
                (unsigned char)(len >> 16),
                (unsigned char)(len >> 8),
                (unsigned char)len,
                (unsigned char)type,
                flags,
                (unsigned char)(stream >> 24),
                (unsigned char)(stream >> 16),
                (unsigned char)(stream >> 8),
                (unsigned char)stream,
        };

        memcpy(out, header, sizeof(header));
}
