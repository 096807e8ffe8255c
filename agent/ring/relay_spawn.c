/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two children that share our memory (vfork-like: we are stopped while they use it): the first has no
 * exit signal, so that its end makes no SIGCHLD and only a wait with __WCLONE can find it, which is
 * ours; the second is executed and, its parent gone, is adopted by init. Nothing of the host's memory is
 * copied, however large it is.
 */
#include "agent/ring/relay_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/ring/handover.h"
#include "agent/ring/home_place.h"

#define STACK_SIZE      (32 * 1024) /* each; used by a handful of frames and the dynamic linker's binding */
#define KERNEL_SIGNALS  64
#define CLOSE_BY_NUMBER 65536 /* where the kernel has no close_range */
#define EXTRA_VARIABLES 128   /* beside the settings; more are left out */

struct spawn {
        const char *path;
        int listen_fd;
        int error; /* of the children: -errno */
        char **envp;
        unsigned char *inner_stack_top;
};

/* The kernel's struct sigaction: the C library's is another. */
struct kernel_sigaction {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
};

static long set_signal_mask(uint64_t mask, uint64_t *ret_old)
{
        return sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)ret_old, sizeof(mask), 0, 0);
}

/* What the host ignores or blocks is not the relay's. Its handlers are not ours to run meanwhile: all is
 * blocked. */
static void signals_default(void)
{
        const struct kernel_sigaction action = {.handler = SIG_DFL};

        for (int number = 1; number <= KERNEL_SIGNALS; number++)
                (void)sys_call(SYS_rt_sigaction, number, (long)&action, 0, sizeof(action.mask), 0,
                               0);      /* KILL, STOP */
        (void)set_signal_mask(0, NULL); /* cannot fail */
}

/* The host's own soft limits are not the relay's. */
static void limits_raise(void)
{
        static const int limits[] = {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA,
                                     RLIMIT_AS,  RLIMIT_NPROC, RLIMIT_NOFILE};

        for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
                struct rlimit limit;

                if (sys_call(SYS_prlimit64, 0, limits[i], 0, (long)&limit, 0, 0) < 0)
                        continue;
                limit.rlim_cur = limit.rlim_max;
                (void)sys_call(SYS_prlimit64, 0, limits[i], (long)&limit, 0, 0,
                               0); /* then the soft one stays */
        }
}

static void close_from(int first)
{
        if (sys_call(SYS_close_range, first, (long)UINT_MAX, 0, 0, 0, 0) == 0)
                return;
        for (int fd = first; fd < CLOSE_BY_NUMBER; fd++)
                (void)sys_close(fd); /* most are not open */
}

/* Only in the child that is to be executed. Return: 0 or -errno. */
static int descriptors_arrange(int listen_fd)
{
        int null, result;

        /* Out of the way of the numbers that are filled below. */
        listen_fd = sys_fcntl(listen_fd, F_DUPFD_CLOEXEC, RELAY_LISTEN_FD + 2);
        if (listen_fd < 0)
                return listen_fd;
        null = sys_open("/dev/null", O_RDWR, 0);
        for (int fd = 0; fd <= 2; fd++) {
                if (null < 0)
                        (void)sys_close(fd); /* not the host's, at any rate */
                else if (null != fd)
                        (void)sys_call(SYS_dup3, null, fd, 0, 0, 0, 0); /* fd numbers 0 to 2: cannot fail */
        }
        result = (int)sys_call(SYS_dup3, listen_fd, RELAY_LISTEN_FD, 0, 0, 0, 0);
        close_from(RELAY_LISTEN_FD + 1);
        return result < 0 ? result : 0;
}

static int run_relay(void *arg)
{
        struct spawn *spawn = arg;
        char *argv[] = {(char *)(uintptr_t)spawn->path, NULL};
        int result = descriptors_arrange(spawn->listen_fd);

        if (result < 0) {
                spawn->error = result;
                return 127;
        }
        (void)sys_call(SYS_setsid, 0, 0, 0, 0, 0, 0);        /* a new process leads no group: cannot fail */
        (void)sys_call(SYS_chdir, (long)"/", 0, 0, 0, 0, 0); /* else it stays where it is */
        limits_raise();
        signals_default();
        spawn->error = (int)sys_call(SYS_execve, (long)spawn->path, (long)argv, (long)spawn->envp, 0, 0, 0);
        return 127;
}

static int run_between(void *arg)
{
        struct spawn *spawn = arg;
        int pid = clone(run_relay, spawn->inner_stack_top, CLONE_VM | CLONE_VFORK, spawn);

        if (pid < 0)
                spawn->error = -errno;
        else if (spawn->error)
                (void)sys_call(SYS_wait4, pid, 0, __WALL, 0, 0, 0); /* leave init nothing of a failure */
        return 0;
}

static void environment_fill(char **envp, size_t max)
{
        size_t count = 0;

        for (size_t i = 0; i < config_env_now.count && count < max; i++)
                if (strncmp(config_env_now.envp[i], "OTEL_", 5) == 0)
                        envp[count++] = config_env_now.envp[i];
        for (size_t at = 0; at < home_place.environment_len && count < max;) {
                envp[count++] = home_place.environment + at;
                at += strlen(home_place.environment + at) + 1;
        }
        envp[count] = NULL;
}

/* With all signals of this thread blocked: a handler must not run in a child that shares our memory. */
static int spawn_blocked(struct spawn *spawn, unsigned char *stack_top)
{
        int keep = errno, pid;

        pid = clone(run_between, stack_top, CLONE_VM | CLONE_VFORK, spawn);
        if (pid < 0)
                spawn->error = -errno;
        else
                /* Ours alone, unless the host waits with __WALL for any: then it has been reaped for us. */
                while (sys_call(SYS_wait4, pid, 0, __WCLONE, 0, 0, 0) == -EINTR)
                        ;
        errno = keep;
        return spawn->error;
}

int relay_spawn(const char *path, int listen_fd)
{
        size_t env_max = config_env_now.count + EXTRA_VARIABLES;
        size_t env_size = ALIGN_UP((env_max + 1) * sizeof(char *), (size_t)64);
        size_t size = env_size + 2 * (size_t)STACK_SIZE;
        unsigned char *map = sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        struct spawn spawn = {.path = path, .listen_fd = listen_fd, .envp = (char **)(void *)map};
        uint64_t old_mask;
        int result;

        if (!map)
                return -ENOMEM;
        environment_fill(spawn.envp, env_max);
        spawn.inner_stack_top = map + size;
        if (set_signal_mask(~0ull, &old_mask) < 0) {
                (void)sys_munmap(map, size); /* ours: cannot fail */
                return -EPERM;
        }
        result = spawn_blocked(&spawn, map + size - STACK_SIZE);
        (void)set_signal_mask(old_mask, NULL); /* as it was: cannot fail */
        (void)sys_munmap(map, size);           /* ours: cannot fail */
        return result;
}
