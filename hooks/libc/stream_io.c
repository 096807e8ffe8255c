/* SPDX-License-Identifier: Apache-2.0 */
/* read, write and their vectors. */
#include "hooks/libc/transfer.h"

struct write_call {
        int fd;
        const void *buf;
        size_t count;
        off_t offset;
        int flags;
};

static ssize_t emit_write(void *data, const struct iovec *iov, int iovcnt)
{
        const struct write_call *call = data;

        if (iov)
                return REAL(writev)(call->fd, iov, iovcnt);
        return REAL(write)(call->fd, call->buf, call->count);
}

HOOK_EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
        if (LIKELY(!tap_net_tracked(fd)))
                return REAL(write)(fd, buf, n);

        struct write_call call = {.fd = fd, .buf = buf, .count = n};
        struct iovec iov = {(void *)(uintptr_t)buf, n};

        return transfer_out(fd, &iov, 1, 0, emit_write, &call);
}

static ssize_t emit_writev(void *data, const struct iovec *iov, int iovcnt)
{
        const struct write_call *call = data;

        if (iov)
                return REAL(writev)(call->fd, iov, iovcnt);
        return REAL(writev)(call->fd, call->buf, (int)call->count);
}

HOOK_EXPORT ssize_t writev(int fd, const struct iovec *iovec, int count)
{
        if (LIKELY(!tap_net_tracked(fd)))
                return REAL(writev)(fd, iovec, count);

        struct write_call call = {.fd = fd, .buf = iovec, .count = (size_t)count};

        return transfer_out(fd, iovec, count, 0, emit_writev, &call);
}

static ssize_t emit_pwritev2(void *data, const struct iovec *iov, int iovcnt)
{
        const struct write_call *call = data;

        if (iov)
                return REAL(pwritev2)(call->fd, iov, iovcnt, call->offset, call->flags);
        return REAL(pwritev2)(call->fd, call->buf, (int)call->count, call->offset, call->flags);
}

HOOK_EXPORT ssize_t pwritev2(int fd, const struct iovec *iodev, int count, off_t offset, int flags)
{
        if (LIKELY(!tap_net_tracked(fd)))
                return REAL(pwritev2)(fd, iodev, count, offset, flags);

        struct write_call call = {fd, iodev, (size_t)count, offset, flags};

        return transfer_out(fd, iodev, count, 0, emit_pwritev2, &call);
}

HOOK_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iodev, int count, off64_t offset, int flags)
{
        if (LIKELY(!tap_net_tracked(fd)))
                return REAL(pwritev64v2)(fd, iodev, count, offset, flags);

        struct write_call call = {fd, iodev, (size_t)count, offset, flags};

        return transfer_out(fd, iodev, count, 0, emit_pwritev2, &call);
}

HOOK_EXPORT ssize_t read(int fd, void *buf, size_t nbytes)
{
        if (LIKELY(!tap_net_tracked(fd)))
                return REAL(read)(fd, buf, nbytes);

        struct iovec iov = {buf, nbytes};

        return TRANSFER_IN(fd, REAL(read)(fd, buf, nbytes), &iov, 1, 0);
}

HOOK_EXPORT ssize_t readv(int fd, const struct iovec *iovec, int count)
{
        if (LIKELY(!tap_net_tracked(fd)))
                return REAL(readv)(fd, iovec, count);
        return TRANSFER_IN(fd, REAL(readv)(fd, iovec, count), iovec, count, 0);
}

HOOK_EXPORT ssize_t preadv2(int fp, const struct iovec *iovec, int count, off_t offset, int flags)
{
        if (LIKELY(!tap_net_tracked(fp)))
                return REAL(preadv2)(fp, iovec, count, offset, flags);
        return TRANSFER_IN(fp, REAL(preadv2)(fp, iovec, count, offset, flags), iovec, count, 0);
}

HOOK_EXPORT ssize_t preadv64v2(int fp, const struct iovec *iovec, int count, off64_t offset, int flags)
{
        if (LIKELY(!tap_net_tracked(fp)))
                return REAL(preadv64v2)(fp, iovec, count, offset, flags);
        return TRANSFER_IN(fp, REAL(preadv64v2)(fp, iovec, count, offset, flags), iovec, count, 0);
}
