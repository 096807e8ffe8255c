/* SPDX-License-Identifier: Apache-2.0 */
/* visit-glib PORT BEHIND pool|task|idle: GLib's main loop hands requests to its thread pool, its tasks,
 * itself. */
#include <gio/gio.h>
#include <glib-unix.h>
#include <string.h>

#include "visit.h"

#define THREADS 8

static struct visit_plan plan;
static GThreadPool *pool;

static void in_pool(gpointer visit, gpointer unused)
{
        visit_call(visit);
        visit_answer(visit);
}

static void in_task(GTask *task, gpointer source, gpointer visit, GCancellable *cancellable)
{
        visit_call(visit);
        g_task_return_boolean(task, TRUE);
}

static void after_task(GObject *source, GAsyncResult *result, gpointer visit)
{
        visit_answer(visit);
}

static gboolean when_idle(gpointer visit)
{
        visit_call(visit);
        visit_answer(visit);
        return G_SOURCE_REMOVE;
}

static void hand_over(struct visit *visit)
{
        if (strcmp(plan.how, "pool") == 0) {
                g_thread_pool_push(pool, visit, NULL);
        } else if (strcmp(plan.how, "idle") == 0) {
                g_idle_add(when_idle, visit);
        } else {
                GTask *task = g_task_new(NULL, NULL, after_task, visit);

                g_task_set_task_data(task, visit, NULL);
                g_task_run_in_thread(task, in_task);
                g_object_unref(task);
        }
}

static gboolean on_request(gint fd, GIOCondition condition, gpointer visit)
{
        if (!visit_read(visit))
                return G_SOURCE_REMOVE;
        hand_over(visit);
        return G_SOURCE_CONTINUE;
}

static gboolean on_client(gint fd, GIOCondition condition, gpointer unused)
{
        struct visit *visit = visit_new(&plan);

        if (visit)
                g_unix_fd_add(visit_fd(visit), G_IO_IN | G_IO_HUP, on_request, visit);
        return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
        plan = visit_plan(argc, argv);
        pool = g_thread_pool_new(in_pool, NULL, THREADS, FALSE, NULL);
        g_unix_fd_add(plan.listener, G_IO_IN, on_client, NULL);
        g_main_loop_run(g_main_loop_new(NULL, FALSE));
        return 1;
}
