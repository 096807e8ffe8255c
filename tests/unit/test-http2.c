/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2: one table of streams, fed whole, in every split, against a guard page, with rewinds and skips. */
#include "agent/base/load.h"
#include "agent/proto/http2.h"
#include "tests/unit/http2-log.h"
#include "tests/unit/http2-script.h"
#include "tests/unit/unit.h"

#define GUARDED (512 * 1024)
#define START   "PRI|S|"
#define GET     ":method=GET;:scheme=http;:authority=h;:path=/"
#define SEEN    "settings "
#define ASKED   "method=GET scheme=http auth=h path=/"

struct message {
        const char *title;
        enum http2_sender sender;
        const char *script; /* see http2-script.h */
        const char *expect; /* what the log says, without offsets */
};

#define C HTTP2_CLIENT
#define S HTTP2_SERVER

static const struct message messages[] = {
        {"nothing but the preface", C, "PRI", "idle"},
        {"one request", C, START "H1e " GET, SEEN "open1 request1 " ASKED " end1 idle"},
        {"the same again, from the table", C, START "H1e " GET "|H3e " GET "|H5e " GET,
         SEEN "open1 request1 " ASKED " end1 open3 request3 " ASKED " end3 open5 request5 " ASKED
              " end5 idle"},
        {"padding and priority", C, START "H1epr " GET "|H3p " GET "|H5r " GET,
         SEEN "open1 request1 " ASKED " end1 open3 request3 " ASKED " open5 request5 " ASKED " idle"},
        {"a block in four frames", C, START "H1epr/4 " GET ";user-agent=curl",
         SEEN "open1 request1 " ASKED " ua=curl end1 idle"},
        {"a block in more frames than it has bytes", C, START "H1e/40 " GET,
         SEEN "open1 request1 " ASKED " end1 idle"},
        {"bodies interleaved, and trailers", C, START "H1 " GET "|H3 " GET "|D1 5|D3 0|D1 70|H1e x=y|D3e 9",
         SEEN "open1 request1 " ASKED " open3 request3 " ASKED
              " data1 data3 data1 more1 trailers1 end1 data3 end3 idle"},
        {"all that is kept", C,
         START "H1 " GET ";host=i;traceparent=t;tracestate=a=1;user-agent=u v;baggage=b;forwarded=f;"
               "x-forwarded-for=1;x-forwarded-proto=p;x-forwarded-host=o;content-type=application/grpc+proto;"
               "te=trailers;content-length=12",
         SEEN "open1 request1 " ASKED " host=i tp=t ts=a=1 ua=u v bag=b fwd=f for=1 proto=p fhost=o "
              "ctype=application/grpc+proto te=trailers grpc length=12 idle"},
        {"several of one name", C,
         START "H1 " GET
               ";tracestate=a=1;tracestate=b=2;traceparent=x;traceparent=y;!baggage=;baggage=c;user-agent=1;"
               "user-agent=2",
         SEEN "open1 request1 " ASKED " tp=x ts=a=1,b=2 ua=1 bag=c tp*2 ts*2 idle"},
        {"a value that nobody should send", C, START "H1 " GET ";user-agent=a\x01;baggage=ok",
         SEEN "open1 request1 " ASKED " ua=CUT bag=ok idle"},
        {"settings, reset, end", C, START "S 1=0,5=20000,3=100|A|H1 " GET "|R1 8|G 0 11",
         "settings settings=20000,0 ack open1 request1 " ASKED " reset1=8 goaway0=11 idle"},
        {"other frames pass", C,
         START
         "= 0000080600000000000102030405060708|= 00000408000000000000000001|= 00000502000000000100000000ff|"
         "= 0000030c00000000ff616263|= 00000010ff00000007",
         SEEN "idle"},
        {"a reserved bit is ignored", C,
         START "= 000004080080000001"
               "80000001",
         SEEN "idle"},
        {"a smaller table", C, START "H1e " GET "|T 0|H3e " GET,
         SEEN "open1 request1 " ASKED " end1 open3 request3 " ASKED " end3 idle"},

        {"answers", S, "S|A|H1 :status=200;content-type=text/plain|D1 10|D1e 3|H3e :status=404",
         "settings ack more1 response1 200 ctype=text/plain data1 data1 end1 more3 response3 404 end3 idle"},
        {"an interim answer", S, "S|H1 :status=103|H1e :status=204",
         "settings more1 response1 103 more1 response1 204 end1 idle"},
        {"gRPC", S, "S|H1 :status=200;content-type=application/grpc|D1 5|H1e grpc-status=0;grpc-message=",
         "settings more1 response1 200 ctype=application/grpc grpc data1 more1 trailers1 status=0 end1 idle"},
        {"gRPC, trailers only", S,
         "S|H1e :status=200;content-type=application/grpc;grpc-status=12;grpc-message=no such method",
         "settings more1 response1 200 ctype=application/grpc grpc status=12 message=14 end1 idle"},
        {"a status that is none", S, "S|H1e :status=200;grpc-status=x",
         "settings more1 response1 200 end1 idle"},
        {"a push", S, "S|P1>2 " GET "|H2 :status=200|P1>4p/2 " GET ";user-agent=abcdefgh|D2e 1",
         "settings more1 promise1>2 " ASKED " more2 response2 200 more1 promise1>4 " ASKED
         " ua=abcdefgh data2 end2 idle"},

        /* Not HTTP/2, or not any more. */
        {"another preface", C, "= 505249202a20485454502f322e300d0a0d0a534d0d0a0d0b", " LOST"},
        {"no settings first", C, "PRI|H1e " GET, " LOST"},
        {"an ACK first", S, "A", " LOST"},
        {"an ACK with settings", S, "S|= 000006040100000000000100000000", "settings LOST"},
        {"half a setting", S, "= 000005040000000000", " LOST"},
        {"settings of a stream", S, "= 000000040000000001", " LOST"},
        {"a frame size that cannot be", S, "S 5=100", " LOST"},
        {"a long frame", S, "S|D1 16385", "settings LOST"},
        {"data of nothing", C, START "D1 3", "settings LOST"},
        {"data of the connection", S, "S|D0 3", "settings LOST"},
        {"a stream that goes backwards", C, START "H3e " GET "|H1e " GET,
         SEEN "open3 request3 " ASKED " end3 more1 LOST"},
        {"a client with an even stream", C, START "H2e " GET, "settings LOST"},
        {"a request without a method", C, START "H1e :path=/", SEEN "open1 LOST"},
        {"a client with a status", C, START "H1e :method=GET;:status=200", SEEN "open1 LOST"},
        {"a server that asks", S, "S|H1e " GET, "settings more1 LOST"},
        {"a client that promises", C, START "H1 " GET "|P1>2 " GET, SEEN "open1 request1 " ASKED " LOST"},
        {"a promise of what was", S, "S|P1>4 " GET "|P1>2 " GET, "settings more1 promise1>4 " ASKED " LOST"},
        {"something between the frames of a block", C,
         START "= 000001010000000001"
               "82|= 0000080600000000000102030405060708",
         SEEN "open1 LOST"},
        {"data between the frames of a block", C,
         START "= 000001010000000001"
               "82|= 000000000000000001",
         SEEN "open1 LOST"},
        {"a continuation of another stream", C,
         START "= 000001010000000001"
               "82|= 000001090400000003"
               "84",
         SEEN "open1 LOST"},
        {"a continuation of nothing", C,
         START "= 000001090400000001"
               "82",
         "settings LOST"},
        {"more padding than payload", C,
         START "= 0000040c0000000001"
               "00000000|= 0000040108000000010a828282",
         SEEN "open1 LOST"},
        {"no room for a priority", C,
         START "= 000004012000000001"
               "00000000",
         "settings LOST"},
        {"a reset of the connection", C,
         START "= 000004030000000000"
               "00000000",
         "settings LOST"},
        {"a long ping", C, START "= 000009060000000000", "settings LOST"},
        {"a short end", C, START "= 000007070000000000", "settings LOST"},
        {"an index that nobody has", C,
         START "= 000001010400000001"
               "ff",
         SEEN "open1 LOST"},
        {"an index of zero", C,
         START "= 000001010400000001"
               "80",
         SEEN "open1 LOST"},
        {"half a field", C,
         START "= 000003010400000001"
               "000a61",
         SEEN "open1 LOST"},
        {"a table larger than allowed", C, START "T 8192|H1e " GET, SEEN "open1 LOST"},
        {"yamux after the preface", C, START "= 000000010000000100000000", "settings LOST"},
        {"cut off in a frame", C, START "= 0000080600000000000102", SEEN "busy"},
        {"cut off in a block", C,
         START "= 000001010000000001"
               "82",
         SEEN "open1 busy"},
};

static struct http2_log log_whole, log_other;
static char stream[GUARDED];
static size_t stream_len;
static char *guarded;

static void setup(void)
{
        static const char zeros[GUARDED];

        guarded = unit_guarded(zeros, GUARDED);
}

/* The bytes moved right before the forbidden page. */
static bool feed_piece(struct http2_log *log, size_t from, size_t to)
{
        size_t len = to - from;

        return http2_log_feed(log, slice_make(memcpy(guarded + GUARDED - len, stream + from, len), len));
}

static void feed_whole(const struct message *m, uint16_t room)
{
        stream_len = http2_script(stream, sizeof(stream), m->script);
        http2_log_init(&log_whole, m->sender, room);
        if (feed_piece(&log_whole, 0, stream_len))
                http2_log_eof(&log_whole);
}

/* Pieces of @step bytes, the first one of @first. */
static void feed_pieces(const struct message *m, uint16_t room, size_t first, size_t step, bool stop)
{
        http2_log_init(&log_other, m->sender, room);
        log_other.stop = stop;
        for (size_t from = 0, to = MIN(first, stream_len); from < stream_len;
             from = to, to = MIN(to + step, stream_len))
                if (!feed_piece(&log_other, from, to))
                        return;
        http2_log_eof(&log_other);
}

static void check_same(const struct message *m, const char *how, size_t a)
{
        ck_assert(!log_whole.wrong && !log_other.wrong);
        ck_assert_msg(strcmp(log_other.text, log_whole.text) == 0, "%s, %s %zu:\n  %s\n  %s", m->title, how,
                      a, log_other.text, log_whole.text);
}

#define EACH_MESSAGE(m) (const struct message *m = messages; m < messages + ARRAY_LEN(messages); m++)

START_TEST(test_feed_whole)
{
        for
                EACH_MESSAGE(m)
                {
                        stream_len = http2_script(stream, sizeof(stream), m->script);
                        http2_log_init(&log_whole, m->sender, HTTP2_LOG_ROOM);
                        log_whole.offsets = false;
                        if (feed_piece(&log_whole, 0, stream_len))
                                http2_log_eof(&log_whole);
                        ck_assert_msg(!log_whole.wrong && strcmp(log_whole.text, m->expect) == 0,
                                      "%s:\n  %s\n  %s", m->title, log_whole.text, m->expect);
                }
}
END_TEST

START_TEST(test_feed_split_everywhere)
{
        for
                EACH_MESSAGE(m)
                {
                        feed_whole(m, HTTP2_LOG_ROOM);
                        if (stream_len > 4096)
                                continue;
                        feed_pieces(m, HTTP2_LOG_ROOM, 1, 1, false);
                        check_same(m, "bytes", 1);
                        feed_pieces(m, HTTP2_LOG_ROOM, 1, 1, true);
                        check_same(m, "bytes, stopping", 1);
                        for (size_t cut = 1; cut <= stream_len; cut++) {
                                feed_pieces(m, HTTP2_LOG_ROOM, cut, stream_len, cut % 2);
                                check_same(m, "split at", cut);
                                feed_pieces(m, HTTP2_LOG_ROOM, cut, 7, false);
                                check_same(m, "sevens from", cut);
                        }
                }
}
END_TEST

/* Whatever does not fit is cut the same way in every split, and the rest is still read. */
START_TEST(test_feed_with_little_room)
{
        for
                EACH_MESSAGE(m)
        for (uint16_t room = 0; room < 64; room++) {
                feed_whole(m, room);
                feed_pieces(m, room, 3, 5, false);
                check_same(m, "room", room);
        }
}
END_TEST

/* A snapshot at @from, fed on to @to, put back and fed again. */
static void feed_again(const struct message *m, size_t from, size_t to)
{
        static struct http2_log_mark mark;

        http2_log_init(&log_other, m->sender, HTTP2_LOG_ROOM);
        if (!feed_piece(&log_other, 0, from))
                return;
        http2_log_mark(&log_other, &mark);
        (void)feed_piece(&log_other, from, to);
        http2_log_rewind(&log_other, &mark);
        if (from < to && !feed_piece(&log_other, from, from + 1))
                return;
        http2_log_rewind(&log_other, &mark);
        http2_unmark(&log_other.parser);
        if (feed_piece(&log_other, from, stream_len))
                http2_log_eof(&log_other);
}

START_TEST(test_rewind_everywhere)
{
        for
                EACH_MESSAGE(m)
                {
                        feed_whole(m, HTTP2_LOG_ROOM);
                        if (stream_len > 1024)
                                continue;
                        for (size_t from = 0; from <= stream_len; from++)
                                for (size_t to = from; to <= stream_len; to += 1 + (to - from) / 4) {
                                        feed_again(m, from, to);
                                        check_same(m, "put back to", from);
                                }
                }
}
END_TEST

START_TEST(test_skip_bodies)
{
        for
                EACH_MESSAGE(m)
                {
                        size_t at = 0;

                        feed_whole(m, HTTP2_LOG_ROOM);
                        http2_log_init(&log_other, m->sender, HTTP2_LOG_ROOM);
                        while (at < stream_len && !log_other.parser.lost) {
                                uint64_t left = http2_body_left(&log_other.parser);
                                size_t n = MIN((size_t)(left ? left : 1), stream_len - at);

                                if (left ? http2_log_skip(&log_other, n) : feed_piece(&log_other, at, at + n))
                                        at += n;
                        }
                        if (!log_other.parser.lost)
                                http2_log_eof(&log_other);
                        check_same(m, "skips", 0);
                        http2_log_init(&log_other, m->sender, HTTP2_LOG_ROOM);
                        ck_assert(!http2_log_skip(&log_other, 1));
                }
}
END_TEST

/* Fields of @each bytes until the block has @total, in @frames frames. */
static const char *large_script(size_t total, size_t each, unsigned frames, const char *name)
{
        static char text[400 * 1024];
        size_t len = (size_t)snprintf(text, sizeof(text), START "H1e/%u " GET, frames);

        for (size_t sum = 0; sum < total; sum += each) {
                len += (size_t)sprintf(text + len, ";%s=", name);
                for (size_t i = 0; i < each; i++)
                        text[len++] = "%&()*<>?"[i % 8]; /* worse than nothing when Huffman coded */
        }
        text[len] = '\0';
        return text;
}

static void check_large(const char *script, bool fits)
{
        struct message m = {"large", HTTP2_CLIENT, script, NULL};

        feed_whole(&m, HTTP2_LOG_ROOM);
        ck_assert_msg(log_whole.parser.lost != fits, "%s", log_whole.text);
        feed_pieces(&m, HTTP2_LOG_ROOM, 1, 1000, false);
        check_same(&m, "large", 0);
}

START_TEST(test_large_blocks)
{
        check_large(large_script(200 * 1000, 1000, 16, "!x-a"), true);
        check_large(large_script(200 * 1000, 50000, 16, "!x-a"), true);
        check_large(large_script(120 * 1000, 1000, 16, "x-a"), true);
        check_large(large_script(265 * 1000, 1000, 20, "!x-a"), false); /* over LIMIT_HTTP_HEAD */
}
END_TEST

/* An entry of 3000 bytes, named by one byte again and again. */
START_TEST(test_bomb)
{
        static unsigned char refers[16000];
        struct http2_script *script = calloc(1, sizeof(*script));
        struct message m = {"bomb", HTTP2_CLIENT, large_script(3000, 3000, 1, "x"), NULL};

        ck_assert_ptr_nonnull(script);
        feed_whole(&m, HTTP2_LOG_ROOM);
        ck_assert(!log_whole.parser.lost);
        memset(refers, 0xbe, sizeof(refers)); /* the newest entry */
        script->out = (unsigned char *)stream;
        script->room = sizeof(stream);
        http2_script_frame(script, "\x82", 1, HTTP2_HEADERS, 0, 3);
        http2_script_frame(script, refers, 200, HTTP2_CONTINUATION, 0, 3);
        ck_assert(feed_piece(&log_whole, 0, script->len));
        script->len = 0;
        http2_script_frame(script, refers, sizeof(refers), HTTP2_CONTINUATION, HTTP2_END_HEADERS, 3);
        ck_assert(!feed_piece(&log_whole, 0, script->len));
        free(script);
}
END_TEST

/* Tables up to what is in force, after it is. */
START_TEST(test_table_limits)
{
        struct message m = {"tables", HTTP2_CLIENT, START "A|T 8192|H1e " GET, NULL};

        stream_len = http2_script(stream, sizeof(stream), m.script);
        http2_log_init(&log_whole, HTTP2_CLIENT, HTTP2_LOG_ROOM);
        log_whole.table = 8192;
        ck_assert(feed_piece(&log_whole, 0, stream_len) && !log_whole.wrong);
        http2_log_init(&log_whole, HTTP2_CLIENT, HTTP2_LOG_ROOM);
        log_whole.table = 8191;
        ck_assert(!feed_piece(&log_whole, 0, stream_len));
        /* A smaller one has to be acknowledged by the encoder. */
        stream_len = http2_script(stream, sizeof(stream), START "A|H1e " GET);
        http2_log_init(&log_whole, HTTP2_CLIENT, HTTP2_LOG_ROOM);
        log_whole.table = 100;
        ck_assert(!feed_piece(&log_whole, 0, stream_len));
}
END_TEST

/* Many blocks that turn the table over: the memory stays what it was. */
START_TEST(test_memory_is_reused)
{
        static char text[200];
        struct http2_script *script = calloc(1, sizeof(*script));
        uint32_t most = 0;

        ck_assert_ptr_nonnull(script);
        ck_assert_int_eq(nghttp2_hd_deflate_new(&script->deflater, 4096), 0);
        script->out = (unsigned char *)stream;
        script->room = sizeof(stream);
        http2_script_item(script, strcpy(text, "PRI"));
        http2_script_item(script, strcpy(text, "S"));
        http2_log_init(&log_whole, HTTP2_CLIENT, HTTP2_LOG_ROOM);
        for (unsigned i = 0; i < 20000; i++) {
                snprintf(text, sizeof(text), "H%ue " GET ";x-%u=%0*u", 2 * i + 1, i, (int)(i * 7 % 100), i);
                http2_script_item(script, text);
                ck_assert(feed_piece(&log_whole, 0, script->len) && !log_whole.wrong);
                script->len = 0;
                log_whole.len = 0;
                if (i == 10000)
                        most = log_whole.memory.used;
        }
        ck_assert_uint_lt(most, 32 * 1024);
        ck_assert_uint_le(log_whole.memory.used, most + 8 * 1024);
        nghttp2_hd_deflate_del(script->deflater);
        free(script);
}
END_TEST

/* What we write is read as it was meant, at every length. */
START_TEST(test_write_field)
{
        static char value[20000], frame[20100];

        memset(value, 'v', sizeof(value));
        for (size_t len = 0; len < 10000; len += len < 300 ? 1 : 977) {
                struct slice expected = slice_make(value, len);
                size_t n = http2_write_field(frame, sizeof(frame), SLICE("baggage"), expected), used;

                ck_assert_uint_gt(n, len);
                ck_assert_uint_eq(http2_write_field(frame, len, SLICE("baggage"), expected), 0);
                stream_len = http2_script(stream, sizeof(stream), START);
                http2_write_header(stream + stream_len, (uint32_t)n + 1, HTTP2_HEADERS, HTTP2_END_HEADERS, 1);
                used = stream_len + HTTP2_FRAME_HEADER_LEN;
                stream[used++] = (char)0x82;
                memcpy(stream + used, frame, n);
                stream_len = used + n;
                http2_log_init(&log_whole, HTTP2_CLIENT, HTTP2_LOG_ROOM);
                ck_assert(feed_piece(&log_whole, 0, stream_len));
                ck_assert(slice_eq(http2_text_get(&log_whole.parser, HTTP2_BAGGAGE), expected));
        }
        ck_assert_uint_eq(http2_write_field(frame, sizeof(frame), SLICE("b"), slice_make(value, 1 << 14)), 0);
}
END_TEST

START_TEST(test_guess)
{
        static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore";

        for (size_t n = 0; n <= sizeof(preface); n++) {
                const char *p = unit_guarded(preface, n);

                ck_assert_int_eq(http2_guess(slice_make(p, n), HTTP2_CLIENT),
                                 n < HTTP2_PREFACE_LEN ? PROTO_MAYBE : PROTO_YES);
        }
        ck_assert_int_eq(http2_guess(SLICE("PRI * HTTP/1.1\r\n"), HTTP2_CLIENT), PROTO_NO);
        ck_assert_int_eq(http2_guess(SLICE("GET / HTTP/1.1\r\n"), HTTP2_CLIENT), PROTO_NO);
        ck_assert_int_eq(http2_guess(SLICE("PRIVATE"), HTTP2_CLIENT), PROTO_NO);
        for (size_t n = 0; n <= HTTP2_FRAME_HEADER_LEN; n++)
                ck_assert_int_eq(
                        http2_guess(slice_make(unit_guarded("\0\0\x0c\4\0\0\0\0\0", n), n), HTTP2_SERVER),
                        n < HTTP2_FRAME_HEADER_LEN ? PROTO_MAYBE : PROTO_YES);
        ck_assert_int_eq(http2_guess(SLICE("\0\0\x0d\4"), HTTP2_SERVER), PROTO_NO);
        ck_assert_int_eq(http2_guess(SLICE("220 hello"), HTTP2_SERVER), PROTO_NO);
}
END_TEST

UNIT_MAIN_WITH("http2", setup, test_feed_whole, test_feed_split_everywhere, test_feed_with_little_room,
               test_rewind_everywhere, test_skip_bodies, test_large_blocks, test_bomb, test_table_limits,
               test_memory_is_reused, test_write_field, test_guess)
