/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* OpenSSL 1.1 and 3 as far as we wrap and use them, in their own words: the headers are not needed to build
 * us.
 */
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;
struct bio_st;
struct crypto_ex_data_st;
struct ssl_cipher_st;

int SSL_connect(struct ssl_st *ssl);
int SSL_accept(struct ssl_st *ssl);
int SSL_do_handshake(struct ssl_st *ssl);
int SSL_read(struct ssl_st *ssl, void *buf, int num);
int SSL_read_ex(struct ssl_st *ssl, void *buf, size_t num, size_t *readbytes);
int SSL_peek(struct ssl_st *ssl, void *buf, int num);
int SSL_peek_ex(struct ssl_st *ssl, void *buf, size_t num, size_t *readbytes);
int SSL_write(struct ssl_st *ssl, const void *buf, int num);
int SSL_write_ex(struct ssl_st *ssl, const void *buf, size_t num, size_t *written);
ssize_t SSL_sendfile(struct ssl_st *ssl, int fd, off_t offset, size_t size, int flags);
int SSL_read_early_data(struct ssl_st *ssl, void *buf, size_t num, size_t *readbytes);
int SSL_write_early_data(struct ssl_st *ssl, const void *buf, size_t num, size_t *written);
int SSL_shutdown(struct ssl_st *ssl);
int SSL_clear(struct ssl_st *ssl);

/* Not wrapped: what our own questions are asked with. They change nothing, the error queue included. */
typedef void openssl_free_fn(void *parent, void *ptr, struct crypto_ex_data_st *data, int index, long argl,
                             void *argp);
typedef int openssl_dup_fn(struct crypto_ex_data_st *to, const struct crypto_ex_data_st *from, void *from_d,
                           int index, long argl, void *argp);
int CRYPTO_get_ex_new_index(int class_index, long argl, void *argp, void *new_func, openssl_dup_fn *dup_func,
                            openssl_free_fn *free_func);
int BIO_test_flags(const struct bio_st *bio, int flags);
struct bio_st *SSL_get_rbio(const struct ssl_st *ssl);
struct bio_st *SSL_get_wbio(const struct ssl_st *ssl);
long SSL_ctrl(struct ssl_st *ssl, int cmd, long larg, void *parg);
void *SSL_get_ex_data(const struct ssl_st *ssl, int index);
int SSL_set_ex_data(struct ssl_st *ssl, int index, void *data);
size_t SSL_get_client_random(const struct ssl_st *ssl, unsigned char *out, size_t outlen);
const char *SSL_get_servername(const struct ssl_st *ssl, int type);
int SSL_get_shutdown(const struct ssl_st *ssl);
int SSL_get_verify_mode(const struct ssl_st *ssl);
long SSL_get_verify_result(const struct ssl_st *ssl);
int SSL_is_init_finished(const struct ssl_st *ssl);
int SSL_is_server(const struct ssl_st *ssl);
int SSL_want(const struct ssl_st *ssl);
int SSL_version(const struct ssl_st *ssl);
int SSL_session_reused(const struct ssl_st *ssl);
void SSL_get0_alpn_selected(const struct ssl_st *ssl, const unsigned char **data, unsigned int *len);
const struct ssl_cipher_st *SSL_get_current_cipher(const struct ssl_st *ssl);
const char *SSL_CIPHER_standard_name(const struct ssl_cipher_st *cipher);

#define CRYPTO_EX_INDEX_SSL                 0
#define BIO_FLAGS_SHOULD_RETRY              0x08
#define SSL_CTRL_MODE                       33
#define SSL_MODE_ENABLE_PARTIAL_WRITE       0x1
#define SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER 0x2
#define SSL_NOTHING                         1
#define SSL_WRITING                         2
#define SSL_READING                         3
#define SSL_RECEIVED_SHUTDOWN               2
#define SSL_VERIFY_PEER                     1
#define TLSEXT_NAMETYPE_host_name           0
