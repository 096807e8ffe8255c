/* SPDX-License-Identifier: Apache-2.0 */
/* How children end: asked of the host's own waits, for the spans of processes that were killed. */
#include <sys/wait.h>

#include "agent/tap/tap_proc.h"
#include "hooks/hook.h"

/* @call: with @status for the child's. A host that wants none gets none, but we do. */
#define WAIT(status, call)                                                     \
        ({                                                                     \
                int own_status_ = 0;                                           \
                pid_t pid_;                                                    \
                                                                               \
                if (!(status))                                                 \
                        (status) = &own_status_;                               \
                pid_ = (call);                                                 \
                if (pid_ > 0 && WIFSIGNALED(*(status)))                        \
                        tap_proc_child_killed((int)pid_, WTERMSIG(*(status))); \
                pid_;                                                          \
        })

HOOK_EXPORT pid_t wait(int *status)
{
        if (LIKELY(!tap_proc_minds_children()))
                return REAL(wait)(status);
        return WAIT(status, REAL(wait)(status));
}

HOOK_EXPORT pid_t waitpid(pid_t pid, int *status, int options)
{
        if (LIKELY(!tap_proc_minds_children()))
                return REAL(waitpid)(pid, status, options);
        return WAIT(status, REAL(waitpid)(pid, status, options));
}

HOOK_EXPORT pid_t wait3(int *status, int options, struct rusage *usage)
{
        if (LIKELY(!tap_proc_minds_children()))
                return REAL(wait3)(status, options, usage);
        return WAIT(status, REAL(wait3)(status, options, usage));
}

HOOK_EXPORT pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
        if (LIKELY(!tap_proc_minds_children()))
                return REAL(wait4)(pid, status, options, usage);
        return WAIT(status, REAL(wait4)(pid, status, options, usage));
}

HOOK_EXPORT int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
        siginfo_t own = {.si_pid = 0};
        siginfo_t *asked = info ? info : &own;
        int result;

        if (LIKELY(!tap_proc_minds_children()) || options & WNOWAIT)
                return REAL(waitid)(type, id, info, options);
        result = REAL(waitid)(type, id, asked, options);
        if (result == 0 && asked->si_pid > 0 &&
            (asked->si_code == CLD_KILLED || asked->si_code == CLD_DUMPED))
                tap_proc_child_killed(asked->si_pid, asked->si_status);
        return result;
}
