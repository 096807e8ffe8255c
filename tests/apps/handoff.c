/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff PORT UPSTREAM [THREADS]: a server that reads a request itself and forks then; the path says who
 * answers. One connection after the other, or one in each thread.
 *
 *   /child    a child, while the parent closes the connection at once
 *   /keep     a child; the parent waits for it and goes on with the connection
 *   /nobody   nobody: a child has nothing to do with it and outlives the connection
 *   /killed   nobody: a child asks UPSTREAM and is killed
 *   /cgi      a program that a child executes, which asks UPSTREAM; the parent closes at once
 *   /waits    the same, and the parent closes when it has ended
 *   /fails    a child, whose program cannot be executed
 *   /printed  a program that a child executes; the parent waits for it and goes on with the connection
 *   /doomed   nobody: a child, killed together with the parent, while that has the connection open
 *   /left     the same when the parent has closed it
 *   /told     a child, and the parent is killed before it does anything more
 *   /orphan   a child, when the parent has closed the connection and was killed
 *   /late     the same when the client has said one byte more
 *   /beside   the parent, after it has run a program
 *   /system   the same by system()
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"
#include "serve.h"

static in_port_t upstream;
static char upstream_url[64];

/* What a request is done with. Return: is the connection kept? */
struct job {
        struct peer *peer;
        struct request request;
};

static int ok(struct job *job)
{
        return serve_answer(job->peer, &job->request, 200, "done\n") && job->request.keep;
}

static void wait_for(pid_t pid)
{
        (void)waitpid(pid, NULL, 0);
}

static int by_child(struct job *job)
{
        if (fork() == 0) {
                ok(job);
                exit(0);
        }
        return 0;
}

static int by_child_and_keep(struct job *job)
{
        pid_t pid = fork();

        if (pid == 0) {
                ok(job);
                exit(0);
        }
        wait_for(pid);
        return 1;
}

/* The child ends when the parent has closed the connection, and then this. */
static int unrelated_end = -1;

static int by_nobody(struct job *job)
{
        int pipes[2];
        char byte;

        if (pipe(pipes) == 0 && fork() == 0) {
                close(pipes[1]);
                (void)!read(pipes[0], &byte, 1);
                exit(0);
        }
        close(pipes[0]);
        unrelated_end = pipes[1];
        return 0;
}

static int never(void)
{
        while (pause() < 0)
                ;
        return 0;
}

static void kill_parent(void)
{
        pid_t parent = getppid();

        kill(parent, SIGKILL);
        while (getppid() == parent)
                sched_yield();
}

static int by_doomed(struct job *job)
{
        if (fork() == 0) {
                kill_parent();
                raise(SIGKILL);
        }
        return never();
}

static int by_child_of_doomed(struct job *job)
{
        if (fork() == 0) {
                ok(job);
                kill_parent();
                exit(0);
        }
        return never();
}

/* A child that goes on when the parent has closed the connection, and is killed then. */
static int after_close(struct job *job, void (*work)(struct job *job))
{
        int pipes[2];
        char byte;

        if (pipe(pipes) == 0 && fork() == 0) {
                close(pipes[1]);
                (void)!read(pipes[0], &byte, 1);
                kill_parent();
                work(job);
                exit(0);
        }
        close(pipes[0]);
        unrelated_end = pipes[1];
        return 0;
}

static void die(struct job *job)
{
        raise(SIGKILL);
}

static int by_left(struct job *job)
{
        return after_close(job, die);
}

static void answer_at_once(struct job *job)
{
        ok(job);
}

static void answer_late(struct job *job)
{
        char byte;

        (void)!read(job->peer->fd, &byte, 1);
        ok(job);
}

static int by_orphan(struct job *job)
{
        return after_close(job, answer_at_once);
}

static int by_late_orphan(struct job *job)
{
        return after_close(job, answer_late);
}

static int by_killed_child(struct job *job)
{
        pid_t pid = fork();

        if (pid == 0) {
                ask_once(upstream, "/killed");
                raise(SIGKILL);
        }
        return 0;
}

static pid_t run(struct job *job, const char *program)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        dup2(job->peer->fd, STDOUT_FILENO);
        execlp(program, program, "-si", upstream_url, NULL);
        serve_answer(job->peer, &job->request, 500, "cannot execute\n");
        exit(1);
}

static int by_program(struct job *job)
{
        (void)run(job, "curl");
        return 0;
}

static int by_program_that_is_awaited(struct job *job)
{
        wait_for(run(job, "curl"));
        return 0;
}

static int by_program_and_keep(struct job *job)
{
        static const char answer[] = "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\ndone\\n";
        pid_t pid = fork();

        if (pid == 0) {
                dup2(job->peer->fd, STDOUT_FILENO);
                execlp("printf", "printf", answer, NULL);
                _exit(1);
        }
        wait_for(pid);
        return 1;
}

static int by_child_after_all(struct job *job)
{
        wait_for(run(job, "/nowhere/at/all"));
        return 0;
}

static int beside_a_program(struct job *job)
{
        pid_t pid = fork();

        if (pid == 0) {
                execl("/bin/true", "true", NULL);
                _exit(1);
        }
        wait_for(pid);
        return ok(job);
}

static int beside_system(struct job *job)
{
        return system("exit 0") == 0 && ok(job);
}

static const struct {
        const char *path;
        int (*play)(struct job *job);
} routes[] = {
        {"/child", by_child},
        {"/keep", by_child_and_keep},
        {"/nobody", by_nobody},
        {"/killed", by_killed_child},
        {"/cgi", by_program},
        {"/waits", by_program_that_is_awaited},
        {"/fails", by_child_after_all},
        {"/beside", beside_a_program},
        {"/doomed", by_doomed},
        {"/left", by_left},
        {"/told", by_child_of_doomed},
        {"/orphan", by_orphan},
        {"/late", by_late_orphan},
        {"/system", beside_system},
        {"/printed", by_program_and_keep},
};

static int play(struct job *job)
{
        for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
                if (strcmp(job->request.target, routes[i].path) == 0)
                        return routes[i].play(job);
        return ok(job);
}

static int threads;

static void serve(int fd)
{
        struct job job = {.peer = serve_peer(fd)};

        while (job.peer && serve_head(job.peer, &job.request) && serve_body(job.peer, &job.request) &&
               play(&job))
                serve_next(job.peer, &job.request);
        close(fd);
        free(job.peer);
        if (unrelated_end >= 0)
                close(unrelated_end);
        unrelated_end = -1;
        while (!threads && waitpid(-1, NULL, 0) > 0)
                ;
}

static volatile sig_atomic_t over;

static void end(int number)
{
        over = 1;
}

static int listener;

static void *serve_all(void *unused)
{
        int fd;

        while (!over && (fd = accept(listener, NULL, NULL)) >= 0)
                serve(fd);
        return NULL;
}

int main(int argc, char **argv)
{
        struct sigaction action = {.sa_handler = end};

        if (argc < 3)
                return 2;
        upstream = (in_port_t)atoi(argv[2]);
        snprintf(upstream_url, sizeof(upstream_url), "http://127.0.0.1:%d/asked", upstream);
        sigaction(SIGTERM, &action, NULL);
        listener = serve_listen((in_port_t)atoi(argv[1]));
        threads = argc > 3 ? atoi(argv[3]) : 0;
        if (threads)
                signal(SIGCHLD, SIG_IGN);
        for (int i = 1; i < threads; i++)
                if (pthread_create(&(pthread_t){0}, NULL, serve_all, NULL) != 0)
                        return 3;
        serve_all(NULL);
        return 0;
}
