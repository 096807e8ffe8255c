/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct pair {
        struct slice name, value; /* value: quotes included */
};

/* Bytes of a quoted string at the beginning; 0 when it does not end. */
static size_t quoted_len(struct slice text)
{
        for (size_t i = 1; i < text.len; i++) {
                if (text.p[i] == '"')
                        return i + 1;
                i += text.p[i] == '\\';
        }
        return 0;
}

static size_t value_len(struct slice text)
{
        if (text.len && text.p[0] == '"')
                return quoted_len(text);
        return slice_find(slice_to(text, slice_find(text, ';')), ',');
}

/* Off the beginning of @rest. Return: false when there is none. */
static bool take_pair(struct slice *rest, struct pair *ret_pair)
{
        struct slice text = slice_trim(*rest), tail;
        size_t eq, len;

        while (text.len && (text.p[0] == ';' || text.p[0] == ','))
                text = slice_trim(slice_from(text, 1));
        eq = slice_find(text, '=');
        tail = slice_from(text, eq + 1);
        len = value_len(tail);
        if (!eq || eq == text.len || !len)
                return false;
        ret_pair->name = slice_trim(slice_to(text, eq));
        ret_pair->value = slice_trim(slice_to(tail, len));
        *rest = slice_from(tail, len);
        return true;
}

static struct slice unquote(struct arena *arena, struct slice value)
{
        size_t len = 0;
        char *out;

        if (!value.len || value.p[0] != '"')
                return value;
        value = slice_to(slice_from(value, 1), value.len - 2);
        if (slice_find(value, '\\') == value.len)
                return value;
        out = arena_alloc(arena, value.len);
        if (!out)
                return SLICE_NULL;
        for (size_t i = 0; i < value.len; i++) {
                i += value.p[i] == '\\';
                if (i < value.len)
                        out[len++] = value.p[i];
        }
        return slice_make(out, len);
}

struct slice refine_forwarded_get(struct arena *arena, struct slice field, struct slice name)
{
        struct pair pair;

        while (take_pair(&field, &pair))
                if (slice_eq_nocase(pair.name, name))
                        return unquote(arena, pair.value);
        return SLICE_NULL;
}

struct slice refine_forwarded_first(struct slice list)
{
        struct slice first = slice_trim(slice_to(list, slice_find(list, ',')));

        if (first.len > 1 && first.p[0] == '"' && first.p[first.len - 1] == '"')
                first = slice_trim(slice_to(slice_from(first, 1), first.len - 2));
        return first;
}

/* ":port" or nothing; a port that is hidden, or no number, is not known. */
static int node_port(struct slice tail)
{
        int port = 0;

        for (size_t i = 1; i < tail.len; i++) {
                if (tail.p[i] < '0' || tail.p[i] > '9' || port > 65535)
                        return 0;
                port = port * 10 + (tail.p[i] - '0');
        }
        return port <= 65535 ? port : 0;
}

/* As text in the one form that it has. */
static bool node_address(struct slice text, struct refine_peer *node)
{
        char copy[INET6_ADDRSTRLEN];
        struct in6_addr v6;
        struct in_addr v4;

        if (text.len >= sizeof(copy) || slice_find(text, '\0') < text.len)
                return false;
        if (text.len)
                memcpy(copy, text.p, text.len);
        copy[text.len] = '\0';
        if (inet_pton(AF_INET, copy, &v4) == 1)
                return inet_ntop(AF_INET, &v4, node->address, sizeof(node->address)) != NULL;
        if (inet_pton(AF_INET6, copy, &v6) != 1)
                return false;
        if (IN6_IS_ADDR_V4MAPPED(&v6))
                return inet_ntop(AF_INET, &v6.s6_addr[12], node->address, sizeof(node->address)) != NULL;
        return inet_ntop(AF_INET6, &v6, node->address, sizeof(node->address)) != NULL;
}

bool refine_forwarded_node(struct slice node, struct refine_peer *ret_node)
{
        size_t colon = slice_find(node, ':');
        struct refine_peer found = {.port = 0};
        struct slice address = node, tail = SLICE_NULL;

        if (node.len && node.p[0] == '[') {
                size_t end = slice_find(node, ']');

                address = slice_from(slice_to(node, end), 1);
                tail = slice_from(node, end + 1);
        } else if (slice_find(slice_from(node, colon + 1), ':') == slice_from(node, colon + 1).len) {
                address = slice_to(node, colon); /* one colon at most: no bare IPv6 */
                tail = slice_from(node, colon);
        }
        if (tail.len && tail.p[0] != ':')
                return false;
        if (!node_address(address, &found))
                return false;
        found.port = node_port(tail);
        *ret_node = found;
        return true;
}
