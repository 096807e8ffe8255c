/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trace/carry.h"

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/trace/traceparent.h"

#define PAGE 4096

enum name { NAME_PARENT, NAME_STATE, NAME_BAGGAGE, NAME_PROCESS, NAMES };

static const char *const names[NAMES] = {"TRACEPARENT=", "TRACESTATE=", "BAGGAGE=", CARRY_PROCESS "="};

/* "NAME=value" of each, with its end. */
#define TEXT_MAX                                                                               \
        (sizeof("TRACEPARENT=") + TRACEPARENT_LEN + sizeof("TRACESTATE=") + LIMIT_TRACESTATE + \
         sizeof("BAGGAGE=") + LIMIT_BAGGAGE + sizeof(CARRY_PROCESS "=") + CARRY_PROCESS_MAX)

/* Strings of an environment lie close together: the kernel is asked once for each page. */
struct reader {
        uintptr_t page; /* 0: none yet; the first page is never mapped */
};

static bool readable(struct reader *reader, const void *p)
{
        uintptr_t page = (uintptr_t)p / PAGE;

        if (page && page == reader->page)
                return true;
        if (!sys_readable(p, 1))
                return false;
        reader->page = page;
        return true;
}

static bool entry_readable(struct reader *reader, char *const *entry)
{
        return readable(reader, entry) && readable(reader, (const char *)(entry + 1) - 1);
}

/* What follows @prefix in @text; NULL when it does not begin so, or cannot be read so far. */
static const char *after(struct reader *reader, const char *text, const char *prefix)
{
        for (; *prefix; prefix++, text++)
                if (!readable(reader, text) || *text != *prefix)
                        return NULL;
        return text;
}

static bool same(struct reader *reader, const char *value, const char *own)
{
        const char *rest = own ? after(reader, value, own) : NULL;

        return rest && readable(reader, rest) && !*rest;
}

const char *carry_value(char *const *envp, const char *name)
{
        struct reader reader = {0};

        for (char *const *entry = envp; entry && *entry; entry++) {
                const char *value = after(&reader, *entry, name);

                if (value && readable(&reader, value))
                        return value;
        }
        return NULL;
}

size_t carry_room(char *const *envp)
{
        struct reader reader = {0};
        size_t count = 0;

        for (char *const *entry = envp; entry; entry++, count++) {
                if (!entry_readable(&reader, entry))
                        return 0;
                if (!*entry)
                        break;
        }
        return (count + NAMES + 1) * sizeof(char *) + TEXT_MAX;
}

/* An empty variable counts as none, as everywhere in OpenTelemetry. */
static bool is_made_by_hand(char *const *envp, enum name name, const char *own)
{
        struct reader reader = {0};
        const char *value = carry_value(envp, names[name]);

        return value && *value && !same(&reader, value, own);
}

static char *put(char *to, const char *text, size_t len)
{
        memcpy(to, text, len);
        return to + len;
}

/* "NAME=value" at *at, which moves behind it. Return: NULL for an empty value. */
static char *make_text(char **at, enum name name, struct slice value)
{
        char *text = *at;

        if (!value.len)
                return NULL;
        *at = put(put(*at, names[name], strlen(names[name])), value.p, value.len);
        *(*at)++ = '\0';
        return text;
}

/* Then it depends on the program which of them it reads. */
static bool comes_twice(char *const *envp, enum name name)
{
        struct reader reader = {0};
        unsigned count = 0;

        for (char *const *entry = envp; entry && *entry; entry++)
                count += after(&reader, *entry, names[name]) != NULL;
        return count > 1;
}

/* What takes the place of each variable: a text, or NULL to drop it. */
struct changes {
        bool changed[NAMES];
        char *text[NAMES];
};

static void make_changes(struct changes *changes, char *at, char *const *envp, const struct carry *carry)
{
        bool parent = carry->context && !is_made_by_hand(envp, NAME_PARENT, carry->own_traceparent);
        char header[TRACEPARENT_LEN];

        *changes = (struct changes){.changed = {parent, parent}};
        changes->changed[NAME_BAGGAGE] = parent && carry->baggage.len <= LIMIT_BAGGAGE &&
                                         !is_made_by_hand(envp, NAME_BAGGAGE, carry->own_baggage);
        /* The first one is what getenv(3) finds. */
        if (carry->context && !parent && comes_twice(envp, NAME_PARENT)) {
                changes->changed[NAME_PARENT] = true;
                changes->text[NAME_PARENT] =
                        (char *)(uintptr_t)carry_value(envp, names[NAME_PARENT]) - strlen(names[NAME_PARENT]);
        }
        changes->changed[NAME_PROCESS] = carry->process.len || carry_value(envp, names[NAME_PROCESS]);
        if (parent) {
                traceparent_write(header, carry->context);
                changes->text[NAME_PARENT] = make_text(&at, NAME_PARENT, slice_make(header, sizeof(header)));
                if (carry->context->tracestate.len <= LIMIT_TRACESTATE)
                        changes->text[NAME_STATE] = make_text(&at, NAME_STATE, carry->context->tracestate);
        }
        if (changes->changed[NAME_BAGGAGE])
                changes->text[NAME_BAGGAGE] = make_text(&at, NAME_BAGGAGE, carry->baggage);
        if (carry->process.len <= CARRY_PROCESS_MAX)
                changes->text[NAME_PROCESS] = make_text(&at, NAME_PROCESS, carry->process);
}

/* Which of the changed variables is it? NAMES: none. */
static enum name changed_name(const struct changes *changes, struct reader *reader, const char *entry)
{
        enum name name = 0;

        while (name < NAMES && !(changes->changed[name] && after(reader, entry, names[name])))
                name++;
        return name;
}

char *const *carry_environ(void *memory, char *const *envp, const struct carry *carry)
{
        struct reader reader = {0};
        struct changes changes;
        size_t count = 0, room = carry_room(envp);
        char **array = memory;

        make_changes(&changes, (char *)memory + room - TEXT_MAX, envp, carry);
        if (!(changes.changed[NAME_PARENT] || changes.changed[NAME_PROCESS]))
                return envp;
        for (char *const *entry = envp; entry && *entry; entry++) {
                enum name name = changed_name(&changes, &reader, *entry);

                if (name == NAMES)
                        array[count++] = *entry;
                else if (changes.text[name])
                        array[count++] = changes.text[name];
                if (name < NAMES)
                        changes.text[name] = NULL; /* in its old place, once */
        }
        for (enum name name = 0; name < NAMES; name++)
                if (changes.text[name])
                        array[count++] = changes.text[name];
        array[count] = NULL;
        return array;
}
