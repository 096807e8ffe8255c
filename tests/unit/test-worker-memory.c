/* SPDX-License-Identifier: Apache-2.0 */
/* The n-th allocation of the worker's fails, n = 1, 2, ...: nothing breaks, every span is accounted for. */
#include <errno.h>

#include "tests/unit/bench.h"

/* Counts down on the worker's thread and in the worker's functions only; the one that reaches zero fails. */
static __thread unsigned countdown;
static __thread bool armed;

static bool fails(void)
{
        return armed && countdown && --countdown == 0;
}

#define ARMED(call)            \
        do {                   \
                armed = true;  \
                call;          \
                armed = false; \
        } while (0)

#define FAILING(type, name, parameters, arguments) \
        type __real_##name parameters;             \
        type __wrap_##name parameters;             \
        type __wrap_##name parameters              \
        {                                          \
                if (fails()) {                     \
                        errno = ENOMEM;            \
                        return NULL;               \
                }                                  \
                return __real_##name arguments;    \
        }

FAILING(void *, malloc, (size_t len), (len))
FAILING(void *, calloc, (size_t count, size_t len), (count, len))
FAILING(void *, realloc, (void *p, size_t len), (p, len))
FAILING(void *, reallocarray, (void *p, size_t count, size_t len), (p, count, len))
FAILING(char *, strdup, (const char *s), (s))
FAILING(char *, strndup, (const char *s, size_t len), (s, len))

/* What became of the spans that were drained. */
static uint64_t accounted(const struct bench *bench)
{
        uint64_t sum = 0;

        for (unsigned id = METER_SENT; id < METER_COUNT; id++)
                if (id != METER_PRINTED && id != METER_CLIENTS_REFUSED)
                        sum += count(bench, id);
        return sum;
}

static int open_null(void)
{
        return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static bool run_until_idle(struct bench *bench)
{
        uint64_t until = clock_mono_ns() + DEADLINE_MS * 1000000ull;

        while (!worker_idle(bench->worker)) {
                bool in_time;

                ARMED(in_time = turn(bench, until));
                if (!in_time)
                        return false;
        }
        return true;
}

/* Return: false when the n-th allocation never came: all of them were had. */
static bool one_life(unsigned n)
{
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(64);
        struct span open = client_process(1);
        struct source *source = NULL;
        int fd = fcntl(ring.fd, F_DUPFD_CLOEXEC, 3);

        bench_collector(&bench, NULL, 0);
        setting(&bench.settings, "OTEL_BSP_SCHEDULE_DELAY", "0");
        setting(&bench.settings, "OTEL_EXPORTER_OTLP_HEADERS", "a=b");
        setting(&bench.settings, "OTEL_EXPORTER_OTLP_TIMEOUT",
                "900"); /* an attempt without memory is not repeated in time */
        config_load(&bench.config, bench.settings.envp, NULL, NULL);
        client_push(&ring, 5);
        ck_assert_int_ge(ring_open_put(&ring, &open), 0);
        countdown = n;
        ARMED(bench.worker = worker_new(&bench.config, false));
        if (bench.worker)
                ARMED(source = worker_add(bench.worker, fd, NULL, -1));
        else
                close(fd);
        if (source) {
                worker_gone(bench.worker, source);
                ARMED(worker_step(bench.worker));
                worker_flush(bench.worker); /* or the open one would wait for word of its process's end */
                ck_assert(run_until_idle(&bench));
                ck_assert_uint_eq(accounted(&bench), 6);
                ck_assert_uint_eq(worker_sources(bench.worker), 0);
        }
        n = countdown;
        countdown = 0;
        ring_drop(&ring);
        bench_done(&bench);
        return n == 0;
}

/* Of the console: what hangs on an open span waits for that. */
static bool one_print(unsigned n)
{
        struct bench bench = {.settings.count = 0};
        struct ring parent = client_ring(64), child = client_ring(64);
        struct source *living, *dead;
        struct span open = client_span(), span = client_span();
        int slot = ring_open_put(&parent, &open);

        setting(&bench.settings, "OTEL_TRACES_EXPORTER", "console");
        setting(&bench.settings, "OTEL_BSP_SCHEDULE_DELAY", "0");
        bench_start(&bench);
        memcpy(span.parent_id, open.context.span_id, sizeof(span.parent_id));
        ck_assert_int_ge(ring_push(&child, &span, clock_mono_ns()), 0);
        living = add(&bench, &parent, open_null());
        dead = add(&bench, &child, open_null());
        countdown = n;
        worker_gone(bench.worker, dead);
        while (worker_sources(bench.worker) > 1)
                ARMED(worker_step(bench.worker));
        ring_open_clear(&parent, slot);
        ck_assert_int_ge(ring_push(&parent, &open, clock_mono_ns()), 0);
        worker_gone(bench.worker, living);
        ck_assert(run_until_idle(&bench));
        ck_assert_uint_eq(accounted(&bench) + count(&bench, METER_PRINTED), 2);
        ck_assert_uint_eq(worker_sources(bench.worker), 0);
        n = countdown;
        countdown = 0;
        ring_drop(&parent);
        ring_drop(&child);
        bench_done(&bench);
        return n == 0;
}

START_TEST(test_printer_print_when_memory_is_out)
{
        unsigned n = 1;

        while (one_print(n))
                n++;
        ck_assert_uint_gt(n, 10); /* it was reached at all */
        ck_assert_uint_lt(n, 1000);
}
END_TEST

START_TEST(test_worker_step_when_memory_is_out)
{
        unsigned n = 1;

        while (one_life(n))
                n++;
        ck_assert_uint_gt(n, 20); /* it was reached at all */
        ck_assert_uint_lt(n, 1000);
}
END_TEST

UNIT_MAIN("worker: memory", test_worker_step_when_memory_is_out, test_printer_print_when_memory_is_out)
