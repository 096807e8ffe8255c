/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Responses that this process writes in part, or not itself: the rest comes from a forked child, from a
 * program that it executes, or through functions that we do not stand in front of. One request is one span
 * all the same, and what we did not see is no failure.
 */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "tests/unit/forking.h"

/* --- a child has its part --- */

static void write_body(void *arg)
{
        host_puts("ok");
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 0);
        ck_assert_int_eq(open_now, 1); /* the parent's */
}

START_TEST(test_head_by_parent_body_by_child)
{
        accept_now();
        host_gets_text(get);
        host_puts("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        in_child(write_body);
        close_expecting(1);
        expect_answered(&told[0], 200);
}
END_TEST

static void execute(void *arg)
{
        tap_net_dup(FD, 1);
        conn_table_each(conn_last_words);
        ck_assert_uint_eq(told_count, 0);
}

START_TEST(test_half_a_head_by_parent)
{
        accept_now();
        host_gets_text(get);
        host_puts("HTTP/1.0 203 Script output follows\r\nServer: x\r\n");
        in_child(execute);
        close_expecting(1);
        expect_answered(&told[0], 203);
}
END_TEST

static void answer(void *arg)
{
        host_puts(ok);
        ck_assert_uint_eq(told_count, 1);
        expect_answered(&told[0], 200);
        ck_assert_int_eq(open_now, 1);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
}

START_TEST(test_interim_by_parent_answer_by_child)
{
        accept_now();
        host_gets_text(get);
        host_puts("HTTP/1.1 100 Continue\r\n\r\n");
        in_child(answer);
        close_expecting(0);
}
END_TEST

START_TEST(test_half_a_head_without_a_child)
{
        accept_now();
        host_gets_text(get);
        host_puts("HTTP/1.0 200 OK\r\nServer: x\r\n");
        close_expecting(1);
        ck_assert_int_eq(told[0].status, 200);
        ck_assert_int_eq(told[0].truncated, 1);
        ck_assert_int_eq(told[0].unanswered, 0);
}
END_TEST

static void answer_both(void *arg)
{
        host_puts(ok);
        ck_assert_int_eq(open_now, 2); /* the parent's */
        host_puts(ok);
        ck_assert_uint_eq(told_count, 2);
        expect_answered(&told[0], 200);
        expect_answered(&told[1], 200);
        ck_assert_int_eq(open_now, 2);
        tap_net_close(FD);
}

START_TEST(test_pipeline_goes_to_the_child)
{
        accept_now();
        host_gets_text(get);
        host_gets_text(get);
        ck_assert_int_eq(open_now, 2);
        in_child(answer_both);
        close_expecting(0);
}
END_TEST

/* --- bytes that leave unseen --- */

static int client_fd;

/* A real connection whose accepted end is FD. */
static void connect_really(void)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(addr);
        int listener = socket(AF_INET, SOCK_STREAM, 0), accepted;

        ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
        ck_assert_int_eq(listen(listener, 1), 0);
        ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
        client_fd = socket(AF_INET, SOCK_STREAM, 0);
        ck_assert_int_eq(connect(client_fd, (struct sockaddr *)&addr, len), 0);
        accepted = accept(listener, NULL, NULL);
        ck_assert_int_ge(accepted, 0);
        if (accepted != FD) {
                ck_assert_int_eq(dup2(accepted, FD), FD);
                ck_assert_int_eq(close(accepted), 0);
        }
        ck_assert_int_eq(close(listener), 0);
        told_count = 0;
}

static void send_unseen(const char *text)
{
        ck_assert_int_eq(write(FD, text, strlen(text)), (ssize_t)strlen(text));
}

START_TEST(test_answer_that_left_unseen_is_no_failure)
{
        connect_really();
        tap_net_accepted(FD);
        host_gets_text(get);
        send_unseen(ok);
        close_expecting(1);
        ck_assert_int_eq(told[0].incomplete, 1);
        ck_assert_int_eq(told[0].unanswered + told[0].truncated, 0);
}
END_TEST

START_TEST(test_body_that_left_unseen_is_no_failure)
{
        static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

        connect_really();
        tap_net_accepted(FD);
        host_gets_text(get);
        host_puts(head);
        send_unseen(head);
        send_unseen("ok");
        close_expecting(1);
        ck_assert_int_eq(told[0].status, 200);
        ck_assert_int_eq(told[0].incomplete, 1);
        ck_assert_int_eq(told[0].truncated, 0);
}
END_TEST

START_TEST(test_no_answer_is_a_failure)
{
        connect_really();
        tap_net_accepted(FD);
        host_gets_text(get);
        close_expecting(1);
        ck_assert_int_eq(told[0].unanswered, 1);
        ck_assert_int_eq(told[0].incomplete, 0);
}
END_TEST

START_TEST(test_client_that_hangs_up_in_sendfile)
{
        accept_now();
        host_gets_text(get);
        host_puts("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        tap_net_out_unseen(FD, 4);
        errno = EAGAIN;
        tap_net_out_unseen(FD, -1);
        errno = EIO; /* the file's */
        tap_net_out_unseen(FD, -1);
        ck_assert_int_eq(errno, EIO);
        tap_net_out_unseen(FD, 2);
        errno = EPIPE;
        tap_net_out_unseen(FD, -1);
        ck_assert_int_eq(errno, EPIPE);
        close_expecting(1);
        ck_assert_int_eq(told[0].status, 200);
        ck_assert_int_eq(told[0].error, EPIPE);
}
END_TEST

/* --- connections that another process has accepted --- */

START_TEST(test_received_connection_is_served)
{
        connect_really();
        tap_net_received(FD);
        ck_assert(tap_net_tracked(FD));
        host_gets_text(get);
        host_puts(ok);
        expect_answered(&told[0], 200);
        close_expecting(1);
}
END_TEST

START_TEST(test_received_others_are_not)
{
        int fds[2], listener = socket(AF_INET, SOCK_STREAM, 0);

        ck_assert_int_eq(listen(listener, 1), 0);
        tap_net_received(listener);
        ck_assert(!tap_net_tracked(listener));
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        tap_net_received(fds[0]);
        ck_assert(!tap_net_tracked(fds[0]));
        ck_assert_int_eq(pipe(fds), 0);
        tap_net_received(fds[0]);
        ck_assert(!tap_net_tracked(fds[0]));
        tap_net_received(60000); /* closed again by now */
        ck_assert(!tap_net_tracked(60000));
}
END_TEST

/* --- clients that ask for what we cannot read --- */

#define OTHER_FD 8

static void nothing_beside(void *arg)
{
        struct thread_cause fresh = {0};

        process_notice_fork();
        tap_net_close(OTHER_FD);
        host_gets_text("l"); /* takes the request over */
        ck_assert(cause_is_open(cause_current(&fresh)));
}

START_TEST(test_what_is_unknown_may_be_another_request)
{
        struct thread_cause fresh = {0};
        struct conn *other;
        uint64_t first;

        accept_now();
        other = serve_new(NULL, 0);
        ck_assert(conn_table_set(OTHER_FD, other));
        host_gets_text("POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhe");
        first = cause_current(&thread_state.cause);
        ck_assert(cause_is_open(first));
        cause_waited(&thread_state.cause);
        ck_assert_uint_eq(cause_current(&fresh), first); /* the process's only one */
        conn_opaque(other, STAT_OPAQUE_UNKNOWN);
        conn_opaque(other, STAT_OPAQUE_UNKNOWN);
        ck_assert_uint_eq(cause_current(&fresh), CAUSE_UNKNOWN);
        ck_assert_uint_eq(cause_current(&thread_state.cause), first); /* who never read there is sure */
        cause_read_opaque(&thread_state.cause, true);
        cause_waited(&thread_state.cause);
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_UNKNOWN);
        host_gets_text("l");
        ck_assert_uint_eq(cause_current(&thread_state.cause), first); /* a debt is one all the same */
        in_child(nothing_beside);
        cause_waited(&thread_state.cause);
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_UNKNOWN);
        tap_net_close(OTHER_FD);
        ck_assert_uint_eq(cause_current(&thread_state.cause), first);
        ck_assert_uint_eq(cause_current(&fresh), first);
        tap_net_close(FD);
}
END_TEST

UNIT_MAIN_WITH("serve-shared", forking_setup, test_head_by_parent_body_by_child, test_half_a_head_by_parent,
               test_interim_by_parent_answer_by_child, test_half_a_head_without_a_child,
               test_pipeline_goes_to_the_child, test_answer_that_left_unseen_is_no_failure,
               test_body_that_left_unseen_is_no_failure, test_no_answer_is_a_failure,
               test_client_that_hangs_up_in_sendfile, test_received_connection_is_served,
               test_received_others_are_not, test_what_is_unknown_may_be_another_request)
