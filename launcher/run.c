/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/run.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "launcher/inspect.h"
#include "launcher/locate.h"
#include "launcher/say.h"
#include "launcher/settings.h"

#define NO_MEMORY "out of memory"

struct plan {
        struct environ_list env;
        struct config config;
        char library[PATH_MAX];
};

static void plan_done(struct plan *plan)
{
        environ_done(&plan->env);
}

#define cleanup_plan __attribute__((cleanup(plan_done)))

/* Environment and settings of the run, without the library yet. Return: 0, or an exit status after a message.
 */
static int plan_init(struct plan *plan, const struct options *options, char *const *envp)
{
        memset(plan, 0, sizeof(*plan));
        if (environ_copy(&plan->env, envp) < 0 || settings_apply(options, &plan->env) < 0) {
                say_error(NO_MEMORY);
                return RUN_NOT_EXECUTABLE;
        }
        return settings_check(options, &plan->env, &plan->config) < 0 ? RUN_USAGE : 0;
}

/* Find the library. Return: NULL, or why it cannot be used, in @why. */
static const char *find_library(struct plan *plan, char *why, size_t size)
{
        char self[PATH_MAX];
        bool known = locate_self(self, sizeof(self)) == 0;

        if (locate_library(known ? self : NULL, plan->library, sizeof(plan->library)) < 0)
                (void)snprintf(why, size, "the agent's library is missing (%s)", plan->library);
        else if (strpbrk(plan->library, ": "))
                (void)snprintf(why, size, "LD_PRELOAD cannot hold a path with blanks or colons (%s)",
                               plan->library);
        else
                return NULL;
        return why;
}

static int exit_status(const struct inspect *inspect)
{
        return inspect->verdict == INSPECT_NOT_FOUND ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

/* A file that is no program of the kernel's is run by the shell, as execvp and the shells do. */
static void execute(const char *path, char **command, char **vars)
{
        cleanup_free char **shell = NULL;
        size_t count = 0;

        execve(path, command, vars);
        if (errno != ENOEXEC)
                return;
        while (command[count])
                count++;
        shell = calloc(count + 2, sizeof(*shell));
        if (!shell)
                return;
        shell[0] = (char *)(uintptr_t) "/bin/sh"; /* execve's parameter lacks the const, it changes nothing */
        shell[1] = (char *)(uintptr_t)path;
        memcpy(shell + 2, command + 1, count * sizeof(*shell)); /* with the NULL */
        execve(shell[0], shell, vars);
}

/*
 * Decide whether the command gets the library. Return: 0, or the exit status with which the launcher gives
 * up.
 */
static int instrument(struct plan *plan, const struct options *options, const struct inspect *inspect)
{
        char why[PATH_MAX + 128];
        const char *obstacle;

        if (plan->config.sdk_disabled)
                return 0;
        if (inspect->verdict == INSPECT_BLIND) {
                if (options->strict) {
                        say_error("%s %s; not run because of --strict", options->command[0], inspect->reason);
                        return RUN_NOT_EXECUTABLE;
                }
                say_warning("%s %s; runs uninstrumented", options->command[0], inspect->reason);
                return 0;
        }
        obstacle = find_library(plan, why, sizeof(why));
        if (!obstacle && environ_preload(&plan->env, plan->library) == 0)
                return 0;
        if (options->strict) {
                say_error("%s; not run because of --strict", obstacle ? obstacle : NO_MEMORY);
                return RUN_NOT_EXECUTABLE;
        }
        say_warning("%s; %s runs uninstrumented", obstacle ? obstacle : NO_MEMORY, options->command[0]);
        return 0;
}

int run_command(const struct options *options, char *const *envp)
{
        cleanup_plan struct plan plan;
        struct inspect inspect;
        int status = plan_init(&plan, options, envp);

        if (status)
                return status;
        inspect_command(options->command[0], &plan.env, &inspect);
        if (inspect.verdict >= INSPECT_NOT_FOUND) {
                say_error("%s %s", options->command[0], inspect.reason);
                return exit_status(&inspect);
        }
        status = instrument(&plan, options, &inspect);
        if (status)
                return status;
        execute(inspect.path, options->command, plan.env.vars);
        status = errno == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
        say_error("%s: %s", inspect.path, strerror(errno));
        return status;
}

int run_check(const struct options *options, char *const *envp)
{
        cleanup_plan struct plan plan;
        struct inspect inspect;
        char why[PATH_MAX + 128];
        const char *obstacle;
        int status = plan_init(&plan, options, envp);

        if (status)
                return status;
        inspect_command(options->command[0], &plan.env, &inspect);
        if (inspect.verdict != INSPECT_OK) {
                printf("%s cannot be instrumented: it %s\n", options->command[0], inspect.reason);
                return EXIT_FAILURE;
        }
        obstacle = find_library(&plan, why, sizeof(why));
        if (obstacle) {
                printf("%s cannot be instrumented: %s\n", options->command[0], obstacle);
                return EXIT_FAILURE;
        }
        if (plan.config.sdk_disabled) {
                printf("%s is not instrumented: OTEL_SDK_DISABLED is true\n", options->command[0]);
                return EXIT_FAILURE;
        }
        printf("%s can be instrumented (%s)\n", options->command[0], inspect.path);
        return EXIT_SUCCESS;
}

/* In single quotes; a quote inside ends them, stands escaped, and begins them again. */
static void print_quoted(const char *name, const char *value)
{
        printf("%s='", name);
        for (; *value; value++) {
                if (*value == '\'')
                        fputs("'\\''", stdout);
                else
                        putchar(*value);
        }
        puts("'");
}

int run_print_env(const struct options *options, char *const *envp)
{
        cleanup_plan struct plan plan;
        char why[PATH_MAX + 128];
        const char *obstacle;
        int status = plan_init(&plan, options, envp);

        if (status)
                return status;
        for (size_t i = 0; i < CONFIG_COUNT; i++)
                if (options->values[i])
                        print_quoted(config_rows[i].env, options->values[i]);
        if (plan.config.sdk_disabled)
                return EXIT_SUCCESS;
        obstacle = find_library(&plan, why, sizeof(why));
        if (obstacle || environ_preload(&plan.env, plan.library) < 0) {
                say_error("%s", obstacle ? obstacle : NO_MEMORY);
                return EXIT_FAILURE;
        }
        print_quoted("LD_PRELOAD", environ_get(&plan.env, "LD_PRELOAD"));
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
