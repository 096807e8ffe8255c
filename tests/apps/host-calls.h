/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the host programs of the comparison tests share: every result and errno is printed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define UNTOUCHED 77 /* errno before each call: kept by those that succeed */

/* In glibc, but declared only for fortified programs or nowhere. */
ssize_t __read_chk(int fd, void *buf, size_t nbytes, size_t buflen);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t buflen, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t buflen, int flags, struct sockaddr *addr,
                       socklen_t *len);
int __poll_chk(struct pollfd *fds, nfds_t nfds, int timeout, size_t fdslen);
int __ppoll_chk(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout, const sigset_t *ss,
                size_t fdslen);
int capset(cap_user_header_t header, const cap_user_data_t data);

static inline void show(const char *text, long result, int error)
{
        printf("%s = %ld", text, result);
        if (error != UNTOUCHED)
                printf(" errno %d", error);
        printf("\n");
        fflush(stdout);
}

#define SHOW(call)                           \
        do {                                 \
                long result_;                \
                                             \
                errno = UNTOUCHED;           \
                result_ = (long)(call);      \
                show(#call, result_, errno); \
        } while (0)

/* host-processes.c: forks, ends and execs. */
void processes(void);
