/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server connections in several processes and threads: who forked tells nothing of what its child answers,
 * and calls that never come back, or come back to another connection, harm nobody.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

#include "tests/unit/forking.h"

/* --- forks --- */

static void answer(void *arg)
{
        host_puts(ok);
        ck_assert_uint_eq(told_count, 1);
        expect_answered(&told[0], 200);
        ck_assert_int_eq(open_now, 1); /* the parent's */
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_NONE);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
}

START_TEST(test_child_answers)
{
        accept_now();
        host_gets_text(get);
        in_child(answer);
        close_expecting(0);
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_NONE);
}
END_TEST

static void read_on_and_answer(void *arg)
{
        host_gets_text("llo");
        ck_assert_int_eq(open_now, 1); /* the parent's, until one of them answers */
        ck_assert(cause_is_open(cause_current(&thread_state.cause)));
        answer(arg);
        host_gets_text(get); /* nobody is connected there any more */
}

START_TEST(test_child_reads_the_rest)
{
        accept_now();
        host_gets_text("POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhe");
        in_child(read_on_and_answer);
        close_expecting(0);
}
END_TEST

static void read_head_and_answer(void *arg)
{
        host_gets(get + 20, strlen(get) - 20);
        ck_assert_int_eq(open_now, 1);
        host_puts(ok);
        expect_answered(&told[0], 200);
        ck_assert_int_eq(open_now, 0);
        tap_net_close(FD);
}

START_TEST(test_child_reads_the_rest_of_the_head)
{
        accept_now();
        host_gets(get, 20);
        in_child(read_head_and_answer);
        close_expecting(0);
}
END_TEST

static void serve_all(void *arg)
{
        host_gets_text(get);
        host_puts(ok);
        host_gets_text(get);
        host_puts(ok);
        expect_answered(&told[0], 200);
        close_expecting(2);
}

START_TEST(test_child_serves_from_the_start)
{
        accept_now();
        in_child(serve_all);
        close_expecting(0);
        accept_now(); /* between two requests */
        host_gets_text(get);
        host_puts(ok);
        told_count = 0;
        in_child(serve_all);
        close_expecting(0);
}
END_TEST

static void only_close(void *arg)
{
        process_notice_fork(); /* as the fork handlers do */
        conn_table_each(conn_last_words);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 0);
        conn_table_each(conn_last_words);
        ck_assert_uint_eq(told_count, 0);
}

START_TEST(test_child_only_closes)
{
        accept_now();
        host_gets_text(get);
        in_child(only_close);
        ck_assert_int_eq(open_now, 1);
        host_puts(ok);
        expect_answered(&told[0], 200);
        close_expecting(1);
}
END_TEST

static void take_over_and_close(void *arg)
{
        struct tap_in in;

        tap_net_in_begin(&in, FD, 0);
        errno = EAGAIN;
        tap_net_in_end(&in, NULL, 0, -1, 0, 1);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 0);
}

START_TEST(test_child_gives_up)
{
        accept_now();
        host_gets_text(get);
        in_child(take_over_and_close);
        close_expecting(1);
        ck_assert_int_eq(told[0].incomplete, 1);
}
END_TEST

START_TEST(test_vfork_child_closes)
{
        pid_t pid;

        accept_now();
        host_gets_text(get);
        pid = vfork();
        if (pid == 0) {
                tap_net_close(FD);
                tap_net_close_range(0, 100);
                _exit(0);
        }
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert(tap_net_tracked(FD));
        ck_assert_uint_eq(told_count, 0);
        host_puts(ok);
        expect_answered(&told[0], 200);
        close_expecting(1);
}
END_TEST

/* --- the process's last words --- */

START_TEST(test_goes_on_after_its_last_words)
{
        static const char *const answers[] = {"", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
                                              "HTTP/1.1 200 OK\r\nTransfer-Enc",
                                              "HTTP/1.1 100 Continue\r\n\r\n"};

        for (unsigned i = 0; i < ARRAY_LEN(answers); i++) {
                accept_now();
                host_gets_text(get);
                if (*answers[i])
                        host_puts(answers[i]);
                conn_table_each(conn_last_words);
                ck_assert_uint_eq(told_count, 1);
                host_puts("k");
                host_puts(ok);
                tap_net_out_unseen(FD, 1);
                tap_net_shutdown(FD, SHUT_WR);
                host_gets_text(get);
                conn_table_each(conn_last_words);
                close_expecting(1);
        }
}
END_TEST

/* --- calls that never come back, or to another connection --- */

static jmp_buf out_of_call;

/* What the connection before this one had was given back. */
static void expect_same_memory(const struct conn *conn)
{
        static uint32_t before = UINT32_MAX;

        ck_assert(before == UINT32_MAX || conn->index == before);
        before = conn->index;
}

static long take_and_jump(size_t offered)
{
        longjmp(out_of_call, 1);
}

static int jumps; /* not lost by the jump */

START_TEST(test_write_that_is_jumped_out_of)
{
        for (jumps = 0; jumps < 100; jumps++) {
                expect_same_memory(accept_now());
                host_gets_text(get);
                if (!setjmp(out_of_call))
                        (void)host_send(ok, strlen(ok), take_and_jump);
                ck_assert_uint_eq(thread_state.guard, 0);
                host_puts(ok); /* we cannot know what left */
                ck_assert_uint_eq(told_count, 0);
                close_expecting(1);
                ck_assert_int_eq(told[0].incomplete, 1);
        }
}
END_TEST

START_TEST(test_read_that_never_comes_back)
{
        for (int i = 0; i < 100; i++) {
                struct tap_in in;

                expect_same_memory(accept_now());
                tap_net_in_begin(&in, FD, 0);
                if (i % 2)
                        host_gets_text(get); /* another one goes on: hands off */
                host_puts(ok);
                close_expecting(0);
        }
}
END_TEST

static struct conn *newcomer;

static long take_while_closed(size_t offered)
{
        tap_net_close(FD);
        newcomer = accept_now();
        return (long)offered;
}

START_TEST(test_number_is_reused_during_a_call)
{
        struct iovec iov = {(void *)(uintptr_t)get, strlen(get)};
        struct tap_in in;

        accept_now();
        host_gets_text(get);
        ck_assert_int_eq(host_send(ok, strlen(ok), take_while_closed), (ssize_t)strlen(ok));
        ck_assert_int_eq(conn_phase(newcomer), CONN_OPEN);
        tap_net_in_begin(&in, FD, 0);
        tap_net_close(FD);
        newcomer = accept_now();
        ck_assert_int_eq(tap_net_in_end(&in, &iov, 1, (ssize_t)strlen(get), 0, 100), (ssize_t)strlen(get));
        ck_assert_int_eq(conn_phase(newcomer), CONN_OPEN);
        host_gets_text(get);
        host_puts(ok);
        expect_answered(&told[0], 200);
        close_expecting(1);
}
END_TEST

UNIT_MAIN_WITH("serve-family", forking_setup, test_child_answers, test_child_reads_the_rest,
               test_child_reads_the_rest_of_the_head, test_child_serves_from_the_start,
               test_child_only_closes, test_child_gives_up, test_vfork_child_closes,
               test_goes_on_after_its_last_words, test_write_that_is_jumped_out_of,
               test_read_that_never_comes_back, test_number_is_reused_during_a_call)
