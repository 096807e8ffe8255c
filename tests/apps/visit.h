/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the services that hand their requests over share: PROGRAM PORT BEHIND HOW. One thread reads requests;
 * HOW says who makes the call that each leads to, a GET of /out at port BEHIND, and answers.
 */
#include <netinet/in.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A client and its request. One at a time: a client waits for its answer. */
struct visit;

struct visit_plan {
        int listener;
        in_port_t behind;
        const char *how;
};

/* Return: what the command line says; ends the program when that is wrong. */
struct visit_plan visit_plan(int argc, char **argv);

/* The next client, or NULL. */
struct visit *visit_new(const struct visit_plan *plan);
int visit_fd(const struct visit *visit);

/* Read one request. Return: false when there is none any more: it is gone. */
bool visit_read(struct visit *visit);

/* Make the call, and keep its status. */
void visit_call(struct visit *visit);

/* The last of a request: its client may send another one at once. */
void visit_answer(struct visit *visit);

#ifdef __cplusplus
}
#endif
