/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One message with its header, as sendmsg and sendmmsg, recvmsg and recvmmsg handle it. */
#include "hooks/libc/transfer.h"

/* sendmsg(2) on a tracked descriptor. Return: its result. Context: hook. */
ssize_t message_out(int fd, const struct msghdr *message, int flags);

/* Descriptors that came with a received message are new numbers of this process. Context: signal. */
void message_note_descriptors(struct msghdr *message);
