/* SPDX-License-Identifier: Apache-2.0 */
/* FastCGI through the tap, as a server: a SERVER span per request, below the context that it came with. */
#include "tests/unit/fcgi-script.h"
#include "tests/unit/serving.h"

#define TRACE   "0af7651916cd43dd8448eb211c80319c"
#define CONTEXT "00-" TRACE "-b7ad6b7169203331-01"
#define OTHER   "00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-01"
#define REQUEST "REQUEST_METHOD=POST;REQUEST_URI=/u?q;HTTP_TRACEPARENT=" CONTEXT ";HTTP_TRACESTATE=s=1"

static char requests[65536], answers[65536];

static void get_all(const char *script)
{
        host_gets(requests, fcgi_script(requests, sizeof(requests), script));
}

static void put_all(const char *script)
{
        size_t len = fcgi_script(answers, sizeof(answers), script);

        ck_assert_int_eq(host_send(answers, len, take_all), (ssize_t)len);
}

static void expect_hex(const uint8_t *id, size_t len, const char *want)
{
        char hex[33];

        for (size_t i = 0; i < len; i++)
                snprintf(hex + 2 * i, 3, "%02x", id[i]);
        ck_assert_str_eq(hex, want);
}

static void expect_below(const struct told *span)
{
        expect_hex(span->trace_id, 16, TRACE);
        expect_hex(span->parent_id, 8, "b7ad6b7169203331");
        ck_assert_str_eq(span->method, "POST");
        ck_assert_str_eq(span->target, "/u?q");
        ck_assert_str_eq(span->tracestate, "s=1");
}

START_TEST(test_every_split)
{
        static const char *const in[] = {
                "B1 1|P1 " REQUEST "|P1|I1", "B1+8 1k|P1+3/9 " REQUEST "|P1+1|I1+2 body|I1",
                "B300 2|P300 ~" REQUEST "|P300", "G0 FCGI_MAX_CONNS=|B1 1|P1 " REQUEST "|P1|I1"};
        static const char *const out[] = {"O1 Status: 404 x\r\n\r\nbody|O1|X1 0",
                                          "O1/1 Status: 404\r\n\r\n|X1+8 0",
                                          "E300+1 x|O300+1 Status: 404\r\n\r\n|X300 0",
                                          "g0 FCGI_MAX_CONNS=1|O1 Status: 404\r\n\r\n|X1 0"};

        for (size_t i = 0; i < ARRAY_LEN(in); i++) {
                size_t len = fcgi_script(requests, sizeof(requests), in[i]);
                size_t answer_len = fcgi_script(answers, sizeof(answers), out[i]);

                for (size_t split = 1; split < len || split < answer_len; split++) {
                        size_t cut = MIN(split, len), answer_cut = MIN(split, answer_len);

                        accept_now();
                        host_gets(requests, cut);
                        host_gets(requests + cut, len - cut);
                        ck_assert_uint_eq(told_count, 0);
                        ck_assert_int_eq(open_now, 1);
                        host_send(answers, answer_cut, take_all);
                        host_send(answers + answer_cut, answer_len - answer_cut, take_all);
                        ck_assert_uint_eq(wire_len, answer_len);
                        ck_assert_mem_eq(wire, answers, answer_len);
                        ck_assert_uint_eq(told_count, 1);
                        expect_answered(&told[0], 404);
                        expect_below(&told[0]);
                        close_expecting(1);
                }
        }
}
END_TEST

/* What was not taken of an answer has not been said. */
static size_t take_at_most;

static long take_little(size_t offered)
{
        return (long)MIN(offered, take_at_most);
}

START_TEST(test_answer_in_short_writes)
{
        for (take_at_most = 1; take_at_most < 40; take_at_most++) {
                size_t len;

                accept_now();
                get_all("B1 1|P1 " REQUEST "|P1|I1");
                len = fcgi_script(answers, sizeof(answers), "O1 Status: 500 x\r\n\r\n|X1 0");
                for (size_t at = 0; at < len;) {
                        ck_assert_uint_eq(told_count, 0);
                        at += (size_t)host_send(answers + at, len - at, take_little);
                }
                expect_answered(&told[0], 500);
                close_expecting(1);
        }
}
END_TEST

START_TEST(test_answers)
{
        static const struct {
                const char *answer;
                int status, truncated;
        } rows[] = {
                {"O1 \r\n|X1 0", 200, 0},
                {"O1 Location: /x\r\n\r\n|X1 0,3", 302, 0},
                {"O1 Status: 204\r\n\r\n|E1 noted|X1 0", 204, 0},
                {"O1 Status: x\r\n\r\n|X1 0", 0, 0},
                {"X1 1", 0, 1},
                {"X1 2", 0, 1},
                {"X1 3", 0, 1},
                {"O1 Status: 404\r\n|X1 0", 0, 1},
                {"O1 Status: 404\r\n\r\n|X1 2", 404, 1},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                accept_now();
                get_all("B1 1k|P1 " REQUEST "|P1|I1");
                put_all("O9 Status: 404\r\n\r\n|X9 0"); /* of no request */
                ck_assert_uint_eq(told_count, 0);
                put_all(rows[i].answer);
                ck_assert_uint_eq(told_count, 1);
                expect_below(&told[0]);
                ck_assert_int_eq(told[0].kind, SPAN_SERVER);
                ck_assert_msg(told[0].status == rows[i].status, "%s", rows[i].answer);
                ck_assert_msg(told[0].truncated == rows[i].truncated, "%s", rows[i].answer);
                close_expecting(1);
        }
}
END_TEST

START_TEST(test_contexts)
{
        static const struct {
                const char *params, *trace; /* NULL: one of its own */
        } rows[] = {
                {"HTTP_TRACEPARENT=" CONTEXT, TRACE},
                {"HTTP_TRACEPARENT=" OTHER "|P1 HTTP_TRACEPARENT=" CONTEXT, TRACE},
                {"HTTP_TRACEPARENT=" OTHER ";HTTP_TRACEPARENT=" OTHER "|P1 HTTP_TRACEPARENT=" CONTEXT, TRACE},
                {"HTTP_TRACEPARENT=" OTHER ";HTTP_TRACEPARENT=" CONTEXT, NULL},
                {"HTTP_TRACEPARENT=" CONTEXT ";HTTP_TRACEPARENT=" CONTEXT, NULL},
                {"HTTP_TRACEPARENT=" CONTEXT ";HTTP_TRACEPARENT=x", NULL},
                {"HTTP_TRACEPARENT=00-00000000000000000000000000000000-b7ad6b7169203331-01", NULL},
                {"HTTP_TRACEPARENT=" CONTEXT "\r", NULL},
                {"TRACEPARENT=" CONTEXT, NULL},
                {"HTTP_TRACEPARENT=", NULL},
                {"A=b", NULL},
        };
        static const uint8_t none[8];

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                char script[512];

                snprintf(script, sizeof(script), "B1 1k|P1 %s|P1|I1", rows[i].params);
                accept_now();
                get_all(script);
                put_all("O1 \r\n|X1 0");
                ck_assert_uint_eq(told_count, 1);
                if (rows[i].trace)
                        expect_hex(told[0].trace_id, 16, rows[i].trace);
                ck_assert_msg(!memcmp(told[0].parent_id, none, 8) == !rows[i].trace, "%s", rows[i].params);
                close_expecting(1);
        }
}
END_TEST

START_TEST(test_flag_that_is_not_set)
{
        accept_now();
        get_all("B1 1k|P1 HTTP_TRACEPARENT=00-" TRACE "-b7ad6b7169203331-00|P1|I1");
        ck_assert_int_eq(open_now, 0);
        put_all("O1 \r\n|X1 0");
        close_expecting(0);
}
END_TEST

/* Several at once, answered in another order. */
START_TEST(test_multiplexed)
{
        accept_now();
        get_all("B1 1k|P1 REQUEST_URI=/1|P1|B2 1k|I1 a|P2 SCRIPT_NAME=/2;QUERY_STRING=q|P2|B3 1k|P3 "
                "REQUEST_URI=/3");
        put_all("O2 Status: 2|E1 x|O1 Status: 50|O2 02\r\n\r\n|X2 0");
        ck_assert_uint_eq(told_count, 1);
        expect_answered(&told[0], 202);
        ck_assert_str_eq(told[0].target, "/2?q");
        get_all("P3|I1|I3");
        put_all("O3 \r\n|O1 3\r\n\r\n|X3 0|X1 0");
        ck_assert_uint_eq(told_count, 3);
        expect_answered(&told[1], 200);
        ck_assert_str_eq(told[1].target, "/3");
        expect_answered(&told[2], 503);
        ck_assert_str_eq(told[2].target, "/1");
        close_expecting(3);
}
END_TEST

START_TEST(test_one_after_the_other_on_a_kept_connection)
{
        accept_now();
        for (unsigned i = 0; i < 300; i++) {
                get_all("B1 1k|P1 " REQUEST "|P1|I1 body|I1");
                put_all(i % 2 ? "O1 \r\n|X1 0" : "O1 Status: 404\r\n\r\nx|O1|X1 0");
                ck_assert_uint_eq(told_count, i + 1);
                expect_answered(&told[i], i % 2 ? 200 : 404);
                expect_below(&told[i]);
        }
        close_expecting(300);
}
END_TEST

/* The end of the connection is the end of its requests, answered or not. */
START_TEST(test_hang_ups)
{
        accept_now();
        get_all("B1 1k|P1 REQUEST_URI=/1|P1|I1|B2 1k|P2 REQUEST_URI=/2|P2|I2|B3 1k|P3 REQUEST_URI=/3");
        put_all("O1 Status: 404\r\n\r\nbo");
        close_expecting(2); /* the third was no request yet */
        ck_assert_str_eq(told[0].target, "/1");
        ck_assert_int_eq(told[0].status, 404);
        ck_assert_int_eq(told[0].truncated, 1);
        ck_assert_str_eq(told[1].target, "/2");
        ck_assert_int_eq(told[1].status, 0);
        ck_assert_int_eq(told[1].unanswered, 1);
}
END_TEST

START_TEST(test_aborted)
{
        accept_now();
        get_all("B1 1k|P1 REQUEST_URI=/1|A1|B1 1k|P1 REQUEST_URI=/2|P1|I1 a|A1");
        put_all("X1 0"); /* of the first, which was no request yet */
        ck_assert_uint_eq(told_count, 0);
        put_all("O1 \r\n|X1 0,1");
        ck_assert_uint_eq(told_count, 1);
        ck_assert_str_eq(told[0].target, "/2");
        close_expecting(1);
}
END_TEST

START_TEST(test_what_is_no_fastcgi_is_opaque)
{
        static const char *const in[] = {"R 02", "R 010c",    "P1 A=b",   "O1 x",
                                         "B1 9", "B1 1|I1 x", "B1 1|B2 1"};
        static const char *const out[] = {"R 020600010000", "P1 A=b", "R 010c00010000", "X0 0"};

        for (size_t i = 0; i < ARRAY_LEN(in) + ARRAY_LEN(out); i++) {
                bool asked = i >= ARRAY_LEN(in);

                accept_now();
                get_all(asked ? "B1 1k|P1 A=b|P1|I1" : in[i]);
                put_all(asked ? out[i - ARRAY_LEN(in)] : "O1 Status: 404\r\n\r\n|X1 0");
                get_all("B1 1k|P1 A=b|P1|I1");
                put_all("O1 Status: 404\r\n\r\n|X1 0");
                tap_net_close(FD);
                ck_assert_uint_eq(told_count, asked);
                ck_assert_int_eq(told[0].incomplete, asked);
                ck_assert_int_eq(open_now, 0);
        }
}
END_TEST

/* Nothing that is reused may leak: connections with requests in every state, and those that are aborted. */
START_TEST(test_no_leak_of_exchanges)
{
        static const char *const states[] = {"B1 1k|P1 A=b|A1|B1 1k|P1 A=b", "B1 1k|P1 A=b|P1|I1", "B1 1k",
                                             "B1 1|P1|R 02"};

        for (int i = 0; i < 3 * LIMIT_EXCHANGES; i++) {
                accept_now();
                get_all(states[i % ARRAY_LEN(states)]);
                tap_net_close(FD);
        }
        accept_now();
        for (int i = 0; i < 3 * LIMIT_EXCHANGES; i++) {
                get_all("B1 1k|P1 A=b|A1");
                put_all("X1 0");
        }
        get_all("B1 1k|P1 " REQUEST "|P1|I1");
        put_all("O1 \r\n|X1 0");
        expect_answered(&told[0], 200);
        close_expecting(1);
}
END_TEST

UNIT_MAIN_WITH("fcgi-serve", serving_setup, test_every_split, test_answer_in_short_writes, test_answers,
               test_contexts, test_flag_that_is_not_set, test_multiplexed,
               test_one_after_the_other_on_a_kept_connection, test_hang_ups, test_aborted,
               test_what_is_no_fastcgi_is_opaque, test_no_leak_of_exchanges)
