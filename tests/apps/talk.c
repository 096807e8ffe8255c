/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk PORT: makes requests as it is told. A line on stdin is "PATH COUNT"; that many requests for
 * the path go out on one kept connection, then it says how many were answered by 200.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "act.h"

static unsigned ask_many(in_port_t port, const char *path, unsigned count)
{
        char text[512];
        int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", path, port);
        int fd = dial(port);
        unsigned good = 0;

        for (unsigned i = 0; fd >= 0 && i < count && send(fd, text, (size_t)len, 0) == len; i++)
                good += ask_answer(fd) == 200;
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
                printf("%u answered\n", ask_many(port, path, count));
                fflush(stdout);
        }
        return 0;
}
