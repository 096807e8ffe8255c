/* SPDX-License-Identifier: Apache-2.0 */
/* What processes that share a terminal did together is one tree there, printed when it is whole. */
#include <unistd.h>

#include "tests/unit/bench.h"

/* A living process with an open span, and the console it writes to. */
struct scene {
        struct bench bench;
        struct ring ring;
        struct source *source;
        struct span span;
        int slot, fds[2];
};

static void scene_make(struct scene *scene)
{
        *scene = (struct scene){.ring = client_ring(2048), .span = client_span()};
        console_bench(&scene->bench, scene->fds);
        scene->span.context.trace_id[0] = 1;
        scene->slot = ring_open_put(&scene->ring, &scene->span);
        scene->source = add(&scene->bench, &scene->ring, fcntl(scene->fds[1], F_DUPFD_CLOEXEC, 3));
}

/* Another process, with @count spans under the open one, ends. Return: its descriptor of the console. */
static int child_ends(struct scene *scene, unsigned count, int console)
{
        struct ring ring = client_ring(16384);
        int fd = fcntl(console, F_DUPFD_CLOEXEC, 3);

        for (unsigned i = 0; i < count; i++) {
                struct span span = client_span();

                span.context.trace_id[0] = 1;
                memcpy(span.context.span_id + 1, &i, sizeof(i));
                span.attrs[0].str = SLICE("POST");
                memcpy(span.parent_id, scene->span.context.span_id, sizeof(span.parent_id));
                ck_assert_int_ge(ring_push(&ring, &span, clock_mono_ns()), 0);
        }
        worker_gone(scene->bench.worker, add(&scene->bench, &ring, fd));
        ring_drop(&ring);
        return fd;
}

/* A process of a trace of its own is printed: what was there before had its turn, too. */
static void round_passes(struct scene *scene)
{
        struct ring ring = client_ring(64);
        uint64_t printed = count(&scene->bench, METER_PRINTED);

        client_push(&ring, 1);
        worker_gone(scene->bench.worker, add(&scene->bench, &ring, fcntl(scene->fds[1], F_DUPFD_CLOEXEC, 3)));
        ring_drop(&ring);
        UNTIL(&scene->bench, count(&scene->bench, METER_PRINTED) > printed);
}

static void parent_ends(struct scene *scene)
{
        ring_open_clear(&scene->ring, scene->slot);
        ck_assert_int_ge(ring_push(&scene->ring, &scene->span, clock_mono_ns()), 0);
        worker_gone(scene->bench.worker, scene->source);
        UNTIL(&scene->bench, worker_idle(scene->bench.worker));
}

/* Return: what is on the console after all. */
static const char *scene_over(struct scene *scene)
{
        const char *text = console_text(scene->fds);

        ring_drop(&scene->ring);
        bench_done(&scene->bench);
        return text;
}

/* The console does not matter, and living processes end with the worker. */
static void scene_left(struct scene *scene)
{
        close(scene->fds[0]);
        close(scene->fds[1]);
        ring_drop(&scene->ring);
        bench_done(&scene->bench);
}

static unsigned times(const char *text, const char *part)
{
        unsigned count = 0;

        for (; (text = strstr(text, part)); text++)
                count++;
        return count;
}

START_TEST(test_printer_print_when_the_parent_is_open_elsewhere)
{
        struct scene scene;
        const char *text, *of_parent;
        int fd;

        scene_make(&scene);
        fd = child_ends(&scene, 1, scene.fds[1]);
        round_passes(&scene);
        ck_assert_uint_eq(count(&scene.bench, METER_PRINTED), 1); /* the other one */
        ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* a dead process keeps nothing open that others have */
        ck_assert(!worker_idle(scene.bench.worker));
        parent_ends(&scene);
        ck_assert_uint_eq(count(&scene.bench, METER_PRINTED), 3);
        text = scene_over(&scene);
        ck_assert_uint_eq(times(text, " trace "), 2);
        of_parent = strstr(text, "trace 01");
        ck_assert_ptr_nonnull(of_parent);
        ck_assert_ptr_nonnull(strstr(of_parent, "\n   \xe2\x94\x94\xe2\x94\x80 "));
        ck_assert(strstr(of_parent, "POST") > strstr(of_parent, "GET"));
}
END_TEST

START_TEST(test_printer_print_when_the_terminal_is_another_one)
{
        struct scene scene;
        int fds[2];

        scene_make(&scene);
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        (void)child_ends(&scene, 1, fds[1]);
        UNTIL(&scene.bench, count(&scene.bench, METER_PRINTED) == 1);
        ck_assert_uint_eq(times(console_text(fds), "POST"),
                          1); /* and it is closed, its reader gets the end */
        parent_ends(&scene);
        ck_assert_uint_eq(times(scene_over(&scene), "POST"), 0);
}
END_TEST

/* Whoever held the console open is gone, without a span of its own. */
START_TEST(test_printer_print_when_the_parent_leaves_nothing)
{
        struct scene scene;

        scene_make(&scene);
        (void)child_ends(&scene, 1, scene.fds[1]);
        round_passes(&scene);
        ring_open_clear(&scene.ring, scene.slot);
        worker_gone(scene.bench.worker, scene.source);
        UNTIL(&scene.bench, worker_idle(scene.bench.worker));
        ck_assert_uint_eq(times(scene_over(&scene), "POST"), 1);
}
END_TEST

START_TEST(test_printer_print_when_too_many_wait)
{
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        struct ring ring = client_ring(2048);
        struct scene scene;

        scene_make(&scene);
        ck_assert_int_ge(ring_open_put(&ring, &scene.span), 0);
        (void)add(&scene.bench, &ring, fcntl(null, F_DUPFD_CLOEXEC, 3));
        (void)child_ends(&scene, 8000, null);
        (void)child_ends(&scene, 8383, null);
        round_passes(&scene);
        ck_assert_uint_eq(count(&scene.bench, METER_PRINTED), 1);
        (void)child_ends(&scene, 2, null);
        UNTIL(&scene.bench, count(&scene.bench, METER_PRINTED) == 1 + 16383 + 2);
        close(null);
        ring_drop(&ring);
        scene_left(&scene);
}
END_TEST

/* It is waited for once; others, who print elsewhere, have to wait for that as well. */
START_TEST(test_printer_print_when_nobody_reads)
{
        static const char filler[4096];
        struct scene scene;
        uint64_t begin;
        int fds[2];

        scene_make(&scene);
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        while (write(fds[1], filler, sizeof(filler)) > 0)
                ;
        ring_open_clear(&scene.ring, scene.slot);
        (void)add(&scene.bench, &scene.ring, fcntl(fds[1], F_DUPFD_CLOEXEC, 3)); /* lives on */
        (void)child_ends(&scene, 2, fds[1]);
        UNTIL(&scene.bench, count(&scene.bench, METER_DROPPED_CONSOLE) == 2);
        begin = clock_mono_ns();
        for (unsigned i = 0; i < 3; i++) {
                (void)child_ends(&scene, 1, fds[1]);
                round_passes(&scene);
        }
        ck_assert_uint_lt(clock_mono_ns() - begin, 3 * LIMIT_CONSOLE_MS * 1000000ull);
        ck_assert_uint_eq(count(&scene.bench, METER_DROPPED_CONSOLE), 5);
        ck_assert_uint_eq(count(&scene.bench, METER_PRINTED), 3);
        close(fds[0]);
        close(fds[1]);
        scene_left(&scene);
}
END_TEST

/* A batch is full before all is taken from the ring: what comes later belongs to the same tree. */
START_TEST(test_printer_print_when_a_batch_is_full)
{
        struct ring ring = client_ring(4096);
        struct scene scene;

        scene_make(&scene);
        for (unsigned i = 0; i < 1200; i++) {
                struct span span = client_span();

                span.context.trace_id[0] = 2;
                memcpy(span.context.span_id + 1, &i, sizeof(i));
                memcpy(span.parent_id, scene.span.context.span_id, sizeof(span.parent_id));
                if (i == 1199) { /* the last one is their parent */
                        span.context = scene.span.context;
                        span.context.trace_id[0] = 2;
                        memset(span.parent_id, 0, sizeof(span.parent_id));
                }
                ck_assert_int_ge(ring_push(&ring, &span, clock_mono_ns()), 0);
        }
        worker_gone(scene.bench.worker, add(&scene.bench, &ring, open("/dev/null", O_WRONLY | O_CLOEXEC)));
        worker_step(scene.bench.worker);
        ck_assert_uint_eq(count(&scene.bench, METER_DRAINED), 1200);
        ck_assert_uint_eq(count(&scene.bench, METER_PRINTED), 0);
        UNTIL(&scene.bench, count(&scene.bench, METER_PRINTED) == 1200);
        ring_drop(&ring);
        scene_left(&scene);
}
END_TEST

UNIT_MAIN("printer", test_printer_print_when_the_parent_is_open_elsewhere,
          test_printer_print_when_the_terminal_is_another_one,
          test_printer_print_when_the_parent_leaves_nothing, test_printer_print_when_too_many_wait,
          test_printer_print_when_nobody_reads, test_printer_print_when_a_batch_is_full)
