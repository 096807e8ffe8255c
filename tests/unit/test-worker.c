/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>

#include "tests/unit/bench.h"

START_TEST(test_worker_gone_when_spans_are_left)
{
        struct bench bench = {.settings.count = 0};
        struct seen seen;

        bench_collector(&bench, NULL, 0);
        setting(&bench.settings, "OTEL_EXPORTER_OTLP_HEADERS", "x-key=se%20cret");
        bench_start(&bench);
        short_process(&bench, 3);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(count(&bench, METER_SENT), 3);
        ck_assert_uint_eq(count(&bench, METER_DRAINED), 3);
        ck_assert_uint_eq(worker_sources(bench.worker), 0);
        seen = collector_seen(bench.collector, 0);
        ck_assert_uint_eq(seen.spans, 3);
        ck_assert_int_eq(strncmp(seen.head, "POST /v1/traces HTTP/1.1\r\n", 26), 0);
        ck_assert_ptr_nonnull(strstr(seen.head, "\r\nContent-Type: application/x-protobuf\r\n"));
        ck_assert_ptr_nonnull(strstr(seen.head, "\r\nUser-Agent: otel-instrument/" OTEL_INSTRUMENT_VERSION
                                                " OTel-OTLP-Exporter-C/" OTEL_INSTRUMENT_VERSION "\r\n"));
        ck_assert_ptr_nonnull(strstr(seen.head, "\r\nx-key: se cret\r\n"));
        ck_assert_ptr_null(strstr(seen.head, "Expect:"));
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_gone_when_several_at_once)
{
        struct bench bench = {.settings.count = 0};
        uint64_t begin = clock_mono_ns();

        bench_collector(&bench, NULL, 0);
        setting(&bench.settings, "OTEL_BSP_SCHEDULE_DELAY", "3600000");
        bench_start(&bench);
        for (unsigned i = 0; i < 10; i++)
                short_process(&bench, 1);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(collector_requests(bench.collector), 1); /* they shared it */
        ck_assert_uint_eq(collector_seen(bench.collector, 0).resources, 10);
        ck_assert_uint_eq(collector_seen(bench.collector, 0).spans, 10);
        ck_assert_uint_ge(clock_mono_ns() - begin, WORKER_COALESCE_MS * 1000000ull);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_gone_when_span_is_open)
{
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(2048);
        struct span span = client_span();

        bench_collector(&bench, NULL, 0);
        bench_start(&bench);
        span.end_ns = 0;
        ck_assert_int_ge(ring_open_put(&ring, &span), 0);
        worker_gone(bench.worker, add(&bench, &ring, -1));
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(count(&bench, METER_SENT), 1);
        ring_drop(&ring);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_step_when_batch_is_full)
{
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(2048);

        bench_collector(&bench, NULL, 0);
        setting(&bench.settings, "OTEL_BSP_SCHEDULE_DELAY", "3600000");
        setting(&bench.settings, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4");
        bench_start(&bench);
        client_push(&ring, 10);
        add(&bench, &ring, -1);
        UNTIL(&bench, count(&bench, METER_SENT) == 8); /* full ones do not wait for the delay */
        ck_assert_uint_eq(collector_requests(bench.collector), 2);
        worker_flush(bench.worker);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(collector_requests(bench.collector), 3);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_uint_eq(collector_seen(bench.collector, i).spans, i < 2 ? 4 : 2);
        ck_assert_uint_eq(collector_connections(bench.collector), 1); /* kept */
        ring_drop(&ring);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_wait_when_idle)
{
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(2048);
        struct source *source;
        uint64_t begin;

        bench_collector(&bench, NULL, 0);
        setting(&bench.settings, "OTEL_BSP_SCHEDULE_DELAY", "300");
        bench_start(&bench);
        source = add(&bench, &ring, -1);
        UNTIL(&bench, atomic_load(&ring.header->wake_after_ns) == 0); /* it sleeps */
        begin = clock_mono_ns();
        ck_assert(client_push(&ring, 1)); /* the first record wakes */
        worker_woken(bench.worker, source);
        worker_step(bench.worker);
        ck_assert(!client_push(&ring, 5)); /* the others do not */
        UNTIL(&bench, count(&bench, METER_SENT) == 6);
        ck_assert_uint_eq(collector_requests(bench.collector), 1);
        ck_assert_uint_ge(clock_mono_ns() - begin, 300000000); /* the delay counts from the first record */
        UNTIL(&bench, atomic_load(&ring.header->wake_after_ns) == 0 && worker_idle(bench.worker));
        /* Zero wake-ups when idle: the whole wait passes in one call, and there is nothing to do after it. */
        begin = clock_mono_ns();
        worker_wait(bench.worker, 700);
        ck_assert_uint_ge(clock_mono_ns() - begin, 700000000);
        worker_step(bench.worker);
        ck_assert(worker_idle(bench.worker));
        ring_drop(&ring);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_step_when_ring_is_half_full)
{
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(64);
        struct source *source;

        bench_collector(&bench, NULL, 0);
        setting(&bench.settings, "OTEL_BSP_MAX_QUEUE_SIZE", "64");
        setting(&bench.settings, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "32");
        setting(&bench.settings, "OTEL_BSP_SCHEDULE_DELAY", "3600000");
        bench_start(&bench);
        client_push(&ring, 1);
        source = add(&bench, &ring, -1);
        worker_step(bench.worker); /* awake from here on */
        ck_assert(client_push(&ring, 40));
        worker_woken(bench.worker, source);
        UNTIL(&bench, count(&bench, METER_SENT) >= 32);
        ring_drop(&ring);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_woken_when_flush_is_wanted)
{
        static const struct reply plan[] = {
                {.kind = REPLY_HTTP, .status = 503, .fields = "Retry-After: 0\r\n"}};
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(2048);
        struct source *source;

        bench_collector(&bench, plan, 1);
        setting(&bench.settings, "OTEL_BSP_SCHEDULE_DELAY", "3600000");
        bench_start(&bench);
        source = add(&bench, &ring, -1);
        worker_step(bench.worker);
        client_push(&ring, 3);
        atomic_fetch_add(&ring.header->flush_wanted, 1);
        worker_woken(bench.worker, source);
        UNTIL(&bench, atomic_load(&ring.header->flush_done) == 1);
        ck_assert_uint_eq(collector_taken(bench.collector), 3); /* not before the retry went well */
        atomic_fetch_add(&ring.header->flush_wanted, 1);        /* nothing new: answered all the same */
        worker_woken(bench.worker, source);
        UNTIL(&bench, atomic_load(&ring.header->flush_done) == 2);
        ck_assert_uint_eq(collector_requests(bench.collector), 2);
        ring_drop(&ring);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_woken_when_flush_fails)
{
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(2048);
        struct source *source;

        setting_port(&bench.settings, collector_free_port());
        setting(&bench.settings, "OTEL_EXPORTER_OTLP_TIMEOUT", "300");
        bench_start(&bench);
        client_push(&ring, 3);
        atomic_fetch_add(&ring.header->flush_wanted, 1);
        source = add(&bench, &ring, -1);
        worker_woken(bench.worker, source);
        UNTIL(&bench, atomic_load(&ring.header->flush_done) == 1); /* given up */
        ck_assert_uint_eq(count(&bench, METER_FAILED_DEADLINE), 3);
        ring_drop(&ring);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_gone_when_console)
{
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(2048), other = client_ring(2048);
        char text[65536];
        int fds[2];

        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        setting(&bench.settings, "OTEL_TRACES_EXPORTER", "console");
        bench_start(&bench);
        client_push(&ring, 2);
        client_push(&other, 1);
        worker_gone(bench.worker, add(&bench, &ring, fcntl(fds[1], F_DUPFD_CLOEXEC, 3)));
        worker_gone(bench.worker, add(&bench, &other, fcntl(fds[1], F_DUPFD_CLOEXEC, 3)));
        close(fds[1]);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(count(&bench, METER_PRINTED), 3);
        /* The end of the pipe comes: nothing holds the dead processes' stderr any more. */
        ck_assert_int_eq(unit_read_all(fds[0], text, sizeof(text)), 0);
        ck_assert_ptr_nonnull(strstr(text, "worker-test"));
        ck_assert_ptr_nonnull(strstr(text, "GET"));
        close(fds[0]);
        ring_drop(&ring);
        ring_drop(&other);
        bench_done(&bench);
}
END_TEST

/* A process that dies with its span open; what the console shows of it goes to @fd. */
static void killed_process(struct bench *bench, int64_t pid, int fd)
{
        struct ring ring = client_ring(2048);
        struct span span = client_process(pid);

        ck_assert_int_ge(ring_open_put(&ring, &span), 0);
        worker_gone(bench->worker, add(bench, &ring, fcntl(fd, F_DUPFD_CLOEXEC, 3)));
        ring_drop(&ring);
}

static void push_ended(struct ring *ring, int64_t pid, int number)
{
        uint64_t now = clock_mono_ns();
        struct span span = {.kind = SPAN_INTERNAL, .shape = SHAPE_PROCESS_ENDED};

        span.start_ns = span.end_ns = clock_wall_ns(now);
        span_add_int(&span, SEMCONV_RAW_PID, pid);
        span_add_int(&span, SEMCONV_RAW_SIGNAL, number);
        ck_assert_int_ge(ring_push(ring, &span, now), 0);
}

/* The parent's word lies in a ring that nobody would look at for an hour. */
START_TEST(test_worker_gone_when_parent_knows_the_signal)
{
        struct bench bench = {.settings.count = 0};
        struct ring parent = client_ring(2048);
        const char *text;
        int fds[2];

        console_bench(&bench, fds);
        add(&bench, &parent, -1);
        worker_step(bench.worker);
        killed_process(&bench, 77, fds[1]);
        worker_step(bench.worker);
        ck_assert(!worker_idle(bench.worker));
        push_ended(&parent, 77, 9);
        UNTIL(&bench, worker_idle(bench.worker));
        push_ended(&parent, 78, 15); /* and before its span */
        worker_flush(bench.worker);
        UNTIL(&bench, worker_idle(bench.worker));
        killed_process(&bench, 78, fds[1]);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(count(&bench, METER_PRINTED), 2);
        text = console_text(fds);
        ck_assert_ptr_nonnull(strstr(text, "ERROR SIGKILL"));
        ck_assert_ptr_nonnull(strstr(text, "ERROR SIGTERM"));
        ck_assert_ptr_null(strstr(text, "unfinished"));
        ring_drop(&parent);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_gone_when_kernel_knows_the_signal)
{
        struct bench bench = {.settings.count = 0};
        const char *text;
        int fds[2];

        console_bench(&bench, fds);
        killed_process(&bench, 77, fds[1]);
        worker_step(bench.worker);
        worker_ended(bench.worker, 77, 11);
        worker_ended(bench.worker, 78, 6);
        killed_process(&bench, 78, fds[1]);
        UNTIL(&bench, worker_idle(bench.worker));
        text = console_text(fds);
        ck_assert_ptr_nonnull(strstr(text, "ERROR SIGSEGV"));
        ck_assert_ptr_nonnull(strstr(text, "ERROR SIGABRT"));
        ck_assert_ptr_null(strstr(text, "unfinished"));
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_gone_when_nobody_knows_the_signal)
{
        struct bench bench = {.settings.count = 0};
        uint64_t begin = clock_mono_ns();
        const char *text;
        int fds[2];

        console_bench(&bench, fds);
        killed_process(&bench, 77, fds[1]);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_ge(clock_mono_ns() - begin, LIMIT_HELD_NS);
        text = console_text(fds);
        ck_assert_ptr_nonnull(strstr(text, "unfinished"));
        ck_assert_ptr_null(strstr(text, "ERROR"));
        bench_done(&bench);
}
END_TEST

/* The end does not wait: neither a flush nor the worker's own. More of them than are held. */
START_TEST(test_worker_flush_when_signals_are_awaited)
{
        struct bench bench = {.settings.count = 0};
        uint64_t begin = clock_mono_ns();
        int fds[2];

        console_bench(&bench, fds);
        for (int64_t pid = 1; pid <= 2 * LIMIT_HELD_PROCESSES; pid++)
                killed_process(&bench, pid, fds[1]);
        worker_step(bench.worker);
        worker_flush(bench.worker);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_lt(clock_mono_ns() - begin, LIMIT_HELD_NS);
        ck_assert_uint_eq(count(&bench, METER_PRINTED), 2 * LIMIT_HELD_PROCESSES);
        killed_process(&bench, 1000, fds[1]);
        worker_step(bench.worker);
        bench_done(&bench);
        ck_assert_ptr_nonnull(strstr(console_text(fds), "unfinished")); /* nothing holds the pipe any more */
}
END_TEST

/* Each process has patterns of its own, for its own requests. */
START_TEST(test_worker_step_when_routes_are_set)
{
        static const char meta[] = "OTEL_SERVICE_NAME=web\0OTEL_INSTRUMENT_HTTP_ROUTES=bad,/items";
        struct bench bench = {.settings.count = 0};
        struct ring with = client_ring(2048), without = client_ring(2048);
        const char *text;
        int fds[2];

        console_bench(&bench, fds);
        ring_set_meta(&with, slice_make(meta, sizeof(meta)));
        for (unsigned i = 0; i < 2; i++) {
                struct ring *ring = i ? &with : &without;
                struct span span = client_span();

                span.shape = SHAPE_HTTP_SERVER;
                span.kind = SPAN_SERVER;
                if (!i)
                        span.attrs[0].str = SLICE("POST");
                ck_assert_int_ge(ring_push(ring, &span, clock_mono_ns()), 0);
                worker_gone(bench.worker, add(&bench, ring, fcntl(fds[1], F_DUPFD_CLOEXEC, 3)));
                ring_drop(ring);
        }
        UNTIL(&bench, worker_idle(bench.worker));
        text = console_text(fds);
        ck_assert_ptr_nonnull(strstr(text, "GET /items "));
        ck_assert_ptr_null(strstr(text, "GET /items /items"));
        ck_assert_ptr_nonnull(strstr(text, "POST /items "));
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_gone_when_otlp_keeps_no_tty)
{
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(2048);
        int fds[2];
        char c;

        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        bench_collector(&bench, NULL, 0);
        bench_start(&bench);
        client_push(&ring, 1);
        worker_gone(bench.worker, add(&bench, &ring, fds[1]));
        worker_step(bench.worker);
        ck_assert_int_eq(read(fds[0], &c, 1), 0); /* although the span is not even on its way */
        ck_assert_uint_eq(collector_requests(bench.collector), 0);
        close(fds[0]);
        ring_drop(&ring);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_add_when_no_ring)
{
        struct bench bench = {.settings.count = 0};
        int memfd = memfd_create("plain", MFD_CLOEXEC);
        int fds[2];
        char c;

        ck_assert_int_eq(ftruncate(memfd, 1 << 20), 0);
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        setting_port(&bench.settings, 1);
        bench_start(&bench);
        ck_assert_ptr_null(worker_add(bench.worker, memfd, NULL, -1));
        ck_assert_ptr_null(worker_add(bench.worker, open("/dev/null", O_RDWR | O_CLOEXEC), NULL, fds[1]));
        ck_assert_int_eq(fcntl(memfd, F_GETFD), -1); /* taken over on failure as well */
        ck_assert_int_eq(read(fds[0], &c, 1), 0);
        ck_assert_uint_eq(count(&bench, METER_CLIENTS_REFUSED), 2);
        ck_assert_uint_eq(worker_sources(bench.worker), 0);
        close(fds[0]);
        bench_done(&bench);
}
END_TEST

START_TEST(test_worker_free_when_undelivered)
{
        static const struct reply plan[] = {{.kind = REPLY_NEVER}};
        struct bench bench = {.settings.count = 0};
        struct ring ring = client_ring(2048);

        bench_collector(&bench, plan, 1);
        setting(&bench.settings, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2");
        bench_start(&bench);
        client_push(&ring, 5);
        add(&bench, &ring, -1);
        /* One in flight, one queued, one span collected. */
        UNTIL(&bench, collector_requests(bench.collector) == 1);
        client_push(&ring, 1);
        bench_done(&bench);
        /* The next record finds nobody, and says so; what was not taken waits for the next consumer. */
        ck_assert_uint_eq(atomic_load(&ring.header->wake_after_ns), 0);
        ck_assert_uint_eq(ring_pending(&ring), 1);
        ring_drop(&ring);
}
END_TEST

UNIT_MAIN("worker", test_worker_gone_when_spans_are_left, test_worker_gone_when_several_at_once,
          test_worker_gone_when_span_is_open, test_worker_step_when_batch_is_full, test_worker_wait_when_idle,
          test_worker_step_when_ring_is_half_full, test_worker_woken_when_flush_is_wanted,
          test_worker_woken_when_flush_fails, test_worker_gone_when_console,
          test_worker_gone_when_parent_knows_the_signal, test_worker_gone_when_kernel_knows_the_signal,
          test_worker_gone_when_nobody_knows_the_signal, test_worker_flush_when_signals_are_awaited,
          test_worker_step_when_routes_are_set, test_worker_gone_when_otlp_keeps_no_tty,
          test_worker_add_when_no_ring, test_worker_free_when_undelivered)
