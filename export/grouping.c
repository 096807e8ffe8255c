/* SPDX-License-Identifier: Apache-2.0 */
#include "export/grouping.h"

#include <stdlib.h>

#include "export/source.h"

void grouping_free_p(struct grouping *grouping)
{
        free(grouping->groups);
        free(grouping->sources);
        free(grouping->spans);
        free(grouping->from);
}

bool grouping_make(struct grouping *ret_grouping, const struct batch_entry *entries, size_t count)
{
        struct grouping *grouping = ret_grouping;
        size_t at = 0;

        *grouping = (struct grouping){
                .groups = calloc(count, sizeof(*grouping->groups)),
                .sources = calloc(count, sizeof(*grouping->sources)),
                .spans = calloc(count, sizeof(*grouping->spans)),
                .from = calloc(count, sizeof(*grouping->from)),
        };
        if (!grouping->groups || !grouping->sources || !grouping->spans || !grouping->from)
                return false;
        for (size_t i = 0; i < count; i++)
                entries[i].source->group = -1;
        for (size_t i = 0; i < count; i++) {
                struct source *source = entries[i].source;

                if (source->group < 0) {
                        source->group = (int)grouping->count++;
                        grouping->groups[source->group].resource = source->resource;
                        grouping->sources[source->group] = source;
                }
                grouping->groups[source->group].span_count++;
        }
        for (size_t g = 0; g < grouping->count; g++) {
                grouping->groups[g].spans = grouping->spans + at;
                at += grouping->groups[g].span_count;
                grouping->groups[g].span_count = 0;
        }
        for (size_t i = 0; i < count; i++) {
                struct encode_group *mine = &grouping->groups[entries[i].source->group];

                at = (size_t)(mine->spans - grouping->spans) + mine->span_count++;
                grouping->spans[at] = entries[i].span;
                grouping->from[at] = i;
        }
        return true;
}
