/* SPDX-License-Identifier: Apache-2.0 */
/* A library with a send() as well: built with libpthread's name, as before glibc 2.34, and with a stranger's.
 */
#include <sys/socket.h>

__attribute__((visibility("default"))) ssize_t send(int fd, const void *buf, size_t n, int flags)
{
        return 0;
}
