/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client streams of HTTP/1 and HTTP/2, made, cut and sent at random, through the socket seam and through the
 * TLS seam, over a wire that takes what it likes. What arrives is the original with exactly one context added
 * to each request (or to none of them, where the sender brought its own), each is one span, and nothing is
 * left behind.
 *
 *      inject-storm [ROUNDS [SEED [ROUND]]]    from that round on
 */
#include <check.h>
#include <sys/mman.h>

/* Check writes down how far a test has come, with each assertion: too slow for millions of them. */
#define _mark_point(file, line) ((void)0)

#include "tests/unit/fake-tls.h"
#include "tests/unit/http1-compare.h"
#include "tests/unit/http2-compare.h"
#include "tests/unit/random-streams.h"

#define ROUNDS       50000
#define SEED         1
#define PREFACE_SURE 4 /* of fewer bytes in the first call of all nobody knows that they are HTTP/2 */

static unsigned long rounds = ROUNDS, seed = SEED, first_round;

/* Shared with the child that plays. */
static struct {
        unsigned long round, requests, own, contexts;
} * done;

/* --- how it is sent --- */

/* Nothing, a byte, a few, some, everything. */
static long take_any(size_t offered)
{
        unsigned way = dice(8);

        if (way == 0)
                return -1;
        if (!offered)
                return 0;
        if (way == 1)
                return (long)MIN(offered, 1);
        if (way < 4)
                return (long)(1 + dice((unsigned)MIN(offered, 40)));
        return way < 6 ? (long)(1 + dice((unsigned)offered)) : (long)offered;
}

static long take_of_record(size_t left)
{
        return dice(3) ? (long)dice((unsigned)left + 1) : (long)left;
}

static size_t offer(size_t left)
{
        unsigned way = dice(4);

        return way == 0 ? left : way == 1 ? 1 + dice((unsigned)MIN(left, 30)) : 1 + dice((unsigned)left);
}

/* In several pieces, empty ones among them. */
static ssize_t send_pieces(const char *from, size_t len)
{
        struct wire_call call = {take_any, from, len};
        struct iovec pieces[6];
        unsigned count = 1 + dice(ARRAY_LEN(pieces));

        for (unsigned i = 0; i < count; i++) {
                size_t piece = i + 1 == count ? len : dice((unsigned)len + 1);

                pieces[i] = (struct iovec){(void *)(uintptr_t)from, piece};
                from += piece;
                len -= piece;
        }
        return tap_net_out(FD, pieces, (int)count, emit, &call);
}

struct sender {
        bool http2, secure;
        struct fake_tls tls;
        unsigned answered;
};

static void receive(struct sender *sender, const char *bytes, size_t len)
{
        struct iovec iov = {(void *)(uintptr_t)bytes, len};
        struct tap_in in;

        if (sender->secure) {
                ck_assert(tap_tls_enter(&sender->tls.call, sender->tls.tls, false, SLICE_NULL));
                tap_tls_in_begin(&sender->tls.call, false);
                ck_assert_int_eq(tap_tls_in_end(&sender->tls.call, &sender->tls.io, iov.iov_base, len,
                                                (ssize_t)len, false),
                                 (ssize_t)len);
                tap_tls_leave(&sender->tls.call);
                return;
        }
        tap_net_in_begin(&in, FD, 0);
        tap_net_in_end(&in, &iov, 1, (ssize_t)len, 0, 65536);
}

/* The next request's answer. */
static void answer(struct sender *sender)
{
        static const char no_content[] = "HTTP/1.1 204 No Content\r\n\r\n";
        char bytes[256], script[64];
        unsigned number = sender->answered++;

        if (!sender->http2) {
                receive(sender, no_content, sizeof(no_content) - 1);
                return;
        }
        snprintf(script, sizeof(script), "%sH%ue :status=204", number ? "" : "S|A|", 2 * number + 1);
        receive(sender, bytes, http2_script(bytes, sizeof(bytes), script));
}

/* A host that repeats what was not taken: from elsewhere, or more of it, where it may. */
static size_t send_secure(struct fake_tls *fake, const char *from, size_t len, size_t most)
{
        static char moved[STREAM_MAX];
        ssize_t n;

        while ((n = fake_send(fake, from, len)) == 0) {
                ck_assert(!fake->refused);
                fake->shaken |= dice(2);
                if (dice(3) == 0)
                        len += dice((unsigned)(most - len) + 1);
                if (fake->io.moving && from != moved && dice(2)) {
                        memcpy(moved, from, most);
                        from = moved;
                }
        }
        ck_assert_int_gt(n, 0);
        ck_assert_int_le(n, (ssize_t)len);
        ck_assert(fake->io.partial || n == (ssize_t)len);
        return (size_t)n;
}

static size_t send_plain(const char *from, size_t len)
{
        ssize_t n = send_pieces(from, len);

        if (n < 0) {
                ck_assert_int_eq(errno, EAGAIN);
                return 0;
        }
        ck_assert_int_le(n, (ssize_t)len);
        return (size_t)n;
}

static void send_stream(struct sender *sender)
{
        for (size_t at = 0; at < stream.len;) {
                size_t left = stream.len - at, len = offer(left);

                if (sender->http2 && at == 0 && len < PREFACE_SURE)
                        len = PREFACE_SURE;
                at += sender->secure ? send_secure(&sender->tls, stream.bytes + at, len, left)
                                     : send_plain(stream.bytes + at, len);
                if (sender->answered < stream.count && stream.ends[sender->answered] <= at && dice(2))
                        answer(sender);
        }
        while (sender->answered < stream.count)
                answer(sender);
}

/* --- what arrived --- */

static unsigned contexts;              /* that were added */
static char ids[2 * REQUESTS_MAX][17]; /* of the spans that they name */

static void note_id(const char *traceparent)
{
        ck_assert_uint_lt(contexts, ARRAY_LEN(ids));
        memcpy(ids[contexts], traceparent + 36, 16);
        ids[contexts++][16] = '\0';
}

static void on_block(uint32_t id, struct slice block, struct slice added)
{
        if (added.len)
                note_id(added.p + added.len - TRACEPARENT_LEN);
}

static bool is_told(const char *id)
{
        for (unsigned i = 0; i < told_count; i++) {
                char text[17];

                for (unsigned k = 0; k < 8; k++)
                        snprintf(text + 2 * k, 3, "%02x", told[i].span_id[k]);
                if (strcmp(text, id) == 0)
                        return true;
        }
        return false;
}

static void check(const struct sender *sender)
{
        unsigned traced = stream.count - stream.own;

        contexts = 0;
        if (sender->http2)
                http2_compare(slice_make(stream.bytes, stream.len), slice_make(wire, wire_len), on_block);
        else
                ck_assert_uint_eq(http1_compare(slice_make(stream.bytes, stream.len),
                                                slice_make(wire, wire_len), note_id),
                                  stream.len);
        /* A block whose last frame's header has left before it is known goes without. */
        if (sender->http2)
                ck_assert_uint_le(contexts, traced);
        else
                ck_assert_uint_eq(contexts, traced);
        ck_assert_uint_eq(told_count, traced);
        for (unsigned i = 0; i < contexts; i++)
                ck_assert(is_told(ids[i]));
        for (unsigned i = 0; i < told_count; i++)
                ck_assert_int_eq(told[i].status, 204);
        ck_assert_int_eq(open_now, 0);
        done->requests += stream.count;
        done->own += stream.own;
        done->contexts += contexts;
}

static void play(unsigned long round)
{
        static struct sender sender;

        dice_state = seed * 0x9e3779b97f4a7c15ul + round;
        for (unsigned i = 0; i < 4; i++)
                (void)dice(2);
        sender = (struct sender){.http2 = round & 1, .secure = round & 2};
        stream.len = stream.own = 0;
        stream.count = 1 + dice(REQUESTS_MAX);
        if (sender.http2)
                make_http2();
        else
                make_http1();
        if (sender.secure) {
                fake_new(&sender.tls, dice(2), dice(2), take_of_record);
                sender.tls.shaken = dice(4);
        } else {
                connect_now();
        }
        send_stream(&sender);
        if (sender.secure)
                tap_tls_free(sender.tls.tls);
        else
                tap_net_close(FD);
        check(&sender);
}

START_TEST(test_storm)
{
        for (done->round = first_round; done->round < first_round + rounds; done->round++)
                play(done->round);
        ck_assert_uint_ge(done->contexts, (done->requests - done->own) / 10 * 9);
}
END_TEST

static int run(void)
{
        Suite *suite = suite_create("inject-storm");
        TCase *tcase = tcase_create("inject-storm");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_checked_fixture(tcase, wire_setup, NULL);
        tcase_set_timeout(tcase, 0);
        tcase_add_test(tcase, test_storm);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed;
}

int main(int argc, char **argv)
{
        int failed;

        rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : rounds;
        seed = argc > 2 ? strtoul(argv[2], NULL, 0) : seed;
        first_round = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
        done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (done == MAP_FAILED)
                return EXIT_FAILURE;
        printf("%lu rounds, seed %lu\n", rounds, seed);
        fflush(stdout);
        failed = run();
        printf("%lu requests, of which %lu brought a context, %lu got one\n", done->requests, done->own,
               done->contexts);
        if (failed)
                printf("again: %s 1 %lu %lu\n", argv[0], seed, done->round);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
