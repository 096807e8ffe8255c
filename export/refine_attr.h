/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reads facts out of a raw record. Its attributes come from another process: their number is not
 * believed, nor is a type. Shared by the refine_* files; texts stay the record's. Context of all: worker.
 */
#include "agent/record/span.h"

/* The first attribute of this key and type, or NULL. */
static inline const struct attr *refine_attr(const struct span *raw, enum semconv key, enum attr_type type)
{
        for (unsigned i = 0; i < raw->attr_count && i < LIMIT_SPAN_ATTRS; i++)
                if (raw->attrs[i].key == key && raw->attrs[i].type == type)
                        return &raw->attrs[i];
        return NULL;
}

/* The text under @key; empty when there is none or it is no text. */
static inline struct slice refine_attr_str(const struct span *raw, enum semconv key)
{
        const struct attr *attr = refine_attr(raw, key, ATTR_STR);

        return attr ? attr->str : SLICE_NULL;
}

/* The number under @key; 0 when there is none or it is no number. */
static inline int64_t refine_attr_int(const struct span *raw, enum semconv key)
{
        const struct attr *attr = refine_attr(raw, key, ATTR_INT);

        return attr ? attr->num : 0;
}
