/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/locate.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define LIBRARY   "libotel-preload.so"
#define SUBFOLDER "otel-instrument"

int locate_self(char *ret_path, size_t size)
{
        ssize_t len = readlink("/proc/self/exe", ret_path, size - 1);
        const char *started_as;
        char *real;
        int fits;

        if (len > 0) {
                ret_path[len] = '\0';
                return 0;
        }
        started_as = (const char *)(uintptr_t)getauxval(AT_EXECFN); /* no /proc here */
        real = started_as ? realpath(started_as, NULL) : NULL;
        if (!real)
                return -ENOENT;
        fits = snprintf(ret_path, size, "%s", real) < (int)size;
        free(real);
        return fits ? 0 : -ENAMETOOLONG;
}

static bool usable(const char *format, const char *dir, char *ret_path, size_t size)
{
        int len = snprintf(ret_path, size, format, dir);

        return len > 0 && (size_t)len < size && access(ret_path, R_OK) == 0;
}

/* Cuts "/<bindir>" off the end of @dir, leaving the prefix. False when it does not end so. */
static bool cut_bindir(char *dir)
{
        size_t dir_len = strlen(dir), tail_len = strlen("/" OTEL_INSTRUMENT_BINDIR);

        if (dir_len < tail_len || strcmp(dir + dir_len - tail_len, "/" OTEL_INSTRUMENT_BINDIR) != 0)
                return false;
        dir[dir_len - tail_len] = '\0';
        return true;
}

int locate_library(const char *executable, char *ret_path, size_t size)
{
        char dir[PATH_MAX];
        char *slash;

        if (executable && snprintf(dir, sizeof(dir), "%s", executable) < (int)sizeof(dir)) {
                slash = strrchr(dir, '/');
                if (slash)
                        *slash = '\0';
                if (slash && usable("%s/" LIBRARY, dir, ret_path, size))
                        return 0;
                if (slash && cut_bindir(dir) &&
                    usable("%s/" OTEL_INSTRUMENT_LIBDIR "/" SUBFOLDER "/" LIBRARY, dir, ret_path, size))
                        return 0;
        }
        return usable("%s/" SUBFOLDER "/" LIBRARY, OTEL_INSTRUMENT_LIBRARY_DIR, ret_path, size) ? 0 : -ENOENT;
}
