/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of what delivers: the settings of the program under test, added one by one; how long is waited.
 */
#include <stdio.h>

#include "tests/unit/unit.h"

#define SETTINGS_MAX 16
#define DEADLINE_MS  20000 /* of everything that is awaited; never reached in a good run */

/* An environment; the texts that @envp points to are in it. All zero: empty. */
struct settings {
        char texts[SETTINGS_MAX][256];
        char *envp[SETTINGS_MAX + 1];
        unsigned count;
};

static inline void setting(struct settings *settings, const char *name, const char *value)
{
        char *text = settings->texts[settings->count];

        ck_assert_uint_lt(settings->count, SETTINGS_MAX);
        ck_assert_int_lt(snprintf(text, sizeof(settings->texts[0]), "%s=%s", name, value), 256);
        settings->envp[settings->count++] = text;
}

/* The collector at this port of loopback. */
static inline void setting_port(struct settings *settings, uint16_t port)
{
        char url[64];

        (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
        setting(settings, "OTEL_EXPORTER_OTLP_ENDPOINT", url);
}
