/* SPDX-License-Identifier: Apache-2.0 */
/* What people read of config.def. Apart from the rows: the preload needs none of it. */
#include "agent/config/config.h"

const struct config_text config_texts[CONFIG_COUNT] = {
#define SETTING(field, env, type, def, scope, help) [CONFIG_##field] = {#field, help},
#include "agent/config/config.def"
#undef SETTING
};
