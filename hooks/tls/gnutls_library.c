/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/tls/gnutls_library.h"

#include <link.h>
#include <string.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "hooks/elf_object.h"

static long absent_call(void)
{
        return GNUTLS_E_UNIMPLEMENTED_FEATURE;
}

static const char *absent_text(void)
{
        return NULL;
}

static void *absent_row(unsigned row)
{
        return row == GNUTLS_ROW_gnutls_ciphersuite_get ? (void *)absent_text : (void *)absent_call;
}

/* One string instead of pointers: nothing for the dynamic linker to relocate at the start. */
static const char names[] =
#define X(name) #name "\0"
        GNUTLS_ROWS(X)
#undef X
        ;

/* Written only inside of dl_iterate_phdr, which holds the loader's lock. */
static struct gnutls_library libraries[LIMIT_TLS_LIBRARIES];
static struct gnutls_library none; /* where there is no GnuTLS */

struct search {
        const void *caller;
        unsigned count;
        const ElfW(Dyn) *caller_dynamic; /* of the module that calls */
        const char *caller_strings;
        const char *sonames[LIMIT_TLS_LIBRARIES];
        const struct gnutls_library *found[LIMIT_TLS_LIBRARIES];
};

static const ElfW(Dyn) *dynamic_of(const struct dl_phdr_info *object)
{
        for (int i = 0; i < object->dlpi_phnum; i++)
                if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
                        return (const void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
        return NULL;
}

static void *find(const struct elf_object *object, const char *name)
{
        return elf_object_find(object, name, elf_object_hash(name));
}

/* Its entry: the one that it had, or one of a library that is not there any more. */
static struct gnutls_library *entry_of(const void *identity, unsigned number)
{
        for (size_t i = 0; i < ARRAY_LEN(libraries); i++)
                if (libraries[i].identity == identity)
                        return &libraries[i];
        for (size_t i = 0; i < ARRAY_LEN(libraries); i++)
                if (!libraries[i].identity)
                        return &libraries[i];
        return &libraries[number % ARRAY_LEN(libraries)];
}

static const struct gnutls_library *fill(const struct dl_phdr_info *info, const struct elf_object *object,
                                         unsigned number)
{
        struct gnutls_library *library = entry_of(dynamic_of(info), number);
        const char *name = names;

        if (library->identity == dynamic_of(info) &&
            (void *)library->gnutls_init == find(object, "gnutls_init"))
                return library;
        library->identity = dynamic_of(info);
        for (unsigned i = 0; i < GNUTLS_ROW_COUNT; i++, name += strlen(name) + 1) {
                library->rows[i] = find(object, name);
                if (!library->rows[i])
                        library->rows[i] = absent_row(i);
        }
        return library;
}

static int visit(struct dl_phdr_info *info, size_t size, void *data)
{
        struct search *search = data;
        struct elf_object object;

        if (!elf_object_read(info, &object) || elf_object_holds(info, libraries))
                return 0;
        if (elf_object_holds(info, search->caller)) {
                search->caller_dynamic = dynamic_of(info);
                search->caller_strings = object.strings;
        }
        if (search->count < LIMIT_TLS_LIBRARIES && find(&object, "gnutls_init") &&
            find(&object, "gnutls_handshake")) {
                search->sonames[search->count] = object.soname;
                search->found[search->count] = fill(info, &object, search->count);
                search->count++;
        }
        return 0;
}

static bool is_linked_to(const struct search *search, const char *soname)
{
        const ElfW(Dyn) *entry = search->caller_dynamic;

        for (; soname && entry && entry->d_tag != DT_NULL; entry++)
                if (entry->d_tag == DT_NEEDED &&
                    strcmp(search->caller_strings + entry->d_un.d_val, soname) == 0)
                        return true;
        return false;
}

const struct gnutls_library *gnutls_library_for(const void *caller)
{
        struct search search = {.caller = caller};

        (void)dl_iterate_phdr(visit, &search);
        for (unsigned i = 0; search.count > 1 && i < search.count; i++)
                if (search.found[i]->identity == search.caller_dynamic ||
                    is_linked_to(&search, search.sonames[i]))
                        return search.found[i];
        if (search.count)
                return search.found[0];
        for (unsigned i = 0; i < GNUTLS_ROW_COUNT; i++)
                none.rows[i] = absent_row(i);
        return &none;
}
