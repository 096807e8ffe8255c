/* SPDX-License-Identifier: Apache-2.0 */
/* What a new program finds in its environment. */
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/base/limits.h"
#include "agent/trace/carry.h"
#include "agent/trace/traceparent.h"
#include "tests/unit/unit.h"

#define OWN   "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define OTHER "00-11111111111111111111111111111111-2222222222222222-01"
#define OURS  "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"

static struct trace_context context;
static struct carry carry;
static void *memory;

static void setup(void)
{
        ck_assert(traceparent_parse(SLICE(OURS), &context));
        carry = (struct carry){.context = &context, .own_traceparent = OWN, .own_baggage = "own=1"};
}

/* In memory of exactly the size that was asked for. */
static char *const *made(char *const *envp)
{
        size_t room = carry_room(envp);

        ck_assert(room > 0);
        free(memory);
        memory = malloc(room);
        return carry_environ(memory, envp, &carry);
}

/* All strings in one, for comparison. */
static const char *joined(char *const *envp)
{
        static char text[LIMIT_BAGGAGE + 4096];

        text[0] = '\0';
        for (; *envp; envp++) {
                strcat(text, *envp);
                strcat(text, "\n");
        }
        return text;
}

#define CHECK(expected, ...)                                       \
        do {                                                       \
                char *before_[] = {__VA_ARGS__, NULL};             \
                char *copy_[] = {__VA_ARGS__, NULL};               \
                                                                   \
                ck_assert_str_eq(joined(made(before_)), expected); \
                ck_assert_mem_eq(before_, copy_, sizeof(before_)); \
        } while (0)

START_TEST(test_carry_environ_without_a_context)
{
        char *envp[] = {"A=1", "TRACEPARENT=" OWN, NULL};

        carry.context = NULL;
        ck_assert_ptr_eq(made(envp), envp);
}
END_TEST

START_TEST(test_carry_environ_adds_what_is_absent)
{
        CHECK("A=1\nB=2\nTRACEPARENT=" OURS "\n", "A=1", "B=2");
        context.tracestate = SLICE("k=v");
        carry.baggage = SLICE("b=1");
        CHECK("A=1\nTRACEPARENT=" OURS "\nTRACESTATE=k=v\nBAGGAGE=b=1\n", "A=1");
}
END_TEST

START_TEST(test_carry_environ_of_an_empty_one)
{
        char *none[] = {NULL};

        ck_assert_str_eq(joined(made(none)), "TRACEPARENT=" OURS "\n");
        ck_assert_str_eq(joined(made(NULL)), "TRACEPARENT=" OURS "\n");
}
END_TEST

START_TEST(test_carry_environ_replaces_what_the_process_came_with)
{
        CHECK("A=1\nTRACEPARENT=" OURS "\nB=2\n", "A=1", "TRACEPARENT=" OWN, "B=2");
        /* Its tracestate and baggage go with it. */
        CHECK("TRACEPARENT=" OURS "\nA=1\n", "TRACESTATE=old=1", "TRACEPARENT=" OWN, "BAGGAGE=own=1", "A=1");
        context.tracestate = SLICE("new=2");
        CHECK("TRACESTATE=new=2\nTRACEPARENT=" OURS "\n", "TRACESTATE=old=1", "TRACEPARENT=" OWN);
}
END_TEST

START_TEST(test_carry_environ_respects_what_was_made_by_hand)
{
        char *envp[] = {"TRACEPARENT=" OTHER, "TRACESTATE=theirs=1", "BAGGAGE=own=1", NULL};

        context.tracestate = SLICE("ours=1");
        carry.baggage = SLICE("b=1");
        ck_assert_ptr_eq(made(envp), envp);
        carry.own_traceparent = NULL;
        envp[0] = "TRACEPARENT=" OWN; /* nor was it there when the process started */
        ck_assert_ptr_eq(made(envp), envp);
        envp[0] = "TRACEPARENT=" OWN "x";
        carry.own_traceparent = OWN;
        ck_assert_ptr_eq(made(envp), envp);
        envp[0] = "TRACEPARENT=anything";
        ck_assert_ptr_eq(made(envp), envp);
}
END_TEST

START_TEST(test_carry_environ_respects_baggage_made_by_hand)
{
        carry.baggage = SLICE("b=1");
        CHECK("BAGGAGE=theirs=1\nTRACEPARENT=" OURS "\n", "BAGGAGE=theirs=1", "TRACEPARENT=" OWN);
        CHECK("BAGGAGE=b=1\nTRACEPARENT=" OURS "\n", "BAGGAGE=own=1", "TRACEPARENT=" OWN);
}
END_TEST

START_TEST(test_carry_environ_takes_empty_for_absent)
{
        CHECK("TRACEPARENT=" OURS "\n", "TRACEPARENT=", "TRACESTATE=", "BAGGAGE=");
}
END_TEST

START_TEST(test_carry_environ_when_names_come_twice)
{
        CHECK("TRACEPARENT=" OURS "\nA=1\n", "TRACEPARENT=" OWN, "A=1", "TRACEPARENT=" OTHER);
        CHECK("A=1\nTRACEPARENT=" OTHER "\nB=2\n", "A=1", "TRACEPARENT=" OTHER, "TRACEPARENT=" OWN, "B=2",
              "TRACEPARENT=" OTHER);
        CHECK("TRACEPARENT=" OURS "\n", "TRACEPARENT=" OWN, "TRACESTATE=a", "TRACESTATE=b",
              "TRACEPARENT=" OWN, "BAGGAGE=own=1", "BAGGAGE=theirs=1");
}
END_TEST

START_TEST(test_carry_environ_knows_names_whole)
{
        CHECK("TRACEPARENT\nTRACEPARENTS=1\nXTRACEPARENT=1\ntraceparent=1\nTRACEPARENT=" OURS "\n",
              "TRACEPARENT", "TRACEPARENTS=1", "XTRACEPARENT=1", "traceparent=1");
}
END_TEST

START_TEST(test_carry_environ_hands_the_process_on)
{
        carry.process = SLICE("1-2-3");
        CHECK("A=1\nTRACEPARENT=" OURS "\n" CARRY_PROCESS "=1-2-3\n", "A=1");
        CHECK(CARRY_PROCESS "=1-2-3\nTRACEPARENT=" OTHER "\n", CARRY_PROCESS "=9-9-9", "TRACEPARENT=" OTHER);
        carry.process = SLICE_NULL;
        CHECK("TRACEPARENT=" OTHER "\n", CARRY_PROCESS "=9-9-9", "TRACEPARENT=" OTHER);
        carry.context = NULL;
        CHECK("TRACEPARENT=" OWN "\n", "TRACEPARENT=" OWN, CARRY_PROCESS "=9-9-9");
}
END_TEST

START_TEST(test_carry_environ_with_the_longest_values)
{
        static char state[LIMIT_TRACESTATE], baggage[LIMIT_BAGGAGE + 1], process[CARRY_PROCESS_MAX];
        char *envp[] = {"A=1", "BAGGAGE=own=1", NULL};
        char *const *new;

        memset(state, 's', sizeof(state));
        memset(baggage, 'b', sizeof(baggage));
        memset(process, 'p', sizeof(process));
        context.tracestate = slice_make(state, sizeof(state));
        carry.baggage = slice_make(baggage, LIMIT_BAGGAGE);
        carry.process = slice_make(process, sizeof(process));
        new = made(envp);
        ck_assert_uint_eq(strlen(carry_value(new, "TRACESTATE=")), sizeof(state));
        ck_assert_uint_eq(strlen(carry_value(new, "BAGGAGE=")), LIMIT_BAGGAGE);
        ck_assert_uint_eq(strlen(carry_value(new, CARRY_PROCESS "=")), sizeof(process));
        /* One byte more is what the process came with, and too long to be copied. */
        carry.baggage = slice_make(baggage, sizeof(baggage));
        ck_assert_str_eq(carry_value(made(envp), "BAGGAGE="), "own=1");
}
END_TEST

START_TEST(test_carry_environ_of_many_variables)
{
        static char *envp[100001];
        char *const *new;

        for (size_t i = 0; i < 100000; i++)
                envp[i] = "VARIABLE=value";
        new = made(envp);
        ck_assert_mem_eq(new, envp, 100000 * sizeof(char *));
        ck_assert_str_eq(new[100000], "TRACEPARENT=" OURS);
        ck_assert_ptr_null(new[100001]);
}
END_TEST

/* A page that can be read before one that cannot. Return: the border. */
static char *border(void)
{
        char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert_ptr_ne(two, MAP_FAILED);
        ck_assert_int_eq(mprotect(two + 4096, 4096, PROT_NONE), 0);
        return two + 4096;
}

START_TEST(test_carry_room_of_what_cannot_be_read)
{
        char **end = (char **)(void *)border();

        end[-1] = "A=1";
        ck_assert_uint_eq(carry_room(end - 1), 0);
        ck_assert_uint_eq(carry_room(end), 0);
        ck_assert_uint_eq(carry_room((char **)8), 0);
        end[-1] = NULL;
        ck_assert_uint_gt(carry_room(end - 1), 0);
}
END_TEST

START_TEST(test_carry_environ_passes_unreadable_strings_on)
{
        char *cut = border() - 5;
        char *envp[] = {(char *)8, cut, "TRACEPARENT=" OWN, NULL};
        char *const *new;

        memcpy(cut, "TRACE", 5); /* and there it ends without an end */
        new = made(envp);
        ck_assert_ptr_eq(new[0], envp[0]);
        ck_assert_ptr_eq(new[1], cut);
        ck_assert_str_eq(new[2], "TRACEPARENT=" OURS);
        ck_assert_ptr_null(new[3]);
}
END_TEST

START_TEST(test_carry_environ_value_at_the_end_of_memory)
{
        static const char text[] = "TRACEPARENT=" OWN;
        char *end = border(), *entry = end - sizeof(text);
        char *envp[] = {entry, NULL};

        memcpy(entry, text, sizeof(text));
        ck_assert_str_eq(joined(made(envp)), "TRACEPARENT=" OURS "\n");
}
END_TEST

UNIT_MAIN_WITH("carry", setup, test_carry_environ_without_a_context, test_carry_environ_adds_what_is_absent,
               test_carry_environ_of_an_empty_one, test_carry_environ_replaces_what_the_process_came_with,
               test_carry_environ_respects_what_was_made_by_hand,
               test_carry_environ_respects_baggage_made_by_hand, test_carry_environ_takes_empty_for_absent,
               test_carry_environ_when_names_come_twice, test_carry_environ_knows_names_whole,
               test_carry_environ_hands_the_process_on, test_carry_environ_with_the_longest_values,
               test_carry_environ_of_many_variables, test_carry_room_of_what_cannot_be_read,
               test_carry_environ_passes_unreadable_strings_on, test_carry_environ_value_at_the_end_of_memory)
