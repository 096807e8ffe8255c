/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What every unit test needs: a main, memory that ends at a forbidden page, work done in a child. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run the tests, each after @setup (may be NULL) in a process of its own. Return: the program's exit status.
 */
static inline int unit_run_with(const char *name, SFun setup, const TTest *const *tests, size_t count)
{
        Suite *suite = suite_create(name);
        TCase *tcase = tcase_create(name);
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tcase, setup, NULL);
        tcase_set_timeout(tcase, 60);
        for (size_t i = 0; i < count; i++)
                tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline int unit_run(const char *name, const TTest *const *tests, size_t count)
{
        return unit_run_with(name, NULL, tests, count);
}

/* UNIT_MAIN(name, test, ...) - the program's main: these tests in this order */
#define UNIT_MAIN(name, ...) UNIT_MAIN_WITH(name, NULL, __VA_ARGS__)

/* UNIT_MAIN_WITH(name, setup, test, ...) - the same, with setup() before each of them */
#define UNIT_MAIN_WITH(name, setup, ...)                                                  \
        int main(void)                                                                    \
        {                                                                                 \
                const TTest *const tests[] = {__VA_ARGS__};                               \
                                                                                          \
                return unit_run_with(name, setup, tests, sizeof(tests) / sizeof(*tests)); \
        }

/* A copy of @len bytes whose end is the end of readable memory; stays mapped until the test ends. */
static inline char *unit_guarded(const void *bytes, size_t len)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        size_t room = (len + page - 1) / page * page;
        char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert_ptr_ne(p, MAP_FAILED);
        ck_assert_int_eq(mprotect(p + room, page, PROT_NONE), 0);
        if (len)
                memcpy(p + room - len, bytes, len);
        return p + room - len;
}

/* Reads until the end, or until @size - 1 bytes are in @text, and ends that with a 0. Return: of the last
 * read. */
static inline ssize_t unit_read_all(int fd, char *text, size_t size)
{
        size_t len = 0;
        ssize_t n;

        while ((n = read(fd, text + len, size - 1 - len)) > 0)
                len += (size_t)n;
        text[len] = '\0';
        return n;
}

/* Run @work in a forked child. Return: its wait status. */
static inline int unit_in_child(void (*work)(void *), void *arg)
{
        pid_t pid = fork();
        int status = -1;

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                work(arg);
                _exit(0);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return status;
}
