/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall(3), by which node closes its sockets and others do more. What libc's own function does
 * in the same way goes there; calls that could be cancelled there, but not here, are made here.
 */
#include <stdarg.h>
#include <sys/syscall.h>

#include "hooks/libc/fd.h"
#include "hooks/libc/transfer.h"

struct words {
        long number, a, b, c, d, e, f;
};

static long call_real(const struct words *w)
{
        return REAL(syscall)(w->number, w->a, w->b, w->c, w->d, w->e, w->f);
}

static ssize_t emit_words(void *words, const struct iovec *iov, int iovcnt)
{
        return call_real(words);
}

static long call_connect(const struct words *w)
{
        struct tap_connect connecting;
        long result;

        tap_net_connect_begin(&connecting, (int)w->a, (const struct sockaddr *)w->b, (socklen_t)w->c);
        result = call_real(w);
        tap_net_connect_end(&connecting, (int)w->a, (int)result);
        return result;
}

static long call_accept(const struct words *w)
{
        long fd = call_real(w);

        if (fd >= 0)
                tap_net_accepted((int)fd);
        return fd;
}

static long call_out(struct words *w, int fd, int flags)
{
        return tap_net_tracked(fd) ? transfer_out_unseen(fd, flags, emit_words, w) : call_real(w);
}

/* @flags: its MSG_*. Where the bytes went is known for plain buffers only. */
static long call_in(const struct words *w, bool plain, int flags)
{
        struct iovec iov = {(void *)w->b, plain ? (size_t)w->c : 1};

        if (!tap_net_tracked((int)w->a) || flags & TRANSFER_ASIDE)
                return call_real(w);
        return TRANSFER_IN((int)w->a, call_real(w), plain ? &iov : NULL, plain ? 1 : 0, flags);
}

static long call_fcntl(const struct words *w)
{
        if (w->b == F_DUPFD || w->b == F_DUPFD_CLOEXEC)
                return fcntl((int)w->a, (int)w->b, w->c);
        return fd_hidden((int)w->a) ? -1 : call_real(w);
}

static long call_descriptor(struct words *w)
{
        switch (w->number) {
        case SYS_close:
                return FD_CLOSE((int)w->a, call_real(w));
        case SYS_close_range:
                return close_range((unsigned)w->a, (unsigned)w->b, (int)w->c);
        case SYS_dup:
                return dup((int)w->a);
#if defined(SYS_dup2)
        case SYS_dup2:
                return dup2((int)w->a, (int)w->b);
#endif
        case SYS_dup3:
                return dup3((int)w->a, (int)w->b, (int)w->c);
        case SYS_fcntl:
                return call_fcntl(w);
        case SYS_socket:
                return socket((int)w->a, (int)w->b, (int)w->c);
        case SYS_socketpair:
                return socketpair((int)w->a, (int)w->b, (int)w->c, (int *)w->d);
        case SYS_connect:
                return call_connect(w);
        case SYS_accept:
        case SYS_accept4:
                return call_accept(w);
        case SYS_shutdown:
                return shutdown((int)w->a, (int)w->b);
        case SYS_exit_group:
                _exit((int)w->a);
        case SYS_execve:
                return execve((const char *)w->a, (char *const *)w->b, (char *const *)w->c);
        case SYS_execveat:
                return execveat((int)w->a, (const char *)w->b, (char *const *)w->c, (char *const *)w->d,
                                (int)w->e);
        case SYS_getsockopt:
                return getsockopt((int)w->a, (int)w->b, (int)w->c, (void *)w->d, (socklen_t *)w->e);
        }
        return call_real(w);
}

static long call_transfer(struct words *w)
{
        switch (w->number) {
        case SYS_write:
        case SYS_writev:
        case SYS_pwritev2:
        case SYS_sendfile:
                return call_out(w, (int)w->a, 0);
        case SYS_sendto:
                return call_out(w, (int)w->a, (int)w->d);
        case SYS_sendmsg:
                return call_out(w, (int)w->a, (int)w->c);
        case SYS_sendmmsg: /* gives a number of messages */
                return sendmmsg((int)w->a, (struct mmsghdr *)w->b, (unsigned)w->c, (int)w->d);
        case SYS_splice:
                return splice((int)w->a, (off64_t *)w->b, (int)w->c, (off64_t *)w->d, (size_t)w->e,
                              (unsigned)w->f);
        case SYS_read:
                return call_in(w, true, 0);
        case SYS_recvfrom:
                return call_in(w, true, (int)w->d);
        case SYS_readv:
        case SYS_preadv2:
                return call_in(w, false, 0);
        case SYS_recvmsg:
                return call_in(w, false, (int)w->c);
        case SYS_recvmmsg:
                return call_in(w, false, (int)w->d);
        }
        return call_descriptor(w);
}

HOOK_EXPORT long syscall(long sysno, ...)
{
        struct words w = {.number = sysno};
        va_list args;

        va_start(args, sysno);
        w.a = va_arg(args, long);
        w.b = va_arg(args, long);
        w.c = va_arg(args, long);
        w.d = va_arg(args, long);
        w.e = va_arg(args, long);
        w.f = va_arg(args, long);
        va_end(args);
        return call_transfer(&w);
}
