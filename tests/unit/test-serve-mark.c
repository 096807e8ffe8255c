/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server's reads and writes say of causes, and the context header that is shown to the program in the
 * head it reads (OTEL_INSTRUMENT_MARK_INBOUND).
 */
#include "tests/unit/serving.h"

#define LINE_LEN (13 + 55 + 2) /* "traceparent: ", its value, CRLF */
#define TRACE    "0af7651916cd43dd8448eb211c80319c"

static void marking_setup(void)
{
        serving_setup();
        config_now.mark_inbound = true;
}

/* The line stands at @at of @got, between the bytes of @sent; the span that is told has its id. */
static void expect_mark(const char *got, const char *sent, size_t len, size_t at, size_t line_len)
{
        static const char name[] = "traceparent: 00-";
        char hex[17];

        ck_assert_mem_eq(got, sent, at);
        ck_assert_mem_eq(got + at, name, strlen(name));
        ck_assert_mem_eq(got + at + 13 + 55, line_len == LINE_LEN ? "\r\n" : "\n", line_len - 13 - 55);
        ck_assert_mem_eq(got + at + line_len, sent + at, len - at);
        host_puts(ok);
        expect_answered(&told[0], 200);
        for (int i = 0; i < 8; i++)
                snprintf(hex + 2 * i, 3, "%02x", told[0].span_id[i]);
        ck_assert_mem_eq(got + at + strlen(name) + 33, hex, 16);
}

static const char lf[] = "GET /lf HTTP/1.0\nHost: d\n\n";

START_TEST(test_mark_needs_its_room)
{
        const struct {
                const char *head;
                size_t line;
        } rows[] = {{get, LINE_LEN}, {lf, LINE_LEN - 1}, {"GET /n HTTP/1.0\r\n\r\n", LINE_LEN}};

        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                size_t len = strlen(rows[i].head), at = len - (rows[i].line - 13 - 55);

                for (size_t room = 0; room < 2 * LINE_LEN; room++) {
                        static const char blank[1024];
                        char *buf = unit_guarded(blank, len + room);
                        bool fits = room >= rows[i].line;

                        accept_now();
                        ck_assert_int_eq(host_read(buf, len + room, rows[i].head, len, 0),
                                         (ssize_t)(len + (fits ? rows[i].line : 0)));
                        if (fits)
                                expect_mark(buf, rows[i].head, len, at, rows[i].line);
                        else
                                ck_assert_mem_eq(buf, rows[i].head, len);
                        close_expecting(1);
                }
        }
}
END_TEST

START_TEST(test_head_in_two_reads_is_not_marked)
{
        char buf[1024];

        for (size_t split = 1; split < strlen(get); split++) {
                size_t rest = strlen(get) - split;

                accept_now();
                ck_assert_int_eq(host_read(buf, sizeof(buf), get, split, 0), (ssize_t)split);
                ck_assert_int_eq(host_read(buf, sizeof(buf), get + split, rest, 0), (ssize_t)rest);
                ck_assert_mem_eq(buf, get + split, rest);
                host_puts(ok);
                close_expecting(1);
        }
}
END_TEST

START_TEST(test_what_stands_behind_the_head_is_moved)
{
        static const char two[] = "POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello"
                                  "GET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HT";
        size_t at = (size_t)(strstr(two, "\r\n\r\n") - two) + 2;
        char buf[1024];

        accept_now();
        ck_assert_int_eq(host_read(buf, sizeof(buf), two, strlen(two), 0), (ssize_t)(strlen(two) + LINE_LEN));
        ck_assert_int_eq(open_now, 2);
        expect_mark(buf, two, strlen(two), at, LINE_LEN);
        ck_assert_int_eq(host_read(buf, sizeof(buf), "TP/1.1\r\n\r\n", 10, 0), 10);
        host_puts(ok);
        host_puts(ok);
        ck_assert_str_eq(told[1].target, "/2");
        ck_assert_str_eq(told[2].target, "/3");
        close_expecting(3);
}
END_TEST

START_TEST(test_head_behind_a_body_is_marked)
{
        static const char rest[] = "lloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
        char buf[1024];

        accept_now();
        host_gets_text("POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhe"); /* no room */
        ck_assert_int_eq(host_read(buf, sizeof(buf), rest, strlen(rest), 0),
                         (ssize_t)(strlen(rest) + LINE_LEN));
        ck_assert_mem_eq(buf, rest, strlen(rest) - 2);
        ck_assert_mem_eq(buf + strlen(rest) - 2, "traceparent: 00-", 16);
        ck_assert_mem_eq(buf + strlen(rest) - 2 + LINE_LEN, "\r\n", 2);
        host_puts(ok);
        host_puts(ok);
        close_expecting(2);
}
END_TEST

START_TEST(test_unmarked)
{
        static const char own[] = "GET / HTTP/1.1\r\ntraceparent: 00-" TRACE "-b7ad6b7169203331-01\r\n\r\n";
        char buf[1024], tail[512];
        struct iovec iov[] = {{buf, 10}, {tail, sizeof(tail)}};
        struct tap_in in;

        accept_now(); /* has one */
        ck_assert_int_eq(host_read(buf, sizeof(buf), own, strlen(own), 0), (ssize_t)strlen(own));
        ck_assert_mem_eq(buf, own, strlen(own));
        close_expecting(1);

        accept_now(); /* the program has seen what comes */
        ck_assert_int_eq(host_read(buf, sizeof(buf), get, strlen(get), MSG_PEEK), (ssize_t)strlen(get));
        ck_assert_int_eq(open_now, 0);
        ck_assert_int_eq(host_read(buf, sizeof(buf), get, strlen(get), 0), (ssize_t)strlen(get));
        ck_assert_mem_eq(buf, get, strlen(get));
        close_expecting(1);

        accept_now(); /* in two pieces */
        tap_net_in_begin(&in, FD, 0);
        memcpy(buf, get, 10);
        memcpy(tail, get + 10, strlen(get) - 10);
        ck_assert_int_eq(tap_net_in_end(&in, iov, 2, (ssize_t)strlen(get), 0, 522), (ssize_t)strlen(get));
        ck_assert_mem_eq(tail, get + 10, strlen(get) - 10);
        close_expecting(1);

        accept_now(); /* no request */
        ck_assert_int_eq(host_read(buf, sizeof(buf), "SSH-2.0-x\r\n", 11, 0), 11);
        close_expecting(0);

        config_now.mark_inbound = false;
        accept_now();
        ck_assert_int_eq(host_read(buf, sizeof(buf), get, strlen(get), 0), (ssize_t)strlen(get));
        close_expecting(1);
}
END_TEST

/* What the program passes on is recognised as the request's. */
START_TEST(test_mark_names_its_request)
{
        struct trace_context header = {.tracestate = SLICE_NULL};
        struct cause_arrival arrival;
        char buf[1024];
        uint64_t request;

        accept_now();
        (void)host_read(buf, sizeof(buf), get, strlen(get), 0);
        request = cause_current(&thread_state.cause);
        ck_assert(cause_context(request, NULL, NULL, &arrival));
        ck_assert(arrival.marked);
        header = arrival.context;
        ck_assert_uint_eq(cause_by_header(&header), request);
        host_puts(ok);
        ck_assert_uint_eq(cause_by_header(&header), CAUSE_NONE);
        close_expecting(1);

        accept_now();
        (void)host_read(buf, strlen(get), get, strlen(get), 0);
        ck_assert(cause_context(cause_current(&thread_state.cause), NULL, NULL, &arrival));
        ck_assert(!arrival.marked);
        ck_assert_uint_eq(cause_by_header(&arrival.context), CAUSE_NONE);
        close_expecting(1);
}
END_TEST

/* --- causes --- */

#define OTHER_FD 8

/* Two requests with half a body each, in an earlier slice: of FD and of OTHER_FD. */
static void open_two(uint64_t *ret_first, uint64_t *ret_other)
{
        static const char half[] = "POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhe";

        accept_now();
        host_gets_text(half);
        *ret_other = cause_current(&thread_state.cause);
        tap_net_dup(FD, OTHER_FD);
        tap_net_close(FD);
        cause_waited(&thread_state.cause);
        accept_now();
        host_gets_text(half);
        *ret_first = cause_current(&thread_state.cause);
        cause_waited(&thread_state.cause);
        ck_assert_uint_ne(*ret_first, *ret_other);
        ck_assert(cause_is_open(*ret_first) && cause_is_open(*ret_other));
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_UNKNOWN);
}

START_TEST(test_reads_owe_and_writes_pay)
{
        uint64_t first, other;

        open_two(&first, &other);
        host_gets_text("l");
        ck_assert_uint_eq(cause_current(&thread_state.cause), first);
        host_puts("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
        cause_waited(&thread_state.cause);
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_UNKNOWN);
        host_gets_text("l");
        ck_assert_uint_eq(cause_current(&thread_state.cause), first);
        tap_net_out_unseen(FD, 1); /* pays as well */
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_UNKNOWN);
        host_gets_text("o");
        ck_assert_uint_eq(cause_current(&thread_state.cause), first);
        host_puts("ab"); /* over: what is owed to it does not count any more */
        ck_assert(!cause_is_open(first));
        ck_assert_uint_eq(told_count, 1);
        cause_waited(&thread_state.cause);
        ck_assert_uint_eq(cause_current(&thread_state.cause), other); /* the only one */
        tap_net_close(OTHER_FD);
        ck_assert(!cause_is_open(other));
        close_expecting(2);
}
END_TEST

/* Bytes of a client that we do not understand may ask for anything. */
START_TEST(test_opaque_client_makes_unknown)
{
        uint64_t first, other;

        open_two(&first, &other);
        conn_opaque(conn_table_get(OTHER_FD), STAT_OPAQUE_ERROR);
        host_gets_text("l");
        ck_assert_uint_eq(cause_current(&thread_state.cause), first);
        {
                struct tap_in in;
                char byte;
                struct iovec iov = {&byte, 1};

                tap_net_in_begin(&in, OTHER_FD, 0);
                ck_assert_int_eq(tap_net_in_end(&in, &iov, 1, 1, 0, 1), 1);
        }
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_UNKNOWN);
        cause_waited(&thread_state.cause);
        host_gets_text("l");
        ck_assert_uint_eq(cause_current(&thread_state.cause), first);
        tap_net_close(FD);
        tap_net_close(OTHER_FD);
        cause_waited(&thread_state.cause);
        accept_now(); /* with its very first bytes */
        host_gets_text("get key\r\n");
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_UNKNOWN);
}
END_TEST

/* An answer that we do not understand is for the thread's only request, or for nobody knows which. */
START_TEST(test_opaque_answer)
{
        uint64_t first, other;

        open_two(&first, &other);
        host_gets_text("l");
        ck_assert_uint_eq(cause_current(&thread_state.cause), first);
        cause_read_opaque(&thread_state.cause, false);
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_UNKNOWN);
        tap_net_close(OTHER_FD);
        cause_waited(&thread_state.cause);
        host_gets_text("l");
        cause_read_opaque(&thread_state.cause, false);
        ck_assert_uint_eq(cause_current(&thread_state.cause), first);
        close_expecting(2);
}
END_TEST

UNIT_MAIN_WITH("serve-mark", marking_setup, test_mark_needs_its_room, test_head_in_two_reads_is_not_marked,
               test_what_stands_behind_the_head_is_moved, test_head_behind_a_body_is_marked, test_unmarked,
               test_mark_names_its_request, test_reads_owe_and_writes_pay, test_opaque_client_makes_unknown,
               test_opaque_answer)
