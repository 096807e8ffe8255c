/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * error.type and status of a span. The first that applies:
 *
 *      1. the status of a gRPC call: its name where it is an error for its side; others are none
 *      2. a code that is an error: its digits. Of a response 500 and above, for clients from 400 on as well
 *         and below 100; of a process that no signal ended any exit code but 0
 *      3. a transfer that the program itself broke off: no error at all
 *      4. the name that the agent gave ("timeout")
 *      5. the signal that ended a process: SIGKILL, ...
 *      6. errno of the connection: ECONNREFUSED, ... (servers: ECONNRESET, EPIPE for a client that hung up)
 *      7. getaddrinfo's result: EAI_NONAME, ...
 *      8. libcurl's result: CURLE_COULDNT_CONNECT, ...
 *      9. the error code that ended a stream of HTTP/2: REFUSED_STREAM, ...
 *     10. "unexpected_eof": the response ended before its framing said so
 *     11. "no_response": a server that ended the connection, or itself, without an answer
 *     12. "_OTHER": an error without a name, or a number that has none
 */
#include "export/refine_draft.h"

#define REFINE_ERROR_EOF    "unexpected_eof"
#define REFINE_ERROR_SILENT "no_response"
#define REFINE_ERROR_OTHER  "_OTHER"

/* Sets status and adds error.type where they belong. Context: worker. */
void refine_error(struct refine_draft *draft);

/* Symbols of the numbers, or NULL. Context: worker. */
const char *refine_error_errno(int64_t number);
const char *refine_error_eai(int64_t number);
const char *refine_error_curle(int64_t number);
const char *refine_error_signal(int64_t number);
