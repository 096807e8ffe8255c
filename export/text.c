/* SPDX-License-Identifier: Apache-2.0 */
#include "export/text.h"

#include <stdio.h>

#include "agent/base/load.h"

#define TEXT_FIRST 128

static bool text_reserve(struct text *text, size_t more)
{
        size_t cap = MAX(text->cap, TEXT_FIRST);
        char *grown;

        if (text->failed || more > SIZE_MAX / 4 - text->len) {
                text->failed = true;
                return false;
        }
        if (text->p && text->len + more < text->cap)
                return true;
        while (cap <= text->len + more)
                cap *= 2;
        grown = arena_alloc(text->arena, cap);
        if (!grown) {
                text->failed = true;
                return false;
        }
        if (text->len)
                memcpy(grown, text->p, text->len);
        text->p = grown;
        text->cap = cap;
        return true;
}

void text_add(struct text *text, struct slice piece)
{
        if (!piece.len || !text_reserve(text, piece.len))
                return;
        memcpy(text->p + text->len, piece.p, piece.len);
        text->len += piece.len;
}

void text_add_str(struct text *text, const char *piece)
{
        text_add(text, slice_str(piece));
}

void text_add_int(struct text *text, long long number)
{
        char digits[24];

        text_add(text, slice_make(digits, (size_t)snprintf(digits, sizeof(digits), "%lld", number)));
}

struct slice text_get(struct text *text)
{
        if (!text_reserve(text, 0))
                return SLICE_NULL;
        text->p[text->len] = '\0';
        return slice_make(text->p, text->len);
}
