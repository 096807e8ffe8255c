/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Name look-ups in our own thread, for the in-process home: libcurl would look names up in threads
 * of its own, which nobody stops at a fork. One thread; blocks as long as getaddrinfo() does.
 */
#include <stdbool.h>
#include <stdint.h>

struct curl_slist;
struct endpoint;

struct resolve {
        struct curl_slist *list; /* for CURLOPT_RESOLVE; NULL where nothing had to be looked up */
        uint64_t until_ns;       /* CLOCK_MONOTONIC; the answers are used up to here */
};

/**
 * resolve_fresh() - look up whatever a connection to @endpoint will need: its host, or a proxy's
 *
 * Does nothing while the last answers are fresh. Context: worker.
 * Return: false when the host's own name was not found.
 */
bool resolve_fresh(struct resolve *resolve, const struct endpoint *endpoint, uint64_t now_ns);

/* The answers led nowhere: ask again the next time. Context: worker. */
void resolve_stale(struct resolve *resolve);
void resolve_done(struct resolve *resolve);
