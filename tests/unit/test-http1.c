/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1: one table of messages, fed whole, in every split, against a guard page, with rewinds. */
#include "agent/proto/http1.h"
#include "tests/unit/http1-log.h"
#include "tests/unit/http1-messages.h"
#include "tests/unit/unit.h"

#define TEXT_MAX  200
#define PAIRS_MAX 130 /* up to this length every pair of splits is tried */
#define GUARDED   4096

static struct http1_log log_whole, log_split;
static char *guarded;

static void use_messages(void)
{
        static const char zeros[GUARDED];

        guarded = unit_guarded(zeros, GUARDED);
}

/* The bytes moved right before the forbidden page. */
static struct slice at_guard(const char *bytes, size_t len)
{
        ck_assert_uint_le(len, GUARDED);
        return slice_make(memcpy(guarded + GUARDED - len, bytes, len), len);
}

static bool feed_piece(struct http1_log *log, const char *bytes, size_t from, size_t to)
{
        return http1_log_feed(log, at_guard(bytes + from, to - from));
}

static void feed_whole(const struct message *m, size_t len, uint16_t text_max)
{
        http1_log_init(&log_whole, m->role, m->answers, text_max);
        if (feed_piece(&log_whole, m->bytes, 0, len))
                http1_log_eof(&log_whole);
}

/* Pieces that end at each of @cuts. */
static void feed_cuts(const struct message *m, uint16_t text_max, const size_t *cuts, size_t count)
{
        size_t from = 0;

        http1_log_init(&log_split, m->role, m->answers, text_max);
        for (size_t i = 0; i < count; from = cuts[i++])
                if (!feed_piece(&log_split, m->bytes, from, cuts[i]))
                        return;
        http1_log_eof(&log_split);
}

static void check_same(const struct message *m, const char *how, size_t a, size_t b)
{
        ck_assert(!log_whole.wrong && !log_split.wrong);
        ck_assert_msg(strcmp(log_split.text, log_whole.text) == 0, "%s, %s %zu %zu:\n  %s\n  %s", m->title,
                      how, a, b, log_split.text, log_whole.text);
}

static void feed_bytes(const struct message *m, uint16_t text_max)
{
        size_t len = strlen(m->bytes);

        http1_log_init(&log_split, m->role, m->answers, text_max);
        for (size_t i = 0; i < len; i++)
                if (!feed_piece(&log_split, m->bytes, i, i + 1))
                        return;
        http1_log_eof(&log_split);
}

#define EACH_MESSAGE(m) \
        (const struct message *m = messages; m < messages + sizeof(messages) / sizeof(*messages); m++)

START_TEST(test_feed_whole)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        http1_log_init(&log_whole, m->role, m->answers, TEXT_MAX);
                        log_whole.offsets = false;
                        if (feed_piece(&log_whole, m->bytes, 0, strlen(m->bytes)))
                                http1_log_eof(&log_whole);
                        ck_assert_msg(strcmp(log_whole.text, m->expect) == 0, "%s:\n  %s\n  %s", m->title,
                                      log_whole.text, m->expect);
                }
}
END_TEST

START_TEST(test_feed_byte_by_byte)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        feed_whole(m, strlen(m->bytes), TEXT_MAX);
                        feed_bytes(m, TEXT_MAX);
                        check_same(m, "bytes", 0, 0);
                }
}
END_TEST

START_TEST(test_feed_split_everywhere)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        size_t len = strlen(m->bytes);

                        feed_whole(m, len, TEXT_MAX);
                        for (size_t cut = 0; cut <= len; cut++) {
                                feed_cuts(m, TEXT_MAX, (size_t[]){cut, len}, 2);
                                check_same(m, "split at", cut, len);
                        }
                        for (size_t a = 0; len <= PAIRS_MAX && a <= len; a++)
                                for (size_t b = a; b <= len; b++) {
                                        feed_cuts(m, TEXT_MAX, (size_t[]){a, b, len}, 3);
                                        check_same(m, "splits at", a, b);
                                }
                }
}
END_TEST

/* Whatever does not fit is cut the same way in every split, and the rest of the head is still read. */
START_TEST(test_feed_with_little_room)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        size_t len = strlen(m->bytes);

                        for (uint16_t room = 0; room < 64; room += 1 + room / 8) {
                                feed_whole(m, len, room);
                                feed_bytes(m, room);
                                check_same(m, "bytes, room", room, 0);
                                for (size_t cut = 0; cut <= len; cut += 3) {
                                        feed_cuts(m, room, (size_t[]){cut, len}, 2);
                                        check_same(m, "split, room", cut, room);
                                }
                        }
                }
}
END_TEST

START_TEST(test_feed_when_texts_do_not_fit)
{
        static const char bytes[] = "GET /long-target HTTP/1.1\r\nUser-Agent: 0123456789abcdef\r\nHost: h\r\n"
                                    "traceparent: 0123456789\r\ntracestate: a\r\ntracestate: bcdefgh\r\n\r\n";
        static const struct {
                uint16_t room;
                const char *expect;
        } rows[] = {
                {0, "begin blank CUT CUT 1.1 host=CUT ua=CUT tp1 tp=CUT ts=CUT keep none head end eof"},
                {5, "begin blank GET CUT 1.1 host=h ua=CUT tp1 tp=CUT ts=CUT keep none head end eof"},
                {14, "begin blank GET CUT 1.1 host=h ua=CUT tp1 tp=0123456789 ts=CUT keep none head end eof"},
                {20,
                 "begin blank GET /long-target 1.1 host=h ua=CUT tp1 tp=CUT ts=CUT keep none head end eof"},
                {64, "begin blank GET /long-target 1.1 host=h ua=0123456789abcdef tp1 tp=0123456789 "
                     "ts=a,bcdefgh keep "
                     "none head end eof"},
        };

        use_messages();
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                http1_log_init(&log_whole, HTTP1_REQUESTS, "", rows[i].room);
                log_whole.offsets = false;
                ck_assert(feed_piece(&log_whole, bytes, 0, sizeof(bytes) - 1));
                http1_log_eof(&log_whole);
                ck_assert_str_eq(log_whole.text, rows[i].expect);
        }
}
END_TEST

START_TEST(test_feed_when_the_sink_stops)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        size_t len = strlen(m->bytes);

                        feed_whole(m, len, TEXT_MAX);
                        http1_log_init(&log_split, m->role, m->answers, TEXT_MAX);
                        log_split.stop = true;
                        if (feed_piece(&log_split, m->bytes, 0, len))
                                http1_log_eof(&log_split);
                        check_same(m, "stopping", 0, 0);
                }
}
END_TEST

static unsigned next_random(unsigned *state)
{
        *state = *state * 1103515245 + 12345;
        return *state >> 16;
}

/* Feed ahead, go back, feed again: as a short write does. */
static void feed_with_rewinds(const struct message *m, uint16_t room, unsigned seed)
{
        size_t len = strlen(m->bytes), at = 0;
        struct http1_log_mark mark;

        http1_log_init(&log_split, m->role, m->answers, room);
        while (at < len) {
                size_t ahead = at + 1 + next_random(&seed) % (len - at),
                       middle = at + next_random(&seed) % (ahead - at);
                size_t keep = at + next_random(&seed) % (ahead - at + 1);

                http1_log_mark(&log_split, &mark);
                if (feed_piece(&log_split, m->bytes, at, middle))
                        (void)feed_piece(&log_split, m->bytes, middle, ahead);
                http1_log_rewind(&log_split, &mark);
                if (!feed_piece(&log_split, m->bytes, at, keep))
                        return;
                at = keep;
        }
        http1_log_eof(&log_split);
}

START_TEST(test_feed_after_rewinds)
{
        use_messages();
        for
                EACH_MESSAGE(m)
        for (unsigned seed = 0; seed < 100; seed++) {
                uint16_t room = seed % 3 ? TEXT_MAX : (uint16_t)(seed % 50);

                feed_whole(m, strlen(m->bytes), room);
                feed_with_rewinds(m, room, seed);
                check_same(m, "rewinds, seed", seed, room);
        }
}
END_TEST

/* Cut off anywhere: the same events as far as the bytes went, then an honest end. */
START_TEST(test_feed_truncated_everywhere)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        size_t len = strlen(m->bytes);

                        http1_log_init(&log_whole, m->role, m->answers, TEXT_MAX);
                        (void)feed_piece(&log_whole, m->bytes, 0, len);
                        for (size_t cut = 0; cut < len; cut++) {
                                bool busy, complete;

                                http1_log_init(&log_split, m->role, m->answers, TEXT_MAX);
                                if (!feed_piece(&log_split, m->bytes, 0, cut))
                                        continue;
                                ck_assert_msg(strncmp(log_split.text, log_whole.text, log_split.len) == 0,
                                              "%s cut at %zu: %s", m->title, cut, log_split.text);
                                busy = http1_busy(&log_split.parser);
                                complete = strstr(log_split.text, "end@") ||
                                           strstr(log_split.text, " 1.1 keep none head@");
                                http1_log_eof(&log_split);
                                if (busy && !strstr(log_split.text, "until-close") &&
                                    !strstr(log_split.text, "tunnel"))
                                        ck_assert_ptr_nonnull(strstr(log_split.text, "cut-off"));
                                else if (!busy)
                                        ck_assert_int_eq(complete, !strstr(log_split.text, "cut-off"));
                        }
                }
}
END_TEST

START_TEST(test_feed_garbage)
{
        static const char alphabet[] = "GET /HTP1.:\r\n\r\n 0a;,\t\x80\n";
        unsigned seed = 1;
        char bytes[200];

        use_messages();
        for (int i = 0; i < 20000; i++) {
                size_t len = next_random(&seed) % (sizeof(bytes) - 1);
                size_t prefix = next_random(&seed) % 2 ? 16 : 0;
                struct message m = {"garbage", prefix ? HTTP1_REQUESTS : (enum http1_role)(i % 2), "GHC",
                                    bytes, NULL};

                if (len < prefix)
                        continue;
                memcpy(bytes, "GET / HTTP/1.1\r\n", prefix);
                for (size_t k = prefix; k < len; k++)
                        bytes[k] = alphabet[next_random(&seed) % (sizeof(alphabet) - 1)];
                bytes[len] = '\0';
                feed_whole(&m, len, TEXT_MAX);
                feed_bytes(&m, TEXT_MAX);
                check_same(&m, "bytes", 0, 0);
        }
}
END_TEST

UNIT_MAIN("http1", test_feed_whole, test_feed_byte_by_byte, test_feed_split_everywhere,
          test_feed_with_little_room, test_feed_when_texts_do_not_fit, test_feed_when_the_sink_stops,
          test_feed_after_rewinds, test_feed_truncated_everywhere, test_feed_garbage)
