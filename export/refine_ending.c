/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_ending.h"

#include <stdlib.h>

#include "export/refine_attr.h"
#include "export/refine_keep.h"

struct refine_held_process {
        struct refine_held_process *next;
        void *owner;
        uint64_t since_ns; /* CLOCK_MONOTONIC */
        struct span span;  /* its texts point into @text */
        char text[];
};

static bool fits(const struct refine_notice *notice, const struct span *raw)
{
        return notice->pid == refine_attr_int(raw, SEMCONV_PROCESS_PID) && notice->wall_ns >= raw->start_ns;
}

/* The span is as whole as if its process had written it itself. */
static void complete(struct span *raw, const struct refine_notice *notice)
{
        unsigned kept = 0;

        for (unsigned i = 0; i < raw->attr_count; i++)
                if (raw->attrs[i].key != SEMCONV_OTEL_INCOMPLETE && raw->attrs[i].key != SEMCONV_RAW_SIGNAL)
                        raw->attrs[kept++] = raw->attrs[i];
        raw->attr_count = kept < LIMIT_SPAN_ATTRS ? kept : LIMIT_SPAN_ATTRS - 1; /* room, whoever made it */
        span_add_int(raw, SEMCONV_RAW_SIGNAL, notice->signal);
        raw->end_ns = notice->wall_ns;
}

/* Return: the notice of this process's end, not older than a span would have waited; or NULL. */
static struct refine_notice *find_notice(struct refine_endings *endings, const struct span *raw,
                                         uint64_t mono_ns)
{
        for (unsigned i = 0; i < LIMIT_HELD_PROCESSES; i++) {
                struct refine_notice *notice = &endings->notices[i];

                if (notice->pid && fits(notice, raw) && notice->mono_ns + LIMIT_HELD_NS >= mono_ns)
                        return notice;
        }
        return NULL;
}

static struct refine_held_process *held_new(const struct span *raw)
{
        struct refine_held_process *held = calloc(1, sizeof(*held) + refine_keep_size(raw));

        if (held)
                refine_keep(&held->span, raw, held->text);
        return held;
}

enum refine_ending refine_endings_take(struct refine_endings *endings, void *owner, struct span *raw,
                                       uint64_t wall_ns, uint64_t mono_ns)
{
        struct refine_held_process *held, **at = &endings->first;
        struct refine_notice *notice = find_notice(endings, raw, mono_ns);

        raw->end_ns = wall_ns;
        if (notice) {
                complete(raw, notice);
                notice->pid = 0;
                return REFINE_ENDING_KNOWN;
        }
        if (refine_attr_int(raw, SEMCONV_PROCESS_PID) <= 0 || endings->held >= LIMIT_HELD_PROCESSES)
                return REFINE_ENDING_UNKNOWN;
        held = held_new(raw);
        if (!held)
                return REFINE_ENDING_UNKNOWN;
        held->owner = owner;
        held->since_ns = mono_ns;
        while (*at)
                at = &(*at)->next;
        *at = held;
        endings->held++;
        return REFINE_ENDING_HELD;
}

/* Off the list first: whoever is given it may use the table. */
static void give_back(struct refine_endings *endings, struct refine_held_process **at, bool incomplete,
                      refine_ending_fn *give, void *ctx)
{
        struct refine_held_process *held = *at;

        *at = held->next;
        endings->held--;
        give(ctx, held->owner, &held->span, incomplete);
        free(held);
}

void refine_endings_notice(struct refine_endings *endings, const struct refine_notice *notice,
                           refine_ending_fn *give, void *ctx)
{
        if (notice->pid <= 0 || notice->signal <= 0)
                return;
        for (struct refine_held_process **at = &endings->first; *at; at = &(*at)->next)
                if (fits(notice, &(*at)->span)) {
                        complete(&(*at)->span, notice);
                        give_back(endings, at, false, give, ctx);
                        return;
                }
        endings->notices[endings->next++ % LIMIT_HELD_PROCESSES] = *notice;
}

void refine_endings_release(struct refine_endings *endings, uint64_t older_than_ns, refine_ending_fn *give,
                            void *ctx)
{
        while (endings->first && (endings->first->since_ns < older_than_ns || older_than_ns == UINT64_MAX))
                give_back(endings, &endings->first, true, give, ctx);
}

uint64_t refine_endings_due(const struct refine_endings *endings)
{
        return endings->first ? endings->first->since_ns + LIMIT_HELD_NS : UINT64_MAX;
}
