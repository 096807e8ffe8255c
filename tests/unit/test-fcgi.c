/* SPDX-License-Identifier: Apache-2.0 */
/* FastCGI: one table of streams, fed whole, in every split, against a guard page, with rewinds and skips. */
#include "agent/base/load.h"
#include "agent/proto/fcgi.h"
#include "tests/unit/fcgi-log.h"
#include "tests/unit/fcgi-messages.h"
#include "tests/unit/fcgi-script.h"
#include "tests/unit/unit.h"

#define ROOM      FCGI_LOG_ROOM
#define PAIRS_MAX 100 /* up to this length every pair of splits is tried */
#define GUARDED   4096

static struct fcgi_log log_whole, log_other;
static char stream[GUARDED];
static size_t stream_len;
static char *guarded;

static void setup(void)
{
        static const char zeros[GUARDED];

        guarded = unit_guarded(zeros, GUARDED);
}

static void use(const struct message *m)
{
        stream_len = fcgi_script(stream, sizeof(stream), m->script);
}

/* The bytes moved right before the forbidden page. */
static bool feed_piece(struct fcgi_log *log, size_t from, size_t to)
{
        size_t len = to - from;

        return fcgi_log_feed(log, slice_make(memcpy(guarded + GUARDED - len, stream + from, len), len));
}

static void feed_whole(const struct message *m, uint16_t room)
{
        fcgi_log_init(&log_whole, m->side, room);
        if (feed_piece(&log_whole, 0, stream_len))
                fcgi_log_eof(&log_whole);
}

/* Pieces that end at each of @cuts. */
static void feed_cuts(const struct message *m, uint16_t room, const size_t *cuts, size_t count)
{
        size_t from = 0;

        fcgi_log_init(&log_other, m->side, room);
        for (size_t i = 0; i < count; from = cuts[i++])
                if (!feed_piece(&log_other, from, cuts[i]))
                        return;
        fcgi_log_eof(&log_other);
}

static void feed_bytes(const struct message *m, uint16_t room)
{
        fcgi_log_init(&log_other, m->side, room);
        for (size_t i = 0; i < stream_len; i++)
                if (!feed_piece(&log_other, i, i + 1))
                        return;
        fcgi_log_eof(&log_other);
}

static void check_same(const struct message *m, const char *how, size_t a, size_t b)
{
        ck_assert(!log_whole.wrong && !log_other.wrong);
        ck_assert_msg(strcmp(log_other.text, log_whole.text) == 0, "%s, %s %zu %zu:\n  %s\n  %s", m->title,
                      how, a, b, log_other.text, log_whole.text);
}

#define EACH_MESSAGE(m) (const struct message *m = messages; m < messages + ARRAY_LEN(messages); m++)

START_TEST(test_feed_whole)
{
        for
                EACH_MESSAGE(m)
                {
                        use(m);
                        fcgi_log_init(&log_whole, m->side, ROOM);
                        log_whole.offsets = false;
                        if (feed_piece(&log_whole, 0, stream_len))
                                fcgi_log_eof(&log_whole);
                        ck_assert_msg(!log_whole.wrong && strcmp(log_whole.text, m->expect) == 0,
                                      "%s:\n  %s\n  %s", m->title, log_whole.text, m->expect);
                }
}
END_TEST

START_TEST(test_feed_byte_by_byte)
{
        for
                EACH_MESSAGE(m)
                {
                        use(m);
                        feed_whole(m, ROOM);
                        feed_bytes(m, ROOM);
                        check_same(m, "bytes", 0, 0);
                }
}
END_TEST

START_TEST(test_feed_split_everywhere)
{
        for
                EACH_MESSAGE(m)
                {
                        use(m);
                        feed_whole(m, ROOM);
                        for (size_t cut = 0; cut <= stream_len; cut++) {
                                feed_cuts(m, ROOM, (size_t[]){cut, stream_len}, 2);
                                check_same(m, "split at", cut, 0);
                        }
                        for (size_t a = 0; stream_len <= PAIRS_MAX && a <= stream_len; a++)
                                for (size_t b = a; b <= stream_len; b++) {
                                        feed_cuts(m, ROOM, (size_t[]){a, b, stream_len}, 3);
                                        check_same(m, "splits at", a, b);
                                }
                }
}
END_TEST

/* Whatever does not fit is cut the same way in every split, and the rest is still read. */
START_TEST(test_feed_with_little_room)
{
        for
                EACH_MESSAGE(m)
                {
                        use(m);
                        for (uint16_t room = 0; room < 64; room += 1 + room / 8) {
                                feed_whole(m, room);
                                feed_bytes(m, room);
                                check_same(m, "bytes, room", room, 0);
                        }
                }
}
END_TEST

START_TEST(test_feed_when_texts_do_not_fit)
{
        static const struct message m = {
                .side = FCGI_REQUESTS,
                .script = "B1 1|P1 SCRIPT_NAME=/long-script;HTTP_HOST=h;HTTP_BAGGAGE=abcd;HTTP_BAGGAGE=efgh;"
                          "QUERY_STRING=q;HTTP_TRACEPARENT=tp|P1|I1"};
        static const struct {
                uint16_t room;
                const char *expect;
        } rows[] = {
                {0, PARAMS1 "uri=CUT script=CUT query=CUT host=CUT tp=CUT bag=CUT composed" DONE1},
                {2, PARAMS1 "uri=CUT script=CUT query=q host=h tp=CUT bag=CUT composed" DONE1},
                {13, PARAMS1 "uri=CUT script=/long-script query=CUT host=h tp=CUT bag=CUT composed" DONE1},
                {25, PARAMS1 "uri=CUT script=/long-script query=q host=h tp=tp bag=CUT composed" DONE1},
                {29, PARAMS1 "uri=CUT script=/long-script query=q host=h tp=tp bag=abcd,efgh composed" DONE1},
                {44, PARAMS1 "uri=/long-script?q script=/long-script query=q host=h tp=tp bag=abcd,efgh "
                             "composed" DONE1},
        };

        use(&m);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                fcgi_log_init(&log_whole, m.side, rows[i].room);
                log_whole.offsets = false;
                ck_assert(feed_piece(&log_whole, 0, stream_len));
                fcgi_log_eof(&log_whole);
                ck_assert_str_eq(log_whole.text, rows[i].expect);
        }
}
END_TEST

START_TEST(test_feed_when_the_sink_stops)
{
        for
                EACH_MESSAGE(m)
                {
                        use(m);
                        feed_whole(m, ROOM);
                        fcgi_log_init(&log_other, m->side, ROOM);
                        log_other.stop = true;
                        if (feed_piece(&log_other, 0, stream_len))
                                fcgi_log_eof(&log_other);
                        check_same(m, "stopping", 0, 0);
                }
}
END_TEST

/* Feed ahead from @at, in two pieces, go back, feed again: as a short write does. */
static void feed_rewinding_at(const struct message *m, uint16_t room, size_t at, size_t ahead)
{
        struct fcgi_log_mark mark;

        fcgi_log_init(&log_other, m->side, room);
        if (!feed_piece(&log_other, 0, at))
                return;
        fcgi_log_mark(&log_other, &mark);
        if (feed_piece(&log_other, at, at + ahead / 2))
                (void)feed_piece(&log_other, at + ahead / 2, at + ahead);
        fcgi_log_rewind(&log_other, &mark);
        if (feed_piece(&log_other, at, stream_len))
                fcgi_log_eof(&log_other);
}

START_TEST(test_feed_after_a_rewind_everywhere)
{
        for
                EACH_MESSAGE(m)
                {
                        use(m);
                        feed_whole(m, ROOM);
                        for (size_t at = 0; at <= stream_len; at++)
                                for (size_t ahead = 1; ahead <= stream_len - at; ahead += 1 + ahead / 3) {
                                        feed_rewinding_at(m, ROOM, at, ahead);
                                        check_same(m, "rewound", at, ahead);
                                }
                }
}
END_TEST

static unsigned next_random(unsigned *state)
{
        *state = *state * 1103515245 + 12345;
        return *state >> 16;
}

static void feed_with_rewinds(const struct message *m, uint16_t room, unsigned seed)
{
        struct fcgi_log_mark mark;
        size_t at = 0;

        fcgi_log_init(&log_other, m->side, room);
        while (at < stream_len) {
                size_t ahead = at + 1 + next_random(&seed) % (stream_len - at);
                size_t keep = at + next_random(&seed) % (ahead - at + 1);

                fcgi_log_mark(&log_other, &mark);
                (void)feed_piece(&log_other, at, ahead);
                fcgi_log_rewind(&log_other, &mark);
                if (!feed_piece(&log_other, at, keep))
                        return;
                at = keep;
        }
        fcgi_log_eof(&log_other);
}

START_TEST(test_feed_after_rewinds)
{
        for
                EACH_MESSAGE(m)
        for (unsigned seed = 0; seed < 60; seed++) {
                uint16_t room = seed % 3 ? ROOM : (uint16_t)(seed % 50);

                use(m);
                feed_whole(m, room);
                feed_with_rewinds(m, room, seed);
                check_same(m, "rewinds, seed", seed, room);
        }
}
END_TEST

/* Cut off anywhere: the same events as far as the bytes went. */
START_TEST(test_feed_truncated_everywhere)
{
        for
                EACH_MESSAGE(m)
                {
                        use(m);
                        feed_whole(m, ROOM);
                        for (size_t cut = 0; cut < stream_len; cut++) {
                                fcgi_log_init(&log_other, m->side, ROOM);
                                if (!feed_piece(&log_other, 0, cut))
                                        continue;
                                ck_assert_msg(strncmp(log_other.text, log_whole.text, log_other.len) == 0,
                                              "%s cut at %zu: %s", m->title, cut, log_other.text);
                        }
                }
}
END_TEST

/* Whatever may pass unseen does, and nothing else is different. */
START_TEST(test_skip_whatever_may_be_skipped)
{
        unsigned long skipped = 0;

        for
                EACH_MESSAGE(m)
                {
                        size_t at = 0;
                        bool ok = true;

                        use(m);
                        feed_whole(m, ROOM);
                        fcgi_log_init(&log_other, m->side, ROOM);
                        while (ok && at < stream_len) {
                                size_t left = (size_t)fcgi_body_left(&log_other.parser);
                                size_t n = MIN(left, stream_len - at);

                                ok = n ? fcgi_log_skip(&log_other, n) : feed_piece(&log_other, at, at + 1);
                                at += n ? n : 1;
                                skipped += n;
                        }
                        if (ok)
                                fcgi_log_eof(&log_other);
                        check_same(m, "skips", 0, 0);
                }
        ck_assert_uint_gt(skipped, 200);
}
END_TEST

/* Nobody may miss that a request begins, that it is known, or that it is answered. */
START_TEST(test_body_left_in_padding)
{
        static const struct {
                enum fcgi_side side;
                const char *script;
                uint64_t left; /* four bytes before the end */
        } rows[] = {
                {FCGI_REQUESTS, "B1+8 1", 0},
                {FCGI_REQUESTS, "B1 1|P1+8", 0},
                {FCGI_REQUESTS, "B1 1|P1+8 A=b", 0},
                {FCGI_REQUESTS, "B1 1|P1|I1+8", 4},
                {FCGI_REQUESTS, "B1 1|P1|I1+2 abcdef", 4},
                {FCGI_REQUESTS, "B1 1|P1|D1+8", 4},
                {FCGI_REQUESTS, "B1 1|P1|A1+8", 4},
                {FCGI_REQUESTS, "G0+8 A=", 4},
                {FCGI_RESPONSES, "X1+8 0", 0},
                {FCGI_RESPONSES, "O1+8 \r\nx", 4},
                {FCGI_RESPONSES, "O1 \r\nabcdef", 4},
                {FCGI_RESPONSES, "O1 A: bcdef", 0},
                {FCGI_RESPONSES, "E1+1 abcdef", 4},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                stream_len = fcgi_script(stream, sizeof(stream), rows[i].script);
                fcgi_log_init(&log_whole, rows[i].side, ROOM);
                ck_assert(feed_piece(&log_whole, 0, stream_len - 4));
                ck_assert_msg(fcgi_body_left(&log_whole.parser) == rows[i].left, "%s", rows[i].script);
                ck_assert(fcgi_log_skip(&log_whole, 0));
                ck_assert_int_eq(fcgi_log_skip(&log_whole, 4), rows[i].left == 4);
                ck_assert_int_eq(log_whole.parser.lost, rows[i].left != 4);
                ck_assert_uint_eq(fcgi_body_left(&log_whole.parser), 0);
        }
}
END_TEST

START_TEST(test_skip_beyond_the_body)
{
        stream_len = fcgi_script(stream, sizeof(stream), "B1 1|P1|I1+2 abcd");
        fcgi_log_init(&log_whole, FCGI_REQUESTS, ROOM);
        ck_assert(feed_piece(&log_whole, 0, stream_len - 6));
        ck_assert_uint_eq(fcgi_body_left(&log_whole.parser), 6);
        ck_assert(!fcgi_log_skip(&log_whole, 7));
        ck_assert(!fcgi_log_skip(&log_whole, 0));
        ck_assert(!feed_piece(&log_whole, 0, 0));
}
END_TEST

/* --- limits --- */

static char big[FCGI_SCRIPT_CONTENT * 6];

static void put(struct fcgi_script *script, const char *text)
{
        script->len += fcgi_script(script->out + script->len, script->room - script->len, text);
}

/* A request with @total bytes of parameters, in records as big as they come. Return: whether it is read. */
static bool feed_params(uint32_t total)
{
        struct fcgi_script script = {big, sizeof(big), 0};
        static const char zeros[FCGI_CONTENT_MAX]; /* empty names with empty values */

        put(&script, "B1 1");
        for (uint32_t left = total, n; left; left -= n) {
                n = MIN(left, (uint32_t)FCGI_CONTENT_MAX - 1);
                fcgi_script_record(&script, 4, 1, zeros, n, 0);
        }
        put(&script, "P1|I1");
        fcgi_log_init(&log_whole, FCGI_REQUESTS, ROOM);
        return fcgi_log_feed(&log_whole, slice_make(big, script.len));
}

START_TEST(test_feed_parameters_at_the_limit)
{
        ck_assert(feed_params(LIMIT_FCGI_PARAMS));
        ck_assert_ptr_nonnull(strstr(log_whole.text, "end1"));
        ck_assert(!feed_params(LIMIT_FCGI_PARAMS + 2));
        ck_assert_ptr_null(strstr(log_whole.text, "params1"));
        ck_assert(feed_params(2));
}
END_TEST

/* A value longer than any record, and one longer than all there may be. */
START_TEST(test_feed_long_values)
{
        struct fcgi_script script = {big, sizeof(big), 0};
        static char value[100000];

        memset(value, 'v', sizeof(value));
        put(&script, "B1 1|R 0104000100100000 0b 800186a0 524551554553545f555249"); /* REQUEST_URI */
        for (size_t at = 0; at < sizeof(value); at += 50000)
                fcgi_script_record(&script, 4, 1, value, 50000, 3);
        put(&script, "P1 HTTP_HOST=h|P1|I1");
        fcgi_log_init(&log_whole, FCGI_REQUESTS, ROOM);
        log_whole.offsets = false;
        ck_assert(fcgi_log_feed(&log_whole, slice_make(big, script.len)));
        ck_assert_str_eq(log_whole.text, "begin1 responder params1 uri=CUT host=h head1 end1");
}
END_TEST

START_TEST(test_feed_many_open_requests)
{
        struct fcgi_script script = {big, sizeof(big), 0};
        char text[32];

        for (int id = 1; id <= LIMIT_FCGI_REQUESTS; id++) {
                snprintf(text, sizeof(text), "B%d 1k|P%d|I%d x", id, id, id);
                put(&script, text);
        }
        put(&script, "A7|B200 1k|P200|I3|B201 2|P201|B202 1|P202|B1 1k|P1"); /* in the places of 7, 3 and 1 */
        fcgi_log_init(&log_whole, FCGI_REQUESTS, ROOM);
        ck_assert(fcgi_log_feed(&log_whole, slice_make(big, script.len)));
        script.len = 0;
        put(&script, "B203 1k");
        ck_assert(!fcgi_log_feed(&log_whole, slice_make(big, script.len)));
}
END_TEST

/* A head of @len bytes before its blank line. Return: the status it is said to have. */
static uint16_t status_behind(size_t len)
{
        struct fcgi_script script = {big, sizeof(big), 0};
        static char head[LIMIT_FCGI_REPLY_HEAD];

        memset(head, 'a', len);
        memcpy(head, "Status: 404\nX: ", 15);
        fcgi_script_record(&script, 6, 1, head, len / 2, 0);
        fcgi_script_record(&script, 6, 1, head + len / 2, len - len / 2, 0);
        put(&script, "O1 \n\nbody");
        fcgi_log_init(&log_whole, FCGI_RESPONSES, 0);
        ck_assert(fcgi_log_feed(&log_whole, slice_make(big, script.len)));
        ck_assert(log_whole.replies[1].done);
        return log_whole.replies[1].status;
}

START_TEST(test_reply_head_at_the_limit)
{
        ck_assert_uint_eq(status_behind(1000), 404);
        ck_assert_uint_eq(status_behind(LIMIT_FCGI_REPLY_HEAD - 2), 404);
        ck_assert_uint_eq(status_behind(LIMIT_FCGI_REPLY_HEAD - 1), 0);
}
END_TEST

/* --- garbage --- */

/* Streams of the table with bytes changed, left out, doubled. */
static void damage(unsigned *seed)
{
        for (unsigned n = 1 + next_random(seed) % 4; n; n--) {
                size_t at = next_random(seed) % stream_len;

                if (next_random(seed) % 2)
                        stream[at] =
                                (char)(next_random(seed) % 3 ? next_random(seed) % 16 : next_random(seed));
                else if (next_random(seed) % 2 && stream_len < GUARDED)
                        memmove(stream + at + 1, stream + at, stream_len++ - at);
                else if (stream_len > 1)
                        memmove(stream + at, stream + at + 1, --stream_len - at);
        }
}

START_TEST(test_feed_damaged)
{
        unsigned seed = 1;

        for (int i = 0; i < 20000; i++) {
                const struct message *m = &messages[next_random(&seed) % ARRAY_LEN(messages)];

                use(m);
                damage(&seed);
                feed_whole(m, ROOM);
                feed_bytes(m, ROOM);
                check_same(m, "damaged", (size_t)i, 0);
        }
}
END_TEST

/* --- first guesses --- */

START_TEST(test_guess)
{
        static const struct {
                const char *script;
                enum fcgi_side side;
                size_t maybe;           /* bytes that are not enough ... */
                enum proto_guess guess; /* ... and what one more says */
        } rows[] = {
                {"B1 1", FCGI_REQUESTS, 9, PROTO_YES},
                {"B1 2k", FCGI_REQUESTS, 9, PROTO_YES},
                {"B65535+7 3", FCGI_REQUESTS, 9, PROTO_YES},
                {"B1 4", FCGI_REQUESTS, 9, PROTO_NO},
                {"B1 0", FCGI_REQUESTS, 9, PROTO_NO},
                {"R 01010001000800000101", FCGI_REQUESTS, 9, PROTO_NO},
                {"B0 1", FCGI_REQUESTS, 3, PROTO_NO},
                {"R 010100010007000000", FCGI_REQUESTS, 5, PROTO_NO},
                {"R 010100010108000000", FCGI_REQUESTS, 5, PROTO_NO},
                {"P1", FCGI_REQUESTS, 1, PROTO_NO},
                {"I1", FCGI_REQUESTS, 1, PROTO_NO},
                {"A1", FCGI_REQUESTS, 1, PROTO_NO},
                {"O1 x", FCGI_REQUESTS, 1, PROTO_NO},
                {"X1 0", FCGI_REQUESTS, 1, PROTO_NO},
                {"R 0100", FCGI_REQUESTS, 1, PROTO_NO},
                {"R 010c", FCGI_REQUESTS, 1, PROTO_NO},
                {"R 01ff", FCGI_REQUESTS, 1, PROTO_NO},
                {"R 00", FCGI_REQUESTS, 0, PROTO_NO},
                {"R 02", FCGI_REQUESTS, 0, PROTO_NO},
                {"R 47", FCGI_REQUESTS, 0, PROTO_NO},
                {"R 16030100", FCGI_REQUESTS, 0, PROTO_NO},
                {"G0 FCGI_MAX_CONNS=", FCGI_REQUESTS, 14, PROTO_YES},
                {"G1 FCGI_MAX_CONNS=", FCGI_REQUESTS, 3, PROTO_NO},
                {"G0 FCGI_MAX_CONNS=1", FCGI_REQUESTS, 9, PROTO_NO},
                {"G0 FCGX_MAX_CONNS=", FCGI_REQUESTS, 13, PROTO_NO},
                {"G0 FCG=", FCGI_REQUESTS, 8, PROTO_NO},
                {"G0 ~FCGI_MAX_CONNS=", FCGI_REQUESTS, 8, PROTO_NO},
                {"O1 Status: 200", FCGI_RESPONSES, 5, PROTO_YES},
                {"E1 x", FCGI_RESPONSES, 5, PROTO_YES},
                {"X1 0", FCGI_RESPONSES, 5, PROTO_YES},
                {"g0 FCGI_MAX_CONNS=1", FCGI_RESPONSES, 5, PROTO_YES},
                {"u0 12", FCGI_RESPONSES, 5, PROTO_YES},
                {"u1 12", FCGI_RESPONSES, 3, PROTO_NO},
                {"O0 x", FCGI_RESPONSES, 3, PROTO_NO},
                {"B1 1", FCGI_RESPONSES, 1, PROTO_NO},
                {"R 485454502f312e31", FCGI_RESPONSES, 0, PROTO_NO},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                stream_len = fcgi_script(stream, sizeof(stream), rows[i].script);
                for (size_t n = 0; n <= stream_len; n++) {
                        struct slice first = slice_make(unit_guarded(stream, n), n);
                        enum proto_guess want = n <= rows[i].maybe ? PROTO_MAYBE : rows[i].guess;

                        ck_assert_msg(fcgi_guess(first, rows[i].side) == want, "%s: %zu bytes",
                                      rows[i].script, n);
                }
        }
}
END_TEST

/* --- records of our own --- */

static void check_record(const struct fcgi_param *params, size_t count, size_t len, const char *expect)
{
        struct fcgi_script script = {stream, sizeof(stream), 0};
        static char out[2048];

        memset(out, '#', sizeof(out));
        ck_assert_uint_eq(fcgi_write_param_record(out, len - 1, 0x1234, params, count), 0);
        ck_assert_int_eq(out[0], '#');
        ck_assert_uint_eq(fcgi_write_param_record(out, len, 0x1234, params, count), len);
        ck_assert_int_eq(out[len], '#');
        ck_assert_uint_eq(len % 8, 0);
        put(&script, "B4660 1|P4660 HTTP_HOST=h");
        fcgi_script_put(&script, out, len);
        put(&script, "P4660|I4660");
        fcgi_log_init(&log_whole, FCGI_REQUESTS, ROOM);
        log_whole.offsets = false;
        ck_assert(fcgi_log_feed(&log_whole, slice_make(stream, script.len)));
        ck_assert_str_eq(log_whole.text, expect);
}

START_TEST(test_write_param_record)
{
        static char long_text[200], expect[512];
        const struct fcgi_param params[] = {
                {SLICE("HTTP_TRACEPARENT"), SLICE("00-t")},
                {SLICE("HTTP_TRACESTATE"), SLICE_NULL},
                {SLICE("HTTP_BAGGAGE"), SLICE("b=1")},
        };

        check_record(params, 1, 32, "begin4660 responder params4660 host=h tp=00-t head4660 end4660");
        check_record(params, 2, 32, "begin4660 responder params4660 host=h tp=00-t head4660 end4660");
        check_record(params, 3, 48, "begin4660 responder params4660 host=h tp=00-t bag=b=1 head4660 end4660");
        memset(long_text, 'x', sizeof(long_text));
        for (size_t len = 120; len < 136; len++) {
                struct fcgi_param one = {SLICE("HTTP_BAGGAGE"), slice_make(long_text, len)};
                struct fcgi_param nameless = {slice_make(long_text, len), SLICE("1")};
                size_t content = 1 + (len > 127 ? 4 : 1) + 12 + len;

                snprintf(expect, sizeof(expect),
                         "begin4660 responder params4660 host=h bag=%.*s head4660 end4660", (int)len,
                         long_text);
                check_record(&one, 1, (8 + content + 7) / 8 * 8, expect);
                content = 1 + (len > 127 ? 4 : 1) + 1 + len;
                check_record(&nameless, 1, (8 + content + 7) / 8 * 8,
                             "begin4660 responder params4660 host=h head4660 end4660");
        }
}
END_TEST

START_TEST(test_write_param_record_when_it_does_not_fit)
{
        static char text[70000];
        const struct fcgi_param most = {SLICE("N"), slice_make(text, FCGI_CONTENT_MAX - 6)};
        const struct fcgi_param more = {SLICE("N"), slice_make(text, FCGI_CONTENT_MAX - 5)};
        const struct fcgi_param two[] = {{SLICE("N"), slice_make(text, 40000)},
                                         {SLICE("M"), slice_make(text, 40000)}};
        const struct fcgi_param none[] = {{SLICE("N"), SLICE_NULL}, {SLICE("M"), SLICE("")}};
        const struct fcgi_param huge = {SLICE("N"), slice_make(text, SIZE_MAX - 3)};
        char *out = big;

        memset(big, '#', sizeof(big));
        ck_assert_uint_eq(fcgi_write_param_record(out, sizeof(big), 1, &more, 1), 0);
        ck_assert_uint_eq(fcgi_write_param_record(out, sizeof(big), 1, two, 2), 0);
        ck_assert_uint_eq(fcgi_write_param_record(out, sizeof(big), 1, &huge, 1), 0);
        ck_assert_uint_eq(fcgi_write_param_record(out, sizeof(big), 1, none, 2), 0);
        ck_assert_uint_eq(fcgi_write_param_record(out, sizeof(big), 1, none, 0), 0);
        ck_assert_int_eq(out[0], '#');
        ck_assert_uint_eq(fcgi_write_param_record(out, sizeof(big), 1, &most, 1), FCGI_CONTENT_MAX + 9);
        ck_assert_int_eq(out[4], '\xff');
        ck_assert_int_eq(out[5], '\xff');
        ck_assert_int_eq(out[6], 1);
}
END_TEST

UNIT_MAIN_WITH("fcgi", setup, test_feed_whole, test_feed_byte_by_byte, test_feed_split_everywhere,
               test_feed_with_little_room, test_feed_when_texts_do_not_fit, test_feed_when_the_sink_stops,
               test_feed_after_a_rewind_everywhere, test_feed_after_rewinds, test_feed_truncated_everywhere,
               test_skip_whatever_may_be_skipped, test_body_left_in_padding, test_skip_beyond_the_body,
               test_feed_parameters_at_the_limit, test_feed_long_values, test_feed_many_open_requests,
               test_reply_head_at_the_limit, test_feed_damaged, test_guess, test_write_param_record,
               test_write_param_record_when_it_does_not_fit)
