/* SPDX-License-Identifier: Apache-2.0 */
/* visit-std PORT BEHIND thread|async: C++, a thread of its own for each request that the first one has read.
 */
#include <future>
#include <map>
#include <poll.h>
#include <string>
#include <thread>
#include <vector>

#include "visit.h"

static void serve(struct visit *visit)
{
        visit_call(visit);
        visit_answer(visit);
}

int main(int argc, char **argv)
{
        const struct visit_plan plan = visit_plan(argc, argv);
        std::map<int, struct visit *> visits;
        std::map<struct visit *, std::future<void>> futures; /* whose end would wait */

        for (;;) {
                std::vector<pollfd> fds{{plan.listener, POLLIN, 0}};

                for (const auto &[fd, visit] : visits)
                        fds.push_back({fd, POLLIN, 0});
                poll(fds.data(), fds.size(), -1);
                for (const pollfd &ready : fds) {
                        if (!ready.revents)
                                continue;
                        if (ready.fd == plan.listener) {
                                struct visit *visit = visit_new(&plan);

                                visits[visit_fd(visit)] = visit;
                                continue;
                        }
                        struct visit *visit = visits[ready.fd];

                        if (!visit_read(visit)) {
                                visits.erase(ready.fd);
                                futures.erase(visit);
                        } else if (plan.how == std::string("thread")) {
                                std::thread(serve, visit).detach();
                        } else {
                                futures[visit] = std::async(std::launch::async, serve, visit);
                        }
                }
        }
}
