/* SPDX-License-Identifier: Apache-2.0 */
/* The setting that a mistyped name was probably meant to be. */
#include <string.h>

#include "agent/base/load.h"
#include "agent/base/slice.h"
#include "agent/config/config.h"

#define NAME_MAX_LEN   63
#define CERTAIN_LEN    5 /* of "OTEL_": every name begins so, which says nothing */
#define CHARS_PER_SLIP 5

/* Insertions, deletions and replacements that turn @a into @b, case aside. Both at most NAME_MAX_LEN. */
static unsigned edit_distance(struct slice a, struct slice b)
{
        unsigned char row[NAME_MAX_LEN + 1];

        for (size_t j = 0; j <= b.len; j++)
                row[j] = (unsigned char)j;
        for (size_t i = 1; i <= a.len; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned char)i;
                for (size_t j = 1; j <= b.len; j++) {
                        unsigned replaced = diagonal + (ascii_lower(a.p[i - 1]) != ascii_lower(b.p[j - 1]));
                        unsigned shifted = MIN(row[j], row[j - 1]) + 1u;

                        diagonal = row[j];
                        row[j] = (unsigned char)MIN(replaced, shifted);
                }
        }
        return row[b.len];
}

const struct config_row *config_nearest(const char *env_name)
{
        struct slice name = slice_str(env_name);
        const struct config_row *best = NULL;
        unsigned best_distance;

        if (name.len <= CERTAIN_LEN || name.len > NAME_MAX_LEN)
                return NULL;
        best_distance = 1 + MAX((unsigned)(name.len - CERTAIN_LEN) / CHARS_PER_SLIP, 1u);
        for (size_t i = 0; i < CONFIG_COUNT; i++) {
                struct slice env = slice_str(config_rows[i].env);
                unsigned distance = env.len <= NAME_MAX_LEN ? edit_distance(name, env) : best_distance;

                if (distance >= best_distance)
                        continue;
                best_distance = distance;
                best = &config_rows[i];
        }
        return best;
}
