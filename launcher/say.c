/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/say.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_LEN 4096

static void say(const char *kind, const char *format, va_list args)
{
        char line[LINE_MAX_LEN];

        (void)vsnprintf(line, sizeof(line), format, args); /* a cut line still says what it is about */
        for (char *c = line; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        *c = '?';
        (void)fprintf(stderr, "otel-instrument: %s: %s\n", kind,
                      line); /* a closed stderr must not stop the run */
}

void say_error(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        say("error", format, args);
        va_end(args);
}

void say_warning(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        say("warning", format, args);
        va_end(args);
}
