/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tap/tap_proc.h"

#include <sys/syscall.h>
#include <time.h>

#include "agent/base/guard.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/flow/handoff.h"
#include "agent/process.h"
#include "agent/ring/home.h"
#include "agent/tap/tap_thread.h"
#include "agent/trace/carry.h"
#include "agent/trace/process_span.h"
#include "agent/trace/scope.h"

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

#define LOCKDOWN_WAITS 100 /* of a millisecond: another thread may be starting the relay */

/* The one place beside the process's end that waits: a process does this once in its life. */
static void prepare_now(void)
{
        const struct timespec pause = {.tv_nsec = 1000000};

        if (!tap_thread_serves() || !process_own_memory())
                return;
        for (unsigned i = 0; i < LOCKDOWN_WAITS; i++) {
                home_prepare();
                if (home_is_prepared())
                        return;
                (void)sys_call(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
        }
}

void tap_proc_before_lockdown(void)
{
        OBSERVE(prepare_now());
}

bool tap_proc_own_memory(void)
{
        return process_own_memory();
}

/* In front of what carry_environ() makes: the context that its texts are copied from. */
struct environ_room {
        struct scope_carry carry;
        char process[CARRY_PROCESS_MAX];
};

size_t tap_proc_environ_room(char *const *envp)
{
        uint64_t request;
        size_t size = 0;

        OBSERVE({
                request = cause_current(&thread_state.cause);
                if (scope_process_context(NULL) || (request != CAUSE_NONE && request != CAUSE_UNKNOWN))
                        size = carry_room(envp);
        });
        return size ? sizeof(struct environ_room) + size : 0;
}

static char *const *make_environ(struct environ_room *room, char *const *envp, bool replaced)
{
        struct trace_context context;
        struct carry carry = {
                .own_traceparent = config_env_get(&config_env_now, "TRACEPARENT"),
                .own_baggage = config_env_get(&config_env_now, "BAGGAGE"),
        };

        if (scope_current(&context, &carry.baggage, &room->carry))
                carry.context = &context;
        if (replaced && config_now.process_span && process_own_memory())
                carry.process = process_span_hand_on(room->process, envp);
        return carry_environ(room + 1, envp, &carry);
}

char *const *tap_proc_environ(void *memory, char *const *envp, bool replaced)
{
        OBSERVE(envp = make_environ(memory, envp, replaced));
        return envp;
}

void tap_proc_not_replaced(void)
{
        if (config_now.process_span)
                OBSERVE(if (process_own_memory()) process_span_put_back());
}

bool tap_proc_minds_children(void)
{
        return config_now.process_span || handoff_has_left();
}

static void child_killed(int pid, int signal)
{
        if (!process_own_memory())
                return;
        if (config_now.process_span)
                process_span_child_ended(pid, signal);
        handoff_look_at_left();
}

void tap_proc_child_killed(int pid, int signal)
{
        OBSERVE(child_killed(pid, signal));
}
