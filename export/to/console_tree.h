/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The spans of a batch as trees, one per trace, in the order of their beginnings. One thread. */
#include "export/encode/otlp_encode.h"

struct console_node {
        const struct out_span *span;
        const struct resource *resource;
        struct console_node *parent; /* NULL: at the top */
        struct console_node *child, *last_child, *next;
        unsigned char walk;
};

struct console_trace {
        struct console_node *nodes; /* all of them, by start */
        size_t count;
        struct console_node *top, *last_top; /* those whose parent is not among them */
};

struct console_tree {
        struct console_trace *traces;
        size_t count;
};

/**
 * console_tree_build() - arrange spans
 * @arena: holds the result, which points into @groups as well
 *
 * Parents that form a circle are cut open.
 *
 * Context: worker.
 * Return: false when out of memory.
 */
bool console_tree_build(struct arena *arena, const struct encode_group *groups, size_t group_count,
                        struct console_tree *ret_tree);

/* The next one, children before siblings; begins with console_trace.top. NULL at the end. Context: worker. */
struct console_node *console_tree_next(struct console_node *node);
