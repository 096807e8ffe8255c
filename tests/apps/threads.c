/* SPDX-License-Identifier: Apache-2.0 */
/* threads ACT PORT: programs whose threads are small, many, interrupted, cancelled or left alone. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"

#define MANY        4
#define EACH        1000
#define SMALL_STACK ((size_t)16384)
#define MEASURED    (256 * 1024)
#define PATTERN     0xa5
#define INTERRUPTED 200
#define CANCELLED   40
#define ABANDONED   300
#define LEFT_READS  5
#define TOO_MUCH    (8 << 20)

struct job {
        const struct scene *scene;
        const char *path;
        int count, answered;
};

static void *keep_asking(void *data)
{
        struct job *job = data;
        int fd = dial(job->scene->port);

        for (int i = 0; i < job->count; i++)
                job->answered += ask(fd, job->path);
        close(fd);
        return NULL;
}

static int in_threads(const struct scene *scene, const char *path, int count, size_t stack)
{
        struct job jobs[MANY];
        pthread_t threads[MANY];
        pthread_attr_t attributes;
        int answered = 0;

        pthread_attr_init(&attributes);
        if (stack && pthread_attr_setstacksize(&attributes, stack) != 0)
                return -1;
        for (int i = 0; i < MANY; i++) {
                jobs[i] = (struct job){scene, path, count, 0};
                if (pthread_create(&threads[i], &attributes, keep_asking, &jobs[i]) != 0)
                        return -1;
        }
        for (int i = 0; i < MANY; i++) {
                pthread_join(threads[i], NULL);
                answered += jobs[i].answered;
        }
        pthread_attr_destroy(&attributes);
        return answered;
}

static int many(const struct scene *scene)
{
        return in_threads(scene, "/many", EACH, 0);
}

static int small(const struct scene *scene)
{
        return in_threads(scene, "/small", 10, SMALL_STACK);
}

/* How much stack a thread has used that did what programs do; told on stderr. */
static int stack(const struct scene *scene)
{
        unsigned char *memory =
                mmap(NULL, MEASURED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct job jobs[] = {{scene, "/first", 1, 0}, {scene, "/measured", 5, 0}};
        pthread_attr_t attributes;
        size_t untouched = 0;
        pthread_t thread;

        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, memory, MEASURED);
        for (int i = 0; i < 2; i++) {
                memset(memory, PATTERN, MEASURED);
                if (pthread_create(&thread, &attributes, keep_asking, &jobs[i]) != 0)
                        return -1;
                pthread_join(thread, NULL);
                for (untouched = 0; memory[untouched] == PATTERN; untouched++)
                        ;
                fprintf(stderr, "%s %zu\n", jobs[i].path, MEASURED - untouched);
        }
        return jobs[0].answered + jobs[1].answered;
}

/* --- signals --- */

static int nested_fd, pipes[2], unread[2];
static volatile sig_atomic_t ticks, nested_answered;

/* Writes wherever it can, and makes a request of its own on a connection of its own now and then. */
static void on_tick(int number)
{
        int error = errno;

        if (write(pipes[1], "t", 1) < 0 || send(unread[0], "t", 1, MSG_DONTWAIT) < 0)
                errno = 0; /* full */
        if (++ticks % 8 == 0)
                nested_answered += ask(nested_fd, "/nested");
        errno = error;
}

static int interrupted(const struct scene *scene)
{
        struct sigaction action = {.sa_handler = on_tick};
        struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
        int fd = dial(scene->port), answered = 0;

        nested_fd = dial(scene->port);
        if (pipe2(pipes, O_NONBLOCK) != 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, unread) != 0)
                return -1;
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &often, NULL);
        for (int i = 0; i < INTERRUPTED; i++)
                answered += ask(fd, "/interrupted");
        setitimer(ITIMER_REAL, &never, NULL);
        if (ticks < 8 || nested_answered != ticks / 8)
                printf("%d ticks, %d answers in the handler\n", (int)ticks, (int)nested_answered);
        close(nested_fd);
        close(fd);
        return answered;
}

/* A handler that never returns: the request under way is left where it was. */
static sigjmp_buf back;

static void jump(int number)
{
        siglongjmp(back, 1);
}

static int jumped(const struct scene *scene)
{
        struct sigaction action = {.sa_handler = jump};
        struct itimerval soon = {{0, 0}, {0, 3000}}, never = {{0, 0}, {0, 0}};
        volatile int fd = -1;
        volatile int jumps = 0;

        if (!ask_once(scene->port, "/before"))
                return -1;
        sigaction(SIGALRM, &action, NULL);
        for (volatile int i = 0; i < 50; i++) {
                fd = dial(scene->port);
                if (sigsetjmp(back, 1) == 0) {
                        soon.it_value.tv_usec = 500 + 100 * i;
                        setitimer(ITIMER_REAL, &soon, NULL);
                        for (;;)
                                if (!ask(fd, "/jumped"))
                                        return -1;
                }
                setitimer(ITIMER_REAL, &never, NULL);
                jumps++;
                close(fd);
        }
        return ask_once(scene->port, "/after") + ask_once(scene->port, "/after") + jumps;
}

/* --- sends that never return --- */

/* Nobody reads what is sent there. */
static int deaf_listener(in_port_t *ret_port)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(at);
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, ABANDONED) != 0 ||
            getsockname(fd, (struct sockaddr *)&at, &len) != 0)
                exit(3);
        *ret_port = ntohs(at.sin_port);
        return fd;
}

/* A request that does not fit between the two of them. */
static void send_too_much(int fd)
{
        static char text[TOO_MUCH] =
                "POST /too-much HTTP/1.1\r\nHost: here\r\nContent-Length: 99999999\r\n\r\n";

        for (;;)
                if (send(fd, text, sizeof(text), MSG_NOSIGNAL) != sizeof(text))
                        exit(3);
}

/* Many sends are left by a handler's jump, and their connections closed. */
static int abandoned(const struct scene *scene)
{
        struct sigaction action = {.sa_handler = jump};
        struct itimerval soon = {{0, 0}, {0, 2000}};
        in_port_t port;
        int listener = deaf_listener(&port), answered = ask_once(scene->port, "/before");

        sigaction(SIGALRM, &action, NULL);
        for (volatile int i = 0; i < ABANDONED; i++) {
                volatile int fd = dial(port);

                if (sigsetjmp(back, 1) == 0) {
                        setitimer(ITIMER_REAL, &soon, NULL);
                        send_too_much(fd);
                }
                close(fd);
        }
        close(listener);
        return answered + ask_once(scene->port, "/after");
}

/* --- reads that never return --- */

/* A handler jumps out while the answer is waited for, many times: then it is read after all. */
static int abandoned_reads(const struct scene *scene)
{
        struct sigaction action = {.sa_handler = jump};
        struct itimerval soon = {{0, 0}, {0, 2000}};
        volatile int answered = 0;
        int fd = dial(scene->port);

        sigaction(SIGALRM, &action, NULL);
        for (volatile int i = 0; i < 3; i++) {
                volatile int left = 0;

                if (ask_send(fd, "/slow") != 0)
                        return -1;
                while (left++ < LEFT_READS)
                        if (sigsetjmp(back, 1) == 0) {
                                setitimer(ITIMER_REAL, &soon, NULL);
                                answered -= ask_answer(fd) > 0; /* must not be there yet */
                        }
                answered += ask_answer(fd) == 200;
        }
        close(fd);
        return answered;
}

/* --- cancellation --- */

static void close_it(void *fd)
{
        close((int)(intptr_t)fd);
}

static _Atomic pid_t asker; /* 0: not begun */

static void *ask_until_cancelled(void *data)
{
        const struct job *job = data;
        int fd = dial(job->scene->port);

        asker = gettid();
        pthread_cleanup_push(close_it, (void *)(intptr_t)fd);
        for (;;)
                if (!ask(fd, job->path))
                        break;
        pthread_cleanup_pop(1);
        return NULL;
}

struct parcel {
        int fd;
        bool closed_by_itself;
};

static void *send_until_cancelled(void *data)
{
        const struct parcel *parcel = data;

        pthread_cleanup_push(close_it, (void *)(intptr_t)(parcel->closed_by_itself ? parcel->fd : -1));
        send_too_much(parcel->fd);
        pthread_cleanup_pop(1);
        return NULL;
}

/* In the midst of their sends; the connection is closed by the thread in its end, or by the one that joins
 * it. */
static int cancelled_sends(const struct scene *scene)
{
        in_port_t port;
        int listener = deaf_listener(&port), answered = ask_once(scene->port, "/before"), ends = 0;

        for (int i = 0; i < ABANDONED; i++) {
                struct parcel parcel = {dial(port), i % 2};
                pthread_t thread;
                void *result;

                pthread_create(&thread, NULL, send_until_cancelled, &parcel);
                usleep(500);
                pthread_cancel(thread);
                pthread_join(thread, &result);
                ends += result == PTHREAD_CANCELED;
                if (!parcel.closed_by_itself)
                        close(parcel.fd);
        }
        close(listener);
        printf("%d cancelled\n", ends);
        return answered + ask_once(scene->port, "/after");
}

/* Until the thread waits for its answer. */
static void await_answer(void)
{
        while (!asker)
                sched_yield();
        await_call(asker, SYS_recvfrom);
}

static void *read_until_cancelled(void *data)
{
        asker = gettid();
        (void)ask_answer(*(int *)data);
        return NULL;
}

/* While it waits for the answer, which another thread then reads. */
static int cancelled_reads(const struct scene *scene)
{
        int fd = dial(scene->port), answered = 0;

        for (int i = 0; i < 3; i++) {
                pthread_t thread;

                asker = 0;
                if (ask_send(fd, "/slow") != 0)
                        return -1;
                pthread_create(&thread, NULL, read_until_cancelled, &fd);
                await_answer();
                pthread_cancel(thread);
                pthread_join(thread, NULL);
                answered += ask_answer(fd) == 200;
        }
        close(fd);
        return answered;
}

static int cancelled(const struct scene *scene)
{
        struct job held = {scene, "/hold", 0, 0}, busy = {scene, "/busy", 0, 0};
        int ends = 0;

        for (int i = 0; i < CANCELLED; i++) {
                pthread_t thread;
                void *result;

                pthread_create(&thread, NULL, ask_until_cancelled, i ? &busy : &held);
                if (i)
                        usleep(200 * (useconds_t)i); /* somewhere in it */
                else
                        await_answer();
                pthread_cancel(thread);
                pthread_join(thread, &result);
                ends += result == PTHREAD_CANCELED;
        }
        printf("%d cancelled\n", ends);
        return ask_once(scene->port, "/after") + ask_once(scene->port, "/after");
}

/* --- the end --- */

static void *outlive(void *data)
{
        struct job *job = data;

        pthread_join((pthread_t)(uintptr_t)job->path, NULL);
        for (int i = 0; i < 3; i++)
                job->answered += ask_once(job->scene->port, "/outlived");
        printf("%d after main\n", job->answered);
        return NULL;
}

/* main is over, its last thread makes requests and returns: then the process ends by itself. */
static int main_ends(const struct scene *scene)
{
        static struct job job;
        static struct scene kept;
        pthread_t thread;

        kept = *scene;
        job = (struct job){&kept, (const char *)(uintptr_t)pthread_self(), 0, 0};
        printf("%d before\n", ask_once(scene->port, "/main"));
        pthread_create(&thread, NULL, outlive, &job);
        pthread_detach(thread);
        pthread_exit(NULL);
}

static int main_ends_alone(const struct scene *scene)
{
        printf("%d before\n", ask_once(scene->port, "/main"));
        pthread_exit(NULL);
}

static void *fork_here(void *data)
{
        struct job *job = data;
        pid_t pid = fork();
        int status = -1;

        if (pid == 0) {
                if (ask_once(job->scene->port, "/child"))
                        return NULL; /* its only thread: the process ends by itself */
                _exit(1);
        }
        waitpid(pid, &status, 0);
        job->answered = status == 0;
        return NULL;
}

static int fork_in_thread(const struct scene *scene)
{
        struct job job = {scene, "", 0, ask_once(scene->port, "/before")};
        int answered = job.answered;
        pthread_t thread;

        pthread_create(&thread, NULL, fork_here, &job);
        pthread_join(thread, NULL);
        return answered + job.answered + ask_once(scene->port, "/after");
}

static int count(const struct scene *scene)
{
        int answered = ask_once(scene->port, "/count");
        FILE *file = fopen("/proc/self/status", "r");
        char line[256];

        while (file && fgets(line, sizeof(line), file))
                if (strncmp(line, "Threads:", 8) == 0 || strncmp(line, "SigBlk:", 7) == 0 ||
                    strncmp(line, "SigCgt:", 7) == 0 || strncmp(line, "SigIgn:", 7) == 0)
                        fputs(line, stdout);
        if (file)
                fclose(file);
        return answered + ask_once(scene->port, "/count");
}

static const struct act acts[] = {
        {"many", many},
        {"small", small},
        {"stack", stack},
        {"interrupted", interrupted},
        {"jumped", jumped},
        {"cancelled", cancelled},
        {"abandoned", abandoned},
        {"cancelled-sends", cancelled_sends},
        {"abandoned-reads", abandoned_reads},
        {"cancelled-reads", cancelled_reads},
        {"main-ends", main_ends},
        {"main-ends-alone", main_ends_alone},
        {"fork", fork_in_thread},
        {"count", count},
};
ACT_MAIN(acts)
