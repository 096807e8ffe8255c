/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The detectors of the resource, a function each. They run in the order of the table in resource.c;
 * the first value of a key stays. Finding nothing is no error.
 */
#include "agent/base/limits.h"
#include "export/resource/resource.h"

struct detect {
        struct resource *resource;
        struct slice meta;
        struct out_attr attrs[LIMIT_RESOURCE_ATTRS];
        unsigned count;
        bool failed; /* memory ran out */
};

/* Context of all: worker. */
void detect_telemetry(struct detect *detect);
void detect_env(struct detect *detect);
void detect_service(struct detect *detect);
void detect_process(struct detect *detect);
void detect_host(struct detect *detect);
void detect_os(struct detect *detect);

/* For detectors. Texts are copied and repaired; an empty one is left out. */
void detect_add(struct detect *detect, const char *key, struct slice value);
void detect_add_int(struct detect *detect, const char *key, int64_t value);

/* As detect_add(), but @key is copied too and @value may be empty: what a user wrote. */
void detect_add_given(struct detect *detect, struct slice key, struct slice value);

/* Value of an attribute that is there already, or an empty slice. */
struct slice detect_get(const struct detect *detect, const char *key);

/* A meta value as a number. Return: false when it is not there or no decimal number. */
bool detect_meta_int(const struct detect *detect, const char *key, int64_t *ret_value);

/* process.executable.name: the last part of @exe. */
struct slice detect_exe_name(struct slice meta);

/* One line of os-release: unquoted value when it is @key's, else NULL. @line is changed. */
const char *detect_os_value(char *line, const char *key);
