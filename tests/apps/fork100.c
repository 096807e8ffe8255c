/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork100 PORT: one request, then a hundred children at once that each make one, while the parent's
 * consumer is at work. Says how many requests were answered.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 100

/* Return: 0 when the answer began with a status line. */
static int request(in_port_t port, const char *who)
{
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        char text[256];
        int len, fd = socket(AF_INET, SOCK_STREAM, 0);
        ssize_t got = 0, n;

        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                return 1;
        len = snprintf(text, sizeof(text),
                       "GET /%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n", who, port);
        if (send(fd, text, (size_t)len, 0) != len)
                return 1;
        while (got < (ssize_t)sizeof(text) && (n = recv(fd, text + got, sizeof(text) - (size_t)got, 0)) > 0)
                got += n;
        (void)close(fd); /* read to its end */
        return got < 12 || memcmp(text, "HTTP/1.1 200", 12) != 0;
}

int main(int argc, char **argv)
{
        in_port_t port = argc == 2 ? (in_port_t)strtoul(argv[1], NULL, 10) : 0;
        int answered = request(port, "parent") == 0, status;

        for (int i = 0; i < CHILDREN; i++) {
                pid_t pid = fork();

                if (pid < 0)
                        return 2;
                if (pid == 0)
                        exit(request(port, "child"));
        }
        for (int i = 0; i < CHILDREN; i++)
                answered += wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        printf("%d answered\n", answered);
        return answered == CHILDREN + 1 ? 0 : 1;
}
