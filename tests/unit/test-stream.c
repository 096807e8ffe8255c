/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Injection and pairing under every kind of write: what arrives is the original with exactly one
 * context header per request, the host is told its own byte counts, one span per request.
 */
#include "tests/unit/wire.h"

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

static const char chunked[] =
        "PUT /c HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n";
static const char lf_only[] = "GET /lf HTTP/1.0\nHost: d\n\n";

/* One exchange whose request is written in two pieces. */
static void exchange_split(const char *request, size_t split)
{
        size_t len = strlen(request);

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

START_TEST(test_every_split)
{
        static const char *const requests[] = {get, post, chunked, lf_only};

        for (unsigned i = 0; i < ARRAY_LEN(requests); i++)
                for (size_t split = 1; split < strlen(requests[i]); split++)
                        exchange_split(requests[i], split);
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

UNIT_MAIN_WITH("stream", wire_setup, test_every_split, test_random_short_writes, test_header_carries_span_id,
               test_own_context_is_respected, test_pipeline_of_100, test_big_head_and_body,
               test_no_leak_of_exchanges)
