/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory for texts, in a few sizes from slabs: what most requests need is small, what some need is large.
 * A struct room owns what it holds; all zero, it holds nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct room {
        char *p;
        uint32_t index;
        uint16_t size; /* bytes */
        uint8_t kind;  /* private; 0: nothing, or what it was lent */
};

/**
 * room_take() - at least so many bytes
 * @room: holds nothing
 *
 * What is in them is left over. None of that size any more is counted.
 *
 * Context: signal. Return: false when there is none; @room holds nothing.
 */
bool room_take(struct room *room, size_t size);

/* Memory of the caller's to begin with, which outlives it. Context: signal. */
static inline void room_lend(struct room *room, char *p, uint16_t size)
{
        *room = (struct room){.p = p, .size = size};
}

/* Slow paths of the two below. Context: signal. */
bool room_take_more(struct room *room, size_t size, size_t keep);
void room_give_back(struct room *room);

/**
 * room_grow() - the same with room for @size bytes
 * @keep: so many of its first bytes are copied
 *
 * Context: signal. Return: false when there is none so large; @room is what it was.
 */
static inline bool room_grow(struct room *room, size_t size, size_t keep)
{
        return size <= room->size || room_take_more(room, size, keep);
}

/* It holds nothing any more. Context: signal. */
static inline void room_give(struct room *room)
{
        if (room->kind)
                room_give_back(room);
}
