/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * http.route: the patterns of OTEL_INSTRUMENT_HTTP_ROUTES. "/users/{id}" and "/users/" followed by "*" match
 * one segment that is not empty, "/files/{path...}" all the rest, other segments themselves, percent-encoded
 * or not. Nothing is guessed: a path without a pattern has no route. One thread.
 */
#include "agent/base/slice.h"

struct refine_routes;

/**
 * refine_routes_new() - the patterns of one process
 * @setting: comma-separated; not needed any more afterwards
 *
 * A pattern that is none is said in the log and left out, and so are those beyond LIMIT_ROUTES.
 *
 * Context: worker.
 * Return: NULL when there are none, or out of memory.
 */
struct refine_routes *refine_routes_new(struct slice setting);
struct refine_routes *refine_routes_free(struct refine_routes *routes); /* NULL */

/**
 * refine_routes_find() - the route of a path
 * @routes: may be NULL
 * @path: as it came in, without query
 *
 * Of several that match, the one with the most literal segments; of those the first listed.
 *
 * Context: worker.
 * Return: the pattern as it was given, the table's; empty when none matches.
 */
struct slice refine_routes_find(const struct refine_routes *routes, struct slice path);
