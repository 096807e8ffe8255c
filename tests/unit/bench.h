/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of the worker: one with its settings and its collector, driven until something is true. */
#include "export/export.h"
#include "export/meter.h"
#include "tests/unit/client.h"
#include "tests/unit/collector.h"
#include "tests/unit/settings.h"

/* A worker with its settings, and one process's ring. */
struct bench {
        struct settings settings;
        struct config config;
        struct worker *worker;
        struct collector *collector;
};

static inline void bench_start(struct bench *bench)
{
        config_load(&bench->config, bench->settings.envp, NULL, NULL);
        bench->worker = worker_new(&bench->config, false);
        ck_assert_ptr_nonnull(bench->worker);
}

/* The usual one: a collector with a plan, further settings before or after. */
static inline void bench_collector(struct bench *bench, const struct reply *plan, size_t len)
{
        bench->collector = collector_start(0, plan, len);
        setting_port(&bench->settings, collector_port(bench->collector));
}

static inline void bench_done(struct bench *bench)
{
        bench->worker = worker_free(bench->worker);
        if (bench->collector)
                collector_stop(bench->collector);
}

static inline uint64_t count(const struct bench *bench, enum meter_id id)
{
        return worker_meter(bench->worker)->count[id];
}

/* One round; false once the deadline is over. */
static inline bool turn(struct bench *bench, uint64_t until_ns)
{
        uint64_t now = clock_mono_ns();

        if (now >= until_ns)
                return false;
        worker_wait(bench->worker, (int)((until_ns - now) / 1000000) + 1);
        worker_step(bench->worker);
        return true;
}

#define UNTIL(bench, condition)                                                              \
        do {                                                                                 \
                uint64_t until_ = clock_mono_ns() + DEADLINE_MS * 1000000ull;                \
                while (!(condition))                                                         \
                        ck_assert_msg(turn((bench), until_), "not in time: %s", #condition); \
        } while (0)

static inline struct source *add(struct bench *bench, struct ring *ring, int tty_fd)
{
        int fd = fcntl(ring->fd, F_DUPFD_CLOEXEC, 3);
        struct source *source = worker_add(bench->worker, fd, NULL, tty_fd);

        ck_assert_ptr_nonnull(source);
        return source;
}

/* A process that writes @spans and ends. */
static inline void short_process(struct bench *bench, unsigned spans)
{
        struct ring ring = client_ring(2048);

        client_push(&ring, spans);
        worker_gone(bench->worker, add(bench, &ring, -1));
        ring_drop(&ring);
}

/* What the console printed into the pipe @fds until it was closed everywhere. */
static inline const char *console_text(int fds[2])
{
        static char text[65536];

        close(fds[1]);
        ck_assert_int_eq(unit_read_all(fds[0], text, sizeof(text)), 0);
        close(fds[0]);
        return text;
}

static inline void console_bench(struct bench *bench, int fds[2])
{
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        setting(&bench->settings, "OTEL_TRACES_EXPORTER", "console");
        setting(&bench->settings, "OTEL_BSP_SCHEDULE_DELAY", "3600000");
        bench_start(bench);
}
