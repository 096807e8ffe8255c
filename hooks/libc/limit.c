/* SPDX-License-Identifier: Apache-2.0 */
/* A server that bars its own way to programs: its relay has to be there before (haproxy does both). */
#include <sys/resource.h>

#include "agent/tap/tap_proc.h"
#include "hooks/hook.h"

HOOK_EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limits)
{
        if (UNLIKELY(resource == RLIMIT_NPROC))
                tap_proc_before_lockdown();
        return REAL(setrlimit)(resource, limits);
}

HOOK_EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limits)
{
        if (UNLIKELY(resource == RLIMIT_NPROC))
                tap_proc_before_lockdown();
        return REAL(setrlimit64)(resource, limits);
}

HOOK_EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *new_limit,
                        struct rlimit *old_limit)
{
        if (UNLIKELY(resource == RLIMIT_NPROC && new_limit))
                tap_proc_before_lockdown();
        return REAL(prlimit)(pid, resource, new_limit, old_limit);
}

HOOK_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *new_limit,
                          struct rlimit64 *old_limit)
{
        if (UNLIKELY(resource == RLIMIT_NPROC && new_limit))
                tap_proc_before_lockdown();
        return REAL(prlimit64)(pid, resource, new_limit, old_limit);
}

HOOK_EXPORT int chroot(const char *path)
{
        tap_proc_before_lockdown();
        return REAL(chroot)(path);
}
