/* SPDX-License-Identifier: Apache-2.0 */
/* send, recv and their kin, one message at a time. */
#include "hooks/libc/message.h"

struct send_call {
        int fd;
        const void *buf;
        size_t len;
        int flags;
        const struct sockaddr *addr;
        socklen_t addr_len;
};

static ssize_t emit_send(void *data, const struct iovec *iov, int iovcnt)
{
        const struct send_call *call = data;
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)iovcnt};

        if (iov)
                return REAL(sendmsg)(call->fd, &message, call->flags);
        return REAL(send)(call->fd, call->buf, call->len, call->flags);
}

HOOK_EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
        if (LIKELY(!tap_net_tracked(fd)))
                return REAL(send)(fd, buf, n, flags);

        struct send_call call = {.fd = fd, .buf = buf, .len = n, .flags = flags};
        struct iovec iov = {(void *)(uintptr_t)buf, n};

        return transfer_out(fd, &iov, 1, flags, emit_send, &call);
}

static ssize_t emit_sendto(void *data, const struct iovec *iov, int iovcnt)
{
        const struct send_call *call = data;
        struct msghdr message = {.msg_name = (void *)(uintptr_t)call->addr,
                                 .msg_namelen = call->addr_len,
                                 .msg_iov = (struct iovec *)(uintptr_t)iov,
                                 .msg_iovlen = (size_t)iovcnt};

        if (iov)
                return REAL(sendmsg)(call->fd, &message, call->flags);
        return REAL(sendto)(call->fd, call->buf, call->len, call->flags, call->addr, call->addr_len);
}

static bool opens_connection(int flags, const void *addr)
{
        return UNLIKELY(flags & MSG_FASTOPEN) && (uintptr_t)addr >= TRANSFER_FIRST_PAGE;
}

/* TCP fast open: the connection is made with the first bytes. */
static ssize_t open_with_bytes(struct send_call *call)
{
        struct iovec iov = {(void *)(uintptr_t)call->buf, call->len};
        struct tap_connect connecting;
        ssize_t sent;

        tap_net_connect_begin(&connecting, call->fd, call->addr, call->addr_len);
        if (tap_net_tracked(call->fd))
                sent = transfer_out(call->fd, &iov, 1, call->flags, emit_sendto, call);
        else
                sent = emit_sendto(call, NULL, 0);
        tap_net_connect_end(&connecting, call->fd, sent < 0 ? -1 : 0);
        return sent;
}

HOOK_EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG addr,
                           socklen_t addr_len)
{
        if (LIKELY(!tap_net_tracked(fd)) && !opens_connection(flags, addr.__sockaddr__))
                return REAL(sendto)(fd, buf, n, flags, addr, addr_len);

        struct send_call call = {fd, buf, n, flags, addr.__sockaddr__, addr_len};
        struct iovec iov = {(void *)(uintptr_t)buf, n};

        if (opens_connection(flags, call.addr))
                return open_with_bytes(&call);
        return transfer_out(fd, &iov, 1, flags, emit_sendto, &call);
}

struct sendmsg_call {
        int fd;
        const struct msghdr *message;
        int flags;
        bool control_gone; /* with bytes that we added before the host's */
};

/* Control data leaves once, as it would without us: descriptors in it would arrive twice. */
static ssize_t emit_sendmsg(void *data, const struct iovec *iov, int iovcnt)
{
        struct sendmsg_call *call = data;
        struct msghdr changed;
        bool ours;
        ssize_t n;

        if (!iov)
                return REAL(sendmsg)(call->fd, call->message, call->flags);
        changed = *call->message;
        changed.msg_iov = (struct iovec *)(uintptr_t)iov;
        changed.msg_iovlen = (size_t)iovcnt;
        ours = tap_emit_ours(iov, iovcnt);
        if (ours || call->control_gone) {
                changed.msg_control = NULL;
                changed.msg_controllen = 0;
        }
        n = REAL(sendmsg)(call->fd, &changed, call->flags);
        call->control_gone |= !ours && n > 0;
        return n;
}

ssize_t message_out(int fd, const struct msghdr *message, int flags)
{
        struct sendmsg_call call = {.fd = fd, .message = message, .flags = flags};
        int iovcnt = (int)MIN(message->msg_iovlen, (size_t)INT_MAX);

        return transfer_out(fd, message->msg_iov, iovcnt, flags, emit_sendmsg, &call);
}

static ssize_t open_with_message(int fd, const struct msghdr *message, int flags)
{
        struct tap_connect connecting;
        ssize_t sent;

        tap_net_connect_begin(&connecting, fd, message->msg_name, message->msg_namelen);
        sent = tap_net_tracked(fd) ? message_out(fd, message, flags) : REAL(sendmsg)(fd, message, flags);
        tap_net_connect_end(&connecting, fd, sent < 0 ? -1 : 0);
        return sent;
}

HOOK_EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
        bool opens = UNLIKELY(flags & MSG_FASTOPEN), tracked = tap_net_tracked(fd);

        if (LIKELY(!opens && !tracked) || !transfer_array_readable(message, sizeof(*message)))
                return REAL(sendmsg)(fd, message, flags);
        if (opens && opens_connection(flags, message->msg_name))
                return open_with_message(fd, message, flags);
        return tracked ? message_out(fd, message, flags) : REAL(sendmsg)(fd, message, flags);
}

HOOK_EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
        if (LIKELY(!tap_net_tracked(fd)) || flags & TRANSFER_ASIDE)
                return REAL(recv)(fd, buf, n, flags);

        struct iovec iov = {buf, n};

        return TRANSFER_IN(fd, REAL(recv)(fd, buf, n, flags), &iov, 1, flags);
}

HOOK_EXPORT ssize_t recvfrom(int fd, void *buf, size_t n, int flags, __SOCKADDR_ARG addr, socklen_t *addr_len)
{
        if (LIKELY(!tap_net_tracked(fd)) || flags & TRANSFER_ASIDE)
                return REAL(recvfrom)(fd, buf, n, flags, addr, addr_len);

        struct iovec iov = {buf, n};

        return TRANSFER_IN(fd, REAL(recvfrom)(fd, buf, n, flags, addr, addr_len), &iov, 1, flags);
}

/* The kernel has filled the control data in: its lengths are right. */
void message_note_descriptors(struct msghdr *message)
{
        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
                size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                const int *numbers = (const int *)CMSG_DATA(part);

                if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < count; i++)
                        tap_net_received(numbers[i]);
        }
}

/* When it failed, the message may be nothing that can be read. */
static ssize_t receive_tracked(int fd, struct msghdr *message, int flags)
{
        struct tap_in in;
        ssize_t n;

        tap_net_in_begin(&in, fd, flags);
        n = REAL(recvmsg)(fd, message, flags);
        if (n < 0)
                return tap_net_in_end(&in, NULL, 0, n, flags, 0);
        return tap_net_in_end(&in, message->msg_iov, (int)message->msg_iovlen, n,
                              flags | (message->msg_flags & MSG_TRUNC),
                              transfer_wanted(message->msg_iov, message->msg_iovlen, n));
}

HOOK_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
        ssize_t n;

        if (LIKELY(!tap_net_tracked(fd)) || flags & TRANSFER_ASIDE)
                n = REAL(recvmsg)(fd, message, flags);
        else
                n = receive_tracked(fd, message, flags);
        if (n >= 0 && message->msg_controllen)
                message_note_descriptors(message);
        return n;
}
