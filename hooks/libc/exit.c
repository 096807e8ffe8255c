/* SPDX-License-Identifier: Apache-2.0 */
/* Ends that the program asks for. Before exit handlers run: those of other libraries pull the ground away. */
#include "agent/lifecycle.h"
#include "hooks/hook.h"

/*
 * A return from main, and error() and the like, end in libc's own exit(), which we do not see: an exit
 * handler is told its status. Registered by main, it comes before the libraries' destructors.
 */
static int (*host_main)(int, char **, char **);

static void at_end(int status, void *unused)
{
        lifecycle_end(status);
}

static int main_with_end(int argc, char **argv, char **envp)
{
        (void)on_exit(at_end, NULL); /* without: the span is shown as incomplete */
        return host_main(argc, argv, envp);
}

HOOK_EXPORT int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
                                  void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                                  void *stack_end)
{
        if (lifecycle_minds_status()) {
                host_main = main;
                main = main_with_end;
        }
        return REAL(__libc_start_main)(main, argc, argv, init, fini, rtld_fini, stack_end);
}

HOOK_EXPORT void exit(int status)
{
        lifecycle_exit(status);
        REAL(exit)(status);
        __builtin_unreachable();
}

HOOK_EXPORT void _exit(int status)
{
        lifecycle_end(status);
        REAL(_exit)(status);
        __builtin_unreachable();
}

HOOK_EXPORT void _Exit(int status)
{
        lifecycle_end(status);
        REAL(_Exit)(status);
        __builtin_unreachable();
}

HOOK_EXPORT void quick_exit(int status)
{
        lifecycle_end(status);
        REAL(quick_exit)(status);
        __builtin_unreachable();
}

/* Its parent ends inside libc, by an _exit that nobody sees. */
HOOK_EXPORT int daemon(int nochdir, int noclose)
{
        int result;

        lifecycle_stop();
        lifecycle_daemon(true);
        result = REAL(daemon)(nochdir, noclose);
        lifecycle_daemon(false);
        return result;
}
