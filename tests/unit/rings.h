/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Rings of a test's own, and numbered records in them. */
#include <sched.h>

#include "agent/record/record.h"
#include "agent/ring/ring_layout.h"
#include "tests/unit/unit.h"

#define THREADS 4
#define NOW     5000000000ull

static char letters[LIMIT_RECORD * 2];

static inline struct ring make_ring(uint64_t record_max)
{
        struct ring ring;

        ck_assert_int_eq(ring_create(&ring, record_max), 0);
        return ring;
}

/* A span that carries two numbers and @len bytes of text. */
static inline struct span numbered(int64_t who, int64_t number, size_t len)
{
        struct span span = {.kind = SPAN_CLIENT, .shape = SHAPE_CONNECT, .start_ns = 1, .end_ns = 2};

        memset(span.context.trace_id, 1, 16);
        memset(span.context.span_id, 1, 8);
        span_add_int(&span, SEMCONV_RAW_ERRNO, who);
        span_add_int(&span, SEMCONV_RAW_EAI, number);
        span_add_str(&span, SEMCONV_RAW_NAME, slice_make(letters, len));
        return span;
}

static inline enum ring_push push(struct ring *ring, int64_t who, int64_t number, size_t len)
{
        struct span span = numbered(who, number, len);

        return ring_push(ring, &span, NOW);
}

/* Return: false when there is none now; a record that is none fails the test. */
static inline bool pop(struct ring *ring, bool dead, uint64_t now, int64_t *ret_who, int64_t *ret_number)
{
        static __thread _Alignas(8) char buf[LIMIT_RECORD];
        size_t len = ring_pop(ring, buf, dead, now);
        struct span span;

        if (len == 0)
                return false;
        ck_assert(record_read(slice_make(buf, len), &span));
        ck_assert_uint_ge(span.attr_count, 2);
        if (span.attr_count > 2)
                ck_assert(slice_eq(span.attrs[2].str, slice_make(letters, span.attrs[2].str.len)));
        *ret_who = span.attrs[0].num;
        *ret_number = span.attrs[1].num;
        return true;
}

static inline void assert_pops(struct ring *ring, int64_t number)
{
        int64_t who, got;

        ck_assert(pop(ring, false, NOW, &who, &got));
        ck_assert_int_eq(got, number);
}

static inline void assert_empty(struct ring *ring)
{
        int64_t who, number;

        ck_assert(!pop(ring, false, NOW, &who, &number));
        ck_assert_uint_eq(ring_pending(ring), 0);
}

struct producer {
        struct ring *ring;
        int64_t who, count;
};

static inline void *produce(void *arg)
{
        struct producer *p = arg;

        for (int64_t i = 0; i < p->count;) {
                if (push(p->ring, p->who, i, (size_t)(i * 31 % 400)) >= 0)
                        i++;
                else
                        sched_yield();
        }
        return NULL;
}

__attribute__((constructor)) static void fill_letters(void)
{
        for (size_t i = 0; i < sizeof(letters); i++)
                letters[i] = (char)('a' + i % 26);
}
