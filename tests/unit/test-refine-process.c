/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "agent/base/load.h"
#include "export/refine_ending.h"
#include "tests/unit/refined.h"

#define SECOND 1000000000ull

static struct span process_raw(int64_t pid)
{
        struct span raw = raw_span(SHAPE_PROCESS);

        raw.kind = SPAN_INTERNAL;
        span_add_str(&raw, SEMCONV_PROCESS_EXECUTABLE_NAME, SLICE("nightly"));
        span_add_str(&raw, SEMCONV_PROCESS_EXECUTABLE_PATH, SLICE("/usr/bin/nightly"));
        span_add_int(&raw, SEMCONV_PROCESS_PID, pid);
        return raw;
}

START_TEST(test_refine_process_when_end_varies)
{
        static const struct {
                int64_t code, number; /* -1: not given */
                const char *exit_code, *type;
        } rows[] = {
                {0, -1, "0", "-"},
                {3, -1, "3", "3"},
                {255, -1, "255", "255"},
                {-1, SIGKILL, "-", "SIGKILL"},
                {-1, SIGSEGV, "-", "SIGSEGV"},
                {139, SIGSEGV, "-", "SIGSEGV"}, /* no code of its own making */
                {-1, 64, "-", "_OTHER"},
                {-1, -1, "-", "-"},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct span raw = process_raw(4711);
                bool error = strcmp(rows[i].type, "-") != 0;
                struct refined got;

                if (rows[i].code >= 0)
                        span_add_int(&raw, SEMCONV_PROCESS_EXIT_CODE, rows[i].code);
                if (rows[i].number >= 0)
                        span_add_int(&raw, SEMCONV_RAW_SIGNAL, rows[i].number);
                refined_init(&got);
                refined_feed(&got, &raw);
                ck_assert_uint_eq(got.count, 1);
                check_out_span(got.spans);
                ck_assert_int_eq(got.spans->kind, SPAN_INTERNAL);
                ck_assert_str_eq(got.spans->name.p, "nightly");
                ck_assert_str_eq(out_text(got.spans, "process.executable.name"), "nightly");
                ck_assert_str_eq(out_text(got.spans, "process.executable.path"), "/usr/bin/nightly");
                ck_assert_str_eq(out_text(got.spans, "process.pid"), "4711");
                ck_assert_str_eq(out_text(got.spans, "process.exit.code"), rows[i].exit_code);
                ck_assert_str_eq(out_text(got.spans, "error.type"), rows[i].type);
                ck_assert_int_eq(got.spans->status, error ? SPAN_ERROR : SPAN_UNSET);
                refined_done(&got);
        }
}
END_TEST

START_TEST(test_refine_process_when_names_are_missing)
{
        struct span bare = raw_span(SHAPE_PROCESS), path = bare;
        struct refined got;

        span_add_str(&path, SEMCONV_PROCESS_EXECUTABLE_PATH, SLICE("/opt/x/tool"));
        refined_init(&got);
        refined_feed(&got, &bare);
        refined_feed(&got, &path);
        ck_assert_str_eq(got.spans[0].name.p, "process");
        ck_assert_ptr_null(out_find(&got.spans[0], "process.executable.name"));
        ck_assert_str_eq(got.spans[1].name.p, "tool");
        ck_assert_str_eq(out_text(&got.spans[1], "process.executable.name"), "tool");
        refined_done(&got);
}
END_TEST

/* The spans that a table gave back. */
struct given_back {
        struct span spans[2 * LIMIT_HELD_PROCESSES];
        void *owners[2 * LIMIT_HELD_PROCESSES];
        bool incomplete[2 * LIMIT_HELD_PROCESSES];
        unsigned count;
};

static void catch_back(void *ctx, void *owner, const struct span *raw, bool incomplete)
{
        struct given_back *back = ctx;

        ck_assert_uint_lt(back->count, ARRAY_LEN(back->spans));
        back->spans[back->count] = *raw;
        back->owners[back->count] = owner;
        back->incomplete[back->count++] = incomplete;
}

static int64_t number_of(const struct span *raw, enum semconv key)
{
        for (unsigned i = 0; i < raw->attr_count; i++)
                if (raw->attrs[i].key == key)
                        return raw->attrs[i].num;
        return 0;
}

static enum refine_ending take(struct refine_endings *endings, void *owner, int64_t pid, uint64_t mono_ns)
{
        struct span raw = process_raw(pid);

        return refine_endings_take(endings, owner, &raw, raw.start_ns + 5 * SECOND, mono_ns);
}

START_TEST(test_refine_endings_notice_when_span_waits)
{
        struct refine_endings endings = {.held = 0};
        struct given_back back = {.count = 0};
        struct span raw = process_raw(7);
        struct refine_notice notice = {
                .pid = 7, .signal = SIGKILL, .wall_ns = raw.start_ns + 6 * SECOND, .mono_ns = SECOND};
        int owners[2];

        span_add_int(&raw, SEMCONV_OTEL_INCOMPLETE, 1);
        ck_assert_int_eq(take(&endings, &owners[0], 6, SECOND), REFINE_ENDING_HELD);
        ck_assert_int_eq(refine_endings_take(&endings, &owners[1], &raw, raw.start_ns + SECOND, SECOND),
                         REFINE_ENDING_HELD);
        notice.pid = 8; /* another process */
        refine_endings_notice(&endings, &notice, catch_back, &back);
        notice.pid = 7;
        notice.wall_ns = raw.start_ns - 1; /* an earlier one of the same number */
        refine_endings_notice(&endings, &notice, catch_back, &back);
        ck_assert_uint_eq(back.count, 0);
        notice.wall_ns = raw.start_ns + 6 * SECOND;
        refine_endings_notice(&endings, &notice, catch_back, &back);
        ck_assert_uint_eq(back.count, 1);
        ck_assert_ptr_eq(back.owners[0], &owners[1]);
        ck_assert(!back.incomplete[0]);
        ck_assert_uint_eq(back.spans[0].end_ns, raw.start_ns + 6 * SECOND);
        ck_assert_int_eq(number_of(&back.spans[0], SEMCONV_RAW_SIGNAL), SIGKILL);
        ck_assert_int_eq(number_of(&back.spans[0], SEMCONV_OTEL_INCOMPLETE), 0);
        ck_assert_uint_eq(endings.held, 1);
        refine_endings_release(&endings, UINT64_MAX, catch_back, &back);
        ck_assert_uint_eq(back.count, 2);
        ck_assert_ptr_eq(back.owners[1], &owners[0]);
}
END_TEST

START_TEST(test_refine_endings_take_when_notice_came_first)
{
        struct refine_endings endings = {.held = 0};
        struct given_back back = {.count = 0};
        struct span raw = process_raw(7);
        const struct refine_notice notice = {
                .pid = 7, .signal = SIGTERM, .wall_ns = raw.start_ns + SECOND, .mono_ns = SECOND};

        refine_endings_notice(&endings, &notice, catch_back, &back);
        /* Too late: whatever ended so long ago was another one. */
        ck_assert_int_eq(take(&endings, NULL, 7, 2 * SECOND + 1), REFINE_ENDING_HELD);
        refine_endings_release(&endings, UINT64_MAX, catch_back, &back);
        ck_assert_int_eq(refine_endings_take(&endings, NULL, &raw, raw.start_ns + 5 * SECOND, 2 * SECOND),
                         REFINE_ENDING_KNOWN);
        ck_assert_uint_eq(raw.end_ns, raw.start_ns + SECOND);
        ck_assert_int_eq(number_of(&raw, SEMCONV_RAW_SIGNAL), SIGTERM);
        /* A notice is for one process. */
        ck_assert_int_eq(take(&endings, NULL, 7, 2 * SECOND), REFINE_ENDING_HELD);
        refine_endings_release(&endings, UINT64_MAX, catch_back, &back);
        ck_assert_uint_eq(back.count, 2);
}
END_TEST

START_TEST(test_refine_endings_release_when_nobody_knows)
{
        struct refine_endings endings = {.held = 0};
        struct given_back back = {.count = 0};
        uint64_t start = process_raw(1).start_ns;

        ck_assert_uint_eq(refine_endings_due(&endings), UINT64_MAX);
        ck_assert_int_eq(take(&endings, NULL, 1, SECOND), REFINE_ENDING_HELD);
        ck_assert_int_eq(take(&endings, NULL, 2, 2 * SECOND), REFINE_ENDING_HELD);
        ck_assert_uint_eq(refine_endings_due(&endings), SECOND + LIMIT_HELD_NS);
        refine_endings_release(&endings, SECOND, catch_back, &back);
        ck_assert_uint_eq(back.count, 0);
        refine_endings_release(&endings, SECOND + 1, catch_back, &back);
        ck_assert_uint_eq(back.count, 1);
        ck_assert(back.incomplete[0]);
        ck_assert_uint_eq(back.spans[0].end_ns,
                          start + 5 * SECOND); /* when it was found, not when given up */
        ck_assert_uint_eq(refine_endings_due(&endings), 2 * SECOND + LIMIT_HELD_NS);
        refine_endings_release(&endings, UINT64_MAX, catch_back, &back);
        ck_assert_uint_eq(endings.held, 0);
}
END_TEST

/* More than there is room for, ids that are none, a record that is full. */
START_TEST(test_refine_endings_take_when_there_are_many)
{
        struct refine_endings endings = {.held = 0};
        struct given_back back = {.count = 0};
        struct span full = process_raw(9);
        struct refine_notice notice = {.signal = SIGKILL, .wall_ns = full.start_ns, .mono_ns = SECOND};

        ck_assert_int_eq(take(&endings, NULL, 0, SECOND), REFINE_ENDING_UNKNOWN);
        ck_assert_int_eq(take(&endings, NULL, -5, SECOND), REFINE_ENDING_UNKNOWN);
        for (unsigned i = 0; i < 3 * LIMIT_HELD_PROCESSES; i++) {
                notice.pid = 1000 + i;
                refine_endings_notice(&endings, &notice, catch_back, &back);
        }
        for (unsigned i = 0; i < LIMIT_HELD_PROCESSES; i++) /* the latest are remembered */
                ck_assert_int_eq(take(&endings, NULL, 1000 + 2 * LIMIT_HELD_PROCESSES + i, SECOND),
                                 REFINE_ENDING_KNOWN);
        for (unsigned i = 0; i < LIMIT_HELD_PROCESSES; i++)
                ck_assert_int_eq(take(&endings, NULL, 1 + i, SECOND), REFINE_ENDING_HELD);
        ck_assert_int_eq(take(&endings, NULL, 100, SECOND), REFINE_ENDING_UNKNOWN);
        refine_endings_release(&endings, UINT64_MAX, catch_back, &back);
        while (full.attr_count < LIMIT_SPAN_ATTRS)
                span_add_int(&full, SEMCONV_HTTP_RESPONSE_STATUS_CODE, 1);
        notice.pid = 9;
        refine_endings_notice(&endings, &notice, catch_back, &back);
        ck_assert_int_eq(refine_endings_take(&endings, NULL, &full, full.start_ns, SECOND),
                         REFINE_ENDING_KNOWN);
        ck_assert_int_eq(number_of(&full, SEMCONV_RAW_SIGNAL), SIGKILL);
        notice.pid = 0; /* no notices */
        refine_endings_notice(&endings, &notice, catch_back, &back);
        notice.pid = 1;
        notice.signal = 0;
        refine_endings_notice(&endings, &notice, catch_back, &back);
        ck_assert_int_eq(take(&endings, NULL, 1, SECOND), REFINE_ENDING_HELD);
        refine_endings_release(&endings, UINT64_MAX, catch_back, &back);
}
END_TEST

UNIT_MAIN("refine-process", test_refine_process_when_end_varies, test_refine_process_when_names_are_missing,
          test_refine_endings_notice_when_span_waits, test_refine_endings_take_when_notice_came_first,
          test_refine_endings_release_when_nobody_knows, test_refine_endings_take_when_there_are_many)
