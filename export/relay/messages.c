/* SPDX-License-Identifier: Apache-2.0 */
#include "export/relay/messages.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "agent/base/log.h"

void messages_start(struct messages *messages, const struct config *config)
{
        struct log_target target = {.level = (enum log_level)config->log_level, .fd = -1};
        int fds[2] = {-1, -1};

        if (*config->log_file)
                target.path = config->log_file;
        else if (target.level != LOG_NONE && pipe2(fds, O_CLOEXEC | O_NONBLOCK | O_DIRECT) == 0)
                target.fd = fds[1]; /* O_DIRECT: a line is a packet */
        messages->read_fd = fds[0];
        messages->write_fd = fds[1];
        log_set_target(target);
}

/* A full or closed pipe, or a terminal that was stopped, must not hold the relay. */
static bool takes_line(int fd)
{
        struct pollfd p = {.fd = fd, .events = POLLOUT};

        return poll(&p, 1, 0) == 1 && p.revents == POLLOUT;
}

void messages_forward(struct messages *messages, const struct worker *worker)
{
        char line[PIPE_BUF];
        ssize_t n;
        int tty_fd;

        if (messages->read_fd < 0)
                return;
        tty_fd = worker_tty(worker);
        if (tty_fd < 0)
                return;
        while ((n = read(messages->read_fd, line, sizeof(line))) > 0)
                if (takes_line(tty_fd))
                        (void)!write(tty_fd, line, (size_t)n); /* a message nobody takes is lost */
}
