/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Check's assertions without its runner: what fails is printed and aborts, what does not costs nothing. Comes
 * before every other header of the tests.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static inline _Noreturn void plain_check_failed(const char *file, int line, const char *what,
                                                const char *format, ...)
{
        va_list arguments;

        fprintf(stderr, "%s:%d: %s ", file, line, what);
        va_start(arguments, format);
        if (format)
                vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
        abort();
}

#define _mark_point(file, line) ((void)0)
#define _ck_assert_failed       plain_check_failed
