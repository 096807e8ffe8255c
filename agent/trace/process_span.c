/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trace/process_span.h"

#include <limits.h>
#include <stdatomic.h>

#include "agent/base/clock.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/record/span.h"
#include "agent/ring/home.h"
#include "agent/trace/scope.h"

#define LIBRARY    "libotel-preload.so"
#define PATH_SHOWN 1500 /* bytes of a path that leave an open span its room */

enum state { STATE_NONE, STATE_RUNS, STATE_ENDED };

static struct {
        LARGE_TABLE _Atomic uint32_t state;
        struct trace_context context; /* its tracestate lives as long as the process's own */
        uint8_t parent_id[8];
        uint64_t start_ns; /* wall clock */
        int shown;         /* slot of the open span, or -1 */
        bool was_shown;    /* before it was handed on */
        bool from_environ; /* LD_PRELOAD loaded us, and not the system's own list */
        char path[PATH_MAX];
        size_t path_len;
} own;

static bool loads_us(char *const *envp)
{
        const char *list = carry_value(envp, "LD_PRELOAD=");

        return list && strstr(list, LIBRARY);
}

static struct slice executable_name(void)
{
        const char *slash = own.path_len ? memrchr(own.path, '/', own.path_len) : NULL;
        struct slice path = slice_make(own.path, own.path_len);

        return slash ? slice_from(path, (size_t)(slash - path.p) + 1) : path;
}

static void fill(struct span *span)
{
        *span = (struct span){
                .context = own.context,
                .parent_remote = span_id_valid(own.parent_id), /* always another process's */
                .kind = SPAN_INTERNAL,
                .shape = SHAPE_PROCESS,
                .start_ns = own.start_ns,
        };
        memcpy(span->parent_id, own.parent_id, sizeof(span->parent_id));
        span_add_str(span, SEMCONV_PROCESS_EXECUTABLE_NAME, executable_name());
        if (own.path_len <= PATH_SHOWN)
                span_add_str(span, SEMCONV_PROCESS_EXECUTABLE_PATH, slice_make(own.path, own.path_len));
        span_add_int(span, SEMCONV_PROCESS_PID, sys_getpid());
}

/* A new span below the process's own context, which it becomes. */
static void begin(void)
{
        struct scope_decision decision;

        scope_begin(&decision);
        own.context = decision.context;
        own.start_ns = clock_wall_ns(clock_mono_ns());
        own.shown = -1;
        memcpy(own.parent_id, decision.parent_id, sizeof(own.parent_id));
        scope_process(&own.context, decision.baggage, false);
        atomic_store(&own.state, decision.sampled ? STATE_RUNS : STATE_NONE);
}

/* "pid-traceid-spanid-parentid-flags-start", all but the first in hexadecimal digits. */
static const uint8_t field_bytes[] = {16, 8, 8, 1, 8};

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Return: behind "-" and @count bytes in hexadecimal digits, or NULL. */
static const char *read_field(const char *at, uint8_t *bytes, size_t count)
{
        if (*at++ != '-')
                return NULL;
        for (size_t i = 0; i < count; i++, at += 2) {
                int high = hex_value(at[0]), low = high < 0 ? -1 : hex_value(at[1]);

                if (low < 0)
                        return NULL;
                bytes[i] = (uint8_t)(high << 4 | low);
        }
        return at;
}

struct handed {
        uint8_t trace_id[16], span_id[8], parent_id[8], flags, start[8];
};
_Static_assert(sizeof(struct handed) == 16 + 8 + 8 + 1 + 8, "its fields one after another");

static bool read_handed(const char *at, struct handed *ret_handed)
{
        uint8_t *to = ret_handed->trace_id;
        long pid = 0;

        while (at && *at >= '0' && *at <= '9' && pid < INT_MAX / 10)
                pid = pid * 10 + (*at++ - '0');
        if (!at || pid != sys_getpid()) /* a child's, that inherited its parent's environment */
                return false;
        for (size_t i = 0; at && i < ARRAY_LEN(field_bytes); to += field_bytes[i++])
                at = read_field(at, to, field_bytes[i]);
        return at && !*at;
}

static bool adopt(const char *text)
{
        const struct trace_context *process;
        struct handed handed;
        struct slice baggage;

        if (!read_handed(text, &handed))
                return false;
        process = scope_process_context(&baggage);
        own.context = (struct trace_context){.flags = handed.flags};
        memcpy(own.context.trace_id, handed.trace_id, sizeof(own.context.trace_id));
        memcpy(own.context.span_id, handed.span_id, sizeof(own.context.span_id));
        memcpy(own.parent_id, handed.parent_id, sizeof(own.parent_id));
        own.start_ns = 0;
        for (size_t i = 0; i < sizeof(handed.start); i++)
                own.start_ns = own.start_ns << 8 | handed.start[i];
        if (!trace_context_valid(&own.context))
                return false;
        if (process && memcmp(process->trace_id, own.context.trace_id, sizeof(process->trace_id)) == 0)
                own.context.tracestate = process->tracestate;
        scope_process(&own.context, baggage, false);
        own.shown = -1;
        atomic_store(&own.state, STATE_RUNS);
        return true;
}

static void show_again(void)
{
        own.shown = -1; /* what was shown is in a ring that is no longer ours */
        process_span_show();
}

void process_span_start(const char *handed, char *const *environ_now)
{
        ssize_t n = sys_readlink("/proc/self/exe", own.path, sizeof(own.path));

        own.path_len = n > 0 && (size_t)n < sizeof(own.path) ? (size_t)n : 0;
        own.from_environ = loads_us(environ_now);
        home_ring_made = show_again;
        home_closing = process_span_end;
        if (!adopt(handed))
                begin();
        process_span_show();
}

void process_span_forked(void)
{
        begin();
}

bool process_span_runs(void)
{
        return atomic_load_explicit(&own.state, memory_order_relaxed) == STATE_RUNS;
}

void process_span_show(void)
{
        struct span span;

        if (!process_span_runs() || own.shown >= 0)
                return;
        home_prepare(); /* a ring that is made here comes back to us by show_again() */
        if (own.shown >= 0)
                return;
        fill(&span);
        own.shown = home_open(&span);
}

static char *write_number(char *at, uint32_t number)
{
        char digits[10];
        size_t count = 0;

        do
                digits[count++] = (char)('0' + number % 10);
        while (number /= 10);
        while (count)
                *at++ = digits[--count];
        return at;
}

static char *write_field(char *at, const uint8_t *bytes, size_t count)
{
        static const char digits[] = "0123456789abcdef";

        *at++ = '-';
        for (size_t i = 0; i < count; i++) {
                *at++ = digits[bytes[i] >> 4];
                *at++ = digits[bytes[i] & 15];
        }
        return at;
}

struct slice process_span_hand_on(char buf[CARRY_PROCESS_MAX], char *const *envp)
{
        struct handed handed = {.flags = own.context.flags};
        const uint8_t *from = handed.trace_id;
        char *at = buf;

        if (!process_span_runs() || (own.from_environ && !loads_us(envp))) {
                process_span_show();
                return SLICE_NULL;
        }
        memcpy(handed.trace_id, own.context.trace_id, sizeof(handed.trace_id));
        memcpy(handed.span_id, own.context.span_id, sizeof(handed.span_id));
        memcpy(handed.parent_id, own.parent_id, sizeof(handed.parent_id));
        for (size_t i = 0; i < sizeof(handed.start); i++)
                handed.start[i] = (uint8_t)(own.start_ns >> (56 - 8 * i));
        at = write_number(at, (uint32_t)sys_getpid());
        for (size_t i = 0; i < ARRAY_LEN(field_bytes); from += field_bytes[i++])
                at = write_field(at, from, field_bytes[i]);
        own.was_shown = own.shown >= 0;
        home_open_clear(own.shown);
        own.shown = -1;
        return slice_make(buf, (size_t)(at - buf));
}

void process_span_put_back(void)
{
        if (own.was_shown)
                process_span_show();
}

void process_span_end(int status)
{
        uint32_t runs = STATE_RUNS;
        uint64_t now = clock_mono_ns(), end_ns;
        struct span span;

        if (!atomic_compare_exchange_strong(&own.state, &runs, STATE_ENDED))
                return;
        end_ns = clock_wall_ns(now);
        fill(&span);
        span.end_ns = MAX(end_ns, own.start_ns);
        span_add_int(&span, SEMCONV_PROCESS_EXIT_CODE, status & 0xff);
        home_open_clear(own.shown);
        home_span(&span, now);
}

void process_span_child_ended(int pid, int signal)
{
        uint64_t now = clock_mono_ns();
        struct span span = {
                .context = own.context,
                .kind = SPAN_INTERNAL,
                .shape = SHAPE_PROCESS_ENDED,
                .start_ns = clock_wall_ns(now),
        };

        span.end_ns = span.start_ns;
        span_add_int(&span, SEMCONV_RAW_PID, pid);
        span_add_int(&span, SEMCONV_RAW_SIGNAL, signal);
        home_span(&span, now);
}
