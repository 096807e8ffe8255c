/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/curl/curl_dlsym.h"

#include "hooks/curl/curl_library.h"
#include "hooks/hook.h"
#include "hooks/libc/dl.h"

static const struct {
        const char *name;
        void *wrapper;
} wrappers[] = {
#define CURL(name) {#name, (void *)name},
#define LIBC(name)
#define THREAD(name)
#define POOL(name)
#define DL(name)
#define OPENSSL(name)
#define GNUTLS(name)
#define HOOK(name, library, need) library(name)
#include "hooks/hooks.def"
#undef HOOK
#undef LIBC
#undef THREAD
#undef POOL
#undef DL
#undef OPENSSL
#undef GNUTLS
#undef CURL
};

static void *wrapper_of(const char *name)
{
        for (size_t i = 0; i < ARRAY_LEN(wrappers); i++)
                if (strcmp(wrappers[i].name, name) == 0)
                        return wrappers[i].wrapper;
        return NULL;
}

void *curl_dlsym_handle(void *handle, const char *name)
{
        void *function = dl_sym_real()(handle, name);
        void *wrapper;

        if (!function || !name || strncmp(name, "curl_", 5) != 0 || guard_passes())
                return function;
        wrapper = wrapper_of(name);
        return wrapper && curl_library_prefer(function) ? wrapper : function;
}
