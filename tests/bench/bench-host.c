/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The traced program of the benchmarks: bench-host MODE COUNT [PORT], prints nanoseconds of wall time
 * and of processor time per operation.
 *
 *      write      write(2) of 64 bytes to /dev/null
 *      get        GET on a kept-alive connection, response read
 *      body-send  send(2) of 64 bytes inside one long request body
 *      body-recv  recv(2) of 64 bytes inside one long response body
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char get_head[] =
        "GET /items/42?expand=owner&limit=20 HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1.0 (linux)\r\n"
        "Accept: application/json, text/plain, */*\r\nAccept-Encoding: gzip, deflate, br\r\n"
        "Accept-Language: en-GB,en;q=0.9\r\nCache-Control: no-cache\r\n"
        "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; tracking=no\r\n"
        "X-Request-Source: benchmark\r\nConnection: keep-alive\r\n\r\n";

static char buf[65536];

static int dial(int port)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
        int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
                exit(2);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return fd;
}

static void bench_write(unsigned long count, int port)
{
        int fd = open("/dev/null", O_WRONLY);

        while (count--)
                if (write(fd, buf, 64) != 64)
                        exit(2);
}

static void read_answer(int fd)
{
        size_t have = 0;

        /* Head and 200 bytes of body have a fixed size. */
        while (have < 65 + 200) {
                ssize_t n = recv(fd, buf, sizeof(buf), 0);

                if (n <= 0)
                        exit(2);
                have += (size_t)n;
        }
}

static void bench_get(unsigned long count, int port)
{
        int fd = dial(port);

        while (count--) {
                if (send(fd, get_head, sizeof(get_head) - 1, 0) <= 0)
                        exit(2);
                read_answer(fd);
        }
        close(fd);
}

static void bench_body_send(unsigned long count, int port)
{
        int fd = dial(port);
        int len = snprintf(buf, sizeof(buf), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %lu\r\n\r\n",
                           count * 64);

        if (send(fd, buf, (size_t)len, 0) != len)
                exit(2);
        while (count--)
                if (send(fd, buf, 64, 0) != 64)
                        exit(2);
        read_answer(fd);
        close(fd);
}

static void bench_body_recv(unsigned long count, int port)
{
        int fd = dial(port);
        int len = snprintf(buf, sizeof(buf), "GET /big/%lu HTTP/1.1\r\nHost: a\r\n\r\n", count * 64);

        if (send(fd, buf, (size_t)len, 0) != len)
                exit(2);
        while (count--)
                if (recv(fd, buf, 64, MSG_WAITALL) != 64)
                        exit(2);
        close(fd);
}

static double ns_of(clockid_t clock)
{
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*run)(unsigned long count, int port);
        } modes[] = {{"write", bench_write},
                     {"get", bench_get},
                     {"body-send", bench_body_send},
                     {"body-recv", bench_body_recv}};
        unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
        int port = argc > 3 ? atoi(argv[3]) : 0;

        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
                double wall, cpu;

                if (argc < 3 || strcmp(argv[1], modes[i].name) != 0)
                        continue;
                wall = ns_of(CLOCK_MONOTONIC);
                cpu = ns_of(CLOCK_PROCESS_CPUTIME_ID);
                modes[i].run(count, port);
                printf("%.1f %.1f\n", (ns_of(CLOCK_MONOTONIC) - wall) / (double)count,
                       (ns_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)count);
                return 0;
        }
        fprintf(stderr, "usage: bench-host write|get|body-send|body-recv COUNT [PORT]\n");
        return 1;
}
