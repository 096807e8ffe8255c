/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that a parent has read and its forked children may answer: whatever each of them does, and in
 * whatever order they end, exactly one tells of it.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "agent/flow/handoff_table.h"
#include "tests/unit/forking.h"

#define FIRST_FD 20 /* of many connections */

static void begin_child(void)
{
        forking_begin_child();
        told_count = 0;
}

static void handoff_setup(void)
{
        forking_setup();
        process_after_fork = begin_child;
}

/* A child that waits for its cue. */
struct child {
        pid_t pid;
        int cue, joined;
};

/* Its exit status is what it told. */
static struct child fork_for(void (*work)(void))
{
        struct child child;
        int pipes[2], joined[2];
        char byte;

        ck_assert_int_eq(pipe(pipes), 0);
        ck_assert_int_eq(pipe(joined), 0);
        handoff_before_fork();
        child.pid = fork();
        ck_assert_int_ge(child.pid, 0);
        if (child.pid == 0) {
                process_notice_fork();
                close(joined[1]);
                close(pipes[1]);
                ck_assert_int_eq(read(pipes[0], &byte, 1), 0);
                work();
                _exit((int)told_count);
        }
        close(pipes[0]);
        close(joined[1]);
        child.cue = pipes[1];
        child.joined = joined[0];
        return child;
}

/* Its fork handlers are over. */
static void await(struct child child)
{
        char byte;

        ck_assert_int_eq(read(child.joined, &byte, 1), 0);
}

static void give_cue(struct child child)
{
        close(child.joined);
        close(child.cue);
}

static unsigned told_by(struct child child)
{
        int status;

        ck_assert_int_eq(waitpid(child.pid, &status, 0), child.pid);
        ck_assert(WIFEXITED(status));
        return (unsigned)WEXITSTATUS(status);
}

static unsigned told_on_cue(struct child child)
{
        give_cue(child);
        return told_by(child);
}

/* The connection is over here. What is left stays shown: the child may be killed together with this process.
 */
static void close_leaving(void)
{
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 0);
        ck_assert_int_eq(open_now, handoff_has_left() ? 1 : 0);
        ck_assert_uint_eq(conn_table_count(), 0);
}

static void expect_incomplete(const struct told *span)
{
        ck_assert_int_eq(span->kind, SPAN_SERVER);
        ck_assert_int_eq(span->incomplete, 1);
        ck_assert_int_eq(span->status + span->unanswered + span->truncated + span->error, 0);
}

/* The connection that was closed is given back, and its place with it. */
static void expect_nothing_left(void)
{
        handoff_look_at_left();
        ck_assert(!handoff_any());
        ck_assert(!handoff_has_left());
        ck_assert_int_eq(open_now, 0);
        ck_assert(!cause_any());
}

/* --- what children do --- */

static void nothing(void)
{
}

static void say_last_words(void)
{
        conn_table_each(conn_last_words);
        handoff_last_words();
        conn_table_each(conn_last_words);
}

static void close_and_forget(void)
{
        tap_net_close(FD);
        if (handoff_any())
                _exit(100);
}

static void see_it_answered(void)
{
        handoff_look();
        if (handoff_any())
                _exit(100);
}

static void close_it(void)
{
        tap_net_close(FD);
}

static void answer(void)
{
        host_puts(ok);
        tap_net_close(FD);
        say_last_words();
}

static void fail_to_execute_and_answer(void)
{
        say_last_words();
        answer();
}

/* --- the child is no handler --- */

START_TEST(test_unrelated_child_is_gone)
{
        accept_now();
        host_gets_text(get);
        ck_assert_uint_eq(told_on_cue(fork_for(nothing)), 0);
        close_expecting(1);
        expect_incomplete(&told[0]);
        expect_nothing_left();
}
END_TEST

START_TEST(test_unrelated_child_lives_on)
{
        void (*const ends[])(void) = {say_last_words, close_it};

        for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
                struct child child;

                accept_now();
                host_gets_text(get);
                child = fork_for(ends[i]);
                close_leaving();
                ck_assert(handoff_has_left());
                ck_assert_uint_eq(told_on_cue(child), 1);
                handoff_look();
                expect_nothing_left();
                ck_assert_uint_eq(told_count, 0);
        }
}
END_TEST

/* Nothing is left of it in a child that has no more to do with it, and goes on. */
START_TEST(test_child_forgets)
{
        struct child closing, seeing;

        accept_now();
        host_gets_text(get);
        seeing = fork_for(see_it_answered);
        closing = fork_for(close_and_forget); /* has the other one's cue as well */
        ck_assert_uint_eq(told_on_cue(closing), 0);
        host_puts(ok);
        ck_assert_uint_eq(told_on_cue(seeing), 0);
        close_expecting(1);
        expect_nothing_left();
}
END_TEST

START_TEST(test_parent_answers_while_child_lives)
{
        struct child child;

        accept_now();
        host_gets_text(get);
        child = fork_for(say_last_words);
        host_puts(ok);
        expect_answered(&told[0], 200);
        close_expecting(1);
        expect_nothing_left();
        ck_assert_uint_eq(told_on_cue(child), 0);
}
END_TEST

START_TEST(test_fork_that_failed)
{
        accept_now();
        host_gets_text(get);
        handoff_before_fork();
        close_leaving();
        ck_assert(handoff_has_left());
        handoff_last_words();
        ck_assert_uint_eq(told_count, 1);
        expect_incomplete(&told[0]);
        expect_nothing_left();
}
END_TEST

/* --- the child is killed --- */

START_TEST(test_killed_child_takes_nothing_with_it)
{
        for (int reaped = 0; reaped < 2; reaped++) {
                struct child child;
                siginfo_t info;

                accept_now();
                host_gets_text(get);
                child = fork_for(answer);
                await(child);
                close_leaving();
                ck_assert_int_eq(kill(child.pid, SIGKILL), 0);
                ck_assert_int_eq(waitid(P_PID, (id_t)child.pid, &info, WEXITED | (reaped ? 0 : WNOWAIT)), 0);
                handoff_look_at_left();
                ck_assert_uint_eq(told_count, 1);
                expect_incomplete(&told[0]);
                expect_nothing_left();
                give_cue(child);
        }
}
END_TEST

/* --- the child answers --- */

START_TEST(test_child_answers_after_the_parent_closed)
{
        struct child child;

        accept_now();
        host_gets_text(get);
        child = fork_for(answer);
        close_leaving();
        ck_assert_uint_eq(told_on_cue(child), 1);
        handoff_look();
        expect_nothing_left();
        ck_assert_uint_eq(told_count, 0);
}
END_TEST

START_TEST(test_parent_goes_on_with_the_connection)
{
        struct thread_cause fresh = {0};
        struct child child;

        accept_now();
        host_gets_text(get);
        child = fork_for(answer);
        ck_assert(cause_is_open(cause_current(&fresh)));
        ck_assert_uint_eq(told_on_cue(child), 1);
        ck_assert_uint_eq(cause_current(&fresh), CAUSE_NONE); /* although the connection is open */
        ck_assert_int_eq(open_now, 0);
        host_gets_text("GET /second HTTP/1.1\r\nHost: b\r\n\r\n");
        ck_assert_int_eq(open_now, 1);
        host_puts("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        expect_answered(&told[0], 404);
        ck_assert_str_eq(told[0].target, "/second");
        close_expecting(1);
        expect_nothing_left();
}
END_TEST

START_TEST(test_child_answers_after_exec_failed)
{
        struct child child;

        accept_now();
        host_gets_text(get);
        child = fork_for(fail_to_execute_and_answer);
        ck_assert_uint_eq(told_on_cue(child), 1);
        close_leaving();
        expect_nothing_left();
}
END_TEST

static struct child grandchild;

static void fork_and_go(void)
{
        grandchild = fork_for(answer);
        say_last_words();
        if (told_on_cue(grandchild) != 1 || told_count != 0)
                _exit(100);
}

START_TEST(test_grandchild_answers)
{
        struct child child;

        accept_now();
        host_gets_text(get);
        child = fork_for(fork_and_go);
        close_leaving();
        ck_assert_uint_eq(told_on_cue(child), 0);
        expect_nothing_left();
        ck_assert_uint_eq(told_count, 0);
}
END_TEST

START_TEST(test_parent_ends_first)
{
        struct child child;

        accept_now();
        host_gets_text(get);
        child = fork_for(answer);
        say_last_words();
        ck_assert_uint_eq(told_count, 1);
        expect_incomplete(&told[0]);
        ck_assert_uint_eq(told_on_cue(child), 0);
        close_expecting(1);
        accept_now();
        host_gets_text(get);
        child = fork_for(answer);
        close_leaving();
        say_last_words();
        ck_assert_uint_eq(told_count, 1);
        expect_incomplete(&told[0]);
        ck_assert_uint_eq(told_on_cue(child), 0);
        expect_nothing_left();
}
END_TEST

static int report; /* of a grandchild, which cannot be waited for */
static pid_t killed;

static void answer_and_report(void)
{
        char byte;

        while (getppid() == killed) /* its files are closed before it is gone */
                sched_yield();
        answer();
        byte = (char)told_count;
        ck_assert_int_eq(write(report, &byte, 1), 1);
}

static bool closes_first;

static void read_fork_and_be_killed(void)
{
        struct child child;

        killed = getpid();
        accept_now();
        host_gets_text(get);
        child = fork_for(answer_and_report);
        await(child);
        if (closes_first)
                tap_net_close(FD);
        raise(SIGKILL);
}

/* Return: what the child of a server that is killed tells. */
static int told_by_orphan(void)
{
        int pipes[2], status;
        struct child child;
        siginfo_t info;
        char byte = -1;

        ck_assert_int_eq(pipe(pipes), 0);
        report = pipes[1];
        child = fork_for(read_fork_and_be_killed);
        give_cue(child);
        close(pipes[1]);
        /* With the zombie still there: the orphan's cue is that its parent is gone. */
        ck_assert_int_eq(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
        ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
        close(pipes[0]);
        ck_assert_int_eq(waitpid(child.pid, &status, 0), child.pid);
        return byte;
}

/* What it showed waits for word of the child. */
START_TEST(test_orphan_answers)
{
        ck_assert_int_eq(told_by_orphan(), 1);
        closes_first = true;
        ck_assert_int_eq(told_by_orphan(), 1);
}
END_TEST

#define ROUNDS 300

/* Nobody knows who is first: one of them tells. */
START_TEST(test_both_at_once)
{
        unsigned by_child = 0;

        for (unsigned i = 0; i < ROUNDS; i++) {
                struct child child;
                unsigned its;

                accept_now();
                host_gets_text(get);
                child = fork_for(i % 3 == 2 ? say_last_words : answer);
                give_cue(child);
                if (i % 2)
                        host_puts(ok);
                tap_net_close(FD);
                its = told_by(child);
                handoff_look_at_left();
                ck_assert_uint_eq(its + told_count, 1);
                expect_nothing_left();
                by_child += its;
        }
        ck_assert_uint_gt(by_child, 0);
}
END_TEST

/* --- room --- */

static const char long_ago[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/* Requests on so many connections, from FIRST_FD on. */
static void read_many(unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                struct iovec iov = {(void *)(uintptr_t)get, strlen(get)};
                struct tap_in in;

                ck_assert(conn_table_set(FIRST_FD + (int)i, serve_new(NULL, 0)));
                tap_net_in_begin(&in, FIRST_FD + (int)i, 0);
                tap_net_in_end(&in, &iov, 1, (ssize_t)strlen(get), 0, strlen(get));
        }
}

static long answer_on(int fd)
{
        struct wire_call call = {take_all, long_ago, strlen(long_ago)};
        struct iovec iov = {(void *)(uintptr_t)long_ago, strlen(long_ago)};

        return tap_net_out(fd, &iov, 1, emit, &call);
}

#define MANY (HANDOFF_SLOTS + 6)

static void answer_many(void)
{
        for (unsigned i = 0; i < MANY; i++) {
                answer_on(FIRST_FD + (int)i);
                tap_net_close(FIRST_FD + (int)i);
        }
}

START_TEST(test_more_than_there_is_room_for)
{
        struct child child;

        for (int again = 0; again < 3; again++) {
                told_count = 0;
                read_many(MANY);
                child = fork_for(answer_many);
                ck_assert_uint_eq(told_on_cue(child), HANDOFF_SLOTS);
                for (unsigned i = 0; i < MANY; i++)
                        tap_net_close(FIRST_FD + (int)i);
                ck_assert_uint_eq(told_count, MANY - HANDOFF_SLOTS);
                for (unsigned i = 0; i < told_count; i++)
                        expect_incomplete(&told[i]);
                expect_nothing_left();
        }
}
END_TEST

static void take_all_room(void)
{
        read_many(HANDOFF_SLOTS);
        (void)told_on_cue(fork_for(nothing));
        ck_assert(handoff_any());
}

START_TEST(test_room_of_the_dead_is_reclaimed)
{
        ck_assert_uint_eq(handoff_table_add(0) % 256, 1); /* the page is there before the child is */
        ck_assert_uint_eq(told_on_cue(fork_for(take_all_room)), 0);
        accept_now();
        host_gets_text(get);
        ck_assert_uint_eq(told_on_cue(fork_for(answer)), 1);
        close_leaving();
        expect_nothing_left();
}
END_TEST

/* Another thread's child has all that this one has read, too, without being awaited. */
static void *fork_beside(void *unused)
{
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                process_notice_fork();
                say_last_words();
                _exit((int)told_count);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        return NULL;
}

START_TEST(test_child_of_another_thread)
{
        pthread_t thread;

        accept_now();
        host_gets_text(get);
        handoff_before_fork();
        ck_assert_int_eq(pthread_create(&thread, NULL, fork_beside, NULL), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        close_leaving();
        ck_assert(handoff_has_left());
        handoff_last_words();
        ck_assert_uint_eq(told_count, 1);
        expect_nothing_left();
}
END_TEST

START_TEST(test_slots_that_others_let_go_of)
{
        uint64_t name = handoff_table_add(0);

        ck_assert(handoff_table_claim(name));
        ck_assert_uint_eq(handoff_slot(handoff_table_add(3)), 2);
        ck_assert_uint_eq(handoff_slot(handoff_table_add(0)), handoff_slot(name));
}
END_TEST

UNIT_MAIN_WITH("handoff", handoff_setup, test_unrelated_child_is_gone, test_unrelated_child_lives_on,
               test_child_forgets, test_parent_answers_while_child_lives, test_fork_that_failed,
               test_killed_child_takes_nothing_with_it, test_child_answers_after_the_parent_closed,
               test_parent_goes_on_with_the_connection, test_child_answers_after_exec_failed,
               test_grandchild_answers, test_parent_ends_first, test_orphan_answers, test_both_at_once,
               test_more_than_there_is_room_for, test_room_of_the_dead_is_reclaimed,
               test_child_of_another_thread, test_slots_that_others_let_go_of)
