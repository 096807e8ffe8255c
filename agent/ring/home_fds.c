/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/home_fds.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/ring/home.h"

#define FREE  0 /* other values: the number + 1 */
#define TAKEN (-1)

struct own_fd {
        _Atomic int number;
        dev_t device;
        ino_t inode;
};

static LARGE_TABLE struct own_fd own_fds[LIMIT_OWN_FDS];

static bool file_of(int fd, struct stat *ret_file)
{
        return sys_call(SYS_fstat, fd, (long)ret_file, 0, 0, 0, 0) == 0;
}

static struct own_fd *slot_take(int *ret_handle)
{
        for (int i = 0; i < LIMIT_OWN_FDS; i++) {
                int expected = FREE;

                if (!atomic_compare_exchange_strong(&own_fds[i].number, &expected, TAKEN))
                        continue;
                *ret_handle = i;
                return &own_fds[i];
        }
        return NULL;
}

/* The host's last free numbers stay the host's. */
static bool scarce(int fd)
{
        struct rlimit limit;
        int lowest = sys_fcntl(fd, F_DUPFD_CLOEXEC, 0);

        if (lowest < 0 || sys_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0) < 0)
                limit.rlim_cur = 0;
        if (lowest >= 0)
                (void)sys_close(lowest); /* never used */
        return (rlim_t)lowest + LIMIT_OWN_FD_SPARE > limit.rlim_cur;
}

int home_fd_keep(int fd)
{
        struct own_fd *own;
        struct stat file;
        int handle = -1;

        if (fd < 0)
                return -1;
        if (scarce(fd)) {
                (void)sys_close(fd); /* never used */
                return -1;
        }
        fd = sys_fd_high(fd);
        own = file_of(fd, &file) ? slot_take(&handle) : NULL;
        if (!own) {
                (void)sys_close(fd); /* never used */
                return -1;
        }
        own->device = file.st_dev;
        own->inode = file.st_ino;
        atomic_store_explicit(&own->number, fd + 1, memory_order_release);
        return handle;
}

/* The number in @own if the file behind it is still the one that we put there, else -1. */
static int number_of(struct own_fd *own)
{
        int fd = atomic_load_explicit(&own->number, memory_order_acquire) - 1;
        struct stat file;

        if (fd < 0 || !file_of(fd, &file) || file.st_dev != own->device || file.st_ino != own->inode)
                return -1;
        return fd;
}

int home_fd_get(int handle)
{
        return handle < 0 ? -1 : number_of(&own_fds[handle]);
}

/* Forgotten before it is closed: once the number is free it may be the host's. */
static void forget_and_close(struct own_fd *own)
{
        int fd = number_of(own);

        atomic_store(&own->number, FREE);
        if (fd >= 0)
                (void)sys_close(fd); /* memory, sockets: nothing is lost */
}

void home_fd_close(int handle)
{
        if (handle >= 0)
                forget_and_close(&own_fds[handle]);
}

void home_fds_drop(void)
{
        for (int i = 0; i < LIMIT_OWN_FDS; i++)
                forget_and_close(&own_fds[i]);
}

bool home_owns_fd(int fd)
{
        if (fd < 0 || fd == INT_MAX)
                return false;
        for (int i = 0; i < LIMIT_OWN_FDS; i++)
                if (atomic_load_explicit(&own_fds[i].number, memory_order_relaxed) == fd + 1)
                        return true;
        return false;
}

int home_next_fd(int from)
{
        int lowest = -1;

        for (int i = 0; i < LIMIT_OWN_FDS; i++) {
                int fd = atomic_load_explicit(&own_fds[i].number, memory_order_relaxed) - 1;

                if (fd >= 0 && fd >= from && (lowest < 0 || fd < lowest))
                        lowest = fd;
        }
        return lowest;
}

/*
 * What the host puts there closes our descriptor, not the file: under another number everything goes on.
 * Where there is no other number, the handle leads nowhere from here on, and its user makes a new one.
 */
void home_lose_fd(int fd)
{
        for (int i = 0; i < LIMIT_OWN_FDS; i++) {
                int expected = fd + 1, other;

                if (fd < 0 || atomic_load(&own_fds[i].number) != expected)
                        continue;
                other = number_of(&own_fds[i]) < 0 ? -1 : sys_fcntl(fd, F_DUPFD_CLOEXEC, LIMIT_OWN_FD_FLOOR);
                if (other < 0 && number_of(&own_fds[i]) >= 0)
                        other = sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
                if (!atomic_compare_exchange_strong(&own_fds[i].number, &expected,
                                                    other < 0 ? TAKEN : other + 1) &&
                    other >= 0)
                        (void)sys_close(other); /* closed by its user meanwhile */
        }
}
