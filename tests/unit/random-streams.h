/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Client streams of HTTP/1 and HTTP/2 made at random: heads and bodies of all sizes and kinds, contexts that
 * are there. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/load.h"
#include "tests/unit/http2-script.h"

#define REQUESTS_MAX 8
#define STREAM_MAX   (1 << 18)

static struct {
        char bytes[STREAM_MAX];
        size_t len;
        size_t ends[REQUESTS_MAX]; /* of the requests */
        unsigned count;
        unsigned own; /* that bring a context of their own */
} stream;

static unsigned long dice_state;

static inline unsigned dice(unsigned sides)
{
        dice_state = dice_state * 6364136223846793005ul + 1442695040888963407ul;
        return (unsigned)(dice_state >> 33) % sides;
}

/* Mostly short, sometimes long, rarely more than a buffer holds. */
static inline unsigned some(void)
{
        unsigned way = dice(32);

        return way == 0 ? dice(20000) : way < 6 ? dice(1500) : dice(60);
}

static inline void add(const char *text)
{
        size_t len = strlen(text);

        ck_assert_uint_lt(stream.len + len, sizeof(stream.bytes));
        memcpy(stream.bytes + stream.len, text, len);
        stream.len += len;
}

static inline void add_many(char c, unsigned count)
{
        ck_assert_uint_lt(stream.len + count, sizeof(stream.bytes));
        memset(stream.bytes + stream.len, c, count);
        stream.len += count;
}

static inline void add_number(const char *format, unsigned number)
{
        char text[64];

        snprintf(text, sizeof(text), format, number);
        add(text);
}

#define OWN "00-12345678901234567890123456789012-1234567890123456-01"

static inline void add_fields(const char *eol)
{
        static const char *const fields[] = {"Accept: */*",
                                             "User-Agent: storm",
                                             "x:y",
                                             "Cookie: traceparent: 00-1",
                                             "traceparents: no",
                                             "X-Empty:",
                                             "Connection: keep-alive"};

        for (unsigned i = dice(5); i > 0; i--) {
                add(fields[dice(ARRAY_LEN(fields))]);
                add(eol);
        }
        if (dice(3) == 0) {
                add("X-Long: ");
                add_many('l', some());
                add(eol);
        }
}

/* Bodies look like requests. */
static inline void add_body(unsigned len)
{
        static const char like[] = "GET /no HTTP/1.1\r\nHost: no\r\n\r\n";

        for (unsigned i = 0; i < len; i++)
                stream.bytes[stream.len++] = like[i % (sizeof(like) - 1)];
}

static inline void add_chunks(const char *eol)
{
        for (unsigned i = dice(4); i > 0; i--) {
                unsigned len = 1 + some();

                add_number(dice(2) ? "%x;a=b\r\n" : "%X\r\n", len);
                add_body(len);
                add("\r\n");
        }
        add("0\r\n");
        if (dice(4) == 0)
                add("traceparent: in-a-trailer\r\n");
        add("\r\n");
}

static inline void add_http1(unsigned number)
{
        static const char *const methods[] = {"GET", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"};
        unsigned method = dice(ARRAY_LEN(methods)), len = some(), body = method < 3 ? 0 : 1 + dice(2);
        const char *eol = dice(8) || body == 2 ? "\r\n" : "\n";

        add(methods[method]);
        add_number(" /%u?", number);
        add_many('q', dice(40));
        add(dice(8) || body == 2 ? " HTTP/1.1" : " HTTP/1.0");
        add(eol);
        add("Host: storm.example");
        add(eol);
        add_fields(eol);
        if (dice(16) == 0) {
                add(dice(2) ? "traceparent: " OWN : "TraceParent:" OWN);
                add(eol);
                stream.own++;
        }
        if (body == 1) {
                add_number("Content-Length: %u", len);
                add(eol);
        } else if (body == 2) {
                add("Transfer-Encoding: chunked\r\n");
        }
        add(eol);
        if (body == 1)
                add_body(len);
        else if (body == 2)
                add_chunks(eol);
}

static inline void make_http1(void)
{
        for (unsigned i = 0; i < stream.count; i++) {
                add_http1(i);
                stream.ends[i] = stream.len;
        }
}

/* A script's request: padding, priority, any number of frames, a body, or trailers. */
static inline size_t write_http2(char *script, unsigned id, bool *ret_own)
{
        static const char *const flags[] = {"", "p", "r", "rp"};
        static const char *const ends[] = {"e", "", ""};
        unsigned end = dice(ARRAY_LEN(ends)), frames = dice(3) ? 1 : 1 + dice(5), pad = dice(3) ? 0 : some();
        size_t n = 0;

        frames += pad > 15000; /* of 16384 bytes at most */
        *ret_own = dice(16) == 0;
        n += (size_t)sprintf(script + n, "|H%u%s%s", id, ends[end], flags[dice(ARRAY_LEN(flags))]);
        if (frames > 1)
                n += (size_t)sprintf(script + n, "/%u", frames);
        n += (size_t)sprintf(script + n, " :method=GET;:scheme=http;:authority=h;:path=/%u", id);
        if (pad) {
                n += (size_t)sprintf(script + n, ";%sx=", dice(2) ? "!" : "");
                memset(script + n, 'p' + (int)dice(10), pad);
                script[n += pad] = '\0';
        }
        if (*ret_own)
                n += (size_t)sprintf(script + n, ";traceparent=" OWN);
        if (end == 1)
                n += (size_t)sprintf(script + n, "|D%u %u|D%ue %u", id, dice(300), id, some() % 16384);
        else if (end == 2)
                n += (size_t)sprintf(script + n, "|D%u %u|H%ue sum=%u", id, dice(300), id, id);
        return n;
}

static inline void make_http2(void)
{
        static char script[REQUESTS_MAX * 21000];
        size_t n = (size_t)sprintf(script, "PRI|S");
        bool own;

        if (dice(3) == 0)
                n += (size_t)sprintf(script + n, "|A");
        for (unsigned i = 0; i < stream.count; i++) {
                n += write_http2(script + n, 2 * i + 1, &own);
                stream.own += own;
                if (dice(8) == 0)
                        n += (size_t)sprintf(script + n, "|= 000008060000000000%016x", i);
        }
        stream.len = http2_script(stream.bytes, sizeof(stream.bytes), script);
        for (unsigned i = 0; i < stream.count; i++)
                stream.ends[i] = stream.len;
}
