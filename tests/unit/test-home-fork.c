/* SPDX-License-Identifier: Apache-2.0 */
/* Ring and relay of a process that forks, or whose descriptors are closed and taken by the host. */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "agent/base/sys.h"
#include "tests/unit/home_relay.h"

static void child_writes(void *arg)
{
        host_after_fork();
        host_write(2);
}

START_TEST(test_home_after_fork_own_ring)
{
        struct client parent = client_begin("otlp", 1), child;

        ck_assert_int_eq(unit_in_child(child_writes, NULL), 0);
        child = accept_client(parent.listener);
        ck_assert_uint_ne(child.text.pid, parent.text.pid);
        ck_assert_uint_eq(drain(&child), 2);
        ck_assert_uint_eq(drain(&parent), 1);
        ck_assert_uint_eq(atomic_load(&parent.ring.header->stats[STAT_SPANS_WRITTEN]), 1);
        ck_assert_uint_eq(atomic_load(&child.ring.header->stats[STAT_SPANS_WRITTEN]), 2);
}
END_TEST

static void child_keeps_nothing(void *arg)
{
        unsigned before = *(unsigned *)arg;

        host_after_fork();
        if (host_descriptors() != before || home_next_fd(0) != -1)
                _exit(1);
}

START_TEST(test_home_after_fork_closes_all)
{
        unsigned before;

        host_start("otlp", "auto", "name", "/");
        listen_as_relay(0);
        before = host_descriptors();
        host_write(1);
        ck_assert_uint_eq(host_descriptors(), before + 2);
        ck_assert_int_eq(unit_in_child(child_keeps_nothing, &before), 0);
}
END_TEST

/* No handler runs in it, and still it writes into a ring of its own. */
START_TEST(test_home_span_raw_fork)
{
        struct client parent = client_begin("otlp", 1), child;
        int status;
        long pid;

        pid = sys_call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
        if (pid == 0) {
                host_write(2);
                _exit(0);
        }
        ck_assert_int_eq(waitpid((pid_t)pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        child = accept_client(parent.listener);
        ck_assert_uint_eq(drain(&child), 2);
        ck_assert_uint_eq(drain(&parent), 1);
}
END_TEST

static char vfork_stack[64 * 1024];

static int vfork_child(void *arg)
{
        host_write(3);
        return 0;
}

/* It shares our memory and not our descriptors: it must not make anything. */
START_TEST(test_home_span_vfork_child)
{
        struct client client;
        int listener, pid;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        pid = clone(vfork_child, vfork_stack + sizeof(vfork_stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert(nobody_connects(listener));
        ck_assert_int_eq(home_next_fd(0), -1);
        host_write(1);
        client = accept_client(listener);
        ck_assert_uint_eq(drain(&client), 1);
}
END_TEST

START_TEST(test_home_owns_fd)
{
        struct client client;
        int listener, first, second;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        ck_assert_int_eq(home_next_fd(0), -1);
        host_write(1);
        client = accept_client(listener);
        first = home_next_fd(0);
        second = home_next_fd(first + 1);
        ck_assert_int_ge(first, LIMIT_OWN_FD_FLOOR);
        ck_assert_int_gt(second, first);
        ck_assert_int_eq(home_next_fd(second + 1), -1);
        ck_assert(home_owns_fd(first) && home_owns_fd(second));
        ck_assert(!home_owns_fd(client.fd) && !home_owns_fd(-1) && !home_owns_fd(second + 1));
        ck_assert_int_eq(fcntl(first, F_GETFD) & fcntl(second, F_GETFD), FD_CLOEXEC);
}
END_TEST

/* A host that has written a record: the numbers of our two descriptors, and a file of its own to put there.
 */
struct taken {
        struct client client;
        int mine[2], pair[2];
};

static struct taken taken_begin(void)
{
        struct taken taken = {.client = client_begin("otlp", 1)};

        taken.mine[0] = home_next_fd(0);
        taken.mine[1] = home_next_fd(taken.mine[0] + 1);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, taken.pair), 0);
        return taken;
}

/* The host's file, now under our numbers, is open and has had no byte of ours. */
static void expect_untouched(const struct taken *taken)
{
        char byte;

        ck_assert_int_eq(recv(taken->pair[1], &byte, 1, 0), -1);
        ck_assert_int_ge(fcntl(taken->mine[0], F_GETFD), 0);
}

/* dup2 onto each of our numbers: the host's files stay untouched, and everything goes on. */
START_TEST(test_home_lose_fd)
{
        struct taken taken = taken_begin();
        int number;

        for (int i = 0; i < 2; i++) {
                home_lose_fd(taken.mine[i]);
                ck_assert_int_eq(dup2(taken.pair[0], taken.mine[i]), taken.mine[i]);
                ck_assert(!home_owns_fd(taken.mine[i]));
        }
        ck_assert_uint_eq(drain(&taken.client), 1);
        ck_assert(ring_sleep(&taken.client.ring, 0));
        host_write(1);
        ck_assert_int_eq(next_byte(&taken.client), HANDOVER_WAKE);
        expect_untouched(&taken);
        number = home_next_fd(0);
        ck_assert(number >= 0 && number != taken.mine[0] && number != taken.mine[1]);
}
END_TEST

/* Closed by a raw system call and taken by a file of the host: not a byte of ours goes there. */
START_TEST(test_home_span_numbers_taken_by_the_host)
{
        struct taken taken = taken_begin();
        struct client again;

        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(dup2(taken.pair[0], taken.mine[i]), taken.mine[i]);
        ck_assert_int_eq(next_byte(&taken.client), -1);
        ck_assert_uint_eq(drain(&taken.client), 1);
        ck_assert(ring_sleep(&taken.client.ring, 0));
        client_end(&taken.client);
        host_write(1); /* finds out, and is lost with the old ring */
        host_write(2);
        again = accept_client(taken.client.listener);
        ck_assert_uint_eq(drain(&again), 2);
        expect_untouched(&taken);
}
END_TEST

START_TEST(test_home_open_clear_of_another_ring)
{
        struct span span = host_span();
        struct client client;
        int listener, old, slot;
        static char record[LIMIT_RECORD];
        unsigned cursor = 0;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        old = home_open(&span);
        ck_assert_int_ge(old, 0);
        host_after_fork(); /* as in a child: a new ring, whose slots have the same numbers */
        slot = home_open(&span);
        ck_assert_int_ne(slot, old);
        home_open_clear(old);
        host_write(1);
        client = accept_client(listener);
        ck_assert_uint_gt(ring_open_take(&client.ring, &cursor, record), 0);
        cursor = 0;
        home_open_clear(-1);
        home_open_clear(slot);
        ck_assert_uint_eq(ring_open_take(&client.ring, &cursor, record), 0);
}
END_TEST

UNIT_MAIN("home-fork", test_home_after_fork_own_ring, test_home_after_fork_closes_all,
          test_home_span_raw_fork, test_home_span_vfork_child, test_home_owns_fd, test_home_lose_fd,
          test_home_span_numbers_taken_by_the_host, test_home_open_clear_of_another_ring)
