/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program is replaced: what is ours and not yet taken would go with it. The next one gets the context
 * in its environment.
 */
#include <alloca.h>
#include <stdarg.h>

#include "agent/lifecycle.h"
#include "hooks/hook.h"
#include "hooks/libc/environ.h"

/* @call passes pass_.envp on. It returns only when it fails. */
#define EXEC(environment, call)                          \
        ({                                               \
                struct environ_pass pass_;               \
                int result_;                             \
                                                         \
                lifecycle_stop();                        \
                ENVIRON_PASS(&pass_, environment, true); \
                result_ = (call);                        \
                environ_end(&pass_);                     \
                result_;                                 \
        })

/* Where libc would take the environment itself: it does, unless we have another. */
#define EXEC_OWN(plain, with_environment) EXEC(environ, pass_.envp == environ ? (plain) : (with_environment))

HOOK_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
        return EXEC(envp, REAL(execve)(path, argv, pass_.envp));
}

HOOK_EXPORT int execv(const char *path, char *const argv[])
{
        return EXEC_OWN(REAL(execv)(path, argv), REAL(execve)(path, argv, pass_.envp));
}

HOOK_EXPORT int execvp(const char *file, char *const argv[])
{
        return EXEC_OWN(REAL(execvp)(file, argv), REAL(execvpe)(file, argv, pass_.envp));
}

HOOK_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
        return EXEC(envp, REAL(execvpe)(file, argv, pass_.envp));
}

HOOK_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
        return EXEC(envp, REAL(fexecve)(fd, argv, pass_.envp));
}

HOOK_EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
        return EXEC(envp, REAL(execveat)(fd, path, argv, pass_.envp, flags));
}

/*
 * A list of arguments cannot be passed on as one; as an array it takes the same room on the stack
 * that libc's own execl takes for it. Like there, the first is not NULL.
 */
static size_t count_arguments(va_list args)
{
        size_t count = 1;

        while (va_arg(args, const char *))
                count++;
        return count;
}

/* Return: what follows the NULL that ends them, for execle. */
static char **copy_arguments(char **argv, size_t count, va_list args, bool environment_follows)
{
        for (size_t i = 1; i <= count; i++)
                argv[i] = va_arg(args, char *);
        return environment_follows ? va_arg(args, char **) : NULL;
}

#define ARGUMENTS(argv, envp, arg, environment_follows)                            \
        do {                                                                       \
                va_list args_;                                                     \
                size_t count_;                                                     \
                                                                                   \
                va_start(args_, arg);                                              \
                count_ = count_arguments(args_);                                   \
                va_end(args_);                                                     \
                (argv) = alloca((count_ + 1) * sizeof(char *));                    \
                (argv)[0] = (char *)(uintptr_t)(arg);                              \
                va_start(args_, arg);                                              \
                (envp) = copy_arguments(argv, count_, args_, environment_follows); \
                va_end(args_);                                                     \
        } while (0)

HOOK_EXPORT int execl(const char *path, const char *arg, ...)
{
        char **argv, **none;

        ARGUMENTS(argv, none, arg, false);
        (void)none; /* execv takes the process's own */
        return execv(path, argv);
}

HOOK_EXPORT int execlp(const char *file, const char *arg, ...)
{
        char **argv, **none;

        ARGUMENTS(argv, none, arg, false);
        (void)none; /* execvp takes the process's own */
        return execvp(file, argv);
}

HOOK_EXPORT int execle(const char *path, const char *arg, ...)
{
        char **argv, **envp;

        ARGUMENTS(argv, envp, arg, true);
        return execve(path, argv, envp);
}
