/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_error.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>

#include "agent/base/load.h"
#include "export/refine_grpc.h"

#define ROW(symbol) [symbol] = #symbol

/* clang-format off */
static const char *const errno_names[] = {
        ROW(EPERM), ROW(ENOENT), ROW(ESRCH), ROW(EINTR), ROW(EIO), ROW(ENXIO), ROW(E2BIG), ROW(ENOEXEC),
        ROW(EBADF), ROW(ECHILD), ROW(EAGAIN), ROW(ENOMEM), ROW(EACCES), ROW(EFAULT), ROW(ENOTBLK),
        ROW(EBUSY), ROW(EEXIST), ROW(EXDEV), ROW(ENODEV), ROW(ENOTDIR), ROW(EISDIR), ROW(EINVAL),
        ROW(ENFILE), ROW(EMFILE), ROW(ENOTTY), ROW(ETXTBSY), ROW(EFBIG), ROW(ENOSPC), ROW(ESPIPE),
        ROW(EROFS), ROW(EMLINK), ROW(EPIPE), ROW(EDOM), ROW(ERANGE), ROW(EDEADLK), ROW(ENAMETOOLONG),
        ROW(ENOLCK), ROW(ENOSYS), ROW(ENOTEMPTY), ROW(ELOOP), ROW(ENOMSG), ROW(EIDRM), ROW(ECHRNG),
        ROW(EL2NSYNC), ROW(EL3HLT), ROW(EL3RST), ROW(ELNRNG), ROW(EUNATCH), ROW(ENOCSI), ROW(EL2HLT),
        ROW(EBADE), ROW(EBADR), ROW(EXFULL), ROW(ENOANO), ROW(EBADRQC), ROW(EBADSLT), ROW(EBFONT),
        ROW(ENOSTR), ROW(ENODATA), ROW(ETIME), ROW(ENOSR), ROW(ENONET), ROW(ENOPKG), ROW(EREMOTE),
        ROW(ENOLINK), ROW(EADV), ROW(ESRMNT), ROW(ECOMM), ROW(EPROTO), ROW(EMULTIHOP), ROW(EDOTDOT),
        ROW(EBADMSG), ROW(EOVERFLOW), ROW(ENOTUNIQ), ROW(EBADFD), ROW(EREMCHG), ROW(ELIBACC), ROW(ELIBBAD),
        ROW(ELIBSCN), ROW(ELIBMAX), ROW(ELIBEXEC), ROW(EILSEQ), ROW(ERESTART), ROW(ESTRPIPE), ROW(EUSERS),
        ROW(ENOTSOCK), ROW(EDESTADDRREQ), ROW(EMSGSIZE), ROW(EPROTOTYPE), ROW(ENOPROTOOPT),
        ROW(EPROTONOSUPPORT), ROW(ESOCKTNOSUPPORT), ROW(EOPNOTSUPP), ROW(EPFNOSUPPORT), ROW(EAFNOSUPPORT),
        ROW(EADDRINUSE), ROW(EADDRNOTAVAIL), ROW(ENETDOWN), ROW(ENETUNREACH), ROW(ENETRESET),
        ROW(ECONNABORTED), ROW(ECONNRESET), ROW(ENOBUFS), ROW(EISCONN), ROW(ENOTCONN), ROW(ESHUTDOWN),
        ROW(ETOOMANYREFS), ROW(ETIMEDOUT), ROW(ECONNREFUSED), ROW(EHOSTDOWN), ROW(EHOSTUNREACH),
        ROW(EALREADY), ROW(EINPROGRESS), ROW(ESTALE), ROW(EUCLEAN), ROW(ENOTNAM), ROW(ENAVAIL), ROW(EISNAM),
        ROW(EREMOTEIO), ROW(EDQUOT), ROW(ENOMEDIUM), ROW(EMEDIUMTYPE), ROW(ECANCELED), ROW(ENOKEY),
        ROW(EKEYEXPIRED), ROW(EKEYREVOKED), ROW(EKEYREJECTED), ROW(EOWNERDEAD), ROW(ENOTRECOVERABLE),
        ROW(ERFKILL), ROW(EHWPOISON),
};
/* clang-format on */

/* The EAI_* numbers are negative. */
#define EAI_ROW(symbol) [-(symbol)] = #symbol

static const char *const eai_names[] = {
        EAI_ROW(EAI_BADFLAGS),   EAI_ROW(EAI_NONAME),     EAI_ROW(EAI_AGAIN),       EAI_ROW(EAI_FAIL),
        EAI_ROW(EAI_NODATA),     EAI_ROW(EAI_FAMILY),     EAI_ROW(EAI_SOCKTYPE),    EAI_ROW(EAI_SERVICE),
        EAI_ROW(EAI_ADDRFAMILY), EAI_ROW(EAI_MEMORY),     EAI_ROW(EAI_SYSTEM),      EAI_ROW(EAI_OVERFLOW),
        EAI_ROW(EAI_INPROGRESS), EAI_ROW(EAI_CANCELED),   EAI_ROW(EAI_NOTCANCELED), EAI_ROW(EAI_ALLDONE),
        EAI_ROW(EAI_INTR),       EAI_ROW(EAI_IDN_ENCODE),
};

/*
 * By number, not by <curl/curl.h>: the traced program may use a newer libcurl than the one we are
 * built with. Numbers that libcurl no longer returns have no row.
 */
#define CURLE(number, symbol)            [number] = "CURLE_" #symbol
#define CURLE_ABORTED_BY_CALLBACK_NUMBER 42

/* clang-format off */
static const char *const curle_names[] = {
        CURLE(1, UNSUPPORTED_PROTOCOL), CURLE(2, FAILED_INIT), CURLE(3, URL_MALFORMAT),
        CURLE(4, NOT_BUILT_IN), CURLE(5, COULDNT_RESOLVE_PROXY), CURLE(6, COULDNT_RESOLVE_HOST),
        CURLE(7, COULDNT_CONNECT), CURLE(8, WEIRD_SERVER_REPLY), CURLE(9, REMOTE_ACCESS_DENIED),
        CURLE(10, FTP_ACCEPT_FAILED), CURLE(11, FTP_WEIRD_PASS_REPLY), CURLE(12, FTP_ACCEPT_TIMEOUT),
        CURLE(13, FTP_WEIRD_PASV_REPLY), CURLE(14, FTP_WEIRD_227_FORMAT), CURLE(15, FTP_CANT_GET_HOST),
        CURLE(16, HTTP2), CURLE(17, FTP_COULDNT_SET_TYPE), CURLE(18, PARTIAL_FILE),
        CURLE(19, FTP_COULDNT_RETR_FILE), CURLE(21, QUOTE_ERROR), CURLE(22, HTTP_RETURNED_ERROR),
        CURLE(23, WRITE_ERROR), CURLE(25, UPLOAD_FAILED), CURLE(26, READ_ERROR), CURLE(27, OUT_OF_MEMORY),
        CURLE(28, OPERATION_TIMEDOUT), CURLE(30, FTP_PORT_FAILED), CURLE(31, FTP_COULDNT_USE_REST),
        CURLE(33, RANGE_ERROR), CURLE(34, HTTP_POST_ERROR), CURLE(35, SSL_CONNECT_ERROR),
        CURLE(36, BAD_DOWNLOAD_RESUME), CURLE(37, FILE_COULDNT_READ_FILE), CURLE(38, LDAP_CANNOT_BIND),
        CURLE(39, LDAP_SEARCH_FAILED), CURLE(41, FUNCTION_NOT_FOUND), CURLE(42, ABORTED_BY_CALLBACK),
        CURLE(43, BAD_FUNCTION_ARGUMENT), CURLE(45, INTERFACE_FAILED), CURLE(47, TOO_MANY_REDIRECTS),
        CURLE(48, UNKNOWN_OPTION), CURLE(49, SETOPT_OPTION_SYNTAX), CURLE(52, GOT_NOTHING),
        CURLE(53, SSL_ENGINE_NOTFOUND), CURLE(54, SSL_ENGINE_SETFAILED), CURLE(55, SEND_ERROR),
        CURLE(56, RECV_ERROR), CURLE(58, SSL_CERTPROBLEM), CURLE(59, SSL_CIPHER),
        CURLE(60, PEER_FAILED_VERIFICATION), CURLE(61, BAD_CONTENT_ENCODING), CURLE(63, FILESIZE_EXCEEDED),
        CURLE(64, USE_SSL_FAILED), CURLE(65, SEND_FAIL_REWIND), CURLE(66, SSL_ENGINE_INITFAILED),
        CURLE(67, LOGIN_DENIED), CURLE(68, TFTP_NOTFOUND), CURLE(69, TFTP_PERM),
        CURLE(70, REMOTE_DISK_FULL), CURLE(71, TFTP_ILLEGAL), CURLE(72, TFTP_UNKNOWNID),
        CURLE(73, REMOTE_FILE_EXISTS), CURLE(74, TFTP_NOSUCHUSER), CURLE(77, SSL_CACERT_BADFILE),
        CURLE(78, REMOTE_FILE_NOT_FOUND), CURLE(79, SSH), CURLE(80, SSL_SHUTDOWN_FAILED), CURLE(81, AGAIN),
        CURLE(82, SSL_CRL_BADFILE), CURLE(83, SSL_ISSUER_ERROR), CURLE(84, FTP_PRET_FAILED),
        CURLE(85, RTSP_CSEQ_ERROR), CURLE(86, RTSP_SESSION_ERROR), CURLE(87, FTP_BAD_FILE_LIST),
        CURLE(88, CHUNK_FAILED), CURLE(89, NO_CONNECTION_AVAILABLE), CURLE(90, SSL_PINNEDPUBKEYNOTMATCH),
        CURLE(91, SSL_INVALIDCERTSTATUS), CURLE(92, HTTP2_STREAM), CURLE(93, RECURSIVE_API_CALL),
        CURLE(94, AUTH_ERROR), CURLE(95, HTTP3), CURLE(96, QUIC_CONNECT_ERROR), CURLE(97, PROXY),
        CURLE(98, SSL_CLIENTCERT), CURLE(99, UNRECOVERABLE_POLL), CURLE(100, TOO_LARGE),
        CURLE(101, ECH_REQUIRED),
};
/* clang-format on */

/* clang-format off */
static const char *const signal_names[] = {
        ROW(SIGHUP), ROW(SIGINT), ROW(SIGQUIT), ROW(SIGILL), ROW(SIGTRAP), ROW(SIGABRT), ROW(SIGBUS), ROW(SIGFPE),
        ROW(SIGKILL), ROW(SIGUSR1), ROW(SIGSEGV), ROW(SIGUSR2), ROW(SIGPIPE), ROW(SIGALRM), ROW(SIGTERM),
        ROW(SIGSTKFLT), ROW(SIGCHLD), ROW(SIGCONT), ROW(SIGSTOP), ROW(SIGTSTP), ROW(SIGTTIN), ROW(SIGTTOU),
        ROW(SIGURG), ROW(SIGXCPU), ROW(SIGXFSZ), ROW(SIGVTALRM), ROW(SIGPROF), ROW(SIGWINCH), ROW(SIGIO),
        ROW(SIGPWR), ROW(SIGSYS),
};
/* clang-format on */

static const char *name_at(const char *const *names, size_t count, int64_t index)
{
        return index > 0 && (uint64_t)index < count ? names[index] : NULL;
}

const char *refine_error_errno(int64_t number)
{
        return name_at(errno_names, ARRAY_LEN(errno_names), number);
}

const char *refine_error_eai(int64_t number)
{
        return number > -1000 && number < 0 ? name_at(eai_names, ARRAY_LEN(eai_names), -number) : NULL;
}

const char *refine_error_curle(int64_t number)
{
        return name_at(curle_names, ARRAY_LEN(curle_names), number);
}

const char *refine_error_signal(int64_t number)
{
        return name_at(signal_names, ARRAY_LEN(signal_names), number);
}

/* By number: the traced program's OpenSSL is not the one we are built with. */
#define X509_V(number, symbol) [number] = "X509_V_ERR_" #symbol

/* clang-format off */
static const char *const x509_names[] = {
        X509_V(1, UNSPECIFIED), X509_V(2, UNABLE_TO_GET_ISSUER_CERT), X509_V(3, UNABLE_TO_GET_CRL),
        X509_V(7, CERT_SIGNATURE_FAILURE), X509_V(8, CRL_SIGNATURE_FAILURE), X509_V(9, CERT_NOT_YET_VALID),
        X509_V(10, CERT_HAS_EXPIRED), X509_V(11, CRL_NOT_YET_VALID), X509_V(12, CRL_HAS_EXPIRED),
        X509_V(18, DEPTH_ZERO_SELF_SIGNED_CERT), X509_V(19, SELF_SIGNED_CERT_IN_CHAIN),
        X509_V(20, UNABLE_TO_GET_ISSUER_CERT_LOCALLY), X509_V(21, UNABLE_TO_VERIFY_LEAF_SIGNATURE),
        X509_V(22, CERT_CHAIN_TOO_LONG), X509_V(23, CERT_REVOKED), X509_V(24, INVALID_CA),
        X509_V(26, INVALID_PURPOSE), X509_V(27, CERT_UNTRUSTED), X509_V(28, CERT_REJECTED),
        X509_V(50, APPLICATION_VERIFICATION), X509_V(62, HOSTNAME_MISMATCH), X509_V(63, EMAIL_MISMATCH),
        X509_V(64, IP_ADDRESS_MISMATCH), X509_V(66, EE_KEY_TOO_SMALL), X509_V(67, CA_KEY_TOO_SMALL),
        X509_V(68, CA_MD_TOO_WEAK),
};
/* clang-format on */

/* The GNUTLS_E_* numbers are negative. */
#define GNUTLS(number, symbol) [number] = "GNUTLS_E_" #symbol

/* clang-format off */
static const char *const gnutls_names[] = {
        GNUTLS(8, UNSUPPORTED_VERSION_PACKET), GNUTLS(9, UNEXPECTED_PACKET_LENGTH), GNUTLS(10, INVALID_SESSION),
        GNUTLS(12, FATAL_ALERT_RECEIVED), GNUTLS(15, UNEXPECTED_PACKET), GNUTLS(18, ERROR_IN_FINISHED_PACKET),
        GNUTLS(19, UNEXPECTED_HANDSHAKE_PACKET), GNUTLS(24, DECRYPTION_FAILED),
        GNUTLS(32, INSUFFICIENT_CREDENTIALS), GNUTLS(43, CERTIFICATE_ERROR), GNUTLS(49, NO_CERTIFICATE_FOUND),
        GNUTLS(53, PUSH_ERROR), GNUTLS(54, PULL_ERROR), GNUTLS(55, RECEIVED_ILLEGAL_PARAMETER),
        GNUTLS(58, RECEIVED_ILLEGAL_EXTENSION), GNUTLS(60, CERTIFICATE_KEY_MISMATCH),
        GNUTLS(87, NO_CIPHER_SUITES), GNUTLS(106, UNSUPPORTED_SIGNATURE_ALGORITHM),
        GNUTLS(112, CERTIFICATE_REQUIRED), GNUTLS(217, INSUFFICIENT_SECURITY), GNUTLS(319, TIMEDOUT),
        GNUTLS(348, CERTIFICATE_VERIFICATION_ERROR), GNUTLS(423, NO_COMMON_KEY_SHARE),
};
/* clang-format on */

static const char *tls_name(int64_t number)
{
        const char *name;

        if (number == TLS_ERROR_HANDSHAKE)
                return "tls_handshake_failed";
        if (number > 0)
                name = name_at(x509_names, ARRAY_LEN(x509_names), number);
        else
                name = number > -1000 ? name_at(gnutls_names, ARRAY_LEN(gnutls_names), -number) : NULL;
        return name ? name : "tls_error";
}

/* RFC 9113, section 7, by their codes. */
static const char *const http2_names[] = {
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
};

static const char *http2_name(int64_t number)
{
        return number > 0 && (uint64_t)number <= ARRAY_LEN(http2_names) ? http2_names[number - 1] : NULL;
}

static const char *truncated_name(int64_t set)
{
        return REFINE_ERROR_EOF;
}

static const char *unanswered_name(int64_t set)
{
        return REFINE_ERROR_SILENT;
}

/* In the order of precedence: a raw number that is not zero, and how it is called. */
static const struct {
        enum semconv key;
        const char *(*name)(int64_t number);
} error_rows[] = {
        {SEMCONV_RAW_SIGNAL, refine_error_signal}, {SEMCONV_RAW_ERRNO, refine_error_errno},
        {SEMCONV_RAW_TLS_ERROR, tls_name},         {SEMCONV_RAW_EAI, refine_error_eai},
        {SEMCONV_RAW_CURLE, refine_error_curle},   {SEMCONV_RAW_RESET, http2_name},
        {SEMCONV_RAW_TRUNCATED, truncated_name},   {SEMCONV_RAW_UNANSWERED, unanswered_name},
};

static const char *error_name(const struct refine_draft *draft)
{
        for (size_t i = 0; i < ARRAY_LEN(error_rows); i++) {
                int64_t number = refine_draft_int(draft, error_rows[i].key);
                const char *name = number ? error_rows[i].name(number) : NULL;

                if (number)
                        return name ? name : REFINE_ERROR_OTHER;
        }
        return draft->raw->status == SPAN_ERROR ? REFINE_ERROR_OTHER : NULL;
}

static void set_error(struct refine_draft *draft, struct slice type)
{
        draft->out.status = SPAN_ERROR;
        refine_draft_add_str(draft, SEMCONV_ERROR_TYPE, type);
}

/* Return: the code that makes the span an error, 0 when it does not. */
static int64_t error_code(const struct refine_draft *draft)
{
        int64_t status = refine_draft_int(draft, SEMCONV_HTTP_RESPONSE_STATUS_CODE);

        switch (draft->raw->shape) {
        case SHAPE_PROCESS:
                return refine_draft_int(draft, SEMCONV_RAW_SIGNAL)
                               ? 0
                               : refine_draft_int(draft, SEMCONV_PROCESS_EXIT_CODE);
        case SHAPE_HTTP_SERVER:
        case SHAPE_GRPC_SERVER:
                return status >= 500 ? status : 0;
        default:
                return status < 100 || status >= 400 ? status : 0;
        }
}

void refine_error(struct refine_draft *draft)
{
        int64_t code = error_code(draft);
        struct slice given = refine_draft_str(draft, SEMCONV_ERROR_TYPE);
        const char *name = error_name(draft);
        char digits[24];
        struct slice status = refine_grpc_error(draft);
        size_t len = (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)code);

        if (status.len)
                set_error(draft, status);
        else if (refine_grpc_answered(draft))
                draft->out.status = SPAN_UNSET;
        else if (code)
                set_error(draft, slice_make(digits, len));
        else if (refine_draft_int(draft, SEMCONV_RAW_CURLE) == CURLE_ABORTED_BY_CALLBACK_NUMBER)
                draft->out.status = SPAN_UNSET;
        else if (given.len || name)
                set_error(draft, given.len ? given : slice_str(name));
}
