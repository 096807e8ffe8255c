/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/guard.h"

#include <signal.h>
#include <sys/syscall.h>

#include "agent/base/load.h"
#include "agent/base/sys.h"

__thread struct thread_state thread_state __attribute__((tls_model("initial-exec"), visibility("hidden")));

START_DATA uint32_t agent_enabled __attribute__((visibility("hidden")));
START_DATA uint32_t process_generation __attribute__((visibility("hidden")));

bool guard_on_signal_stack(void)
{
        stack_t stack;

        return sys_call(SYS_sigaltstack, 0, (long)&stack, 0, 0, 0, 0) < 0 || stack.ss_flags & SS_ONSTACK;
}

bool guard_given_up(uintptr_t at)
{
        if (at < thread_state.guard_at || guard_on_signal_stack())
                return false;
        thread_state.guard = 0;
        return true;
}
