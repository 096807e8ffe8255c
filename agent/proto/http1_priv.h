/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the HTTP/1 parser share; nobody else includes it.
 *
 * http1.c drives and reads bodies, http1_head.c reads start lines and finds field lines,
 * http1_value.c knows the fields and reads their values. A step takes what it can of the bytes and
 * returns; whatever a later byte may need is in struct http1_priv, so that any split gives the same.
 */
#include "agent/proto/http1.h"

#define HTTP1_WORD_MAX 32

enum http1_state {
        HTTP1_IDLE,
        HTTP1_IDLE_LF, /* an empty line before a request: its LF is due */
        /* From here to HTTP1_BLANK_LF: heads and trailers, held to LIMIT_HTTP_HEAD. */
        HTTP1_METHOD_WORD,
        HTTP1_TARGET_RUN,
        HTTP1_VERSION,
        HTTP1_START_END, /* after the version or the status code */
        HTTP1_LINE,      /* at the first byte of a line */
        HTTP1_NAME,
        HTTP1_VALUE_SKIP,
        HTTP1_VALUE_TEXT,
        HTTP1_VALUE_LIST,
        HTTP1_BLANK,
        HTTP1_BLANK_LF,
        /* Bodies. */
        HTTP1_LENGTH,
        HTTP1_UNTIL_CLOSE,
        HTTP1_CHUNK_SIZE,
        HTTP1_CHUNK_PAD, /* blanks between the size and what follows it */
        HTTP1_CHUNK_EXT,
        HTTP1_CHUNK_DATA,
        HTTP1_CHUNK_DATA_END,
        HTTP1_END, /* the end is still to be told: needs no byte */
        HTTP1_STATES
};

/* The parser's private memory; begins anew with each message. */
struct http1_priv {
        char word[HTTP1_WORD_MAX]; /* a name or list element that is cut by the end of the bytes */
        uint32_t word_len;         /* its length; beyond HTTP1_WORD_MAX only counted */
        uint32_t line_len;         /* chunk lines: bytes so far */
        uint8_t pattern_at;        /* version and status: bytes matched */
        bool complete;             /* the message is: nothing was begun after it */
        bool head_request;         /* the response answers HEAD */
        bool connect_request;      /* the response answers CONNECT */
        bool cr;                   /* the byte before was a CR that must begin a line's end */
        bool started;              /* the value's (target's) first byte was seen */
        bool gap;                  /* a blank was seen after the element's first bytes */
        bool join;                 /* the text goes on in another field: a comma comes first */
        bool open;                 /* a field line may be continued */
        bool trailer;
        bool length_seen;
        bool coding_seen;
        bool chunked; /* the last transfer coding is chunked */
        bool close;   /* Connection: close */
        bool persist; /* Connection: keep-alive */
};

_Static_assert(sizeof(struct http1_priv) <= sizeof(((struct http1 *)0)->priv), "private memory too small");
_Static_assert(offsetof(struct http1, priv) % _Alignof(struct http1_priv) == 0, "private memory misaligned");

/* One call of http1_feed(). */
struct http1_cursor {
        struct http1 *parser;
        const struct http1_sink *sink;
        const char *base;
        size_t at;  /* next byte */
        size_t len; /* as given */
        size_t end; /* the step may read up to here */
        bool stop;  /* the sink said so */
};

static inline struct http1_priv *http1_priv(struct http1 *parser)
{
        return (struct http1_priv *)parser->priv;
}

static inline struct slice http1_rest(const struct http1_cursor *cursor)
{
        return slice_make(cursor->base + cursor->at, cursor->end - cursor->at);
}

/* @n bytes of a head are done. */
static inline void http1_take(struct http1_cursor *cursor, size_t n)
{
        cursor->at += n;
        cursor->parser->head_len += (uint32_t)n;
}

/*
 * Steps: take bytes (at least one is there), move to the next state. Context: signal.
 * Return: false when the parser is lost.
 */
bool http1_head_method(struct http1_cursor *cursor);
bool http1_head_target(struct http1_cursor *cursor);
bool http1_head_version(struct http1_cursor *cursor);
bool http1_head_start_end(struct http1_cursor *cursor);
bool http1_head_line(struct http1_cursor *cursor);
bool http1_head_name(struct http1_cursor *cursor);
bool http1_head_blank(struct http1_cursor *cursor);
bool http1_value_skip(struct http1_cursor *cursor);
bool http1_value_text(struct http1_cursor *cursor);
bool http1_value_list(struct http1_cursor *cursor);

/*
 * For each length of a name: the third letters of fields that matter, as bits (letters of either case
 * have the same low five bits). The first ones would not tell x-forwarded-... from all the others.
 */
#define HTTP1_NAME_MAX 17
extern const uint32_t http1_value_letters[HTTP1_NAME_MAX + 1];

/* Quick: can it be the name of a field that matters? False is certain. At least three bytes are readable. */
static inline bool http1_value_may_matter(struct slice name)
{
        return name.len <= HTTP1_NAME_MAX && http1_value_letters[name.len] >> (name.p[2] & 31) & 1;
}

/* A field line without its end; @value stands @at bytes behind the head's first byte. Return: false when it
 * is not acceptable. */
bool http1_value_whole(struct http1 *parser, struct slice name, struct slice value, size_t at);

/* A field line whose name is complete; the value comes next. */
void http1_value_begin(struct http1 *parser, struct slice name);

/* The line goes on after a line's end (obsolete folding). */
void http1_value_fold(struct http1 *parser);

/* The field line is complete. Return: false when its value is not acceptable. */
bool http1_value_end(struct http1 *parser);

/* A text of the start line, whole or piece by piece between begin and end. */
void http1_text_begin(struct http1 *parser, enum http1_text which);
void http1_text_add(struct http1 *parser, enum http1_text which, struct slice bytes);
void http1_text_end(struct http1 *parser, enum http1_text which);

/* The line ends with the LF that is @n bytes on. Return: false where a line cannot end so. */
bool http1_line_end(struct http1_cursor *cursor, size_t n);

/* After a request's head all its lines end as the head's did; responses are taken as they come. */
static inline bool http1_eol_fits(const struct http1 *parser, bool crlf)
{
        return !parser->head.request || parser->head.eol_lf == !crlf;
}

/* Is the character one of a token? (RFC 9110 section 5.6.2) */
extern const bool http1_token[256];

/* Are all of @bytes at least @least, or @also, and none DEL? */
bool http1_all_fit(struct slice bytes, unsigned char least, unsigned char also);

/* Part of a name or list element that goes on beyond these bytes. */
void http1_word_add(struct http1_priv *priv, struct slice bytes);

/* The head is complete, or (in trailers) the message. Moves to the body and tells. */
void http1_head_done(struct http1_cursor *cursor);
void http1_message_done(struct http1_cursor *cursor);
