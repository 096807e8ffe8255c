/* SPDX-License-Identifier: Apache-2.0 */
/* Ring and relay of a process: what is handed over to whom, waking, flushing. */
#include <sys/stat.h>

#include "tests/unit/home_relay.h"

START_TEST(test_home_span_hands_over)
{
        struct client client;
        int listener;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        errno = 77;
        host_write(3);
        ck_assert_int_eq(errno, 77);
        client = accept_client(listener);
        ck_assert_uint_eq(client.text.pid, (uint32_t)getpid());
        ck_assert_uint_eq(client.fd_count, 1);
        ck_assert_int_eq(next_byte(&client), 0);
        ck_assert_uint_eq(drain(&client), 3);
        ck_assert_uint_eq(stat_get(STAT_SPANS_WRITTEN), 3);
        ck_assert_uint_eq(stat_get(STAT_RELAY_CONNECTED), 1);
        ck_assert(!home_must_flush());
}
END_TEST

START_TEST(test_home_span_meta)
{
        struct client client;
        char expected[64];
        struct slice meta;
        int listener;

        host_start("otlp", "auto", "some service", "/");
        listener = listen_as_relay(0);
        host_write(1);
        client = accept_client(listener);
        meta = slice_make(client.ring.meta, atomic_load(&client.ring.header->meta_len));
        ck_assert_int_eq(meta.p[meta.len - 1], '\0');
        snprintf(expected, sizeof(expected), "@pid=%d", getpid());
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, expected, strlen(expected) + 1));
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, "OTEL_SERVICE_NAME=some service", 31));
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, "@version=" OTEL_INSTRUMENT_VERSION, 10));
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, "@start_ns=1", 11));
        ck_assert_ptr_nonnull(memmem(meta.p, meta.len, "/test-home", 11)); /* of @exe, to its end */
}
END_TEST

START_TEST(test_home_span_stderr_for_console)
{
        struct client client = client_begin("console", 1);
        struct stat ours, theirs;

        ck_assert_uint_eq(client.text.flags, HANDOVER_STDERR);
        ck_assert_uint_eq(client.fd_count, 2);
        ck_assert_int_eq(fstat(2, &ours) | fstat(client.fds[1], &theirs), 0);
        ck_assert(ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev);
        ck_assert(home_must_flush());
}
END_TEST

START_TEST(test_home_span_no_stderr_when_closed)
{
        struct client client;
        int listener;

        host_start("console", "auto", "name", "/");
        listener = listen_as_relay(0);
        close(2);
        host_write(1);
        client = accept_client(listener);
        ck_assert_uint_eq(client.text.flags, 0);
        ck_assert_uint_eq(client.fd_count, 1);
}
END_TEST

START_TEST(test_home_span_exporter_none)
{
        unsigned before;
        int listener;

        host_start("none", "auto", "name", "/");
        listener = listen_as_relay(0);
        before = host_descriptors();
        host_write(3);
        ck_assert_int_eq(home_open(&(struct span){0}), -1);
        ck_assert_uint_eq(host_descriptors(), before);
        ck_assert(nobody_connects(listener));
        ck_assert(!home_must_flush());
}
END_TEST

START_TEST(test_home_span_wakes_a_sleeper_once)
{
        struct client client = client_begin("otlp", 1);

        ck_assert_uint_eq(drain(&client), 1);
        ck_assert(ring_sleep(&client.ring, clock_mono_ns() + 10000000000));
        host_write(5);
        ck_assert_int_eq(next_byte(&client), 0);
        ck_assert_uint_eq(drain(&client), 5);
        ck_assert(ring_sleep(&client.ring, 0));
        host_write(5);
        ck_assert_int_eq(next_byte(&client), HANDOVER_WAKE);
        ck_assert_int_eq(next_byte(&client), 0);
}
END_TEST

START_TEST(test_home_span_names_of_strangers)
{
        struct client client;
        int listeners[2];

        host_start("otlp", "auto", "name", "/");
        listeners[0] = listen_as_relay(0);
        listeners[1] = listen_as_relay(1);
        strangers = 1;
        host_write(1);
        client = accept_client(listeners[1]);
        ck_assert_uint_eq(drain(&client), 1);
        /* The stranger got a connection, and nothing over it. */
        client.fd = accept(listeners[0], NULL, NULL);
        ck_assert_int_eq(next_byte(&client), -1);
}
END_TEST

START_TEST(test_home_span_all_names_of_strangers)
{
        unsigned before = host_descriptors();

        host_start("otlp", "auto", "name", "/nowhere");
        for (unsigned i = 0; i < LIMIT_RELAY_NAMES; i++)
                listen_as_relay(i);
        strangers = LIMIT_RELAY_NAMES;
        host_write(1);
        ck_assert_uint_eq(strangers, 0);
        ck_assert_uint_eq(stat_get(STAT_RELAY_CONNECTED), 0);
        ck_assert_uint_eq(stat_get(STAT_RELAY_STARTED), 0);
        ck_assert_uint_ge(stat_get(STAT_RELAY_FAILED), 1);
        ck_assert_uint_le(host_descriptors(),
                          before + LIMIT_RELAY_NAMES + 2); /* the ring; the thread's bell */
}
END_TEST

/* A name that is taken by a socket that nobody can connect to. */
START_TEST(test_home_span_name_held_silently)
{
        struct sockaddr_un name;
        struct client client;
        int holder, listener;

        host_start("otlp", "auto", "name", "/");
        holder = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        ck_assert_int_eq(bind(holder, (struct sockaddr *)&name, relay_name(0, &name)), 0);
        listener = listen_as_relay(1);
        host_write(1);
        client = accept_client(listener);
        ck_assert_uint_eq(drain(&client), 1);
        ck_assert_uint_eq(stat_get(STAT_RELAY_STARTED), 0);
}
END_TEST

START_TEST(test_home_span_relay_died)
{
        struct client client = client_begin("otlp", 5);

        ck_assert(ring_sleep(&client.ring, 1)); /* long ago: the next record asks who lives */
        client_end(&client);
        host_write(1);
        client = accept_client(client.listener); /* same ring: with what the first one left in it */
        ck_assert_uint_eq(drain(&client), 6);
        ck_assert_uint_eq(stat_get(STAT_RELAY_CONNECTED), 2);
}
END_TEST

START_TEST(test_home_at_exit_relay_died)
{
        struct client client = client_begin("otlp", 2);

        home_at_exit();
        ck_assert(nobody_connects(client.listener)); /* it lives: nothing to be done */
        ck_assert_int_eq(next_byte(&client), 0);
        client_end(&client);
        home_at_exit();
        client = accept_client(client.listener);
        ck_assert_uint_eq(drain(&client), 2);
        client_end(&client);
        home_at_exit();
        ck_assert(nobody_connects(client.listener)); /* nothing is left */
}
END_TEST

START_TEST(test_home_flush_without_answer)
{
        struct client client;
        uint64_t begin;
        int listener;

        host_start("console", "auto", "name", "/");
        listener = listen_as_relay(0);
        home_flush(100); /* nothing written yet: returns at once */
        host_write(1);
        client = accept_client(listener);
        begin = clock_mono_ns();
        home_flush(100);
        ck_assert_uint_ge(clock_mono_ns() - begin, 100000000);
        ck_assert_uint_lt(clock_mono_ns() - begin, 5000000000);
        ck_assert_int_eq(next_byte(&client), HANDOVER_FLUSH);
        ck_assert_uint_eq(atomic_load(&client.ring.header->flush_wanted), 1);
        ck_assert(home_must_flush());
}
END_TEST

START_TEST(test_home_flush_not_wanted)
{
        int listener;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        host_write(1);
        accept_client(listener);
        home_flush(1000000000); /* would never end */
}
END_TEST

UNIT_MAIN("home", test_home_span_hands_over, test_home_span_meta, test_home_span_stderr_for_console,
          test_home_span_no_stderr_when_closed, test_home_span_exporter_none,
          test_home_span_wakes_a_sleeper_once, test_home_span_names_of_strangers,
          test_home_span_all_names_of_strangers, test_home_span_name_held_silently, test_home_span_relay_died,
          test_home_at_exit_relay_died, test_home_flush_without_answer, test_home_flush_not_wanted)
