/* SPDX-License-Identifier: Apache-2.0 */
/* Where a stream is no plain exchange: other protocols, hang-ups, upgrades, interim responses. */
#include "tests/unit/wire.h"

/* No request was seen: what was told is the set-up of the connection, and that once. */
static void expect_setup_only(void)
{
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].shape, SHAPE_CONNECT);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
}

START_TEST(test_unknown_protocol_tells_setup)
{
        static const char *const first[] = {
                "\x16\x03\x01\x02\x00\x01", "SSH-2.0-x\r\n", "get key\r\n", "EHLO me\r\n",
                "*1\r\n$4\r\nPING\r\n",     "GET key\r\n"};

        for (unsigned i = 0; i < ARRAY_LEN(first); i++) {
                connect_now();
                ck_assert_int_eq(host_send(first[i], strlen(first[i]), take_all), (ssize_t)strlen(first[i]));
                ck_assert_uint_eq(wire_len, strlen(first[i]));
                expect_setup_only();
        }
}
END_TEST

START_TEST(test_server_first_is_opaque)
{
        connect_now();
        host_recv("220 mail ESMTP\r\n");
        host_send(get, strlen(get), take_all);
        ck_assert_uint_eq(wire_len, strlen(get));
        expect_setup_only();
}
END_TEST

START_TEST(test_hang_ups)
{
        static const struct {
                const char *answer; /* what came before the end */
                int status;
        } rows[] = {
                {"", 0},                                                   /* no response at all */
                {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 200}, /* in mid-body */
                {"HTTP/1.1 200 OK\r\nContent-Le", 0},                      /* in mid-head */
        };

        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                connect_now();
                host_send(get, strlen(get), take_all);
                if (rows[i].answer[0])
                        host_recv(rows[i].answer);
                host_eof();
                tap_net_close(FD);
                ck_assert_uint_eq(told_count, 1);
                ck_assert_int_eq(told[0].truncated, 1);
                ck_assert_int_eq(told[0].status, rows[i].status);
        }
        ck_assert_int_eq(open_now, 0);
}
END_TEST

/* A host that has shut its reading side sees an end, and then more. */
START_TEST(test_bytes_after_the_end)
{
        connect_now();
        host_send(get, strlen(get), take_all);
        host_recv("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        host_eof();
        ck_assert_uint_eq(told_count, 1);
        host_recv("cd");
        host_recv("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].truncated, 1);
}
END_TEST

START_TEST(test_close_delimited_is_complete_by_the_end)
{
        connect_now();
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

/* As long as a head may be: the span shows as much of it as it can, and all else is as it should be. */
static void long_target(size_t length, bool in_two)
{
        static char request[260000];
        size_t first = in_two ? length / 2 : 0, len;
        char *text = request + sprintf(request, "GET /");

        memset(text, 'a', length - 1);
        text += length - 1;
        text += sprintf(text, " HTTP/1.1\r\nHost: a.example\r\nUser-Agent: ");
        memset(text, 'u', 6000);
        text += 6000;
        text += sprintf(text, "\r\n\r\n");
        len = (size_t)(text - request);
        connect_now();
        if (first)
                ck_assert_int_eq(host_send(request, first, take_all), (ssize_t)first);
        ck_assert_int_eq(host_send(request + first, len - first, take_all), (ssize_t)(len - first));
        wire[wire_len] = '\0';
        ck_assert_mem_eq(wire, request, len - 2);
        ck_assert_ptr_nonnull(strstr(wire + len - 4, "\r\ntraceparent: 00-"));
        host_recv("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        ck_assert_uint_eq(told_count, 1);
        ck_assert_int_eq(told[0].status, 200);
        ck_assert_uint_eq(told[0].target_len, MIN(length, LIMIT_HTTP_TARGET));
        ck_assert_uint_eq(told[0].host_len, strlen("a.example"));
        ck_assert_uint_ge(told[0].agent_len, 5000);
        tap_net_close(FD);
        ck_assert_int_eq(open_now, 0);
}

START_TEST(test_long_targets)
{
        static const size_t lengths[] = {100, 8191, 8192, 8193, 14000, 65000, 250000};

        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
                long_target(lengths[i], false);
                long_target(lengths[i], true);
        }
}
END_TEST

/* Where its authority is cut, that may be part of a password. */
START_TEST(test_long_authority_is_not_shown)
{
        static char request[20000];
        char *text = request + sprintf(request, "GET http://me:");

        memset(text, 's', 9000);
        text += 9000;
        sprintf(text, "@a.example/path HTTP/1.1\r\nHost: a.example\r\n\r\n");
        connect_now();
        ck_assert_int_eq(host_send(request, strlen(request), take_all), (ssize_t)strlen(request));
        host_recv("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        ck_assert_uint_eq(told_count, 1);
        ck_assert_uint_eq(told[0].target_len, 0);
        tap_net_close(FD);
}
END_TEST

UNIT_MAIN_WITH("stream-edges", wire_setup, test_unknown_protocol_tells_setup, test_server_first_is_opaque,
               test_hang_ups, test_bytes_after_the_end, test_close_delimited_is_complete_by_the_end,
               test_broken_pipe, test_upgrade_is_opaque, test_interim_and_head, test_long_targets,
               test_long_authority_is_not_shown)
