/* SPDX-License-Identifier: Apache-2.0 */
/* families ACT PORT: programs that make other processes, in every way there is. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"

#define BUSY_THREADS  3
#define BUSY_CHILDREN 40
#define STORM         2000
#define STORM_ASKS    50 /* every so many makes a request */
#define REAPED        30
#define NOBODY        65534

/* Status of a child as a word. Return: 1 when it ended with 0. */
static int ended_well(pid_t pid)
{
        int status = -1;

        if (pid < 0)
                return 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return status == 0;
}

static void ask_and_end(const struct scene *scene, const char *path)
{
        _exit(ask_once(scene->port, path) ? 0 : 1);
}

/* --- fork --- */

static void *be_busy(void *data)
{
        const struct scene *scene = data;
        long answered = 0;
        int fd = dial(scene->port);

        for (int i = 0; i < BUSY_CHILDREN; i++)
                answered += ask(fd, "/thread");
        close(fd);
        return (void *)answered;
}

static int busy(const struct scene *scene)
{
        pthread_t threads[BUSY_THREADS];
        pid_t pids[BUSY_CHILDREN];
        int answered = 0;
        void *result;

        for (int i = 0; i < BUSY_THREADS; i++)
                pthread_create(&threads[i], NULL, be_busy, (void *)scene);
        for (int i = 0; i < BUSY_CHILDREN; i++) {
                pids[i] = fork();
                if (pids[i] == 0)
                        ask_and_end(scene, "/child");
        }
        for (int i = 0; i < BUSY_CHILDREN; i++)
                answered += ended_well(pids[i]);
        for (int i = 0; i < BUSY_THREADS; i++) {
                pthread_join(threads[i], &result);
                answered += (int)(long)result;
        }
        return answered;
}

/* Children that libc's fork handlers know nothing of. */
static pid_t raw_clone(void)
{
        return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static pid_t raw_fork(void)
{
#ifdef SYS_fork
        return (pid_t)syscall(SYS_fork);
#else
        return raw_clone();
#endif
}

/* Not even syscall(3). */
static pid_t rawest_fork(void)
{
#ifdef __x86_64__
        long result = SYS_fork;

        __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
        return (pid_t)result;
#else
        return raw_clone();
#endif
}

static pid_t under_fork(void)
{
        return _Fork();
}

static int raw(const struct scene *scene)
{
        pid_t (*const ways[])(void) = {raw_clone, raw_fork, rawest_fork, under_fork, fork};
        int answered = ask_once(scene->port, "/parent");

        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                pid_t pid = ways[i]();

                if (pid == 0)
                        ask_and_end(scene, "/child");
                answered += ended_well(pid) + ask_once(scene->port, "/parent");
        }
        return answered;
}

/* Each goes on with the connection that the parent has, one after the other. */
static int inherited(const struct scene *scene)
{
        int fd = dial(scene->port), answered = ask(fd, "/parent");

        for (int i = 0; i < 3; i++) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(ask(fd, "/child") && ask(fd, "/child") ? 0 : 1);
                answered += 2 * ended_well(pid);
                answered += ask(fd, "/parent");
        }
        close(fd);
        return answered;
}

static int deep(const struct scene *scene, int generations)
{
        pid_t pid;

        if (!generations)
                return ask_once(scene->port, "/leaf");
        if (!ask_once(scene->port, "/node"))
                return 0;
        pid = fork();
        if (pid == 0)
                _exit(deep(scene, generations - 1) ? 0 : 1);
        return ended_well(pid);
}

static int generations(const struct scene *scene)
{
        return deep(scene, 5);
}

/* The parent is gone before its grandchild goes on: nobody else holds the pipe. */
static int daemonized(const struct scene *scene)
{
        int answered = ask_once(scene->port, "/first"), pipes[2];
        pid_t pid;
        char byte;

        if (pipe(pipes) != 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                setsid();
                if (fork() != 0)
                        _exit(0);
                close(pipes[1]);
                if (read(pipes[0], &byte, 1) == 0)
                        printf("%d answered\n", 1 + ask_once(scene->port, "/daemon"));
                exit(0);
        }
        ended_well(pid);
        printf("to the background\n");
        return answered;
}

static int daemon_call(const struct scene *scene)
{
        int answered = ask_once(scene->port, "/first");

        if (daemon(1, 1) != 0)
                return -1;
        return answered + ask_once(scene->port, "/daemon");
}

static int storm(const struct scene *scene)
{
        int answered = 0, ended = 0, fd = dial(scene->port);

        for (int i = 0; i < STORM; i++) {
                pid_t pid;

                if (i % STORM_ASKS == 0)
                        answered += ask(fd, "/parent");
                pid = fork();
                if (pid == 0) {
                        if (i % STORM_ASKS == 1)
                                ask_and_end(scene, "/child");
                        _exit(0);
                }
                ended += ended_well(pid);
        }
        close(fd);
        printf("%d ended\n", ended);
        return answered;
}

/* --- other programs: this one, asking once --- */

static int once(const struct scene *scene)
{
        return ask_once(scene->port, scene->more);
}

static pid_t start_vfork(const struct scene *scene, char **argv)
{
        pid_t pid = vfork();

        if (pid == 0) {
                execv(scene->program, argv);
                _exit(127);
        }
        return pid;
}

static pid_t start_fork(const struct scene *scene, char **argv)
{
        pid_t pid = fork();

        if (pid == 0) {
                execv(scene->program, argv);
                _exit(127);
        }
        return pid;
}

static pid_t start_spawn(const struct scene *scene, char **argv)
{
        extern char **environ;
        posix_spawn_file_actions_t actions;
        pid_t pid;
        int error;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        error = posix_spawn(&pid, scene->program, &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        return error ? -1 : pid;
}

/* As Python's subprocess: in the parent's memory. */
static pid_t start_vfork_busy(const struct scene *scene, char **argv)
{
        pid_t pid = vfork();

        if (pid == 0) {
                dup2(1, 40);
                close(40);
                close_range(3, ~0u, 0);
                execv(scene->program, argv);
                _exit(127);
        }
        return pid;
}

static int programs(const struct scene *scene)
{
        pid_t (*const ways[])(const struct scene *, char **) = {start_fork, start_vfork, start_vfork_busy,
                                                                start_spawn};
        char port[16], path[] = "/program", name[] = "once", command[512], line[64] = "";
        char *argv[] = {(char *)scene->program, name, port, path, NULL};
        int fd = dial(scene->port), answered;
        FILE *stream;

        snprintf(port, sizeof(port), "%u", scene->port);
        snprintf(command, sizeof(command), "%s once %s /shell", scene->program, port);
        answered = ask(fd, "/parent");
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
                answered += ended_well(ways[i](scene, argv)) + ask(fd, "/parent");
        answered += system(command) == 0;
        stream = popen(command, "r");
        if (stream && fgets(line, sizeof(line), stream))
                printf("popen: %s", line);
        answered += pclose(stream) == 0;
        answered += ask(fd, "/parent");
        close(fd);
        return answered;
}

/* The program is replaced in the middle of everything. */
static int replaced(const struct scene *scene)
{
        char port[16];

        snprintf(port, sizeof(port), "%u", scene->port);
        printf("%d before\n", ask_once(scene->port, "/before"));
        execl(scene->program, scene->program, "once", port, "/after", NULL);
        return -1;
}

/* --- whose children? --- */

static volatile sig_atomic_t deaths;

static void on_death(int number)
{
        deaths++;
}

static int start_children(const struct scene *scene)
{
        int started = 0;

        for (int i = 0; i < REAPED; i++) {
                pid_t pid = fork();

                if (pid == 0)
                        ask_and_end(scene, "/child");
                started += pid > 0;
        }
        return started;
}

static int reap_wait(void)
{
        int status;

        return wait(&status) > 0;
}

static int reap_waitpid(void)
{
        int status;

        return waitpid(-1, &status, 0) > 0;
}

static int reap_all(void)
{
        int status;

        return waitpid(-1, &status, __WALL) > 0;
}

static int reap_waitid(void)
{
        siginfo_t info;

        return waitid(P_ALL, 0, &info, WEXITED) == 0;
}

/* Before any child of its own there is nothing to wait for, and after the last one neither. */
static int reaper(const struct scene *scene)
{
        int (*const ways[])(void) = {reap_wait, reap_waitpid, reap_all, reap_waitid};
        struct sigaction action = {.sa_handler = on_death, .sa_flags = SA_RESTART};
        int answered = 0;

        sigaction(SIGCHLD, &action, NULL);
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                int started, reaped = 0;

                answered += ask_once(scene->port, "/parent");
                printf("nobody's: %d ", ways[i]());
                printf("(%s)\n", errno == ECHILD ? "no child" : "?");
                if (deaths && !i)
                        printf("%d signals before the first child\n", (int)deaths);
                started = start_children(scene);
                while (ways[i]())
                        reaped++;
                printf("%d of %d\n", reaped, started);
        }
        if (deaths < 1 || deaths > (int)(REAPED * sizeof(ways) / sizeof(ways[0])))
                printf("%d signals\n", (int)deaths);
        return answered;
}

static _Atomic pid_t waiter; /* 0: not begun */

/* A thread that waits for whatever ends, at the very time of the first request. */
static void *wait_for_all(void *data)
{
        long *seen = data;
        siginfo_t info;

        waiter = gettid();
        while (waitid(P_ALL, 0, &info, WEXITED) == 0)
                ++*seen;
        return NULL;
}

static int watched(const struct scene *scene)
{
        pthread_t thread;
        long seen = 0;
        int answered, pipes[2];
        pid_t pid;
        char byte;

        if (pipe(pipes) != 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                close(pipes[1]);
                _exit((int)read(pipes[0], &byte, 1)); /* so that there is somebody to wait for */
        }
        pthread_create(&thread, NULL, wait_for_all, &seen);
        while (!waiter)
                sched_yield();
        await_call(waiter, SYS_waitid);
        answered = ask_once(scene->port, "/watched") + ask_once(scene->port, "/watched");
        close(pipes[1]);
        pthread_join(thread, NULL);
        printf("%ld ended\n", seen);
        return answered;
}

static int ignored(const struct scene *scene)
{
        struct sigaction action;
        int answered, status;

        signal(SIGCHLD, SIG_IGN);
        answered = ask_once(scene->port, "/parent");
        start_children(scene);
        printf("wait: %d, %s\n", wait(&status), strerror(errno));
        sigaction(SIGCHLD, NULL, &action);
        printf("%s\n", action.sa_handler == SIG_IGN ? "ignored" : "changed");
        return answered + ask_once(scene->port, "/parent");
}

/* A collector of orphans must not get ours either. */
static int subreaper(const struct scene *scene)
{
        int answered, status;

        prctl(PR_SET_CHILD_SUBREAPER, 1);
        answered = ask_once(scene->port, "/parent") + ask_once(scene->port, "/parent");
        printf("wait: %d, %s\n", waitpid(-1, &status, WNOHANG), strerror(errno));
        printf("wait: %d, %s\n", waitpid(-1, &status, WNOHANG | __WALL), strerror(errno));
        return answered;
}

/* --- another identity --- */

static int identity(const struct scene *scene)
{
        int answered = ask_once(scene->port, "/root");
        pid_t pid;

        printf("groups %d\n", setgroups(0, NULL));
        printf("group %d\n", setresgid(NOBODY, NOBODY, NOBODY));
        printf("user %d\n", setresuid(NOBODY, NOBODY, NOBODY));
        answered += ask_once(scene->port, "/nobody");
        pid = fork();
        if (pid == 0)
                ask_and_end(scene, "/child");
        answered += ended_well(pid);
        printf("now %d %d\n", (int)getuid(), (int)getgid());
        return answered + ask_once(scene->port, "/nobody");
}

static int namespaces(const struct scene *scene)
{
        int answered = ask_once(scene->port, "/before");

        printf("unshare %d\n", unshare(CLONE_NEWNS | CLONE_FS));
        return answered + ask_once(scene->port, "/after");
}

/* --- children that share memory, and no descriptors --- */

static void close_itself(int fd)
{
        close(fd);
}

static void put_over(int fd)
{
        dup2(STDERR_FILENO, fd);
}

static void close_all(int fd)
{
        close_range((unsigned)fd, ~0u, 0);
}

static void connect_anew(int fd)
{
        struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

        close(fd);
        if (socket(AF_INET, SOCK_STREAM, 0) == fd)
                connect(fd, (struct sockaddr *)&nowhere, sizeof(nowhere));
}

/* The parent's request is under way, and goes on as if nothing had been. */
static int vforked(const struct scene *scene)
{
        static void (*const ways[])(int) = {close_itself, put_over, close_all, connect_anew};
        int fd = dial(scene->port), answered = 0, status;

        for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
                void (*volatile way)(int) = ways[i];
                pid_t pid;

                if (ask_send(fd, "/under-way") != 0)
                        return -1;
                pid = vfork();
                if (pid == 0) {
                        way(fd);
                        execl("/bin/true", "true", NULL);
                        _exit(1);
                }
                answered += waitpid(pid, &status, 0) == pid && status == 0 && ask_answer(fd) == 200;
                answered += ask(fd, "/after");
        }
        close(fd);
        return answered;
}

static const struct act acts[] = {
        {"busy", busy},
        {"vforked", vforked},
        {"raw", raw},
        {"inherited", inherited},
        {"generations", generations},
        {"daemonized", daemonized},
        {"daemon", daemon_call},
        {"storm", storm},
        {"once", once},
        {"programs", programs},
        {"replaced", replaced},
        {"reaper", reaper},
        {"watched", watched},
        {"ignored", ignored},
        {"subreaper", subreaper},
        {"identity", identity},
        {"namespaces", namespaces},
};
ACT_MAIN(acts)
