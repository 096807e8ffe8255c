/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Options and environment brought together: an option beats the variable of the same setting, and what
 * nobody can use is said before the program runs.
 */
#include "launcher/options.h"

/* Put the options' values into @env. Return: 0 or -ENOMEM. Context: start. */
int settings_apply(const struct options *options, struct environ_list *env);

/**
 * settings_check() - say which values cannot be used
 * @env: with the options applied
 *
 * A bad option is an error. A bad variable is a warning that names the default used instead, and
 * with options->strict an error, too.
 *
 * Context: start.
 * Return: 0, or -EINVAL when the run must not begin.
 */
int settings_check(const struct options *options, const struct environ_list *env, struct config *ret_config);
