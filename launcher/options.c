/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/base/load.h"

#define ENV_PREFIX     "OTEL_"
#define ENV_PREFIX_OWN "OTEL_INSTRUMENT_"

const struct options_flag options_flags[] = {
        {"help", 'h', "", OPTIONS_HELP, "print this text"},
        {"version", 'V', "", OPTIONS_VERSION, "print the version"},
        {"check", '\0', " COMMAND", OPTIONS_CHECK,
         "say what stands in the way of instrumenting COMMAND; exit status 0: nothing, 1: something"},
        {"print_env", '\0', "", OPTIONS_PRINT_ENV,
         "print what would be added to the environment, quoted for a shell"},
        {"strict", '\0', "", OPTIONS_RUN,
         "do not run what cannot be instrumented, and take a bad setting in the environment for an error"},
};
const size_t options_flag_count = ARRAY_LEN(options_flags);

static void apply_flag(struct options *options, const struct options_flag *flag)
{
        if (flag->action == OPTIONS_RUN)
                options->strict = true;
        else if (options->action != OPTIONS_HELP) /* who asks for help gets it, whatever else stands there */
                options->action = flag->action;
}

void options_name(const struct config_row *row, char ret_name[OPTIONS_NAME_MAX])
{
        const char *own =
                strncmp(row->env, ENV_PREFIX_OWN, strlen(ENV_PREFIX_OWN)) == 0 ? ENV_PREFIX_OWN : ENV_PREFIX;
        const char *name = row->env + strlen(own);
        size_t i = 0;

        for (; name[i] && i < OPTIONS_NAME_MAX - 1; i++)
                ret_name[i] = (char)tolower((unsigned char)name[i]);
        ret_name[i] = '\0';
}

/* An option's name as the user wrote it, with '_' for '-'. False when it is longer than any name. */
static bool read_name(const char *text, size_t len, char ret_name[OPTIONS_NAME_MAX])
{
        if (len >= OPTIONS_NAME_MAX)
                return false;
        for (size_t i = 0; i < len; i++)
                ret_name[i] = text[i] == '-' ? '_' : text[i];
        ret_name[len] = '\0';
        return true;
}

static const struct options_flag *find_flag(const char *name)
{
        for (size_t i = 0; i < options_flag_count; i++)
                if (strcmp(options_flags[i].name, name) == 0)
                        return &options_flags[i];
        return NULL;
}

static const struct options_flag *find_letter(const char *argument)
{
        for (size_t i = 0; i < options_flag_count; i++)
                if (options_flags[i].letter && argument[1] == options_flags[i].letter && !argument[2])
                        return &options_flags[i];
        return NULL;
}

static const struct config_row *find_setting(const char *name)
{
        char canonical[OPTIONS_NAME_MAX];

        for (size_t i = 0; i < CONFIG_COUNT; i++) {
                options_name(&config_rows[i], canonical);
                if (strcmp(canonical, name) == 0 || strcmp(config_texts[i].field, name) == 0)
                        return &config_rows[i];
        }
        return NULL;
}

static const char *nearest_flag(const char *name)
{
        for (size_t i = 0; i < options_flag_count; i++)
                if (strlen(name) > 1 && strncmp(options_flags[i].name, name, 2) == 0)
                        return options_flags[i].name;
        return NULL;
}

static int unknown(struct options *options, const char *argument, const char *name)
{
        static const char *const prefixes[] = {ENV_PREFIX, ENV_PREFIX_OWN, ENV_PREFIX "EXPORTER_"};
        const struct config_row *row = NULL;
        const char *near = nearest_flag(name);
        char canonical[OPTIONS_NAME_MAX];
        char env[2 * OPTIONS_NAME_MAX];

        for (size_t i = 0; i < ARRAY_LEN(prefixes) && !row; i++) {
                (void)snprintf(env, sizeof(env), "%s%s", prefixes[i], name); /* fits: name is short */
                row = config_nearest(env);
        }
        if (row) {
                options_name(row, canonical);
                near = canonical;
        }
        (void)snprintf(options->error, sizeof(options->error),
                       near ? "unknown option %.200s; did you mean --%s?"
                            : "unknown option %.200s; see --help",
                       argument, near);
        return -EINVAL;
}

/* A switch alone means on; "--" before a command that is called true or false. */
static bool stands_alone(const struct config_row *row, const char *next)
{
        return row->type == CONFIG_BOOL &&
               !(next && (strcasecmp(next, "true") == 0 || strcasecmp(next, "false") == 0));
}

/* The long option at @argv. Return: how many arguments it takes, or -EINVAL. */
static int parse_long(struct options *options, char **argv)
{
        const char *text = argv[0] + 2;
        const char *equals = strchr(text, '=');
        char name[OPTIONS_NAME_MAX] = "";
        bool fits = read_name(text, equals ? (size_t)(equals - text) : strlen(text), name);
        const struct options_flag *flag = find_flag(name);
        const struct config_row *row = find_setting(name);

        if (!fits || (!flag && !row))
                return unknown(options, argv[0], name);
        if (flag && equals) {
                (void)snprintf(options->error, sizeof(options->error), "--%s takes no value", flag->name);
                return -EINVAL;
        }
        if (flag) {
                apply_flag(options, flag);
                return 1;
        }
        if (!equals && stands_alone(row, argv[1])) {
                options->values[row - config_rows] = "true";
                return 1;
        }
        if (!equals && !argv[1]) {
                (void)snprintf(options->error, sizeof(options->error), "--%s needs a value (%s)", name,
                               config_texts[row - config_rows].help);
                return -EINVAL;
        }
        options->values[row - config_rows] = equals ? equals + 1 : argv[1];
        return equals ? 1 : 2;
}

static int parse_one(struct options *options, char **argv)
{
        const struct options_flag *flag;

        if (argv[0][1] == '-')
                return parse_long(options, argv);
        flag = find_letter(argv[0]);
        if (!flag)
                return unknown(options, argv[0], argv[0] + 1);
        apply_flag(options, flag);
        return 1;
}

int options_parse(struct options *ret_options, char **argv)
{
        memset(ret_options, 0, sizeof(*ret_options));
        if (*argv)
                argv++; /* the launcher's own name */
        while (*argv && argv[0][0] == '-' && argv[0][1] && strcmp(*argv, "--") != 0) {
                int taken = parse_one(ret_options, argv);

                if (taken < 0)
                        return taken;
                argv += taken;
        }
        if (*argv && strcmp(*argv, "--") == 0)
                argv++;
        ret_options->command = argv;
        if (!*argv && (ret_options->action == OPTIONS_RUN || ret_options->action == OPTIONS_CHECK)) {
                (void)snprintf(ret_options->error, sizeof(ret_options->error),
                               "no command given; try: otel-instrument --traces_exporter console curl "
                               "http://localhost/");
                return -EINVAL;
        }
        return 0;
}
