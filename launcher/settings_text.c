/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/settings_text.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "agent/base/load.h"
#include "agent/base/slice.h"

/* Return: what is wrong with it; NULL: nothing. */
typedef const char *text_fault_fn(const char *text);

/* Of "host", "host:port" or "[address]:port", @len bytes. */
static bool host_usable(const char *host, size_t len)
{
        const char *end = host + len, *port = memchr(host, ':', len);
        unsigned long number = 0;

        if (len && host[0] == '[') {
                const char *bracket = memchr(host, ']', len);

                if (!bracket || (bracket + 1 < end && bracket[1] != ':'))
                        return false;
                port = bracket + 1 < end ? bracket + 1 : NULL;
        }
        if (len == 0 || port == host)
                return false;
        for (const char *p = port ? port + 1 : end; p < end; p++) {
                if (*p < '0' || *p > '9')
                        return false;
                number = number * 10 + (unsigned long)(*p - '0');
                if (number > UINT16_MAX)
                        return false;
        }
        return true;
}

static const char *endpoint_fault(const char *text)
{
        static const char *const schemes[] = {"http://", "https://"};
        const char *host = NULL;

        for (size_t i = 0; i < ARRAY_LEN(schemes) && !host; i++)
                if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0)
                        host = text + strlen(schemes[i]);
        if (!host)
                return "not an http:// or https:// URL, nothing will be exported";
        for (const char *at = host; (at = memchr(host, '@', strcspn(host, "/?#")));)
                host = at + 1;
        if (!host_usable(host, strcspn(host, "/?#")) || strpbrk(text, " \t\r\n"))
                return "a URL without a usable host and port, nothing will be exported";
        return NULL;
}

static const char *skip_blanks(const char *text)
{
        return text + strspn(text, " \t");
}

static const char *pairs_fault(const char *text)
{
        for (const char *part = skip_blanks(text); *part; part = skip_blanks(part)) {
                size_t len = strcspn(part, ",");
                const char *equals = memchr(part, '=', len);

                if (len && (!equals || equals == part))
                        return "not a list key1=value1,key2=value2";
                part += len + (part[len] == ',');
        }
        return NULL;
}

static const char *routes_fault(const char *text)
{
        for (const char *part = skip_blanks(text); *part; part = skip_blanks(part)) {
                size_t len = strcspn(part, ",");

                if (len && part[0] != '/')
                        return "not a list of paths: each pattern begins with /";
                part += len + (part[len] == ',');
        }
        return NULL;
}

static const struct {
        enum config_id id;
        text_fault_fn *fault;
} rows[] = {
        {CONFIG_otlp_endpoint, endpoint_fault},    {CONFIG_otlp_traces_endpoint, endpoint_fault},
        {CONFIG_otlp_headers, pairs_fault},        {CONFIG_otlp_traces_headers, pairs_fault},
        {CONFIG_resource_attributes, pairs_fault}, {CONFIG_http_routes, routes_fault},
};

/* Headers carry tokens, URLs may carry a password. */
static bool may_be_secret(const struct config_row *row, const char *text)
{
        return strstr(row->env, "HEADERS") || strchr(text, '@');
}

void settings_text_check(const struct config *config, config_warn_fn *warn, void *ctx)
{
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct config_row *row = &config_rows[rows[i].id];
                const char *text = *(const char *const *)(const void *)((const char *)config + row->offset);
                const char *fault = config_is_set(config, rows[i].id) ? rows[i].fault(text) : NULL;

                if (fault)
                        warn(ctx, row, may_be_secret(row, text) ? "(not shown)" : text, fault);
        }
}
