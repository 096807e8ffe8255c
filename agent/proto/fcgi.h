/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * FastCGI 1.0, incremental, one direction per parser: what the web server sends (requests) and what
 * the application answers (responses), multiplexed or not.
 *
 * As in http1.h the parser is plain data: copying the struct takes a snapshot, assigning it back
 * rewinds (the same bytes fed again land in the same places). Parameters of interest are captured into
 * a buffer that the sink supplies per request; what is known of a response's head lives in a struct
 * fcgi_reply per request, which is the sink's: who rewinds a parser of responses puts those back as well
 * (see fcgi_sink.reply).
 *
 * Requests of one connection may be under way together, but their parameters come one request after
 * the other: a BEGIN_REQUEST before the last one's parameters are complete, and PARAMS of any other
 * request than that, are lost. So are records of unknown type or of the other direction, and any
 * version but 1.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/limits.h"
#include "agent/base/slice.h"
#include "agent/proto/http1.h" /* spans, so that an exchange keeps the texts of both alike */
#include "agent/proto/proto.h"

#define FCGI_HEADER_LEN  8
#define FCGI_CONTENT_MAX 65535 /* bytes of one record's content */

enum fcgi_side { FCGI_REQUESTS, FCGI_RESPONSES };

enum fcgi_role { FCGI_RESPONDER = 1, FCGI_AUTHORIZER, FCGI_FILTER };

/* Of an END_REQUEST: other than complete means that the application refused the request. */
enum fcgi_outcome { FCGI_REQUEST_COMPLETE, FCGI_CANT_MPX_CONN, FCGI_OVERLOADED, FCGI_UNKNOWN_ROLE };

/* Parameters captured from a request, in its text buffer. Of several with one name the first; of
 * HTTP_TRACEPARENT the last, as applications do; of HTTP_TRACESTATE and HTTP_BAGGAGE all, with ',' between.
 */
enum fcgi_text {
        FCGI_REQUEST_METHOD,
        FCGI_REQUEST_URI, /* where it is absent: SCRIPT_NAME PATH_INFO ? QUERY_STRING, see head.composed */
        FCGI_SCRIPT_NAME,
        FCGI_PATH_INFO,
        FCGI_QUERY_STRING,
        FCGI_SERVER_NAME,
        FCGI_SERVER_PORT,
        FCGI_SERVER_PROTOCOL,
        FCGI_REQUEST_SCHEME,
        FCGI_HTTPS,
        FCGI_REMOTE_ADDR,
        FCGI_REMOTE_PORT,
        FCGI_HTTP_HOST,
        FCGI_HTTP_USER_AGENT,
        FCGI_HTTP_TRACEPARENT,
        FCGI_HTTP_TRACESTATE,
        FCGI_HTTP_BAGGAGE,
        FCGI_HTTP_FORWARDED,
        FCGI_HTTP_X_FORWARDED_FOR,
        FCGI_HTTP_X_FORWARDED_PROTO,
        FCGI_HTTP_X_FORWARDED_HOST,
        FCGI_TEXTS
};

#define FCGI_NAME_MAX 22 /* the longest of their names */

struct fcgi_place {
        uint64_t at; /* of its first byte */
        bool whole;  /* it lies unbroken inside one record */
};

/* Positions count the bytes of the direction from the first one on; see fcgi.position. */
struct fcgi_head {
        uint16_t id;
        uint8_t role; /* enum fcgi_role */
        bool keep_conn;
        bool composed;               /* the text of REQUEST_URI was put together from others */
        uint16_t traceparent_count;  /* HTTP_TRACEPARENT parameters of the last record with any: they replace
                                        ... */
        uint64_t traceparent_record; /* ... those of earlier ones. Where it begins */
        uint16_t tracestate_count;
        struct fcgi_place traceparent,
                tracestate; /* of the last one's value (an empty one: after its name) */
        uint64_t begin_at;  /* of the BEGIN_REQUEST record */
        /* Cut: has no room, or holds control characters. */
        struct http1_span text[FCGI_TEXTS];
};

/* What is known of one response; zeroed by its owner when the request begins. */
struct fcgi_reply {
        uint16_t status; /* when done; 0: the head does not say it in a way that we understand */
        bool done;       /* the CGI head is complete */
        uint64_t stderr_len;
        uint32_t head_len;            /* private, as all below */
        uint16_t number;              /* Status, so far */
        uint16_t stated;              /* Status, complete */
        uint8_t step, field, matched; /* where in which line */
        bool location, odd;           /* a Location was seen; a line was not understood */
};

/* A request whose input is not complete. */
struct fcgi_open {
        uint16_t id;
        uint8_t role;
};

/* The name-value pair that is being read; private. */
struct fcgi_pair {
        uint8_t step;
        uint8_t length_have, name_have;
        uint8_t which; /* enum fcgi_text of the value that is being read; FCGI_TEXTS: of none */
        uint8_t length[4];
        bool begun; /* the value's first byte was seen */
        uint32_t name_len, name_left, value_len, value_left;
        char name[FCGI_NAME_MAX];
};

struct fcgi {
        enum fcgi_side side;
        uint8_t state; /* private */
        bool lost;
        uint64_t position; /* of the first byte of the bytes being fed; between feeds: of the next byte */

        /* The current record; private. */
        uint64_t record_at;
        uint8_t type, have, padding_left;
        uint16_t id, content_len, content_left;
        uint8_t fixed[FCGI_HEADER_LEN]; /* its header, then its content where that has a fixed length */

        /* Requests. */
        bool head_open;     /* parameters are not complete */
        uint16_t text_used; /* bytes of the text buffer that are taken */
        uint16_t text_max;
        uint32_t params_len;   /* bytes of parameters so far */
        char *text;            /* the head's buffer, from the sink; NULL: capture nothing */
        struct fcgi_head head; /* of the request begun last */
        struct fcgi_pair pair;
        const struct fcgi_sink *sink; /* private: of the call under way */
        uint32_t open_count;
        struct fcgi_open open[LIMIT_FCGI_REQUESTS];
};

/*
 * Calls back in stream order. @at is the offset, in the slice being fed, of the byte after the record
 * that made the event (its padding included), but where something else is said. @id is the request's.
 * Return false to stop. A NULL member is not called.
 */
struct fcgi_sink {
        /* Requests: one begins: parser->head says role and keep_conn. Give it a text buffer (or leave
         * *ret_max 0). When a request of that id is still open, it was answered before its input was
         * complete, and no end of it will be told: the sink knows whether that is so. */
        bool (*begin)(void *ctx, struct fcgi *parser, uint16_t id, size_t at, char **ret_text,
                      uint16_t *ret_max);
        /* The empty PARAMS record is about to begin: all parameters are known; one more record of them may
         * be added at @position, that of its header's first byte (which may have been in an earlier feed). */
        bool (*params_end)(void *ctx, struct fcgi *parser, uint16_t id, uint64_t position);
        /* The empty PARAMS record is complete. */
        bool (*head)(void *ctx, struct fcgi *parser, uint16_t id, size_t at);
        /* The request is complete: the empty STDIN record is (filters: DATA; authorizers have neither). */
        bool (*end)(void *ctx, struct fcgi *parser, uint16_t id, size_t at);
        /* ABORT_REQUEST, before the request was complete: no end follows. */
        bool (*aborted)(void *ctx, struct fcgi *parser, uint16_t id, size_t at);

        /* Responses: the reply of that request, borrowed until the next call or the feed's end; NULL: not of
         * interest. Asked for each STDOUT and STDERR record, and again in each feed that goes on with one,
         * always before the first change of it: the moment to keep a copy. */
        struct fcgi_reply *(*reply)(void *ctx, struct fcgi *parser, uint16_t id);
        /* The CGI head is complete; @at is the offset of the byte after its blank line. */
        bool (*status)(void *ctx, struct fcgi *parser, uint16_t id, size_t at,
                       const struct fcgi_reply *reply);
        /* END_REQUEST: the response is complete, its head perhaps not. @outcome: enum fcgi_outcome. */
        bool (*answered)(void *ctx, struct fcgi *parser, uint16_t id, size_t at, uint32_t app_status,
                         uint8_t outcome);
        void *ctx;
        /* As that of http1_sink. */
        bool (*grow)(void *ctx, struct fcgi *parser, size_t need);
};

/* Context: signal (all of these). */
void fcgi_init(struct fcgi *parser, enum fcgi_side side);

/* Can these be the first bytes of a direction? */
enum proto_guess fcgi_guess(struct slice first, enum fcgi_side side);

/**
 * fcgi_feed() - the next bytes of the direction
 *
 * Lost, beyond what is said above: lengths of fixed records that are not theirs, unknown roles, a pair that
 * goes on after its stream's end, parameters over LIMIT_FCGI_PARAMS, and more than LIMIT_FCGI_REQUESTS
 * requests with incomplete input. STDIN, DATA and ABORT_REQUEST of requests that are not open are passed
 * over, as the application does. A CGI head over LIMIT_FCGI_REPLY_HEAD has status 0.
 *
 * Return: bytes consumed, or PROTO_LOST. After a sink callback returned false: the bytes consumed up
 * to that event (feed again with the rest, even if it is empty: an authorizer's end is told then).
 */
long fcgi_feed(struct fcgi *parser, struct slice bytes, const struct fcgi_sink *sink);

/**
 * fcgi_skip() - @n bytes of the direction went by unseen (sendfile, splice, MSG_TRUNC)
 *
 * Return: true when they lie inside what fcgi_body_left() says, false: the parser is lost.
 */
bool fcgi_skip(struct fcgi *parser, uint64_t n, const struct fcgi_sink *sink);

/* Bytes of the current record that can pass without the parser: 0 outside of bodies. Their passing never
 * makes a request begin, its parameters complete, or a response end. */
uint64_t fcgi_body_left(const struct fcgi *parser);

/* True in mid-record, and while a request's input is not complete. */
bool fcgi_busy(const struct fcgi *parser);

/* A name-value pair to be written. */
struct fcgi_param {
        struct slice name, value;
};

/**
 * fcgi_write_param_record() - compose one PARAMS record, padded to a multiple of eight bytes
 * @params: those with an empty value are left out
 *
 * Return: its length; 0 when it does not fit in @room or in one record, or when nothing is in it.
 */
size_t fcgi_write_param_record(char *out, size_t room, uint16_t id, const struct fcgi_param *params,
                               size_t count);

/* A captured text, or an empty slice when absent or cut. */
static inline struct slice fcgi_text_get(const struct fcgi *parser, enum fcgi_text which)
{
        const struct http1_span *span = &parser->head.text[which];

        if (!parser->text || !span->present || span->cut)
                return SLICE_NULL;
        return slice_make(parser->text + span->at, span->len);
}
