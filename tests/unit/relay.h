/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of the relay: the real program, started as a traced one would do it, and clients of it. */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "agent/ring/handover.h"
#include "tests/unit/client.h"
#include "tests/unit/collector.h"
#include "tests/unit/settings.h"

struct relay {
        struct settings settings;
        struct sockaddr_un name;
        socklen_t name_len;
        pid_t pid;
        unsigned nofile; /* RLIMIT_NOFILE of the relay, 0 = as it is */
        int keeper; /* a client that says nothing: until it goes, the relay stays however slow the test is */
        struct collector *collector;
};

/* A name of this test's own, bound and listening as the first program would do it. Return: -1 if taken. */
static inline int relay_listen(struct relay *relay)
{
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        int n = snprintf(relay->name.sun_path + 1, sizeof(relay->name.sun_path) - 1, "otel-test-%d",
                         getpid());

        relay->name.sun_family = AF_UNIX;
        relay->name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
        ck_assert_int_ge(fd, 0);
        if (bind(fd, (struct sockaddr *)&relay->name, relay->name_len) < 0) {
                ck_assert_int_eq(errno, EADDRINUSE);
                close(fd);
                return -1;
        }
        ck_assert_int_eq(listen(fd, 4096), 0);
        return fd;
}

static inline void relay_exec(struct relay *relay, int listen_fd)
{
        const char *path = getenv("OTEL_RELAY");
        char *argv[] = {"otel-relay", NULL};

        ck_assert_msg(path != NULL, "OTEL_RELAY names the program under test");
        relay->pid = fork();
        ck_assert_int_ge(relay->pid, 0);
        if (relay->pid > 0)
                return;
        if (dup2(listen_fd, RELAY_LISTEN_FD) != RELAY_LISTEN_FD || fcntl(RELAY_LISTEN_FD, F_SETFD, 0) < 0)
                _exit(99);
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (dup2(open("/dev/null", O_RDWR | O_CLOEXEC), fd) != fd)
                        _exit(97);
        if (relay->nofile && setrlimit(RLIMIT_NOFILE, &(struct rlimit){relay->nofile, relay->nofile}) < 0)
                _exit(96);
        setsid();
        execve(path, argv, relay->settings.envp);
        _exit(98);
}

/* Return: a connected socket, or -1 when nobody listens. */
static inline int client_connect(const struct relay *relay)
{
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        ck_assert_int_ge(fd, 0);
        if (connect(fd, (const struct sockaddr *)&relay->name, relay->name_len) == 0)
                return fd;
        ck_assert_int_eq(errno, ECONNREFUSED);
        close(fd);
        return -1;
}

static inline void relay_start(struct relay *relay)
{
        int fd = relay_listen(relay);

        ck_assert_int_ge(fd, 0);
        relay->keeper = client_connect(relay);
        ck_assert_int_ge(relay->keeper, 0);
        relay_exec(relay, fd);
        close(fd);
}

static inline void relay_release(struct relay *relay)
{
        if (relay->keeper > 0)
                close(relay->keeper);
        relay->keeper = -1;
}

static inline void relay_with_collector(struct relay *relay, const char *linger_ms)
{
        relay->collector = collector_start(0, NULL, 0);
        setting_port(&relay->settings, collector_port(relay->collector));
        setting(&relay->settings, "OTEL_INSTRUMENT_RELAY_LINGER", linger_ms);
        relay_start(relay);
}

/* Waits for the end of a child of ours. Return: its status. */
static inline int child_end(pid_t pid)
{
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        int status = -1;

        ck_assert_int_eq(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, DEADLINE_MS), 1);
        close(pidfd);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return status;
}

static inline void relay_expect_end(struct relay *relay)
{
        int status;

        relay_release(relay);
        status = child_end(relay->pid);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
        if (relay->collector)
                collector_stop(relay->collector);
}

static inline ssize_t send_with_fds(int fd, const void *bytes, size_t len, const int *fds, unsigned fd_count)
{
        union {
                char bytes[CMSG_SPACE(8 * sizeof(int))];
                struct cmsghdr align;
        } control = {{0}};
        struct iovec iov = {(void *)(uintptr_t)bytes, len};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

        if (fd_count) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
                *CMSG_FIRSTHDR(&message) = (struct cmsghdr){
                        .cmsg_len = CMSG_LEN(fd_count * sizeof(int)),
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                };
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, fd_count * sizeof(int));
        }
        return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static inline void client_hand_over(int fd, const struct ring *ring, int tty_fd)
{
        struct handover handover = {
                .magic = HANDOVER_MAGIC,
                .version = HANDOVER_VERSION,
                .flags = tty_fd >= 0 ? HANDOVER_STDERR : 0,
                .pid = (uint32_t)getpid(),
        };
        const int fds[] = {ring->fd, tty_fd};

        ck_assert_int_eq(send_with_fds(fd, &handover, sizeof(handover), fds, tty_fd >= 0 ? 2 : 1),
                         sizeof(handover));
}
