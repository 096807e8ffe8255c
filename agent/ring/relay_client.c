/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/relay_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "agent/base/limits.h"
#include "agent/base/log.h"
#include "agent/base/stats.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/ring/handover.h"
#include "agent/ring/home_fds.h"
#include "agent/ring/home_place.h"
#include "agent/ring/relay_name.h"
#include "agent/ring/relay_spawn.h"

#define BACKLOG 4096

/* A relay that ends as soon as it is started (a broken installation) is not started for ever. */
#define STARTS_MAX       3
#define STARTS_WINDOW_NS 60000000000ull

static _Atomic int relay_handle = -1; /* of the connected socket */
static unsigned starts;
static uint64_t starts_since_ns;

/* Return: its number, or -errno; *ret_handle is closed by the caller in either case. */
static int socket_open(int *ret_handle)
{
        int fd =
                (int)sys_call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0, 0, 0);

        *ret_handle = home_fd_keep(fd);
        if (fd < 0)
                return fd;
        fd = home_fd_get(*ret_handle);
        return fd < 0 ? -EMFILE : fd;
}

static void relay_drop(void)
{
        home_fd_close(atomic_exchange(&relay_handle, -1));
}

static bool send_byte(int fd, char what)
{
        long n = sys_call(SYS_sendto, fd, (long)&what, 1, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);

        /* No room: it has enough wake-ups of ours before it. */
        return n == 1 || n == -EAGAIN;
}

/* Console output and messages of the worker go where the program's own would. */
static bool stderr_wanted(void)
{
        bool messages = config_is_set(&config_now, CONFIG_log_level) && !*config_now.log_file;

        return ((config_now.traces_exporter & EXPORTER_CONSOLE) || messages) && sys_fcntl(2, F_GETFD, 0) >= 0;
}

static long hand_over(int fd, int ring_fd)
{
        int fds[2] = {ring_fd, 2};
        bool with_stderr = stderr_wanted();
        size_t fds_size = (with_stderr ? 2 : 1) * sizeof(int);
        struct handover text = {
                .magic = HANDOVER_MAGIC,
                .version = HANDOVER_VERSION,
                .flags = with_stderr ? HANDOVER_STDERR : 0,
                .pid = (uint32_t)sys_getpid(),
        };
        struct iovec iov = {&text, sizeof(text)};
        union {
                char bytes[CMSG_SPACE(sizeof(fds))];
                struct cmsghdr head;
        } control = {.head = {CMSG_LEN(fds_size), SOL_SOCKET, SCM_RIGHTS}};
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = CMSG_SPACE(fds_size),
        };

        memcpy(CMSG_DATA(&control.head), fds, fds_size);
        return sys_call(SYS_sendmsg, fd, (long)&message, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0, 0);
}

/* Return: 0 and whoever listens under @name trusted and connected as *ret_handle, or -errno. */
static int connect_to(const struct sockaddr_un *name, socklen_t len, int *ret_handle)
{
        int handle, fd = socket_open(&handle), result;

        if (fd < 0)
                return fd;
        result = (int)sys_call(SYS_connect, fd, (long)name, len, 0, 0, 0);
        if (result == 0 && !relay_peer_trusted(fd))
                result = -EACCES;
        if (result < 0)
                home_fd_close(handle);
        else
                *ret_handle = handle;
        return result;
}

/*
 * Whom the kernel makes the parent of every orphan, the relay included: its wait() would find, and wait for,
 * a child that it never had.
 */
static bool adopts_orphans(void)
{
        int subreaper = 0;

        return sys_getpid() == 1 ||
               (sys_call(SYS_prctl, PR_GET_CHILD_SUBREAPER, (long)&subreaper, 0, 0, 0, 0) == 0 && subreaper);
}

static bool may_start(uint64_t now_mono_ns)
{
        if (now_mono_ns - starts_since_ns > STARTS_WINDOW_NS) {
                starts_since_ns = now_mono_ns;
                starts = 0;
        }
        return starts++ < STARTS_MAX;
}

/*
 * Listen under @name and have a relay serve it. Whoever connects from here on waits in the backlog: nobody
 * waits for the relay to be up.
 * Return: 0, -EADDRINUSE when somebody else was faster, or -errno.
 */
static int start_under(const struct sockaddr_un *name, socklen_t len, uint64_t now_mono_ns)
{
        int handle, fd, result;

        if (adopts_orphans())
                return -ECHILD;
        fd = socket_open(&handle);
        if (fd < 0)
                return fd;
        result = (int)sys_call(SYS_bind, fd, (long)name, len, 0, 0, 0);
        if (result == 0)
                result = (int)sys_call(SYS_listen, fd, BACKLOG, 0, 0, 0, 0);
        if (result == 0)
                result = may_start(now_mono_ns) ? relay_spawn(home_place.relay, fd) : -ECHILD;
        home_fd_close(handle);
        if (result == 0)
                stat_add(STAT_RELAY_STARTED, 1);
        else if (result != -EADDRINUSE)
                log_warn("the relay could not be started: error %d, %s", -result, home_place.relay);
        return result;
}

static bool is_passing(int result)
{
        return result == -EAGAIN || result == -EMFILE || result == -ENFILE || result == -ENOMEM ||
               result == -ENOBUFS || result == -EINTR;
}

/*
 * Return: 0 and a connection; -EAGAIN and the like: later; -ECHILD: no relay can be started; else try
 * the next name: this one is another user's, or held by somebody who does not listen.
 */
static int connect_or_start(unsigned suffix, uint64_t now_mono_ns, int *ret_handle)
{
        struct sockaddr_un name;
        socklen_t len = relay_name(suffix, &name);
        int result = connect_to(&name, len, ret_handle), started;

        if (result != -ECONNREFUSED)
                return result;
        started = start_under(&name, len, now_mono_ns);
        if (started && started != -EADDRINUSE)
                return is_passing(started) ? started : -ECHILD;
        return connect_to(&name, len, ret_handle);
}

static enum relay_result relay_find(int ring_fd, uint64_t now_mono_ns)
{
        for (unsigned suffix = 0; suffix < LIMIT_RELAY_NAMES; suffix++) {
                int handle = -1, result = connect_or_start(suffix, now_mono_ns, &handle);

                if (result == -ECHILD)
                        return RELAY_IMPOSSIBLE;
                if (is_passing(result))
                        return RELAY_LATER;
                if (result < 0)
                        continue;
                if (hand_over(home_fd_get(handle), ring_fd) != (long)sizeof(struct handover)) {
                        home_fd_close(handle);
                        return RELAY_LATER;
                }
                atomic_store(&relay_handle, handle);
                stat_add(STAT_RELAY_CONNECTED, 1);
                return RELAY_WOKEN;
        }
        return RELAY_IMPOSSIBLE;
}

int relay_client_join(void)
{
        for (unsigned suffix = 0; suffix < LIMIT_RELAY_NAMES; suffix++) {
                struct sockaddr_un name;
                socklen_t len = relay_name(suffix, &name);
                int handle;

                if (connect_to(&name, len, &handle) == 0)
                        return handle;
        }
        return -1;
}

bool relay_client_hand_over(int handle, int ring_handle, char what)
{
        int fd = home_fd_get(handle), ring_fd = home_fd_get(ring_handle);

        return fd >= 0 && ring_fd >= 0 && hand_over(fd, ring_fd) == (long)sizeof(struct handover) &&
               send_byte(fd, what);
}

enum relay_result relay_client_wake(int ring_handle, char what, uint64_t now_mono_ns)
{
        int fd = home_fd_get(atomic_load(&relay_handle)), ring_fd;
        enum relay_result result;

        if (fd >= 0 && send_byte(fd, what))
                return RELAY_WOKEN;
        relay_drop();
        ring_fd = home_fd_get(ring_handle);
        if (ring_fd < 0)
                return RELAY_NO_RING;
        result = relay_find(ring_fd, now_mono_ns);
        if (result != RELAY_WOKEN)
                stat_add(STAT_RELAY_FAILED, 1);
        return result;
}

bool relay_client_lives(int handle)
{
        struct pollfd poll_fd = {.fd = home_fd_get(handle)};
        struct timespec none = {0, 0};

        /* No event is asked for: what comes is an end or an error. */
        return poll_fd.fd >= 0 && sys_call(SYS_ppoll, (long)&poll_fd, 1, (long)&none, 0, 0, 0) == 0;
}

bool relay_client_alive(void)
{
        return relay_client_lives(atomic_load(&relay_handle));
}

void relay_client_after_fork(void)
{
        atomic_store(&relay_handle, -1);
        starts = 0;
        starts_since_ns = 0;
}
