/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a FastCGI stream. */
#include "tests/unit/fcgi-log.h"

#define PARSER fcgi
#include "tests/fuzz/ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(struct fcgi_log *log, const struct setting *set)
{
        fcgi_log_init(log, set->side, set->room);
}

/* What begins with a request was not refused. */
static void check_guess(const struct setting *set)
{
        enum proto_guess last = guess_growing(set);

        if (last == PROTO_NO && strncmp(log_whole.text, "begin", 5) == 0 && set->stream.p[1] == 1)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct setting set;

        if (size < 2)
                return 0;
        set = setting_of(data, size, data[0] & 1 ? FCGI_RESPONSES : FCGI_REQUESTS, FCGI_LOG_ROOM);
        feed_all_ways(&set);
        check_guess(&set);
        return 0;
}
