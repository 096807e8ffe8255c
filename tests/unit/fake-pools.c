/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for GLib, libuv and libevent: keeps what it is given until it is told to run it. */
#include "tests/unit/fake-pools.h"

#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

struct fake_job fake_jobs[FAKE_JOBS] EXPORT;
unsigned fake_count EXPORT;

static struct fake_job *add(void)
{
        return &fake_jobs[fake_count++];
}

EXPORT struct _GThreadPool *g_thread_pool_new(void (*func)(void *data, void *user_data), void *user_data,
                                              int max_threads, int exclusive, struct _GError **error)
{
        struct _GThreadPool *pool = calloc(1, sizeof(*pool));

        *pool = (struct _GThreadPool){func, user_data, exclusive};
        return pool;
}

EXPORT int g_thread_pool_push(struct _GThreadPool *pool, void *data, struct _GError **error)
{
        *add() = (struct fake_job){.pool = pool, .arg = data};
        return 1;
}

EXPORT int uv_queue_work(struct uv_loop_s *loop, struct uv_work_s *req, void (*work)(struct uv_work_s *req),
                         void (*after)(struct uv_work_s *req, int status))
{
        if (!work)
                return -22; /* UV_EINVAL */
        *add() = (struct fake_job){.arg = req, .work = work, .after = after};
        return 0;
}

EXPORT int event_base_once(struct event_base *base, int fd, short events,
                           void (*callback)(int, short, void *), void *arg, const struct timeval *timeout)
{
        if (fd < -1)
                return -1;
        *add() = (struct fake_job){.arg = arg, .callback = callback};
        return 0;
}
