/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's preload that wraps what we wrap, and says at the end how often it was called. */
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int calls;

EXPORT int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
        __typeof__(connect) *next;

        *(void **)&next = dlsym(RTLD_NEXT, "connect");
        calls++;
        return next(fd, addr, len);
}

EXPORT int close(int fd)
{
        __typeof__(close) *next;

        *(void **)&next = dlsym(RTLD_NEXT, "close");
        return next(fd);
}

static __attribute__((destructor)) void say(void)
{
        printf("wrapped %d\n", calls);
}
