/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>

#include "agent/config/config.h"
#include "tests/unit/unit.h"

static uint64_t hash_of(const char *variable)
{
        char *envp[] = {(char *)variable, NULL};
        struct config config;

        config_load(&config, envp, NULL, NULL);
        return config_export_hash(&config);
}

START_TEST(test_config_env_copy_when_host_overwrites_its_own)
{
        char service[] = "OTEL_SERVICE_NAME=shop", other[] = "PATH=/bin", parent[] = "TRACEPARENT=00-1";
        char state[] = "TRACESTATE=", bag[] = "BAGGAGE=a=b", near[] = "TRACEPARENTS=x",
             lower[] = "traceparent=y";
        char *envp[] = {service, other, parent, state, bag, near, lower, NULL};
        struct config_env env;

        ck_assert(config_env_copy(&env, envp));
        memset(service, 'X', sizeof(service) - 1);
        memset(parent, 'X', sizeof(parent) - 1);
        envp[0] = NULL;
        ck_assert_uint_eq(env.count, 4);
        ck_assert_ptr_null(env.envp[4]);
        ck_assert_str_eq(env.envp[0], "OTEL_SERVICE_NAME=shop");
        ck_assert_ptr_eq(env.envp[0], env.text);
        ck_assert_uint_eq(env.len,
                          strlen("OTEL_SERVICE_NAME=shop TRACEPARENT=00-1 TRACESTATE= BAGGAGE=a=b "));
        ck_assert_mem_eq(env.text, "OTEL_SERVICE_NAME=shop\0TRACEPARENT=00-1\0TRACESTATE=\0BAGGAGE=a=b\0",
                         env.len);
        ck_assert_str_eq(config_env_get(&env, "OTEL_SERVICE_NAME"), "shop");
        ck_assert_str_eq(config_env_get(&env, "BAGGAGE"), "a=b");
        ck_assert_ptr_null(config_env_get(&env, "TRACESTATE"));
        ck_assert_ptr_null(config_env_get(&env, "PATH"));
        ck_assert_ptr_null(config_env_get(&env, "OTEL_SERVICE"));
}
END_TEST

START_TEST(test_config_env_copy_when_environment_is_empty)
{
        char *none[] = {NULL};
        struct config_env env;

        ck_assert(config_env_copy(&env, none));
        ck_assert_uint_eq(env.count, 0);
        ck_assert_ptr_null(env.envp[0]);
        ck_assert(config_env_copy(&env, NULL));
        ck_assert_uint_eq(env.count, 0);
        ck_assert_uint_eq(env.len, 0);
        ck_assert_ptr_null(config_env_get(&env, "OTEL_SERVICE_NAME"));
}
END_TEST

START_TEST(test_config_env_copy_when_called_again)
{
        char *a[] = {(char *)"OTEL_SERVICE_NAME=a", NULL}, *b[] = {(char *)"OTEL_SERVICE_NAME=b", NULL};
        struct config_env first, second;

        ck_assert(config_env_copy(&first, a));
        ck_assert(config_env_copy(&second, b));
        ck_assert_str_eq(config_env_get(&first, "OTEL_SERVICE_NAME"), "a");
        ck_assert_str_eq(config_env_get(&second, "OTEL_SERVICE_NAME"), "b");
}
END_TEST

START_TEST(test_config_env_copy_when_environment_is_large)
{
        size_t len = LIMIT_SETTINGS_TEXT - 2 * sizeof(char *);
        char *huge = malloc(len + 1);
        char *envp[] = {huge, NULL};
        struct config_env env = {.count = 77};

        ck_assert_ptr_nonnull(huge);
        memset(huge, 'v', len + 1);
        memcpy(huge, "OTEL_X=", 7);
        huge[len] = 0;
        ck_assert(!config_env_copy(&env, envp));
        ck_assert_uint_eq(env.count, 77);
        huge[len - 1] = 0;
        ck_assert(config_env_copy(&env, envp));
        ck_assert_uint_eq(strlen(config_env_get(&env, "OTEL_X")), len - 8);
        free(huge);
}
END_TEST

START_TEST(test_config_export_hash_when_settings_differ)
{
        static const char *const different[] = {
                "OTEL_TRACES_EXPORTER=console",
                "OTEL_TRACES_EXPORTER=none",
                "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c:4318",
                "OTEL_EXPORTER_OTLP_HEADERS=a=b",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=b",
                "OTEL_EXPORTER_OTLP_TIMEOUT=5",
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=5",
                "OTEL_BSP_SCHEDULE_DELAY=5",
                "OTEL_INSTRUMENT_RELAY_LINGER=5",
        };
        const size_t count = sizeof(different) / sizeof(*different);
        uint64_t plain = hash_of(NULL);

        for (size_t i = 0; i < count; i++) {
                ck_assert_uint_ne(hash_of(different[i]), plain);
                for (size_t j = 0; j < i; j++)
                        ck_assert_uint_ne(hash_of(different[i]), hash_of(different[j]));
        }
        ck_assert_uint_eq(hash_of("OTEL_SERVICE_NAME=x"), plain);
        ck_assert_uint_eq(hash_of("OTEL_LOG_LEVEL=debug"), plain);
        ck_assert_uint_eq(hash_of("OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318"), plain);
        ck_assert_uint_eq(hash_of("OTEL_BSP_SCHEDULE_DELAY=bad"), plain);
}
END_TEST

static void assert_nearest(const char *name, const char *expected)
{
        const struct config_row *row = config_nearest(name);

        ck_assert_pstr_eq(row ? row->env : NULL, expected);
}

START_TEST(test_config_nearest_when_mistyped)
{
        for (size_t i = 0; i < CONFIG_COUNT; i++)
                assert_nearest(config_rows[i].env, config_rows[i].env);
        assert_nearest("OTEL_SERVICE_NAM", "OTEL_SERVICE_NAME");
        assert_nearest("otel_service_nmae", "OTEL_SERVICE_NAME");
        assert_nearest("OTEL_SERVICENAME", "OTEL_SERVICE_NAME");
        assert_nearest("OTEL_TRACE_EXPORTER", "OTEL_TRACES_EXPORTER");
        assert_nearest("OTEL_EXPORTER_OTLP_ENDPOINTS", "OTEL_EXPORTER_OTLP_ENDPOINT");
        assert_nearest("OTEL_EXPORTER_OTLP_TRACE_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS");
        assert_nearest("OTEL_LOGLEVEL", "OTEL_LOG_LEVEL");
        assert_nearest("OTEL_METRICS_EXPORTER", NULL);
        assert_nearest("OTEL_PROPAGATORS", NULL);
        assert_nearest("OTEL_", NULL);
        assert_nearest("", NULL);
        assert_nearest("X", NULL);
        assert_nearest("OTEL_SERVICE_NAME_OTEL_SERVICE_NAME_OTEL_SERVICE_NAME_OTEL_SERVICE_NAME", NULL);
}
END_TEST

UNIT_MAIN("config-env", test_config_env_copy_when_host_overwrites_its_own,
          test_config_env_copy_when_environment_is_empty, test_config_env_copy_when_called_again,
          test_config_env_copy_when_environment_is_large, test_config_export_hash_when_settings_differ,
          test_config_nearest_when_mistyped)
