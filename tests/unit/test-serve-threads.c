/* SPDX-License-Identifier: Apache-2.0 */
/* Requests read by one thread, responses written by another, at the same time. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/unit/serving.h"

static pthread_barrier_t round_begins, round_ends;
static _Atomic bool over;
static void (*_Atomic job)(void);

/* What the other thread does in each round. */
static void *work(void *arg)
{
        for (;;) {
                pthread_barrier_wait(&round_begins);
                if (over)
                        return NULL;
                job();
                pthread_barrier_wait(&round_ends);
        }
}

static void in_two_threads(void (*setup)(void), void (*own)(void), void (*other)(void), void (*check)(void),
                           unsigned rounds)
{
        pthread_t thread;

        pthread_barrier_init(&round_begins, NULL, 2);
        pthread_barrier_init(&round_ends, NULL, 2);
        job = other;
        ck_assert_int_eq(pthread_create(&thread, NULL, work, NULL), 0);
        for (unsigned i = 0; i < rounds; i++) {
                setup();
                pthread_barrier_wait(&round_begins);
                own();
                pthread_barrier_wait(&round_ends);
                check();
        }
        over = true;
        pthread_barrier_wait(&round_begins);
        pthread_join(thread, NULL);
}

/* --- answered while the head is being read --- */

static struct conn *conn;

static void read_a_part(void)
{
        conn = accept_now();
        host_gets(get, 10);
}

static void read_the_rest(void)
{
        host_gets(get + 10, strlen(get) - 10);
}

static void time_out(void)
{
        host_puts("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
}

static void told_or_not(void)
{
        unsigned spans = told_count;

        ck_assert_uint_le(spans, 1);
        if (spans) {
                expect_answered(&told[0], 408);
                ck_assert_str_eq(told[0].method, "GET");
                ck_assert_str_eq(told[0].target, "/items?id=1");
        }
        ck_assert_int_eq(conn_phase(conn), CONN_HTTP1);
        close_expecting(spans);
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_NONE);
}

START_TEST(test_answered_while_the_head_is_read)
{
        in_two_threads(read_a_part, read_the_rest, time_out, told_or_not, 20000);
}
END_TEST

/* --- full duplex --- */

#define REQUESTS 100

static _Atomic unsigned asked;

static void begin(void)
{
        cause_waited(&thread_state.cause);
        conn = accept_now();
        asked = 0;
}

static void ask(void)
{
        for (unsigned i = 0; i < REQUESTS; i++) {
                host_gets(get, 30);
                host_gets(get + 30, strlen(get) - 30);
                asked++;
        }
}

static void answer(void)
{
        for (unsigned i = 0; i < REQUESTS; i++) {
                while (asked <= i)
                        sched_yield();
                host_puts("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
                tap_net_out_unseen(FD, 2);
        }
}

static void all_told(void)
{
        for (unsigned i = 0; i < REQUESTS; i++)
                expect_answered(&told[i], 200);
        close_expecting(REQUESTS);
        cause_waited(&thread_state.cause); /* it owed to more than can be counted */
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_NONE);
}

START_TEST(test_full_duplex)
{
        in_two_threads(begin, ask, answer, all_told, 200);
}
END_TEST

/* --- a client that is faster than the thread which answered it --- */

static _Atomic bool written, goes_on;

/* The answer has left, and its thread loses its core. */
static long take_and_sleep(size_t offered)
{
        written = true;
        while (!goes_on)
                sched_yield();
        return take_all(offered);
}

static void begin_asked(void)
{
        begin();
        written = goes_on = false;
        host_gets_text(get);
}

static void answer_late(void)
{
        (void)host_send(ok, strlen(ok), take_and_sleep);
}

static void await_answer(void)
{
        while (!written)
                sched_yield();
}

static void ask_and_answer_again(void)
{
        await_answer();
        host_gets_text(get);
        goes_on = true;
        host_puts("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

static void both_told(void)
{
        expect_answered(&told[0], 200);
        expect_answered(&told[1], 404);
        close_expecting(2);
        cause_waited(&thread_state.cause);
}

START_TEST(test_next_request_answered_by_another_thread)
{
        in_two_threads(begin_asked, answer_late, ask_and_answer_again, both_told, 2000);
}
END_TEST

static void hang_up(void)
{
        struct tap_in in;
        char byte;
        struct iovec iov = {&byte, 1};

        await_answer();
        tap_net_in_begin(&in, FD, 0);
        ck_assert_int_eq(tap_net_in_end(&in, &iov, 1, 0, 0, 1), 0);
        goes_on = true;
        tap_net_close(FD);
}

static void one_told(void)
{
        expect_answered(&told[0], 200);
        close_expecting(1);
        cause_waited(&thread_state.cause);
}

START_TEST(test_closed_by_another_thread_than_answered)
{
        in_two_threads(begin_asked, answer_late, hang_up, one_told, 2000);
}
END_TEST

/* --- closed while it is used --- */

static void read_one(void)
{
        struct tap_in in;
        struct iovec iov = {(void *)(uintptr_t)get, strlen(get)};

        tap_net_in_begin(&in, FD, 0);
        (void)tap_net_in_end(&in, &iov, 1, (ssize_t)strlen(get), 0, 100);
}

static void close_it(void)
{
        sched_yield();
        tap_net_close(FD);
}

static void closed(void)
{
        ck_assert_uint_le(told_count, 1);
        ck_assert(!told_count || told[0].unanswered);
        close_expecting(told_count);
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_NONE);
}

START_TEST(test_closed_while_it_is_read)
{
        in_two_threads(begin, read_one, close_it, closed, 20000);
}
END_TEST

UNIT_MAIN_WITH("serve-threads", serving_setup, test_answered_while_the_head_is_read, test_full_duplex,
               test_next_request_answered_by_another_thread, test_closed_by_another_thread_than_answered,
               test_closed_while_it_is_read)
