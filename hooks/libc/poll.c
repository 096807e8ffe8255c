/* SPDX-License-Identifier: Apache-2.0 */
/* poll, select and epoll. */
#include <string.h>

#include "agent/base/sys.h"
#include "agent/tap/tap_thread.h"
#include "hooks/libc/wait.h"

HOOK_EXPORT int poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
        int ready = REAL(poll)(fds, nfds, timeout);

        tap_thread_waited();
        if (UNLIKELY(ready == 0 && timeout > 0))
                wait_ran_out(fds, nfds);
        return ready;
}

HOOK_EXPORT int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout, const sigset_t *ss)
{
        int ready = REAL(ppoll)(fds, nfds, timeout, ss);

        tap_thread_waited();
        if (UNLIKELY(ready == 0 && wait_limited(timeout)))
                wait_ran_out(fds, nfds);
        return ready;
}

/* The kernel empties the sets when the time is over: they are read before. */
struct select_sets {
        int nfds; /* 0: nothing remembered */
        fd_mask either[FD_SETSIZE / NFDBITS];
};

static void select_remember(struct select_sets *sets, int nfds, const fd_set *readfds, const fd_set *writefds,
                            bool limited)
{
        size_t bytes =
                nfds > 0 && nfds <= FD_SETSIZE ? (size_t)(nfds + NFDBITS - 1) / NFDBITS * sizeof(fd_mask) : 0;

        sets->nfds = 0;
        if (!limited || !bytes || !tap_net_any_tracked())
                return;
        /* Sets that cannot be read are for the kernel to refuse. */
        if ((readfds && !sys_readable(readfds, bytes)) || (writefds && !sys_readable(writefds, bytes)))
                return;
        sets->nfds = nfds;
        for (int i = 0; i * NFDBITS < sets->nfds; i++)
                sets->either[i] =
                        (readfds ? readfds->fds_bits[i] : 0) | (writefds ? writefds->fds_bits[i] : 0);
}

static void select_ran_out(const struct select_sets *sets)
{
        for (int fd = 0; fd < sets->nfds; fd++)
                if ((unsigned long)sets->either[fd / NFDBITS] >> (fd % NFDBITS) & 1)
                        tap_net_wait_timed_out(fd);
}

HOOK_EXPORT int select(int nfds, fd_set *readfds, fd_set *writefds, fd_set *exceptfds,
                       struct timeval *timeout)
{
        struct select_sets sets;
        int ready;

        select_remember(&sets, nfds, readfds, writefds, timeout && (timeout->tv_sec || timeout->tv_usec));
        ready = REAL(select)(nfds, readfds, writefds, exceptfds, timeout);
        tap_thread_waited();
        if (UNLIKELY(ready == 0))
                select_ran_out(&sets);
        return ready;
}

HOOK_EXPORT int pselect(int nfds, fd_set *readfds, fd_set *writefds, fd_set *exceptfds,
                        const struct timespec *timeout, const sigset_t *sigmask)
{
        struct select_sets sets;
        int ready;

        select_remember(&sets, nfds, readfds, writefds, wait_limited(timeout));
        ready = REAL(pselect)(nfds, readfds, writefds, exceptfds, timeout, sigmask);
        tap_thread_waited();
        if (UNLIKELY(ready == 0))
                select_ran_out(&sets);
        return ready;
}

HOOK_EXPORT int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
{
        int ready = REAL(epoll_wait)(epfd, events, maxevents, timeout);

        tap_thread_waited();
        return ready;
}

HOOK_EXPORT int epoll_pwait(int epfd, struct epoll_event *events, int maxevents, int timeout,
                            const sigset_t *ss)
{
        int ready = REAL(epoll_pwait)(epfd, events, maxevents, timeout, ss);

        tap_thread_waited();
        return ready;
}

HOOK_EXPORT int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents,
                             const struct timespec *timeout, const sigset_t *ss)
{
        int ready = REAL(epoll_pwait2)(epfd, events, maxevents, timeout, ss);

        tap_thread_waited();
        return ready;
}
