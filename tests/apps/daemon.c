/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon fork|thread|inetd PORT [UPSTREAM]: an old-fashioned server. A child or a thread per connection,
 * or one connection on descriptor 0. What it does hangs on the path:
 *
 *   /status/NNN   answers so                       /hold   never answers
 *   /early        answers before it reads the body /call/X asks UPSTREAM for /X, answers with its status
 *   everything else: 200, method and target
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "act.h"
#include "serve.h"

static in_port_t upstream;

static bool on_status(struct peer *peer, struct request *request)
{
        return serve_body(peer, request) &&
               serve_answer(peer, request, atoi(request->target + strlen("/status/")), "as asked for\n");
}

static bool on_early(struct peer *peer, struct request *request)
{
        return serve_answer(peer, request, 200, "early\n") && serve_body(peer, request);
}

static bool on_hold(struct peer *peer, struct request *request)
{
        char byte;

        (void)serve_body(peer, request);
        while (recv(peer->fd, &byte, 1, 0) > 0)
                ;
        return false;
}

static bool on_call(struct peer *peer, struct request *request)
{
        int status, fd = dial(upstream);

        if (!serve_body(peer, request) || fd < 0)
                return false;
        status = ask_send(fd, request->target + strlen("/call")) == 0 ? ask_answer(fd) : 502;
        (void)close(fd); /* all was read */
        return serve_answer(peer, request, status, "called\n");
}

static bool on_other(struct peer *peer, struct request *request)
{
        char text[sizeof(request->method) + sizeof(request->target) + 2];

        snprintf(text, sizeof(text), "%s %s\n", request->method, request->target);
        return serve_body(peer, request) && serve_answer(peer, request, 200, text);
}

static const struct {
        const char *path;
        bool (*play)(struct peer *peer, struct request *request);
} routes[] = {
        {"/status/", on_status}, {"/early", on_early}, {"/hold", on_hold},
        {"/call/", on_call},     {"/", on_other},
};

static bool route(struct peer *peer, struct request *request)
{
        for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
                if (strncmp(request->target, routes[i].path, strlen(routes[i].path)) == 0)
                        return routes[i].play(peer, request);
        return serve_body(peer, request) && serve_answer(peer, request, 400, "bad target\n");
}

static void serve(int fd)
{
        struct peer *peer = serve_peer(fd);
        struct request request;

        while (peer && serve_head(peer, &request) && route(peer, &request) && request.keep)
                serve_next(peer, &request);
        free(peer);
        (void)close(fd); /* nothing is left to do for it */
}

static void *serve_thread(void *fd)
{
        serve((int)(long)fd);
        return NULL;
}

static void by_thread(int fd)
{
        pthread_t thread;

        if (pthread_create(&thread, NULL, serve_thread, (void *)(long)fd) == 0)
                (void)pthread_detach(thread);
        else
                close(fd);
}

static void by_fork(int listener, int fd)
{
        if (fork() == 0) {
                close(listener);
                serve(fd);
                exit(0);
        }
        close(fd);
}

int main(int argc, char **argv)
{
        bool threads = argc > 2 && strcmp(argv[1], "thread") == 0;
        int listener, fd;

        if (argc < 2)
                return 2;
        upstream = argc > 3 ? (in_port_t)atoi(argv[3]) : 0;
        if (strcmp(argv[1], "inetd") == 0) {
                serve(0);
                return 0;
        }
        signal(SIGCHLD, SIG_IGN);
        listener = argc > 2 ? serve_listen((in_port_t)atoi(argv[2])) : -1;
        while (listener >= 0 && (fd = accept(listener, NULL, NULL)) >= 0) {
                if (threads)
                        by_thread(fd);
                else
                        by_fork(listener, fd);
        }
        return 1;
}
