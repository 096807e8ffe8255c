/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/utsname.h>

#include "agent/base/log.h"
#include "export/resource/detect.h"
#include "tests/unit/refined.h"

/* A meta text from "key=value" strings; ends at a guard page. */
#define META(...) meta_make((const char *const[]){__VA_ARGS__, NULL})

static struct slice meta_make(const char *const *items)
{
        char text[4096];
        size_t len = 0;

        for (; *items; items++) {
                memcpy(text + len, *items, strlen(*items) + 1);
                len += strlen(*items) + 1;
        }
        return slice_make(unit_guarded(text, len), len);
}

static const char *value(const struct resource *resource, const char *key)
{
        struct out_span span = {.attrs = resource->attrs, .attr_count = resource->attr_count};

        return out_text(&span, key);
}

static void check_resource(const struct resource *resource)
{
        for (unsigned i = 0; i < resource->attr_count; i++) {
                check_text(slice_str(resource->attrs[i].key));
                if (resource->attrs[i].type == ATTR_STR)
                        check_text(resource->attrs[i].str);
                for (unsigned n = 0; n < i; n++)
                        ck_assert_str_ne(resource->attrs[i].key, resource->attrs[n].key);
        }
}

START_TEST(test_resource_new_when_meta_is_whole)
{
        struct resource *resource =
                resource_new(META("@pid=4711", "@ppid=1", "@uid=0", "@exe=/usr/bin/curl", "@argv0=curl",
                                  "@start_ns=1700558734853123456", "@version=1"));
        struct utsname uts;

        ck_assert_ptr_nonnull(resource);
        check_resource(resource);
        ck_assert_int_eq(uname(&uts), 0);
        ck_assert_str_eq(value(resource, "service.name"), "unknown_service:curl");
        ck_assert_str_eq(resource->service_name, "unknown_service:curl");
        ck_assert_int_eq(resource->pid, 4711);
        ck_assert_str_eq(value(resource, "telemetry.sdk.name"), "otel-instrument");
        ck_assert_str_eq(value(resource, "telemetry.sdk.language"), "c");
        ck_assert_str_eq(value(resource, "telemetry.sdk.version"), OTEL_INSTRUMENT_VERSION);
        ck_assert_str_eq(value(resource, "process.pid"), "4711");
        ck_assert_str_eq(value(resource, "process.executable.name"), "curl");
        ck_assert_str_eq(value(resource, "process.command"), "curl");
        ck_assert_str_eq(value(resource, "process.owner"), "root");
        ck_assert_str_eq(value(resource, "process.creation.time"), "2023-11-21T09:25:34.853Z");
        ck_assert_str_eq(value(resource, "process.parent_pid"), "-");
        ck_assert_str_eq(value(resource, "process.executable.path"), "-");
        ck_assert_str_eq(value(resource, "host.name"), uts.nodename);
        ck_assert_str_eq(value(resource, "os.type"), "linux");
        ck_assert_str_ne(value(resource, "os.description"), "-");
        ck_assert(!resource->plain);
#if defined(__x86_64__)
        ck_assert_str_eq(value(resource, "host.arch"), "amd64");
#elif defined(__aarch64__)
        ck_assert_str_eq(value(resource, "host.arch"), "arm64");
#endif
        ck_assert_ptr_null(resource_free(resource));
}
END_TEST

START_TEST(test_resource_new_when_meta_is_empty_or_odd)
{
        static const char *const odd[] = {"",
                                          "@pid",
                                          "@pid=",
                                          "@pid=-1",
                                          "@pid=1x",
                                          "@pid=99999999999999999999",
                                          "=",
                                          "==",
                                          "@uid=4294967295",
                                          "@start_ns=9223372036854775807",
                                          "@exe=/",
                                          "@exe= (deleted)"};
        struct resource *resource = resource_new(SLICE_NULL);

        ck_assert_str_eq(value(resource, "service.name"), "unknown_service");
        ck_assert_str_eq(value(resource, "process.pid"), "-");
        resource_free(resource);
        for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
                size_t len = strlen(odd[i]);

                resource = resource_new(slice_make(unit_guarded(odd[i], len), len)); /* no terminator */
                ck_assert_ptr_nonnull(resource);
                check_resource(resource);
                ck_assert_str_eq(value(resource, "process.pid"), "-");
                resource_free(resource);
        }
}
END_TEST

static void check_instance(const char *meta_item, const char *expected)
{
        struct resource *first = resource_new(META(meta_item)), *second = resource_new(META(meta_item));
        const char *id = value(first, "service.instance.id");

        ck_assert_uint_eq(strlen(id), 36);
        ck_assert_uint_eq(strspn(id, "0123456789abcdef-"), 36);
        ck_assert(id[14] == '4' && strchr("89ab", id[19])); /* a random one */
        if (expected)
                ck_assert_str_eq(id, expected);
        ck_assert_int_eq(strcmp(id, value(second, "service.instance.id")) == 0, expected != NULL);
        resource_free(first);
        resource_free(second);
}

/* Another relay reads the same of a process that lives on; what no process of ours wrote means nothing. */
START_TEST(test_resource_new_instance_id)
{
        check_instance("@instance=00112233445566778899aabbccddeeff", "00112233-4455-4677-8899-aabbccddeeff");
        check_instance("@instance=ffffffffffffffffffffffffffffffff", "ffffffff-ffff-4fff-bfff-ffffffffffff");
        check_instance("@instance=00112233445566778899aabbccddeef", NULL);
        check_instance("@instance=00112233445566778899aabbccddeeff0", NULL);
        check_instance("@instance=00112233445566778899AABBCCDDEEFF", NULL);
        check_instance("@instance=00112233445566778899aabbccddee\xff\xff", NULL);
        check_instance("@instance=", NULL);
        check_instance("@pid=1", NULL);
}
END_TEST

START_TEST(test_resource_new_when_the_executable_is_deleted)
{
        struct resource *resource =
                resource_new(META("@exe=/opt/my app (deleted)", "@uid=54321", "@argv0=\xff\x01x"));

        check_resource(resource);
        ck_assert_str_eq(value(resource, "process.executable.name"), "my app");
        ck_assert_str_eq(value(resource, "process.owner"), "54321");
        ck_assert_str_eq(value(resource, "process.command"), "\xef\xbf\xbd\x01x");
        resource_free(resource);
}
END_TEST

START_TEST(test_resource_new_when_the_user_names_the_service)
{
        struct resource *resource = resource_new(META("@exe=/bin/x", "OTEL_SERVICE_NAME=billing",
                                                      "OTEL_RESOURCE_ATTRIBUTES=service.name=other"));

        ck_assert_str_eq(value(resource, "service.name"), "billing");
        resource_free(resource);
        resource = resource_new(
                META("@exe=/bin/x", "OTEL_SERVICE_NAME=", "OTEL_RESOURCE_ATTRIBUTES=service.name=other"));
        ck_assert_str_eq(value(resource, "service.name"), "other");
        resource_free(resource);
        resource = resource_new(META("@exe=/bin/x", "OTEL_RESOURCE_ATTRIBUTES=service.name="));
        ck_assert_str_eq(value(resource, "service.name"), "unknown_service:x");
        resource_free(resource);
}
END_TEST

START_TEST(test_resource_new_when_attributes_are_given)
{
        struct resource *resource = resource_new(
                META("OTEL_RESOURCE_ATTRIBUTES= deployment.environment.name = prod , a%2Cb=c%3Dd,,k=v=w,"
                     "u=%C3%A4,service.instance.id=me,host.name=mine,telemetry.sdk.name=fake,twice=1,twice=2,"
                     "empty=,",
                     "@exe=/bin/x"));

        check_resource(resource);
        ck_assert_str_eq(value(resource, "deployment.environment.name"), "prod");
        ck_assert_str_eq(value(resource, "a,b"), "c=d");
        ck_assert_str_eq(value(resource, "k"), "v=w");
        ck_assert_str_eq(value(resource, "u"), "\xc3\xa4");
        ck_assert_str_eq(value(resource, "service.instance.id"), "me");
        ck_assert_str_eq(value(resource, "host.name"), "mine");
        ck_assert_str_eq(value(resource, "telemetry.sdk.name"), "otel-instrument");
        ck_assert_str_eq(value(resource, "twice"), "2");
        ck_assert_str_eq(value(resource, "empty"), "");
        ck_assert_str_eq(value(resource, "service.name"), "unknown_service:x");
        resource_free(resource);
}
END_TEST

START_TEST(test_resource_new_when_attributes_are_bad)
{
        static const char *const rows[] = {"good=1,bad",   "good=1,=x",    "good=1,a=%",
                                           "good=1,a=%4",  "good=1,a=%zz", "good=1,%=b",
                                           "good=1,a=%00", "good=1,a=%ff", "good=1,a=\xff"};
        char line[256], said[256];
        int pipe_fds[2];

        ck_assert_int_eq(pipe(pipe_fds), 0);
        log_set_target((struct log_target){.level = LOG_WARN, .fd = pipe_fds[1]});
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct resource *resource;
                ssize_t n;

                snprintf(line, sizeof(line), "OTEL_RESOURCE_ATTRIBUTES=%s", rows[i]);
                resource = resource_new(META(line, "OTEL_SERVICE_NAME=s"));
                check_resource(resource);
                ck_assert_str_eq(value(resource, "good"), "-");
                ck_assert_str_eq(value(resource, "service.name"), "s");
                n = read(pipe_fds[0], said, sizeof(said) - 1);
                ck_assert_int_gt(n, 0);
                said[n] = '\0';
                ck_assert_ptr_nonnull(strstr(said, "OTEL_RESOURCE_ATTRIBUTES"));
                ck_assert_ptr_eq(strchr(said, '\n'), said + n - 1);
                resource_free(resource);
        }
}
END_TEST

START_TEST(test_resource_new_when_attributes_are_too_many)
{
        char text[LIMIT_RESOURCE_ATTRS * 8 + 64] = "OTEL_RESOURCE_ATTRIBUTES=";
        size_t len = strlen(text);
        struct resource *resource;

        for (int i = 0; i <= LIMIT_RESOURCE_ATTRS; i++)
                len += (size_t)sprintf(text + len, "k%d=v,", i);
        resource = resource_new(slice_make(text, len));
        ck_assert_str_eq(value(resource, "k0"), "-");
        ck_assert_str_eq(value(resource, "os.type"), "linux");
        resource_free(resource);
}
END_TEST

START_TEST(test_resource_new_when_called_twice)
{
        struct resource *a = resource_new(META("@pid=1", "@term=dumb")),
                        *b = resource_new(META("@pid=1", "@no_color=1"));
        const char *id = value(a, "service.instance.id");

        ck_assert_str_ne(id, value(b, "service.instance.id"));
        ck_assert_uint_eq(strlen(id), 36);
        ck_assert_int_eq(id[14], '4');
        ck_assert_ptr_nonnull(strchr("89ab", id[19]));
        ck_assert_uint_eq(strspn(id, "0123456789abcdef-"), 36);
        ck_assert(a->plain && b->plain);
        resource_free(a);
        resource_free(b);
}
END_TEST

START_TEST(test_detect_os_value_when_quoted)
{
        static const struct {
                const char *line, *value;
        } rows[] = {
                {"NAME=Debian\n", "Debian"},
                {"NAME=\"Debian GNU/Linux\"\n", "Debian GNU/Linux"},
                {"NAME='single \\ quoted'\n", "single \\ quoted"},
                {"NAME=\"a \\\"b\\\" \\$c\"\n", "a \"b\" $c"},
                {"NAME=\"open\n", "open"},
                {"NAME=\\\n", "\\"},
                {"NAME=", ""},
                {"NAMEX=1\n", NULL},
                {"#NAME=1\n", NULL},
                {"NAME", NULL},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                char line[64];

                strcpy(line, rows[i].line);
                ck_assert_pstr_eq(detect_os_value(line, "NAME"), rows[i].value);
        }
}
END_TEST

UNIT_MAIN("resource", test_resource_new_when_meta_is_whole, test_resource_new_when_meta_is_empty_or_odd,
          test_resource_new_instance_id, test_resource_new_when_the_executable_is_deleted,
          test_resource_new_when_the_user_names_the_service, test_resource_new_when_attributes_are_given,
          test_resource_new_when_attributes_are_bad, test_resource_new_when_attributes_are_too_many,
          test_resource_new_when_called_twice, test_detect_os_value_when_quoted)
