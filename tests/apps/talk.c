/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk PORT: makes requests as it is told. A line on stdin is "PATH COUNT"; that many requests for
 * the path go out on one kept connection, then it says how many were answered by 200.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int dial(in_port_t port)
{
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
                return fd;
        if (fd >= 0)
                (void)close(fd); /* nothing was sent */
        return -1;
}

/* A whole response. Return: its status, or -1. */
static int answer(int fd)
{
        char text[4096];
        size_t have = 0, want = 0;

        while (!want || have < want) {
                ssize_t n = recv(fd, text + have, sizeof(text) - 1 - have, 0);
                const char *end, *length;

                if (n <= 0)
                        return -1;
                have += (size_t)n;
                text[have] = '\0';
                end = strstr(text, "\r\n\r\n");
                length = strstr(text, "Content-Length: ");
                if (end && !want)
                        want = (size_t)(end + 4 - text) + (length ? strtoul(length + 16, NULL, 10) : 0);
        }
        return atoi(text + strlen("HTTP/1.1 "));
}

static unsigned ask(in_port_t port, const char *path, unsigned count)
{
        char text[512];
        int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", path, port);
        int fd = dial(port);
        unsigned good = 0;

        for (unsigned i = 0; fd >= 0 && i < count && send(fd, text, (size_t)len, 0) == len; i++)
                good += answer(fd) == 200;
        if (fd >= 0)
                (void)close(fd); /* all was read */
        return good;
}

int main(int argc, char **argv)
{
        in_port_t port = argc == 2 ? (in_port_t)strtoul(argv[1], NULL, 10) : 0;
        char path[256];
        unsigned count;

        setvbuf(stdin, NULL, _IONBF, 0);
        while (scanf("%255s %u", path, &count) == 2) {
                printf("%u answered\n", ask(port, path, count));
                fflush(stdout);
        }
        return 0;
}
