/* SPDX-License-Identifier: Apache-2.0 */
/* system() and popen() in every corner: results, errno, signals, descriptors. Says the same with and without
 * us. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHOW(call)                                                     \
        do {                                                           \
                long result_;                                          \
                                                                       \
                errno = 0;                                             \
                result_ = (long)(call);                                \
                printf("%s = %ld, errno %d\n", #call, result_, errno); \
                fflush(stdout);                                        \
        } while (0)

static volatile sig_atomic_t caught;

static void catch (int signal)
{
        caught++;
}

static void on(int signal, void (*handler)(int))
{
        struct sigaction action = {.sa_handler = handler};

        (void)sigaction(signal, &action, NULL); /* cannot fail for these */
}

static const char *disposition(int signal)
{
        struct sigaction action;

        (void)sigaction(signal, NULL, &action); /* as above */
        if (action.sa_handler == SIG_DFL)
                return "default";
        return action.sa_handler == SIG_IGN ? "ignored" : "caught";
}

static void show_signals(const char *when)
{
        sigset_t mask;

        (void)sigprocmask(SIG_BLOCK, NULL, &mask); /* only asks */
        printf("%s: SIGINT %s, SIGQUIT %s, SIGCHLD %s, caught %d\n", when, disposition(SIGINT),
               disposition(SIGQUIT), sigismember(&mask, SIGCHLD) ? "blocked" : "open", (int)caught);
        caught = 0;
}

static void alarm_soon(void)
{
        const struct itimerval soon = {.it_value = {0, 50000}};

        on(SIGALRM, catch);
        (void)setitimer(ITIMER_REAL, &soon, NULL); /* cannot fail */
}

static void statuses(void)
{
        SHOW(system(NULL) != 0);
        SHOW(system("exit 0"));
        SHOW(system("exit 3"));
        SHOW(system("kill -9 $$"));
        SHOW(system("nosuchcommand 2>/dev/null"));
        SHOW(system("if 2>/dev/null"));
        SHOW(system(""));
        SHOW(system("-x 2>/dev/null"));
        SHOW(system("echo $0 $# \"$@\""));
}

static void signals(void)
{
        sigset_t usr1;

        SHOW(system("kill -INT $PPID; kill -QUIT $PPID"));
        show_signals("survived");
        SHOW(system("grep -E 'Sig(Blk|Ign)' /proc/self/status"));
        (void)sigemptyset(&usr1);
        (void)sigaddset(&usr1, SIGUSR1);
        (void)sigprocmask(SIG_BLOCK, &usr1, NULL);
        on(SIGINT, SIG_IGN);
        on(SIGQUIT, catch);
        SHOW(system("grep -E 'Sig(Blk|Ign)' /proc/self/status"));
        show_signals("one ignored, one caught");
        (void)sigprocmask(SIG_UNBLOCK, &usr1, NULL);
        on(SIGINT, SIG_DFL);
        on(SIGQUIT, SIG_DFL);
        on(SIGCHLD, catch);
        SHOW(system("exit 7"));
        show_signals("children caught");
        on(SIGCHLD, SIG_IGN);
        SHOW(system("exit 7"));
        show_signals("children ignored");
        on(SIGCHLD, SIG_DFL);
        alarm_soon();
        SHOW(system("sleep 0.2; exit 2"));
        show_signals("interrupted");
}

static void *system_for_long(void *arg)
{
        (void)system("exec sleep 20");
        return NULL;
}

/* The shell runs when its parent ignores SIGINT. */
static void await_ignored(void)
{
        while (strcmp(disposition(SIGINT), "ignored") != 0)
                (void)usleep(1000);
        (void)usleep(20000); /* it is past its start: what is cancelled is the wait */
}

static void cancellation(void)
{
        time_t begin = time(NULL);
        pthread_t thread;
        void *result = NULL;

        SHOW(pthread_create(&thread, NULL, system_for_long, NULL));
        await_ignored();
        SHOW(pthread_cancel(thread));
        SHOW(pthread_join(thread, &result));
        printf("%s, %s\n", result == PTHREAD_CANCELED ? "cancelled" : "ended",
               time(NULL) - begin < 10 ? "at once" : "late");
        show_signals("after it");
        SHOW(waitpid(-1, NULL, WNOHANG));
}

static void *many_calls(void *arg)
{
        char command[32];
        long wrong = 0, number = (long)arg;

        snprintf(command, sizeof(command), "exit %ld", number);
        for (int i = 0; i < 10; i++)
                wrong += system(command) != number << 8;
        return (void *)wrong;
}

static void concurrency(void)
{
        pthread_t threads[4];
        long wrong = 0;

        for (long i = 0; i < 4; i++)
                (void)pthread_create(&threads[i], NULL, many_calls, (void *)(i + 1));
        for (int i = 0; i < 4; i++) {
                void *result;

                (void)pthread_join(threads[i], &result);
                wrong += (long)result;
        }
        printf("%ld wrong of 40\n", wrong);
        show_signals("after all");
}

/* What stands on the stream, and how it ends. */
static void show_stream(const char *command, const char *mode, int (*end)(FILE *))
{
        FILE *file;
        char line[4096] = "";

        errno = 0;
        file = popen(command, mode);
        printf("popen(\"%s\", \"%s\"): %s, errno %d\n", command, mode, file ? "open" : "NULL", errno);
        if (!file)
                return;
        printf("close-on-exec %d\n", fcntl(fileno(file), F_GETFD));
        if (strchr(mode, 'r'))
                printf("read %zu: %s\n", fread(line, 1, sizeof(line) - 1, file), line);
        else
                printf("written %d\n", fputs("some words\n", file) >= 0);
        fflush(stdout);
        errno = 0;
        printf("ended %d\n", end(file));
        printf("errno %d\n", errno);
        fflush(stdout);
}

static void streams(void)
{
        static const char *const modes[] = {"r", "w", "re", "ew", "rr", "rw", "", "x", "r+", "rb"};

        for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
                show_stream(strchr(modes[i], 'w') ? "cat" : "echo hello", modes[i], pclose);
        show_stream("echo several; echo lines; exit 4", "r", pclose);
        show_stream("exit 5", "r", fclose);
        show_stream("cat; exit 6", "w", fclose);
        show_stream("kill -9 $$", "r", pclose);
        show_stream("nosuchcommand 2>/dev/null", "r", pclose);
        show_stream("-x 2>/dev/null", "r", pclose);
        on(SIGCHLD, SIG_IGN);
        show_stream("echo unwaited", "r", pclose);
        on(SIGCHLD, SIG_DFL);
        alarm_soon();
        show_stream("exec >&-; sleep 0.2; exit 3", "r", pclose);
        show_signals("interrupted");
}

#define MANY 70

static void several_streams(void)
{
        FILE *files[MANY];
        int sum = 0;

        files[0] = popen("cat >/dev/null", "w");
        files[1] = popen("cat >/dev/null", "we");
        show_stream("cd /proc/$$/fd; echo ? ??", "r", pclose);
        SHOW(pclose(files[0]));
        SHOW(pclose(files[1]));
        for (int i = 0; i < MANY; i++)
                files[i] = popen("read line; exit 1", "w");
        show_stream("cd /proc/$$/fd; echo ? ??", "r", pclose);
        for (int i = 0; i < MANY; i++)
                sum += pclose(files[i]);
        printf("sum %d\n", sum);
}

static void broken_pipe(void)
{
        FILE *file = popen("exit 5", "w");
        char block[100] = "";

        on(SIGPIPE, SIG_IGN);
        (void)usleep(100000); /* it has ended */
        for (int i = 0; i < 1000; i++)
                (void)fwrite(block, 1, sizeof(block), file);
        printf("error %d\n", ferror(file) != 0);
        SHOW(pclose(file));
        file = popen("exit 0", "w");
        (void)usleep(100000);
        (void)fwrite(block, 1, sizeof(block), file);
        SHOW(pclose(file));
        on(SIGPIPE, SIG_DFL);
}

static void closed(int fd, const char *mode)
{
        int kept = fcntl(fd, F_DUPFD_CLOEXEC, 50);
        FILE *file;
        char line[64] = "";

        (void)close(fd);
        file = popen(fd ? "echo from the child" : "cat >&2", mode);
        if (file && fd)
                (void)fgets(line, sizeof(line), file);
        else if (file)
                (void)fputs("to the child\n", file);
        fd = file ? pclose(file) : -1;
        (void)dup2(kept, *mode == 'w' ? 0 : 1);
        (void)close(kept);
        printf("closed %s: %s%d\n", mode, line, fd);
        fflush(stdout);
}

/* In a child, without a shell. */
static void no_shell(void)
{
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                (void)mkdir("empty", 0700);
                SHOW(chroot("empty"));
                SHOW(system("exit 0"));
                SHOW(system(NULL) != 0);
                show_stream("exit 0", "r", pclose);
                show_stream("cat", "w", pclose);
                fflush(stdout);
                _exit(0);
        }
        while (waitpid(pid, NULL, 0) < 0)
                ;
}

int main(void)
{
        char **before = environ;
        const char *const *first = (const char *const *)environ;
        const char *name = *first;

        statuses();
        signals();
        cancellation();
        concurrency();
        streams();
        several_streams();
        broken_pipe();
        closed(0, "w");
        closed(1, "r");
        no_shell();
        printf("environ %s\n", environ == before && *environ == name ? "untouched" : "changed");
        return 0;
}
