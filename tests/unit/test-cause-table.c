/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "agent/base/limits.h"
#include "agent/base/stats.h"
#include "tests/unit/cause.h"
#include "tests/unit/unit.h"

/* --- open, closed --- */

START_TEST(test_open_names_each_request)
{
        struct thread_cause thread = {0};
        uint64_t first = cause_arrives(&thread, 1, "/a"), second;

        ck_assert_uint_ne(first, CAUSE_NONE);
        ck_assert_uint_ne(first, CAUSE_UNKNOWN);
        ck_assert(cause_is_open(first));
        cause_close(first);
        ck_assert(!cause_is_open(first));
        second = cause_arrives(&thread, 2, "/a");
        ck_assert_uint_ne(first, second);
        ck_assert(!cause_is_open(first));
        cause_close(first);
        ck_assert(cause_is_open(second));
        cause_close(second);
        cause_close(second);
        ck_assert(!cause_is_open(second));
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_NONE);
}
END_TEST

START_TEST(test_is_open_when_number_is_nonsense)
{
        struct thread_cause thread = {0};
        static const uint64_t numbers[] = {CAUSE_NONE, CAUSE_UNKNOWN, 1, 2, 0xffff, 1ull << 48, 1ull << 63};

        cause_arrives(&thread, 1, "/first");
        cause_arrives(&thread, 1, "/a");
        for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
                struct cause_arrival arrival;

                if (numbers[i] == 1)
                        continue;
                ck_assert(!cause_is_open(numbers[i]));
                ck_assert(!cause_context(numbers[i], NULL, NULL, &arrival));
                cause_close(numbers[i]);
        }
}
END_TEST

START_TEST(test_context_is_a_copy)
{
        struct thread_cause thread = {0};
        char state[LIMIT_TRACESTATE], baggage[LIMIT_BAGGAGE], room[LIMIT_TRACESTATE], more[LIMIT_BAGGAGE];
        struct cause_arrival arrival = {.context = cause_ids(1), .incoming = cause_ids(2), .marked = true},
                             got;
        uint64_t request;

        memset(state, 's', sizeof(state));
        memset(baggage, 'b', sizeof(baggage));
        arrival.context.tracestate = slice_make(state, sizeof(state));
        arrival.baggage = slice_make(baggage, sizeof(baggage));
        request = cause_open(&thread, &arrival);
        memset(state, 'x', sizeof(state));
        ck_assert(cause_context(request, room, more, &got));
        ck_assert_mem_eq(got.context.trace_id, arrival.context.trace_id, 16);
        ck_assert_mem_eq(got.context.span_id, arrival.context.span_id, 8);
        ck_assert_uint_eq(got.context.flags, TRACE_FLAG_SAMPLED);
        ck_assert_mem_eq(got.incoming.span_id, arrival.incoming.span_id, 8);
        ck_assert(got.marked && !got.sampled);
        ck_assert_uint_eq(got.context.tracestate.len, sizeof(state));
        ck_assert_ptr_eq(got.context.tracestate.p, room);
        ck_assert_int_eq(room[sizeof(room) - 1], 's');
        ck_assert(slice_eq(got.baggage, arrival.baggage));
        ck_assert(cause_context(request, NULL, NULL, &got));
        ck_assert_uint_eq(got.context.tracestate.len + got.baggage.len, 0);
        cause_close(request);
        ck_assert(!cause_context(request, room, more, &got));
}
END_TEST

START_TEST(test_context_when_texts_are_too_long)
{
        static char text[LIMIT_BAGGAGE + 1];
        struct thread_cause thread = {0};
        struct cause_arrival arrival = {.context = cause_ids(1), .sampled = true}, got;
        char room[LIMIT_TRACESTATE], more[LIMIT_BAGGAGE];

        memset(text, 'x', sizeof(text));
        arrival.context.tracestate = slice_make(text, LIMIT_TRACESTATE + 1);
        arrival.baggage = slice_make(text, sizeof(text));
        ck_assert(cause_context(cause_open(&thread, &arrival), room, more, &got));
        ck_assert(got.sampled);
        ck_assert_uint_eq(got.context.tracestate.len + got.baggage.len, 0);
}
END_TEST

/* --- shared cells --- */

/* So many that their keys share cells: all are found all the same. */
START_TEST(test_find_by_target_when_cells_are_shared)
{
        enum { MANY = 4000 };
        struct thread_cause thread = {0}, other = {0};
        static uint64_t requests[MANY];

        for (unsigned i = 0; i < MANY; i++) {
                char target[16];

                snprintf(target, sizeof(target), "/%u", i);
                requests[i] = cause_arrives(&thread, i, target);
        }
        for (unsigned i = 0; i < MANY; i++) {
                char target[16];
                uint64_t request;

                snprintf(target, sizeof(target), "/%u", i);
                assert_finds(&other, target, NULL, CAUSE_BY_TARGET, requests[i]);
                snprintf(target, sizeof(target), "/none/%u", i);
                ck_assert_int_eq(cause_leaves(&other, target, NULL, &request), CAUSE_BY_NOTHING);
        }
}
END_TEST

START_TEST(test_by_header_when_cells_are_shared)
{
        enum { MANY = 4000 };
        struct cause_arrival arrival = {.method = SLICE("GET"), .target = SLICE("/")};
        struct trace_context none = cause_ids(2 * MANY);
        struct thread_cause thread = {0};
        static uint64_t requests[MANY];

        for (unsigned i = 0; i < MANY; i++) {
                arrival.incoming = cause_ids(i);
                requests[i] = cause_open(&thread, &arrival);
        }
        for (unsigned i = 0; i < MANY; i++) {
                struct trace_context header = cause_ids(i);

                ck_assert_uint_eq(cause_by_header(&header), requests[i]);
        }
        ck_assert_uint_eq(cause_by_header(&none), CAUSE_NONE);
        cause_open(&thread, &arrival);
        ck_assert_uint_eq(cause_by_header(&arrival.incoming), CAUSE_NONE); /* two have it */
}
END_TEST

/* --- room, fork --- */

START_TEST(test_open_when_there_is_no_room)
{
        static uint64_t requests[LIMIT_SERVER_REQUESTS];
        struct thread_cause thread = {0}, other = {0};
        uint64_t before;

        for (unsigned i = 0; i < LIMIT_SERVER_REQUESTS; i++) {
                requests[i] = cause_arrives(&thread, i, "/");
                ck_assert_uint_ne(requests[i], CAUSE_UNKNOWN);
        }
        before = stat_get(STAT_UNTRACED_SLAB_FULL);
        ck_assert_uint_eq(cause_arrives(&thread, 1, "/lost"), CAUSE_UNKNOWN);
        ck_assert_uint_eq(stat_get(STAT_UNTRACED_SLAB_FULL), before + 1);
        for (unsigned i = 1; i < LIMIT_SERVER_REQUESTS; i++)
                cause_close(requests[i]);
        cause_waited(&thread);
        /* The one that is left is not the only one. */
        assert_finds(&thread, "/", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        assert_finds(&other, "/", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_close(CAUSE_UNKNOWN);
        assert_finds(&other, "/", NULL, CAUSE_BY_TARGET, requests[0]);
        assert_finds(&thread, "/", NULL, CAUSE_BY_THREAD, requests[0]);
        cause_close(requests[0]);
        assert_finds(&thread, "/", NULL, CAUSE_BY_NOTHING, CAUSE_NONE);
}
END_TEST

struct forked {
        struct thread_cause *thread;
        struct cause_opening *opening;
        uint64_t a;
};

/* Exits with the number of the first thing that is wrong. */
static void child(void *arg)
{
        struct forked *forked = arg;
        struct thread_cause *thread = forked->thread;
        struct cause_arrival arrival;
        uint64_t found, own;

        if (cause_current(thread) != forked->a)
                _exit(1); /* asked before all is gone */
        cause_after_fork(thread);
        if (cause_is_open(forked->a) || cause_context(forked->a, NULL, NULL, &arrival))
                _exit(2);
        if (cause_leaves(thread, "/a", NULL, &found) != CAUSE_BY_NOTHING || found != CAUSE_NONE)
                _exit(3);
        own = cause_arrives(thread, 9, "/a");
        if (own == forked->a)
                _exit(4);
        cause_waited(thread);
        if (cause_leaves(thread, NULL, forked->opening, &found) != CAUSE_BY_NOTHING)
                _exit(5);
        if (cause_leaves(thread, "/a", NULL, &found) != CAUSE_BY_TARGET || found != own)
                _exit(6);
        cause_close(forked->a);
        if (cause_leaves(thread, NULL, NULL, &found) != CAUSE_BY_THREAD || found != own)
                _exit(7);
        cause_close(own);
        if (cause_leaves(thread, NULL, NULL, &found) != CAUSE_BY_NOTHING || found != CAUSE_NONE)
                _exit(8);
}

START_TEST(test_after_fork_nothing_of_the_parent_is_open)
{
        struct thread_cause thread = {0};
        struct cause_opening opening;
        struct forked forked = {.thread = &thread, .opening = &opening};
        uint64_t b;

        open_two(&thread, &forked.a, &b);
        cause_read(&thread, forked.a);
        cause_connect(&thread, &opening);
        cause_read(&thread, forked.a);
        ck_assert_int_eq(unit_in_child(child, &forked), 0);
        ck_assert(cause_is_open(forked.a) && cause_is_open(b));
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, forked.a);
}
END_TEST

START_TEST(test_after_fork_when_the_table_was_full)
{
        struct thread_cause thread = {0};

        for (unsigned i = 0; i <= LIMIT_SERVER_REQUESTS; i++)
                cause_arrives(&thread, i, "/");
        cause_after_fork(&thread);
        for (unsigned i = 0; i < LIMIT_SERVER_REQUESTS; i++)
                ck_assert_uint_ne(cause_arrives(&thread, i, "/"), CAUSE_UNKNOWN);
}
END_TEST

/* --- threads --- */

START_TEST(test_close_by_another_thread)
{
        struct thread_cause reader = {0}, answerer = {0};
        uint64_t a = cause_arrives(&reader, 1, "/a"), b = cause_arrives(&reader, 2, "/b");

        cause_wrote(&answerer, a);
        cause_close(a);
        assert_finds(&reader, NULL, NULL, CAUSE_BY_DEBT, b); /* what the other paid is not owed */
        cause_waited(&reader);
        assert_finds(&reader, NULL, NULL, CAUSE_BY_THREAD, b);
}
END_TEST

static uint64_t left_open;

static void *open_and_exit(void *name)
{
        left_open = cause_arrives(&thread_state.cause, 1, name);
        return NULL;
}

START_TEST(test_thread_that_exits_leaves_its_request_open)
{
        pthread_t thread;
        uint64_t a;

        ck_assert_int_eq(pthread_create(&thread, NULL, open_and_exit, "/a"), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        a = left_open;
        ck_assert(cause_is_open(a));
        assert_finds(&thread_state.cause, NULL, NULL, CAUSE_BY_PROCESS, a);
        ck_assert_int_eq(pthread_create(&thread, NULL, open_and_exit, "/b"), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        assert_finds(&thread_state.cause, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        assert_finds(&thread_state.cause, "/b", NULL, CAUSE_BY_TARGET, left_open);
        cause_close(left_open);
        cause_close(a);
        assert_finds(&thread_state.cause, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_NONE);
}
END_TEST

enum { STORM_THREADS = 4, STORM_ROUNDS = 4000, STORM_OPEN = 8 };

struct flying {
        uint64_t request, says;
};

/* Each thread's mailbox: a request that another one has to close. */
static _Atomic uint64_t to_close[STORM_THREADS];
static _Atomic uint64_t found_right;

/* A parent that was found is the one whose context says @says. */
static void assert_right(uint64_t request, uint64_t says)
{
        struct cause_arrival arrival;
        char tracestate[LIMIT_TRACESTATE];
        struct trace_context expected = cause_ids(says);

        if (!cause_context(request, tracestate, NULL, &arrival))
                ck_abort_msg("a request found is over");
        ck_assert_mem_eq(arrival.context.span_id, expected.span_id, sizeof(expected.span_id));
        ck_assert_uint_eq(arrival.context.tracestate.len, 8);
        ck_assert_mem_eq(tracestate, &says, 8);
        atomic_fetch_add(&found_right, 1);
}

static struct flying take_off(struct thread_cause *thread, uint64_t says)
{
        char target[32];
        struct cause_arrival arrival = {.context = cause_ids(says), .incoming = cause_ids(~says)};

        snprintf(target, sizeof(target), "/%llu", (unsigned long long)says);
        arrival.context.tracestate = slice_make(&says, 8);
        arrival.method = SLICE("GET");
        arrival.target = slice_str(target);
        return (struct flying){cause_open(thread, &arrival), says};
}

/* Asks by header, by target and by debt, in turns. */
static void ask(struct thread_cause *thread, const struct flying *flying, unsigned turn)
{
        char target[32];
        struct cause_departure departure = {.method = SLICE("GET")};
        uint64_t found;

        snprintf(target, sizeof(target), "/%llu", (unsigned long long)flying->says);
        if (turn % 3 == 0)
                departure.header = cause_ids(~flying->says);
        else if (turn % 3 == 1)
                departure.target = slice_str(target);
        else
                cause_read(thread, flying->request);
        if (cause_find(thread, &departure, &found) != CAUSE_BY_NOTHING)
                assert_right(found, flying->says);
}

static void *storm(void *arg)
{
        unsigned me = (unsigned)(uintptr_t)arg;
        struct thread_cause *thread = &thread_state.cause;
        struct flying flying[STORM_OPEN];
        uint64_t says = (uint64_t)me << 32;

        for (unsigned i = 0; i < STORM_OPEN; i++)
                flying[i] = take_off(thread, ++says);
        for (unsigned round = 0; round < STORM_ROUNDS; round++) {
                struct flying *mine = &flying[round % STORM_OPEN];

                cause_waited(thread);
                ask(thread, mine, round / STORM_OPEN);
                cause_close(atomic_exchange(&to_close[me], CAUSE_NONE));
                cause_close(atomic_exchange(&to_close[(me + 1) % STORM_THREADS], mine->request));
                *mine = take_off(thread, ++says);
        }
        for (unsigned i = 0; i < STORM_OPEN; i++)
                cause_close(flying[i].request);
        return NULL;
}

START_TEST(test_storm_finds_only_what_is_right)
{
        pthread_t threads[STORM_THREADS];

        for (uintptr_t i = 0; i < STORM_THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, storm, (void *)i), 0);
        for (unsigned i = 0; i < STORM_THREADS; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        for (unsigned i = 0; i < STORM_THREADS; i++)
                cause_close(to_close[i]);
        ck_assert_uint_ge(found_right, STORM_THREADS * STORM_ROUNDS * 9 / 10);
        /* Every cell is empty again. */
        assert_finds(&thread_state.cause, "/1", NULL, CAUSE_BY_NOTHING, CAUSE_NONE);
        found_right = 0;
        storm((void *)(uintptr_t)0);
        ck_assert_uint_ge(found_right, STORM_ROUNDS * 99 / 100);
}
END_TEST

UNIT_MAIN("cause-table", test_open_names_each_request, test_is_open_when_number_is_nonsense,
          test_context_is_a_copy, test_context_when_texts_are_too_long,
          test_find_by_target_when_cells_are_shared, test_by_header_when_cells_are_shared,
          test_open_when_there_is_no_room, test_after_fork_nothing_of_the_parent_is_open,
          test_after_fork_when_the_table_was_full, test_close_by_another_thread,
          test_thread_that_exits_leaves_its_request_open, test_storm_finds_only_what_is_right)
