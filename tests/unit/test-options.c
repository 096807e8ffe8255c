/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "agent/base/load.h"
#include "launcher/help.h"
#include "launcher/options.h"
#include "launcher/settings.h"
#include "tests/unit/unit.h"

#define ARGV(...) ((char *[]){(char *)"otel-instrument", __VA_ARGS__, NULL})

static struct options options;

/* Parses a copy that outlives the test's expression, as a real argv does. */
static int parse(char *const *argv)
{
        static char *kept[16];
        size_t count = 0;

        do
                kept[count] = argv[count];
        while (argv[count] && ++count < ARRAY_LEN(kept));
        return options_parse(&options, kept);
}

START_TEST(test_parse_name_forms)
{
        static char *const forms[][3] = {
                {"--service_name", "shop", "curl"},
                {"--service-name", "shop", "curl"},
                {"--service_name=shop", "curl", NULL},
                {"--service-name=shop", "curl", NULL},
        };

        for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
                ck_assert_int_eq(parse(ARGV(forms[i][0], forms[i][1], forms[i][2])), 0);
                ck_assert_str_eq(options.values[CONFIG_service_name], "shop");
                ck_assert_str_eq(options.command[0], "curl");
        }
}
END_TEST

START_TEST(test_parse_every_setting_under_both_names)
{
        for (size_t i = 0; i < CONFIG_COUNT; i++) {
                char name[OPTIONS_NAME_MAX], canonical[OPTIONS_NAME_MAX + 2], field[OPTIONS_NAME_MAX + 2];
                char *value = config_rows[i].type == CONFIG_BOOL ? "false" : "v";

                options_name(&config_rows[i], name);
                (void)snprintf(canonical, sizeof(canonical), "--%s", name);
                (void)snprintf(field, sizeof(field), "--%s", config_texts[i].field);
                ck_assert_int_eq(parse(ARGV(canonical, value, "c")), 0);
                ck_assert_msg(options.values[i] && strcmp(options.values[i], value) == 0, "%s", canonical);
                ck_assert_int_eq(parse(ARGV(field, value, "c")), 0);
                ck_assert_msg(options.values[i] && strcmp(options.values[i], value) == 0, "%s", field);
        }
}
END_TEST

START_TEST(test_parse_switch_alone_is_on)
{
        ck_assert_int_eq(parse(ARGV("--process-span", "./nightly.sh", "true")), 0);
        ck_assert_str_eq(options.values[CONFIG_process_span], "true");
        ck_assert_str_eq(options.command[0], "./nightly.sh");
        ck_assert_int_eq(parse(ARGV("--process_span", "FALSE", "true")), 0);
        ck_assert_str_eq(options.values[CONFIG_process_span], "FALSE");
        ck_assert_str_eq(options.command[0], "true");
        ck_assert_int_eq(parse(ARGV("--process_span", "--", "false")), 0);
        ck_assert_str_eq(options.values[CONFIG_process_span], "true");
        ck_assert_str_eq(options.command[0], "false");
        ck_assert_int_eq(parse(ARGV("--process_span=false", "c")), 0);
        ck_assert_str_eq(options.values[CONFIG_process_span], "false");
}
END_TEST

START_TEST(test_name_follows_the_variable)
{
        char name[OPTIONS_NAME_MAX];

        options_name(&config_rows[CONFIG_otlp_endpoint], name);
        ck_assert_str_eq(name, "exporter_otlp_endpoint");
        options_name(&config_rows[CONFIG_relay_linger], name);
        ck_assert_str_eq(name, "relay_linger");
}
END_TEST

START_TEST(test_parse_value_may_look_like_anything)
{
        ck_assert_int_eq(parse(ARGV("--service_name=a=b", "c")), 0);
        ck_assert_str_eq(options.values[CONFIG_service_name], "a=b");
        ck_assert_int_eq(parse(ARGV("--service_name", "--strict", "c")), 0);
        ck_assert_str_eq(options.values[CONFIG_service_name], "--strict");
        ck_assert(!options.strict);
        ck_assert_int_eq(parse(ARGV("--service_name=", "c")), 0);
        ck_assert_str_eq(options.values[CONFIG_service_name], "");
}
END_TEST

START_TEST(test_parse_last_value_wins)
{
        ck_assert_int_eq(parse(ARGV("--service_name", "a", "--service-name=b", "c")), 0);
        ck_assert_str_eq(options.values[CONFIG_service_name], "b");
}
END_TEST

START_TEST(test_parse_ends_at_the_command)
{
        ck_assert_int_eq(parse(ARGV("--strict", "curl", "--service_name", "x", "--")), 0);
        ck_assert(options.strict);
        ck_assert_ptr_null(options.values[CONFIG_service_name]);
        ck_assert_str_eq(options.command[1], "--service_name");
        ck_assert_str_eq(options.command[3], "--");
        ck_assert_int_eq(parse(ARGV("--", "--strict")), 0);
        ck_assert(!options.strict);
        ck_assert_str_eq(options.command[0], "--strict");
        ck_assert_int_eq(parse(ARGV("-", "x")), 0);
        ck_assert_str_eq(options.command[0], "-");
}
END_TEST

START_TEST(test_parse_actions)
{
        ck_assert_int_eq(parse(ARGV("-h")), 0);
        ck_assert_int_eq(options.action, OPTIONS_HELP);
        ck_assert_int_eq(parse(ARGV("--help", "--version")), 0);
        ck_assert_int_eq(options.action, OPTIONS_HELP);
        ck_assert_int_eq(parse(ARGV("-V")), 0);
        ck_assert_int_eq(options.action, OPTIONS_VERSION);
        ck_assert_int_eq(parse(ARGV("--print-env")), 0);
        ck_assert_int_eq(options.action, OPTIONS_PRINT_ENV);
        ck_assert_int_eq(parse(ARGV("--check", "curl")), 0);
        ck_assert_int_eq(options.action, OPTIONS_CHECK);
}
END_TEST

START_TEST(test_parse_refuses)
{
        static const struct {
                char *argument;
                const char *said;
        } cases[] = {
                {"--servce_name=x", "did you mean --service_name?"},
                {"--exporter_otlp_endpont=x", "did you mean --exporter_otlp_endpoint?"},
                {"--rellay_linger=5", "did you mean --relay_linger?"},
                {"--chek", "did you mean --check?"},
                {"--strict=yes", "--strict takes no value"},
                {"--service_name", "needs a value"},
                {"--", "no command"},
                {"--qqq", "unknown option --qqq; see --help"},
                {"-x", "unknown option -x"},
                {"-hx", "unknown option -hx"},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                ck_assert_int_eq(parse(ARGV(cases[i].argument)), -EINVAL);
                ck_assert_msg(strstr(options.error, cases[i].said) != NULL, "%s: %s", cases[i].argument,
                              options.error);
        }
        ck_assert_int_eq(parse((char *[]){NULL}), -EINVAL);
}
END_TEST

START_TEST(test_parse_survives_a_name_of_any_length)
{
        char argument[2048] = "--";

        for (size_t len = 2; len < sizeof(argument) - 1; len++) {
                argument[len] = 'a';
                argument[len + 1] = '\0';
                ck_assert_int_eq(parse(ARGV(argument, "c")), -EINVAL);
        }
}
END_TEST

static int check_settings(char *const *envp, char **argv)
{
        struct environ_list env;
        struct config config;
        int result;

        ck_assert_int_eq(parse(argv), 0);
        ck_assert_int_eq(environ_copy(&env, envp), 0);
        ck_assert_int_eq(settings_apply(&options, &env), 0);
        result = settings_check(&options, &env, &config);
        if (result == 0 && options.values[CONFIG_service_name])
                ck_assert_str_eq(config.service_name, options.values[CONFIG_service_name]);
        environ_done(&env);
        return result;
}

START_TEST(test_settings_option_beats_variable)
{
        char *env[] = {"OTEL_SERVICE_NAME=env", "OTEL_BSP_SCHEDULE_DELAY=bad", "OTEL_SERVICE_NAME=env2",
                       NULL};

        ck_assert_int_eq(
                check_settings(env, ARGV("--service_name=opt", "--bsp_schedule_delay=1", "--strict", "c")),
                0);
}
END_TEST

START_TEST(test_settings_bad_values)
{
        char *bad[] = {"OTEL_BSP_SCHEDULE_DELAY=soon", NULL}, *none[] = {NULL};

        ck_assert_int_eq(check_settings(bad, ARGV("c")), 0);
        ck_assert_int_eq(check_settings(bad, ARGV("--strict", "c")), -EINVAL);
        ck_assert_int_eq(check_settings(none, ARGV("--bsp_schedule_delay=soon", "c")), -EINVAL);
        ck_assert_int_eq(check_settings(none, ARGV("--traces_exporter=consle", "c")), -EINVAL);
        ck_assert_int_eq(check_settings(none, ARGV("--traces_exporter=", "c")), 0);
}
END_TEST

START_TEST(test_help_names_every_setting)
{
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        ck_assert_ptr_nonnull(out);
        ck_assert_int_eq(help_print(out), 0);
        ck_assert_int_eq(fclose(out), 0);
        for (size_t i = 0; i < CONFIG_COUNT; i++) {
                char name[OPTIONS_NAME_MAX], option[OPTIONS_NAME_MAX + 8];

                options_name(&config_rows[i], name);
                (void)snprintf(option, sizeof(option), "  --%s ", name);
                ck_assert_msg(strstr(text, option) != NULL, "%s", option);
                ck_assert_msg(strstr(text, config_rows[i].env) != NULL, "%s", config_rows[i].env);
        }
        for (const char *line = text; *line; line = strchr(line, '\n') + 1)
                ck_assert_uint_le(strcspn(line, "\n"), 100);
        free(text);
}
END_TEST

UNIT_MAIN("options", test_parse_name_forms, test_parse_every_setting_under_both_names,
          test_parse_switch_alone_is_on, test_name_follows_the_variable,
          test_parse_value_may_look_like_anything, test_parse_last_value_wins, test_parse_ends_at_the_command,
          test_parse_actions, test_parse_refuses, test_parse_survives_a_name_of_any_length,
          test_settings_option_beats_variable, test_settings_bad_values, test_help_names_every_setting)
