/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The dynamic linker's own functions. Their entry points (dl_stub.S) ask here what to jump to; on the way,
 * what was opened with RTLD_DEEPBIND is led back to us (deepbind.h).
 */

typedef void *dl_open_fn(const char *file, int mode);
typedef void *dl_sym_fn(void *handle, const char *name);

/* Before the real dlopen and dlsym, which they return. Context: hook. Return: never NULL. */
dl_open_fn *dl_open_enter(const char *file, int mode) __attribute__((visibility("hidden")));
dl_sym_fn *dl_sym_enter(void) __attribute__((visibility("hidden")));

/* The real ones alone. Context: hook. Return: never NULL; without libdl, functions that return NULL. */
dl_open_fn *dl_open_real(void);
dl_sym_fn *dl_sym_real(void);
