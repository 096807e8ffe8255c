/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/help.h"

#include <errno.h>
#include <string.h>

#include "agent/base/load.h"
#include "launcher/options.h"

#define INDENT 6
#define WIDTH  96

static const char intro[] =
        "Usage: otel-instrument [options] [--] command [arguments]\n"
        "\n"
        "Runs an unmodified program so that its HTTP requests become OpenTelemetry spans and carry the\n"
        "trace context on. The program's output, exit status and behaviour stay what they are.\n"
        "\n"
        "Examples:\n"
        "  otel-instrument --traces_exporter console curl http://localhost:8080/\n"
        "      show the trace on the terminal; needs no collector\n"
        "  otel-instrument --service_name billing --exporter_otlp_endpoint http://collector:4318 ./billing\n"
        "      send to a collector\n"
        "  OTEL_SERVICE_NAME=billing otel-instrument ./billing\n"
        "      the same settings come from the environment; an option beats its variable\n"
        "  otel-instrument --check ./billing\n"
        "      can this program be instrumented?\n";

static const char outro[] =
        "\n"
        "Options are written --name value or --name=value, with '-' or '_' inside the name.\n"
        "Exit status: the command's own; 2: wrong option; 126: command cannot be run; 127: not found.\n";

static const struct {
        enum config_scope scope;
        const char *title;
} groups[] = {
        {CONFIG_PROCESS, "What the program is called:"},
        {CONFIG_EXPORT, "Where its telemetry goes, and how:"},
        {CONFIG_HOST, "What happens inside the program:"},
};

static void print_wrapped(FILE *out, const char *text)
{
        size_t column = INDENT;

        fprintf(out, "%*s", INDENT, "");
        while (*text) {
                size_t word = strcspn(text, " ");

                if (column > INDENT && column + 1 + word > WIDTH) {
                        fprintf(out, "\n%*s", INDENT, "");
                        column = INDENT;
                }
                column += (size_t)fprintf(out, "%s%.*s", column > INDENT ? " " : "", (int)word, text);
                text += word + strspn(text + word, " ");
        }
        fputc('\n', out);
}

static const char *operand(const struct config_row *row)
{
        static const char *const operands[] = {
                [CONFIG_BOOL] = "[true|false]", [CONFIG_INT] = "NUMBER",  [CONFIG_DURATION] = "MS",
                [CONFIG_TIMEOUT] = "MS",        [CONFIG_STRING] = "TEXT", [CONFIG_ENUM] = "NAME",
                [CONFIG_ENUMS] = "NAME,...",
        };

        return operands[row->type];
}

static void print_setting(FILE *out, const struct config_row *row)
{
        char name[OPTIONS_NAME_MAX];

        options_name(row, name);
        fprintf(out, "  --%s %s\n", name, operand(row));
        print_wrapped(out, config_texts[row - config_rows].help);
        if (row->default_text[0])
                fprintf(out, "%*s[%s, default %s]\n", INDENT, "", row->env, row->default_text);
        else
                fprintf(out, "%*s[%s]\n", INDENT, "", row->env);
}

static void print_flag(FILE *out, const struct options_flag *flag)
{
        char name[OPTIONS_NAME_MAX];

        (void)snprintf(name, sizeof(name), "%s", flag->name); /* the table's names are short */
        for (char *c = name; *c; c++)
                if (*c == '_')
                        *c = '-';
        if (flag->letter)
                fprintf(out, "  -%c, --%s%s\n", flag->letter, name, flag->operand);
        else
                fprintf(out, "  --%s%s\n", name, flag->operand);
        print_wrapped(out, flag->help);
}

int help_print(FILE *out)
{
        fputs(intro, out);
        fputs("\nOptions:\n", out);
        for (size_t i = 0; i < options_flag_count; i++)
                print_flag(out, &options_flags[i]);
        for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
                fprintf(out, "\n%s\n", groups[g].title);
                for (size_t i = 0; i < CONFIG_COUNT; i++)
                        if (config_rows[i].scope == groups[g].scope)
                                print_setting(out, &config_rows[i]);
        }
        fputs(outro, out);
        return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}
