/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/load.h"
#include "launcher/image_elf.h"

#if defined(__x86_64__)
const uint16_t image_own_machine = EM_X86_64;
#elif defined(__aarch64__)
const uint16_t image_own_machine = EM_AARCH64;
#else
#error "name this machine's ELF number here"
#endif

static const struct {
        uint16_t machine;
        const char *name;
} machines[] = {
        {EM_386, "i386"},        {EM_X86_64, "x86-64"}, {EM_ARM, "arm"},   {EM_AARCH64, "aarch64"},
        {EM_RISCV, "riscv"},     {EM_PPC64, "ppc64"},   {EM_S390, "s390"}, {EM_MIPS, "mips"},
        {EM_SPARCV9, "sparc64"}, {EM_PPC, "ppc"},
};

const char *image_machine_name(uint16_t machine)
{
        for (size_t i = 0; i < ARRAY_LEN(machines); i++)
                if (machines[i].machine == machine)
                        return machines[i].name;
        return "unknown";
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

/*
 * The kernel's reading of "#!": blanks, the interpreter up to a blank, then the rest as one argument
 * without the blanks around it. @line has its terminator where the line ended.
 */
static void read_script(char *line, bool complete, struct image *image)
{
        char *name = line + 2, *end, *argument;

        while (is_blank(*name))
                name++;
        end = name + strcspn(name, " \t");
        if (end == name || (!complete && !*end)) {
                image->kind = IMAGE_BROKEN; /* no name, or a name that the kernel sees only half of */
                return;
        }
        argument = end + strspn(end, " \t");
        memcpy(image->interpreter, name, (size_t)(end - name));
        end = argument + strlen(argument);
        while (end > argument && is_blank(end[-1]))
                end--;
        memcpy(image->argument, argument, (size_t)(end - argument));
        image->kind = IMAGE_SCRIPT;
}

int image_read(int fd, struct image *ret_image)
{
        char head[IMAGE_LINE_MAX + 1] = {0};
        ssize_t len = pread(fd, head, IMAGE_LINE_MAX, 0);
        char *newline;

        if (len < 0)
                return -errno;
        memset(ret_image, 0, sizeof(*ret_image));
        if (len == 0)
                return 0;
        if (len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
                return image_elf_read(fd, ret_image);
        newline = memchr(head, '\n', (size_t)len);
        if (len >= 2 && head[0] == '#' && head[1] == '!') {
                if (newline)
                        *newline = '\0';
                read_script(head, newline || len < IMAGE_LINE_MAX, ret_image);
                return 0;
        }
        /* As the shells do: a NUL in the first line means that this is no script. */
        ret_image->kind = memchr(head, '\0', newline ? (size_t)(newline - head) : (size_t)len) ? IMAGE_BINARY
                                                                                               : IMAGE_TEXT;
        return 0;
}
