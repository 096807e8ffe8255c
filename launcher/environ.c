/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/environ.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/cleanup.h"

#define PRELOAD            "LD_PRELOAD"
#define PRELOAD_SEPARATORS ": " /* what ld.so splits at */

int environ_copy(struct environ_list *ret_list, char *const *envp)
{
        struct environ_list list = {0};
        size_t count = 0;

        while (envp[count])
                count++;
        list.vars = calloc(count + 1, sizeof(*list.vars));
        if (!list.vars)
                return -ENOMEM;
        for (; list.count < count; list.count++) {
                list.vars[list.count] = strdup(envp[list.count]);
                if (!list.vars[list.count]) {
                        environ_done(&list);
                        return -ENOMEM;
                }
        }
        *ret_list = list;
        return 0;
}

void environ_done(struct environ_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->vars[i]);
        free(list->vars);
        *list = (struct environ_list){0};
}

/* Text behind "NAME=" where @var is that variable, else NULL. */
static const char *value_of(const char *var, const char *name)
{
        size_t len = strlen(name);

        return strncmp(var, name, len) == 0 && var[len] == '=' ? var + len + 1 : NULL;
}

const char *environ_get(const struct environ_list *list, const char *name)
{
        for (size_t i = 0; i < list->count; i++) {
                const char *value = value_of(list->vars[i], name);

                if (value)
                        return value;
        }
        return NULL;
}

static void remove_all(struct environ_list *list, const char *name)
{
        size_t kept = 0;

        for (size_t i = 0; i < list->count; i++) {
                if (value_of(list->vars[i], name))
                        free(list->vars[i]);
                else
                        list->vars[kept++] = list->vars[i];
        }
        list->count = kept;
        list->vars[kept] = NULL;
}

int environ_set(struct environ_list *list, const char *name, const char *value)
{
        cleanup_free char *var = NULL;
        char **vars;

        if (asprintf(&var, "%s=%s", name, value) < 0) {
                var = NULL; /* its content is undefined then */
                return -ENOMEM;
        }
        vars = realloc(list->vars, (list->count + 2) * sizeof(*vars));
        if (!vars)
                return -ENOMEM;
        list->vars = vars;
        remove_all(list, name);
        list->vars[list->count++] = steal_ptr(&var);
        list->vars[list->count] = NULL;
        return 0;
}

static bool same_file(const char *a, const char *b)
{
        struct stat sa, sb;

        return strcmp(a, b) == 0 ||
               (stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino);
}

static bool has_entry(const char *preload, const char *library)
{
        char entry[PATH_MAX];
        const char *p = preload;

        while (*p) {
                size_t len = strcspn(p, PRELOAD_SEPARATORS);

                if (len > 0 && len < sizeof(entry)) {
                        memcpy(entry, p, len);
                        entry[len] = '\0';
                        if (same_file(entry, library))
                                return true;
                }
                p += len;
                p += strspn(p, PRELOAD_SEPARATORS);
        }
        return false;
}

int environ_preload(struct environ_list *list, const char *library)
{
        const char *old = environ_get(list, PRELOAD);
        cleanup_free char *joined = NULL;
        const char *separator = "";

        if (strpbrk(library, PRELOAD_SEPARATORS))
                return -EINVAL;
        if (!old)
                old = "";
        if (has_entry(old, library))
                return 0;
        if (*old && !strchr(PRELOAD_SEPARATORS, old[strlen(old) - 1]))
                separator = ":";
        if (asprintf(&joined, "%s%s%s", old, separator, library) < 0) {
                joined = NULL; /* its content is undefined then */
                return -ENOMEM;
        }
        return environ_set(list, PRELOAD, joined);
}
