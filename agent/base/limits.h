/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Every cap of the agent in one place. Nothing in the host's process grows without a row here:
 * what exceeds a cap is not traced (and counted), never an error of the host.
 */

/* Connections and requests */
#define LIMIT_FD_MAX          (1 << 24) /* descriptors above are not traced */
#define LIMIT_FD_PAGE         4096      /* slots per second-level page of the descriptor table */
#define LIMIT_CONNECTIONS     65536     /* tracked connections of one process */
#define LIMIT_EXCHANGES       16384     /* requests in flight in one process */
#define LIMIT_PIPELINE        128       /* requests in flight on one connection */
#define LIMIT_HEADS_PER_WRITE 128       /* request heads begun in one outgoing call */

#define LIMIT_SERVER_REQUESTS 16384 /* server requests open in one process */

/* What connections and requests take only while they need it */
#define LIMIT_HTTP_PARSERS  65536 /* HTTP messages under way */
#define LIMIT_FCGI_PARSERS  16384 /* directions of FastCGI connections */
#define LIMIT_HTTP2_PARSERS (2 * LIMIT_HTTP2_CONNECTIONS)
#define LIMIT_ROOMS         65536 /* texts of up to 128 bytes, and of up to 512 */
#define LIMIT_ROOMS_MEDIUM  32768 /* of up to 2 KiB */
#define LIMIT_ROOMS_LARGE   8192  /* of up to 9 KiB, and of up to LIMIT_HTTP_TEXT */

/* HTTP/1 (bytes) */
#define LIMIT_HTTP_HEAD       (256 * 1024) /* a longer head makes the connection opaque */
#define LIMIT_HTTP_METHOD     32           /* longest method that we take for one */
#define LIMIT_HTTP_TARGET     8192         /* kept of a request's target: more of it is in no span */
#define LIMIT_HTTP_FIELD_NAME 64           /* longer field names are skipped, not matched */
#define LIMIT_HTTP_TEXT       20480        /* captured text of one request head, all fields together */
#define LIMIT_TRACESTATE      512          /* longest tracestate that we carry (W3C: at least 512) */
#define LIMIT_BAGGAGE         8192         /* longest baggage that we carry (W3C: at least 8192) */
#define LIMIT_INJECT          (768 + LIMIT_BAGGAGE) /* header lines that we add to one request */
#define LIMIT_COPY_INJECT     8192                  /* up to here injection copies; above it sends iovecs */
#define LIMIT_SCRATCH_COUNT   256                   /* outgoing calls with a request head under way at once */
#define LIMIT_IOV             1024                  /* iovecs of one call (IOV_MAX) */

/* TLS */
#define LIMIT_TLS_OBJECTS   65536 /* TLS objects with state of ours */
#define LIMIT_TLS_LIBRARIES 4     /* OpenSSLs loaded at the same time */

/* HTTP/2 */
#define LIMIT_HTTP2_MEMORY      (256 * 1024)  /* bytes of one direction's header decoder */
#define LIMIT_HTTP2_LIST        (1024 * 1024) /* bytes of one decoded header block, as RFC 9113 counts them */
#define LIMIT_HTTP2_TABLE       65536         /* largest dynamic table that a peer may ask for and use */
#define LIMIT_HTTP2_STREAMS     1024          /* open at once on one connection */
#define LIMIT_HTTP2_CONNECTIONS 1024          /* of one process */

/* FastCGI */
#define LIMIT_FCGI_REQUESTS   64           /* requests of one connection with incomplete input */
#define LIMIT_FCGI_PARAMS     (256 * 1024) /* bytes of one request's parameters */
#define LIMIT_FCGI_REPLY_HEAD (64 * 1024)  /* bytes of a CGI head that are looked at */

/* Names */
#define LIMIT_HOST_NAME 256  /* bytes of a host name, with the terminator */
#define LIMIT_DNS_CACHE 1024 /* remembered address -> name pairs, power of two */

/* Hooks */
#define LIMIT_THREAD_STARTS    65536 /* threads that were created and do not run yet */
#define LIMIT_POOLS            64    /* pools of GLib whose jobs are followed */
#define LIMIT_POOL_JOBS        4096  /* jobs of pools that were handed over and are not done yet */
#define LIMIT_POPEN_STREAMS    4096  /* streams of popen() open at once that children must not get */
#define LIMIT_REAL_OBJECTS     64    /* loaded objects that real functions are looked up in */
#define LIMIT_DEEPBIND_OBJECTS 1024  /* loaded objects that are remembered once RTLD_DEEPBIND is in use */

/* libcurl */
#define LIMIT_CURL_HANDLES   8192 /* easy handles with state of ours */
#define LIMIT_CURL_MULTIS    1024 /* multi handles with state of ours */
#define LIMIT_CURL_LIBRARIES 8    /* libcurls loaded at the same time */
#define LIMIT_CURL_COPIED    64   /* lines of a header list before a context line that we replace */
#define LIMIT_CURL_URL       4096 /* remembered bytes of a transfer's URL */

/* What one thread waits until another has done its bit of work on a connection, once in its life */
#define LIMIT_SETTLE_NS     50000000
#define LIMIT_SETTLE_YIELDS 200    /* at first; then it sleeps, */
#define LIMIT_SETTLE_NAP_NS 500000 /* so long each time */

/* Records and ring */
#define LIMIT_SPAN_ATTRS     20          /* attributes of one span record */
#define LIMIT_RECORD         (16 * 1024) /* bytes of one record in the ring */
#define LIMIT_RECORD_OTHER   1536        /* of it: everything but texts that requests bring along */
#define LIMIT_RECORD_AVERAGE 512         /* ring bytes reserved per span of OTEL_BSP_MAX_QUEUE_SIZE */
#define LIMIT_RING_MIN       (64 * 1024)
#define LIMIT_RING_MAX       (64 * 1024 * 1024)
#define LIMIT_RING_META      (64 * 1024)  /* what the consumer must know of the process */
#define LIMIT_OPEN_SPANS     256          /* spans kept visible for a consumer while they are open */
#define LIMIT_OPEN_SPAN_SIZE 2048         /* bytes of one of them */
#define LIMIT_ABANDONED_NS   2000000000LL /* a reserved record that is not committed by then is skipped */

/* Settings */
#define LIMIT_SETTINGS_TEXT (128 * 1024) /* all OTEL_* variables together */
#define LIMIT_RELAY_NAMES   4            /* relay names tried when one is held by another user */

/* Own descriptors */
#define LIMIT_OWN_FDS      8
#define LIMIT_OWN_FD_SPARE 8   /* we take no descriptor while the host has not so many left */
#define LIMIT_OWN_FD_FLOOR 500 /* ours are moved to the first free number from here, rlimit permitting */

/* Worker and relay (bytes unless said otherwise) */
#define LIMIT_CLIENTS         16384              /* processes of one relay */
#define LIMIT_QUEUE           (64 * 1024 * 1024) /* encoded, not yet delivered */
#define LIMIT_REQUEST         (64 * 1024 * 1024) /* OTLP: larger requests are not sent */
#define LIMIT_RESPONSE        (4 * 1024 * 1024)  /* OTLP: larger answers are a failure */
#define LIMIT_HELD_SPANS      64            /* failed connects of one process that may yet be superseded */
#define LIMIT_HELD_NS         1000000000ull /* how long they may */
#define LIMIT_HELD_PROCESSES  32            /* killed processes whose signal is waited for, so long as well */
#define LIMIT_SHARED_SPANS    64            /* requests that a dead process shared and left open */
#define LIMIT_SHARED_NS       3000000000ull /* how long another one may yet tell of them */
#define LIMIT_SHARED_IDS      256           /* shared requests that were told of and are remembered */
#define LIMIT_ROUTES          256           /* patterns of server requests */
#define LIMIT_RESOURCE_ATTRS  256           /* attributes of one resource */
#define LIMIT_PRINT_HELD      16384         /* spans that wait to be printed with what they hang on */
#define LIMIT_PRINT_HELD_NS   60000000000ull /* how long they may */
#define LIMIT_CONSOLE_DEPTH   16             /* levels of a printed tree; deeper spans are not indented */
#define LIMIT_CONSOLE_MS      1000           /* a terminal or pipe that is stuck for so long is given up */
#define LIMIT_RELAY_LINGER_MS 10000          /* a relay without clients leaves after this long */
#define LIMIT_RELAY_ORPHAN_MS 600000         /* undelivered spans keep it no longer than this */
