/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Programs that load libcurl themselves (dlopen, RTLD_LOCAL) and ask dlsym for its functions never come
 * past our own: they are handed our wrapper instead. Anything else passes through dlsym unchanged.
 * The entry point is in curl_dlsym.S.
 */

typedef void *curl_dlsym_fn(void *handle, const char *name);

/* The real dlsym, once it was needed; read by the entry point. */
extern curl_dlsym_fn *curl_dlsym_real __attribute__((visibility("hidden")));

/* Find it. Context: hook. Return: never NULL. */
curl_dlsym_fn *curl_dlsym_resolve(void) __attribute__((visibility("hidden")));

/* dlsym with a handle of dlopen's. Context: hook. */
void *curl_dlsym_handle(void *handle, const char *name) __attribute__((visibility("hidden")));
