/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>

#include "export/refine_error.h"
#include "tests/unit/refined.h"

struct error_row {
        int64_t status, errno_number, eai, curle, truncated;
        const char *given, *type; /* type "-": no error */
};

START_TEST(test_refine_error_when_facts_compete)
{
        static const struct error_row rows[] = {
                {0, 0, 0, 0, 0, NULL, "-"},
                {101, 0, 0, 0, 0, NULL, "-"},
                {200, 0, 0, 0, 0, NULL, "-"},
                {302, 0, 0, 0, 0, NULL, "-"},
                {399, 0, 0, 0, 0, NULL, "-"},
                {400, 0, 0, 0, 0, NULL, "400"},
                {404, ECONNRESET, 0, CURLE_HTTP_RETURNED_ERROR, 1, "timeout", "404"},
                {503, 0, 0, 0, 0, NULL, "503"},
                {999, 0, 0, 0, 0, NULL, "999"},
                {42, 0, 0, 0, 0, NULL, "42"},
                {200, ECONNRESET, 0, 0, 1, NULL, "ECONNRESET"},
                {200, 0, 0, 0, 1, NULL, "unexpected_eof"},
                {0, ETIMEDOUT, 0, 0, 0, "timeout", "timeout"},
                {0, ETIMEDOUT, EAI_SYSTEM, CURLE_COULDNT_CONNECT, 0, NULL, "ETIMEDOUT"},
                {0, 0, EAI_AGAIN, CURLE_COULDNT_RESOLVE_HOST, 0, NULL, "EAI_AGAIN"},
                {0, 0, 0, CURLE_COULDNT_CONNECT, 0, NULL, "CURLE_COULDNT_CONNECT"},
                {200, 0, 0, CURLE_TOO_MANY_REDIRECTS, 0, NULL, "CURLE_TOO_MANY_REDIRECTS"},
                {0, 0, 0, CURLE_ABORTED_BY_CALLBACK, 0, NULL, "-"},
                {500, 0, 0, CURLE_ABORTED_BY_CALLBACK, 0, NULL, "500"},
                {0, 4711, 0, 0, 0, NULL, "_OTHER"},
                {0, -1, 0, 0, 0, NULL, "_OTHER"},
                {0, 0, 17, 0, 0, NULL, "_OTHER"},
                {0, 0, 0, 20, 0, NULL, "_OTHER"},
                {0, 0, 0, INT64_MIN, 0, NULL, "_OTHER"},
                {0, 0, INT64_MIN, 0, 0, NULL, "_OTHER"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const struct error_row *row = &rows[i];
                struct span raw = raw_span(SHAPE_CURL_CLIENT);
                struct refined got;

                if (row->status)
                        span_add_int(&raw, SEMCONV_HTTP_RESPONSE_STATUS_CODE, row->status);
                span_add_int(&raw, SEMCONV_RAW_ERRNO, row->errno_number);
                span_add_int(&raw, SEMCONV_RAW_EAI, row->eai);
                span_add_int(&raw, SEMCONV_RAW_CURLE, row->curle);
                span_add_int(&raw, SEMCONV_RAW_TRUNCATED, row->truncated);
                span_add_str(&raw, SEMCONV_ERROR_TYPE, slice_str(row->given));
                refined_init(&got);
                refined_feed(&got, &raw);
                ck_assert_uint_eq(got.count, 1);
                ck_assert_str_eq(out_text(got.spans, "error.type"), row->type);
                check_out_span(got.spans);
                refined_done(&got);
        }
}
END_TEST

START_TEST(test_refine_error_when_tls_failed)
{
        static const struct {
                int64_t number;
                const char *type;
        } rows[] = {
                {TLS_ERROR_HANDSHAKE, "tls_handshake_failed"},
                {TLS_ERROR_PROTOCOL, "tls_error"},
                {10, "X509_V_ERR_CERT_HAS_EXPIRED"},
                {62, "X509_V_ERR_HOSTNAME_MISMATCH"},
                {4711, "tls_error"},
                {-12, "GNUTLS_E_FATAL_ALERT_RECEIVED"},
                {-4711, "tls_error"},
                {INT64_MIN, "tls_error"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct span raw = raw_span(SHAPE_CONNECT);
                struct refined got;

                span_add_int(&raw, SEMCONV_RAW_TLS_ERROR, rows[i].number);
                refined_init(&got);
                refined_feed(&got, &raw);
                ck_assert_uint_eq(got.count, 1);
                ck_assert_str_eq(out_text(got.spans, "error.type"), rows[i].type);
                check_out_span(got.spans);
                refined_done(&got);
        }
}
END_TEST

START_TEST(test_refine_error_when_only_the_status_says_so)
{
        struct span raw = raw_span(SHAPE_CONNECT);
        struct refined got;

        raw.status = SPAN_ERROR;
        refined_init(&got);
        refined_feed(&got, &raw);
        ck_assert_str_eq(out_text(got.spans, "error.type"), "_OTHER");
        refined_done(&got);
}
END_TEST

/* The C library knows them all. */
START_TEST(test_refine_error_errno_when_compared_with_libc)
{
        for (int i = -2; i < 200; i++) {
                const char *ours = refine_error_errno(i), *theirs = i > 0 ? strerrorname_np(i) : NULL;

                ck_assert_pstr_eq(ours, theirs);
        }
        ck_assert_ptr_null(refine_error_errno(INT64_MAX));
}
END_TEST

START_TEST(test_refine_error_eai_when_known)
{
        ck_assert_str_eq(refine_error_eai(EAI_NONAME), "EAI_NONAME");
        ck_assert_str_eq(refine_error_eai(EAI_SYSTEM), "EAI_SYSTEM");
        ck_assert_str_eq(refine_error_eai(EAI_IDN_ENCODE), "EAI_IDN_ENCODE");
        ck_assert_ptr_null(refine_error_eai(0));
        ck_assert_ptr_null(refine_error_eai(2));
        ck_assert_ptr_null(refine_error_eai(-13));
        ck_assert_ptr_null(refine_error_eai(INT64_MIN));
}
END_TEST

#define SAME(symbol)            \
        {                       \
                symbol, #symbol \
        }

/* Against the header of the libcurl that is here, older than our table or not; numbers never change. */
START_TEST(test_refine_error_curle_when_compared_with_the_header)
{
        static const struct {
                CURLcode number;
                const char *name;
        } rows[] = {
                SAME(CURLE_UNSUPPORTED_PROTOCOL),
                SAME(CURLE_FAILED_INIT),
                SAME(CURLE_URL_MALFORMAT),
                SAME(CURLE_NOT_BUILT_IN),
                SAME(CURLE_COULDNT_RESOLVE_PROXY),
                SAME(CURLE_COULDNT_RESOLVE_HOST),
                SAME(CURLE_COULDNT_CONNECT),
                SAME(CURLE_WEIRD_SERVER_REPLY),
                SAME(CURLE_REMOTE_ACCESS_DENIED),
                SAME(CURLE_FTP_ACCEPT_FAILED),
                SAME(CURLE_FTP_WEIRD_PASS_REPLY),
                SAME(CURLE_FTP_ACCEPT_TIMEOUT),
                SAME(CURLE_FTP_WEIRD_PASV_REPLY),
                SAME(CURLE_FTP_WEIRD_227_FORMAT),
                SAME(CURLE_FTP_CANT_GET_HOST),
                SAME(CURLE_HTTP2),
                SAME(CURLE_FTP_COULDNT_SET_TYPE),
                SAME(CURLE_PARTIAL_FILE),
                SAME(CURLE_FTP_COULDNT_RETR_FILE),
                SAME(CURLE_QUOTE_ERROR),
                SAME(CURLE_HTTP_RETURNED_ERROR),
                SAME(CURLE_WRITE_ERROR),
                SAME(CURLE_UPLOAD_FAILED),
                SAME(CURLE_READ_ERROR),
                SAME(CURLE_OUT_OF_MEMORY),
                SAME(CURLE_OPERATION_TIMEDOUT),
                SAME(CURLE_FTP_PORT_FAILED),
                SAME(CURLE_FTP_COULDNT_USE_REST),
                SAME(CURLE_RANGE_ERROR),
                SAME(CURLE_HTTP_POST_ERROR),
                SAME(CURLE_SSL_CONNECT_ERROR),
                SAME(CURLE_BAD_DOWNLOAD_RESUME),
                SAME(CURLE_FILE_COULDNT_READ_FILE),
                SAME(CURLE_LDAP_CANNOT_BIND),
                SAME(CURLE_LDAP_SEARCH_FAILED),
                SAME(CURLE_FUNCTION_NOT_FOUND),
                SAME(CURLE_ABORTED_BY_CALLBACK),
                SAME(CURLE_BAD_FUNCTION_ARGUMENT),
                SAME(CURLE_INTERFACE_FAILED),
                SAME(CURLE_TOO_MANY_REDIRECTS),
                SAME(CURLE_UNKNOWN_OPTION),
                SAME(CURLE_SETOPT_OPTION_SYNTAX),
                SAME(CURLE_GOT_NOTHING),
                SAME(CURLE_SSL_ENGINE_NOTFOUND),
                SAME(CURLE_SSL_ENGINE_SETFAILED),
                SAME(CURLE_SEND_ERROR),
                SAME(CURLE_RECV_ERROR),
                SAME(CURLE_SSL_CERTPROBLEM),
                SAME(CURLE_SSL_CIPHER),
                SAME(CURLE_PEER_FAILED_VERIFICATION),
                SAME(CURLE_BAD_CONTENT_ENCODING),
                SAME(CURLE_FILESIZE_EXCEEDED),
                SAME(CURLE_USE_SSL_FAILED),
                SAME(CURLE_SEND_FAIL_REWIND),
                SAME(CURLE_SSL_ENGINE_INITFAILED),
                SAME(CURLE_LOGIN_DENIED),
                SAME(CURLE_TFTP_NOTFOUND),
                SAME(CURLE_TFTP_PERM),
                SAME(CURLE_REMOTE_DISK_FULL),
                SAME(CURLE_TFTP_ILLEGAL),
                SAME(CURLE_TFTP_UNKNOWNID),
                SAME(CURLE_REMOTE_FILE_EXISTS),
                SAME(CURLE_TFTP_NOSUCHUSER),
                SAME(CURLE_SSL_CACERT_BADFILE),
                SAME(CURLE_REMOTE_FILE_NOT_FOUND),
                SAME(CURLE_SSH),
                SAME(CURLE_SSL_SHUTDOWN_FAILED),
                SAME(CURLE_AGAIN),
                SAME(CURLE_SSL_CRL_BADFILE),
                SAME(CURLE_SSL_ISSUER_ERROR),
                SAME(CURLE_FTP_PRET_FAILED),
                SAME(CURLE_RTSP_CSEQ_ERROR),
                SAME(CURLE_RTSP_SESSION_ERROR),
                SAME(CURLE_FTP_BAD_FILE_LIST),
                SAME(CURLE_CHUNK_FAILED),
                SAME(CURLE_NO_CONNECTION_AVAILABLE),
                SAME(CURLE_SSL_PINNEDPUBKEYNOTMATCH),
                SAME(CURLE_SSL_INVALIDCERTSTATUS),
                SAME(CURLE_HTTP2_STREAM),
                SAME(CURLE_RECURSIVE_API_CALL),
                SAME(CURLE_AUTH_ERROR),
                SAME(CURLE_HTTP3),
                SAME(CURLE_QUIC_CONNECT_ERROR),
                SAME(CURLE_PROXY),
                SAME(CURLE_SSL_CLIENTCERT),
                SAME(CURLE_UNRECOVERABLE_POLL),
        };
        unsigned named = 0;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                ck_assert_pstr_eq(refine_error_curle(rows[i].number), rows[i].name);
        for (int i = -1; i <= (int)rows[sizeof(rows) / sizeof(*rows) - 1].number; i++)
                named += refine_error_curle(i) != NULL;
        ck_assert_uint_eq(named, sizeof(rows) / sizeof(*rows));
}
END_TEST

UNIT_MAIN("refine-error", test_refine_error_when_facts_compete, test_refine_error_when_tls_failed,
          test_refine_error_when_only_the_status_says_so, test_refine_error_errno_when_compared_with_libc,
          test_refine_error_eai_when_known, test_refine_error_curle_when_compared_with_the_header)
