/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "agent/base/limits.h"
#include "agent/base/sys.h"
#include "tests/unit/unit.h"

static void limit_files(rlim_t soft)
{
        struct rlimit limit;

        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = soft;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(test_sys_call_when_it_fails)
{
        errno = E2BIG;
        ck_assert_int_eq(sys_close(-1), -EBADF);
        ck_assert_int_eq(sys_open("/no/such/file", O_RDONLY, 0), -ENOENT);
        ck_assert_int_eq(sys_read(-1, NULL, 0), -EBADF);
        ck_assert_int_eq(sys_fcntl(-1, F_GETFD, 0), -EBADF);
        ck_assert_int_eq(sys_readlink("/", (char[8]){0}, 8), -EINVAL);
        ck_assert_ptr_null(sys_mmap(1ul << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1));
        ck_assert_ptr_null(sys_mmap(4096, PROT_READ, MAP_PRIVATE, -1));
        ck_assert_int_eq(errno, E2BIG);
}
END_TEST

START_TEST(test_sys_call_when_it_works)
{
        char *p = sys_mmap(8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        int fd = sys_open("/dev/zero", O_RDONLY | O_CLOEXEC, 0);
        int ends[2], type = 0;
        socklen_t len = sizeof(type);

        ck_assert_ptr_nonnull(p);
        memset(p, 1, 8192);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(sys_read(fd, p, 8192), 8192);
        ck_assert_int_eq(p[8191], 0);
        ck_assert_int_eq(sys_munmap(p, 8192), 0);
        ck_assert_int_eq(sys_close(fd), 0);
        ck_assert_int_eq(sys_getpid(), getpid());
        ck_assert_int_eq(sys_gettid(), (int)syscall(SYS_gettid));
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
        ck_assert_int_eq(sys_getsockopt(ends[0], SOL_SOCKET, SO_TYPE, &type, &len), 0);
        ck_assert_int_eq(type, SOCK_DGRAM);
        ck_assert_int_eq(sys_write(ends[0], "abc", 3), 3);
        /* All six arguments arrive: a datagram cut by a peek, with the peer's address asked for. */
        len = 0;
        ck_assert_int_eq(sys_call(SYS_recvfrom, ends[1], (long)&type, 2, MSG_PEEK | MSG_TRUNC, (long)&ends,
                                  (long)&len),
                         3);
}
END_TEST

START_TEST(test_sys_fd_high_when_limit_permits)
{
        int fd = open("/dev/null", O_RDONLY);
        int high, next;

        limit_files(1024);
        high = sys_fd_high(fd);
        ck_assert_int_ge(high, LIMIT_OWN_FD_FLOOR);
        ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
        ck_assert_int_eq(fcntl(high, F_GETFD), FD_CLOEXEC);
        next = sys_fd_high(open("/dev/null", O_RDONLY));
        ck_assert_int_eq(next, high + 1);
        ck_assert_int_eq(sys_fd_high(next), next);
        ck_assert_int_eq(sys_fd_high(-1), -1);
}
END_TEST

START_TEST(test_sys_fd_high_when_limit_is_low)
{
        int first, second, last;

        limit_files(16);
        for (int i = 3; i < 16; i++)
                close(i);
        first = sys_fd_high(open("/dev/null", O_RDONLY));
        second = sys_fd_high(open("/dev/null", O_RDONLY));
        ck_assert_int_eq(first, 15);
        ck_assert_int_eq(second, 14);
        ck_assert_int_eq(fcntl(first, F_GETFD), FD_CLOEXEC);
        while ((last = open("/dev/null", O_RDONLY)) != 13)
                ck_assert_int_ge(last, 0);
        ck_assert_int_eq(sys_fd_high(3), 3);
        ck_assert_int_eq(fcntl(3, F_GETFD), FD_CLOEXEC);
        limit_files(0);
        ck_assert_int_eq(sys_fd_high(4), 4);
        ck_assert_int_eq(fcntl(4, F_GETFD), FD_CLOEXEC);
        limit_files(1024); /* a sanitizer opens files at the end */
        for (int i = 3; i < 16; i++)
                close(i);
}
END_TEST

START_TEST(test_sys_fd_high_when_high_numbers_are_taken)
{
        int fd = open("/dev/null", O_RDONLY);

        limit_files(LIMIT_OWN_FD_FLOOR + 4);
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(dup2(fd, LIMIT_OWN_FD_FLOOR + i), LIMIT_OWN_FD_FLOOR + i);
        ck_assert_int_eq(sys_fd_high(fd), LIMIT_OWN_FD_FLOOR - 1);
}
END_TEST

START_TEST(test_sys_readable_when_it_is_and_is_not)
{
        char *pages = sys_mmap(3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);

        ck_assert_int_eq(mprotect(pages + 4096, 4096, PROT_NONE), 0);
        ck_assert(sys_readable(pages, 4096));
        ck_assert(sys_readable(pages + 4095, 1));
        ck_assert(!sys_readable(pages + 4095, 2));
        ck_assert(!sys_readable(pages + 4096, 1));
        ck_assert(!sys_readable(pages + 8191, 2));
        ck_assert(sys_readable(pages + 8192, 4096));
        ck_assert(sys_readable(NULL, 0));
        ck_assert(!sys_readable(NULL, 1));
        ck_assert(!sys_readable(pages, SIZE_MAX));
        sys_munmap(pages, 3 * 4096);
}
END_TEST

UNIT_MAIN("sys", test_sys_readable_when_it_is_and_is_not, test_sys_call_when_it_fails,
          test_sys_call_when_it_works, test_sys_fd_high_when_limit_permits,
          test_sys_fd_high_when_limit_is_low, test_sys_fd_high_when_high_numbers_are_taken)
