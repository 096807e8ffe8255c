/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Will a preloaded library work in this command? Looks before the run, so that what stands in the way
 * has a name. A script is judged by its interpreter.
 */
#include <limits.h>

#include "launcher/environ.h"

enum inspect_verdict {
        INSPECT_OK,
        INSPECT_BLIND,          /* runs, but a preloaded library does nothing or breaks it */
        INSPECT_NOT_FOUND,      /* cannot run: exit status 127 */
        INSPECT_NOT_EXECUTABLE, /* cannot run: exit status 126 */
};

struct inspect {
        enum inspect_verdict verdict;
        char path[PATH_MAX]; /* the file that the command means; "" when there is none */
        char reason[512];    /* a clause such as "is statically linked"; "" when OK */
};

/**
 * inspect_command() - judge a command
 * @env: what it will run in: PATH, LD_PRELOAD and ASAN_OPTIONS matter
 *
 * Context: start.
 */
void inspect_command(const char *command, const struct environ_list *env, struct inspect *ret);
