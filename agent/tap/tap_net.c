/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tap/tap_net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/syscall.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/flow/abandoned.h"
#include "agent/flow/conn.h"
#include "agent/flow/stream.h"
#include "agent/flow/tls.h"
#include "agent/process.h"
#include "agent/tap/tap_conn.h"

bool tap_net_tracked(int fd)
{
        return conn_table_has(fd) && !guard_passes();
}

bool tap_net_any_tracked(void)
{
        return conn_table_count() != 0;
}

struct conn *tap_conn_take(int fd)
{
        struct conn *conn = conn_table_get(fd);

        if (conn)
                tap_conn_own(conn);
        return conn;
}

/* --- outgoing --- */

/* What an earlier short write left of ours goes first. Return: false with errno set when it cannot. */
static bool send_leftover(struct conn *conn, tap_emit_fn *emit, void *call)
{
        struct slice rest;

        while ((rest = stream_out_leftover(conn)).len) {
                struct iovec iov[] = {{(void *)(uintptr_t)rest.p, rest.len}, {NULL, 0}};
                ssize_t n = emit(call, iov, ARRAY_LEN(iov));

                if (n <= 0)
                        return false;
                stream_out_leftover_sent(conn, (size_t)n);
        }
        return true;
}

/* Own work with the guard held, whether or not the agent was switched off meanwhile: locks are given back. */
ssize_t tap_conn_commit(struct out_plan *plan, ssize_t n, int error)
{
        int told = errno;
        ssize_t result;

        guard_hold();
        result = stream_out_commit(plan, n, error);
        guard_let_go();
        errno = told;
        return result;
}

bool tap_conn_plan(struct out_plan *ret_plan, struct conn *conn, struct thread_send *send,
                   const struct iovec *iov, int iovcnt)
{
        int error = errno;
        bool planned;

        if (!guard_enter())
                return false;
        planned = stream_out_plan(ret_plan, conn, iov, iovcnt);
        if (planned)
                abandoned_planned(send, conn, ret_plan->scratch);
        guard_leave();
        errno = error;
        return planned;
}

/* The host's call as it is; inside of a TLS library's it may carry what that has made of the host's bytes. */
static ssize_t pass(struct conn *conn, int fd, const struct iovec *iov, int iovcnt, tap_emit_fn *emit,
                    void *call)
{
        struct tls_call *above = NULL;
        ssize_t n;

        if (UNLIKELY(thread_state.tls != NULL))
                OBSERVE(above = tls_carries_out(conn, fd, iov, iovcnt));
        n = emit(call, NULL, 0);
        if (UNLIKELY(above != NULL))
                tls_below(above, n, errno, false);
        return n;
}

ssize_t tap_net_out(int fd, const struct iovec *iov, int iovcnt, tap_emit_fn *emit, void *call)
{
        struct conn *conn = tap_conn_take(fd);
        struct out_plan out;
        struct thread_send *send;
        ssize_t taken, result;

        if (!conn)
                return emit(call, NULL, 0);
        if (conn->role == CONN_SERVER)
                return tap_serve_out(conn, fd, iov, iovcnt, emit, call);
        send = abandoned_begin(conn, guard_stack_pointer());
        do {
                taken = 0;
                if (!send_leftover(conn, emit, call)) {
                        result = -1;
                } else if (!tap_conn_plan(&out, conn, send, iov, iovcnt)) {
                        result = pass(conn, fd, iov, iovcnt, emit, call);
                } else {
                        taken = emit(call, out.iov, out.iovcnt);
                        if (UNLIKELY(!abandoned_returned(send, conn)))
                                return MIN(taken, (ssize_t)out.host_len);
                        result = tap_conn_commit(&out, taken, errno);
                }
                /* The kernel took bytes of ours only: the host's are still to go. */
        } while (result == 0 && taken > 0);
        if (LIKELY(abandoned_end(send, conn)))
                OBSERVE(conn_unref(conn));
        return result;
}

/*
 * Nothing of ours can be left over here: it always stands before the blank line of a head, which the host
 * must send through tap_net_out() first.
 */
void tap_net_out_unseen(int fd, ssize_t n)
{
        if (n == 0 || (n < 0 && tap_conn_may_go_on(errno)))
                return;
        OBSERVE({
                struct conn *conn = tap_conn_take(fd);

                if (conn)
                        tap_conn_out_unseen(conn, n, errno_);
        });
}

void tap_conn_out_unseen(struct conn *conn, ssize_t n, int error)
{
        if (conn->role == CONN_SERVER)
                tap_serve_unseen(conn, n, error);
        else if (n > 0)
                stream_out_unseen(conn, (uint64_t)n);
        conn_unref(conn);
}

/* --- life of descriptors --- */

static bool kind_traced(int fd, const struct sockaddr *addr, socklen_t len)
{
        int protocol;

        if (!addr || len < sizeof(sa_family_t))
                return false;
        if (addr->sa_family == AF_UNIX)
                return tap_conn_option(fd, SO_TYPE) == SOCK_STREAM;
        if (addr->sa_family != AF_INET && addr->sa_family != AF_INET6)
                return false;
        protocol = tap_conn_option(fd, SO_PROTOCOL);
        return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

static bool kernel_connected(int fd)
{
        struct tcp_info info;
        socklen_t len = sizeof(info);

        return sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && len > 0 &&
               info.tcpi_state == TCP_ESTABLISHED;
}

static void retire(int fd)
{
        struct conn *conn = conn_table_clear(fd);

        if (conn)
                conn_unref(conn);
}

/* The number is about to mean something else: what the kernel still knows of the old is asked now. */
static void last_look(int fd)
{
        struct conn *conn = tap_conn_take(fd);

        if (!conn)
                return;
        abandoned_look(conn);
        if (conn->role == CONN_SERVER)
                tap_serve_last_look(conn, fd);
        if (conn_phase(conn) == CONN_CONNECTING && conn->tcp) {
                int error = tap_conn_option(fd, SO_ERROR);

                if (error > 0)
                        conn_failed(conn, error, clock_mono_ns());
                else if (kernel_connected(fd))
                        conn_established(conn, clock_mono_ns());
        }
        conn_unref(conn);
}

static bool has_peer(int fd)
{
        struct sockaddr_storage addr;
        socklen_t len = sizeof(addr);

        return sys_call(SYS_getpeername, fd, (long)&addr, (long)&len, 0, 0, 0) == 0;
}

/*
 * There is a connection under this number already. Return: true when it stays: the host asks again for
 * the outcome of its attempt (*ret_start_ns: since when), or will be told that it is connected.
 */
static bool stays_connected(int fd, const struct sockaddr *addr, uint64_t *ret_start_ns)
{
        struct conn *conn = tap_conn_take(fd);
        bool pending;

        if (!conn)
                return false;
        pending = conn_phase(conn) == CONN_CONNECTING;
        *ret_start_ns = pending ? conn->connect_start_ns : 0;
        conn_unref(conn);
        if (pending || (addr && addr->sa_family != AF_UNSPEC && has_peer(fd)))
                return true;
        retire(fd); /* dissolved, or a number that came back behind our back */
        return false;
}

static void connect_begin(struct tap_connect *connect, int fd, const struct sockaddr *addr, socklen_t len)
{
        struct conn *conn;

        if (!sys_readable(addr, MIN(len, sizeof(struct sockaddr_storage))))
                return;
        if (!process_own_memory() || stays_connected(fd, addr, &connect->start_ns))
                return;
        /* Under mute the connection is the higher seam's: never looked at. */
        if (thread_state.mute || !kind_traced(fd, addr, len))
                return;
        process_watch_forks();
        connect->start_ns = clock_mono_ns();
        conn = conn_new(addr, len, connect->start_ns);
        if (conn)
                cause_connect(&thread_state.cause, &conn->opening);
        if (conn && !conn_table_set(fd, conn))
                conn_unref(conn);
}

void tap_net_connect_begin(struct tap_connect *connect, int fd, const struct sockaddr *addr, socklen_t len)
{
        connect->start_ns = 0;
        OBSERVE(connect_begin(connect, fd, addr, len));
}

static void connect_end(int fd, int result, int error)
{
        struct conn *conn = tap_conn_take(fd);

        if (!conn)
                return;
        if (result >= 0 || error == EISCONN)
                conn_established(conn, clock_mono_ns());
        else if (error != EINPROGRESS && error != EALREADY && error != EINTR && error != EAGAIN)
                conn_failed(conn, error, clock_mono_ns());
        conn_unref(conn);
        if (conn_phase(conn) == CONN_OPAQUE && result < 0)
                retire(fd); /* the socket may be connected anew */
}

void tap_net_connect_end(struct tap_connect *connect, int fd, int result)
{
        if (connect->start_ns)
                OBSERVE(connect_end(fd, result, errno_));
}

void tap_net_made(int fd)
{
        if (conn_table_has(fd))
                OBSERVE(if (process_own_memory()) retire(fd));
}

static void forget(int fd)
{
        if (!process_own_memory())
                return;
        if (thread_state.send)
                abandoned_reclaim((uintptr_t)__builtin_frame_address(0));
        last_look(fd);
        retire(fd);
}

void tap_net_close(int fd)
{
        if (conn_table_has(fd))
                OBSERVE(forget(fd));
}

void tap_net_close_range(unsigned first, unsigned last)
{
        int top = conn_table_highest();

        for (unsigned fd = first; top >= 0 && fd <= last && fd <= (unsigned)top; fd++)
                tap_net_close((int)fd);
}

void tap_net_dup(int from, int to)
{
        if (!conn_table_has(from) || from == to)
                return;
        OBSERVE({
                struct conn *conn = process_own_memory() ? tap_conn_take(from) : NULL;

                if (conn && !conn_table_set(to, conn))
                        conn_unref(conn);
        });
}

void tap_net_shutdown(int fd, int how)
{
        if (!conn_table_has(fd))
                return;
        OBSERVE({
                struct conn *conn = tap_conn_take(fd);

                /* A client's streams say themselves what follows. */
                if (conn && conn->role == CONN_SERVER && how != SHUT_RD)
                        tap_serve_shut(conn);
                if (conn)
                        conn_unref(conn);
        });
}

static void so_error(int fd, int error)
{
        struct conn *conn = tap_conn_take(fd);

        if (!conn)
                return;
        if (error)
                conn_failed(conn, error, clock_mono_ns());
        else if (conn_phase(conn) == CONN_CONNECTING && kernel_connected(fd))
                conn_established(conn, clock_mono_ns());
        conn_unref(conn);
}

void tap_net_so_error(int fd, int error)
{
        if (conn_table_has(fd))
                OBSERVE(so_error(fd, error));
}

void tap_net_wait_timed_out(int fd)
{
        if (!conn_table_has(fd))
                return;
        OBSERVE({
                struct conn *conn = tap_conn_take(fd);

                if (conn) {
                        atomic_store_explicit(&conn->timed_out, 1, memory_order_relaxed);
                        conn_unref(conn);
                }
        });
}
