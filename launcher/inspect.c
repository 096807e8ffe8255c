/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/load.h"
#include "launcher/image.h"
#include "launcher/search.h"

#define SCRIPT_DEPTH_MAX 5 /* scripts that interpret scripts: the kernel's limit */

static void judge(struct inspect *inspect, enum inspect_verdict verdict, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static void judge(struct inspect *inspect, enum inspect_verdict verdict, const char *format, ...)
{
        va_list args;

        inspect->verdict = verdict;
        va_start(args, format);
        (void)vsnprintf(inspect->reason, sizeof(inspect->reason), format,
                        args); /* a cut reason is still one */
        va_end(args);
}

/*
 * The kernel marks a program "secure" when it gets another identity or rights than its starter has,
 * and the dynamic loader then drops LD_PRELOAD. Neither happens to a starter that has them already.
 */
static void judge_rights(struct inspect *inspect, int fd)
{
        struct stat st;
        struct statvfs fs;

        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || fstat(fd, &st) < 0)
                return;
        if (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOSUID))
                return;
        if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
                judge(inspect, INSPECT_BLIND, "is setuid: the system ignores preloaded libraries");
        else if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid())
                judge(inspect, INSPECT_BLIND, "is setgid: the system ignores preloaded libraries");
        else if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
                judge(inspect, INSPECT_BLIND,
                      "has file capabilities: the system ignores preloaded libraries");
}

static const struct {
        const char *prefix; /* of the loader's file name */
        const char *libc;   /* NULL: glibc, fine */
} loaders[] = {
        {"ld-linux", NULL},      {"ld-lsb", NULL},          {"ld.so", NULL},
        {"ld64.so", NULL},       {"ld-2.", NULL},           {"ld-musl", "musl"},
        {"ld-uClibc", "uClibc"}, {"ld64-uClibc", "uClibc"}, {"linker", "bionic"},
};

static void judge_loader(struct inspect *inspect, const char *loader)
{
        const char *slash = strrchr(loader, '/');
        const char *name = slash ? slash + 1 : loader;

        if (access(loader, X_OK) < 0) {
                judge(inspect, INSPECT_NOT_FOUND, "needs the loader %s, which is not there", loader);
                return;
        }
        for (size_t i = 0; i < ARRAY_LEN(loaders); i++) {
                if (strncmp(name, loaders[i].prefix, strlen(loaders[i].prefix)) != 0)
                        continue;
                if (loaders[i].libc)
                        judge(inspect, INSPECT_BLIND, "uses another libc (%s)", loaders[i].libc);
                return;
        }
        judge(inspect, INSPECT_BLIND, "uses an unknown loader (%s)", loader);
}

/* An ASan program runs with a preload where its own runtime comes first in LD_PRELOAD, or does not insist. */
static bool asan_agrees(const struct environ_list *env)
{
        const char *preload = environ_get(env, "LD_PRELOAD");
        const char *options = environ_get(env, "ASAN_OPTIONS");

        return (preload && (strstr(preload, "libasan.so") || strstr(preload, "libclang_rt.asan"))) ||
               (options && strstr(options, "verify_asan_link_order=0"));
}

static void judge_elf(struct inspect *inspect, const struct image *image, const struct environ_list *env)
{
        if (image->is_go)
                judge(inspect, INSPECT_BLIND, "is a Go program: its network calls bypass libc");
        else if (image->is_loader)
                return; /* passes the preload on to what it loads */
        else if (!image->loader[0])
                judge(inspect, INSPECT_BLIND, "is statically linked");
        else if (image->is_asan && !asan_agrees(env))
                judge(inspect, INSPECT_BLIND,
                      "is built with AddressSanitizer, which accepts no preload before its own");
        else
                judge_loader(inspect, image->loader);
}

static void judge_alien(struct inspect *inspect, const struct image *image)
{
        judge(inspect, INSPECT_BLIND, "is a %u-bit %s program; this agent is for %u-bit %s", image->bits,
              image_machine_name(image->machine), (unsigned)sizeof(void *) * 8,
              image_machine_name(image_own_machine));
}

static void judge_missing(struct inspect *inspect, int error)
{
        if (error == -ENOENT)
                judge(inspect, INSPECT_NOT_FOUND, "is not found");
        else if (error == -EISDIR)
                judge(inspect, INSPECT_NOT_EXECUTABLE, "is a directory");
        else if (error == -EACCES)
                judge(inspect, INSPECT_NOT_EXECUTABLE, "is not executable");
        else
                judge(inspect, INSPECT_NOT_EXECUTABLE, "cannot be executed (%s)", strerror(-error));
}

static void judge_file(struct inspect *inspect, const char *path, const struct environ_list *env, int depth);

/* Judge a script by @name. @path_list: where a name without a slash is searched. */
static void judge_interpreter(struct inspect *inspect, const char *name, const char *path_list,
                              const struct environ_list *env, int depth)
{
        cleanup_free char *path = NULL;
        char reason[sizeof(inspect->reason)];
        int error = search_command(name, path_list, &path);

        if (error < 0)
                judge_missing(inspect, error);
        else
                judge_file(inspect, path, env, depth + 1);
        if (inspect->verdict == INSPECT_OK)
                return;
        memcpy(reason, inspect->reason, sizeof(reason));
        judge(inspect, inspect->verdict, "is a script whose interpreter %s %s", name, reason);
}

/*
 * What "env" in a "#!" line starts: its argument, or the first word of the text behind -S that is neither
 * an option nor an assignment. NULL when there is none. Cuts @argument.
 */
static const char *env_command(char *argument)
{
        char *word, *rest = argument;

        if (argument[0] != '-')
                return argument[0] ? argument : NULL;
        if (argument[1] != 'S')
                return NULL;
        rest += 2;
        while ((word = strsep(&rest, " \t")) != NULL)
                if (*word && *word != '-' && !strchr(word, '='))
                        return word;
        return NULL;
}

static void judge_script(struct inspect *inspect, struct image *image, const struct environ_list *env,
                         int depth)
{
        const char *slash = strrchr(image->interpreter, '/');
        const char *command;

        if (depth >= SCRIPT_DEPTH_MAX) {
                judge(inspect, INSPECT_NOT_EXECUTABLE, "is interpreted by too many scripts");
                return;
        }
        judge_interpreter(inspect, image->interpreter, "", env, depth); /* the kernel knows no PATH */
        if (inspect->verdict != INSPECT_OK || strcmp(slash ? slash + 1 : image->interpreter, "env") != 0)
                return;
        command = env_command(image->argument);
        if (!command)
                return;
        judge_interpreter(inspect, command, environ_get(env, "PATH"), env, depth);
        if (inspect->verdict != INSPECT_OK)
                inspect->verdict = INSPECT_BLIND; /* env itself runs, and says what it misses */
}

static void judge_image(struct inspect *inspect, struct image *image, const struct environ_list *env,
                        int depth)
{
        switch (image->kind) {
        case IMAGE_ELF:
                judge_elf(inspect, image, env);
                return;
        case IMAGE_ALIEN:
                judge_alien(inspect, image);
                return;
        case IMAGE_SCRIPT:
                judge_script(inspect, image, env, depth);
                return;
        case IMAGE_EMPTY:
        case IMAGE_TEXT:
                if (depth == 0)
                        judge_interpreter(inspect, "/bin/sh", NULL, env, depth); /* as a shell runs it */
                return;
        case IMAGE_BROKEN:
        case IMAGE_BINARY:
                judge(inspect, INSPECT_NOT_EXECUTABLE, "is not a program");
                return;
        }
}

static void judge_file(struct inspect *inspect, const char *path, const struct environ_list *env, int depth)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct image image;
        int error = fd < 0 ? -errno : image_read(fd, &image);

        if (error < 0) {
                judge(inspect, INSPECT_BLIND, "cannot be read and so not be judged (%s)", strerror(-error));
                return;
        }
        if (image.kind == IMAGE_ELF)
                judge_rights(inspect, fd); /* a script's own bits mean nothing */
        if (inspect->verdict == INSPECT_OK)
                judge_image(inspect, &image, env, depth);
}

void inspect_command(const char *command, const struct environ_list *env, struct inspect *ret)
{
        cleanup_free char *path = NULL;
        int error = search_command(command, environ_get(env, "PATH"), &path);

        memset(ret, 0, sizeof(*ret));
        if (error == 0 && strlen(path) >= sizeof(ret->path))
                error = -ENAMETOOLONG;
        if (error < 0) {
                judge_missing(ret, error);
                return;
        }
        strcpy(ret->path, path); /* its length was checked */
        judge_file(ret, path, env, 0);
}
