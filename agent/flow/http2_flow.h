/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP/2 connections of either role: requests in, and answers both ways (http2_flow.c); which streams are
 * open, and what each side tells the other (http2_streams.c). Requests out are http2_out.c's. The callers
 * hold the direction.
 *
 * A stream is an exchange. Whoever sees its request begin puts it among the open ones, whoever sees it
 * answered takes it out: two threads may do so at a time, one of each direction.
 */
#include "agent/flow/conn.h"

#define HTTP2_FLOW_SETTINGS 8 /* frames of settings that may wait for their ACK */

/* What one direction may send, as the other side tells it. */
struct http2_rules {
        _Atomic uint32_t frame_max;
        _Atomic uint32_t told; /* frames of settings so far ... */
        _Atomic uint32_t
                table[HTTP2_FLOW_SETTINGS]; /* ... and the table's size after each of the last ones */
};

/* What only connections of HTTP/2 need; from a slab of its own. */
struct http2_flow {
        uint32_t index;
        bool upgraded;            /* from HTTP/1, ... */
        struct http2_hello hello; /* ... and what the client said then */
        struct http2_rules rules_out, rules_in;
        _Atomic uint32_t given_up;                  /* streams that were since the answers' side looked */
        _Atomic uint64_t open[LIMIT_HTTP2_STREAMS]; /* private to http2_streams.c; 0: free */
        struct http2_memory memory_out, memory_in;
        struct http2_undo undo; /* of the direction that requests go out on */
};

/* --- http2_streams.c; Context: signal --- */

/* The first bytes of one direction are HTTP/2. Return: false when there is no room: it cannot be followed. */
bool http2_flow_begin(struct conn *conn);
/* More came after first bytes that may be HTTP/2's preface: if they are, the connection is one from here on.
 * Requests' side. */
void http2_flow_reconsider(struct conn *conn, struct direction *direction, struct slice bytes);
/* The oldest request was answered by going on as HTTP/2: it becomes a stream, which has its real answer still
 * to come. Answers' side. Return: false when it cannot be followed: nothing has changed. */
bool http2_flow_upgrade(struct conn *conn);
/* The direction's parser is one of HTTP/2 from here on, if it was not before. Return: false: it cannot be. */
bool http2_flow_ready(struct conn *conn, struct direction *direction);
/* Nobody uses it any more; NULL accepted. */
void http2_flow_free(struct http2_flow *flow);

/* A stream begins. Return: false when there are too many. */
bool http2_flow_put(struct http2_flow *flow, struct exchange *exchange);
/* The stream's exchange, or NULL. */
struct exchange *http2_flow_find(struct http2_flow *flow, uint32_t stream);
/* It is open no more. Return: false when it was not, or is somebody else's by now. */
bool http2_flow_take(struct http2_flow *flow, const struct exchange *exchange);
/* An open one at or behind *@at, which moves behind it; NULL: no more. */
struct exchange *http2_flow_next(struct http2_flow *flow, uint32_t *at);

/* Whoever asks wants the stream no more, for an error code of HTTP/2: the answers' side finds that out. */
void http2_flow_give_up(struct http2_flow *flow, uint32_t stream, uint32_t code);
/* Was it? Then *ret_code says why. */
bool http2_flow_is_given_up(struct http2_flow *flow, const struct exchange *exchange, uint32_t *ret_code);

/* A frame of settings is complete: it rules the other direction, ... */
bool http2_flow_told(struct conn *conn, const struct http2 *parser);
/* ... from the ACK that comes on that. Return: false: the connection is not understood. */
bool http2_flow_acked(struct conn *conn, struct http2 *parser);
/* Before bytes are fed: what the other side has said so far. */
void http2_flow_heed(struct conn *conn, struct http2 *parser);

/* How long a frame may be that goes out. */
uint32_t http2_flow_frame_max(const struct conn *conn);

/* What a request's head says, where an HTTP/1 head would say it. */
void http2_flow_texts(struct exchange *exchange, const struct http2 *parser);

/* --- http2_flow.c; Context: hook --- */

/* Requests came in on a server's connection. */
void http2_flow_requests(struct conn *conn, int fd, struct slice bytes, uint64_t now_ns);
void http2_flow_requests_unseen(struct conn *conn, uint64_t n);

/* Answers came in (client) or went out (server). */
void http2_flow_answers(struct conn *conn, struct slice bytes, uint64_t now_ns);
void http2_flow_answers_unseen(struct conn *conn, uint64_t n);

/* Whoever asks gives @stream up, with an error code of HTTP/2; on the requests' side. */
void http2_flow_reset(struct conn *conn, uint32_t stream, uint32_t code, uint64_t now_ns);
