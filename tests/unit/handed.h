/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A relay's end of the hand-over, for what stands in for a relay. Works outside of Check. */
#include <string.h>
#include <sys/socket.h>

#include "agent/ring/handover.h"

/* Takes the first message of a connection. Return: how many descriptors came with it, -1 when it is none. */
static inline int handed_over(int fd, struct handover *ret_text, int ret_fds[2])
{
        struct iovec iov = {ret_text, sizeof(*ret_text)};
        union {
                char bytes[CMSG_SPACE(2 * sizeof(int))];
                struct cmsghdr head;
        } control;
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        size_t len;

        if (recvmsg(fd, &message, 0) != (ssize_t)sizeof(*ret_text) || ret_text->magic != HANDOVER_MAGIC)
                return -1;
        if (!CMSG_FIRSTHDR(&message))
                return 0;
        len = control.head.cmsg_len - CMSG_LEN(0);
        memcpy(ret_fds, CMSG_DATA(&control.head), len);
        return (int)(len / sizeof(int));
}
