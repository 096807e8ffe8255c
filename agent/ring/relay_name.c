/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/relay_name.h"

#include <stddef.h>
#include <sys/syscall.h>

#include "agent/base/load.h"
#include "agent/base/slice.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/ring/home_place.h"

/* Without /proc all are in the same one, as far as we can tell. */
static uint64_t hash_namespace(const char *path, uint64_t seed)
{
        char text[64];
        ssize_t n = sys_readlink(path, text, sizeof(text));

        return hash_bytes(text, n > 0 ? (size_t)n : 0, seed);
}

static uint64_t identity(void)
{
        const uint64_t parts[] = {
                (uint64_t)sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0),
                config_export_hash(&config_now),
        };
        uint64_t hash = home_place_hash(hash_bytes(parts, sizeof(parts), HASH_SEED));

        hash = hash_namespace("/proc/self/ns/pid", hash);
        return hash_namespace("/proc/self/ns/mnt", hash);
}

socklen_t relay_name(unsigned suffix, struct sockaddr_un *ret_name)
{
        static const char prefix[] = "otel-instrument/" OTEL_INSTRUMENT_VERSION "/";
        uint64_t hash = identity();
        size_t len = 1; /* abstract: the first byte is zero */

        *ret_name = (struct sockaddr_un){.sun_family = AF_UNIX};
        memcpy(ret_name->sun_path + len, prefix, sizeof(prefix) - 1);
        len += sizeof(prefix) - 1;
        for (int shift = 60; shift >= 0; shift -= 4)
                ret_name->sun_path[len++] = "0123456789abcdef"[hash >> shift & 15];
        if (suffix) {
                ret_name->sun_path[len++] = '.';
                ret_name->sun_path[len++] = (char)('0' + suffix);
        }
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}
