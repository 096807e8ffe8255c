/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "agent/base/load.h"
#include "tests/unit/relay.h"

/* A whole short process: connects, writes @spans, ends. */
static void client_short(const struct relay *relay, unsigned spans)
{
        struct ring ring = client_ring(64);
        int fd = client_connect(relay);

        ck_assert_int_ge(fd, 0);
        client_push(&ring, spans);
        client_hand_over(fd, &ring, -1);
        close(fd);
        ring_drop(&ring);
}

/* Waits as a program does at its end. */
static void client_flush(int fd, struct ring *ring)
{
        const struct timespec patience = {.tv_sec = DEADLINE_MS / 1000};
        uint32_t wanted = atomic_fetch_add(&ring->header->flush_wanted, 1) + 1;
        uint32_t done;

        ck_assert_int_eq(send(fd, "F", 1, 0), 1);
        while ((done = atomic_load(&ring->header->flush_done)) != wanted)
                ck_assert(syscall(SYS_futex, &ring->header->flush_done, FUTEX_WAIT, done, &patience, NULL,
                                  0) == 0 ||
                          errno != ETIMEDOUT);
}

/* The relay closes the connection. */
static void expect_hang_up(int fd)
{
        char c;

        ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, DEADLINE_MS), 1);
        ck_assert_int_le(recv(fd, &c, 1, MSG_DONTWAIT), 0);
        close(fd);
}

START_TEST(test_relay_run_when_client_ends)
{
        struct relay relay = {.settings.count = 0};

        relay_with_collector(&relay, "50");
        client_short(&relay, 3); /* connected before the relay was even loaded */
        ck_assert(collector_wait(relay.collector, 3, DEADLINE_MS));
        relay_expect_end(&relay); /* nobody needs it any more */
        ck_assert_int_eq(client_connect(&relay), -1);
}
END_TEST

START_TEST(test_relay_run_when_client_wakes)
{
        struct relay relay = {.settings.count = 0};
        struct ring ring = client_ring(64);
        int fd;

        setting(&relay.settings, "OTEL_BSP_SCHEDULE_DELAY", "100");
        relay_with_collector(&relay, "50");
        fd = client_connect(&relay);
        client_push(&ring, 1);
        client_hand_over(fd, &ring, -1);
        ck_assert(collector_wait(relay.collector, 1, DEADLINE_MS));
        for (unsigned i = 0; i < 3; i++) {
                if (client_push(&ring, 1))
                        ck_assert_int_eq(send(fd, "W", 1, 0), 1);
                ck_assert(collector_wait(relay.collector, 2 + i, DEADLINE_MS));
        }
        client_push(&ring, 1);
        client_flush(fd, &ring);
        ck_assert_uint_eq(collector_taken(relay.collector), 5);
        close(fd);
        ring_drop(&ring);
        relay_expect_end(&relay);
}
END_TEST

/* In a child: hands over, tells the parent, is killed. */
static pid_t doomed_client(const struct relay *relay, unsigned spans, bool leave_child)
{
        int told[2];
        pid_t pid;
        char c;

        ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                struct ring ring = client_ring(64);
                int fd = client_connect(relay);

                client_push(&ring, spans);
                client_hand_over(fd, &ring, -1);
                /* A copy of the process made behind everybody's back keeps the socket open. */
                if (!leave_child || syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) > 0)
                        (void)!write(told[1], "x", 1);
                else
                        close(told[1]);
                for (;;)
                        pause();
        }
        close(told[1]);
        ck_assert_int_eq(read(told[0], &c, 1), 1);
        close(told[0]);
        return pid;
}

START_TEST(test_relay_run_when_client_is_killed)
{
        struct relay relay = {.settings.count = 0};
        pid_t pid;

        setting(&relay.settings, "OTEL_BSP_SCHEDULE_DELAY", "3600000");
        relay_with_collector(&relay, "50");
        pid = doomed_client(&relay, 3, false);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert(WIFSIGNALED(child_end(pid)));
        ck_assert(collector_wait(relay.collector, 3, DEADLINE_MS));
        relay_expect_end(&relay);
}
END_TEST

/* Its own process span open, killed, and reaped at once or not at all: whoever is first, the kernel tells. */
static void check_killed(bool reap_early)
{
        struct relay relay = {.settings.count = 0};
        char text[4096];
        int out[2], told[2];
        pid_t pid;
        char c;

        ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
        setting(&relay.settings, "OTEL_TRACES_EXPORTER", "console");
        setting(&relay.settings, "OTEL_INSTRUMENT_RELAY_LINGER", "0");
        relay_start(&relay);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                struct ring ring = client_ring(64);
                struct span span = client_process(getpid());
                int fd = client_connect(&relay);

                (void)ring_open_put(&ring, &span);
                client_hand_over(fd, &ring, out[1]);
                client_flush(fd, &ring); /* it is known by now, pidfd and all */
                (void)!write(told[1], "x", 1);
                for (;;)
                        pause();
        }
        close(out[1]);
        ck_assert_int_eq(read(told[0], &c, 1), 1);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        if (reap_early)
                ck_assert(WIFSIGNALED(child_end(pid)));
        ck_assert_int_eq(unit_read_all(out[0], text, sizeof(text)), 0);
        if (!reap_early)
                ck_assert(WIFSIGNALED(child_end(pid)));
        ck_assert_ptr_nonnull(strstr(text, "victim"));
        if (!reap_early)
                ck_assert_ptr_nonnull(strstr(text, "ERROR SIGKILL"));
        else /* before Linux 6.15 nobody knows */
                ck_assert(strstr(text, "ERROR SIGKILL") || strstr(text, "unfinished"));
        relay_expect_end(&relay);
}

START_TEST(test_relay_run_when_killed_client_is_a_zombie)
{
        check_killed(false);
}
END_TEST

START_TEST(test_relay_run_when_killed_client_is_reaped)
{
        check_killed(true);
}
END_TEST

START_TEST(test_relay_run_when_killed_client_leaves_a_copy)
{
        struct relay relay = {.settings.count = 0};
        pid_t pid, group;

        setting(&relay.settings, "OTEL_BSP_SCHEDULE_DELAY", "3600000");
        relay_with_collector(&relay, "50");
        group = setsid() >= 0 ? getpid() : getpgrp();
        pid = doomed_client(&relay, 3, true);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert(WIFSIGNALED(child_end(pid)));
        ck_assert(collector_wait(relay.collector, 3, DEADLINE_MS)); /* its pidfd has told */
        relay_expect_end(&relay);
        signal(SIGTERM, SIG_IGN);
        kill(-group, SIGTERM); /* the copy; the relay had a session of its own */
}
END_TEST

START_TEST(test_relay_run_when_hand_over_is_garbage)
{
        static const struct handover good = {.magic = HANDOVER_MAGIC, .version = HANDOVER_VERSION};
        struct handover bad_magic = good, bad_version = good, claims_tty = good;
        struct relay relay = {.settings.count = 0};
        struct ring ring = client_ring(64);
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), own = dup(ring.fd), fds[8], fd;
        char large[256] = "otel";

        bad_magic.magic++;
        bad_version.version++;
        claims_tty.flags = HANDOVER_STDERR | 0xff00;
        relay_with_collector(&relay, "50");
        fds[0] = ring.fd;
        for (unsigned i = 1; i < 8; i++)
                fds[i] = null_fd;
        const struct {
                const void *bytes;
                size_t len;
                const int *fds;
                unsigned fd_count;
        } rows[] = {
                {"W", 1, NULL, 0},
                {"", 0, NULL, 0},
                {"", 0, fds, 8},
                {large, sizeof(large), fds, 1},
                {&good, sizeof(good), NULL, 0},
                {&good, sizeof(good), &null_fd, 1},
                {&good, sizeof(good), fds + 1, 7},
                {&good, sizeof(good) - 1, fds, 1},
                {&bad_magic, sizeof(good), fds, 1},
                {&bad_version, sizeof(good), fds, 1},
                {&claims_tty, sizeof(good), fds + 1, 2},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                fd = client_connect(&relay);
                ck_assert_int_ge(send_with_fds(fd, rows[i].bytes, rows[i].len, rows[i].fds, rows[i].fd_count),
                                 0);
                expect_hang_up(fd);
        }
        client_push(&ring,
                    2); /* odd, but no reason to lose it: descriptors too many, a tty that is not there */
        claims_tty.flags = HANDOVER_STDERR;
        fd = client_connect(&relay);
        ck_assert_int_gt(send_with_fds(fd, &claims_tty, sizeof(good), fds, 1), 0);
        ck_assert_int_gt(send_with_fds(fd, "W\0garbage", 9, fds, 8), 0);
        close(fd);
        ck_assert(collector_wait(relay.collector, 2, DEADLINE_MS));
        close(own);
        close(null_fd);
        ring_drop(&ring);
        relay_expect_end(&relay);
}
END_TEST

START_TEST(test_relay_run_when_ring_is_hostile)
{
        struct relay relay = {.settings.count = 0};
        struct ring ring = client_ring(64);
        uint64_t random = 88172645463325252ull;
        int fd;

        relay_with_collector(&relay, "50");
        fd = client_connect(&relay);
        client_hand_over(fd, &ring, -1);
        client_flush(fd, &ring); /* attached, that is: an honest ring until here */
        /* Scribbles over all of it, again and again, while the relay reads. */
        for (unsigned i = 0; i < 300; i++) {
                uint64_t *end = (uint64_t *)(void *)((unsigned char *)ring.header + ring.map_len);

                for (uint64_t *p = (uint64_t *)(void *)ring.header; p < end; p += 1 + random % 7) {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        *p = i % 2 ? random : random & 0xff;
                }
                ck_assert_int_eq(send(fd, i % 3 ? "W" : "F", 1, MSG_NOSIGNAL), 1);
        }
        close(fd);
        ring_drop(&ring);
        client_short(&relay, 4); /* the others are served as ever */
        ck_assert(collector_wait(relay.collector, 4, DEADLINE_MS));
        relay_expect_end(&relay);
}
END_TEST

START_TEST(test_relay_run_when_many_clients)
{
        enum { CLIENTS = 1000 };
        static int sockets[CLIENTS];
        static struct ring rings[CLIENTS];
        struct relay relay = {.settings.count = 0};
        struct rlimit limit;

        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_uint_gt(limit.rlim_max, 3 * CLIENTS);
        relay_with_collector(&relay, "200");
        for (unsigned i = 0; i < CLIENTS; i++) {
                rings[i] = client_ring(16);
                client_push(&rings[i], 1);
                sockets[i] = client_connect(&relay);
                ck_assert_int_ge(sockets[i], 0);
                client_hand_over(sockets[i], &rings[i], -1);
                close(rings[i].fd);
        }
        for (unsigned i = 0; i < CLIENTS; i++)
                close(sockets[i]);
        ck_assert(collector_wait(relay.collector, CLIENTS, DEADLINE_MS));
        ck_assert_uint_eq(collector_spans(relay.collector), CLIENTS); /* none twice */
        ck_assert_uint_lt(collector_requests(relay.collector), CLIENTS / 10);
        relay_expect_end(&relay);
}
END_TEST

START_TEST(test_relay_run_when_descriptors_are_few)
{
        struct relay relay = {.nofile = 24};
        int fds[60];

        relay_with_collector(&relay, "50");
        relay_release(&relay);
        for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
                struct ring ring = client_ring(16);

                fds[i] = client_connect(&relay);
                ck_assert_int_ge(fds[i], 0);
                client_push(&ring, 1);
                client_hand_over(fds[i], &ring, STDERR_FILENO);
                ring_drop(&ring);
        }
        for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
                close(fds[i]); /* all of them before most were let in */
        ck_assert(collector_wait(relay.collector, ARRAY_LEN(fds), DEADLINE_MS));
        relay_expect_end(&relay);
}
END_TEST

/* The relay that was started last is gone, and not waited for yet. */
static void relay_await_end(const struct relay *relay)
{
        int pidfd = (int)syscall(SYS_pidfd_open, relay->pid, 0);

        ck_assert_int_eq(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, DEADLINE_MS), 1);
        close(pidfd);
}

/* Clients that come at the very moment at which the relay leaves. */
START_TEST(test_relay_run_when_it_leaves_under_its_clients)
{
        enum { ROUNDS = 150 };
        struct relay relay = {.settings.count = 0};
        unsigned starts = 1;

        relay_with_collector(&relay, "0");
        relay_release(&relay);
        for (unsigned i = 0; i < ROUNDS; i++) {
                struct ring ring = client_ring(16);
                int fd, listen_fd;

                client_push(&ring, 1);
                while ((fd = client_connect(&relay)) < 0) {
                        listen_fd = relay_listen(&relay);
                        if (listen_fd < 0)
                                continue; /* on its way out: neither listening nor gone, for a moment */
                        relay_exec(&relay, listen_fd);
                        close(listen_fd);
                        starts++;
                }
                client_hand_over(fd, &ring, -1);
                close(fd);
                ring_drop(&ring);
                if (i % 10 == 9)
                        ck_assert(collector_wait(relay.collector, i + 1,
                                                 DEADLINE_MS)); /* lets it come to its end, or nearly */
                if (i % 50 == 49)
                        relay_await_end(&relay); /* on a machine that is never slow it would serve them all */
        }
        ck_assert(collector_wait(relay.collector, ROUNDS, DEADLINE_MS));
        ck_assert_uint_gt(starts, 1);
        for (unsigned i = 0; i < starts; i++) {
                int status;

                ck_assert_int_gt(wait(&status), 0);
                ck_assert_int_eq(status, 0);
        }
        ck_assert_uint_eq(collector_spans(relay.collector), ROUNDS);
        collector_stop(relay.collector);
}
END_TEST

START_TEST(test_relay_run_when_terminated)
{
        struct relay relay = {.settings.count = 0};
        struct ring ring = client_ring(64), late = client_ring(64);
        int fd, late_fd;

        setting(&relay.settings, "OTEL_BSP_SCHEDULE_DELAY", "3600000");
        relay_with_collector(&relay, "3600000");
        fd = client_connect(&relay);
        client_hand_over(fd, &ring, -1);
        client_short(&relay, 1);
        ck_assert(collector_wait(relay.collector, 1, DEADLINE_MS)); /* it runs */
        client_push(&ring, 2);
        client_push(&late, 4);
        late_fd = client_connect(&relay);
        client_hand_over(late_fd, &late, -1);
        relay_release(&relay);
        ck_assert_int_eq(kill(relay.pid, SIGTERM), 0);
        ck_assert(collector_wait(relay.collector, 7, DEADLINE_MS));
        expect_hang_up(fd);
        expect_hang_up(late_fd);
        ck_assert_uint_eq(atomic_load(&ring.header->wake_after_ns), 0);
        ring_drop(&ring);
        ring_drop(&late);
        relay_expect_end(&relay);
}
END_TEST

START_TEST(test_relay_run_when_it_has_something_to_say)
{
        struct relay relay = {.settings.count = 0};
        struct ring ring = client_ring(64);
        char text[4096];
        int fds[2], fd;

        setting(&relay.settings, "OTEL_EXPORTER_OTLP_ENDPOINT", "gopher://user:geheim@x");
        setting(&relay.settings, "OTEL_LOG_LEVEL", "error");
        setting(&relay.settings, "OTEL_INSTRUMENT_RELAY_LINGER", "50");
        relay_start(&relay);
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        fd = client_connect(&relay);
        client_push(&ring, 1);
        client_hand_over(fd, &ring, fds[1]);
        close(fds[1]);
        ck_assert_int_eq(poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, DEADLINE_MS), 1);
        close(fd); /* the client ends, and with it the relay's hold on its stderr */
        ck_assert_int_eq(unit_read_all(fds[0], text, sizeof(text)), 0);
        ck_assert_ptr_nonnull(strstr(text, "OTEL_EXPORTER_OTLP_ENDPOINT"));
        ck_assert_ptr_null(strstr(text, "geheim"));
        close(fds[0]);
        ring_drop(&ring);
        relay_expect_end(&relay);
}
END_TEST

START_TEST(test_relay_main_when_started_by_hand)
{
        struct relay relay = {.settings.count = 0};
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        int status;

        relay_exec(&relay, null_fd);
        status = child_end(relay.pid);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 2);
        close(null_fd);
}
END_TEST

UNIT_MAIN("relay", test_relay_run_when_client_ends, test_relay_run_when_client_wakes,
          test_relay_run_when_client_is_killed, test_relay_run_when_killed_client_is_a_zombie,
          test_relay_run_when_killed_client_is_reaped, test_relay_run_when_killed_client_leaves_a_copy,
          test_relay_run_when_hand_over_is_garbage, test_relay_run_when_ring_is_hostile,
          test_relay_run_when_many_clients, test_relay_run_when_descriptors_are_few,
          test_relay_run_when_it_leaves_under_its_clients, test_relay_run_when_terminated,
          test_relay_run_when_it_has_something_to_say, test_relay_main_when_started_by_hand)
