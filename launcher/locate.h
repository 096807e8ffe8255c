/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the library to preload lies: next to this executable (build tree), in the prefix that this
 * executable was installed in (wherever that was moved), or where it was configured to be.
 */
#include <stddef.h>

/**
 * locate_library() - find libotel-preload.so
 * @executable: path of this executable, or NULL when unknown
 *
 * Context: start.
 * Return: 0 or -ENOENT; then @ret_path names the place where it should have been.
 */
int locate_library(const char *executable, char *ret_path, size_t size);

/* Path of the running executable; works without /proc for a name with a slash. Return: 0 or -errno. Context:
 * start. */
int locate_self(char *ret_path, size_t size);
