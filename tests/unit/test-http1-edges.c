/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 beyond the table: offsets, pipelines, limits, bytes that pass unseen, guesses. */
#include "agent/proto/http1.h"
#include "tests/unit/http1-log.h"
#include "tests/unit/unit.h"

#define TEXT_MAX 200

static struct http1_log log_whole, log_split;

START_TEST(test_feed_without_buffer)
{
        struct http1_sink nobody = {0};
        struct http1 parser;
        struct slice bytes =
                SLICE("GET / HTTP/1.1\r\ntraceparent: x\r\ntracestate: y\r\ntracestate: z\r\n\r\n");

        http1_init(&parser, HTTP1_REQUESTS);
        ck_assert_int_eq(http1_feed(&parser, bytes, &nobody), (long)bytes.len);
        ck_assert(parser.head.text[HTTP1_TRACEPARENT].present);
        ck_assert_uint_eq(parser.head.traceparent_count, 1);
        ck_assert_uint_eq(http1_text_get(&parser, HTTP1_METHOD).len, 0);
        ck_assert(!http1_busy(&parser));
        ck_assert(http1_eof(&parser, &nobody));
}
END_TEST

/* Where a head's blank line begins and ends, and where its body ends. */
START_TEST(test_feed_offsets)
{
        http1_log_init(&log_whole, HTTP1_REQUESTS, "", 0);
        ck_assert(http1_log_feed(&log_whole, SLICE("\r\nPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
                                                   "GET / HTTP/1.1\n\n")));
        ck_assert_ptr_nonnull(strstr(log_whole.text, "begin@2 blank@38 "));
        ck_assert_ptr_nonnull(strstr(log_whole.text, " head@40 end@42 begin@42 blank@57 "));
        ck_assert_ptr_nonnull(strstr(log_whole.text, " head@58 end@58"));
}
END_TEST

/* The blank line is told at its CR, before its LF was seen. */
START_TEST(test_feed_tells_blank_at_its_first_byte)
{
        http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
        ck_assert(http1_log_feed(&log_whole, SLICE("GET / HTTP/1.1\r\nHost: h\r\n")));
        ck_assert_ptr_null(strstr(log_whole.text, "blank"));
        ck_assert(http1_log_feed(&log_whole, SLICE("\r")));
        ck_assert_ptr_nonnull(strstr(log_whole.text, "blank@25"));
        ck_assert_ptr_null(strstr(log_whole.text, "head"));
}
END_TEST

/* The value stands between < and >, wherever the bytes are split. */
START_TEST(test_feed_tells_where_a_context_stands)
{
        static const char *const heads[] = {
                "GET / HTTP/1.1\r\nTraceParent: <00-1>\r\nHost: h\r\n\r\n",
                "GET / HTTP/1.1\r\ntraceparent:<00-1>\r\n\r\n",
                "GET / HTTP/1.0\nHost: h\ntraceparent: \t <00-1> \t\n\n",
                "GET / HTTP/1.1\r\ntraceparent: <2>\r\ntraceparent: 3\r\n\r\n",
                "\r\n\r\nGET / HTTP/1.1\r\ntraceparent: \r\n \r\n\t<2\r\n 3> \r\n \r\nHost: h\r\n\r\n",
        };
        struct http1_sink nobody = {0};

        for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
                struct slice bytes = slice_str(heads[i]);
                size_t start = strspn(heads[i], "\r\n"), from = slice_find(bytes, '<') - start;
                size_t end = slice_find(bytes, '>') + 1 - start;

                for (size_t split = 0; split <= bytes.len; split++) {
                        struct http1 parser;

                        http1_init(&parser, HTTP1_REQUESTS);
                        ck_assert_int_ge(http1_feed(&parser, slice_to(bytes, split), &nobody), 0);
                        ck_assert_int_ge(http1_feed(&parser, slice_from(bytes, split), &nobody), 0);
                        ck_assert_uint_eq(parser.head.traceparent.from, from);
                        ck_assert_uint_eq(parser.head.traceparent.end, end);
                }
        }
}
END_TEST

#define PIPELINE 100

START_TEST(test_feed_pipeline)
{
        static char bytes[PIPELINE * 80];
        size_t len = 0, heads = 0;

        for (int i = 0; i < PIPELINE; i++)
                len += (size_t)snprintf(bytes + len, sizeof(bytes) - len,
                                        i % 2 ? "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
                                              : "POST /%d HTTP/1.1\r\nContent-Length: 3\r\n\r\nGET",
                                        i);
        http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
        ck_assert(http1_log_feed(&log_whole, slice_make(bytes, len)));
        for (const char *p = log_whole.text; (p = strstr(p, "head@")); p++)
                heads++;
        ck_assert_uint_eq(heads, PIPELINE);
        ck_assert_ptr_nonnull(strstr(log_whole.text, " GET /99 "));
        for (size_t step = 1; step < 300; step += 7) {
                http1_log_init(&log_split, HTTP1_REQUESTS, "", TEXT_MAX);
                for (size_t at = 0; at < len; at += step)
                        ck_assert(
                                http1_log_feed(&log_split, slice_to(slice_make(bytes + at, len - at), step)));
                ck_assert_str_eq(log_split.text, log_whole.text);
        }
}
END_TEST

static char *big_head(size_t len, const char *line)
{
        static const char start[] = "GET / HTTP/1.1\r\nHost: h\r\n";
        size_t line_len = strlen(line), at = sizeof(start) - 1;
        char *bytes = malloc(len + 1);

        ck_assert_ptr_nonnull(bytes);
        memcpy(bytes, start, at);
        while (len - at >= line_len + 16) {
                memcpy(bytes + at, line, line_len);
                at += line_len;
        }
        /* What is left: one line of exactly that length, and the blank one. */
        memcpy(bytes + at, "X: ", 3);
        memset(bytes + at + 3, 'x', len - at - 7);
        memcpy(bytes + len - 4, "\r\n\r\n", 5);
        return bytes;
}

static void feed_in_steps(const char *bytes, size_t len, size_t step, const char *expect)
{
        http1_log_init(&log_split, HTTP1_REQUESTS, "", TEXT_MAX);
        log_split.offsets = false;
        for (size_t at = 0; at < len; at += step)
                if (!http1_log_feed(&log_split, slice_to(slice_make(bytes + at, len - at), step)))
                        break;
        ck_assert_str_eq(log_split.text, expect);
}

START_TEST(test_feed_big_heads)
{
        static const size_t steps[] = {1, 7, 1000, LIMIT_HTTP_HEAD - 1, LIMIT_HTTP_HEAD, LIMIT_HTTP_HEAD + 1};
        static const char *const lines[] = {"Cookie: a=b\r\n", "User-Agent: again and again\r\n",
                                            "A: b\r\n c\r\n"};

        for (size_t l = 0; l < sizeof(lines) / sizeof(*lines); l++) {
                const char *good =
                        l == 1 ? "begin blank GET / 1.1 host=h ua=again and again keep none head end"
                               : "begin blank GET / 1.1 host=h keep none head end";
                char *fits = big_head(LIMIT_HTTP_HEAD, lines[l]),
                     *over = big_head(LIMIT_HTTP_HEAD + 1, lines[l]);
                char *usual = big_head(64 * 1024, lines[l]),
                     *over_by_cr = big_head(LIMIT_HTTP_HEAD + 4, lines[l]);

                for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
                        feed_in_steps(usual, 64 * 1024, steps[s], good);
                        feed_in_steps(fits, LIMIT_HTTP_HEAD, steps[s], good);
                        feed_in_steps(over_by_cr, LIMIT_HTTP_HEAD + 4, steps[s], "begin LOST");
                        http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
                        ck_assert(!http1_log_feed(&log_whole, slice_make(over, LIMIT_HTTP_HEAD + 1)));
                        ck_assert_ptr_null(strstr(log_whole.text, "head@"));
                }
                free(fits);
                free(over);
                free(usual);
                free(over_by_cr);
        }
}
END_TEST

START_TEST(test_feed_endless_lines)
{
        static char name[LIMIT_HTTP_HEAD + 1];
        static const char *const starts[] = {"",
                                             "GET ",
                                             "GET / HTTP/1.1\r\n",
                                             "GET / HTTP/1.1\r\nHost: ",
                                             "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
                                             "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"};

        memset(name, 'x', sizeof(name));
        for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
                http1_log_init(&log_split, HTTP1_REQUESTS, "", TEXT_MAX);
                (void)http1_log_feed(&log_split, slice_str(starts[i]));
                ck_assert(!http1_log_feed(&log_split, slice_make(name, sizeof(name))));
        }
}
END_TEST

START_TEST(test_skip)
{
        struct http1_sink sink = http1_log_sink(&log_whole);
        struct http1 *parser = &log_whole.parser;

        http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
        ck_assert(http1_skip(parser, 0, &sink));
        ck_assert(http1_log_feed(&log_whole, SLICE("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nab")));
        ck_assert_uint_eq(http1_body_left(parser), 8);
        ck_assert(http1_log_skip(&log_whole, 5));
        ck_assert(http1_busy(parser));
        ck_assert_uint_eq(http1_body_left(parser), 3);
        ck_assert(http1_log_skip(&log_whole, 3));
        ck_assert(!http1_busy(parser));
        ck_assert_ptr_nonnull(strstr(log_whole.text, "end@"));
        ck_assert_uint_eq(http1_body_left(parser), 0);
        ck_assert(!http1_skip(parser, 1, &sink));
        ck_assert_int_eq(http1_feed(parser, SLICE("GET"), &sink), PROTO_LOST);
}
END_TEST

START_TEST(test_skip_in_chunks_and_beyond)
{
        http1_log_init(&log_whole, HTTP1_RESPONSES, "", 0);
        ck_assert(http1_log_feed(&log_whole,
                                 SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nab")));
        ck_assert_uint_eq(http1_body_left(&log_whole.parser), 6);
        ck_assert(http1_log_skip(&log_whole, 6));
        ck_assert_uint_eq(http1_body_left(&log_whole.parser), 0);
        ck_assert(http1_log_feed(&log_whole, SLICE("\r\n2\r\n")));
        ck_assert(!http1_log_skip(&log_whole, 3));
        ck_assert(log_whole.parser.lost);

        http1_log_init(&log_whole, HTTP1_RESPONSES, "", 0);
        ck_assert(http1_log_feed(&log_whole, SLICE("HTTP/1.1 200 OK\r\n\r\n")));
        ck_assert(http1_log_skip(&log_whole, UINT64_MAX));
        http1_log_eof(&log_whole);
        ck_assert_ptr_nonnull(strstr(log_whole.text, " eof"));

        http1_log_init(&log_whole, HTTP1_RESPONSES, "", 0);
        ck_assert(http1_log_feed(&log_whole, SLICE("HTTP/1.1 200")));
        ck_assert(!http1_log_skip(&log_whole, 1));
}
END_TEST

START_TEST(test_eof_in_the_middle)
{
        static const char *const cut[] = {"HTTP", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"};

        for (size_t i = 0; i < sizeof(cut) / sizeof(*cut); i++) {
                http1_log_init(&log_whole, HTTP1_RESPONSES, "", 0);
                ck_assert(http1_log_feed(&log_whole, slice_str(cut[i])));
                ck_assert(http1_busy(&log_whole.parser));
                http1_log_eof(&log_whole);
                ck_assert_ptr_nonnull(strstr(log_whole.text, " cut-off"));
                ck_assert_ptr_null(strstr(log_whole.text, "end@"));
        }
}
END_TEST

struct guess_row {
        enum http1_role role;
        const char *bytes;
        enum proto_guess expect;
};

static const struct guess_row guesses[] = {
        {HTTP1_REQUESTS, "GET / HTTP/1.1", PROTO_YES},
        {HTTP1_REQUESTS, "\r\nGET / HTTP/1.1", PROTO_YES},
        {HTTP1_REQUESTS, "POST /", PROTO_YES},
        {HTTP1_REQUESTS, "M-SEARCH * HTTP/1.1", PROTO_YES},
        {HTTP1_REQUESTS, "VERSION_CONTROL /", PROTO_YES},
        {HTTP1_REQUESTS, "OPTIONS *", PROTO_YES},
        {HTTP1_REQUESTS, "GET http://h/", PROTO_YES},
        {HTTP1_REQUESTS, "GET HTTPS://h/", PROTO_YES},
        {HTTP1_REQUESTS, "CONNECT h:443", PROTO_YES},
        {HTTP1_REQUESTS, "CONNECT [::1]:443", PROTO_YES},
        {HTTP1_REQUESTS, "", PROTO_MAYBE},
        {HTTP1_REQUESTS, "\r\n", PROTO_MAYBE},
        {HTTP1_REQUESTS, "GET", PROTO_MAYBE},
        {HTTP1_REQUESTS, "GET ", PROTO_MAYBE},
        {HTTP1_REQUESTS, "GET http", PROTO_MAYBE},
        {HTTP1_REQUESTS, "GET https:/", PROTO_MAYBE},
        {HTTP1_REQUESTS, "ABCDEFGHIJKLMNOPQRST", PROTO_MAYBE},
        {HTTP1_REQUESTS, "ABCDEFGHIJKLMNOPQRSTU", PROTO_NO},
        {HTTP1_REQUESTS, "GET key\r\n", PROTO_NO},
        {HTTP1_REQUESTS, "GET httpkey\r\n", PROTO_NO},
        {HTTP1_REQUESTS, "get key\r\n", PROTO_NO},
        {HTTP1_REQUESTS, "get /key", PROTO_NO},
        {HTTP1_REQUESTS, "AB /", PROTO_NO},
        {HTTP1_REQUESTS, "-GET /", PROTO_NO},
        {HTTP1_REQUESTS, "GET\r\n", PROTO_NO},
        {HTTP1_REQUESTS, "GET  /", PROTO_NO},
        {HTTP1_REQUESTS, "PRI * HTTP/2.0\r\n\r\nSM", PROTO_NO},
        {HTTP1_REQUESTS, "OPTIONS sip:x SIP/2.0", PROTO_NO},
        {HTTP1_REQUESTS, "DESCRIBE rtsp://h/ RTSP/1.0", PROTO_NO},
        {HTTP1_REQUESTS, "REQMOD icap://h/ ICAP/1.0", PROTO_NO},
        {HTTP1_REQUESTS, "EHLO x", PROTO_NO},
        {HTTP1_REQUESTS, "MAIL FROM:<a@b>", PROTO_NO},
        {HTTP1_REQUESTS, "USER anonymous", PROTO_NO},
        {HTTP1_REQUESTS, "SSH-2.0-OpenSSH_9.2", PROTO_NO},
        {HTTP1_REQUESTS, "CONNECT {\"verbose\":false}", PROTO_NO},
        {HTTP1_REQUESTS, "CONNECT\naccept-version:1.2", PROTO_NO},
        {HTTP1_REQUESTS, "CONNECT /", PROTO_NO},
        {HTTP1_REQUESTS, "*3\r\n$3\r\nSET", PROTO_NO},
        {HTTP1_REQUESTS, "\x16\x03\x01\x02", PROTO_NO},
        {HTTP1_REQUESTS, "\x80", PROTO_NO},
        {HTTP1_RESPONSES, "", PROTO_MAYBE},
        {HTTP1_RESPONSES, "HTTP/1.1", PROTO_MAYBE},
        {HTTP1_RESPONSES, "HTTP/1.1 2", PROTO_YES},
        {HTTP1_RESPONSES, "HTTP/1.0 ", PROTO_YES},
        {HTTP1_RESPONSES, "HTTP/2 2", PROTO_NO},
        {HTTP1_RESPONSES, "ICY 200 OK", PROTO_NO},
        {HTTP1_RESPONSES, "220 mail ESMTP", PROTO_NO},
};

START_TEST(test_guess)
{
        for (size_t i = 0; i < sizeof(guesses) / sizeof(*guesses); i++) {
                size_t len = strlen(guesses[i].bytes);
                enum proto_guess guess, last = PROTO_MAYBE;

                for (size_t n = 0; n <= len; n++, last = guess) {
                        guess = http1_guess(slice_make(unit_guarded(guesses[i].bytes, n), n),
                                            guesses[i].role);
                        if (last != PROTO_MAYBE) /* more bytes do not change a decided mind */
                                ck_assert_int_eq(guess, last);
                }
                ck_assert_msg(last == guesses[i].expect, "%s: %d", guesses[i].bytes, last);
        }
}
END_TEST

/* What is taken for a request but is none is lost before anything could be added to it. */
START_TEST(test_guess_yes_is_not_yet_proof)
{
        static const char *const strangers[] = {"GET /key\r\n", "RETR /path\r\n",
                                                "OPTIONS * RTSP/1.0\r\n\r\n", "CONNECT h\r\n",
                                                "OPTIONS http://x SIP/2.0\r\n\r\n"};

        for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++) {
                ck_assert_int_eq(http1_guess(slice_str(strangers[i]), HTTP1_REQUESTS), PROTO_YES);
                http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
                ck_assert(!http1_log_feed(&log_whole, slice_str(strangers[i])));
                ck_assert_ptr_null(strstr(log_whole.text, "blank"));
        }
}
END_TEST

UNIT_MAIN("http1-edges", test_feed_without_buffer, test_feed_offsets, test_feed_tells_blank_at_its_first_byte,
          test_feed_tells_where_a_context_stands, test_feed_pipeline, test_feed_big_heads,
          test_feed_endless_lines, test_skip, test_skip_in_chunks_and_beyond, test_eof_in_the_middle,
          test_guess, test_guess_yes_is_not_yet_proof)
