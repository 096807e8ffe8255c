/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where hooks and agent are put together: the library's constructor and destructor.
 * A second copy of the library, and a program that runs with another user's rights, only pass
 * through.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/auxv.h>

#include "agent/lifecycle.h"
#include "hooks/real.h"

/* Names this library to libc, as the start files would: pthread_atfork() wants it. */
extern __attribute__((visibility("hidden"))) void *const __dso_handle;
void *const __dso_handle = (void *)(uintptr_t)&__dso_handle;

static __attribute__((constructor)) void preload_start(int argc, char **argv, char **envp)
{
        int error = errno;

        if (real_start() && !getauxval(AT_SECURE) && lifecycle_start(envp))
                (void)pthread_atfork(lifecycle_before_fork, lifecycle_after_fork_parent,
                                     lifecycle_after_fork_child); /* without: children are noticed later */
        errno = error;
}

static __attribute__((destructor)) void preload_stop(void)
{
        lifecycle_stop();
}
