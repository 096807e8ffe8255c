/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/curl/curl_dlsym.h"

#include <link.h>

#include "hooks/curl/curl_library.h"
#include "hooks/elf_object.h"
#include "hooks/hook.h"

curl_dlsym_fn *curl_dlsym_real;

static void *absent(void *handle, const char *name)
{
        return NULL;
}

struct search {
        bool own_seen;
        void *after, *before; /* definitions after ours in load order, and before it */
};

static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
        struct search *search = data;
        struct elf_object object;
        void **found = search->own_seen ? &search->after : &search->before;

        if (elf_object_holds(info, &curl_dlsym_real)) {
                search->own_seen = true;
                return 0;
        }
        if (!*found && elf_object_read(info, &object))
                *found = elf_object_find(&object, "dlsym", elf_object_hash("dlsym"));
        return search->after != NULL;
}

/* Not a libc row: before glibc 2.34 it is in libdl, which may be loaded late. */
curl_dlsym_fn *curl_dlsym_resolve(void)
{
        curl_dlsym_fn *real = __atomic_load_n(&curl_dlsym_real, __ATOMIC_ACQUIRE);
        struct search search = {.own_seen = false};

        if (real)
                return real;
        dl_iterate_phdr(on_object, &search);
        real = (curl_dlsym_fn *)(search.after ? search.after : search.before);
        if (!real)
                return absent;
        __atomic_store_n(&curl_dlsym_real, real, __ATOMIC_RELEASE);
        return real;
}

static const struct {
        const char *name;
        void *wrapper;
} wrappers[] = {
#define CURL(name) {#name, (void *)name},
#define LIBC(name)
#define THREAD(name)
#define POOL(name)
#define HOOK(name, library, need) library(name)
#include "hooks/hooks.def"
#undef HOOK
#undef LIBC
#undef THREAD
#undef POOL
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
        void *function = curl_dlsym_resolve()(handle, name);
        void *wrapper;

        if (!function || !name || strncmp(name, "curl_", 5) != 0 || guard_passes())
                return function;
        wrapper = wrapper_of(name);
        return wrapper && curl_library_prefer(function) ? wrapper : function;
}
