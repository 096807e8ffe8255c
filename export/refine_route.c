/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_route.h"

#include <stdlib.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/log.h"

#define WARNING_MAX 200 /* bytes of a bad pattern in the log */

struct route {
        struct slice pattern;
        unsigned literals; /* segments that stand for themselves */
};

struct refine_routes {
        struct route rows[LIMIT_ROUTES];
        unsigned count;
        char text[]; /* the patterns */
};

enum segment { SEGMENT_LITERAL, SEGMENT_ANY, SEGMENT_REST, SEGMENT_BAD };

static bool has_any(struct slice s, const char *chars)
{
        for (; *chars; chars++)
                if (slice_find(s, *chars) < s.len)
                        return true;
        return false;
}

static enum segment segment_kind(struct slice segment)
{
        struct slice name;

        if (slice_eq(segment, SLICE("*")))
                return SEGMENT_ANY;
        if (!has_any(segment, "{}*?#"))
                return SEGMENT_LITERAL;
        if (segment.p[0] != '{' || segment.p[segment.len - 1] != '}')
                return SEGMENT_BAD;
        name = slice_from(slice_to(segment, segment.len - 1), 1);
        if (!name.len || has_any(name, "{}*?#"))
                return SEGMENT_BAD;
        if (name.len > 3 && slice_eq(slice_from(name, name.len - 3), SLICE("...")))
                return SEGMENT_REST;
        return SEGMENT_ANY;
}

/* The segment after the slash at the beginning of @rest, which moves on to the next slash or its end. */
static struct slice next_segment(struct slice *rest)
{
        struct slice tail = slice_from(*rest, 1);
        struct slice segment = slice_to(tail, slice_find(tail, '/'));

        *rest = slice_from(tail, segment.len);
        return segment;
}

static bool route_parse(struct slice pattern, struct route *ret_route)
{
        struct route route = {.pattern = pattern};
        struct slice rest = pattern;

        if (pattern.p[0] != '/')
                return false;
        while (rest.len) {
                enum segment kind = segment_kind(next_segment(&rest));

                if (kind == SEGMENT_BAD || (kind == SEGMENT_REST && rest.len))
                        return false;
                route.literals += kind == SEGMENT_LITERAL;
        }
        *ret_route = route;
        return true;
}

static void add_pattern(struct refine_routes *routes, struct slice pattern)
{
        struct route *row = &routes->rows[routes->count];

        if (route_parse(pattern, row))
                routes->count++;
        else
                log_warn("OTEL_INSTRUMENT_HTTP_ROUTES: not a pattern, left out: %.*s",
                         (int)MIN(pattern.len, WARNING_MAX), pattern.p);
}

struct refine_routes *refine_routes_new(struct slice setting)
{
        struct refine_routes *routes = setting.len ? calloc(1, sizeof(*routes) + setting.len) : NULL;
        struct slice rest;

        if (!routes)
                return NULL;
        memcpy(routes->text, setting.p, setting.len);
        rest = slice_make(routes->text, setting.len);
        while (rest.len) {
                struct slice item = slice_to(rest, slice_find(rest, ','));

                rest = slice_from(rest, item.len + 1);
                item = slice_trim(item);
                if (item.len && routes->count == LIMIT_ROUTES) {
                        log_warn("OTEL_INSTRUMENT_HTTP_ROUTES: more than %d patterns", LIMIT_ROUTES);
                        break;
                }
                if (item.len)
                        add_pattern(routes, item);
        }
        return routes->count ? routes : refine_routes_free(routes);
}

struct refine_routes *refine_routes_free(struct refine_routes *routes)
{
        free(routes);
        return NULL;
}

static int hex_digit(char c)
{
        c = ascii_lower(c);
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The first byte of @s, which is not empty, decoded. */
static char take_byte(struct slice *s)
{
        bool encoded = s->p[0] == '%' && s->len > 2 && hex_digit(s->p[1]) >= 0 && hex_digit(s->p[2]) >= 0;
        char c = encoded ? (char)(hex_digit(s->p[1]) << 4 | hex_digit(s->p[2])) : s->p[0];

        *s = slice_from(*s, encoded ? 3 : 1);
        return c;
}

static bool same_literal(struct slice a, struct slice b)
{
        while (a.len && b.len)
                if (take_byte(&a) != take_byte(&b))
                        return false;
        return !a.len && !b.len;
}

static bool route_matches(struct slice pattern, struct slice path)
{
        while (pattern.len && path.len) {
                struct slice want = next_segment(&pattern), have = next_segment(&path);
                enum segment kind = segment_kind(want);

                if (kind == SEGMENT_REST)
                        return true;
                if (kind == SEGMENT_ANY ? !have.len : !same_literal(want, have))
                        return false;
        }
        return !pattern.len && !path.len;
}

struct slice refine_routes_find(const struct refine_routes *routes, struct slice path)
{
        const struct route *best = NULL;

        if (!routes || !path.len || path.p[0] != '/')
                return SLICE_NULL;
        for (unsigned i = 0; i < routes->count; i++) {
                const struct route *row = &routes->rows[i];

                if ((!best || row->literals > best->literals) && route_matches(row->pattern, path))
                        best = row;
        }
        return best ? best->pattern : SLICE_NULL;
}
