/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a direction of HTTP/2. */
#include "tests/unit/http2-log.h"

#define PARSER http2
#include "tests/fuzz/ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(struct http2_log *log, const struct setting *set)
{
        http2_log_init(log, set->side, set->room);
}

/* Whoever is a client was not refused. */
static void check_guess(const struct setting *set)
{
        enum proto_guess last = guess_growing(set);

        if (last == PROTO_NO && set->side == HTTP2_CLIENT && strncmp(log_whole.text, "set", 3) == 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct setting set;

        if (size < 2)
                return 0;
        set = setting_of(data, size, data[0] & 1 ? HTTP2_SERVER : HTTP2_CLIENT, HTTP2_LOG_ROOM);
        feed_all_ways(&set);
        check_guess(&set);
        return 0;
}
