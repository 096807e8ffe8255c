/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/elf_object.h"

#include <string.h>
#include <sys/auxv.h>

#include "agent/base/load.h"

#define VERSION_HIDDEN 0x8000 /* in a version table: not the default version of its name */
#define WORD_BITS      (sizeof(ElfW(Addr)) * 8)

/* glibc has added the base to these pointers already, but not in the kernel's own object. */
static const void *table_at(uintptr_t base, ElfW(Addr) address)
{
        return (const void *)(address < base ? base + address : address);
}

static const ElfW(Dyn) *dynamic_of(const struct dl_phdr_info *info)
{
        for (int i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
                        return (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        return NULL;
}

START_TEXT bool elf_object_read(const struct dl_phdr_info *info, struct elf_object *ret)
{
        const ElfW(Dyn) *dynamic = dynamic_of(info);
        struct elf_object object = {.base = info->dlpi_addr, .dynamic = dynamic};
        ElfW(Xword) soname = 0;

        if (!dynamic)
                return false;
        for (; dynamic->d_tag != DT_NULL; dynamic++) {
                const void *table = table_at(object.base, dynamic->d_un.d_ptr);

                if (dynamic->d_tag == DT_SYMTAB)
                        object.symbols = table;
                else if (dynamic->d_tag == DT_STRTAB)
                        object.strings = table;
                else if (dynamic->d_tag == DT_GNU_HASH)
                        object.gnu_hash = table;
                else if (dynamic->d_tag == DT_HASH)
                        object.sysv_hash = table;
                else if (dynamic->d_tag == DT_VERSYM)
                        object.versions = table;
                else if (dynamic->d_tag == DT_SONAME)
                        soname = dynamic->d_un.d_val;
        }
        if (!object.symbols || !object.strings)
                return false;
        object.soname = soname ? object.strings + soname : NULL;
        *ret = object;
        return true;
}

uintptr_t elf_object_value(const struct elf_object *object, ElfW(Sxword) tag)
{
        for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++)
                if (entry->d_tag == tag)
                        return entry->d_un.d_val;
        return 0;
}

const void *elf_object_table(const struct elf_object *object, ElfW(Sxword) tag)
{
        uintptr_t address = elf_object_value(object, tag);

        return address ? table_at(object->base, address) : NULL;
}

START_TEXT uint32_t elf_object_hash(const char *name)
{
        uint32_t hash = 5381;

        for (; *name; name++)
                hash = hash * 33 + (unsigned char)*name;
        return hash;
}

static uint32_t sysv_hash_of(const char *name)
{
        uint32_t hash = 0;

        for (; *name; name++) {
                hash = (hash << 4) + (unsigned char)*name;
                hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
        }
        return hash;
}

static START_TEXT bool is_function(const struct elf_object *object, uint32_t index, const char *name)
{
        const ElfW(Sym) *symbol = &object->symbols[index];
        unsigned type = ELF64_ST_TYPE(symbol->st_info);

        if (symbol->st_shndx == SHN_UNDEF || !symbol->st_value)
                return false;
        if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
                return false;
        if (object->versions && object->versions[index] & VERSION_HIDDEN)
                return false;
        return strcmp(object->strings + symbol->st_name, name) == 0;
}

/* Layout of DT_GNU_HASH: buckets, first symbol, bloom words, bloom shift, bloom[], bucket[], chain[]. */
static START_TEXT const ElfW(Sym) *find_gnu(const struct elf_object *object, const char *name, uint32_t hash)
{
        const uint32_t *head = object->gnu_hash;
        const ElfW(Addr) *bloom = (const ElfW(Addr) *)(head + 4);
        const uint32_t *buckets = (const uint32_t *)(bloom + head[2]);
        const uint32_t *chain = buckets + head[0];
        ElfW(Addr) word = bloom[hash / WORD_BITS & (head[2] - 1)];
        uint32_t index;

        if (!(word >> hash % WORD_BITS & word >> (hash >> head[3]) % WORD_BITS & 1) || !head[0])
                return NULL;
        index = buckets[hash % head[0]];
        if (index < head[1])
                return NULL;
        for (;; index++) {
                uint32_t entry = chain[index - head[1]];

                if ((entry | 1) == (hash | 1) && is_function(object, index, name))
                        return &object->symbols[index];
                if (entry & 1)
                        return NULL;
        }
}

/* Layout of DT_HASH: buckets, symbols, bucket[], chain[]. */
static const ElfW(Sym) *find_sysv(const struct elf_object *object, const char *name)
{
        const uint32_t *head = object->sysv_hash;
        uint32_t index;

        if (!head[0])
                return NULL;
        for (index = head[2 + sysv_hash_of(name) % head[0]]; index != STN_UNDEF;
             index = head[2 + head[0] + index])
                if (is_function(object, index, name))
                        return &object->symbols[index];
        return NULL;
}

#if defined(__aarch64__)
struct ifunc_facts {
        unsigned long size, hwcap, hwcap2;
};

static void *resolve_indirect(void *resolver)
{
        struct ifunc_facts facts = {sizeof(facts), getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
        void *(*resolve)(uint64_t, const struct ifunc_facts *) = (__typeof__(resolve))resolver;

        return resolve(facts.hwcap | 1ull << 62, &facts); /* bit 62: the second argument is there */
}
#else
static void *resolve_indirect(void *resolver)
{
        void *(*resolve)(void) = (__typeof__(resolve))resolver;

        return resolve();
}
#endif

START_TEXT void *elf_object_find(const struct elf_object *object, const char *name, uint32_t hash)
{
        const ElfW(Sym) *symbol = NULL;

        if (object->gnu_hash)
                symbol = find_gnu(object, name, hash);
        else if (object->sysv_hash)
                symbol = find_sysv(object, name);
        if (!symbol)
                return NULL;
        if (ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC)
                return resolve_indirect((void *)(object->base + symbol->st_value));
        return (void *)(object->base + symbol->st_value);
}

START_TEXT bool elf_object_holds(const struct dl_phdr_info *info, const void *address)
{
        for (int i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

                if (segment->p_type == PT_LOAD &&
                    (uintptr_t)address - (info->dlpi_addr + segment->p_vaddr) < segment->p_memsz)
                        return true;
        }
        return false;
}
