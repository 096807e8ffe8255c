/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_keep.h"

#include "agent/base/load.h"

static unsigned attr_count(const struct span *raw)
{
        return MIN(raw->attr_count, LIMIT_SPAN_ATTRS);
}

size_t refine_keep_size(const struct span *raw)
{
        size_t len = raw->context.tracestate.len;

        for (unsigned i = 0; i < attr_count(raw); i++)
                len += raw->attrs[i].str.len;
        return len;
}

static void keep(char **text, struct slice *s)
{
        if (s->len)
                memcpy(*text, s->p, s->len);
        s->p = *text;
        *text += s->len;
}

void refine_keep(struct span *ret_span, const struct span *raw, char *text)
{
        *ret_span = *raw;
        ret_span->attr_count = attr_count(raw);
        keep(&text, &ret_span->context.tracestate);
        for (unsigned i = 0; i < ret_span->attr_count; i++)
                keep(&text, &ret_span->attrs[i].str);
}
