/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of connections: there while they are needed. */
#include "agent/base/slab.h"
#include "agent/flow/conn.h"

SLAB_DEFINE(static, http1_slab, sizeof(struct http1), 64, LIMIT_HTTP_PARSERS);
SLAB_DEFINE(static, fcgi_slab, sizeof(struct fcgi), 64, LIMIT_FCGI_PARSERS);
SLAB_DEFINE(static, http2_slab, sizeof(struct http2), 64, LIMIT_HTTP2_PARSERS);

static bool carries_requests(const struct conn *conn, const struct direction *direction)
{
        return (direction == &conn->in) == (conn->role == CONN_SERVER);
}

/* The other direction's thread may have taken the connection for one of HTTP/2 already. */
static void *parser_new(struct direction *direction, struct slab *slab)
{
        void *parser;

        if (direction->http2)
                return NULL;
        parser = slab_alloc(slab, &direction->index);
        if (!parser)
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
        return parser;
}

struct http1 *conn_http1_new(struct conn *conn, struct direction *direction)
{
        struct http1 *parser = parser_new(direction, &http1_slab);

        if (!parser)
                return NULL;
        http1_init(parser, carries_requests(conn, direction) ? HTTP1_REQUESTS : HTTP1_RESPONSES);
        direction->http1 = parser;
        return parser;
}

static void http1_drop(struct direction *direction)
{
        if (!direction->http1)
                return;
        direction->http1 = NULL;
        slab_free(&http1_slab, direction->index);
}

void direction_http1_rest(struct direction *direction)
{
        if (direction->http1 && http1_fresh(direction->http1))
                http1_drop(direction);
}

static void fcgi_drop(struct direction *direction)
{
        if (!direction->fcgi)
                return;
        direction->fcgi = NULL;
        slab_free(&fcgi_slab, direction->index);
}

static bool fcgi_make(struct conn *conn, struct direction *direction)
{
        http1_drop(direction);
        direction->fcgi = parser_new(direction, &fcgi_slab);
        if (!direction->fcgi)
                return false;
        fcgi_init(direction->fcgi, carries_requests(conn, direction) ? FCGI_REQUESTS : FCGI_RESPONSES);
        return true;
}

bool conn_becomes_fcgi(struct conn *conn)
{
        if (!fcgi_make(conn, &conn->in))
                return false;
        if (!fcgi_make(conn, &conn->out)) {
                fcgi_drop(&conn->in);
                return false;
        }
        conn->fcgi = true;
        return true;
}

struct http2 *conn_becomes_http2(struct direction *direction)
{
        http1_drop(direction);
        direction->http2 = parser_new(direction, &http2_slab);
        return direction->http2;
}

static void http2_drop(struct direction *direction)
{
        if (direction->http2)
                slab_free(&http2_slab, direction->index);
        direction->http2 = NULL;
}

void conn_drop_parsers(struct conn *conn)
{
        (conn->fcgi ? fcgi_drop : http1_drop)(&conn->in);
        (conn->fcgi ? fcgi_drop : http1_drop)(&conn->out);
        http2_drop(&conn->in);
        http2_drop(&conn->out);
}
