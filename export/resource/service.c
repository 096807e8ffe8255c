/* SPDX-License-Identifier: Apache-2.0 */
/* service.name where the user gave none, and an id for this one process image. */
#include <stdio.h>
#include <string.h>

#include "agent/base/rand.h"
#include "export/resource/detect.h"
#include "export/text.h"

#define HALF_DIGITS 16

static const char digits[16] = "0123456789abcdef";

/* Sixteen hexadecimal digits at the start of @text. Return: false when it begins with something else. */
static bool half_read(struct slice text, uint64_t *ret_half)
{
        uint64_t half = 0;

        for (size_t i = 0; i < HALF_DIGITS; i++) {
                const char *digit = i < text.len ? memchr(digits, text.p[i], sizeof(digits)) : NULL;

                if (!digit)
                        return false;
                half = half << 4 | (uint64_t)(digit - digits);
        }
        *ret_half = half;
        return true;
}

/*
 * A random UUID (RFC 9562, version 4). The process brings the random part along, so that whoever drains its
 * ring after us finds the same one.
 */
static void uuid_write(struct slice instance, char out[37])
{
        uint64_t high, low;

        if (instance.len != 2 * HALF_DIGITS || !half_read(instance, &high) ||
            !half_read(slice_from(instance, HALF_DIGITS), &low)) {
                high = rand_u64();
                low = rand_u64();
        }
        high = (high & ~0xf000ull) | 0x4000;
        low = (low & ~(3ull << 62)) | 2ull << 62;
        (void)snprintf(out, 37, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
                       (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff), (unsigned)(low >> 48),
                       (unsigned long long)(low & 0xffffffffffff));
}

void detect_service(struct detect *detect)
{
        struct slice exe = detect_exe_name(detect->meta);
        struct text name = {.arena = &detect->resource->arena};
        char uuid[37];

        text_add_str(&name, "unknown_service");
        text_add_str(&name, exe.len ? ":" : "");
        text_add(&name, exe);
        detect->failed |= name.failed;
        detect_add(detect, "service.name", text_get(&name));
        uuid_write(resource_meta_get(detect->meta, "@instance"), uuid);
        detect_add(detect, "service.instance.id", slice_str(uuid));
}
