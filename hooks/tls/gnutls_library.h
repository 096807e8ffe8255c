/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The real GnuTLSs of this process. One may be unloaded, but not before its sessions are gone: it is looked
 * for when a session is made, and the session remembers it.
 */
#include "hooks/tls/gnutls_types.h"

#define GNUTLS_ROWS(X)                       \
        X(gnutls_init)                       \
        X(gnutls_deinit)                     \
        X(gnutls_handshake)                  \
        X(gnutls_server_name_set)            \
        X(gnutls_record_send)                \
        X(gnutls_record_send2)               \
        X(gnutls_record_recv)                \
        X(gnutls_record_cork)                \
        X(gnutls_bye)                        \
        X(gnutls_error_is_fatal)             \
        X(gnutls_session_get_random)         \
        X(gnutls_protocol_get_version)       \
        X(gnutls_session_is_resumed)         \
        X(gnutls_alpn_get_selected_protocol) \
        X(gnutls_ciphersuite_get)

enum {
#define X(name) GNUTLS_ROW_##name,
        GNUTLS_ROWS(X)
#undef X
                GNUTLS_ROW_COUNT
};

struct gnutls_library {
        const void *identity; /* its dynamic section; NULL: none */
        union {
                struct {
#define X(name) __typeof__(name) *name;
                        GNUTLS_ROWS(X)
#undef X
                };
                void *rows[GNUTLS_ROW_COUNT];
        };
};

/**
 * gnutls_library_for() - the library that serves a call
 * @caller: the call's return address; with several libraries the one that its module is linked to
 *
 * Context: hook. Waits for a dlopen or dlclose of another thread.
 * Return: never NULL; where there is no GnuTLS, its functions fail.
 */
const struct gnutls_library *gnutls_library_for(const void *caller);
