/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a traced program and its relay say to each other. The program connects to the relay's
 * SOCK_SEQPACKET socket and sends one hand-over: this message with SCM_RIGHTS of the ring's memfd
 * and, when HANDOVER_STDERR is set, of the program's stderr. After that it sends single bytes, and
 * the relay nothing at all: it answers in the ring's header.
 *
 * What the message claims is not proof of anything: the relay asks the kernel who its peer is.
 */
#include <stdint.h>

#define HANDOVER_MAGIC   0x6c65746fu /* "otel" */
#define HANDOVER_VERSION 4           /* changes with RING_VERSION */

enum handover_flags {
        HANDOVER_STDERR = 1 << 0, /* second descriptor: where console output and our messages go */
};

struct handover {
        uint32_t magic;
        uint16_t version;
        uint16_t flags;
        uint32_t pid; /* as the program sees itself */
        uint32_t reserved;
};

#define HANDOVER_WAKE      'W' /* records want draining */
#define HANDOVER_FLUSH     'F' /* somebody waits for flush_done */
#define HANDOVER_FLUSH_ALL 'A' /* ... and until then everything of all others shall be out as well */

/* The descriptor of the listening socket in a relay that a program started. */
#define RELAY_LISTEN_FD 3
