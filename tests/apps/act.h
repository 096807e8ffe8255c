/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the small hosts of the end-to-end tests share: a plain HTTP client that needs little stack and
 * no allocation, a look at what a thread does, and a table of acts of which the command line chooses one.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/types.h>

/* Return: a connected socket, or -1. */
int dial(in_port_t port);

/* One request on a connection that is kept, in two halves. Return: 0 or -1; its status or -1. */
int ask_send(int fd, const char *path);
int ask_answer(int fd);

/* Both halves. Return: 1 when the status was 200, else 0: to be summed. */
int ask(int fd, const char *path);

/* On a connection of its own. */
int ask_once(in_port_t port, const char *path);

/* Waits until thread @tid of this process sleeps in system call @number. It must get there. */
void await_call(pid_t tid, long number);

/* What an act gets: the origin's port, and how the program was called. */
struct scene {
        in_port_t port;
        const char *program, *more; /* argv[0], and the third argument or "" */
};

struct act {
        const char *name;
        int (*play)(const struct scene *scene); /* returns requests that were answered */
};

/**
 * act_main() - PROGRAM ACT PORT [MORE]: play one act and say how many requests were answered
 *
 * Return: exit status, 2 for an unknown act.
 */
int act_main(int argc, char **argv, const struct act *acts, size_t count);
#define ACT_MAIN(acts)                                                               \
        int main(int argc, char **argv)                                              \
        {                                                                            \
                return act_main(argc, argv, acts, sizeof(acts) / sizeof((acts)[0])); \
        }
