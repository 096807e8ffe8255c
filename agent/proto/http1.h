/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP/1.0 and 1.1 (RFC 9112), incremental, one direction per parser.
 *
 * Requests and responses share the machine: start line, field lines, blank line, body by its
 * framing, next message. Texts of interest are captured into a buffer that the sink supplies per
 * message; the parser remembers only offsets, so copying the struct takes a snapshot and assigning
 * it back rewinds (the same bytes fed again land in the same places).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/limits.h"
#include "agent/base/slice.h"
#include "agent/proto/proto.h"

/* Texts captured from a head, in the message's text buffer. */
enum http1_text {
        HTTP1_METHOD,
        HTTP1_TARGET,
        HTTP1_HOST,
        HTTP1_TRACEPARENT, /* captured with 'present' even where the value has no room */
        HTTP1_TRACESTATE,
        HTTP1_USER_AGENT,
        HTTP1_BAGGAGE,
        HTTP1_FORWARDED,
        HTTP1_X_FORWARDED_FOR,
        HTTP1_X_FORWARDED_PROTO,
        HTTP1_X_FORWARDED_HOST,
        HTTP1_HTTP2_SETTINGS,
        HTTP1_TEXTS
};

struct http1_span {
        uint16_t at, len;
        bool present;
        bool cut; /* did not fit: must not be used as a value. Of a target the first bytes are there. */
};

/* How a message's body ends (RFC 9112 section 6.3). */
enum http1_body {
        HTTP1_BODY_NONE,
        HTTP1_BODY_LENGTH,
        HTTP1_BODY_CHUNKED,
        HTTP1_BODY_CLOSE,  /* responses: until the connection ends */
        HTTP1_BODY_TUNNEL, /* 101, or 2xx to CONNECT: no HTTP any more on this connection; what follows is
                            * passed over, and ends with it */
};

/* Offsets from the head's first byte; both 0: nowhere. */
struct http1_place {
        uint32_t from, end;
};

struct http1_head {
        bool request;
        uint8_t minor;   /* HTTP/1.minor: 0 or 1 */
        uint16_t status; /* responses */
        bool keep_alive; /* the connection persists after this message (RFC 9112 section 9.3) */
        bool h2c;        /* Upgrade names HTTP/2 in clear text */
        bool expect_continue;
        bool connect; /* the request's method is CONNECT */
        bool eol_lf;  /* the head's last line ended with LF alone: added lines must as well */
        enum http1_body body;
        uint64_t content_length;    /* HTTP1_BODY_LENGTH */
        uint16_t traceparent_count; /* context headers seen: traceparent (any case) */
        uint16_t tracestate_count;
        struct http1_place traceparent,
                tracestate; /* of the only one's value, without the blanks around it */
        struct http1_span text[HTTP1_TEXTS];
};

enum http1_role { HTTP1_REQUESTS, HTTP1_RESPONSES };

struct http1_sink;

struct http1 {
        enum http1_role role;
        uint8_t state; /* private */
        uint8_t field; /* private: which field the current line is */
        bool lost;
        uint32_t head_len;  /* bytes of the current head so far (and of trailers, later) */
        uint16_t text_used; /* bytes of the text buffer used */
        uint16_t text_max;
        uint64_t body_left;     /* private */
        char *text;             /* the current message's buffer, from the sink; NULL: capture nothing */
        struct http1_head head; /* of the current message */
        const struct http1_sink *sink; /* private: of the call under way */
        uint8_t priv[80];              /* private: line matching */
};

/*
 * Calls back in stream order. @at is the offset, in the slice being fed, of the byte after the
 * event's last byte (for begin: of the message's first byte; for blank: of the blank line's first
 * byte). A NULL member is not called.
 */
struct http1_sink {
        /* A message's first byte: give it a text buffer (or *ret_max = 0), return false to stop. For
         * responses: also say whether the request was HEAD or CONNECT by setting the two flags. */
        bool (*begin)(void *ctx, struct http1 *parser, size_t at, char **ret_text, uint16_t *ret_max,
                      bool *ret_head_request, bool *ret_connect_request);
        /* The blank line is about to begin: everything of the head is known; lines may be added at @at. */
        bool (*blank)(void *ctx, struct http1 *parser, size_t at);
        /* The head is complete. 1xx heads other than 101 are whole messages: no end follows. */
        bool (*head)(void *ctx, struct http1 *parser, size_t at);
        /* The message is complete; the next byte begins another one. */
        bool (*end)(void *ctx, struct http1 *parser, size_t at);
        void *ctx;
        /* The text buffer has no room for @need bytes in all: put text and text_max of a larger one into the
         * parser, with the first text_used bytes of the old one in it; or return false: a text is cut. */
        bool (*grow)(void *ctx, struct http1 *parser, size_t need);
};

/* Context: signal (all of these). */
void http1_init(struct http1 *parser, enum http1_role role);

/* Can these be the first bytes of a request (role REQUESTS) or a status line (RESPONSES)? */
enum proto_guess http1_guess(struct slice first, enum http1_role role);

/**
 * http1_feed() - the next bytes of the direction
 *
 * A blank-line CR is told to @sink as soon as it is seen, before its LF. Obsolete line folding is
 * understood. Both CRLF and LF end a line. Requests with both Content-Length and Transfer-Encoding,
 * with several differing Content-Lengths, with a Transfer-Encoding that does not end in chunked, and
 * heads over LIMIT_HTTP_HEAD are lost (RFC 9112 section 6.1: too dangerous to guess), and so are those
 * whose blank line does not end as the line before it (a line added there could end the head). Of
 * several fields of one name the first is captured; of tracestate, baggage, Forwarded and X-Forwarded-For
 * all are, with ',' between them.
 *
 * Return: bytes consumed, or PROTO_LOST. After a sink callback returned false: the bytes consumed up
 * to and including that event (feed again with the rest, even if it is empty: an end that follows a head
 * without body is told then).
 */
long http1_feed(struct http1 *parser, struct slice bytes, const struct http1_sink *sink);

/**
 * http1_skip() - @n bytes of the direction went by unseen (sendfile, splice, MSG_TRUNC)
 *
 * Return: true when they lie inside a body of known or close-delimited length (end is told to the sink
 * when it is reached), false: the parser is lost.
 */
bool http1_skip(struct http1 *parser, uint64_t n, const struct http1_sink *sink);

/* Bytes of the current body that can pass without the parser (0 outside of a body of known length). */
uint64_t http1_body_left(const struct http1 *parser);

/* The stream ended. Return: true when the last message was complete or is complete by the end
 * (close-delimited: end is told to the sink); false: cut off in mid-message, or no message was begun. */
bool http1_eof(struct http1 *parser, const struct http1_sink *sink);

/* True in mid-message (first byte seen, end not yet). */
bool http1_busy(const struct http1 *parser);

/* The first bytes of a request, as long as they are part of its method; else empty. Borrowed. */
struct slice http1_begun(struct http1 *parser);

/* True when a new parser would do as well: nothing of the next message was seen, and nothing is wrong. */
bool http1_fresh(const struct http1 *parser);

/* A captured text, or an empty slice when absent or cut. */
static inline struct slice http1_text_get(const struct http1 *parser, enum http1_text which)
{
        const struct http1_span *span = &parser->head.text[which];

        if (!parser->text || !span->present || span->cut)
                return SLICE_NULL;
        return slice_make(parser->text + span->at, span->len);
}
