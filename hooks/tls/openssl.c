/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks of OpenSSL. What we know of an SSL object hangs on it (ex_data), so it is freed with it, whoever
 * frees it. Between a real call and our return nothing is called that touches the library's error queue.
 */
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "agent/tap/tap_tls.h"
#include "hooks/hook.h"
#include "hooks/tls/openssl_library.h"

#define NO_INDEX (-1)

/* One call of the host's. */
struct call {
        struct tap_tls_io io;
        struct tap_tls_call tap;
        struct openssl_library *real;
        struct ssl_st *ssl;
        bool extended; /* the host called the _ex function */
        int result;    /* of the last real call */
};

/* --- our state of an object --- */

static void on_free(void *parent, void *ptr, struct crypto_ex_data_st *data, int index, long argl, void *argp)
{
        if (ptr)
                tap_tls_free(ptr);
}

/* A copy of an object gets state of its own. @from_d points to what was copied. */
static int on_dup(struct crypto_ex_data_st *to, const struct crypto_ex_data_st *from, void *from_d, int index,
                  long argl, void *argp)
{
        *(void **)from_d = NULL;
        return 1;
}

static int index_of(struct openssl_library *real)
{
        int index = atomic_load_explicit(&real->index, memory_order_acquire), none = 0;

        if (LIKELY(index != 0))
                return index > 0 ? index - 1 : NO_INDEX;
        index = real->CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, NULL, on_dup, on_free);
        index = index > 0 ? index + 1 : NO_INDEX;
        if (!atomic_compare_exchange_strong(&real->index, &none, index))
                index = none; /* another thread was faster; ours stays unused */
        return index > 0 ? index - 1 : NO_INDEX;
}

static struct tls *state_of(struct openssl_library *real, struct ssl_st *ssl)
{
        int index = index_of(real);
        struct tls *tls = index == NO_INDEX ? NULL : real->SSL_get_ex_data(ssl, index);

        if (tls || index == NO_INDEX)
                return tls;
        tls = tap_tls_new(real->SSL_is_init_finished(ssl));
        if (tls && !real->SSL_set_ex_data(ssl, index, tls)) {
                tap_tls_free(tls);
                tls = NULL;
        }
        return tls;
}

/* --- around the real calls --- */

enum role { ROLE_CLIENT, ROLE_SERVER, ROLE_OF_OBJECT };

/* Return: true: tap_tls_leave() must follow. */
static bool enter(struct call *call, struct ssl_st *ssl, enum role role)
{
        struct tls *tls = NULL;
        bool server, entered;
        int error = errno;

        call->real = openssl_library_of(ssl);
        call->ssl = ssl;
        if (!ssl || !call->real->complete || guard_passes())
                return false;
        tls = state_of(call->real, ssl);
        server = role == ROLE_OF_OBJECT ? call->real->SSL_is_server(ssl) : role == ROLE_SERVER;
        entered = tls &&
                  tap_tls_enter(&call->tap, tls, server,
                                slice_str(call->real->SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)));
        errno = error;
        return entered;
}

static bool would_block(const struct call *call, int want)
{
        const struct openssl_library *real = call->real;
        struct bio_st *bio =
                want == SSL_WRITING ? real->SSL_get_wbio(call->ssl) : real->SSL_get_rbio(call->ssl);

        return bio && real->BIO_test_flags(bio, BIO_FLAGS_SHOULD_RETRY);
}

static enum tap_tls_outcome judge(struct tap_tls_io *io, int *ret_error)
{
        struct call *call = (struct call *)io;
        const struct openssl_library *real = call->real;
        int want = real->SSL_want(call->ssl);
        bool shaken = real->SSL_is_init_finished(call->ssl);
        long verified;

        if (want == SSL_READING || want == SSL_WRITING) {
                if (would_block(call, want))
                        return want == SSL_WRITING && shaken ? TAP_TLS_KEPT : TAP_TLS_AGAIN;
        } else if (want != SSL_NOTHING) {
                return TAP_TLS_AGAIN; /* a certificate, an asynchronous job, ...: the host's turn */
        }
        /* A fatal alert shuts down as well, but leaves an object that is not ready any more. */
        if (want == SSL_READING || (shaken && real->SSL_get_shutdown(call->ssl) & SSL_RECEIVED_SHUTDOWN))
                return TAP_TLS_CLOSED;
        verified = real->SSL_get_verify_result(call->ssl);
        if (!shaken && verified > 0 && real->SSL_get_verify_mode(call->ssl) & SSL_VERIFY_PEER)
                *ret_error = (int)verified;
        else
                *ret_error = shaken ? TLS_ERROR_PROTOCOL : TLS_ERROR_HANDSHAKE;
        return TAP_TLS_FAILED;
}

static ssize_t write_real(struct tap_tls_io *io, const void *buf, size_t len)
{
        struct call *call = (struct call *)io;
        size_t written = 0;

        if (!call->extended) {
                call->result = call->real->SSL_write(call->ssl, buf, (int)MIN(len, (size_t)INT_MAX));
                return call->result;
        }
        call->result = call->real->SSL_write_ex(call->ssl, buf, len, &written);
        return call->result > 0 ? (ssize_t)written : call->result;
}

static void prepare_write(struct call *call)
{
        long mode = call->real->SSL_ctrl(call->ssl, SSL_CTRL_MODE, 0, NULL);

        call->io = (struct tap_tls_io){.write = write_real,
                                       .judge = judge,
                                       .partial = mode & SSL_MODE_ENABLE_PARTIAL_WRITE,
                                       .moving = mode & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER};
}

static void prepare(struct call *call)
{
        call->io = (struct tap_tls_io){.write = write_real, .judge = judge};
}

/* --- the wrappers --- */

static void tell_hello(struct call *call)
{
        static const unsigned char none[TLS_RANDOM];
        unsigned char random[TLS_RANDOM];

        if (call->real->SSL_get_client_random(call->ssl, random, sizeof(random)) == sizeof(random) &&
            memcmp(random, none, sizeof(random)) != 0)
                tap_tls_hello(&call->tap, random);
}

static void tell_facts(struct call *call)
{
        const struct openssl_library *real = call->real;
        const struct ssl_cipher_st *cipher = real->SSL_get_current_cipher(call->ssl);
        const unsigned char *chosen = NULL;
        unsigned chosen_len = 0;

        real->SSL_get0_alpn_selected(call->ssl, &chosen, &chosen_len);
        tap_tls_facts(&call->tap,
                      &(struct tls_facts){
                              .version = real->SSL_version(call->ssl),
                              .resumed = real->SSL_session_reused(call->ssl),
                              .cipher = slice_str(cipher ? real->SSL_CIPHER_standard_name(cipher) : NULL),
                              .next_protocol = slice_make(chosen, chosen ? chosen_len : 0),
                      });
}

/* A call has gone well that needs a complete handshake. */
static inline void is_shaken(struct call *call)
{
        if (UNLIKELY(tap_tls_wants_facts(&call->tap)))
                tell_facts(call);
}

static void shaken(struct call *call, bool complete)
{
        if (UNLIKELY(tap_tls_wants_hello(&call->tap)))
                tell_hello(call);
        if (complete)
                is_shaken(call);
        tap_tls_shaken(&call->tap, &call->io, complete);
        tap_tls_leave(&call->tap);
}

static int shake(struct call *call, int (*real)(struct ssl_st *ssl))
{
        int result;

        prepare(call);
        result = real(call->ssl);
        shaken(call, result == 1);
        return result;
}

HOOK_EXPORT int SSL_connect(struct ssl_st *ssl)
{
        struct call call;

        return enter(&call, ssl, ROLE_CLIENT) ? shake(&call, call.real->SSL_connect)
                                              : call.real->SSL_connect(ssl);
}

HOOK_EXPORT int SSL_accept(struct ssl_st *ssl)
{
        struct call call;

        return enter(&call, ssl, ROLE_SERVER) ? shake(&call, call.real->SSL_accept)
                                              : call.real->SSL_accept(ssl);
}

HOOK_EXPORT int SSL_do_handshake(struct ssl_st *ssl)
{
        struct call call;

        return enter(&call, ssl, ROLE_OF_OBJECT) ? shake(&call, call.real->SSL_do_handshake)
                                                 : call.real->SSL_do_handshake(ssl);
}

static int in(struct call *call, int (*real)(struct ssl_st *ssl, void *buf, int num), void *buf, int num,
              bool peek)
{
        int result;

        prepare(call);
        tap_tls_in_begin(&call->tap, peek);
        result = real(call->ssl, buf, num);
        if (result > 0)
                is_shaken(call);
        result = (int)tap_tls_in_end(&call->tap, &call->io, buf, num > 0 ? (size_t)num : 0, result, peek);
        tap_tls_leave(&call->tap);
        return result;
}

HOOK_EXPORT int SSL_read(struct ssl_st *ssl, void *buf, int num)
{
        struct call call;

        return enter(&call, ssl, ROLE_OF_OBJECT) ? in(&call, call.real->SSL_read, buf, num, false)
                                                 : call.real->SSL_read(ssl, buf, num);
}

HOOK_EXPORT int SSL_peek(struct ssl_st *ssl, void *buf, int num)
{
        struct call call;

        return enter(&call, ssl, ROLE_OF_OBJECT) ? in(&call, call.real->SSL_peek, buf, num, true)
                                                 : call.real->SSL_peek(ssl, buf, num);
}

static int in_ex(struct call *call, int (*real)(struct ssl_st *ssl, void *buf, size_t num, size_t *readbytes),
                 void *buf, size_t num, size_t *readbytes, bool peek)
{
        ssize_t n;
        int result;

        prepare(call);
        tap_tls_in_begin(&call->tap, peek);
        result = real(call->ssl, buf, num, readbytes);
        if (result > 0)
                is_shaken(call);
        n = tap_tls_in_end(&call->tap, &call->io, buf, num, result > 0 ? (ssize_t)*readbytes : result, peek);
        if (result > 0)
                *readbytes = (size_t)n;
        tap_tls_leave(&call->tap);
        return result;
}

HOOK_EXPORT int SSL_read_ex(struct ssl_st *ssl, void *buf, size_t num, size_t *readbytes)
{
        struct call call;

        return enter(&call, ssl, ROLE_OF_OBJECT)
                       ? in_ex(&call, call.real->SSL_read_ex, buf, num, readbytes, false)
                       : call.real->SSL_read_ex(ssl, buf, num, readbytes);
}

HOOK_EXPORT int SSL_peek_ex(struct ssl_st *ssl, void *buf, size_t num, size_t *readbytes)
{
        struct call call;

        return enter(&call, ssl, ROLE_OF_OBJECT)
                       ? in_ex(&call, call.real->SSL_peek_ex, buf, num, readbytes, true)
                       : call.real->SSL_peek_ex(ssl, buf, num, readbytes);
}

/* Without a byte to send it is a way to shake hands. */
static int write_nothing(struct call *call, const void *buf, size_t *written)
{
        int result;

        prepare(call);
        result = call->extended ? call->real->SSL_write_ex(call->ssl, buf, 0, written)
                                : call->real->SSL_write(call->ssl, buf, 0);
        shaken(call, call->real->SSL_is_init_finished(call->ssl));
        return result;
}

HOOK_EXPORT int SSL_write(struct ssl_st *ssl, const void *buf, int num)
{
        struct call call;
        ssize_t n;

        if (num < 0)
                return openssl_library_of(ssl)->SSL_write(ssl, buf, num);
        call.extended = false;
        if (!enter(&call, ssl, ROLE_OF_OBJECT))
                return call.real->SSL_write(ssl, buf, num);
        if (num == 0)
                return write_nothing(&call, buf, NULL);
        prepare_write(&call);
        n = tap_tls_out(&call.tap, &call.io, buf, (size_t)num);
        tap_tls_leave(&call.tap);
        return n > 0 ? (int)n : call.result;
}

HOOK_EXPORT int SSL_write_ex(struct ssl_st *ssl, const void *buf, size_t num, size_t *written)
{
        struct call call;
        ssize_t n;

        if (num > SSIZE_MAX)
                return openssl_library_of(ssl)->SSL_write_ex(ssl, buf, num, written);
        call.extended = true;
        if (!enter(&call, ssl, ROLE_OF_OBJECT))
                return call.real->SSL_write_ex(ssl, buf, num, written);
        if (num == 0)
                return write_nothing(&call, buf, written);
        prepare_write(&call);
        n = tap_tls_out(&call.tap, &call.io, buf, num);
        tap_tls_leave(&call.tap);
        if (n > 0)
                *written = (size_t)n;
        return n > 0 ? 1 : call.result;
}

HOOK_EXPORT ssize_t SSL_sendfile(struct ssl_st *ssl, int fd, off_t offset, size_t size, int flags)
{
        struct call call;
        ssize_t n;

        if (!enter(&call, ssl, ROLE_OF_OBJECT))
                return call.real->SSL_sendfile(ssl, fd, offset, size, flags);
        n = call.real->SSL_sendfile(ssl, fd, offset, size, flags);
        if (n > 0)
                tap_tls_out_unseen(&call.tap, (size_t)n);
        tap_tls_leave(&call.tap);
        return n;
}

/* What is sent before the handshake is over may be sent twice, and be refused: left alone. */
HOOK_EXPORT int SSL_read_early_data(struct ssl_st *ssl, void *buf, size_t num, size_t *readbytes)
{
        struct call call;
        int result;

        if (!enter(&call, ssl, ROLE_SERVER))
                return call.real->SSL_read_early_data(ssl, buf, num, readbytes);
        result = call.real->SSL_read_early_data(ssl, buf, num, readbytes);
        if (result > 0 && *readbytes > 0)
                tap_tls_hands_off(call.tap.call.tls);
        tap_tls_leave(&call.tap);
        return result;
}

HOOK_EXPORT int SSL_write_early_data(struct ssl_st *ssl, const void *buf, size_t num, size_t *written)
{
        struct call call;
        int result;

        if (!enter(&call, ssl, ROLE_OF_OBJECT))
                return call.real->SSL_write_early_data(ssl, buf, num, written);
        result = call.real->SSL_write_early_data(ssl, buf, num, written);
        if (num > 0)
                tap_tls_hands_off(call.tap.call.tls);
        tap_tls_leave(&call.tap);
        return result;
}

HOOK_EXPORT int SSL_shutdown(struct ssl_st *ssl)
{
        struct call call;
        int result;

        if (!enter(&call, ssl, ROLE_OF_OBJECT))
                return call.real->SSL_shutdown(ssl);
        result = call.real->SSL_shutdown(ssl);
        if (result >= 0)
                tap_tls_shut(&call.tap);
        tap_tls_leave(&call.tap);
        return result;
}

HOOK_EXPORT int SSL_clear(struct ssl_st *ssl)
{
        struct openssl_library *real = openssl_library_of(ssl);
        struct tls *tls = NULL;

        if (ssl && real->complete && atomic_load(&real->index) > 0)
                tls = real->SSL_get_ex_data(ssl, atomic_load(&real->index) - 1);
        if (tls)
                tap_tls_restart(tls);
        return real->SSL_clear(ssl);
}
