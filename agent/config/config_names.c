/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of config.def at run time, and the names that ENUM and ENUMS settings accept. */
#include "agent/base/log.h"
#include "agent/config/config.h"

static const struct config_name names_traces_exporter[] = {
        {"otlp", EXPORTER_OTLP},
        {"console", EXPORTER_CONSOLE},
        {"none", EXPORTER_NONE},
        {"", 0},
};

static const struct config_name names_otlp_protocol[] = {
        {"http/protobuf", OTLP_HTTP_PROTOBUF},
        {"grpc", CONFIG_UNSUPPORTED},
        {"http/json", CONFIG_UNSUPPORTED},
        {"", 0},
};

/* The severities of the configuration schema with their steps, and the spellings common elsewhere. */
static const struct config_name names_log_level[] = {
        {"none", LOG_NONE},    {"error", LOG_ERROR},   {"warn", LOG_WARN},
        {"info", LOG_INFO},    {"debug", LOG_DEBUG},   {"off", LOG_NONE},
        {"warning", LOG_WARN}, {"verbose", LOG_DEBUG}, {"all", LOG_DEBUG},
        {"fatal", LOG_ERROR},  {"fatal2", LOG_ERROR},  {"fatal3", LOG_ERROR},
        {"fatal4", LOG_ERROR}, {"error2", LOG_ERROR},  {"error3", LOG_ERROR},
        {"error4", LOG_ERROR}, {"warn2", LOG_WARN},    {"warn3", LOG_WARN},
        {"warn4", LOG_WARN},   {"info2", LOG_INFO},    {"info3", LOG_INFO},
        {"info4", LOG_INFO},   {"debug2", LOG_DEBUG},  {"debug3", LOG_DEBUG},
        {"debug4", LOG_DEBUG}, {"trace", LOG_DEBUG},   {"trace2", LOG_DEBUG},
        {"trace3", LOG_DEBUG}, {"trace4", LOG_DEBUG},  {"", 0},
};

static const struct config_name names_relay_mode[] = {
        {"auto", RELAY_AUTO},
        {"off", RELAY_OFF},
        {"", 0},
};

static const struct config_name names_existing_context[] = {
        {"respect", EXISTING_RESPECT},
        {"", 0},
};

enum {
        LIST_none,
        LIST_traces_exporter,
        LIST_otlp_protocol,
        LIST_log_level,
        LIST_relay_mode,
        LIST_existing_context
};

static const struct config_name *const lists[] = {
        [LIST_traces_exporter] = names_traces_exporter,
        [LIST_otlp_protocol] = names_otlp_protocol,
        [LIST_log_level] = names_log_level,
        [LIST_relay_mode] = names_relay_mode,
        [LIST_existing_context] = names_existing_context,
};

const struct config_name *config_names(const struct config_row *row)
{
        return lists[row->names];
}

#define BOOL        .type = CONFIG_BOOL
#define INT(least)  .type = CONFIG_INT, .min = (least)
#define DURATION    .type = CONFIG_DURATION
#define TIMEOUT     .type = CONFIG_TIMEOUT
#define STRING      .type = CONFIG_STRING
#define ENUM(list)  .type = CONFIG_ENUM, .names = LIST_##list
#define ENUMS(list) .type = CONFIG_ENUMS, .names = LIST_##list
#define SETTING(field_, env_, type_, default_, scope_, help_) \
        [CONFIG_##field_] = {                                 \
                .env = env_,                                  \
                type_,                                        \
                .default_text = default_,                     \
                .scope = CONFIG_##scope_,                     \
                .offset = offsetof(struct config, field_),    \
        },

const struct config_row config_rows[CONFIG_COUNT] = {
#include "agent/config/config.def"
};

_Static_assert(CONFIG_COUNT <= 64, "struct config's set has a bit per row");
