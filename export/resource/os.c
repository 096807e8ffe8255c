/* SPDX-License-Identifier: Apache-2.0 */
/* os.*: the os-release file. */
#include <stdio.h>

#include "agent/base/cleanup.h"
#include "agent/base/load.h"
#include "export/resource/detect.h"

#define OS_LINES_MAX 200

static const struct {
        const char *key, *attr;
} os_rows[] = {
        {"NAME", "os.name"},
        {"VERSION_ID", "os.version"},
        {"PRETTY_NAME", "os.description"},
};

/* The value as a shell would read it: one pair of quotes, backslash escapes. In place. */
static char *unquote(char *value)
{
        char quote = *value == '"' || *value == '\'' ? *value : '\0';
        char *from = value + (quote != '\0'), *to = value;

        while (*from && *from != '\n' && (*from != quote || !quote)) {
                if (*from == '\\' && quote != '\'' && from[1] && from[1] != '\n')
                        from++;
                *to++ = *from++;
        }
        *to = '\0';
        return value;
}

const char *detect_os_value(char *line, const char *key)
{
        size_t len = strlen(key);

        if (strncmp(line, key, len) != 0 || line[len] != '=')
                return NULL;
        return unquote(line + len + 1);
}

void detect_os(struct detect *detect)
{
        cleanup_fclose FILE *etc = fopen("/etc/os-release", "re");
        cleanup_fclose FILE *usr = etc ? NULL : fopen("/usr/lib/os-release", "re");
        FILE *file = etc ? etc : usr;
        char line[1024];

        detect_add(detect, "os.type", SLICE("linux"));
        for (unsigned i = 0; file && i < OS_LINES_MAX && fgets(line, sizeof(line), file); i++)
                for (size_t row = 0; row < ARRAY_LEN(os_rows); row++)
                        detect_add(detect, os_rows[row].attr,
                                   slice_str(detect_os_value(line, os_rows[row].key)));
}
