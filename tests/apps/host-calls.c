/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes every call that we wrap with arguments that work, that are wrong and that fail, and prints
 * what came of it. Its output must not depend on the preload. Addresses, pids and times are not printed.
 */
#include "host-calls.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BAD_FD 9999

/* Arguments that the compiler must not know, or it would warn of what is meant. */
static volatile int minus_one = -1, too_many = 2000;
static struct pollfd *volatile no_polls;

static char buffer[64];
static struct iovec vector = {buffer, sizeof(buffer)};

static void transfers_that_fail(int fd)
{
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
        struct mmsghdr many = {.msg_hdr = message};

        SHOW(read(fd, buffer, 8));
        SHOW(readv(fd, &vector, 1));
        SHOW(readv(fd, &vector, minus_one));
        SHOW(preadv2(fd, &vector, 1, -1, 0));
        SHOW(preadv64v2(fd, &vector, 1, -1, 0));
        SHOW(write(fd, "x", 1));
        SHOW(writev(fd, &vector, 1));
        SHOW(writev(fd, &vector, too_many));
        SHOW(pwritev2(fd, &vector, 1, -1, 0x7fff));
        SHOW(pwritev64v2(fd, &vector, 1, -1, 0x7fff));
        SHOW(send(fd, "x", 1, MSG_NOSIGNAL));
        SHOW(sendto(fd, "x", 1, MSG_NOSIGNAL, NULL, 0));
        SHOW(sendmsg(fd, &message, MSG_NOSIGNAL));
        SHOW(sendmsg(fd, NULL, MSG_NOSIGNAL));
        SHOW(sendmmsg(fd, &many, 1, MSG_NOSIGNAL));
        SHOW(sendmmsg(fd, &many, 0, MSG_NOSIGNAL));
        SHOW(recv(fd, buffer, 8, MSG_DONTWAIT));
        SHOW(recvfrom(fd, buffer, 8, MSG_DONTWAIT, NULL, NULL));
        SHOW(recvmsg(fd, &message, MSG_DONTWAIT));
        SHOW(recvmsg(fd, NULL, MSG_DONTWAIT));
        SHOW(recvmmsg(fd, &many, 1, MSG_DONTWAIT, NULL));
        SHOW(__read_chk(fd, buffer, 8, sizeof(buffer)));
        SHOW(__recv_chk(fd, buffer, 8, sizeof(buffer), MSG_DONTWAIT));
        SHOW(__recvfrom_chk(fd, buffer, 8, sizeof(buffer), MSG_DONTWAIT, NULL, NULL));
        SHOW(sendfile(fd, 0, NULL, 10));
        SHOW(sendfile64(fd, BAD_FD, NULL, 10));
        SHOW(splice(fd, NULL, BAD_FD, NULL, 10, 0));
        SHOW(splice(BAD_FD, NULL, fd, NULL, 10, 0));
}

static void descriptors(void)
{
        int pair[2];

        SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        SHOW(socketpair(AF_INET, SOCK_STREAM, 0, pair + 0));
        SHOW(dup(pair[0]));
        SHOW(dup2(pair[0], 60));
        SHOW(dup2(pair[0], pair[0]));
        SHOW(dup2(BAD_FD, 60));
        SHOW(dup2(pair[0], -1));
        SHOW(dup2(pair[0], 1 << 30));
        SHOW(dup3(pair[0], 61, O_CLOEXEC));
        SHOW(dup3(pair[0], pair[0], 0));
        SHOW(dup3(pair[0], 62, 0x7fff0000));
        SHOW(fcntl(pair[0], F_DUPFD, 63));
        SHOW(fcntl64(pair[0], F_DUPFD_CLOEXEC, 64));
        SHOW(fcntl(64, F_GETFD));
        SHOW(fcntl(64, F_SETFD, 0));
        SHOW(fcntl64(64, F_GETFL));
        SHOW(fcntl(64, F_SETFL, O_NONBLOCK));
        SHOW(fcntl(64, 12345, 1));
        SHOW(fcntl(BAD_FD, F_GETFD));
        SHOW(fcntl(64, F_GETOWN));
        SHOW(close(64));
        SHOW(close(64));
        SHOW(close(-1));
        SHOW(close_range(60, 63, 0));
        SHOW(close_range(61, 60, 0));
        SHOW(close_range(60, 61, 0x7000));
        SHOW(fcntl(60, F_GETFD));
        SHOW(shutdown(pair[0], SHUT_WR));
        SHOW(shutdown(pair[0], 77));
        SHOW(shutdown(0, SHUT_WR));
        SHOW(close(pair[0]));
        SHOW(close(pair[1]));
}

static void sockets(void)
{
        struct sockaddr_in nowhere = {
                .sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        struct sockaddr_un no_file = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
        int tcp, udp, error = 5;
        socklen_t len = sizeof(error);

        SHOW(tcp = socket(AF_INET, SOCK_STREAM, 0));
        SHOW(udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
        SHOW(socket(AF_INET, 99, 0));
        SHOW(socket(999, SOCK_STREAM, 0));
        SHOW(connect(tcp, (struct sockaddr *)&nowhere, 3));
        SHOW(connect(tcp, NULL, 0));
        SHOW(connect(tcp, (struct sockaddr *)&nowhere, sizeof(nowhere)));
        SHOW(getsockopt(tcp, SOL_SOCKET, SO_ERROR, &error, &len));
        SHOW(error + (int)len);
        SHOW(getsockopt(tcp, SOL_SOCKET, SO_ERROR, NULL, NULL));
        SHOW(getsockopt(tcp, SOL_SOCKET, 9999, &error, &len));
        SHOW(connect(tcp, (struct sockaddr *)&no_file, sizeof(no_file)));
        SHOW(connect(BAD_FD, (struct sockaddr *)&nowhere, sizeof(nowhere)));
        SHOW(accept(tcp, NULL, NULL));
        SHOW(accept4(tcp, NULL, NULL, 0x7fff));
        SHOW(accept(BAD_FD, NULL, NULL));
        SHOW(connect(udp, (struct sockaddr *)&nowhere, sizeof(nowhere)));
        SHOW(sendto(udp, "x", 1, 0, (struct sockaddr *)&nowhere, sizeof(nowhere)));
        SHOW(sendto(tcp, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&nowhere, sizeof(nowhere)));
        SHOW(sendto(tcp, "x", 1, MSG_NOSIGNAL | MSG_FASTOPEN, (struct sockaddr *)&nowhere, sizeof(nowhere)));
        transfers_that_fail(tcp);
        SHOW(close(tcp));
        SHOW(close(udp));
}

static void waits(void)
{
        struct timespec moment = {0, 1000000}, wrong = {0, -1};
        struct timeval short_time = {0, 1000}, no_time = {0, 0};
        struct pollfd waited = {0};
        struct epoll_event event;
        fd_set set;
        int pipes[2], epoll = epoll_create1(0);

        if (pipe(pipes) != 0)
                return;
        waited = (struct pollfd){pipes[0], POLLIN, 0};
        FD_ZERO(&set);
        FD_SET(pipes[0], &set);
        SHOW(poll(&waited, 1, 1));
        SHOW(poll(&waited, 1, 0));
        SHOW(poll(no_polls, 1, 0));
        SHOW(ppoll(&waited, 1, &moment, NULL));
        SHOW(ppoll(&waited, 1, &wrong, NULL));
        SHOW(__poll_chk(&waited, 1, 1, sizeof(waited)));
        SHOW(__ppoll_chk(&waited, 1, &moment, NULL, sizeof(waited)));
        SHOW(select(pipes[0] + 1, &set, NULL, NULL, &short_time));
        SHOW(FD_ISSET(pipes[0], &set));
        SHOW(select(-1, NULL, NULL, NULL, &no_time));
        FD_SET(pipes[0], &set);
        SHOW(pselect(pipes[0] + 1, &set, NULL, NULL, &moment, NULL));
        SHOW(pselect(0, NULL, NULL, NULL, &wrong, NULL));
        SHOW(epoll_wait(epoll, &event, 1, 1));
        SHOW(epoll_wait(epoll, &event, 0, 0));
        SHOW(epoll_wait(BAD_FD, &event, 1, 0));
        SHOW(epoll_pwait(epoll, &event, 1, 1, NULL));
        SHOW(epoll_pwait2(epoll, &event, 1, &moment, NULL));
        SHOW(write(pipes[1], "abc", 3));
        SHOW(poll(&waited, 1, 1000));
        SHOW(waited.revents);
        SHOW(read(pipes[0], buffer, 8));
        SHOW(close_range((unsigned)pipes[0], (unsigned)pipes[1], 0));
        SHOW(close(epoll));
}

static void files(void)
{
        FILE *file = tmpfile();
        FILE *memory = fmemopen(buffer, sizeof(buffer), "w");

        SHOW(fileno(file) >= 0);
        SHOW(fputs("hello", file) >= 0);
        SHOW(fclose(file));
        SHOW(fclose(memory));
        file = fopen("/dev/null", "r");
        SHOW((file = freopen("/dev/zero", "r", file)) != NULL);
        SHOW(fgetc(file));
        SHOW((file = freopen64("/dev/null", "r", file)) != NULL);
        SHOW(fgetc(file));
        SHOW(freopen("/nonexistent", "r", file) != NULL);
}

static void names(void)
{
        struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
        struct addrinfo *list = NULL;
        struct hostent entry, *result = NULL;
        char space[2048];
        int error = 0;

        SHOW(getaddrinfo("127.0.0.1", "80", &numeric, &list));
        SHOW(ntohs(((struct sockaddr_in *)list->ai_addr)->sin_port));
        freeaddrinfo(list);
        SHOW(getaddrinfo("localhost", NULL, NULL, &list));
        freeaddrinfo(list);
        SHOW(getaddrinfo("not a number", NULL, &numeric, &list));
        SHOW(getaddrinfo("no.such.host.invalid", NULL, NULL, &list));
        SHOW(getaddrinfo(NULL, NULL, NULL, &list));
        SHOW(gethostbyname("127.0.0.1") != NULL);
        SHOW(gethostbyname("no.such.host.invalid") != NULL);
        SHOW(h_errno);
        SHOW(gethostbyname2("localhost", AF_INET) != NULL);
        SHOW(gethostbyname_r("localhost", &entry, space, sizeof(space), &result, &error));
        SHOW(result != NULL);
        SHOW(gethostbyname_r("localhost", &entry, space, 1, &result, &error));
        SHOW(error);
        SHOW(gethostbyname2_r("no.such.host.invalid", AF_INET, &entry, space, sizeof(space), &result,
                              &error));
        SHOW(error);
}

static void system_calls(void)
{
        int fd = (int)syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
        struct sockaddr_un no_file = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};

        SHOW(syscall(SYS_connect, fd, &no_file, sizeof(no_file)));
        SHOW(syscall(SYS_dup, fd));
        SHOW(syscall(SYS_dup3, fd, 70, 0));
        SHOW(syscall(SYS_dup3, BAD_FD, 70, 0));
        SHOW(syscall(SYS_fcntl, fd, F_DUPFD, 71));
        SHOW(syscall(SYS_fcntl, fd, F_GETFD));
        SHOW(syscall(SYS_write, fd, "x", 1));
        SHOW(syscall(SYS_read, fd, buffer, 1));
        SHOW(syscall(SYS_close, 70));
        SHOW(syscall(SYS_close, 70));
        SHOW(syscall(SYS_close_range, 71, 71, 0));
        SHOW(syscall(SYS_close, fd));
        SHOW(syscall(SYS_read, BAD_FD, NULL, 0));
        SHOW(syscall(SYS_mmap, NULL, 4096, 0, 0x22, -1, 12345));
        SHOW(syscall(100000));
        SHOW(syscall(-1));
}

static void identities(void)
{
        SHOW(setuid(getuid()));
        SHOW(setgid(getgid()));
        SHOW(seteuid(geteuid()));
        SHOW(setegid(getegid()));
        SHOW(setreuid((uid_t)-1, (uid_t)-1));
        SHOW(setregid((gid_t)-1, (gid_t)-1));
        SHOW(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1));
        SHOW(setresgid((gid_t)-1, (gid_t)-1, (gid_t)-1));
        SHOW(setgroups(1 << 20, NULL));
        SHOW(initgroups("no such user", getgid()));
        SHOW(unshare(0));
        SHOW(unshare(0x7fffffff));
        SHOW(setns(BAD_FD, 0));
        SHOW(capset(NULL, NULL));
}

/* Memory that is there and cannot be read, on a connection that we look at. */
static void pointers(void)
{
        struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof(here);
        void *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct iovec bad_vector[2] = {{bad, 8}, {buffer, 8}};
        struct msghdr message = {.msg_iov = bad_vector, .msg_iovlen = 2};
        struct mmsghdr many = {.msg_hdr = message};
        struct timeval limit = {.tv_usec = 1000};
        int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

        SHOW(bind(listener, (struct sockaddr *)&here, len) + listen(listener, 1));
        SHOW(getsockname(listener, (struct sockaddr *)&here, &len));
        SHOW(connect(fd, bad, sizeof(here)));
        SHOW(sendmsg(fd, bad, 0));
        SHOW(connect(fd, (struct sockaddr *)&here, sizeof(here)));
        SHOW(recvmsg(fd, bad, MSG_DONTWAIT));
        SHOW(readv(fd, bad, 2));
        SHOW(writev(fd, bad, 2));
        SHOW(sendmsg(fd, bad, 0));
        SHOW(sendmmsg(fd, bad, 1, 0));
        SHOW(select(1, bad, NULL, NULL, &limit));
        SHOW(send(fd, bad, 8, 0));
        SHOW(write(fd, bad, 8));
        SHOW(writev(fd, bad_vector, 2));
        SHOW(sendmsg(fd, &message, 0));
        SHOW(sendmmsg(fd, &many, 1, 0));
        SHOW(close(fd));
        SHOW(close(listener));
        munmap(bad, 4096);
}

int main(void)
{
        int start_errno = errno;
        int file = open("/dev/null", O_RDWR);

        show("errno at the start of main", start_errno, UNTOUCHED);
        signal(SIGPIPE, SIG_IGN);
        transfers_that_fail(BAD_FD);
        transfers_that_fail(-1);
        transfers_that_fail(file);
        descriptors();
        sockets();
        pointers();
        waits();
        files();
        names();
        system_calls();
        processes();
        identities();
        return 0;
}
