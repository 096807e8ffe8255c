/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The relay's own messages. It has no terminal: without a log file they are kept, the few that a
 * pipe's pages hold, until a client is there that handed over its stderr. One thread.
 */
#include "agent/config/config.h"
#include "export/export.h"

struct messages {
        int read_fd, write_fd; /* -1 with a log file, or when silent */
};

/* Sets the log's target. Context: worker. */
void messages_start(struct messages *messages, const struct config *config);

/* Pass on what was logged; never waits for the reader. Context: worker. */
void messages_forward(struct messages *messages, const struct worker *worker);
