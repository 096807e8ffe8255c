/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Raw spans that outlive their record: copies with texts of their own. No state. */
#include "agent/record/span.h"

/* Bytes of @raw's texts together. Context: worker. */
size_t refine_keep_size(const struct span *raw);

/* Copy @raw, its texts to @text, which has refine_keep_size() bytes and lives as long as the copy. Context:
 * worker. */
void refine_keep(struct span *ret_span, const struct span *raw, char *text);
