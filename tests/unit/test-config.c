/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/base/log.h"
#include "agent/config/config.h"
#include "tests/unit/unit.h"

#define WARNINGS_MAX 8

/* What config_load() said, one "NAME=value: why" after another. */
struct warnings {
        size_t count;
        char text[WARNINGS_MAX][160];
};

static struct config config;
static struct warnings warnings;

static void remember(void *ctx, const struct config_row *row, const char *value, const char *why)
{
        struct warnings *w = ctx;

        ck_assert_uint_lt(w->count, WARNINGS_MAX);
        snprintf(w->text[w->count++], sizeof(w->text[0]), "%s=%s: %s", row->env, value, why);
}

static void load(const char *const *envp)
{
        memset(&warnings, 0, sizeof(warnings));
        memset(&config, 0xee, sizeof(config));
        config_load(&config, (char *const *)envp, remember, &warnings);
}

#define LOAD(...) load((const char *const[]){__VA_ARGS__, NULL})

/* Loads one variable that must warn with exactly @text. */
static void load_bad(const char *variable, const char *why)
{
        char expected[160];

        LOAD(variable);
        snprintf(expected, sizeof(expected), "%s: %s", variable, why);
        ck_assert_uint_eq(warnings.count, 1);
        ck_assert_str_eq(warnings.text[0], expected);
        ck_assert_uint_eq(config.set, 0);
}

static void assert_defaults(void)
{
        ck_assert_uint_eq(config.set, 0);
        ck_assert(!config.sdk_disabled);
        ck_assert_str_eq(config.service_name, "");
        ck_assert_str_eq(config.resource_attributes, "");
        ck_assert_uint_eq(config.traces_exporter, EXPORTER_OTLP);
        ck_assert_str_eq(config.otlp_endpoint, "http://localhost:4318");
        ck_assert_str_eq(config.otlp_traces_endpoint, "");
        ck_assert_int_eq(config.otlp_timeout, 10000);
        ck_assert_int_eq(config.otlp_traces_timeout, CONFIG_NOT_SET);
        ck_assert_int_eq(config.otlp_protocol, OTLP_HTTP_PROTOBUF);
        ck_assert_int_eq(config.bsp_schedule_delay, 5000);
        ck_assert_int_eq(config.bsp_export_timeout, 30000);
        ck_assert_int_eq(config.bsp_max_queue_size, 2048);
        ck_assert_int_eq(config.bsp_max_export_batch_size, 512);
        ck_assert_int_eq(config.log_level, LOG_NONE);
        ck_assert_int_eq(config.relay, RELAY_AUTO);
        ck_assert_int_eq(config.exit_timeout, 2000);
        ck_assert_int_eq(config.existing_context, EXISTING_RESPECT);
}

START_TEST(test_config_rows_when_read_as_defaults)
{
        char variable[160];

        for (size_t i = 0; i < CONFIG_COUNT; i++) {
                const struct config_row *row = &config_rows[i];

                ck_assert_int_eq(strncmp(row->env, "OTEL_", 5), 0);
                ck_assert_uint_gt(strlen(config_texts[i].help), 0);
                ck_assert_int_eq(config_names(row) != NULL,
                                 row->type == CONFIG_ENUM || row->type == CONFIG_ENUMS);
                /* Each default is a value that a user may give. */
                snprintf(variable, sizeof(variable), "%s=%s", row->env, row->default_text);
                LOAD(variable);
                ck_assert_uint_eq(warnings.count, 0);
                ck_assert_uint_eq(config.set, row->default_text[0] ? 1ull << i : 0);
                config.set = 0;
                assert_defaults();
        }
        ck_assert_int_eq(config_rows[CONFIG_bsp_max_queue_size].min, 1);
        ck_assert_int_eq(config_rows[CONFIG_service_name].scope, CONFIG_PROCESS);
}
END_TEST

START_TEST(test_config_load_when_nothing_is_set)
{
        load((const char *const[]){NULL});
        assert_defaults();
        load(NULL);
        assert_defaults();
        LOAD("OTEL_SDK_DISABLED=", "OTEL_SERVICE_NAME=", "OTEL_TRACES_EXPORTER=", "OTEL_BSP_SCHEDULE_DELAY=",
             "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=", "OTEL_LOG_LEVEL=", "OTEL_EXPORTER_OTLP_ENDPOINT=");
        assert_defaults();
        LOAD("HOTEL_SERVICE_NAME=x", "OTEL_SERVICE_NAM=x", "OTEL_SERVICE_NAMES=x", "OTEL_SERVICE_NAME",
             "OTEL_=x", "otel_service_name=x", "", "=", "OTEL");
        assert_defaults();
        ck_assert_uint_eq(warnings.count, 0);
        config_load(&config, NULL, NULL, NULL);
        assert_defaults();
}
END_TEST

START_TEST(test_config_load_when_all_are_set)
{
        LOAD("OTEL_SDK_DISABLED=TRUE", "OTEL_SERVICE_NAME= a b ", "OTEL_TRACES_EXPORTER=Console",
             "OTEL_EXPORTER_OTLP_TIMEOUT=0", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=77",
             "OTEL_EXPORTER_OTLP_PROTOCOL=HTTP/Protobuf", "OTEL_BSP_SCHEDULE_DELAY=0",
             "OTEL_BSP_MAX_QUEUE_SIZE=2147483647", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1", "OTEL_LOG_LEVEL=Debug",
             "OTEL_INSTRUMENT_RELAY=OFF", "OTEL_INSTRUMENT_EXIT_TIMEOUT=0010");
        ck_assert_uint_eq(warnings.count, 0);
        ck_assert(config.sdk_disabled);
        ck_assert_str_eq(config.service_name, " a b ");
        ck_assert_uint_eq(config.traces_exporter, EXPORTER_CONSOLE);
        ck_assert_int_eq(config.otlp_timeout, 0);
        ck_assert_int_eq(config.otlp_traces_timeout, 77);
        ck_assert_int_eq(config.bsp_schedule_delay, 0);
        ck_assert_int_eq(config.bsp_max_queue_size, 2147483647);
        ck_assert_int_eq(config.bsp_max_export_batch_size, 1);
        ck_assert_int_eq(config.log_level, LOG_DEBUG);
        ck_assert_int_eq(config.relay, RELAY_OFF);
        ck_assert_int_eq(config.exit_timeout, 10);
        ck_assert_int_eq(__builtin_popcountll(config.set), 12);
        ck_assert(config_is_set(&config, CONFIG_otlp_protocol));
        ck_assert(!config_is_set(&config, CONFIG_otlp_headers));
}
END_TEST

START_TEST(test_config_load_when_boolean_is_bad)
{
        static const char *const values[] = {"1", "yes", "on", "truee", "tru", " true", "T"};
        char variable[64];

        for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
                snprintf(variable, sizeof(variable), "OTEL_SDK_DISABLED=%s", values[i]);
                load_bad(variable, "neither true nor false, taken for false");
                assert_defaults();
        }
        LOAD("OTEL_SDK_DISABLED=False");
        ck_assert_uint_eq(warnings.count, 0);
        ck_assert(!config.sdk_disabled && config_is_set(&config, CONFIG_sdk_disabled));
}
END_TEST

START_TEST(test_config_load_when_number_is_bad)
{
        static const char *const texts[] = {"abc", "12x", "1.5", "0x10", "1e3",  " 5",
                                            "5 ",  "+5",  "-",   "--1",  "5,000"};
        static const char *const huge[] = {"2147483648", "9223372036854775808", "18446744073709551617",
                                           "99999999999999999999999999999999999999999999"};
        char variable[128];

        for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
                snprintf(variable, sizeof(variable), "OTEL_BSP_SCHEDULE_DELAY=%s", texts[i]);
                load_bad(variable, "not a decimal number, using 5000");
        }
        for (size_t i = 0; i < sizeof(huge) / sizeof(*huge); i++) {
                snprintf(variable, sizeof(variable), "OTEL_BSP_SCHEDULE_DELAY=%s", huge[i]);
                load_bad(variable, "too large, using 5000");
                snprintf(variable, sizeof(variable), "OTEL_EXPORTER_OTLP_TIMEOUT=-%s", huge[i]);
                load_bad(variable, "too small, using 10000");
        }
        load_bad("OTEL_BSP_MAX_QUEUE_SIZE=0", "too small, using 2048");
        load_bad("OTEL_BSP_MAX_QUEUE_SIZE=-1", "too small, using 2048");
        load_bad("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=-1", "not a usable number, ignored");
        assert_defaults();
}
END_TEST

START_TEST(test_config_load_when_enum_is_bad)
{
        load_bad("OTEL_LOG_LEVEL=Loud", "unknown name, using none");
        load_bad("OTEL_INSTRUMENT_RELAY= off", "unknown name, using auto");
        load_bad("OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "not supported yet, using http/protobuf");
        load_bad("OTEL_EXPORTER_OTLP_PROTOCOL=HTTP/JSON", "not supported yet, using http/protobuf");
        load_bad("OTEL_EXPORTER_OTLP_PROTOCOL=http", "unknown name, using http/protobuf");
        load_bad("OTEL_INSTRUMENT_EXISTING_CONTEXT=replace", "unknown name, using respect");
        assert_defaults();
}
END_TEST

START_TEST(test_config_load_when_log_level_is_any_known)
{
        static const struct {
                const char *name;
                int value;
        } levels[] = {
                {"none", LOG_NONE},   {"off", LOG_NONE},     {"FATAL", LOG_ERROR},  {"fatal4", LOG_ERROR},
                {"error", LOG_ERROR}, {"warn", LOG_WARN},    {"Warning", LOG_WARN}, {"info", LOG_INFO},
                {"info3", LOG_INFO},  {"debug", LOG_DEBUG},  {"trace", LOG_DEBUG},  {"verbose", LOG_DEBUG},
                {"all", LOG_DEBUG},   {"error2", LOG_ERROR},
        };
        char variable[64];

        for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
                snprintf(variable, sizeof(variable), "OTEL_LOG_LEVEL=%s", levels[i].name);
                LOAD(variable);
                ck_assert_uint_eq(warnings.count, 0);
                ck_assert_int_eq(config.log_level, levels[i].value);
        }
}
END_TEST

START_TEST(test_config_load_when_exporter_is_a_list)
{
        LOAD("OTEL_TRACES_EXPORTER= otlp ,\tconsole,,otlp,OTLP");
        ck_assert_uint_eq(warnings.count, 0);
        ck_assert_uint_eq(config.traces_exporter, EXPORTER_OTLP | EXPORTER_CONSOLE);

        LOAD("OTEL_TRACES_EXPORTER=none");
        ck_assert_uint_eq(warnings.count, 0);
        ck_assert_uint_eq(config.traces_exporter, EXPORTER_NONE);
        ck_assert(config_is_set(&config, CONFIG_traces_exporter));
        LOAD("OTEL_TRACES_EXPORTER=none, none,");
        ck_assert_uint_eq(warnings.count, 0);
        ck_assert_uint_eq(config.traces_exporter, EXPORTER_NONE);

        LOAD("OTEL_TRACES_EXPORTER=none,console");
        ck_assert_uint_eq(warnings.count, 1);
        ck_assert_str_eq(warnings.text[0],
                         "OTEL_TRACES_EXPORTER=none,console: none stands beside other names and is ignored");
        ck_assert_uint_eq(config.traces_exporter, EXPORTER_CONSOLE);

        LOAD("OTEL_TRACES_EXPORTER=zipkin,console");
        ck_assert_uint_eq(warnings.count, 1);
        ck_assert_str_eq(warnings.text[0],
                         "OTEL_TRACES_EXPORTER=zipkin,console: holds an unknown name, which is ignored");
        ck_assert_uint_eq(config.traces_exporter, EXPORTER_CONSOLE);

        load_bad("OTEL_TRACES_EXPORTER=logging", "unknown name, using otlp");
        assert_defaults();
        LOAD("OTEL_TRACES_EXPORTER= , ,");
        ck_assert_uint_eq(warnings.count, 0);
        assert_defaults();
}
END_TEST

START_TEST(test_config_load_when_name_is_given_twice)
{
        LOAD("OTEL_SERVICE_NAME=first", "OTEL_SERVICE_NAME=second");
        ck_assert_str_eq(config.service_name, "first");
        LOAD("OTEL_SERVICE_NAME=", "OTEL_SERVICE_NAME=second");
        ck_assert_str_eq(config.service_name, "");
}
END_TEST

START_TEST(test_config_load_when_batch_exceeds_queue)
{
        LOAD("OTEL_BSP_MAX_QUEUE_SIZE=100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=101");
        ck_assert_int_eq(config.bsp_max_export_batch_size, 100);
        ck_assert_uint_eq(warnings.count, 1);
        ck_assert_str_eq(warnings.text[0],
                         "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=101: larger than the queue, using the queue's size");
        LOAD("OTEL_BSP_MAX_QUEUE_SIZE=100");
        ck_assert_int_eq(config.bsp_max_export_batch_size, 100);
        ck_assert_uint_eq(warnings.count, 0);
        LOAD("OTEL_BSP_MAX_QUEUE_SIZE=100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=100");
        ck_assert_int_eq(config.bsp_max_export_batch_size, 100);
        ck_assert_uint_eq(warnings.count, 0);
}
END_TEST

UNIT_MAIN("config", test_config_rows_when_read_as_defaults, test_config_load_when_nothing_is_set,
          test_config_load_when_all_are_set, test_config_load_when_boolean_is_bad,
          test_config_load_when_number_is_bad, test_config_load_when_enum_is_bad,
          test_config_load_when_log_level_is_any_known, test_config_load_when_exporter_is_a_list,
          test_config_load_when_name_is_given_twice, test_config_load_when_batch_exceeds_queue)
