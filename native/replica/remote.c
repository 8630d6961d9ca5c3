/* SPDX-License-Identifier: MIT */
/* The leader's side of other servers' clients: their writes become transactions, their sessions are
 * kept alive (quorum-protocol reference, 7.3 and 7.4). Called by ensemble.c. The identities that a
 * learner vouches for are believed, as its place in the ensemble is. It must never propose what a
 * client may not ask for: a learner's word about opcodes counts for nothing. */
#include "replica/replica_int.h"

#include "base/mem.h"

/* Never a check alone (hazard P1), nor what only servers ask of themselves. */
static bool may_forward(int32_t op)
{
    const struct mk_op_info *info = mk_op_find(op);
    return info && info->kind == MK_KIND_WRITE && op != MK_OP_CHECK;
}

/* A connection that the client has left may not close its session either (promise G14; Apache lets
 * it). */
static void close_remote(struct replica *replica, const struct zab_delivery *delivery,
                         const struct mk_request_forward *request)
{
    struct session *session = session_find(replica, request->session_id);
    if (session && session->owner && session->owner != delivery->server)
        propose_error(replica, request->session_id, request->cxid, MK_OP_CLOSE_SESSION,
                      MK_ERR_SESSION_MOVED);
    else if (session && !session->closing)
        propose_close_session(replica, request->session_id, NULL, request->cxid);
    else if (!session)
        propose_error(replica, request->session_id, request->cxid, MK_OP_CLOSE_SESSION,
                      MK_ERR_SESSION_EXPIRED);
}

static void write_remote(struct replica *replica, const struct zab_delivery *delivery,
                         const struct mk_request_forward *request, struct mk_bytes body)
{
    struct session *session = session_find(replica, request->session_id);
    int32_t error = 0;
    if (!session || session->closing)
        error = MK_ERR_SESSION_EXPIRED;
    else if (session->owner && session->owner != delivery->server)
        error = MK_ERR_SESSION_MOVED;
    struct mk_id_vector identities = {0, NULL};
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, delivery->identities, &replica->arena);
    if (delivery->identities.length > 0)
        mk_id_vector_read(&reader, &identities);
    if (reader.error)
        error = MK_ERR_MARSHALLING;
    if (error) {
        propose_error(replica, request->session_id, request->cxid, request->type, error);
        return;
    }
    session->owner = delivery->server;
    expiry_heard(replica, session);
    propose_remote(replica, request->session_id, request->cxid, request->type, body, &identities);
}

void remote_request(struct replica *replica, const struct zab_delivery *delivery)
{
    struct mk_reader reader;
    struct mk_request_forward request;
    mk_reader_init_bytes(&reader, delivery->bytes, &replica->arena);
    mk_request_forward_read(&reader, &request);
    if (reader.error || !replica_may_propose(replica)) {
        if (reader.error)
            replica_log(replica, MK_LEVEL_WARN,
                        "server %lld forwarded a request of %d bytes that "
                        "cannot be read",
                        (long long)delivery->server, delivery->bytes.length);
        return;
    }
    struct mk_bytes body = mk_reader_rest(&reader);
    if (request.type == MK_OP_SYNC)
        ensemble_step(replica,
                      &(struct zab_event){.type = ZAB_SYNC, .link = delivery->link, .flag = true});
    else if (request.type == MK_OP_CREATE_SESSION)
        propose_remote_session(replica, request.session_id, delivery->server, body);
    else if (request.type == MK_OP_CLOSE_SESSION)
        close_remote(replica, delivery, &request);
    else if (may_forward(request.type))
        write_remote(replica, delivery, &request, body);
    else
        propose_error(replica, request.session_id, request.cxid, request.type,
                      MK_ERR_UNIMPLEMENTED);
    mk_arena_reset(&replica->arena);
}

/* The client may have moved: from now on the asking server is the one it speaks through. */
void remote_revalidate(struct replica *replica, const struct zab_delivery *delivery)
{
    struct mk_reader reader;
    struct mk_session_touch touch;
    mk_reader_init_bytes(&reader, delivery->bytes, &replica->arena);
    mk_session_touch_read(&reader, &touch);
    if (reader.error)
        return;
    struct session *session = session_find(replica, touch.session_id);
    bool valid = session && !session->closing && replica_leads(replica);
    if (valid) {
        session->owner = delivery->server;
        session->timeout_ms = MK_MAX(touch.timeout, 1);
        session_leave_connection(replica, session);
        expiry_remove(replica, session);
        expiry_heard(replica, session);
        expiry_insert(replica, session);
    }
    uint8_t reply[16];
    uint8_t *end = mk_revalidate_reply_store(
        reply, &(struct mk_revalidate_reply){.session_id = touch.session_id, .valid = valid});
    ensemble_step(replica, &(struct zab_event){.type = ZAB_SEND,
                                               .link = delivery->link,
                                               .packet_type = MK_PACKET_REVALIDATE,
                                               .bytes = mk_bytes_of(reply, (size_t)(end - reply)),
                                               .identities = MK_BYTES_NULL});
}

void remote_touched(struct replica *replica, struct mk_bytes bytes)
{
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, bytes, &replica->arena);
    while (mk_reader_left(&reader) > 0) {
        struct mk_session_touch touch;
        mk_session_touch_read(&reader, &touch);
        struct session *session = reader.error ? NULL : session_find(replica, touch.session_id);
        if (session)
            expiry_heard(replica, session);
    }
}
