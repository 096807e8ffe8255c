/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/home_place.h"

#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/load.h"
#include "agent/base/slice.h"
#include "agent/base/sys.h"
#include "agent/ring/home.h"

struct home_place home_place;

/* What a program needs to find hosts, certificates and the right time; settings of ours are added from
 * config_env. */
static const char *const kept[] = {"PATH", "HOME", "TZ", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR"};

static bool is_kept(struct slice name)
{
        struct slice end = slice_from(name, name.len - MIN(name.len, (size_t)6));

        if (slice_eq_nocase(end, SLICE("_proxy")))
                return true;
        for (size_t i = 0; i < ARRAY_LEN(kept); i++)
                if (slice_eq(name, slice_str(kept[i])))
                        return true;
        return false;
}

/* The first of two equal names counts, as in getenv. */
static void keep_value(struct slice string, struct slice name, char *text, size_t size)
{
        size_t len = MIN(string.len - MIN(string.len, name.len), size - 1);

        if (*text || !slice_starts(string, name))
                return;
        memcpy(text, string.p + name.len, len);
        text[len] = '\0';
}

static void keep_environment(char *const *environ_now)
{
        home_place.environment_len = 0;
        for (char *const *entry = environ_now; entry && *entry; entry++) {
                struct slice string = slice_str(*entry);

                keep_value(string, SLICE("TERM="), home_place.term, sizeof(home_place.term));
                keep_value(string, SLICE("NO_COLOR="), home_place.no_color, sizeof(home_place.no_color));
                if (string.len >= sizeof(home_place.environment) - home_place.environment_len ||
                    !is_kept(slice_to(string, slice_find(string, '='))))
                        continue;
                memcpy(home_place.environment + home_place.environment_len, string.p, string.len + 1);
                home_place.environment_len += string.len + 1;
        }
}

/* @path: absolute, of a file in our directory; may be home_place.relay itself. */
static void keep_place(const char *path)
{
        static const char program[] = "otel-relay";
        const char *slash = strrchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) + 1 : 0;

        if (*path != '/' || len > sizeof(home_place.relay) - sizeof(program))
                len = 0;
        memmove(home_place.relay, path, len);
        memcpy(home_place.relay + len, program, len ? sizeof(program) : 0);
        home_place.relay[len ? len + sizeof(program) - 1 : 0] = '\0';
        home_place.dir_len = len;
}

/* Is @info the object that this code lies in? Return: 1 ends the walk. */
static int find_own(struct dl_phdr_info *info, size_t size, void *arg)
{
        uintptr_t here = (uintptr_t)&home_place;

        for (int i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

                if (segment->p_type != PT_LOAD ||
                    here - (info->dlpi_addr + segment->p_vaddr) >= segment->p_memsz)
                        continue;
                *(const char **)arg = info->dlpi_name;
                return 1;
        }
        return 0;
}

void home_start(char *const *environ_now)
{
        const char *path = NULL;
        ssize_t n = 0;

        home_place.start_ns = clock_wall_ns(clock_mono_ns());
        keep_environment(environ_now);
        (void)dl_iterate_phdr(find_own, &path);
        if (path && !*path) {
                /* Part of a program, which has no name here. */
                n = sys_readlink("/proc/self/exe", home_place.relay, sizeof(home_place.relay) - 1);
                home_place.relay[MAX(n, 0)] = '\0';
                path = home_place.relay;
        }
        if (path)
                keep_place(path);
}
