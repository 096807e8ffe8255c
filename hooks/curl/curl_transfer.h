/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One transfer from its begin to its end: a header list of ours in front of the host's for as long
 * as it lasts, and one span for each request that libcurl makes of it. Redirects, authentication
 * rounds and retries are told apart by CURLOPT_PREREQFUNCTION (libcurl 7.80); an older libcurl gives
 * one span for the whole transfer.
 *
 * The host's own list and callback are never modified: its list hangs behind our node (where ours replaces a
 * line of it, behind copies of the nodes before that), its callback is called from ours, and both are set
 * again when the transfer ends.
 */
#include <stdbool.h>

#include "hooks/curl/curl_handle.h"

/**
 * curl_transfer_begin() - a transfer of @handle starts now
 * @deferred: it runs later, by calls that serve several: for what the thread works for now
 *
 * Context: hook.
 * Return: true when it is ours: pair with curl_transfer_end(). False: not HTTP, a bare connection, or
 * begun already (libcurl calls its own functions through the PLT).
 */
bool curl_transfer_begin(struct curl_handle *handle, bool deferred);

/* How it came to its end, when it was not libcurl that said so. */
enum curl_end {
        CURL_END_CODE,      /* with a CURLcode */
        CURL_END_CANCELLED, /* the host took it away while it was under way */
        CURL_END_UNSAID,    /* it was over, but the host did not ask how */
};

/* It is over: the host's options are set again, the last span goes out. Context: hook. */
void curl_transfer_end(struct curl_handle *handle, enum curl_end end, CURLcode code);

/**
 * curl_transfer_setopt() - curl_easy_setopt while our own list and callback are set
 *
 * Return: true when the option is one of those: it was kept for later, libcurl need not be told.
 */
bool curl_transfer_setopt(struct curl_handle *handle, CURLoption option, void *value);

/* Give @copy, a duplicate of @handle, the host's own options. */
void curl_transfer_clean_copy(const struct curl_handle *handle, CURL *copy);
