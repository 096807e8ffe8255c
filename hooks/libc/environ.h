/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The environment of a new program: what the host passes, with the context of who starts it. The memory for
 * it is mapped; a vfork child, whose mappings would stay in its parent, takes it from the stack where that
 * has the room.
 */
#include <alloca.h>

#include "hooks/hook.h"

struct environ_pass {
        char *const *envp; /* to be passed on; the host's own when nothing changes */
        void *memory;      /* mapped, or NULL */
        size_t len;
        bool replaced;
};

/* Return: bytes that environ_on_stack() must be given; 0: the pass is ready. Context: signal. */
size_t environ_begin(struct environ_pass *ret_pass, char *const *envp, bool replaced);
void environ_on_stack(struct environ_pass *pass, void *memory);

/* The new program has it, or there is none. errno kept. Context: signal. */
void environ_end(struct environ_pass *pass);

/* ENVIRON_PASS() - fill @pass; @replaced: for exec. The memory lives as long as the calling function. */
#define ENVIRON_PASS(pass, envp, replaced)                          \
        do {                                                        \
                size_t room_ = environ_begin(pass, envp, replaced); \
                                                                    \
                if (UNLIKELY(room_ != 0))                           \
                        environ_on_stack(pass, alloca(room_));      \
        } while (0)
