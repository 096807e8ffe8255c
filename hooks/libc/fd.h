/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What closing and copying descriptors has in common, whichever call it comes by. */
#include <errno.h>

#include "agent/base/sys.h"
#include "agent/tap/tap_net.h"
#include "agent/tap/tap_proc.h"
#include "hooks/hook.h"

/* One of ours is not open for the host. Return: true with EBADF set. */
static inline bool fd_hidden(int fd)
{
        if (LIKELY(!tap_proc_owns_fd(fd)))
                return false;
        errno = EBADF;
        return true;
}

/* State is retired before the number can mean something else in another thread. */
#define FD_CLOSE(fd, call)                 \
        ({                                 \
                long result_ = -1;         \
                                           \
                if (!fd_hidden(fd)) {      \
                        tap_net_close(fd); \
                        result_ = (call);  \
                }                          \
                result_;                   \
        })

/* Before dup2 and dup3 close @to. A call that is going to fail closes nothing. */
static inline void fd_before_replace(int from, int to)
{
        bool own = tap_proc_owns_fd(to);

        if (LIKELY(!own && !tap_net_tracked(to)) || from == to || sys_fcntl(from, F_GETFD, 0) < 0)
                return;
        if (own)
                tap_proc_give_up_fd(to);
        else
                tap_net_close(to);
}
