/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The text of --help: written from the tables of options and settings, so that it cannot lag behind. */
#include <stdio.h>

/* Print it. Return: 0, or -EIO when @out did not take it. Context: start. */
int help_print(FILE *out);
