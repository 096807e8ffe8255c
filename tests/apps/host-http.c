/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request and its response on a connection of its own, by every pair of calls that a program
 * could use for them. Prints what each call gave and what the server saw, but for the context headers,
 * which it counts on stderr: the output must not depend on the preload.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "host-calls.h"

#define HEAD  "POST /items?x=1 HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n"
#define BODY  "hello"
#define REPLY "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"

static int listener;
static int contexts_seen;

/* --- the server: reads a whole request and answers --- */

static char request_text[4096];

/* Once the server is done: two threads that print would print in any order. */
static void print_request(void)
{
        for (char *line = strtok(request_text, "\n"); line; line = strtok(NULL, "\n")) {
                if (strncasecmp(line, "traceparent:", 12) == 0)
                        contexts_seen++;
                else
                        printf("  | %s\n", line);
        }
}

static void *serve(void *unused)
{
        char *text = request_text;
        size_t have = 0;
        ssize_t n;
        int fd = accept(listener, NULL, NULL);

        while (have < sizeof(request_text) - 1 && !memmem(text, have, BODY, strlen(BODY))) {
                n = recv(fd, text + have, sizeof(request_text) - 1 - have, 0);
                if (n <= 0)
                        break;
                have += (size_t)n;
        }
        text[have] = 0;
        (void)send(fd, REPLY, strlen(REPLY), MSG_NOSIGNAL); /* a client that is gone sees nothing of it */
        close(fd);
        return NULL;
}

/* --- ways to send --- */

static struct iovec pieces[] = {
        {HEAD, 10}, {(char *)HEAD + 10, sizeof(HEAD) - 1 - 10}, {BODY, sizeof(BODY) - 1}};

static void out_write(int fd)
{
        SHOW(write(fd, HEAD, strlen(HEAD)));
        SHOW(write(fd, BODY, strlen(BODY)));
}

static void out_bytes(int fd)
{
        for (size_t i = 0; i < strlen(HEAD); i++)
                SHOW(write(fd, &HEAD[i], 1));
        SHOW(write(fd, BODY, strlen(BODY)));
}

static void out_writev(int fd)
{
        SHOW(writev(fd, pieces, 3));
}

static void out_pwritev2(int fd)
{
        SHOW(pwritev2(fd, pieces, 3, -1, 0));
}

static void out_pwritev64v2(int fd)
{
        SHOW(pwritev64v2(fd, pieces, 3, -1, 0));
}

static void out_send(int fd)
{
        SHOW(send(fd, HEAD, strlen(HEAD), MSG_MORE));
        SHOW(send(fd, BODY, strlen(BODY), MSG_NOSIGNAL));
}

static void out_sendto(int fd)
{
        SHOW(sendto(fd, HEAD BODY, strlen(HEAD BODY), MSG_NOSIGNAL, NULL, 0));
}

static void out_sendmsg(int fd)
{
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};

        SHOW(sendmsg(fd, &message, MSG_NOSIGNAL));
        SHOW(message.msg_iovlen);
}

static void out_sendmmsg(int fd)
{
        struct mmsghdr many[3] = {0};

        for (int i = 0; i < 3; i++)
                many[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
        SHOW(sendmmsg(fd, many, 3, MSG_NOSIGNAL));
        SHOW(many[0].msg_len);
        SHOW(many[1].msg_len);
        SHOW(many[2].msg_len);
}

static void out_dup(int fd)
{
        int copy = dup(fd);

        SHOW(write(copy, HEAD, strlen(HEAD)));
        SHOW(close(copy));
        SHOW(write(fd, BODY, strlen(BODY)));
}

/* --- ways to receive --- */

static char answer[128];
static struct iovec halves[] = {{answer, 7}, {answer + 7, sizeof(answer) - 7}};

static void in_read(int fd)
{
        SHOW(read(fd, answer, sizeof(answer)));
        SHOW(read(fd, answer + 64, 0));
        SHOW(read(fd, answer + 64, 1));
}

static void in_readv(int fd)
{
        SHOW(readv(fd, halves, 2));
}

static void in_preadv2(int fd)
{
        SHOW(preadv2(fd, halves, 2, -1, 0));
}

static void in_preadv64v2(int fd)
{
        SHOW(preadv64v2(fd, halves, 2, -1, 0));
}

static void in_recv(int fd)
{
        SHOW(recv(fd, answer, 4, MSG_PEEK));
        SHOW(recv(fd, answer, 20, MSG_WAITALL));
        SHOW(recv(fd, answer + 20, sizeof(answer) - 20, MSG_OOB));
        SHOW(recv(fd, answer + 20, sizeof(answer) - 20, MSG_ERRQUEUE));
        SHOW(recv(fd, answer + 20, sizeof(answer) - 20, 0));
}

static void in_recvfrom(int fd)
{
        SHOW(recvfrom(fd, answer, sizeof(answer), 0, NULL, NULL));
}

static void in_recvmsg(int fd)
{
        struct msghdr message = {.msg_iov = halves, .msg_iovlen = 2};

        SHOW(recvmsg(fd, &message, 0));
        SHOW(message.msg_flags);
}

static void in_recvmmsg(int fd)
{
        struct mmsghdr many[2] = {{.msg_hdr = {.msg_iov = halves, .msg_iovlen = 1}},
                                  {.msg_hdr = {.msg_iov = &halves[1], .msg_iovlen = 1}}};

        SHOW(recvmmsg(fd, many, 2, 0, NULL));
        SHOW(many[0].msg_len);
        SHOW(many[1].msg_len);
}

static void in_fortified(int fd)
{
        SHOW(__recv_chk(fd, answer, 10, sizeof(answer), 0));
        SHOW(__recvfrom_chk(fd, answer + 10, 10, sizeof(answer), 0, NULL, NULL));
        SHOW(__read_chk(fd, answer + 20, 100, sizeof(answer)));
}

static void in_system_call(int fd)
{
        SHOW(syscall(SYS_read, fd, answer, sizeof(answer)));
}

static const struct way {
        const char *name;
        void (*out)(int fd);
        void (*in)(int fd);
} ways[] = {
        {"write, read", out_write, in_read},
        {"byte by byte, readv", out_bytes, in_readv},
        {"writev, preadv2", out_writev, in_preadv2},
        {"pwritev2, preadv64v2", out_pwritev2, in_preadv64v2},
        {"pwritev64v2, recv", out_pwritev64v2, in_recv},
        {"send, recvfrom", out_send, in_recvfrom},
        {"sendto, recvmsg", out_sendto, in_recvmsg},
        {"sendmsg, recvmmsg", out_sendmsg, in_recvmmsg},
        {"sendmmsg, fortified", out_sendmmsg, in_fortified},
        {"dup, syscall", out_dup, in_system_call},
};

static struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {0}};

static void go(const struct way *way)
{
        pthread_t server;
        int fd;

        printf("%s\n", way->name);
        memset(answer, 0, sizeof(answer));
        pthread_create(&server, NULL, serve, NULL);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        SHOW(connect(fd, (struct sockaddr *)&address, sizeof(address)));
        way->out(fd);
        pthread_join(server, NULL); /* its whole answer lies in our buffers now */
        print_request();
        way->in(fd);
        printf("  %.*s\n", (int)sizeof(answer), answer);
        SHOW(close(fd));
}

/* The request goes out with the connection itself. */
static void fast_open(int with_message)
{
        struct msghdr message = {
                .msg_name = &address, .msg_namelen = sizeof(address), .msg_iov = pieces, .msg_iovlen = 3};
        pthread_t server;
        int fd;

        pthread_create(&server, NULL, serve, NULL);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (with_message)
                SHOW(sendmsg(fd, &message, MSG_FASTOPEN | MSG_NOSIGNAL));
        else
                SHOW(sendto(fd, HEAD BODY, strlen(HEAD BODY), MSG_FASTOPEN, (struct sockaddr *)&address,
                            sizeof(address)));
        pthread_join(server, NULL);
        print_request();
        SHOW(recv(fd, answer, sizeof(answer), 0));
        SHOW(close(fd));
}

int main(void)
{
        socklen_t len = sizeof(address);

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        listener = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 5) != 0 ||
            getsockname(listener, (struct sockaddr *)&address, &len) != 0)
                return 1;
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
                go(&ways[i]);
        fast_open(0);
        fast_open(1);
        fprintf(stderr, "contexts %d of %zu\n", contexts_seen, sizeof(ways) / sizeof(ways[0]) + 2);
        return 0;
}
