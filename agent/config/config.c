/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config/config.h"

#include <string.h>

#include "agent/base/load.h"
#include "agent/base/slice.h"

#define PREFIX     "OTEL_"
#define NUMBER_MAX INT32_MAX /* milliseconds below it stay in range as nanoseconds too */
#define WHY_MAX    96

START_DATA struct config config_now __attribute__((visibility("hidden")));
START_DATA struct config_env config_env_now __attribute__((visibility("hidden")));

/* One setting on its way from text to member. */
struct reading {
        const struct config_row *row;
        const char *value;
        void *member;
        config_warn_fn *warn; /* may be NULL */
        void *ctx;
};

static void tell(const struct reading *r, const char *why)
{
        if (r->warn)
                r->warn(r->ctx, r->row, r->value, why);
}

/* @before, ending in a blank, and the default that is used instead. */
static void tell_default(const struct reading *r, const char *before)
{
        char why[WHY_MAX];
        size_t a = strlen(before), b = strlen(r->row->default_text);

        if (a + b >= sizeof(why)) {
                tell(r, before);
                return;
        }
        memcpy(why, before, a);
        memcpy(why + a, r->row->default_text, b + 1);
        tell(r, why);
}

static START_TEXT bool read_bool(const struct reading *r)
{
        struct slice value = slice_str(r->value);
        bool yes = slice_eq_nocase(value, SLICE("true"));

        *(bool *)r->member = yes;
        if (yes || slice_eq_nocase(value, SLICE("false")))
                return true;
        tell(r, "neither true nor false, taken for false");
        return false;
}

/* Why @s is no number from @min to NUMBER_MAX; NULL and *ret_number when it is one. */
static const char *parse_number(const char *s, int64_t min, int64_t *ret_number)
{
        bool negative = *s == '-';
        int64_t n = 0;

        s += negative;
        if (!*s)
                return "not a decimal number, using ";
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return "not a decimal number, using ";
                if (n <= NUMBER_MAX)
                        n = n * 10 + (*s - '0');
        }
        if (negative)
                n = -n;
        if (n < min)
                return "too small, using ";
        if (n > NUMBER_MAX)
                return "too large, using ";
        *ret_number = n;
        return NULL;
}

static START_TEXT bool read_number(const struct reading *r)
{
        const char *why = parse_number(r->value, r->row->min, r->member);

        if (!why)
                return true;
        if (r->row->default_text[0])
                tell_default(r, why);
        else
                tell(r, "not a usable number, ignored");
        return false;
}

static START_TEXT bool read_string(const struct reading *r)
{
        *(const char **)r->member = r->value;
        return true;
}

static const struct config_name *find_name(const struct config_row *row, struct slice name)
{
        for (const struct config_name *n = config_names(row); n->name[0]; n++)
                if (slice_eq_nocase(slice_str(n->name), name))
                        return n;
        return NULL;
}

static START_TEXT bool read_enum(const struct reading *r)
{
        const struct config_name *name = find_name(r->row, slice_str(r->value));

        if (name && name->value != CONFIG_UNSUPPORTED) {
                *(int *)r->member = name->value;
                return true;
        }
        tell_default(r, name ? "not supported yet, using " : "unknown name, using ");
        return false;
}

static START_TEXT bool read_enums(const struct reading *r)
{
        struct slice rest = slice_str(r->value);
        bool null_object = false, bad = false;
        unsigned bits = 0;

        while (rest.len) {
                size_t end = slice_find(rest, ',');
                struct slice item = slice_trim(slice_to(rest, end));
                const struct config_name *name = item.len ? find_name(r->row, item) : NULL;

                rest = slice_from(rest, end + 1);
                if (name && name->value == 0)
                        null_object = true;
                else if (name && name->value != CONFIG_UNSUPPORTED)
                        bits |= (unsigned)name->value;
                else
                        bad |= item.len != 0;
        }
        if (bits && null_object)
                tell(r, "none stands beside other names and is ignored");
        if (bad && (bits || null_object))
                tell(r, "holds an unknown name, which is ignored");
        else if (bad)
                tell_default(r, "unknown name, using ");
        if (bits || null_object)
                *(unsigned *)r->member = bits;
        return bits || null_object;
}

typedef bool config_read_fn(const struct reading *r);

/* Each stores a usable value and returns true, or says why it is not and leaves the default. */
static config_read_fn *const readers[] = {
        [CONFIG_BOOL] = read_bool,      [CONFIG_INT] = read_number,    [CONFIG_DURATION] = read_number,
        [CONFIG_TIMEOUT] = read_number, [CONFIG_STRING] = read_string, [CONFIG_ENUM] = read_enum,
        [CONFIG_ENUMS] = read_enums,
};

static bool is_number(const struct config_row *row)
{
        return row->type == CONFIG_INT || row->type == CONFIG_DURATION || row->type == CONFIG_TIMEOUT;
}

static void set_default(struct config *config, const struct config_row *row)
{
        struct reading r = {.row = row, .value = row->default_text, .member = (char *)config + row->offset};

        if (is_number(row) && !row->default_text[0])
                *(int64_t *)r.member = CONFIG_NOT_SET;
        else
                (void)readers[row->type](&r); /* the rows' own texts: a unit test reads them all */
}

/* The row of a "NAME=value" string, and the value behind it. */
static const struct config_row *find_row(const char *string, const char **ret_value)
{
        if (strncmp(string, PREFIX, sizeof(PREFIX) - 1) != 0)
                return NULL;
        for (size_t i = 0; i < CONFIG_COUNT; i++) {
                size_t len = strlen(config_rows[i].env);

                if (strncmp(string, config_rows[i].env, len) == 0 && string[len] == '=') {
                        *ret_value = string + len + 1;
                        return &config_rows[i];
                }
        }
        return NULL;
}

/* The user's text of each row, NULL where there is none. Of two equal names the first counts, as in getenv.
 */
static void collect(const char *texts[CONFIG_COUNT], char *const *envp)
{
        const struct config_row *row;
        const char *value;

        for (; envp && *envp; envp++) {
                row = find_row(*envp, &value);
                if (row && !texts[row - config_rows])
                        texts[row - config_rows] = value;
        }
}

static void fit_batch_into_queue(struct config *config, const char *text, config_warn_fn *warn, void *ctx)
{
        const struct config_row *row = &config_rows[CONFIG_bsp_max_export_batch_size];

        if (config->bsp_max_export_batch_size <= config->bsp_max_queue_size)
                return;
        config->bsp_max_export_batch_size = config->bsp_max_queue_size;
        if (warn && config_is_set(config, CONFIG_bsp_max_export_batch_size))
                warn(ctx, row, text, "larger than the queue, using the queue's size");
}

START_TEXT void config_load(struct config *ret_config, char *const *envp, config_warn_fn *warn, void *ctx)
{
        const char *texts[CONFIG_COUNT] = {NULL};

        memset(ret_config, 0, sizeof(*ret_config));
        collect(texts, envp);
        for (size_t i = 0; i < CONFIG_COUNT; i++) {
                const struct config_row *row = &config_rows[i];
                struct reading r = {row, texts[i], (char *)ret_config + row->offset, warn, ctx};

                set_default(ret_config, row);
                if (texts[i] && texts[i][0] && readers[row->type](&r))
                        ret_config->set |= 1ull << i;
        }
        fit_batch_into_queue(ret_config, texts[CONFIG_bsp_max_export_batch_size], warn, ctx);
}

static uint64_t hash_member(const struct config *config, const struct config_row *row, uint64_t seed)
{
        const void *member = (const char *)config + row->offset;

        if (row->type == CONFIG_STRING) {
                const char *text = *(const char *const *)member;

                return hash_bytes(text, strlen(text) + 1, seed);
        }
        if (is_number(row))
                return hash_bytes(member, sizeof(int64_t), seed);
        return hash_bytes(member, row->type == CONFIG_BOOL ? sizeof(bool) : sizeof(int), seed);
}

uint64_t config_export_hash(const struct config *config)
{
        uint64_t hash = HASH_SEED;

        for (size_t i = 0; i < CONFIG_COUNT; i++)
                if (config_rows[i].scope == CONFIG_EXPORT)
                        hash = hash_member(config, &config_rows[i], hash);
        return hash;
}
