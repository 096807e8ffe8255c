/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/slice.h"
#include "launcher/say.h"
#include "launcher/settings_text.h"

#define VALUE_SHOWN "%.200s"

int settings_apply(const struct options *options, struct environ_list *env)
{
        for (size_t i = 0; i < CONFIG_COUNT; i++) {
                int error = options->values[i] ? environ_set(env, config_rows[i].env, options->values[i]) : 0;

                if (error < 0)
                        return error;
        }
        return 0;
}

struct check {
        const struct options *options;
        bool failed;
};

static size_t common_prefix(const char *a, const char *b)
{
        size_t len = 0;

        while (a[len] && ascii_lower(a[len]) == ascii_lower(b[len]))
                len++;
        return len;
}

/* The accepted name that begins most like @value; NULL when none begins with the same letter. */
static const char *nearest_name(const struct config_row *row, const char *value)
{
        const char *best = NULL;
        size_t best_len = 0;

        for (const struct config_name *n = config_names(row); n && n->name[0]; n++) {
                size_t len = n->value == CONFIG_UNSUPPORTED ? 0 : common_prefix(n->name, value);

                if (len > best_len) {
                        best = n->name;
                        best_len = len;
                }
        }
        return best;
}

static void tell_option(const struct config_row *row, const char *value, const char *why)
{
        const char *near = nearest_name(row, value);
        const char *fallback = strstr(why, ", using "); /* there is none: the run does not begin */
        int why_len = (int)(fallback ? (size_t)(fallback - why) : strlen(why));
        char name[OPTIONS_NAME_MAX];

        options_name(row, name);
        if (near)
                say_error("--%s " VALUE_SHOWN ": %.*s; did you mean %s?", name, value, why_len, why, near);
        else
                say_error("--%s " VALUE_SHOWN ": %.*s (%s)", name, value, why_len, why,
                          config_texts[row - config_rows].help);
}

static void on_bad_value(void *ctx, const struct config_row *row, const char *value, const char *why)
{
        struct check *check = ctx;

        if (check->options->values[row - config_rows]) {
                tell_option(row, value, why);
                check->failed = true;
        } else if (check->options->strict) {
                say_error("%s=" VALUE_SHOWN ": %s", row->env, value, why);
                check->failed = true;
        } else {
                say_warning("%s=" VALUE_SHOWN ": %s", row->env, value, why);
        }
}

int settings_check(const struct options *options, const struct environ_list *env, struct config *ret_config)
{
        struct check check = {.options = options};

        config_load(ret_config, env->vars, on_bad_value, &check);
        settings_text_check(ret_config, on_bad_value, &check);
        return check.failed ? -EINVAL : 0;
}
