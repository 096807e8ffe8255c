/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/room.h"

#include <string.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/slab.h"
#include "agent/base/stats.h"

SLAB_DEFINE(static, tiny, 128, 64, LIMIT_ROOMS);
SLAB_DEFINE(static, small, 512, 64, LIMIT_ROOMS);
SLAB_DEFINE(static, medium, 2048, 32, LIMIT_ROOMS_MEDIUM);
SLAB_DEFINE(static, large, 9216, 8, LIMIT_ROOMS_LARGE);
SLAB_DEFINE(static, huge, LIMIT_HTTP_TEXT, 8, LIMIT_ROOMS_LARGE);

static struct slab *const slabs[] = {&tiny, &small, &medium, &large, &huge};

_Static_assert(LIMIT_INJECT <= 9216 && LIMIT_TRACESTATE + LIMIT_BAGGAGE <= 9216, "must fit into a large one");

bool room_take(struct room *room, size_t size)
{
        size_t kind = 0;
        char *p;

        while (kind < ARRAY_LEN(slabs) && slabs[kind]->object_size < size)
                kind++;
        p = kind < ARRAY_LEN(slabs) ? slab_alloc(slabs[kind], &room->index) : NULL;
        if (!p) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                return false;
        }
        room->p = p;
        room->size = (uint16_t)slabs[kind]->object_size;
        room->kind = (uint8_t)(kind + 1);
        return true;
}

bool room_take_more(struct room *room, size_t size, size_t keep)
{
        struct room old = *room;

        if (!room_take(room, size))
                return false;
        if (keep)
                memcpy(room->p, old.p, keep);
        room_give(&old);
        return true;
}

void room_give_back(struct room *room)
{
        slab_free(slabs[room->kind - 1], room->index);
        *room = (struct room){.p = NULL};
}
