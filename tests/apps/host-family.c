/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host-family WAY...: starts a shell that says what it finds of a context, in each of the ways named.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAY "echo $0 \"${TRACEPARENT-none} ${TRACESTATE-none} ${BAGGAGE-none}\""

static char *argv_of[] = {"/bin/sh", "-c", SAY, NULL, NULL};
static const char *way;

/* Replaces a child of ours. */
enum how { EXECVE, EXECV, EXECVP, EXECVPE, EXECL, EXECLP, EXECLE, FEXECVE, EXECVEAT, SYSCALL };

static void replace(enum how how)
{
        switch (how) {
        case EXECVE:
                (void)execve(argv_of[0], argv_of, environ);
                break;
        case EXECV:
                (void)execv(argv_of[0], argv_of);
                break;
        case EXECVP:
                (void)execvp("sh", argv_of);
                break;
        case EXECVPE:
                (void)execvpe("sh", argv_of, environ);
                break;
        case EXECL:
                (void)execl("/bin/sh", "sh", "-c", SAY, way, NULL);
                break;
        case EXECLP:
                (void)execlp("sh", "sh", "-c", SAY, way, NULL);
                break;
        case EXECLE:
                (void)execle("/bin/sh", "sh", "-c", SAY, way, NULL, environ);
                break;
        case FEXECVE:
                (void)fexecve(open("/bin/sh", O_RDONLY | O_CLOEXEC), argv_of, environ);
                break;
        case EXECVEAT:
                (void)execveat(AT_FDCWD, "/bin/sh", argv_of, environ, 0);
                break;
        case SYSCALL:
                (void)syscall(SYS_execve, argv_of[0], argv_of, environ);
                break;
        }
        _exit(99); /* exec failed */
}

static int await(pid_t pid)
{
        int status = -1;

        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return status;
}

static int by_fork(enum how how)
{
        pid_t pid = fork();

        if (pid == 0)
                replace(how);
        return await(pid);
}

static int by_vfork(void)
{
        pid_t pid = vfork();

        if (pid == 0) {
                (void)execve(argv_of[0], argv_of, environ);
                _exit(99);
        }
        return await(pid);
}

static int by_failing_first(void)
{
        pid_t pid = fork();

        if (pid == 0) {
                (void)execve("/nonexistent", argv_of, environ);
                replace(EXECVE);
        }
        return await(pid);
}

static int by_spawn(bool search)
{
        pid_t pid = -1;
        int error = search ? posix_spawnp(&pid, "sh", NULL, NULL, argv_of, environ)
                           : posix_spawn(&pid, "/bin/sh", NULL, NULL, argv_of, environ);

        return error ? error : await(pid);
}

static const char *command(void)
{
        static char text[256];

        snprintf(text, sizeof(text),
                 "set -- %s; echo $1 \"${TRACEPARENT-none} ${TRACESTATE-none} ${BAGGAGE-none}\"", way);
        return text;
}

static int by_system(void)
{
        return system(command());
}

static int by_popen(void)
{
        FILE *file = popen(command(), "r");
        char line[1024];

        while (file && fgets(line, sizeof(line), file))
                fputs(line, stdout);
        fflush(stdout);
        return file ? pclose(file) : -1;
}

/* What the caller makes itself stays. */
static int by_hand(void)
{
        char *envp[] = {"TRACEPARENT=00-11111111111111111111111111111111-2222222222222222-01",
                        "TRACESTATE=by=hand", NULL};
        pid_t pid = -1;
        int error = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv_of, envp);

        return error ? error : await(pid);
}

static int by_empty(void)
{
        char *envp[] = {NULL};
        pid_t pid = fork();

        if (pid == 0) {
                (void)execve(argv_of[0], argv_of, envp);
                _exit(99);
        }
        return await(pid);
}

/* More variables than fit a page. */
static int by_many(void)
{
        static char *envp[20002];
        pid_t pid = -1;
        int error;

        for (size_t i = 0; i < 20000; i++)
                envp[i] = "V=1";
        error = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv_of, envp);
        return error ? error : await(pid);
}

static int run(void)
{
        static const char *const forked[] = {
                [EXECVE] = "execve",     [EXECV] = "execv",     [EXECVP] = "execvp", [EXECVPE] = "execvpe",
                [EXECL] = "execl",       [EXECLP] = "execlp",   [EXECLE] = "execle", [FEXECVE] = "fexecve",
                [EXECVEAT] = "execveat", [SYSCALL] = "syscall",
        };
        static const struct {
                const char *name;
                int (*run)(void);
        } others[] = {
                {"vfork", by_vfork}, {"second", by_failing_first}, {"system", by_system}, {"popen", by_popen},
                {"hand", by_hand},   {"empty", by_empty},          {"many", by_many},
        };

        for (size_t i = 0; i < sizeof(forked) / sizeof(*forked); i++)
                if (strcmp(way, forked[i]) == 0)
                        return by_fork((enum how)i);
        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
                if (strcmp(way, others[i].name) == 0)
                        return others[i].run();
        return by_spawn(strcmp(way, "posix_spawnp") == 0);
}

int main(int argc, char **argv)
{
        char **array = environ, *strings[512];
        size_t count = 0;

        while (environ[count] && count < 512) {
                strings[count] = strdup(environ[count]);
                count++;
        }
        for (int i = 1; i < argc; i++) {
                way = argv_of[3] = argv[i];
                printf("%d\n", run());
                fflush(stdout);
        }
        for (size_t i = 0; i < count; i++)
                if (environ != array || strcmp(environ[i], strings[i]) != 0)
                        printf("environ changed: %s\n", strings[i]);
        return environ[count] != NULL;
}
