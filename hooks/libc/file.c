/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that go from descriptor to descriptor, and streams that end. */
#include <errno.h>

#include "agent/tap/tap_net.h"
#include "hooks/hook.h"
#include "hooks/libc/shell.h"

/* The real call, with what it moved to @to marked as bytes that we did not see. */
#define UNSEEN_OUT(to, call)                \
        ({                                  \
                ssize_t n_ = (call);        \
                                            \
                tap_net_out_unseen(to, n_); \
                n_;                         \
        })

HOOK_EXPORT ssize_t sendfile(int out_fd, int in_fd, off_t *offset, size_t count)
{
        if (LIKELY(!tap_net_tracked(out_fd)))
                return REAL(sendfile)(out_fd, in_fd, offset, count);
        return UNSEEN_OUT(out_fd, REAL(sendfile)(out_fd, in_fd, offset, count));
}

HOOK_EXPORT ssize_t sendfile64(int out_fd, int in_fd, off64_t *offset, size_t count)
{
        if (LIKELY(!tap_net_tracked(out_fd)))
                return REAL(sendfile64)(out_fd, in_fd, offset, count);
        return UNSEEN_OUT(out_fd, REAL(sendfile64)(out_fd, in_fd, offset, count));
}

/* One of the two is a pipe, so at most one of them is a connection. */
HOOK_EXPORT ssize_t splice(int fdin, off64_t *offin, int fdout, off64_t *offout, size_t len,
                           unsigned int flags)
{
        struct tap_in in;
        ssize_t n;

        if (tap_net_tracked(fdout))
                return UNSEEN_OUT(fdout, REAL(splice)(fdin, offin, fdout, offout, len, flags));
        if (LIKELY(!tap_net_tracked(fdin)))
                return REAL(splice)(fdin, offin, fdout, offout, len, flags);
        tap_net_in_begin(&in, fdin, 0);
        n = REAL(splice)(fdin, offin, fdout, offout, len, flags);
        n = tap_net_in_end(&in, NULL, 0, n, 0, len);
        return n;
}

static void stream_ends(FILE *stream)
{
        int error = errno;
        int fd = fileno_unlocked(stream); /* -1 for streams in memory */

        errno = error;
        if (fd >= 0)
                tap_net_close(fd);
}

HOOK_EXPORT int fclose(FILE *stream)
{
        pid_t pid = 0;

        stream_ends(stream);
        if (LIKELY(!popen_take(stream, &pid) || !pid))
                return REAL(fclose)(stream);
        return popen_end(pid, REAL(fclose)(stream));
}

HOOK_EXPORT FILE *freopen(const char *filename, const char *modes, FILE *stream)
{
        stream_ends(stream);
        return REAL(freopen)(filename, modes, stream);
}

HOOK_EXPORT FILE *freopen64(const char *filename, const char *modes, FILE *stream)
{
        stream_ends(stream);
        return REAL(freopen64)(filename, modes, stream);
}
