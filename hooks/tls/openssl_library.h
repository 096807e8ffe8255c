/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The real OpenSSLs of this process: there may be two of different versions, and most are loaded RTLD_LOCAL.
 * An object is served by the library that made it. Which one that is is seen from the table of functions that
 * every SSL points to near its beginning; the loader is asked only when no known library holds it. Asking the
 * loader in each call would hold its lock so often that forked children would inherit it taken.
 */
#include <stdbool.h>
#include <stdint.h>

#include "hooks/tls/openssl_types.h"

/* Of libssl and libcrypto, wrapped or asked, and what a call returns where there is none. */
#define OPENSSL_ROWS(X)                   \
        X(SSL_connect, minus)             \
        X(SSL_accept, minus)              \
        X(SSL_do_handshake, minus)        \
        X(SSL_read, minus)                \
        X(SSL_read_ex, zero)              \
        X(SSL_peek, minus)                \
        X(SSL_peek_ex, zero)              \
        X(SSL_write, minus)               \
        X(SSL_write_ex, zero)             \
        X(SSL_sendfile, minus)            \
        X(SSL_read_early_data, zero)      \
        X(SSL_write_early_data, zero)     \
        X(SSL_shutdown, minus)            \
        X(SSL_clear, zero)                \
        X(SSL_get_rbio, minus)            \
        X(SSL_get_wbio, minus)            \
        X(SSL_ctrl, minus)                \
        X(SSL_get_ex_data, minus)         \
        X(SSL_set_ex_data, minus)         \
        X(SSL_get_client_random, minus)   \
        X(SSL_get_servername, minus)      \
        X(SSL_get_shutdown, minus)        \
        X(SSL_get_verify_mode, minus)     \
        X(SSL_get_verify_result, minus)   \
        X(SSL_is_init_finished, minus)    \
        X(SSL_is_server, minus)           \
        X(SSL_want, minus)                \
        X(SSL_version, zero)              \
        X(SSL_session_reused, zero)       \
        X(SSL_get0_alpn_selected, zero)   \
        X(SSL_get_current_cipher, zero)   \
        X(SSL_CIPHER_standard_name, zero) \
        X(CRYPTO_get_ex_new_index, minus) \
        X(BIO_test_flags, minus)

enum {
#define X(name, absent) OPENSSL_ROW_##name,
        OPENSSL_ROWS(X)
#undef X
                OPENSSL_ROW_COUNT
};

struct openssl_library {
        uintptr_t start, end; /* where its libssl is mapped */
        const void *identity; /* its dynamic section; NULL: this entry is free */
        bool complete;        /* all that we ask with is there */
        bool may_go;          /* it can be unloaded */
        _Atomic int index;    /* of our ex_data, + 1; 0: not yet asked for; -1: there is none */
        union {
                struct {
#define X(name, absent) __typeof__(name) *name;
                        OPENSSL_ROWS(X)
#undef X
                };
                void *rows[OPENSSL_ROW_COUNT];
        };
};

/**
 * openssl_library_of() - the library that made @ssl
 *
 * Context: hook. Waits for a dlopen or dlclose of another thread, when @ssl is of no library known so far.
 * Return: never NULL; where there is no OpenSSL, its functions fail.
 */
struct openssl_library *openssl_library_of(const struct ssl_st *ssl);
