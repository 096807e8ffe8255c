/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that begin as HTTP/1 and go on as HTTP/2: the request that asked for it is one span, with the
 * answer of its stream, and the streams after it are followed as any others are.
 */
#include "agent/trace/traceparent.h"
#include "tests/unit/http2-script.h"
#include "tests/unit/serving.h"

#define ASK(settings)                                                                     \
        "GET /up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " \
        "h2c\r\nHTTP2-Settings: " settings "\r\n\r\n"
#define SETTINGS  "AAMAAABkAAQAAP__" /* 3: 100, 4: 65535 */
#define TABLE_64K "AAEAAQAA"         /* 1: 65536 */
#define SWITCH    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
#define GET       ":method=GET;:scheme=http;:authority=h;:path=/"
#define MORE      "PRI|S|A|H3e " GET "three"
#define ANSWERS   "S|H1 :status=203|D1e 5|A|H3e :status=404"

struct stream {
        char bytes[1 << 16];
        size_t len;
};

static struct stream asked, answered;

static void add_text(struct stream *stream, const char *text)
{
        memcpy(stream->bytes + stream->len, text, strlen(text));
        stream->len += strlen(text);
}

static void make(struct stream *stream, const char *http1, const char *script)
{
        stream->len = 0;
        add_text(stream, http1);
        stream->len += http2_script(stream->bytes + stream->len, sizeof(stream->bytes) - stream->len, script);
}

static void recv_bytes(const char *bytes, size_t len)
{
        struct iovec iov = {(void *)(uintptr_t)bytes, len};
        struct tap_in in;

        tap_net_in_begin(&in, FD, 0);
        tap_net_in_end(&in, &iov, 1, (ssize_t)len, 0, 65536);
}

static void send_bytes(const char *bytes, size_t len)
{
        if (len)
                ck_assert_int_eq(host_send(bytes, len, take_all), (ssize_t)len);
}

static void answer_from(size_t from)
{
        recv_bytes(answered.bytes + from, answered.len - from);
}

static void ask_as_client(const char *request)
{
        connect_now();
        send_bytes(request, strlen(request));
}

static enum conn_phase phase_now(void)
{
        struct conn *conn = conn_table_get(FD);
        enum conn_phase phase = conn_phase(conn);

        conn_unref(conn);
        return phase;
}

static const struct told *told_of(const char *target)
{
        for (unsigned i = 0; i < told_count; i++)
                if (strcmp(told[i].target, target) == 0)
                        return &told[i];
        ck_abort_msg("no span of %s", target);
}

static void expect_both(int kind)
{
        const struct told *up, *three;

        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 2);
        ck_assert_int_eq(open_now, 0);
        up = told_of("/up");
        three = told_of("/three");
        ck_assert_int_eq(up->status, 203);
        ck_assert_int_eq(three->status, 404);
        for (unsigned i = 0; i < told_count; i++) {
                ck_assert_int_eq(told[i].kind, kind);
                ck_assert_int_eq(told[i].version, 20);
                ck_assert_str_eq(told[i].method, "GET");
                ck_assert_int_eq(told[i].truncated + told[i].incomplete + told[i].unanswered + told[i].error,
                                 0);
        }
}

static void expect_contexts(unsigned count)
{
        unsigned found = 0;

        for (const char *at = wire; (at = memmem(at, wire_len - (size_t)(at - wire), "traceparent", 11));
             at++)
                found++;
        ck_assert_uint_eq(found, count);
}

START_TEST(test_client)
{
        ask_as_client(ASK(SETTINGS));
        make(&answered, SWITCH, ANSWERS);
        make(&asked, "", MORE);
        recv_bytes(answered.bytes, strlen(SWITCH));
        ck_assert_int_eq(phase_now(), CONN_HTTP2);
        send_bytes(asked.bytes, asked.len);
        answer_from(strlen(SWITCH));
        expect_contexts(2);
        expect_both(SPAN_CLIENT);
}
END_TEST

START_TEST(test_client_split_everywhere)
{
        make(&answered, SWITCH, ANSWERS);
        make(&asked, "", MORE);
        for (size_t cut = 1; cut < answered.len; cut++) {
                ask_as_client(ASK(SETTINGS));
                recv_bytes(answered.bytes, cut);
                if (cut >= strlen(SWITCH))
                        send_bytes(asked.bytes, asked.len);
                answer_from(cut);
                if (cut >= strlen(SWITCH)) {
                        expect_both(SPAN_CLIENT);
                        continue;
                }
                tap_net_close(FD); /* an answer to what was not asked means nothing */
                ck_assert_uint_eq(told_count, 1);
        }
        for (size_t cut = 0; cut < asked.len; cut++) {
                ask_as_client(ASK(SETTINGS));
                recv_bytes(answered.bytes, strlen(SWITCH));
                send_bytes(asked.bytes, cut);
                send_bytes(asked.bytes + cut, asked.len - cut);
                answer_from(strlen(SWITCH));
                expect_both(SPAN_CLIENT);
        }
}
END_TEST

/* The table that the client has offered may be used before anything is acknowledged. */
START_TEST(test_a_large_table)
{
        ask_as_client(ASK(TABLE_64K));
        make(&answered, SWITCH,
             "S|T 65536|"
             "H1 :status=203|D1e 5|A|H3e :status=404");
        make(&asked, "", MORE);
        recv_bytes(answered.bytes, strlen(SWITCH));
        send_bytes(asked.bytes, asked.len);
        answer_from(strlen(SWITCH));
        expect_both(SPAN_CLIENT);
        /* Of what was not offered it is an error. */
        ask_as_client(ASK(SETTINGS));
        answer_from(0);
        ck_assert_int_eq(phase_now(), CONN_OPAQUE);
        tap_net_close(FD);
}
END_TEST

START_TEST(test_server)
{
        make(&asked, "", MORE);
        make(&answered, SWITCH, ANSWERS);
        for (size_t cut = 0; cut < asked.len; cut++) {
                accept_now();
                host_gets_text(ASK(SETTINGS));
                send_bytes(answered.bytes, strlen(SWITCH));
                if (cut)
                        host_gets(asked.bytes, cut);
                host_gets(asked.bytes + cut, asked.len - cut);
                send_bytes(answered.bytes + strlen(SWITCH), answered.len - strlen(SWITCH));
                ck_assert_uint_eq(wire_len, answered.len);
                expect_both(SPAN_SERVER);
        }
}
END_TEST

START_TEST(test_refused)
{
        for (unsigned server = 0; server < 2; server++) {
                server ? (void)accept_now() : connect_now();
                for (unsigned i = 0; i < 2; i++) {
                        server ? host_gets_text(ASK(SETTINGS))
                               : send_bytes(ASK(SETTINGS), strlen(ASK(SETTINGS)));
                        server ? host_puts(ok) : host_recv(ok);
                }
                ck_assert_int_eq(phase_now(), CONN_HTTP1);
                tap_net_close(FD);
                ck_assert_uint_eq(told_count, 2);
                ck_assert_int_eq(told[1].status, 200);
                ck_assert_int_eq(told[1].version, 11);
        }
}
END_TEST

/* Hands off, as of any other upgrade: the request was answered by it. */
START_TEST(test_what_cannot_be_followed)
{
        static const char *const rows[][2] = {
                {ASK(SETTINGS), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"},
                {ASK("AAMAAABkAAQAAP_"), SWITCH},
                {ASK("AAMAAABkAAQAAP+/"), SWITCH},
                {ASK("AAUAAAAB"), SWITCH},
                {"GET /up HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n", SWITCH},
                {"POST /up HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nHTTP2-Settings:\r\nContent-Length: "
                 "3\r\n\r\nab",
                 SWITCH},
                {ASK(SETTINGS) "GET /b HTTP/1.1\r\nHost: h\r\n\r\n", SWITCH},
        };

        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                ask_as_client(rows[i][0]);
                host_recv(rows[i][1]);
                ck_assert_int_eq(phase_now(), CONN_OPAQUE);
                tap_net_close(FD);
                ck_assert_int_eq(told_of("/up")->status, 101);
                ck_assert_int_eq(told_of("/up")->version, 11);
                ck_assert_int_eq(open_now, 0);
        }
}
END_TEST

START_TEST(test_settings_that_are_empty)
{
        ask_as_client("GET /up HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nHTTP2-Settings:\r\n\r\n");
        host_recv(SWITCH);
        ck_assert_int_eq(phase_now(), CONN_HTTP2);
        host_eof();
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].status, 0);
        ck_assert_int_eq(told[0].truncated, 1);
}
END_TEST

/* The client gives its first stream up, and may not use its number again. */
START_TEST(test_the_first_stream)
{
        ask_as_client(ASK(SETTINGS));
        host_recv(SWITCH);
        make(&asked, "", "PRI|S|R1 8");
        send_bytes(asked.bytes, asked.len);
        make(&answered, "", "S|A");
        answer_from(0);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].reset, 0);
        tap_net_close(FD);
        ask_as_client(ASK(SETTINGS));
        host_recv(SWITCH);
        make(&asked, "", "PRI|S|H1e " GET);
        send_bytes(asked.bytes, asked.len);
        ck_assert_int_eq(phase_now(), CONN_OPAQUE);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(open_now, 0);
}
END_TEST

/* So few first bytes that they may be a request of HTTP/1. */
START_TEST(test_first_bytes_one_by_one)
{
        make(&asked, "", "PRI|S|H1e " GET "up|H3e " GET "three");
        make(&answered, "", ANSWERS);
        for (unsigned step = 1; step < 5; step++) {
                accept_now();
                for (size_t at = 0; at < asked.len; at += step)
                        host_gets(asked.bytes + at, MIN(step, asked.len - at));
                send_bytes(answered.bytes, answered.len);
                expect_both(SPAN_SERVER);
                connect_now();
                for (size_t at = 0; at < HTTP2_PREFACE_LEN; at += step)
                        send_bytes(asked.bytes + at, MIN(step, HTTP2_PREFACE_LEN - at));
                send_bytes(asked.bytes + HTTP2_PREFACE_LEN, asked.len - HTTP2_PREFACE_LEN);
                expect_contexts(2);
                answer_from(0);
                expect_both(SPAN_CLIENT);
        }
        /* A server that was the first to speak. */
        connect_now();
        recv_bytes(answered.bytes, HTTP2_FRAME_HEADER_LEN);
        send_bytes(asked.bytes, 1);
        send_bytes(asked.bytes + 1, asked.len - 1);
        answer_from(HTTP2_FRAME_HEADER_LEN);
        expect_both(SPAN_CLIENT);
}
END_TEST

/* None of the first bytes has left when the host changes its mind. */
static long take_nothing(size_t offered)
{
        return -1;
}

START_TEST(test_first_bytes_of_something_else)
{
        static const char *const rows[] = {"P", "PR", "PRI", "\r\nPRI"};
        static const char *const rests[] = {"OST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
                                            "OPFIND / HTTP/1.1\r\n\r\n", " / HTTP/1.1\r\n\r\n",
                                            " / HTTP/1.1\r\n\r\n"};

        for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
                for (unsigned server = 0; server < 2; server++) {
                        server ? (void)accept_now() : connect_now();
                        server ? host_gets_text(rows[i]) : send_bytes(rows[i], strlen(rows[i]));
                        server ? host_gets_text(rests[i]) : send_bytes(rests[i], strlen(rests[i]));
                        server ? host_puts(ok) : host_recv(ok);
                        tap_net_close(FD);
                        ck_assert_uint_eq(told_count, 1);
                        ck_assert_int_eq(told[0].status, 200);
                        ck_assert_int_eq(told[0].version, 11);
                        ck_assert_int_eq(open_now, 0);
                }
        connect_now();
        ck_assert_int_eq(host_send("PR", 2, take_nothing), -1);
        send_bytes("POST /p HTTP/1.1\r\n\r\n", 20);
        host_recv(ok);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_str_eq(told[0].method, "POST");
        connect_now();
        send_bytes("\r\nPRI", 5);
        send_bytes(" * HTTP/2.0\r\n\r\nSM\r\n\r\n", 21);
        ck_assert_int_eq(phase_now(), CONN_OPAQUE);
        tap_net_close(FD);
}
END_TEST

START_TEST(test_hello)
{
        struct http2_hello hello;

        ck_assert(http2_hello_read(SLICE(""), &hello));
        ck_assert_uint_eq(hello.table, 4096);
        ck_assert_uint_eq(hello.frame_max, 16384);
        ck_assert(http2_hello_read(SLICE("AAUA____" TABLE_64K), &hello));
        ck_assert_uint_eq(hello.table, 65536);
        ck_assert_uint_eq(hello.frame_max, 16777215);
        ck_assert(!http2_hello_read(SLICE("AAUBAAAA"), &hello));
        ck_assert(!http2_hello_read(SLICE("AAUA//__"), &hello));
        ck_assert(!http2_hello_read(SLICE("AAUA___="), &hello));
        ck_assert(!http2_hello_read(SLICE("AAUA"), &hello));
}
END_TEST

UNIT_MAIN_WITH("http2-upgrade", serving_setup, test_client, test_client_split_everywhere, test_a_large_table,
               test_server, test_refused, test_what_cannot_be_followed, test_settings_that_are_empty,
               test_the_first_stream, test_first_bytes_one_by_one, test_first_bytes_of_something_else,
               test_hello)
