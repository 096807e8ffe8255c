/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_http.h"

#include "agent/base/load.h"
#include "export/refine_url.h"

/* Semantic conventions 1.44.0, case-sensitive. */
static const char *const http_methods[] = {
        "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
};

static const struct {
        int64_t number;
        const char *text;
} http_versions[] = {{10, "1.0"}, {11, "1.1"}, {20, "2"}, {30, "3"}};

struct http_server {
        struct slice address;
        int port; /* 0: not known */
};

static bool method_known(struct slice method)
{
        for (size_t i = 0; i < ARRAY_LEN(http_methods); i++)
                if (slice_eq(method, slice_str(http_methods[i])))
                        return true;
        return false;
}

struct slice refine_http_add_method(struct refine_draft *draft)
{
        struct slice method = refine_draft_str(draft, SEMCONV_RAW_METHOD);
        bool known = method_known(method);

        refine_draft_add_str(draft, SEMCONV_HTTP_REQUEST_METHOD, known ? method : SLICE("_OTHER"));
        if (!known)
                refine_draft_add_str(draft, SEMCONV_HTTP_REQUEST_METHOD_ORIGINAL, method);
        return known ? method : SLICE("HTTP");
}

static void name_by_method(struct refine_draft *draft)
{
        draft->out.name = refine_draft_copy(draft, refine_http_add_method(draft));
}

static int scheme_port(struct slice scheme)
{
        const struct refine_url_scheme *row = refine_url_scheme(scheme);

        return row ? row->port : 0;
}

static struct slice raw_scheme(struct refine_draft *draft)
{
        struct slice scheme = refine_draft_str(draft, SEMCONV_RAW_SCHEME);
        const struct refine_url_scheme *row = refine_url_scheme(scheme);

        if (!scheme.len)
                return SLICE("http");
        return row ? slice_str(row->name) : scheme; /* libcurl writes them in upper case */
}

/* Who answers, by the first that is known: the URL, the Host field, the name looked up, the peer. */
static struct http_server find_server(const struct refine_draft *draft, const struct refine_url *url,
                                      const struct refine_peer *peer)
{
        struct slice name = refine_draft_str(draft, SEMCONV_RAW_NAME);
        struct http_server server = {.address = url->host, .port = url->port};
        bool found = url->host.len > 0;

        if (!found)
                found = refine_url_authority(refine_draft_str(draft, SEMCONV_RAW_HOST), &server.address,
                                             &server.port);
        if (!found)
                server = (struct http_server){name.len ? name : slice_str(peer->address), peer->port};
        if (!server.port)
                server.port = scheme_port(url->scheme);
        return server;
}

/* The authority of a request that names none in its target: the Host field, else made of what is known. */
static struct slice compose_authority(struct refine_draft *draft, struct slice scheme,
                                      const struct refine_peer *peer)
{
        struct slice host = refine_draft_str(draft, SEMCONV_RAW_HOST);
        struct refine_url none = {.scheme = scheme};
        struct http_server server = find_server(draft, &none, peer);
        struct text text = {.arena = draft->arena};
        bool bracket = slice_find(server.address, ':') < server.address.len;
        int port;

        if (refine_url_authority(host, &none.host, &port))
                return host;
        text_add_str(&text, bracket ? "[" : "");
        text_add(&text, server.address);
        text_add_str(&text, bracket ? "]" : "");
        if (server.address.len && server.port && server.port != scheme_port(scheme)) {
                text_add_str(&text, ":");
                text_add_int(&text, server.port);
        }
        return text_get(&text);
}

/* What follows the authority; a target that is no path gets the slash that keeps it out of the host. */
static struct slice compose_rest(struct refine_draft *draft, struct slice target)
{
        struct text text = {.arena = draft->arena};

        if (!target.len || slice_eq(target, SLICE("*")))
                return SLICE_NULL;
        if (target.p[0] == '/')
                return target;
        text_add_str(&text, "/");
        text_add(&text, target);
        return text_get(&text);
}

/* The target URI of a request: RFC 9112, section 3.3. */
static struct refine_url target_url(struct refine_draft *draft, const struct refine_peer *peer)
{
        struct slice target = refine_draft_str(draft, SEMCONV_RAW_TARGET);
        struct refine_url url = {.scheme = raw_scheme(draft)};

        if (slice_eq(refine_draft_str(draft, SEMCONV_RAW_METHOD), SLICE("CONNECT"))) {
                url.authority = target;
                if (refine_url_authority(target, &url.host, &url.port))
                        return url;
                target = SLICE_NULL;
        } else if (refine_url_split(target, &url)) {
                return url;
        }
        url.authority = compose_authority(draft, url.scheme, peer);
        url.rest = compose_rest(draft, target);
        /* Not understood: the host stays empty. */
        (void)refine_url_authority(url.authority, &url.host, &url.port);
        return url;
}

static void add_url(struct refine_draft *draft, const struct refine_url *url)
{
        struct text text = {.arena = draft->arena};

        refine_url_write(&text, url);
        draft->failed |= text.failed;
        refine_draft_add_str(draft, SEMCONV_URL_FULL, text_get(&text));
}

static void add_server(struct refine_draft *draft, const struct refine_url *url,
                       const struct refine_peer *peer)
{
        struct http_server server = find_server(draft, url, peer);

        refine_draft_add_str(draft, SEMCONV_SERVER_ADDRESS, server.address);
        if (server.address.len && server.port)
                refine_draft_add_int(draft, SEMCONV_SERVER_PORT, server.port);
}

void refine_http_add_version(struct refine_draft *draft)
{
        int64_t number = refine_draft_int(draft, SEMCONV_RAW_HTTP_VERSION);

        for (size_t i = 0; i < ARRAY_LEN(http_versions); i++)
                if (http_versions[i].number == number)
                        refine_draft_add_str(draft, SEMCONV_NETWORK_PROTOCOL_VERSION,
                                             slice_str(http_versions[i].text));
}

static void add_exchange(struct refine_draft *draft, const struct refine_url *url)
{
        struct refine_peer peer = refine_draft_peer(draft, SEMCONV_RAW_PEER);
        int64_t status = refine_draft_int(draft, SEMCONV_HTTP_RESPONSE_STATUS_CODE);
        int64_t resend = refine_draft_int(draft, SEMCONV_HTTP_REQUEST_RESEND_COUNT);

        add_server(draft, url, &peer);
        refine_draft_add_peer(draft, &peer);
        refine_http_add_version(draft);
        refine_draft_add_str(draft, SEMCONV_USER_AGENT_ORIGINAL,
                             refine_draft_str(draft, SEMCONV_USER_AGENT_ORIGINAL));
        if (status)
                refine_draft_add_int(draft, SEMCONV_HTTP_RESPONSE_STATUS_CODE, status);
        if (resend > 0)
                refine_draft_add_int(draft, SEMCONV_HTTP_REQUEST_RESEND_COUNT, resend);
}

void refine_http_socket(struct refine_draft *draft)
{
        struct refine_peer peer = refine_draft_peer(draft, SEMCONV_RAW_PEER);
        struct refine_url url = target_url(draft, &peer);

        name_by_method(draft);
        if (url.authority.len)
                add_url(draft, &url);
        add_exchange(draft, &url);
}

/* The URL of a transfer; libcurl takes "host/path" too and guesses the scheme. */
static struct refine_url curl_url(struct refine_draft *draft)
{
        struct slice given = refine_draft_str(draft, SEMCONV_RAW_URL);
        struct refine_url url = {.scheme = raw_scheme(draft)};
        struct text text = {.arena = draft->arena};

        if (!given.len || refine_url_split(given, &url))
                return url;
        text_add(&text, url.scheme);
        text_add_str(&text, "://");
        text_add(&text, given);
        (void)refine_url_split(text_get(&text), &url); /* a scheme that is none leaves the URL empty */
        return url;
}

void refine_http_curl(struct refine_draft *draft)
{
        struct refine_url url = curl_url(draft);
        const struct refine_url_scheme *row = refine_url_scheme(url.scheme);

        if (row && row->http) {
                name_by_method(draft);
        } else {
                /* FTP and the like: no HTTP method, no version of HTTP; a private, low-cardinality name. */
                draft->out.name = refine_draft_copy(draft, row ? slice_str(row->name) : SLICE("transfer"));
                refine_draft_add_str(draft, SEMCONV_NETWORK_PROTOCOL_NAME,
                                     row ? slice_str(row->name) : SLICE_NULL);
        }
        if (url.authority.len || url.rest.len)
                add_url(draft, &url);
        add_exchange(draft, &url);
}
