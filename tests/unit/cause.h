/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What tests of the parent rule share: arrivals, departures, and their ids. */
#include <check.h>
#include <string.h>

#include "agent/trace/cause.h"

/* Ids that say @n. */
static inline struct trace_context cause_ids(uint64_t n)
{
        struct trace_context context = {.trace_id = {1}, .span_id = {2}, .flags = TRACE_FLAG_SAMPLED};

        memcpy(context.trace_id + 8, &n, 8);
        memcpy(context.span_id, &n, 7);
        context.span_id[7] = 1;
        return context;
}

/* The request number @n of a test, for "GET @target"; its own context says @n, and it came with none. */
static inline uint64_t cause_arrives(struct thread_cause *thread, uint64_t n, const char *target)
{
        struct cause_arrival arrival = {.context = cause_ids(n),
                                        .method = SLICE("GET"),
                                        .target = slice_str(target),
                                        .sampled = true};

        return cause_open(thread, &arrival);
}

/* cause_find() for "GET @target" on a connection with @opening. */
static inline enum cause_rung cause_leaves(struct thread_cause *thread, const char *target,
                                           struct cause_opening *opening, uint64_t *ret_request)
{
        struct cause_departure departure = {
                .method = SLICE("GET"), .target = slice_str(target), .opening = opening};

        return cause_find(thread, &departure, ret_request);
}

/* cause_find() on a connection in use, with nothing to go by but what the thread does. */
static inline enum cause_rung cause_leaves_mute(struct thread_cause *thread, uint64_t *ret_request)
{
        return cause_leaves(thread, NULL, NULL, ret_request);
}

/* One rung answers @thread's question for "GET @target" (NULL: says nothing), and with @request. */
static inline void assert_finds(struct thread_cause *thread, const char *target,
                                struct cause_opening *opening, enum cause_rung rung, uint64_t request)
{
        uint64_t found = 12345;

        ck_assert_int_eq(cause_leaves(thread, target, opening, &found), rung);
        ck_assert_uint_eq(found, request);
}

/* A thread of an event loop that has @a and @b open, both from earlier slices. */
static inline void open_two(struct thread_cause *thread, uint64_t *ret_a, uint64_t *ret_b)
{
        *ret_a = cause_arrives(thread, 1, "/a");
        *ret_b = cause_arrives(thread, 2, "/b");
        cause_waited(thread);
}
