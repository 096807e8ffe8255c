/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.*: from what the process left. Opt-in ones (arguments, working directory, paths, parent) stay out.
 * The owner's name comes from /etc/passwd itself: the C library would ask LDAP and the like, and wait.
 */
#include <stdio.h>
#include <time.h>

#include "agent/base/cleanup.h"
#include "export/resource/detect.h"

#define PASSWD_LINES_MAX 100000

struct slice detect_exe_name(struct slice meta)
{
        struct slice exe = resource_meta_get(meta, "@exe");
        struct slice gone = SLICE(" (deleted)"); /* appended by the kernel */
        const char *slash;

        if (exe.len > gone.len && slice_eq(slice_from(exe, exe.len - gone.len), gone))
                exe.len -= gone.len;
        slash = exe.len ? memrchr(exe.p, '/', exe.len) : NULL;
        return slash ? slice_from(exe, (size_t)(slash - exe.p) + 1) : exe;
}

/* "name:password:uid:..." Return: the name when @line is @uid's. */
static struct slice passwd_name(const char *line, struct slice uid)
{
        struct slice rest = slice_str(line);
        struct slice name = slice_to(rest, slice_find(rest, ':'));

        rest = slice_from(rest, name.len + 1);
        rest = slice_from(rest, slice_find(rest, ':') + 1);
        return slice_eq(slice_to(rest, slice_find(rest, ':')), uid) ? name : SLICE_NULL;
}

/* By name; by number where /etc/passwd does not know it. */
static void add_owner(struct detect *detect, struct slice uid)
{
        cleanup_fclose FILE *passwd = fopen("/etc/passwd", "re");
        char line[1024];

        for (unsigned i = 0; passwd && i < PASSWD_LINES_MAX && fgets(line, sizeof(line), passwd); i++)
                detect_add(detect, "process.owner", passwd_name(line, uid));
        detect_add(detect, "process.owner", uid);
}

static void add_creation_time(struct detect *detect, int64_t ns)
{
        time_t seconds = (time_t)(ns / 1000000000);
        char text[48];
        struct tm tm;
        size_t len;

        if (!gmtime_r(&seconds, &tm))
                return;
        len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
        len += (size_t)snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(ns / 1000000 % 1000));
        detect_add(detect, "process.creation.time", slice_make(text, len));
}

void detect_process(struct detect *detect)
{
        int64_t number;

        if (detect_meta_int(detect, "@pid", &number))
                detect_add_int(detect, "process.pid", number);
        if (detect_meta_int(detect, "@start_ns", &number))
                add_creation_time(detect, number);
        detect_add(detect, "process.executable.name", detect_exe_name(detect->meta));
        detect_add(detect, "process.command", resource_meta_get(detect->meta, "@argv0"));
        if (detect_meta_int(detect, "@uid", &number))
                add_owner(detect, resource_meta_get(detect->meta, "@uid"));
}
