/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where spans go over OTLP/HTTP, from the settings: URL and header fields by the rules of the
 * OpenTelemetry specification. Header values and credentials in URLs never reach a log. One thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/slice.h"
#include "agent/config/config.h"

struct curl_slist;

struct endpoint {
        char *url;  /* as it is sent to */
        char *host; /* its host without brackets, for look-ups */
        uint16_t port;
        bool https;
        struct curl_slist *headers; /* "name: value" lines of the user's, decoded */
        int64_t timeout_ms;         /* that one batch may take, 0 = no limit */
};

/**
 * endpoint_traces() - the endpoint for spans
 *
 * The setting for traces beats the general one, each for itself: URL, headers, timeout. A URL that
 * does not parse is one error in the log that names the setting. Header pairs that do not parse, or
 * whose names are ours to set, are left out with a warning.
 *
 * Context: worker.
 * Return: 0, -EINVAL for an unusable URL, -ENOMEM. endpoint_done() after success only.
 */
int endpoint_traces(const struct config *config, struct endpoint *ret_endpoint);
void endpoint_done(struct endpoint *endpoint);

/**
 * endpoint_url() - the URL for one signal
 * @text: the setting's value
 * @append: path below a base URL ("v1/traces"), or NULL for a URL that is used as it is
 *
 * Fills url, host, port, https. Context: worker.
 * Return: 0, -EINVAL, -ENOMEM; nothing is written on failure.
 */
int endpoint_url(const char *text, const char *append, struct endpoint *ret_endpoint);

/**
 * endpoint_headers() - header lines from "key1=value1,key2=value2"
 * @setting: name for warnings
 *
 * Context: worker.
 * Return: 0 or -ENOMEM; *ret_headers is NULL when there are none (curl_slist_free_all()).
 */
int endpoint_headers(const char *setting, const char *text, struct curl_slist **ret_headers);
