/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What all hooks that move bytes have in common. Wrappers ask tap_net_tracked() first; what is here
 * runs only for connections that we look at.
 */
#include "agent/base/sys.h"
#include "agent/tap/tap_net.h"
#include "hooks/hook.h"

/* Not part of the stream: out-of-band bytes and the error queue. */
#define TRANSFER_ASIDE (MSG_OOB | MSG_ERRQUEUE)

/* Bytes that leave as they are: urgent data, and pages that must stay untouched until the kernel says so. */
#define TRANSFER_AS_IS (MSG_OOB | MSG_ZEROCOPY)

#define TRANSFER_FIRST_PAGE 4096
#define TRANSFER_IOV_MAX    1024 /* the kernel refuses more */

/* The host's own iovecs or message: they mostly stand in the same frame, so the kernel is asked once per
 * page. */
static inline bool transfer_array_readable(const void *array, size_t len)
{
        uintptr_t first = (uintptr_t)array / TRANSFER_FIRST_PAGE;
        uintptr_t last = ((uintptr_t)array + len - 1) / TRANSFER_FIRST_PAGE;

        if (LIKELY(first == last && first == thread_state.readable_array))
                return true;
        if (!sys_readable(array, len))
                return false;
        thread_state.readable_array = last;
        return true;
}

/* Could these buffers be read? Those that cannot be are for the kernel to refuse, not for us to crash on. */
static inline bool transfer_readable(const struct iovec *iov, int iovcnt)
{
        if (iovcnt <= 0 || iovcnt > TRANSFER_IOV_MAX ||
            !transfer_array_readable(iov, (size_t)iovcnt * sizeof(*iov)))
                return false;
        for (int i = 0; i < iovcnt; i++)
                if (iov[i].iov_len && (uintptr_t)iov[i].iov_base < TRANSFER_FIRST_PAGE)
                        return false;
        return true;
}

static inline ssize_t transfer_out_unseen(int fd, int flags, tap_emit_fn *emit, void *call)
{
        ssize_t n = emit(call, NULL, 0);

        /* The last of them is urgent, and not of the stream. */
        tap_net_out_unseen(fd, flags & MSG_OOB && n > 0 ? n - 1 : n);
        return n;
}

static inline ssize_t transfer_out(int fd, const struct iovec *iov, int iovcnt, int flags, tap_emit_fn *emit,
                                   void *call)
{
        if (UNLIKELY(flags & TRANSFER_AS_IS || !transfer_readable(iov, iovcnt)))
                return transfer_out_unseen(fd, flags, emit, call);
        return tap_net_out(fd, iov, iovcnt, emit, call);
}

/* Bytes asked for; only a call that gave 0 needs to know whether it was more than none. */
static inline size_t transfer_wanted(const struct iovec *iov, size_t iovcnt, ssize_t n)
{
        size_t wanted = 0;

        for (size_t i = 0; n == 0 && i < iovcnt && !wanted; i++)
                wanted = iov[i].iov_len;
        return wanted;
}

/* The real call on a tracked descriptor, with what it gave shown to the agent. */
#define TRANSFER_IN(fd, call, iov, iovcnt, flags)                                                         \
        ({                                                                                                \
                struct tap_in in_;                                                                        \
                ssize_t n_;                                                                               \
                                                                                                          \
                tap_net_in_begin(&in_, fd, flags);                                                        \
                n_ = (call);                                                                              \
                tap_net_in_end(&in_, iov, iovcnt, n_, flags, transfer_wanted(iov, (size_t)(iovcnt), n_)); \
        })
