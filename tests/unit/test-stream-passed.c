/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a program that serves: whose child each is, and context headers that the program passes on.
 * What arrives is the original with that one value replaced, wherever the writes are cut.
 */
#include "agent/base/stats.h"
#include "agent/trace/traceparent.h"
#include "tests/unit/wire.h"

#define TRACE       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER_TRACE "cccccccccccccccccccccccccccccccc"
#define INCOMING    "00-" TRACE "-bbbbbbbbbbbbbbbb-01"
#define STATE       "tracestate: s=1"
#define BAGGAGE     "baggage: b=1"

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/* A server request that came in with @traceparent is open on this thread. */
static uint64_t serve_with(const char *traceparent, struct slice tracestate, struct slice baggage)
{
        struct cause_arrival arrival = {
                .method = SLICE("GET"), .target = SLICE("/served"), .sampled = true, .baggage = baggage};
        struct scope_decision decision;

        ck_assert(traceparent_parse(slice_str(traceparent), &arrival.incoming));
        arrival.incoming.tracestate = tracestate;
        scope_serve(&decision, &arrival.incoming);
        arrival.context = decision.context;
        return cause_open(&thread_state.cause, &arrival);
}

static uint64_t serve(const char *traceparent, struct slice baggage)
{
        return serve_with(traceparent, SLICE("s=1"), baggage);
}

/* --- one request whose context is passed on --- */

struct row {
        const char *before, *value, *after; /* of the request: around the value */
        const char *lines;                  /* that are added behind the value */
};

static const struct row rows[] = {
        {"GET /first HTTP/1.1\r\ntraceparent: ", INCOMING, "\r\nHost: a\r\n\r\n",
         "\r\n" STATE "\r\n" BAGGAGE},
        {"GET /last HTTP/1.1\r\nHost: a\r\ntracestate: o=1\r\nTRACEPARENT:", INCOMING, "\r\n\r\n",
         "\r\n" BAGGAGE},
        {"GET /middle HTTP/1.1\r\nBaggage: o=1\r\nTraceParent:\t ", INCOMING,
         " \t \r\nHost: a\r\nTracestate: o=1\r\n\r\n", ""},
        {"GET /lf HTTP/1.0\nTraceparent: ", INCOMING, "\nHost: a\n\n", "\n" STATE "\n" BAGGAGE},
        {"GET /later HTTP/1.1\r\nHost: a\r\ntraceparent: ",
         "cc-" TRACE "-bbbbbbbbbbbbbbbb-01-what.the.future.brings", "\r\nX: y\r\n\r\n",
         "\r\n" STATE "\r\n" BAGGAGE},
        {"GET /folded HTTP/1.1\r\ntraceparent:\r\n ", INCOMING, " \r\n \r\ntracestate: o=1\r\n\r\n",
         "\r\n" BAGGAGE},
        {"\r\nPOST /body HTTP/1.1\r\ntraceparent: ", INCOMING,
         "\r\ntracestate: o=1\r\nContent-Length: 13\r\n\r\ntraceparent: ", "\r\n" BAGGAGE},
};

struct request {
        char bytes[1024], pristine[1024], want[1024]; /* want: what is to arrive, '#' for the new span's id */
        size_t len, value_at, blank_at, want_len;
};

static void make(struct request *request, const struct row *row)
{
        const char *eol = strstr(row->after, "\r\n") ? "\r\n\r\n" : "\n\n";

        memset(request, 0, sizeof(*request));
        request->len = (size_t)snprintf(request->bytes, sizeof(request->bytes), "%s%s%s", row->before,
                                        row->value, row->after);
        request->value_at = strlen(row->before);
        request->blank_at = request->value_at + strlen(row->value) +
                            (size_t)(strstr(row->after, eol) - row->after) + strlen(eol) / 2;
        request->want_len = (size_t)snprintf(request->want, sizeof(request->want),
                                             "%s00-" TRACE "-################-01%s%s", row->before,
                                             row->lines, row->after);
        memcpy(request->pristine, request->bytes, sizeof(request->bytes));
}

/* Does @got begin with what is wanted of @request? */
static bool as_wanted(const struct request *request, const char *got, size_t len)
{
        if (len < request->want_len)
                return false;
        for (size_t i = 0; i < request->want_len; i++)
                if (request->want[i] == '#' ? !strchr("0123456789abcdef", got[i])
                                            : request->want[i] != got[i])
                        return false;
        return memcmp(got + request->value_at + 36, "bbbbbbbbbbbbbbbb", 16) != 0;
}

static void expect_replaced(const struct request *request)
{
        char hex[17];

        ck_assert_msg(wire_len == request->want_len && as_wanted(request, wire, wire_len), "%s\n%.*s",
                      request->want, (int)wire_len, wire);
        host_recv(answer);
        ck_assert_uint_eq(told_count, 1);
        for (int i = 0; i < 8; i++)
                snprintf(hex + 2 * i, 3, "%02x", told[0].span_id[i]);
        ck_assert_mem_eq(wire + request->value_at + 36, hex, 16);
}

static void expect_untouched(const char *bytes, size_t len)
{
        ck_assert_uint_eq(wire_len, len);
        ck_assert_mem_eq(wire, bytes, len);
        host_recv(answer);
        ck_assert_uint_eq(told_count, 0);
}

static void finish(const struct request *request)
{
        ck_assert_mem_eq(request->bytes, request->pristine, sizeof(request->bytes));
        tap_net_close(FD);
        ck_assert_int_eq(open_now, 0);
}

#define EACH_ROW(row) (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++)

START_TEST(test_passed_on_in_two_writes)
{
        struct request request;

        serve(INCOMING, SLICE("b=1"));
        for
                EACH_ROW(row)
                {
                        make(&request, row);
                        for (size_t split = 1; split <= request.len; split++) {
                                size_t rest = request.len - split;

                                connect_now();
                                ck_assert_int_eq(host_send(request.bytes, split, take_all), (ssize_t)split);
                                if (rest)
                                        ck_assert_int_eq(host_send(request.bytes + split, rest, take_all),
                                                         (ssize_t)rest);
                                if (split <= request.value_at || split > request.blank_at)
                                        expect_replaced(&request);
                                else
                                        expect_untouched(request.bytes, request.len);
                                finish(&request);
                        }
                }
}
END_TEST

START_TEST(test_passed_on_in_two_pieces_of_one_write)
{
        struct request request;

        serve(INCOMING, SLICE("b=1"));
        for
                EACH_ROW(row)
                {
                        make(&request, row);
                        for (size_t split = 0; split <= request.len; split++) {
                                struct wire_call call = {take_all, request.bytes, request.len};
                                struct iovec iov[] = {{request.bytes, split},
                                                      {NULL, 0},
                                                      {request.bytes + split, request.len - split}};

                                connect_now();
                                ck_assert_int_eq(tap_net_out(FD, iov, 3, emit, &call), (ssize_t)request.len);
                                expect_replaced(&request);
                                finish(&request);
                        }
                }
}
END_TEST

/* Of each call at most so many bytes are taken; @first of the first one. */
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

                ck_assert_int_gt(n, 0);
                ck_assert_int_le(n, (ssize_t)(len - at));
                at += (size_t)n;
        }
}

START_TEST(test_passed_on_in_short_writes)
{
        static const size_t then[] = {1, 2, 7, 60, 10000};
        struct request request;
        uint64_t before = stat_get(STAT_REPLACED), injected = stat_get(STAT_INJECTED), sent = 0;

        serve(INCOMING, SLICE("b=1"));
        for
                EACH_ROW(row)
                {
                        make(&request, row);
                        for (size_t first = 1; first < request.want_len; first++)
                                for (size_t i = 0; i < ARRAY_LEN(then); i++, sent++) {
                                        connect_now();
                                        take_first = first;
                                        take_then = then[i];
                                        send_on(request.bytes, request.len);
                                        expect_replaced(&request);
                                        finish(&request);
                                }
                }
        ck_assert_uint_eq(stat_get(STAT_REPLACED), before + sent);
        ck_assert_uint_eq(stat_get(STAT_INJECTED), injected);
}
END_TEST

/* The host is told that the value left once ours has begun to: it must not offer what is replaced again. */
START_TEST(test_passed_on_when_ours_leaves_in_part)
{
        struct request request;
        size_t value_end;

        serve(INCOMING, SLICE("b=1"));
        make(&request, &rows[0]);
        value_end = request.value_at + strlen(rows[0].value);
        for (size_t first = request.value_at + 1; first < request.value_at + 55; first++) {
                connect_now();
                take_first = first;
                ck_assert_int_eq(host_send(request.bytes, request.len, take_little), (ssize_t)value_end);
                ck_assert_uint_eq(wire_len, first);
                take_then = 10000;
                send_on(request.bytes + value_end, request.len - value_end);
                expect_replaced(&request);
                finish(&request);
        }
}
END_TEST

/* What the host offers after a short write need not be what it offered before: its own bytes decide. */
START_TEST(test_passed_on_when_the_rest_comes_in_pieces)
{
        static const char other[] = "/1.1\r\ntraceparent: x\r\n\r\n"; /* after 20 bytes of get */
        struct request request;

        serve(INCOMING, SLICE("b=1"));
        make(&request, &rows[1]);
        for (size_t cut = request.value_at + 1; cut <= request.blank_at; cut++) {
                connect_now();
                take_first = 20;
                ck_assert_int_eq(host_send(request.bytes, request.len, take_little), 20);
                ck_assert_int_eq(host_send(request.bytes + 20, cut - 20, take_all), (ssize_t)(cut - 20));
                host_send(request.bytes + cut, request.len - cut, take_all);
                expect_untouched(request.bytes, request.len);
                finish(&request);
        }
        connect_now(); /* a head with a line that was not there before */
        take_first = 20;
        ck_assert_int_eq(host_send(get, strlen(get), take_little), 20);
        host_send(other, strlen(other), take_all);
        ck_assert_uint_eq(wire_len, 20 + strlen(other));
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 0);
        connect_now(); /* a head without the line that was there before */
        take_first = 20;
        ck_assert_int_eq(host_send(request.bytes, request.len, take_little), 20);
        host_send("Host: a\r\n\r\n", 11, take_all);
        ck_assert_uint_eq(wire_len, 31);
        tap_net_close(FD);
        ck_assert_uint_eq(told_count, 0);
}
END_TEST

START_TEST(test_passed_on_in_a_pipeline)
{
        static char stream[16384];
        struct request requests[ARRAY_LEN(rows)];
        size_t len = 0, count = 20;

        serve(INCOMING, SLICE("b=1"));
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                make(&requests[i], &rows[i]);
        for (size_t i = 0; i < count; i++) {
                const struct request *request = &requests[i * 5 % ARRAY_LEN(rows)];

                memcpy(stream + len, request->bytes, request->len);
                len += request->len;
        }
        for (take_then = 1; take_then < 700; take_then += 1 + take_then / 4) {
                const char *got = wire;

                connect_now();
                send_on(stream, len);
                for (size_t i = 0; i < count; i++) {
                        const struct request *request = &requests[i * 5 % ARRAY_LEN(rows)];

                        ck_assert(as_wanted(request, got, wire_len - (size_t)(got - wire)));
                        got += request->want_len;
                        host_recv(answer);
                }
                ck_assert_uint_eq(wire_len, (size_t)(got - wire));
                ck_assert_uint_eq(told_count, count);
                tap_net_close(FD);
        }
}
END_TEST

START_TEST(test_not_passed_on_is_respected)
{
        static const char *const requests[] = {
                "GET / HTTP/1.1\r\ntraceparent: " INCOMING "\r\nTraceparent: " INCOMING "\r\n\r\n",
                "GET / HTTP/1.1\r\ntraceparent: " INCOMING "\r\nTraceparent: \r\n\r\n",
                "GET / HTTP/1.1\r\ntraceparent: 00-" TRACE "-cccccccccccccccc-01\r\n\r\n",
                "GET / HTTP/1.1\r\ntraceparent: 00-" OTHER_TRACE "-bbbbbbbbbbbbbbbb-01\r\n\r\n",
                "GET / HTTP/1.1\r\ntraceparent:\r\n\r\n",
        };
        static const char own[] = "GET / HTTP/1.1\r\ntraceparent: " INCOMING "\r\n\r\n";
        uint64_t before = stat_get(STAT_SPANS_RESPECTED), request = serve(INCOMING, SLICE("b=1"));

        for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
                connect_now();
                host_send(requests[i], strlen(requests[i]), take_all);
                expect_untouched(requests[i], strlen(requests[i]));
                tap_net_close(FD);
        }
        cause_close(request); /* nobody's any more */
        connect_now();
        host_send(own, strlen(own), take_all);
        expect_untouched(own, strlen(own));
        tap_net_close(FD);
        ck_assert_uint_eq(stat_get(STAT_SPANS_RESPECTED), before + ARRAY_LEN(requests) + 1);
}
END_TEST

/* What nobody understands was made by nobody who counts on it: the trace goes on. */
START_TEST(test_garbage_is_replaced)
{
        static const char garbage[] = "GET / HTTP/1.1\r\ntraceparent: " INCOMING "x\r\n\r\n";
        uint64_t request = serve(INCOMING, SLICE_NULL);

        connect_now();
        host_send(garbage, strlen(garbage), take_all);
        ck_assert_ptr_null(memmem(wire, wire_len, INCOMING "x", strlen(INCOMING "x")));
        ck_assert_ptr_nonnull(
                memmem(wire, wire_len, "traceparent: 00-" TRACE, strlen("traceparent: 00-" TRACE)));
        host_recv(answer);
        ck_assert_uint_eq(told_count, 1);
        tap_net_close(FD);
        cause_close(request);
        connect_now(); /* nobody's: not ours to judge */
        host_send(garbage, strlen(garbage), take_all);
        expect_untouched(garbage, strlen(garbage));
        tap_net_close(FD);
}
END_TEST

/* --- requests without a context of their own --- */

/* As much to be added as there can be: more than is copied, so that it goes out in pieces. */
START_TEST(test_longest_baggage)
{
        static char baggage[LIMIT_BAGGAGE], want[2 * LIMIT_BAGGAGE];
        size_t blank_at = strlen(get) - 2, baggage_at = blank_at + 13 + 55 + 2 + 17, want_len;

        memset(baggage, 'b', sizeof(baggage));
        memcpy(baggage, "k=", 2);
        serve(INCOMING, slice_make(baggage, sizeof(baggage)));
        want_len =
                (size_t)snprintf(want, sizeof(want), "baggage: %.*s\r\n\r\n", (int)sizeof(baggage), baggage);
        for (size_t first = 1; first < baggage_at + want_len; first += first < 200 ? 1 : 977) {
                connect_now();
                take_first = first;
                take_then = 5000;
                send_on(get, strlen(get));
                ck_assert_uint_eq(wire_len, baggage_at + want_len);
                ck_assert_mem_eq(wire, get, blank_at);
                ck_assert_mem_eq(wire + blank_at, "traceparent: 00-" TRACE "-", 49);
                ck_assert_mem_eq(wire + blank_at + 70, STATE "\r\n", 17);
                ck_assert_mem_eq(wire + baggage_at, want, want_len);
                host_recv(answer);
                ck_assert_uint_eq(told_count, 1);
                tap_net_close(FD);
        }
}
END_TEST

static unsigned debts(void)
{
        return thread_state.cause.debt_count;
}

/* What the thread owes is paid by the bytes that leave, whoever sends them. */
START_TEST(test_sending_pays_debts)
{
        static const char body[] = "POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 10\r\n\r\n";
        uint64_t request = serve(INCOMING, SLICE_NULL);

        connect_now();
        ck_assert_uint_eq(debts(), 1);
        take_first = 10;
        ck_assert_int_eq(host_send(body, strlen(body), take_little), 10);
        ck_assert_uint_eq(debts(), 0);
        cause_read(&thread_state.cause, request);
        ck_assert_uint_eq(debts(), 1);
        host_send(body + 10, strlen(body) - 10, take_all);
        ck_assert_uint_eq(debts(), 0);
        cause_read(&thread_state.cause, request);
        host_send("01234", 5, take_all);
        ck_assert_uint_eq(debts(), 0);
        cause_read(&thread_state.cause, request);
        tap_net_out_unseen(FD, 5);
        ck_assert_uint_eq(debts(), 0);
        host_recv(answer);
        ck_assert_uint_eq(told_count, 1);
        tap_net_close(FD);
}
END_TEST

static long take_nothing(size_t offered)
{
        return -1;
}

/* A first request that the kernel did not take yet is still the first one. */
START_TEST(test_opening_when_nothing_left)
{
        uint64_t before = stat_get(STAT_PARENT_OPENING);
        struct conn *conn;

        serve(INCOMING, SLICE_NULL);
        connect_now();
        conn = conn_table_get(FD);
        cause_connect(&thread_state.cause, &conn->opening);
        conn_unref(conn);
        cause_waited(&thread_state.cause);
        serve("00-cccccccccccccccccccccccccccccccc-bbbbbbbbbbbbbbbb-01", SLICE_NULL);
        ck_assert_int_eq(host_send(get, strlen(get), take_nothing), -1);
        ck_assert_int_eq(errno, EAGAIN);
        ck_assert_int_eq(host_send(get, strlen(get), take_all), (ssize_t)strlen(get));
        ck_assert_ptr_nonnull(memmem(wire, wire_len, "traceparent: 00-" TRACE, 48));
        host_recv(answer);
        ck_assert_uint_eq(stat_get(STAT_PARENT_OPENING), before + 2);
        wire_len = 0;
        host_send(get, strlen(get), take_all); /* its second one is not */
        ck_assert_ptr_null(memmem(wire, wire_len, "traceparent: 00-" TRACE, 48));
        ck_assert_uint_eq(stat_get(STAT_PARENT_OPENING), before + 2);
        tap_net_close(FD);
}
END_TEST

/* --- tracestates that mean nothing beside our context --- */

static const char stale[] = "o=1,other=2345";

/* The wire has the whole of @request, with the context once and blanks in the tracestate's place. */
static void expect_blanked(const char *request, size_t want_len)
{
        size_t state_at = (size_t)(strstr(request, stale) - request), len = strlen(stale);
        const char *garbage = strstr(request, "garbage");
        bool before = garbage && garbage < strstr(request, stale);

        ck_assert_uint_eq(wire_len, want_len);
        ck_assert_ptr_null(memmem(wire, wire_len, "garbage", 7));
        ck_assert_ptr_nonnull(memmem(wire, wire_len, "\ntraceparent: 00-" TRACE, 49));
        state_at += before ? 55 - strlen("garbage") : 0;
        ck_assert_mem_eq(wire + state_at - strlen("tracestate: "), "tracestate: ", strlen("tracestate: "));
        for (size_t i = 0; i < len; i++)
                ck_assert_msg(wire[state_at + i] == ' ', "%.*s", (int)wire_len, wire);
        ck_assert_mem_eq(wire + state_at + len, "\r\n", 2);
        host_recv(answer);
        ck_assert_uint_eq(told_count, 1);
        tap_net_close(FD);
}

/* The kernel takes @first bytes, then so many at once; or the host offers the rest in pieces of that size. */
static size_t send_in_parts(const char *request, size_t first, size_t then, bool pieces)
{
        size_t len = strlen(request), at;

        connect_now();
        take_first = first;
        take_then = pieces ? len : then;
        at = (size_t)host_send(request, len, take_little);
        for (; pieces && at < len; at += MIN(then, len - at))
                ck_assert_int_eq(host_send(request + at, MIN(then, len - at), take_all),
                                 (ssize_t)MIN(then, len - at));
        if (!pieces)
                send_on(request + at, len - at);
        return wire_len;
}

START_TEST(test_stale_tracestate_in_short_writes)
{
        static const char *const requests[] = {
                "GET / HTTP/1.1\r\nHost: a\r\ntracestate: o=1,other=2345\r\nX: y\r\n\r\n",
                ("GET / HTTP/1.1\r\ntraceparent: garbage\r\nX: y\r\ntracestate: o=1,other=2345\r\nX: "
                 "y\r\n\r\n"),
                "GET / HTTP/1.1\r\ntracestate: o=1,other=2345\r\ntraceparent: garbage\r\nX: y\r\n\r\n",
        };
        static const size_t then[] = {1, 2, 5, 13, 10000};

        serve_with(INCOMING, SLICE_NULL, SLICE_NULL);
        for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
                const char *request = requests[i];
                size_t len = send_in_parts(request, 10000, 1, false);

                expect_blanked(request, len);
                for (size_t first = 1; first < len; first++)
                        for (size_t t = 0; t < ARRAY_LEN(then); t++) {
                                (void)send_in_parts(request, first, then[t], false);
                                expect_blanked(request, len);
                        }
        }
}
END_TEST

/* The rest comes in other pieces than it was offered in before. */
START_TEST(test_stale_tracestate_whose_rest_comes_in_pieces)
{
        static const char first[] = "GET / HTTP/1.1\r\nHost: a\r\ntracestate: o=1,other=2345\r\nX: y\r\n\r\n";
        static const char later[] =
                "GET / HTTP/1.1\r\ntraceparent: garbage\r\ntracestate: o=1,other=2345\r\n\r\n";
        size_t at = (size_t)(strstr(first, stale) - first), len;

        serve_with(INCOMING, SLICE_NULL, SLICE_NULL);
        len = send_in_parts(first, 10000, 1, false);
        expect_blanked(first, len);
        for (size_t cut = at + 1; cut < at + strlen(stale) + 3; cut++)
                for (size_t size = 1; size < 30; size++) {
                        (void)send_in_parts(first, cut, size, true);
                        expect_blanked(first, len);
                }
        len = send_in_parts(later, 10000, 1, false);
        expect_blanked(later, len);
        for (size_t cut = strlen("GET / HTTP/1.1\r\ntraceparent: ") + 55; cut < len - 2; cut++)
                for (size_t size = 1; size < 30; size++) {
                        (void)send_in_parts(later, cut, size, true);
                        expect_blanked(later, len);
                }
}
END_TEST

UNIT_MAIN_WITH("stream-passed", wire_setup, test_passed_on_in_two_writes,
               test_passed_on_in_two_pieces_of_one_write, test_passed_on_in_short_writes,
               test_passed_on_when_ours_leaves_in_part, test_passed_on_when_the_rest_comes_in_pieces,
               test_passed_on_in_a_pipeline, test_not_passed_on_is_respected, test_garbage_is_replaced,
               test_longest_baggage, test_sending_pays_debts, test_opening_when_nothing_left,
               test_stale_tracestate_in_short_writes, test_stale_tracestate_whose_rest_comes_in_pieces)
