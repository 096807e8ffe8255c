/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Programs that load libcurl themselves (dlopen, RTLD_LOCAL) and ask dlsym for its functions never come
 * past our own: they are handed our wrapper instead. Anything else passes through dlsym unchanged.
 * The entry point is in hooks/libc/dl_stub.S.
 */

/* dlsym with a handle of dlopen's. Context: hook. */
void *curl_dlsym_handle(void *handle, const char *name) __attribute__((visibility("hidden")));
