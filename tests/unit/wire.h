/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests of streams: a host that sends and receives over a connection of its own, with what reaches the
 * wire and what would go to the ring in the test's hands.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/flow/conn.h"
#include "agent/process.h"
#include "agent/record/record.h"
#include "agent/ring/home.h"
#include "agent/tap/tap_net.h"
#include "agent/trace/scope.h"
#include "tests/unit/unit.h"

#define FD 7

/* --- what would go to the ring --- */

struct told {
        uint8_t trace_id[16], span_id[8], parent_id[8];
        int status, error, truncated, incomplete, unanswered, shape, kind, flags, reset, grpc_status, version;
        char method[16], target[256], tracestate[64];
        size_t target_len, agent_len, host_len; /* as they are in the span */
        uint64_t start_ns, end_ns;
};

static struct told told[512];
static unsigned told_count;
static _Atomic int open_now;

void home_span(const struct span *span, uint64_t now_mono_ns)
{
        struct told *t = &told[told_count++];

        ck_assert_uint_lt(told_count, ARRAY_LEN(told));
        ck_assert_uint_le(record_size(span), LIMIT_RECORD);
        memset(t, 0, sizeof(*t));
        t->shape = span->shape;
        t->kind = span->kind;
        t->flags = span->context.flags;
        t->start_ns = span->start_ns;
        t->end_ns = span->end_ns;
        memcpy(t->trace_id, span->context.trace_id, 16);
        memcpy(t->span_id, span->context.span_id, 8);
        memcpy(t->parent_id, span->parent_id, 8);
        snprintf(t->tracestate, sizeof(t->tracestate), "%.*s", (int)span->context.tracestate.len,
                 span->context.tracestate.p);
        for (unsigned i = 0; i < span->attr_count; i++) {
                const struct attr *a = &span->attrs[i];

                if (a->key == SEMCONV_HTTP_RESPONSE_STATUS_CODE)
                        t->status = (int)a->num;
                if (a->key == SEMCONV_RAW_ERRNO)
                        t->error = (int)a->num;
                if (a->key == SEMCONV_RAW_RESET)
                        t->reset = (int)a->num;
                if (a->key == SEMCONV_RAW_GRPC_STATUS)
                        t->grpc_status = (int)a->num;
                if (a->key == SEMCONV_RAW_HTTP_VERSION)
                        t->version = (int)a->num;
                if (a->key == SEMCONV_RAW_TRUNCATED)
                        t->truncated = 1;
                if (a->key == SEMCONV_RAW_UNANSWERED)
                        t->unanswered = 1;
                if (a->key == SEMCONV_OTEL_INCOMPLETE)
                        t->incomplete = 1;
                if (a->key == SEMCONV_RAW_METHOD)
                        snprintf(t->method, sizeof(t->method), "%.*s", (int)a->str.len, a->str.p);
                if (a->key == SEMCONV_RAW_TARGET) {
                        snprintf(t->target, sizeof(t->target), "%.*s", (int)a->str.len, a->str.p);
                        t->target_len = a->str.len;
                }
                if (a->key == SEMCONV_USER_AGENT_ORIGINAL)
                        t->agent_len = a->str.len;
                if (a->key == SEMCONV_RAW_HOST)
                        t->host_len = a->str.len;
        }
}

void home_prepare(void)
{
}

int home_open(const struct span *span)
{
        ck_assert_uint_lt(record_size(span), LIMIT_OPEN_SPAN_SIZE);
        return open_now++;
}

void home_open_clear(int slot)
{
        ck_assert_int_ge(slot, 0);
        open_now--;
}

void home_open_share(int slot)
{
}

/* --- the wire --- */

static char wire[1 << 20];
static size_t wire_len;

/* How the next real calls behave: bytes taken (-1: EAGAIN, -2: EPIPE, else at most so many). */
struct wire_call {
        long (*take)(size_t offered);
        const char *p; /* the host's own arguments */
        size_t len;
};

static inline long take_all(size_t offered)
{
        return (long)offered;
}

/* The real call: takes of the iovecs, or of the host's own arguments, what the call's rule lets it. */
static inline ssize_t emit(void *ctx, const struct iovec *iov, int iovcnt)
{
        struct wire_call *call = ctx;
        struct iovec own = {(void *)(uintptr_t)call->p, call->len};
        size_t offered = 0, left;
        long n;

        if (!iov) {
                iov = &own;
                iovcnt = 1;
        }
        for (int i = 0; i < iovcnt; i++)
                offered += iov[i].iov_len;
        n = call->take(offered);
        if (n < 0) {
                errno = n == -1 ? EAGAIN : EPIPE;
                return -1;
        }
        left = (size_t)n < offered ? (size_t)n : offered;
        n = (long)left;
        for (int i = 0; i < iovcnt && left; i++) {
                size_t piece = MIN(iov[i].iov_len, left);

                memcpy(wire + wire_len, iov[i].iov_base, piece);
                wire_len += piece;
                left -= piece;
        }
        return n;
}

static inline ssize_t host_send(const char *p, size_t len, long (*take)(size_t))
{
        struct wire_call call = {take, p, len};
        struct iovec iov = {(void *)(uintptr_t)p, len};

        if (!tap_net_tracked(FD))
                return emit(&call, NULL, 0);
        return tap_net_out(FD, &iov, 1, emit, &call);
}

static inline void host_recv(const char *text)
{
        struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
        struct tap_in in;

        tap_net_in_begin(&in, FD, 0);
        tap_net_in_end(&in, &iov, 1, (ssize_t)iov.iov_len, 0, 4096);
}

static inline void host_eof(void)
{
        struct tap_in in;
        char byte;
        struct iovec iov = {&byte, 1};

        tap_net_in_begin(&in, FD, 0);
        tap_net_in_end(&in, &iov, 1, 0, 0, 1);
}

/* A new connection, as when connect() has returned; the wire is empty again. */
static inline void connect_now(void)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(80)};
        struct conn *conn;

        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        conn = conn_new((struct sockaddr *)&addr, sizeof(addr), 1);
        ck_assert_ptr_nonnull(conn);
        conn_established(conn, 2);
        ck_assert(conn_table_set(FD, conn));
        wire_len = 0;
        told_count = 0;
}

static inline void no_child(void)
{
        ck_abort_msg("a fork was noticed where there was none");
}

/* What each of their tests begins with. */
static inline void wire_setup(void)
{
        process_after_fork = no_child;
        process_begin();
        agent_enabled = 1;
        scope_start(NULL, NULL, NULL);
        open_now = 0;
}

/* --- requests --- */

static const char get[] = "GET /items?id=1 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: t\r\n\r\n";
static const char post[] = "POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello";
