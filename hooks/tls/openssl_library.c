/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/tls/openssl_library.h"

#include <link.h>
#include <string.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "hooks/elf_object.h"

#define WORDS_LOOKED_AT 5 /* of an SSL: the table of functions is among them in every version */

static long absent_minus(void)
{
        return -1;
}

static long absent_zero(void)
{
        return 0;
}

/* Numbers and one string instead of pointers: nothing for the dynamic linker to relocate at the start. */
static const char names[] =
#define X(name, absent) #name "\0"
        OPENSSL_ROWS(X)
#undef X
        ;

enum { ABSENT_minus, ABSENT_zero };

static const uint8_t absences[OPENSSL_ROW_COUNT] = {
#define X(name, absent) ABSENT_##absent,
        OPENSSL_ROWS(X)
#undef X
};

static void *absent_row(unsigned row)
{
        return absences[row] == ABSENT_zero ? (void *)absent_zero : (void *)absent_minus;
}

static void empty(struct openssl_library *library)
{
        for (unsigned i = 0; i < OPENSSL_ROW_COUNT; i++)
                library->rows[i] = absent_row(i);
}

/* Filled inside of dl_iterate_phdr, which holds the loader's lock; an entry is published by its count. */
static struct openssl_library libraries[LIMIT_TLS_LIBRARIES];
static unsigned library_count;
static struct openssl_library none; /* where there is no OpenSSL */

static const ElfW(Dyn) *dynamic_of(const struct dl_phdr_info *object)
{
        for (int i = 0; i < object->dlpi_phnum; i++)
                if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
                        return (const void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
        return NULL;
}

static void find_rows(struct openssl_library *library, const struct elf_object *object)
{
        const char *name = names;

        for (unsigned i = 0; i < OPENSSL_ROW_COUNT; i++, name += strlen(name) + 1) {
                void *function = elf_object_find(object, name, elf_object_hash(name));

                if (function && library->rows[i] == absent_row(i))
                        library->rows[i] = function;
        }
}

static void set_bounds(struct openssl_library *library, const struct dl_phdr_info *info)
{
        library->start = UINTPTR_MAX;
        for (int i = 0; i < info->dlpi_phnum; i++) {
                uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

                if (info->dlpi_phdr[i].p_type != PT_LOAD)
                        continue;
                library->start = MIN(library->start, at);
                library->end = MAX(library->end, at + info->dlpi_phdr[i].p_memsz);
        }
}

/* Return: may the object be unloaded while the process runs? */
static bool may_go(const struct dl_phdr_info *info)
{
        for (const ElfW(Dyn) *entry = dynamic_of(info); entry && entry->d_tag != DT_NULL; entry++)
                if (entry->d_tag == DT_FLAGS_1)
                        return !(entry->d_un.d_val & DF_1_NODELETE);
        return true;
}

static bool needs(const struct dl_phdr_info *info, const char *soname)
{
        struct elf_object object;

        if (!soname || !elf_object_read(info, &object))
                return false;
        for (const ElfW(Dyn) *entry = dynamic_of(info); entry->d_tag != DT_NULL; entry++)
                if (entry->d_tag == DT_NEEDED && strcmp(object.strings + entry->d_un.d_val, soname) == 0)
                        return true;
        return false;
}

struct walk {
        struct dl_phdr_info ssl; /* the libssl whose libcrypto is looked for */
        struct openssl_library *library;
};

static int find_crypto(struct dl_phdr_info *info, size_t size, void *data)
{
        struct walk *walk = data;
        struct elf_object object;

        if (elf_object_read(info, &object) && object.soname && strncmp(object.soname, "libcrypto", 9) == 0 &&
            needs(&walk->ssl, object.soname))
                find_rows(walk->library, &object);
        return 0;
}

/* Is everything there that we ask with? */
static bool is_complete(const struct openssl_library *library)
{
        for (unsigned i = 0; i < OPENSSL_ROW_COUNT; i++)
                if (absences[i] == ABSENT_minus && i != OPENSSL_ROW_SSL_sendfile &&
                    library->rows[i] == absent_row(i))
                        return false;
        return true;
}

static bool is_known(const void *identity)
{
        for (unsigned i = 0; i < library_count; i++)
                if (libraries[i].identity == identity)
                        return true;
        return false;
}

static int find_ssl(struct dl_phdr_info *info, size_t size, void *data)
{
        struct elf_object object;
        struct walk walk = {.ssl = *info, .library = &libraries[library_count]};

        if (library_count == LIMIT_TLS_LIBRARIES || !elf_object_read(info, &object) ||
            elf_object_holds(info, libraries) || is_known(dynamic_of(info)) ||
            !elf_object_find(&object, "SSL_do_handshake", elf_object_hash("SSL_do_handshake")) ||
            !elf_object_find(&object, "SSL_CTX_new", elf_object_hash("SSL_CTX_new")))
                return 0;
        empty(walk.library);
        set_bounds(walk.library, info);
        find_rows(walk.library, &object);
        (void)dl_iterate_phdr(find_crypto, &walk);
        walk.library->identity = dynamic_of(info);
        walk.library->complete = is_complete(walk.library);
        walk.library->may_go = may_go(info);
        __atomic_store_n(&library_count, library_count + 1, __ATOMIC_RELEASE);
        return 0;
}

static struct openssl_library *holder(const struct ssl_st *ssl)
{
        const uintptr_t *words = (const uintptr_t *)ssl;
        unsigned count = __atomic_load_n(&library_count, __ATOMIC_ACQUIRE);

        for (unsigned i = 0; i < count; i++)
                for (unsigned word = 0; word < WORDS_LOOKED_AT; word++)
                        if (words[word] >= libraries[i].start && words[word] < libraries[i].end)
                                return &libraries[i];
        return NULL;
}

static int find_again(struct dl_phdr_info *info, size_t size, void *data)
{
        const struct openssl_library *library = data;
        struct elf_object object;

        return dynamic_of(info) == library->identity && elf_object_read(info, &object) &&
               elf_object_find(&object, "SSL_do_handshake", elf_object_hash("SSL_do_handshake")) ==
                       (void *)library->SSL_do_handshake;
}

/* One that was built without NODELETE may have made room for another. */
static bool has_gone(struct openssl_library *library)
{
        if (LIKELY(!library->may_go) || dl_iterate_phdr(find_again, library))
                return false;
        library->start = library->end = 0;
        library->identity = NULL;
        return true;
}

struct openssl_library *openssl_library_of(const struct ssl_st *ssl)
{
        struct openssl_library *library = ssl ? holder(ssl) : NULL;

        if (LIKELY(library && !has_gone(library)))
                return library;
        (void)dl_iterate_phdr(find_ssl, NULL);
        library = ssl ? holder(ssl) : NULL;
        if (library)
                return library;
        if (__atomic_load_n(&library_count, __ATOMIC_ACQUIRE))
                return &libraries[0];
        empty(&none);
        return &none;
}
