/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * URLs as they go out: taken apart, credentials and known secrets replaced, put together. Slices
 * point into the input. No state.
 */
#include "export/text.h"

struct refine_url {
        struct slice scheme;
        bool credentials;       /* there were some before the '@' */
        struct slice authority; /* without them: host[:port] as written, brackets kept */
        struct slice host;      /* without port and brackets; empty when the authority is not understood */
        int port;               /* 0: none given */
        struct slice rest;      /* path, query, fragment */
};

/* What we know of a scheme. */
struct refine_url_scheme {
        const char *name;
        int port;
        bool http;
};

/**
 * refine_url_split() - take an absolute URL apart
 *
 * Text before an '@' counts as credentials even where a badly written one holds '/', '?' or '#'.
 *
 * Context: worker.
 * Return: false when @url does not begin with scheme "://".
 */
bool refine_url_split(struct slice url, struct refine_url *ret_url);

/* host[:port] or [v6][:port], without credentials. Return: false when it is neither. Context: worker. */
bool refine_url_authority(struct slice authority, struct slice *ret_host, int *ret_port);

/* The row of a scheme (any case), or NULL. Context: worker. */
const struct refine_url_scheme *refine_url_scheme(struct slice name);

/* The URL, with credentials and the values of secret query parameters redacted. Context: worker. */
void refine_url_write(struct text *text, const struct refine_url *url);

/* A query (without '?'), with the values of secret parameters redacted. Context: worker. */
void refine_url_write_query(struct text *text, struct slice query);
