/* SPDX-License-Identifier: Apache-2.0 */
/* The program is replaced: what is ours and not yet taken would go with it. */
#include <alloca.h>
#include <stdarg.h>

#include "agent/lifecycle.h"
#include "hooks/hook.h"

HOOK_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
        lifecycle_stop();
        return REAL(execve)(path, argv, envp);
}

HOOK_EXPORT int execv(const char *path, char *const argv[])
{
        lifecycle_stop();
        return REAL(execv)(path, argv);
}

HOOK_EXPORT int execvp(const char *file, char *const argv[])
{
        lifecycle_stop();
        return REAL(execvp)(file, argv);
}

HOOK_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
        lifecycle_stop();
        return REAL(execvpe)(file, argv, envp);
}

HOOK_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
        lifecycle_stop();
        return REAL(fexecve)(fd, argv, envp);
}

HOOK_EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
        lifecycle_stop();
        return REAL(execveat)(fd, path, argv, envp, flags);
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
