/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>

#include "export/to/console.h"
#include "tests/unit/refined.h"

static const struct resource curl = {.service_name = "unknown_service:curl", .pid = 4711};
static const struct resource billing = {.service_name = "billing", .pid = 12};
static const struct resource plain = {.service_name = "plain", .plain = true};

static struct out_attr attr_str(const char *key, const char *value)
{
        return (struct out_attr){.key = key, .type = ATTR_STR, .str = slice_str(value)};
}

static struct out_attr attr_int(const char *key, int64_t value)
{
        return (struct out_attr){.key = key, .type = ATTR_INT, .num = value};
}

/* Span @id below @parent (0: root) of trace @trace, from @start for @duration nanoseconds. */
static struct out_span make_span(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start, uint64_t duration)
{
        struct out_span span = {
                .kind = SPAN_CLIENT, .name = SLICE("GET"), .start_ns = start, .end_ns = start + duration};

        span.flags = 0x101;
        memset(span.trace_id, trace, sizeof(span.trace_id));
        memset(span.span_id, id, sizeof(span.span_id));
        memset(span.parent_id, parent, sizeof(span.parent_id));
        span.has_parent = parent != 0;
        return span;
}

static struct out_span with_url(struct out_span span, const char *url, int status)
{
        static struct out_attr pool[16][3];
        static unsigned next;
        struct out_attr *attrs = pool[next++ % 16];

        attrs[0] = attr_str("url.full", url);
        attrs[1] = attr_int("http.response.status_code", status);
        span.attrs = attrs;
        span.attr_count = status ? 2 : 1;
        if (status >= 400) {
                attrs[2] = attr_str("error.type", status == 404 ? "404" : "500");
                span.attr_count = 3;
                span.status = SPAN_ERROR;
        }
        return span;
}

/* What is printed for @groups into a pipe. */
static const char *printed(const struct encode_group *groups, size_t count)
{
        static char text[65536];
        int fds[2];

        ck_assert_int_eq(pipe(fds), 0);
        ck_assert_int_ge(fcntl(fds[1], F_SETPIPE_SZ, (int)sizeof(text)), 0);
        console_write(fds[1], LIMIT_CONSOLE_MS, groups, count, NULL, NULL);
        close(fds[1]);
        ck_assert_int_eq(unit_read_all(fds[0], text, sizeof(text)), 0);
        close(fds[0]);
        return text;
}

START_TEST(test_console_write_when_a_trace_has_children)
{
        struct out_span spans[5] = {
                with_url(make_span(0xab, 3, 1, 300, 410000), "http://10.0.0.7/b", 404),
                with_url(make_span(0xab, 1, 0, 100, 12345678), "http://127.0.0.1:8080/items", 200),
                with_url(make_span(0xab, 2, 1, 200, 1500000000), "http://10.0.0.7/a", 0),
                make_span(0xab, 4, 2, 400, 900),
                make_span(0xab, 5, 0, 500, 61000000000),
        };
        const struct out_attr refused[] = {attr_str("server.address", "::1"), attr_int("server.port", 5432),
                                           attr_str("error.type", "ECONNREFUSED")};
        const struct encode_group groups[] = {{&curl, spans, 4}, {&billing, spans + 4, 1}};

        spans[3].name = SLICE("connect");
        spans[3].attrs = refused;
        spans[3].attr_count = 3;
        spans[3].status = SPAN_ERROR;
        ck_assert_str_eq(printed(groups, 2),
                         "curl[4711] · trace abababababababababababababababab\n"
                         "├─ GET http://127.0.0.1:8080/items  200                 12.35 ms\n"
                         "│  ├─ GET http://10.0.0.7/a                               1.50 s\n"
                         "│  │  └─ connect [::1]:5432         ERROR ECONNREFUSED    900 ns\n"
                         "│  └─ GET http://10.0.0.7/b         404                   410 µs\n"
                         "└─ billing[12]: GET                                     1 m 01 s\n");
}
END_TEST

/* A span of a server or of a process: its attributes end with a NULL key. */
static struct out_span with_attrs(struct out_span span, enum span_kind kind, struct slice name,
                                  const struct out_attr *attrs)
{
        span.kind = (uint8_t)kind;
        span.name = name;
        span.attrs = attrs;
        while (attrs[span.attr_count].key)
                span.attr_count++;
        return span;
}

/* One trace through a script, its curl, a proxy and two services behind it. */
START_TEST(test_console_write_when_servers_and_processes)
{
        static const struct resource bash = {.service_name = "unknown_service:bash", .pid = 100},
                                     nginx = {.service_name = "nginx", .pid = 200};
        const struct out_attr failed[] = {attr_str("process.executable.name", "bash"),
                                          attr_int("process.exit.code", 3),
                                          attr_str("error.type", "3"),
                                          {.key = NULL}};
        const struct out_attr killed[] = {attr_str("process.executable.name", "curl"),
                                          attr_str("error.type", "SIGKILL"),
                                          {.key = NULL}};
        const struct out_attr went[] = {attr_str("process.executable.name", "sleep"),
                                        attr_int("process.exit.code", 0),
                                        {.key = NULL}};
        const struct out_attr path[] = {attr_str("url.path", "/items/\x1b"),
                                        attr_str("server.address", "h"),
                                        attr_int("http.response.status_code", 404),
                                        {.key = NULL}};
        const struct out_attr route[] = {attr_str("url.path", "/users/7"),
                                         attr_str("http.route", "/users/{id}"),
                                         attr_int("http.response.status_code", 500),
                                         attr_str("error.type", "500"),
                                         {.key = NULL}};
        const struct out_attr tunnel[] = {attr_str("url.path", ""),
                                          attr_str("server.address", "far.example"),
                                          attr_int("server.port", 443),
                                          attr_str("error.type", "EPIPE"),
                                          {.key = NULL}};
        struct out_span shell[2] = {
                with_attrs(make_span(0xab, 1, 0, 100, 2000000000), SPAN_INTERNAL, SLICE("bash"), failed),
                with_attrs(make_span(0xab, 2, 1, 110, 1000000), SPAN_INTERNAL, SLICE("sleep"), went)};
        struct out_span tool[2] = {
                with_attrs(make_span(0xab, 3, 1, 120, 3000000), SPAN_INTERNAL, SLICE("curl"), killed),
                with_url(make_span(0xab, 4, 3, 130, 2500000), "http://h/items", 404)};
        struct out_span proxy[3] = {
                with_attrs(make_span(0xab, 5, 4, 140, 2000000), SPAN_SERVER, SLICE("GET"), path),
                with_attrs(make_span(0xcd, 6, 9, 150, 1000000), SPAN_SERVER, SLICE("GET /users/{id}"), route),
                with_attrs(make_span(0xcd, 7, 9, 160, 1000000), SPAN_SERVER, SLICE("CONNECT"), tunnel)};
        const struct encode_group groups[] = {{&bash, shell, 2}, {&curl, tool, 2}, {&nginx, proxy, 3}};
        const char *text;

        proxy[0].flags = proxy[1].flags = proxy[2].flags = 0x301;
        shell[0].status = tool[0].status = proxy[1].status = proxy[2].status = SPAN_ERROR;
        text = printed(groups, 3);
        ck_assert_str_eq(text,
                         "bash[100] · trace abababababababababababababababab\n"
                         "└─ bash                                  exit 3          2.00 s\n"
                         "   ├─ sleep                              exit 0         1.00 ms\n"
                         "   └─ curl[4711]                         ERROR SIGKILL  3.00 ms\n"
                         "      └─ GET http://h/items              404            2.50 ms\n"
                         "         └─ nginx[200]: GET /items/\\x1b  404            2.00 ms\n"
                         "nginx[200] · trace cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\n"
                         "├─ GET /users/{id}          500          1.00 ms  ↑ remote 0909090909090909\n"
                         "└─ CONNECT far.example:443  ERROR EPIPE  1.00 ms  ↑ remote 0909090909090909\n");
}
END_TEST

START_TEST(test_console_write_when_parents_are_elsewhere)
{
        struct out_span spans[2] = {make_span(1, 2, 9, 100, 1000), make_span(2, 3, 8, 50, 1000)};
        const struct encode_group group = {&billing, spans, 2};
        const char *text;

        spans[0].flags = 0x301;
        text = printed(&group, 1);
        ck_assert_str_eq(text, "billing[12] · trace 02020202020202020202020202020202\n"
                               "└─ GET                      1 µs  ↑ 0808080808080808\n"
                               "billing[12] · trace 01010101010101010101010101010101\n"
                               "└─ GET                      1 µs  ↑ remote 0909090909090909\n");
}
END_TEST

/* Every span is printed once, whoever claims to be whose parent. */
START_TEST(test_console_write_when_parents_form_a_circle)
{
        struct out_span spans[6] = {
                make_span(1, 1, 2, 1, 1), make_span(1, 2, 3, 2, 1), make_span(1, 3, 1, 3, 1),
                make_span(1, 4, 4, 4, 1), make_span(1, 5, 2, 5, 1), make_span(1, 5, 5, 6, 1),
        };
        const struct encode_group group = {&billing, spans, 6};
        const char *text = printed(&group, 1);
        unsigned lines = 0;

        for (const char *p = text; *p; p++)
                lines += *p == '\n';
        ck_assert_uint_eq(lines, 7);
}
END_TEST

START_TEST(test_console_write_when_texts_are_hostile)
{
        struct out_span span = with_url(make_span(1, 1, 0, 1, 1),
                                        "http://h/\x1b[2J\r\n\xc2\x9b"
                                        "1m\xe2\x80\xae\x7f",
                                        0);
        struct resource evil = {.service_name = "s\x1b]0;x\x07"};
        const struct encode_group group = {&evil, &span, 1};
        const char *text = printed(&group, 1);

        ck_assert_ptr_nonnull(strstr(text, "http://h/\\x1b[2J\\x0d\\x0a\\x9b1m\\u202e\\x7f"));
        ck_assert_ptr_nonnull(strstr(text, "s\\x1b]0;x\\x07"));
        ck_assert_ptr_null(strchr(text, '\033'));
}
END_TEST

START_TEST(test_console_write_when_a_url_is_long)
{
        char url[2000] = "http://h/";
        struct out_span span;
        struct encode_group group = {&billing, &span, 1};
        const char *text, *line;

        while (strlen(url) < sizeof(url) - 3)
                strcat(url, "\xc3\xa4");
        span = with_url(make_span(1, 1, 0, 1, 1), url, 200);
        text = printed(&group, 1);
        line = strchr(text, '\n') + 1;
        ck_assert_ptr_nonnull(strstr(line, "\xe2\x80\xa6  200"));
        ck_assert(utf8_valid(slice_str(text)));
        ck_assert_uint_lt(strlen(line), 2 * 150);
}
END_TEST

START_TEST(test_console_write_when_a_chain_is_deep)
{
        static struct out_span spans[200];
        const struct encode_group group = {&billing, spans, 200};

        for (int i = 0; i < 200; i++)
                spans[i] = make_span(1, (uint8_t)(i + 1), (uint8_t)i, (uint64_t)i, 1);
        ck_assert(utf8_valid(slice_str(printed(&group, 1))));
}
END_TEST

/* Reads what comes out of a terminal of @columns. */
static const char *on_terminal(const struct encode_group *group, unsigned short columns)
{
        static char text[4096];
        struct winsize size = {.ws_col = columns, .ws_row = 24};
        int master, slave;

        ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, &size), 0);
        console_write(slave, LIMIT_CONSOLE_MS, group, 1, NULL, NULL);
        close(slave);
        (void)unit_read_all(master, text, sizeof(text)); /* a terminal ends with an error */
        close(master);
        return text;
}

START_TEST(test_console_write_when_on_a_terminal)
{
        struct out_span span = with_url(make_span(1, 1, 0, 1, 1),
                                        "http://127.0.0.1:8080/a/path/that/is/longer/than/that", 500);
        struct encode_group group = {&billing, &span, 1};
        const char *text = on_terminal(&group, 60);

        ck_assert_ptr_nonnull(strstr(text, "\033[31m500\033[0m"));
        ck_assert_ptr_nonnull(strstr(text, "\xe2\x80\xa6"));
        group.resource = &plain;
        text = on_terminal(&group, 200);
        ck_assert_ptr_null(strchr(text, '\033'));
        ck_assert_ptr_null(strstr(text, "\xe2\x80\xa6"));
}
END_TEST

static uint64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A full pipe, blocking or not, and one that nobody holds any more: given up in time. */
START_TEST(test_console_write_when_nobody_reads)
{
        struct out_span span = with_url(make_span(1, 1, 0, 1, 1), "http://h/", 200);
        struct encode_group group = {&billing, &span, 1};
        char fill[4096] = {0};
        uint64_t start;
        int fds[2];

        signal(SIGPIPE, SIG_IGN);
        ck_assert_int_eq(pipe(fds), 0);
        ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
        while (write(fds[1], fill, sizeof(fill)) > 0)
                ;
        ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0);
        start = now_ms();
        console_write(fds[1], LIMIT_CONSOLE_MS, &group, 1, NULL, NULL);
        ck_assert_uint_lt(now_ms() - start, 5000);
        ck_assert_uint_ge(now_ms() - start, 900);
        close(fds[0]);
        start = now_ms();
        console_write(fds[1], LIMIT_CONSOLE_MS, &group, 1, NULL, NULL);
        ck_assert_uint_lt(now_ms() - start, 500);
        close(fds[1]);
        console_write(fds[1], LIMIT_CONSOLE_MS, &group, 1, NULL, NULL);
        console_write(-1, LIMIT_CONSOLE_MS, &group, 1, NULL, NULL);
}
END_TEST

UNIT_MAIN("console", test_console_write_when_a_trace_has_children,
          test_console_write_when_servers_and_processes, test_console_write_when_parents_are_elsewhere,
          test_console_write_when_parents_form_a_circle, test_console_write_when_texts_are_hostile,
          test_console_write_when_a_url_is_long, test_console_write_when_a_chain_is_deep,
          test_console_write_when_on_a_terminal, test_console_write_when_nobody_reads)
