/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* GnuTLS as far as we wrap and use it, in its own words: the headers are not needed to build us. */
#include <stddef.h>
#include <sys/types.h>

struct gnutls_session_int;
struct gnutls_datum {
        unsigned char *data;
        unsigned int size;
};

int gnutls_init(struct gnutls_session_int **session, unsigned int flags);
void gnutls_deinit(struct gnutls_session_int *session);
int gnutls_handshake(struct gnutls_session_int *session);
int gnutls_server_name_set(struct gnutls_session_int *session, int type, const void *name,
                           size_t name_length);
ssize_t gnutls_record_send(struct gnutls_session_int *session, const void *data, size_t data_size);
ssize_t gnutls_record_send2(struct gnutls_session_int *session, const void *data, size_t data_size,
                            size_t pad, unsigned flags);
ssize_t gnutls_record_recv(struct gnutls_session_int *session, void *data, size_t data_size);
void gnutls_record_cork(struct gnutls_session_int *session);
int gnutls_bye(struct gnutls_session_int *session, int how);

/* Not wrapped: what our own questions are asked with. */
int gnutls_error_is_fatal(int error);
void gnutls_session_get_random(struct gnutls_session_int *session, struct gnutls_datum *client,
                               struct gnutls_datum *server);
int gnutls_protocol_get_version(struct gnutls_session_int *session);
int gnutls_session_is_resumed(struct gnutls_session_int *session);
int gnutls_alpn_get_selected_protocol(struct gnutls_session_int *session, struct gnutls_datum *protocol);
const char *gnutls_ciphersuite_get(struct gnutls_session_int *session);

#define GNUTLS_SSL3                    1
#define GNUTLS_SERVER                  1u
#define GNUTLS_DATAGRAM                4u
#define GNUTLS_NAME_DNS                1
#define GNUTLS_E_AGAIN                 (-28)
#define GNUTLS_E_INTERRUPTED           (-52)
#define GNUTLS_E_PREMATURE_TERMINATION (-110)
#define GNUTLS_E_UNIMPLEMENTED_FEATURE (-1250)
