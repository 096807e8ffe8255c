/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads on real sockets: that never come back, that are nested in one another, that only look. What the
 * kernel has given away decides whether the stream is still known.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <unistd.h>

#include "tests/unit/serving.h"

static int ours, peer; /* the host's descriptor, which is tracked, and the other end */

/* The host makes a connection, or is connected to. */
static struct conn *open_pair(bool server)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(at);
        int listener = socket(AF_INET, SOCK_STREAM, 0), from = socket(AF_INET, SOCK_STREAM, 0), to;
        struct tap_connect connecting;
        struct conn *conn;

        ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, len), 0);
        ck_assert_int_eq(listen(listener, 1), 0);
        ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
        if (!server)
                tap_net_connect_begin(&connecting, from, (struct sockaddr *)&at, len);
        ck_assert_int_eq(connect(from, (struct sockaddr *)&at, len), 0);
        if (!server)
                tap_net_connect_end(&connecting, from, 0);
        ck_assert_int_ge(to = accept(listener, NULL, NULL), 0);
        if (server)
                tap_net_accepted(to);
        close(listener);
        ours = server ? to : from;
        peer = server ? from : to;
        told_count = 0;
        ck_assert_ptr_nonnull(conn = conn_table_get(ours));
        conn_unref(conn);
        return conn;
}

static void close_pair(void)
{
        tap_net_close(ours);
        close(ours);
        close(peer);
        ck_assert_uint_eq(conn_table_count(), 0);
}

static ssize_t emit_send(void *data, const struct iovec *iov, int iovcnt)
{
        struct msghdr message = {.msg_iov = iov ? (struct iovec *)(uintptr_t)iov : data,
                                 .msg_iovlen = iov ? (size_t)iovcnt : 1};

        return sendmsg(ours, &message, MSG_NOSIGNAL);
}

static void host_writes(const char *text)
{
        struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};

        ck_assert_int_eq(tap_net_out(ours, &iov, 1, emit_send, &iov), (ssize_t)strlen(text));
}

static void peer_writes(const char *text)
{
        ck_assert_int_eq(send(peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* The second half of a read: the real call, for at most @most bytes, and what came of it. */
static ssize_t finish(struct tap_in *in, size_t most, int flags)
{
        char buf[4096];
        struct iovec iov = {buf, most};

        ck_assert_uint_le(most, sizeof(buf));
        return tap_net_in_end(in, &iov, 1, recv(ours, buf, most, flags), flags, most);
}

static ssize_t host_reads(size_t most, int flags)
{
        struct tap_in in;

        tap_net_in_begin(&in, ours, flags);
        return finish(&in, most, flags);
}

/* A read that a signal handler jumps out of, after the kernel gave it @took bytes. */
static void host_leaves(size_t took)
{
        struct tap_in in;
        char buf[64];

        tap_net_in_begin(&in, ours, 0);
        if (took)
                ck_assert_int_eq(recv(ours, buf, took, 0), (ssize_t)took);
}

static void *leaving_thread(void *took)
{
        host_leaves((size_t)(uintptr_t)took);
        return NULL;
}

/* The same of a thread that is cancelled there. */
static void thread_leaves(size_t took)
{
        pthread_t thread;

        ck_assert_int_eq(pthread_create(&thread, NULL, leaving_thread, (void *)took), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void expect_response(int status)
{
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].status, status);
        ck_assert_int_eq(told[0].truncated + told[0].incomplete + told[0].unanswered + told[0].error, 0);
}

static void client_reads_that_never_come_back(bool in_thread)
{
        void (*const leave)(size_t) = in_thread ? thread_leaves : host_leaves;

        (void)open_pair(false);
        host_writes(get);
        leave(0);
        leave(0);
        peer_writes("HTTP/1.1 200 OK\r\nContent-Len");
        ck_assert_int_gt(host_reads(4096, 0), 0);
        leave(0);
        peer_writes("gth: 2\r\n\r\nok");
        leave(0);
        ck_assert_int_eq(host_reads(7, 0), 7); /* the rest is in the kernel */
        leave(0);
        ck_assert_int_gt(host_reads(4096, 0), 0);
        expect_response(200);
        close_pair();
        ck_assert_uint_eq(told_count, 1);
}

START_TEST(test_client_reads_that_never_come_back)
{
        client_reads_that_never_come_back(false);
        client_reads_that_never_come_back(true);
}
END_TEST

static void server_reads_that_never_come_back(bool in_thread)
{
        void (*const leave)(size_t) = in_thread ? thread_leaves : host_leaves;

        (void)open_pair(true);
        leave(0);
        peer_writes("GET /a HTTP/1.1\r\nHo");
        ck_assert_int_gt(host_reads(4096, 0), 0);
        leave(0);
        peer_writes("st: a\r\n\r\n");
        ck_assert_int_gt(host_reads(4096, 0), 0);
        host_writes(ok);
        expect_response(200);
        expect_answered(&told[0], 200);
        close_pair();
}

START_TEST(test_server_reads_that_never_come_back)
{
        server_reads_that_never_come_back(false);
        server_reads_that_never_come_back(true);
}
END_TEST

START_TEST(test_peer_has_ended_meanwhile)
{
        (void)open_pair(false);
        host_writes(get);
        host_leaves(0);
        peer_writes("HTTP/1.1 200 OK\r\n\r\nclose-delimited");
        shutdown(peer, SHUT_WR);
        ck_assert_int_eq(host_reads(10, 0), 10);
        host_leaves(0);
        ck_assert_int_gt(host_reads(4096, 0), 0);
        host_leaves(0);
        ck_assert_int_eq(host_reads(4096, 0), 0);
        expect_response(200);
        close_pair();
}
END_TEST

/* A byte of a body: nothing that is read afterwards would tell. */
static void read_that_took_bytes_with_it(bool in_thread, bool ended)
{
        struct conn *conn = open_pair(false);

        host_writes(get);
        peer_writes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        ck_assert_int_gt(host_reads(4096, 0), 0);
        peer_writes("some of it");
        if (ended)
                shutdown(peer, SHUT_WR);
        (in_thread ? thread_leaves : host_leaves)(1);
        ck_assert_int_eq(conn_phase(conn), CONN_HTTP1);
        ck_assert_int_eq(host_reads(4096, 0), 9);
        ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
        close_pair();
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].incomplete, 1);
}

START_TEST(test_read_that_took_bytes_with_it)
{
        for (int i = 0; i < 4; i++)
                read_that_took_bytes_with_it(i & 1, i & 2);
}
END_TEST

/* A signal handler reads while the call that it interrupted waits, and that goes on afterwards. */
START_TEST(test_read_within_a_read)
{
        struct tap_in outer;

        (void)open_pair(false);
        host_writes(get);
        tap_net_in_begin(&outer, ours, 0);
        peer_writes("HTTP/1.1 200 OK\r\n");
        ck_assert_int_eq(host_reads(4096, 0), 17);
        peer_writes("Content-Length: 2\r\n\r\n");
        ck_assert_int_eq(finish(&outer, 4096, 0), 21);
        peer_writes("ok");
        ck_assert_int_eq(host_reads(4096, 0), 2);
        expect_response(200);
        close_pair();
}
END_TEST

/* It comes back when another thread has begun to read. */
START_TEST(test_read_within_a_read_that_is_overtaken)
{
        struct conn *conn = open_pair(false);
        struct tap_in outer;

        host_writes(get);
        tap_net_in_begin(&outer, ours, 0);
        ck_assert_int_eq(host_reads(4096, MSG_DONTWAIT), -1);
        thread_leaves(0);
        ck_assert_int_eq(finish(&outer, 4096, MSG_DONTWAIT), -1);
        ck_assert_int_eq(conn_phase(conn), CONN_HTTP1);
        peer_writes(ok);
        ck_assert_int_gt(finish(&outer, 4096, 0), 0);
        ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
        close_pair();
        ck_assert_int_eq(told[0].incomplete, 1);
}
END_TEST

/* --- readers side by side --- */

struct reader {
        _Atomic int begun;
        int flags;
        ssize_t got;
};

/* Waits in the kernel until the peer writes. */
static void *read_in_thread(void *data)
{
        struct reader *reader = data;
        struct tap_in in;

        tap_net_in_begin(&in, ours, reader->flags);
        reader->begun = 1;
        reader->got = finish(&in, 4096, reader->flags);
        return NULL;
}

static pthread_t start_reader(struct reader *reader)
{
        pthread_t thread;

        ck_assert_int_eq(pthread_create(&thread, NULL, read_in_thread, reader), 0);
        while (!reader->begun)
                sched_yield();
        return thread;
}

START_TEST(test_two_threads_read)
{
        struct reader reader = {0};
        struct conn *conn = open_pair(false);
        pthread_t thread;

        host_writes(get);
        thread = start_reader(&reader);
        ck_assert_int_eq(host_reads(4096, MSG_DONTWAIT), -1);
        ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
        peer_writes(ok);
        pthread_join(thread, NULL);
        close_pair();
        ck_assert_int_eq(told[0].incomplete, 1);
}
END_TEST

static void one_reads_and_another_looks(bool looks_first)
{
        struct reader reader = {.flags = looks_first ? MSG_PEEK : 0};
        pthread_t thread;

        (void)open_pair(false);
        host_writes(get);
        thread = start_reader(&reader);
        if (!looks_first) {
                ck_assert_int_eq(host_reads(4096, MSG_PEEK | MSG_DONTWAIT), -1);
                peer_writes(ok);
                pthread_join(thread, NULL);
        } else {
                peer_writes(ok);
                pthread_join(thread, NULL);
                ck_assert_int_eq(reader.got, (ssize_t)strlen(ok));
                ck_assert_uint_eq(told_count, 0);
                ck_assert_int_eq(host_reads(4096, 0), (ssize_t)strlen(ok));
        }
        expect_response(200);
        close_pair();
}

START_TEST(test_one_reads_and_another_looks)
{
        one_reads_and_another_looks(false);
        one_reads_and_another_looks(true);
}
END_TEST

/* The end of the stream is seen by whoever looks; a reader who is there sees it for himself. */
static void look_finds_the_end(bool read_meanwhile)
{
        struct tap_in reading;

        (void)open_pair(false);
        host_writes(get);
        peer_writes("HTTP/1.1 200 OK\r\n\r\n");
        ck_assert_int_gt(host_reads(4096, 0), 0);
        shutdown(peer, SHUT_WR);
        if (read_meanwhile) {
                tap_net_in_begin(&reading, ours, 0);
                ck_assert_int_eq(host_reads(4096, MSG_PEEK), 0);
                ck_assert_uint_eq(told_count, 0);
                ck_assert_int_eq(finish(&reading, 4096, 0), 0);
        } else {
                ck_assert_int_eq(host_reads(4096, MSG_PEEK), 0);
        }
        expect_response(200);
        close_pair();
}

START_TEST(test_look_finds_the_end)
{
        look_finds_the_end(false);
        look_finds_the_end(true);
}
END_TEST

UNIT_MAIN_WITH("tap-in", serving_setup, test_client_reads_that_never_come_back,
               test_server_reads_that_never_come_back, test_peer_has_ended_meanwhile,
               test_read_that_took_bytes_with_it, test_read_within_a_read,
               test_read_within_a_read_that_is_overtaken, test_two_threads_read,
               test_one_reads_and_another_looks, test_look_finds_the_end)
