/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of servers: a host that was connected to, reads requests and writes responses. */
#include "agent/base/stats.h"
#include "agent/config/config.h"
#include "agent/flow/serve.h"
#include "agent/tap/tap_thread.h"
#include "tests/unit/wire.h"

/* A client has connected; the wire is empty, nothing is told yet. */
static inline struct conn *accept_now(void)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(40000)};
        struct conn *conn;

        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        conn = serve_new((struct sockaddr *)&addr, sizeof(addr));
        ck_assert_ptr_nonnull(conn);
        ck_assert(conn_table_set(FD, conn));
        wire_len = 0;
        told_count = 0;
        return conn;
}

/* One read of at most @size bytes, which gives @len bytes. Return: what the host is told. */
static inline ssize_t host_read(char *buf, size_t size, const char *bytes, size_t len, int flags)
{
        struct iovec iov = {buf, size};
        struct tap_in in;

        ck_assert_uint_le(len, size);
        tap_net_in_begin(&in, FD, flags);
        if (len)
                memcpy(buf, bytes, len);
        return tap_net_in_end(&in, &iov, 1, (ssize_t)len, flags, size);
}

/* The same into a buffer that is just as large, which must stay as it is. */
static inline void host_gets(const char *bytes, size_t len)
{
        static char buf[1 << 20];

        ck_assert_int_eq(host_read(buf, len, bytes, len, 0), (ssize_t)len);
        ck_assert_mem_eq(buf, bytes, len);
}

static inline void host_gets_text(const char *text)
{
        host_gets(text, strlen(text));
}

static inline void host_read_fails(int error)
{
        struct tap_in in;
        char byte;
        struct iovec iov = {&byte, 1};

        tap_net_in_begin(&in, FD, 0);
        errno = error;
        ck_assert_int_eq(tap_net_in_end(&in, &iov, 1, -1, 0, 1), -1);
        ck_assert_int_eq(errno, error);
}

static inline void host_puts(const char *text)
{
        ck_assert_int_eq(host_send(text, strlen(text), take_all), (ssize_t)strlen(text));
}

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* The connection is over: @spans were told in all, and nothing is open any more. */
static inline void close_expecting(unsigned spans)
{
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, spans);
        ck_assert_int_eq(open_now, 0);
        ck_assert_uint_eq(conn_table_count(), 0);
        ck_assert(cause_current(&thread_state.cause) == CAUSE_NONE ||
                  cause_current(&thread_state.cause) == CAUSE_UNKNOWN);
}

/* A server span that says: all well, with @status. */
static inline void expect_answered(const struct told *span, int status)
{
        ck_assert_int_eq(span->shape, SHAPE_HTTP_SERVER);
        ck_assert_int_eq(span->kind, SPAN_SERVER);
        ck_assert_int_eq(span->status, status);
        ck_assert_int_eq(span->truncated + span->incomplete + span->unanswered + span->error, 0);
        ck_assert_uint_ge(span->end_ns, span->start_ns);
}

static inline void serving_setup(void)
{
        wire_setup();
        config_now = (struct config){.http_ignored_paths = "", .http_routes = "", .trust_inbound = true};
}
