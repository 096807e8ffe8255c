/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Waits for descriptors: only one that ended without any of them tells us something. */
#include "agent/tap/tap_net.h"
#include "hooks/hook.h"

static inline bool wait_limited(const struct timespec *timeout)
{
        return timeout && (timeout->tv_sec || timeout->tv_nsec);
}

static inline void wait_ran_out(const struct pollfd *fds, nfds_t nfds)
{
        for (nfds_t i = 0; i < nfds; i++)
                tap_net_wait_timed_out(fds[i].fd);
}
