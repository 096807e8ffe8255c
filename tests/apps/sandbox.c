/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox ACT PORT CALL: a seccomp filter refuses one call, before the first request or after it. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "act.h"

#define DENIED         (SECCOMP_RET_ERRNO | EPERM)
#define LOAD(field)    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define REFUSE(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, DENIED)

static struct sock_filter no_memfd[] = {LOAD(nr), REFUSE(SYS_memfd_create),
                                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
static struct sock_filter no_unix[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        LOAD(args[0]),
        REFUSE(AF_UNIX),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_filter no_clone[] = {
        LOAD(nr),
        REFUSE(SYS_clone),
        REFUSE(SYS_clone3),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_filter no_exec[] = {LOAD(nr), REFUSE(SYS_execve), REFUSE(SYS_execveat),
                                       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
static struct sock_filter no_files[] = {
        LOAD(nr),
        REFUSE(SYS_openat),
        REFUSE(SYS_readlinkat),
        REFUSE(SYS_prlimit64),
        REFUSE(SYS_getrandom),
        REFUSE(SYS_madvise),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_filter no_options[] = {
        LOAD(nr),
        REFUSE(SYS_getsockopt),
        REFUSE(SYS_fcntl),
        REFUSE(SYS_getpid),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

#define ROW(name)                                             \
        {                                                     \
#name, name, sizeof(name) / sizeof((name)[0]) \
        }
static const struct {
        const char *name;
        struct sock_filter *filter;
        size_t length;
} filters[] = {ROW(no_memfd), ROW(no_unix), ROW(no_clone), ROW(no_exec), ROW(no_files), ROW(no_options)};

static int refuse(const char *what)
{
        for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
                struct sock_fprog program = {(unsigned short)filters[i].length, filters[i].filter};

                if (strcmp(filters[i].name, what) == 0)
                        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
                               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
        }
        return -1;
}

static int ask_some(const struct scene *scene)
{
        return ask_once(scene->port, "/1") + ask_once(scene->port, "/2") + ask_once(scene->port, "/3");
}

static int first(const struct scene *scene)
{
        printf("refused: %d\n", refuse(scene->more));
        return ask_some(scene);
}

static int later(const struct scene *scene)
{
        int answered = ask_some(scene);

        printf("refused: %d\n", refuse(scene->more));
        return answered + ask_some(scene);
}

static const struct act acts[] = {{"first", first}, {"later", later}};
ACT_MAIN(acts)
