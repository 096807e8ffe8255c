/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/search.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/cleanup.h"

#define DEFAULT_PATH "/bin:/usr/bin" /* what execvp uses without PATH */

static int look_at(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return errno == ENOTDIR ? -ENOENT : -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
                return -EACCES;
        return 0;
}

static char *join(const char *dir, size_t dir_len, const char *name)
{
        char *path = NULL;

        if (dir_len == 0) {
                dir = "."; /* an empty element is the working directory */
                dir_len = 1;
        }
        if (asprintf(&path, "%.*s/%s", (int)dir_len, dir, name) < 0)
                return NULL;
        return path;
}

static int search_list(const char *command, const char *path_list, char **ret_path)
{
        const char *dir = path_list;
        int result = -ENOENT;

        for (;;) {
                size_t len = strcspn(dir, ":");
                cleanup_free char *path = join(dir, len, command);
                int error;

                if (!path)
                        return -ENOMEM;
                error = look_at(path);
                if (error == 0) {
                        *ret_path = steal_ptr(&path);
                        return 0;
                }
                if (error == -EACCES)
                        result = -EACCES; /* the search goes on, as execvp's */
                if (!dir[len])
                        return result;
                dir += len + 1;
        }
}

int search_command(const char *command, const char *path_list, char **ret_path)
{
        int error;

        if (!*command)
                return -ENOENT;
        if (!strchr(command, '/'))
                return search_list(command, path_list ? path_list : DEFAULT_PATH, ret_path);
        error = look_at(command);
        if (error < 0)
                return error;
        *ret_path = strdup(command);
        return *ret_path ? 0 : -ENOMEM;
}
