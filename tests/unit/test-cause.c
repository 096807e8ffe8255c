/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cause.h"
#include "tests/unit/unit.h"

START_TEST(test_find_when_nothing_is_open)
{
        struct thread_cause thread = {0};
        struct cause_opening opening;
        uint64_t request;

        assert_finds(&thread, "/a", NULL, CAUSE_BY_NOTHING, CAUSE_NONE);
        ck_assert_uint_eq(cause_current(&thread), CAUSE_NONE);
        cause_connect(&thread, &opening);
        ck_assert_uint_eq(opening.request, CAUSE_NONE);
        request = cause_arrives(&thread, 1, "/a");
        cause_close(request);
        assert_finds(&thread, "/a", NULL, CAUSE_BY_NOTHING, CAUSE_NONE);
        cause_read(&thread, CAUSE_UNKNOWN);
        assert_finds(&thread, "/a", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
}
END_TEST

/* --- rung 2 --- */

START_TEST(test_find_by_header)
{
        struct thread_cause thread = {0};
        struct cause_arrival arrival = {.context = cause_ids(1), .incoming = cause_ids(2)};
        struct cause_departure departure = {.header = cause_ids(2)};
        uint64_t a = cause_open(&thread, &arrival), b, found;

        arrival = (struct cause_arrival){.context = cause_ids(3), .incoming = cause_ids(4), .marked = true};
        b = cause_open(&thread, &arrival);
        ck_assert_uint_eq(cause_by_header(&departure.header), a);
        ck_assert_int_eq(cause_find(&thread, &departure, &found), CAUSE_BY_HEADER);
        ck_assert_uint_eq(found, a);
        departure.header = cause_ids(3);
        ck_assert_int_eq(cause_find(&thread, &departure, &found), CAUSE_BY_HEADER);
        ck_assert_uint_eq(found, b);
        departure.header = cause_ids(4);
        ck_assert_int_eq(cause_find(&thread, &departure, &found), CAUSE_BY_HEADER);
        ck_assert_uint_eq(found, b);
        departure.header = cause_ids(1); /* not marked: the program was not shown it */
        ck_assert_uint_eq(cause_by_header(&departure.header), CAUSE_NONE);
        departure.header = cause_ids(5);
        ck_assert_uint_eq(cause_by_header(&departure.header), CAUSE_NONE);
        departure.header = (struct trace_context){.flags = 1};
        ck_assert_uint_eq(cause_by_header(&departure.header), CAUSE_NONE);
        cause_close(b);
        departure.header = cause_ids(3);
        ck_assert_uint_eq(cause_by_header(&departure.header), CAUSE_NONE);
}
END_TEST

START_TEST(test_by_header_when_two_came_with_the_same)
{
        struct thread_cause thread = {0};
        struct cause_arrival arrival = {.context = cause_ids(1), .incoming = cause_ids(2)};
        struct trace_context header = cause_ids(2);
        uint64_t a = cause_open(&thread, &arrival), b = cause_open(&thread, &arrival);

        ck_assert_uint_eq(cause_by_header(&header), CAUSE_NONE);
        cause_close(a);
        ck_assert_uint_eq(cause_by_header(&header), b);
}
END_TEST

/* The header is exact: what the thread owes, and what its connection was opened for, do not matter. */
START_TEST(test_find_by_header_before_all_others)
{
        struct thread_cause thread = {0};
        struct cause_arrival arrival = {.context = cause_ids(1), .incoming = cause_ids(2)};
        struct cause_departure departure = {.method = SLICE("GET"), .target = SLICE("/b")};
        struct cause_opening opening;
        uint64_t a = cause_open(&thread, &arrival), b, found;

        cause_waited(&thread);
        b = cause_arrives(&thread, 3, "/b");
        cause_connect(&thread, &opening);
        ck_assert_uint_eq(opening.request, b);
        cause_waited(&thread);
        cause_read(&thread, CAUSE_UNKNOWN);
        departure.header = cause_ids(2);
        departure.opening = &opening;
        ck_assert_int_eq(cause_find(&thread, &departure, &found), CAUSE_BY_HEADER);
        ck_assert_uint_eq(found, a);
        ck_assert(opening.over);
}
END_TEST

/* --- rung 3 --- */

START_TEST(test_find_by_opening)
{
        struct thread_cause thread = {0}, other = {0};
        struct cause_opening opening, second;
        uint64_t a, b, c;

        open_two(&thread, &a, &b);
        cause_read(&thread, a);
        cause_connect(&thread, &opening);
        second = opening;
        ck_assert_uint_eq(opening.request, a);
        cause_waited(&thread);
        c = cause_arrives(&thread, 3, "/c"); /* owed, and not what the connection is for */
        assert_finds(&thread, "/b", &opening, CAUSE_BY_OPENING, a);
        ck_assert(opening.over);
        assert_finds(&thread, "/b", &opening, CAUSE_BY_DEBT, c); /* its second request */
        assert_finds(&other, NULL, &second, CAUSE_BY_OPENING, a);
}
END_TEST

START_TEST(test_find_by_opening_when_in_the_same_slice)
{
        struct thread_cause thread = {0};
        struct cause_opening first, second, unknown;
        uint64_t a, b, c;

        open_two(&thread, &a, &b);
        cause_read(&thread, a);
        cause_connect(&thread, &first);
        ck_assert_uint_eq(first.request, a);
        cause_read(&thread, b); /* opening a connection has paid for the one before */
        cause_connect(&thread, &second);
        ck_assert_uint_eq(second.request, b);
        assert_finds(&thread, NULL, &first, CAUSE_BY_OPENING, a);
        assert_finds(&thread, NULL, &second, CAUSE_BY_OPENING, b);
        cause_connect(&thread, &unknown);
        ck_assert_uint_eq(unknown.request, CAUSE_UNKNOWN);
        c = cause_arrives(&thread, 3, "/c"); /* what was unknown may have become known in the slice */
        assert_finds(&thread, NULL, &unknown, CAUSE_BY_DEBT, c);
}
END_TEST

START_TEST(test_connect_when_it_is_tried_again)
{
        struct thread_cause thread = {0};
        struct cause_opening first, second;
        uint64_t a = cause_arrives(&thread, 1, "/a"), b = cause_arrives(&thread, 2, "/b"), c;

        cause_waited(&thread);
        c = cause_arrives(&thread, 3, "/c");
        cause_connect(&thread, &first);
        cause_connect(&thread, &second); /* refused: the next address */
        ck_assert_uint_eq(first.request, c);
        ck_assert_uint_eq(second.request, c);
        cause_close(a);
        cause_close(b);
        cause_close(c);
        assert_finds(&thread, NULL, &second, CAUSE_BY_NOTHING, CAUSE_NONE);
}
END_TEST

START_TEST(test_find_by_opening_when_it_was_unknown_or_closed)
{
        struct thread_cause thread = {0};
        struct cause_opening unknown, closed;
        uint64_t a, b, c = cause_arrives(&thread, 3, "/c");

        cause_connect(&thread, &closed);
        cause_waited(&thread);
        open_two(&thread, &a, &b);
        cause_close(c);
        cause_connect(&thread, &unknown);
        ck_assert_uint_eq(unknown.request, CAUSE_UNKNOWN);
        cause_waited(&thread);
        cause_read(&thread, a);
        assert_finds(&thread, NULL, &unknown, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        unknown.over = false;
        assert_finds(&thread, "/b", &unknown, CAUSE_BY_TARGET, b);
        assert_finds(&thread, NULL, &closed, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        closed.over = false;
        assert_finds(&thread, "/a", &closed, CAUSE_BY_TARGET, a);
        closed.over = unknown.over = false;
        cause_close(b); /* rungs 6 and 7 would know the one that is left */
        assert_finds(&thread, NULL, &closed, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        assert_finds(&thread, NULL, &unknown, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        assert_finds(&thread, NULL, &unknown, CAUSE_BY_DEBT, a);
}
END_TEST

START_TEST(test_find_by_opening_when_it_was_for_nobody)
{
        struct thread_cause thread = {0};
        struct cause_opening opening;
        uint64_t a, b;

        cause_connect(&thread, &opening);
        ck_assert_uint_eq(opening.request, CAUSE_NONE);
        open_two(&thread, &a, &b);
        cause_read(&thread, b);
        assert_finds(&thread, NULL, &opening, CAUSE_BY_DEBT, b);
}
END_TEST

/* --- rung 4 --- */

START_TEST(test_find_by_debt)
{
        struct thread_cause thread = {0};
        uint64_t a, b;

        open_two(&thread, &a, &b);
        cause_read(&thread, a);
        cause_read(&thread, a);
        assert_finds(&thread, "/b", NULL, CAUSE_BY_DEBT, a);
        cause_wrote(&thread, a);
        cause_read(&thread, b);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, b);
        cause_read(&thread, a);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_wrote(&thread, b);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, a);
        cause_waited(&thread);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
}
END_TEST

START_TEST(test_find_by_debt_when_a_second_call_goes_out)
{
        struct thread_cause thread = {0};
        uint64_t a, b, c;

        open_two(&thread, &a, &b);
        c = cause_arrives(&thread, 3, "/c");
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, c);
        cause_wrote(&thread, c);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, c);
        cause_wrote(&thread, a); /* another one's work in the slice */
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_waited(&thread);
        cause_read(&thread, c); /* its head was read in an earlier slice */
        cause_wrote(&thread, c);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
}
END_TEST

START_TEST(test_find_by_debt_when_unknown_was_touched)
{
        struct thread_cause thread = {0};
        uint64_t a, b, c;

        open_two(&thread, &a, &b);
        c = cause_arrives(&thread, 3, "/c");
        cause_wrote(&thread, c);
        cause_wrote(&thread, CAUSE_UNKNOWN);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_waited(&thread);
        cause_read(&thread, a);
        cause_read(&thread, CAUSE_UNKNOWN);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        assert_finds(&thread, "/b", NULL, CAUSE_BY_TARGET, b);
        cause_waited(&thread);
        cause_read(&thread, CAUSE_NONE); /* nobody's: says nothing */
        cause_wrote(&thread, CAUSE_NONE);
        cause_read(&thread, a);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, a);
}
END_TEST

/* Read an answer that nobody knew, and do what a row says: is the thread sure again? */
enum deed {
        REPLY_NEW,
        REPLY_MORE,
        REPLY_OWED,
        REPLY_PASSED,
        READ_UNKNOWN,
        WRITE_UNKNOWN,
        READ_OWED,
        NEW_HEAD
};

struct fresh_row {
        enum deed deeds[2];
        bool sure;
};

START_TEST(test_find_by_debt_when_a_reply_pays_the_unknown)
{
        static const struct fresh_row rows[] = {
                {{REPLY_NEW, REPLY_MORE}, true},    {{REPLY_MORE, REPLY_NEW}, false},
                {{REPLY_OWED, REPLY_NEW}, false},   {{REPLY_PASSED, REPLY_NEW}, false},
                {{READ_UNKNOWN, REPLY_NEW}, false}, {{WRITE_UNKNOWN, REPLY_NEW}, false},
                {{READ_OWED, REPLY_NEW}, false},    {{NEW_HEAD, REPLY_NEW}, false},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct thread_cause thread = {0}, other = {0};
                uint64_t fresh = cause_arrives(&thread, 1, "/1"), more = cause_arrives(&thread, 2, "/2");
                uint64_t passed = cause_arrives(&thread, 3, "/3"), owed = cause_arrives(&thread, 4, "/4");
                uint64_t head = CAUSE_NONE;

                cause_wrote(&other, more);
                assert_finds(&other, "/3", NULL, CAUSE_BY_TARGET, passed);
                cause_waited(&thread);
                cause_read(&thread, owed);
                cause_read(&thread, CAUSE_UNKNOWN);
                for (unsigned k = 0; k < 2; k++) {
                        switch (rows[i].deeds[k]) {
                        case REPLY_NEW:
                                cause_wrote(&thread, fresh);
                                break;
                        case REPLY_MORE:
                                cause_wrote(&thread, more);
                                break;
                        case REPLY_OWED:
                                cause_wrote(&thread, owed);
                                cause_read(&thread, owed);
                                break;
                        case REPLY_PASSED:
                                cause_wrote(&thread, passed);
                                break;
                        case READ_UNKNOWN:
                                cause_read(&thread, CAUSE_UNKNOWN);
                                break;
                        case WRITE_UNKNOWN:
                                cause_wrote(&thread, CAUSE_UNKNOWN);
                                break;
                        case READ_OWED:
                                cause_read(&thread, owed);
                                break;
                        case NEW_HEAD:
                                head = cause_arrives(&thread, 5, "/5");
                                cause_wrote(&thread, head);
                                break;
                        }
                }
                assert_finds(&thread, NULL, NULL, rows[i].sure ? CAUSE_BY_DEBT : CAUSE_BY_NOTHING,
                             rows[i].sure ? owed : CAUSE_UNKNOWN);
                cause_close(fresh);
                cause_close(more);
                cause_close(passed);
                cause_close(owed);
                cause_close(head);
        }
}
END_TEST

START_TEST(test_find_by_debt_when_others_closed)
{
        struct thread_cause thread = {0};
        uint64_t a, b, c;

        open_two(&thread, &a, &b);
        c = cause_arrives(&thread, 3, "/c");
        cause_read(&thread, a);
        cause_close(c);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, a);
        cause_read(&thread, c); /* what is over is owed nothing */
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, a);
        cause_close(a);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_THREAD, b);
}
END_TEST

START_TEST(test_find_by_debt_when_there_are_too_many)
{
        struct thread_cause thread = {0};
        uint64_t requests[THREAD_DEBTS + 1], known;

        for (unsigned i = 0; i < THREAD_DEBTS; i++)
                requests[i] = cause_arrives(&thread, i, "/");
        cause_close(requests[3]);
        requests[3] = cause_arrives(&thread, 3, "/"); /* takes the place of what closed */
        ck_assert(!thread.owes_unknown);
        requests[THREAD_DEBTS] = cause_arrives(&thread, THREAD_DEBTS, "/");
        ck_assert(thread.owes_unknown);
        for (unsigned i = 1; i <= THREAD_DEBTS; i++)
                cause_wrote(&thread, requests[i]);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_waited(&thread);
        cause_read(&thread, requests[THREAD_DEBTS]);
        ck_assert_int_eq(cause_leaves_mute(&thread, &known), CAUSE_BY_DEBT);
        ck_assert_uint_eq(known, requests[THREAD_DEBTS]);
}
END_TEST

/* --- rung 5 --- */

START_TEST(test_find_by_target)
{
        struct thread_cause thread = {0}, other = {0};
        uint64_t a, b, again;

        open_two(&thread, &a, &b);
        assert_finds(&other, "/b", NULL, CAUSE_BY_TARGET, b);
        assert_finds(&other, "/b", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN); /* passed on already */
        assert_finds(&other, "/c", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        again = cause_arrives(&thread, 3, "/b");
        assert_finds(&other, "/b", NULL, CAUSE_BY_TARGET, again);
        cause_close(b);
        cause_close(again);
        again = cause_arrives(&thread, 4, "/a");
        assert_finds(&other, "/a", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN); /* two want it */
        cause_close(a);
        cause_arrives(&thread, 5, "/b");
        assert_finds(&other, "/a", NULL, CAUSE_BY_TARGET, again);
}
END_TEST

START_TEST(test_find_by_target_when_found_by_another_rung_before)
{
        struct thread_cause thread = {0}, other = {0};
        uint64_t a, b;

        open_two(&thread, &a, &b);
        cause_read(&thread, a);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, a);
        assert_finds(&other, "/a", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
}
END_TEST

struct rewritten {
        const char *came, *left;
        bool same;
};

START_TEST(test_find_by_target_when_rewritten)
{
        static const struct rewritten rows[] = {
                {"/a?q=1", "http://host:80/a?q=1", true},
                {"HTTPS://host/a", "/a", true},
                {"http://one/a", "http://two/a", true},
                {"http://host", "/", true},
                {"http://host?q", "/?q", true},
                {"/a", "/a?", false},
                {"/a", "/A", false},
                {"/x", "x", false},
                {"*", "/*", false},
                {"host:443", "/", false},
                {"/go?to=http://host/a", "/a", false},
        };
        struct thread_cause thread = {0}, other = {0};

        cause_arrives(&thread, 1, "/other");
        cause_arrives(&thread, 1, "/more");
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                uint64_t request = cause_arrives(&thread, 2, rows[i].came);

                assert_finds(&other, rows[i].left, NULL, rows[i].same ? CAUSE_BY_TARGET : CAUSE_BY_NOTHING,
                             rows[i].same ? request : CAUSE_UNKNOWN);
                cause_close(request);
        }
}
END_TEST

START_TEST(test_find_by_target_when_the_method_differs)
{
        struct thread_cause thread = {0};
        struct cause_departure departure = {.method = SLICE("POST"), .target = SLICE("/a")};
        uint64_t a, b, found;

        open_two(&thread, &a, &b);
        ck_assert_int_eq(cause_find(&thread, &departure, &found), CAUSE_BY_NOTHING);
}
END_TEST

/* --- rungs 6 and 7 --- */

START_TEST(test_find_by_thread)
{
        struct thread_cause one = {0}, two = {0}, none = {0};
        uint64_t a = cause_arrives(&one, 1, "/a"), b = cause_arrives(&two, 2, "/b");

        cause_waited(&one);
        cause_waited(&two);
        assert_finds(&one, NULL, NULL, CAUSE_BY_THREAD, a);
        assert_finds(&two, NULL, NULL, CAUSE_BY_THREAD, b);
        assert_finds(&none, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_read(&one, b);
        cause_wrote(&one, b); /* paid: the list is empty again */
        assert_finds(&one, NULL, NULL, CAUSE_BY_THREAD, a);
        cause_arrives(&one, 3, "/c");
        cause_waited(&one);
        assert_finds(&one, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
}
END_TEST

START_TEST(test_find_by_thread_when_inherited)
{
        struct thread_cause creator = {0}, thread = {0};
        uint64_t a, b, own;

        open_two(&creator, &a, &b);
        thread.inherited = a;
        ck_assert_uint_eq(cause_current(&thread), a);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_THREAD, a);
        /* From its second call on it may work for the other one: a pool's thread, with its next job. */
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_close(b);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_THREAD, a);
        own = cause_arrives(&thread, 3, "/c");
        cause_waited(&thread);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_THREAD, own); /* what it does itself is nearer */
        cause_close(own);
        cause_close(a);
        cause_arrives(&creator, 4, "/d");
        cause_arrives(&creator, 5, "/e");
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        thread.inherited = CAUSE_UNKNOWN;
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
}
END_TEST

START_TEST(test_find_by_process)
{
        struct thread_cause thread = {0}, other = {0};
        uint64_t a = cause_arrives(&thread, 1, "/a"), b;

        assert_finds(&other, "/x", NULL, CAUSE_BY_PROCESS, a);
        ck_assert_uint_eq(cause_current(&other), a);
        b = cause_arrives(&thread, 2, "/b");
        assert_finds(&other, "/x", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        ck_assert_uint_eq(cause_current(&other), CAUSE_UNKNOWN);
        cause_close(a);
        assert_finds(&other, "/x", NULL, CAUSE_BY_PROCESS, b);
}
END_TEST

/* Doubt about what the thread owes is not settled by what else is open. */
START_TEST(test_find_when_unsure_skips_thread_and_process)
{
        struct thread_cause thread = {0}, other = {0};
        uint64_t a = cause_arrives(&thread, 1, "/a");

        cause_waited(&thread);
        cause_read(&thread, CAUSE_UNKNOWN);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        ck_assert_uint_eq(cause_current(&thread), CAUSE_UNKNOWN);
        cause_read(&other, CAUSE_UNKNOWN);
        other.inherited = a;
        assert_finds(&other, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        assert_finds(&other, "/a", NULL, CAUSE_BY_TARGET, a);
}
END_TEST

START_TEST(test_current_consumes_nothing)
{
        struct thread_cause thread = {0}, before;
        uint64_t a, b;

        open_two(&thread, &a, &b);
        cause_read(&thread, a);
        before = thread;
        ck_assert_uint_eq(cause_current(&thread), a);
        ck_assert_mem_eq(&before, &thread, sizeof(thread));
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, a);
        cause_read(&thread, b);
        ck_assert_uint_eq(cause_current(&thread), CAUSE_UNKNOWN);
}
END_TEST

UNIT_MAIN("cause", test_find_when_nothing_is_open, test_find_by_header,
          test_by_header_when_two_came_with_the_same, test_find_by_header_before_all_others,
          test_find_by_opening, test_find_by_opening_when_in_the_same_slice,
          test_connect_when_it_is_tried_again, test_find_by_opening_when_it_was_unknown_or_closed,
          test_find_by_opening_when_it_was_for_nobody, test_find_by_debt,
          test_find_by_debt_when_a_second_call_goes_out, test_find_by_debt_when_unknown_was_touched,
          test_find_by_debt_when_a_reply_pays_the_unknown, test_find_by_debt_when_others_closed,
          test_find_by_debt_when_there_are_too_many, test_find_by_target,
          test_find_by_target_when_found_by_another_rung_before, test_find_by_target_when_rewritten,
          test_find_by_target_when_the_method_differs, test_find_by_thread,
          test_find_by_thread_when_inherited, test_find_by_process,
          test_find_when_unsure_skips_thread_and_process, test_current_consumes_nothing)
