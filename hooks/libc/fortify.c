/* SPDX-License-Identifier: Apache-2.0 */
/* What programs built with -D_FORTIFY_SOURCE call instead. The real ones check and abort, as they should. */
#include "agent/tap/tap_thread.h"
#include "hooks/libc/transfer.h"
#include "hooks/libc/wait.h"

HOOK_EXPORT ssize_t __read_chk(int fd, void *buf, size_t nbytes, size_t buflen)
{
        if (LIKELY(!tap_net_tracked(fd)))
                return REAL(__read_chk)(fd, buf, nbytes, buflen);

        struct iovec iov = {buf, nbytes};

        return TRANSFER_IN(fd, REAL(__read_chk)(fd, buf, nbytes, buflen), &iov, 1, 0);
}

HOOK_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t buflen, int flags)
{
        if (LIKELY(!tap_net_tracked(fd)) || flags & TRANSFER_ASIDE)
                return REAL(__recv_chk)(fd, buf, n, buflen, flags);

        struct iovec iov = {buf, n};

        return TRANSFER_IN(fd, REAL(__recv_chk)(fd, buf, n, buflen, flags), &iov, 1, flags);
}

HOOK_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t buflen, int flags, __SOCKADDR_ARG addr,
                                   socklen_t *addr_len)
{
        if (LIKELY(!tap_net_tracked(fd)) || flags & TRANSFER_ASIDE)
                return REAL(__recvfrom_chk)(fd, buf, n, buflen, flags, addr, addr_len);

        struct iovec iov = {buf, n};

        return TRANSFER_IN(fd, REAL(__recvfrom_chk)(fd, buf, n, buflen, flags, addr, addr_len), &iov, 1,
                           flags);
}

HOOK_EXPORT int __poll_chk(struct pollfd *fds, nfds_t nfds, int timeout, size_t fdslen)
{
        int ready = REAL(__poll_chk)(fds, nfds, timeout, fdslen);

        tap_thread_waited();
        if (UNLIKELY(ready == 0 && timeout > 0))
                wait_ran_out(fds, nfds);
        return ready;
}

HOOK_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout,
                            const sigset_t *ss, size_t fdslen)
{
        int ready = REAL(__ppoll_chk)(fds, nfds, timeout, ss, fdslen);

        tap_thread_waited();
        if (UNLIKELY(ready == 0 && wait_limited(timeout)))
                wait_ran_out(fds, nfds);
        return ready;
}
