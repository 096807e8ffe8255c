/* SPDX-License-Identifier: Apache-2.0 */
/* Requests read by one thread, responses written by another, at the same time. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void sleep_until_it_goes_on(void)
{
        written = true;
        while (!goes_on)
                sched_yield();
}

/* The answer has left, and its thread loses its core. */
static long take_and_sleep(size_t offered)
{
        ck_assert_uint_eq(offered, strlen(ok));
        ck_assert_int_eq(write(FD, ok, offered), (ssize_t)offered);
        sleep_until_it_goes_on();
        return take_all(offered);
}

/* A client does not read, and the call waits for that. */
static long take_nothing_yet(size_t offered)
{
        sleep_until_it_goes_on();
        return take_all(offered);
}

/* The connection's descriptor is a real socket, which counts. */
static void connect_really(int domain)
{
        int fds[2];

        if (domain == AF_UNIX) {
                ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        } else {
                struct sockaddr_in addr = {.sin_family = AF_INET};
                socklen_t len = sizeof(addr);
                int listener = socket(AF_INET, SOCK_STREAM, 0);

                addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
                ck_assert_int_eq(listen(listener, 1), 0);
                ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
                fds[1] = socket(AF_INET, SOCK_STREAM, 0);
                ck_assert_int_eq(connect(fds[1], (struct sockaddr *)&addr, len), 0);
                fds[0] = accept(listener, NULL, NULL);
                close(listener);
        }
        ck_assert_int_eq(dup2(fds[0], FD), FD);
        ck_assert_int_eq(dup2(fds[1], FD + 1), FD + 1);
        close(fds[0]);
        close(fds[1]);
}

static void begin_asked(void)
{
        connect_really(AF_INET);
        begin();
        written = goes_on = false;
        host_gets_text(get);
}

static void begin_asked_on_unix(void)
{
        struct sockaddr addr = {.sa_family = AF_UNIX};

        connect_really(AF_UNIX);
        cause_waited(&thread_state.cause);
        conn = serve_new(&addr, 0);
        ck_assert(conn && conn_table_set(FD, conn));
        wire_len = told_count = 0;
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

static void read_answer(void)
{
        char buf[sizeof(ok)];

        await_answer();
        ck_assert_int_eq(read(FD + 1, buf, sizeof(buf)), sizeof(ok) - 1);
}

static void ask_and_answer_again(void)
{
        read_answer();
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

START_TEST(test_next_request_answered_by_another_thread_on_unix)
{
        in_two_threads(begin_asked_on_unix, answer_late, ask_and_answer_again, both_told, 2000);
}
END_TEST

/* --- one that does not read --- */

static void answer_blocked(void)
{
        (void)host_send(ok, strlen(ok), take_nothing_yet);
}

static long waits_of_thread(void)
{
        struct rusage usage;

        ck_assert_int_eq(getrusage(RUSAGE_THREAD, &usage), 0);
        return usage.ru_nvcsw;
}

/* It asks ahead, and another thread answers: that is no business of the first one. */
static void ask_ahead(void)
{
        long before;

        await_answer();
        host_gets_text(get);
        before = waits_of_thread();
        host_puts(ok);
        ck_assert_int_eq(waits_of_thread(), before);
        goes_on = true;
}

static void opaque(void)
{
        ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
        tap_net_close(FD);
        cause_waited(&thread_state.cause);
}

START_TEST(test_thread_that_waits_in_its_call_is_not_waited_for)
{
        in_two_threads(begin_asked, answer_blocked, ask_ahead, opaque, 100);
}
END_TEST

static void hang_up(void)
{
        struct tap_in in;
        char byte;
        struct iovec iov = {&byte, 1};

        read_answer();
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
               test_next_request_answered_by_another_thread,
               test_next_request_answered_by_another_thread_on_unix,
               test_thread_that_waits_in_its_call_is_not_waited_for,
               test_closed_by_another_thread_than_answered, test_closed_while_it_is_read)
