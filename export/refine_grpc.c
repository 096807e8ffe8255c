/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_grpc.h"

#include "agent/base/load.h"
#include "export/refine_url.h"

enum { STATUS_OK = 0, STATUS_UNKNOWN = 2, STATUS_UNIMPLEMENTED = 12 };

static const struct {
        const char *name;
        bool server_error; /* clients: all but OK are */
} statuses[] = {
        {"OK", false},
        {"CANCELLED", false},
        {"UNKNOWN", true},
        {"INVALID_ARGUMENT", false},
        {"DEADLINE_EXCEEDED", true},
        {"NOT_FOUND", false},
        {"ALREADY_EXISTS", false},
        {"PERMISSION_DENIED", false},
        {"RESOURCE_EXHAUSTED", false},
        {"FAILED_PRECONDITION", false},
        {"ABORTED", false},
        {"OUT_OF_RANGE", false},
        {"UNIMPLEMENTED", true},
        {"INTERNAL", true},
        {"UNAVAILABLE", true},
        {"DATA_LOSS", true},
        {"UNAUTHENTICATED", false},
};

bool refine_grpc_answered(const struct refine_draft *draft)
{
        return refine_draft_int(draft, SEMCONV_RAW_GRPC_STATUS) > 0;
}

/* Numbers that have no name are unknown to every client. */
static size_t status_of(const struct refine_draft *draft)
{
        int64_t number = refine_draft_int(draft, SEMCONV_RAW_GRPC_STATUS) - 1;

        return number < (int64_t)ARRAY_LEN(statuses) ? (size_t)number : STATUS_UNKNOWN;
}

struct slice refine_grpc_error(const struct refine_draft *draft)
{
        bool server = draft->raw->shape == SHAPE_GRPC_SERVER;
        size_t status;

        if (!refine_grpc_answered(draft))
                return SLICE_NULL;
        status = status_of(draft);
        if (server ? !statuses[status].server_error : status == STATUS_OK)
                return SLICE_NULL;
        return slice_str(statuses[status].name);
}

/* "/package.Service/Method" without its first slash; empty when it is none. */
static struct slice method_of(const struct refine_draft *draft)
{
        struct slice path = refine_draft_str(draft, SEMCONV_RAW_TARGET), method = slice_from(path, 1);
        size_t service = slice_find(method, '/');

        if (!path.len || path.p[0] != '/' || service == 0 || service + 1 >= method.len)
                return SLICE_NULL;
        return method;
}

static void add_method(struct refine_draft *draft)
{
        struct slice method = method_of(draft), given = refine_draft_str(draft, SEMCONV_RAW_TARGET);
        bool refused = draft->raw->shape == SHAPE_GRPC_SERVER && refine_grpc_answered(draft) &&
                       status_of(draft) == STATUS_UNIMPLEMENTED;

        refine_draft_add_str(draft, SEMCONV_RPC_SYSTEM_NAME, SLICE("grpc"));
        if (method.len && !refused) {
                draft->out.name = refine_draft_copy(draft, method);
                refine_draft_add_str(draft, SEMCONV_RPC_METHOD, method);
                return;
        }
        draft->out.name = refine_draft_copy(draft, SLICE("grpc"));
        refine_draft_add_str(draft, SEMCONV_RPC_METHOD, SLICE("_OTHER"));
        refine_draft_add_str(draft, SEMCONV_RPC_METHOD_ORIGINAL, method.len ? method : given);
}

/* As the client named the server; else, for clients, whoever they looked up or reached. */
static void add_server(struct refine_draft *draft, const struct refine_peer *peer)
{
        const struct refine_url_scheme *scheme =
                refine_url_scheme(refine_draft_str(draft, SEMCONV_RAW_SCHEME));
        struct slice host = SLICE_NULL, name = refine_draft_str(draft, SEMCONV_RAW_NAME);
        int port = 0;

        if (refine_url_authority(refine_draft_str(draft, SEMCONV_RAW_HOST), &host, &port)) {
                port = port || !scheme ? port : scheme->port;
        } else if (draft->raw->shape == SHAPE_GRPC_CLIENT) {
                host = name.len ? name : slice_str(peer->address);
                port = peer->port;
        }
        refine_draft_add_str(draft, SEMCONV_SERVER_ADDRESS, host);
        if (host.len && port)
                refine_draft_add_int(draft, SEMCONV_SERVER_PORT, port);
}

void refine_grpc(struct refine_draft *draft)
{
        struct refine_peer peer = refine_draft_peer(draft, SEMCONV_RAW_PEER);

        add_method(draft);
        add_server(draft, &peer);
        refine_draft_add_peer(draft, &peer);
        if (refine_grpc_answered(draft))
                refine_draft_add_str(draft, SEMCONV_RPC_RESPONSE_STATUS_CODE,
                                     slice_str(statuses[status_of(draft)].name));
}
