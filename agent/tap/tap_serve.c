/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that clients open: where they come from, and the responses that go out on them. */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/flow/abandoned.h"
#include "agent/flow/handoff.h"
#include "agent/flow/serve.h"
#include "agent/flow/stream.h"
#include "agent/flow/to_span.h"
#include "agent/process.h"
#include "agent/tap/tap_conn.h"
#include "agent/tap/tap_thread.h"

#define FIRST_PASSED_FD 3 /* SD_LISTEN_FDS_START of sd_listen_fds(3) */
#define PASSED_FDS_MAX  1024

START_TEXT int tap_conn_option(int fd, int name)
{
        int value = 0;
        socklen_t len = sizeof(value);

        return sys_getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* --- where they come from --- */

static bool peer_of(int fd, struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
        *ret_len = sizeof(*ret_addr);
        return sys_call(SYS_getpeername, fd, (long)ret_addr, (long)ret_len, 0, 0, 0) == 0 &&
               *ret_len >= sizeof(sa_family_t);
}

static bool family_traced(sa_family_t family)
{
        return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

static void accepted(int fd)
{
        struct sockaddr_storage addr;
        struct conn *conn;
        socklen_t len;

        if (thread_state.mute || !process_own_memory() || !peer_of(fd, &addr, &len) ||
            !family_traced(addr.ss_family) || tap_conn_option(fd, SO_TYPE) != SOCK_STREAM)
                return;
        process_watch_forks();
        if (UNLIKELY(handoff_has_left()))
                handoff_look_at_left();
        tap_thread_now_serves();
        conn = serve_new((const struct sockaddr *)&addr, addr.ss_family == AF_UNIX ? 0 : len);
        if (conn && !conn_table_set(fd, conn))
                conn_unref(conn);
}

void tap_net_listens(void)
{
        OBSERVE(tap_thread_now_serves());
}

void tap_net_accepted(int fd)
{
        tap_net_made(fd);
        OBSERVE(accepted(fd));
}

static START_TEXT bool is_connection(int fd)
{
        return tap_conn_option(fd, SO_TYPE) == SOCK_STREAM && tap_conn_option(fd, SO_ACCEPTCONN) == 0;
}

static bool same_socket(int a, int b)
{
        uint64_t cookies[2] = {0, 0};
        socklen_t len = sizeof(cookies[0]);

        return sys_getsockopt(a, SOL_SOCKET, SO_COOKIE, &cookies[0], &len) == 0 &&
               sys_getsockopt(b, SOL_SOCKET, SO_COOKIE, &cookies[1], &len) == 0 && cookies[0] &&
               cookies[0] == cookies[1];
}

/* A UNIX socket there is more often the other end of whoever started us. */
static START_TEXT bool from_the_network(int fd)
{
        int domain = tap_conn_option(fd, SO_DOMAIN);

        return domain == AF_INET || domain == AF_INET6;
}

void tap_net_received(int fd)
{
        tap_net_made(fd);
        OBSERVE(if (is_connection(fd) && from_the_network(fd)) accepted(fd));
}

static int number(const char *text)
{
        int value = 0;

        for (; text && *text >= '0' && *text <= '9' && value <= INT32_MAX / 10 - 9; text++)
                value = value * 10 + (*text - '0');
        return text && !*text ? value : 0;
}

START_TEXT void tap_net_inherited(void)
{
        int passed = number(config_env_get(&config_env_now, "LISTEN_FDS"));

        if (is_connection(STDIN_FILENO) && from_the_network(STDIN_FILENO)) {
                tap_net_accepted(STDIN_FILENO);
                for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
                        if (same_socket(STDIN_FILENO, fd))
                                tap_net_dup(STDIN_FILENO, fd);
        }
        if (!passed || number(config_env_get(&config_env_now, "LISTEN_PID")) != sys_getpid())
                return;
        for (int fd = FIRST_PASSED_FD; fd < FIRST_PASSED_FD + MIN(passed, PASSED_FDS_MAX); fd++)
                if (is_connection(fd))
                        tap_net_accepted(fd);
}

/* --- responses --- */

#define STATUS_AT 9 /* in "HTTP/1.1 103" */

/* An interim response (but for 101) answers nothing: its request is still owed. */
static bool is_interim(const struct conn *conn, const struct iovec *iov, size_t n)
{
        const char *p = iov->iov_base;

        return conn_phase(conn) == CONN_HTTP1 && !direction_http1_busy(&conn->out) &&
               MIN(iov->iov_len, n) >= STATUS_AT + 3 && p[STATUS_AT] == '1' && p[STATUS_AT + 2] != '1';
}

static void bytes_went(struct conn *conn, const struct iovec *iov, int iovcnt, size_t n)
{
        uint64_t left = conn_phase(conn) == CONN_HTTP1 ? direction_http1_body_left(&conn->out) : 0;
        uint64_t now_ns = left > n ? 0 : clock_mono_ns(); /* in mid-body nothing happens that has a time */

        conn->sent += n;
        if (!is_interim(conn, iov, n))
                cause_wrote(&thread_state.cause, serve_writes_for(conn));
        if (left >= n) {
                stream_answer_unseen(conn, n, now_ns);
                return;
        }
        for (int i = 0; i < iovcnt && n; i++) {
                size_t piece = MIN(iov[i].iov_len, n);

                if (piece)
                        stream_answer_bytes(conn, slice_make(iov[i].iov_base, piece), now_ns);
                n -= piece;
        }
}

/* How many bytes the host has written, whoever did it. Return: false when the kernel does not say. */
static bool count_written(int fd, uint64_t *ret_count)
{
        struct tcp_info info;
        socklen_t len = sizeof(info);

        if (sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
            len < offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof(info.tcpi_bytes_retrans))
                return false;
        *ret_count = info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes;
        return true;
}

/* Is the call that holds the outgoing direction over, as far as the kernel goes? */
static bool answer_left(const struct conn *conn, int fd)
{
        uint64_t written;
        int unread;

        if (conn->tls)
                return true; /* the host makes one call after the other on a TLS object */
        if (conn->tcp)
                return count_written(fd, &written) && written >= atomic_load(&conn->sent_after);
        return sys_call(SYS_ioctl, fd, SIOCOUTQ, (long)&unread, 0, 0, 0) == 0 && unread == 0;
}

static bool enter_out(struct conn *conn, int fd)
{
        uint32_t thread = abandoned_thread();

        if (LIKELY(direction_enter_by(&conn->out, thread)))
                return true;
        return conn_client_went_on(conn) && answer_left(conn, fd) &&
               direction_enter_returning(&conn->out, thread);
}

static size_t total_len(const struct iovec *iov, int iovcnt)
{
        size_t sum = 0;

        for (int i = 0; i < iovcnt; i++)
                sum += iov[i].iov_len;
        return sum;
}

/* Takes the outgoing direction and gives the reference back. */
static struct tap_hold hold_out(struct conn *conn, int fd, const struct iovec *iov, int iovcnt)
{
        struct tap_hold hold = {.serial = conn->serial};

        if (conn_phase(conn) == CONN_OPAQUE) {
                ;
        } else if (enter_out(conn, fd)) {
                hold.conn = conn;
                atomic_store_explicit(&conn->sent_after, conn->sent + total_len(iov, iovcnt),
                                      memory_order_relaxed);
        } else {
                conn_opaque(conn, STAT_OPAQUE_CONTENTION);
        }
        conn_unref(conn);
        return hold;
}

ssize_t tap_serve_out(struct conn *conn, int fd, const struct iovec *iov, int iovcnt, tap_emit_fn *emit,
                      void *call)
{
        struct tap_hold hold = {.conn = NULL};
        ssize_t n;

        OBSERVE({
                tap_serve_look(conn);
                hold = hold_out(conn, fd, iov, iovcnt);
                conn = NULL;
        });
        n = emit(call, NULL, 0);
        if (conn || !hold.conn) {
                if (conn)
                        OBSERVE(conn_unref(conn));
                return n;
        }
        guard_hold();
        if (tap_conn_again(hold)) {
                int error = errno;

                direction_settle(&hold.conn->out);
                if (n > 0)
                        bytes_went(hold.conn, iov, iovcnt, (size_t)n);
                else if (n < 0 && !tap_conn_may_go_on(error))
                        conn_failed(hold.conn, error, clock_mono_ns());
                direction_leave(&hold.conn->out);
                conn_unref(hold.conn);
                errno = error;
        }
        guard_let_go();
        return n;
}

/* Of what a call from descriptor to descriptor fails of, these are the connection's. */
static bool hung_up(int error)
{
        return error == EPIPE || error == ECONNRESET || error == ETIMEDOUT;
}

void tap_serve_unseen(struct conn *conn, ssize_t n, int error)
{
        tap_serve_look(conn);
        if (n < 0 && hung_up(error))
                conn_failed(conn, error, clock_mono_ns());
        if (n < 0 || conn_phase(conn) == CONN_OPAQUE)
                return;
        if (!direction_enter(&conn->out)) {
                conn_opaque(conn, STAT_OPAQUE_CONTENTION);
                return;
        }
        conn->sent += (uint64_t)n;
        cause_wrote(&thread_state.cause, serve_writes_for(conn));
        stream_answer_unseen(conn, (uint64_t)n, clock_mono_ns());
        direction_leave(&conn->out);
}

void tap_serve_shut(struct conn *conn)
{
        if (conn->generation != process_generation || !direction_enter(&conn->out))
                return;
        stream_answer_eof(conn, clock_mono_ns());
        direction_leave(&conn->out);
}

/* Did more leave than we saw? Then the host answers through stdio, or a program that it started does. */
static void look_for_unseen(struct conn *conn, int fd)
{
        uint64_t written;

        if (!count_written(fd, &written))
                return;
        conn->silent = written <= conn->sent;
        if (!conn->silent)
                conn_opaque(conn, STAT_OPAQUE_UNSEEN);
}

/*
 * A program that a child executed may have answered: then the request that waits is over, and the next answer
 * is not its own. A child that we see into tells of that itself.
 */
void tap_serve_catch_up(struct conn *conn, int fd, uint64_t now_ns)
{
        struct exchange *first;
        uint64_t written;

        if (!conn->tcp || !conn_speaks(conn) || conn->fcgi || !count_written(fd, &written) ||
            !direction_enter(&conn->out))
                return;
        first = conn_queue_first(conn);
        if (first && first->shared && first->head_done && written > conn->sent &&
            !conn_answer_begun(conn, first) && handoff_alone(first)) {
                conn_answered(conn, &(struct exchange_outcome){.end_ns = now_ns, .incomplete = true});
                first = conn_queue_first(conn);
        }
        if (!first)
                conn->sent = written;
        direction_leave(&conn->out);
}

void tap_serve_last_look(struct conn *conn, int fd)
{
        handoff_look_if_any();
        if (conn->generation != process_generation || !conn_speaks(conn) || !conn_owes_answer(conn))
                return;
        /* By another thread, which may still have our part of it to do. */
        if (enter_out(conn, fd))
                direction_leave(&conn->out);
        if (conn->tcp && conn_owes_answer(conn))
                look_for_unseen(conn, fd);
}
