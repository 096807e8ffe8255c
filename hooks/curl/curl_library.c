/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/curl/curl_library.h"

#include <link.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "hooks/elf_object.h"

static long absent_easy(void)
{
        return CURLE_FAILED_INIT;
}

static long absent_multi(void)
{
        return CURLM_INTERNAL_ERROR;
}

static long absent_url(void)
{
        return CURLUE_BAD_HANDLE;
}

static void *absent_pointer(void)
{
        return NULL;
}

static const struct curl_library absent = {
#define X(name, missing) .name = (void *)absent_##missing,
        CURL_FUNCTION_ROWS(X)
#undef X
};

struct row {
        const char *name;
        size_t offset; /* of the pointer in struct curl_library */
        void *absent;
};

static const struct row rows[] = {
#define X(name, missing) {#name, offsetof(struct curl_library, name), (void *)absent_##missing},
        CURL_FUNCTION_ROWS(X)
#undef X
};

/*
 * Read and written only inside of dl_iterate_phdr, which holds the loader's lock. Entries in use by
 * live handles never change: their library stays loaded, and a walk leaves loaded ones as they are.
 */
static struct {
        LARGE_TABLE unsigned long long adds; /* the loader's counts ... */
        unsigned long long subs;             /* ... at the last walk */
        uint32_t walk;                       /* number of the last walk */
        struct curl_library at[LIMIT_CURL_LIBRARIES];
        struct curl_library *preferred; /* by curl_library_prefer(); NULL: none */
} table;

static const ElfW(Dyn) *dynamic_of(const struct dl_phdr_info *object)
{
        for (int i = 0; i < object->dlpi_phnum; i++)
                if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
                        return (const void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
        return NULL;
}

static bool is_linked_to(const struct dl_phdr_info *module, const char *soname)
{
        struct elf_object object;
        const ElfW(Dyn) *entry = dynamic_of(module);

        if (!soname[0] || !elf_object_read(module, &object))
                return false;
        for (; entry->d_tag != DT_NULL; entry++)
                if (entry->d_tag == DT_NEEDED && strcmp(object.strings + entry->d_un.d_val, soname) == 0)
                        return true;
        return false;
}

static struct curl_library *entry_of(const void *identity)
{
        struct curl_library *free_entry = NULL;

        for (size_t i = 0; i < ARRAY_LEN(table.at); i++) {
                if (table.at[i].identity == identity)
                        return &table.at[i];
                if (!table.at[i].loaded && !free_entry)
                        free_entry = &table.at[i];
        }
        return free_entry;
}

static void fill(struct curl_library *library, const struct dl_phdr_info *info,
                 const struct elf_object *object)
{
        const char *soname = object->soname ? object->soname : "";
        size_t len = strlen(soname);

        *library = (struct curl_library){.start = UINTPTR_MAX, .identity = dynamic_of(info)};
        for (int i = 0; i < info->dlpi_phnum; i++) {
                uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

                if (info->dlpi_phdr[i].p_type != PT_LOAD)
                        continue;
                library->start = MIN(library->start, at);
                library->end = MAX(library->end, at + info->dlpi_phdr[i].p_memsz);
        }
        if (len < sizeof(library->soname))
                memcpy(library->soname, soname, len);
        library->is_libcurl = strncmp(soname, "libcurl", 7) == 0;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                void *function = elf_object_find(object, rows[i].name, elf_object_hash(rows[i].name));

                *(void **)((char *)library + rows[i].offset) = function ? function : rows[i].absent;
        }
}

static void visit(const struct dl_phdr_info *info)
{
        struct curl_library *library;
        struct elf_object object;
        void *perform;

        if (!elf_object_read(info, &object) || elf_object_holds(info, &table))
                return;
        perform = elf_object_find(&object, "curl_easy_perform", elf_object_hash("curl_easy_perform"));
        if (!perform)
                return;
        library = entry_of(dynamic_of(info));
        if (!library)
                return;
        if (library->identity != dynamic_of(info) || (void *)library->curl_easy_perform != perform)
                fill(library, info, &object);
        library->walk = table.walk;
        library->loaded = true;
}

struct query {
        const void *caller;
        bool walking, answered;
        unsigned count;
        const struct curl_library *first, *preferred, *linked; /* linked: of the caller's module */
};

static void answer(struct query *query)
{
        for (size_t i = 0; i < ARRAY_LEN(table.at); i++) {
                struct curl_library *library = &table.at[i];

                library->loaded = library->loaded && library->walk == table.walk;
                if (!library->loaded)
                        continue;
                query->count++;
                if (library == __atomic_load_n(&table.preferred, __ATOMIC_ACQUIRE))
                        query->preferred = library;
                if (!query->first || (library->is_libcurl && !query->first->is_libcurl))
                        query->first = library;
        }
        query->answered = true;
}

static int on_object(struct dl_phdr_info *object, size_t size, void *data)
{
        struct query *query = data;

        if (query->walking) {
                visit(object);
                return 0;
        }
        if (table.walk && object->dlpi_adds == table.adds && object->dlpi_subs == table.subs) {
                answer(query);
                return 1;
        }
        table.walk++;
        table.adds = object->dlpi_adds;
        table.subs = object->dlpi_subs;
        query->walking = true;
        visit(object);
        return 0;
}

static int on_module(struct dl_phdr_info *module, size_t size, void *data)
{
        struct query *query = data;

        if (!elf_object_holds(module, query->caller))
                return 0;
        for (size_t i = 0; i < ARRAY_LEN(table.at) && !query->linked; i++) {
                const struct curl_library *library = &table.at[i];

                if (library->loaded &&
                    (library->identity == dynamic_of(module) || is_linked_to(module, library->soname)))
                        query->linked = library;
        }
        return 1;
}

static struct query ask(const void *caller)
{
        struct query query = {.caller = caller};

        /* A pass that found the loader's counts changed has only brought the table up to date. */
        for (int i = 0; i < 4 && !query.answered; i++) {
                query.walking = false;
                dl_iterate_phdr(on_object, &query);
        }
        if (!query.answered)
                answer(&query);
        return query;
}

const struct curl_library *curl_library_for(const void *caller)
{
        struct query query = ask(caller);

        if (query.count > 1)
                dl_iterate_phdr(on_module, &query);
        if (query.linked)
                return query.linked;
        if (query.preferred)
                return query.preferred;
        return query.first ? query.first : &absent;
}

bool curl_library_serves(const void *caller, const char *name, const void *function)
{
        const struct curl_library *library = curl_library_for(caller);

        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                if (strcmp(rows[i].name, name) == 0)
                        return *(void *const *)((const char *)library + rows[i].offset) == function;
        return false;
}

static struct curl_library *holder(const void *address)
{
        for (size_t i = 0; i < ARRAY_LEN(table.at); i++) {
                struct curl_library *library = &table.at[i];

                if (library->loaded && library->is_libcurl && (uintptr_t)address >= library->start &&
                    (uintptr_t)address < library->end)
                        return library;
        }
        return NULL;
}

bool curl_library_has(const void *address)
{
        return holder(address) != NULL;
}

bool curl_library_prefer(const void *function)
{
        struct query query = ask(NULL);
        struct curl_library *library = holder(function);
        struct curl_library *before = __atomic_load_n(&table.preferred, __ATOMIC_ACQUIRE);

        if (!query.count || !library)
                return false;
        if (before && before->loaded)
                return before == library;
        __atomic_store_n(&table.preferred, library, __ATOMIC_RELEASE);
        return true;
}
