/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 through the tap, as a client: what arrives is the original with exactly one context added per
 * request, wherever the writes are cut, the host is told its own byte counts, and every request is a span
 * with the status of its own answer.
 */
#include "agent/base/stats.h"
#include "agent/trace/traceparent.h"
#include "tests/unit/http2-script.h"
#include "tests/unit/wire.h"

#define START "PRI|S|"
#define GET   ":method=GET;:scheme=http;:authority=h;:path=/"
#define CALL  ":method=POST;:scheme=http;:authority=h;:path=/p.S/M;content-type=application/grpc;te=trailers"
#define THREE \
        START "H1e " GET "a|H3rp " GET "b;user-agent=u|D3 20|H5/3 " GET "c;accept=*/*|D3e 4|D5 9|H5e x=y"
#define ANSWER "S|A|H5 :status=204|H1 :status=200|D1e 5|H3e :status=500|D5e 0"

struct stream {
        char bytes[1 << 18];
        size_t len;
};

static struct stream original, answers, stripped;
static unsigned long dice_state;

static unsigned dice(unsigned sides)
{
        dice_state = dice_state * 6364136223846793005ul + 1442695040888963407ul;
        return (unsigned)(dice_state >> 33) % sides;
}

static void make(struct stream *stream, const char *script)
{
        stream->len = http2_script(stream->bytes, sizeof(stream->bytes), script);
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
        make(&answers, script);
        recv_bytes(answers.bytes, answers.len);
}

static void send_whole(size_t from, size_t to)
{
        if (from < to)
                ck_assert_int_eq(host_send(original.bytes + from, to - from, take_all), (ssize_t)(to - from));
}

static void send_script(const char *script)
{
        make(&original, script);
        send_whole(0, original.len);
}

/* --- what arrives --- */

static char ids[512][17]; /* of the spans that the wire names, in order */

static uint32_t be24(const char *p)
{
        return (uint32_t)(uint8_t)p[0] << 16 | (uint32_t)(uint8_t)p[1] << 8 | (uint8_t)p[2];
}

/* Cuts what is ours out of the wire. Return: how many contexts there were. */
static unsigned strip(const char *tail, size_t tail_len)
{
        static const char ours[] = "\0\x0btraceparent\x37"
                                   "00-";
        size_t at = HTTP2_PREFACE_LEN, before = 0, ours_len = sizeof(ours) - 1,
               len = ours_len - 3 + TRACEPARENT_LEN;
        unsigned found = 0;
        char *out = stripped.bytes;

        memcpy(out, wire, at);
        stripped.len = at;
        while (at + HTTP2_FRAME_HEADER_LEN <= wire_len) {
                const char *frame = wire + at, *payload = frame + HTTP2_FRAME_HEADER_LEN;
                uint32_t payload_len = be24(frame);
                const char *hit = memmem(payload, payload_len, ours, ours_len);
                bool block = frame[3] == HTTP2_HEADERS || frame[3] == HTTP2_CONTINUATION;

                ck_assert_uint_le(payload_len, HTTP2_FRAME_MIN);
                at += HTTP2_FRAME_HEADER_LEN + payload_len;
                if (!block || !hit) {
                        before = stripped.len;
                        memcpy(out + stripped.len, frame, HTTP2_FRAME_HEADER_LEN + payload_len);
                        stripped.len += HTTP2_FRAME_HEADER_LEN + payload_len;
                        continue;
                }
                memcpy(ids[found], hit + ours_len - 3 + 36, 16);
                ids[found++][16] = '\0';
                ck_assert_mem_eq(hit + len, tail, tail_len);
                ck_assert(frame[4] & HTTP2_END_HEADERS);
                if (hit == payload) { /* a frame of our own */
                        ck_assert_uint_eq(payload_len, len + tail_len);
                        out[before + 4] |= HTTP2_END_HEADERS;
                        continue;
                }
                before = stripped.len;
                memcpy(out + stripped.len, frame, (size_t)(hit - frame));
                http2_write_header(out + stripped.len, payload_len - (uint32_t)(len + tail_len),
                                   (enum http2_frame)frame[3], (uint8_t)frame[4], be24(payload - 3));
                stripped.len += (size_t)(hit - frame);
                memcpy(out + stripped.len, hit + len + tail_len, (size_t)(wire + at - hit) - len - tail_len);
                stripped.len += (size_t)(wire + at - hit) - len - tail_len;
        }
        ck_assert_uint_eq(at, wire_len);
        return found;
}

static void expect_wire(unsigned contexts)
{
        ck_assert_uint_eq(strip("", 0), contexts);
        ck_assert_uint_eq(stripped.len, original.len);
        ck_assert_mem_eq(stripped.bytes, original.bytes, original.len);
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

static void close_told(unsigned spans)
{
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, spans);
        ck_assert_int_eq(open_now, 0);
}

static const struct told *told_of(const char *target)
{
        for (unsigned i = 0; i < told_count; i++)
                if (strcmp(told[i].target, target) == 0)
                        return &told[i];
        ck_abort_msg("no span of %s", target);
}

/* Three requests whose answers are those of ANSWER. */
static void expect_three(void)
{
        expect_wire(3);
        answer(ANSWER);
        close_told(3);
        ck_assert_int_eq(told_of("/a")->status, 200);
        ck_assert_int_eq(told_of("/b")->status, 500);
        ck_assert_int_eq(told_of("/c")->status, 204);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_msg(is_told(ids[i]) && !told[i].truncated && !told[i].incomplete && !told[i].error,
                              "%u: told %d, truncated %d, incomplete %d, error %d", i, is_told(ids[i]),
                              told[i].truncated, told[i].incomplete, told[i].error);
}

START_TEST(test_whole)
{
        connect_now();
        send_script(THREE);
        expect_three();
        ck_assert_str_eq(told[0].method, "GET");
        ck_assert_int_eq(told[0].shape, SHAPE_HTTP_CLIENT);
}
END_TEST

START_TEST(test_split_everywhere)
{
        make(&original, THREE);
        for (size_t cut = 1; cut < original.len; cut++) {
                unsigned contexts;

                connect_now();
                send_whole(0, cut);
                send_whole(cut, original.len);
                contexts = strip("", 0);
                /* A block whose last frame's header has left before it is known goes without. */
                ck_assert_uint_ge(contexts, 2);
                expect_wire(contexts);
                answer(ANSWER);
                close_told(3);
        }
}
END_TEST

/* Of each call at most so many bytes are taken; @take_first of the first one. */
static size_t take_first, take_then;

static long take_little(size_t offered)
{
        size_t n = take_first ? take_first : take_then;

        take_first = 0;
        return (long)(n < offered ? n : offered);
}

/* A host that offers again what was not taken. */
static void send_on(long (*take)(size_t))
{
        for (size_t at = 0; at < original.len;) {
                ssize_t n = host_send(original.bytes + at, original.len - at, take);

                if (n < 0 && errno == EAGAIN)
                        continue;
                ck_assert_int_ge(n, 0);
                ck_assert_int_le(n, (ssize_t)(original.len - at));
                at += (size_t)n;
        }
}

START_TEST(test_short_writes_everywhere)
{
        make(&original, THREE);
        for (size_t first = 1; first < original.len + 3 * 75; first++) {
                connect_now();
                take_first = first;
                take_then = 100000;
                send_on(take_little);
                expect_three();
        }
        for (size_t step = 1; step < 40; step++) {
                connect_now();
                take_first = 0;
                take_then = step;
                send_on(take_little);
                expect_three();
        }
}
END_TEST

/* Nothing at all, one byte, some, everything. */
static long take_any(size_t offered)
{
        unsigned way = dice(4);

        if (way == 0)
                return -1;
        return way == 1   ? (long)MIN(offered, 1)
               : way == 2 ? (long)dice((unsigned)offered + 1)
                          : (long)offered;
}

START_TEST(test_short_writes_at_random)
{
        make(&original, THREE);
        for (dice_state = 1; dice_state < 3000; dice_state++) {
                unsigned long seed = dice_state;

                connect_now();
                send_on(take_any);
                expect_three();
                dice_state = seed;
        }
}
END_TEST

/* The host goes on after our own text has left in part, even where we lost sight of the connection. */
START_TEST(test_opaque_in_between)
{
        for (size_t first = 1; first < 150; first++) {
                struct conn *conn;
                size_t at;

                make(&original, START "H1e " GET "a;x=y");
                connect_now();
                take_first = first;
                take_then = 0;
                at = (size_t)host_send(original.bytes, original.len, take_little);
                conn = conn_table_get(FD);
                conn_opaque(conn, STAT_OPAQUE_ERROR);
                conn_unref(conn);
                while (at < original.len) {
                        take_then = 1 + dice(9);
                        at += (size_t)host_send(original.bytes + at, 1 + dice((unsigned)(original.len - at)),
                                                take_little);
                }
                expect_wire(strip("", 0));
                tap_net_close(FD);
        }
}
END_TEST

static long take_broken(size_t offered)
{
        return -2;
}

/* The connection breaks after a part of our own text has left, and the host tries again. */
START_TEST(test_broken_in_between)
{
        static char baggage[600];

        memset(baggage, 'b', sizeof(baggage) - 1);
        memcpy(baggage, "b=", 2);
        scope_start("00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01", NULL, baggage);
        make(&original, START "H1e " GET "a;x=y");
        for (size_t first = 1; first < original.len + 600; first++) {
                size_t at;

                connect_now();
                take_first = first;
                take_then = 0;
                at = (size_t)host_send(original.bytes, original.len, take_little);
                for (unsigned i = 0; i < 3 && at < original.len; i++) {
                        ck_assert_int_eq(host_send(original.bytes + at, original.len - at, take_broken), -1);
                        host_eof();
                }
                tap_net_close(FD);
                ck_assert_int_eq(open_now, 0);
                ck_assert_uint_le(told_count, 1);
        }
}
END_TEST

/* Of a call with so many pieces that ours find no place among them, the first ones leave with ours. */
START_TEST(test_as_many_pieces_as_there_can_be)
{
        static char script[20000];
        size_t n = (size_t)sprintf(script, START "H1e " GET ";!x=");

        memset(script + n, '&', 12000);
        make(&original, script);
        for (size_t first = 1; first < 150; first++) {
                size_t at, left = original.len;

                connect_now();
                take_first = first;
                take_then = 1000000;
                at = (size_t)host_send(original.bytes, original.len, take_little);
                take_first = 0;
                while (at < original.len) {
                        struct iovec pieces[LIMIT_IOV];
                        struct wire_call call = {take_little, original.bytes + at, original.len - at};
                        ssize_t sent;

                        left = original.len - at;
                        for (size_t i = 0; i < LIMIT_IOV; i++) {
                                size_t len = i < LIMIT_IOV - 1 ? MIN(left, 1 + i % 20) : left;

                                pieces[i] = (struct iovec){original.bytes + original.len - left, len};
                                left -= len;
                        }
                        sent = tap_net_out(FD, pieces, LIMIT_IOV, emit, &call);
                        ck_assert_int_gt(sent, 0);
                        at += (size_t)sent;
                }
                expect_wire(strip("", 0));
                tap_net_close(FD);
        }
}
END_TEST

/* As much as fits into a frame, and more: then ours stands in a frame of its own. */
START_TEST(test_frames_that_are_full)
{
        static char script[20000];

        for (unsigned pad = 0; pad < 2; pad++)
                for (size_t len = 16180; len < 16340; len += 3) {
                        size_t n = (size_t)sprintf(script, START "H1e%s " GET ";!x=", pad ? "p" : "");

                        memset(script + n, '&', len);
                        strcpy(script + n + len, "|H3e " GET);
                        make(&original, script);
                        if (be24(original.bytes + HTTP2_PREFACE_LEN + HTTP2_FRAME_HEADER_LEN) >
                            HTTP2_FRAME_MIN)
                                continue;
                        connect_now();
                        send_whole(0, original.len);
                        /* Padding stands in the way. */
                        if (!pad || strip("", 0) == 2)
                                expect_wire(2);
                        else
                                expect_wire(1);
                        take_first = 16000 + len % 500;
                        take_then = 7;
                        answer("S|A|H1e :status=200|H3e :status=200");
                        close_told(2);
                        if (pad)
                                continue;
                        connect_now();
                        send_on(take_little);
                        expect_wire(2);
                        close_told(2);
                }
}
END_TEST

START_TEST(test_a_context_that_is_there)
{
        connect_now();
        send_script(START "H1e " GET
                          ";traceparent=00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01|H3e " GET
                          ";tracestate=a=1|H5e " GET);
        ck_assert_uint_eq(strip("", 0), 1);
        expect_wire(1);
        answer("S|A|H1e :status=200|H3e :status=200|H5e :status=200");
        close_told(1);
}
END_TEST

#define PASSED_ON "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"

/* A server request that came in with that context is open on this thread. */
static void serve(struct slice tracestate)
{
        struct cause_arrival arrival = {.method = SLICE("GET"), .target = SLICE("/served"), .sampled = true};
        struct scope_decision decision;

        ck_assert(traceparent_parse(SLICE(PASSED_ON), &arrival.incoming));
        arrival.incoming.tracestate = tracestate;
        scope_serve(&decision, &arrival.incoming);
        arrival.context = decision.context;
        (void)cause_open(&thread_state.cause, &arrival);
}

/* The contexts that a server of HTTP/2 finds on the wire. */
static char arrived[8][TRACEPARENT_LEN + 1];
static unsigned arrived_count;
static char arrived_text[1024];

static bool arrived_begin(void *ctx, struct http2 *parser, size_t at, bool opens, char **ret_text,
                          uint16_t *ret_max)
{
        *ret_text = arrived_text;
        *ret_max = sizeof(arrived_text);
        return true;
}

static bool arrived_head(void *ctx, struct http2 *parser, size_t at)
{
        struct slice context = http2_text_get(parser, HTTP2_TRACEPARENT);

        ck_assert_uint_eq(parser->head.traceparent_count, 1);
        snprintf(arrived[arrived_count++], sizeof(arrived[0]), "%.*s", (int)context.len, context.p);
        return true;
}

static void read_wire(void)
{
        static const struct http2_sink sink = {.begin = arrived_begin, .head = arrived_head};
        static struct http2_memory memory;
        struct http2 parser;

        arrived_count = 0;
        ck_assert(http2_init(&parser, HTTP2_CLIENT, &memory));
        ck_assert_int_eq(http2_feed(&parser, slice_make(wire, wire_len), &sink), (long)wire_len);
}

/* Each request that is told of arrived with its own context, each other one with the one it had. */
static void expect_passed_on(unsigned requests, unsigned replaced)
{
        unsigned ours = 0;

        read_wire();
        ck_assert_uint_eq(arrived_count, requests);
        ck_assert_uint_eq(wire_len, original.len);
        answer("S|A|H1e :status=200|H3e :status=200");
        close_told(replaced);
        for (unsigned i = 0; i < requests; i++) {
                if (strcmp(arrived[i], PASSED_ON) == 0)
                        continue;
                ck_assert_int_eq(memcmp(arrived[i], PASSED_ON, 36), 0);
                arrived[i][36 + 16] = '\0';
                ck_assert(is_told(arrived[i] + 36));
                ours++;
        }
        ck_assert_uint_eq(ours, replaced);
}

/* Written out, or in Huffman's code, which nghttp2 takes where it is shorter. */
START_TEST(test_passed_on)
{
        static const char block[] = "\0\0\x50\1\5\0\0\0\3\x82\x86\x84\x41\1h\0\x0b"
                                    "traceparent\x37" PASSED_ON "\0\1x\1y";

        serve(SLICE_NULL);
        for (unsigned written_out = 0; written_out < 2; written_out++) {
                make(&original, START "H1e " GET ";!traceparent=" PASSED_ON ";x=y");
                if (written_out) {
                        memcpy(original.bytes + original.len, block, sizeof(block) - 1);
                        original.len += sizeof(block) - 1;
                }
                for (size_t cut = 1; cut <= original.len; cut++) {
                        unsigned replaced;

                        connect_now();
                        send_whole(0, cut);
                        send_whole(cut, original.len);
                        replaced = told_count + (unsigned)open_now;
                        ck_assert_uint_ge(replaced + 1, 1 + written_out);
                        if (cut == original.len)
                                ck_assert_uint_eq(replaced, 1 + written_out);
                        expect_passed_on(1 + written_out, replaced);
                }
                for (size_t first = 1; first < original.len; first++) {
                        connect_now();
                        take_first = first;
                        take_then = 1 + first % 70;
                        send_on(take_little);
                        expect_passed_on(1 + written_out, 1 + written_out);
                }
        }
}
END_TEST

/* It stays where a table remembers it, as the last byte of all, or with a list of somebody else's beside it.
 */
START_TEST(test_passed_on_and_left_alone)
{
        serve(SLICE_NULL);
        connect_now();
        send_script(START "H1e " GET ";traceparent=" PASSED_ON "|H3e " GET ";!traceparent=" PASSED_ON
                          ";tracestate=a=1");
        expect_passed_on(2, 0);
        ck_assert_mem_eq(wire, original.bytes, original.len);
        connect_now();
        send_script(START "H1e " GET ";!traceparent=" PASSED_ON);
        expect_passed_on(1, 0);
        ck_assert_mem_eq(wire, original.bytes, original.len);
}
END_TEST

START_TEST(test_passed_on_with_its_tracestate)
{
        serve(SLICE("a=1"));
        connect_now();
        send_script(START "H1e " GET ";tracestate=a=1;!traceparent=" PASSED_ON ";x=y");
        expect_passed_on(1, 1);
}
END_TEST

START_TEST(test_tracestate_and_baggage)
{
        static const char tail[] = "\0\x0atracestate\x03s=1\0\x07"
                                   "baggage\x03"
                                   "b=1";

        scope_start("00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01", "s=1", "b=1");
        connect_now();
        send_script(START "H1e " GET);
        ck_assert_uint_eq(strip(tail, sizeof(tail) - 1), 1);
        ck_assert_mem_eq(stripped.bytes, original.bytes, original.len);
        answer("S|A|H1e :status=200");
        close_told(1);
        ck_assert_uint_eq(told[0].parent_id[0], 0xbb);
}
END_TEST

START_TEST(test_how_streams_end)
{
        connect_now();
        send_script(START "H1e " GET "a|H3e " GET "b|H5e " GET "c|H7e " GET "d|H9e " GET "e|R5 8|R7 1|D9e 0");
        answer("S|A|H1 :status=103|H1 :status=200|R1 2|H2 :status=200|G 7 0");
        ck_assert_uint_eq(told_count, 4); /* the last one was refused */
        ck_assert_int_eq(told_of("/a")->reset, 2 + 1);
        ck_assert_int_eq(told_of("/a")->status, 200);
        ck_assert_int_eq(told_of("/c")->reset, 0);
        ck_assert_int_eq(told_of("/d")->reset, 1 + 1);
        ck_assert_int_eq(told_of("/e")->reset, 7 + 1);
        host_eof();
        close_told(5);
        ck_assert_int_eq(told_of("/b")->truncated, 1);
}
END_TEST

START_TEST(test_grpc)
{
        connect_now();
        send_script(START "H1 " CALL "|D1e 10|H3 " CALL "|H5 " CALL);
        answer("S|A|H1 :status=200;content-type=application/grpc|D1 7|H1e grpc-status=0|"
               "H3e :status=200;grpc-status=12;grpc-message=no|H5e :status=503");
        close_told(3);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_int_eq(told[i].shape, SHAPE_GRPC_CLIENT);
        ck_assert_int_eq(told[0].grpc_status, 0 + 1);
        ck_assert_int_eq(told[1].grpc_status, 12 + 1);
        ck_assert_int_eq(told[2].grpc_status, 0);
}
END_TEST

/* More at once than any server allows: those that find no place are not traced, all others are. */
START_TEST(test_many_streams)
{
        static char script[1 << 18];
        size_t len = (size_t)sprintf(script, START);

        connect_now();
        for (unsigned i = 0; i < 100; i++)
                len += (size_t)sprintf(script + len, "%sH%ue " GET "%u", i ? "|" : "", 2 * i + 1, i);
        send_script(script);
        expect_wire(100);
        len = (size_t)sprintf(script, "S|A");
        for (unsigned i = 100; i-- > 0;)
                len += (size_t)sprintf(script + len, "|H%ue :status=200", 2 * i + 1);
        answer(script);
        close_told(100);
        for (unsigned i = 0; i < 100; i++)
                ck_assert(is_told(ids[i]) && told[i].status == 200);
}
END_TEST

START_TEST(test_a_server_that_greets)
{
        connect_now();
        answer("S 3=100");
        send_script(START "H1e " GET "a");
        expect_wire(1);
        answer("A|H1e :status=200");
        close_told(1);
        /* Greeted so, but the client speaks otherwise. */
        connect_now();
        answer("S 3=100");
        ck_assert_int_eq(host_send(get, strlen(get), take_all), (ssize_t)strlen(get));
        ck_assert_mem_eq(wire, get, strlen(get));
        tap_net_close(FD);
}
END_TEST

/* Look-alikes, and what does not go on as it began. */
START_TEST(test_damage)
{
        static const char *const scripts[] = {"PRI|= 000000010000000100000000",
                                              START "H1e " GET "|= 00000001000000010000",
                                              START "H1 " GET "|= 474554202f20485454502f312e310d0a0d0a",
                                              "PRI|H1e " GET,
                                              START "D1 9|H1e " GET,
                                              START "H3e " GET "|H1e " GET};

        for (unsigned i = 0; i < ARRAY_LEN(scripts); i++) {
                struct conn *conn;

                connect_now();
                send_script(scripts[i]);
                conn = conn_table_get(FD);
                ck_assert_int_eq(conn_phase(conn), CONN_OPAQUE);
                conn_unref(conn);
                ck_assert_uint_le(wire_len, original.len + 75);
                tap_net_close(FD);
                ck_assert_int_eq(open_now, 0);
        }
}
END_TEST

UNIT_MAIN_WITH("http2-flow", wire_setup, test_whole, test_split_everywhere, test_short_writes_everywhere,
               test_short_writes_at_random, test_opaque_in_between, test_broken_in_between,
               test_as_many_pieces_as_there_can_be, test_frames_that_are_full, test_a_context_that_is_there,
               test_passed_on, test_passed_on_and_left_alone, test_passed_on_with_its_tracestate,
               test_tracestate_and_baggage, test_how_streams_end, test_grpc, test_many_streams,
               test_a_server_that_greets, test_damage)
