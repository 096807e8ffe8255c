/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * error.type and status of a span. The first that applies:
 *
 *      1. a response status that is an error for a client (400 and above, below 100): its digits
 *      2. a transfer that the program itself broke off: no error at all
 *      3. the name that the agent gave ("timeout")
 *      4. errno of the connection: ECONNREFUSED, ...
 *      5. getaddrinfo's result: EAI_NONAME, ...
 *      6. libcurl's result: CURLE_COULDNT_CONNECT, ...
 *      7. "unexpected_eof": the response ended before its framing said so
 *      8. "_OTHER": an error without a name, or a number that has none
 */
#include "export/refine_draft.h"

#define REFINE_ERROR_EOF   "unexpected_eof"
#define REFINE_ERROR_OTHER "_OTHER"

/* Sets status and adds error.type where they belong. Context: worker. */
void refine_error(struct refine_draft *draft);

/* Symbols of the numbers, or NULL. Context: worker. */
const char *refine_error_errno(int64_t number);
const char *refine_error_eai(int64_t number);
const char *refine_error_curle(int64_t number);
