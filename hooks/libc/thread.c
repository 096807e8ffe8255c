/* SPDX-License-Identifier: Apache-2.0 */
/* A new thread works for the request that its creator works for. */
#include "agent/base/limits.h"
#include "agent/base/slab.h"
#include "agent/tap/tap_thread.h"
#include "hooks/hook.h"

/* From the creator to the trampoline. */
struct start {
        union {
                void *(*posix)(void *);
                thrd_start_t c11;
        } routine;
        void *arg;
        uint64_t request;
        uint32_t index;
};

SLAB_DEFINE(static, starts, sizeof(struct start), 64, LIMIT_THREAD_STARTS);

/* Return: NULL when there is nothing to hand over. */
static struct start *start_new(void *arg)
{
        uint64_t request = tap_thread_hand_over();
        uint32_t index;
        struct start *start = request ? slab_alloc(&starts, &index) : NULL;

        if (start) {
                start->arg = arg;
                start->request = request;
                start->index = index;
        }
        return start;
}

/* In the new thread. Nothing is left behind, neither in the slab nor on the stack. */
static struct start start_take(struct start *start)
{
        struct start taken = *start;

        slab_free(&starts, taken.index);
        tap_thread_begin(taken.request);
        return taken;
}

static void *run_posix(void *start)
{
        struct start taken = start_take(start);

        return taken.routine.posix(taken.arg);
}

static int run_c11(void *start)
{
        struct start taken = start_take(start);

        return taken.routine.c11(taken.arg);
}

HOOK_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*routine)(void *),
                               void *arg)
{
        struct start *start = start_new(arg);
        int error;

        if (LIKELY(!start))
                return REAL(pthread_create)(thread, attr, routine, arg);
        start->routine.posix = routine;
        error = REAL(pthread_create)(thread, attr, run_posix, start);
        if (error)
                slab_free(&starts, start->index);
        return error;
}

HOOK_EXPORT int thrd_create(thrd_t *thread, thrd_start_t routine, void *arg)
{
        struct start *start = start_new(arg);
        int result;

        if (LIKELY(!start))
                return REAL(thrd_create)(thread, routine, arg);
        start->routine.c11 = routine;
        result = REAL(thrd_create)(thread, run_c11, start);
        if (result != thrd_success)
                slab_free(&starts, start->index);
        return result;
}
