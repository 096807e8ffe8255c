/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of refinement: raw spans made by hand, and the finished ones caught. The makers also work outside
 * of Check. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>

#include "export/refine.h"
#include "export/utf8.h"
#include "tests/unit/unit.h"

#define REFINED_MAX 256

struct refined {
        struct refine *refine;
        struct arena arena;
        struct out_span spans[REFINED_MAX];
        unsigned count;
};

static inline void refined_init(struct refined *refined)
{
        memset(refined, 0, sizeof(*refined));
        refined->refine = refine_new();
        assert(refined->refine);
}

static inline void refined_done(struct refined *refined)
{
        refined->refine = refine_free(refined->refine);
        arena_done(&refined->arena);
}

static inline void refined_catch(void *ctx, const struct out_span *span)
{
        struct refined *refined = ctx;

        assert(refined->count < REFINED_MAX);
        refined->spans[refined->count++] = *span;
}

static inline void refined_feed(struct refined *refined, const struct span *raw)
{
        refine_span(refined->refine, &refined->arena, raw, false, 0, refined_catch, refined);
}

/* A raw span of @shape with valid ids, from second 1 000 for 5 ms. */
static inline struct span raw_span(enum span_shape shape)
{
        struct span span = {.kind = SPAN_CLIENT, .shape = (uint8_t)shape};

        memset(span.context.trace_id, 0x11, 16);
        memset(span.context.span_id, 0x22, 8);
        span.context.flags = TRACE_FLAG_SAMPLED;
        span.start_ns = 1000000000000;
        span.end_ns = span.start_ns + 5000000;
        return span;
}

/* A socket address of text and port; good until 256 more have been made. */
static inline struct slice raw_peer(const char *address, int port)
{
        static struct sockaddr_in6 v6s[256];
        static struct sockaddr_in v4s[256];
        static unsigned next;
        struct sockaddr_in6 *v6 = &v6s[next % 256];
        struct sockaddr_in *v4 = &v4s[next++ % 256];

        v4->sin_family = AF_INET;
        v6->sin6_family = AF_INET6;
        v4->sin_port = v6->sin6_port = htons((uint16_t)port);
        if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1)
                return slice_make(v6, sizeof(*v6));
        if (inet_pton(AF_INET, address, &v4->sin_addr) != 1)
                abort();
        return slice_make(v4, sizeof(*v4));
}

static inline const struct out_attr *out_find(const struct out_span *span, const char *key)
{
        for (unsigned i = 0; i < span->attr_count; i++)
                if (strcmp(span->attrs[i].key, key) == 0)
                        return &span->attrs[i];
        return NULL;
}

/* The attribute as text, numbers in decimal, "-" when it is not there. */
static inline const char *out_text(const struct out_span *span, const char *key)
{
        static char buf[8][4096];
        static unsigned next;
        const struct out_attr *attr = out_find(span, key);
        char *out = buf[next++ % 8];

        if (!attr)
                return "-";
        if (attr->type == ATTR_STR)
                snprintf(out, sizeof(buf[0]), "%.*s", (int)attr->str.len, attr->str.p);
        else
                snprintf(out, sizeof(buf[0]), "%lld", (long long)attr->num);
        return out;
}

static inline bool text_is_good(struct slice text)
{
        return text.p && !text.p[text.len] && strlen(text.p) == text.len && utf8_valid(text);
}

static inline void check_text(struct slice text)
{
        ck_assert_msg(text_is_good(text), "%s", text.p);
}

/* What must hold for whatever came in. Return: what does not, or NULL. (An assertion each would be slow.) */
static inline const char *out_span_wrong(const struct out_span *span)
{
        if (!text_is_good(span->name) || !span->name.len)
                return "name";
        if (!text_is_good(span->tracestate))
                return "tracestate";
        if (span->end_ns < span->start_ns)
                return "times";
        if (span->kind < 1 || span->kind > 5)
                return "kind";
        if (span->status != SPAN_UNSET && span->status != SPAN_ERROR)
                return "status";
        if ((span->status == SPAN_ERROR) != (out_find(span, "error.type") != NULL))
                return "error.type";
        for (unsigned i = 0; i < span->attr_count; i++) {
                const struct out_attr *attr = &span->attrs[i];

                if (strncmp(attr->key, "raw.", 4) == 0 || out_find(span, attr->key) != attr)
                        return attr->key;
                if (attr->type == ATTR_STR && !text_is_good(attr->str))
                        return attr->key;
        }
        return NULL;
}

static inline void check_out_span(const struct out_span *span)
{
        ck_assert_pstr_eq(out_span_wrong(span), NULL);
}
