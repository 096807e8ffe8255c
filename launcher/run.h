/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the launcher does with a parsed command line. Each returns the exit status; run_command()
 * returns only when the command was not started.
 */
#include "launcher/options.h"

#define RUN_USAGE          2
#define RUN_NOT_EXECUTABLE 126
#define RUN_NOT_FOUND      127

/* Replace this process by the command, instrumented where that is possible. Context: start. */
int run_command(const struct options *options, char *const *envp);

/* Say whether the command can be instrumented: status 0, or 1 and the reason. Context: start. */
int run_check(const struct options *options, char *const *envp);

/* Print the variables that run_command() would add or change. Context: start. */
int run_print_env(const struct options *options, char *const *envp);
