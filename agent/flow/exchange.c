/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/exchange.h"

#include <stddef.h>
#include <string.h>

#include "agent/base/slab.h"
#include "agent/base/stats.h"

#define PER_CHUNK 64

SLAB_DEFINE(static, slab, sizeof(struct exchange), PER_CHUNK, LIMIT_EXCHANGES);

struct exchange *exchange_new(uint64_t start_ns)
{
        uint32_t index;
        struct exchange *exchange = slab_alloc(&slab, &index);

        if (!exchange) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                return NULL;
        }
        memset(exchange, 0, offsetof(struct exchange, added_first));
        room_lend(&exchange->added, exchange->added_first, sizeof(exchange->added_first));
        room_lend(&exchange->text, exchange->text_first, sizeof(exchange->text_first));
        exchange->index = index;
        exchange->start_ns = start_ns;
        atomic_store_explicit(&exchange->open_slot, OPEN_NONE, memory_order_relaxed);
        atomic_store_explicit(&exchange->owners, 2, memory_order_relaxed);
        return exchange;
}

bool exchange_grow(struct exchange *exchange, size_t need, size_t used, char **ret_text, uint16_t *ret_max)
{
        if (need > LIMIT_HTTP_TEXT || !room_grow(&exchange->text, need, used))
                return false;
        *ret_text = exchange->text.p;
        *ret_max = exchange->text.size;
        return true;
}

struct exchange *exchange_at(uint32_t index)
{
        return slab_at(&slab, index);
}

void exchange_drop(struct exchange *exchange)
{
        if (atomic_fetch_sub_explicit(&exchange->owners, 1, memory_order_acq_rel) != 1)
                return;
        room_give(&exchange->added);
        room_give(&exchange->carry);
        room_give(&exchange->text);
        slab_free(&slab, exchange->index);
}

struct slice exchange_text(const struct exchange *exchange, enum http1_text which)
{
        const struct http1_span *at = &exchange->text_at[which];

        return at->present && !at->cut ? slice_make(exchange->text.p + at->at, at->len) : SLICE_NULL;
}

/* An authority that is cut may hide what must not be shown: only where the path has begun is it known. */
static bool has_path(struct slice target)
{
        size_t scheme = slice_find(target, ':');

        if (slice_starts(target, SLICE("/")))
                return true;
        target = slice_from(target, scheme);
        return slice_starts(target, SLICE("://")) && slice_find(slice_from(target, 3), '/') < target.len - 3;
}

struct slice exchange_target(const struct exchange *exchange, size_t most)
{
        const struct http1_span *at = &exchange->text_at[HTTP1_TARGET];
        struct slice kept = slice_to(slice_make(exchange->text.p + at->at, at->len), most);
        bool cut = at->cut || kept.len < at->len;

        return at->present && (!cut || has_path(kept)) ? kept : SLICE_NULL;
}
