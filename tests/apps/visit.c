/* SPDX-License-Identifier: Apache-2.0 */
#include "visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "act.h"
#include "serve.h"

struct visit {
        struct peer *peer;
        struct request request;
        in_port_t behind;
        int status;
};

struct visit_plan visit_plan(int argc, char **argv)
{
        struct visit_plan plan = {.listener = -1};

        if (argc == 4)
                plan = (struct visit_plan){serve_listen((in_port_t)atoi(argv[1])), (in_port_t)atoi(argv[2]),
                                           argv[3]};
        if (plan.listener < 0)
                exit(2);
        return plan;
}

struct visit *visit_new(const struct visit_plan *plan)
{
        struct visit *visit = malloc(sizeof(*visit));
        int fd = accept(plan->listener, NULL, NULL);

        if (!visit || fd < 0) {
                free(visit);
                return NULL;
        }
        *visit = (struct visit){.peer = serve_peer(fd), .behind = plan->behind};
        return visit;
}

int visit_fd(const struct visit *visit)
{
        return visit->peer->fd;
}

bool visit_read(struct visit *visit)
{
        if (serve_head(visit->peer, &visit->request) && serve_body(visit->peer, &visit->request))
                return true;
        close(visit->peer->fd);
        free(visit->peer);
        free(visit);
        return false;
}

void visit_call(struct visit *visit)
{
        const char *agent = serve_field(visit->peer->bytes, "User-Agent:");
        char text[256];
        int fd = dial(visit->behind), len;

        if (!agent)
                agent = "\r";
        len = snprintf(text, sizeof(text), "GET /out HTTP/1.1\r\nHost: here\r\nUser-Agent: %.*s\r\n\r\n",
                       (int)strcspn(agent, "\r"), agent);
        visit->status = fd >= 0 && serve_send(fd, text, (size_t)len) ? ask_answer(fd) : -1;
        if (fd >= 0)
                close(fd);
}

void visit_answer(struct visit *visit)
{
        serve_next(visit->peer, &visit->request);
        (void)serve_answer(visit->peer, &visit->request, visit->status == 200 ? 200 : 502,
                           "ok\n"); /* a client that is gone is told by its next read */
}
