/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The settings, parsed from an environment by the rules of the OpenTelemetry specification
 * (an empty value is an unset one; a bad value is one warning and the default). No malloc: texts
 * point into the block that the caller keeps. The same code serves preload, relay and launcher.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/limits.h"

enum config_exporter {
        EXPORTER_NONE = 0,
        EXPORTER_OTLP = 1 << 0,
        EXPORTER_CONSOLE = 1 << 1,
};
enum config_otlp_protocol { OTLP_HTTP_PROTOBUF };
enum config_relay_mode { RELAY_AUTO, RELAY_OFF };
enum config_existing_context { EXISTING_RESPECT };

#define CONFIG_NOT_SET (-1) /* INT, DURATION, TIMEOUT without a default that the user did not give */

/* One member per row of config.def, named by its field. BOOL is bool, INT/DURATION/TIMEOUT int64_t,
 * STRING const char * (never NULL), ENUM int, ENUMS unsigned (bits). Numbers are at most INT32_MAX. */
struct config {
#define BOOL                                        bool
#define INT(min)                                    int64_t
#define DURATION                                    int64_t
#define TIMEOUT                                     int64_t
#define STRING                                      const char *
#define ENUM(list)                                  int
#define ENUMS(list)                                 unsigned
#define SETTING(field, env, type, def, scope, help) type field;
#include "agent/config/config.def"
#undef SETTING
#undef BOOL
#undef INT
#undef DURATION
#undef TIMEOUT
#undef STRING
#undef ENUM
#undef ENUMS
        uint64_t set; /* bit per row (enum config_id): given by the user with a usable value */
};

enum config_id {
#define SETTING(field, env, type, def, scope, help) CONFIG_##field,
#include "agent/config/config.def"
#undef SETTING
        CONFIG_COUNT
};

enum config_type {
        CONFIG_BOOL,
        CONFIG_INT,
        CONFIG_DURATION,
        CONFIG_TIMEOUT,
        CONFIG_STRING,
        CONFIG_ENUM,
        CONFIG_ENUMS
};
enum config_scope { CONFIG_HOST, CONFIG_PROCESS, CONFIG_EXPORT };

#define CONFIG_UNSUPPORTED (-1) /* value of a standard name that we know but cannot serve */

/* A name of an enum list and what it stands for; 0 in an ENUMS list is the null object "none". */
struct config_name {
        char name[16];
        int value;
};

/* A row of config.def at run time. Texts instead of pointers: nothing to relocate at the start. */
struct config_row {
        char env[46];
        uint8_t type;  /* enum config_type */
        uint8_t scope; /* enum config_scope */
        uint8_t names; /* ENUM, ENUMS: which list */
        char default_text[23];
        int64_t min;
        size_t offset; /* of the member in struct config */
};

/* What only people read of it: options and --help. */
struct config_text {
        const char *field;
        const char *help;
};

extern const struct config_row config_rows[CONFIG_COUNT];
extern const struct config_text config_texts[CONFIG_COUNT];

/**
 * config_names() - what an ENUM or ENUMS setting accepts
 *
 * Context: signal.
 * Return: a list that ends with an empty name; NULL for other types.
 */
const struct config_name *config_names(const struct config_row *row);

/* Told of each unusable value. @row: the setting; @value: the user's text; @why: a short clause. */
typedef void config_warn_fn(void *ctx, const struct config_row *row, const char *value, const char *why);

static inline bool config_is_set(const struct config *config, enum config_id id)
{
        return config->set >> id & 1;
}

/**
 * config_load() - settings from an environment
 * @envp: NULL-terminated "NAME=value" strings; kept by the caller as long as the result lives
 * @warn: may be NULL
 *
 * Of a name that is given twice the first counts, as in getenv. In a list an unknown name is left
 * out with a warning while another one is usable, and "none" beside other names is ignored with a
 * warning. Combined rules are applied as well: a batch larger than the queue becomes the queue size,
 * with a warning where the user gave the batch size.
 *
 * Context: signal.
 */
void config_load(struct config *ret_config, char *const *envp, config_warn_fn *warn, void *ctx);

/* The host's own copy of what it was started with: later changes of environ do not reach us. */
struct config_env {
        char *text;  /* "NAME=value\0" strings, one after another */
        size_t len;  /* bytes of text */
        char **envp; /* pointers to them, NULL at the end */
        size_t count;
};

/**
 * config_env_copy() - keep a copy of all OTEL_* variables and TRACEPARENT, TRACESTATE, BAGGAGE, also as CGI
 * hands them to a program
 * @environ_now: the process's environment
 *
 * Memory by start_memory(); at most LIMIT_SETTINGS_TEXT.
 *
 * Context: start.
 * Return: false when there is no room; the agent stays off then.
 */
bool config_env_copy(struct config_env *ret_env, char *const *environ_now);

/* Value of @name in @env or NULL; an empty value is NULL. Context: signal. */
const char *config_env_get(const struct config_env *env, const char *name);

/**
 * config_export_hash() - what makes two processes share a relay
 *
 * Hashes every EXPORT row's effective value. Context: signal.
 */
uint64_t config_export_hash(const struct config *config);

/**
 * config_nearest() - the setting that a mistyped name was probably meant to be
 * @env_name: for example "OTEL_SERVICE_NAM", in any case
 *
 * Context: signal.
 * Return: the row whose environment name differs least, NULL when none is near.
 */
const struct config_row *config_nearest(const char *env_name);

/* The settings of this process, filled at start. */
extern struct config config_now __attribute__((visibility("hidden")));
extern struct config_env config_env_now __attribute__((visibility("hidden")));
