/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What stands in where libc has no such function (older glibc, or a libc that we could not read). */
#include "hooks/real.h"

/**
 * real_substitute() - a function with the effect and the results of the missing one
 *
 * The raw system call where there is one; otherwise -1 with ENOSYS (functions that return a pointer: NULL;
 * see the list in real_substitute.c).
 *
 * Context: signal.
 * Return: never NULL.
 */
void *real_substitute(enum hook_id id);
