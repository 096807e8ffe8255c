/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/home_place.h"

#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/base/load.h"
#include "agent/base/start_memory.h"
#include "agent/base/sys.h"
#include "agent/ring/home.h"

#define ENVIRONMENT_MAX 4096 /* bytes; what does not fit is left out */

START_DATA struct home_place home_place;

/*
 * What the worker needs to find hosts, certificates and the right time; settings of ours are added from
 * config_env. Those that decide where it connects to and whom it trusts come first, and make two relays of
 * what would be one. libcurl takes http_proxy in small letters only.
 */
static const char kept[][16] = {
        "http_proxy",    "https_proxy",  "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "PATH",        "HOME",      "TZ",        "LANG",
};

#define KEPT_IDENTITY 9   /* so many of them */
#define KEPT_OTHER    512 /* bytes; a long PATH leaves room for what matters */

_Static_assert(ARRAY_LEN(kept) <= 32, "a bit each");

/* Most names differ in their first byte: nothing is measured or called for those. */
static START_TEXT bool is_named(const char *string, const char *name)
{
        size_t len;

        if (LIKELY(*string != *name))
                return false;
        len = strlen(name);
        return strncmp(string, name, len) == 0 && string[len] == '=';
}

/* Return: its row in kept[], or how many there are. */
static START_TEXT size_t kept_row(const char *string)
{
        size_t row = 0;

        while (row < ARRAY_LEN(kept) && !is_named(string, kept[row]))
                row++;
        return row;
}

/* The first of two equal names counts, as in getenv. */
static START_TEXT void keep_value(const char *string, const char *name, char *text, size_t size)
{
        if (*text || !is_named(string, name))
                return;
        string += strlen(name) + 1;
        size = MIN(strlen(string), size - 1);
        memcpy(text, string, size);
        text[size] = '\0';
}

/* Return: bytes; they are also put to @to unless that is NULL. */
static START_TEXT size_t gather(char *const *environ_now, char *to)
{
        uint32_t seen = 0;
        size_t len = 0;

        for (char *const *entry = environ_now; entry && *entry; entry++) {
                size_t row = kept_row(*entry), string_len;

                if (row == ARRAY_LEN(kept) || seen >> row & 1)
                        continue;
                string_len = strlen(*entry);
                if ((row >= KEPT_IDENTITY && string_len >= KEPT_OTHER) || string_len >= ENVIRONMENT_MAX - len)
                        continue;
                seen |= 1u << row;
                if (to)
                        memcpy(to + len, *entry, string_len + 1);
                len += string_len + 1;
        }
        return len;
}

static START_TEXT void keep_environment(char *const *environ_now)
{
        size_t len = gather(environ_now, NULL);

        for (char *const *entry = environ_now; entry && *entry; entry++) {
                keep_value(*entry, "TERM", home_place.term, sizeof(home_place.term));
                keep_value(*entry, "NO_COLOR", home_place.no_color, sizeof(home_place.no_color));
        }
        home_place.environment = start_memory(len);
        home_place.environment_len = home_place.environment ? gather(environ_now, home_place.environment) : 0;
}

/* The order in which they stood does not matter. */
uint64_t home_place_hash(uint64_t seed)
{
        const char *end = home_place.environment + home_place.environment_len;

        for (size_t row = 0; row < KEPT_IDENTITY; row++)
                for (const char *at = home_place.environment; at < end; at += strlen(at) + 1)
                        if (is_named(at, kept[row]))
                                seed = hash_bytes(at, strlen(at) + 1, seed);
        return seed;
}

/* @path: absolute, of a file in our directory. */
static START_TEXT void keep_place(const char *path)
{
        static const char program[] = "otel-relay";
        const char *slash = strrchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) + 1 : 0;
        char *relay;

        if (*path != '/' || len > PATH_MAX - sizeof(program))
                return;
        relay = start_memory(len + sizeof(program));
        if (!relay)
                return;
        memcpy(relay, path, len);
        memcpy(relay + len, program, sizeof(program));
        home_place.relay = relay;
        home_place.dir_len = len;
}

/* Is @info the object that this code lies in? Return: 1 ends the walk. */
static START_TEXT int find_own(struct dl_phdr_info *info, size_t size, void *arg)
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

/* By the system call: the vDSO would cost two page faults here, for one reading that need not be fine. */
static START_TEXT uint64_t wall_now_ns(void)
{
        struct timespec now = {0};

        (void)sys_call(SYS_clock_gettime, CLOCK_REALTIME, (long)&now, 0, 0, 0, 0);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* We are part of a program, which has no name among the loaded objects. */
static START_TEXT void keep_place_of_program(void)
{
        char path[PATH_MAX] = "";

        if (sys_readlink("/proc/self/exe", path, sizeof(path) - 1) > 0)
                keep_place(path);
}

START_TEXT void home_start(char *const *environ_now)
{
        const char *path = NULL;

        home_place.start_ns = wall_now_ns();
        home_place.relay = "";
        home_place.dir_len = 0;
        keep_environment(environ_now);
        (void)dl_iterate_phdr(find_own, &path);
        if (path && *path)
                keep_place(path);
        else if (path)
                keep_place_of_program();
}
