/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small server for the benchmarks: prints its port, answers each request head with 200 bytes, skips
 * request bodies, streams "GET /big/N" as N bytes. One connection at a time; ends when its standard
 * input does.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 200\r\n\r\n";

static void send_all(int fd, const char *p, size_t len)
{
        while (len) {
                ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

                if (n <= 0)
                        return;
                p += n;
                len -= (size_t)n;
        }
}

static void stream(int fd, unsigned long bytes)
{
        static char zero[65536];
        char head[128];
        int len = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %lu\r\n\r\n", bytes);

        send_all(fd, head, (size_t)len);
        for (; bytes; bytes -= bytes < sizeof(zero) ? bytes : sizeof(zero))
                send_all(fd, zero, bytes < sizeof(zero) ? bytes : sizeof(zero));
}

static void reply(int fd, const char *head)
{
        static char out[sizeof(answer) - 1 + 200];

        if (strncmp(head, "GET /big/", 9) == 0) {
                stream(fd, strtoul(head + 9, NULL, 10));
                return;
        }
        memcpy(out, answer, sizeof(answer) - 1);
        memset(out + sizeof(answer) - 1, 'x', 200);
        send_all(fd, out, sizeof(out));
}

static void serve(int fd)
{
        static char buf[65536 + 1];
        unsigned long skip = 0;
        size_t have = 0;
        ssize_t n;

        while ((n = recv(fd, buf + have, sizeof(buf) - 1 - have, 0)) > 0) {
                char *end, *length;

                have += (size_t)n;
                if (skip) {
                        size_t part = have < skip ? have : skip;

                        skip -= part;
                        have -= part;
                        memmove(buf, buf + part, have);
                        if (!skip)
                                reply(fd, "");
                }
                buf[have] = 0;
                while (!skip && (end = strstr(buf, "\r\n\r\n"))) {
                        size_t head = (size_t)(end + 4 - buf);

                        length = strcasestr(buf, "content-length: ");
                        skip = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
                        if (!skip)
                                reply(fd, buf);
                        have -= head;
                        memmove(buf, buf + head, have + 1);
                }
        }
        close(fd);
}

int main(void)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof(addr);
        int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

        if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 64) ||
            getsockname(listener, (struct sockaddr *)&addr, &len))
                return 1;
        printf("%d\n", ntohs(addr.sin_port));
        fflush(stdout);
        for (;;) {
                struct pollfd wait[] = {{listener, POLLIN, 0}, {0, POLLIN, 0}};
                int fd;

                poll(wait, 2, -1);
                if (wait[1].revents)
                        return 0;
                fd = accept(listener, NULL, NULL);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                serve(fd);
        }
}
