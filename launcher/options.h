/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The command line: otel-instrument [options] [--] command [args]. Every setting of config.def is an
 * option, named like its variable in lower case without OTEL_ (ours: without OTEL_INSTRUMENT_):
 * OTEL_SERVICE_NAME is --service_name. '-' and '_' mean the same; the row's field is a second name.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/config/config.h"
#include "launcher/environ.h"

enum options_action {
        OPTIONS_RUN,
        OPTIONS_HELP,
        OPTIONS_VERSION,
        OPTIONS_PRINT_ENV,
        OPTIONS_CHECK,
};

struct options {
        enum options_action action;
        bool strict;
        const char *values[CONFIG_COUNT]; /* NULL: not given; borrowed from argv */
        char **command;                   /* rest of argv, its first NULL when there is no command */
        char error[512];
};

#define OPTIONS_NAME_MAX 64

/**
 * options_parse() - read a command line
 * @argv: NULL at the end; borrowed by the result
 *
 * Options end at "--" or at the first argument that does not begin with '-'. Values are not judged here.
 *
 * Context: start.
 * Return: 0, or -EINVAL with one line for the user in error.
 */
int options_parse(struct options *ret_options, char **argv);

/* The name of a setting's option, without the dashes. Context: start. */
void options_name(const struct config_row *row, char ret_name[OPTIONS_NAME_MAX]);

/* An option that is not a setting: for --help. */
struct options_flag {
        const char *name;
        char letter; /* '\0': none */
        const char *operand;
        enum options_action action; /* RUN: it only changes how (--strict) */
        const char *help;
};

extern const struct options_flag options_flags[];
extern const size_t options_flag_count;
