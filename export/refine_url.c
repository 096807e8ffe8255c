/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_url.h"

#include "agent/base/load.h"

static const struct refine_url_scheme url_schemes[] = {
        {"http", 80, true}, {"https", 443, true}, {"ws", 80, true},    {"wss", 443, true},
        {"ftp", 21, false}, {"ftps", 990, false}, {"sftp", 22, false}, {"scp", 22, false},
};

/* Query parameters whose values never leave: semantic conventions, url.query. Case-sensitive. */
static const struct slice url_secrets[] = {
        {"X-Amz-Signature", 15},  {"X-Amz-Credential", 16}, {"X-Amz-Security-Token", 20}, {"sig", 3},
        {"X-Goog-Signature", 16},
};

static bool is_alpha(char c)
{
        return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Bytes of a scheme at the beginning (RFC 3986, section 3.1). */
static size_t scheme_len(struct slice url)
{
        size_t len = 0;

        if (!url.len || !is_alpha(url.p[0]))
                return 0;
        while (len < url.len &&
               (is_alpha(url.p[len]) || is_digit(url.p[len]) || (url.p[len] && strchr("+-.", url.p[len]))))
                len++;
        return len;
}

static size_t find_any(struct slice s, const char *chars)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.p[i] && strchr(chars, s.p[i]))
                        return i;
        return s.len;
}

/* Position after the last '@', 0 when there is none. */
static size_t after_last_at(struct slice s)
{
        const char *at = s.len ? memrchr(s.p, '@', s.len) : NULL;

        return at ? (size_t)(at - s.p) + 1 : 0;
}

/* reg-name and IPv4 of RFC 3986, and any byte above ASCII (internationalised names). */
static bool host_ok(struct slice host)
{
        for (size_t i = 0; i < host.len; i++) {
                unsigned char c = (unsigned char)host.p[i];

                if (c <= ' ' || c == 0x7f || strchr("\"#/<>?@[\\]^`{|}:", c))
                        return false;
        }
        return host.len > 0;
}

/* Hexadecimal digits, ':' and '.', perhaps a zone after '%'. */
static bool ipv6_ok(struct slice host)
{
        bool colon = false;

        host = slice_to(host, slice_find(host, '%'));
        for (size_t i = 0; i < host.len; i++) {
                char c = ascii_lower(host.p[i]);

                if (!is_digit(c) && !(c >= 'a' && c <= 'f') && c != ':' && c != '.')
                        return false;
                colon |= c == ':';
        }
        return colon;
}

/* ":port", ":" or nothing. */
static bool parse_port(struct slice s, int *ret_port)
{
        int port = 0;

        if (s.len && s.p[0] != ':')
                return false;
        for (size_t i = 1; i < s.len; i++) {
                if (!is_digit(s.p[i]))
                        return false;
                port = port * 10 + (s.p[i] - '0');
                if (port > 65535)
                        return false;
        }
        *ret_port = port;
        return true;
}

bool refine_url_authority(struct slice authority, struct slice *ret_host, int *ret_port)
{
        struct slice host, tail;
        size_t end;

        if (authority.len && authority.p[0] == '[') {
                end = slice_find(authority, ']');
                if (end == authority.len)
                        return false;
                host = slice_to(slice_from(authority, 1), end - 1);
                tail = slice_from(authority, end + 1);
                if (!ipv6_ok(host))
                        return false;
        } else {
                end = slice_find(authority, ':');
                host = slice_to(authority, end);
                tail = slice_from(authority, end);
                if (!host_ok(host))
                        return false;
        }
        if (!parse_port(tail, ret_port))
                return false;
        *ret_host = host;
        return true;
}

bool refine_url_split(struct slice url, struct refine_url *ret_url)
{
        size_t scheme = scheme_len(url), end, at;
        struct refine_url parts = {.port = 0};
        struct slice tail = slice_from(url, scheme);

        if (!scheme || !slice_starts(tail, SLICE("://")))
                return false;
        parts.scheme = slice_to(url, scheme);
        tail = slice_from(tail, 3);
        end = find_any(tail, "/?#");
        at = after_last_at(slice_to(tail, end));
        /* "//user:pass/word@host": not a host and a path, but a password that nobody encoded. */
        if (!at && end < tail.len && !refine_url_authority(slice_to(tail, end), &parts.host, &parts.port))
                at = after_last_at(tail);
        if (at > end)
                end = at + find_any(slice_from(tail, at), "/?#");
        parts.credentials = at > 0;
        parts.authority = slice_from(slice_to(tail, end), at);
        parts.rest = slice_from(tail, end);
        parts.host = SLICE_NULL;
        parts.port = 0;
        /* Not understood: the host stays empty. */
        (void)refine_url_authority(parts.authority, &parts.host, &parts.port);
        *ret_url = parts;
        return true;
}

const struct refine_url_scheme *refine_url_scheme(struct slice name)
{
        for (size_t i = 0; i < ARRAY_LEN(url_schemes); i++)
                if (slice_eq_nocase(name, slice_str(url_schemes[i].name)))
                        return &url_schemes[i];
        return NULL;
}

static bool is_secret(struct slice key)
{
        for (size_t i = 0; i < ARRAY_LEN(url_secrets); i++)
                if (slice_eq(key, url_secrets[i]))
                        return true;
        return false;
}

void refine_url_write_query(struct text *text, struct slice query)
{
        for (;;) {
                size_t end = slice_find(query, '&');
                struct slice pair = slice_to(query, end);
                size_t eq = slice_find(pair, '=');

                if (eq < pair.len && is_secret(slice_to(pair, eq))) {
                        text_add(text, slice_to(pair, eq + 1));
                        text_add(text, SLICE("REDACTED"));
                } else {
                        text_add(text, pair);
                }
                if (end == query.len)
                        return;
                text_add(text, SLICE("&"));
                query = slice_from(query, end + 1);
        }
}

void refine_url_write(struct text *text, const struct refine_url *url)
{
        size_t fragment = slice_find(url->rest, '#');
        struct slice rest = slice_to(url->rest, fragment);
        size_t query = slice_find(rest, '?');

        text_add(text, url->scheme);
        text_add(text, SLICE("://"));
        if (url->credentials)
                text_add(text, SLICE("REDACTED:REDACTED@"));
        text_add(text, url->authority);
        text_add(text, slice_to(rest, query));
        if (query < rest.len) {
                text_add(text, SLICE("?"));
                refine_url_write_query(text, slice_from(rest, query + 1));
        }
        text_add(text, slice_from(url->rest, fragment));
}
