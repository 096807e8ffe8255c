/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/syscall.h>

#include "agent/base/sys.h"
#include "agent/ring/relay_name.h"

/* The kernel's word: the user who made the socket listen. Anybody may take an abstract name. */
bool relay_peer_trusted(int fd)
{
        struct ucred peer;
        socklen_t len = sizeof(peer);

        if (sys_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return false;
        return peer.uid == (uid_t)sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0);
}
