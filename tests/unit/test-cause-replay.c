/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent rule against what real servers did: traces of tests/replay (whose convert.py says what their
 * events are), in which every request has a target of its own that gives each wrong answer away. Each
 * is replayed twice: as it was, and with targets hidden, as if all were equal.
 */
#include <stdio.h>

#include "agent/base/load.h"
#include "tests/unit/cause.h"
#include "tests/unit/unit.h"

#define THREADS  128
#define FDS      4096
#define REQUESTS 4096
#define PIPELINE 8

struct socket {
        enum { CLOSED, SERVER, CLIENT } role;
        uint64_t waiting[PIPELINE]; /* server: unanswered requests, oldest first */
        unsigned count;
        struct cause_opening opening; /* client */
        bool asked;                   /* client: a request is in flight, of ... */
        uint64_t asked_for;
};

struct replay {
        struct thread_cause threads[THREADS];
        struct socket sockets[FDS];
        uint64_t requests[REQUESTS]; /* by the number in the target */
        bool hide;
        unsigned right, unknown, wrong, rungs[CAUSE_RUNGS];
};

struct event {
        unsigned thread, fd;
        char name[16], more[16], target[64];
};

/* To whom a socket's bytes belong. */
static uint64_t owner(const struct socket *socket)
{
        if (socket->role == SERVER)
                return socket->count ? socket->waiting[0] : CAUSE_NONE;
        if (socket->asked)
                return socket->asked_for;
        return socket->opening.over ? CAUSE_NONE : socket->opening.request;
}

static unsigned number_of(const struct event *event)
{
        unsigned number = REQUESTS;

        ck_assert_int_eq(sscanf(event->target, "/r%u", &number), 1);
        ck_assert_uint_lt(number, REQUESTS);
        return number;
}

static void answered(struct socket *socket)
{
        if (!socket->count)
                return; /* a server's answer to what was no request */
        cause_close(socket->waiting[0]);
        socket->count--;
        memmove(socket->waiting, socket->waiting + 1, socket->count * sizeof(*socket->waiting));
}

static void on_wait(struct replay *replay, const struct event *event, struct thread_cause *thread,
                    struct socket *socket)
{
        cause_waited(thread);
}

static void on_accept(struct replay *replay, const struct event *event, struct thread_cause *thread,
                      struct socket *socket)
{
        *socket = (struct socket){.role = SERVER};
}

static void on_connect(struct replay *replay, const struct event *event, struct thread_cause *thread,
                       struct socket *socket)
{
        *socket = (struct socket){.role = CLIENT};
        cause_connect(thread, &socket->opening);
}

static void on_in(struct replay *replay, const struct event *event, struct thread_cause *thread,
                  struct socket *socket)
{
        unsigned number = number_of(event);
        struct cause_arrival arrival = {.context = cause_ids(number),
                                        .method = slice_str(event->more),
                                        .target = slice_str(event->target),
                                        .sampled = true};

        ck_assert_uint_lt(socket->count, PIPELINE);
        cause_read(thread, owner(socket));
        replay->requests[number] = cause_open(thread, &arrival);
        socket->waiting[socket->count++] = replay->requests[number];
}

static void on_out(struct replay *replay, const struct event *event, struct thread_cause *thread,
                   struct socket *socket)
{
        struct cause_departure departure = {.opening = &socket->opening};
        uint64_t found;
        enum cause_rung rung;

        if (!replay->hide) {
                departure.method = slice_str(event->more);
                departure.target = slice_str(event->target);
        }
        rung = cause_find(thread, &departure, &found);
        replay->rungs[rung]++;
        if (rung == CAUSE_BY_NOTHING)
                replay->unknown++;
        else if (found == replay->requests[number_of(event)])
                replay->right++;
        else
                replay->wrong++;
        socket->asked = true;
        socket->asked_for = found;
        cause_wrote(thread, found);
}

static void on_read(struct replay *replay, const struct event *event, struct thread_cause *thread,
                    struct socket *socket)
{
        cause_read(thread, owner(socket));
        if (socket->role == CLIENT && strcmp(event->more, "end") == 0)
                socket->asked = false;
}

static void on_write(struct replay *replay, const struct event *event, struct thread_cause *thread,
                     struct socket *socket)
{
        cause_wrote(thread, owner(socket));
        if (socket->role == SERVER && strcmp(event->more, "end") == 0)
                answered(socket);
}

static void on_close(struct replay *replay, const struct event *event, struct thread_cause *thread,
                     struct socket *socket)
{
        while (socket->count)
                answered(socket);
        socket->role = CLOSED;
}

struct kind {
        const char *name;
        int fields; /* of its line, at least */
        int role;   /* of its socket; -1: any */
        void (*on)(struct replay *replay, const struct event *event, struct thread_cause *thread,
                   struct socket *socket);
};

static const struct kind kinds[] = {
        {"wait", 2, -1, on_wait},      {"accept", 3, -1, on_accept}, {"connect", 3, -1, on_connect},
        {"in", 5, SERVER, on_in},      {"body", 3, SERVER, on_read}, {"out", 5, CLIENT, on_out},
        {"push", 3, CLIENT, on_write}, {"back", 3, CLIENT, on_read}, {"reply", 3, SERVER, on_write},
        {"close", 3, -1, on_close},
};

static void play(struct replay *replay, const char *line)
{
        struct event event = {.fd = 0};
        int fields = sscanf(line, "%u %15s %u %15s %63s", &event.thread, event.name, &event.fd, event.more,
                            event.target);

        ck_assert_msg(fields >= 2 && event.thread < THREADS && event.fd < FDS, "%s", line);
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                struct socket *socket = &replay->sockets[event.fd];

                if (strcmp(kinds[i].name, event.name) != 0)
                        continue;
                ck_assert_msg(fields >= kinds[i].fields, "%s", line);
                ck_assert_msg(kinds[i].role < 0 || kinds[i].role == (int)socket->role, "%s", line);
                kinds[i].on(replay, &event, &replay->threads[event.thread], socket);
                return;
        }
        ck_abort_msg("no such event: %s", line);
}

/* The environment says in which folder it is. */
static void replay_trace(struct replay *replay, const char *name, bool hide)
{
        char path[4096], line[256];
        FILE *file;

        memset(replay, 0, sizeof(*replay));
        replay->hide = hide;
        snprintf(path, sizeof(path), "%s/%s.trace", getenv("TRACES"), name);
        file = fopen(path, "r");
        ck_assert_msg(file != NULL, "%s", path);
        while (fgets(line, sizeof(line), file))
                if (line[0] != '#')
                        play(replay, line);
        fclose(file);
        for (unsigned i = 0; i < FDS; i++)
                on_close(replay, NULL, NULL, &replay->sockets[i]);
        printf("%-14s%-15s %4u right %4u unknown %4u wrong; by opening %u, debt %u, target %u, thread %u, "
               "process %u\n",
               name, hide ? "targets hidden" : "as it was", replay->right, replay->unknown, replay->wrong,
               replay->rungs[CAUSE_BY_OPENING], replay->rungs[CAUSE_BY_DEBT], replay->rungs[CAUSE_BY_TARGET],
               replay->rungs[CAUSE_BY_THREAD], replay->rungs[CAUSE_BY_PROCESS]);
        fflush(stdout);
}

struct recorded {
        const char *name;
        unsigned hidden_percent; /* right when targets are hidden, at least */
};

static const struct recorded traces[] = {
        {"nginx", 40},    {"nginx-no-pool", 40}, {"haproxy-1", 0},     {"haproxy-2", 0},
        {"haproxy-4", 0}, {"lighttpd", 30},      {"apache-event", 99}, {"epoll-proxy", 30},
};

START_TEST(test_replay)
{
        static struct replay replay;

        for (size_t i = 0; i < ARRAY_LEN(traces); i++) {
                unsigned all;

                replay_trace(&replay, traces[i].name, false);
                all = replay.right + replay.unknown + replay.wrong;
                ck_assert_uint_ge(all, 400);
                ck_assert_uint_eq(replay.wrong, 0);
                ck_assert_uint_ge(replay.right * 100, all * 99);
                replay_trace(&replay, traces[i].name, true);
                ck_assert_uint_eq(replay.rungs[CAUSE_BY_TARGET], 0);
                ck_assert_uint_eq(replay.wrong, 0);
                ck_assert_uint_ge(replay.right * 100, all * traces[i].hidden_percent);
        }
}
END_TEST

UNIT_MAIN("cause-replay", test_replay)
