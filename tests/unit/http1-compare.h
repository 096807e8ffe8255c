/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A direction of HTTP/1 as it was sent and as it arrived: the same bytes, but for lines of ours that end
 * heads. */
#include <check.h>
#include <string.h>

#include "agent/base/slice.h"

#define HTTP1_COMPARE_NAME "traceparent: 00-"
#define HTTP1_COMPARE_LINE (sizeof(HTTP1_COMPARE_NAME) - 1 + 52) /* without its end */

/* Does a line of ours stand at @at, where @sent goes on otherwise? */
static inline bool http1_compare_ours(struct slice sent, struct slice arrived, size_t at)
{
        const struct slice name = SLICE(HTTP1_COMPARE_NAME);

        return at && arrived.p[at - 1] == '\n' && arrived.len - at >= HTTP1_COMPARE_LINE + 2 &&
               slice_starts(slice_from(arrived, at), name) && !slice_starts(sent, name);
}

/* @on_context gets the text of each. Return: bytes of @sent that have arrived. */
static inline size_t http1_compare(struct slice sent, struct slice arrived,
                                   void (*on_context)(const char *text))
{
        size_t from = 0, at = 0;

        while (at < arrived.len) {
                if (http1_compare_ours(slice_from(sent, from), arrived, at)) {
                        on_context(arrived.p + at + sizeof(HTTP1_COMPARE_NAME) - 1 - 3);
                        at += HTTP1_COMPARE_LINE;
                        at += arrived.p[at] == '\r' ? 2 : 1;
                        ck_assert_int_eq(arrived.p[at - 1], '\n');
                        ck_assert(arrived.p[at] == '\r' || arrived.p[at] == '\n'); /* the head ends here */
                        continue;
                }
                ck_assert_uint_lt(from, sent.len);
                ck_assert_int_eq(arrived.p[at++], sent.p[from++]);
        }
        return from;
}
