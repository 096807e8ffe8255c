/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_shared.h"

#include <stdlib.h>
#include <string.h>

#include "export/refine_keep.h"

struct refine_held_shared {
        struct refine_held_shared *next;
        void *owner;
        uint64_t since_ns; /* CLOCK_MONOTONIC */
        struct span span;  /* its texts point into @text */
        char text[];
};

static struct refine_shared_id id_of(const struct span *raw)
{
        struct refine_shared_id id;

        memcpy(id.trace_id, raw->context.trace_id, sizeof(id.trace_id));
        memcpy(id.span_id, raw->context.span_id, sizeof(id.span_id));
        return id;
}

static bool was_told(const struct refine_shared *shared, struct refine_shared_id id)
{
        for (unsigned i = 0; i < LIMIT_SHARED_IDS; i++)
                if (memcmp(&shared->told[i], &id, sizeof(id)) == 0)
                        return true;
        return false;
}

static struct refine_held_shared **find(struct refine_shared *shared, struct refine_shared_id id)
{
        struct refine_held_shared **at = &shared->first;

        for (; *at; at = &(*at)->next) {
                struct refine_shared_id other = id_of(&(*at)->span);

                if (memcmp(&other, &id, sizeof(id)) == 0)
                        break;
        }
        return at;
}

static void remember(struct refine_shared *shared, struct refine_shared_id id)
{
        shared->told[shared->next++ % LIMIT_SHARED_IDS] = id;
}

/* Off the list first: whoever is given it may use the table. */
static void give_back(struct refine_shared *shared, struct refine_held_shared **at, bool told,
                      refine_shared_fn *give, void *ctx)
{
        struct refine_held_shared *held = *at;

        *at = held->next;
        shared->held--;
        remember(shared, id_of(&held->span));
        give(ctx, held->owner, told ? NULL : &held->span);
        free(held);
}

bool refine_shared_tell(struct refine_shared *shared, const struct span *raw, refine_shared_fn *give,
                        void *ctx)
{
        struct refine_held_shared **at = find(shared, id_of(raw));

        if (*at) {
                give_back(shared, at, true, give, ctx);
                return true;
        }
        if (was_told(shared, id_of(raw)))
                return false;
        remember(shared, id_of(raw));
        return true;
}

enum refine_shared_verdict refine_shared_hold(struct refine_shared *shared, void *owner, struct span *raw,
                                              uint64_t wall_ns, uint64_t mono_ns)
{
        struct refine_held_shared **at = find(shared, id_of(raw)), *held = NULL;

        if (*at || was_told(shared, id_of(raw)))
                return REFINE_SHARED_TOLD;
        if (shared->held < LIMIT_SHARED_SPANS)
                held = calloc(1, sizeof(*held) + refine_keep_size(raw));
        if (!held) {
                remember(shared, id_of(raw));
                return REFINE_SHARED_NOW;
        }
        raw->end_ns = wall_ns;
        refine_keep(&held->span, raw, held->text);
        held->owner = owner;
        held->since_ns = mono_ns;
        *at = held;
        shared->held++;
        return REFINE_SHARED_HELD;
}

void refine_shared_release(struct refine_shared *shared, uint64_t older_than_ns, refine_shared_fn *give,
                           void *ctx)
{
        while (shared->first && (shared->first->since_ns < older_than_ns || older_than_ns == UINT64_MAX))
                give_back(shared, &shared->first, false, give, ctx);
}

uint64_t refine_shared_due(const struct refine_shared *shared)
{
        return shared->first ? shared->first->since_ns + LIMIT_SHARED_NS : UINT64_MAX;
}
