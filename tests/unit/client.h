/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The traced program's side of worker tests: a real ring, and spans written into it. */
#include <fcntl.h>

#include "agent/base/clock.h"
#include "agent/ring/ring.h"
#include "tests/unit/unit.h"

#define CLIENT_META "OTEL_SERVICE_NAME=worker-test\0@pid=4711\0@exe=/usr/bin/worker-test"

static inline struct ring client_ring(uint64_t record_max)
{
        struct ring ring = {.fd = -1};

        ck_assert_int_eq(ring_create(&ring, record_max), 0);
        ring_set_meta(&ring, SLICE(CLIENT_META));
        return ring;
}

static inline struct span client_span(void)
{
        static uint8_t last;
        struct span span = {.kind = SPAN_CLIENT, .shape = SHAPE_HTTP_CLIENT};
        uint64_t now = clock_wall_ns(clock_mono_ns());

        last = (uint8_t)(last + 1 ? last + 1 : 1);
        memset(span.context.trace_id, 0xa1, sizeof(span.context.trace_id));
        memset(span.context.span_id, 0xb2, sizeof(span.context.span_id));
        span.context.span_id[0] = last;
        span.context.flags = TRACE_FLAG_SAMPLED;
        span.start_ns = now - 1000000;
        span.end_ns = now;
        span_add_str(&span, SEMCONV_RAW_METHOD, SLICE("GET"));
        span_add_str(&span, SEMCONV_RAW_TARGET, SLICE("/items"));
        span_add_str(&span, SEMCONV_RAW_HOST, SLICE("example.org"));
        span_add_str(&span, SEMCONV_RAW_SCHEME, SLICE("http"));
        span_add_int(&span, SEMCONV_HTTP_RESPONSE_STATUS_CODE, 200);
        return span;
}

/* The span of process @pid, still open. */
static inline struct span client_process(int64_t pid)
{
        struct span span = client_span();

        span.kind = SPAN_INTERNAL;
        span.shape = SHAPE_PROCESS;
        span.start_ns -= 10000000000; /* before anybody can say that it ended */
        span.end_ns = 0;
        span.attr_count = 0;
        span_add_str(&span, SEMCONV_PROCESS_EXECUTABLE_NAME, SLICE("victim"));
        span_add_int(&span, SEMCONV_PROCESS_PID, pid);
        return span;
}

/* Return: true when the last one of @count asked for a wake-up, or one before it did. */
static inline bool client_push(struct ring *ring, unsigned count)
{
        bool wake = false;

        for (unsigned i = 0; i < count; i++) {
                struct span span = client_span();
                enum ring_push pushed = ring_push(ring, &span, clock_mono_ns());

                ck_assert_int_ge(pushed, 0);
                wake |= pushed == RING_PUSHED_WAKE;
        }
        return wake;
}
