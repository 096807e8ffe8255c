/* SPDX-License-Identifier: Apache-2.0 */
/* host.*: uname(2) and the machine id. */
#include <stdio.h>
#include <sys/utsname.h>

#include "agent/base/cleanup.h"
#include "agent/base/load.h"
#include "export/resource/detect.h"

static const struct {
        const char *machine, *arch;
} host_archs[] = {
        {"x86_64", "amd64"},  {"aarch64", "arm64"}, {"armv7l", "arm32"}, {"i686", "x86"},
        {"ppc64le", "ppc64"}, {"ppc64", "ppc64"},   {"s390x", "s390x"},  {"ia64", "ia64"},
};

static const char *const machine_id_paths[] = {"/etc/machine-id", "/var/lib/dbus/machine-id"};

/* 32 hexadecimal digits; "uninitialized" and the like are none. */
static struct slice machine_id(const char *path, char *buf, int size)
{
        cleanup_fclose FILE *file = fopen(path, "re");
        size_t len;

        if (!file || !fgets(buf, size, file))
                return SLICE_NULL;
        len = strspn(buf, "0123456789abcdef");
        return len == 32 ? slice_make(buf, len) : SLICE_NULL;
}

void detect_host(struct detect *detect)
{
        struct utsname uts;
        char line[64];

        if (uname(&uts) == 0) {
                detect_add(detect, "host.name", slice_str(uts.nodename));
                for (size_t i = 0; i < ARRAY_LEN(host_archs); i++)
                        if (strcmp(uts.machine, host_archs[i].machine) == 0)
                                detect_add(detect, "host.arch", slice_str(host_archs[i].arch));
        }
        for (size_t i = 0; i < ARRAY_LEN(machine_id_paths); i++)
                detect_add(detect, "host.id", machine_id(machine_id_paths[i], line, sizeof(line)));
}
