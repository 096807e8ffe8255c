/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Symbols of one loaded object, read from its own hash tables. No allocation, no lock, no call into
 * the dynamic linker: valid as long as the object stays loaded (inside a dl_iterate_phdr callback it
 * does).
 */
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_object {
        uintptr_t base;
        const ElfW(Dyn) *dynamic;
        const ElfW(Sym) *symbols;
        const char *strings;
        const uint32_t *gnu_hash;   /* NULL: none */
        const uint32_t *sysv_hash;  /* NULL: none */
        const ElfW(Half) *versions; /* NULL: the object has no versions */
        const char *soname;         /* NULL: none */
};

/**
 * elf_object_read() - find the tables of a loaded object
 *
 * Context: signal.
 * Return: false when it has no symbols to look at.
 */
bool elf_object_read(const struct dl_phdr_info *info, struct elf_object *ret);

/* The hash of a name as DT_GNU_HASH tables want it. Context: signal. */
uint32_t elf_object_hash(const char *name);

/**
 * elf_object_find() - address of a function that this object defines
 * @hash: elf_object_hash(@name)
 *
 * Of several versions the default one, as dlsym would choose. An indirect function is resolved.
 *
 * Context: hook.
 * Return: the address, or NULL.
 */
void *elf_object_find(const struct elf_object *object, const char *name, uint32_t hash);

/* A value of the dynamic section, 0 where there is none; an address there, NULL where there is none. Context:
 * signal. */
uintptr_t elf_object_value(const struct elf_object *object, ElfW(Sxword) tag);
const void *elf_object_table(const struct elf_object *object, ElfW(Sxword) tag);

/* Does @address lie in one of the object's segments? Context: signal. */
bool elf_object_holds(const struct dl_phdr_info *info, const void *address);
