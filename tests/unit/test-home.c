/* SPDX-License-Identifier: Apache-2.0 */
/* Ring and relay of a process: what is handed over to whom, waking, flushing. */
#include <sys/stat.h>

#include "agent/ring/home_place.h"
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

/* Where a process says which one it is, in its ring. */
static const char *instance_of(const struct client *client)
{
        const char *found =
                memmem(client->ring.meta, atomic_load(&client->ring.header->meta_len), "@instance=", 10);

        ck_assert_ptr_nonnull(found);
        ck_assert_uint_eq(strspn(found + 10, "0123456789abcdef"), 32);
        ck_assert_int_eq(found[42], '\0');
        return found;
}

static void child_writes(void *arg)
{
        host_after_fork();
        host_write(1);
}

START_TEST(test_home_span_says_which_process)
{
        struct client first = client_begin("otlp", 1), second, child;

        ck_assert_int_eq(unit_in_child(child_writes, NULL), 0);
        child = accept_client(first.listener);
        ck_assert_str_ne(instance_of(&child), instance_of(&first));
        /* The ring's descriptor is lost, and then its relay: a second ring is made. */
        for (int fd = home_next_fd(3); fd >= 0; fd = home_next_fd(fd + 1))
                close(fd);
        ck_assert(ring_sleep(&first.ring, 1));
        host_write(2);
        second = accept_client(first.listener);
        ck_assert_str_eq(instance_of(&second), instance_of(&first));
}
END_TEST

/* The name of the relay of a program with such an environment. */
static struct sockaddr_un name_with(const char *first, const char *second)
{
        char *environment[] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
        struct sockaddr_un name;

        home_start(environment);
        relay_name(0, &name);
        return name;
}

static bool same_relay(const char *first, const char *second, const char *other_first,
                       const char *other_second)
{
        struct sockaddr_un name = name_with(first, second), other = name_with(other_first, other_second);

        return memcmp(&name, &other, sizeof(name)) == 0;
}

START_TEST(test_relay_name_by_proxies_and_certificates)
{
        static const char *const rows[] = {"http_proxy=a:1", "https_proxy=a:1",  "HTTPS_PROXY=a:1",
                                           "all_proxy=a:1",  "ALL_PROXY=a:1",    "no_proxy=a",
                                           "NO_PROXY=a",     "SSL_CERT_FILE=/a", "SSL_CERT_DIR=/a"};

        host_start("otlp", "auto", "name", "/");
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                char other[64];

                snprintf(other, sizeof(other), "%s2", rows[i]);
                ck_assert(!same_relay(rows[i], NULL, NULL, NULL));
                ck_assert(!same_relay(rows[i], NULL, other, NULL));
                ck_assert(!same_relay(rows[i], NULL, rows[(i + 1) % 9], NULL));
                ck_assert(same_relay(rows[i], "PATH=/bin", "PATH=/sbin", rows[i]));
                ck_assert(same_relay(rows[i], other, rows[i], NULL)); /* as getenv */
        }
        ck_assert(same_relay("HTTP_PROXY=a:1", "HOME=/a", "TERM=xterm", NULL));
        ck_assert(same_relay("http_proxy=a:1", "no_proxy=b", "no_proxy=b", "http_proxy=a:1"));
}
END_TEST

START_TEST(test_home_start_when_path_is_long)
{
        char path[5000] = "PATH=";
        char *environment[] = {path, "https_proxy=a:1", NULL};

        memset(path + 5, 'p', sizeof(path) - 6);
        path[4095] = '\0';
        home_start(environment);
        ck_assert_str_eq(home_place.environment, "https_proxy=a:1");
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

/* A signal handler that never returns, in the search for a relay: the next one to want it searches again. */
START_TEST(test_home_at_exit_search_left)
{
        struct client client;
        sigjmp_buf here;
        int listener;

        host_start("otlp", "auto", "name", "/");
        listener = listen_as_relay(0);
        way_out = &here;
        if (sigsetjmp(here, 1) == 0)
                host_write(1);
        ck_assert_ptr_nonnull(way_out);
        way_out = NULL;
        ck_assert_int_ge(accept(listener, NULL, NULL), 0); /* nothing ever comes over it */
        home_at_exit();
        client = accept_client(listener);
        ck_assert_uint_eq(drain(&client), 1);
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

UNIT_MAIN("home", test_home_span_hands_over, test_home_span_meta, test_home_span_says_which_process,
          test_relay_name_by_proxies_and_certificates, test_home_start_when_path_is_long,
          test_home_span_stderr_for_console, test_home_span_no_stderr_when_closed,
          test_home_span_exporter_none, test_home_span_wakes_a_sleeper_once,
          test_home_span_names_of_strangers, test_home_span_all_names_of_strangers,
          test_home_span_name_held_silently, test_home_span_relay_died, test_home_at_exit_relay_died,
          test_home_at_exit_search_left, test_home_flush_without_answer, test_home_flush_not_wanted)
