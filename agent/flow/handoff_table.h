/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a process and its forked children know of the open server requests that they share: one page that all
 * of them see, made at the first fork with such a request. Each has a slot: is it still open, and who may
 * answer it yet? Who claims it is the only one that tells of it. A name outlives its request and is
 * then nobody's: a slot is used again with another serial. What a killed process left is reclaimed when there
 * is no room.
 */
#include <stdbool.h>
#include <stdint.h>

#define HANDOFF_NONE  0
#define HANDOFF_SLOTS 64

/* Which slot? 0 to HANDOFF_SLOTS - 1. */
static inline unsigned handoff_slot(uint64_t name)
{
        return (unsigned)(name % 256) - 1;
}

/* This process has an open request to share. @avoid: slots that are not to be taken, a bit each. Return: its
 * name; HANDOFF_NONE: no room, or no memory. Context: signal. */
uint64_t handoff_table_add(uint64_t avoid);

/* Is it told from shared memory when this process, which has it, is killed? Context: signal. */
void handoff_table_shown(uint64_t name, bool shown);

/* A child is about to be forked that will have the request as well. Context: signal. */
void handoff_table_expect(uint64_t name);
/* In a child that has it; @awaited: in that one. Context: signal. */
void handoff_table_join(uint64_t name, bool awaited);

/* This process will not answer it. handoff_table_others() then says who decides. Context: signal. */
void handoff_table_leave(uint64_t name);

/* May another process answer it? Asks the kernel whether they live. Context: signal. */
bool handoff_table_others(uint64_t name);

/* Not claimed yet? One load. Context: signal. */
bool handoff_table_open(uint64_t name);

/* Return: true for exactly one caller in all processes, or for none when whoever read it was killed so long
 * ago that what it showed may have been told. Context: signal. */
bool handoff_table_claim(uint64_t name);
