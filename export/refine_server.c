/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_server.h"

#include "agent/base/load.h"
#include "export/refine_forwarded.h"
#include "export/refine_http.h"
#include "export/refine_route.h"
#include "export/refine_url.h"

/* What was asked for: RFC 9112, section 3.2. */
struct server_target {
        struct slice scheme; /* absolute form */
        struct slice host;   /* absolute and authority form; empty: not named there */
        int port;
        struct slice path, query;
        bool known; /* a path may be empty, and still be the path */
};

/* A target of no known form: it has nobody's right to be a path, and what stands before an '@' is a secret.
 */
static struct slice odd_rest(struct slice target)
{
        const char *at = target.len ? memrchr(target.p, '@', target.len) : NULL;

        return at ? slice_from(target, (size_t)(at - target.p) + 1) : target;
}

static struct server_target split_target(const struct refine_draft *draft)
{
        struct slice given = refine_draft_str(draft, SEMCONV_RAW_TARGET), rest = given;
        struct server_target target = {.known = given.len > 0};
        struct refine_url url;

        if (slice_eq(refine_draft_str(draft, SEMCONV_RAW_METHOD), SLICE("CONNECT"))) {
                (void)refine_url_authority(given, &target.host, &target.port); /* else Host names it */
                return target;
        }
        if (refine_url_split(given, &url)) {
                target.scheme = url.scheme;
                target.host = url.host;
                target.port = url.port;
                rest = url.rest;
        } else if (given.len && given.p[0] != '/') {
                rest = odd_rest(given);
        }
        rest = slice_to(rest, slice_find(rest, '#'));
        target.path = slice_to(rest, slice_find(rest, '?'));
        target.query = slice_from(rest, target.path.len + 1);
        if (target.scheme.len && !target.path.len)
                target.path = SLICE("/");
        return target;
}

static struct slice forwarded(const struct refine_draft *draft, struct slice name)
{
        return refine_forwarded_get(draft->arena, refine_draft_str(draft, SEMCONV_RAW_FORWARDED), name);
}

static struct slice x_forwarded(const struct refine_draft *draft, enum semconv key)
{
        return refine_forwarded_first(refine_draft_str(draft, key));
}

/* The first that is a scheme of HTTP. */
static const struct refine_url_scheme *find_scheme(const struct refine_draft *draft,
                                                   const struct server_target *target)
{
        const struct slice given[] = {
                forwarded(draft, SLICE("proto")),
                x_forwarded(draft, SEMCONV_RAW_X_FORWARDED_PROTO),
                target->scheme,
                refine_draft_str(draft, SEMCONV_RAW_SCHEME),
                SLICE("http"),
        };
        const struct refine_url_scheme *row = NULL;

        for (size_t i = 0; i < ARRAY_LEN(given) && !(row && row->http); i++)
                row = refine_url_scheme(given[i]);
        return row;
}

static void add_url(struct refine_draft *draft, const struct server_target *target)
{
        struct text query = {.arena = draft->arena};

        if (target->known)
                refine_draft_add_given(draft, SEMCONV_URL_PATH, target->path);
        refine_url_write_query(&query, target->query);
        draft->failed |= query.failed;
        refine_draft_add_str(draft, SEMCONV_URL_QUERY, text_get(&query));
}

/* Who began the request: by the first proxy's word, else whoever is connected. */
static void add_client(struct refine_draft *draft, const struct refine_peer *peer)
{
        struct refine_peer client;

        if (refine_forwarded_node(forwarded(draft, SLICE("for")), &client) ||
            refine_forwarded_node(x_forwarded(draft, SEMCONV_RAW_X_FORWARDED_FOR), &client)) {
                refine_draft_add_str(draft, SEMCONV_CLIENT_ADDRESS, slice_str(client.address));
                if (client.port)
                        refine_draft_add_int(draft, SEMCONV_CLIENT_PORT, client.port);
                return;
        }
        refine_draft_add_str(draft, SEMCONV_CLIENT_ADDRESS, slice_str(peer->address));
}

/* The name under which the client asked for us; address and port come from the same value. */
static void add_server(struct refine_draft *draft, const struct server_target *target, int scheme_port)
{
        const struct slice given[] = {
                forwarded(draft, SLICE("host")),
                x_forwarded(draft, SEMCONV_RAW_X_FORWARDED_HOST),
        };
        struct refine_peer local = refine_draft_peer(draft, SEMCONV_RAW_LOCAL);
        struct slice host = SLICE_NULL;
        int port = 0;

        for (size_t i = 0; i < ARRAY_LEN(given) && !host.len; i++)
                (void)refine_url_authority(given[i], &host, &port); /* untouched where it is none */
        if (!host.len && target->host.len) {
                host = target->host;
                port = target->port;
        }
        if (!host.len)
                (void)refine_url_authority(refine_draft_str(draft, SEMCONV_RAW_HOST), &host, &port);
        if (!host.len) {
                host = slice_str(local.address);
                port = local.port;
        }
        refine_draft_add_str(draft, SEMCONV_SERVER_ADDRESS, host);
        if (host.len)
                refine_draft_add_int(draft, SEMCONV_SERVER_PORT, port ? port : scheme_port);
}

/* "GET /users/{id}", or the method alone. */
static void add_name(struct refine_draft *draft, struct slice method, struct slice path)
{
        struct slice route = refine_routes_find(draft->routes, path);
        struct text name = {.arena = draft->arena};

        text_add(&name, method);
        text_add_str(&name, route.len ? " " : "");
        text_add(&name, route);
        draft->failed |= name.failed;
        draft->out.name = refine_draft_copy(draft, text_get(&name));
        refine_draft_add_str(draft, SEMCONV_HTTP_ROUTE, route);
}

/* Only what is not HTTP itself has a name: FastCGI and the like, whose version the record gives as well. */
static void add_protocol(struct refine_draft *draft)
{
        struct slice name = refine_draft_str(draft, SEMCONV_NETWORK_PROTOCOL_NAME);
        struct slice version = refine_draft_str(draft, SEMCONV_NETWORK_PROTOCOL_VERSION);

        if (!name.len || slice_eq_nocase(name, SLICE("http"))) {
                refine_http_add_version(draft);
                return;
        }
        refine_draft_add_str(draft, SEMCONV_NETWORK_PROTOCOL_NAME, name);
        refine_draft_add_str(draft, SEMCONV_NETWORK_PROTOCOL_VERSION, version);
}

void refine_server(struct refine_draft *draft)
{
        struct refine_peer peer = refine_draft_peer(draft, SEMCONV_RAW_PEER);
        struct server_target target = split_target(draft);
        const struct refine_url_scheme *scheme = find_scheme(draft, &target);
        int64_t status = refine_draft_int(draft, SEMCONV_HTTP_RESPONSE_STATUS_CODE);

        add_name(draft, refine_http_add_method(draft), target.path);
        add_url(draft, &target);
        refine_draft_add_str(draft, SEMCONV_URL_SCHEME, slice_str(scheme->name));
        add_client(draft, &peer);
        add_server(draft, &target, scheme->port);
        refine_draft_add_peer(draft, &peer);
        add_protocol(draft);
        refine_draft_add_str(draft, SEMCONV_USER_AGENT_ORIGINAL,
                             refine_draft_str(draft, SEMCONV_USER_AGENT_ORIGINAL));
        if (status)
                refine_draft_add_int(draft, SEMCONV_HTTP_RESPONSE_STATUS_CODE, status);
}
