/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/libc/shell.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/base/sys.h"
#include "agent/tap/tap_proc.h"

void shell_lock(struct shell_lock *lock)
{
        int own = sys_getpid(), holder = 0;

        while (!__atomic_compare_exchange_n(&lock->holder, &holder, own, false, __ATOMIC_ACQUIRE,
                                            __ATOMIC_RELAXED)) {
                if (holder != own)
                        continue; /* of a parent: expected from now on */
                (void)sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
                holder = 0;
        }
}

void shell_unlock(struct shell_lock *lock)
{
        __atomic_store_n(&lock->holder, 0, __ATOMIC_RELEASE);
}

pid_t shell_wait(pid_t pid, int *ret_status)
{
        long result;

        do {
                result = sys_call(SYS_wait4, pid, (long)ret_status, 0, 0, 0, 0);
                if (result < 0)
                        errno = (int)-result; /* EINTR as well: libc leaves it there */
        } while (result == -EINTR);
        if (result < 0)
                return -1;
        if (tap_proc_minds_children() && WIFSIGNALED(*ret_status))
                tap_proc_child_killed((int)result, WTERMSIG(*ret_status));
        return (pid_t)result;
}
