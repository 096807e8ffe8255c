/* SPDX-License-Identifier: Apache-2.0 */
#include "export/relay/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/log.h"
#include "agent/ring/handover.h"
#include "export/relay/ending.h"

#define ACCEPTS_AT_ONCE  64
#define MESSAGES_AT_ONCE 16
#define FDS_MAX          4 /* of one message; the kernel discards what does not fit */

/* A client that connects hands over at once; one that does not is no client of ours. */
#define HANDOVER_PATIENCE_NS 5000000000ull

/*
 * A process that ends closes its socket a moment before it is dead; one that executes another program closes
 * it and lives on. For so long its pidfd is watched, to learn how it ended.
 */
#define ENDING_PATIENCE_NS 500000000ull

/* Without descriptors to be had, accepting again at once would be a loop. */
#define ACCEPT_PAUSE_NS 1000000000ull

/*
 * A hand-over whose descriptors find no place is lost, so clients wait in the kernel's backlog until there
 * is room: socket, pidfd, stderr and, for a moment, the ring of each; and what the relay needs itself.
 */
#define CLIENT_FDS 4
#define OWN_FDS    16

TAILQ_HEAD(client_list, client);

struct client {
        TAILQ_ENTRY(client) link;
        struct client_list *list; /* that it is in */
        struct clients *clients;
        int fd, pidfd; /* fd: -1 in the list of the ending ones */
        pid_t pid;
        void *watch, *pid_watch;
        struct source *source; /* NULL before its hand-over */
        bool watched;          /* by its pid as well */
        uint64_t since_ns;     /* it came, or began to end */
};

struct clients {
        struct worker *worker;
        int listen_fd; /* -1 once the door is closed */
        void *watch;   /* NULL while accepting pauses */
        uint64_t accept_again_ns, last_ns;
        unsigned count, max;
        unsigned ending_count; /* not among @count; their pidfds take the places of rings that are mapped */
        struct client_list waiting; /* before their hand-over, the longest first */
        struct client_list serving;
        struct client_list ending; /* without socket and source, the longest first */
};

/* What one message brought. */
struct parcel {
        char bytes[64];
        size_t len;
        int fds[FDS_MAX];
        unsigned fd_count;
};

static void client_move(struct client *client, struct client_list *list)
{
        TAILQ_REMOVE(client->list, client, link);
        client->list = list;
        TAILQ_INSERT_TAIL(list, client, link);
}

/* Its place is free for another one. */
static void client_hang_up(struct client *client)
{
        struct clients *clients = client->clients;

        if (client->fd < 0)
                return;
        worker_unwatch(clients->worker, client->watch);
        client->watch = NULL;
        (void)close(client->fd); /* sockets and pidfds: nothing to be lost */
        client->fd = -1;
        clients->count--;
        clients->last_ns = clock_mono_ns();
        clients->accept_again_ns = 0;
}

static void client_free(struct client *client)
{
        struct clients *clients = client->clients;

        client_hang_up(client);
        worker_unwatch(clients->worker, client->pid_watch);
        if (client->pidfd >= 0)
                (void)close(client->pidfd);
        clients->ending_count -= client->list == &clients->ending;
        TAILQ_REMOVE(client->list, client, link);
        free(client);
}

static void client_gone(struct client *client)
{
        if (client->source)
                worker_gone(client->clients->worker, client->source);
        client_free(client);
}

/* Its socket ended: so does its process, or it does something else from now on. */
static void client_ending(struct client *client)
{
        struct clients *clients = client->clients;

        if (!client->source || !client->pid_watch) {
                client_gone(client);
                return;
        }
        if (clients->ending_count >= clients->max / 2 && clients->ending_count > 0)
                client_free(TAILQ_FIRST(&clients->ending));
        worker_gone(clients->worker, client->source);
        client->source = NULL;
        client_hang_up(client);
        client_move(client, &clients->ending);
        client->since_ns = clients->last_ns;
        clients->ending_count++;
}

static void parcel_fds(struct parcel *parcel, struct msghdr *message)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < count && parcel->fd_count < FDS_MAX; i++)
                        memcpy(&parcel->fds[parcel->fd_count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
}

/* Return: as recvmsg. */
static ssize_t parcel_receive(int fd, struct parcel *ret_parcel)
{
        struct parcel parcel = {.fd_count = 0};
        union {
                char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control;
        struct iovec iov = {parcel.bytes, sizeof(parcel.bytes)};
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        do
                n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return n;
        parcel.len = (size_t)n;
        parcel_fds(&parcel, &message);
        *ret_parcel = parcel;
        return n;
}

static void parcel_drop(struct parcel *parcel)
{
        while (parcel->fd_count > 0)
                (void)close(parcel->fds[--parcel->fd_count]);
}

static void pid_ready(void *ctx, uint32_t events);

/*
 * By the kernel's word, not the client's: its process, as far as it can be seen from here.
 * Return: false when that is gone already, and the client with it.
 */
static bool watch_process(struct client *client)
{
        struct ucred peer;
        socklen_t len = sizeof(peer);

        if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
                return true; /* of another pid namespace: its socket's end will tell */
        client->pid = peer.pid;
        client->pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
        if (client->pidfd < 0 && errno == ESRCH) {
                client_gone(client);
                return false;
        }
        if (client->pidfd >= 0)
                (void)worker_watch(client->clients->worker, client->pidfd, EPOLLIN, pid_ready, client,
                                   &client->pid_watch); /* as above */
        return true;
}

/* Return: false when it is no hand-over, or its ring no ring. */
static bool handover_accept(struct client *client, struct parcel *parcel)
{
        struct clients *clients = client->clients;
        struct handover handover;
        int tty_fd = -1;

        if (parcel->len < sizeof(handover) || parcel->fd_count < 1)
                return false;
        memcpy(&handover, parcel->bytes, sizeof(handover));
        if (handover.magic != HANDOVER_MAGIC || handover.version != HANDOVER_VERSION)
                return false;
        if ((handover.flags & HANDOVER_STDERR) && parcel->fd_count > 1) {
                tty_fd = parcel->fds[1];
                parcel->fds[1] = parcel->fds[--parcel->fd_count];
        }
        client->source = worker_add(clients->worker, parcel->fds[0], NULL, tty_fd);
        parcel->fds[0] = parcel->fds[--parcel->fd_count];
        if (!client->source)
                return false;
        client_move(client, &clients->serving);
        return true;
}

/* Return: false when the client was freed. */
static bool parcel_handle(struct client *client, struct parcel *parcel)
{
        bool taken = client->source || handover_accept(client, parcel);
        bool first = taken && !client->watched;

        parcel_drop(parcel);
        if (!taken) {
                log_debug("a client was turned away: no valid hand-over");
                client_free(client);
                return false;
        }
        if (!first) {
                worker_woken(client->clients->worker, client->source);
                if (parcel->len == 1 && parcel->bytes[0] == HANDOVER_FLUSH_ALL)
                        worker_flush(client->clients->worker);
                return true;
        }
        client->watched = true;
        return watch_process(client);
}

static void socket_ready(void *ctx, uint32_t events)
{
        struct client *client = ctx;

        (void)events; /* a hang-up is believed only when all messages before it are read */
        for (unsigned i = 0; i < MESSAGES_AT_ONCE; i++) {
                struct parcel parcel = {.fd_count = 0};
                ssize_t n = parcel_receive(client->fd, &parcel);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        parcel_drop(&parcel);
                        client_ending(client);
                        return;
                }
                if (!parcel_handle(client, &parcel))
                        return;
        }
}

static void pid_ready(void *ctx, uint32_t events)
{
        struct client *client = ctx;
        int number = ending_signal(client->pidfd, client->pid);

        (void)events;
        if (number)
                worker_ended(client->clients->worker, client->pid, number);
        client_gone(client);
}

static void client_add(struct clients *clients, int fd)
{
        struct ucred peer;
        socklen_t len = sizeof(peer);
        struct client *client = NULL;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid())
                log_warn("a client of another user was turned away");
        else
                client = calloc(1, sizeof(*client));
        if (!client) {
                (void)close(fd); /* the client will notice */
                return;
        }
        *client = (struct client){.clients = clients, .fd = fd, .pidfd = -1, .since_ns = clock_mono_ns()};
        clients->count++;
        client->list = &clients->waiting;
        TAILQ_INSERT_TAIL(client->list, client, link);
        if (worker_watch(clients->worker, fd, EPOLLIN, socket_ready, client, &client->watch))
                client_free(client);
}

enum accepted { ACCEPTED, ACCEPTED_ALL, ACCEPT_EXHAUSTED };

static enum accepted accept_one(struct clients *clients)
{
        static const int exhausted[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS};
        int fd = accept4(clients->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
                client_add(clients, fd);
                return ACCEPTED;
        }
        if (errno == EINTR || errno == ECONNABORTED)
                return ACCEPTED;
        for (size_t i = 0; i < ARRAY_LEN(exhausted); i++)
                if (errno == exhausted[i])
                        return ACCEPT_EXHAUSTED;
        return ACCEPTED_ALL;
}

static void listen_ready(void *ctx, uint32_t events)
{
        struct clients *clients = ctx;
        enum accepted accepted = ACCEPTED;

        (void)events;
        for (unsigned i = 0; i < ACCEPTS_AT_ONCE && accepted == ACCEPTED && clients->count < clients->max;
             i++)
                accepted = accept_one(clients);
        if (accepted != ACCEPT_EXHAUSTED && clients->count < clients->max)
                return;
        worker_unwatch(clients->worker, clients->watch);
        clients->watch = NULL;
        /* A client that goes ends the pause; being full ends in no other way. */
        clients->accept_again_ns =
                clients->count < clients->max ? clock_mono_ns() + ACCEPT_PAUSE_NS : UINT64_MAX;
}

static unsigned clients_room(void)
{
        struct rlimit limit;
        rlim_t room;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > LIMIT_CLIENTS * CLIENT_FDS + OWN_FDS)
                return LIMIT_CLIENTS;
        room = limit.rlim_cur > OWN_FDS ? (limit.rlim_cur - OWN_FDS) / CLIENT_FDS : 0;
        return MAX((unsigned)room, 1u);
}

struct clients *clients_new(struct worker *worker, int listen_fd)
{
        struct clients *clients = calloc(1, sizeof(*clients));
        int flags = fcntl(listen_fd, F_GETFL);

        if (!clients) {
                (void)close(listen_fd); /* nobody is served */
                return NULL;
        }
        *clients = (struct clients){
                .worker = worker,
                .listen_fd = listen_fd,
                .last_ns = clock_mono_ns(),
                .max = clients_room(),
        };
        TAILQ_INIT(&clients->waiting);
        TAILQ_INIT(&clients->serving);
        TAILQ_INIT(&clients->ending);
        if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
            fcntl(listen_fd, F_SETFD, FD_CLOEXEC) < 0 ||
            worker_watch(worker, listen_fd, EPOLLIN, listen_ready, clients, &clients->watch))
                return clients_free(clients);
        return clients;
}

struct clients *clients_free(struct clients *clients)
{
        if (!clients)
                return NULL;
        worker_unwatch(clients->worker, clients->watch);
        if (clients->listen_fd >= 0)
                (void)close(clients->listen_fd); /* nothing to be lost */
        while (!TAILQ_EMPTY(&clients->waiting))
                client_free(TAILQ_FIRST(&clients->waiting));
        while (!TAILQ_EMPTY(&clients->serving))
                client_free(TAILQ_FIRST(&clients->serving));
        while (!TAILQ_EMPTY(&clients->ending))
                client_free(TAILQ_FIRST(&clients->ending));
        free(clients);
        return NULL;
}

void clients_close_door(struct clients *clients)
{
        if (clients->listen_fd < 0)
                return;
        worker_unwatch(clients->worker, clients->watch);
        clients->watch = NULL;
        /* From here on connect() is refused; what is in the backlog can still be accepted. */
        (void)shutdown(clients->listen_fd, SHUT_RD);
        while (clients->count < LIMIT_CLIENTS && accept_one(clients) == ACCEPTED)
                ;
        (void)close(clients->listen_fd); /* the name is free for the next relay */
        clients->listen_fd = -1;
}

uint64_t clients_due(const struct clients *clients)
{
        const struct client *waiting = TAILQ_FIRST(&clients->waiting),
                            *ending = TAILQ_FIRST(&clients->ending);
        uint64_t due = waiting ? waiting->since_ns + HANDOVER_PATIENCE_NS : UINT64_MAX;

        if (ending)
                due = MIN(due, ending->since_ns + ENDING_PATIENCE_NS);
        if (clients->listen_fd >= 0 && !clients->watch)
                due = MIN(due, clients->accept_again_ns);
        return due;
}

static void free_longer_than(struct client_list *list, uint64_t patience_ns, uint64_t now_ns)
{
        struct client *longest;

        while ((longest = TAILQ_FIRST(list)) && longest->since_ns + patience_ns <= now_ns)
                client_free(longest);
}

void clients_step(struct clients *clients, uint64_t now_ns)
{
        free_longer_than(&clients->waiting, HANDOVER_PATIENCE_NS, now_ns);
        free_longer_than(&clients->ending, ENDING_PATIENCE_NS, now_ns);
        if (clients->listen_fd < 0 || clients->watch || clients->accept_again_ns > now_ns)
                return;
        if (worker_watch(clients->worker, clients->listen_fd, EPOLLIN, listen_ready, clients,
                         &clients->watch))
                clients->accept_again_ns = now_ns + ACCEPT_PAUSE_NS;
}

unsigned clients_count(const struct clients *clients)
{
        return clients->count + clients->ending_count;
}

uint64_t clients_last_ns(const struct clients *clients)
{
        return clients_count(clients) ? clock_mono_ns() : clients->last_ns;
}
