/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_hold.h"

#include <stdlib.h>

#include "agent/base/load.h"
#include "export/refine_attr.h"
#include "export/refine_keep.h"

#define HELD_TRIED 16 /* addresses of one look-up that are remembered as tried */

struct refine_held {
        struct refine_held *next;
        int64_t lookup;             /* failed connect: its look-up; 0 = a failed look-up */
        struct slice name;          /* failed look-up: of this name; into @text */
        uint64_t tried[HELD_TRIED]; /* hashes of the addresses: taken back ones, then this one's */
        unsigned tried_count;
        struct span span; /* its texts point into @text */
        char text[];
};

static uint64_t peer_hash(const struct span *span)
{
        const struct attr *attr = refine_attr(span, SEMCONV_RAW_PEER, ATTR_BYTES);

        return attr ? hash_bytes(attr->str.p, attr->str.len, HASH_SEED) : 0;
}

static struct refine_held *held_new(const struct span *raw)
{
        struct refine_held *held = calloc(1, sizeof(*held) + refine_keep_size(raw));

        if (!held)
                return NULL;
        refine_keep(&held->span, raw, held->text);
        held->name = refine_attr_str(&held->span, SEMCONV_RAW_NAME);
        return held;
}

/* Out of the list at @at, and gone. */
static void held_free(struct refine_hold *hold, struct refine_held **at)
{
        struct refine_held *held = *at;

        *at = held->next;
        hold->count--;
        free(held);
}

static void held_release(struct refine_hold *hold, struct refine_held **at, refine_hold_release_fn *release,
                         void *ctx)
{
        release(ctx, &(*at)->span);
        held_free(hold, at);
}

static bool held_tried(const struct refine_held *held, uint64_t address)
{
        for (unsigned i = 0; i < held->tried_count; i++)
                if (held->tried[i] == address)
                        return true;
        return false;
}

static void held_try(struct refine_held *held, uint64_t address)
{
        if (address && held->tried_count < HELD_TRIED)
                held->tried[held->tried_count++] = address;
}

/* Of the same look-up and lately, at another address: then it was a step on the way to @raw. */
static bool held_superseded(const struct refine_held *held, const struct span *raw, uint64_t address)
{
        return held->span.end_ns + LIMIT_HELD_NS >= raw->start_ns && !held_tried(held, address);
}

static void settle_earlier(struct refine_hold *hold, struct refine_held *later, uint64_t address,
                           refine_hold_release_fn *release, void *ctx)
{
        struct refine_held **at = &hold->first;

        while (*at) {
                struct refine_held *held = *at;

                if (held->lookup != later->lookup) {
                        at = &held->next;
                } else if (held_superseded(held, &later->span, address)) {
                        for (unsigned i = 0; i < held->tried_count; i++)
                                held_try(later, held->tried[i]);
                        held_free(hold, at);
                } else {
                        held_release(hold, at, release, ctx);
                }
        }
}

static void append(struct refine_hold *hold, struct refine_held *held)
{
        struct refine_held **at = &hold->first;

        while (*at)
                at = &(*at)->next;
        *at = held;
        hold->count++;
}

bool refine_hold_take(struct refine_hold *hold, const struct span *raw, refine_hold_release_fn *release,
                      void *ctx)
{
        bool lookup_failed =
                refine_attr_int(raw, SEMCONV_RAW_EAI) && refine_attr_str(raw, SEMCONV_RAW_NAME).len;
        bool connect_failed =
                refine_attr_int(raw, SEMCONV_RAW_ERRNO) || refine_attr(raw, SEMCONV_ERROR_TYPE, ATTR_STR);
        int64_t lookup = refine_attr_int(raw, SEMCONV_RAW_LOOKUP);
        uint64_t address = peer_hash(raw);
        struct refine_held *held;

        if (!lookup_failed && !(connect_failed && lookup))
                return false;
        held = held_new(raw);
        if (!held)
                return false;
        if (!lookup_failed) {
                held->lookup = lookup;
                settle_earlier(hold, held, address, release, ctx);
                held_try(held, address);
        }
        if (hold->count >= LIMIT_HELD_SPANS)
                held_release(hold, &hold->first, release, ctx);
        append(hold, held);
        return true;
}

void refine_hold_drop(struct refine_hold *hold, const struct span *superseded)
{
        int64_t lookup = refine_attr_int(superseded, SEMCONV_RAW_LOOKUP);
        struct slice name = refine_attr_str(superseded, SEMCONV_RAW_NAME);
        struct refine_held **at = &hold->first;

        while (*at) {
                struct refine_held *held = *at;
                bool match = held->lookup ? held->lookup == lookup : slice_eq(held->name, name);

                if (match)
                        held_free(hold, at);
                else
                        at = &held->next;
        }
}

void refine_hold_release(struct refine_hold *hold, uint64_t older_than_ns, refine_hold_release_fn *release,
                         void *ctx)
{
        struct refine_held **at = &hold->first;

        while (*at) {
                if ((*at)->span.end_ns < older_than_ns || older_than_ns == UINT64_MAX)
                        held_release(hold, at, release, ctx);
                else
                        at = &(*at)->next;
        }
}

void refine_hold_done(struct refine_hold *hold)
{
        while (hold->first)
                held_free(hold, &hold->first);
}
