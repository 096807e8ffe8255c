/* SPDX-License-Identifier: Apache-2.0 */
/* A preload of somebody else's: counts the writes and sends that pass it, and says so at the end on stderr.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int writes, sends;

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
        ssize_t (*next)(int, const void *, size_t) =
                (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");

        writes++;
        return next(fd, buf, n);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
        ssize_t (*next)(int, const struct msghdr *, int) =
                (ssize_t(*)(int, const struct msghdr *, int))dlsym(RTLD_NEXT, "sendmsg");

        sends++;
        return next(fd, message, flags);
}

static __attribute__((destructor)) void tell(void)
{
        fprintf(stderr, "other preload: %s writes, %s sends\n", writes ? "some" : "no",
                sends ? "some" : "no");
}
