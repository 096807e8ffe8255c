/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a HTTP/2 direction: every way of feeding them says the same, nothing is read beyond what was
 * given. The first two bytes of the input choose direction, room for texts and splits.
 */
#include <stdlib.h>

#include "tests/unit/http2-log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct setting {
        enum http2_sender sender;
        uint16_t room;
        bool stop;
        unsigned seed;
        struct slice stream;
};

static struct http2_log log_whole, log_other;

static unsigned next_random(unsigned *state)
{
        *state = *state * 1103515245 + 12345;
        return *state >> 16;
}

/* From a block of exactly that size: a sanitizer sees one byte too many. */
static bool feed_exact(struct http2_log *log, struct slice bytes)
{
        char *copy = malloc(bytes.len ? bytes.len : 1);
        bool ok;

        if (!copy)
                abort();
        if (bytes.len)
                memcpy(copy, bytes.p, bytes.len);
        ok = http2_log_feed(log, slice_make(copy, bytes.len));
        free(copy);
        return ok;
}

static void feed_whole(const struct setting *set)
{
        http2_log_init(&log_whole, set->sender, set->room);
        if (feed_exact(&log_whole, set->stream))
                http2_log_eof(&log_whole);
}

static size_t some(unsigned *seed, size_t most)
{
        size_t n = next_random(seed) % 3 ? next_random(seed) % 8 : next_random(seed) % 200;

        return n < most ? n : most;
}

static void feed_split(const struct setting *set)
{
        struct slice rest = set->stream;
        unsigned seed = set->seed;

        http2_log_init(&log_other, set->sender, set->room);
        log_other.stop = set->stop;
        while (rest.len) {
                size_t n = some(&seed, rest.len);

                if (!feed_exact(&log_other, slice_to(rest, n)))
                        return;
                rest = slice_from(rest, n);
        }
        http2_log_eof(&log_other);
}

static void feed_with_rewinds(const struct setting *set)
{
        static struct http2_log_mark mark;
        struct slice rest = set->stream;
        unsigned seed = set->seed + 1;

        http2_log_init(&log_other, set->sender, set->room);
        while (rest.len) {
                size_t ahead = some(&seed, rest.len), n = ahead ? next_random(&seed) % (ahead + 1) : 0;

                http2_log_mark(&log_other, &mark);
                if (feed_exact(&log_other, slice_to(rest, n)))
                        (void)feed_exact(&log_other, slice_from(slice_to(rest, ahead), n));
                http2_log_rewind(&log_other, &mark);
                n = some(&seed, rest.len);
                if (!feed_exact(&log_other, slice_to(rest, n)))
                        return;
                rest = slice_from(rest, n);
        }
        http2_log_eof(&log_other);
}

/* What may pass unseen does. */
static void feed_with_skips(const struct setting *set)
{
        struct slice rest = set->stream;
        unsigned seed = set->seed + 2;

        http2_log_init(&log_other, set->sender, set->room);
        while (rest.len) {
                size_t n = some(&seed, rest.len);
                uint64_t left = http2_body_left(&log_other.parser);

                if (left && n > left)
                        n = (size_t)left;
                if (!(left ? http2_log_skip(&log_other, n) : feed_exact(&log_other, slice_to(rest, n))))
                        return;
                rest = slice_from(rest, n);
        }
        http2_log_eof(&log_other);
}

static void check_same(const char *how)
{
        if (!log_whole.wrong && !log_other.wrong && strcmp(log_whole.text, log_other.text) == 0)
                return;
        fprintf(stderr, "%s:\n  %s\n  %s\n", how, log_whole.text, log_other.text);
        abort();
}

/* A guess never changes its mind, and whoever is a client was not refused. */
static void check_guess(const struct setting *set)
{
        enum proto_guess last = PROTO_MAYBE;

        for (size_t n = 0; n <= set->stream.len && n < 64; n++) {
                enum proto_guess guess = http2_guess(slice_to(set->stream, n), set->sender);

                if (last != PROTO_MAYBE && guess != last)
                        abort();
                last = guess;
        }
        if (last == PROTO_NO && set->sender == HTTP2_CLIENT && strncmp(log_whole.text, "set", 3) == 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct setting set;

        if (size < 2)
                return 0;
        set.sender = data[0] & 1 ? HTTP2_SERVER : HTTP2_CLIENT;
        set.stop = data[0] & 2;
        set.room = data[0] & 4 ? data[0] >> 3 : HTTP2_LOG_ROOM;
        set.seed = data[1];
        set.stream = slice_make(data + 2, size - 2);
        feed_whole(&set);
        feed_split(&set);
        check_same("split");
        feed_with_rewinds(&set);
        check_same("rewinds");
        feed_with_skips(&set);
        check_same("skips");
        check_guess(&set);
        return 0;
}
