/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Settings that are texts with a form of their own: said to the user before the run, who would else have to
 * read our log. Whoever uses such a text looks at it again. */
#include "agent/config/config.h"

/**
 * settings_text_check() - the texts of @config that the user gave
 * @warn: told of each that is unusable, without the value where that may hold a secret
 */
void settings_text_check(const struct config *config, config_warn_fn *warn, void *ctx);
