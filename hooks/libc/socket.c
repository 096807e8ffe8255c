/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that begin, connect and are asked how they are. */
#include "agent/tap/tap_net.h"
#include "hooks/hook.h"

HOOK_EXPORT int socket(int domain, int type, int protocol)
{
        int fd = REAL(socket)(domain, type, protocol);

        if (fd >= 0)
                tap_net_made(fd);
        return fd;
}

HOOK_EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
        int result = REAL(socketpair)(domain, type, protocol, fds);

        if (result == 0) {
                tap_net_made(fds[0]);
                tap_net_made(fds[1]);
        }
        return result;
}

HOOK_EXPORT int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
        struct tap_connect connecting;
        int result;

        tap_net_connect_begin(&connecting, fd, addr.__sockaddr__, len);
        result = REAL(connect)(fd, addr, len);
        tap_net_connect_end(&connecting, fd, result);
        return result;
}

HOOK_EXPORT int shutdown(int fd, int how)
{
        int result = REAL(shutdown)(fd, how);

        if (result == 0)
                tap_net_shutdown(fd, how);
        return result;
}

HOOK_EXPORT int getsockopt(int fd, int level, int optname, void *optval, socklen_t *optlen)
{
        int result = REAL(getsockopt)(fd, level, optname, optval, optlen);

        if (level == SOL_SOCKET && optname == SO_ERROR && result == 0 && *optlen == sizeof(int))
                tap_net_so_error(fd, (int)load_u32(optval));
        return result;
}
