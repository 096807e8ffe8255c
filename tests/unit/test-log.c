/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/base/log.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/test-log-XXXXXX";
static char path[64];
static int ends[2];

static void open_pipe(enum log_level level)
{
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        log_set_target((struct log_target){.level = level, .fd = ends[1]});
}

static void use_path(const char *name)
{
        if (dir[sizeof(dir) - 2] == 'X')
                ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        unlink(path);
        log_set_target((struct log_target){.level = LOG_ERROR, .fd = -1, .path = path});
}

static void remove_path(void)
{
        unlink(path);
        rmdir(dir);
}

/* What was written so far, without "otel-instrument[<pid>]: ". */
static const char *written(void)
{
        static char text[2048];
        char prefix[64];
        ssize_t n = read(ends[0], text, sizeof(text) - 1);
        int len = snprintf(prefix, sizeof(prefix), "otel-instrument[%d]: ", (int)getpid());

        if (n <= 0)
                return "";
        text[n] = 0;
        ck_assert_int_eq(strncmp(text, prefix, (size_t)len), 0);
        return text + len;
}

START_TEST(test_log_line_when_formatting)
{
        const char *volatile no_text = NULL;

        open_pipe(LOG_DEBUG);
        log_error("a %s b %d %d %u %x %%", "text", -5, 0, 4000000000u, 0xbeefu);
        ck_assert_str_eq(written(), "error: a text b -5 0 4000000000 beef %\n");
        log_debug("%ld %lu %.*s|%.*s|%p", (-9223372036854775807l - 1), 18446744073709551615ul, 3, "abcdef", 0,
                  "x", (void *)0x1fUL);
        ck_assert_str_eq(written(), "debug: -9223372036854775808 18446744073709551615 abc||0x1f\n");
        log_warn("%d %s", -2147483647 - 1, no_text);
        ck_assert_str_eq(written(), "warn: -2147483648 (null)\n");
        log_info("plain");
        ck_assert_str_eq(written(), "info: plain\n");
}
END_TEST

START_TEST(test_log_line_when_text_is_hostile)
{
        char huge[5000];
        const char *line;

        open_pipe(LOG_ERROR);
        log_error("%s", "a\nerror: forged\x1b[2J\x7f");
        ck_assert_str_eq(written(), "error: a?error: forged?[2J?\n");
        memset(huge, 'x', sizeof(huge) - 1);
        huge[sizeof(huge) - 1] = 0;
        log_error("%s", huge);
        line = written();
        ck_assert_uint_eq(strlen(line) + strlen("otel-instrument[]: ") +
                                  (size_t)snprintf(NULL, 0, "%d", getpid()),
                          512);
        ck_assert_int_eq(line[strlen(line) - 1], '\n');
        log_error("%.*s", 4, unit_guarded("abcd", 4));
        ck_assert_str_eq(written(), "error: abcd\n");
}
END_TEST

/* Around the look at the level that the macros take first. */
static void say(enum log_level level, const char *text)
{
        log_line(level, "%s", text);
}

START_TEST(test_log_line_when_level_is_lower)
{
        open_pipe(LOG_WARN);
        log_info("no");
        log_debug("no");
        say(LOG_DEBUG, "no");
        ck_assert_str_eq(written(), "");
        log_warn("yes");
        ck_assert_str_eq(written(), "warn: yes\n");
        log_set_target((struct log_target){.level = LOG_NONE, .fd = ends[1]});
        log_error("no");
        say(LOG_NONE, "no");
        ck_assert_str_eq(written(), "");
        log_set_target((struct log_target){.level = LOG_DEBUG, .fd = -1});
        log_error("nowhere");
        ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(test_log_line_when_pipe_is_full_or_broken)
{
        open_pipe(LOG_ERROR);
        ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
        while (write(ends[1], path, sizeof(path)) > 0)
                ;
        ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
        errno = E2BIG;
        log_error("must not wait"); /* the test's time limit tells */
        close(ends[0]);
        log_error("must not kill");
        ck_assert_int_eq(errno, E2BIG);
}
END_TEST

START_TEST(test_log_line_when_descriptor_became_the_hosts)
{
        int other[2];

        open_pipe(LOG_ERROR);
        ck_assert_int_eq(pipe2(other, O_NONBLOCK), 0);
        ck_assert_int_eq(dup2(other[1], ends[1]), ends[1]);
        ends[0] = other[0];
        log_error("not into the host's file");
        ck_assert_str_eq(written(), "");
        close(ends[1]);
        log_error("nor anywhere");
}
END_TEST

START_TEST(test_log_line_when_target_is_a_file)
{
        struct stat st;

        umask(0);
        use_path("log");
        errno = E2BIG;
        log_error("one");
        log_error("two");
        ck_assert_int_eq(errno, E2BIG);
        ends[0] = open(path, O_RDONLY);
        ck_assert_int_ge(ends[0], 0);
        ck_assert_ptr_nonnull(strstr(written(), "error: one\notel-instrument["));
        ck_assert_int_eq(fstat(ends[0], &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
        remove_path();
}
END_TEST

START_TEST(test_log_line_when_file_is_a_trap)
{
        struct stat st;
        char target[80];

        use_path("link");
        snprintf(target, sizeof(target), "%s/elsewhere", dir);
        ck_assert_int_eq(symlink(target, path), 0);
        log_error("not through a link");
        ck_assert_int_eq(stat(target, &st), -1);
        unlink(path);

        ck_assert_int_eq(mkfifo(path, 0600), 0);
        log_error("must not wait for a reader");
        remove_path();
        log_error("no such folder");
}
END_TEST

/* No assertions in the children: Check's own file would hit the limit. */
static void write_beyond_limit(void *arg)
{
        struct rlimit limit = {0, 0};

        if (setrlimit(RLIMIT_FSIZE, &limit) == 0)
                log_error("must not kill");
        _exit(7);
}

START_TEST(test_log_line_when_file_size_is_limited)
{
        struct stat st;
        int status;

        use_path("log");
        status = unit_in_child(write_beyond_limit, NULL);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 7);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_int_eq(st.st_size, 0);
        remove_path();
}
END_TEST

static void write_with_blocked_signal(void *arg)
{
        struct rlimit limit = {0, 0};
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGXFSZ);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGXFSZ);
        if (setrlimit(RLIMIT_FSIZE, &limit) == 0)
                log_error("leaves the host's own signal pending");
        sigpending(&set);
        _exit(sigismember(&set, SIGXFSZ) == 1 ? 7 : 8);
}

START_TEST(test_log_line_when_signal_was_pending)
{
        int status;

        use_path("log");
        status = unit_in_child(write_with_blocked_signal, NULL);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 7);
        remove_path();
}
END_TEST

UNIT_MAIN("log", test_log_line_when_formatting, test_log_line_when_text_is_hostile,
          test_log_line_when_level_is_lower, test_log_line_when_pipe_is_full_or_broken,
          test_log_line_when_descriptor_became_the_hosts, test_log_line_when_target_is_a_file,
          test_log_line_when_file_is_a_trap, test_log_line_when_file_size_is_limited,
          test_log_line_when_signal_was_pending)
