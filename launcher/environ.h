/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The environment that the program will get: a copy of ours with some variables set. The process's own
 * environment is never changed. The list owns all its strings.
 */
#include <stddef.h>

struct environ_list {
        char **vars; /* "NAME=value", NULL at the end: fit for execve */
        size_t count;
};

/**
 * environ_copy() - start from an environment
 *
 * Context: start.
 * Return: 0 or -ENOMEM.
 */
int environ_copy(struct environ_list *ret_list, char *const *envp);
void environ_done(struct environ_list *list);

/* Value of @name (of the first one, as getenv does), or NULL; borrowed. Context: start. */
const char *environ_get(const struct environ_list *list, const char *name);

/**
 * environ_set() - give a variable a value; all earlier ones of that name go
 *
 * Context: start.
 * Return: 0 or -ENOMEM.
 */
int environ_set(struct environ_list *list, const char *name, const char *value);

/**
 * environ_preload() - append @library to LD_PRELOAD
 *
 * What is there keeps its order and its separators. A library that is there already, under this or
 * another name of the same file, is not added again.
 *
 * Context: start.
 * Return: 0, -EINVAL where LD_PRELOAD cannot express the path (a blank or a colon in it), or -ENOMEM.
 */
int environ_preload(struct environ_list *list, const char *library);
