/* SPDX-License-Identifier: Apache-2.0 */
#include "export/to/resolve.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/load.h"
#include "export/endpoint.h"

#define FRESH_NS      60000000000ull /* as long as libcurl itself would keep them */
#define ADDRESSES_MAX 8
#define LINE_MAX_LEN  (256 + 8 + ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3))

/* Which variables name a proxy, by the rules of libcurl: http_proxy counts in small letters only. */
static const struct {
        const char *name;
        bool http, https;
} proxy_rows[] = {
        {"http_proxy", true, false}, {"https_proxy", false, true}, {"HTTPS_PROXY", false, true},
        {"all_proxy", true, true},   {"ALL_PROXY", true, true},
};

static bool needs_no_lookup(const char *host)
{
        unsigned char address[sizeof(struct in6_addr)];
        size_t len = strlen(host);

        if (inet_pton(AF_INET, host, address) == 1 || strchr(host, ':'))
                return true;
        /* libcurl answers for these by itself */
        return strcasecmp(host, "localhost") == 0 ||
               (len > 10 && strcasecmp(host + len - 10, ".localhost") == 0);
}

/* Appends "sep" + address; what does not fit is left out. */
static size_t address_append(char *line, size_t len, const char *sep, const struct addrinfo *info)
{
        char host[INET6_ADDRSTRLEN];
        bool six = info->ai_family == AF_INET6;
        int n;

        if (getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST))
                return len;
        n = snprintf(line + len, LINE_MAX_LEN - len, six ? "%s[%s]" : "%s%s", sep, host);
        return n > 0 && (size_t)n < LINE_MAX_LEN - len ? len + (size_t)n : len;
}

static bool lookup(struct resolve *resolve, const char *host, unsigned port)
{
        const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        struct addrinfo *infos = NULL;
        struct curl_slist *longer = NULL;
        char line[LINE_MAX_LEN];
        unsigned count = 0;
        size_t len;
        int n;

        if (needs_no_lookup(host))
                return true;
        n = snprintf(line, sizeof(line), "%s:%u:", host, port);
        if (n < 0 || n > 256 || getaddrinfo(host, NULL, &hints, &infos))
                return false;
        len = (size_t)n;
        for (struct addrinfo *info = infos; info && count < ADDRESSES_MAX; info = info->ai_next)
                if (info->ai_family == AF_INET || info->ai_family == AF_INET6)
                        len = address_append(line, len, count++ ? "," : "", info);
        freeaddrinfo(infos);
        line[len] = '\0';
        if (count)
                longer = curl_slist_append(resolve->list, line);
        if (longer)
                resolve->list = longer;
        return longer;
}

static void lookup_proxy(struct resolve *resolve, const char *text)
{
        CURLU *url = curl_url();
        char *host = NULL;
        char *port = NULL;

        if (url && !curl_url_set(url, CURLUPART_URL, text, CURLU_DEFAULT_SCHEME | CURLU_NON_SUPPORT_SCHEME) &&
            !curl_url_get(url, CURLUPART_HOST, &host, 0)) {
                /* libcurl's port for every kind of proxy that does not name one, but for HTTPS proxies */
                unsigned number = strncmp(text, "https:", 6) == 0 ? 443 : 1080;

                if (!curl_url_get(url, CURLUPART_PORT, &port, 0))
                        number = (unsigned)strtoul(port, NULL, 10);
                (void)lookup(resolve, host, number); /* where no_proxy says so it is not used */
        }
        curl_free(port);
        curl_free(host);
        curl_url_cleanup(url);
}

bool resolve_fresh(struct resolve *resolve, const struct endpoint *endpoint, uint64_t now_ns)
{
        bool proxied = false;
        bool found;

        if (now_ns < resolve->until_ns)
                return true;
        resolve_done(resolve);
        for (size_t i = 0; i < ARRAY_LEN(proxy_rows); i++) {
                const char *text = getenv(proxy_rows[i].name);
                bool applies = endpoint->https ? proxy_rows[i].https : proxy_rows[i].http;

                if (!applies || !text || !*text)
                        continue;
                lookup_proxy(resolve, text);
                proxied = true;
        }
        found = lookup(resolve, endpoint->host, endpoint->port);
        if (found || proxied)
                resolve->until_ns = now_ns + FRESH_NS;
        return found || proxied;
}

void resolve_stale(struct resolve *resolve)
{
        resolve->until_ns = 0;
}

void resolve_done(struct resolve *resolve)
{
        curl_slist_free_all(resolve->list);
        *resolve = (struct resolve){0};
}
