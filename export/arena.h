/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Memory of one batch: allocated piecemeal, freed at once, bounded. One thread. */
#include <stddef.h>
#include <stdint.h>

#include "agent/base/slice.h"

struct arena_block;

/* All zero is an empty arena, ready for use. */
struct arena {
        struct arena_block *blocks;
        size_t used; /* bytes handed out */
        size_t max;  /* cap; 0 = LIMIT_REQUEST */
};

/**
 * arena_alloc() - memory that lives until arena_done()
 * @len: bytes; 0 gives a valid pointer as well
 *
 * Context: worker.
 * Return: 16-byte aligned and zeroed; NULL when the cap or memory is exhausted.
 */
void *arena_alloc(struct arena *arena, size_t len);

/* A copy with a terminator; NULL as above. Context: worker. */
char *arena_copy(struct arena *arena, struct slice text);

/* Frees all; the arena is empty and usable again. Context: worker. */
void arena_done(struct arena *arena);
