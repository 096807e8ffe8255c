/* SPDX-License-Identifier: Apache-2.0 */
/* The look-up of real functions, against what the dynamic linker itself would answer. */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "hooks/elf_object.h"
#include "hooks/real.h"
#include "hooks/real_substitute.h"
#include "tests/unit/unit.h"

static const struct {
        const char *name;
        enum hook_id id;
        enum hook_library library;
        enum hook_need need;
} rows[] = {
#define HOOK(name, library, need) {#name, HOOK_ID_##name, HOOK_##library, HOOK_##need},
#include "hooks/hooks.def"
#undef HOOK
};

START_TEST(test_real_resolve_finds_what_dlsym_finds)
{
        ck_assert(real_start());
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                void *expected = dlsym(RTLD_NEXT, rows[i].name);

                if (rows[i].library != HOOK_LIBC)
                        continue;
                ck_assert_msg(expected || rows[i].need == HOOK_MAY, "%s is not in this libc", rows[i].name);
                if (!expected)
                        expected = real_substitute(rows[i].id);
                ck_assert_msg(real_resolve(rows[i].id) == expected, "%s", rows[i].name);
                ck_assert_msg(real_pointers.by_id[rows[i].id] == expected, "%s is not remembered",
                              rows[i].name);
        }
}
END_TEST

START_TEST(test_real_resolve_without_start)
{
        /* As an earlier constructor calls; each test is a process of its own. */
        ck_assert_ptr_eq(REAL(close), dlsym(RTLD_NEXT, "close"));
}
END_TEST

/* One symbol of one object, by the object's soname. */
struct wanted {
        const char *soname, *name;
        bool object_seen;
        void *found;
};

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
        struct wanted *wanted = data;
        struct elf_object object;

        if (!elf_object_read(info, &object) || !object.soname || strcmp(object.soname, wanted->soname) != 0)
                return 0;
        wanted->object_seen = true;
        wanted->found = real_object_symbol(info, wanted->name);
        return 1;
}

static void *find(const char *soname, const char *name)
{
        struct wanted wanted = {soname, name, false, NULL};

        (void)dl_iterate_phdr(look, &wanted);
        ck_assert_msg(wanted.object_seen, "%s is not loaded", soname);
        return wanted.found;
}

/* Not by RTLD_NEXT: sanitizers stand in between. */
static void *libc_itself(void)
{
        void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

        ck_assert_ptr_nonnull(libc);
        return libc;
}

START_TEST(test_real_object_symbol_takes_the_default_version)
{
        static const char *const several_versions[] = {
                "posix_spawn", "pthread_cond_wait", "regexec", "quick_exit", "nftw", "sched_setaffinity"};
        void *libc = libc_itself();

        for (size_t i = 0; i < sizeof(several_versions) / sizeof(several_versions[0]); i++)
                ck_assert_msg(find("libc.so.6", several_versions[i]) == dlsym(libc, several_versions[i]),
                              "%s", several_versions[i]);
}
END_TEST

START_TEST(test_real_object_symbol_resolves_indirect_functions)
{
        static const char *const indirect[] = {"memcpy", "strlen", "memchr", "time"};
        void *libc = libc_itself();

        for (size_t i = 0; i < sizeof(indirect) / sizeof(indirect[0]); i++)
                ck_assert_msg(find("libc.so.6", indirect[i]) == dlsym(libc, indirect[i]), "%s", indirect[i]);
}
END_TEST

START_TEST(test_real_object_symbol_when_absent)
{
        ck_assert_ptr_null(find("libc.so.6", "no_such_function_anywhere"));
        ck_assert_ptr_null(find("libc.so.6", ""));
        ck_assert_ptr_null(find("libc.so.6", "__tls_get_addr")); /* used there, defined by the linker */
        ck_assert_ptr_null(find("libc.so.6", "errno"));          /* thread-local data, not a function */
}
END_TEST

START_TEST(test_real_object_symbol_in_a_local_library)
{
        void *library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);

        ck_assert_msg(library != NULL, "%s", dlerror());
        ck_assert_ptr_nonnull(dlsym(library, "inflate"));
        ck_assert_ptr_eq(find("libz.so.1", "inflate"), dlsym(library, "inflate"));
        dlclose(library);
}
END_TEST

START_TEST(test_real_object_symbol_with_the_old_hash_table)
{
        void *library = dlopen(getenv("OLD_HASH_LIBRARY"), RTLD_NOW | RTLD_LOCAL);

        ck_assert_msg(library != NULL, "%s", dlerror());
        ck_assert_ptr_nonnull(dlsym(library, "old_hash_function"));
        ck_assert_ptr_eq(find("old-hash.so", "old_hash_function"), dlsym(library, "old_hash_function"));
        ck_assert_ptr_null(find("old-hash.so", "old_hash_functiom"));
        dlclose(library);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__ /* its library defines them, too */
static void *send_of(const char *variable)
{
        void *library = dlopen(getenv(variable), RTLD_NOW | RTLD_LOCAL);

        ck_assert_msg(library != NULL, "%s", dlerror());
        return dlsym(library, "send");
}

START_TEST(test_real_is_when_libpthread_has_it_too)
{
        void *real = REAL(send), *other;

        ck_assert(real_is(HOOK_ID_send, real));
        ck_assert(!real_is(HOOK_ID_send, REAL(recv)));
        ck_assert_ptr_eq(real_sole("send"), real);
        other = send_of("OLD_PTHREAD_LIBRARY");
        ck_assert_ptr_ne(other, real);
        ck_assert(real_is(HOOK_ID_send, other));
        ck_assert(!real_is(HOOK_ID_recv, other));
        ck_assert_ptr_eq(real_sole("send"), real);
}
END_TEST

START_TEST(test_real_is_when_a_stranger_has_it_too)
{
        void *real = REAL(send), *other = send_of("STRANGER_LIBRARY");

        ck_assert(real_is(HOOK_ID_send, real));
        ck_assert(!real_is(HOOK_ID_send, other));
        ck_assert_ptr_null(real_sole("send"));
        ck_assert_ptr_eq(real_sole("recv"), REAL(recv));
        ck_assert_ptr_null(real_sole("no_such_function_anywhere"));
}
END_TEST
#endif

START_TEST(test_real_id_of_every_row)
{
        enum hook_id id = HOOK_ID_COUNT;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                ck_assert(real_id(rows[i].name, &id));
                ck_assert_int_eq(id, rows[i].id);
                ck_assert_int_eq(real_library(id), rows[i].library);
        }
        ck_assert(!real_id("", &id));
        ck_assert(!real_id("sen", &id));
        ck_assert(!real_id("qsort", &id));
}
END_TEST

static int count_readable(struct dl_phdr_info *info, size_t size, void *data)
{
        struct elf_object object;

        if (elf_object_read(info, &object) &&
            !elf_object_find(&object, "nothing", elf_object_hash("nothing")))
                ++*(int *)data;
        ck_assert(!elf_object_holds(info, &object)); /* the stack is no object */
        return 0;
}

START_TEST(test_elf_object_read_every_loaded_object)
{
        int readable = 0;

        (void)dl_iterate_phdr(count_readable, &readable);
        ck_assert_int_ge(readable, 3); /* the program, libc, the kernel's own */
}
END_TEST

START_TEST(test_elf_object_read_without_tables)
{
        struct dl_phdr_info info = {0};
        struct elf_object object;
        ElfW(Dyn) dynamic[] = {{.d_tag = DT_NULL}};
        ElfW(Phdr) header = {.p_type = PT_DYNAMIC, .p_vaddr = (ElfW(Addr))dynamic};

        ck_assert(!elf_object_read(&info, &object));
        info.dlpi_phdr = &header;
        info.dlpi_phnum = 1;
        ck_assert(!elf_object_read(&info, &object));
}
END_TEST

#define SUBSTITUTE(name) ((__typeof__(&name))real_substitute(HOOK_ID_##name))

START_TEST(test_real_substitute_makes_the_system_call)
{
        char text[8] = "";
        int pair[2];

        ck_assert_int_eq(SUBSTITUTE(socketpair)(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        ck_assert_int_eq(SUBSTITUTE(write)(pair[0], "ab", 2), 2);
        ck_assert_int_eq(SUBSTITUTE(send)(pair[0], "cd", 2, 0), 2);
        ck_assert_int_eq(SUBSTITUTE(recv)(pair[1], text, 3, 0), 3);
        ck_assert_int_eq(SUBSTITUTE(read)(pair[1], text + 3, 5), 1);
        ck_assert_str_eq(text, "abcd");
        ck_assert_int_eq(SUBSTITUTE(dup2)(pair[0], pair[0]), pair[0]);
        ck_assert_int_eq(SUBSTITUTE(dup2)(pair[0], 90), 90);
        ck_assert_int_eq(SUBSTITUTE(fcntl)(90, F_GETFD), 0);
        ck_assert_int_eq(SUBSTITUTE(close)(90), 0);
        ck_assert_int_eq(SUBSTITUTE(syscall)(SYS_close, pair[0]), 0);
        errno = 0;
        ck_assert_int_eq(SUBSTITUTE(close)(90), -1);
        ck_assert_int_eq(errno, EBADF);
        ck_assert_int_eq(SUBSTITUTE(dup2)(90, 90), -1);
        ck_assert_int_eq(SUBSTITUTE(dup2)(90, 91), -1);
}
END_TEST

START_TEST(test_real_substitute_fails_as_the_library_does)
{
        struct hostent entry, *result = NULL;
        struct addrinfo *list;
        int error;

        errno = 0;
        ck_assert_int_eq(SUBSTITUTE(fclose)(stdout), -1);
        ck_assert_int_eq(errno, ENOSYS);
        ck_assert_ptr_null(SUBSTITUTE(gethostbyname)("x"));
        ck_assert_int_eq(SUBSTITUTE(gethostbyname_r)("x", &entry, NULL, 0, &result, &error), ENOSYS);
        ck_assert_int_eq(SUBSTITUTE(getaddrinfo)("x", NULL, NULL, &list), EAI_SYSTEM);
        for (int id = 0; id < HOOK_ID_COUNT; id++)
                ck_assert_ptr_nonnull(real_substitute((enum hook_id)id));
}
END_TEST

UNIT_MAIN("real",
#ifndef __SANITIZE_ADDRESS__
          test_real_is_when_libpthread_has_it_too, test_real_is_when_a_stranger_has_it_too,
#endif
          test_real_id_of_every_row, test_real_resolve_finds_what_dlsym_finds,
          test_real_resolve_without_start, test_real_object_symbol_takes_the_default_version,
          test_real_object_symbol_resolves_indirect_functions, test_real_object_symbol_when_absent,
          test_real_object_symbol_in_a_local_library, test_real_object_symbol_with_the_old_hash_table,
          test_elf_object_read_every_loaded_object, test_elf_object_read_without_tables,
          test_real_substitute_makes_the_system_call, test_real_substitute_fails_as_the_library_does)
