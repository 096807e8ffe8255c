/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "agent/base/limits.h"

#define SYS_PAGE 4096 /* the smallest there is; the first is never mapped */

#if defined(__x86_64__)
long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        register long r9 __asm__("r9") = f;
        long result;

        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        return result;
}
#elif defined(__aarch64__)
long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
        register long x8 __asm__("x8") = number;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;
        register long x5 __asm__("x5") = f;

        __asm__ volatile("svc #0"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                         : "memory");
        return x0;
}
#else
#error "x86-64 or aarch64 only"
#endif

void *sys_mmap(size_t len, int prot, int flags, int fd)
{
        long result = sys_call(SYS_mmap, 0, (long)len, prot, flags, fd, 0);

        /* The kernel's errors are the last page of the address space. */
        return result < 0 && result >= -4095 ? NULL : (void *)result;
}

int sys_munmap(void *p, size_t len)
{
        return (int)sys_call(SYS_munmap, (long)p, (long)len, 0, 0, 0, 0);
}

int sys_close(int fd)
{
        return (int)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

ssize_t sys_read(int fd, void *buf, size_t len)
{
        return sys_call(SYS_read, fd, (long)buf, (long)len, 0, 0, 0);
}

ssize_t sys_write(int fd, const void *buf, size_t len)
{
        return sys_call(SYS_write, fd, (long)buf, (long)len, 0, 0, 0);
}

ssize_t sys_readlink(const char *path, char *buf, size_t len)
{
        return sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)buf, (long)len, 0, 0);
}

int sys_open(const char *path, int flags, int mode)
{
        return (int)sys_call(SYS_openat, AT_FDCWD, (long)path, flags, mode, 0, 0);
}

int sys_getpid(void)
{
        return (int)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

int sys_gettid(void)
{
        return (int)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

int sys_fcntl(int fd, int cmd, long arg)
{
        return (int)sys_call(SYS_fcntl, fd, cmd, arg, 0, 0, 0);
}

int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
        return (int)sys_call(SYS_getsockopt, fd, level, name, (long)value, (long)len, 0);
}

/* The kernel reads the set before it looks at what to do with it, which is nothing here. */
static bool word_readable(uintptr_t at)
{
        const uintptr_t word = sizeof(uint64_t);

        return sys_call(SYS_rt_sigprocmask, -1, (long)(at & ~(word - 1)), 0, (long)word, 0, 0) != -EFAULT;
}

bool sys_readable(const void *p, size_t len)
{
        uintptr_t first = (uintptr_t)p, last;

        if (len == 0)
                return true;
        if (first < SYS_PAGE || __builtin_add_overflow(first, len - 1, &last))
                return false;
        return word_readable(first) && (first / SYS_PAGE == last / SYS_PAGE || word_readable(last));
}

/* One above the highest number that may be opened and lies under the floor. */
static int numbers_below_floor(void)
{
        struct rlimit limit;

        if (sys_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0) < 0)
                return 0;
        return limit.rlim_cur < LIMIT_OWN_FD_FLOOR ? (int)limit.rlim_cur : LIMIT_OWN_FD_FLOOR;
}

/* The copy at the highest free number above @fd, or a negative error when there is none. */
static int dup_highest(int fd)
{
        for (int number = numbers_below_floor() - 1; number > fd; number--) {
                int high = sys_fcntl(fd, F_DUPFD_CLOEXEC, number);

                if (high >= 0)
                        return high;
        }
        return -1;
}

int sys_fd_high(int fd)
{
        int high;

        if (fd < 0)
                return fd;
        if (fd >= LIMIT_OWN_FD_FLOOR) {
                sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
                return fd;
        }
        high = sys_fcntl(fd, F_DUPFD_CLOEXEC, LIMIT_OWN_FD_FLOOR);
        if (high < 0)
                high = dup_highest(fd);
        if (high < 0) {
                sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
                return fd;
        }
        sys_close(fd);
        return high;
}
