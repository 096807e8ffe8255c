/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1 parser's drive: between messages, bodies, the end of the stream, first guesses. */
#include "agent/base/load.h"
#include "agent/proto/http1_priv.h"

void http1_init(struct http1 *parser, enum http1_role role)
{
        memset(parser, 0, sizeof(*parser));
        parser->role = role;
        parser->state = HTTP1_IDLE;
}

static bool begin_message(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        char *text = NULL;
        uint16_t max = 0;
        bool head_request = false, connect_request = false;

        memset(&parser->head, 0, sizeof(parser->head));
        *priv = (struct http1_priv){0};
        parser->head.request = parser->role == HTTP1_REQUESTS;
        parser->state = parser->head.request ? HTTP1_METHOD_WORD : HTTP1_VERSION;
        parser->field = 0;
        parser->head_len = 0;
        parser->body_left = 0;
        parser->text = NULL;
        parser->text_used = parser->text_max = 0;
        if (cursor->sink->begin)
                cursor->stop = !cursor->sink->begin(cursor->sink->ctx, parser, cursor->at, &text, &max,
                                                    &head_request, &connect_request);
        parser->text = text;
        parser->text_max = text ? max : 0;
        priv->head_request = head_request;
        priv->connect_request = connect_request;
        return true;
}

/* Empty lines before a request line are passed over (RFC 9112 section 2.2). */
static bool idle(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        char c = cursor->base[cursor->at];

        if (parser->role == HTTP1_RESPONSES || (c != '\r' && c != '\n'))
                return begin_message(cursor);
        cursor->at++;
        if (c == '\r')
                parser->state = HTTP1_IDLE_LF;
        return true;
}

static bool idle_lf(struct http1_cursor *cursor)
{
        cursor->parser->state = HTTP1_IDLE;
        return cursor->base[cursor->at++] == '\n';
}

void http1_message_done(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;

        parser->state = HTTP1_IDLE;
        http1_priv(parser)->complete = true;
        if (cursor->sink->end)
                cursor->stop = !cursor->sink->end(cursor->sink->ctx, parser, cursor->at);
}

static bool tell_end(struct http1_cursor *cursor)
{
        http1_message_done(cursor);
        return true;
}

void http1_head_done(struct http1_cursor *cursor)
{
        static const uint8_t body_state[] = {
                [HTTP1_BODY_NONE] = HTTP1_END,           [HTTP1_BODY_LENGTH] = HTTP1_LENGTH,
                [HTTP1_BODY_CHUNKED] = HTTP1_CHUNK_SIZE, [HTTP1_BODY_CLOSE] = HTTP1_UNTIL_CLOSE,
                [HTTP1_BODY_TUNNEL] = HTTP1_UNTIL_CLOSE,
        };
        struct http1 *parser = cursor->parser;
        bool interim = !parser->head.request && parser->head.status < 200 && parser->head.status != 101;

        parser->state = body_state[parser->head.body];
        if (parser->head.body == HTTP1_BODY_LENGTH) {
                parser->body_left = parser->head.content_length;
                if (parser->body_left == 0)
                        parser->state = HTTP1_END;
        }
        if (interim) {
                parser->state = HTTP1_IDLE;
                http1_priv(parser)->complete = true;
        }
        if (cursor->sink->head)
                cursor->stop = !cursor->sink->head(cursor->sink->ctx, parser, cursor->at);
}

/* Bytes that are only counted. */
static void pass(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        size_t n = cursor->end - cursor->at;

        if (n > parser->body_left)
                n = (size_t)parser->body_left;
        cursor->at += n;
        parser->body_left -= n;
}

static bool body_length(struct http1_cursor *cursor)
{
        pass(cursor);
        if (cursor->parser->body_left == 0)
                http1_message_done(cursor);
        return true;
}

static bool body_until_close(struct http1_cursor *cursor)
{
        cursor->at = cursor->end;
        return true;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = ascii_lower(c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool chunk_size(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        int digit = hex_digit(cursor->base[cursor->at]);

        if (digit < 0) {
                parser->state = HTTP1_CHUNK_PAD;
                return priv->line_len > 0;
        }
        if (parser->body_left > INT64_MAX >> 4 || ++priv->line_len > LIMIT_HTTP_HEAD)
                return false;
        parser->body_left = parser->body_left << 4 | (unsigned)digit;
        cursor->at++;
        return true;
}

static bool chunk_pad(struct http1_cursor *cursor)
{
        char c = cursor->base[cursor->at];

        if (c == ' ' || c == '\t') {
                cursor->at++;
                return ++http1_priv(cursor->parser)->line_len <= LIMIT_HTTP_HEAD;
        }
        cursor->parser->state = HTTP1_CHUNK_EXT;
        return c == ';' || c == '\r' || c == '\n';
}

/* A CR that ends no line is a known way to make two readers disagree: lost. */
static bool chunk_ext(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        struct slice rest = slice_make(cursor->base + cursor->at, cursor->end - cursor->at);
        size_t eol = slice_find(rest, '\n');
        struct slice text = slice_to(rest, eol);
        bool crlf;

        if (text.len && priv->cr)
                return false;
        priv->cr |= text.len && text.p[text.len - 1] == '\r';
        if (slice_find(text, '\r') + priv->cr < text.len)
                return false;
        priv->line_len += (uint32_t)text.len;
        if (text.len > LIMIT_HTTP_HEAD || priv->line_len > LIMIT_HTTP_HEAD)
                return false;
        cursor->at += text.len;
        if (text.len == rest.len)
                return true;
        cursor->at++;
        crlf = priv->cr;
        priv->cr = false;
        priv->line_len = 0;
        priv->trailer = parser->body_left == 0;
        parser->state = priv->trailer ? HTTP1_LINE : HTTP1_CHUNK_DATA;
        return http1_eol_fits(parser, crlf);
}

static bool chunk_data(struct http1_cursor *cursor)
{
        pass(cursor);
        if (cursor->parser->body_left == 0)
                cursor->parser->state = HTTP1_CHUNK_DATA_END;
        return true;
}

static bool chunk_data_end(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        char c = cursor->base[cursor->at++];
        bool crlf = priv->cr;

        priv->cr = c == '\r';
        if (priv->cr)
                return !crlf;
        parser->state = HTTP1_CHUNK_SIZE;
        return c == '\n' && http1_eol_fits(parser, crlf);
}

typedef bool (*step_fn)(struct http1_cursor *cursor);

static const step_fn steps[HTTP1_STATES] = {
        [HTTP1_IDLE] = idle,
        [HTTP1_IDLE_LF] = idle_lf,
        [HTTP1_METHOD_WORD] = http1_head_method,
        [HTTP1_TARGET_RUN] = http1_head_target,
        [HTTP1_VERSION] = http1_head_version,
        [HTTP1_START_END] = http1_head_start_end,
        [HTTP1_LINE] = http1_head_line,
        [HTTP1_NAME] = http1_head_name,
        [HTTP1_VALUE_SKIP] = http1_value_skip,
        [HTTP1_VALUE_TEXT] = http1_value_text,
        [HTTP1_VALUE_LIST] = http1_value_list,
        [HTTP1_BLANK] = http1_head_blank,
        [HTTP1_BLANK_LF] = http1_head_blank,
        [HTTP1_LENGTH] = body_length,
        [HTTP1_UNTIL_CLOSE] = body_until_close,
        [HTTP1_CHUNK_SIZE] = chunk_size,
        [HTTP1_CHUNK_PAD] = chunk_pad,
        [HTTP1_CHUNK_EXT] = chunk_ext,
        [HTTP1_CHUNK_DATA] = chunk_data,
        [HTTP1_CHUNK_DATA_END] = chunk_data_end,
        [HTTP1_END] = tell_end,
};

/* A head is shown to its steps only up to the limit, whatever the split. Return: false beyond it. */
static bool set_window(struct http1_cursor *cursor)
{
        const struct http1 *parser = cursor->parser;
        size_t left = cursor->len - cursor->at, room;

        cursor->end = cursor->len;
        if (parser->state < HTTP1_METHOD_WORD || parser->state > HTTP1_BLANK_LF)
                return true;
        room = LIMIT_HTTP_HEAD - parser->head_len;
        if (left > room)
                cursor->end = cursor->at + room;
        return room > 0;
}

long http1_feed(struct http1 *parser, struct slice bytes, const struct http1_sink *sink)
{
        struct http1_cursor cursor = {.parser = parser, .sink = sink, .base = bytes.p, .len = bytes.len};

        parser->sink = sink;
        while (!parser->lost && !cursor.stop && (cursor.at < cursor.len || parser->state == HTTP1_END))
                if (!set_window(&cursor) || !steps[parser->state](&cursor))
                        parser->lost = true;
        return parser->lost ? PROTO_LOST : (long)cursor.at;
}

bool http1_skip(struct http1 *parser, uint64_t n, const struct http1_sink *sink)
{
        struct http1_cursor cursor = {.parser = parser, .sink = sink, .at = (size_t)n};

        if (n == 0 || parser->lost)
                return !parser->lost;
        if (parser->state == HTTP1_UNTIL_CLOSE)
                return true;
        if (n > http1_body_left(parser)) {
                parser->lost = true;
                return false;
        }
        parser->body_left -= n;
        if (parser->body_left > 0)
                return true;
        if (parser->state == HTTP1_LENGTH)
                http1_message_done(&cursor);
        else
                parser->state = HTTP1_CHUNK_DATA_END;
        return true;
}

uint64_t http1_body_left(const struct http1 *parser)
{
        bool counted = parser->state == HTTP1_LENGTH || parser->state == HTTP1_CHUNK_DATA;

        return counted && !parser->lost ? parser->body_left : 0;
}

bool http1_eof(struct http1 *parser, const struct http1_sink *sink)
{
        struct http1_cursor cursor = {.parser = parser, .sink = sink};

        if (parser->lost)
                return false;
        if (parser->state == HTTP1_UNTIL_CLOSE || parser->state == HTTP1_END)
                http1_message_done(&cursor);
        return !http1_busy(parser) && http1_priv(parser)->complete;
}

bool http1_busy(const struct http1 *parser)
{
        return parser->state != HTTP1_IDLE && parser->state != HTTP1_IDLE_LF;
}

struct slice http1_begun(struct http1 *parser)
{
        const struct http1_priv *priv = http1_priv(parser);
        bool method = parser->state == HTTP1_METHOD_WORD && !parser->lost;

        return slice_make(priv->word, method ? MIN(priv->word_len, HTTP1_WORD_MAX) : 0);
}

bool http1_fresh(const struct http1 *parser)
{
        return parser->state == HTTP1_IDLE && !parser->lost;
}

/* Does @bytes begin with @prefix (in any case), as far as it goes? */
static enum proto_guess guess_prefix(struct slice bytes, struct slice prefix)
{
        size_t n = bytes.len < prefix.len ? bytes.len : prefix.len;

        if (!slice_eq_nocase(slice_to(bytes, n), slice_to(prefix, n)))
                return PROTO_NO;
        return n == prefix.len ? PROTO_YES : PROTO_MAYBE;
}

static enum proto_guess guess_target(struct slice method, struct slice target)
{
        enum proto_guess http, https;
        char c;

        if (target.len == 0)
                return PROTO_MAYBE;
        c = target.p[0];
        if (slice_eq(method, SLICE("CONNECT"))) /* host and port */
                return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') ||
                                       c == '[' || c == '_'
                               ? PROTO_YES
                               : PROTO_NO;
        if (c == '/')
                return PROTO_YES;
        if (c == '*') /* the HTTP/2 preface has it as well */
                return slice_eq(method, SLICE("PRI")) ? PROTO_NO : PROTO_YES;
        http = guess_prefix(target, SLICE("http://"));
        https = guess_prefix(target, SLICE("https://"));
        return http > https ? http : https;
}

static enum proto_guess guess_response(struct slice first)
{
        static const char pattern[] = "HTTP/1.# ";

        for (size_t i = 0; i < sizeof(pattern) - 1; i++) {
                bool digit;

                if (i == first.len)
                        return PROTO_MAYBE;
                digit = first.p[i] >= '0' && first.p[i] <= '9';
                if (pattern[i] == '#' ? !digit : first.p[i] != pattern[i])
                        return PROTO_NO;
        }
        return PROTO_YES;
}

#define GUESS_METHOD_MIN 3
#define GUESS_METHOD_MAX 20

enum proto_guess http1_guess(struct slice first, enum http1_role role)
{
        size_t n = 0;

        if (role == HTTP1_RESPONSES)
                return guess_response(first);
        while (first.len && (first.p[0] == '\r' || first.p[0] == '\n')) /* see idle() */
                first = slice_from(first, 1);
        while (n < first.len && n <= GUESS_METHOD_MAX &&
               ((first.p[n] >= 'A' && first.p[n] <= 'Z') || (n && (first.p[n] == '-' || first.p[n] == '_'))))
                n++;
        if (n > GUESS_METHOD_MAX)
                return PROTO_NO;
        if (n == first.len)
                return PROTO_MAYBE;
        if (n < GUESS_METHOD_MIN || first.p[n] != ' ')
                return PROTO_NO;
        return guess_target(slice_to(first, n), slice_from(first, n + 1));
}
