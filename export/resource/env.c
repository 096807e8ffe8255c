/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user says: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES ("key=value,key=value", keys and
 * values percent-encoded). One bad item discards the whole variable.
 */
#include "agent/base/log.h"
#include "export/resource/detect.h"
#include "export/utf8.h"

struct env_item {
        struct slice key, value;
};

static int hex_digit(char c)
{
        c = ascii_lower(c);
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Return: NULL when it went well, else what is wrong. */
static const char *decode(struct arena *arena, struct slice text, struct slice *ret_text)
{
        char *out = arena_alloc(arena, text.len + 1);
        size_t len = 0;

        if (!out)
                return "out of memory";
        for (size_t i = 0; i < text.len; i++) {
                int high, low;

                out[len++] = text.p[i];
                if (text.p[i] != '%')
                        continue;
                high = i + 2 < text.len ? hex_digit(text.p[i + 1]) : -1;
                low = i + 2 < text.len ? hex_digit(text.p[i + 2]) : -1;
                if (high < 0 || low < 0)
                        return "bad percent sequence";
                out[len - 1] = (char)(high << 4 | low);
                i += 2;
        }
        *ret_text = slice_make(out, len);
        if (slice_find(*ret_text, '\0') < len || !utf8_valid(*ret_text))
                return "not UTF-8 text";
        return NULL;
}

static const char *parse_item(struct arena *arena, struct slice item, struct env_item *ret_item)
{
        size_t eq = slice_find(item, '=');
        const char *wrong;

        if (eq == item.len)
                return "item without '='";
        wrong = decode(arena, slice_trim(slice_to(item, eq)), &ret_item->key);
        if (!wrong && !ret_item->key.len)
                wrong = "item without a key";
        return wrong ? wrong : decode(arena, slice_trim(slice_from(item, eq + 1)), &ret_item->value);
}

static const char *parse(struct arena *arena, struct slice text, struct env_item *items, size_t *ret_count)
{
        while (text.len) {
                size_t end = slice_find(text, ',');
                struct slice item = slice_trim(slice_to(text, end));
                const char *wrong;

                text = slice_from(text, end + 1);
                if (!item.len)
                        continue;
                if (*ret_count == LIMIT_RESOURCE_ATTRS)
                        return "too many attributes";
                wrong = parse_item(arena, item, &items[*ret_count]);
                if (wrong)
                        return wrong;
                ++*ret_count;
        }
        return NULL;
}

void detect_env(struct detect *detect)
{
        struct arena *arena = &detect->resource->arena;
        struct env_item *items = arena_alloc(arena, LIMIT_RESOURCE_ATTRS * sizeof(*items));
        const char *wrong;
        size_t count = 0;

        detect_add(detect, "service.name", resource_meta_get(detect->meta, "OTEL_SERVICE_NAME"));
        if (!items) {
                detect->failed = true;
                return;
        }
        wrong = parse(arena, resource_meta_get(detect->meta, "OTEL_RESOURCE_ATTRIBUTES"), items, &count);
        if (wrong) {
                log_warn("OTEL_RESOURCE_ATTRIBUTES is discarded: %s", wrong);
                return;
        }
        /* Of a key given twice the last one counts; an empty service.name is none. */
        while (count--)
                if (items[count].value.len || !slice_eq(items[count].key, SLICE("service.name")))
                        detect_add_given(detect, items[count].key, items[count].value);
}
