/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "agent/base/load.h"
#include "agent/base/log.h"
#include "tests/unit/bench.h"

/* What an answer does to the five spans of one request. */
static const uint8_t rejected_two[] = {0x0a, 0x06, 0x08, 0x02, 0x12, 0x02, 'n', 'o'};
static const uint8_t warned_only[] = {0x0a, 0x04, 0x12, 0x02, 'h', 'm'};
static const uint8_t rejected_lie[] = {0x0a, 0x03, 0x08, 0xe8, 0x07};

#define BYTES(array) .body = (const char *)(array), .body_len = sizeof(array)

static const struct {
        struct reply reply;
        unsigned requests; /* with the retries, all but the first answered 200 */
        unsigned gap_ms;   /* at least, between first and second */
        enum meter_id id;
        unsigned spans, sent;
} answers[] = {
        {{REPLY_HTTP, 200, NULL, NULL, 0}, 1, 0, METER_SENT, 5, 5},
        {{REPLY_HTTP, 202, NULL, NULL, 0}, 1, 0, METER_SENT, 5, 5},
        {{REPLY_HTTP, 200, NULL, BYTES(rejected_two)}, 1, 0, METER_REJECTED, 2, 3},
        {{REPLY_HTTP, 200, NULL, BYTES(warned_only)}, 1, 0, METER_REJECTED, 0, 5},
        {{REPLY_HTTP, 200, NULL, BYTES(rejected_lie)}, 1, 0, METER_REJECTED, 5, 0},
        {{REPLY_HTTP, 200, NULL, "<html>hello</html>", 18}, 1, 0, METER_SENT, 5, 5},
        {{REPLY_HTTP, 400, NULL, "bad", 3}, 1, 0, METER_FAILED_ANSWER, 5, 0},
        {{REPLY_HTTP, 401, NULL, NULL, 0}, 1, 0, METER_FAILED_ANSWER, 5, 0},
        {{REPLY_HTTP, 404, NULL, NULL, 0}, 1, 0, METER_FAILED_ANSWER, 5, 0},
        {{REPLY_HTTP, 413, NULL, NULL, 0}, 1, 0, METER_FAILED_ANSWER, 5, 0},
        {{REPLY_HTTP, 500, NULL, NULL, 0}, 1, 0, METER_FAILED_ANSWER, 5, 0},
        {{REPLY_HTTP, 302, "Location: /elsewhere\r\n", NULL, 0}, 1, 0, METER_FAILED_ANSWER, 5, 0},
        {{REPLY_HTTP, 307, "Location: /elsewhere\r\n", NULL, 0}, 1, 0, METER_FAILED_ANSWER, 5, 0},
        {{REPLY_HTTP, 429, "Retry-After: 1\r\n", NULL, 0}, 2, 1000, METER_SENT, 5, 5},
        {{REPLY_HTTP, 503, "retry-after:0\r\n", NULL, 0}, 2, 0, METER_SENT, 5, 5},
        {{REPLY_HTTP, 503, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", NULL, 0},
         2,
         0,
         METER_SENT,
         5,
         5},
        {{REPLY_HTTP, 503, NULL, NULL, 0}, 2, 800, METER_SENT, 5, 5},
        {{REPLY_HTTP, 502, "Retry-After: soon\r\n", NULL, 0}, 2, 800, METER_SENT, 5, 5},
        {{REPLY_HTTP, 504, NULL, NULL, 0}, 2, 800, METER_SENT, 5, 5},
        {{REPLY_HTTP, 503, "Retry-After: 3600\r\n", NULL, 0}, 1, 0, METER_FAILED_DEADLINE, 5, 0},
        {{REPLY_CLOSE, 0, NULL, NULL, 0}, 2, 800, METER_SENT, 5, 5},
        {{REPLY_HALF, 0, NULL, NULL, 0}, 2, 800, METER_SENT, 5, 5},
        {{REPLY_GARBAGE, 0, NULL, NULL, 0}, 1, 0, METER_FAILED_TRANSPORT, 5, 0},
        {{REPLY_HUGE, 0, NULL, NULL, 0}, 1, 0, METER_FAILED_TRANSPORT, 5, 0},
};

static void expect_answer(unsigned row)
{
        struct bench bench = {.settings.count = 0};

        bench_collector(&bench, &answers[row].reply, 1);
        bench_start(&bench);
        short_process(&bench, 5);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(count(&bench, answers[row].id), answers[row].spans);
        ck_assert_uint_eq(count(&bench, METER_SENT), answers[row].sent);
        ck_assert_uint_eq(collector_requests(bench.collector), answers[row].requests);
        for (unsigned i = 1; i < answers[row].requests; i++) {
                struct seen before = collector_seen(bench.collector, i - 1);
                struct seen seen = collector_seen(bench.collector, i);

                ck_assert_uint_eq(seen.spans, 5); /* the same again */
                ck_assert_uint_ge(seen.moment_ns - before.moment_ns, answers[row].gap_ms * 1000000ull);
        }
        bench_done(&bench);
}

START_TEST(test_deliver_step_when_answered)
{
        for (unsigned i = 0; i < ARRAY_LEN(answers); i++)
                expect_answer(i);
}
END_TEST

START_TEST(test_deliver_step_when_black_hole)
{
        static const struct reply plan[] = {{.kind = REPLY_NEVER}};
        struct bench bench = {.settings.count = 0};
        uint64_t begin = clock_mono_ns();

        bench_collector(&bench, plan, 1);
        setting(&bench.settings, "OTEL_EXPORTER_OTLP_TIMEOUT", "500");
        bench_start(&bench);
        short_process(&bench, 2);
        UNTIL(&bench, count(&bench, METER_FAILED_DEADLINE) == 2);
        ck_assert_uint_ge(clock_mono_ns() - begin, 500000000);
        short_process(&bench, 3); /* the next one has a time of its own */
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(count(&bench, METER_SENT), 3);
        bench_done(&bench);
}
END_TEST

START_TEST(test_deliver_step_when_refused_then_back)
{
        struct bench bench = {.settings.count = 0};
        uint16_t port = collector_free_port();
        char text[4096];
        int fds[2];

        ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
        log_set_target((struct log_target){.level = LOG_WARN, .fd = fds[1]});
        setting_port(&bench.settings, port);
        setting(&bench.settings, "OTEL_EXPORTER_OTLP_HEADERS", "authorization=geheim");
        bench_start(&bench);
        short_process(&bench, 5);
        UNTIL(&bench, poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 0) == 1); /* it says so */
        bench.collector = collector_start(port, NULL, 0);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(count(&bench, METER_SENT), 5);
        ck_assert_uint_eq(collector_taken(bench.collector), 5);
        text[read(fds[0], text, sizeof(text) - 1)] = '\0';
        ck_assert_ptr_nonnull(strstr(text, "delivery failed"));
        ck_assert_ptr_null(strstr(text, "geheim"));
        log_set_target((struct log_target){.fd = -1});
        close(fds[0]);
        close(fds[1]);
        bench_done(&bench);
}
END_TEST

START_TEST(test_deliver_step_when_refused_for_good)
{
        struct bench bench = {.settings.count = 0};

        setting_port(&bench.settings, collector_free_port());
        setting(&bench.settings, "OTEL_EXPORTER_OTLP_TIMEOUT", "1500");
        setting(&bench.settings, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5");
        bench_start(&bench);
        short_process(&bench, 10);
        UNTIL(&bench, count(&bench, METER_FAILED_DEADLINE) == 5);
        ck_assert(!worker_idle(bench.worker)); /* the second request still has its time */
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(count(&bench, METER_FAILED_DEADLINE), 10);
        bench_done(&bench);
}
END_TEST

START_TEST(test_deliver_new_when_endpoint_is_bad)
{
        struct bench bench = {.settings.count = 0};

        setting(&bench.settings, "OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://nowhere");
        bench_start(&bench);
        short_process(&bench, 7);
        UNTIL(&bench, worker_idle(bench.worker));
        ck_assert_uint_eq(count(&bench, METER_DROPPED_ENDPOINT), 7);
        bench_done(&bench);
}
END_TEST

UNIT_MAIN("deliver", test_deliver_step_when_answered, test_deliver_step_when_black_hole,
          test_deliver_step_when_refused_then_back, test_deliver_step_when_refused_for_good,
          test_deliver_new_when_endpoint_is_bad)
