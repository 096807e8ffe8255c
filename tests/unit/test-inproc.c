/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "export/inproc/inproc.h"
#include "tests/unit/client.h"
#include "tests/unit/collector.h"

#define DEADLINE_MS 20000 /* of everything that is awaited; never reached in a good run */

/* The traced program's side, as the preload plays it. */
struct host {
        char url[64];
        struct config config;
        struct ring ring;
        struct inproc shared;
        struct collector *collector;
        pthread_t thread;
        int result;
};

static void *thread_main(void *arg)
{
        struct host *host = arg;

        host->result = otel_inproc_run(&host->shared);
        return NULL;
}

static void futex_await(_Atomic uint32_t *word)
{
        const struct timespec patience = {.tv_sec = DEADLINE_MS / 1000};

        while (atomic_load(word) == 0)
                ck_assert(syscall(SYS_futex, word, FUTEX_WAIT, 0, &patience, NULL, 0) == 0 ||
                          errno != ETIMEDOUT);
}

static void host_init(struct host *host, const char *host_name, const struct reply *plan, size_t len,
                      char *extra)
{
        char *envp[] = {host->url, "OTEL_BSP_SCHEDULE_DELAY=3600000", extra, NULL};

        host->collector = collector_start(0, plan, len);
        (void)snprintf(host->url, sizeof(host->url), "OTEL_EXPORTER_OTLP_ENDPOINT=http://%s:%u", host_name,
                       collector_port(host->collector));
        config_load(&host->config, envp, NULL, NULL);
        host->ring = client_ring(2048);
        host->shared.ring = &host->ring;
        host->shared.config = &host->config;
        host->shared.wake_fd = fcntl(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), F_DUPFD_CLOEXEC, 100);
}

static void host_start(struct host *host)
{
        ck_assert_int_eq(pthread_create(&host->thread, NULL, thread_main, host), 0);
        futex_await(&host->shared.ready);
}

static void host_wake(struct host *host)
{
        ck_assert_int_eq(eventfd_write(host->shared.wake_fd, 1), 0);
}

static void host_stop(struct host *host, enum inproc_stop stop)
{
        atomic_store(&host->shared.stop, stop);
        host_wake(host);
        futex_await(&host->shared.gone);
        pthread_join(host->thread, NULL);
        ck_assert_int_eq(host->result, 0);
        ck_assert_uint_eq(atomic_load(&host->shared.third_party), 0);
}

static void host_done(struct host *host)
{
        collector_stop(host->collector);
        ring_drop(&host->ring);
        close(host->shared.wake_fd);
}

/* How many of this process's descriptors point at something with @what in its name. */
static unsigned count_fds(const char *what)
{
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *entry;
        unsigned n = 0;

        ck_assert_ptr_nonnull(dir);
        while ((entry = readdir(dir))) {
                char target[256];
                ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

                if (len <= 0)
                        continue;
                target[len] = '\0';
                n += strstr(target, what) != NULL;
        }
        closedir(dir);
        return n;
}

START_TEST(test_inproc_run_when_stopped)
{
        struct host host = {.result = -1};
        uint64_t begin;

        host_init(&host, "127.0.0.1", NULL, 0, NULL);
        client_push(&host.ring, 3);
        host_start(&host);
        begin = clock_mono_ns();
        host_stop(&host, INPROC_STOP_FLUSH);
        ck_assert_uint_eq(collector_taken(host.collector), 3);
        ck_assert_uint_lt(clock_mono_ns() - begin, 1500000000); /* as soon as it was delivered */
        host_done(&host);
}
END_TEST

START_TEST(test_inproc_run_when_collector_hangs)
{
        static const struct reply plan[] = {{.kind = REPLY_NEVER}};
        struct host host = {.result = -1};
        uint64_t begin;

        host_init(&host, "127.0.0.1", plan, 1, "OTEL_INSTRUMENT_EXIT_TIMEOUT=300");
        client_push(&host.ring, 3);
        host_start(&host);
        begin = clock_mono_ns();
        host_stop(&host, INPROC_STOP_FLUSH);
        ck_assert_uint_ge(clock_mono_ns() - begin, 300000000);
        ck_assert_uint_lt(clock_mono_ns() - begin, 3000000000);
        host_done(&host);
}
END_TEST

START_TEST(test_inproc_run_when_stopped_at_once)
{
        struct host host = {.result = -1};

        host_init(&host, "127.0.0.1", NULL, 0, NULL);
        host_start(&host);
        client_push(&host.ring, 1);
        host_stop(&host, INPROC_STOP_NOW);
        /* Whoever comes next finds the ring asleep, and what was not taken. */
        ck_assert_uint_eq(atomic_load(&host.ring.header->wake_after_ns), 0);
        host.shared =
                (struct inproc){.ring = &host.ring, .config = &host.config, .wake_fd = host.shared.wake_fd};
        host_start(&host);
        host_stop(&host, INPROC_STOP_FLUSH);
        ck_assert_uint_le(collector_taken(host.collector), 1); /* taken by the first thread, or delivered */
        host_done(&host);
}
END_TEST

/* The thread's descriptors are not the host's, whatever the host does to its own. */
START_TEST(test_inproc_run_when_host_closes_everything)
{
        struct host host = {.result = -1};
        unsigned sockets;

        host_init(&host, "localhost", NULL, 0, NULL);
        sockets = count_fds("socket:");
        host_start(&host);
        client_push(&host.ring, 1);
        atomic_fetch_add(&host.ring.header->flush_wanted, 1);
        host_wake(&host);
        ck_assert(collector_wait(host.collector, 1, DEADLINE_MS));
        futex_await(&host.ring.header->flush_done);
        ck_assert_uint_eq(count_fds("eventpoll"), 0);
        ck_assert_uint_eq(count_fds("socket:"), sockets + 1); /* the collector's own end */
        for (int fd = 101; fd < 1024; fd++)
                close(fd);
        client_push(&host.ring, 2);
        host_stop(&host, INPROC_STOP_FLUSH);
        ck_assert_uint_eq(collector_taken(host.collector), 3);
        ck_assert_uint_eq(collector_connections(host.collector), 1);
        host_done(&host);
}
END_TEST

/* The lock is held while the thread works, and never while it waits. */
START_TEST(test_inproc_run_when_locked_out)
{
        struct host host = {.result = -1};
        uint32_t expected = 0;

        host_init(&host, "127.0.0.1", NULL, 0, NULL);
        host_start(&host);
        for (uint64_t until = clock_mono_ns() + DEADLINE_MS * 1000000ull;; expected = 0) {
                if (atomic_compare_exchange_strong(&host.shared.third_party, &expected, 1))
                        break;
                ck_assert_uint_lt(clock_mono_ns(), until);
        }
        client_push(&host.ring, 1);
        atomic_fetch_add(&host.ring.header->flush_wanted, 1);
        host_wake(&host);
        /* It has woken and waits for us: it said so in the word. */
        for (uint64_t until = clock_mono_ns() + DEADLINE_MS * 1000000ull;
             atomic_load(&host.shared.third_party) != 2;)
                ck_assert_uint_lt(clock_mono_ns(), until);
        ck_assert_uint_eq(collector_requests(host.collector), 0);
        ck_assert_uint_eq(atomic_exchange(&host.shared.third_party, 0), 2);
        syscall(SYS_futex, &host.shared.third_party, FUTEX_WAKE, 1, NULL, NULL, 0);
        futex_await(&host.ring.header->flush_done);
        ck_assert_uint_eq(collector_taken(host.collector), 1);
        host_stop(&host, INPROC_STOP_FLUSH);
        host_done(&host);
}
END_TEST

/* Reached by the exit() that the C library does when the last thread has returned. */
static void exit_reached(void)
{
        _exit(7);
}

static void main_thread_leaves(void *arg)
{
        struct host *host = arg;

        ck_assert_int_eq(atexit(exit_reached), 0);
        client_push(&host->ring, 2);
        host_start(host);
        pthread_exit(NULL);
}

START_TEST(test_inproc_run_when_it_is_the_last_thread)
{
        struct host host = {.result = -1};
        int status;

        host_init(&host, "127.0.0.1", NULL, 0, NULL);
        status = unit_in_child(main_thread_leaves, &host); /* hangs here if the thread stays */
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 7);
        ck_assert_uint_eq(collector_taken(host.collector), 2);
        host_done(&host);
}
END_TEST

START_TEST(test_inproc_run_when_console)
{
        char *const envp[] = {"OTEL_TRACES_EXPORTER=console", NULL};
        struct host host = {.result = -1};
        char text[65536];
        int fds[2], keep = dup(STDERR_FILENO);
        ssize_t n;

        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        host_init(&host, "127.0.0.1", NULL, 0, NULL);
        config_load(&host.config, envp, NULL, NULL);
        dup2(fds[1], STDERR_FILENO);
        close(fds[1]);
        client_push(&host.ring, 1);
        host_start(&host);
        host_stop(&host, INPROC_STOP_FLUSH);
        dup2(keep, STDERR_FILENO);
        n = read(fds[0], text, sizeof(text) - 1);
        ck_assert_int_gt(n, 0);
        text[n] = '\0';
        ck_assert_ptr_nonnull(strstr(text, "GET"));
        ck_assert_int_eq(read(fds[0], text, 1), 0); /* held by nobody any more */
        close(fds[0]);
        close(keep);
        host_done(&host);
}
END_TEST

UNIT_MAIN("inproc", test_inproc_run_when_stopped, test_inproc_run_when_collector_hangs,
          test_inproc_run_when_stopped_at_once, test_inproc_run_when_host_closes_everything,
          test_inproc_run_when_locked_out, test_inproc_run_when_it_is_the_last_thread,
          test_inproc_run_when_console)
