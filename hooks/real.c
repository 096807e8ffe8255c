/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/real.h"

#include <string.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "hooks/elf_object.h"
#include "hooks/real_substitute.h"

#define LIBC_SONAME       "libc.so.6"
#define LIBPTHREAD_SONAME "libpthread.so.0" /* before glibc 2.34 it has many of libc's functions as well */

START_DATA union real_pointers real_pointers;

/* One string instead of pointers: nothing for the dynamic linker to relocate. */
static const char hook_names[] =
#define HOOK(name, library, need) #name "\0"
#include "hooks/hooks.def"
#undef HOOK
        ;

static const uint8_t hook_libraries[HOOK_ID_COUNT] = {
#define HOOK(name, library, need) HOOK_##library,
#include "hooks/hooks.def"
#undef HOOK
};

/*
 * The objects after us in load order, libc last. They were there when the program started, so they are never
 * unloaded. Kept so that a row is looked up when it is first called: most programs call a dozen of them,
 * and reading libc's tables for all would be the largest part of our start.
 */
static START_DATA unsigned object_count; /* 0: not yet walked */
static START_TABLE struct elf_object objects[LIMIT_REAL_OBJECTS];

struct walk {
        bool own_seen;
        bool twice; /* another copy of this library comes before us */
        unsigned count;
};

/* Beyond the cap each takes the place of the one before: libc is always in, and preloads come first. */
static START_TEXT int visit(struct dl_phdr_info *info, size_t size, void *data)
{
        struct walk *walk = data;
        struct elf_object object;

        if (!elf_object_read(info, &object))
                return 0;
        if (!walk->own_seen) {
                walk->own_seen = elf_object_holds(info, &real_pointers);
                if (!walk->own_seen && object.soname && strcmp(object.soname, REAL_OWN_SONAME) == 0)
                        walk->twice = true;
                return 0;
        }
        if (walk->count == LIMIT_REAL_OBJECTS)
                walk->count--;
        objects[walk->count++] = object;
        return object.soname && strcmp(object.soname, LIBC_SONAME) == 0;
}

START_TEXT bool real_start(void)
{
        struct walk walk = {.own_seen = false};

        if (dl_iterate_phdr(visit, &walk) && walk.count)
                __atomic_store_n(&object_count, walk.count, __ATOMIC_RELEASE);
        return !walk.twice;
}

static START_TEXT const char *hook_name(enum hook_id id)
{
        const char *name = hook_names;

        for (int i = 0; i < (int)id; i++)
                name += strlen(name) + 1;
        return name;
}

struct search {
        const char *name;
        uint32_t hash;
        void *function;
};

static int search_object(struct dl_phdr_info *info, size_t size, void *data)
{
        struct search *search = data;
        struct elf_object object;

        if (elf_object_read(info, &object) && !elf_object_holds(info, &real_pointers) &&
            !(object.soname && strcmp(object.soname, REAL_OWN_SONAME) == 0))
                search->function = elf_object_find(&object, search->name, search->hash);
        return search->function != NULL;
}

void *real_find(const char *name)
{
        struct search search = {.name = name, .hash = elf_object_hash(name)};

        (void)dl_iterate_phdr(search_object, &search);
        return search.function;
}

static bool is_libc(const struct elf_object *object)
{
        return object->soname &&
               (strcmp(object->soname, LIBC_SONAME) == 0 || strcmp(object->soname, LIBPTHREAD_SONAME) == 0);
}

struct census {
        const char *name;
        uint32_t hash;
        void *first;
        bool first_is_libc, several;
        const void *wanted[2];
        bool found[2]; /* wanted[], in libc or libpthread */
};

static int count_object(struct dl_phdr_info *info, size_t size, void *data)
{
        struct census *census = data;
        struct elf_object object;
        void *function;

        if (!elf_object_read(info, &object) || elf_object_holds(info, &real_pointers) ||
            (object.soname && strcmp(object.soname, REAL_OWN_SONAME) == 0))
                return 0;
        function = elf_object_find(&object, census->name, census->hash);
        if (!function)
                return 0;
        for (int i = 0; i < 2; i++)
                census->found[i] = census->found[i] || (is_libc(&object) && function == census->wanted[i]);
        if (!census->first) {
                census->first = function;
                census->first_is_libc = is_libc(&object);
        } else if (!census->first_is_libc || !is_libc(&object)) {
                census->several = true;
        }
        return 0;
}

void *real_sole(const char *name)
{
        struct census census = {.name = name, .hash = elf_object_hash(name)};

        (void)dl_iterate_phdr(count_object, &census);
        return census.several ? NULL : census.first;
}

bool real_id(const char *name, enum hook_id *ret)
{
        const char *row = hook_names;

        for (int i = 0; i < HOOK_ID_COUNT; i++, row += strlen(row) + 1)
                if (strcmp(row, name) == 0) {
                        *ret = (enum hook_id)i;
                        return true;
                }
        return false;
}

enum hook_library real_library(enum hook_id id)
{
        return (enum hook_library)hook_libraries[id];
}

bool real_is(enum hook_id id, const void *function)
{
        void *real = __atomic_load_n(&real_pointers.by_id[id], __ATOMIC_ACQUIRE) ?: real_resolve(id);
        const char *name = hook_name(id);
        struct census census = {.name = name, .hash = elf_object_hash(name), .wanted = {real, function}};

        if (function == real)
                return true;
        (void)dl_iterate_phdr(count_object, &census);
        return census.found[0] && census.found[1];
}

START_TEXT void *real_resolve(enum hook_id id)
{
        const char *name = hook_name(id);
        uint32_t hash = elf_object_hash(name);
        void *function = NULL;

        if (!__atomic_load_n(&object_count, __ATOMIC_ACQUIRE))
                (void)real_start(); /* whether we are the only copy is the constructor's question */
        for (unsigned i = 0; i < object_count && !function; i++)
                function = elf_object_find(&objects[i], name, hash);
        if (!function && hook_libraries[id] == HOOK_THREAD)
                function = real_find(name); /* a plugin may have brought libpthread; it never goes again */
        if (!function && hook_libraries[id] == HOOK_THREAD)
                return real_substitute(id); /* or may yet bring it */
        if (!function)
                function = real_substitute(id);
        __atomic_store_n(&real_pointers.by_id[id], function, __ATOMIC_RELEASE);
        return function;
}

void *real_object_symbol(const struct dl_phdr_info *info, const char *name)
{
        struct elf_object object;

        if (!elf_object_read(info, &object))
                return NULL;
        return elf_object_find(&object, name, elf_object_hash(name));
}
