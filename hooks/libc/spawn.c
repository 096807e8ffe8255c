/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing of ours happens in the child; its program gets the context in its environment. */
#include "hooks/libc/environ.h"

#define SPAWN(envp, call)                          \
        ({                                         \
                struct environ_pass pass_;         \
                int error_;                        \
                                                   \
                ENVIRON_PASS(&pass_, envp, false); \
                error_ = (call);                   \
                environ_end(&pass_);               \
                error_;                            \
        })

HOOK_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                            const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
        return SPAWN(envp, REAL(posix_spawn)(pid, path, actions, attr, argv, pass_.envp));
}

HOOK_EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                             const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
        return SPAWN(envp, REAL(posix_spawnp)(pid, file, actions, attr, argv, pass_.envp));
}
