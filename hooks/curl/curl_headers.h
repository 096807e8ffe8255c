/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The header list of a transfer: what the host put there, and nodes of ours between its own. Its nodes and
 * their texts are never modified.
 */
#include "hooks/curl/curl_handle.h"

/* The value of a field in a header list; .p NULL: not there. Context: hook. */
struct slice curl_headers_find(const struct curl_slist *list, struct slice name);

/* The host's own context lines. */
struct curl_own {
        unsigned count, before; /* so many other lines stand before the first of them */
        const struct curl_slist *first;
        struct slice value; /* the first one's, where it is the only one and could be replaced */
};

struct curl_own curl_headers_own(const struct curl_handle *handle);

/* Are there any that ours do not replace? Context: hook. */
bool curl_headers_respected(const struct curl_handle *handle);

/* Write the text of our nodes for the request that goes out next. Context: hook. */
void curl_headers_write(struct curl_handle *handle);

/* The list for libcurl: our nodes before the host's, or in the place of the one that they replace. */
struct curl_slist *curl_headers_list(struct curl_handle *handle);
