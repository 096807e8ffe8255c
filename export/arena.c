/* SPDX-License-Identifier: Apache-2.0 */
#include "export/arena.h"

#include <stdlib.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"

#define ARENA_ALIGN      16
#define ARENA_BLOCK_SIZE ((size_t)64 * 1024)

struct arena_block {
        struct arena_block *next;
        size_t size, used;
        _Alignas(ARENA_ALIGN) unsigned char bytes[];
};

static struct arena_block *block_new(struct arena *arena, size_t len)
{
        size_t size = MAX(len, ARENA_BLOCK_SIZE);
        struct arena_block *block = calloc(1, sizeof(*block) + size);

        if (!block)
                return NULL;
        block->size = size;
        /* A block for one large piece goes behind the current one, whose free rest stays in use. */
        if (arena->blocks && len > ARENA_BLOCK_SIZE / 2) {
                block->next = arena->blocks->next;
                arena->blocks->next = block;
        } else {
                block->next = arena->blocks;
                arena->blocks = block;
        }
        return block;
}

void *arena_alloc(struct arena *arena, size_t len)
{
        size_t max = arena->max ? arena->max : LIMIT_REQUEST;
        struct arena_block *block = arena->blocks;
        void *piece;

        if (len > max)
                return NULL;
        len = ALIGN_UP(len ? len : 1, ARENA_ALIGN);
        if (len > max - MIN(arena->used, max))
                return NULL;
        if (!block || len > block->size - block->used)
                block = block_new(arena, len);
        if (!block)
                return NULL;
        piece = block->bytes + block->used;
        block->used += len;
        arena->used += len;
        return piece;
}

char *arena_copy(struct arena *arena, struct slice text)
{
        char *copy = text.len < SIZE_MAX ? arena_alloc(arena, text.len + 1) : NULL;

        if (copy && text.len)
                memcpy(copy, text.p, text.len);
        return copy;
}

void arena_done(struct arena *arena)
{
        struct arena_block *block = arena->blocks;

        while (block) {
                struct arena_block *next = block->next;

                free(block);
                block = next;
        }
        arena->blocks = NULL;
        arena->used = 0;
}
