/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend PORT DEPTH: answers GETs out of order, so that whoever asks for others has many under way: requests
 * wait until there are DEPTH of them or nothing new comes, and are then answered in an order drawn by lot. At
 * SIGTERM it writes a line per request: its User-Agent, its traceparent ("none", "twice"), its target.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve.h"

#define FDS     16384
#define DEPTHS  256
#define WAIT_MS 3
#define HEAD    4096

static struct client {
        size_t have;
        char bytes[HEAD + 1];
} * clients[FDS];
static int held[DEPTHS];
static unsigned held_count, depth;
static volatile sig_atomic_t over;

static void on_term(int number)
{
        over = number;
}

static void tell(const char *head)
{
        const char *agent = serve_field(head, "User-Agent:"), *context = serve_field(head, "traceparent:");
        const char *target = strchr(head, ' ') + 1;
        bool twice = context && serve_field(context, "traceparent:");

        if (!agent)
                agent = "none\r";
        if (!context)
                context = "none\r";
        printf("%.*s %.*s %.*s\n", (int)strcspn(agent, "\r"), agent, twice ? 5 : (int)strcspn(context, "\r"),
               twice ? "twice" : context, (int)strcspn(target, " "), target);
}

static void answer_all(void)
{
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

        while (held_count) {
                unsigned drawn = (unsigned)rand() % held_count;
                int fd = held[drawn];

                held[drawn] = held[--held_count];
                (void)serve_send(fd, answer,
                                 sizeof(answer) - 1); /* a client that is gone is told by its next read */
        }
}

static void end(int fd)
{
        for (unsigned i = 0; i < held_count; i++)
                if (held[i] == fd)
                        held[i--] = held[--held_count];
        free(clients[fd]);
        clients[fd] = NULL;
        close(fd);
}

/* Nobody pipelines here: a head is the whole of what was read. */
static void read_from(int fd)
{
        struct client *client = clients[fd];
        ssize_t n = recv(fd, client->bytes + client->have, HEAD - client->have, 0);

        if (n <= 0) {
                end(fd);
                return;
        }
        client->have += (size_t)n;
        client->bytes[client->have] = '\0';
        if (!strstr(client->bytes, "\r\n\r\n"))
                return;
        tell(client->bytes);
        client->have = 0;
        held[held_count++] = fd;
        if (held_count >= depth)
                answer_all();
}

static void welcome(int poll, int listener)
{
        int fd = accept(listener, NULL, NULL);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

        if (fd < 0 || fd >= FDS || !(clients[fd] = calloc(1, sizeof(struct client))) ||
            epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0)
                exit(3);
}

int main(int argc, char **argv)
{
        int listener = argc == 3 ? serve_listen((in_port_t)atoi(argv[1])) : -1, poll = epoll_create1(0),
            count;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
        struct sigaction action = {.sa_handler = on_term};
        sigset_t mask;

        depth = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
        if (listener < 0 || depth >= DEPTHS || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) < 0)
                return 2;
        sigaction(SIGTERM, &action, NULL);
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigprocmask(SIG_BLOCK, &mask, NULL); /* comes in the wait only */
        sigemptyset(&mask);
        while (!over) {
                count = epoll_pwait(poll, events, 64, held_count ? WAIT_MS : -1, &mask);
                for (int i = 0; i < count; i++) {
                        if (events[i].data.fd == listener)
                                welcome(poll, listener);
                        else if (clients[events[i].data.fd])
                                read_from(events[i].data.fd);
                }
                if (count == 0)
                        answer_all();
        }
        return fflush(stdout);
}
