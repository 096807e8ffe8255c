/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#include "agent/base/guard.h"
#include "agent/flow/conn.h"
#include "agent/process.h"
#include "agent/ring/home.h"
#include "agent/tap/tap_net.h"
#include "tests/unit/unit.h"

static _Atomic unsigned spans;

void home_span(const struct span *span, uint64_t now_mono_ns)
{
        spans++;
}

void home_prepare(void)
{
}

int home_open(const struct span *span)
{
        return -1;
}

void home_open_clear(int slot)
{
}

void home_open_share(int slot)
{
}

static struct conn *conn_to(uint16_t port)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};

        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return conn_new((struct sockaddr *)&addr, sizeof(addr), 1);
}

static void drop(int fd)
{
        struct conn *conn = conn_table_clear(fd);

        if (conn)
                conn_unref(conn);
}

START_TEST(test_table_finds_what_was_set)
{
        static const int fds[] = {0, 1, 1023, 1024, 4095, 4096, 60000, 1048576, LIMIT_FD_MAX - 1};

        for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
                struct conn *conn = conn_to((uint16_t)(i + 1)), *found;

                ck_assert(!conn_table_has(fds[i]));
                ck_assert(conn_table_set(fds[i], conn));
                ck_assert(conn_table_has(fds[i]));
                found = conn_table_get(fds[i]);
                ck_assert_ptr_eq(found, conn);
                conn_unref(found);
                drop(fds[i]);
                ck_assert(!conn_table_has(fds[i]));
                ck_assert_ptr_null(conn_table_get(fds[i]));
        }
        ck_assert_uint_eq(conn_table_count(), 0);
}
END_TEST

START_TEST(test_table_refuses_numbers_out_of_range)
{
        struct conn *conn = conn_to(1);

        ck_assert(!conn_table_set(-1, conn));
        ck_assert(!conn_table_set(LIMIT_FD_MAX, conn));
        ck_assert(!conn_table_has(-1));
        ck_assert_ptr_null(conn_table_get(-1));
        ck_assert_ptr_null(conn_table_clear(LIMIT_FD_MAX));
        conn_unref(conn);
}
END_TEST

START_TEST(test_dup_keeps_the_connection_until_the_last_name)
{
        struct conn *conn = conn_to(80);

        agent_enabled = 1;
        process_begin();
        conn->generation = process_generation;
        spans = 0;
        conn_established(conn, 2);
        ck_assert(conn_table_set(5, conn));
        tap_net_dup(5, 6);
        ck_assert_uint_eq(conn_table_count(), 2);
        tap_net_close(5);
        ck_assert_uint_eq(spans, 0);
        ck_assert(tap_net_tracked(6));
        tap_net_close(6);
        ck_assert_uint_eq(spans, 1); /* its set-up */
        ck_assert_uint_eq(conn_table_count(), 0);
}
END_TEST

START_TEST(test_setup_is_told_once)
{
        struct conn *conn = conn_to(22);

        spans = 0;
        conn_established(conn, 2);
        conn_tell_setup(conn);
        conn_tell_setup(conn);
        conn_opaque(conn, STAT_OPAQUE_UNKNOWN);
        conn_unref(conn);
        ck_assert_uint_eq(spans, 1);
}
END_TEST

START_TEST(test_open_connections_are_told_at_the_end)
{
        struct conn *conn = conn_to(22);

        spans = 0;
        conn_established(conn, 2);
        ck_assert(conn_table_set(5, conn));
        ck_assert(conn_table_set(60000, conn_to(23))); /* never established */
        conn_table_each(conn_last_words);
        conn_table_each(conn_last_words);
        ck_assert_uint_eq(spans, 1);
        drop(5);
        drop(60000);
        ck_assert_uint_eq(spans, 1);
}
END_TEST

START_TEST(test_failed_setup_is_told_once)
{
        struct conn *conn = conn_to(9);

        spans = 0;
        conn_failed(conn, ECONNREFUSED, 2);
        conn_failed(conn, ECONNREFUSED, 3);
        conn_unref(conn);
        ck_assert_uint_eq(spans, 1);
}
END_TEST

START_TEST(test_abandoned_connect_is_silent)
{
        spans = 0;
        conn_unref(conn_to(9));
        ck_assert_uint_eq(spans, 0);
}
END_TEST

START_TEST(test_unix_peer_has_its_path_and_no_setup_span)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/run/x.sock"};
        struct conn *conn = conn_new((struct sockaddr *)&addr, sizeof(addr), 1);

        spans = 0;
        ck_assert(!conn->tcp);
        ck_assert_uint_eq(conn->peer.name_len, strlen("/run/x.sock"));
        conn_established(conn, 2);
        conn_unref(conn);
        ck_assert_uint_eq(spans, 0);
}
END_TEST

START_TEST(test_names_newest_wins_and_long_ones_are_left_out)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(80)};
        char long_name[LIMIT_HOST_NAME + 2];
        struct peer peer = {.len = 0};

        inet_pton(AF_INET, "192.0.2.1", &addr.sin_addr);
        memset(long_name, 'n', sizeof(long_name));
        names_remember((struct sockaddr *)&addr, slice_make(long_name, sizeof(long_name)), 1);
        ck_assert(peer_fill(&peer, (struct sockaddr *)&addr, sizeof(addr)));
        ck_assert_uint_eq(peer.name_len, 0);
        names_remember((struct sockaddr *)&addr, SLICE("old.example"), 2);
        names_remember((struct sockaddr *)&addr, SLICE("new.example"), 3);
        ck_assert(peer_fill(&peer, (struct sockaddr *)&addr, sizeof(addr)));
        ck_assert(slice_eq(slice_make(peer.name.p, peer.name_len), SLICE("new.example")));
        ck_assert_uint_eq(peer.lookup, 3);
        ck_assert_int_eq(peer_port(&peer), 80);
}
END_TEST

/* --- one thread opens and closes the number, the other uses it --- */

#define STORM 200000

static _Atomic bool storm_over;

static void *storm_user(void *arg)
{
        unsigned wrong = 0;

        while (!storm_over) {
                struct conn *conn = conn_table_get(9);

                if (!conn)
                        continue;
                /* While the reference is held, the memory stays this connection. */
                uint32_t serial = conn->serial;

                for (int i = 0; i < 10; i++)
                        wrong += conn->serial != serial || atomic_load(&conn->refs) == 0;
                conn_unref(conn);
        }
        return (void *)(uintptr_t)wrong;
}

START_TEST(test_close_storm)
{
        pthread_t user;
        void *wrong;

        storm_over = false;
        ck_assert_int_eq(pthread_create(&user, NULL, storm_user, NULL), 0);
        for (int i = 0; i < STORM; i++) {
                ck_assert(conn_table_set(9, conn_to((uint16_t)i)));
                drop(9);
        }
        storm_over = true;
        ck_assert_int_eq(pthread_join(user, &wrong), 0);
        ck_assert_ptr_null(wrong);
        ck_assert_uint_eq(conn_table_count(), 0);
}
END_TEST

UNIT_MAIN("conn", test_table_finds_what_was_set, test_table_refuses_numbers_out_of_range,
          test_dup_keeps_the_connection_until_the_last_name, test_setup_is_told_once,
          test_open_connections_are_told_at_the_end, test_failed_setup_is_told_once,
          test_abandoned_connect_is_silent, test_unix_peer_has_its_path_and_no_setup_span,
          test_names_newest_wins_and_long_ones_are_left_out, test_close_storm)
