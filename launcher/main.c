/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "launcher/help.h"
#include "launcher/options.h"
#include "launcher/run.h"
#include "launcher/say.h"

static int show_help(const struct options *options, char *const *envp)
{
        return help_print(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int show_version(const struct options *options, char *const *envp)
{
        return puts("otel-instrument " OTEL_INSTRUMENT_VERSION) >= 0 && fflush(stdout) == 0 ? EXIT_SUCCESS
                                                                                            : EXIT_FAILURE;
}

typedef int action_fn(const struct options *options, char *const *envp);

static action_fn *const actions[] = {
        [OPTIONS_RUN] = run_command,         [OPTIONS_HELP] = show_help,  [OPTIONS_VERSION] = show_version,
        [OPTIONS_PRINT_ENV] = run_print_env, [OPTIONS_CHECK] = run_check,
};

int main(int argc, char **argv)
{
        struct options options;

        if (options_parse(&options, argv) < 0) {
                say_error("%s", options.error);
                return RUN_USAGE;
        }
        return actions[options.action](&options, environ);
}
