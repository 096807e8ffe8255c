/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What every unit test needs: a main, memory that ends at a forbidden page, work done in a child. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static inline int unit_run(const char *name, const TTest *const *tests, size_t count)
{
        Suite *suite = suite_create(name);
        TCase *tcase = tcase_create(name);
        SRunner *runner;
        int failed;

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

/* UNIT_MAIN(name, test, ...) - the program's main: these tests in this order */
#define UNIT_MAIN(name, ...)                                                  \
        int main(void)                                                        \
        {                                                                     \
                const TTest *const tests[] = {__VA_ARGS__};                   \
                                                                              \
                return unit_run(name, tests, sizeof(tests) / sizeof(*tests)); \
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
