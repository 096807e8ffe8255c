/* SPDX-License-Identifier: Apache-2.0 */
/* visit-threads PORT BEHIND posix|c11: a thread of its own for each request that the first one has read. */
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <threads.h>

#include "visit.h"

#define CLIENTS 64

static int serve(void *visit)
{
        visit_call(visit);
        visit_answer(visit);
        return 0;
}

static void *serve_posix(void *visit)
{
        serve(visit);
        return NULL;
}

static bool hand_over(const struct visit_plan *plan, struct visit *visit)
{
        pthread_t posix;
        thrd_t c11;

        if (strcmp(plan->how, "posix") == 0)
                return pthread_create(&posix, NULL, serve_posix, visit) == 0 && pthread_detach(posix) == 0;
        return thrd_create(&c11, serve, visit) == thrd_success && thrd_detach(c11) == thrd_success;
}

int main(int argc, char **argv)
{
        struct visit_plan plan = visit_plan(argc, argv);
        struct pollfd fds[1 + CLIENTS] = {{.fd = plan.listener, .events = POLLIN}};
        struct visit *visits[1 + CLIENTS];
        nfds_t count = 1;

        while (poll(fds, count, -1) > 0) {
                for (nfds_t i = count - 1; i > 0; i--) {
                        if (!fds[i].revents)
                                continue;
                        if (!visit_read(visits[i])) {
                                fds[i] = fds[--count];
                                visits[i] = visits[count];
                        } else if (!hand_over(&plan, visits[i])) {
                                return 3;
                        }
                }
                if (!fds[0].revents || count == 1 + CLIENTS || !(visits[count] = visit_new(&plan)))
                        continue;
                fds[count] = (struct pollfd){.fd = visit_fd(visits[count]), .events = POLLIN};
                count++;
        }
        return 1;
}
