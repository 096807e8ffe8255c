/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers under every kind of read and write: the bytes stay as they are, one SERVER span per request, told
 * when the last byte of its response has left and not before, shown as open in between.
 */
#include "tests/unit/serving.h"

static unsigned long dice_state;

static unsigned dice(unsigned sides)
{
        dice_state = dice_state * 6364136223846793005ul + 1442695040888963407ul;
        return (unsigned)(dice_state >> 33) % sides;
}

static long take_some(size_t offered)
{
        return dice(6) == 0 ? -1 : (long)(1 + dice((unsigned)offered));
}

struct row {
        const char *head, *body;        /* of the request */
        const char *interim, *response; /* the latter up to its body, if that has a known length */
        const char *response_body;
        int status;
};

#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

static const struct row rows[] = {
        {get, "", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "hello", 200},
        {get, "", "", "HTTP/1.1 204 No Content\r\n\r\n", "", 204},
        {get, "", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "", 304},
        {"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n", "", "", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "",
         200},
        {"POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\n", "hello", "",
         "HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\n", "bad", 500},
        {"PUT /e HTTP/1.1\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", "xy",
         "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", "", 201},
        {get, "", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
         "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n", "x", 200},
        {"PUT /c HTTP/1.1\r\nHost: c\r\n" CHUNKED, "3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", "",
         "HTTP/1.1 200 OK\r\n" CHUNKED "2;e=1\r\nab\r\n10\r\n0123456789abcdef\r\n0\r\nT: x\r\n\r\n", "", 200},
        {"GET /lf HTTP/1.0\nConnection: keep-alive\n\n", "", "", "HTTP/1.0 404 No\nContent-Length: 1\n\n",
         "x", 404},
        {"OPTIONS * HTTP/1.1\r\nHost: c\r\n\r\n", "", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "",
         200},
};

struct text {
        char bytes[1024];
        size_t len;
};

static struct text join(const char *a, const char *b, const char *c)
{
        struct text text;

        text.len = (size_t)snprintf(text.bytes, sizeof(text.bytes), "%s%s%s", a, b, c);
        ck_assert_uint_lt(text.len, sizeof(text.bytes));
        return text;
}

static struct text request_of(const struct row *row)
{
        return join(row->head, row->body, "");
}

static struct text response_of(const struct row *row)
{
        return join(row->interim, row->response, row->response_body);
}

#define EACH_ROW(row) (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++)

START_TEST(test_request_in_two_reads)
{
        for
                EACH_ROW(row)
                {
                        struct text request = request_of(row), response = response_of(row);

                        for (size_t split = 1; split < request.len; split++) {
                                accept_now();
                                host_gets(request.bytes, split);
                                ck_assert_int_eq(open_now, split >= strlen(row->head));
                                host_gets(request.bytes + split, request.len - split);
                                ck_assert_int_eq(open_now, 1);
                                host_puts(response.bytes);
                                ck_assert_uint_eq(told_count, 1);
                                expect_answered(&told[0], row->status);
                                close_expecting(1);
                        }
                }
}
END_TEST

static long take_nothing(size_t offered)
{
        return -1;
}

/* A host that offers all it has, to a kernel that takes a part of it, then nothing, then the rest. */
static void put_in_two(struct text *response, size_t split)
{
        size_t half = response->len / 2;
        struct wire_call part = {take_all, response->bytes, split}, none = {take_nothing, response->bytes, 1};
        struct iovec iov[] = {{response->bytes, half}, {response->bytes + half, response->len - half}};

        ck_assert_int_eq(tap_net_out(FD, iov, 2, emit, &part), (ssize_t)split);
        ck_assert_uint_eq(told_count, 0);
        errno = 0;
        ck_assert_int_eq(tap_net_out(FD, iov, 2, emit, &none), -1);
        ck_assert_int_eq(errno, EAGAIN);
        ck_assert_uint_eq(told_count, 0);
        ck_assert_int_eq(host_send(response->bytes + split, response->len - split, take_all),
                         (ssize_t)(response->len - split));
}

START_TEST(test_response_in_two_writes)
{
        for
                EACH_ROW(row)
                {
                        struct text request = request_of(row), response = response_of(row);

                        for (size_t split = 1; split < response.len; split++) {
                                accept_now();
                                host_gets(request.bytes, request.len);
                                put_in_two(&response, split);
                                ck_assert_uint_eq(told_count, 1);
                                expect_answered(&told[0], row->status);
                                ck_assert_uint_eq(wire_len, response.len);
                                ck_assert_mem_eq(wire, response.bytes, response.len);
                                close_expecting(1);
                        }
                }
}
END_TEST

START_TEST(test_body_by_sendfile)
{
        for
                EACH_ROW(row)
                {
                        struct text head = join(row->interim, row->response, ""), request = request_of(row);
                        size_t body = strlen(row->response_body);

                        if (!body)
                                continue;
                        accept_now();
                        host_gets(request.bytes, request.len);
                        host_puts(head.bytes);
                        tap_net_out_unseen(FD, -1);
                        for (size_t sent = 0; sent < body; sent++) {
                                ck_assert_uint_eq(told_count, 0);
                                tap_net_out_unseen(FD, 1);
                        }
                        ck_assert_uint_eq(told_count, 1);
                        expect_answered(&told[0], row->status);
                        host_gets(get, strlen(get)); /* and on it goes */
                        host_puts(ok);
                        expect_answered(&told[1], 200);
                        close_expecting(2);
                }
}
END_TEST

/* --- pipelines, cut at random in both directions --- */

#define PIPELINE 12

struct pipeline {
        char requests[16384], responses[16384];
        size_t heads[PIPELINE], ends[PIPELINE], bodies[PIPELINE]; /* of requests, and of responses */
        int status[PIPELINE];
        size_t requests_len, responses_len;
        unsigned count;
};

static void fill(struct pipeline *line)
{
        memset(line, 0, sizeof(*line));
        line->count = 1 + dice(PIPELINE);
        for (unsigned i = 0; i < line->count; i++) {
                const struct row *row = &rows[dice(ARRAY_LEN(rows))];
                struct text request = request_of(row), response = response_of(row);

                line->heads[i] = line->requests_len + strlen(row->head);
                memcpy(line->requests + line->requests_len, request.bytes, request.len);
                line->requests_len += request.len;
                memcpy(line->responses + line->responses_len, response.bytes, response.len);
                line->responses_len += response.len;
                line->ends[i] = line->responses_len;
                line->bodies[i] = line->responses_len - strlen(row->response_body);
                line->status[i] = row->status;
        }
}

/* How many responses may have begun, or are complete, now. */
static unsigned count_until(const size_t *ends, unsigned count, size_t at)
{
        unsigned n = 0;

        while (n < count && ends[n] <= at)
                n++;
        return n;
}

/* One piece of the responses, as far as they may go. Return: how much of them left. */
static size_t put_piece(const struct pipeline *line, size_t at, size_t until)
{
        unsigned now = count_until(line->ends, line->count, at);
        size_t offer = 1 + dice((unsigned)(until - at));
        ssize_t n;

        if (at >= line->bodies[now] && dice(2)) {
                offer = 1 + dice((unsigned)(line->ends[now] - at));
                memcpy(wire + wire_len, line->responses + at, offer);
                wire_len += offer;
                tap_net_out_unseen(FD, (ssize_t)offer);
                return offer;
        }
        n = host_send(line->responses + at, offer, take_some);
        return n > 0 ? (size_t)n : 0;
}

static void run(const struct pipeline *line)
{
        size_t in = 0, out = 0;

        while (in < line->requests_len || out < line->responses_len) {
                unsigned heads = count_until(line->heads, line->count, in);
                size_t until = heads ? line->ends[heads - 1] : 0;

                if (in < line->requests_len && dice(2)) {
                        size_t piece = 1 + dice((unsigned)(line->requests_len - in));

                        host_gets(line->requests + in, piece);
                        in += piece;
                } else if (out < until) {
                        out += put_piece(line, out, until);
                }
                heads = count_until(line->heads, line->count, in);
                ck_assert_uint_eq(told_count, count_until(line->ends, line->count, out));
                ck_assert_int_eq(open_now, (int)(heads - told_count));
        }
}

START_TEST(test_pipelines_cut_at_random)
{
        static struct pipeline line;

        for (unsigned round = 0; round < 6000; round++) {
                dice_state = round * 7919u + 1;
                fill(&line);
                accept_now();
                run(&line);
                for (unsigned i = 0; i < line.count; i++)
                        expect_answered(&told[i], line.status[i]);
                ck_assert_uint_eq(wire_len, line.responses_len);
                ck_assert_mem_eq(wire, line.responses, wire_len);
                close_expecting(line.count);
        }
}
END_TEST

START_TEST(test_100_heads_in_one_read_100_responses_in_one_write)
{
        static char requests[100 * sizeof(get)], responses[100 * sizeof(ok)];
        size_t in = 0, out = 0;

        accept_now();
        for (int i = 0; i < 100; i++, in += strlen(get), out += strlen(ok)) {
                memcpy(requests + in, get, strlen(get));
                memcpy(responses + out, ok, strlen(ok));
        }
        host_gets(requests, in);
        ck_assert_int_eq(open_now, 100);
        ck_assert_int_eq(host_send(responses, out, take_all), (ssize_t)out);
        for (unsigned i = 0; i < 100; i++)
                expect_answered(&told[i], 200);
        close_expecting(100);
}
END_TEST

START_TEST(test_more_heads_than_we_follow)
{
        accept_now();
        for (unsigned i = 0; i <= LIMIT_PIPELINE; i++)
                host_gets(get, strlen(get));
        host_puts(ok);
        ck_assert_uint_eq(told_count, 0);
        close_expecting(LIMIT_PIPELINE);
        ck_assert_int_eq(told[0].incomplete, 1);
}
END_TEST

START_TEST(test_buffers_of_a_vector)
{
        char a[3], b[40], c[200];
        struct iovec iov[] = {{a, sizeof(a)}, {b, 0}, {b, sizeof(b)}, {c, sizeof(c)}};
        struct tap_in in;

        accept_now();
        tap_net_in_begin(&in, FD, 0);
        memcpy(a, get, 3);
        memcpy(b, get + 3, 40);
        memcpy(c, get + 43, strlen(get) - 43);
        ck_assert_int_eq(tap_net_in_end(&in, iov, 4, (ssize_t)strlen(get), 0, 243), (ssize_t)strlen(get));
        ck_assert_int_eq(open_now, 1);
        host_puts(ok);
        expect_answered(&told[0], 200);
        ck_assert_str_eq(told[0].method, "GET");
        ck_assert_str_eq(told[0].target, "/items?id=1");
        close_expecting(1);
}
END_TEST

START_TEST(test_big_head_and_bodies)
{
        size_t head = 64 * 1024, body = 300 * 1024, len;
        char *request = malloc(head + body + 200), *response = malloc(body + 200);

        accept_now();
        len = (size_t)sprintf(request, "POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\nX: ", body);
        memset(request + len, 'y', head - len);
        memcpy(request + head, "\r\n\r\n", 4);
        memset(request + head + 4, 'G', body);
        len = head + 4 + body;
        dice_state = 99;
        for (size_t at = 0, piece; at < len; at += piece) {
                piece = MIN(1 + dice(4000), len - at);
                host_gets(request + at, piece);
        }
        len = (size_t)sprintf(response, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body);
        memset(response + len, 'H', body);
        len += body;
        for (size_t at = 0; at < len;) {
                ssize_t n = host_send(response + at, len - at, take_some);

                ck_assert_uint_eq(told_count, n > 0 && at + (size_t)n == len);
                at += n > 0 ? (size_t)n : 0;
        }
        expect_answered(&told[0], 200);
        ck_assert_str_eq(told[0].target, "/big");
        close_expecting(1);
        free(request);
        free(response);
}
END_TEST

/* Nothing that is reused may leak: connections that end in every state. */
START_TEST(test_no_leak)
{
        for (int i = 0; i < 3 * LIMIT_EXCHANGES; i++) {
                accept_now();
                host_gets(get, strlen(get) - (i % 4 == 0 ? 5 : 0));
                if (i % 4 == 1)
                        host_puts("garbage that is no response\r\n");
                if (i % 4 == 2)
                        host_puts("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
                tap_net_close(FD);
        }
        accept_now();
        host_gets_text(get);
        host_puts(ok);
        expect_answered(&told[0], 200);
        close_expecting(1);
        ck_assert_uint_eq(stat_get(STAT_UNTRACED_SLAB_FULL), 0);
        ck_assert_uint_eq(cause_current(&thread_state.cause), CAUSE_NONE);
}
END_TEST

UNIT_MAIN_WITH("serve", serving_setup, test_request_in_two_reads, test_response_in_two_writes,
               test_body_by_sendfile, test_pipelines_cut_at_random,
               test_100_heads_in_one_read_100_responses_in_one_write, test_more_heads_than_we_follow,
               test_buffers_of_a_vector, test_big_head_and_bodies, test_no_leak)
