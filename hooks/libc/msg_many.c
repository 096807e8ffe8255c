/* SPDX-License-Identifier: Apache-2.0 */
/* sendmmsg and recvmmsg: many messages in one call. */
#include <errno.h>

#include "hooks/libc/message.h"

#define MANY_MAX 1024 /* the kernel takes no more in one call */

static size_t message_len(const struct msghdr *message)
{
        size_t len = 0;

        for (size_t i = 0; i < message->msg_iovlen; i++)
                len += message->msg_iov[i].iov_len;
        return len;
}

/*
 * As the kernel does it: one after the other, until one fails or leaves bytes behind; an error is told only
 * when it is the first.
 */
static int send_each(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
        int before = errno;

        for (unsigned i = 0; i < MIN(count, MANY_MAX); i++) {
                ssize_t n = message_out(fd, &messages[i].msg_hdr, flags);

                if (n < 0 && i == 0)
                        return -1;
                errno = before;
                if (n < 0)
                        return (int)i;
                messages[i].msg_len = (unsigned)n;
                if ((size_t)n < message_len(&messages[i].msg_hdr))
                        return (int)i + 1;
        }
        return (int)MIN(count, MANY_MAX);
}

HOOK_EXPORT int sendmmsg(int fd, struct mmsghdr *vmessages, unsigned int vlen, int flags)
{
        if (LIKELY(!tap_net_tracked(fd)) || vlen == 0 ||
            !transfer_array_readable(vmessages, MIN(vlen, MANY_MAX) * sizeof(*vmessages)))
                return REAL(sendmmsg)(fd, vmessages, vlen, flags);
        return send_each(fd, vmessages, vlen, flags);
}

static void show_each(int fd, struct mmsghdr *messages, int count, int flags, struct tap_in *in)
{
        for (int i = 0; i < count; i++) {
                struct msghdr *header = &messages[i].msg_hdr;
                ssize_t n = (ssize_t)messages[i].msg_len;

                if (i > 0)
                        tap_net_in_begin(in, fd, flags);
                n = tap_net_in_end(in, header->msg_iov, (int)header->msg_iovlen, n, flags,
                                   transfer_wanted(header->msg_iov, header->msg_iovlen, n));
                messages[i].msg_len = (unsigned)n;
        }
}

static int receive_tracked(int fd, struct mmsghdr *messages, unsigned count, int flags,
                           struct timespec *timeout)
{
        struct tap_in in;
        int got;

        tap_net_in_begin(&in, fd, flags);
        got = REAL(recvmmsg)(fd, messages, count, flags, timeout);
        if (got > 0)
                show_each(fd, messages, got, flags, &in);
        else
                (void)tap_net_in_end(&in, NULL, 0, got, flags, 0);
        return got;
}

HOOK_EXPORT int recvmmsg(int fd, struct mmsghdr *vmessages, unsigned int vlen, int flags,
                         struct timespec *tmo)
{
        int got;

        if (LIKELY(!tap_net_tracked(fd)) || flags & TRANSFER_ASIDE)
                got = REAL(recvmmsg)(fd, vmessages, vlen, flags, tmo);
        else
                got = receive_tracked(fd, vmessages, vlen, flags, tmo);
        for (int i = 0; i < got; i++)
                if (vmessages[i].msg_hdr.msg_controllen)
                        message_note_descriptors(&vmessages[i].msg_hdr);
        return got;
}
