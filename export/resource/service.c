/* SPDX-License-Identifier: Apache-2.0 */
/* service.name where the user gave none, and an id for this one process image. */
#include <stdio.h>

#include "agent/base/rand.h"
#include "export/resource/detect.h"
#include "export/text.h"

/* A random UUID (RFC 9562, version 4). */
static void uuid_write(char out[37])
{
        uint64_t high = rand_u64(), low = rand_u64();

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
        uuid_write(uuid);
        detect_add(detect, "service.instance.id", slice_str(uuid));
}
