/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of user, group, namespace and capabilities. glibc carries the first to every thread and
 * aborts when one disagrees, unshare and setns refuse processes with threads: ours has to be gone.
 */
#include "agent/tap/tap_proc.h"
#include "hooks/hook.h"

#define IDENTITY(name, parameters, arguments)      \
        HOOK_EXPORT int name parameters            \
        {                                          \
                tap_proc_before_identity_change(); \
                return REAL(name) arguments;       \
        }

IDENTITY(setuid, (uid_t uid), (uid))
IDENTITY(setgid, (gid_t gid), (gid))
IDENTITY(seteuid, (uid_t uid), (uid))
IDENTITY(setegid, (gid_t gid), (gid))
IDENTITY(setreuid, (uid_t ruid, uid_t euid), (ruid, euid))
IDENTITY(setregid, (gid_t rgid, gid_t egid), (rgid, egid))
IDENTITY(setresuid, (uid_t ruid, uid_t euid, uid_t suid), (ruid, euid, suid))
IDENTITY(setresgid, (gid_t rgid, gid_t egid, gid_t sgid), (rgid, egid, sgid))
IDENTITY(setgroups, (size_t n, const gid_t *groups), (n, groups))
IDENTITY(initgroups, (const char *user, gid_t group), (user, group))
IDENTITY(unshare, (int flags), (flags))
IDENTITY(setns, (int fd, int nstype), (fd, nstype))
IDENTITY(capset, (cap_user_header_t header, const cap_user_data_t data), (header, data))
