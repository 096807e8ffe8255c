/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The real libcurls of this process. There may be more than one (libcurl.so.4 beside
 * libcurl-gnutls.so.4), they may be loaded late and RTLD_LOCAL, and unloaded again, so a function is
 * never remembered for good: a handle remembers the library that made it (which cannot go away
 * before the handle does), everything else asks again. An answer costs one look at the loader's
 * count of loaded and unloaded objects, a walk over the objects only when that has changed.
 *
 * With several libraries, the one that serves a call is the one that the caller's module is linked to.
 */
#include <stdbool.h>
#include <stdint.h>

#include "hooks/curl/curl_types.h"

/* What the seam calls, and what a call returns that finds no libcurl (the prefix of an absent_*). */
#define CURL_FUNCTION_ROWS(X)              \
        X(curl_easy_init, pointer)         \
        X(curl_easy_cleanup, pointer)      \
        X(curl_easy_duphandle, pointer)    \
        X(curl_easy_getinfo, easy)         \
        X(curl_easy_perform, easy)         \
        X(curl_easy_reset, pointer)        \
        X(curl_easy_setopt, easy)          \
        X(curl_free, pointer)              \
        X(curl_multi_add_handle, multi)    \
        X(curl_multi_cleanup, multi)       \
        X(curl_multi_info_read, pointer)   \
        X(curl_multi_init, pointer)        \
        X(curl_multi_perform, multi)       \
        X(curl_multi_remove_handle, multi) \
        X(curl_multi_socket, multi)        \
        X(curl_multi_socket_action, multi) \
        X(curl_multi_socket_all, multi)    \
        X(curl_url_get, url)

struct curl_library {
        uintptr_t start, end; /* where it is mapped */
        const void *identity; /* its dynamic section; NULL: this entry is free */
        uint32_t walk;        /* number of the walk that saw it last */
        bool loaded;
        bool is_libcurl; /* by its name; false: another library that has libcurl inside */
        char soname[48];
#define X(name, absent) __typeof__(name) *name;
        CURL_FUNCTION_ROWS(X)
#undef X
};

/**
 * curl_library_for() - the library that serves a call
 * @caller: the call's return address
 *
 * Context: hook.
 * Return: never NULL; where no libcurl is loaded, functions that report a failed initialisation.
 */
const struct curl_library *curl_library_for(const void *caller);

/**
 * curl_library_prefer() - a function of a libcurl is handed to a module that is not linked to it
 * @function: its address there
 *
 * Calls of modules that are linked to no libcurl are served by that library from now on.
 *
 * Context: hook.
 * Return: false when @function is none of a libcurl's, or another libcurl serves those calls already.
 */
bool curl_library_prefer(const void *function);

/**
 * curl_library_serves() - is @function the one of its name that serves a call?
 * @caller: the call's return address, or any other of its module's
 *
 * Context: hook.
 */
bool curl_library_serves(const void *caller, const char *name, const void *function);

/* Does @address lie in a libcurl that curl_library_for() has found? Context: signal. */
bool curl_library_has(const void *address);

/* The calling function's caller, for curl_library_for(). */
#define CURL_CALLER __builtin_return_address(0)
