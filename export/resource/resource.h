/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The resource of one process: service.*, telemetry.*, process.*, host.*, os.*, made in the worker from
 * what the process left in its ring's meta text and from the machine. Detectors are rows of a table.
 *
 * Meta text: "key=value\0" strings. Keys of ours begin with '@': @pid, @ppid, @uid, @exe (target of
 * /proc/self/exe), @argv0, @start_ns (wall clock of process start or of the first record), @instance (32
 * hexadecimal digits that no other process has), @version, @term (TERM), @no_color (NO_COLOR). All others
 * are the process's OTEL_* variables, as they are.
 */
#include "export/refine.h"

struct resource {
        struct arena arena;
        const struct out_attr *attrs;
        unsigned attr_count;
        const char *service_name; /* for the console */
        int64_t pid;
        bool plain; /* the user wants no colours: TERM=dumb or NO_COLOR */
};

/**
 * resource_new() - the resource of one process
 * @meta: of unknown honesty; not needed any more afterwards
 *
 * A bad OTEL_RESOURCE_ATTRIBUTES is logged and discarded whole. What cannot be found is left out.
 *
 * Context: worker.
 * Return: NULL when out of memory.
 */
struct resource *resource_new(struct slice meta);
struct resource *resource_free(struct resource *resource); /* NULL */

/* Value of a meta key or an empty slice. Context: worker. */
struct slice resource_meta_get(struct slice meta, const char *key);
