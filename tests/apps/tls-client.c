/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTPS over OpenSSL in every way that its BIOs allow, never blocking, with bodies larger than the socket
 * takes:
 *
 *     tls-client socket|memory|custom FLAGS PORT CA      FLAGS: p partial writes, m moving buffers, e the _ex
 * calls
 *
 * Prints what it was answered, and fails where a result, the error queue or errno is not as the manual says.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS 4
#define BODY     400000

static int fd;
static BIO *net_in, *net_out; /* memory: what came, and what is to go */

static void fail(const char *what)
{
        printf("failed: %s\n", what);
        exit(1);
}

static void wait_for(short events)
{
        struct pollfd waited = {.fd = fd, .events = events};

        if (poll(&waited, 1, 20000) != 1)
                fail("poll");
}

static int custom_write(BIO *bio, const char *data, int len)
{
        int n = (int)send(fd, data, (size_t)len, 0);

        BIO_clear_retry_flags(bio);
        if (n < 0 && errno == EAGAIN)
                BIO_set_retry_write(bio);
        return n;
}

static int custom_read(BIO *bio, char *data, int len)
{
        int n = (int)recv(fd, data, (size_t)len, 0);

        BIO_clear_retry_flags(bio);
        if (n < 0 && errno == EAGAIN)
                BIO_set_retry_read(bio);
        return n;
}

static long custom_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
        return cmd == BIO_CTRL_FLUSH;
}

static BIO *custom_bio(void)
{
        BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "custom");
        BIO *bio;

        BIO_meth_set_write(method, custom_write);
        BIO_meth_set_read(method, custom_read);
        BIO_meth_set_ctrl(method, custom_ctrl);
        bio = BIO_new(method);
        BIO_set_init(bio, 1);
        return bio;
}

/* Memory: all that is to go goes; what can be had is had. */
static void pump(int wants_more)
{
        char buf[4096];
        int len;
        ssize_t n;

        while ((len = (int)BIO_read(net_out, buf, sizeof(buf))) > 0)
                for (int at = 0; at < len; at += (int)n) {
                        n = write(fd, buf + at, (size_t)(len - at));
                        if (n < 0 && errno != EAGAIN)
                                fail("write");
                        n = n < 0 ? (wait_for(POLLOUT), 0) : n;
                }
        if (!wants_more)
                return;
        wait_for(POLLIN);
        n = read(fd, buf, sizeof(buf));
        if (n > 0)
                BIO_write(net_in, buf, (int)n);
        else
                fail("end of stream");
}

/* After a call that did nothing: as the manual says, or the end. */
static void again(SSL *ssl, int result)
{
        int error = SSL_get_error(ssl, result);

        if (ERR_peek_error())
                fail("something in the error queue");
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                fail("SSL_get_error");
        if (net_in)
                pump(error == SSL_ERROR_WANT_READ);
        else
                wait_for(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
}

static int write_some(SSL *ssl, const char *data, int len, int extended, size_t *ret_written)
{
        int result;

        if (extended)
                return SSL_write_ex(ssl, data, (size_t)len, ret_written);
        result = SSL_write(ssl, data, len);
        *ret_written = result > 0 ? (size_t)result : 0;
        return result;
}

static void send_all(SSL *ssl, const char *data, int len, const char *flags)
{
        char *moved = malloc((size_t)len);
        int result, tries = 0;
        size_t n = 0;

        for (int at = 0; at < len; at += (int)n) {
                while ((result = write_some(ssl, data + at, len - at, strchr(flags, 'e') != NULL, &n)) <= 0) {
                        again(ssl, result);
                        if (strchr(flags, 'm') && ++tries % 2)
                                data = memcpy(moved, data, (size_t)len);
                }
                if (n > (size_t)(len - at) || (!strchr(flags, 'p') && n != (size_t)(len - at)))
                        fail("count of a write");
        }
        free(moved);
}

static void read_answer(SSL *ssl)
{
        char text[4096], *end = NULL;
        int len = 0, n;
        long body = 0;

        while (!end || len < end + 4 - text + body) {
                while ((n = SSL_read(ssl, text + len, (int)sizeof(text) - 1 - len)) <= 0)
                        again(ssl, n);
                len += n;
                text[len] = '\0';
                end = strstr(text, "\r\n\r\n");
                if (end && strstr(text, "Content-Length: "))
                        body = atol(strstr(text, "Content-Length: ") + 16);
        }
        printf("%.*s: %ld bytes\n", 15, text, body);
}

static void open_socket(int port)
{
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int small = 4096;

        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                fail("connect");
        fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void set_transport(SSL *ssl, const char *mode)
{
        BIO *bio;

        if (strcmp(mode, "socket") == 0) {
                SSL_set_fd(ssl, fd);
        } else if (strcmp(mode, "custom") == 0) {
                bio = custom_bio();
                SSL_set_bio(ssl, bio, bio);
        } else {
                net_in = BIO_new(BIO_s_mem());
                net_out = BIO_new(BIO_s_mem());
                SSL_set_bio(ssl, net_in, net_out);
        }
}

int main(int argc, char **argv)
{
        static char request[BODY + 200];
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        int head, result;
        SSL *ssl;

        if (argc != 5)
                return 2;
        SSL_CTX_load_verify_locations(context, argv[4], NULL);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_mode(context, (strchr(argv[2], 'p') ? SSL_MODE_ENABLE_PARTIAL_WRITE : 0) |
                                          (strchr(argv[2], 'm') ? SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER : 0));
        open_socket(atoi(argv[3]));
        ssl = SSL_new(context);
        set_transport(ssl, argv[1]);
        SSL_set_tlsext_host_name(ssl, "localhost");
        while ((result = SSL_connect(ssl)) <= 0)
                again(ssl, result);
        for (int i = 0; i < REQUESTS; i++) {
                head = sprintf(request,
                               "POST /echo/%d HTTP/1.1\r\nHost: localhost:%s\r\nContent-Length: %d\r\n\r\n",
                               i, argv[3], i % 2 ? BODY : 10);
                memset(request + head, 'b', BODY);
                send_all(ssl, request, head + (i % 2 ? BODY : 10), argv[2]);
                read_answer(ssl);
        }
        SSL_shutdown(ssl);
        SSL_free(ssl);
        SSL_CTX_free(context);
        return 0;
}
