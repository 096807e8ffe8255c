/* SPDX-License-Identifier: Apache-2.0 */
#include "export/utf8.h"

#include "agent/base/load.h"

#define UTF8_REPLACEMENT SLICE("\xef\xbf\xbd")

/* Well-formed sequences: Unicode, table 3-7. The bytes after the second are always 80..BF. */
static const struct utf8_row {
        unsigned char first_min, first_max, second_min, second_max, len, mask;
} utf8_rows[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2, 0x1f}, {0xe0, 0xe0, 0xa0, 0xbf, 3, 0x0f},
        {0xe1, 0xec, 0x80, 0xbf, 3, 0x0f}, {0xed, 0xed, 0x80, 0x9f, 3, 0x0f},
        {0xee, 0xef, 0x80, 0xbf, 3, 0x0f}, {0xf0, 0xf0, 0x90, 0xbf, 4, 0x07},
        {0xf1, 0xf3, 0x80, 0xbf, 4, 0x07}, {0xf4, 0xf4, 0x80, 0x8f, 4, 0x07},
};

static const struct utf8_row *utf8_find(unsigned char first)
{
        for (size_t i = 0; i < ARRAY_LEN(utf8_rows); i++)
                if (first >= utf8_rows[i].first_min && first <= utf8_rows[i].first_max)
                        return &utf8_rows[i];
        return NULL;
}

size_t utf8_step(struct slice text, uint32_t *ret_code)
{
        const unsigned char *p = (const unsigned char *)text.p;
        const struct utf8_row *row;
        uint32_t code;

        *ret_code = p[0];
        if (p[0] < 0x80)
                return 1;
        *ret_code = UTF8_BAD;
        row = utf8_find(p[0]);
        if (!row || text.len < 2 || p[1] < row->second_min || p[1] > row->second_max)
                return 1;
        code = (uint32_t)(p[0] & row->mask) << 6 | (p[1] & 0x3f);
        for (size_t i = 2; i < row->len; i++) {
                if (i >= text.len || (p[i] & 0xc0) != 0x80)
                        return i;
                code = code << 6 | (p[i] & 0x3f);
        }
        *ret_code = code;
        return row->len;
}

bool utf8_valid(struct slice text)
{
        uint32_t code;

        while (text.len) {
                text = slice_from(text, utf8_step(text, &code));
                if (code == UTF8_BAD)
                        return false;
        }
        return true;
}

/* Writes to @out unless it is NULL. Return: bytes needed. */
static size_t utf8_repair(char *out, struct slice text)
{
        size_t len = 0;
        uint32_t code;

        while (text.len) {
                size_t step = utf8_step(text, &code);
                struct slice piece = code == UTF8_BAD || code == 0 ? UTF8_REPLACEMENT : slice_to(text, step);

                if (out)
                        memcpy(out + len, piece.p, piece.len);
                len += piece.len;
                text = slice_from(text, step);
        }
        return len;
}

struct slice utf8_copy(struct arena *arena, struct slice text)
{
        size_t len = utf8_repair(NULL, text);
        char *copy = arena_alloc(arena, len + 1);

        if (!copy)
                return SLICE_NULL;
        (void)utf8_repair(copy, text); /* the length is known already */
        return slice_make(copy, len);
}

struct slice utf8_cut(struct slice text, size_t max)
{
        if (text.len <= max)
                return text;
        while (max && ((unsigned char)text.p[max] & 0xc0) == 0x80)
                max--;
        return slice_to(text, max);
}
