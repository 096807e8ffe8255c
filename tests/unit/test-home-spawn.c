/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting what drains the ring: a relay that the host must not notice, or a thread. Stand-ins for both lie
 * beside this program (fake-relay.c, fake-export.c), where they are looked for.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "agent/ring/home_place.h"
#include "agent/ring/home_thread.h"
#include "agent/ring/relay_spawn.h"
#include "tests/unit/home_host.h"

struct report {
        int pid, sid, plain, preload;
        unsigned fds, records;
        char endpoint[64], proxy[64], cwd[64];
};

static char dir[] = "/tmp/test-home-spawn-XXXXXX";
static volatile sig_atomic_t children_ended;

static void on_child(int number)
{
        children_ended++;
}

static void dir_remove(void)
{
        char path[64];

        snprintf(path, sizeof(path), "%s/report", dir);
        unlink(path);
        rmdir(dir);
}

static struct report report_read(void)
{
        struct report report = {0};
        char path[64];
        FILE *in;

        snprintf(path, sizeof(path), "%s/report", dir);
        in = fopen(path, "r");
        ck_assert_ptr_nonnull(in);
        ck_assert_int_eq(fscanf(in,
                                "pid %d sid %d fds %u plain %d preload %d endpoint %63s proxy %63s cwd %63s "
                                "records %u",
                                &report.pid, &report.sid, &report.fds, &report.plain, &report.preload,
                                report.endpoint, report.proxy, report.cwd, &report.records),
                         9);
        fclose(in);
        return report;
}

static bool no_children(void)
{
        return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

START_TEST(test_relay_spawn_unnoticed)
{
        struct sigaction action = {.sa_handler = on_child};
        char expected[64];
        struct report report;
        unsigned before;

        setenv("LD_PRELOAD", "", 1);
        host_start("console", "auto", "name", dir);
        sigaction(SIGCHLD, &action, NULL);
        signal(SIGPIPE, SIG_IGN);
        before = host_descriptors();
        errno = 77;
        host_write(3);
        ck_assert_int_eq(errno, 77);
        ck_assert_uint_eq(stat_get(STAT_RELAY_STARTED), 1);
        ck_assert_uint_eq(stat_get(STAT_RELAY_CONNECTED), 1);
        ck_assert_uint_eq(host_descriptors(), before + 2); /* the ring, the connection */
        ck_assert(no_children());
        home_flush(10000);
        ck_assert(!home_must_flush());
        ck_assert_int_eq(children_ended, 0);
        report = report_read();
        ck_assert_uint_eq(report.records, 3);
        ck_assert_int_eq(report.sid, report.pid);
        ck_assert_int_ne(report.pid, getpid());
        ck_assert_uint_eq(report.fds, RELAY_LISTEN_FD + 1);
        ck_assert_int_eq(report.preload, 0);
        ck_assert_str_eq(report.cwd, "/");
        ck_assert_str_eq(report.proxy, "proxy:3128");
        snprintf(expected, sizeof(expected), "http://test-%d:1", getpid());
        ck_assert_str_eq(report.endpoint, expected);
        ck_assert_int_eq(report.plain, 1);
}
END_TEST

START_TEST(test_relay_spawn_killed_and_replaced)
{
        host_start("console", "auto", "name", dir);
        host_write(1);
        home_flush(10000);
        ck_assert_int_eq(kill(report_read().pid, SIGKILL), 0);
        host_write(4);
        home_flush(10000);
        ck_assert(!home_must_flush());
        ck_assert_uint_eq(report_read().records, 4);
        ck_assert_uint_eq(stat_get(STAT_RELAY_STARTED), 2);
        ck_assert(no_children());
}
END_TEST

static volatile bool threads_end;

static void *wait_for_children(void *arg)
{
        while (!threads_end) {
                ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
                sched_yield();
        }
        return NULL;
}

/* A thread that reaps whatever it finds, and signals that arrive meanwhile. */
START_TEST(test_relay_spawn_among_threads)
{
        pthread_t thread;

        host_start("console", "auto", "name", dir);
        signal(SIGCHLD, SIG_IGN);
        ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_children, NULL), 0);
        host_write(3);
        home_flush(10000);
        ck_assert_uint_eq(report_read().records, 3);
        threads_end = true;
        pthread_join(thread, NULL);
}
END_TEST

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
        alarms++;
}

START_TEST(test_relay_spawn_mask_and_signals_kept)
{
        sigset_t mask, after;

        host_start("console", "auto", "name", dir);
        signal(SIGUSR1, on_alarm);
        sigemptyset(&mask);
        sigaddset(&mask, SIGUSR2);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        host_write(1);
        sigprocmask(SIG_SETMASK, NULL, &after);
        ck_assert_mem_eq(&mask, &after, sizeof(uint64_t));
        raise(SIGUSR1);
        ck_assert_int_eq(alarms, 1);
        home_flush(10000);
        ck_assert_int_eq(report_read().plain, 1);
}
END_TEST

START_TEST(test_relay_spawn_standard_descriptors_closed)
{
        host_start("otlp", "auto", "name", dir);
        config_now.traces_exporter |= EXPORTER_CONSOLE; /* so that the end is waited for */
        close(0);
        close(1);
        host_write(2);
        home_flush(10000);
        ck_assert_uint_eq(report_read().records, 2);
        ck_assert_int_lt(fcntl(0, F_GETFD), 0);
}
END_TEST

START_TEST(test_relay_spawn_missing_program)
{
        int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        unsigned before = host_descriptors();

        host_start("otlp", "auto", "name", dir);
        errno = 77;
        ck_assert_int_eq(relay_spawn("/nowhere/otel-relay", listener), -ENOENT);
        ck_assert_int_eq(relay_spawn("/", listener), -EACCES);
        ck_assert_int_eq(errno, 77);
        ck_assert_uint_eq(host_descriptors(), before);
        ck_assert(no_children());
        ck_assert_int_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}
END_TEST

static void spawn_without_processes(void *arg)
{
        struct rlimit limit = {0, 0};
        int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);

        setrlimit(RLIMIT_NPROC, &limit);
        if (geteuid() == 0 && setresuid(65534, 65534, 65534))
                _exit(1); /* root has no such limit */
        if (relay_spawn(home_place.relay, listener) != -EAGAIN || !no_children())
                _exit(2);
}

START_TEST(test_relay_spawn_no_processes_left)
{
        host_start("otlp", "auto", "name", dir);
        ck_assert_int_eq(unit_in_child(spawn_without_processes, NULL), 0);
}
END_TEST

/* The relay cannot be executed: the thread takes over, and nothing is lost. */
START_TEST(test_home_thread_instead_of_relay)
{
        static char missing[PATH_MAX];
        size_t len;

        host_start("otlp", "auto", "name", dir);
        len = strlen(home_place.relay);
        memcpy(missing, home_place.relay, len + 1);
        missing[len - 1] = 'Y'; /* no such program; the library is found by dir_len */
        home_place.relay = missing;
        host_write(2);
        ck_assert(home_thread_exists());
        home_flush(10000);
        ck_assert_uint_eq(stat_get(STAT_INJECTED), 2); /* fake-export.c counts there */
}
END_TEST

static unsigned threads_now(void)
{
        unsigned count = 0;
        char line[256];
        FILE *in = fopen("/proc/self/status", "r");

        while (fgets(line, sizeof(line), in))
                if (sscanf(line, "Threads: %u", &count) == 1)
                        break;
        fclose(in);
        return count;
}

/* A joined thread is counted until the kernel has buried it: a moment that nothing announces. */
static bool alone_soon(void)
{
        for (int tries = 0; tries < 100000 && threads_now() != 1; tries++)
                sched_yield();
        return threads_now() == 1;
}

START_TEST(test_home_thread_drains_and_stops)
{
        unsigned before;

        host_start("otlp", "off", "name", dir);
        before = host_descriptors();
        ck_assert(!home_must_flush());
        host_write(3);
        ck_assert_uint_eq(threads_now(), 2);
        ck_assert(home_must_flush());
        home_flush(10000);
        ck_assert_uint_eq(stat_get(STAT_INJECTED), 3);
        ck_assert(alone_soon());
        ck_assert(!home_thread_exists() && !home_must_flush());
        ck_assert_uint_eq(host_descriptors(), before + 1); /* the ring */
        host_write(2);
        home_before_identity_change();
        ck_assert(alone_soon());
        host_write(2);
        home_flush(10000);
        ck_assert_uint_eq(stat_get(STAT_INJECTED), 7);
        ck_assert_uint_eq(stat_get(STAT_RELAY_STARTED), 0);
}
END_TEST

static void child_writes_and_flushes(void *arg)
{
        host_after_fork();
        if (home_thread_exists())
                _exit(1);
        host_write(2);
        home_flush(10000);
        if (stat_get(STAT_INJECTED) != 2)
                _exit(2);
}

START_TEST(test_home_thread_and_forks)
{
        host_start("otlp", "off", "name", dir);
        host_write(1);
        for (int i = 0; i < 20; i++) {
                home_before_fork();
                ck_assert_int_eq(unit_in_child(child_writes_and_flushes, NULL), 0);
                home_after_fork_parent();
                host_write(1);
        }
        home_flush(10000);
        ck_assert_uint_eq(stat_get(STAT_INJECTED), 21);
}
END_TEST

static void child_of_the_busy(void *arg)
{
        host_after_fork();
        host_write(2);
        if (home_thread_exists() || stat_get(STAT_SPANS_WRITTEN) != 2)
                _exit(1);
}

/* Third-party code that was cut in half by a fork is not used in the child. */
START_TEST(test_home_thread_busy_at_fork)
{
        uint64_t begin;

        host_start("otlp", "off", "busy", dir);
        host_write(1);
        while (stat_get(STAT_INJECTED) == 0)
                sched_yield(); /* the thread has the lock now and keeps it */
        begin = clock_mono_ns();
        home_before_fork();
        ck_assert_uint_lt(clock_mono_ns() - begin, 5000000000);
        ck_assert_int_eq(unit_in_child(child_of_the_busy, NULL), 0);
        home_after_fork_parent();
}
END_TEST

START_TEST(test_home_thread_that_fails)
{
        host_start("otlp", "off", "rotten", dir);
        host_write(1);
        while (home_thread_exists()) {
                struct span span = host_span();

                /* Its end is noticed by the next wake-up. */
                home_span(&span, clock_mono_ns() + 1000000000000);
                sched_yield();
        }
        host_write(3);
        home_flush(1000000000); /* nobody is there to be waited for */
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                test_relay_spawn_unnoticed,
                test_relay_spawn_killed_and_replaced,
                test_relay_spawn_among_threads,
                test_relay_spawn_mask_and_signals_kept,
                test_relay_spawn_standard_descriptors_closed,
                test_relay_spawn_missing_program,
                test_relay_spawn_no_processes_left,
                test_home_thread_instead_of_relay,
                test_home_thread_drains_and_stops,
                test_home_thread_and_forks,
                test_home_thread_busy_at_fork,
                test_home_thread_that_fails,
        };
        int result;

        if (!mkdtemp(dir))
                return EXIT_FAILURE;
        result = unit_run("home-spawn", tests, sizeof(tests) / sizeof(*tests));
        dir_remove();
        return result;
}
