/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/base/load.h"
#include "agent/base/start_memory.h"
#include "agent/config/config.h"

/* What we keep: a name up to and with "=", or a prefix of names. */
static const char kept[][20] = {"OTEL_",
                                "TRACEPARENT=",
                                "TRACESTATE=",
                                "BAGGAGE=",
                                "HTTP_TRACEPARENT=", /* CGI: the request's header fields */
                                "HTTP_TRACESTATE=",
                                "HTTP_BAGGAGE=",
                                "GATEWAY_INTERFACE=",
                                "REQUEST_METHOD=",
                                "LISTEN_FDS=", /* socket activation: connections passed to us */
                                "LISTEN_PID="};

static START_TEXT bool is_kept(const char *string)
{
        for (size_t i = 0; i < ARRAY_LEN(kept); i++)
                if (*string == *kept[i] && strncmp(string, kept[i], strlen(kept[i])) == 0)
                        return true;
        return false;
}

START_TEXT bool config_env_copy(struct config_env *ret_env, char *const *environ_now)
{
        struct config_env env = {0};
        size_t text_max = 0, count_max = 0, pointers_len;
        char *block;

        for (char *const *e = environ_now; e && *e; e++) {
                if (!is_kept(*e))
                        continue;
                text_max += strlen(*e) + 1;
                count_max++;
        }
        pointers_len = (count_max + 1) * sizeof(char *);
        if (text_max + pointers_len > LIMIT_SETTINGS_TEXT)
                return false;
        block = start_memory(pointers_len + text_max);
        if (!block)
                return false;
        env.envp = (char **)(void *)block;
        env.text = block + pointers_len;
        for (char *const *e = environ_now; e && *e && env.count < count_max; e++) {
                size_t len = strlen(*e) + 1;

                if (!is_kept(*e) || env.len + len > text_max)
                        continue;
                env.envp[env.count++] = memcpy(env.text + env.len, *e, len);
                env.len += len;
        }
        env.envp[env.count] = NULL;
        *ret_env = env;
        return true;
}

START_TEXT const char *config_env_get(const struct config_env *env, const char *name)
{
        size_t len = strlen(name);

        for (size_t i = 0; i < env->count; i++) {
                const char *string = env->envp[i];

                if (strncmp(string, name, len) == 0 && string[len] == '=')
                        return string[len + 1] ? string + len + 1 : NULL;
        }
        return NULL;
}
