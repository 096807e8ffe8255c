/* SPDX-License-Identifier: Apache-2.0 */
/* The parent rule where one thread reads and another one, or a later turn of the loop, calls. */
#include "tests/unit/cause.h"
#include "tests/unit/unit.h"

#define MANY 100

START_TEST(test_hand_over_each_as_it_is_read)
{
        struct thread_cause thread = {0};

        for (uint64_t i = 1; i <= MANY; i++) {
                uint64_t request = cause_arrives(&thread, i, "/");

                ck_assert_uint_eq(cause_hand_over(&thread), request);
        }
}
END_TEST

START_TEST(test_hand_over_one_twice)
{
        struct thread_cause thread = {0}, other = {0};
        uint64_t a = cause_arrives(&thread, 1, "/a");

        cause_arrives(&other, 2, "/b");
        ck_assert_uint_eq(cause_hand_over(&thread), a);
        ck_assert_uint_eq(cause_hand_over(&thread), a);
        cause_wrote(&thread, a);
        ck_assert_uint_eq(cause_hand_over(&thread), a); /* all that this slice is about */
}
END_TEST

START_TEST(test_hand_over_when_two_were_read_before)
{
        struct thread_cause thread = {0};

        cause_arrives(&thread, 1, "/a");
        cause_arrives(&thread, 2, "/b");
        ck_assert_uint_eq(cause_hand_over(&thread), CAUSE_UNKNOWN);
        ck_assert_uint_eq(cause_hand_over(&thread), CAUSE_UNKNOWN);
}
END_TEST

START_TEST(test_hand_over_when_unknown_was_read)
{
        struct thread_cause thread = {0};

        cause_arrives(&thread, 1, "/a");
        cause_read(&thread, CAUSE_UNKNOWN);
        ck_assert_uint_eq(cause_hand_over(&thread), CAUSE_UNKNOWN);
}
END_TEST

START_TEST(test_hand_over_when_the_others_are_handed_over)
{
        struct thread_cause thread = {0};

        cause_arrives(&thread, 1, "/a");
        cause_hand_over(&thread);
        cause_arrives(&thread, 2, "/b");
        cause_hand_over(&thread);
        /* A third job is of the one or of the other. */
        ck_assert_uint_eq(cause_hand_over(&thread), CAUSE_UNKNOWN);
}
END_TEST

/* Who hands over may still call for the same request: that settles nothing for what the thread does itself.
 */
START_TEST(test_find_when_some_were_handed_over)
{
        struct thread_cause thread = {0};
        uint64_t a = cause_arrives(&thread, 1, "/a"), b, c;

        cause_hand_over(&thread);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, a);
        b = cause_arrives(&thread, 2, "/b");
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_wrote(&thread, a);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, b);
        cause_hand_over(&thread);
        c = cause_arrives(&thread, 3, "/c");
        cause_hand_over(&thread);
        cause_wrote(&thread, c);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_waited(&thread);
        cause_read(&thread, b);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, b);
}
END_TEST

/* A reply to one that was handed over is no sign of what an unknown answer was for. */
START_TEST(test_handed_over_pays_no_unknown)
{
        struct thread_cause thread = {0};
        uint64_t a = cause_arrives(&thread, 1, "/a");

        cause_arrives(&thread, 2, "/b");
        cause_waited(&thread);
        cause_read(&thread, a);
        cause_hand_over(&thread);
        cause_read(&thread, CAUSE_UNKNOWN);
        cause_wrote(&thread, a);
        ck_assert_uint_eq(cause_current(&thread), CAUSE_UNKNOWN);
}
END_TEST

START_TEST(test_job_on_a_thread_that_owes_others)
{
        struct thread_cause thread = {0}, before;
        uint64_t a, b;

        open_two(&thread, &a, &b);
        cause_waited(&thread);
        cause_read(&thread, b);
        cause_enter(&thread, a, &before);
        for (int call = 0; call < 3; call++) {
                assert_finds(&thread, "/b", NULL, CAUSE_BY_DEBT, a);
                cause_waited(&thread); /* for the answer */
        }
        ck_assert_uint_eq(cause_hand_over(&thread), a);
        cause_wrote(&thread, a);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, a);
        cause_leave(&thread, &before);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, b);
}
END_TEST

START_TEST(test_job_that_reads_for_others)
{
        struct thread_cause thread = {0}, other = {0}, before;
        uint64_t a, b;

        open_two(&other, &a, &b);
        cause_enter(&thread, a, &before);
        cause_read(&thread, b);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_wrote(&thread, a);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, b);
        cause_leave(&thread, &before);
}
END_TEST

/* Whatever else is open: it is not what the job is for. */
START_TEST(test_job_of_a_request_that_is_over)
{
        struct thread_cause thread = {0}, before;
        uint64_t a, b;

        open_two(&thread, &a, &b);
        cause_waited(&thread);
        cause_enter(&thread, a, &before);
        cause_close(a);
        assert_finds(&thread, "/b", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_waited(&thread);
        assert_finds(&thread, "/b", NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        cause_leave(&thread, &before);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_THREAD, b);
}
END_TEST

START_TEST(test_job_of_unknown)
{
        struct thread_cause thread = {0}, before;
        uint64_t a = cause_arrives(&thread, 1, "/a");

        cause_enter(&thread, CAUSE_UNKNOWN, &before);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
        assert_finds(&thread, "/a", NULL, CAUSE_BY_TARGET, a);
        cause_leave(&thread, &before);
        ck_assert_uint_eq(cause_current(&thread), a);
}
END_TEST

/* Somebody else's thread may still do something for the only one that is open. */
START_TEST(test_job_of_nobody)
{
        struct thread_cause loop = {0}, thread = {0}, before;
        uint64_t a = cause_arrives(&loop, 1, "/a");

        cause_enter(&thread, CAUSE_NONE, &before);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_PROCESS, a);
        cause_leave(&thread, &before);
}
END_TEST

/* An inherited request counts for one call; jobs in between are no call of the thread's. */
START_TEST(test_job_between_two_calls)
{
        struct thread_cause loop = {0}, thread = {0}, before;
        uint64_t a, b;

        open_two(&loop, &a, &b);
        thread.inherited = b;
        assert_finds(&thread, NULL, NULL, CAUSE_BY_THREAD, b);
        cause_enter(&thread, a, &before);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_DEBT, a);
        cause_leave(&thread, &before);
        assert_finds(&thread, NULL, NULL, CAUSE_BY_NOTHING, CAUSE_UNKNOWN);
}
END_TEST

UNIT_MAIN("cause jobs", test_hand_over_each_as_it_is_read, test_hand_over_one_twice,
          test_hand_over_when_two_were_read_before, test_hand_over_when_unknown_was_read,
          test_hand_over_when_the_others_are_handed_over, test_find_when_some_were_handed_over,
          test_handed_over_pays_no_unknown, test_job_on_a_thread_that_owes_others,
          test_job_that_reads_for_others, test_job_of_a_request_that_is_over, test_job_of_unknown,
          test_job_of_nobody, test_job_between_two_calls)
