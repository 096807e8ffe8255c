/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an HTTP/1 stream: every way of feeding them says the same, nothing is read beyond what
 * was given. The first two bytes of the input choose role, room for texts and splits.
 */
#include <stdlib.h>

#include "tests/unit/http1-log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct setting {
        enum http1_role role;
        uint16_t room;
        bool stop;
        unsigned seed;
        const char *answers;
        struct slice stream;
};

static struct http1_log log_whole, log_other;

static unsigned next_random(unsigned *state)
{
        *state = *state * 1103515245 + 12345;
        return *state >> 16;
}

static void start(struct http1_log *log, const struct setting *set)
{
        http1_log_init(log, set->role, set->answers, set->room);
}

/* From a block of exactly that size: a sanitizer sees one byte too many. */
static bool feed_exact(struct http1_log *log, struct slice bytes)
{
        char *copy = malloc(bytes.len ? bytes.len : 1);
        bool ok;

        if (!copy)
                abort();
        if (bytes.len)
                memcpy(copy, bytes.p, bytes.len);
        ok = http1_log_feed(log, slice_make(copy, bytes.len));
        free(copy);
        return ok;
}

static void feed_whole(const struct setting *set)
{
        start(&log_whole, set);
        if (feed_exact(&log_whole, set->stream))
                http1_log_eof(&log_whole);
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

        start(&log_other, set);
        log_other.stop = set->stop;
        while (rest.len) {
                size_t n = some(&seed, rest.len);

                if (!feed_exact(&log_other, slice_to(rest, n)))
                        return;
                rest = slice_from(rest, n);
        }
        http1_log_eof(&log_other);
}

static void feed_with_rewinds(const struct setting *set)
{
        struct slice rest = set->stream;
        unsigned seed = set->seed + 1;

        start(&log_other, set);
        while (rest.len) {
                struct http1_log_mark mark;
                size_t ahead = some(&seed, rest.len), n = ahead ? next_random(&seed) % (ahead + 1) : 0;

                http1_log_mark(&log_other, &mark);
                if (feed_exact(&log_other, slice_to(rest, n)))
                        (void)feed_exact(&log_other, slice_from(slice_to(rest, ahead), n));
                http1_log_rewind(&log_other, &mark);
                n = some(&seed, rest.len);
                if (!feed_exact(&log_other, slice_to(rest, n)))
                        return;
                rest = slice_from(rest, n);
        }
        http1_log_eof(&log_other);
}

/* What may pass unseen does. */
static void feed_with_skips(const struct setting *set)
{
        struct slice rest = set->stream;
        unsigned seed = set->seed + 2;

        start(&log_other, set);
        while (rest.len) {
                size_t n = some(&seed, rest.len);
                uint64_t left = http1_body_left(&log_other.parser);

                if (left && n > left)
                        n = (size_t)left;
                if (!(left ? http1_log_skip(&log_other, n) : feed_exact(&log_other, slice_to(rest, n))))
                        return;
                rest = slice_from(rest, n);
        }
        http1_log_eof(&log_other);
}

static void check_same(const char *how)
{
        if (!log_whole.wrong && !log_other.wrong && strcmp(log_whole.text, log_other.text) == 0)
                return;
        fprintf(stderr, "%s:\n  %s\n  %s\n", how, log_whole.text, log_other.text);
        abort();
}

/* A guess never changes its mind, and a stream that was refused at once was not a complete head. */
static void check_guess(const struct setting *set)
{
        enum proto_guess last = PROTO_MAYBE;

        for (size_t n = 0; n <= set->stream.len && n < 64; n++) {
                enum proto_guess guess = http1_guess(slice_to(set->stream, n), set->role);

                if (last != PROTO_MAYBE && guess != last)
                        abort();
                last = guess;
        }
        if (set->role == HTTP1_RESPONSES && last == PROTO_NO && strstr(log_whole.text, "blank"))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const answers[] = {"G", "HG", "GC", "C"};
        struct setting set;

        if (size < 2)
                return 0;
        set.role = data[0] & 1 ? HTTP1_RESPONSES : HTTP1_REQUESTS;
        set.stop = data[0] & 2;
        set.room = data[0] & 4 ? data[0] >> 3 : HTTP1_LOG_ROOM;
        set.answers = answers[data[0] >> 3 & 3];
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
