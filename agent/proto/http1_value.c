/* SPDX-License-Identifier: Apache-2.0 */
/* The fields that matter: texts are copied, lists read by elements; all else is passed over up to its end. */
#include "agent/proto/http1_priv.h"

/* The same bytes, letters in any case? Only control characters could be mistaken for others. */
static bool same4(const char *bytes, const char *lower)
{
        uint32_t a, b;

        memcpy(&a, bytes, sizeof(a));
        memcpy(&b, lower, sizeof(b));
        return (a | 0x20202020) == b;
}

static bool same8(const char *bytes, const char *lower)
{
        uint64_t a, b;

        memcpy(&a, bytes, sizeof(a));
        memcpy(&b, lower, sizeof(b));
        return (a | 0x2020202020202020) == b;
}

/* Is it @word (lower case, 4 bytes or more), in any case? @bytes holds no control characters. */
static bool is_word(struct slice bytes, struct slice word)
{
        if (bytes.len != word.len)
                return false;
        if (word.len < 8)
                return same4(bytes.p, word.p) && same4(bytes.p + word.len - 4, word.p + word.len - 4);
        for (size_t at = 0; at + 8 < word.len; at += 8)
                if (!same8(bytes.p + at, word.p + at))
                        return false;
        return same8(bytes.p + word.len - 8, word.p + word.len - 8);
}

/* A list element, without blanks around it. Return: false when the message cannot be understood. */
typedef bool (*element_fn)(struct http1 *parser, struct slice element);

struct field_row {
        struct slice name;
        bool requests_only;
        bool joined;   /* texts: several fields are one value */
        uint8_t state; /* how the value is read */
        enum http1_text text;
        element_fn element;
};

static bool element_connection(struct http1 *parser, struct slice element)
{
        struct http1_priv *priv = http1_priv(parser);

        priv->close |= is_word(element, SLICE("close"));
        priv->persist |= is_word(element, SLICE("keep-alive"));
        return true;
}

static bool element_expect(struct http1 *parser, struct slice element)
{
        parser->head.expect_continue |= is_word(element, SLICE("100-continue"));
        return true;
}

static bool element_upgrade(struct http1 *parser, struct slice element)
{
        parser->head.h2c |= slice_eq_nocase(element, SLICE("h2c"));
        return true;
}

static bool element_content_length(struct http1 *parser, struct slice element)
{
        struct http1_priv *priv = http1_priv(parser);
        int64_t length = 0; /* signed: no body is longer than any file */

        if (element.len == 0)
                return false;
        for (size_t i = 0; i < element.len; i++) {
                if (element.p[i] < '0' || element.p[i] > '9')
                        return false;
                if (__builtin_mul_overflow(length, 10, &length) ||
                    __builtin_add_overflow(length, element.p[i] - '0', &length))
                        return false;
        }
        if (priv->length_seen && parser->head.content_length != (uint64_t)length)
                return false;
        priv->length_seen = true;
        parser->head.content_length = (uint64_t)length;
        return true;
}

/* Codings with parameters are not known to anybody: refused, as a quoted comma would look like a list's. */
static bool element_coding(struct http1 *parser, struct slice element)
{
        struct http1_priv *priv = http1_priv(parser);
        bool chunked = is_word(element, SLICE("chunked"));

        for (size_t i = 0; i < element.len; i++)
                if (!http1_token[(unsigned char)element.p[i]])
                        return false;
        if (element.len == 0)
                return true;
        if (chunked && priv->chunked)
                return false; /* never applied twice (RFC 9112 section 6.1) */
        priv->chunked = chunked;
        return true;
}

enum field {
        FIELD_HOST,
        FIELD_EXPECT,
        FIELD_BAGGAGE,
        FIELD_UPGRADE,
        FIELD_FORWARDED,
        FIELD_CONNECTION,
        FIELD_TRACESTATE,
        FIELD_USER_AGENT,
        FIELD_TRACEPARENT,
        FIELD_CONTENT_LENGTH,
        FIELD_HTTP2_SETTINGS,
        FIELD_X_FORWARDED_FOR,
        FIELD_X_FORWARDED_HOST,
        FIELD_X_FORWARDED_PROTO,
        FIELD_TRANSFER_ENCODING,
        FIELDS /* any other */
};

#define ROW_TEXT(name, which)                                                        \
        {                                                                            \
                {name, sizeof(name) - 1}, true, false, HTTP1_VALUE_TEXT, which, NULL \
        }
#define ROW_JOIN(name, which)                                                       \
        {                                                                           \
                {name, sizeof(name) - 1}, true, true, HTTP1_VALUE_TEXT, which, NULL \
        }
#define ROW_LIST(name, requests_only, element)                                                         \
        {                                                                                              \
                {name, sizeof(name) - 1}, requests_only, false, HTTP1_VALUE_LIST, HTTP1_TEXTS, element \
        }

/* In order of the names' lengths. */
static const struct field_row rows[FIELDS] = {
        [FIELD_HOST] = ROW_TEXT("host", HTTP1_HOST),
        [FIELD_EXPECT] = ROW_LIST("expect", true, element_expect),
        [FIELD_BAGGAGE] = ROW_JOIN("baggage", HTTP1_BAGGAGE),
        [FIELD_UPGRADE] = ROW_LIST("upgrade", false, element_upgrade),
        [FIELD_FORWARDED] = ROW_JOIN("forwarded", HTTP1_FORWARDED),
        [FIELD_CONNECTION] = ROW_LIST("connection", false, element_connection),
        [FIELD_TRACESTATE] = ROW_JOIN("tracestate", HTTP1_TRACESTATE),
        [FIELD_USER_AGENT] = ROW_TEXT("user-agent", HTTP1_USER_AGENT),
        [FIELD_TRACEPARENT] = ROW_TEXT("traceparent", HTTP1_TRACEPARENT),
        [FIELD_CONTENT_LENGTH] = ROW_LIST("content-length", false, element_content_length),
        [FIELD_HTTP2_SETTINGS] = ROW_TEXT("http2-settings", HTTP1_HTTP2_SETTINGS),
        [FIELD_X_FORWARDED_FOR] = ROW_JOIN("x-forwarded-for", HTTP1_X_FORWARDED_FOR),
        [FIELD_X_FORWARDED_HOST] = ROW_TEXT("x-forwarded-host", HTTP1_X_FORWARDED_HOST),
        [FIELD_X_FORWARDED_PROTO] = ROW_TEXT("x-forwarded-proto", HTTP1_X_FORWARDED_PROTO),
        [FIELD_TRANSFER_ENCODING] = ROW_LIST("transfer-encoding", false, element_coding),
};

/* One more than the first row of that length; 0: there is none. */
static const uint8_t first_row[HTTP1_NAME_MAX + 1] = {
        [4] = FIELD_HOST + 1,
        [6] = FIELD_EXPECT + 1,
        [7] = FIELD_BAGGAGE + 1,
        [9] = FIELD_FORWARDED + 1,
        [10] = FIELD_CONNECTION + 1,
        [11] = FIELD_TRACEPARENT + 1,
        [14] = FIELD_CONTENT_LENGTH + 1,
        [15] = FIELD_X_FORWARDED_FOR + 1,
        [16] = FIELD_X_FORWARDED_HOST + 1,
        [17] = FIELD_X_FORWARDED_PROTO + 1,
};

#define LETTER(c) (UINT32_C(1) << ((c)&31))
const uint32_t http1_value_letters[HTTP1_NAME_MAX + 1] = {
        [4] = LETTER('s'),
        [6] = LETTER('p'),
        [7] = LETTER('g'),
        [9] = LETTER('r'),
        [10] = LETTER('n') | LETTER('a') | LETTER('e'),
        [11] = LETTER('a'),
        [14] = LETTER('n') | LETTER('t'),
        [15] = LETTER('f'),
        [16] = LETTER('f'),
        [17] = LETTER('a') | LETTER('f'),
};

_Static_assert(HTTP1_NAME_MAX < HTTP1_WORD_MAX, "a longer name must not look like a known one");
_Static_assert(HTTP1_WORD_MAX <= LIMIT_HTTP_FIELD_NAME, "names up to the limit are not all matched");

static enum field find_field(struct slice name, bool request)
{
        if (name.len > HTTP1_NAME_MAX || !first_row[name.len])
                return FIELDS;
        for (size_t i = first_row[name.len] - 1; i < FIELDS && rows[i].name.len == name.len; i++)
                if (rows[i].name.p[0] == (name.p[0] | 0x20) && is_word(name, rows[i].name))
                        return request || !rows[i].requests_only ? (enum field)i : FIELDS;
        return FIELDS;
}

/* The field begins. Return: which, or FIELDS where its value is not wanted. */
static enum field begin_field(struct http1 *parser, struct slice name)
{
        struct http1_priv *priv = http1_priv(parser);
        enum field field = find_field(name, parser->head.request);
        enum http1_text which;

        if (field == FIELDS)
                return FIELDS;
        priv->coding_seen |= field == FIELD_TRANSFER_ENCODING;
        if (field == FIELD_TRACEPARENT && parser->head.traceparent_count < UINT16_MAX)
                parser->head.traceparent_count++;
        if (field == FIELD_TRACESTATE && parser->head.tracestate_count < UINT16_MAX)
                parser->head.tracestate_count++;
        if (rows[field].state != HTTP1_VALUE_TEXT)
                return field;
        which = rows[field].text;
        if (parser->head.text[which].present && !rows[field].joined)
                return FIELDS; /* the first counts */
        http1_text_begin(parser, which);
        return field;
}

void http1_value_begin(struct http1 *parser, struct slice name)
{
        struct http1_priv *priv = http1_priv(parser);

        parser->field = (uint8_t)(priv->trailer ? FIELDS : begin_field(parser, name));
        parser->state = parser->field == FIELDS ? HTTP1_VALUE_SKIP : rows[parser->field].state;
        priv->open = true;
        priv->started = priv->gap = false;
}

void http1_value_fold(struct http1 *parser)
{
        struct http1_priv *priv = http1_priv(parser);

        parser->state = HTTP1_VALUE_SKIP;
        if (parser->field == FIELDS)
                return;
        parser->state = rows[parser->field].state;
        if (parser->state == HTTP1_VALUE_TEXT && priv->started)
                http1_text_add(parser, rows[parser->field].text, SLICE(" "));
        priv->started = false; /* blanks are passed over, or end a word, as at a value's start */
}

/* An element that is too long to be a known one is told as one that cannot be. */
static bool tell_element(struct http1 *parser, enum field field, struct slice element)
{
        return rows[field].element(parser, element.len > HTTP1_WORD_MAX ? SLICE("?") : element);
}

static bool end_element(struct http1 *parser)
{
        struct http1_priv *priv = http1_priv(parser);
        struct slice element = slice_make(priv->word, priv->word_len);

        priv->word_len = 0;
        priv->gap = false;
        return tell_element(parser, (enum field)parser->field, element);
}

bool http1_value_end(struct http1 *parser)
{
        if (parser->field == FIELDS)
                return true;
        if (rows[parser->field].state == HTTP1_VALUE_LIST)
                return end_element(parser);
        http1_text_end(parser, rows[parser->field].text);
        return true;
}

/* The first of the field's texts places it; more of them are joined. */
void http1_text_begin(struct http1 *parser, enum http1_text which)
{
        struct http1_span *span = &parser->head.text[which];

        http1_priv(parser)->join = span->len > 0;
        if (span->len == 0)
                span->at = parser->text_used;
        span->present = true;
}

/* What does not fit gives back its room to the texts after it. */
static void cut_text(struct http1 *parser, struct http1_span *span)
{
        parser->text_used = span->at;
        span->len = 0;
        span->cut = true;
}

/* Is there room for @n bytes more, or can there be? */
static bool has_room(struct http1 *parser, size_t n)
{
        return n <= (size_t)parser->text_max - parser->text_used ||
               (parser->text && parser->sink->grow &&
                parser->sink->grow(parser->sink->ctx, parser, parser->text_used + n));
}

/*
 * The text so far is copied behind all others and goes on there, after a comma: nothing that is in
 * the buffer moves or changes, which rewinding relies on.
 */
static void join_text(struct http1 *parser, struct http1_span *span)
{
        http1_priv(parser)->join = false;
        if (!has_room(parser, (size_t)span->len + 1)) {
                span->at = parser->text_used;
                cut_text(parser, span);
                return;
        }
        memcpy(parser->text + parser->text_used, parser->text + span->at, span->len);
        span->at = parser->text_used;
        parser->text[span->at + span->len++] = ',';
        parser->text_used = (uint16_t)(span->at + span->len);
}

void http1_text_add(struct http1 *parser, enum http1_text which, struct slice bytes)
{
        struct http1_span *span = &parser->head.text[which];

        if (bytes.len && http1_priv(parser)->join)
                join_text(parser, span);
        if (span->cut || bytes.len == 0)
                return;
        if (!has_room(parser, bytes.len)) {
                cut_text(parser, span);
                return;
        }
        memcpy(parser->text + parser->text_used, bytes.p, bytes.len);
        parser->text_used = (uint16_t)(parser->text_used + bytes.len);
        span->len = (uint16_t)(span->len + bytes.len);
}

/* The blanks at the end stay in the buffer: bytes of a snapshot are never given away. */
void http1_text_end(struct http1 *parser, enum http1_text which)
{
        struct http1_span *span = &parser->head.text[which];

        if (span->len && parser->text)
                span->len = (uint16_t)slice_trim(slice_make(parser->text + span->at, span->len)).len;
}

bool http1_value_skip(struct http1_cursor *cursor)
{
        struct http1_priv *priv = http1_priv(cursor->parser);
        struct slice rest = http1_rest(cursor);
        size_t n = slice_find(rest, '\n');

        if (n)
                priv->cr = rest.p[n - 1] == '\r';
        if (n < rest.len)
                return http1_line_end(cursor, n);
        http1_take(cursor, n);
        return true;
}

/* Only visible characters, blanks and bytes above ASCII may be in a value that we use. */
static bool is_clean(struct slice bytes)
{
        return http1_all_fit(bytes, ' ', '\t');
}

static struct slice skip_blanks(struct slice bytes)
{
        while (bytes.len && (bytes.p[0] == ' ' || bytes.p[0] == '\t'))
                bytes = slice_from(bytes, 1);
        return bytes;
}

/* @bytes of the field's value stand @at bytes behind the head's first byte. */
static void note_place(struct http1_place *place, struct slice bytes, size_t at)
{
        size_t len = bytes.len;

        while (len && (bytes.p[len - 1] == ' ' || bytes.p[len - 1] == '\t'))
                len--;
        if (len == 0)
                return;
        if (place->end == 0)
                place->from = (uint32_t)at;
        place->end = (uint32_t)(at + len);
}

/* Fields whose place in the head is of interest; NULL: none of them. */
static struct http1_place *place_of(struct http1 *parser, unsigned field)
{
        if (field == FIELD_TRACEPARENT)
                return &parser->head.traceparent;
        return field == FIELD_TRACESTATE ? &parser->head.tracestate : NULL;
}

bool http1_value_whole(struct http1 *parser, struct slice name, struct slice value, size_t at)
{
        enum field field = begin_field(parser, name);

        if (field == FIELDS)
                return true;
        if (value.len && value.p[value.len - 1] == '\r')
                value.len--;
        if (!is_clean(value))
                return false;
        if (rows[field].state == HTTP1_VALUE_TEXT) {
                struct slice bytes = skip_blanks(value);
                struct http1_place *place = place_of(parser, field);

                if (place)
                        note_place(place, bytes, at + (value.len - bytes.len));
                http1_text_add(parser, rows[field].text, bytes);
                http1_text_end(parser, rows[field].text);
                return true;
        }
        for (;;) {
                size_t comma = slice_find(value, ',');

                if (!tell_element(parser, field, slice_trim(slice_to(value, comma))))
                        return false;
                if (comma == value.len)
                        return true;
                value = slice_from(value, comma + 1);
        }
}

bool http1_value_text(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        struct slice rest = http1_rest(cursor);
        size_t eol = slice_find(rest, '\n');
        struct slice bytes = slice_to(rest, eol);
        struct http1_place *place;

        if (bytes.len && priv->cr)
                return false;
        if (bytes.len && bytes.p[bytes.len - 1] == '\r') {
                priv->cr = true;
                bytes.len--;
        }
        if (!is_clean(bytes))
                return false;
        if (!priv->started)
                bytes = skip_blanks(bytes);
        priv->started |= bytes.len > 0;
        place = place_of(parser, parser->field);
        if (place)
                note_place(place, bytes, parser->head_len + (size_t)(bytes.p - rest.p));
        http1_text_add(parser, rows[parser->field].text, bytes);
        if (eol < rest.len)
                return http1_line_end(cursor, eol);
        http1_take(cursor, eol);
        return true;
}

/* How many of @bytes are of one word. */
static size_t word_run(struct slice bytes)
{
        size_t n = 0;

        while (n < bytes.len && (unsigned char)bytes.p[n] > ' ' && bytes.p[n] != ',' && bytes.p[n] != 0x7f)
                n++;
        return n;
}

/* Between words. */
static bool list_mark(struct http1 *parser, char c)
{
        struct http1_priv *priv = http1_priv(parser);

        priv->cr = c == '\r';
        if (c == ',')
                return end_element(parser);
        if (c == ' ' || c == '\t')
                priv->gap = priv->word_len > 0;
        return c == ' ' || c == '\t' || c == '\r';
}

bool http1_value_list(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        struct slice rest = http1_rest(cursor);

        while (rest.len && rest.p[0] != '\n') {
                size_t n = word_run(rest);

                if (priv->cr)
                        return false;
                if (n && priv->gap) /* two words are no element that we know */
                        priv->word_len = HTTP1_WORD_MAX;
                http1_word_add(priv, slice_to(rest, n));
                if (n == 0 && !list_mark(parser, rest.p[0]))
                        return false;
                rest = slice_from(rest, n ? n : 1);
        }
        if (rest.len)
                return http1_line_end(cursor, (size_t)(rest.p - cursor->base) - cursor->at);
        http1_take(cursor, cursor->end - cursor->at);
        return true;
}
