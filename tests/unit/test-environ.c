/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "agent/base/load.h"
#include "launcher/environ.h"
#include "tests/unit/unit.h"

static struct environ_list env;

static void begin(char *const *envp)
{
        ck_assert_int_eq(environ_copy(&env, envp), 0);
}

START_TEST(test_copy_keeps_everything)
{
        char *vars[] = {"A=1", "not a variable", "=odd", "B=", NULL};

        begin(vars);
        ck_assert_uint_eq(env.count, 4);
        for (size_t i = 0; i < 4; i++)
                ck_assert_str_eq(env.vars[i], vars[i]);
        ck_assert_ptr_null(env.vars[4]);
        ck_assert_str_eq(environ_get(&env, "B"), "");
        ck_assert_ptr_null(environ_get(&env, "C"));
        environ_done(&env);
        ck_assert_uint_eq(env.count, 0);
}
END_TEST

START_TEST(test_set_replaces_all)
{
        begin((char *[]){"X=1", "A=1", "AB=2", "A=3", NULL});
        ck_assert_str_eq(environ_get(&env, "A"), "1");
        ck_assert_int_eq(environ_set(&env, "A", "new"), 0);
        ck_assert_uint_eq(env.count, 3);
        ck_assert_str_eq(env.vars[0], "X=1");
        ck_assert_str_eq(env.vars[1], "AB=2");
        ck_assert_str_eq(env.vars[2], "A=new");
        ck_assert_ptr_null(env.vars[3]);
        environ_done(&env);
}
END_TEST

START_TEST(test_set_in_empty)
{
        begin((char *[]){NULL});
        ck_assert_int_eq(environ_set(&env, "A", ""), 0);
        ck_assert_str_eq(env.vars[0], "A=");
        ck_assert_ptr_null(env.vars[1]);
        environ_done(&env);
}
END_TEST

START_TEST(test_set_own_value_again)
{
        begin((char *[]){"A=value", NULL});
        ck_assert_int_eq(environ_set(&env, "A", environ_get(&env, "A")), 0);
        ck_assert_str_eq(environ_get(&env, "A"), "value");
        environ_done(&env);
}
END_TEST

START_TEST(test_preload_joins)
{
        static const struct {
                char *before;
                const char *after;
        } cases[] = {
                {"X=", "/l/our.so"},
                {"LD_PRELOAD=", "/l/our.so"},
                {"LD_PRELOAD=a.so", "a.so:/l/our.so"},
                {"LD_PRELOAD=a.so b.so", "a.so b.so:/l/our.so"},
                {"LD_PRELOAD=a.so:", "a.so:/l/our.so"},
                {"LD_PRELOAD=a.so ", "a.so /l/our.so"},
                {"LD_PRELOAD=/l/our.so", "/l/our.so"},
                {"LD_PRELOAD=/l/our.so:a.so", "/l/our.so:a.so"},
                {"LD_PRELOAD=a.so  /l/our.so:b.so", "a.so  /l/our.so:b.so"},
                {"LD_PRELOAD=/l/our.so.1", "/l/our.so.1:/l/our.so"},
                {"LD_PRELOAD= : ", " : /l/our.so"},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                begin((char *[]){cases[i].before, NULL});
                ck_assert_int_eq(environ_preload(&env, "/l/our.so"), 0);
                ck_assert_str_eq(environ_get(&env, "LD_PRELOAD"), cases[i].after);
                ck_assert_int_eq(environ_preload(&env, "/l/our.so"), 0);
                ck_assert_str_eq(environ_get(&env, "LD_PRELOAD"), cases[i].after);
                environ_done(&env);
        }
}
END_TEST

START_TEST(test_preload_knows_another_name)
{
        char dir[] = "/tmp/otel-environ-XXXXXX", file[64], name[64], var[128];
        FILE *f;

        ck_assert_ptr_nonnull(mkdtemp(dir));
        (void)snprintf(file, sizeof(file), "%s/lib.so", dir);
        (void)snprintf(name, sizeof(name), "%s/link.so", dir);
        f = fopen(file, "w");
        ck_assert_ptr_nonnull(f);
        (void)fclose(f);
        ck_assert_int_eq(symlink(file, name), 0);
        (void)snprintf(var, sizeof(var), "LD_PRELOAD=%s", name);
        begin((char *[]){var, NULL});
        ck_assert_int_eq(environ_preload(&env, file), 0);
        ck_assert_str_eq(environ_get(&env, "LD_PRELOAD"), name);
        environ_done(&env);
        (void)unlink(file);
        (void)unlink(name);
        (void)rmdir(dir);
}
END_TEST

START_TEST(test_preload_survives_entries_of_any_length)
{
        char var[3 * 4096] = "LD_PRELOAD=";

        memset(var + strlen(var), 'x', sizeof(var) - strlen(var) - 1);
        begin((char *[]){var, NULL});
        ck_assert_int_eq(environ_preload(&env, "/l/our.so"), 0);
        ck_assert_uint_eq(strlen(environ_get(&env, "LD_PRELOAD")), strlen(var) - strlen("LD_PRELOAD=") + 10);
        environ_done(&env);
}
END_TEST

START_TEST(test_preload_refuses_what_the_list_cannot_hold)
{
        begin((char *[]){NULL});
        ck_assert_int_eq(environ_preload(&env, "/my lib/our.so"), -EINVAL);
        ck_assert_int_eq(environ_preload(&env, "/a:b/our.so"), -EINVAL);
        ck_assert_ptr_null(environ_get(&env, "LD_PRELOAD"));
        environ_done(&env);
}
END_TEST

UNIT_MAIN("environ", test_copy_keeps_everything, test_set_replaces_all, test_set_in_empty,
          test_set_own_value_again, test_preload_joins, test_preload_knows_another_name,
          test_preload_survives_entries_of_any_length, test_preload_refuses_what_the_list_cannot_hold)
