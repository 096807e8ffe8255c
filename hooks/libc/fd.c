/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that end or get another name. */
#include "hooks/libc/fd.h"

#include <limits.h>
#include <linux/close_range.h>
#include <stdarg.h>

HOOK_EXPORT int close(int fd)
{
        return (int)FD_CLOSE(fd, REAL(close)(fd));
}

/* Everything but ours. @lowest_own: the lowest of ours in the range. */
static int close_around(unsigned fd, unsigned max_fd, int flags, int lowest_own)
{
        int result = 0;

        for (int own = lowest_own; own >= 0 && (unsigned)own <= max_fd; own = tap_proc_next_fd(own + 1)) {
                if (fd < (unsigned)own)
                        result = REAL(close_range)(fd, (unsigned)own - 1, flags);
                if (result < 0)
                        return result;
                fd = (unsigned)own + 1;
        }
        return fd <= max_fd ? REAL(close_range)(fd, max_fd, flags) : result;
}

HOOK_EXPORT int close_range(unsigned int fd, unsigned int max_fd, int flags)
{
        int own = fd <= max_fd && fd <= INT_MAX ? tap_proc_next_fd((int)fd) : -1;

        if (!(flags & ~CLOSE_RANGE_UNSHARE))
                tap_net_close_range(fd, max_fd);
        if (LIKELY(own < 0 || (unsigned)own > max_fd))
                return REAL(close_range)(fd, max_fd, flags);
        return close_around(fd, max_fd, flags, own);
}

/* Without close_range in the kernel glibc goes through /proc, and ours go with the rest: they are made anew.
 */
HOOK_EXPORT void closefrom(int lowfd)
{
        int first = MAX(lowfd, 0);
        int own = tap_proc_next_fd(first);

        tap_net_close_range((unsigned)first, UINT_MAX);
        if (LIKELY(own < 0) || close_around((unsigned)first, UINT_MAX, 0, own) < 0)
                REAL(closefrom)(lowfd);
}

HOOK_EXPORT int dup(int fd)
{
        int copy = fd_hidden(fd) ? -1 : REAL(dup)(fd);

        if (copy >= 0)
                tap_net_dup(fd, copy);
        return copy;
}

HOOK_EXPORT int dup2(int fd, int fd2)
{
        int copy;

        if (fd_hidden(fd))
                return -1;
        fd_before_replace(fd, fd2);
        copy = REAL(dup2)(fd, fd2);
        if (copy >= 0)
                tap_net_dup(fd, copy);
        return copy;
}

HOOK_EXPORT int dup3(int fd, int fd2, int flags)
{
        int copy;

        if (fd_hidden(fd))
                return -1;
        if (!(flags & ~O_CLOEXEC))
                fd_before_replace(fd, fd2);
        copy = REAL(dup3)(fd, fd2, flags);
        if (copy >= 0)
                tap_net_dup(fd, copy);
        return copy;
}

static void after_fcntl(int fd, int cmd, int result)
{
        if ((cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) && result >= 0)
                tap_net_dup(fd, result);
}

/* Whatever the third argument is, it is one word, and not looked at where there is none. */
#define FCNTL(name, fd, cmd)                                                  \
        ({                                                                    \
                int result_ = -1;                                             \
                va_list args_;                                                \
                                                                              \
                va_start(args_, cmd);                                         \
                if (!fd_hidden(fd))                                           \
                        result_ = REAL(name)(fd, cmd, va_arg(args_, void *)); \
                va_end(args_);                                                \
                after_fcntl(fd, cmd, result_);                                \
                result_;                                                      \
        })

HOOK_EXPORT int fcntl(int fd, int cmd, ...)
{
        return FCNTL(fcntl, fd, cmd);
}

HOOK_EXPORT int fcntl64(int fd, int cmd, ...)
{
        return FCNTL(fcntl64, fd, cmd);
}
