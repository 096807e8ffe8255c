/* SPDX-License-Identifier: Apache-2.0 */
#include "export/resource/resource.h"

#include <stdlib.h>

#include "agent/base/cleanup.h"
#include "agent/base/load.h"
#include "export/resource/detect.h"
#include "export/utf8.h"

/*
 * In order of precedence: what names us cannot be overridden, what the user says beats what is found.
 */
static const struct {
        const char *name;
        void (*run)(struct detect *detect);
} detectors[] = {
        {"telemetry", detect_telemetry}, {"env", detect_env},   {"service", detect_service},
        {"process", detect_process},     {"host", detect_host}, {"os", detect_os},
};

struct slice resource_meta_get(struct slice meta, const char *key)
{
        struct slice name = slice_str(key);

        while (meta.len) {
                size_t end = slice_find(meta, '\0');
                struct slice item = slice_to(meta, end);

                if (slice_starts(item, name) && item.len > name.len && item.p[name.len] == '=')
                        return slice_from(item, name.len + 1);
                meta = slice_from(meta, end + 1);
        }
        return SLICE_NULL;
}

void detect_telemetry(struct detect *detect)
{
        /* The name "opentelemetry" is reserved for the official SDKs; C has no registered language. */
        detect_add(detect, "telemetry.sdk.name", SLICE("otel-instrument"));
        detect_add(detect, "telemetry.sdk.language", SLICE("c"));
        detect_add(detect, "telemetry.sdk.version", SLICE(OTEL_INSTRUMENT_VERSION));
}

static bool is_taken(const struct detect *detect, struct slice key)
{
        for (unsigned i = 0; i < detect->count; i++)
                if (slice_eq(slice_str(detect->attrs[i].key), key))
                        return true;
        return false;
}

static struct out_attr *next_slot(struct detect *detect, struct slice key)
{
        if (detect->count >= LIMIT_RESOURCE_ATTRS || is_taken(detect, key))
                return NULL;
        return &detect->attrs[detect->count];
}

void detect_add(struct detect *detect, const char *key, struct slice value)
{
        struct out_attr *attr = value.len ? next_slot(detect, slice_str(key)) : NULL;

        if (!attr)
                return;
        *attr = (struct out_attr){.key = key, .type = ATTR_STR};
        attr->str = utf8_copy(&detect->resource->arena, value);
        detect->failed |= !attr->str.p;
        detect->count++;
}

void detect_add_int(struct detect *detect, const char *key, int64_t value)
{
        struct out_attr *attr = next_slot(detect, slice_str(key));

        if (!attr)
                return;
        *attr = (struct out_attr){.key = key, .type = ATTR_INT, .num = value};
        detect->count++;
}

void detect_add_given(struct detect *detect, struct slice key, struct slice value)
{
        struct out_attr *attr = next_slot(detect, key);
        struct slice name, text;

        if (!attr)
                return;
        name = utf8_copy(&detect->resource->arena, key);
        text = utf8_copy(&detect->resource->arena, value);
        if (!name.p || !text.p) {
                detect->failed = true;
                return;
        }
        *attr = (struct out_attr){.key = name.p, .type = ATTR_STR, .str = text};
        detect->count++;
}

struct slice detect_get(const struct detect *detect, const char *key)
{
        for (unsigned i = 0; i < detect->count; i++)
                if (strcmp(detect->attrs[i].key, key) == 0)
                        return detect->attrs[i].str;
        return SLICE_NULL;
}

bool detect_meta_int(const struct detect *detect, const char *key, int64_t *ret_value)
{
        struct slice text = resource_meta_get(detect->meta, key);
        uint64_t value = 0;

        if (!text.len || text.len > 19)
                return false;
        for (size_t i = 0; i < text.len; i++) {
                if (text.p[i] < '0' || text.p[i] > '9')
                        return false;
                value = value * 10 + (uint64_t)(text.p[i] - '0');
        }
        if (value > INT64_MAX)
                return false;
        *ret_value = (int64_t)value;
        return true;
}

static bool resource_fill(struct resource *resource, struct detect *detect)
{
        struct out_attr *attrs;

        for (size_t i = 0; i < ARRAY_LEN(detectors); i++)
                detectors[i].run(detect);
        attrs = arena_alloc(&resource->arena, detect->count * sizeof(*attrs));
        if (!attrs || detect->failed)
                return false;
        memcpy(attrs, detect->attrs, detect->count * sizeof(*attrs));
        resource->attrs = attrs;
        resource->attr_count = detect->count;
        resource->service_name = detect_get(detect, "service.name").p;
        resource->plain = slice_eq(resource_meta_get(detect->meta, "@term"), SLICE("dumb")) ||
                          resource_meta_get(detect->meta, "@no_color").len;
        (void)detect_meta_int(detect, "@pid", &resource->pid); /* stays 0 when not known */
        return true;
}

struct resource *resource_new(struct slice meta)
{
        struct resource *resource = calloc(1, sizeof(*resource));
        cleanup_free struct detect *detect = calloc(1, sizeof(*detect));

        if (!resource || !detect)
                return resource_free(resource);
        detect->resource = resource;
        detect->meta = meta;
        return resource_fill(resource, detect) ? resource : resource_free(resource);
}

struct resource *resource_free(struct resource *resource)
{
        if (resource)
                arena_done(&resource->arena);
        free(resource);
        return NULL;
}
