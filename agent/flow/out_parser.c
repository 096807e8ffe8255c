/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of outgoing requests, whichever protocol the connection speaks. */
#include <string.h>

#include "agent/base/load.h"
#include "agent/flow/http2_flow.h"
#include "agent/flow/out_call.h"

#define FIRST 64 /* bytes that are looked at */

static bool feed_piece(struct out_call *call, struct slice bytes)
{
        if (call->plan->conn->out.http2)
                return http2_out_feed(call, bytes);
        return call->plan->conn->fcgi ? fcgi_out_feed(call, bytes) : http1_out_feed(call, bytes);
}

bool out_feed(struct out_call *call, size_t len)
{
        struct out_plan *plan = call->plan;

        call->base = 0;
        for (int i = 0; i < plan->host_iovcnt && call->base < len; i++) {
                size_t piece = MIN(plan->host_iov[i].iov_len, len - call->base);

                if (piece && !feed_piece(call, slice_make(plan->host_iov[i].iov_base, piece)))
                        return false;
                call->base += piece;
        }
        return true;
}

bool out_skip(struct out_call *call, uint64_t n)
{
        if (call->plan->conn->out.http2)
                return http2_out_skip(call, n);
        return call->plan->conn->fcgi ? fcgi_out_skip(call, n) : http1_out_skip(call, n);
}

uint64_t out_body_left(const struct conn *conn)
{
        if (conn->out.http2)
                return http2_body_left(conn->out.http2);
        return conn->fcgi ? fcgi_body_left(conn->out.fcgi) : direction_http1_body_left(&conn->out);
}

static struct slice first_bytes(const struct out_plan *plan, char out[FIRST])
{
        size_t len = 0;

        for (int i = 0; i < plan->host_iovcnt && len < FIRST; i++) {
                size_t piece = MIN(plan->host_iov[i].iov_len, FIRST - len);

                memcpy(out + len, piece ? plan->host_iov[i].iov_base : "", piece);
                len += piece;
        }
        return slice_make(out, len);
}

/* Could the host's first bytes be a request? Return: of which protocol, or CONN_OPAQUE. */
static enum conn_phase guess(const struct out_plan *plan)
{
        char room[FIRST];
        struct slice first = first_bytes(plan, room);
        struct conn *conn = plan->conn;

        if (http2_guess(first, HTTP2_CLIENT) != PROTO_NO) {
                if (first.len >= HTTP2_PREFACE_SURE || conn->http2)
                        return CONN_HTTP2;
                conn->maybe_http2 = true;
        }
        if (http1_guess(first, HTTP1_REQUESTS) != PROTO_NO)
                return CONN_HTTP1;
        return fcgi_guess(first, FCGI_REQUESTS) != PROTO_NO ? CONN_FCGI : CONN_OPAQUE;
}

void out_reconsider(struct out_plan *plan)
{
        char room[FIRST];

        http2_flow_reconsider(plan->conn, &plan->conn->out, first_bytes(plan, room));
}

enum conn_phase out_protocol(const struct conn *conn)
{
        if (conn->http2)
                return CONN_HTTP2;
        return conn->fcgi ? CONN_FCGI : CONN_HTTP1;
}

bool out_begins(const struct out_plan *plan)
{
        struct conn *conn = plan->conn;
        enum conn_phase protocol = guess(plan);

        if (protocol == CONN_FCGI && !conn->fcgi && !conn->http2 && !conn_becomes_fcgi(conn))
                return false;
        if (protocol == CONN_HTTP2 && !conn->http2 && !http2_flow_begin(conn))
                return false;
        return protocol == out_protocol(conn);
}

void out_remember_parser(struct out_plan *plan)
{
        struct out_scratch *scratch = plan->scratch;
        struct direction *out = &plan->conn->out;

        scratch->fresh = false;
        if (out->http2)
                http2_mark(out->http2, &plan->conn->http2->undo);
        else if (plan->conn->fcgi)
                scratch->before.fcgi = *out->fcgi;
        else if (out->http1)
                scratch->before.http1 = *out->http1;
        else
                scratch->fresh = true;
}

/* The text of the request under way may stand in a larger room by now. */
static void find_text(const struct exchange *sending, char **text, uint16_t *text_max)
{
        if (!sending || !*text)
                return;
        *text = sending->text.p;
        *text_max = sending->text.size;
}

void out_rewind_parser(struct out_plan *plan)
{
        const struct out_scratch *scratch = plan->scratch;
        const struct exchange *sending = plan->conn->sending;
        struct direction *out = &plan->conn->out;

        if (out->http2) {
                http2_rewind(out->http2, &plan->conn->http2->undo);
                find_text(sending, &out->http2->text, &out->http2->text_max);
        } else if (plan->conn->fcgi) {
                *out->fcgi = scratch->before.fcgi;
                find_text(sending, &out->fcgi->text, &out->fcgi->text_max);
        } else if (out->http1 && scratch->fresh) {
                http1_init(out->http1, HTTP1_REQUESTS);
        } else if (out->http1) { /* else it found no room: lost already */
                *out->http1 = scratch->before.http1;
                find_text(sending, &out->http1->text, &out->http1->text_max);
        }
}
