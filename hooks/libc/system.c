/* SPDX-License-Identifier: Apache-2.0 */
/* system(): SIGINT and SIGQUIT are ignored as long as any call of the process runs, SIGCHLD is blocked. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/base/sys.h"
#include "agent/tap/tap_proc.h"
#include "hooks/libc/shell.h"

/* As the kernel has it: read and written back untouched. */
struct action {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
};

static struct {
        struct shell_lock lock;
        unsigned count; /* calls that run */
        struct action interrupt, quit;
} ignored;

/*
 * libc counts its own calls for the same two signals. The two counts must never overlap: each kind goes on
 * as long as one of it runs. A call of libc's that was cancelled stays counted, and leaves it all to libc.
 */
#define ONE_OURS ((uint64_t)1)
#define ONE_REAL ((uint64_t)1 << 32)
static _Atomic uint64_t running;

/* Return: true when this call is ours. */
static bool is_ours(bool wanted)
{
        uint64_t now = atomic_load(&running);
        bool ours;

        do
                ours = now < ONE_REAL && (wanted || now);
        while (!atomic_compare_exchange_weak(&running, &now, now + (ours ? ONE_OURS : ONE_REAL)));
        return ours;
}

static void set_action(int signal, const struct action *action, struct action *ret_before)
{
        (void)sys_call(SYS_rt_sigaction, signal, (long)action, (long)ret_before, sizeof(action->mask), 0, 0);
}

/* What the cancellation of a call has to undo. */
struct call {
        struct environ_pass *pass;
        pid_t pid;
        sigset_t before;
};

static void begin(struct call *call)
{
        static const struct action ignore = {.handler = SIG_IGN};
        sigset_t child;

        shell_lock(&ignored.lock);
        if (ignored.count++ == 0) {
                set_action(SIGINT, &ignore, &ignored.interrupt);
                set_action(SIGQUIT, &ignore, &ignored.quit);
        }
        shell_unlock(&ignored.lock);
        (void)sigemptyset(&child);
        (void)sigaddset(&child, SIGCHLD);
        (void)sigprocmask(SIG_BLOCK, &child, &call->before);
}

static void end(struct call *call)
{
        shell_lock(&ignored.lock);
        if (--ignored.count == 0) {
                set_action(SIGINT, &ignored.interrupt, NULL);
                set_action(SIGQUIT, &ignored.quit, NULL);
        }
        (void)sigprocmask(SIG_SETMASK, &call->before, NULL);
        shell_unlock(&ignored.lock);
        atomic_fetch_sub(&running, ONE_OURS);
}

static int start_shell(struct call *call, const char *command)
{
        char *argv[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};
        posix_spawnattr_t attr;
        sigset_t reset;
        int error;

        (void)sigemptyset(&reset);
        if (ignored.interrupt.handler != SIG_IGN)
                (void)sigaddset(&reset, SIGINT);
        if (ignored.quit.handler != SIG_IGN)
                (void)sigaddset(&reset, SIGQUIT);
        (void)posix_spawnattr_init(&attr); /* these only fill @attr */
        (void)posix_spawnattr_setsigmask(&attr, &call->before);
        (void)posix_spawnattr_setsigdefault(&attr, &reset);
        (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        error = REAL(posix_spawn)(&call->pid, SHELL_PATH, NULL, &attr, argv, call->pass->envp);
        (void)posix_spawnattr_destroy(&attr);
        return error;
}

static void cancelled(void *arg)
{
        struct call *call = arg;
        int status;

        (void)sys_call(SYS_kill, call->pid, SIGKILL, 0, 0, 0, 0);
        (void)shell_wait(call->pid, &status);
        end(call);
        environ_end(call->pass);
}

/* A cancellation point. These two are libpthread's in older glibc: where there are none, nobody can cancel.
 */
static int wait_for_shell(struct call *call)
{
        void (*push)(struct _pthread_cleanup_buffer *, void (*)(void *), void *) =
                (__typeof__(push))real_find("_pthread_cleanup_push");
        void (*pop)(struct _pthread_cleanup_buffer *, int) =
                (__typeof__(pop))real_find("_pthread_cleanup_pop");
        struct _pthread_cleanup_buffer buffer;
        bool covered = push && pop;
        int status = -1;
        pid_t pid;

        if (covered)
                push(&buffer, cancelled, call);
        do
                pid = REAL(waitpid)(call->pid, &status, 0);
        while (pid < 0 && errno == EINTR);
        if (covered)
                pop(&buffer, 0);
        if (pid == call->pid && tap_proc_minds_children() && WIFSIGNALED(status))
                tap_proc_child_killed(pid, WTERMSIG(status));
        return pid == call->pid ? status : -1;
}

static int run(struct environ_pass *pass, const char *command)
{
        struct call call = {.pass = pass};
        int status, error;

        begin(&call);
        error = start_shell(&call, command);
        status = error ? W_EXITCODE(127, 0) : wait_for_shell(&call);
        end(&call);
        if (error)
                errno = error;
        return status;
}

static int leave_to_libc(const char *command)
{
        int status = REAL(system)(command);

        atomic_fetch_sub(&running, ONE_REAL);
        return status;
}

HOOK_EXPORT int system(const char *command)
{
        struct environ_pass pass;
        int status;

        if (!command || guard_passes() || !tap_proc_own_memory())
                return REAL(system)(command);
        ENVIRON_PASS(&pass, environ, false);
        status = is_ours(pass.envp != environ && shell_takes(command)) ? run(&pass, command)
                                                                       : leave_to_libc(command);
        environ_end(&pass);
        return status;
}
