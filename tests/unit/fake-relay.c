/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the relay in tests of how it is started: says how it found itself in $HOME/report, then
 * takes one ring at a time, and answers a flush with the number of records it has had.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/ring/ring.h"
#include "tests/unit/handed.h"

static unsigned inherited; /* descriptors */

static unsigned open_descriptors(void)
{
        unsigned count = 0;

        for (int fd = 0; fd < 2000; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}

static bool signals_plain(void)
{
        struct sigaction action;
        sigset_t blocked;

        sigprocmask(SIG_SETMASK, NULL, &blocked);
        for (int number = 1; number < 32; number++)
                if (sigismember(&blocked, number) ||
                    (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN))
                        return false;
        return true;
}

static void report(unsigned records)
{
        char path[PATH_MAX], draft[PATH_MAX], cwd[PATH_MAX];
        FILE *out;

        snprintf(path, sizeof(path), "%s/report", getenv("HOME"));
        snprintf(draft, sizeof(draft), "%s/draft", getenv("HOME"));
        out = fopen(draft, "w");
        if (!out)
                exit(1);
        fprintf(out, "pid %d sid %d fds %u plain %d preload %d endpoint %s proxy %s cwd %s records %u\n",
                getpid(), getsid(0), inherited, signals_plain(), getenv("LD_PRELOAD") != NULL,
                getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), getenv("http_proxy"), getcwd(cwd, sizeof(cwd)),
                records);
        fclose(out);
        if (rename(draft, path))
                exit(1);
}

static void serve(int client)
{
        static char record[LIMIT_RECORD];
        unsigned records = 0;
        struct handover text;
        struct ring ring;
        int fds[2];
        char what;

        if (handed_over(client, &text, fds) < 1 || ring_attach(&ring, fds[0]))
                return;
        do {
                uint32_t wanted = atomic_load(&ring.header->flush_wanted);

                while (ring_pop(&ring, record, false, 1))
                        records++;
                report(records);
                atomic_store(&ring.header->flush_done, wanted);
                syscall(SYS_futex, &ring.header->flush_done, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
        } while (recv(client, &what, 1, 0) == 1);
        ring_detach(&ring);
}

int main(int argc, char **argv)
{
        struct pollfd listener = {.fd = RELAY_LISTEN_FD, .events = POLLIN};

        alarm(20);
        inherited = open_descriptors();
        report(0);
        while (poll(&listener, 1, 300) == 1) {
                int client = accept(RELAY_LISTEN_FD, NULL, NULL);

                serve(client);
                close(client);
        }
        return 0;
}
