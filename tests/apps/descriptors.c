/* SPDX-License-Identifier: Apache-2.0 */
/* descriptors ACT PORT: programs that do with descriptors what programs do. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"

#define HIGH       60000
#define SWEPT_TO   65535
#define COVERED_TO 1100
#define STORM      150
#define FEW        16
#define SPARE      3
#define FAKE       "GET /fake HTTP/1.1\r\nHost: nowhere\r\n\r\n"

/* At most @soft descriptors, or as many as are allowed. Return: how many. */
static int limit_to(rlim_t soft)
{
        struct rlimit limit, more = {soft, soft};

        if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
                exit(3);
        limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
        if ((soft <= limit.rlim_max || setrlimit(RLIMIT_NOFILE, &more) != 0) &&
            setrlimit(RLIMIT_NOFILE, &limit) != 0)
                exit(3);
        return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (int)limit.rlim_cur : 0;
}

static int scratch_file(void)
{
        char name[] = "scratch-XXXXXX";
        int fd = mkstemp(name);

        if (fd < 0 || unlink(name) != 0)
                exit(3);
        return fd;
}

static void print_size(int fd)
{
        struct stat st;

        printf("file of %ld bytes\n", fstat(fd, &st) == 0 ? (long)st.st_size : -1);
}

/* --- high numbers --- */

static int high(const struct scene *scene)
{
        int fd, high_fd, answered = 0, highest = limit_to(HIGH + 1) - 1;
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(scene->port)};

        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = dial(scene->port);
        high_fd = fcntl(fd, F_DUPFD, highest);
        close(fd);
        answered += ask(high_fd, "/copied") + ask(high_fd, "/again");
        close(high_fd);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        high_fd = fcntl(fd, F_DUPFD_CLOEXEC, highest);
        close(fd);
        if (connect(high_fd, (struct sockaddr *)&to, sizeof(to)) == 0)
                answered += ask(high_fd, "/connected");
        printf("number %d\n", high_fd);
        return answered;
}

/* --- sweeps --- */

static int close_loop(void)
{
        int closed = 0;

        for (int fd = 3; fd <= SWEPT_TO; fd++)
                closed += close(fd) == 0;
        return closed;
}

static int close_loop_raw(void)
{
        int closed = 0;

        for (int fd = 3; fd <= SWEPT_TO; fd++)
                closed += syscall(SYS_close, fd) == 0;
        return closed;
}

static int close_from(void)
{
        closefrom(3);
        return 0;
}

static int close_ranges(void)
{
        return close_range(3, ~0u, 0);
}

static int close_ranges_raw(void)
{
        return (int)syscall(SYS_close_range, 3, ~0u, 0);
}

/* As many programs do it: whatever the kernel lists. */
static int close_listed(void)
{
        DIR *listing = opendir("/proc/self/fd");
        struct dirent *entry;
        int closed = 0;

        while (listing && (entry = readdir(listing))) {
                int fd = atoi(entry->d_name);

                if (fd > 2 && fd != dirfd(listing))
                        closed += close(fd) == 0;
        }
        closedir(listing);
        return closed;
}

static const struct {
        const char *name;
        int (*sweep)(void);
} sweeps[] = {
        {"closefrom", close_from},       {"loop", close_loop},
        {"raw-loop", close_loop_raw},    {"range", close_ranges},
        {"raw-range", close_ranges_raw}, {"listed", close_listed},
};

static int sweep(const struct scene *scene)
{
        int answered = 0;
        size_t chosen = 0;

        while (strcmp(sweeps[chosen].name, scene->more) != 0)
                if (++chosen == sizeof(sweeps) / sizeof(sweeps[0]))
                        return -1;
        for (int i = 0; i < 3; i++) {
                int fd = dial(scene->port);

                answered += ask(fd, "/before");
                printf("swept %d\n", sweeps[chosen].sweep());
                printf("open after it: %d\n", fcntl(fd, F_GETFD));
                answered += ask_once(scene->port, "/after");
        }
        return answered;
}

/* @what of the host's under every number while a request is under way. */
static int cover(const struct scene *scene, int what)
{
        int fd, moved, wrong = 0, answered = 0;

        (void)limit_to(4096);
        fd = dial(scene->port);
        moved = fcntl(fd, F_DUPFD, COVERED_TO + 100);
        close(fd);
        answered += ask(moved, "/first");
        if (ask_send(moved, "/under-way") != 0)
                return -1;
        for (int to = 3; to <= COVERED_TO; to++)
                if (to != what)
                        wrong += dup2(what, to) != to;
        printf("%d were not covered\n", wrong);
        answered += ask_answer(moved) == 200;
        for (int i = 0; i < 5; i++)
                answered += ask_once(scene->port, "/after");
        for (int to = 3; to <= COVERED_TO; to++) {
                struct stat covered, meant;

                if (fstat(to, &covered) != 0 || fstat(what, &meant) != 0 || covered.st_ino != meant.st_ino)
                        wrong++;
        }
        printf("%d are not the host's\n", wrong);
        return answered + ask(moved, "/last");
}

static int cover_file(const struct scene *scene)
{
        int file = scratch_file();
        int answered = cover(scene, file);

        print_size(file);
        return answered;
}

static int cover_socket(const struct scene *scene)
{
        int pair[2], answered;
        char byte;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
                return -1;
        pair[0] = fcntl(pair[0], F_DUPFD, COVERED_TO + 1);
        answered = cover(scene, pair[1]);
        printf("from the other end: %zd, %s\n", recv(pair[0], &byte, 1, MSG_DONTWAIT), strerror(errno));
        return answered;
}

/* --- one connection, several numbers --- */

static int peek(const struct scene *scene)
{
        int fd = dial(scene->port), answered = 0;
        char bytes[64];

        for (int i = 0; i < 3; i++) {
                if (ask_send(fd, "/peek") != 0)
                        break;
                for (size_t len = 1; len <= sizeof(bytes); len *= 4)
                        if (recv(fd, bytes, len, MSG_PEEK) <= 0)
                                return -1;
                answered += ask_answer(fd) == 200;
        }
        close(fd);
        return answered;
}

static int copies(const struct scene *scene)
{
        int fd = dial(scene->port), answered;
        int copy = dup(fd), other;

        close(fd);
        answered = ask(copy, "/copy");
        other = fcntl(copy, F_DUPFD_CLOEXEC, 100);
        if (ask_send(copy, "/sent-on-one") != 0)
                return -1;
        close(copy);
        answered += ask_answer(other) == 200;
        answered += ask(dup2(other, 200), "/copied-again") + ask(other, "/still");
        close(200);
        answered += ask(other, "/until-the-end");
        close(other);
        return answered;
}

static int pass_on(int from, int to, int fd)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control = {.room = {0}};
        char byte = 'x';
        struct iovec iov = {&byte, 1};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = control.room,
                                 .msg_controllen = sizeof(control.room)};

        control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        if (sendmsg(from, &message, 0) != 1)
                return -1;
        close(fd);
        message.msg_controllen = sizeof(control.room);
        if (recvmsg(to, &message, 0) != 1 || message.msg_controllen < CMSG_LEN(sizeof(int)))
                return -1;
        memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
        return fd;
}

/* A connection that arrives under a number which another had before. */
static int passed(const struct scene *scene)
{
        int pair[2], answered = 0, fd;

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
                return -1;
        for (int i = 0; i < 3; i++) {
                fd = dial(scene->port);
                answered += ask(fd, "/before");
                fd = pass_on(pair[0], pair[1], fd);
                answered += ask(fd, "/passed") + ask(fd, "/passed");
                close(fd);
        }
        return answered + ask_once(scene->port, "/after");
}

/* --- numbers that mean something else --- */

static void write_look_alike(int fd, const char *how)
{
        int file = scratch_file();

        if (file != fd)
                printf("%s: not the same number\n", how);
        if (write(file, FAKE, strlen(FAKE)) != (ssize_t)strlen(FAKE))
                printf("%s: not written\n", how);
        printf("%s: ", how);
        print_size(file);
        close(file);
}

static int reused(const struct scene *scene)
{
        int fd, answered = 0;
        FILE *stream;

        fd = dial(scene->port);
        answered += ask(fd, "/close");
        close(fd);
        write_look_alike(fd, "close");
        fd = dial(scene->port);
        answered += ask(fd, "/fclose");
        fclose(fdopen(fd, "r+"));
        write_look_alike(fd, "fclose");
        fd = dial(scene->port);
        answered += ask(fd, "/freopen");
        stream = freopen("/dev/null", "r", fdopen(fd, "r+"));
        fclose(stream);
        write_look_alike(fd, "freopen");
        fd = dial(scene->port);
        answered += ask(fd, "/syscall");
        syscall(SYS_close, fd);
        write_look_alike(fd, "syscall");
        fd = dial(scene->port);
        answered += ask(fd, "/range");
        close_range((unsigned)fd, (unsigned)fd, 0);
        write_look_alike(fd, "close_range");
        fd = dial(scene->port);
        answered += ask(fd, "/shared");
        close_range((unsigned)fd, (unsigned)fd, CLOSE_RANGE_UNSHARE);
        write_look_alike(fd, "close_range unshare");
        fd = dial(scene->port);
        answered += ask(fd, "/cloexec");
        close_range((unsigned)fd, (unsigned)fd, CLOSE_RANGE_CLOEXEC);
        answered += ask(fd, "/open-still");
        close(fd);
        return answered;
}

static void *storm_thread(void *data)
{
        const struct scene *scene = data;
        long answered = 0;

        for (int i = 0; i < STORM; i++) {
                answered += ask_once(scene->port, "/storm");
                close(dial(scene->port));
        }
        return (void *)answered;
}

static int storm(const struct scene *scene)
{
        pthread_t threads[2];
        int answered = 0;
        void *result;

        for (int i = 0; i < 2; i++)
                pthread_create(&threads[i], NULL, storm_thread, (void *)(uintptr_t)scene);
        for (int i = 0; i < 2; i++) {
                pthread_join(threads[i], &result);
                answered += (int)(long)result;
        }
        return answered;
}

/* --- few numbers --- */

/* How many more can be opened, which are all closed again. */
static int left_over(void)
{
        int count = 0, first = open("/dev/null", O_RDONLY), last = first;

        for (int fd = first; fd >= 0; fd = dup(first), count++)
                last = fd > last ? fd : last;
        for (int fd = first; fd >= 0 && fd <= last; fd++)
                close(fd);
        return count;
}

static int few(const struct scene *scene)
{
        int answered = 0;

        (void)limit_to(FEW);
        for (int i = 0; i < 5; i++)
                answered += ask_once(scene->port, "/few");
        return answered;
}

/* All numbers but a few are taken before the first request: the few are still the host's after it. */
static int spare(const struct scene *scene)
{
        int answered = 0, fds[SPARE];

        (void)limit_to(64);
        for (int count = left_over(); count > SPARE; count--)
                if (open("/dev/null", O_RDONLY) < 0)
                        return -1;
        for (int i = 0; i < 3; i++) {
                answered += ask_once(scene->port, "/spare");
                for (int j = 0; j < SPARE; j++)
                        printf("%s ",
                               (fds[j] = open("/dev/null", O_RDONLY)) >= 0 ? "opened" : strerror(errno));
                printf("and %s\n", open("/dev/null", O_RDONLY) < 0 ? strerror(errno) : "one too many");
                for (int j = 0; j < SPARE; j++)
                        close(fds[j]);
        }
        return answered;
}

static const struct act acts[] = {
        {"high", high},   {"sweep", sweep},   {"cover-file", cover_file}, {"cover-socket", cover_socket},
        {"peek", peek},   {"copies", copies}, {"passed", passed},         {"reused", reused},
        {"storm", storm}, {"few", few},       {"spare", spare},
};
ACT_MAIN(acts)
