/* SPDX-License-Identifier: Apache-2.0 */
/* Start lines, field lines up to the colon, blank lines; and what a head says of its body. */
#include "agent/proto/http1_priv.h"

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static bool is_eol(char c)
{
        return c == '\r' || c == '\n';
}

const bool http1_token[256] = {
        ['!'] = true, ['#' ... '\''] = true, ['*'] = true,         ['+'] = true, ['-'] = true,
        ['.'] = true, ['0' ... '9'] = true,  ['A' ... 'Z'] = true, ['^'] = true, ['_'] = true,
        ['`'] = true, ['a' ... 'z'] = true,  ['|'] = true,         ['~'] = true,
};

static size_t token_run(struct slice bytes)
{
        size_t n = 0;

        while (n < bytes.len && http1_token[(unsigned char)bytes.p[n]])
                n++;
        return n;
}

#define BLOCK 16
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FIRST_BYTE(mask) ((size_t)__builtin_ctzll(mask) / 8)
#else
#define FIRST_BYTE(mask) ((size_t)__builtin_clzll(mask) / 8)
#endif

/*
 * The same where a byte that ends the token is known to be there: letters and '-', which is all that
 * most names have, by the block.
 */
static size_t name_run(const char *p, size_t readable)
{
        unsigned char bytes __attribute__((vector_size(BLOCK)));
        uint64_t other __attribute__((vector_size(BLOCK)));
        size_t n = 0;

        if (readable >= BLOCK) {
                memcpy(&bytes, p, BLOCK);
                other = (__typeof__(other))(((bytes | 0x20) - 'a' > 'z' - 'a') & (bytes != '-'));
                if (other[0])
                        n = FIRST_BYTE(other[0]);
                else
                        n = other[1] ? BLOCK / 2 + FIRST_BYTE(other[1]) : BLOCK;
        }
        while (http1_token[(unsigned char)p[n]])
                n++;
        return n;
}

/* Not 0 when one of the BLOCK bytes at @p is below @least and not @also, or DEL. */
static inline uint64_t block_unfit(const char *p, unsigned char least, unsigned char also)
{
        unsigned char bytes __attribute__((vector_size(BLOCK)));
        uint64_t unfit __attribute__((vector_size(BLOCK)));

        memcpy(&bytes, p, BLOCK);
        unfit = (__typeof__(unfit))(((bytes < least) & (bytes != also)) | (bytes == 0x7f));
        return unfit[0] | unfit[1];
}

bool http1_all_fit(struct slice bytes, unsigned char least, unsigned char also)
{
        uint64_t unfit = 0;
        char tail[BLOCK];

        if (bytes.len < BLOCK) {
                memset(tail, 'x', sizeof(tail));
                memcpy(tail, bytes.p, bytes.len);
                return block_unfit(tail, least, also) == 0;
        }
        for (size_t n = 0; bytes.len - n > BLOCK; n += BLOCK)
                unfit |= block_unfit(bytes.p + n, least, also);
        /* The last block may overlap the one before. */
        return (unfit | block_unfit(bytes.p + bytes.len - BLOCK, least, also)) == 0;
}

void http1_word_add(struct http1_priv *priv, struct slice bytes)
{
        if (priv->word_len < HTTP1_WORD_MAX) {
                size_t room = HTTP1_WORD_MAX - priv->word_len;

                memcpy(priv->word + priv->word_len, bytes.p, bytes.len < room ? bytes.len : room);
        }
        priv->word_len += (uint32_t)bytes.len;
}

/* The token before the byte @stop. Return: 1 found and taken, 0 more bytes needed, -1 no token. */
static int take_token(struct http1_cursor *cursor, char stop, struct slice *ret_token)
{
        struct http1_priv *priv = http1_priv(cursor->parser);
        struct slice rest = http1_rest(cursor);
        size_t n = token_run(rest);

        if (n == rest.len) {
                http1_word_add(priv, rest);
                http1_take(cursor, n);
                return 0;
        }
        if (rest.p[n] != stop || n + priv->word_len == 0)
                return -1;
        *ret_token = slice_to(rest, n);
        if (priv->word_len) {
                http1_word_add(priv, *ret_token);
                *ret_token =
                        slice_make(priv->word, priv->word_len); /* too long a one is judged by its length */
                priv->word_len = 0;
        }
        http1_take(cursor, n + 1);
        return 1;
}

bool http1_head_method(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct slice method;
        int found = take_token(cursor, ' ', &method);

        _Static_assert(LIMIT_HTTP_METHOD <= HTTP1_WORD_MAX, "a method must fit the word");
        if (found <= 0)
                return found == 0 && http1_priv(parser)->word_len <= LIMIT_HTTP_METHOD;
        if (method.len > LIMIT_HTTP_METHOD)
                return false;
        http1_text_begin(parser, HTTP1_METHOD);
        http1_text_add(parser, HTTP1_METHOD, method);
        parser->head.connect = slice_eq(method, SLICE("CONNECT"));
        http1_text_begin(parser, HTTP1_TARGET);
        parser->state = HTTP1_TARGET_RUN;
        return cursor->at == cursor->end || http1_head_target(cursor);
}

static void add_target(struct http1 *parser, struct slice bytes)
{
        struct http1_span *span = &parser->head.text[HTTP1_TARGET];
        size_t room = LIMIT_HTTP_TARGET - span->len;

        http1_text_add(parser, HTTP1_TARGET, slice_to(bytes, bytes.len < room ? bytes.len : room));
        span->cut |= bytes.len > room;
}

bool http1_head_target(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        struct slice rest = http1_rest(cursor);
        size_t n = slice_find(rest, ' ');
        struct slice target = slice_to(rest, n);

        if (!http1_all_fit(target, '!', '!'))
                return false;
        add_target(parser, target);
        priv->started |= n > 0;
        if (n == rest.len) {
                http1_take(cursor, n);
                return true;
        }
        http1_take(cursor, n + 1);
        parser->state = HTTP1_VERSION;
        return priv->started && (cursor->at == cursor->end || http1_head_version(cursor));
}

/* '#' is a digit. */
static const struct slice request_pattern = {"HTTP/1.#", 8};
static const struct slice response_pattern = {"HTTP/1.# ###", 12};
#define PATTERN_FIXED 7

static bool match_byte(struct http1 *parser, char expected, char byte)
{
        bool minor = http1_priv(parser)->pattern_at < request_pattern.len;

        if (expected != '#')
                return byte == expected;
        if (byte < '0' || byte > '9')
                return false;
        if (minor) /* a higher minor version is treated as the highest known (RFC 9110 section 2.5) */
                parser->head.minor = byte != '0';
        else
                parser->head.status = (uint16_t)(parser->head.status * 10 + (byte - '0'));
        return true;
}

bool http1_head_version(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        struct slice pattern = parser->head.request ? request_pattern : response_pattern;
        struct slice rest = http1_rest(cursor);
        size_t n = 0;

        if (priv->pattern_at == 0 && rest.len > PATTERN_FIXED &&
            memcmp(rest.p, pattern.p, PATTERN_FIXED) == 0)
                priv->pattern_at = (uint8_t)(n = PATTERN_FIXED);
        for (; n < rest.len && priv->pattern_at < pattern.len; n++, priv->pattern_at++)
                if (!match_byte(parser, pattern.p[priv->pattern_at], rest.p[n]))
                        return false;
        http1_take(cursor, n);
        if (priv->pattern_at < pattern.len)
                return true;
        parser->state = HTTP1_START_END;
        return cursor->at == cursor->end || http1_head_start_end(cursor);
}

/* The line's end; after a status code also a reason, which may be missing with its blank. */
bool http1_head_start_end(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        char c = cursor->base[cursor->at];

        if (!parser->head.request && parser->head.status < 100)
                return false;
        if (c == '\n')
                return http1_line_end(cursor, 0);
        if (priv->cr)
                return false;
        http1_take(cursor, 1);
        if (c == ' ' && !parser->head.request) {
                parser->state = HTTP1_VALUE_SKIP;
                return true;
        }
        priv->cr = c == '\r';
        if (priv->cr && cursor->at < cursor->end && cursor->base[cursor->at] == '\n')
                return http1_line_end(cursor, 0);
        return priv->cr;
}

bool http1_line_end(struct http1_cursor *cursor, size_t n)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        bool crlf = priv->cr;

        http1_take(cursor, n + 1);
        priv->cr = false;
        parser->state = HTTP1_LINE;
        if (priv->trailer)
                return http1_eol_fits(parser, crlf);
        parser->head.eol_lf = !crlf;
        return true;
}

static void frame_none(struct http1_head *head)
{
        head->body = HTTP1_BODY_NONE;
        head->content_length = 0;
}

/* RFC 9112 section 6.3 for requests. Return: false where a server could read it another way than we. */
static bool frame_request(struct http1_head *head, const struct http1_priv *priv)
{
        if (priv->coding_seen) {
                head->body = HTTP1_BODY_CHUNKED;
                return priv->chunked && !priv->length_seen && head->minor > 0;
        }
        if (priv->length_seen)
                head->body = HTTP1_BODY_LENGTH;
        else
                frame_none(head);
        return true;
}

/* The same for responses. */
static bool frame_response(struct http1_head *head, const struct http1_priv *priv)
{
        bool success = head->status >= 200 && head->status < 300;
        bool interim = head->status < 200;

        if (head->status == 101 || (success && priv->connect_request)) {
                frame_none(head);
                head->body = HTTP1_BODY_TUNNEL;
        } else if (interim || head->status == 204 || head->status == 304 || priv->head_request) {
                frame_none(head);
        } else if (priv->coding_seen) {
                head->body = priv->chunked ? HTTP1_BODY_CHUNKED : HTTP1_BODY_CLOSE;
                head->content_length = 0;
                return priv->chunked || !priv->length_seen;
        } else {
                head->body = priv->length_seen ? HTTP1_BODY_LENGTH : HTTP1_BODY_CLOSE;
        }
        return true;
}

/* All fields are known: what follows from them. */
static bool conclude(struct http1 *parser)
{
        struct http1_head *head = &parser->head;
        const struct http1_priv *priv = http1_priv(parser);

        if (!(head->request ? frame_request(head, priv) : frame_response(head, priv)))
                return false;
        head->keep_alive = !priv->close && (head->minor > 0 || priv->persist) &&
                           head->body != HTTP1_BODY_CLOSE && head->body != HTTP1_BODY_TUNNEL;
        /* With HTTP/1.0 chunked framing is faulty: what comes after the message is not to be trusted. */
        if (head->minor == 0 && priv->coding_seen)
                head->keep_alive = false;
        return true;
}

/*
 * A blank line begins with @first. In a request it must end as the line before it: else a strict
 * and a lenient server disagree whether the head ends here, and a line added by us could end it.
 */
static bool begin_blank(struct http1_cursor *cursor, char first)
{
        struct http1 *parser = cursor->parser;
        bool trailer = http1_priv(parser)->trailer;

        if (!http1_eol_fits(parser, first == '\r') || (!trailer && !conclude(parser)))
                return false;
        parser->state = HTTP1_BLANK;
        if (!trailer && cursor->sink->blank)
                cursor->stop = !cursor->sink->blank(cursor->sink->ctx, parser, cursor->at);
        return true;
}

bool http1_head_name(struct http1_cursor *cursor)
{
        struct slice name;
        int found = take_token(cursor, ':', &name);

        if (found > 0)
                http1_value_begin(cursor->parser, name);
        return found >= 0;
}

/*
 * Whole lines, with the byte after them so that they are known to be complete, in one go: no state
 * is kept between their parts. What is not such a line, or is a bad one, is left to take_line().
 */
static bool take_whole_lines(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        const char *start = cursor->base + cursor->at, *end = cursor->base + cursor->end;
        const char *line = start, *eol;

        while (line < end && (eol = memchr(line, '\n', (size_t)(end - line))) && eol + 1 < end) {
                size_t name_len = name_run(line, (size_t)(end - line));
                struct slice name = slice_make(line, name_len);
                const char *value = line + name_len + 1;

                if (line[name_len] != ':' || name_len == 0 || is_blank(eol[1]))
                        break;
                if (http1_value_may_matter(name) &&
                    !http1_value_whole(parser, name, slice_make(value, (size_t)(eol - value)),
                                       parser->head_len + (size_t)(value - start)))
                        return false;
                line = eol + 1;
        }
        if (line == start)
                return true;
        http1_priv(parser)->cr = line[-2] == '\r';
        http1_take(cursor, (size_t)(line - start) - 1);
        return http1_line_end(cursor, 0);
}

static bool take_value(struct http1_cursor *cursor)
{
        if (cursor->at == cursor->end)
                return true;
        switch (cursor->parser->state) {
        case HTTP1_VALUE_SKIP:
                return http1_value_skip(cursor);
        case HTTP1_VALUE_TEXT:
                return http1_value_text(cursor);
        case HTTP1_VALUE_LIST:
                return http1_value_list(cursor);
        default: /* the name is not complete */
                return true;
        }
}

/* A line of which at least the first byte is there; as much of it as there is. */
static bool take_line(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        struct http1_priv *priv = http1_priv(parser);
        char first = cursor->base[cursor->at];

        if (is_blank(first)) {
                if (!priv->open)
                        return false;
                http1_value_fold(parser);
                return take_value(cursor);
        }
        if (priv->open && !http1_value_end(parser))
                return false;
        priv->open = false;
        if (is_eol(first))
                return begin_blank(cursor, first);
        if (!priv->trailer && !take_whole_lines(cursor))
                return false;
        if (cursor->at == cursor->end || is_blank(cursor->base[cursor->at]) ||
            is_eol(cursor->base[cursor->at]))
                return true;
        parser->state = HTTP1_NAME;
        return http1_head_name(cursor) && take_value(cursor);
}

bool http1_head_line(struct http1_cursor *cursor)
{
        do {
                if (!take_line(cursor))
                        return false;
        } while (cursor->parser->state == HTTP1_LINE && cursor->at < cursor->end);
        return true;
}

bool http1_head_blank(struct http1_cursor *cursor)
{
        struct http1 *parser = cursor->parser;
        bool cr = cursor->base[cursor->at] == '\r';

        http1_take(cursor, 1);
        if (cr && parser->state == HTTP1_BLANK) {
                parser->state = HTTP1_BLANK_LF;
                if (cursor->at == cursor->end)
                        return true;
                http1_take(cursor, 1);
        }
        if (cursor->base[cursor->at - 1] != '\n')
                return false;
        if (http1_priv(parser)->trailer)
                http1_message_done(cursor);
        else
                http1_head_done(cursor);
        return true;
}
