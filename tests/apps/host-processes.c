/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that make, replace and end processes. */
#include <alloca.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

#include "host-calls.h"

static char *const arguments[] = {"/bin/sh", "-c", "echo $0 $FROM_HOST", "first", NULL};
static char *const surroundings[] = {"FROM_HOST=given", NULL};

static void at_exit(void)
{
        printf("exit handler\n");
}

static void quick_handler(void)
{
        printf("quick exit handler\n");
        fflush(stdout);
}

/* Overwrites what lies beyond the buffer, if it were allowed to. */
static void overflow(void)
{
        char small[4];

        (void)__read_chk(0, small, 100, sizeof(small)); /* aborts */
}

#define IN_CHILD(what, action)                                                                           \
        do {                                                                                             \
                int status_ = 0;                                                                         \
                pid_t pid_;                                                                              \
                                                                                                         \
                fflush(stdout);                                                                          \
                pid_ = fork();                                                                           \
                if (pid_ == 0) {                                                                         \
                        action;                                                                          \
                        show(#action, errno, UNTOUCHED);                                                 \
                        _exit(99);                                                                       \
                }                                                                                        \
                while (waitpid(pid_, &status_, 0) < 0)                                                   \
                        ;                                                                                \
                show(what, WIFSIGNALED(status_) ? -WTERMSIG(status_) : WEXITSTATUS(status_), UNTOUCHED); \
        } while (0)

static void ends(void)
{
        IN_CHILD("exit", (atexit(at_exit), exit(3)));
        IN_CHILD("_exit", (atexit(at_exit), _exit(4)));
        IN_CHILD("_Exit", (atexit(at_exit), _Exit(5)));
        IN_CHILD("quick_exit", (at_quick_exit(quick_handler), quick_exit(6)));
        IN_CHILD("exit above 255", exit(0x1234));
        IN_CHILD("abort", abort());
        IN_CHILD("overflow", overflow());
        IN_CHILD("pthread_exit", pthread_exit(NULL));
}

static void many_arguments(int count)
{
        char **argv = alloca(((size_t)count + 4) * sizeof(char *));

        argv[0] = "/bin/sh";
        argv[1] = "-c";
        argv[2] = "echo $#";
        for (int i = 3; i < count + 3; i++)
                argv[i] = "x";
        argv[count + 3] = NULL;
        (void)execv(argv[0], argv); /* what came of it is in the output */
}

static void replacements(void)
{
        int shell = open("/bin/sh", O_RDONLY | O_CLOEXEC);

        setenv("FROM_HOST", "inherited", 1);
        IN_CHILD("execve", execve("/bin/sh", arguments, surroundings));
        IN_CHILD("execve missing", execve("/nonexistent", arguments, surroundings));
        IN_CHILD("execv", execv("/bin/sh", arguments));
        IN_CHILD("execvp", execvp("sh", arguments));
        IN_CHILD("execvp missing", execvp("nonexistent", arguments));
        IN_CHILD("execvpe", execvpe("sh", arguments, surroundings));
        IN_CHILD("fexecve", fexecve(shell, arguments, surroundings));
        IN_CHILD("fexecve bad", fexecve(-1, arguments, surroundings));
        IN_CHILD("execveat", execveat(AT_FDCWD, "/bin/sh", arguments, surroundings, 0));
        IN_CHILD("execl", execl("/bin/sh", "sh", "-c", "echo $0 $1 $FROM_HOST", "a", "b", NULL));
        IN_CHILD("execl one", execl("/bin/true", "true", NULL));
        IN_CHILD("execlp", execlp("sh", "sh", "-c", "echo $0 $FROM_HOST", "a", NULL));
        IN_CHILD("execlp missing", execlp("nonexistent", "x", NULL));
        IN_CHILD("execle", execle("/bin/sh", "sh", "-c", "echo $0 $FROM_HOST", "a", NULL, surroundings));
        IN_CHILD("many arguments", many_arguments(5000));
        close(shell);
}

static void closing_all(void)
{
        int high = fcntl(1, F_DUPFD, 300);

        closefrom(3);
        show("closefrom left", fcntl(high, F_GETFD), UNTOUCHED);
        exit(0);
}

static void in_vfork_child(void)
{
        pid_t pid = vfork();

        if (pid == 0) {
                close(0);
                dup2(1, 9);
                execl("/bin/sh", "sh", "-c", "echo from the vfork child >&9", NULL);
                _exit(1);
        }
        while (waitpid(pid, NULL, 0) < 0)
                ;
        show("descriptor 0 after vfork", fcntl(0, F_GETFD) >= 0, UNTOUCHED);
}

static void raw_forks(void)
{
        IN_CHILD("_Fork", (_Fork() == 0 ? _exit(7) : (void)wait(NULL), _exit(8)));
        IN_CHILD("clone", (syscall(SYS_clone, 17, 0, 0, 0, 0) == 0 ? _exit(7) : (void)wait(NULL), _exit(8)));
}

void processes(void)
{
        ends();
        replacements();
        IN_CHILD("closefrom", closing_all());
        in_vfork_child();
        raw_forks();
        SHOW(system("echo from system; exit 9"));
}
