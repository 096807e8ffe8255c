/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The real functions. Found by walking the loaded objects ourselves (dl_iterate_phdr and the ELF
 * hash tables), not by dlsym: no malloc, no dlerror state of the host's, no symbol newer than glibc
 * 2.2.5, and a look-up takes no lock. For libc: the next definition after our own object in load order
 * (so that other preloads keep their place); for other libraries: object by object, by their own
 * wrappers.
 */
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hooks/hook_types.h" /* includes the libraries' headers that the prototypes come from */

#define REAL_OWN_SONAME "libotel-preload.so"

enum hook_library { HOOK_LIBC, HOOK_THREAD, HOOK_POOL, HOOK_CURL, HOOK_DL, HOOK_OPENSSL, HOOK_GNUTLS };
enum hook_need { HOOK_MUST, HOOK_MAY };

enum hook_id {
#define HOOK(name, library, need) HOOK_ID_##name,
#include "hooks/hooks.def"
#undef HOOK
        HOOK_ID_COUNT
};

struct real_table {
#define HOOK(name, library, need) __typeof__(name) *name;
#include "hooks/hooks.def"
#undef HOOK
};

union real_pointers {
        struct real_table by_name;
        void *by_id[HOOK_ID_COUNT];
};

extern union real_pointers real_pointers;

/**
 * REAL(name) - the real function, never NULL
 *
 * For libc rows. Looked up at the first call, and then one load. Where there is none: a substitute that
 * makes the raw system call, or fails with ENOSYS (design 5, law 6).
 */
#define REAL(name)                                                                                   \
        ((__typeof__(&name))(__atomic_load_n(&real_pointers.by_id[HOOK_ID_##name], __ATOMIC_ACQUIRE) \
                                     ?: real_resolve(HOOK_ID_##name)))

/* Find and remember one real function. Context: signal, once real_start() has run. Return: never NULL. */
void *real_resolve(enum hook_id id);

/**
 * real_start() - remember where real functions are looked for
 *
 * Context: start (or the first hook that an earlier constructor calls).
 * Return: false when another copy of this library stands before us in load order: we only pass through.
 */
bool real_start(void);

/**
 * real_find() - a function of any object that is loaded now, but for ourselves
 *
 * The default version, as the dynamic linker would choose; in load order.
 *
 * Context: hook; waits for a dlopen or dlclose of another thread.
 * Return: its address, or NULL. Good for as long as its library stays.
 */
void *real_find(const char *name);

/**
 * real_sole() - like real_find(), but only where no second object has another one
 *
 * What libc and the libpthread of its own release both define counts as one.
 *
 * Context: hook; waits for a dlopen or dlclose of another thread.
 * Return: NULL also when there are several.
 */
void *real_sole(const char *name);

/* The row of a name. Context: signal. Return: false when there is none. */
bool real_id(const char *name, enum hook_id *ret);

/* Whose row it is. Context: signal. */
enum hook_library real_library(enum hook_id id);

/**
 * real_is() - is @function REAL() of a libc row?
 *
 * Before glibc 2.34 both libc and libpthread have many of them: where REAL() is one of these, so is the
 * other.
 *
 * Context: hook; waits for a dlopen or dlclose of another thread.
 */
bool real_is(enum hook_id id, const void *function);

/**
 * real_object_symbol() - a function of one loaded object
 * @info: as dl_iterate_phdr gives it
 *
 * Context: hook.
 * Return: address of the default (or only) version of @name, or NULL.
 */
void *real_object_symbol(const struct dl_phdr_info *info, const char *name);
