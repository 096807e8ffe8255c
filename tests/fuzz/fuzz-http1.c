/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an HTTP/1 stream. */
#include "tests/unit/http1-log.h"

#define PARSER http1
#include "tests/fuzz/ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(struct http1_log *log, const struct setting *set)
{
        http1_log_init(log, set->side, set->answers, set->room);
}

/* A stream that was refused at once was not a complete head. */
static void check_guess(const struct setting *set)
{
        enum proto_guess last = guess_growing(set);

        if (set->side == HTTP1_RESPONSES && last == PROTO_NO && strstr(log_whole.text, "blank"))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const answers[] = {"G", "HG", "GC", "C"};
        struct setting set;

        if (size < 2)
                return 0;
        set = setting_of(data, size, data[0] & 1 ? HTTP1_RESPONSES : HTTP1_REQUESTS, HTTP1_LOG_ROOM);
        set.answers = answers[data[0] >> 3 & 3];
        feed_all_ways(&set);
        check_guess(&set);
        return 0;
}
