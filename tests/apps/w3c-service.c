/* SPDX-License-Identifier: Apache-2.0 */
/*
 * w3c-service PORT: the service that the validation suite of W3C Trace Context asks for, without a word
 * about tracing. A thread per connection; a POST brings [{"url": U, "arguments": A}, ...], and each A is
 * posted to its U.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "act.h"
#include "serve.h"

struct text {
        const char *at;
        size_t len;
};

/* A string, list or object begins at @at. Return: what follows it; @end when it has no end. */
static const char *value_end(const char *at, const char *end)
{
        unsigned depth = 0;
        bool quoted = false;

        for (; at < end; at++) {
                if (quoted && *at == '\\')
                        at++;
                else if (*at == '"')
                        quoted = !quoted;
                else if (!quoted && strchr("[{", *at))
                        depth++;
                else if (!quoted && strchr("]}", *at))
                        depth--;
                if (!quoted && !depth)
                        return at + 1;
        }
        return end;
}

/* The member's value in the object at @object; quotes are part of it. */
static struct text member(struct text object, const char *name)
{
        const char *end = object.at + object.len, *at = object.at + 1;

        while (at < end && (at = memchr(at, '"', (size_t)(end - at)))) {
                const char *value, *key = at;

                at = value_end(at, end);
                value = at + strspn(at, " :");
                at = value_end(value, end);
                if (strncmp(key + 1, name, strlen(name)) == 0)
                        return (struct text){value, (size_t)(at - value)};
        }
        return (struct text){"", 0};
}

static bool post(struct text url, struct text body)
{
        char line[2048], path[1024];
        unsigned port;
        int fd, len, status;

        if (sscanf(url.at, "\"http://127.0.0.1:%u%1023[^\"]\"", &port, path) != 2)
                return false;
        fd = dial((in_port_t)port);
        len = snprintf(line, sizeof(line),
                       "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: */*\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                       path, port, body.len);
        status = fd >= 0 && serve_send(fd, line, (size_t)len) && serve_send(fd, body.at, body.len)
                         ? ask_answer(fd)
                         : -1;
        if (fd >= 0)
                (void)close(fd); /* all was read */
        return status == 200;
}

static bool post_all(const char *at, size_t len)
{
        const char *end = at + len;
        bool good = true;

        while (at < end && (at = memchr(at, '{', (size_t)(end - at)))) {
                struct text object = {at, (size_t)(value_end(at, end) - at)};

                good &= post(member(object, "url"), member(object, "arguments"));
                at += object.len;
        }
        return good;
}

static void *serve(void *fd)
{
        struct peer *peer = serve_peer((int)(long)fd);
        struct request request;

        while (peer && serve_head(peer, &request) && serve_body(peer, &request) &&
               serve_answer(peer, &request, post_all(request.body, request.body_len) ? 200 : 502, "[]") &&
               request.keep)
                serve_next(peer, &request);
        free(peer);
        (void)close((int)(long)fd); /* nothing is left to do for it */
        return NULL;
}

int main(int argc, char **argv)
{
        int listener = argc == 2 ? serve_listen((in_port_t)atoi(argv[1])) : -1, fd;
        pthread_t thread;

        while (listener >= 0 && (fd = accept(listener, NULL, NULL)) >= 0) {
                if (pthread_create(&thread, NULL, serve, (void *)(long)fd) == 0)
                        (void)pthread_detach(thread);
                else
                        close(fd);
        }
        return 1;
}
