/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks of GnuTLS. A session is ours from gnutls_init() to gnutls_deinit(). What the library has taken of a
 * send that would block is sent by the same call without data, which is what we make of the host's
 * repetition.
 */
#include <string.h>

#include "agent/base/intmap.h"
#include "agent/base/limits.h"
#include "agent/base/slab.h"
#include "agent/tap/tap_tls.h"
#include "hooks/hook.h"
#include "hooks/tls/gnutls_library.h"

#define MAP_SLOTS (2 * LIMIT_TLS_OBJECTS)

struct session {
        uint64_t slab_word;
        uint32_t index;
        const struct gnutls_library *real;
        struct tls *tls; /* NULL: only passed through */
        bool server;
        bool kept;        /* the last send would have blocked */
        const void *data; /* of that send, and its length */
        size_t data_size;
        uint16_t name_len;
        char name[LIMIT_HOST_NAME];
};

INTMAP_DEFINE(sessions, MAP_SLOTS);
SLAB_DEFINE(static, slab, sizeof(struct session), 64, LIMIT_TLS_OBJECTS);

/* One call of the host's. */
struct call {
        struct tap_tls_io io;
        struct tap_tls_call tap;
        struct gnutls_session_int *gnutls;
        struct session *session;
        ssize_t result; /* of the last real call */
        size_t pad;
        unsigned flags;
        bool send2, sends;
};

static struct session *session_of(const struct gnutls_session_int *gnutls)
{
        uint32_t index;

        return gnutls && intmap_get(&sessions, (uintptr_t)gnutls, &index) ? slab_at(&slab, index) : NULL;
}

#define CALLER                 __builtin_return_address(0)
#define REAL_OF(session, name) ((session) ? (session)->real->name : gnutls_library_for(CALLER)->name)

static void drop(const struct gnutls_session_int *gnutls)
{
        struct session *session;
        uint32_t index;

        if (!intmap_take(&sessions, (uintptr_t)gnutls, &index))
                return;
        session = slab_at(&slab, index);
        if (session->tls)
                tap_tls_free(session->tls);
        slab_free(&slab, index);
}

static void take_up(const struct gnutls_library *real, const struct gnutls_session_int *gnutls,
                    unsigned flags)
{
        struct session *session;
        uint32_t index;

        drop(gnutls); /* of one that went without a word */
        if (guard_passes() || flags & GNUTLS_DATAGRAM)
                return;
        session = slab_alloc(&slab, &index);
        if (!session)
                return;
        memset(session, 0, sizeof(*session));
        session->index = index;
        session->real = real;
        session->server = flags & GNUTLS_SERVER;
        session->tls = tap_tls_new(false);
        if (!intmap_put(&sessions, (uintptr_t)gnutls, index)) {
                if (session->tls)
                        tap_tls_free(session->tls);
                slab_free(&slab, index);
        }
}

/* Return: true: tap_tls_leave() must follow. */
static bool enter(struct call *call, struct gnutls_session_int *gnutls, struct session *session)
{
        call->session = session;
        call->gnutls = gnutls;
        call->sends = false;
        return session && session->tls && !guard_passes() &&
               tap_tls_enter(&call->tap, session->tls, session->server,
                             slice_make(session->name, session->name_len));
}

static enum tap_tls_outcome judge(struct tap_tls_io *io, int *ret_error)
{
        struct call *call = (struct call *)io;
        int result = (int)call->result;

        if (result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED)
                return call->sends ? TAP_TLS_KEPT : TAP_TLS_AGAIN;
        if (result == 0 || result == GNUTLS_E_PREMATURE_TERMINATION)
                return TAP_TLS_CLOSED;
        if (!call->session->real->gnutls_error_is_fatal(result))
                return TAP_TLS_AGAIN;
        *ret_error = result;
        return TAP_TLS_FAILED;
}

static ssize_t write_real(struct tap_tls_io *io, const void *buf, size_t len)
{
        struct call *call = (struct call *)io;
        const struct gnutls_library *real = call->session->real;

        if (call->session->kept)
                call->result = real->gnutls_record_send(call->gnutls, NULL, 0);
        else if (call->send2)
                call->result = real->gnutls_record_send2(call->gnutls, buf, len, call->pad, call->flags);
        else
                call->result = real->gnutls_record_send(call->gnutls, buf, len);
        call->session->kept = call->result == GNUTLS_E_AGAIN || call->result == GNUTLS_E_INTERRUPTED;
        return call->result;
}

static ssize_t out(struct call *call, const void *data, size_t data_size)
{
        struct session *session = call->session;
        ssize_t n;

        call->io = (struct tap_tls_io){.write = write_real, .judge = judge, .partial = true, .moving = true};
        call->sends = true;
        if (session->kept && !data) {
                data = session->data;
                data_size = session->data_size;
        }
        session->data = data;
        session->data_size = data_size;
        n = data ? tap_tls_out(&call->tap, &call->io, data, data_size)
                 : write_real(&call->io, data, data_size);
        tap_tls_leave(&call->tap);
        return n > 0 ? n : call->result;
}

/* --- the wrappers --- */

HOOK_EXPORT int gnutls_init(struct gnutls_session_int **session, unsigned int flags)
{
        const struct gnutls_library *real = gnutls_library_for(CALLER);
        int result = real->gnutls_init(session, flags);

        if (result >= 0 && real->identity)
                take_up(real, *session, flags);
        return result;
}

HOOK_EXPORT void gnutls_deinit(struct gnutls_session_int *session)
{
        struct session *ours = session_of(session);
        __typeof__(&gnutls_deinit) real = REAL_OF(ours, gnutls_deinit);

        if (ours)
                drop(session);
        real(session);
}

HOOK_EXPORT int gnutls_server_name_set(struct gnutls_session_int *session, int type, const void *name,
                                       size_t name_length)
{
        struct session *ours = session_of(session);
        int result = REAL_OF(ours, gnutls_server_name_set)(session, type, name, name_length);

        if (ours && result >= 0 && type == GNUTLS_NAME_DNS && name_length <= sizeof(ours->name)) {
                memcpy(ours->name, name, name_length);
                ours->name_len = (uint16_t)name_length;
        }
        return result;
}

static void tell_hello(struct call *call)
{
        struct gnutls_datum client = {NULL, 0}, server = {NULL, 0};

        call->session->real->gnutls_session_get_random(call->gnutls, &client, &server);
        if (client.data && client.size == TLS_RANDOM)
                tap_tls_hello(&call->tap, client.data);
}

/* Its versions count from SSL 3 on. */
static void tell_facts(struct call *call)
{
        const struct gnutls_library *real = call->session->real;
        struct gnutls_datum chosen = {NULL, 0};
        bool known = real->gnutls_alpn_get_selected_protocol(call->gnutls, &chosen) == 0 && chosen.data;

        tap_tls_facts(&call->tap, &(struct tls_facts){
                                          .version = 0x300 + real->gnutls_protocol_get_version(call->gnutls) -
                                                     GNUTLS_SSL3,
                                          .resumed = real->gnutls_session_is_resumed(call->gnutls) > 0,
                                          .cipher = slice_str(real->gnutls_ciphersuite_get(call->gnutls)),
                                          .next_protocol = slice_make(chosen.data, known ? chosen.size : 0),
                                  });
}

HOOK_EXPORT int gnutls_handshake(struct gnutls_session_int *session)
{
        struct session *ours = session_of(session);
        struct call call;

        if (!enter(&call, session, ours))
                return REAL_OF(ours, gnutls_handshake)(session);
        call.io = (struct tap_tls_io){.judge = judge};
        call.result = ours->real->gnutls_handshake(session);
        if (tap_tls_wants_hello(&call.tap))
                tell_hello(&call);
        if (call.result == 0 && tap_tls_wants_facts(&call.tap))
                tell_facts(&call);
        tap_tls_shaken(&call.tap, &call.io, call.result == 0);
        tap_tls_leave(&call.tap);
        return (int)call.result;
}

HOOK_EXPORT ssize_t gnutls_record_send(struct gnutls_session_int *session, const void *data, size_t data_size)
{
        struct session *ours = session_of(session);
        struct call call = {.send2 = false};

        if (!enter(&call, session, ours))
                return REAL_OF(ours, gnutls_record_send)(session, data, data_size);
        return out(&call, data, data_size);
}

HOOK_EXPORT ssize_t gnutls_record_send2(struct gnutls_session_int *session, const void *data,
                                        size_t data_size, size_t pad, unsigned flags)
{
        struct session *ours = session_of(session);
        struct call call = {.send2 = true, .pad = pad, .flags = flags};

        if (!enter(&call, session, ours))
                return REAL_OF(ours, gnutls_record_send2)(session, data, data_size, pad, flags);
        return out(&call, data, data_size);
}

HOOK_EXPORT ssize_t gnutls_record_recv(struct gnutls_session_int *session, void *data, size_t data_size)
{
        struct session *ours = session_of(session);
        struct call call;
        ssize_t n;

        if (!enter(&call, session, ours))
                return REAL_OF(ours, gnutls_record_recv)(session, data, data_size);
        call.io = (struct tap_tls_io){.judge = judge};
        tap_tls_in_begin(&call.tap, false);
        call.result = ours->real->gnutls_record_recv(session, data, data_size);
        n = tap_tls_in_end(&call.tap, &call.io, data, data_size, call.result, false);
        tap_tls_leave(&call.tap);
        return n;
}

/* What is corked is sent by a call that tells how much it was: a client's requests stay as they are. */
HOOK_EXPORT void gnutls_record_cork(struct gnutls_session_int *session)
{
        struct session *ours = session_of(session);

        if (ours && ours->tls && !ours->server)
                tap_tls_hands_off(ours->tls);
        REAL_OF(ours, gnutls_record_cork)(session);
}

HOOK_EXPORT int gnutls_bye(struct gnutls_session_int *session, int how)
{
        struct session *ours = session_of(session);
        struct call call;

        if (!enter(&call, session, ours))
                return REAL_OF(ours, gnutls_bye)(session, how);
        call.result = ours->real->gnutls_bye(session, how);
        if (call.result == 0)
                tap_tls_shut(&call.tap);
        tap_tls_leave(&call.tap);
        return (int)call.result;
}
