/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Incoming bytes, of clients and servers.
 *
 * A read may never come back: its thread was cancelled in it, or a signal handler jumped out. Nor is it over
 * when a handler reads that has interrupted it. Of both the next read finds out, and goes on in its place
 * where the kernel has given away no byte that we have not seen; else the stream is lost.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/flow/abandoned.h"
#include "agent/flow/serve.h"
#include "agent/flow/stream.h"
#include "agent/flow/tls.h"
#include "agent/flow/to_span.h"
#include "agent/tap/tap_conn.h"
#include "agent/tap/tap_thread.h"

bool tap_conn_again(struct tap_hold hold)
{
        if (!conn_ref(hold.conn))
                return false;
        if (hold.conn->serial == hold.serial)
                return true;
        conn_unref(hold.conn);
        return false;
}

bool tap_conn_may_go_on(int error)
{
        return error == EAGAIN || error == EINTR || error == EINPROGRESS || error == EALREADY ||
               error == EFAULT || error == EINVAL || error == ENOMEM || error == EMSGSIZE ||
               error == ENOTCONN;
}

/* What is read here may belong to any request, but for those of a connection that serves only one. */
static void opaque_read(const struct conn *conn)
{
        if (conn->role == CONN_CLIENT && cause_is_open(conn->opening.request))
                cause_read(&thread_state.cause, conn->opening.request);
        else
                cause_read_opaque(&thread_state.cause, conn->role == CONN_SERVER);
}

/* Bytes that wait in the kernel; -1: not known. */
static int waiting_bytes(int fd)
{
        int n = -1;

        return sys_call(SYS_ioctl, fd, FIONREAD, (long)&n, 0, 0, 0) == 0 ? n : -1;
}

/* Has the peer ended the stream? The kernel counts that as one byte more. */
static bool has_ended(uint8_t state)
{
        /* Of the kernel's states, which stand only in the header without its counters. */
        enum { TIME_WAIT = 6, CLOSE_WAIT = 8, LAST_ACK = 9, CLOSING = 11 };

        return state == TIME_WAIT || state == CLOSE_WAIT || state == LAST_ACK || state == CLOSING;
}

#define COUNT_TRIES 4

/* Has the kernel given away exactly the bytes that we have seen? The caller is the only one to read. */
static bool all_seen(const struct conn *conn, int fd)
{
        int waiting = waiting_bytes(fd), before = -1;
        struct tcp_info info;
        socklen_t len = sizeof(info);

        /* Nobody counts for other protocols. */
        if (tap_conn_option(fd, SO_PROTOCOL) != IPPROTO_TCP)
                return false;
        /* What arrives meanwhile is in one of the numbers only. */
        for (int i = 0; i < COUNT_TRIES && waiting != before; i++) {
                before = waiting;
                if (sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
                    len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received))
                        return false;
                waiting = waiting_bytes(fd);
        }
        return waiting >= 0 && waiting == before &&
               info.tcpi_bytes_received == conn->received + (unsigned)waiting + has_ended(info.tcpi_state);
}

/* The direction is taken: by a call that was left for good, or waits until this one is over? */
__attribute__((noinline)) static bool take_over(struct conn *conn, uint32_t thread, int fd)
{
        if (!direction_take_over(&conn->in, thread))
                return false;
        if (all_seen(conn, fd))
                return true;
        conn_opaque(conn, STAT_OPAQUE_UNSEEN);
        direction_leave(&conn->in);
        return false;
}

/* The incoming direction for the call that @in names. */
static inline bool take_direction(struct conn *conn, const struct tap_in *in, int fd)
{
        uint32_t thread = abandoned_thread();

        if (UNLIKELY(!direction_enter_by(&conn->in, thread)) && !take_over(conn, thread, fd))
                return false;
        atomic_store_explicit(&conn->reader, in, memory_order_relaxed);
        return true;
}

/* Inline: the path of every read has no call more than it needs. */
static inline __attribute__((always_inline)) void begin(struct tap_in *in, struct conn *conn, int fd,
                                                        int flags)
{
        if (conn->role == CONN_SERVER)
                tap_serve_look(conn);
        if (conn_phase(conn) == CONN_OPAQUE) {
                if (!tls_carries_in(conn))
                        opaque_read(conn);
        } else if (flags & MSG_PEEK || take_direction(conn, in, fd)) {
                *in = (struct tap_in){conn, conn->serial, fd};
        } else {
                conn_opaque(conn, STAT_OPAQUE_CONTENTION);
        }
        conn_unref(conn);
}

void tap_conn_in_begin(struct tap_in *in, struct conn *conn, int flags)
{
        begin(in, conn, -1, flags);
}

void tap_net_in_begin(struct tap_in *in, int fd, int flags)
{
        in->conn = NULL;
        OBSERVE({
                struct conn *conn = tap_conn_take(fd);

                if (conn)
                        begin(in, conn, fd, flags);
        });
}

/* For which server request bytes come in now. */
static uint64_t owner_of(struct conn *conn)
{
        struct exchange *exchange;

        if (conn->role == CONN_SERVER)
                return serve_reads_for(conn);
        exchange = conn_queue_first(conn);
        return exchange ? exchange->decision.request : CAUSE_NONE;
}

/* @n bytes, spread over the host's buffers. */
static void bytes_came(struct conn *conn, int fd, const struct iovec *iov, int iovcnt, size_t n,
                       struct serve_mark *mark, uint64_t now_ns)
{
        for (int i = 0; i < iovcnt && n; i++) {
                size_t piece = MIN(iov[i].iov_len, n);
                struct slice bytes = slice_make(iov[i].iov_base, piece);

                if (piece && conn->role == CONN_SERVER)
                        serve_in_bytes(conn, fd, bytes, mark, now_ns);
                else if (piece)
                        stream_answer_bytes(conn, bytes, now_ns);
                n -= piece;
        }
}

static void end_of_stream(struct conn *conn, uint64_t now_ns)
{
        conn->eof = true;
        if (conn->role == CONN_SERVER || !conn_speaks(conn))
                return; /* a server may answer what it has */
        stream_answer_eof(conn, now_ns);
        conn_unanswered(conn, &(struct exchange_outcome){.end_ns = now_ns, .truncated = true});
}

/* Room for a context header in what the host reads; only where all of it lies in one piece. */
static struct serve_mark mark_for(const struct conn *conn, const struct iovec *iov, size_t n)
{
        bool peeked = atomic_load_explicit(&conn->peeked, memory_order_relaxed);
        bool may = config_now.mark_inbound && conn->role == CONN_SERVER && !peeked && iov->iov_len >= n;

        return (struct serve_mark){.room = may ? iov->iov_len - n : 0};
}

/* Return: bytes that the host gets more than it was sent. */
static size_t write_mark(const struct serve_mark *mark, char *bytes, size_t n)
{
        if (mark->len == 0)
                return 0;
        memmove(bytes + mark->at + mark->len, bytes + mark->at, n - mark->at);
        memcpy(bytes + mark->at, mark->line, mark->len);
        stat_add(STAT_INJECTED, 1);
        return mark->len;
}

static size_t take_request(struct conn *conn, int fd, const struct iovec *iov, int iovcnt, size_t n,
                           uint64_t now_ns)
{
        struct serve_mark mark = mark_for(conn, iov, n);

        if (UNLIKELY(conn->was_shared) && fd >= 0)
                tap_serve_catch_up(conn, fd, now_ns);
        bytes_came(conn, fd, iov, iovcnt, n, &mark, now_ns);
        if (UNLIKELY(conn_phase(conn) == CONN_OPAQUE))
                opaque_read(conn);
        return write_mark(&mark, iov->iov_base, n);
}

/* Nothing but bytes of a body that a client sends, which are only counted? */
static bool in_body(const struct conn *conn, size_t n)
{
        return conn->role == CONN_SERVER && conn_phase(conn) == CONN_HTTP1 &&
               direction_http1_body_left(&conn->in) >= n;
}

static size_t take_bytes(struct conn *conn, int fd, const struct iovec *iov, int iovcnt, size_t n, int flags)
{
        bool seen = iov && !(flags & MSG_TRUNC);
        uint64_t now_ns;

        if (in_body(conn, n)) {
                cause_read(&thread_state.cause, serve_reads_for(conn));
                serve_in_unseen(conn, n);
                return 0;
        }
        now_ns = clock_mono_ns();
        conn_established(conn, now_ns);
        atomic_store_explicit(&conn->timed_out, 0, memory_order_relaxed);
        if (tap_thread_serves())
                cause_read(&thread_state.cause, owner_of(conn));
        if (conn->role == CONN_SERVER && seen)
                return take_request(conn, fd, iov, iovcnt, n, now_ns);
        if (conn->role == CONN_SERVER)
                serve_in_unseen(conn, n);
        else if (seen)
                bytes_came(conn, fd, iov, iovcnt, n, NULL, now_ns);
        else
                stream_answer_unseen(conn, n, now_ns);
        return 0;
}

/* A call gave none: for @error, at the end of the stream, or because none was @wanted. */
__attribute__((noinline)) static void no_bytes(struct conn *conn, ssize_t n, size_t wanted, int error)
{
        uint64_t now_ns;

        if ((n < 0 && tap_conn_may_go_on(error)) || (n == 0 && wanted == 0))
                return;
        now_ns = clock_mono_ns();
        if (n < 0) {
                conn_failed(conn, error, now_ns);
                return;
        }
        conn_established(conn, now_ns);
        end_of_stream(conn, now_ns);
}

/* Return: as tap_net_in_end(). */
static ssize_t in_end(struct conn *conn, int fd, const struct iovec *iov, int iovcnt, ssize_t n, int flags,
                      size_t wanted, int error)
{
        if (n <= 0) {
                no_bytes(conn, n, wanted, error);
                return n;
        }
        conn->received += (uint64_t)n;
        return n + (ssize_t)take_bytes(conn, fd, iov, iovcnt, (size_t)n, flags);
}

/* A look at what is there. Whoever is reading meanwhile sees the end for himself. */
__attribute__((noinline)) static void look_end(struct conn *conn, ssize_t n, size_t wanted, int error)
{
        if (n > 0) {
                atomic_store_explicit(&conn->peeked, true, memory_order_relaxed);
        } else if (n < 0 || direction_enter(&conn->in)) {
                no_bytes(conn, n, wanted, error);
                if (n == 0)
                        direction_leave(&conn->in);
        }
}

/* Has the call still the direction, or again? Another read may have gone on in its place. */
static bool has_direction(struct conn *conn, const struct tap_in *in)
{
        return LIKELY(atomic_load_explicit(&conn->reader, memory_order_relaxed) == in) ||
               direction_enter(&conn->in);
}

ssize_t tap_net_in_end(struct tap_in *in, const struct iovec *iov, int iovcnt, ssize_t n, int flags,
                       size_t wanted)
{
        struct conn *conn = in->conn;
        int error = errno;

        if (UNLIKELY(!conn)) {
                if (UNLIKELY(thread_state.tls && thread_state.tls->reading))
                        tls_below(thread_state.tls, n, error, wanted > 0);
                return n;
        }
        guard_hold();
        if (tap_conn_again((struct tap_hold){conn, in->serial})) {
                if (UNLIKELY(flags & MSG_PEEK)) {
                        look_end(conn, n, wanted, error);
                } else if (has_direction(conn, in)) {
                        direction_settle(&conn->in);
                        n = in_end(conn, in->fd, iov, iovcnt, n, flags, wanted, error);
                        direction_leave(&conn->in);
                } else if (n > 0) {
                        conn_opaque(conn, STAT_OPAQUE_CONTENTION);
                }
                conn_unref(conn);
        }
        guard_let_go();
        errno = error;
        return n;
}

ssize_t tap_conn_in_end(struct tap_in *in, const struct iovec *iov, int iovcnt, ssize_t n, int flags,
                        size_t wanted, int error)
{
        int told = errno;

        errno = error;
        n = tap_net_in_end(in, iov, iovcnt, n, flags, wanted);
        errno = told;
        return n;
}
