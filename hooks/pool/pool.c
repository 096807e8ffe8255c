/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that is handed to somebody else's thread, or to a later turn of a loop: it goes on for the request
 * that it was handed over for. What a job needs on its way stands in one table, under a pointer of the
 * library's that is the same at both ends.
 */
#include <stdatomic.h>

#include "agent/base/limits.h"
#include "agent/tap/tap_thread.h"
#include "agent/trace/cause.h"
#include "hooks/hook.h"

#define PROBES 16 /* places of a key */
#define TAKEN  1  /* a key that nobody looks for: the place is being filled */

struct job {
        _Atomic uintptr_t key; /* 0: free */
        const void *owner;     /* of whose kind the key is */
        uint64_t request;
        void (*uv_work)(struct uv_work_s *req);
        void (*uv_after)(struct uv_work_s *req, int status);
        void (*event_callback)(int fd, short events, void *arg);
        void *event_arg;
};

static LARGE_TABLE struct job jobs[LIMIT_POOL_JOBS];

static struct job *place(uintptr_t key, unsigned probe)
{
        uint64_t hash = hash_bytes(&key, sizeof(key), HASH_SEED);

        return &jobs[(hash + probe) % LIMIT_POOL_JOBS];
}

/* Return: to be published with job_publish(); NULL when there is nothing to hand over, or no room. */
static struct job *job_new(uintptr_t key, const void *owner)
{
        uint64_t request = tap_thread_hand_over();

        for (unsigned i = 0; request != CAUSE_NONE && i < PROBES; i++) {
                struct job *job = place(key, i);
                uintptr_t none = 0;

                if (!atomic_compare_exchange_strong(&job->key, &none, TAKEN))
                        continue;
                job->owner = owner;
                job->request = request;
                return job;
        }
        return NULL;
}

static void job_publish(struct job *job, uintptr_t key)
{
        atomic_store_explicit(&job->key, key, memory_order_release);
}

static void job_drop(struct job *job)
{
        job_publish(job, 0);
}

static struct job *job_find(uintptr_t key, const void *owner)
{
        for (unsigned i = 0; i < PROBES; i++) {
                struct job *job = place(key, i);

                if (atomic_load_explicit(&job->key, memory_order_acquire) == key && job->owner == owner)
                        return job;
        }
        return NULL;
}

/*
 * --- GLib: data is compared and sorted by the pool, and the program may read its user_data: both stay as
 * they are, and a function of its own says which pool it is ---
 */

typedef void glib_func(void *data, void *user_data);

/* Never given back: the pool's threads may run on. */
struct glib_pool {
        glib_func *func; /* the host's ... */
        glib_func *stub; /* ... and what stands for it */
};

static struct glib_pool glib_pools[LIMIT_POOLS];
static _Atomic uint32_t glib_pool_count;

/* The request of the job with this data; of two jobs with the same data nobody knows which is which. */
static uint64_t glib_take(const struct glib_pool *pool, void *data)
{
        struct job *job = job_find((uintptr_t)data, pool), *other;
        uint64_t request;

        if (!job)
                return CAUSE_NONE;
        request = job->request;
        job_drop(job);
        other = job_find((uintptr_t)data, pool);
        if (!other || other->request == request)
                return request;
        other->request = CAUSE_UNKNOWN;
        return CAUSE_UNKNOWN;
}

static void glib_run(const struct glib_pool *pool, void *data, void *user_data)
{
        struct thread_cause before;

        tap_thread_enter(glib_take(pool, data), &before);
        pool->func(data, user_data);
        tap_thread_leave(&before);
}

#define EIGHT(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7)
#define POOLS(X)     \
        EIGHT(X, 00) \
        EIGHT(X, 01) EIGHT(X, 02) EIGHT(X, 03) EIGHT(X, 04) EIGHT(X, 05) EIGHT(X, 06) EIGHT(X, 07)

#define STUB(n)                                               \
        static void glib_run_##n(void *data, void *user_data) \
        {                                                     \
                glib_run(&glib_pools[n], data, user_data);    \
        }
POOLS(STUB)

#define STUB_CASE(n) \
        case n:      \
                return glib_run_##n;

/* A table of them would be relocated at every start. */
static glib_func *glib_stub(uint32_t n)
{
        switch (n) {
                POOLS(STUB_CASE)
        }
        return NULL;
}

/* Return: what stands for @func; NULL when there is no room. */
static glib_func *glib_pool_new(glib_func *func)
{
        uint32_t n = atomic_load_explicit(&glib_pool_count, memory_order_relaxed);
        glib_func *stub;

        do {
                stub = glib_stub(n);
                if (!stub)
                        return NULL;
        } while (!atomic_compare_exchange_weak(&glib_pool_count, &n, n + 1));
        glib_pools[n % LIMIT_POOLS] = (struct glib_pool){func, stub};
        return stub;
}

/* NULL: not one of ours. */
static const struct glib_pool *glib_pool_of(const struct _GThreadPool *pool)
{
        for (uint32_t i = 0; pool && pool->func && i < LIMIT_POOLS; i++)
                if (glib_pools[i].stub == pool->func)
                        return &glib_pools[i];
        return NULL;
}

/* --- libuv: a request's address is its name until its second callback --- */

static void uv_work(struct uv_work_s *req)
{
        struct job *job = job_find((uintptr_t)req, uv_work);
        struct thread_cause before;

        if (!job)
                return; /* cannot be: it is kept until uv_after() */
        tap_thread_enter(job->request, &before);
        job->uv_work(req);
        tap_thread_leave(&before);
}

static void uv_after(struct uv_work_s *req, int status)
{
        struct job *job = job_find((uintptr_t)req, uv_work);
        void (*after)(struct uv_work_s *, int) = job ? job->uv_after : NULL;
        struct thread_cause before;

        if (!job)
                return;
        tap_thread_enter(job->request, &before);
        job_drop(job); /* @req may be used again at once */
        if (after)
                after(req, status);
        tap_thread_leave(&before);
}

/* --- libevent: a callback once, later --- */

static void event_run(int fd, short events, void *arg)
{
        struct job *job = arg;
        void (*callback)(int, short, void *) = job->event_callback;
        void *host_arg = job->event_arg;
        struct thread_cause before;

        tap_thread_enter(job->request, &before);
        job_drop(job);
        callback(fd, events, host_arg);
        tap_thread_leave(&before);
}

/* --- the wrappers. A library may be unloaded and come back elsewhere, so each call looks for it --- */

#define FOUND(name) ((__typeof__(&name))real_find(#name))

HOOK_EXPORT struct _GThreadPool *g_thread_pool_new(void (*func)(void *data, void *user_data), void *user_data,
                                                   int max_threads, int exclusive, struct _GError **error)
{
        __typeof__(&g_thread_pool_new) real = FOUND(g_thread_pool_new);
        glib_func *stub = real && func && !guard_passes() ? glib_pool_new(func) : NULL;

        return real ? real(stub ? stub : func, user_data, max_threads, exclusive, error) : NULL;
}

HOOK_EXPORT int g_thread_pool_push(struct _GThreadPool *pool, void *data, struct _GError **error)
{
        __typeof__(&g_thread_pool_push) real = FOUND(g_thread_pool_push);
        const struct glib_pool *ours = (uintptr_t)data > TAKEN ? glib_pool_of(pool) : NULL;
        struct job *job = ours ? job_new((uintptr_t)data, ours) : NULL;
        struct job *stale = ours && !job ? job_find((uintptr_t)data, ours) : NULL;

        if (stale)
                job_drop(stale);
        if (job)
                job_publish(job, (uintptr_t)data);
        return real ? real(pool, data, error) : 0;
}

HOOK_EXPORT int uv_queue_work(struct uv_loop_s *loop, struct uv_work_s *req,
                              void (*work)(struct uv_work_s *req),
                              void (*after)(struct uv_work_s *req, int status))
{
        __typeof__(&uv_queue_work) real = FOUND(uv_queue_work);
        struct job *stale = job_find((uintptr_t)req, uv_work), *job;
        int error;

        /* Of a parent, whose loop does not run here: @req is free to be used again. */
        if (stale)
                job_drop(stale);
        job = real && work ? job_new((uintptr_t)req, uv_work) : NULL;

        if (!job)
                return real ? real(loop, req, work, after) : -ENOSYS;
        job->uv_work = work;
        job->uv_after = after;
        job_publish(job, (uintptr_t)req);
        error = real(loop, req, uv_work, uv_after);
        if (error)
                job_drop(job);
        return error;
}

HOOK_EXPORT int event_base_once(struct event_base *base, int fd, short events,
                                void (*callback)(int, short, void *), void *arg,
                                const struct timeval *timeout)
{
        __typeof__(&event_base_once) real = FOUND(event_base_once);
        struct job *job = real ? job_new((uintptr_t)callback ^ (uintptr_t)arg, event_run) : NULL;
        int result;

        if (!job)
                return real ? real(base, fd, events, callback, arg, timeout) : -1;
        job->event_callback = callback;
        job->event_arg = arg;
        result = real(base, fd, events, event_run, job, timeout);
        if (result < 0)
                job_drop(job);
        return result;
}
