/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake-tls.h"

static unsigned dice_state;

static unsigned dice(unsigned sides)
{
        dice_state = dice_state * 1664525u + 1013904223u;
        return (dice_state >> 8) % sides;
}

static long take_some(size_t left)
{
        return dice(3) ? (long)dice((unsigned)left + 1) : (long)left;
}

static long take_none(size_t left)
{
        return -1;
}

/* The wire holds @stream, with one header in each of its @count heads. */
static void expect_wire(const char *stream, size_t len, unsigned count)
{
        static const char name[] = "traceparent: 00-";
        static char rest[sizeof(wire)];
        size_t rest_len = 0, line = sizeof(name) - 1 + 52;
        unsigned found = 0;

        for (size_t at = 0; at < wire_len;) {
                if (wire_len - at > line && memcmp(wire + at, name, sizeof(name) - 1) == 0) {
                        at += line + (wire[at + line] == '\r') + 1;
                        found++;
                        continue;
                }
                rest[rest_len++] = wire[at++];
        }
        ck_assert_uint_eq(found, count);
        ck_assert_uint_eq(rest_len, len);
        ck_assert(memcmp(rest, stream, len) == 0);
}

static size_t make_stream(char *stream, unsigned count)
{
        static char big[12000];
        const char *const requests[] = {get, post, big, get};
        size_t len = 0;

        snprintf(big, sizeof(big), "GET /big HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n", 11000, 7);
        for (unsigned i = 0; i < count; i++) {
                const char *request = requests[dice(ARRAY_LEN(requests))];

                memcpy(stream + len, request, strlen(request));
                len += strlen(request);
        }
        return len;
}

/* A host that does as the manual says: the same again, from where it may be, until it is taken. */
static ssize_t send_until_taken(struct fake_tls *fake, const char *from, size_t offer, size_t most)
{
        static char moved[sizeof(wire)];
        ssize_t n;

        while ((n = fake_send(fake, from, offer)) == 0) {
                ck_assert(!fake->refused);
                if (dice(3) == 0)
                        offer += dice((unsigned)(most - offer) + 1); /* more is allowed */
                if (fake->io.moving && from != moved && dice(2)) {
                        memcpy(moved, from, most);
                        from = moved;
                }
        }
        ck_assert(!fake->refused);
        ck_assert_int_gt(n, 0);
        ck_assert_int_le(n, (ssize_t)offer);
        if (!fake->io.partial)
                ck_assert_int_eq(n, (ssize_t)offer);
        return n;
}

START_TEST(test_out_when_it_would_block)
{
        static char stream[128 * 1024];

        for (unsigned round = 0; round < 600; round++) {
                unsigned count = 1 + (dice_state = round * 7919u + 1, dice(8));
                size_t len = make_stream(stream, count), at = 0;
                struct fake_tls fake;

                fake_new(&fake, round & 1, round & 2, take_some);
                while (at < len)
                        at += (size_t)send_until_taken(&fake, stream + at, 1 + dice((unsigned)(len - at)),
                                                       len - at);
                expect_wire(stream, len, count);
                for (unsigned i = 0; i < count; i++)
                        fake_recv(&fake, "HTTP/1.1 204 No Content\r\n\r\n");
                ck_assert_uint_eq(told_count, count);
                tap_tls_free(fake.tls);
                ck_assert_uint_eq(told_count, count);
                ck_assert_int_eq(open_now, 0);
        }
}
END_TEST

/* Nothing was taken before the handshake is over: the host may come with something else. */
START_TEST(test_out_during_the_handshake)
{
        struct fake_tls fake;

        fake_new(&fake, false, false, take_all);
        fake.shaken = false;
        ck_assert_int_eq(fake_send(&fake, get, strlen(get)), 0);
        ck_assert_int_eq(fake_send(&fake, get, strlen(get)), 0);
        fake.shaken = true;
        ck_assert_int_eq(fake_send(&fake, post, strlen(post)), (ssize_t)strlen(post));
        expect_wire(post, strlen(post), 1);
        fake_recv(&fake, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        tap_tls_free(fake.tls);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_str_eq(told[0].method, "POST");
        ck_assert_int_eq(open_now, 0);
}
END_TEST

/* What the library refuses without us, it refuses with us. */
START_TEST(test_out_when_the_host_breaks_the_rules)
{
        char other[sizeof(get)];
        struct fake_tls fake;

        memcpy(other, get, sizeof(get));
        fake_new(&fake, false, false, take_none);
        ck_assert_int_eq(fake_send(&fake, get, strlen(get)), 0);
        ck_assert_int_eq(fake_send(&fake, get, 10), -1);
        ck_assert(fake.refused);
        ck_assert_int_eq(fake_send(&fake, other, strlen(get)), -1);
        ck_assert(fake.refused);
        fake.take = take_all;
        ck_assert_int_eq(fake_send(&fake, get, strlen(get)), (ssize_t)strlen(get));
        expect_wire(get, strlen(get), 1);
        tap_tls_free(fake.tls);
}
END_TEST

START_TEST(test_out_when_freed_in_the_middle)
{
        struct fake_tls fake;

        for (int i = 0; i < 1000; i++) { /* more than there is working memory */
                fake_new(&fake, i & 1, false, take_none);
                ck_assert_int_eq(fake_send(&fake, get, strlen(get)), 0);
                tap_tls_free(fake.tls);
                ck_assert_int_eq(open_now, 0);
        }
        fake_new(&fake, false, false, take_all);
        ck_assert_int_eq(fake_send(&fake, get, strlen(get)), (ssize_t)strlen(get));
        expect_wire(get, strlen(get), 1);
        tap_tls_free(fake.tls);
}
END_TEST

/* The library calls its own functions. */
START_TEST(test_enter_when_inside)
{
        struct tap_tls_call inner;
        struct fake_tls fake;

        fake_new(&fake, false, false, take_all);
        ck_assert(tap_tls_enter(&fake.call, fake.tls, false, SLICE_NULL));
        ck_assert(!tap_tls_enter(&inner, fake.tls, false, SLICE_NULL));
        tap_tls_restart(fake.tls);
        ck_assert_ptr_nonnull(fake.tls->conn);
        tap_tls_leave(&fake.call);
        tap_tls_restart(fake.tls);
        ck_assert_ptr_null(fake.tls->conn);
        tap_tls_free(fake.tls);
}
END_TEST

/* A higher seam has the request already. */
START_TEST(test_enter_when_muted)
{
        struct fake_tls fake;

        thread_state.mute++;
        fake_new(&fake, false, false, take_all);
        thread_state.mute--;
        ck_assert(!tap_tls_enter(&fake.call, fake.tls, false, SLICE_NULL));
        tap_tls_free(fake.tls);
}
END_TEST

static const unsigned char hello[64] = {22, 3, 1, 0, 59, 1, 0, 0, 55, 3, 3, 1, 2, 3, 4};

/* What the library writes on a socket below makes that its carrier. */
START_TEST(test_carrier_when_written_below)
{
        struct fake_tls fake;

        connect_now();
        fake_new(&fake, false, false, take_all);
        ck_assert(tap_tls_enter(&fake.call, fake.tls, false, SLICE("name.example")));
        ck_assert_int_eq(host_send((const char *)hello, sizeof(hello), take_all), sizeof(hello));
        tap_tls_leave(&fake.call);
        ck_assert_ptr_nonnull(fake.tls->carrier);
        ck_assert_int_eq(fake.tls->conn->peer.len, sizeof(struct sockaddr_in));
        ck_assert_mem_eq(fake.tls->conn->peer.name.p, "name.example", 12);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 0);
        tap_tls_free(fake.tls);
        ck_assert_uint_eq(stat_get(STAT_OPAQUE_TLS), 0);
}
END_TEST

/* Plain bytes of somebody's callback are not TLS. */
START_TEST(test_carrier_when_plain_bytes_leave_below)
{
        struct fake_tls fake;

        connect_now();
        fake_new(&fake, false, false, take_all);
        ck_assert(tap_tls_enter(&fake.call, fake.tls, false, SLICE_NULL));
        host_send(get, strlen(get), take_all);
        tap_tls_leave(&fake.call);
        ck_assert_ptr_null(fake.tls->carrier);
        expect_wire(get, strlen(get), 1);
        tap_net_close(FD);
        tap_tls_free(fake.tls);
}
END_TEST

START_TEST(test_carrier_when_found_by_the_hello)
{
        struct fake_tls fake;

        connect_now();
        fake_new(&fake, false, false, take_all);
        ck_assert(tap_tls_enter(&fake.call, fake.tls, false, SLICE_NULL));
        tap_tls_hello(&fake.call, hello + 11);
        tap_tls_leave(&fake.call);
        host_send((const char *)hello, sizeof(hello), take_all);
        ck_assert_ptr_nonnull(fake.tls->carrier);
        tap_net_close(FD);
        tap_tls_free(fake.tls);
}
END_TEST

/* TLS of a library that we do not know. */
START_TEST(test_carrier_when_there_is_none)
{
        connect_now();
        host_send((const char *)hello, sizeof(hello), take_all);
        ck_assert_uint_eq(told_count, 1); /* the set-up is all that can be told */
        tap_net_close(FD);
        ck_assert_uint_eq(stat_get(STAT_OPAQUE_TLS), 1);
}
END_TEST

UNIT_MAIN_WITH("tls-out", wire_setup, test_out_when_it_would_block, test_out_during_the_handshake,
               test_out_when_the_host_breaks_the_rules, test_out_when_freed_in_the_middle,
               test_enter_when_inside, test_enter_when_muted, test_carrier_when_written_below,
               test_carrier_when_plain_bytes_leave_below, test_carrier_when_found_by_the_hello,
               test_carrier_when_there_is_none)
