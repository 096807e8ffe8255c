/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a TLS object: what a host may call in any order, over a wire that takes what it likes. A host
 * that keeps the library's rules finds its stream on the wire, with one context in each head at most.
 *
 * An input is a byte of flags, a seed, and two bytes for each call: which one, with what.
 */
#include "tests/unit/plain-check.h"

#include "tests/unit/fake-tls.h"
#include "tests/unit/http1-compare.h"
#include "tests/unit/http2-compare.h"
#include "tests/unit/random-streams.h"
#include "tests/unit/serving.h"

#define CALLS_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTIAL = 1, MOVING = 2, SHAKEN = 4, HTTP2 = 8, SERVER = 16 };

static struct {
        struct fake_tls fake;
        unsigned flags;
        size_t at;      /* of the stream, that the host was told of */
        size_t offered; /* by a call that would have blocked */
        bool rude;      /* broke a rule, or made a call that no real host makes there */
        unsigned contexts;
} host;

static long take_by_dice(size_t left)
{
        unsigned way = dice(4);

        return way == 0 ? -1 : way == 1 ? (long)left : (long)dice((unsigned)left + 1);
}

static bool enter(void)
{
        return tap_tls_enter(&host.fake.call, host.fake.tls, host.flags & SERVER, SLICE("name.example"));
}

static void begin(void)
{
        if (enter())
                tap_tls_leave(&host.fake.call);
        host.at = host.offered = wire_len = 0;
        host.rude = false;
        host.fake.left = host.fake.done = 0;
}

/* The same again, or more, until the library is through with it. */
static void call_send(unsigned what)
{
        static char moved[STREAM_MAX];
        size_t left = stream.len - host.at, len = what > 250 ? left : MIN(left, 1 + what * what / 16);
        const char *from = stream.bytes + host.at;
        ssize_t n;

        if (!left)
                return;
        if (host.at == 0 && host.flags & HTTP2)
                len = MAX(len, MIN(left, 4));
        len = MAX(len, host.offered);
        if (host.offered && host.flags & MOVING && what & 1) {
                memcpy(moved, from, len);
                from = moved;
        }
        n = fake_send(&host.fake, from, len);
        ck_assert(host.rude || !host.fake.refused);
        ck_assert_int_le(n, (ssize_t)len);
        ck_assert(host.rude || n >= 0);
        host.offered = n == 0 ? len : 0;
        host.at += n > 0 ? (size_t)n : 0;
}

/* Something else than what was offered before. */
static void call_rudely(unsigned what)
{
        size_t left = stream.len - host.at, len = MIN(left, what);
        ssize_t n;

        if (!len || !host.offered)
                return;
        host.rude = true;
        n = fake_send(&host.fake, stream.bytes + host.at + (left > len), len);
        host.offered = 0;
        host.at += n > 0 ? (size_t)n : 0;
        host.at = MIN(host.at, stream.len);
}

static void call_recv(unsigned what)
{
        static const char *const texts[] = {"HTTP/1.1 204 No Content\r\n\r\n",
                                            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                                            "HTTP/1.1 20",
                                            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
                                            "garbage",
                                            "HTTP/1.1 100 Continue\r\n\r\n",
                                            "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
                                            "POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"};
        static const char *const scripts[] = {"S|A",
                                              "H1e :status=200",
                                              "H1 :status=200|D1e 40",
                                              "G 1 0",
                                              "R1 8",
                                              "PRI|S",
                                              "H1e :method=GET;:scheme=https;:authority=h;:path=/"};
        char bytes[4096];
        size_t len;

        if (what & 1) {
                len = http2_script(bytes, sizeof(bytes), scripts[what / 2 % ARRAY_LEN(scripts)]);
        } else {
                len = strlen(texts[what / 2 % ARRAY_LEN(texts)]);
                memcpy(bytes, texts[what / 2 % ARRAY_LEN(texts)], len);
        }
        if (!enter())
                return;
        tap_tls_in_begin(&host.fake.call, what & 128);
        ck_assert_int_eq(tap_tls_in_end(&host.fake.call, &host.fake.io, bytes, sizeof(bytes), (ssize_t)len,
                                        what & 128),
                         (ssize_t)len);
        tap_tls_leave(&host.fake.call);
}

/* Nothing came: not yet, the end, a failure. */
static void call_recv_nothing(unsigned what)
{
        char bytes[64];

        if (!enter())
                return;
        host.fake.blocked = what & 1;
        tap_tls_in_begin(&host.fake.call, false);
        ck_assert_int_eq(tap_tls_in_end(&host.fake.call, &host.fake.io, bytes, sizeof(bytes), -1, false), -1);
        tap_tls_leave(&host.fake.call);
}

static void call_shake(unsigned what)
{
        host.fake.shaken |= what & 1;
        if (!enter())
                return;
        host.fake.blocked = what & 2;
        tap_tls_shaken(&host.fake.call, &host.fake.io, host.fake.shaken);
        tap_tls_leave(&host.fake.call);
}

/* The library says hello on the socket below, inside the call or in a later one. */
static void call_hello(unsigned what)
{
        unsigned char hello[64] = {22, 3, 1, 0, 59, 1, 0, 0, 55, 3, 3, (unsigned char)what};
        size_t len = wire_len;

        if (!enter())
                return;
        if (what & 1)
                tap_tls_hello(&host.fake.call, hello + 11);
        else
                host_send((const char *)hello, sizeof(hello), take_all);
        tap_tls_leave(&host.fake.call);
        if (what & 2)
                host_send((const char *)hello, sizeof(hello), take_all);
        wire_len = len;
}

static void call_restart(unsigned what)
{
        tap_tls_restart(host.fake.tls);
        begin();
}

static void call_hands_off(unsigned what)
{
        if (!host.offered) /* else what the library has goes on */
                tap_tls_hands_off(host.fake.tls);
}

/* By a call that does not show us the bytes: a body, which nobody knows here. */
static void call_unseen(unsigned what)
{
        size_t n = MIN(what, stream.len - host.at);

        if (!n || host.offered || !enter())
                return;
        host.rude = true;
        memcpy(wire + wire_len, stream.bytes + host.at, n);
        wire_len += n;
        host.at += n;
        tap_tls_out_unseen(&host.fake.call, n);
        tap_tls_leave(&host.fake.call);
}

static void call_shut(unsigned what)
{
        if (!enter())
                return;
        tap_tls_shut(&host.fake.call);
        tap_tls_leave(&host.fake.call);
}

static void call_new(unsigned what)
{
        tap_tls_free(host.fake.tls);
        host.fake = (struct fake_tls){.take = take_by_dice, .shaken = host.flags & SHAKEN};
        host.fake.io = (struct tap_tls_io){fake_write, fake_judge, host.flags & PARTIAL, host.flags & MOVING};
        host.fake.tls = tap_tls_new(false);
        ck_assert_ptr_nonnull(host.fake.tls);
        begin();
}

static void call_close(unsigned what)
{
        size_t len = wire_len;

        tap_net_close(FD);
        connect_now();
        wire_len = len;
}

static void (*const calls[])(unsigned) = {
        call_send, call_send, call_send,  call_send,         call_send,      call_rudely,
        call_recv, call_recv, call_shake, call_restart,      call_hands_off, call_unseen,
        call_shut, call_new,  call_hello, call_recv_nothing,
};

static void on_context(const char *text)
{
        host.contexts++;
}

static void on_block(uint32_t id, struct slice block, struct slice added)
{
        host.contexts += added.len > 0;
}

static void check_wire(void)
{
        struct slice sent = slice_make(stream.bytes, stream.len), arrived = slice_make(wire, wire_len);

        host.contexts = 0;
        if (host.flags & SERVER)
                ck_assert(slice_eq(sent, arrived));
        else if (host.flags & HTTP2)
                http2_compare(sent, arrived, on_block);
        else
                ck_assert_uint_eq(http1_compare(sent, arrived, on_context), stream.len);
        ck_assert_uint_le(host.contexts, stream.count - stream.own);
}

static void make_stream(unsigned seed)
{
        dice_state = seed;
        stream.len = stream.own = 0;
        stream.count = 1 + dice(4);
        if (host.flags & HTTP2)
                make_http2();
        else
                make_http1();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static bool ready;

        if (!ready)
                serving_setup();
        ready = true;
        if (size < 2 || size > 2 * CALLS_MAX)
                return 0;
        host.flags = data[0];
        make_stream(data[1]);
        connect_now();
        host.fake.tls = tap_tls_new(false);
        call_new(0);
        for (size_t i = 2; i + 1 < size; i += 2)
                data[i] % 17 == 16 ? call_close(0) : calls[data[i] % 17](data[i + 1]);
        host.fake.shaken = true;
        while (!host.rude && host.at < stream.len)
                call_send(255);
        if (!host.rude)
                check_wire();
        tap_tls_free(host.fake.tls);
        tap_net_close(FD);
        ck_assert_int_eq(open_now, 0);
        return 0;
}
