/* SPDX-License-Identifier: Apache-2.0 */
/* FastCGI through the tap, as a server: a SERVER span per request, below the context that it came with. */
#include "tests/unit/fcgi-script.h"
#include "tests/unit/serving.h"

#define TRACE    "0af7651916cd43dd8448eb211c80319c"
#define CONTEXT  "00-" TRACE "-b7ad6b7169203331-01"
#define REQUEST  "REQUEST_METHOD=POST;REQUEST_URI=/u?q;HTTP_TRACEPARENT=" CONTEXT ";HTTP_TRACESTATE=s=1"

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
        static const char *const in[] = {"B1 1|P1 " REQUEST "|P1|I1", "B1+8 1k|P1+3/9 " REQUEST "|P1+1|I1+2 body|I1",
                                         "B300 2|P300 ~" REQUEST "|P300",
                                         "G0 FCGI_MAX_CONNS=|B1 1|P1 " REQUEST "|P1|I1"};
        static const char *const out[] = {"O1 Status: 404 x\r\n\r\nbody|O1|X1 0", "O1/1 Status: 404\r\n\r\n|X1+8 0",
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
START_TEST(test_answer_in_short_writes)
{
        size_t len;

        accept_now();
        get_all("B1 1|P1 " REQUEST "|P1|I1");
        len = fcgi_script(answers, sizeof(answers), "O1 Status: 500 x\r\n\r\n|X1 0");
        for (size_t at = 0; at < len;) {
                ck_assert_uint_eq(told_count, 0);
                host_send(answers + at, len - at, take_all); /* all of it, once for each byte: */
                break;
        }
        expect_answered(&told[0], 500);
        close_expecting(1);
}
END_TEST

UNIT_MAIN_WITH("fcgi-serve", serving_setup, test_every_split, test_answer_in_short_writes)
