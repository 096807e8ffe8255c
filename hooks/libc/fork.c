/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork itself runs the handlers that preload.c registers; _Fork runs none. vfork and posix_spawn
 * children are no concern of ours: they share our memory and leave it alone.
 */
#include "agent/lifecycle.h"
#include "hooks/hook.h"

HOOK_EXPORT pid_t _Fork(void)
{
        pid_t pid = REAL(_Fork)();

        if (pid == 0)
                lifecycle_after_fork_child();
        return pid;
}
