/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-relay: the worker's usual home, one small process per user and export configuration. A traced
 * process starts it with a listening socket as descriptor 3 and the settings in the environment; it
 * is not meant to be started by hand. It leaves when nobody has needed it for a while.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/ring/handover.h"
#include "export/relay/clients.h"
#include "export/relay/messages.h"

#define NS_PER_MS    1000000ull
#define TERM_WAIT_NS 5000000000ull /* what SIGTERM leaves for the last delivery */
#define FIRST_NS     2000000000ull /* whoever started us is about to connect, however short the linger */

enum relay_state {
        RELAY_SERVING,
        RELAY_LEAVING, /* the door is closed; the last ones are served */
        RELAY_ENDING,  /* told to end: deliver what is there until end_ns */
};

struct relay {
        struct config config;
        struct worker *worker;
        struct clients *clients;
        struct messages messages;
        enum relay_state state;
        uint64_t end_ns;
        bool needed;  /* a client has been there */
        bool flushed; /* asked to send early, because nobody is left to wait for */
        int signal_fd;
        void *signal_watch;
};

static bool listener_valid(int fd)
{
        static const struct {
                int name, value;
        } rows[] = {{SO_DOMAIN, AF_UNIX}, {SO_TYPE, SOCK_SEQPACKET}, {SO_ACCEPTCONN, 1}};

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                int value = -1;
                socklen_t len = sizeof(value);

                if (getsockopt(fd, SOL_SOCKET, rows[i].name, &value, &len) < 0 || value != rows[i].value)
                        return false;
        }
        return true;
}

static void limits_raise(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer clients then */
        }
}

/* What the starter happened to ignore or block is not ours. */
static void signals_reset(void)
{
        sigset_t set;

        for (int number = 1; number < NSIG; number++)
                (void)signal(number, SIG_DFL); /* fails for SIGKILL, SIGSTOP and libc's own */
        (void)signal(SIGPIPE, SIG_IGN);
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        (void)sigprocmask(SIG_SETMASK, &set, NULL);
}

/* Independent of whoever started us: directory, mask, descriptors, name. */
static void process_setup(void)
{
        (void)prctl(PR_SET_NAME, "otel-relay");
        (void)prctl(PR_SET_DUMPABLE, 0); /* our memory holds credentials of the exporter */
        (void)umask(077);
        (void)!chdir("/");
        /* Older kernels: whatever was left open stays open. */
        (void)syscall(SYS_close_range, RELAY_LISTEN_FD + 1, ~0u, 0);
        limits_raise();
        signals_reset();
}

static void term_arrived(void *ctx, uint32_t events)
{
        struct relay *relay = ctx;
        struct signalfd_siginfo info;

        (void)events;
        if (read(relay->signal_fd, &info, sizeof(info)) != sizeof(info))
                return;
        clients_close_door(relay->clients);
        worker_flush(relay->worker);
        relay->flushed = false;
        relay->state = RELAY_ENDING;
        relay->end_ns = clock_mono_ns() + TERM_WAIT_NS;
}

static int signals_watch(struct relay *relay)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        relay->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (relay->signal_fd < 0)
                return -errno;
        return worker_watch(relay->worker, relay->signal_fd, EPOLLIN, term_arrived, relay,
                            &relay->signal_watch);
}

static uint64_t linger_end(const struct relay *relay)
{
        uint64_t linger_ns = (uint64_t)relay->config.relay_linger * NS_PER_MS;
        uint64_t end_ns =
                clients_last_ns(relay->clients) + (relay->needed ? linger_ns : MAX(linger_ns, FIRST_NS));

        return MAX(end_ns, worker_awaits_until(relay->worker));
}

static uint64_t orphan_end(const struct relay *relay)
{
        return clients_last_ns(relay->clients) + LIMIT_RELAY_ORPHAN_MS * NS_PER_MS;
}

/* Whoever connected just before the end has yet to hand over, and what it brings is to be sent as well. */
static bool ending_done(struct relay *relay, bool idle)
{
        if (clients_due(relay->clients) != UINT64_MAX)
                return false;
        if (relay->flushed)
                return idle;
        relay->flushed = true;
        worker_flush(relay->worker);
        return false;
}

/* Return: true when it is time to go. */
static bool relay_done(struct relay *relay, uint64_t now_ns)
{
        bool idle = worker_idle(relay->worker);

        if (relay->state == RELAY_ENDING)
                return ending_done(relay, idle) || now_ns >= relay->end_ns;
        if (clients_count(relay->clients) > 0 || worker_sources(relay->worker) > 0) {
                relay->needed = true;
                relay->flushed = false;
                return false;
        }
        if (relay->state == RELAY_SERVING && now_ns < linger_end(relay))
                return false;
        if (!idle) {
                if (!relay->flushed)
                        worker_flush(relay->worker);
                relay->flushed = true;
                return now_ns >= orphan_end(relay);
        }
        if (relay->state == RELAY_LEAVING)
                return true;
        relay->state = RELAY_LEAVING;
        clients_close_door(relay->clients); /* somebody may have come in at the last moment */
        return clients_count(relay->clients) == 0;
}

/* Milliseconds until the relay itself has something to look at; -1 = not by itself. */
static int relay_timeout(const struct relay *relay, uint64_t now_ns)
{
        uint64_t due = clients_due(relay->clients);

        if (relay->state == RELAY_ENDING)
                due = MIN(due, relay->end_ns);
        else if (clients_count(relay->clients) == 0)
                due = MIN(due, relay->flushed ? orphan_end(relay) : linger_end(relay));
        if (due == UINT64_MAX)
                return -1;
        return due > now_ns ? (int)MIN((due - now_ns) / NS_PER_MS + 1, (uint64_t)INT32_MAX) : 0;
}

static int relay_run(struct relay *relay)
{
        uint64_t now = clock_mono_ns();

        while (!relay_done(relay, now) && !worker_broken(relay->worker)) {
                worker_wait(relay->worker, relay_timeout(relay, now));
                worker_step(relay->worker);
                now = clock_mono_ns();
                clients_step(relay->clients, now);
                messages_forward(&relay->messages, relay->worker);
        }
        relay->clients = clients_free(relay->clients);
        relay->worker = worker_free(relay->worker);
        return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        static struct relay relay;

        (void)argv;
        if (argc > 1 || !listener_valid(RELAY_LISTEN_FD)) {
                (void)fputs("otel-relay: started by programs under otel-instrument, not by hand\n", stderr);
                return 2;
        }
        process_setup();
        if (!config_env_copy(&config_env_now, environ))
                return EXIT_FAILURE;
        config_load(&relay.config, config_env_now.envp, NULL, NULL); /* the program has warned already */
        messages_start(&relay.messages, &relay.config);
        relay.worker = worker_new(&relay.config, false);
        if (relay.worker)
                relay.clients = clients_new(relay.worker, RELAY_LISTEN_FD);
        if (!relay.clients || signals_watch(&relay))
                return EXIT_FAILURE; /* the clients see their connections end and try again later */
        return relay_run(&relay);
}
