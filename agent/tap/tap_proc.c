/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tap/tap_proc.h"

#include "agent/base/guard.h"
#include "agent/process.h"
#include "agent/ring/home.h"

bool tap_proc_owns_fd(int fd)
{
        return home_owns_fd(fd) && !guard_passes();
}

int tap_proc_next_fd(int from)
{
        return guard_passes() ? -1 : home_next_fd(from);
}

void tap_proc_give_up_fd(int fd)
{
        OBSERVE(if (process_own_memory()) home_lose_fd(fd));
}

void tap_proc_before_identity_change(void)
{
        OBSERVE(home_before_identity_change());
}
