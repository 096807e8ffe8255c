/* SPDX-License-Identifier: Apache-2.0 */
/* FastCGI's name-value pairs: read, captured, written. */
#include "agent/base/load.h"
#include "agent/proto/fcgi_priv.h"

#define LENGTH_SHORT_MAX 127
#define LENGTH_LONG      0x80 /* in the first of a length's four bytes */
#define RECORD_ALIGN     8

#define ROW(name) [FCGI_##name] = {#name, sizeof(#name) - 1}

static const struct slice names[FCGI_TEXTS] = {
        ROW(REQUEST_METHOD),
        ROW(REQUEST_URI),
        ROW(SCRIPT_NAME),
        ROW(PATH_INFO),
        ROW(QUERY_STRING),
        ROW(SERVER_NAME),
        ROW(SERVER_PORT),
        ROW(SERVER_PROTOCOL),
        ROW(REQUEST_SCHEME),
        ROW(HTTPS),
        ROW(REMOTE_ADDR),
        ROW(REMOTE_PORT),
        ROW(HTTP_HOST),
        ROW(HTTP_USER_AGENT),
        ROW(HTTP_TRACEPARENT),
        ROW(HTTP_TRACESTATE),
        ROW(HTTP_BAGGAGE),
        ROW(HTTP_FORWARDED),
        ROW(HTTP_X_FORWARDED_FOR),
        ROW(HTTP_X_FORWARDED_PROTO),
        ROW(HTTP_X_FORWARDED_HOST),
};

_Static_assert(FCGI_NAME_MAX == sizeof("HTTP_X_FORWARDED_PROTO") - 1, "the longest name does not fit");

enum pair_step { PAIR_NAME_LEN, PAIR_VALUE_LEN, PAIR_NAME, PAIR_VALUE };

static enum fcgi_text find_name(struct slice name)
{
        for (size_t i = 0; i < FCGI_TEXTS; i++)
                if (slice_eq(name, names[i]))
                        return (enum fcgi_text)i;
        return FCGI_TEXTS;
}

/* Web servers pass a list that came in several fields on as several parameters. */
static bool is_list(enum fcgi_text which)
{
        return which == FCGI_HTTP_TRACESTATE || which == FCGI_HTTP_BAGGAGE;
}

/* Is there room for @n bytes more, or can there be? */
static bool has_room(struct fcgi *parser, size_t n)
{
        if (n <= (size_t)(parser->text_max - parser->text_used))
                return true;
        return parser->text && parser->sink->grow &&
               parser->sink->grow(parser->sink->ctx, parser, parser->text_used + n);
}

/*
 * A value of @len bytes comes: in place of an earlier one, or as a list that goes on. All the room that it
 * may take is taken now, so that where the next one goes does not depend on what is in this one.
 */
static void begin_text(struct fcgi *parser, struct http1_span *span, bool goes_on, size_t len)
{
        struct http1_span before = *span;
        size_t list = goes_on && before.len ? (size_t)before.len + 1 : 0;

        *span = (struct http1_span){.at = parser->text_used, .present = true};
        span->cut = (goes_on && before.cut) || !has_room(parser, list + len);
        if (span->cut)
                return;
        parser->text_used = (uint16_t)(parser->text_used + list + len);
        if (!list)
                return;
        memcpy(parser->text + span->at, parser->text + before.at, before.len);
        parser->text[span->at + before.len] = ',';
        span->len = (uint16_t)list;
}

/* Several are an error of whoever asks, as header fields are, unless somebody added a record with another. */
static void count_traceparent(struct fcgi *parser)
{
        struct fcgi_head *head = &parser->head;

        if (head->traceparent_record != parser->record_at)
                head->traceparent_count = 0;
        head->traceparent_record = parser->record_at;
        if (head->traceparent_count < UINT16_MAX)
                head->traceparent_count++;
}

/* The name is complete: is the value wanted, and does it fit? */
static void begin_value(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        struct fcgi_pair *pair = &parser->pair;
        enum fcgi_text which = FCGI_TEXTS;
        struct http1_span *span;

        if (pair->name_len <= FCGI_NAME_MAX)
                which = find_name(slice_make(pair->name, pair->name_len));
        pair->step = PAIR_VALUE;
        pair->which = FCGI_TEXTS;
        pair->begun = false;
        if (which == FCGI_TEXTS)
                return;
        if (which == FCGI_HTTP_TRACEPARENT)
                count_traceparent(parser);
        if (which == FCGI_HTTP_TRACESTATE && parser->head.tracestate_count < UINT16_MAX)
                parser->head.tracestate_count++;
        span = &parser->head.text[which];
        if (span->present && which != FCGI_HTTP_TRACEPARENT && !is_list(which))
                return;
        begin_text(parser, span, is_list(which), pair->value_len);
        pair->which = (uint8_t)which;
}

/* Is it a text that may be shown, and passed on in a header line? */
static bool is_clean(struct slice bytes)
{
        for (size_t i = 0; i < bytes.len; i++) {
                unsigned char c = (unsigned char)bytes.p[i];

                if ((c < ' ' && c != '\t') || c == 0x7f)
                        return false;
        }
        return true;
}

static void add_text(struct fcgi *parser, struct http1_span *span, struct slice bytes)
{
        if (!is_clean(bytes)) {
                span->cut = true;
                span->len = 0;
        }
        if (span->cut || bytes.len == 0)
                return;
        memcpy(parser->text + span->at + span->len, bytes.p, bytes.len);
        span->len = (uint16_t)(span->len + bytes.len);
}

static void end_pair(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;

        parser->pair.step = PAIR_NAME_LEN;
        parser->pair.length_have = 0;
        parser->pair.which = FCGI_TEXTS;
}

/* The value's first byte stands at the cursor (or would, were there one). */
static void place_value(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        struct fcgi_pair *pair = &parser->pair;

        struct fcgi_place place = {.at = parser->position + cursor->at,
                                   .whole = pair->value_len <= parser->content_left};

        pair->begun = true;
        if (pair->which == FCGI_HTTP_TRACEPARENT)
                parser->head.traceparent = place;
        else if (pair->which == FCGI_HTTP_TRACESTATE)
                parser->head.tracestate = place;
}

static void end_name(struct fcgi_cursor *cursor)
{
        begin_value(cursor);
        if (cursor->parser->pair.value_len > 0)
                return;
        place_value(cursor);
        end_pair(cursor);
}

/* Return: whether the length is complete, and then in *ret_value. */
static bool take_length(struct fcgi_cursor *cursor, uint32_t *ret_value)
{
        struct fcgi_pair *pair = &cursor->parser->pair;
        const uint8_t *b = pair->length;

        pair->length[pair->length_have++] = (uint8_t)cursor->base[cursor->at];
        fcgi_take(cursor, 1);
        if (!(b[0] & LENGTH_LONG)) {
                *ret_value = b[0];
        } else {
                if (pair->length_have < sizeof(pair->length))
                        return false;
                *ret_value = (uint32_t)(b[0] & ~LENGTH_LONG) << 24 | (uint32_t)b[1] << 16 | b[2] << 8 | b[3];
        }
        pair->length_have = 0;
        return true;
}

static bool take_name_len(struct fcgi_cursor *cursor)
{
        struct fcgi_pair *pair = &cursor->parser->pair;

        if (take_length(cursor, &pair->name_len))
                pair->step = PAIR_VALUE_LEN;
        return true;
}

static bool take_value_len(struct fcgi_cursor *cursor)
{
        struct fcgi_pair *pair = &cursor->parser->pair;

        if (!take_length(cursor, &pair->value_len))
                return true;
        if (pair->name_len > LIMIT_FCGI_PARAMS || pair->value_len > LIMIT_FCGI_PARAMS)
                return false;
        pair->step = PAIR_NAME;
        pair->name_have = 0;
        pair->name_left = pair->name_len;
        pair->value_left = pair->value_len;
        if (pair->name_len == 0)
                end_name(cursor);
        return true;
}

static bool take_name(struct fcgi_cursor *cursor)
{
        struct fcgi_pair *pair = &cursor->parser->pair;
        struct slice bytes = slice_to(fcgi_content(cursor), pair->name_left);

        if (pair->name_len <= FCGI_NAME_MAX) {
                memcpy(pair->name + pair->name_have, bytes.p, bytes.len);
                pair->name_have = (uint8_t)(pair->name_have + bytes.len);
        }
        pair->name_left -= (uint32_t)bytes.len;
        fcgi_take(cursor, bytes.len);
        if (pair->name_left == 0)
                end_name(cursor);
        return true;
}

static bool take_value(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        struct fcgi_pair *pair = &parser->pair;
        struct slice bytes = slice_to(fcgi_content(cursor), pair->value_left);

        if (!pair->begun)
                place_value(cursor);
        if (pair->which != FCGI_TEXTS)
                add_text(parser, &parser->head.text[pair->which], bytes);
        pair->value_left -= (uint32_t)bytes.len;
        fcgi_take(cursor, bytes.len);
        if (pair->value_left == 0)
                end_pair(cursor);
        return true;
}

bool fcgi_params_take(struct fcgi_cursor *cursor)
{
        static bool (*const steps[])(struct fcgi_cursor * cursor) = {
                [PAIR_NAME_LEN] = take_name_len,
                [PAIR_VALUE_LEN] = take_value_len,
                [PAIR_NAME] = take_name,
                [PAIR_VALUE] = take_value,
        };

        while (fcgi_content(cursor).len > 0)
                if (!steps[cursor->parser->pair.step](cursor))
                        return false;
        return true;
}

/* The text of @which is added to that of REQUEST_URI, which is the last one in the buffer. */
static void compose_add(struct fcgi *parser, enum fcgi_text which, struct slice before)
{
        const struct http1_span *part = &parser->head.text[which];
        struct http1_span *uri = &parser->head.text[FCGI_REQUEST_URI];

        if (!part->present || (part->len == 0 && !part->cut))
                return;
        uri->cut |= part->cut || !has_room(parser, part->len + before.len);
        if (uri->cut)
                return;
        parser->text_used = (uint16_t)(parser->text_used + before.len + part->len);
        add_text(parser, uri, before);
        add_text(parser, uri, slice_make(parser->text + part->at, part->len));
}

bool fcgi_params_close(struct fcgi *parser)
{
        struct fcgi_head *head = &parser->head;

        if (parser->pair.step != PAIR_NAME_LEN || parser->pair.length_have > 0)
                return false;
        if (head->text[FCGI_REQUEST_URI].present || !head->text[FCGI_SCRIPT_NAME].present)
                return true;
        head->composed = true;
        head->text[FCGI_REQUEST_URI] = (struct http1_span){.at = parser->text_used, .present = true};
        compose_add(parser, FCGI_SCRIPT_NAME, SLICE_NULL);
        compose_add(parser, FCGI_PATH_INFO, SLICE_NULL);
        compose_add(parser, FCGI_QUERY_STRING, SLICE("?"));
        return true;
}

static size_t length_size(size_t len)
{
        return len > LENGTH_SHORT_MAX ? 4 : 1;
}

static size_t write_length(char *out, size_t len)
{
        if (len <= LENGTH_SHORT_MAX) {
                out[0] = (char)len;
                return 1;
        }
        out[0] = (char)(len >> 24 | LENGTH_LONG);
        out[1] = (char)(len >> 16);
        out[2] = (char)(len >> 8);
        out[3] = (char)len;
        return 4;
}

/* Return: bytes of the content; more than any record has when it is too much for one. */
static size_t measure(const struct fcgi_param *params, size_t count)
{
        size_t total = 0;

        for (size_t i = 0; i < count; i++) {
                struct slice name = params[i].name, value = params[i].value;

                if (value.len == 0)
                        continue;
                if (name.len > FCGI_CONTENT_MAX || value.len > FCGI_CONTENT_MAX || total > FCGI_CONTENT_MAX)
                        return FCGI_CONTENT_MAX + 1;
                total += length_size(name.len) + length_size(value.len) + name.len + value.len;
        }
        return total;
}

size_t fcgi_write_param_record(char *out, size_t room, uint16_t id, const struct fcgi_param *params,
                               size_t count)
{
        size_t content = measure(params, count), at = FCGI_HEADER_LEN;
        size_t total = ALIGN_UP(content + FCGI_HEADER_LEN, RECORD_ALIGN);
        size_t padding = total - content - FCGI_HEADER_LEN;

        if (content == 0 || content > FCGI_CONTENT_MAX || total > room)
                return 0;
        memcpy(out,
               (const char[FCGI_HEADER_LEN]){FCGI_VERSION, FCGI_PARAMS, (char)(id >> 8), (char)id,
                                             (char)(content >> 8), (char)content, (char)padding, 0},
               FCGI_HEADER_LEN);
        for (size_t i = 0; i < count; i++) {
                struct slice name = params[i].name, value = params[i].value;

                if (value.len == 0)
                        continue;
                at += write_length(out + at, name.len);
                at += write_length(out + at, value.len);
                if (name.len)
                        memcpy(out + at, name.p, name.len);
                memcpy(out + at + name.len, value.p, value.len);
                at += name.len + value.len;
        }
        memset(out + at, 0, padding);
        return total;
}
