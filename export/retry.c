/* SPDX-License-Identifier: Apache-2.0 */
#include "export/retry.h"

#include <curl/curl.h>

#include "agent/base/load.h"
#include "agent/base/slice.h"

static const long retryable[] = {429, 502, 503, 504};

bool retry_status(long status)
{
        for (size_t i = 0; i < ARRAY_LEN(retryable); i++)
                if (retryable[i] == status)
                        return true;
        return false;
}

uint32_t retry_pause(struct retry *retry, uint64_t random)
{
        uint32_t pause = retry->pause_ms ? retry->pause_ms + retry->pause_ms / 2 : RETRY_FIRST_MS;
        uint32_t spread;

        retry->pause_ms = MIN(pause, RETRY_LAST_MS);
        spread = retry->pause_ms / 5;
        return retry->pause_ms - spread + (uint32_t)(random % (2 * spread + 1));
}

void retry_reset(struct retry *retry)
{
        retry->pause_ms = 0;
}

static bool seconds_parse(struct slice text, int64_t *ret_ms)
{
        int64_t ms = 0;

        if (!text.len)
                return false;
        for (size_t i = 0; i < text.len; i++) {
                if (text.p[i] < '0' || text.p[i] > '9')
                        return false;
                ms = MIN(ms * 10 + (text.p[i] - '0') * 1000, RETRY_AFTER_MAX_MS);
        }
        *ret_ms = ms;
        return true;
}

int64_t retry_after(const char *text, int64_t now_wall_s)
{
        struct slice trimmed = slice_trim(slice_str(text));
        int64_t ms;
        time_t then;

        if (seconds_parse(trimmed, &ms))
                return ms;
        /* Every HTTP date begins with the name of a day; libcurl's parser alone is far more generous. */
        if (!trimmed.len || ascii_lower(trimmed.p[0]) < 'a' || ascii_lower(trimmed.p[0]) > 'z')
                return -1;
        then = curl_getdate(text, NULL);
        if (then == (time_t)-1)
                return -1;
        if (then <= now_wall_s)
                return 0;
        return MIN((int64_t)then - now_wall_s, RETRY_AFTER_MAX_MS / 1000) * 1000;
}
