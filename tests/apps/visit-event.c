/* SPDX-License-Identifier: Apache-2.0 */
/* visit-event PORT BEHIND once|read: libevent's loop, which calls in a later event, or where it has read. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "visit.h"

static struct visit_plan plan;
static struct event_base *base;

struct guest {
        struct event *event;
        struct visit *visit;
};

static void later(evutil_socket_t fd, short events, void *visit)
{
        visit_call(visit);
        visit_answer(visit);
}

static void on_request(evutil_socket_t fd, short events, void *arg)
{
        static const struct timeval at_once;
        struct guest *guest = arg;

        /* The loop lets go of the descriptor before that is closed. */
        event_del(guest->event);
        if (!visit_read(guest->visit)) {
                event_free(guest->event);
                free(guest);
                return;
        }
        event_add(guest->event, NULL);
        if (strcmp(plan.how, "once") == 0)
                event_base_once(base, -1, EV_TIMEOUT, later, guest->visit, &at_once);
        else
                later(fd, events, guest->visit);
}

static void on_client(evutil_socket_t fd, short events, void *arg)
{
        struct guest *guest = malloc(sizeof(*guest));

        if (!guest || !(guest->visit = visit_new(&plan)))
                exit(3);
        guest->event = event_new(base, visit_fd(guest->visit), EV_READ | EV_PERSIST, on_request, guest);
        event_add(guest->event, NULL);
}

int main(int argc, char **argv)
{
        plan = visit_plan(argc, argv);
        base = event_base_new();
        event_add(event_new(base, plan.listener, EV_READ | EV_PERSIST, on_client, NULL), NULL);
        return event_base_dispatch(base);
}
