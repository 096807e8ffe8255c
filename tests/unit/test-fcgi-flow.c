/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FastCGI through the tap, as a client: what arrives is the original with exactly one context added or
 * replaced per request, wherever the writes are cut, the host is told its own byte counts, and every request
 * is a span with the status of its own answer.
 */
#include "agent/base/stats.h"
#include "agent/trace/traceparent.h"
#include "tests/unit/fcgi-script.h"
#include "tests/unit/wire.h"

#define TRACE    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define INCOMING "00-" TRACE "-bbbbbbbbbbbbbbbb-01"
#define RECORD   88 /* bytes that a context takes in a record of its own */
#define TAIL     "\x0f\x03HTTP_TRACESTATEs=1\x0c\x03HTTP_BAGGAGEb=1"

static unsigned long dice_state;

static unsigned dice(unsigned sides)
{
        dice_state = dice_state * 6364136223846793005ul + 1442695040888963407ul;
        return (unsigned)(dice_state >> 33) % sides;
}

/* --- what is sent --- */

struct stream {
        char bytes[65536];
        size_t len;
        size_t ends[64]; /* where its empty PARAMS records begin */
        unsigned end_count;
        size_t value_at; /* of the first HTTP_TRACEPARENT's value */
};

static uint16_t be16(const char *p)
{
        return (uint16_t)((uint8_t)p[0] << 8 | (uint8_t)p[1]);
}

static size_t record_len(const char *p)
{
        return 8 + (size_t)be16(p + 4) + (uint8_t)p[6];
}

static void make(struct stream *stream, const char *script)
{
        static const char name[] = "HTTP_TRACEPARENT";
        char *value;

        stream->len = fcgi_script(stream->bytes, sizeof(stream->bytes), script);
        stream->end_count = 0;
        for (size_t at = 0; at < stream->len; at += record_len(stream->bytes + at))
                if (stream->bytes[at + 1] == 4 && be16(stream->bytes + at + 4) == 0)
                        stream->ends[stream->end_count++] = at;
        value = memmem(stream->bytes, stream->len, name, strlen(name));
        stream->value_at = value ? (size_t)(value - stream->bytes) + strlen(name) : 0;
}

static void recv_bytes(const char *bytes, size_t len)
{
        struct iovec iov = {(void *)(uintptr_t)bytes, len};
        struct tap_in in;

        tap_net_in_begin(&in, FD, 0);
        tap_net_in_end(&in, &iov, 1, (ssize_t)len, 0, 65536);
}

static void answer(const char *script)
{
        static char bytes[65536];

        recv_bytes(bytes, fcgi_script(bytes, sizeof(bytes), script));
}

static void send_whole(const char *bytes, size_t len)
{
        if (len)
                ck_assert_int_eq(host_send(bytes, len, take_all), (ssize_t)len);
}

static void send_split(const struct stream *stream, size_t split)
{
        send_whole(stream->bytes, split);
        send_whole(stream->bytes + split, stream->len - split);
}

/* Of each call at most so many bytes are taken; @take_first of the first one. */
static size_t take_first, take_then;

static long take_little(size_t offered)
{
        size_t n = take_first ? take_first : take_then;

        take_first = 0;
        return (long)(n < offered ? n : offered);
}

/* A host that offers again what was not taken. */
static void send_on(const char *bytes, size_t len)
{
        for (size_t at = 0; at < len;) {
                ssize_t n = host_send(bytes + at, len - at, take_little);

                ck_assert_int_ge(n, 0);
                ck_assert_int_le(n, (ssize_t)(len - at));
                at += (size_t)n;
        }
}

static void close_told(unsigned spans)
{
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, spans);
        ck_assert_int_eq(open_now, 0);
}

/* --- what arrives --- */

static char hexes[64][17]; /* ids of the spans that the wire names, in order */

/* Is it a record of ours, before the end of its request's parameters? */
static bool is_ours(const char *record, size_t left, const char *tail)
{
        static const char name[] = "\x10\x37HTTP_TRACEPARENT00-";
        size_t len = record_len(record), text = 2 + 16 + 55;

        if (record[1] != 4 || len + 8 > left || memcmp(record + 8, name, strlen(name)) != 0)
                return false;
        if (record[len + 1] != 4 || be16(record + len + 2) != be16(record + 2) || be16(record + len + 4))
                return false;
        ck_assert_uint_eq(be16(record + 4), text + strlen(tail));
        ck_assert_mem_eq(record + 8 + text, tail, strlen(tail));
        ck_assert_uint_eq(len % 8, 0);
        return true;
}

/* Cuts our records out of the wire. Return: how many there were. */
static unsigned strip(char *out, size_t *ret_len, const char *tail)
{
        unsigned found = 0;
        size_t len = 0, at = 0;

        while (at < wire_len) {
                size_t size = record_len(wire + at);

                ck_assert_uint_le(size, wire_len - at);
                if (is_ours(wire + at, wire_len - at, tail)) {
                        memcpy(hexes[found++], wire + at + 8 + 18 + 36, 16);
                } else {
                        memcpy(out + len, wire + at, size);
                        len += size;
                }
                at += size;
        }
        *ret_len = len;
        return found;
}

static char stripped[sizeof(wire)];

/* Return: how many contexts were added to what the host sent. */
static unsigned added(const struct stream *stream, const char *tail)
{
        size_t len;
        unsigned found = strip(stripped, &len, tail);

        ck_assert_uint_eq(len, stream->len);
        ck_assert_mem_eq(stripped, stream->bytes, len);
        return found;
}

/* Does the wire name this span, at @which place? */
static void expect_named(const struct told *span, unsigned which)
{
        char hex[17];

        for (int i = 0; i < 8; i++)
                snprintf(hex + 2 * i, 3, "%02x", span->span_id[i]);
        ck_assert_mem_eq(hexes[which], hex, 16);
}

static void expect_span(const struct told *span, const char *target, int status)
{
        ck_assert_int_eq(span->shape, SHAPE_HTTP_CLIENT);
        ck_assert_str_eq(span->target, target);
        ck_assert_int_eq(span->status, status);
        ck_assert_int_eq(span->truncated + span->incomplete + span->error, 0);
}

/* --- a context added --- */

struct row {
        const char *script, *answers;
        unsigned requests; /* told with status 200 and on */
};

#define PAIRS "REQUEST_METHOD=GET;REQUEST_URI=/items?id=1"

static const struct row rows[] = {
        {"B1 1|P1 " PAIRS "|P1|I1", "O1 \r\n|X1 0", 1},
        {"B1 1k|P1 " PAIRS "|P1|I1 body|I1", "O1 Status: 200 OK\r\n\r\nx|O1|X1 0", 1},
        {"B1+8 1|P1+3 " PAIRS "|P1+7|I1+1 body|I1+2", "O1+1 \r\n|X1+8 0", 1},
        {"B1 1|P1/7 " PAIRS "|P1|I1", "E1 x|O1/1 A: b\r\n\r\n|X1 0", 1},
        {"B256 1k|P256 ~" PAIRS "|P256|I256", "O256 \r\n|X256 0", 1},
        {"B1 2|P1 " PAIRS "|P1", "O1 \r\n|X1 0", 1},
        {"B1 3|P1 " PAIRS "|P1|I1|D1 data|D1", "O1 \r\n|X1 0", 1},
        {"G0 FCGI_MAX_CONNS=;FCGI_MPXS_CONNS=|B1 1|P1 " PAIRS "|P1|I1", "g0 FCGI_MPXS_CONNS=1|O1 \r\n|X1 0",
         1},
        {"B1 1k|P1 " PAIRS "|P1|B2 1k|I1 a|P2 " PAIRS "|I1|P2|I2", "O2 \r\n|O1 \r\n|X1 0|X2 0", 2},
        {"B1 1k|P1 A=b|A1|B1 1k|P1 " PAIRS "|P1|I1", "X1 0|O1 \r\n|X1 0", 1},
        {"B1 1k|P1 A=b|A1 xyz|B2 1k|P2 " PAIRS "|P2|I2", "O2 \r\n|X2 0", 1},
        {"B1 1k|P1 " PAIRS "|P1|I1 a|A1|B2 1k|P2 " PAIRS "|P2|I2", "O2 \r\n|X2 0|O1 \r\n|X1 0", 2},
};

#define EACH_ROW(row) (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++)

/* Its answers come, and the connection is over. */
static void finish(const struct row *row)
{
        answer(row->answers);
        ck_assert_uint_eq(told_count, row->requests);
        for (unsigned i = 0; i < told_count; i++)
                expect_span(&told[i], "/items?id=1", 200);
        close_told(row->requests);
}

START_TEST(test_added_in_one_write)
{
        static struct stream stream;

        for
                EACH_ROW(row)
                {
                        make(&stream, row->script);
                        connect_now();
                        send_whole(stream.bytes, stream.len);
                        ck_assert_uint_eq(wire_len, stream.len + row->requests * RECORD);
                        ck_assert_uint_eq(added(&stream, ""), row->requests);
                        finish(row);
                        expect_named(&told[0], strstr(row->answers, "X2 0|O1") ? 1 : 0);
                }
}
END_TEST

/* Did one that was cut there learn too late that the parameters were over? */
static unsigned late(const struct stream *stream, size_t cut)
{
        unsigned count = 0;

        for (unsigned i = 0; i < stream->end_count; i++)
                count += cut > stream->ends[i] && cut < stream->ends[i] + 6;
        return count;
}

START_TEST(test_added_in_two_writes)
{
        static struct stream stream;

        for
                EACH_ROW(row)
                {
                        make(&stream, row->script);
                        for (size_t split = 1; split < stream.len; split++) {
                                connect_now();
                                send_split(&stream, split);
                                ck_assert_uint_eq(added(&stream, ""), row->requests - late(&stream, split));
                                finish(row);
                        }
                }
}
END_TEST

START_TEST(test_added_in_pieces_of_one_write)
{
        static struct stream stream;

        for
                EACH_ROW(row)
                {
                        make(&stream, row->script);
                        for (size_t split = 0; split <= stream.len; split++) {
                                struct wire_call call = {take_all, stream.bytes, stream.len};
                                struct iovec iov[] = {{stream.bytes, split},
                                                      {NULL, 0},
                                                      {stream.bytes + split, stream.len - split}};

                                connect_now();
                                ck_assert_int_eq(tap_net_out(FD, iov, 3, emit, &call), (ssize_t)stream.len);
                                ck_assert_uint_eq(added(&stream, ""), row->requests);
                                finish(row);
                        }
                }
}
END_TEST

START_TEST(test_added_in_short_writes)
{
        static const size_t then[] = {1, 3, 50, 10000};
        static struct stream stream;

        for
                EACH_ROW(row)
                {
                        make(&stream, row->script);
                        for (size_t first = 1; first < stream.len + row->requests * RECORD; first++)
                                for (size_t i = 0; i < ARRAY_LEN(then); i++) {
                                        connect_now();
                                        take_first = first;
                                        take_then = then[i];
                                        send_on(stream.bytes, stream.len);
                                        ck_assert_uint_eq(added(&stream, ""), row->requests);
                                        finish(row);
                                }
                }
}
END_TEST

static long take_some(size_t offered)
{
        unsigned kind = dice(10);

        if (kind == 0)
                return -1;
        return (long)(1 + dice(kind < 6 && offered > 40 ? 40 : (unsigned)offered));
}

/* A host that offers what it likes, over a wire that takes what it likes. Return: requests that were too
 * late. */
static unsigned send_wildly(const struct stream *stream)
{
        unsigned too_late = 0;

        for (size_t at = 0; at < stream->len;) {
                size_t offer = 1 + dice((unsigned)MIN(stream->len - at, 300ul));
                ssize_t n = host_send(stream->bytes + at, offer, take_some);

                if (n < 0) {
                        ck_assert_int_eq(errno, EAGAIN);
                        continue;
                }
                ck_assert_int_le(n, (ssize_t)offer);
                if (late(stream, at + offer))
                        too_late += late(stream, at + (size_t)n);
                at += (size_t)n;
        }
        return too_late;
}

/* Requests with ids from 1 on, each with a body, one after the other. */
static void many(char *script, size_t size, unsigned count)
{
        size_t len = 0;

        for (unsigned id = 1; id <= count; id++)
                len += (size_t)snprintf(
                        script + len, size - len,
                        "%sB%u+%u 1k|P%u+%u/%u REQUEST_URI=/%u;HTTP_HOST=h|P%u|I%u+%u body|I%u",
                        id > 1 ? "|" : "", id, dice(9), id, dice(9), 3 + dice(60), id, id, id, dice(9), id);
}

START_TEST(test_added_under_random_writes)
{
        static struct stream stream;
        char script[4096], reply[64];

        for (unsigned round = 0; round < 2000; round++) {
                unsigned count = 1 + (dice_state = round * 7919u + 1, dice(12)), too_late, found;

                many(script, sizeof(script), count);
                make(&stream, script);
                connect_now();
                too_late = send_wildly(&stream);
                found = added(&stream, "");
                ck_assert_uint_le(found, count);
                ck_assert_uint_ge(found + too_late, count);
                for (unsigned i = 0; i < count; i++) {
                        unsigned id = 1 + (i * 5 + round) % count;

                        if (count % 5 == 0)
                                id = count - i;
                        snprintf(reply, sizeof(reply), "O%u Status: %u\r\n\r\n|X%u 0", id, 200 + id, id);
                        answer(reply);
                        ck_assert_uint_eq(told_count, i + 1);
                        snprintf(reply, sizeof(reply), "/%u", id);
                        expect_span(&told[i], reply, (int)(200 + id));
                }
                close_told(count);
        }
}
END_TEST

START_TEST(test_one_after_the_other_on_a_kept_connection)
{
        static struct stream stream;

        make(&stream, rows[1].script);
        connect_now();
        for (unsigned i = 0; i < 300; i++) {
                wire_len = 0;
                send_split(&stream, 1 + i % 8 * 9);
                ck_assert_uint_eq(added(&stream, ""), 1);
                answer(i % 2 ? "O1 \r\n|X1 0" : "O1 Status: 404\r\n\r\n|X1 0,256");
                ck_assert_uint_eq(told_count, i + 1);
                expect_span(&told[i], "/items?id=1", i % 2 ? 200 : 404);
                expect_named(&told[i], 0);
        }
        close_told(300);
}
END_TEST

/* An id is free for the next request as soon as its last one is answered, though an older one still waits. */
START_TEST(test_id_used_again)
{
        static struct stream stream;

        connect_now();
        make(&stream, "B1 1k|P1 REQUEST_URI=/1|P1|I1|B2 1k|P2 REQUEST_URI=/2|P2|I2");
        send_whole(stream.bytes, stream.len);
        answer("O2 \r\n|X2 0");
        make(&stream, "B2 1k|P2 REQUEST_URI=/again|P2|I2");
        send_whole(stream.bytes, stream.len);
        answer("O2 Status: 404\r\n\r\n|X2 0|O1 Status: 500\r\n\r\n|X1 0");
        ck_assert_uint_eq(told_count, 3);
        expect_span(&told[0], "/2", 200);
        expect_span(&told[1], "/again", 404);
        expect_span(&told[2], "/1", 500);
        close_told(3);
}
END_TEST

/* What an answer says of its request, and what its end does. */
START_TEST(test_outcomes)
{
        static const struct {
                const char *answer;
                int status, truncated;
        } outcomes[] = {
                {"O1 Status: 503 x\r\n\r\n|X1 0", 503, 0},
                {"O1 Location: /\r\n\r\n|X1 0,1", 302, 0},
                {"O1 Status: x\r\n\r\n|X1 0", 0, 0},
                {"X1 1", 0, 1},
                {"X1 2", 0, 1},
                {"X1 3", 0, 1},
                {"X1 0", 0, 1},
                {"O1 Status: 404\r\n|X1 0", 0, 1},
                {"O1 \r\n|X1 2", 200, 1},
                {"E1 PHP message|X1 0,255", 0, 1},
        };
        static struct stream stream;

        make(&stream, rows[1].script);
        for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
                connect_now();
                send_whole(stream.bytes, stream.len);
                answer("X9 0|O9 Status: 404\r\n\r\n"); /* of no request */
                ck_assert_uint_eq(told_count, 0);
                answer(outcomes[i].answer);
                ck_assert_uint_eq(told_count, 1);
                ck_assert_msg(told[0].status == outcomes[i].status, "%s: %d", outcomes[i].answer,
                              told[0].status);
                ck_assert_msg(told[0].truncated == outcomes[i].truncated, "%s", outcomes[i].answer);
                close_told(1);
        }
}
END_TEST

START_TEST(test_hang_ups)
{
        static struct stream stream;

        make(&stream, "B1 1k|P1 REQUEST_URI=/1|P1|I1|B2 1k|P2 REQUEST_URI=/2|P2|I2|B3 1k|P3 A=b");
        connect_now();
        send_whole(stream.bytes, stream.len);
        answer("O2 \r\n|X2 0|O1 Status: 404\r\n\r\n");
        ck_assert_uint_eq(told_count, 1);
        host_eof();
        ck_assert_uint_eq(told_count, 2); /* the third was no request yet */
        ck_assert_str_eq(told[1].target, "/1");
        ck_assert_int_eq(told[1].status, 404);
        ck_assert_int_eq(told[1].truncated, 1);
        close_told(2);
}
END_TEST

START_TEST(test_what_is_no_fastcgi_is_opaque)
{
        static const char *const after[] = {"R 02", "R 010c", "O1 x", "P1 A=b|P2 C=d", "I1 x", "B2 1"};
        static const char *const first[] = {"R 02", "P1 A=b", "B1 9", "O1 x", "G0 FCG="};
        static struct stream stream;
        uint64_t opaque = stat_get(STAT_OPAQUE_UNKNOWN), errors = stat_get(STAT_OPAQUE_ERROR);

        for (size_t i = 0; i < ARRAY_LEN(first) + ARRAY_LEN(after); i++) {
                bool later = i >= ARRAY_LEN(first);
                char script[100];

                snprintf(script, sizeof(script), "%s%s", later ? "B1 1k|P1 REQUEST_URI=/|" : "",
                         later ? after[i - ARRAY_LEN(first)] : first[i]);
                stream.len = fcgi_script(stream.bytes, sizeof(stream.bytes), script);
                connect_now();
                send_whole(stream.bytes, stream.len);
                make(&stream, rows[1].script);
                send_whole(stream.bytes, stream.len);
                ck_assert_mem_eq(wire + wire_len - stream.len, stream.bytes, stream.len);
                answer("X1 0");
                tap_net_close(FD);
                ck_assert_int_eq(open_now, 0);
        }
        ck_assert_uint_eq(stat_get(STAT_OPAQUE_UNKNOWN), opaque + ARRAY_LEN(first));
        ck_assert_uint_eq(stat_get(STAT_OPAQUE_ERROR), errors + ARRAY_LEN(after));
}
END_TEST

/* --- contexts that are there already --- */

START_TEST(test_foreign_context_is_respected)
{
        static const char *const foreign[] = {
                "B1 1|P1 HTTP_TRACEPARENT=" INCOMING ";HTTP_HOST=h|P1|I1",
                "B1 1|P1+5/9 HTTP_HOST=h;HTTP_TRACEPARENT=" INCOMING ";HTTP_TRACESTATE=o=1;A=b|P1|I1 x|I1",
                "B1 1|P1 HTTP_TRACEPARENT=" INCOMING ";HTTP_TRACEPARENT=00-" TRACE
                "-cccccccccccccccc-01;A=b|P1|I1",
        };
        static struct stream stream;

        for (unsigned i = 0; i < ARRAY_LEN(foreign); i++) {
                make(&stream, foreign[i]);
                for (size_t split = 1; split <= stream.len; split++) {
                        connect_now();
                        send_split(&stream, split);
                        ck_assert_uint_eq(wire_len, stream.len);
                        ck_assert_mem_eq(wire, stream.bytes, wire_len);
                        answer("O1 \r\n|X1 0");
                        close_told(0);
                }
        }
}
END_TEST

/* A server request that came in with INCOMING is open on this thread. */
static uint64_t serve(const char *tracestate)
{
        struct cause_arrival arrival = {
                .method = SLICE("GET"), .target = SLICE("/served"), .sampled = true, .baggage = SLICE("b=1")};
        struct scope_decision decision;

        ck_assert(traceparent_parse(SLICE(INCOMING), &arrival.incoming));
        arrival.incoming.tracestate = slice_str(tracestate);
        scope_serve(&decision, &arrival.incoming);
        arrival.context = decision.context;
        arrival.baggage = tracestate[0] ? arrival.baggage : SLICE_NULL;
        return cause_open(&thread_state.cause, &arrival);
}

static const struct row passed[] = {
        {"B1 1|P1 " PAIRS ";HTTP_TRACEPARENT=" INCOMING "|P1|I1", "O1 \r\n|X1 0", 1},
        {"B1 1k|P1 HTTP_TRACEPARENT=" INCOMING ";" PAIRS ";HTTP_TRACESTATE=o=1;HTTP_BAGGAGE=c=1|P1|I1 x|I1",
         "O1 \r\n|X1 0", 1},
        {"B1+8 1|P1+1 " PAIRS ";~HTTP_TRACEPARENT=" INCOMING ";A=b|P1+2 C=d|P1+3|I1", "O1 \r\n|X1 0", 1},
};

#define EACH_PASSED(row) (const struct row *row = passed; row < passed + ARRAY_LEN(passed); row++)

/* The wire has what the host sent, but for the value's span id, which is the told span's. */
static void expect_replaced(const struct stream *stream, const struct row *row)
{
        size_t id_at = stream->value_at + 36;

        ck_assert_uint_eq(wire_len, stream->len);
        ck_assert_mem_eq(wire, stream->bytes, id_at);
        ck_assert_mem_eq(wire + id_at + 16, stream->bytes + id_at + 16, stream->len - id_at - 16);
        memcpy(hexes[0], wire + id_at, 16);
        finish(row);
        expect_named(&told[0], 0);
}

START_TEST(test_passed_on_in_two_writes)
{
        static struct stream stream;
        static char tail[128];

        serve("s=1");
        for
                EACH_PASSED(row)
                {
                        make(&stream, row->script);
                        snprintf(tail, sizeof(tail), "%s", strstr(row->script, "BAGGAGE") ? "" : TAIL);
                        for (size_t split = 1; split <= stream.len; split++) {
                                connect_now();
                                send_split(&stream, split);
                                if (split <= stream.value_at || split >= stream.value_at + 55) {
                                        expect_replaced(&stream, row);
                                        continue;
                                }
                                /* Its value left in two pieces: one more context, of two the last counts. */
                                ck_assert_uint_eq(added(&stream, tail), 1);
                                finish(row);
                                expect_named(&told[0], 0);
                        }
                }
}
END_TEST

START_TEST(test_passed_on_in_pieces_of_one_write)
{
        static struct stream stream;

        serve("s=1");
        for
                EACH_PASSED(row)
                {
                        make(&stream, row->script);
                        for (size_t split = 0; split <= stream.len; split++) {
                                struct wire_call call = {take_all, stream.bytes, stream.len};
                                struct iovec iov[] = {{stream.bytes, split},
                                                      {stream.bytes + split, stream.len - split}};

                                connect_now();
                                ck_assert_int_eq(tap_net_out(FD, iov, 2, emit, &call), (ssize_t)stream.len);
                                expect_replaced(&stream, row);
                        }
                }
}
END_TEST

START_TEST(test_passed_on_in_short_writes)
{
        static const size_t then[] = {1, 2, 7, 60, 10000};
        static struct stream stream;
        uint64_t replaced = stat_get(STAT_REPLACED), injected = stat_get(STAT_INJECTED), sent = 0;

        serve("s=1");
        for
                EACH_PASSED(row)
                {
                        make(&stream, row->script);
                        for (size_t first = 1; first < stream.len; first++)
                                for (size_t i = 0; i < ARRAY_LEN(then); i++, sent++) {
                                        connect_now();
                                        take_first = first;
                                        take_then = then[i];
                                        send_on(stream.bytes, stream.len);
                                        expect_replaced(&stream, row);
                                }
                }
        ck_assert_uint_eq(stat_get(STAT_REPLACED), replaced + sent);
        ck_assert_uint_eq(stat_get(STAT_INJECTED), injected);
}
END_TEST

static long take_none(size_t offered)
{
        return -1;
}

/* The parameters in a write of their own, which is refused once. */
START_TEST(test_passed_on_after_a_refused_write)
{
        static struct stream stream;

        serve("s=1");
        for
                EACH_PASSED(row)
                {
                        size_t end;

                        make(&stream, row->script);
                        end = stream.ends[0];
                        for (size_t first = 0; first < end; first++) {
                                connect_now();
                                ck_assert_int_eq(host_send(stream.bytes, end, take_none), -1);
                                take_first = first;
                                take_then = 10000;
                                send_on(stream.bytes, end);
                                send_whole(stream.bytes + end, stream.len - end);
                                expect_replaced(&stream, row);
                        }
                }
}
END_TEST

/* What cannot be replaced in its place is followed by one that counts. */
START_TEST(test_passed_on_where_it_cannot_be_replaced)
{
        static const struct row elsewhere[] = {
                {"B1 1|P1/50 " PAIRS ";HTTP_TRACEPARENT=" INCOMING "|P1|I1", "O1 \r\n|X1 0", 1},
                {"B1 1|P1 " PAIRS ";HTTP_TRACEPARENT=cc-" TRACE "-bbbbbbbbbbbbbbbb-01-later|P1|I1",
                 "O1 \r\n|X1 0", 1},
                {"B1 1|P1 " PAIRS ";HTTP_TRACEPARENT=nobody's|P1|I1", "O1 \r\n|X1 0", 1},
                {"B1 1|P1 " PAIRS ";HTTP_TRACEPARENT=|P1|I1", "O1 \r\n|X1 0", 1},
        };
        static struct stream stream;

        serve("s=1");
        for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
                make(&stream, elsewhere[i].script);
                for (size_t split = 1; split <= stream.ends[0]; split++) {
                        connect_now();
                        send_split(&stream, split);
                        ck_assert_uint_eq(added(&stream, TAIL), 1);
                        finish(&elsewhere[i]);
                        expect_named(&told[0], 0);
                }
        }
}
END_TEST

static const struct row stale[] = {
        {"B1 1|P1 HTTP_TRACESTATE=o=1;" PAIRS ";HTTP_TRACEPARENT=" INCOMING "|P1|I1", "O1 \r\n|X1 0", 1},
        {"B1 1|P1 HTTP_TRACEPARENT=" INCOMING ";" PAIRS ";HTTP_TRACESTATE=o=1;A=b|P1|I1", "O1 \r\n|X1 0", 1},
        {"B1 1|P1 " PAIRS ";HTTP_TRACESTATE=o=1;A=b|P1|I1", "O1 \r\n|X1 0", 1},
};

/* A tracestate that is nobody's any more is blank, once, and the context is there once. */
static void expect_blanked(struct stream *stream, const struct row *row)
{
        memset(memmem(stream->bytes, stream->len, "o=1", 3), ' ', 3);
        if (stream->value_at) {
                expect_replaced(stream, row);
                return;
        }
        ck_assert_uint_eq(added(stream, ""), 1);
        finish(row);
}

START_TEST(test_stale_tracestate_is_blank)
{
        static struct stream stream;

        serve("");
        for (size_t i = 0; i < ARRAY_LEN(stale); i++)
                for (size_t split = 0; make(&stream, stale[i].script), split <= stream.len; split++) {
                        struct wire_call call = {take_all, stream.bytes, stream.len};
                        struct iovec iov[] = {{stream.bytes, split},
                                              {stream.bytes + split, stream.len - split}};

                        connect_now();
                        ck_assert_int_eq(tap_net_out(FD, iov, 2, emit, &call), (ssize_t)stream.len);
                        expect_blanked(&stream, &stale[i]);
                }
}
END_TEST

START_TEST(test_stale_tracestate_in_short_writes)
{
        static const size_t then[] = {1, 2, 7, 60, 10000};
        static struct stream stream;

        serve("");
        for (size_t i = 0; i < ARRAY_LEN(stale); i++)
                for (size_t first = 1; make(&stream, stale[i].script), first < stream.len; first++)
                        for (size_t t = 0; t < ARRAY_LEN(then); t++) {
                                make(&stream, stale[i].script);
                                connect_now();
                                take_first = first;
                                take_then = then[t];
                                send_on(stream.bytes, stream.len);
                                expect_blanked(&stream, &stale[i]);
                        }
}
END_TEST

/* Its rest comes in two writes. */
START_TEST(test_stale_tracestate_whose_rest_comes_in_pieces)
{
        static struct stream stream;

        serve("");
        for (size_t i = 0; i < ARRAY_LEN(stale); i++)
                for (size_t gone = 1; gone < 3; gone++) {
                        size_t first;

                        make(&stream, stale[i].script);
                        first = (size_t)((char *)memmem(stream.bytes, stream.len, "o=1", 3) - stream.bytes) +
                                gone;
                        connect_now();
                        take_first = first;
                        ck_assert_int_eq(host_send(stream.bytes, stream.len, take_little), (ssize_t)first);
                        send_whole(stream.bytes + first, 1);
                        send_whole(stream.bytes + first + 1, stream.len - first - 1);
                        expect_blanked(&stream, &stale[i]);
                }
}
END_TEST

/* Nothing that is reused may leak: connections with requests in every state, and those that are aborted. */
START_TEST(test_no_leak_of_exchanges)
{
        static struct stream stream;

        for (int i = 0; i < 3 * LIMIT_EXCHANGES; i++) {
                make(&stream, i % 4 == 0 ? "B1 1k|P1 A=b|A1|B1 1k|P1 A=b" : rows[0].script);
                connect_now();
                send_whole(stream.bytes, stream.len - (i % 4 == 3 ? 20 : 0));
                if (i % 4 == 1)
                        answer("R 00");
                tap_net_close(FD);
        }
        make(&stream, "B1 1k|P1 A=b|A1");
        connect_now();
        for (int i = 0; i < 3 * LIMIT_EXCHANGES; i++) {
                wire_len = 0;
                send_split(&stream, 1 + (size_t)i % stream.len);
                answer("X1 0");
        }
        make(&stream, rows[0].script);
        wire_len = 0;
        send_whole(stream.bytes, stream.len);
        ck_assert_uint_eq(added(&stream, ""), 1);
        finish(&rows[0]);
}
END_TEST

UNIT_MAIN_WITH("fcgi-flow", wire_setup, test_added_in_one_write, test_added_in_two_writes,
               test_added_in_pieces_of_one_write, test_added_in_short_writes, test_added_under_random_writes,
               test_one_after_the_other_on_a_kept_connection, test_id_used_again, test_outcomes,
               test_hang_ups, test_what_is_no_fastcgi_is_opaque, test_foreign_context_is_respected,
               test_passed_on_in_two_writes, test_passed_on_in_pieces_of_one_write,
               test_passed_on_in_short_writes, test_passed_on_after_a_refused_write,
               test_passed_on_where_it_cannot_be_replaced, test_stale_tracestate_is_blank,
               test_stale_tracestate_in_short_writes, test_stale_tracestate_whose_rest_comes_in_pieces,
               test_no_leak_of_exchanges)
