/* SPDX-License-Identifier: Apache-2.0 */
#include "export/to/console_tree.h"

#include <stdlib.h>

enum { WALK_NEW, WALK_ON_PATH, WALK_DONE };

static int compare_trace(const struct console_node *a, const struct console_node *b)
{
        return memcmp(a->span->trace_id, b->span->trace_id, sizeof(a->span->trace_id));
}

static int compare_u64(uint64_t a, uint64_t b)
{
        return a < b ? -1 : a > b;
}

/* For qsort over nodes: traces together, each by start. */
static int by_trace_and_start(const void *left, const void *right)
{
        const struct console_node *a = left, *b = right;
        int order = compare_trace(a, b);

        if (!order)
                order = compare_u64(a->span->start_ns, b->span->start_ns);
        return order ? order : memcmp(a->span->span_id, b->span->span_id, sizeof(a->span->span_id));
}

/* For qsort over pointers to nodes of one trace. */
static int by_span_id(const void *left, const void *right)
{
        const struct console_node *a = *(struct console_node *const *)left;
        const struct console_node *b = *(struct console_node *const *)right;

        return memcmp(a->span->span_id, b->span->span_id, sizeof(a->span->span_id));
}

static int by_first_start(const void *left, const void *right)
{
        const struct console_trace *a = left, *b = right;
        int order = compare_u64(a->nodes->span->start_ns, b->nodes->span->start_ns);

        return order ? order : compare_trace(a->nodes, b->nodes);
}

static struct console_node *find_parent(struct console_node *const *index, size_t count,
                                        const struct console_node *node)
{
        size_t low = 0, high = count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = memcmp(index[middle]->span->span_id, node->span->parent_id,
                                   sizeof(node->span->parent_id));

                if (order == 0)
                        return index[middle];
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

/* Up from @node as far as nobody went before; what comes back to its own path is cut where it closes. */
static void cut_circle(struct console_node *node)
{
        struct console_node *up = node;

        while (up->walk == WALK_NEW) {
                up->walk = WALK_ON_PATH;
                if (up->parent && up->parent->walk == WALK_ON_PATH)
                        up->parent = NULL;
                if (up->parent)
                        up = up->parent;
        }
        for (up = node; up && up->walk == WALK_ON_PATH; up = up->parent)
                up->walk = WALK_DONE;
}

static void append(struct console_node **first, struct console_node **last, struct console_node *node)
{
        if (*last)
                (*last)->next = node;
        else
                *first = node;
        *last = node;
}

static void link_trace(struct console_trace *trace, struct console_node **index)
{
        for (size_t i = 0; i < trace->count; i++)
                index[i] = &trace->nodes[i];
        qsort(index, trace->count, sizeof(struct console_node *), by_span_id);
        for (size_t i = 0; i < trace->count; i++)
                if (trace->nodes[i].span->has_parent)
                        trace->nodes[i].parent = find_parent(index, trace->count, &trace->nodes[i]);
        for (size_t i = 0; i < trace->count; i++)
                cut_circle(&trace->nodes[i]);
        for (size_t i = 0; i < trace->count; i++) {
                struct console_node *node = &trace->nodes[i];

                if (node->parent)
                        append(&node->parent->child, &node->parent->last_child, node);
                else
                        append(&trace->top, &trace->last_top, node);
        }
}

static size_t fill_nodes(struct console_node *nodes, const struct encode_group *groups, size_t group_count)
{
        size_t count = 0;

        for (size_t g = 0; g < group_count; g++)
                for (size_t i = 0; i < groups[g].span_count; i++)
                        nodes[count++] = (struct console_node){.span = &groups[g].spans[i],
                                                               .resource = groups[g].resource};
        return count;
}

bool console_tree_build(struct arena *arena, const struct encode_group *groups, size_t group_count,
                        struct console_tree *ret_tree)
{
        struct console_tree tree = {.count = 0};
        struct console_node *nodes, **index;
        size_t count = 0;

        for (size_t g = 0; g < group_count; g++)
                count += groups[g].span_count;
        nodes = arena_alloc(arena, count * sizeof(*nodes));
        index = arena_alloc(arena, count * sizeof(struct console_node *));
        tree.traces = arena_alloc(arena, count * sizeof(*tree.traces));
        if (!nodes || !index || !tree.traces)
                return false;
        count = fill_nodes(nodes, groups, group_count);
        qsort(nodes, count, sizeof(*nodes), by_trace_and_start);
        for (size_t i = 0; i < count; i++) {
                if (!i || compare_trace(&nodes[i - 1], &nodes[i]) != 0)
                        tree.traces[tree.count++].nodes = &nodes[i];
                tree.traces[tree.count - 1].count++;
        }
        for (size_t i = 0; i < tree.count; i++)
                link_trace(&tree.traces[i], index);
        qsort(tree.traces, tree.count, sizeof(*tree.traces), by_first_start);
        *ret_tree = tree;
        return true;
}

struct console_node *console_tree_next(struct console_node *node)
{
        if (node->child)
                return node->child;
        while (!node->next && node->parent)
                node = node->parent;
        return node->next;
}
