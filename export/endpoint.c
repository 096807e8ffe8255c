/* SPDX-License-Identifier: Apache-2.0 */
#include "export/endpoint.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/base/load.h"
#include "agent/base/log.h"

#define HEADER_LINE_MAX 16384 /* a longer one would be refused by every server */
#define HEADERS_MAX     64

static const char *const schemes[] = {"http", "https"};

/* Fields that describe the request's framing and content: a user's value would break the export. */
static const struct slice own_fields[] = {
        {"content-type", 12}, {"content-length", 14},    {"content-encoding", 16},
        {"connection", 10},   {"transfer-encoding", 17}, {"expect", 6},
};

static void cleanup_url_p(CURLU **url)
{
        curl_url_cleanup(*url);
}

static void cleanup_curl_p(char **text)
{
        curl_free(*text);
}

#define cleanup_url  __attribute__((cleanup(cleanup_url_p)))
#define cleanup_curl __attribute__((cleanup(cleanup_curl_p)))

static int url_error(CURLUcode code)
{
        return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

/* Below the path that the base has: "/" and "/my" and "/my/" all take one more segment. */
static int path_append(CURLU *url, const char *append)
{
        cleanup_curl char *path = NULL;
        cleanup_free char *longer = NULL;
        CURLUcode code = curl_url_get(url, CURLUPART_PATH, &path, 0);
        size_t len;

        if (code)
                return url_error(code);
        len = strlen(path);
        longer = malloc(len + strlen(append) + 2);
        if (!longer)
                return -ENOMEM;
        memcpy(longer, path, len);
        if (len == 0 || path[len - 1] != '/')
                longer[len++] = '/';
        memcpy(longer + len, append, strlen(append) + 1);
        code = curl_url_set(url, CURLUPART_PATH, longer, 0);
        return code ? url_error(code) : 0;
}

static bool scheme_known(const char *scheme)
{
        for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
                if (strcmp(schemes[i], scheme) == 0)
                        return true;
        return false;
}

/* A copy in malloc's hands without the brackets of an IPv6 address. */
static char *host_copy(const char *host)
{
        size_t len = strlen(host);

        if (len >= 2 && host[0] == '[' && host[len - 1] == ']')
                return strndup(host + 1, len - 2);
        return strdup(host);
}

static int parts_read(CURLU *url, struct endpoint *ret_endpoint)
{
        cleanup_curl char *scheme = NULL;
        cleanup_curl char *host = NULL;
        cleanup_curl char *port = NULL;
        cleanup_curl char *whole = NULL;
        cleanup_free char *url_copy = NULL;
        char *bare;
        CURLUcode code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);

        if (!code)
                code = curl_url_get(url, CURLUPART_HOST, &host, 0);
        if (!code)
                code = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
        if (!code)
                code = curl_url_get(url, CURLUPART_URL, &whole, 0);
        if (code)
                return url_error(code);
        if (!scheme_known(scheme) || !*host)
                return -EINVAL;
        url_copy = strdup(whole);
        bare = host_copy(host);
        if (!url_copy || !bare) {
                free(bare);
                return -ENOMEM;
        }
        ret_endpoint->url = steal_ptr(&url_copy);
        ret_endpoint->host = bare;
        ret_endpoint->port = (uint16_t)strtoul(port, NULL, 10);
        ret_endpoint->https = strcmp(scheme, "https") == 0;
        return 0;
}

int endpoint_url(const char *text, const char *append, struct endpoint *ret_endpoint)
{
        cleanup_url CURLU *url = curl_url();
        cleanup_free char *trimmed = NULL;
        struct slice clean = slice_trim(slice_str(text));
        CURLUcode code;
        int error = 0;

        if (!url)
                return -ENOMEM;
        trimmed = strndup(clean.len ? clean.p : "", clean.len);
        if (!trimmed)
                return -ENOMEM;
        code = curl_url_set(url, CURLUPART_URL, trimmed, 0);
        if (code)
                return url_error(code);
        (void)curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0); /* never sent; removing cannot fail */
        if (append)
                error = path_append(url, append);
        return error ? error : parts_read(url, ret_endpoint);
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = ascii_lower(c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A field name is a token (RFC 9110 section 5.6.2). */
static bool token_valid(struct slice text)
{
        static const char marks[] = "!#$%&'*+-.^_`|~";

        for (size_t i = 0; i < text.len; i++) {
                char c = text.p[i];
                bool alnum = (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');

                if (!alnum && (!c || !strchr(marks, c)))
                        return false;
        }
        return text.len > 0;
}

/* Return: false for a bad % sequence, or for what may not stand in a field (line ends above all). */
static bool value_decode(struct slice text, char *dst, size_t *ret_len)
{
        size_t len = 0;

        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.p[i];

                if (c == '%') {
                        int high = i + 2 < text.len ? hex_digit(text.p[i + 1]) : -1;
                        int low = i + 2 < text.len ? hex_digit(text.p[i + 2]) : -1;

                        if (high < 0 || low < 0)
                                return false;
                        c = (unsigned char)(high << 4 | low);
                        i += 2;
                }
                if ((c < 0x20 && c != '\t') || c == 0x7f)
                        return false;
                dst[len++] = (char)c;
        }
        *ret_len = len;
        return true;
}

static bool field_is_ours(struct slice name)
{
        for (size_t i = 0; i < ARRAY_LEN(own_fields); i++)
                if (slice_eq_nocase(own_fields[i], name))
                        return true;
        return false;
}

/* One "key=value" as "key: value" in @line. Return: why not, or NULL. */
static const char *pair_line(struct slice pair, char line[HEADER_LINE_MAX])
{
        size_t split = slice_find(pair, '=');
        struct slice name = slice_trim(slice_to(pair, split));
        struct slice value = slice_trim(slice_from(pair, split + 1));
        size_t len = 0;

        if (split == pair.len)
                return "no '='";
        if (!token_valid(name))
                return "the name is not a token";
        if (field_is_ours(name))
                return "this field is not the user's to set";
        if (name.len + value.len + 3 > HEADER_LINE_MAX)
                return "too long";
        memcpy(line, name.p, name.len);
        memcpy(line + name.len, ": ", 2);
        if (!value_decode(value, line + name.len + 2, &len))
                return "the value does not decode";
        /* libcurl sends a field without a value only when it is written with a semicolon. */
        if (len == 0)
                memcpy(line + name.len, ";", 2);
        else
                line[name.len + 2 + len] = '\0';
        return NULL;
}

int endpoint_headers(const char *setting, const char *text, struct curl_slist **ret_headers)
{
        struct slice rest = slice_str(text);
        cleanup_free char *line = malloc(HEADER_LINE_MAX);
        struct curl_slist *headers = NULL;

        if (!line)
                return -ENOMEM;
        for (unsigned n = 1, kept = 0; rest.len; n++) {
                size_t end = slice_find(rest, ',');
                struct slice pair = slice_trim(slice_to(rest, end));
                const char *why;
                struct curl_slist *longer;

                rest = slice_from(rest, end + 1);
                if (!pair.len)
                        continue;
                why = kept < HEADERS_MAX ? pair_line(pair, line) : "too many";
                if (why) {
                        log_warn("%s: item %u is left out: %s", setting, n, why);
                        continue;
                }
                longer = curl_slist_append(headers, line);
                if (!longer) {
                        curl_slist_free_all(headers);
                        return -ENOMEM;
                }
                headers = longer;
                kept++;
        }
        *ret_headers = headers;
        return 0;
}

/* The shorter of two limits, where 0 is none. */
static int64_t limit_min(int64_t a, int64_t b)
{
        if (!a || !b)
                return a ? a : b;
        return MIN(a, b);
}

int endpoint_traces(const struct config *config, struct endpoint *ret_endpoint)
{
        bool own_url = config_is_set(config, CONFIG_otlp_traces_endpoint);
        bool own_headers = config_is_set(config, CONFIG_otlp_traces_headers);
        bool own_timeout = config_is_set(config, CONFIG_otlp_traces_timeout);
        int url_row = own_url ? CONFIG_otlp_traces_endpoint : CONFIG_otlp_endpoint;
        int headers_row = own_headers ? CONFIG_otlp_traces_headers : CONFIG_otlp_headers;
        struct endpoint endpoint = {0};
        int error = endpoint_url(own_url ? config->otlp_traces_endpoint : config->otlp_endpoint,
                                 own_url ? NULL : "v1/traces", &endpoint);

        if (error == -EINVAL) /* the value stays out of it: it may hold a password */
                log_error("%s is not a usable http or https URL: spans are not sent",
                          config_rows[url_row].env);
        if (error)
                return error;
        error = endpoint_headers(config_rows[headers_row].env,
                                 own_headers ? config->otlp_traces_headers : config->otlp_headers,
                                 &endpoint.headers);
        if (error) {
                endpoint_done(&endpoint);
                return error;
        }
        endpoint.timeout_ms = limit_min(own_timeout ? config->otlp_traces_timeout : config->otlp_timeout,
                                        config->bsp_export_timeout);
        *ret_endpoint = endpoint;
        return 0;
}

void endpoint_done(struct endpoint *endpoint)
{
        free(endpoint->url);
        free(endpoint->host);
        curl_slist_free_all(endpoint->headers);
        *endpoint = (struct endpoint){0};
}
