/* SPDX-License-Identifier: Apache-2.0 */
/* One request from inside of a plugin. Built lazily bound and bound at once, and with a send() of its own. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int plugin_get(int port, const char *path, char *answer, int size);

#if defined(OWN_SEND)
EXPORT ssize_t send(int fd, const void *data, size_t len, int flags)
{
        printf("send of the plugin's own\n");
        return sendto(fd, data, len, flags, NULL, 0);
}
#endif

/* Pointers in data, read-only after relocation and not. */
static ssize_t (*const receive)(int, void *, size_t, int) = recv;
static int (*finish)(int) = close;

int plugin_get(int port, const char *path, char *answer, int size)
{
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((unsigned short)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0), len = 0;
        char request[256];
        ssize_t n;

        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
                return -1;
        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n", path, port);
        if (send(fd, request, strlen(request), 0) != (ssize_t)strlen(request))
                return -1;
        while (len < size && (n = receive(fd, answer + len, (size_t)(size - len), 0)) > 0)
                len += (int)n;
        return finish(fd) == 0 ? len : -1;
}
