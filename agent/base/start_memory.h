/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Memory for what is kept from the start of the process on; never given back. */
#include <stddef.h>

/**
 * start_memory() - @len bytes, zeroed, aligned for pointers
 *
 * From a small static block while that lasts, so that most processes map nothing and write few pages; mapped
 * memory else.
 *
 * Context: start (one thread).
 * Return: NULL when nothing can be mapped.
 */
void *start_memory(size_t len);
