/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Injection and pairing under every kind of write: what arrives is the original with exactly one
 * context header per request, the host is told its own byte counts, one span per request.
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/flow/conn.h"
#include "agent/process.h"
#include "agent/ring/home.h"
#include "agent/tap/tap_net.h"
#include "agent/trace/scope.h"

#define FD 7

/* --- what would go to the ring --- */

struct told {
        uint8_t span_id[8];
        int status, error, truncated, incomplete, shape;
        char method[16], target[256];
};

static struct told told[512];
static unsigned told_count;
static int open_now;

void home_span(const struct span *span, uint64_t now_mono_ns)
{
        struct told *t = &told[told_count++];

        ck_assert_uint_lt(told_count, ARRAY_LEN(told));
        memset(t, 0, sizeof(*t));
        t->shape = span->shape;
        memcpy(t->span_id, span->context.span_id, 8);
        for (unsigned i = 0; i < span->attr_count; i++) {
                const struct attr *a = &span->attrs[i];

                if (a->key == SEMCONV_HTTP_RESPONSE_STATUS_CODE)
                        t->status = (int)a->num;
                if (a->key == SEMCONV_RAW_ERRNO)
                        t->error = (int)a->num;
                if (a->key == SEMCONV_RAW_TRUNCATED)
                        t->truncated = 1;
                if (a->key == SEMCONV_OTEL_INCOMPLETE)
                        t->incomplete = 1;
                if (a->key == SEMCONV_RAW_METHOD)
                        snprintf(t->method, sizeof(t->method), "%.*s", (int)a->str.len, a->str.p);
                if (a->key == SEMCONV_RAW_TARGET)
                        snprintf(t->target, sizeof(t->target), "%.*s", (int)a->str.len, a->str.p);
        }
}

void home_prepare(void)
{
}

int home_open(const struct span *span)
{
        return open_now++;
}

void home_open_clear(int slot)
{
        ck_assert_int_ge(slot, 0);
        open_now--;
}

/* --- the wire --- */

static char wire[1 << 20];
static size_t wire_len;

/* How the next real calls behave: bytes taken (-1: EAGAIN, -2: EPIPE, else at most so many). */
struct wire_call {
        long (*take)(size_t offered);
        const char *p; /* the host's own arguments */
        size_t len;
};

static long take_all(size_t offered)
{
        return (long)offered;
}

static unsigned long dice_state;

static unsigned dice(unsigned sides)
{
        dice_state = dice_state * 6364136223846793005ul + 1442695040888963407ul;
        return (unsigned)(dice_state >> 33) % sides;
}

static long take_some(size_t offered)
{
        unsigned kind = dice(10);

        if (kind == 0)
                return -1;
        if (kind < 6)
                return (long)(1 + dice(offered < 40 ? (unsigned)offered : 40));
        return (long)(1 + dice((unsigned)offered));
}

static ssize_t emit(void *ctx, const struct iovec *iov, int iovcnt)
{
        struct wire_call *call = ctx;
        struct iovec own = {(void *)(uintptr_t)call->p, call->len};
        size_t offered = 0, left;
        long n;

        if (!iov) {
                iov = &own;
                iovcnt = 1;
        }
        for (int i = 0; i < iovcnt; i++)
                offered += iov[i].iov_len;
        n = call->take(offered);
        if (n < 0) {
                errno = n == -1 ? EAGAIN : EPIPE;
                return -1;
        }
        left = (size_t)n < offered ? (size_t)n : offered;
        n = (long)left;
        for (int i = 0; i < iovcnt && left; i++) {
                size_t piece = MIN(iov[i].iov_len, left);

                memcpy(wire + wire_len, iov[i].iov_base, piece);
                wire_len += piece;
                left -= piece;
        }
        return n;
}

static ssize_t host_send(const char *p, size_t len, long (*take)(size_t))
{
        struct wire_call call = {take, p, len};
        struct iovec iov = {(void *)(uintptr_t)p, len};

        if (!tap_net_tracked(FD))
                return emit(&call, NULL, 0);
        return tap_net_out(FD, &iov, 1, emit, &call);
}

static void host_recv(const char *text)
{
        struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
        struct tap_in in;

        tap_net_in_begin(&in, FD);
        tap_net_in_end(&in, &iov, 1, (ssize_t)iov.iov_len, 0, 4096);
}

static void host_eof(void)
{
        struct tap_in in;
        char byte;
        struct iovec iov = {&byte, 1};

        tap_net_in_begin(&in, FD);
        tap_net_in_end(&in, &iov, 1, 0, 0, 1);
}

static void connect_now(void)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(80)};
        struct conn *conn;

        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        conn = conn_new((struct sockaddr *)&addr, sizeof(addr), 1);
        ck_assert_ptr_nonnull(conn);
        conn_established(conn, 2);
        ck_assert(conn_table_set(FD, conn));
        wire_len = 0;
        told_count = 0;
}

static void no_child(void)
{
        ck_abort_msg("a fork was noticed where there was none");
}

static void setup(void)
{
        process_after_fork = no_child;
        process_begin();
        agent_enabled = 1;
        scope_start(NULL, NULL);
        open_now = 0;
}

/* --- checks --- */

/* Cuts our header lines out of the wire; counts them. */
static unsigned strip(char *out, size_t *ret_len)
{
        static const char name[] = "traceparent: 00-";
        unsigned found = 0;
        size_t len = 0;

        for (size_t i = 0; i < wire_len;) {
                bool at_line = i == 0 || wire[i - 1] == '\n';

                if (at_line && wire_len - i >= 69 && memcmp(wire + i, name, sizeof(name) - 1) == 0) {
                        i += 13 + 55;
                        i += wire[i] == '\r' ? 2 : 1;
                        found++;
                        continue;
                }
                out[len++] = wire[i++];
        }
        *ret_len = len;
        return found;
}

static void expect_wire(const char *original, size_t len, unsigned headers)
{
        static char stripped[sizeof(wire)];
        size_t stripped_len;

        ck_assert_uint_eq(strip(stripped, &stripped_len), headers);
        ck_assert_uint_eq(stripped_len, len);
        ck_assert(memcmp(stripped, original, len) == 0);
}

static const char get[] = "GET /items?id=1 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: t\r\n\r\n";
static const char post[] = "POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello";
static const char chunked[] =
        "PUT /c HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n";
static const char lf_only[] = "GET /lf HTTP/1.0\nHost: d\n\n";

START_TEST(test_every_split)
{
        static const char *const requests[] = {get, post, chunked, lf_only};
        const char *request = requests[_i];
        size_t len = strlen(request);

        for (size_t split = 1; split < len; split++) {
                connect_now();
                ck_assert_int_eq(host_send(request, split, take_all), (ssize_t)split);
                ck_assert_int_eq(host_send(request + split, len - split, take_all), (ssize_t)(len - split));
                expect_wire(request, len, 1);
                host_recv("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                ck_assert_uint_eq(told_count, 1);
                ck_assert_int_eq(told[0].status, 200);
                tap_net_close(FD);
                ck_assert_uint_eq(told_count, 1);
                ck_assert_int_eq(open_now, 0);
        }
}
END_TEST

/* A host that retries what was not taken, over a wire that takes what it likes. */
START_TEST(test_random_short_writes)
{
        static const char *const requests[] = {get, post, chunked, lf_only, get, get};
        static char stream[65536];

        for (unsigned round = 0; round < 4000; round++) {
                unsigned count = 1 + (dice_state = round * 7919u + 1, dice(12));
                size_t len = 0, at = 0;

                connect_now();
                for (unsigned i = 0; i < count; i++) {
                        const char *request = requests[dice(ARRAY_LEN(requests))];

                        memcpy(stream + len, request, strlen(request));
                        len += strlen(request);
                }
                while (at < len) {
                        size_t offer = 1 + dice((unsigned)(len - at));
                        ssize_t n = host_send(stream + at, offer, take_some);

                        if (n < 0) {
                                ck_assert_int_eq(errno, EAGAIN);
                                continue;
                        }
                        ck_assert_int_gt(n, 0);
                        ck_assert_int_le(n, (ssize_t)offer);
                        at += (size_t)n;
                }
                expect_wire(stream, len, count);
                for (unsigned i = 0; i < count; i++)
                        host_recv("HTTP/1.1 204 No Content\r\n\r\n");
                ck_assert_uint_eq(told_count, count);
                tap_net_close(FD);
                ck_assert_uint_eq(told_count, count);
                ck_assert_int_eq(open_now, 0);
        }
}
END_TEST

START_TEST(test_header_carries_span_id)
{
        char hex[17];

        connect_now();
        host_send(get, strlen(get), take_all);
        host_recv("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        for (int i = 0; i < 8; i++)
                snprintf(hex + 2 * i, 3, "%02x", told[0].span_id[i]);
        wire[wire_len] = 0;
        ck_assert_ptr_nonnull(strstr(wire, hex));
        ck_assert_str_eq(told[0].method, "GET");
        ck_assert_str_eq(told[0].target, "/items?id=1");
        ck_assert_int_eq(told[0].status, 404);
}
END_TEST

START_TEST(test_own_context_is_respected)
{
        static const char own[] = "GET / HTTP/1.1\r\nHost: a\r\nTraceParent: "
                                  "00-12345678901234567890123456789012-1234567890123456-01\r\n\r\n";

        for (size_t split = 1; split < strlen(own); split++) {
                connect_now();
                host_send(own, split, take_all);
                host_send(own + split, strlen(own) - split, take_all);
                ck_assert_uint_eq(wire_len, strlen(own));
                ck_assert(memcmp(wire, own, wire_len) == 0);
                host_recv("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                tap_net_close(FD);
                ck_assert_uint_eq(told_count, 0);
        }
}
END_TEST

START_TEST(test_unknown_protocol_tells_setup)
{
        static const char *const first[] = {
                "\x16\x03\x01\x02\x00\x01", "SSH-2.0-x\r\n", "get key\r\n", "EHLO me\r\n",
                "*1\r\n$4\r\nPING\r\n",     "GET key\r\n"};

        connect_now();
        ck_assert_int_eq(host_send(first[_i], strlen(first[_i]), take_all), (ssize_t)strlen(first[_i]));
        ck_assert_uint_eq(wire_len, strlen(first[_i]));
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].shape, SHAPE_CONNECT);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
}
END_TEST

START_TEST(test_server_first_is_opaque)
{
        connect_now();
        host_recv("220 mail ESMTP\r\n");
        host_send(get, strlen(get), take_all);
        ck_assert_uint_eq(wire_len, strlen(get));
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].shape, SHAPE_CONNECT);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
}
END_TEST

START_TEST(test_hang_ups)
{
        connect_now(); /* no response at all */
        host_send(get, strlen(get), take_all);
        host_eof();
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].truncated, 1);
        ck_assert_int_eq(told[0].status, 0);

        connect_now(); /* in mid-body */
        host_send(get, strlen(get), take_all);
        host_recv("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        host_eof();
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].truncated, 1);
        ck_assert_int_eq(told[0].status, 200);

        connect_now(); /* in mid-head */
        host_send(get, strlen(get), take_all);
        host_recv("HTTP/1.1 200 OK\r\nContent-Le");
        host_eof();
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].truncated, 1);

        connect_now(); /* close-delimited is complete by the end */
        host_send(get, strlen(get), take_all);
        host_recv("HTTP/1.0 200 OK\r\n\r\nabc");
        ck_assert_uint_eq(told_count, 0);
        host_eof();
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].truncated, 0);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(open_now, 0);
}
END_TEST

static long take_pipe(size_t offered)
{
        return -2;
}

START_TEST(test_broken_pipe)
{
        connect_now();
        errno = 0;
        ck_assert_int_eq(host_send(get, strlen(get), take_pipe), -1);
        ck_assert_int_eq(errno, EPIPE);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].error, EPIPE);
        ck_assert_int_eq(open_now, 0);
}
END_TEST

START_TEST(test_upgrade_is_opaque)
{
        static const char ws[] =
                "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        static const char frame[] = "GET / HTTP/1.1\r\n\r\n"; /* looks like a request, is a frame */

        connect_now();
        host_send(ws, strlen(ws), take_all);
        host_recv("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                  "Upgrade\r\n\r\n\x81\x02hi");
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].status, 101);
        wire_len = 0;
        host_send(frame, strlen(frame), take_all);
        ck_assert_uint_eq(wire_len, strlen(frame));
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
}
END_TEST

START_TEST(test_interim_and_head)
{
        static const char head[] = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";

        connect_now();
        host_send(head, strlen(head), take_all);
        host_recv("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].status, 200);
        host_send(post, strlen(post), take_all);
        host_recv("HTTP/1.1 100 Continue\r\n\r\n");
        ck_assert_uint_eq(told_count, 1);
        host_recv("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
        ck_assert_uint_eq(told_count, 2);
        ck_assert_int_eq(told[1].status, 500);
        tap_net_close(FD);
}
END_TEST

START_TEST(test_pipeline_of_100)
{
        static char stream[100 * sizeof(get)];
        size_t len = 0;

        connect_now();
        for (int i = 0; i < 100; i++, len += strlen(get))
                memcpy(stream + len, get, strlen(get));
        ck_assert_int_eq(host_send(stream, len, take_all), (ssize_t)len);
        expect_wire(stream, len, 100);
        for (int i = 0; i < 100; i++)
                host_recv("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        ck_assert_uint_eq(told_count, 100);
        tap_net_close(FD);
        ck_assert_int_eq(open_now, 0);
}
END_TEST

START_TEST(test_big_head_and_body)
{
        size_t len = 64 * 1024, body = 300 * 1024, head;
        char *stream = malloc(len + body + 200);

        connect_now();
        head = (size_t)sprintf(stream, "POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\nX: ", body);
        memset(stream + head, 'y', len - head);
        memcpy(stream + len, "\r\n\r\n", 4);
        memset(stream + len + 4, 'G', body);
        len += 4 + body;
        dice_state = 99;
        for (size_t at = 0; at < len;) {
                ssize_t n = host_send(stream + at, len - at, take_some);

                if (n > 0)
                        at += (size_t)n;
        }
        expect_wire(stream, len, 1);
        host_recv("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        ck_assert_uint_eq(told_count, 1);
        tap_net_close(FD);
        free(stream);
}
END_TEST

/* Nothing that is reused may leak: many connections with requests in every state. */
START_TEST(test_no_leak_of_exchanges)
{
        for (int i = 0; i < 3 * LIMIT_EXCHANGES; i++) {
                connect_now();
                host_send(get, strlen(get) - (i % 3 == 0 ? 5 : 0), take_all);
                if (i % 3 == 1)
                        host_recv("garbage that is no response\r\n");
                tap_net_close(FD);
        }
        connect_now();
        host_send(get, strlen(get), take_all);
        host_recv("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        ck_assert_uint_eq(told_count, 1);
        tap_net_close(FD);
        ck_assert_int_eq(open_now, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("stream");
        TCase *tcase = tcase_create("core");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_checked_fixture(tcase, setup, NULL);
        tcase_set_timeout(tcase, 60);
        tcase_add_loop_test(tcase, test_every_split, 0, 4);
        tcase_add_test(tcase, test_random_short_writes);
        tcase_add_test(tcase, test_header_carries_span_id);
        tcase_add_test(tcase, test_own_context_is_respected);
        tcase_add_loop_test(tcase, test_unknown_protocol_tells_setup, 0, 6);
        tcase_add_test(tcase, test_server_first_is_opaque);
        tcase_add_test(tcase, test_hang_ups);
        tcase_add_test(tcase, test_broken_pipe);
        tcase_add_test(tcase, test_upgrade_is_opaque);
        tcase_add_test(tcase, test_interim_and_head);
        tcase_add_test(tcase, test_pipeline_of_100);
        tcase_add_test(tcase, test_big_head_and_body);
        tcase_add_test(tcase, test_no_leak_of_exchanges);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? 1 : 0;
}
