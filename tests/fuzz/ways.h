/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Every way of feeding a stream to a parser has to say the same, and reads nothing beyond what was given. The
 * target defines PARSER (the prefix of the parser's functions and of its log in tests/unit) before it
 * includes this, and start(), which makes a log ready for a stream.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/slice.h"

#define WAYS_JOIN(prefix, name) prefix##name
#define WAYS_NAME(prefix, name) WAYS_JOIN(prefix, name)
#define LOG(name)               WAYS_NAME(PARSER, _log##name)
#define PARSE(name)             WAYS_NAME(PARSER, _##name)

/* What the first two bytes of an input choose, and the rest of it. */
struct setting {
        int side;            /* the parser's own enum */
        const char *answers; /* HTTP/1: what the responses answer */
        uint16_t room;       /* for texts */
        bool stop;           /* every event stops the feed */
        unsigned seed;       /* of the splits */
        struct slice stream;
};

/* The first two bytes choose side, room for texts and splits. */
static struct setting setting_of(const uint8_t *data, size_t size, int side, uint16_t room)
{
        return (struct setting){
                .side = side,
                .room = data[0] & 4 ? data[0] >> 3 : room,
                .stop = data[0] & 2,
                .seed = data[1],
                .stream = slice_make(data + 2, size - 2),
        };
}

static struct LOG() log_whole, log_other;

static void start(struct LOG() * log, const struct setting *set);

static unsigned next_random(unsigned *state)
{
        *state = *state * 1103515245 + 12345;
        return *state >> 16;
}

/* From a block of exactly that size: a sanitizer sees one byte too many. */
static bool feed_exact(struct LOG() * log, struct slice bytes)
{
        char *copy = malloc(bytes.len ? bytes.len : 1);
        bool ok;

        if (!copy)
                abort();
        if (bytes.len)
                memcpy(copy, bytes.p, bytes.len);
        ok = LOG(_feed)(log, slice_make(copy, bytes.len));
        free(copy);
        return ok;
}

static void feed_whole(const struct setting *set)
{
        start(&log_whole, set);
        if (feed_exact(&log_whole, set->stream))
                LOG(_eof)(&log_whole);
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
        LOG(_eof)(&log_other);
}

static void feed_with_rewinds(const struct setting *set)
{
        static struct LOG(_mark) mark;
        struct slice rest = set->stream;
        unsigned seed = set->seed + 1;

        start(&log_other, set);
        while (rest.len) {
                size_t ahead = some(&seed, rest.len), n = ahead ? next_random(&seed) % (ahead + 1) : 0;

                LOG(_mark)(&log_other, &mark);
                if (feed_exact(&log_other, slice_to(rest, n)))
                        (void)feed_exact(&log_other, slice_from(slice_to(rest, ahead), n));
                LOG(_rewind)(&log_other, &mark);
                n = some(&seed, rest.len);
                if (!feed_exact(&log_other, slice_to(rest, n)))
                        return;
                rest = slice_from(rest, n);
        }
        LOG(_eof)(&log_other);
}

/* What may pass unseen does. */
static void feed_with_skips(const struct setting *set)
{
        struct slice rest = set->stream;
        unsigned seed = set->seed + 2;

        start(&log_other, set);
        while (rest.len) {
                size_t n = some(&seed, rest.len);
                uint64_t left = PARSE(body_left)(&log_other.parser);

                if (left && n > left)
                        n = (size_t)left;
                if (!(left ? LOG(_skip)(&log_other, n) : feed_exact(&log_other, slice_to(rest, n))))
                        return;
                rest = slice_from(rest, n);
        }
        LOG(_eof)(&log_other);
}

static void check_same(const char *how)
{
        if (!log_whole.wrong && !log_other.wrong && strcmp(log_whole.text, log_other.text) == 0)
                return;
        fprintf(stderr, "%s:\n  %s\n  %s\n", how, log_whole.text, log_other.text);
        abort();
}

/* log_whole says afterwards what the stream is. */
static void feed_all_ways(const struct setting *set)
{
        feed_whole(set);
        feed_split(set);
        check_same("split");
        feed_with_rewinds(set);
        check_same("rewinds");
        feed_with_skips(set);
        check_same("skips");
}

/* A guess never changes its mind. Return: the last one. */
static enum proto_guess guess_growing(const struct setting *set)
{
        enum proto_guess last = PROTO_MAYBE;

        for (size_t n = 0; n <= set->stream.len && n < 64; n++) {
                enum proto_guess guess = PARSE(guess)(slice_to(set->stream, n), set->side);

                if (last != PROTO_MAYBE && guess != last)
                        abort();
                last = guess;
        }
        return last;
}
