/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/tls.h"

#include <errno.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/slab.h"
#include "agent/base/sys.h"
#include "agent/flow/serve.h"
#include "agent/process.h"
#include "agent/record/span.h"

#define PER_CHUNK 64

/* TLS records (RFC 8446, section 5.1): type, version 3.x. */
#define RECORD_FIRST     20
#define RECORD_HANDSHAKE 22
#define RECORD_LAST      23
#define RECORD_MAJOR     3

SLAB_DEFINE(static, slab, sizeof(struct tls), PER_CHUNK, LIMIT_TLS_OBJECTS);

struct tls *tls_new(void)
{
        uint32_t index;
        struct tls *tls = slab_alloc(&slab, &index);

        if (!tls) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                return NULL;
        }
        memset(tls, 0, sizeof(*tls));
        tls->index = index;
        tls->muted = thread_state.mute != 0;
        atomic_store_explicit(&tls->used, 1, memory_order_release);
        return tls;
}

bool tls_begin(struct tls *tls, enum conn_role role)
{
        struct conn *conn = role == CONN_SERVER ? serve_new(NULL, 0) : conn_new(NULL, 0, clock_mono_ns());

        if (!conn)
                return false;
        process_watch_forks();
        conn->tls = true;
        if (role == CONN_CLIENT)
                cause_connect(&thread_state.cause, &conn->opening);
        tls->conn = conn;
        return true;
}

static uint8_t copy_text(char *to, struct slice text)
{
        uint8_t len = text.len <= SPAN_TLS_TEXT ? (uint8_t)text.len : 0;

        if (len)
                memcpy(to, text.p, len);
        return len;
}

void tls_learn(struct tls *tls, const struct tls_facts *facts)
{
        struct room *room = &tls->conn->tls_facts;
        struct span_tls *told;

        if (room->p || !room_take(room, sizeof(*told)))
                return;
        told = (struct span_tls *)(void *)room->p;
        told->version = (uint16_t)facts->version;
        told->resumed = facts->resumed;
        told->cipher_len = copy_text(told->text, facts->cipher);
        told->next_protocol_len = copy_text(told->text + told->cipher_len, facts->next_protocol);
}

/* The host waits on the descriptor, not on the TLS object. */
static void take_time_out(struct tls *tls)
{
        if (tls->carrier && tls->conn && atomic_load_explicit(&tls->carrier->timed_out, memory_order_relaxed))
                atomic_store_explicit(&tls->conn->timed_out, 1, memory_order_relaxed);
}

void tls_setup(struct tls *tls)
{
        if (UNLIKELY(tls->setup_told && tls->conn && conn_phase(tls->conn) != CONN_CONNECTING))
                atomic_store(&tls->conn->setup_told, 1);
}

void tls_end(struct tls *tls)
{
        struct conn *conn = tls->conn, *carrier = tls->carrier;

        if (tls->out.pending)
                stream_out_abandoned(conn, tls->out.plan.scratch);
        take_time_out(tls);
        tls_setup(tls);
        tls->conn = tls->carrier = NULL;
        tls->setup_told = false;
        tls->hello = 0;
        tls->out = (struct tls_out){.at = 0};
        if (conn)
                conn_unref(conn);
        if (carrier)
                conn_unref(carrier);
}

void tls_free(struct tls *tls)
{
        tls_end(tls);
        atomic_store_explicit(&tls->used, 0, memory_order_release);
        slab_free(&slab, tls->index);
}

/* The next object with a connection, from number *@at on, and a reference to that; NULL: no more. */
static START_TEXT struct tls *next(uint32_t *at, struct conn **ret_conn)
{
        while (*at < slab_end(&slab)) {
                struct tls *tls = slab_at(&slab, (*at)++);
                struct conn *conn = tls->conn;

                if (!atomic_load_explicit(&tls->used, memory_order_acquire) || !conn || !conn_ref(conn))
                        continue;
                *ret_conn = conn;
                return tls;
        }
        return NULL;
}

void tls_each(void (*visit)(struct conn *conn))
{
        struct conn *conn;
        uint32_t at = 0;

        while (next(&at, &conn)) {
                visit(conn);
                conn_unref(conn);
        }
}

START_TEXT void tls_last_words(void)
{
        struct conn *conn;
        struct tls *tls;
        uint32_t at = 0;

        while ((tls = next(&at, &conn))) {
                take_time_out(tls);
                conn_last_words(conn);
                conn_unref(conn);
        }
}

/* Calls that are left by a jump are found by where on the stack they were, as a guard that was given up. */
struct tls_call *tls_call_now(void)
{
        struct tls_call *call = thread_state.tls;

        if (LIKELY(!call))
                return NULL;
        while (call && (uintptr_t)call < guard_stack_pointer() && !guard_on_signal_stack())
                call = call->outer;
        thread_state.tls = call;
        return call;
}

/* The call whose library may be writing on @conn: TLS inside of TLS is written by the outer call. */
static struct tls_call *call_above(const struct conn *conn)
{
        struct tls_call *call = tls_call_now();

        while (call && call->tls->conn == conn)
                call = call->outer;
        return call && call->tls->conn ? call : NULL;
}

static void take_peer(struct conn *conn, const struct conn *carrier)
{
        const struct peer *from = &carrier->peer;
        struct peer *peer = &conn->peer;

        memcpy(&peer->addr, &from->addr, sizeof(peer->addr));
        peer->len = from->len;
        peer->lookup = from->lookup;
        if (from->name_len)
                peer_call(peer, slice_make(from->name.p, from->name_len));
        conn->tcp = carrier->tcp;
}

static void associate(struct tls *tls, struct conn *carrier, int fd)
{
        struct conn *conn = tls->conn;

        conn_carries(carrier);
        if (tls->carrier || !conn_ref(carrier))
                return;
        tls->carrier = carrier;
        take_peer(conn, carrier);
        if (conn->role == CONN_SERVER) {
                serve_remember_local(conn, fd);
                return;
        }
        if (carrier->role == CONN_CLIENT)
                conn->opening = carrier->opening;
        tls->setup_told = atomic_exchange(&carrier->setup_told, 1) || carrier->spoke_http;
        if (!tls->setup_told && carrier->connect_start_ns)
                conn->connect_start_ns = carrier->connect_start_ns;
}

/* The first bytes of what the host sends. Return: how many of @max there are. */
static size_t first_bytes(const struct iovec *iov, int iovcnt, unsigned char *to, size_t max)
{
        size_t len = 0;

        for (int i = 0; i < iovcnt && len < max; i++) {
                size_t piece = MIN(iov[i].iov_len, max - len);

                memcpy(to + len, piece ? iov[i].iov_base : "", piece);
                len += piece;
        }
        return len;
}

static bool is_hello(const unsigned char *bytes, size_t len)
{
        return len >= 2 && bytes[0] == RECORD_HANDSHAKE && bytes[1] == RECORD_MAJOR;
}

static bool is_record(const unsigned char *bytes, size_t len)
{
        return len >= 2 && bytes[0] >= RECORD_FIRST && bytes[0] <= RECORD_LAST && bytes[1] == RECORD_MAJOR;
}

/* --- handshakes whose other half was not seen yet: newest wins --- */

#define HELLOS    64
#define RANDOM_AT 11 /* in a record: after its head, the message's head and the version */

static struct hello {
        _Atomic uint64_t hash; /* written last */
        struct tls *tls;       /* the object, ... */
        struct conn *conn;     /* ... or the socket's connection */
        uint32_t serial;       /* of the connection */
        int fd;
} hellos[HELLOS];

static struct hello *hello_at(uint64_t hash)
{
        return &hellos[hash % HELLOS];
}

static void remember(uint64_t hash, struct hello hello)
{
        struct hello *at = hello_at(hash);

        atomic_store(&at->hash, 0);
        at->tls = hello.tls;
        at->conn = hello.conn;
        at->serial = hello.serial;
        at->fd = hello.fd;
        atomic_store(&at->hash, hash);
}

/* Return: false when it was not there, or another thread had it. */
static bool recall(uint64_t hash, struct hello *ret_hello)
{
        struct hello *at = hello_at(hash);

        ret_hello->tls = at->tls;
        ret_hello->conn = at->conn;
        ret_hello->serial = at->serial;
        ret_hello->fd = at->fd;
        return hash && atomic_compare_exchange_strong(&at->hash, &hash, 0);
}

void tls_hello(struct tls *tls, const unsigned char random[TLS_RANDOM])
{
        struct hello hello;

        if (tls->hello || tls->carrier)
                return;
        tls->hello = hash_bytes(random, TLS_RANDOM, HASH_SEED);
        if (tls->conn->role == CONN_CLIENT) {
                remember(tls->hello, (struct hello){.tls = tls});
        } else if (recall(tls->hello, &hello) && hello.conn && conn_ref(hello.conn)) {
                if (hello.conn->serial == hello.serial)
                        associate(tls, hello.conn, hello.fd);
                conn_unref(hello.conn);
        }
}

/* A handshake of an object that does not write by itself. Return: false when nobody knows it (yet). */
static bool settle_later(struct conn *conn, int fd, const unsigned char *bytes, size_t len)
{
        uint64_t hash =
                len < RANDOM_AT + TLS_RANDOM ? 0 : hash_bytes(bytes + RANDOM_AT, TLS_RANDOM, HASH_SEED);
        struct hello hello;

        if (conn->role == CONN_SERVER) {
                if (hash)
                        remember(hash, (struct hello){.conn = conn, .serial = conn->serial, .fd = fd});
                return false;
        }
        if (!recall(hash, &hello) || !hello.tls || !atomic_load(&hello.tls->used) ||
            hello.tls->hello != hash || !hello.tls->conn)
                return false;
        associate(hello.tls, conn, fd);
        return true;
}

/* A handshake begins on @conn. */
static void settle(struct conn *conn, int fd, const unsigned char *bytes, size_t len)
{
        struct tls_call *call = call_above(conn);

        if (call) {
                associate(call->tls, conn, fd);
                return;
        }
        if (settle_later(conn, fd, bytes, len))
                return;
        conn_tell_setup(conn);
        conn_carries(conn);
        conn->unseen_tls = true;
}

bool tls_leaves(struct conn *conn, const struct iovec *iov, int iovcnt)
{
        unsigned char first[RANDOM_AT + TLS_RANDOM];
        size_t len = first_bytes(iov, iovcnt, first, sizeof(first));

        if (!is_hello(first, len))
                return false;
        settle(conn, -1, first, len);
        return true;
}

bool tls_came(struct conn *conn, int fd, struct slice bytes)
{
        if (!is_hello((const unsigned char *)bytes.p, bytes.len))
                return false;
        settle(conn, fd, (const unsigned char *)bytes.p, bytes.len);
        return true;
}

struct tls_call *tls_carries_out(struct conn *conn, int fd, const struct iovec *iov, int iovcnt)
{
        struct tls_call *call = call_above(conn);
        unsigned char first[2];

        if (!call || conn_phase(conn) != CONN_OPAQUE)
                return NULL;
        if (call->tls->carrier == conn)
                return call;
        if (!is_record(first, first_bytes(iov, iovcnt, first, sizeof(first))))
                return NULL;
        associate(call->tls, conn, fd);
        return call->tls->carrier == conn ? call : NULL;
}

bool tls_carries_in(struct conn *conn)
{
        struct tls_call *call = call_above(conn);

        if (call)
                call->reading = call->tls->carrier == conn;
        return call || conn->carries;
}

static bool breaks(int error)
{
        return error != EAGAIN && error != EINTR && error != EINPROGRESS && error != EALREADY &&
               error != ENOTCONN && error != EFAULT && error != ENOMEM;
}

void tls_below(struct tls_call *call, ssize_t n, int error, bool reads)
{
        if (n < 0 && breaks(error))
                call->error = error;
        else if (n == 0 && reads)
                call->eof = true;
        call->reading = false;
}
