/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The headers that declare what we wrap. _GNU_SOURCE comes from the build. */
#if defined(_FILE_OFFSET_BITS)
#error "fcntl and fcntl64 are two symbols here: build with -U_FILE_OFFSET_BITS"
#endif

#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#include "hooks/curl/curl_types.h"
#include "hooks/pool/pool_types.h"
#include "hooks/tls/gnutls_types.h"
#include "hooks/tls/openssl_types.h"

/* In glibc, but declared only for fortified programs (the first five) or in no header at all. */
ssize_t __read_chk(int fd, void *buf, size_t nbytes, size_t buflen);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t buflen, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t buflen, int flags, __SOCKADDR_ARG addr,
                       socklen_t *addr_len);
int __poll_chk(struct pollfd *fds, nfds_t nfds, int timeout, size_t fdslen);
int __ppoll_chk(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout, const sigset_t *ss,
                size_t fdslen);
int capset(cap_user_header_t header, const cap_user_data_t data);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
