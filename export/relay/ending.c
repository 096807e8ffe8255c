/* SPDX-License-Identifier: Apache-2.0 */
#include "export/relay/ending.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/cleanup.h"

#define STAT_EXIT_CODE 52 /* field of /proc/PID/stat, counted from 1; the state is the third */

/* Of <linux/pidfd.h>, for headers that are older than the kernel. */
struct pidfd_ending {
        uint64_t mask, cgroup;
        uint32_t ids[11];
        int32_t exit_code;
};

#define PIDFD_ENDING      _IOWR(0xff, 11, struct pidfd_ending)
#define PIDFD_ENDING_EXIT 8u

_Static_assert(sizeof(struct pidfd_ending) == 64, "first version of the kernel's struct pidfd_info");

/* Return: the status as wait() gives it, or 0. */
static int stat_status(const char *text)
{
        const char *at = strrchr(text, ')'); /* the name before it may hold anything */

        if (!at || strncmp(at, ") Z ", 4) != 0)
                return 0;
        at++;
        for (int field = 3; field < STAT_EXIT_CODE; field++) {
                at = strchr(at + 1, ' ');
                if (!at)
                        return 0;
        }
        return (int)strtol(at + 1, NULL, 10);
}

static int zombie_status(pid_t pid)
{
        char path[32], text[1024];
        cleanup_close int fd = -1;
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
        if (n <= 0)
                return 0;
        text[n] = '\0';
        return stat_status(text);
}

/* Still the one that the pidfd means, not another one that got its number. */
static bool is_zombie(int pidfd)
{
        return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0;
}

int ending_signal(int pidfd, pid_t pid)
{
        struct pidfd_ending ending = {.mask = PIDFD_ENDING_EXIT};
        int status = zombie_status(pid);

        if (status && is_zombie(pidfd))
                return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        if (ioctl(pidfd, PIDFD_ENDING, &ending) < 0 || !(ending.mask & PIDFD_ENDING_EXIT))
                return 0;
        return WIFSIGNALED(ending.exit_code) ? WTERMSIG(ending.exit_code) : 0;
}
