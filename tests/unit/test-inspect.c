/* SPDX-License-Identifier: Apache-2.0 */
/* Judges programs that the tests write themselves: whole ELF files in small, scripts, and damage of both. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/base/load.h"
#include "launcher/image.h"
#include "launcher/inspect.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/otel-inspect-XXXXXX";
static char path[64];
static struct environ_list env;
static struct inspect result;

static void begin(void)
{
        char var[128];

        strcpy(dir, "/tmp/otel-inspect-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        (void)snprintf(path, sizeof(path), "%s/prog", dir);
        (void)snprintf(var, sizeof(var), "PATH=%s:/usr/bin:/bin", dir);
        ck_assert_int_eq(environ_copy(&env, (char *[]){var, NULL}), 0);
}

static void end(void)
{
        (void)unlink(path);
        (void)rmdir(dir);
        environ_done(&env);
}

static void write_file(const void *bytes, size_t len, mode_t mode)
{
        int fd;

        (void)unlink(path);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
        ck_assert_int_eq(fchmod(fd, mode), 0);
        ck_assert_int_eq(close(fd), 0);
}

static enum inspect_verdict judge_text(const char *text)
{
        write_file(text, strlen(text), 0755);
        inspect_command(path, &env, &result);
        return result.verdict;
}

/* A program of this machine: loader, dynamic strings, one note, one section's name. */
struct tiny {
        Elf64_Ehdr head;
        Elf64_Phdr segments[4];
        char loader[32];
        Elf64_Dyn dynamic[4];
        char strings[64];
        struct {
                Elf64_Nhdr head;
                char name[4];
                char id[8];
        } note;
        Elf64_Shdr sections[2];
        char section_names[32];
};

#ifdef __x86_64__
#define LOADER "/lib64/ld-linux-x86-64.so.2"
#else
#define LOADER "/lib/ld-linux-aarch64.so.1"
#endif

enum { SEGMENT_LOAD, SEGMENT_LOADER, SEGMENT_DYNAMIC, SEGMENT_NOTE };

static struct tiny tiny_program(void)
{
        struct tiny t = {0};

        memcpy(t.head.e_ident, ELFMAG, SELFMAG);
        t.head.e_ident[EI_CLASS] = ELFCLASS64;
        t.head.e_ident[EI_DATA] = ELFDATA2LSB;
        t.head.e_type = ET_DYN;
        t.head.e_machine = image_own_machine;
        t.head.e_phoff = offsetof(struct tiny, segments);
        t.head.e_phentsize = sizeof(Elf64_Phdr);
        t.head.e_phnum = ARRAY_LEN(t.segments);
        t.head.e_shoff = offsetof(struct tiny, sections);
        t.head.e_shentsize = sizeof(Elf64_Shdr);
        t.head.e_shnum = ARRAY_LEN(t.sections);
        t.head.e_shstrndx = 1;
        t.segments[SEGMENT_LOAD] = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = sizeof(t)};
        t.segments[SEGMENT_LOADER] = (Elf64_Phdr){
                .p_type = PT_INTERP, .p_offset = offsetof(struct tiny, loader), .p_filesz = sizeof(LOADER)};
        t.segments[SEGMENT_DYNAMIC] = (Elf64_Phdr){.p_type = PT_DYNAMIC,
                                                   .p_offset = offsetof(struct tiny, dynamic),
                                                   .p_filesz = sizeof(t.dynamic)};
        t.segments[SEGMENT_NOTE] = (Elf64_Phdr){
                .p_type = PT_NOTE, .p_offset = offsetof(struct tiny, note), .p_filesz = sizeof(t.note)};
        strcpy(t.loader, LOADER);
        t.dynamic[0] = (Elf64_Dyn){.d_tag = DT_STRTAB, .d_un.d_ptr = 0x1000 + offsetof(struct tiny, strings)};
        t.dynamic[1] = (Elf64_Dyn){.d_tag = DT_STRSZ, .d_un.d_val = sizeof(t.strings)};
        t.dynamic[2] = (Elf64_Dyn){.d_tag = DT_SONAME, .d_un.d_val = 1};
        memcpy(t.strings, "\0prog\0libc.so.6\0puts", 20);
        t.note.head = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 8, .n_type = 3};
        memcpy(t.note.name, "GNU", 4);
        t.sections[1] = (Elf64_Shdr){.sh_offset = offsetof(struct tiny, section_names),
                                     .sh_size = sizeof(t.section_names)};
        memcpy(t.section_names, "\0.text\0.shstrtab", 16);
        return t;
}

static enum inspect_verdict judge_tiny(const struct tiny *t)
{
        write_file(t, sizeof(*t), 0755);
        inspect_command(path, &env, &result);
        return result.verdict;
}

START_TEST(test_elf_dynamic_is_fine)
{
        struct tiny t = tiny_program();

        begin();
        ck_assert_int_eq(judge_tiny(&t), INSPECT_OK);
        ck_assert_str_eq(result.path, path);
        ck_assert_str_eq(result.reason, "");
        t.head.e_type = ET_EXEC;
        ck_assert_int_eq(judge_tiny(&t), INSPECT_OK);
        end();
}
END_TEST

#define ck_blind(t, words)                                                                \
        do {                                                                              \
                ck_assert_int_eq(judge_tiny(t), INSPECT_BLIND);                           \
                ck_assert_msg(strstr(result.reason, words) != NULL, "%s", result.reason); \
        } while (0)

START_TEST(test_elf_static)
{
        struct tiny t = tiny_program();

        begin();
        t.segments[SEGMENT_LOADER].p_type = PT_NULL;
        ck_blind(&t, "statically linked");
        t.segments[SEGMENT_DYNAMIC].p_type = PT_NULL;
        ck_blind(&t, "statically linked");
        end();
}
END_TEST

START_TEST(test_elf_loader_itself)
{
        struct tiny t = tiny_program();

        begin();
        t.segments[SEGMENT_LOADER].p_type = PT_NULL;
        strcpy(t.strings + 1, "ld-linux-x86-64.so.2");
        ck_assert_int_eq(judge_tiny(&t), INSPECT_OK);
        t.dynamic[2].d_un.d_val = UINT64_MAX;
        ck_blind(&t, "statically linked");
        end();
}
END_TEST

START_TEST(test_elf_other_machine)
{
        struct tiny t = tiny_program();

        begin();
        t.head.e_machine = EM_RISCV;
        ck_blind(&t, "64-bit riscv");
        t = tiny_program();
        t.head.e_ident[EI_CLASS] = ELFCLASS32;
        t.head.e_machine = EM_386;
        ck_blind(&t, "32-bit i386");
        t = tiny_program();
        t.head.e_ident[EI_DATA] = ELFDATA2MSB;
        t.head.e_machine = EM_S390 << 8;
        ck_blind(&t, "64-bit s390");
        end();
}
END_TEST

START_TEST(test_elf_other_libc)
{
        struct tiny t = tiny_program();
        char loader[128];

        begin();
        strcpy(t.loader, "/nowhere/ld-linux-x86-64.so.2");
        t.segments[SEGMENT_LOADER].p_filesz = sizeof(t.loader);
        ck_assert_int_eq(judge_tiny(&t), INSPECT_NOT_FOUND);
        (void)snprintf(loader, sizeof(loader), "%s/ld-musl-x", dir);
        ck_assert_uint_lt(strlen(loader), sizeof(t.section_names) + sizeof(t.sections)); /* where it is put */
        ck_assert_int_eq(symlink("/bin/true", loader), 0);
        t.head.e_shnum = 0;
        memset(t.sections, 0, sizeof(t.sections) + sizeof(t.section_names));
        strcpy((char *)t.sections, loader);
        t.segments[SEGMENT_LOADER].p_offset = offsetof(struct tiny, sections);
        t.segments[SEGMENT_LOADER].p_filesz = strlen(loader) + 1;
        ck_blind(&t, "another libc (musl)");
        (void)unlink(loader);
        end();
}
END_TEST

START_TEST(test_elf_go)
{
        struct tiny t = tiny_program();

        begin();
        t.note.head.n_type = 4;
        memcpy(t.note.name, "Go\0", 4);
        ck_blind(&t, "Go program");
        t = tiny_program();
        memcpy(t.section_names, "\0.text\0.go.buildinfo", 21);
        ck_blind(&t, "Go program");
        end();
}
END_TEST

START_TEST(test_elf_asan)
{
        struct tiny t = tiny_program();

        begin();
        memcpy(t.strings + 20, "\0__asan_init", 13);
        ck_blind(&t, "AddressSanitizer");
        ck_assert_int_eq(environ_set(&env, "LD_PRELOAD", "libasan.so.8"), 0);
        ck_assert_int_eq(judge_tiny(&t), INSPECT_OK);
        end();
}
END_TEST

START_TEST(test_elf_not_a_program)
{
        struct tiny t = tiny_program();

        begin();
        t.head.e_type = ET_REL;
        ck_assert_int_eq(judge_tiny(&t), INSPECT_NOT_EXECUTABLE);
        t = tiny_program();
        t.head.e_phnum = 0;
        ck_assert_int_eq(judge_tiny(&t), INSPECT_NOT_EXECUTABLE);
        t = tiny_program();
        t.head.e_phoff = UINT64_MAX - 8;
        ck_assert_int_eq(judge_tiny(&t), INSPECT_NOT_EXECUTABLE);
        end();
}
END_TEST

START_TEST(test_elf_truncated_anywhere)
{
        struct tiny t = tiny_program();

        begin();
        for (size_t len = 1; len < sizeof(t); len++) {
                write_file(&t, len, 0755);
                inspect_command(path, &env, &result);
                if (len >= SELFMAG && len < offsetof(struct tiny, loader) + sizeof(LOADER))
                        ck_assert_msg(result.verdict != INSPECT_OK, "%zu", len);
        }
        end();
}
END_TEST

START_TEST(test_elf_every_byte_hostile)
{
        static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
        struct tiny t = tiny_program();
        unsigned char *bytes = (unsigned char *)&t;
        struct image image;
        int fd;

        begin();
        write_file(&t, sizeof(t), 0755);
        fd = open(path, O_RDWR | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        for (size_t at = 0; at < sizeof(t); at++) {
                for (size_t v = 0; v < ARRAY_LEN(values); v++) {
                        ck_assert_int_eq(pwrite(fd, &values[v], 1, (off_t)at), 1);
                        ck_assert_int_eq(image_read(fd, &image), 0);
                        ck_assert_uint_lt(strnlen(image.loader, sizeof(image.loader)), sizeof(image.loader));
                }
                ck_assert_int_eq(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
        }
        (void)close(fd);
        end();
}
END_TEST

START_TEST(test_rights)
{
        struct tiny t = tiny_program();

        begin();
        write_file(&t, sizeof(t), 04755);
        inspect_command(path, &env, &result);
        ck_assert_int_eq(result.verdict,
                         INSPECT_OK); /* owned by the one who starts it: no change of identity */
        if (getuid() == 0) {
                ck_assert_int_eq(chown(path, 1, 1), 0);
                ck_assert_int_eq(chmod(path, 04755), 0);
                inspect_command(path, &env, &result);
                ck_assert_int_eq(result.verdict, INSPECT_BLIND);
                ck_assert_ptr_nonnull(strstr(result.reason, "setuid"));
                ck_assert_int_eq(chmod(path, 02755), 0);
                inspect_command(path, &env, &result);
                ck_assert_ptr_nonnull(strstr(result.reason, "setgid"));
        }
        end();
}
END_TEST

START_TEST(test_script_is_judged_by_its_interpreter)
{
        begin();
        ck_assert_int_eq(judge_text("#!/bin/sh\n"), INSPECT_OK);
        ck_assert_int_eq(judge_text("#! \t/bin/sh \t-e \n"), INSPECT_OK);
        ck_assert_int_eq(judge_text("#!/bin/sh"), INSPECT_OK);
        ck_assert_int_eq(judge_text("echo no interpreter\n"), INSPECT_OK);
        ck_assert_int_eq(judge_text(""), INSPECT_OK);
        ck_assert_int_eq(judge_text("#!/usr/bin/env sh\n"), INSPECT_OK);
        ck_assert_int_eq(judge_text("#!/usr/bin/env -S A=b sh -e\n"), INSPECT_OK);
        ck_assert_int_eq(judge_text("#!/nowhere/sh\n"), INSPECT_NOT_FOUND);
        ck_assert_ptr_nonnull(strstr(result.reason, "interpreter /nowhere/sh is not found"));
        ck_assert_int_eq(judge_text("#!/tmp\n"), INSPECT_NOT_EXECUTABLE);
        ck_assert_int_eq(judge_text("#!\n"), INSPECT_NOT_EXECUTABLE);
        ck_assert_int_eq(judge_text("#!/usr/bin/env nosuchprogram\n"), INSPECT_BLIND);
        ck_assert_int_eq(judge_text("#!/usr/bin/env -S A=b nosuchprogram\n"), INSPECT_BLIND);
        end();
}
END_TEST

START_TEST(test_script_of_a_static_interpreter)
{
        struct tiny t = tiny_program();
        char script[128];

        begin();
        t.segments[SEGMENT_LOADER].p_type = PT_NULL;
        ck_blind(&t, "statically");
        (void)snprintf(script, sizeof(script), "%s/static", dir);
        ck_assert_int_eq(rename(path, script), 0);
        ck_assert_int_eq(judge_text("#!/usr/bin/env static\n"), INSPECT_BLIND);
        ck_assert_ptr_nonnull(strstr(result.reason, "interpreter static is statically linked"));
        (void)unlink(script);
        end();
}
END_TEST

START_TEST(test_script_that_interprets_itself)
{
        char script[128];

        begin();
        (void)snprintf(script, sizeof(script), "#!%s\n", path);
        ck_assert_int_eq(judge_text(script), INSPECT_NOT_EXECUTABLE);
        end();
}
END_TEST

START_TEST(test_script_line_of_any_length)
{
        char script[1024];

        begin();
        for (size_t len = 240; len < 280; len++) {
                memset(script, 'x', sizeof(script));
                memcpy(script, "#!/", 3);
                script[len] = '\0';
                ck_assert_int_ge(judge_text(script), INSPECT_NOT_FOUND);
                memcpy(script, "#!/bin/sh ", 10);
                ck_assert_int_eq(judge_text(script), INSPECT_OK); /* a cut argument is the kernel's way */
        }
        end();
}
END_TEST

START_TEST(test_files_that_cannot_run)
{
        begin();
        inspect_command("nosuchprogram", &env, &result);
        ck_assert_int_eq(result.verdict, INSPECT_NOT_FOUND);
        inspect_command("", &env, &result);
        ck_assert_int_eq(result.verdict, INSPECT_NOT_FOUND);
        inspect_command("/bin/true/x", &env, &result);
        ck_assert_int_eq(result.verdict, INSPECT_NOT_FOUND);
        inspect_command(dir, &env, &result);
        ck_assert_int_eq(result.verdict, INSPECT_NOT_EXECUTABLE);
        ck_assert_str_eq(result.reason, "is a directory");
        inspect_command("/dev/null", &env, &result);
        ck_assert_int_eq(result.verdict, INSPECT_NOT_EXECUTABLE);
        write_file("\0\1\2", 3, 0755);
        inspect_command(path, &env, &result);
        ck_assert_int_eq(result.verdict, INSPECT_NOT_EXECUTABLE);
        write_file("#!/bin/sh\n", 10, 0644);
        inspect_command(path, &env, &result);
        ck_assert_int_eq(result.verdict, INSPECT_NOT_EXECUTABLE);
        ck_assert_str_eq(result.reason, "is not executable");
        inspect_command("prog", &env, &result); /* found in PATH, like that */
        ck_assert_int_eq(result.verdict, INSPECT_NOT_EXECUTABLE);
        end();
}
END_TEST

START_TEST(test_search_like_execvp)
{
        char var[256];

        begin();
        ck_assert_int_eq(judge_text("#!/bin/sh\n"), INSPECT_OK);
        inspect_command("prog", &env, &result);
        ck_assert_str_eq(result.path, path);
        ck_assert_int_eq(chdir(dir), 0);
        ck_assert_int_eq(environ_set(&env, "PATH", "/nowhere::/bin"), 0);
        inspect_command("prog", &env, &result);
        ck_assert_str_eq(result.path, "./prog");
        (void)snprintf(var, sizeof(var), "/bin:%s/", dir);
        ck_assert_int_eq(environ_set(&env, "PATH", var), 0);
        inspect_command("sh", &env, &result);
        ck_assert_str_eq(result.path, "/bin/sh");
        ck_assert_int_eq(environ_set(&env, "PATH", ""), 0);
        inspect_command("sh", &env, &result);
        ck_assert_int_eq(result.verdict, INSPECT_NOT_FOUND);
        ck_assert_int_eq(chdir("/"), 0);
        end();
}
END_TEST

UNIT_MAIN("inspect", test_elf_dynamic_is_fine, test_elf_static, test_elf_loader_itself,
          test_elf_other_machine, test_elf_other_libc, test_elf_go, test_elf_asan, test_elf_not_a_program,
          test_elf_truncated_anywhere, test_elf_every_byte_hostile, test_rights,
          test_script_is_judged_by_its_interpreter, test_script_of_a_static_interpreter,
          test_script_that_interprets_itself, test_script_line_of_any_length, test_files_that_cannot_run,
          test_search_like_execvp)
