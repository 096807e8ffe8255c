/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/glob.h"

#include <stdint.h>

/* The usual two positions to come back to: time is bounded by the product of the lengths. */
static bool matches(struct slice pattern, struct slice text)
{
        size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;

        while (t < text.len) {
                if (p < pattern.len && pattern.p[p] == '*') {
                        star = p++;
                        star_text = t;
                } else if (p < pattern.len && pattern.p[p] == text.p[t]) {
                        p++;
                        t++;
                } else if (star != SIZE_MAX) {
                        p = star + 1;
                        t = ++star_text;
                } else {
                        return false;
                }
        }
        while (p < pattern.len && pattern.p[p] == '*')
                p++;
        return p == pattern.len;
}

bool glob_list_matches(struct slice list, struct slice text)
{
        while (list.len) {
                size_t comma = slice_find(list, ',');
                struct slice pattern = slice_trim(slice_to(list, comma));

                if (pattern.len && matches(pattern, text))
                        return true;
                list = slice_from(list, comma < list.len ? comma + 1 : list.len);
        }
        return false;
}
