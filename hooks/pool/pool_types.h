/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What pool.c wraps, in these libraries' words. Their headers are not needed to build us. */
#include <sys/time.h>

/* GLib: the public part of its struct. gboolean is int, gpointer void *. */
struct _GThreadPool {
        void (*func)(void *data, void *user_data);
        void *user_data;
        int exclusive;
};
struct _GError;
struct _GThreadPool *g_thread_pool_new(void (*func)(void *data, void *user_data), void *user_data,
                                       int max_threads, int exclusive, struct _GError **error);
int g_thread_pool_push(struct _GThreadPool *pool, void *data, struct _GError **error);

/* libuv */
struct uv_loop_s;
struct uv_work_s;
int uv_queue_work(struct uv_loop_s *loop, struct uv_work_s *req, void (*work)(struct uv_work_s *req),
                  void (*after)(struct uv_work_s *req, int status));

/* libevent */
struct event_base;
int event_base_once(struct event_base *base, int fd, short events, void (*callback)(int, short, void *),
                    void *arg, const struct timeval *timeout);
