/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names of attributes, one row each (OpenTelemetry semantic conventions 1.44.0). A record in the
 * ring names an attribute by its number here; the worker turns the number into the name. The
 * numbers are part of the ring's layout: change them only together with RING_VERSION.
 *
 * RAW rows are what the host's thread hands over unprocessed; the worker makes the real attributes
 * from them (export/refine) and never exports them.
 */
#define SEMCONV_ROWS(X)                                                                                    \
        X(HTTP_REQUEST_METHOD, "http.request.method")                                                      \
        X(HTTP_REQUEST_METHOD_ORIGINAL, "http.request.method_original")                                    \
        X(HTTP_REQUEST_RESEND_COUNT, "http.request.resend_count")                                          \
        X(HTTP_RESPONSE_STATUS_CODE, "http.response.status_code")                                          \
        X(ERROR_TYPE, "error.type")                                                                        \
        X(SERVER_ADDRESS, "server.address")                                                                \
        X(SERVER_PORT, "server.port")                                                                      \
        X(URL_FULL, "url.full")                                                                            \
        X(URL_SCHEME, "url.scheme")                                                                        \
        X(NETWORK_PEER_ADDRESS, "network.peer.address")                                                    \
        X(NETWORK_PEER_PORT, "network.peer.port")                                                          \
        X(NETWORK_PROTOCOL_NAME, "network.protocol.name")                                                  \
        X(NETWORK_PROTOCOL_VERSION, "network.protocol.version")                                            \
        X(NETWORK_TRANSPORT, "network.transport")                                                          \
        X(USER_AGENT_ORIGINAL, "user_agent.original")                                                      \
        X(OTEL_INCOMPLETE, "otel.instrument.incomplete")                                                   \
        X(OTEL_PARENT_RULE, "otel.instrument.parent_rule")                                                 \
        X(URL_PATH, "url.path")                                                                            \
        X(URL_QUERY, "url.query")                                                                          \
        X(CLIENT_ADDRESS, "client.address")                                                                \
        X(CLIENT_PORT, "client.port")                                                                      \
        X(HTTP_ROUTE, "http.route")                                                                        \
        X(PROCESS_EXECUTABLE_NAME, "process.executable.name")                                              \
        X(PROCESS_EXECUTABLE_PATH, "process.executable.path")                                              \
        X(PROCESS_EXIT_CODE, "process.exit.code")                                                          \
        X(PROCESS_PID, "process.pid")                                                                      \
        X(RPC_SYSTEM_NAME, "rpc.system.name")                                                              \
        X(RPC_METHOD, "rpc.method")                                                                        \
        X(RPC_METHOD_ORIGINAL, "rpc.method_original")                                                      \
        X(RPC_RESPONSE_STATUS_CODE, "rpc.response.status_code")                                            \
        X(TLS_PROTOCOL_NAME, "tls.protocol.name")                                                          \
        X(TLS_PROTOCOL_VERSION, "tls.protocol.version")                                                    \
        X(TLS_CIPHER, "tls.cipher")                                                                        \
        X(TLS_NEXT_PROTOCOL, "tls.next_protocol")                                                          \
        X(TLS_RESUMED, "tls.resumed")                                                                      \
        X(RAW_METHOD, "raw.method")             /* str: request method as sent */                          \
        X(RAW_TARGET, "raw.target")             /* str: request target as sent */                          \
        X(RAW_HOST, "raw.host")                 /* str: Host field as sent */                              \
        X(RAW_SCHEME, "raw.scheme")             /* str: "http" or "https" */                               \
        X(RAW_URL, "raw.url")                   /* str: absolute URL as the program gave it */             \
        X(RAW_NAME, "raw.name")                 /* str: name that was looked up for the peer */            \
        X(RAW_PEER, "raw.peer")                 /* bytes: struct sockaddr_in / _in6 */                     \
        X(RAW_ERRNO, "raw.errno")               /* int: errno of the failure */                            \
        X(RAW_EAI, "raw.eai")                   /* int: EAI_* code of getaddrinfo */                       \
        X(RAW_CURLE, "raw.curle")               /* int: CURLE_* code */                                    \
        X(RAW_LOOKUP, "raw.lookup")             /* int: number of the look-up that a connect belongs to */ \
        X(RAW_HTTP_VERSION, "raw.http_version") /* int: 10, 11, 20, 30 */                                  \
        X(RAW_TRUNCATED, "raw.truncated")       /* int 1: response ended before its framing said */        \
        X(RAW_FORWARDED, "raw.forwarded")       /* str: Forwarded field (RFC 7239) as received */          \
        X(RAW_X_FORWARDED_FOR, "raw.x_forwarded_for")     /* str: as received */                           \
        X(RAW_X_FORWARDED_PROTO, "raw.x_forwarded_proto") /* str: as received */                           \
        X(RAW_X_FORWARDED_HOST, "raw.x_forwarded_host")   /* str: as received */                           \
        X(RAW_LOCAL, "raw.local")             /* bytes: struct sockaddr_in / _in6 of our own side */       \
        X(RAW_PID, "raw.pid")                 /* int: process that SHAPE_PROCESS_ENDED speaks of */        \
        X(RAW_SIGNAL, "raw.signal")           /* int: signal that ended it */                              \
        X(RAW_UNANSWERED, "raw.unanswered")   /* int 1: server side: no response was written */            \
        X(RAW_TLS_ERROR, "raw.tls_error")     /* int: enum span_tls_error, X509_V_ERR_*, GNUTLS_E_* */     \
        X(RAW_RESET, "raw.reset")             /* int: error code of HTTP/2 + 1: it ended the stream */     \
        X(RAW_GRPC_STATUS, "raw.grpc_status") /* int: gRPC status code + 1 */                              \
        X(RAW_TLS, "raw.tls")                 /* bytes: struct span_tls */

enum semconv {
#define X(id, name) SEMCONV_##id,
        SEMCONV_ROWS(X)
#undef X
                SEMCONV_COUNT
};

#define SEMCONV_FIRST_RAW SEMCONV_RAW_METHOD
