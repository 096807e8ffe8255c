/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Scope-bound release for worker and launcher code. Ownership leaves by steal_ptr()/steal_fd(). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_p(void *p)
{
        free(*(void **)p);
}

static inline void cleanup_close_p(int *fd)
{
        if (*fd >= 0)
                (void)close(*fd); /* nothing to be done about it here */
}

static inline void cleanup_fclose_p(FILE **f)
{
        if (*f)
                (void)fclose(*f); /* readers only: nothing is lost */
}

#define cleanup_free   __attribute__((cleanup(cleanup_free_p)))
#define cleanup_close  __attribute__((cleanup(cleanup_close_p)))
#define cleanup_fclose __attribute__((cleanup(cleanup_fclose_p)))

static inline int steal_fd(int *fd)
{
        int own = *fd;

        *fd = -1;
        return own;
}

#define steal_ptr(pp)                           \
        ({                                      \
                __typeof__(*(pp)) own_ = *(pp); \
                *(pp) = NULL;                   \
                own_;                           \
        })
