/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load PORT COUNT AT_ONCE [same] [context] [close] [hold]: so many requests, so many of them at once,
 * each with a number: its target is /r/NUMBER, its User-Agent n-NUMBER.
 *
 *   same      one target for all                 context  each brings a traceparent made of its number
 *   close     a connection for each              hold     so too, and all stay open and idle until stdin ends
 *
 * Says how many were answered by 200.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "act.h"
#include "serve.h"

static struct {
        in_port_t port;
        unsigned count;
        bool same, context, close, hold;
        _Atomic unsigned next, answered;
} load;

static int make_request(char *text, size_t size, unsigned number)
{
        char target[32] = "/same", context[96] = "";

        if (!load.same)
                snprintf(target, sizeof(target), "/r/%u", number);
        if (load.context)
                snprintf(context, sizeof(context), "traceparent: 00-%032x-%016x-01\r\n", number + 1,
                         number + 1);
        return snprintf(text, size, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: n-%u\r\n%s%s\r\n",
                        target, load.port, number, context, load.close ? "Connection: close\r\n" : "");
}

/* Return: its status, or -1; *ret_kept tells whether the connection can be used again. */
static int read_response(int fd, bool *ret_kept)
{
        char text[4096];
        size_t have = 0, want = 0;

        while (!want || have < want) {
                ssize_t n = recv(fd, text + have, sizeof(text) - 1 - have, 0);
                const char *end, *field;

                if (n <= 0)
                        return -1;
                have += (size_t)n;
                text[have] = '\0';
                end = want ? NULL : strstr(text, "\r\n\r\n");
                if (!end)
                        continue;
                field = serve_field(text, "Content-Length:");
                want = (size_t)(end + 4 - text) + (field ? strtoul(field, NULL, 10) : 0);
                field = serve_field(text, "Connection:");
                *ret_kept = !field || strncmp(field, "close", 5) != 0;
        }
        return (int)strtol(text + strlen("HTTP/1.1 "), NULL, 10);
}

/* One of those at once. A kept connection that the server has ended meanwhile is replaced. */
static void *work(void *unused)
{
        char text[512];
        bool kept = false;
        int fd = -1;

        for (unsigned number; (number = atomic_fetch_add(&load.next, 1)) < load.count;) {
                int len = make_request(text, sizeof(text), number), status;

                if (!kept)
                        fd = dial(load.port);
                status = fd >= 0 && serve_send(fd, text, (size_t)len) ? read_response(fd, &kept) : -1;
                if (status == 200)
                        atomic_fetch_add(&load.answered, 1);
                else
                        fprintf(stderr, "request %u: %d\n", number, status);
                kept = kept && status > 0 && !load.close;
                if (load.hold)
                        kept = false;
                else if (!kept && fd >= 0)
                        (void)close(fd); /* read to its end */
        }
        return unused;
}

int main(int argc, char **argv)
{
        unsigned at_once = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
        pthread_t threads[256];

        if (argc < 4 || at_once > sizeof(threads) / sizeof(threads[0]))
                return 2;
        load.port = (in_port_t)atoi(argv[1]);
        load.count = (unsigned)atoi(argv[2]);
        for (int i = 4; i < argc; i++) {
                load.same |= strcmp(argv[i], "same") == 0;
                load.context |= strcmp(argv[i], "context") == 0;
                load.close |= strcmp(argv[i], "close") == 0;
                load.hold |= strcmp(argv[i], "hold") == 0;
        }
        for (unsigned i = 0; i < at_once; i++)
                if (pthread_create(&threads[i], NULL, work, NULL) != 0)
                        return 3;
        for (unsigned i = 0; i < at_once; i++)
                (void)pthread_join(threads[i], NULL); /* it was made above */
        printf("%u answered\n", load.answered);
        fflush(stdout);
        while (load.hold && getchar() != EOF)
                ;
        return load.answered == load.count ? 0 : 1;
}
