/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/libc/deepbind.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/stats.h"
#include "agent/base/sys.h"
#include "hooks/curl/curl_library.h"
#include "hooks/elf_object.h"
#include "hooks/libc/dl.h"
#include "hooks/real.h"

#if defined(__x86_64__)
enum { KIND_CALL = R_X86_64_JUMP_SLOT, KIND_POINTER = R_X86_64_GLOB_DAT, KIND_DATA = R_X86_64_64 };
#elif defined(__aarch64__)
enum { KIND_CALL = R_AARCH64_JUMP_SLOT, KIND_POINTER = R_AARCH64_GLOB_DAT, KIND_DATA = R_AARCH64_ABS64 };
#else
#error "no relocations for this architecture"
#endif

bool deepbind_on;

struct seen {
        const void *identity; /* the object's dynamic section */
        uint32_t look;        /* number of the last look that saw it */
        bool old;             /* was there at the first one */
};

/* Read and written only inside of dl_iterate_phdr, which holds the loader's lock. */
static struct {
        LARGE_TABLE unsigned long long adds; /* the loader's counts ... */
        unsigned long long subs;             /* ... at the last look */
        uint32_t look;                       /* number of the last look; 0: none yet */
        bool finished;                       /* it left no object for the next one */
        struct elf_object own;
        size_t count, next; /* next: the loader's order is nearly ours */
        struct seen at[LIMIT_DEEPBIND_OBJECTS];
} table;

/* An object that is being led to us. */
struct target {
        const struct dl_phdr_info *info;
        const struct elf_object *object;
        uintptr_t relro, relro_end; /* pages that the dynamic linker made read-only; equal: none */
        bool opened;                /* and that we made writable */
};

struct relocations {
        const ElfW(Rela) *at;
        size_t count;
};

/* --- may a pointer be led to us? --- */

/* What our wrapper of @id, called from the object, would call. */
static bool is_real(const struct target *target, enum hook_id id, const char *name, const void *function)
{
        switch (real_library(id)) {
        case HOOK_LIBC:
        case HOOK_THREAD:
                return real_is(id, function);
        case HOOK_POOL:
                return real_find(name) == function;
        case HOOK_CURL:
                return curl_library_serves(target->object->dynamic, name, function);
        case HOOK_OPENSSL:
        case HOOK_GNUTLS:
                return real_sole(name) == function;
        case HOOK_DL:
                return function == (id == HOOK_ID_dlopen ? (void *)dl_open_real() : (void *)dl_sym_real());
        }
        return false;
}

/*
 * A pointer into the object itself, for a symbol that it does not define, leads to its stub for the first
 * call. Where that will end is sure only when there is one definition besides ours.
 */
static bool is_wanted(const struct target *target, bool call, const char *name, const void *function)
{
        enum hook_id id;

        if (!real_id(name, &id))
                return false;
        if (call && elf_object_holds(target->info, function))
                function = real_sole(name);
        return function && is_real(target, id, name, function);
}

/* --- writing --- */

/* Result of an atomic operation of the kernel's that leaves the word as it is: 0, or -EFAULT if it is
 * read-only. */
static long try_write(void *word)
{
        static uint32_t nobody_waits;

        return sys_call(SYS_futex, (long)&nobody_waits, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0, (long)word,
                        FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0));
}

static bool is_relro(const struct target *target, const void *slot)
{
        return (uintptr_t)slot >= target->relro && (uintptr_t)slot < target->relro_end;
}

static bool protect(const struct target *target, int protection)
{
        return sys_call(SYS_mprotect, (long)target->relro, (long)(target->relro_end - target->relro),
                        protection, 0, 0, 0) == 0;
}

/* Another thread's dlopen relocates what it loads, then makes it read-only, and then calls its constructors.
 */
static bool is_loading(const struct target *target)
{
        return target->relro < target->relro_end && try_write((void *)target->relro) == 0;
}

static bool make_writable(struct target *target, void *slot)
{
        if (!is_relro(target, slot))
                return try_write(slot) == 0;
        if (!target->opened)
                target->opened = protect(target, PROT_READ | PROT_WRITE);
        return target->opened;
}

static void lead(struct target *target, const ElfW(Rela) *relocation)
{
        unsigned kind = ELF64_R_TYPE(relocation->r_info);
        const ElfW(Sym) *symbol = &target->object->symbols[ELF64_R_SYM(relocation->r_info)];
        const char *name = target->object->strings + symbol->st_name;
        void **slot = (void **)(target->object->base + relocation->r_offset);
        void *wrapper, *function;

        if ((kind != KIND_CALL && kind != KIND_POINTER && kind != KIND_DATA) ||
            symbol->st_shndx != SHN_UNDEF || (kind == KIND_DATA && relocation->r_addend) ||
            (uintptr_t)slot % sizeof(*slot) != 0)
                return;
        wrapper = elf_object_find(&table.own, name, elf_object_hash(name));
        if (!wrapper)
                return;
        function = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
        if (function == wrapper || !is_wanted(target, kind == KIND_CALL, name, function))
                return;
        if (make_writable(target, slot) &&
            __atomic_compare_exchange_n(slot, &function, wrapper, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                stat_add(STAT_DEEPBIND_LED, 1);
        else
                stat_add(STAT_DEEPBIND_LEFT, 1);
}

/* --- objects --- */

static void find_relro(struct target *target)
{
        uintptr_t page = getauxval(AT_PAGESZ);

        for (int i = 0; i < target->info->dlpi_phnum; i++) {
                const ElfW(Phdr) *segment = &target->info->dlpi_phdr[i];
                uintptr_t start = target->info->dlpi_addr + segment->p_vaddr;

                if (segment->p_type != PT_GNU_RELRO)
                        continue;
                target->relro = start & -page; /* as the dynamic linker does it */
                target->relro_end = (start + segment->p_memsz) & -page;
        }
}

/* Return: false when it is too early for it. */
static bool lead_object(const struct dl_phdr_info *info, const struct elf_object *object)
{
        struct target target = {.info = info, .object = object};
        const struct relocations tables[] = {
                {elf_object_table(object, DT_JMPREL),
                 elf_object_value(object, DT_PLTRELSZ) / sizeof(ElfW(Rela))},
                {elf_object_table(object, DT_RELA), elf_object_value(object, DT_RELASZ) / sizeof(ElfW(Rela))},
        };

        find_relro(&target);
        if (is_loading(&target))
                return false;
        for (size_t i = 0; i < ARRAY_LEN(tables); i++)
                for (size_t j = 0; tables[i].at && j < tables[i].count; j++)
                        lead(&target, &tables[i].at[j]);
        if (target.opened)
                (void)protect(&target, PROT_READ);
        return true;
}

static struct seen *seen_find(const void *identity)
{
        for (size_t i = 0; i < table.count; i++) {
                struct seen *seen = &table.at[(table.next + i) % table.count];

                if (seen->identity != identity)
                        continue;
                table.next = (size_t)(seen - table.at) + 1;
                return seen;
        }
        return NULL;
}

/* Beyond the cap objects are read again at each look that finds the loader's counts changed. */
static void seen_add(const void *identity)
{
        if (table.count < LIMIT_DEEPBIND_OBJECTS)
                table.at[table.count++] = (struct seen){identity, table.look, table.look == 1};
}

/*
 * What the last look did not see is gone: another object may come to its place. Where any object has gone
 * since, it may have come already: all are looked at again, but for those that were there before.
 */
static void begin(const struct dl_phdr_info *info)
{
        size_t kept = 0;

        for (size_t i = 0; i < table.count; i++)
                if (table.at[i].look == table.look && (table.at[i].old || table.subs == info->dlpi_subs))
                        table.at[kept++] = table.at[i];
        table.count = kept;
        table.next = 0;
        table.look++;
        table.adds = info->dlpi_adds;
        table.subs = info->dlpi_subs;
        table.finished = true;
}

struct look {
        bool begun, first;
};

static bool is_copy(const struct elf_object *object)
{
        return object->soname && strcmp(object->soname, REAL_OWN_SONAME) == 0;
}

static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
        struct look *look = data;
        struct elf_object object;
        struct seen *seen;

        if (!look->begun) {
                if (table.finished && table.adds == info->dlpi_adds && table.subs == info->dlpi_subs)
                        return 1;
                *look = (struct look){.begun = true, .first = table.look == 0};
                begin(info);
        }
        if (!elf_object_read(info, &object))
                return 0;
        seen = seen_find(object.dynamic);
        if (seen) {
                seen->look = table.look;
                return 0;
        }
        if (elf_object_holds(info, &table))
                table.own = object;
        else if (look->first || is_copy(&object) || lead_object(info, &object))
                seen_add(object.dynamic);
        else
                table.finished = false;
        return 0;
}

void deepbind_look(void)
{
        struct look look = {.begun = false};

        (void)dl_iterate_phdr(on_object, &look);
        __atomic_store_n(&deepbind_on, true, __ATOMIC_RELEASE);
}
