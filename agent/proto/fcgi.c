/* SPDX-License-Identifier: Apache-2.0 */
/* The FastCGI parser's drive: records, requests that are open, first guesses. */
#include "agent/base/load.h"
#include "agent/proto/fcgi_priv.h"

#define FIXED_CONTENT 8 /* of the records that have a fixed length */
#define HEADER_KNOWN  6 /* bytes of a header after which all but the padding is known */
#define ANY_CONTENT   (-1)
#define KEEP_CONN     1

enum fcgi_state {
        FCGI_HEADER,
        FCGI_FIXED, /* content that is kept */
        FCGI_PAIRS,
        FCGI_REPLY_HEAD,
        FCGI_PASS, /* content that is counted */
        FCGI_PADDING,
        FCGI_TELL_END, /* an end is still to be told: needs no byte */
        FCGI_STATES
};

/* Return: false when the parser is lost. */
typedef bool (*record_fn)(struct fcgi_cursor *cursor);

struct record_row {
        record_fn known;    /* its header is, but for the padding */
        record_fn complete; /* its last byte was read */
        int16_t content;    /* bytes of content, or ANY_CONTENT */
        uint8_t state;      /* how content is read */
        uint8_t side;       /* enum fcgi_side */
        bool management;    /* id is 0 */
        bool first;         /* may be a direction's first record */
};

void fcgi_init(struct fcgi *parser, enum fcgi_side side)
{
        memset(parser, 0, sizeof(*parser));
        parser->side = side;
        parser->state = FCGI_HEADER;
}

static struct fcgi_open *find_open(struct fcgi *parser, uint16_t id)
{
        for (uint32_t i = 0; i < parser->open_count; i++)
                if (parser->open[i].id == id)
                        return &parser->open[i];
        return NULL;
}

static void remove_open(struct fcgi *parser, struct fcgi_open *open)
{
        *open = parser->open[--parser->open_count];
}

static bool known_begin(struct fcgi_cursor *cursor)
{
        return !cursor->parser->head_open;
}

static bool complete_begin(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        uint16_t role = load_be16(parser->fixed), max = 0;
        struct fcgi_open *open = find_open(parser, parser->id);
        char *text = NULL;

        if (role < FCGI_RESPONDER || role > FCGI_FILTER)
                return false;
        if (!open && parser->open_count == LIMIT_FCGI_REQUESTS)
                return false;
        if (!open)
                open = &parser->open[parser->open_count++];
        *open = (struct fcgi_open){parser->id, (uint8_t)role};
        parser->head = (struct fcgi_head){
                .id = parser->id,
                .role = (uint8_t)role,
                .keep_conn = parser->fixed[2] & KEEP_CONN,
                .begin_at = parser->record_at,
        };
        parser->pair = (struct fcgi_pair){.which = FCGI_TEXTS};
        parser->head_open = true;
        parser->params_len = 0;
        parser->text = NULL;
        parser->text_used = parser->text_max = 0;
        if (cursor->sink->begin)
                cursor->stop =
                        !cursor->sink->begin(cursor->sink->ctx, parser, parser->id, cursor->at, &text, &max);
        parser->text = text;
        parser->text_max = text ? max : 0;
        return true;
}

static bool known_params(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;

        if (!parser->head_open || parser->id != parser->head.id)
                return false;
        parser->params_len += parser->content_len;
        if (parser->content_len > 0)
                return parser->params_len <= LIMIT_FCGI_PARAMS;
        if (!fcgi_params_close(parser))
                return false;
        if (cursor->sink->params_end)
                cursor->stop =
                        !cursor->sink->params_end(cursor->sink->ctx, parser, parser->id, parser->record_at);
        return true;
}

static bool complete_params(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;

        if (parser->content_len > 0)
                return true;
        parser->head_open = false;
        if (parser->head.role == FCGI_AUTHORIZER)
                parser->state = FCGI_TELL_END;
        if (cursor->sink->head)
                cursor->stop = !cursor->sink->head(cursor->sink->ctx, parser, parser->id, cursor->at);
        return true;
}

/* The request's input is complete. */
static bool tell_end(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;

        parser->state = FCGI_HEADER;
        remove_open(parser, find_open(parser, parser->id));
        if (cursor->sink->end)
                cursor->stop = !cursor->sink->end(cursor->sink->ctx, parser, parser->id, cursor->at);
        return true;
}

/* Parameters come before any other input. */
static bool known_input(struct fcgi_cursor *cursor)
{
        const struct fcgi *parser = cursor->parser;

        return !parser->head_open || parser->id != parser->head.id;
}

/* The last stream of each role ends its requests. */
static bool complete_input(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        const struct fcgi_open *open = find_open(parser, parser->id);
        enum fcgi_type last = open && open->role == FCGI_FILTER ? FCGI_DATA : FCGI_STDIN;

        return !open || parser->content_len > 0 || parser->type != last || tell_end(cursor);
}

static bool complete_abort(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        struct fcgi_open *open = find_open(parser, parser->id);

        if (!open)
                return true;
        remove_open(parser, open);
        if (parser->id == parser->head.id)
                parser->head_open = false;
        if (cursor->sink->aborted)
                cursor->stop = !cursor->sink->aborted(cursor->sink->ctx, parser, parser->id, cursor->at);
        return true;
}

/* Return: the current record's reply, NULL when it is not of interest. */
static struct fcgi_reply *ask_reply(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;

        if (!cursor->reply && cursor->sink->reply)
                cursor->reply = cursor->sink->reply(cursor->sink->ctx, parser, parser->id);
        return cursor->reply;
}

static bool known_stderr(struct fcgi_cursor *cursor)
{
        uint16_t len = cursor->parser->content_len;
        struct fcgi_reply *reply = len ? ask_reply(cursor) : NULL;

        if (reply)
                reply->stderr_len += len;
        return true;
}

static bool complete_response(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        uint32_t app_status = (uint32_t)load_be16(parser->fixed) << 16 | load_be16(parser->fixed + 2);

        if (cursor->sink->answered)
                cursor->stop = !cursor->sink->answered(cursor->sink->ctx, parser, parser->id, cursor->at,
                                                       app_status, parser->fixed[4]);
        return true;
}

static const struct record_row records[FCGI_TYPES] = {
        [FCGI_BEGIN_REQUEST] = {known_begin, complete_begin, FIXED_CONTENT, FCGI_FIXED, FCGI_REQUESTS, false,
                                true},
        [FCGI_ABORT_REQUEST] = {NULL, complete_abort, ANY_CONTENT, FCGI_PASS, FCGI_REQUESTS, false, false},
        [FCGI_END_REQUEST] = {NULL, complete_response, FIXED_CONTENT, FCGI_FIXED, FCGI_RESPONSES, false,
                              true},
        [FCGI_PARAMS] = {known_params, complete_params, ANY_CONTENT, FCGI_PAIRS, FCGI_REQUESTS, false, false},
        [FCGI_STDIN] = {known_input, complete_input, ANY_CONTENT, FCGI_PASS, FCGI_REQUESTS, false, false},
        [FCGI_STDOUT] = {NULL, NULL, ANY_CONTENT, FCGI_REPLY_HEAD, FCGI_RESPONSES, false, true},
        [FCGI_STDERR] = {known_stderr, NULL, ANY_CONTENT, FCGI_PASS, FCGI_RESPONSES, false, true},
        [FCGI_DATA] = {known_input, complete_input, ANY_CONTENT, FCGI_PASS, FCGI_REQUESTS, false, false},
        [FCGI_GET_VALUES] = {NULL, NULL, ANY_CONTENT, FCGI_PASS, FCGI_REQUESTS, true, true},
        [FCGI_GET_VALUES_RESULT] = {NULL, NULL, ANY_CONTENT, FCGI_PASS, FCGI_RESPONSES, true, true},
        [FCGI_UNKNOWN_TYPE] = {NULL, NULL, FIXED_CONTENT, FCGI_FIXED, FCGI_RESPONSES, true, true},
};

/* The row of a header's first bytes, as far as they are there; NULL: it is none of this direction's. */
static const struct record_row *find_row(const uint8_t *header, size_t len, enum fcgi_side side)
{
        const struct record_row *row;

        if (header[0] != FCGI_VERSION || header[1] == 0 || header[1] >= FCGI_TYPES)
                return NULL;
        row = &records[header[1]];
        if (row->side != side)
                return NULL;
        if (len >= 4 && (load_be16(header + 2) == 0) != row->management)
                return NULL;
        if (len >= HEADER_KNOWN && row->content != ANY_CONTENT && load_be16(header + 4) != row->content)
                return NULL;
        return row;
}

static bool record_complete(struct fcgi_cursor *cursor)
{
        const struct record_row *row = &records[cursor->parser->type];

        cursor->parser->state = FCGI_HEADER;
        cursor->parser->have = 0;
        cursor->reply = NULL;
        return !row->complete || row->complete(cursor);
}

static bool content_complete(struct fcgi_cursor *cursor)
{
        if (cursor->parser->padding_left == 0)
                return record_complete(cursor);
        cursor->parser->state = FCGI_PADDING;
        return true;
}

static bool header_known(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        const struct record_row *row = find_row(parser->fixed, parser->have, parser->side);

        if (!row)
                return false;
        parser->type = parser->fixed[1];
        parser->id = load_be16(parser->fixed + 2);
        parser->content_len = parser->content_left = load_be16(parser->fixed + 4);
        return !row->known || row->known(cursor);
}

static bool header_complete(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;

        parser->padding_left = parser->fixed[6];
        parser->have = 0;
        parser->state = records[parser->type].state;
        return parser->content_left > 0 || content_complete(cursor);
}

static bool take_header(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        size_t left = cursor->len - cursor->at;
        size_t n = (parser->have < HEADER_KNOWN ? HEADER_KNOWN : FCGI_HEADER_LEN) - (size_t)parser->have;

        if (parser->have == 0)
                parser->record_at = parser->position + cursor->at;
        n = MIN(n, left);
        memcpy(parser->fixed + parser->have, cursor->base + cursor->at, n);
        parser->have = (uint8_t)(parser->have + n);
        cursor->at += n;
        if (parser->have == HEADER_KNOWN)
                return header_known(cursor);
        return parser->have < FCGI_HEADER_LEN || header_complete(cursor);
}

static bool take_fixed(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        struct slice bytes = fcgi_content(cursor);

        memcpy(parser->fixed + parser->have, bytes.p, bytes.len);
        parser->have = (uint8_t)(parser->have + bytes.len);
        fcgi_take(cursor, bytes.len);
        return parser->content_left > 0 || content_complete(cursor);
}

static bool take_pairs(struct fcgi_cursor *cursor)
{
        if (!fcgi_params_take(cursor))
                return false;
        return cursor->parser->content_left > 0 || content_complete(cursor);
}

/* From where nothing of the content matters any more. */
static bool pass_on(struct fcgi_cursor *cursor)
{
        cursor->parser->state = FCGI_PASS;
        return cursor->parser->content_left > 0 || content_complete(cursor);
}

static bool take_reply(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        struct fcgi_reply *reply = ask_reply(cursor);
        size_t at;

        if (!reply || reply->done)
                return pass_on(cursor);
        fcgi_take(cursor, fcgi_reply_read(reply, fcgi_content(cursor)));
        if (!reply->done)
                return parser->content_left > 0 || content_complete(cursor);
        at = cursor->at;
        if (cursor->sink->status)
                cursor->stop = !cursor->sink->status(cursor->sink->ctx, parser, parser->id, at, reply);
        return pass_on(cursor);
}

static bool take_content(struct fcgi_cursor *cursor)
{
        fcgi_take(cursor, fcgi_content(cursor).len);
        return cursor->parser->content_left > 0 || content_complete(cursor);
}

static bool take_padding(struct fcgi_cursor *cursor)
{
        struct fcgi *parser = cursor->parser;
        size_t left = cursor->len - cursor->at, n = MIN(left, (size_t)parser->padding_left);

        cursor->at += n;
        parser->padding_left = (uint8_t)(parser->padding_left - n);
        return parser->padding_left > 0 || record_complete(cursor);
}

static const record_fn steps[FCGI_STATES] = {
        [FCGI_HEADER] = take_header,    [FCGI_FIXED] = take_fixed,  [FCGI_PAIRS] = take_pairs,
        [FCGI_REPLY_HEAD] = take_reply, [FCGI_PASS] = take_content, [FCGI_PADDING] = take_padding,
        [FCGI_TELL_END] = tell_end,
};

long fcgi_feed(struct fcgi *parser, struct slice bytes, const struct fcgi_sink *sink)
{
        struct fcgi_cursor cursor = {.parser = parser, .sink = sink, .base = bytes.p, .len = bytes.len};

        parser->sink = sink;
        while (!parser->lost && !cursor.stop && (cursor.at < cursor.len || parser->state == FCGI_TELL_END))
                if (!steps[parser->state](&cursor))
                        parser->lost = true;
        parser->position += cursor.at;
        return parser->lost ? PROTO_LOST : (long)cursor.at;
}

bool fcgi_skip(struct fcgi *parser, uint64_t n, const struct fcgi_sink *sink)
{
        struct fcgi_cursor cursor = {.parser = parser, .sink = sink, .at = (size_t)n};
        uint64_t content = MIN(n, (uint64_t)parser->content_left);

        if (n == 0 || parser->lost)
                return !parser->lost;
        if (n > fcgi_body_left(parser)) {
                parser->lost = true;
                return false;
        }
        parser->content_left = (uint16_t)(parser->content_left - content);
        parser->padding_left = (uint8_t)(parser->padding_left - (n - content));
        if (parser->content_left == 0)
                parser->lost = !content_complete(&cursor);
        parser->position += n;
        return !parser->lost;
}

/* Does a record of that kind end without anybody having to look at it? */
static bool passes(enum fcgi_state kind)
{
        return kind == FCGI_PASS || kind == FCGI_REPLY_HEAD;
}

uint64_t fcgi_body_left(const struct fcgi *parser)
{
        bool body = parser->state == FCGI_PADDING && passes(records[parser->type].state);

        if (parser->lost || (parser->state != FCGI_PASS && !body))
                return 0;
        return (uint64_t)parser->content_left + parser->padding_left;
}

bool fcgi_busy(const struct fcgi *parser)
{
        return parser->state != FCGI_HEADER || parser->have > 0 || parser->open_count > 0;
}

/* What a header alone does not prove. */
static enum proto_guess guess_begin(struct slice content)
{
        if (content.len < 2)
                return PROTO_MAYBE;
        return content.p[0] == 0 && content.p[1] >= FCGI_RESPONDER && content.p[1] <= FCGI_FILTER ? PROTO_YES
                                                                                                  : PROTO_NO;
}

/* A name, its value empty: all that the standard has begin alike. */
static enum proto_guess guess_values(struct slice content)
{
        static const char prefix[] = "FCGI_";
        size_t n = 2 + sizeof(prefix) - 1;

        if (content.len >= 1 && (content.p[0] & 0x80 || (size_t)content.p[0] < sizeof(prefix) - 1))
                return PROTO_NO;
        if (content.len >= 2 && content.p[1] != 0)
                return PROTO_NO;
        for (size_t i = 2; i < content.len && i < n; i++)
                if (content.p[i] != prefix[i - 2])
                        return PROTO_NO;
        return content.len < n ? PROTO_MAYBE : PROTO_YES;
}

enum proto_guess fcgi_guess(struct slice first, enum fcgi_side side)
{
        const uint8_t *header = (const uint8_t *)first.p;
        const struct record_row *row;
        struct slice content = slice_from(first, FCGI_HEADER_LEN);

        if (first.len < 2)
                return first.len == 1 && header[0] != FCGI_VERSION ? PROTO_NO : PROTO_MAYBE;
        row = find_row(header, first.len, side);
        if (!row || !row->first)
                return PROTO_NO;
        if (first.len < HEADER_KNOWN)
                return PROTO_MAYBE;
        if (side == FCGI_RESPONSES)
                return PROTO_YES;
        return header[1] == FCGI_BEGIN_REQUEST ? guess_begin(content) : guess_values(content);
}
