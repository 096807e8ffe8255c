/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/real_substitute.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>

#include "agent/base/sys.h"

static long told(long result)
{
        if (result >= 0)
                return result;
        errno = (int)-result;
        return -1;
}

/* Arguments and results are words in registers on both of our machines, whatever their C type is. */
#define WORDS long a, long b, long c, long d, long e, long f
#define PLAIN_ROWS(X)                     \
        X(accept, SYS_accept)             \
        X(accept4, SYS_accept4)           \
        X(capset, SYS_capset)             \
        X(chroot, SYS_chroot)             \
        X(close, SYS_close)               \
        X(close_range, SYS_close_range)   \
        X(connect, SYS_connect)           \
        X(dup, SYS_dup)                   \
        X(dup3, SYS_dup3)                 \
        X(epoll_pwait2, SYS_epoll_pwait2) \
        X(execve, SYS_execve)             \
        X(execveat, SYS_execveat)         \
        X(fcntl, SYS_fcntl)               \
        X(getsockopt, SYS_getsockopt)     \
        X(read, SYS_read)                 \
        X(readv, SYS_readv)               \
        X(recvfrom, SYS_recvfrom)         \
        X(recvmmsg, SYS_recvmmsg)         \
        X(recvmsg, SYS_recvmsg)           \
        X(sendfile, SYS_sendfile)         \
        X(listen, SYS_listen)             \
        X(prlimit64, SYS_prlimit64)       \
        X(sendmmsg, SYS_sendmmsg)         \
        X(sendmsg, SYS_sendmsg)           \
        X(sendto, SYS_sendto)             \
        X(setns, SYS_setns)               \
        X(setrlimit, SYS_setrlimit)       \
        X(shutdown, SYS_shutdown)         \
        X(socket, SYS_socket)             \
        X(socketpair, SYS_socketpair)     \
        X(splice, SYS_splice)             \
        X(unshare, SYS_unshare)           \
        X(write, SYS_write)               \
        X(writev, SYS_writev)

#define X(name, number)                                          \
        static long raw_##name(WORDS)                            \
        {                                                        \
                return told(sys_call(number, a, b, c, d, e, f)); \
        }
PLAIN_ROWS(X)
#undef X

static long raw_send(long fd, long buf, long len, long flags)
{
        return raw_sendto(fd, buf, len, flags, 0, 0);
}

static long raw_recv(long fd, long buf, long len, long flags)
{
        return raw_recvfrom(fd, buf, len, flags, 0, 0);
}

static long raw_dup2(int from, int to)
{
        if (from == to)
                return told(sys_fcntl(from, F_GETFD, 0)) < 0 ? -1 : to;
        return raw_dup3(from, to, 0, 0, 0, 0);
}

static void raw_closefrom(int lowest)
{
        (void)raw_close_range(lowest > 0 ? lowest : 0, UINT_MAX, 0, 0, 0, 0); /* returns nothing to anybody */
}

static _Noreturn void raw_exit(int status)
{
        for (;;)
                (void)sys_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

static long raw_syscall(long number, WORDS)
{
        return told(sys_call(number, a, b, c, d, e, f));
}

static long no_such_call(void)
{
        errno = ENOSYS;
        return -1;
}

static long no_pointer(void)
{
        errno = ENOSYS;
        return 0;
}

static long no_resolver(void)
{
        errno = ENOSYS;
        return EAI_SYSTEM;
}

/* Of functions that return an error number. */
static long no_such_result(void)
{
        return ENOSYS;
}

static void *const substitutes[HOOK_ID_COUNT] = {
#define X(name, number) [HOOK_ID_##name] = (void *)raw_##name,
        PLAIN_ROWS(X)
#undef X
                [HOOK_ID_fcntl64] = (void *)raw_fcntl,
        [HOOK_ID_sendfile64] = (void *)raw_sendfile,
        [HOOK_ID_setrlimit64] = (void *)raw_setrlimit,
        [HOOK_ID_prlimit] = (void *)raw_prlimit64,
        [HOOK_ID_send] = (void *)raw_send,
        [HOOK_ID_recv] = (void *)raw_recv,
        [HOOK_ID_dup2] = (void *)raw_dup2,
        [HOOK_ID_closefrom] = (void *)raw_closefrom,
        [HOOK_ID_exit] = (void *)raw_exit,
        [HOOK_ID__exit] = (void *)raw_exit,
        [HOOK_ID__Exit] = (void *)raw_exit,
        [HOOK_ID_quick_exit] = (void *)raw_exit,
        [HOOK_ID_posix_spawn] = (void *)no_such_result,
        [HOOK_ID_posix_spawnp] = (void *)no_such_result,
        [HOOK_ID_pthread_create] = (void *)no_such_result,
        [HOOK_ID_popen] = (void *)no_pointer,
        [HOOK_ID_syscall] = (void *)raw_syscall,
        [HOOK_ID_freopen] = (void *)no_pointer,
        [HOOK_ID_freopen64] = (void *)no_pointer,
        [HOOK_ID_gethostbyname] = (void *)no_pointer,
        [HOOK_ID_gethostbyname2] = (void *)no_pointer,
        [HOOK_ID_gethostbyname_r] = (void *)no_such_result,
        [HOOK_ID_gethostbyname2_r] = (void *)no_such_result,
        [HOOK_ID_getaddrinfo] = (void *)no_resolver,
};

void *real_substitute(enum hook_id id)
{
        return substitutes[id] ?: (void *)no_such_call;
}
