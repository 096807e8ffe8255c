/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * UTF-8: receivers refuse a whole request for one bad string, and what we carry was captured from
 * sockets. Ill-formed sequences become U+FFFD, one for each maximal subpart (Unicode, chapter 3.9).
 * No state.
 */
#include <stdbool.h>
#include <stdint.h>

#include "export/arena.h"

#define UTF8_BAD UINT32_MAX

/**
 * utf8_step() - the first character of @text, which is not empty
 * @ret_code: its code point, or UTF8_BAD for an ill-formed sequence
 *
 * Context: worker.
 * Return: its length in bytes, at least 1.
 */
size_t utf8_step(struct slice text, uint32_t *ret_code);

/* Well-formed throughout? Context: worker. */
bool utf8_valid(struct slice text);

/**
 * utf8_copy() - a terminated, well-formed copy
 *
 * A zero byte becomes U+FFFD too: the text ends where it seems to end.
 *
 * Context: worker.
 * Return: the copy; SLICE_NULL when the arena is exhausted.
 */
struct slice utf8_copy(struct arena *arena, struct slice text);

/* The beginning of well-formed @text, at most @max bytes, cut between characters. Context: worker. */
struct slice utf8_cut(struct slice text, size_t max);
