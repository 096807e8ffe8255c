/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/libc/dl.h"

#include "hooks/elf_object.h"
#include "hooks/hook.h"
#include "hooks/libc/deepbind.h"

static void *open_function, *sym_function; /* once they were needed */

static void *absent_open(const char *file, int mode)
{
        return NULL;
}

static void *absent_sym(void *handle, const char *name)
{
        return NULL;
}

struct search {
        const char *name;
        uint32_t hash;
        bool own_seen;
        void *after, *before; /* definitions after ours in load order, and before it */
};

static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
        struct search *search = data;
        struct elf_object object;
        void **found = search->own_seen ? &search->after : &search->before;

        if (elf_object_holds(info, &open_function)) {
                search->own_seen = true;
                return 0;
        }
        if (!*found && elf_object_read(info, &object))
                *found = elf_object_find(&object, search->name, search->hash);
        return search->after != NULL;
}

/* Not libc rows: before glibc 2.34 they are in libdl, which may be loaded late. */
static void *resolve(void **known, const char *name, void *absent)
{
        struct search search = {.name = name, .hash = elf_object_hash(name)};
        void *function = __atomic_load_n(known, __ATOMIC_ACQUIRE);

        if (function)
                return function;
        (void)dl_iterate_phdr(on_object, &search);
        function = search.after ? search.after : search.before;
        if (!function)
                return absent;
        __atomic_store_n(known, function, __ATOMIC_RELEASE);
        return function;
}

dl_open_fn *dl_open_real(void)
{
        return (dl_open_fn *)resolve(&open_function, "dlopen", (void *)absent_open);
}

dl_sym_fn *dl_sym_real(void)
{
        return (dl_sym_fn *)resolve(&sym_function, "dlsym", (void *)absent_sym);
}

dl_open_fn *dl_open_enter(const char *file, int mode)
{
        if (mode & RTLD_DEEPBIND || deepbind_used())
                OBSERVE(deepbind_look());
        return dl_open_real();
}

dl_sym_fn *dl_sym_enter(void)
{
        if (deepbind_used())
                OBSERVE(deepbind_look());
        return dl_sym_real();
}
