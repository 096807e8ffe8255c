/* SPDX-License-Identifier: Apache-2.0 */
#include "export/to/console.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "export/text.h"
#include "export/utf8.h"

#define COLUMNS_DEFAULT 140
#define COLUMNS_MIN     60
#define LABEL_MIN       24
#define STATUS_MAX      40
#define TERMINAL_CHUNK  256 /* a terminal that says it is ready takes at least so much without waiting */

#define STYLE_OFF   "\033[0m"
#define STYLE_BOLD  "\033[1m"
#define STYLE_DIM   "\033[2m"
#define STYLE_RED   "\033[31m"
#define STYLE_GREEN "\033[32m"

/* A span's line before the columns are known. */
struct console_line {
        const struct console_node *node;
        struct slice branch; /* the tree to its left */
        struct slice label, status;
        char duration[16];
        bool error;
};

struct console {
        struct arena arena;
        struct text out;
        bool colours;
        size_t columns;
};

static void styled(struct console *console, const char *style, struct slice text)
{
        bool on = console->colours && *style && text.len;

        text_add_str(&console->out, on ? style : "");
        text_add(&console->out, text);
        text_add_str(&console->out, on ? STYLE_OFF : "");
}

/* Characters, each taken for one column. */
static size_t width(struct slice text)
{
        size_t count = 0;

        for (size_t i = 0; i < text.len; i++)
                count += ((unsigned char)text.p[i] & 0xc0) != 0x80;
        return count;
}

static void pad(struct console *console, size_t have, size_t want)
{
        for (; have < want; have++)
                text_add_str(&console->out, " ");
}

/* Would a terminal obey it, or show it as something else? Controls, marks of writing direction. */
static bool must_escape(uint32_t code)
{
        return code < ' ' || (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e ||
               code == 0x200f || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
               code == 0xfeff;
}

static void add_escaped(struct text *text, struct slice piece)
{
        char escape[16];
        uint32_t code;

        while (piece.len) {
                size_t step = utf8_step(piece, &code);

                if (must_escape(code)) {
                        (void)snprintf(escape, sizeof(escape), code < 0x100 ? "\\x%02x" : "\\u%04x", code);
                        text_add_str(text, escape);
                } else {
                        text_add(text, slice_to(piece, step));
                }
                piece = slice_from(piece, step);
        }
}

/* At most @max characters, the last of them an ellipsis where something is missing. */
static struct slice shorten(struct console *console, struct slice text, size_t max)
{
        struct text cut = {.arena = &console->arena};
        size_t end = 0, count = 0;

        if (width(text) <= max)
                return text;
        for (; end < text.len; end++) {
                count += ((unsigned char)text.p[end] & 0xc0) != 0x80;
                if (count == max)
                        break;
        }
        text_add(&cut, slice_to(text, end));
        text_add_str(&cut, "\xe2\x80\xa6");
        return text_get(&cut);
}

static const struct out_attr *find_attr(const struct out_span *span, const char *key)
{
        for (unsigned i = 0; i < span->attr_count; i++)
                if (strcmp(span->attrs[i].key, key) == 0)
                        return &span->attrs[i];
        return NULL;
}

static struct slice find_str(const struct out_span *span, const char *key)
{
        const struct out_attr *attr = find_attr(span, key);

        return attr ? attr->str : SLICE_NULL;
}

static int64_t find_int(const struct out_span *span, const char *key)
{
        const struct out_attr *attr = find_attr(span, key);

        return attr ? attr->num : 0;
}

/* Nobody named it: the program's name says it as well. */
static struct slice service_of(const struct resource *resource)
{
        struct slice name = slice_str(resource->service_name);
        struct slice unknown = SLICE("unknown_service:");

        return slice_starts(name, unknown) ? slice_from(name, unknown.len) : name;
}

static void add_process(struct text *text, const struct resource *resource)
{
        add_escaped(text, service_of(resource));
        if (!resource->pid)
                return;
        text_add_str(text, "[");
        text_add_int(text, resource->pid);
        text_add_str(text, "]");
}

static void add_server(struct text *text, const struct out_span *span)
{
        struct slice server = find_str(span, "server.address");
        bool bracket = slice_find(server, ':') < server.len;
        int64_t port = find_int(span, "server.port");

        text_add_str(text, server.len ? " " : "");
        text_add_str(text, bracket ? "[" : "");
        add_escaped(text, server);
        text_add_str(text, bracket ? "]" : "");
        if (port) {
                text_add_str(text, ":");
                text_add_int(text, port);
        }
}

/* What the span is about, where its name does not say so: the URL of a client, the path of a server. */
static void add_object(struct text *text, const struct out_span *span)
{
        struct slice url = find_str(span, "url.full");

        if (find_attr(span, "http.route"))
                return;
        if (!url.len)
                url = find_str(span, "url.path");
        if (!url.len) {
                add_server(text, span);
                return;
        }
        text_add_str(text, " ");
        add_escaped(text, url);
}

static struct slice make_label(struct console *console, const struct console_node *node,
                               const struct resource *around)
{
        const struct out_span *span = node->span;
        bool said = find_attr(span, "process.executable.name") &&
                    slice_eq(service_of(node->resource), span->name);
        struct text label = {.arena = &console->arena};

        if (node->resource != around) {
                add_process(&label, node->resource);
                if (said)
                        return text_get(&label);
                text_add_str(&label, ": ");
        }
        add_escaped(&label, span->name);
        add_object(&label, span);
        return text_get(&label);
}

/* "200", "404", "ERROR ECONNREFUSED", "200 unexpected_eof", "exit 3", "unfinished" */
static struct slice make_status(struct console *console, const struct out_span *span)
{
        const struct out_attr *exit_code = find_attr(span, "process.exit.code");
        int64_t code = find_int(span, "http.response.status_code");
        struct slice type = find_str(span, "error.type");
        struct text status = {.arena = &console->arena};
        struct slice digits;

        if (code)
                text_add_int(&status, code);
        digits = text_get(&status);
        if (exit_code) {
                text_add_str(&status, "exit ");
                text_add_int(&status, exit_code->num);
        } else if (span->status == SPAN_ERROR && !slice_eq(type, digits)) {
                text_add_str(&status, code ? " " : "ERROR ");
                add_escaped(&status, type);
        }
        if (find_attr(span, "otel.instrument.incomplete"))
                text_add_str(&status, status.len ? " unfinished" : "unfinished");
        return shorten(console, text_get(&status), STATUS_MAX);
}

static void make_duration(char *out, size_t size, uint64_t ns)
{
        uint64_t seconds = ns / 1000000000;

        if (ns < 1000)
                (void)snprintf(out, size, "%u ns", (unsigned)ns);
        else if (ns < 1000000)
                (void)snprintf(out, size, "%u \xc2\xb5s", (unsigned)(ns / 1000));
        else if (seconds < 1)
                (void)snprintf(out, size, "%.*f ms", ns < 100000000 ? 2 : 1, (double)ns / 1e6);
        else if (seconds < 60)
                (void)snprintf(out, size, "%.2f s", (double)ns / 1e9);
        else if (seconds < 6000)
                (void)snprintf(out, size, "%u m %02u s", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
        else
                (void)snprintf(out, size, "%u h %02u m", (unsigned)MIN(seconds / 3600, 99999u),
                               (unsigned)(seconds / 60 % 60));
}

static struct slice make_branch(struct console *console, const struct console_node *node)
{
        const struct console_node *path[LIMIT_CONSOLE_DEPTH];
        struct text branch = {.arena = &console->arena};
        size_t depth = 0;

        for (const struct console_node *up = node->parent; up && depth < LIMIT_CONSOLE_DEPTH; up = up->parent)
                path[depth++] = up;
        while (depth--)
                text_add_str(&branch, path[depth]->next ? "\xe2\x94\x82  " : "   ");
        text_add_str(&branch, node->next ? "\xe2\x94\x9c\xe2\x94\x80 " : "\xe2\x94\x94\xe2\x94\x80 ");
        return text_get(&branch);
}

static void make_line(struct console *console, const struct console_node *node, const struct resource *around,
                      struct console_line *line)
{
        line->node = node;
        line->branch = make_branch(console, node);
        line->label = make_label(console, node, around);
        line->status = make_status(console, node->span);
        line->error = node->span->status == SPAN_ERROR;
        make_duration(line->duration, sizeof(line->duration), node->span->end_ns - node->span->start_ns);
}

static void add_hex(struct text *text, const uint8_t *bytes, size_t len)
{
        char digits[3];

        for (size_t i = 0; i < len; i++) {
                (void)snprintf(digits, sizeof(digits), "%02x", bytes[i]);
                text_add_str(text, digits);
        }
}

/* Whose child it is, when that one is not printed here. */
static void print_parent(struct console *console, const struct console_node *node)
{
        struct text hint = {.arena = &console->arena};

        if (node->parent || !node->span->has_parent)
                return;
        text_add_str(&hint, node->span->flags & 0x200 ? "  \xe2\x86\x91 remote " : "  \xe2\x86\x91 ");
        add_hex(&hint, node->span->parent_id, sizeof(node->span->parent_id));
        styled(console, STYLE_DIM, text_get(&hint));
}

static void print_line(struct console *console, const struct console_line *line, size_t label_width,
                       size_t status_width, size_t duration_width)
{
        size_t room = label_width - MIN(width(line->branch), label_width - 1);
        struct slice label = shorten(console, line->label, room);
        struct slice duration = slice_str(line->duration);

        styled(console, STYLE_DIM, line->branch);
        styled(console, "", label);
        pad(console, width(line->branch) + width(label), label_width);
        text_add_str(&console->out, "  ");
        styled(console, line->error ? STYLE_RED : STYLE_GREEN, line->status);
        pad(console, width(line->status), status_width);
        text_add_str(&console->out, "  ");
        pad(console, width(duration), duration_width);
        text_add(&console->out, duration);
        print_parent(console, line->node);
        text_add_str(&console->out, "\n");
}

static void print_lines(struct console *console, const struct console_line *lines, size_t count)
{
        size_t label = LABEL_MIN, status = 0, duration = 0, room;

        for (size_t i = 0; i < count; i++) {
                label = MAX(label, width(lines[i].branch) + width(lines[i].label));
                status = MAX(status, width(lines[i].status));
                duration = MAX(duration, width(slice_str(lines[i].duration)));
        }
        room = console->columns > status + duration + 4 ? console->columns - status - duration - 4 : 0;
        label = MIN(label, MAX(room, LABEL_MIN));
        for (size_t i = 0; i < count; i++)
                print_line(console, &lines[i], label, status, duration);
}

static void print_header(struct console *console, const struct console_node *top)
{
        struct text process = {.arena = &console->arena}, trace = {.arena = &console->arena};

        add_process(&process, top->resource);
        text_add_str(&trace, " \xc2\xb7 trace ");
        add_hex(&trace, top->span->trace_id, sizeof(top->span->trace_id));
        styled(console, STYLE_BOLD, text_get(&process));
        styled(console, STYLE_DIM, text_get(&trace));
        text_add_str(&console->out, "\n");
}

static void print_trace(struct console *console, const struct console_trace *trace)
{
        struct console_line *lines = arena_alloc(&console->arena, trace->count * sizeof(*lines));
        size_t count = 0;

        if (!lines)
                return;
        for (struct console_node *node = trace->top; node; node = console_tree_next(node))
                make_line(console, node, node->parent ? node->parent->resource : trace->top->resource,
                          &lines[count++]);
        print_header(console, trace->top);
        print_lines(console, lines, count);
}

/* A pipe or terminal of the program's: blocking or not, read or not, we wait for it only so long. */
static bool write_all(int fd, struct slice text, unsigned wait_ms)
{
        size_t chunk = isatty(fd) ? TERMINAL_CHUNK : PIPE_BUF;
        uint64_t end = clock_mono_ns() + wait_ms * 1000000ull;

        while (text.len) {
                uint64_t now = clock_mono_ns();
                struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
                int timeout = now < end ? (int)((end - now) / 1000000) : 0;
                int ready = poll(&poll_fd, 1, timeout);
                ssize_t n;

                if (ready < 0 && errno == EINTR && now < end)
                        continue;
                if (ready <= 0 || !(poll_fd.revents & POLLOUT))
                        return false;
                n = write(fd, text.p, MIN(text.len, chunk));
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return false;
                if (n > 0)
                        text = slice_from(text, (size_t)n);
        }
        return true;
}

static void look_at_terminal(struct console *console, int fd, const struct encode_group *groups,
                             size_t group_count)
{
        struct winsize size;

        console->columns = COLUMNS_DEFAULT;
        if (!isatty(fd))
                return;
        console->colours = true;
        for (size_t i = 0; i < group_count; i++)
                console->colours &= !groups[i].resource->plain;
        if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col)
                console->columns = MAX(size.ws_col, COLUMNS_MIN);
}

bool console_write(int fd, unsigned wait_ms, const struct encode_group *groups, size_t group_count,
                   console_hold_fn *hold, void *ctx)
{
        struct console console = {.columns = 0};
        struct console_tree tree;
        bool written = false;

        if (fd < 0)
                return false;
        console.out.arena = &console.arena;
        look_at_terminal(&console, fd, groups, group_count);
        if (console_tree_build(&console.arena, groups, group_count, &tree)) {
                for (size_t i = 0; i < tree.count; i++)
                        if (!hold || !hold(ctx, &tree.traces[i]))
                                print_trace(&console, &tree.traces[i]);
                written = write_all(fd, text_get(&console.out), wait_ms);
        }
        arena_done(&console.arena);
        return written;
}
