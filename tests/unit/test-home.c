/* SPDX-License-Identifier: Apache-2.0 */
/* Ring and relay of a process, with the relay's socket in the test's own hand. */
#include "agent/ring/home.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/base/sys.h"
#include "tests/unit/home_host.h"

static unsigned strangers; /* so many of the next connections are found to be with another user */

/* In the place of relay_peer.c. */
bool relay_peer_trusted(int fd)
{
        if (strangers == 0)
                return true;
        strangers--;
        return false;
}

static int listen_as_relay(unsigned suffix)
{
        struct sockaddr_un name;
        socklen_t len = relay_name(suffix, &name);
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, len), 0);
        ck_assert_int_eq(listen(fd, 10), 0);
        return fd;
}

struct client {
        int fd, fds[2];
        unsigned fd_count;
        struct handover text;
        struct ring ring;
};

/* Everything is there already: whatever is not is missing. */
static struct client accept_client(int listener)
{
        struct client client = {.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)};
        struct iovec iov = {&client.text, sizeof(client.text)};
        union {
                char bytes[CMSG_SPACE(2 * sizeof(int))];
                struct cmsghdr head;
        } control;
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };

        ck_assert_int_ge(client.fd, 0);
        ck_assert_int_eq(recvmsg(client.fd, &message, 0), sizeof(client.text));
        ck_assert_uint_eq(client.text.magic, HANDOVER_MAGIC);
        ck_assert_uint_eq(client.text.version, HANDOVER_VERSION);
        client.fd_count = (unsigned)((control.head.cmsg_len - CMSG_LEN(0)) / sizeof(int));
        ck_assert_uint_le(client.fd_count, 2);
        memcpy(client.fds, CMSG_DATA(&control.head), client.fd_count * sizeof(int));
        ck_assert_int_eq(ring_attach(&client.ring, client.fds[0]), 0);
        return client;
}

static void client_end(struct client *client)
{
        ring_detach(&client->ring);
        close(client->fd);
        while (client->fd_count > 0)
                close(client->fds[--client->fd_count]);
}

static unsigned drain(struct client *client)
{
        static char record[LIMIT_RECORD];
        unsigned count = 0;

        while (ring_pop(&client->ring, record, false, clock_mono_ns()))
                count++;
        return count;
}

/* The next byte from the client, 0 = none, -1 = it is gone. */
static int next_byte(const struct client *client)
{
        char byte;
        ssize_t n = recv(client->fd, &byte, 1, MSG_DONTWAIT);

        return n == 1 ? byte : n == 0 ? -1 : 0;
}

static bool nobody_connects(int listener)
{
        struct pollfd poll_fd = {.fd = listener, .events = POLLIN};

        return poll(&poll_fd, 1, 0) == 0;
}

START_TEST(test_home_span_hands_over)
{
        struct client client;
        int listener;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        errno = 77;
        host_write(3);
        ck_assert_int_eq(errno, 77);
        client = accept_client(listener);
        ck_assert_uint_eq(client.text.pid, (uint32_t)getpid());
        ck_assert_uint_eq(client.fd_count, 1);
        ck_assert_int_eq(next_byte(&client), 0);
        ck_assert_uint_eq(drain(&client), 3);
        ck_assert_uint_eq(stat_get(STAT_SPANS_WRITTEN), 3);
        ck_assert_uint_eq(stat_get(STAT_RELAY_CONNECTED), 1);
        ck_assert(!home_must_flush());
}
END_TEST

START_TEST(test_home_span_meta)
{
        struct client client;
        char expected[64];
        struct slice meta;
        int listener;

        host_start("otlp", "auto", "some service", "/");
        listener = listen_as_relay(0);
        host_write(1);
        client = accept_client(listener);
        meta = slice_make(client.ring.meta, atomic_load(&client.ring.header->meta_len));
        ck_assert_int_eq(meta.p[meta.len - 1], '\0');
        snprintf(expected, sizeof(expected), "@pid=%d", getpid());
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, expected, strlen(expected) + 1));
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, "OTEL_SERVICE_NAME=some service", 31));
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, "@version=" OTEL_INSTRUMENT_VERSION, 10));
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, "@start_ns=1", 11));
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, "/test-home", 11)); /* of @exe, to its end */
}
END_TEST

START_TEST(test_home_span_stderr_for_console)
{
        struct client client;
        struct stat ours, theirs;
        int listener;

        host_start("console", "auto", "name", "/");
        listener = listen_as_relay(0);
        host_write(1);
        client = accept_client(listener);
        ck_assert_uint_eq(client.text.flags, HANDOVER_STDERR);
        ck_assert_uint_eq(client.fd_count, 2);
        ck_assert_int_eq(fstat(2, &ours) | fstat(client.fds[1], &theirs), 0);
        ck_assert(ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev);
        ck_assert(home_must_flush());
}
END_TEST

START_TEST(test_home_span_no_stderr_when_closed)
{
        struct client client;
        int listener;

        host_start("console", "auto", "name", "/");
        listener = listen_as_relay(0);
        close(2);
        host_write(1);
        client = accept_client(listener);
        ck_assert_uint_eq(client.text.flags, 0);
        ck_assert_uint_eq(client.fd_count, 1);
}
END_TEST

START_TEST(test_home_span_exporter_none)
{
        unsigned before;
        int listener;

        host_start("none", "auto", "name", "/");
        listener = listen_as_relay(0);
        before = host_descriptors();
        host_write(3);
        ck_assert_int_eq(home_open(&(struct span){0}), -1);
        ck_assert_uint_eq(host_descriptors(), before);
        ck_assert(nobody_connects(listener));
        ck_assert(!home_must_flush());
}
END_TEST

START_TEST(test_home_span_wakes_a_sleeper_once)
{
        struct client client;
        int listener;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        host_write(1);
        client = accept_client(listener);
        ck_assert_uint_eq(drain(&client), 1);
        ck_assert(ring_sleep(&client.ring, clock_mono_ns() + 10000000000));
        host_write(5);
        ck_assert_int_eq(next_byte(&client), 0);
        ck_assert_uint_eq(drain(&client), 5);
        ck_assert(ring_sleep(&client.ring, 0));
        host_write(5);
        ck_assert_int_eq(next_byte(&client), HANDOVER_WAKE);
        ck_assert_int_eq(next_byte(&client), 0);
}
END_TEST

START_TEST(test_home_span_names_of_strangers)
{
        struct client client;
        int listeners[2];

        host_start("otlp", "auto", "name", "/");
        listeners[0] = listen_as_relay(0);
        listeners[1] = listen_as_relay(1);
        strangers = 1;
        host_write(1);
        client = accept_client(listeners[1]);
        ck_assert_uint_eq(drain(&client), 1);
        /* The stranger got a connection, and nothing over it. */
        client.fd = accept(listeners[0], NULL, NULL);
        ck_assert_int_eq(next_byte(&client), -1);
}
END_TEST

START_TEST(test_home_span_all_names_of_strangers)
{
        unsigned before = host_descriptors();

        host_start("otlp", "auto", "name", "/nowhere");
        for (unsigned i = 0; i < LIMIT_RELAY_NAMES; i++)
                listen_as_relay(i);
        strangers = LIMIT_RELAY_NAMES;
        host_write(1);
        ck_assert_uint_eq(strangers, 0);
        ck_assert_uint_eq(stat_get(STAT_RELAY_CONNECTED), 0);
        ck_assert_uint_eq(stat_get(STAT_RELAY_STARTED), 0);
        ck_assert_uint_ge(stat_get(STAT_RELAY_FAILED), 1);
        ck_assert_uint_le(host_descriptors(),
                          before + LIMIT_RELAY_NAMES + 2); /* the ring; the thread's bell */
}
END_TEST

/* A name that is taken by a socket that nobody can connect to. */
START_TEST(test_home_span_name_held_silently)
{
        struct sockaddr_un name;
        struct client client;
        int holder, listener;

        host_start("otlp", "auto", "name", "/");
        holder = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        ck_assert_int_eq(bind(holder, (struct sockaddr *)&name, relay_name(0, &name)), 0);
        listener = listen_as_relay(1);
        host_write(1);
        client = accept_client(listener);
        ck_assert_uint_eq(drain(&client), 1);
        ck_assert_uint_eq(stat_get(STAT_RELAY_STARTED), 0);
}
END_TEST

START_TEST(test_home_span_relay_died)
{
        struct client client;
        int listener;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        host_write(5);
        client = accept_client(listener);
        ck_assert(ring_sleep(&client.ring, 1)); /* long ago: the next record asks who lives */
        client_end(&client);
        host_write(1);
        client = accept_client(listener); /* same ring: with what the first one left in it */
        ck_assert_uint_eq(drain(&client), 6);
        ck_assert_uint_eq(stat_get(STAT_RELAY_CONNECTED), 2);
}
END_TEST

START_TEST(test_home_at_exit_relay_died)
{
        struct client client;
        int listener;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        host_write(2);
        client = accept_client(listener);
        home_at_exit();
        ck_assert(nobody_connects(listener)); /* it lives: nothing to be done */
        ck_assert_int_eq(next_byte(&client), 0);
        client_end(&client);
        home_at_exit();
        client = accept_client(listener);
        ck_assert_uint_eq(drain(&client), 2);
        client_end(&client);
        home_at_exit();
        ck_assert(nobody_connects(listener)); /* nothing is left */
}
END_TEST

START_TEST(test_home_flush_without_answer)
{
        struct client client;
        uint64_t begin;
        int listener;

        host_start("console", "auto", "name", "/");
        listener = listen_as_relay(0);
        home_flush(100); /* nothing written yet: returns at once */
        host_write(1);
        client = accept_client(listener);
        begin = clock_mono_ns();
        home_flush(100);
        ck_assert_uint_ge(clock_mono_ns() - begin, 100000000);
        ck_assert_uint_lt(clock_mono_ns() - begin, 5000000000);
        ck_assert_int_eq(next_byte(&client), HANDOVER_FLUSH);
        ck_assert_uint_eq(atomic_load(&client.ring.header->flush_wanted), 1);
        ck_assert(home_must_flush());
}
END_TEST

START_TEST(test_home_flush_not_wanted)
{
        int listener;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        host_write(1);
        accept_client(listener);
        home_flush(1000000000); /* would never end */
}
END_TEST

static void child_writes(void *arg)
{
        host_after_fork();
        host_write(2);
}

START_TEST(test_home_after_fork_own_ring)
{
        struct client parent, child;
        int listener;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        host_write(1);
        parent = accept_client(listener);
        ck_assert_int_eq(unit_in_child(child_writes, NULL), 0);
        child = accept_client(listener);
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
        struct client parent, child;
        int listener, status;
        long pid;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        host_write(1);
        parent = accept_client(listener);
        pid = sys_call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
        if (pid == 0) {
                host_write(2);
                _exit(0);
        }
        ck_assert_int_eq(waitpid((pid_t)pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        child = accept_client(listener);
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

/* dup2 onto each of our numbers: the host's files stay untouched, and everything goes on. */
START_TEST(test_home_lose_fd)
{
        struct client client;
        int listener, mine[2], number, pair[2];
        char byte;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
        host_write(1);
        client = accept_client(listener);
        mine[0] = home_next_fd(0);
        mine[1] = home_next_fd(mine[0] + 1);
        for (int i = 0; i < 2; i++) {
                home_lose_fd(mine[i]);
                ck_assert_int_eq(dup2(pair[0], mine[i]), mine[i]);
                ck_assert(!home_owns_fd(mine[i]));
        }
        ck_assert_uint_eq(drain(&client), 1);
        ck_assert(ring_sleep(&client.ring, 0));
        host_write(1);
        ck_assert_int_eq(next_byte(&client), HANDOVER_WAKE);
        ck_assert_int_eq(recv(pair[1], &byte, 1, 0), -1);
        number = home_next_fd(0);
        ck_assert(number >= 0 && number != mine[0] && number != mine[1]);
}
END_TEST

/* Closed by a raw system call and taken by a file of the host: not a byte of ours goes there. */
START_TEST(test_home_span_numbers_taken_by_the_host)
{
        struct client client;
        int listener, mine[2], pair[2];
        char byte;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
        host_write(1);
        client = accept_client(listener);
        mine[0] = home_next_fd(0);
        mine[1] = home_next_fd(mine[0] + 1);
        ck_assert_int_eq(dup2(pair[0], mine[0]), mine[0]);
        ck_assert_int_eq(dup2(pair[0], mine[1]), mine[1]);
        ck_assert_int_eq(next_byte(&client), -1);
        ck_assert_uint_eq(drain(&client), 1);
        ck_assert(ring_sleep(&client.ring, 0));
        client_end(&client);
        host_write(1); /* finds out, and is lost with the old ring */
        host_write(2);
        client = accept_client(listener);
        ck_assert_uint_eq(drain(&client), 2);
        ck_assert_int_eq(recv(pair[1], &byte, 1, 0), -1);
        ck_assert_int_ge(fcntl(mine[0], F_GETFD), 0);
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

UNIT_MAIN("home", test_home_span_hands_over, test_home_span_meta, test_home_span_stderr_for_console,
          test_home_span_no_stderr_when_closed, test_home_span_exporter_none,
          test_home_span_wakes_a_sleeper_once, test_home_span_names_of_strangers,
          test_home_span_all_names_of_strangers, test_home_span_name_held_silently, test_home_span_relay_died,
          test_home_at_exit_relay_died, test_home_flush_without_answer, test_home_flush_not_wanted,
          test_home_after_fork_own_ring, test_home_after_fork_closes_all, test_home_span_raw_fork,
          test_home_span_vfork_child, test_home_owns_fd, test_home_lose_fd,
          test_home_span_numbers_taken_by_the_host, test_home_open_clear_of_another_ring)
