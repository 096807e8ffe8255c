/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that others open. */
#include "agent/tap/tap_net.h"
#include "hooks/hook.h"

HOOK_EXPORT int listen(int fd, int n)
{
        int result = REAL(listen)(fd, n);

        if (result == 0)
                tap_net_listens();
        return result;
}

HOOK_EXPORT int accept(int fd, __SOCKADDR_ARG addr, socklen_t *addr_len)
{
        int accepted = REAL(accept)(fd, addr, addr_len);

        if (accepted >= 0)
                tap_net_accepted(accepted);
        return accepted;
}

HOOK_EXPORT int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *addr_len, int flags)
{
        int accepted = REAL(accept4)(fd, addr, addr_len, flags);

        if (accepted >= 0)
                tap_net_accepted(accepted);
        return accepted;
}
