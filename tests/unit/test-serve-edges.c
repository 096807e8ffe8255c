/* SPDX-License-Identifier: Apache-2.0 */
/* Where serving is no plain exchange: other protocols, hang-ups, upgrades, odd orders, contexts, no room. */
#include "tests/unit/serving.h"

#define TRACE    "0af7651916cd43dd8448eb211c80319c"
#define INCOMING "00-" TRACE "-b7ad6b7169203331-01"

static const uint8_t incoming_trace[16] = {0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd,
                                           0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c};
static const uint8_t incoming_parent[8] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};

/* --- other protocols --- */

START_TEST(test_other_protocols_are_left_alone)
{
        static const char *const first[] = {"\x16\x03\x01\x02\x00\x01",
                                            "SSH-2.0-x\r\n",
                                            "EHLO me\r\n",
                                            "*1\r\n$4\r\nPING\r\n",
                                            "GET key\r\n",
                                            "\x80\x2e\x01\x03\x01",
                                            "PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n",
                                            "get k\r\n",
                                            "HTTP/1.1 200 OK\r\n\r\n",
                                            "{\"a\": 1}",
                                            "G\xff /"};

        for (unsigned i = 0; i < ARRAY_LEN(first); i++)
                for (size_t split = 1; split <= strlen(first[i]); split++) {
                        struct conn *conn = accept_now();

                        host_gets(first[i], split);
                        host_gets(first[i] + split, strlen(first[i]) - split);
                        host_gets_text("\r\n\r\n");
                        ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
                        host_gets_text(get);
                        host_puts(ok);
                        close_expecting(0);
                }
}
END_TEST

START_TEST(test_server_speaks_first)
{
        struct conn *conn = accept_now();

        host_puts("220 mail ESMTP\r\n");
        ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
        host_gets_text(get);
        host_puts(ok);
        close_expecting(0);
        accept_now();
        tap_net_out_unseen(FD, 10);
        host_gets_text(get);
        close_expecting(0);
}
END_TEST

START_TEST(test_tunnels)
{
        static const struct {
                const char *request, *response;
                int status;
        } rows[] = {
                {"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                 "Upgrade\r\n\r\n\x81\x02hi",
                 101},
                {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", 200},
        };

        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                struct conn *conn = accept_now();

                host_gets_text(rows[i].request);
                host_puts(rows[i].response);
                ck_assert_uint_eq(told_count, 1);
                expect_answered(&told[0], rows[i].status);
                ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
                host_gets_text(get); /* looks like a request, is none */
                host_puts(ok);
                close_expecting(1);
        }
}
END_TEST

START_TEST(test_refused_tunnel_goes_on)
{
        accept_now();
        host_gets_text("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
        host_puts("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n");
        expect_answered(&told[0], 407);
        host_gets_text(get);
        host_puts(ok);
        expect_answered(&told[1], 200);
        close_expecting(2);
}
END_TEST

/* --- odd orders --- */

START_TEST(test_early_response)
{
        accept_now();
        host_gets_text("POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhe");
        host_puts("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
        ck_assert_uint_eq(told_count, 1);
        expect_answered(&told[0], 413);
        host_gets_text("llo");
        host_gets_text(get);
        host_puts(ok);
        expect_answered(&told[1], 200);
        close_expecting(2);
}
END_TEST

START_TEST(test_answered_before_the_head_is_complete)
{
        for (size_t split = 1; split < strlen(get); split++) {
                accept_now();
                host_gets(get, split);
                host_puts("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
                ck_assert_uint_eq(told_count, 0);
                host_gets(get + split, strlen(get) - split);
                ck_assert_int_eq(open_now, 0);
                ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_NONE);
                close_expecting(0);
        }
}
END_TEST

START_TEST(test_next_request_before_the_response_ended)
{
        accept_now();
        host_gets_text(get);
        host_puts("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        host_gets_text("HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n");
        ck_assert_int_eq(open_now, 2);
        host_puts("cdHTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\n");
        expect_answered(&told[0], 200);
        expect_answered(&told[1], 404);
        ck_assert_str_eq(told[1].target, "/2");
        close_expecting(2);
}
END_TEST

START_TEST(test_response_nobody_asked_for)
{
        struct conn *conn = accept_now();

        host_gets_text(get);
        host_puts(ok);
        host_puts(ok);
        ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
        close_expecting(1);
        expect_answered(&told[0], 200);
}
END_TEST

START_TEST(test_response_that_is_none)
{
        accept_now();
        host_gets_text(get);
        host_puts("hello\r\n");
        close_expecting(1);
        ck_assert_int_eq(told[0].incomplete, 1);
        ck_assert_int_eq(told[0].status, 0);
}
END_TEST

START_TEST(test_garbage_after_a_request)
{
        accept_now();
        host_gets_text(get);
        host_gets_text("\x01\x02");
        host_puts(ok);
        close_expecting(1);
        ck_assert_int_eq(told[0].incomplete, 1);
}
END_TEST

/* --- ends --- */

START_TEST(test_close_delimited)
{
        enum { BY_CLOSE, BY_SHUTDOWN, BY_EXIT };

        for (int how = BY_CLOSE; how <= BY_EXIT; how++) {
                accept_now();
                host_gets_text("GET / HTTP/1.0\r\n\r\n");
                host_puts("HTTP/1.0 200 OK\r\n\r\nabc");
                tap_net_out_unseen(FD, 10);
                tap_net_shutdown(FD, SHUT_RD);
                ck_assert_uint_eq(told_count, 0);
                if (how == BY_SHUTDOWN)
                        tap_net_shutdown(FD, SHUT_WR);
                if (how == BY_EXIT)
                        conn_table_each(conn_last_words);
                ck_assert_uint_eq(told_count, how != BY_CLOSE);
                close_expecting(1);
                expect_answered(&told[0], 200);
        }
}
END_TEST

START_TEST(test_ends_without_a_whole_response)
{
        static const struct {
                const char *request, *answer;
                int told, status, truncated, unanswered;
        } rows[] = {
                {"", "", 0, 0, 0, 0},
                {"GET / HTTP/1.1\r\nHo", "", 0, 0, 0, 0}, /* the request never came */
                {get, "", 1, 0, 0, 1},
                {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", "", 1, 0, 0, 1},
                {get, "HTTP/1.1 100 Continue\r\n\r\n", 1, 0, 0, 1},
                {get, "HTTP/1.1 20", 1, 0, 0, 1},
                {get, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 1, 200, 1, 0},
                {get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 1, 200, 1, 0},
        };
        enum { CLOSE, HANG_UP, SHUTDOWN, EXIT, WAYS };

        for (unsigned i = 0; i < ARRAY_LEN(rows) * WAYS; i++) {
                unsigned row = i / WAYS, way = i % WAYS;

                accept_now();
                if (*rows[row].request)
                        host_gets_text(rows[row].request);
                if (*rows[row].answer)
                        host_puts(rows[row].answer);
                if (way == HANG_UP)
                        host_eof();
                if (way == SHUTDOWN)
                        tap_net_shutdown(FD, SHUT_RDWR);
                ck_assert_uint_eq(told_count, 0);
                if (way == EXIT)
                        conn_table_each(conn_last_words);
                close_expecting((unsigned)rows[row].told);
                if (!rows[row].told)
                        continue;
                ck_assert_int_eq(told[0].status, rows[row].status);
                ck_assert_int_eq(told[0].truncated, rows[row].truncated);
                ck_assert_int_eq(told[0].unanswered, rows[row].unanswered);
                ck_assert_int_eq(told[0].error, 0);
        }
}
END_TEST

START_TEST(test_answered_after_the_client_ended_its_side)
{
        accept_now();
        host_gets_text(get);
        host_eof();
        host_puts(ok);
        expect_answered(&told[0], 200);
        close_expecting(1);
}
END_TEST

static long take_pipe(size_t offered)
{
        return -2;
}

START_TEST(test_broken_connections)
{
        accept_now();
        host_gets_text(get);
        errno = 0;
        ck_assert_int_eq(host_send(ok, strlen(ok), take_pipe), -1);
        ck_assert_int_eq(errno, EPIPE);
        close_expecting(1);
        ck_assert_int_eq(told[0].error, EPIPE);

        accept_now();
        host_gets_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
        host_read_fails(EAGAIN);
        host_read_fails(ECONNRESET);
        close_expecting(1);
        ck_assert_int_eq(told[0].error, ECONNRESET);

        accept_now(); /* idle, after all was said */
        host_gets_text(get);
        host_puts(ok);
        host_read_fails(ECONNRESET);
        close_expecting(1);
        expect_answered(&told[0], 200);
}
END_TEST

/* --- contexts --- */

static void serve_with(const char *fields)
{
        static char request[65536];

        snprintf(request, sizeof(request), "GET /ctx HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
        accept_now();
        host_gets_text(request);
        host_puts(ok);
        tap_net_close(FD);
}

static void expect_root(void)
{
        static const uint8_t none[8];

        ck_assert_uint_eq(told_count, 1);
        ck_assert_mem_eq(told[0].parent_id, none, 8);
        ck_assert_mem_ne(told[0].trace_id, incoming_trace, 16);
        ck_assert_int_eq(told[0].flags, TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);
}

static void expect_continued(const char *tracestate)
{
        ck_assert_uint_eq(told_count, 1);
        ck_assert_mem_eq(told[0].parent_id, incoming_parent, 8);
        ck_assert_mem_eq(told[0].trace_id, incoming_trace, 16);
        ck_assert_mem_ne(told[0].span_id, incoming_parent, 8);
        ck_assert_str_eq(told[0].tracestate, tracestate);
}

START_TEST(test_context_is_continued)
{
        serve_with("traceparent: " INCOMING "\r\n");
        expect_continued("");
        serve_with("TraceParent:\t" INCOMING
                   " \r\nTRACESTATE: a=1\r\nX: y\r\ntracestate:\r\ntracestate: b=2\r\n");
        expect_continued("a=1,b=2");
        serve_with("tracestate: a=1\r\ntraceparent: cc-" TRACE "-b7ad6b7169203331-01-what.comes\r\n");
        expect_continued("a=1");
        serve_with("traceparent: " INCOMING "\r\ntracestate: a=1,A=2\r\n"); /* not valid */
        expect_continued("");
}
END_TEST

START_TEST(test_context_that_is_none)
{
        static const char *const bad[] = {
                "",
                "tracestate: a=1\r\n",
                "traceparent:\r\n",
                "traceparent: " INCOMING "\r\ntraceparent: " INCOMING "\r\n",
                "traceparent: " INCOMING ", " INCOMING "\r\n",
                "traceparent: 00-" TRACE "-b7ad6b7169203331\r\n",
                "traceparent: ff-" TRACE "-b7ad6b7169203331-01\r\n",
                "traceparent: 00-" TRACE "-0000000000000000-01\r\n",
                "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n",
                "traceparent: 00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01\r\n",
                "traceparent: " INCOMING "-more\r\n",
                "traceparent: \"" INCOMING "\"\r\n",
        };
        static char big[40000];

        for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
                serve_with(bad[i]);
                expect_root();
        }
        snprintf(big, sizeof(big), "traceparent: %030000d\r\n", 0);
        serve_with(big);
        expect_root();
        /* What does not fit leaves what does. */
        snprintf(big, sizeof(big), "baggage: %030000d\r\ntraceparent: " INCOMING "\r\ntracestate: a=1\r\n",
                 0);
        serve_with(big);
        expect_continued("a=1");
}
END_TEST

START_TEST(test_untrusted_context)
{
        struct trace_context header;

        config_now.trust_inbound = false;
        serve_with("traceparent: " INCOMING "\r\ntracestate: a=1\r\n");
        expect_root();
        ck_assert_str_eq(told[0].tracestate, "");
        /* A proxy that passes it on is found by it all the same. */
        accept_now();
        host_gets_text("GET / HTTP/1.1\r\ntraceparent: " INCOMING "\r\n\r\n");
        memcpy(header.trace_id, incoming_trace, 16);
        memcpy(header.span_id, incoming_parent, 8);
        ck_assert_uint_ne(cause_by_header(&header), CAUSE_NONE);
        host_puts(ok);
        ck_assert_uint_eq(cause_by_header(&header), CAUSE_NONE);
        close_expecting(1);
}
END_TEST

START_TEST(test_unsampled)
{
        uint64_t before = stat_get(STAT_SPANS_UNSAMPLED), request;
        struct cause_arrival arrival;

        accept_now();
        host_gets_text("GET / HTTP/1.1\r\ntraceparent: 00-" TRACE "-b7ad6b7169203331-00\r\n\r\n");
        ck_assert_int_eq(open_now, 0);
        request = cause_current(&thread_state.cause);
        ck_assert(cause_context(request, NULL, NULL, &arrival));
        ck_assert(!arrival.sampled);
        ck_assert_int_eq(arrival.context.flags, 0);
        ck_assert_mem_eq(arrival.context.trace_id, incoming_trace, 16);
        host_puts(ok);
        ck_assert(!cause_is_open(request));
        close_expecting(0);
        ck_assert_uint_eq(stat_get(STAT_SPANS_UNSAMPLED), before + 1);
}
END_TEST

START_TEST(test_ignored_paths)
{
        static const struct {
                const char *patterns, *target;
                bool ignored;
        } rows[] = {
                {"/health", "/health", true},
                {"/health", "/health?full=1", true},
                {"/health", "/healthy", false},
                {"/health", "/a/health", false},
                {"/health", "http://h:80/health?x", true},
                {"/health", "http://h", false},
                {" /a , /b* ,, ", "/bee/c", true},
                {" /a , /b* ,, ", "/a", true},
                {" /a , /b* ,, ", "/", false},
                {"*/ping", "/x/y/ping", true},
                {"*/ping", "/x/y/ping/z", false},
                {"/a*b*c", "/a--b-b--c", true},
                {"/a*b*c", "/a--c-b", false},
                {"/**", "/", true},
                {"*", "*", true},
                {",", "/", false},
                {"/?", "/?", false},
        };

        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                char request[128];

                config_now.http_ignored_paths = rows[i].patterns;
                snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].target);
                accept_now();
                host_gets_text(request);
                ck_assert_msg(open_now == !rows[i].ignored, "%s %s", rows[i].patterns, rows[i].target);
                host_puts(ok);
                close_expecting(!rows[i].ignored);
        }
}
END_TEST

/* --- no room --- */

START_TEST(test_out_of_exchanges)
{
        static struct exchange *taken[LIMIT_EXCHANGES];
        struct conn *conn;
        unsigned count = 0;

        while (count < LIMIT_EXCHANGES && (taken[count] = exchange_new(1)))
                count++;
        ck_assert_uint_eq(count, LIMIT_EXCHANGES);
        conn = accept_now();
        host_gets_text(get);
        ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
        host_puts(ok);
        close_expecting(0);
        exchange_drop(taken[0]);
        exchange_drop(taken[0]);
        accept_now();
        host_gets_text(get);
        host_gets_text(get); /* one too many */
        host_puts(ok);
        close_expecting(1);
        ck_assert_int_eq(told[0].incomplete, 1);
}
END_TEST

START_TEST(test_out_of_connections)
{
        unsigned count = 0;

        while (count < LIMIT_CONNECTIONS && serve_new(NULL, 0))
                count++;
        ck_assert_uint_eq(count, LIMIT_CONNECTIONS);
        ck_assert_ptr_null(serve_new(NULL, 0));
        host_gets_text(get);
        host_puts(ok);
        ck_assert_uint_eq(told_count, 0);
}
END_TEST

/* As long as a head may be: the span shows as much as its record can hold. */
START_TEST(test_long_texts)
{
        static const struct {
                size_t target, forwarded, agent;
        } rows[] = {{8192, 10, 6000}, {8193, 10, 100}, {20481, 2000, 9000}, {65000, 3000, 10},
                    {10, 19000, 10},  {10, 10, 19000}, {5000, 5000, 5000}};
        static char request[100000], filler[65536];

        memset(filler, 'f', sizeof(filler) - 1);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                accept_now();
                sprintf(request,
                        "GET /%.*s HTTP/1.1\r\nHost: a\r\ntraceparent: " INCOMING
                        "\r\nX-Forwarded-For: %.*s\r\nUser-Agent: %.*s\r\n\r\n",
                        (int)rows[i].target - 1, filler, (int)rows[i].forwarded, filler, (int)rows[i].agent,
                        filler);
                host_gets_text(request);
                host_puts(ok);
                ck_assert_uint_eq(told[0].target_len, MIN(rows[i].target, LIMIT_HTTP_TARGET));
                ck_assert_uint_eq(told[0].host_len, 1);
                ck_assert_mem_eq(told[0].trace_id, incoming_trace, sizeof(incoming_trace));
                ck_assert_mem_eq(told[0].parent_id, incoming_parent, sizeof(incoming_parent));
                expect_answered(&told[0], 200);
                close_expecting(1);
        }
}
END_TEST

UNIT_MAIN_WITH("serve-edges", serving_setup, test_other_protocols_are_left_alone, test_server_speaks_first,
               test_tunnels, test_refused_tunnel_goes_on, test_early_response,
               test_answered_before_the_head_is_complete, test_next_request_before_the_response_ended,
               test_response_nobody_asked_for, test_response_that_is_none, test_garbage_after_a_request,
               test_close_delimited, test_ends_without_a_whole_response,
               test_answered_after_the_client_ended_its_side, test_broken_connections,
               test_context_is_continued, test_context_that_is_none, test_untrusted_context, test_unsampled,
               test_ignored_paths, test_out_of_exchanges, test_out_of_connections, test_long_texts)
