/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/image_elf.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/load.h"

#define SEGMENTS_MAX 512
#define SECTIONS_MAX 4096
#define NOTES_MAX    (64 * 1024)
#define DYNAMIC_MAX  4096               /* entries */
#define STRINGS_MAX  (32 * 1024 * 1024) /* of a string table; what lies behind is not looked at */
#define GO_NOTE_TYPE 4                  /* build id of Go's own linker */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_DATA ELFDATA2LSB
#else
#define OWN_DATA ELFDATA2MSB
#endif
#define OWN_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

struct elf_file {
        int fd;
        ElfW(Ehdr) head;
        ElfW(Phdr) *segments;
        size_t segment_count;
};

/* Exactly @len bytes from @offset, or false. */
static bool read_at(int fd, uint64_t offset, void *ret, size_t len)
{
        if (offset > INT64_MAX - len)
                return false;
        return pread(fd, ret, len, (off_t)offset) == (ssize_t)len;
}

/* The same into new memory; a terminator is added. NULL on any failure. */
static char *read_new(int fd, uint64_t offset, size_t len)
{
        char *bytes = malloc(len + 1);

        if (bytes && read_at(fd, offset, bytes, len)) {
                bytes[len] = '\0';
                return bytes;
        }
        free(bytes);
        return NULL;
}

static bool read_segments(struct elf_file *file)
{
        size_t count = file->head.e_phnum;

        if (file->head.e_phentsize != sizeof(*file->segments) || count == 0 || count > SEGMENTS_MAX)
                return false;
        file->segments = (void *)read_new(file->fd, file->head.e_phoff, count * sizeof(*file->segments));
        file->segment_count = file->segments ? count : 0;
        return file->segments;
}

static const ElfW(Phdr) *find_segment(const struct elf_file *file, uint32_t type)
{
        for (size_t i = 0; i < file->segment_count; i++)
                if (file->segments[i].p_type == type)
                        return &file->segments[i];
        return NULL;
}

static bool read_loader(const struct elf_file *file, struct image *image)
{
        const ElfW(Phdr) *segment = find_segment(file, PT_INTERP);

        if (!segment)
                return true;
        if (segment->p_filesz < 2 || segment->p_filesz > sizeof(image->loader) ||
            !read_at(file->fd, segment->p_offset, image->loader, segment->p_filesz))
                return false;
        return image->loader[0] && image->loader[segment->p_filesz - 1] == '\0'; /* the kernel insists, too */
}

/* File offset of a loaded address. */
static bool offset_of(const struct elf_file *file, uint64_t address, uint64_t *ret_offset)
{
        for (size_t i = 0; i < file->segment_count; i++) {
                const ElfW(Phdr) *segment = &file->segments[i];

                if (segment->p_type != PT_LOAD || address < segment->p_vaddr ||
                    address - segment->p_vaddr >= segment->p_filesz)
                        continue;
                *ret_offset = segment->p_offset + (address - segment->p_vaddr);
                return true;
        }
        return false;
}

struct dynamic {
        uint64_t strings, strings_len, soname;
        bool has_soname;
};

static bool read_dynamic(const struct elf_file *file, struct dynamic *ret)
{
        const ElfW(Phdr) *segment = find_segment(file, PT_DYNAMIC);
        cleanup_free ElfW(Dyn) *entries = NULL;
        size_t count;

        if (!segment || segment->p_filesz / sizeof(*entries) > DYNAMIC_MAX)
                return false;
        count = segment->p_filesz / sizeof(*entries);
        entries = (void *)read_new(file->fd, segment->p_offset, count * sizeof(*entries));
        if (!entries)
                return false;
        for (size_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
                if (entries[i].d_tag == DT_STRTAB)
                        ret->strings = entries[i].d_un.d_ptr;
                else if (entries[i].d_tag == DT_STRSZ)
                        ret->strings_len = entries[i].d_un.d_val;
                else if (entries[i].d_tag == DT_SONAME) {
                        ret->soname = entries[i].d_un.d_val;
                        ret->has_soname = true;
                }
        }
        return ret->strings_len > 0;
}

static bool holds(const char *bytes, size_t len, const char *what, size_t what_len)
{
        return memmem(bytes, len, what, what_len) != NULL;
}

/* What the dynamic string table tells: names of needed libraries and of symbols, and the own name. */
static void read_names(const struct elf_file *file, struct image *image)
{
        struct dynamic dynamic = {0};
        cleanup_free char *strings = NULL;
        uint64_t offset;
        size_t len;

        if (!read_dynamic(file, &dynamic) || !offset_of(file, dynamic.strings, &offset))
                return;
        len = MIN(dynamic.strings_len, (uint64_t)STRINGS_MAX);
        strings = read_new(file->fd, offset, len);
        if (!strings)
                return;
        image->is_asan = holds(strings, len, "__asan_init", sizeof("__asan_init")) ||
                         holds(strings, len, "libasan.so", strlen("libasan.so")) ||
                         holds(strings, len, "libclang_rt.asan", strlen("libclang_rt.asan"));
        image->is_loader = dynamic.has_soname && dynamic.soname < len && !image->loader[0] &&
                           strncmp(strings + dynamic.soname, "ld-linux", strlen("ld-linux")) == 0;
}

static bool segment_has_go_note(const struct elf_file *file, const ElfW(Phdr) *segment)
{
        size_t len = segment->p_filesz, at = 0;
        cleanup_free char *notes = len <= NOTES_MAX ? read_new(file->fd, segment->p_offset, len) : NULL;

        while (notes && len - at >= sizeof(ElfW(Nhdr)) + 4) {
                ElfW(Nhdr) note;
                uint64_t size;

                memcpy(&note, notes + at, sizeof(note));
                if (note.n_type == GO_NOTE_TYPE && note.n_namesz == 4 &&
                    memcmp(notes + at + sizeof(note), "Go\0", 4) == 0)
                        return true;
                size = sizeof(note) + ALIGN_UP((uint64_t)note.n_namesz, 4) +
                       ALIGN_UP((uint64_t)note.n_descsz, 4);
                if (size > len - at)
                        return false;
                at += size;
        }
        return false;
}

/* cgo programs are linked by the system's linker and may lack the note's segment: look at the sections, too.
 */
static bool has_go_section(const struct elf_file *file)
{
        const ElfW(Ehdr) *head = &file->head;
        cleanup_free ElfW(Shdr) *sections = NULL;
        cleanup_free char *names = NULL;
        size_t count = head->e_shnum, names_len;

        if (head->e_shentsize != sizeof(*sections) || count > SECTIONS_MAX || head->e_shstrndx >= count)
                return false;
        sections = (void *)read_new(file->fd, head->e_shoff, count * sizeof(*sections));
        if (!sections)
                return false;
        names_len = MIN(sections[head->e_shstrndx].sh_size, (uint64_t)STRINGS_MAX);
        names = read_new(file->fd, sections[head->e_shstrndx].sh_offset, names_len);
        if (!names)
                return false;
        return holds(names, names_len, ".go.buildinfo", sizeof(".go.buildinfo")) ||
               holds(names, names_len, ".note.go.buildid", sizeof(".note.go.buildid"));
}

static bool is_go(const struct elf_file *file)
{
        for (size_t i = 0; i < file->segment_count; i++)
                if (file->segments[i].p_type == PT_NOTE && segment_has_go_note(file, &file->segments[i]))
                        return true;
        return has_go_section(file);
}

static bool is_own_kind(const ElfW(Ehdr) *head)
{
        return head->e_ident[EI_CLASS] == OWN_CLASS && head->e_ident[EI_DATA] == OWN_DATA &&
               head->e_machine == image_own_machine;
}

/* The machine's number stands at the same place in every class; only its byte order differs. */
static void read_alien(const ElfW(Ehdr) *head, struct image *image)
{
        uint16_t machine = head->e_machine;

        image->kind = IMAGE_ALIEN;
        image->bits = head->e_ident[EI_CLASS] == ELFCLASS64   ? 64
                      : head->e_ident[EI_CLASS] == ELFCLASS32 ? 32
                                                              : 0;
        image->machine =
                head->e_ident[EI_DATA] == OWN_DATA ? machine : (uint16_t)(machine << 8 | machine >> 8);
}

int image_elf_read(int fd, struct image *image)
{
        struct elf_file file = {.fd = fd};
        cleanup_free ElfW(Phdr) *segments = NULL;

        image->kind = IMAGE_BROKEN;
        if (pread(fd, &file.head, sizeof(file.head), 0) < (ssize_t)offsetof(ElfW(Ehdr), e_version))
                return 0;
        if (!is_own_kind(&file.head)) {
                read_alien(&file.head, image);
                return 0;
        }
        if (file.head.e_type != ET_EXEC && file.head.e_type != ET_DYN)
                return 0;
        if (!read_segments(&file))
                return 0;
        segments = file.segments;
        if (!read_loader(&file, image))
                return 0;
        image->kind = IMAGE_ELF;
        image->is_go = is_go(&file);
        read_names(&file, image);
        return 0;
}
