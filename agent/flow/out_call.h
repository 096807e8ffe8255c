/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What stream_out.c and the protocols of outgoing requests share; nobody else includes it. Context: hook. */
#include "agent/flow/inject.h"
#include "agent/flow/stream.h"

/* One pass over the host's bytes of one outgoing call. */
struct out_call {
        struct out_plan *plan;
        size_t base; /* of the iovec being fed, in the host's bytes */
        uint64_t now_ns;
        bool again; /* second pass: meet the same requests, decide nothing */
};

/* A request begins (HTTP/2: on @stream): the exchange that it will be. Return: NULL: it cannot be traced. */
struct exchange *out_open_exchange(struct out_call *call, uint32_t stream);

/* When the call is made (CLOCK_MONOTONIC). */
uint64_t out_now(struct out_call *call);

/* The host's byte at that offset. */
char out_host_byte(const struct out_plan *plan, size_t at);

/* Was the context in the head (@header; invalid: not understood) made by this program itself, or by somebody
 * that nobody knows? */
static inline bool out_is_foreign(const struct trace_context *header, unsigned rung)
{
        return trace_context_valid(header) ? rung != CAUSE_BY_HEADER : rung >= CAUSE_BY_ENVIRON;
}

/* The request goes out as it is, unrecorded. */
void out_respect(struct exchange *exchange);

/* The next bytes, or @n bytes of a body, through the connection's parser. Return: false when it is lost. */
bool http1_out_feed(struct out_call *call, struct slice bytes);
bool http1_out_skip(struct out_call *call, uint64_t n);
/* All bytes of this call went through it, and its request's head is not complete: what was begun to be
 * blanked goes on being that. */
void http1_out_rest(struct out_call *call);
bool fcgi_out_feed(struct out_call *call, struct slice bytes);
bool fcgi_out_skip(struct out_call *call, uint64_t n);
void fcgi_out_rest(struct out_call *call);
bool http2_out_feed(struct out_call *call, struct slice bytes);
bool http2_out_skip(struct out_call *call, uint64_t n);

/* --- out_parser.c: the same for whichever protocol the connection speaks --- */

/* The first @len of the host's bytes through the parser. Return: false when it is lost. */
bool out_feed(struct out_call *call, size_t len);
bool out_skip(struct out_call *call, uint64_t n);
/* Bytes that can leave without the parser. */
uint64_t out_body_left(const struct conn *conn);

/* What the connection was taken for. */
enum conn_phase out_protocol(const struct conn *conn);
/* Its first bytes. Return: false when they are of no protocol that we know. */
bool out_begins(const struct out_plan *plan);

/* More bytes, after first ones that were too few to tell the protocol. */
void out_reconsider(struct out_plan *plan);

/* The parser as it is, before this call's bytes; and put back to there, with conn->sending put back before.
 */
void out_remember_parser(struct out_plan *plan);
void out_rewind_parser(struct out_plan *plan);
