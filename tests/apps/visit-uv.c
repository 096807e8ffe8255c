/* SPDX-License-Identifier: Apache-2.0 */
/* visit-uv PORT BEHIND work|after: libuv's loop hands requests to its threads; who calls is the one or the
 * other. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "visit.h"

static struct visit_plan plan;

/* A client: what the loop watches, and what the pool gets. */
struct guest {
        uv_poll_t poll;
        uv_work_t work;
        struct visit *visit;
};

static void call(uv_work_t *work)
{
        struct guest *guest = work->data;

        visit_call(guest->visit);
}

static void nothing(uv_work_t *work)
{
}

static void answer(uv_work_t *work, int status)
{
        struct guest *guest = work->data;

        if (strcmp(plan.how, "after") == 0)
                visit_call(guest->visit);
        visit_answer(guest->visit);
}

static void on_closed(uv_handle_t *handle)
{
        free(handle->data);
}

static void on_request(uv_poll_t *poll, int status, int events)
{
        struct guest *guest = poll->data;

        /* The handle lets go of the descriptor before that is closed. */
        uv_poll_stop(poll);
        if (!visit_read(guest->visit)) {
                uv_close((uv_handle_t *)poll, on_closed);
                return;
        }
        uv_poll_start(poll, UV_READABLE, on_request);
        uv_queue_work(poll->loop, &guest->work, strcmp(plan.how, "after") == 0 ? nothing : call, answer);
}

static void on_client(uv_poll_t *poll, int status, int events)
{
        struct visit *visit = visit_new(&plan);
        struct guest *guest = calloc(1, sizeof(*guest));

        if (!visit || !guest)
                exit(3);
        guest->visit = visit;
        guest->poll.data = guest->work.data = guest;
        uv_poll_init(poll->loop, &guest->poll, visit_fd(visit));
        uv_poll_start(&guest->poll, UV_READABLE, on_request);
}

int main(int argc, char **argv)
{
        static uv_poll_t listener;

        plan = visit_plan(argc, argv);
        uv_poll_init(uv_default_loop(), &listener, plan.listener);
        uv_poll_start(&listener, UV_READABLE, on_client);
        return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
