/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A text that grows piece by piece in an arena. Running out of memory is remembered, so that callers
 * ask once, at the end. One thread.
 */
#include <stdbool.h>

#include "export/arena.h"

struct text {
        struct arena *arena;
        char *p;
        size_t len, cap;
        bool failed;
};

/* Context of all: worker. */
void text_add(struct text *text, struct slice piece);
void text_add_str(struct text *text, const char *piece);
void text_add_int(struct text *text, long long number);

/* What was added so far, terminated; SLICE_NULL once memory ran out. */
struct slice text_get(struct text *text);
