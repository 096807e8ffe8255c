/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A borrowed run of bytes. Not terminated, may hold any byte, owns nothing: whoever keeps the
 * bytes copies them. Any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
        const char *p;
        size_t len;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
#define SLICE_NULL     ((struct slice){NULL, 0})

static inline struct slice slice_make(const void *p, size_t len)
{
        return (struct slice){(const char *)p, len};
}

static inline struct slice slice_str(const char *s)
{
        return (struct slice){s, s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline char ascii_lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
        if (a.len != b.len)
                return false;
        for (size_t i = 0; i < a.len; i++)
                if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
                        return false;
        return true;
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
        return s.len >= prefix.len && memcmp(s.p, prefix.p, prefix.len) == 0;
}

/* Position of the first @c, or s.len when there is none. */
static inline size_t slice_find(struct slice s, char c)
{
        const char *hit = s.len ? memchr(s.p, c, s.len) : NULL;

        return hit ? (size_t)(hit - s.p) : s.len;
}

static inline struct slice slice_from(struct slice s, size_t at)
{
        if (at > s.len)
                at = s.len;
        return (struct slice){at ? s.p + at : s.p,
                              s.len - at}; /* no arithmetic on the NULL of an empty one */
}

static inline struct slice slice_to(struct slice s, size_t end)
{
        return (struct slice){s.p, end < s.len ? end : s.len};
}

/* Without blanks (SP, HTAB) at either end: the "OWS" of RFC 9110 section 5.6.3. */
static inline struct slice slice_trim(struct slice s)
{
        while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
                s = slice_from(s, 1);
        while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
                s.len--;
        return s;
}
