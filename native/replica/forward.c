/* SPDX-License-Identifier: MIT */
/* A learner's clients: what needs the leader is forwarded, and answered when the transaction comes
 * back (quorum-protocol reference, 7.3 and 7.4). A request keeps its place in the queue of its
 * connection meanwhile, so the order of answers is that of the requests. Called by request.c,
 * handshake.c and ensemble.c. It must never answer a write by itself: the leader's transaction is
 * the only answer. */
#include "replica/replica_int.h"

#include "base/mem.h"

#define PING_BYTES_MAX ((size_t)1 << 20) /* of sessions; a packet of twice that is refused */

static void send_request(struct replica *replica, int64_t session_id, int32_t cxid, int32_t op,
                         struct mk_bytes body, const struct mk_id_vector *identities)
{
    struct mk_buffer *scratch = &replica->ensemble->scratch;
    mk_buffer_clear(scratch);
    mk_request_forward_write(
        scratch, &(struct mk_request_forward){.session_id = session_id, .cxid = cxid, .type = op});
    mk_buffer_append_bytes(scratch, body);
    size_t length = scratch->length;
    if (identities)
        mk_id_vector_write(scratch, identities);
    struct mk_bytes encoded =
        identities ? mk_bytes_of(scratch->data + length, scratch->length - length) : MK_BYTES_NULL;
    ensemble_step(replica, &(struct zab_event){.type = ZAB_SEND,
                                               .packet_type = MK_PACKET_REQUEST,
                                               .bytes = mk_bytes_of(scratch->data, length),
                                               .identities = encoded});
}

void forward_write(struct replica *replica, struct connection *connection, int32_t xid, int32_t op,
                   struct mk_bytes body)
{
    struct mk_bytes parts =
        op == MK_OP_MULTI ? op_create2_parts(body, &replica->arena) : MK_BYTES_NULL;
    struct request *request = pipeline_push(replica, connection, REQUEST_PROPOSED, xid, op, parts);
    request->forwarded_bytes = (uint32_t)mk_bytes_size(body);
    replica->forwarded_bytes += request->forwarded_bytes;
    send_request(replica, connection->session->id, xid, op, body, &connection->identities);
}

void forward_create_session(struct replica *replica, struct connection *connection)
{
    uint8_t timeout[4];
    mk_store_int(timeout, connection->session->timeout_ms);
    send_request(replica, connection->session->id, 0, MK_OP_CREATE_SESSION,
                 mk_bytes_of(timeout, sizeof timeout), NULL);
}

void forward_close_session(struct replica *replica, struct connection *connection, int32_t xid)
{
    connection->session->closing = true;
    pipeline_push(replica, connection, REQUEST_PROPOSED, xid, MK_OP_CLOSE_SESSION, MK_BYTES_NULL);
    send_request(replica, connection->session->id, xid, MK_OP_CLOSE_SESSION, mk_bytes_of("", 0),
                 &connection->identities);
}

static bool creates(int32_t type)
{
    return type == MK_OP_CREATE || type == MK_OP_CREATE2 || type == MK_OP_CREATE_CONTAINER ||
           type == MK_OP_CREATE_TTL;
}

static bool may_answer(const struct mk_txn_header *header, const struct request *request)
{
    return request->xid == header->cxid && !request->proposal &&
           (header->type == MK_OP_ERROR || header->type == request->op ||
            (creates(header->type) && creates(request->op)));
}

struct request *forward_match(struct replica *replica, const struct mk_txn_header *header,
                              struct connection **connection)
{
    struct session *session = session_find(replica, header->client_id);
    *connection = session ? session->connection : NULL;
    if (!*connection || (*connection)->link.closing || header->zxid <= (*connection)->answers_after)
        return NULL;
    for (struct request *request = (*connection)->queue_head; request; request = request->next)
        if (request->state == REQUEST_PROPOSED && request->op != MK_OP_SYNC)
            return may_answer(header, request) ? request : NULL;
    return NULL;
}

/* --- sessions --------------------------------------------------------------------------------- */

static void send_touch(struct replica *replica, int32_t packet_type, int64_t session_id,
                       int32_t timeout_ms)
{
    struct mk_buffer *scratch = &replica->ensemble->scratch;
    mk_buffer_clear(scratch);
    mk_session_touch_write(
        scratch, &(struct mk_session_touch){.session_id = session_id, .timeout = timeout_ms});
    ensemble_step(replica, &(struct zab_event){.type = ZAB_SEND,
                                               .packet_type = packet_type,
                                               .bytes = mk_buffer_bytes(scratch),
                                               .identities = MK_BYTES_NULL});
}

void forward_revalidate(struct replica *replica, struct connection *connection)
{
    send_touch(replica, MK_PACKET_REVALIDATE, connection->session->id,
               connection->session->timeout_ms);
}

void forward_revalidated(struct replica *replica, struct mk_bytes bytes, int64_t zxid)
{
    struct mk_reader reader;
    struct mk_revalidate_reply reply;
    mk_reader_init_bytes(&reader, bytes, &replica->arena);
    mk_revalidate_reply_read(&reader, &reply);
    struct session *session = reader.error ? NULL : session_find(replica, reply.session_id);
    struct connection *connection = session ? session->connection : NULL;
    if (connection && connection->phase == PHASE_ESTABLISHING)
        handshake_revalidated(replica, connection, reply.valid, zxid);
    else if (session && !connection && !session->committed && !reply.valid)
        session_free(replica, session); /* who asked about it is gone, and there is no such one */
}

void forward_touched(struct replica *replica, struct session *session)
{
    struct ensemble *ensemble = replica->ensemble;
    if (session->touched)
        return;
    session->touched = true;
    if (ensemble->touched_count == ensemble->touched_capacity) {
        ensemble->touched_capacity = MK_MAX(ensemble->touched_capacity * 2, (size_t)64);
        ensemble->touched =
            mk_realloc(ensemble->touched, ensemble->touched_capacity * sizeof *ensemble->touched);
    }
    ensemble->touched[ensemble->touched_count++] = session->id;
}

void forward_ping(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    struct mk_buffer *scratch = &ensemble->scratch;
    mk_buffer_clear(scratch);
    size_t told = 0;
    for (; told < ensemble->touched_count && scratch->length < PING_BYTES_MAX; told++) {
        struct session *session = session_find(replica, ensemble->touched[told]);
        if (!session)
            continue;
        session->touched = false;
        mk_session_touch_write(scratch, &(struct mk_session_touch){.session_id = session->id,
                                                                   .timeout = session->timeout_ms});
    }
    ensemble->touched_count -= told; /* the others with the next PING */
    if (ensemble->touched_count > 0)
        memmove(ensemble->touched, ensemble->touched + told,
                ensemble->touched_count * sizeof *ensemble->touched);
    ensemble_step(replica, &(struct zab_event){.type = ZAB_SEND,
                                               .packet_type = MK_PACKET_PING,
                                               .bytes = mk_bytes_of(scratch->data, scratch->length),
                                               .identities = MK_BYTES_NULL});
}

/* --- sync ------------------------------------------------------------------------------------- */

void forward_sync(struct replica *replica, struct connection *connection, int32_t xid,
                  struct mk_bytes path)
{
    struct ensemble *ensemble = replica->ensemble;
    struct request *request =
        pipeline_push(replica, connection, REQUEST_PROPOSED, xid, MK_OP_SYNC, path);
    request->sync_ticket = ++ensemble->sync_next;
    request->null_token_body = path.length < 0;
    if (ensemble->sync_count == ensemble->sync_capacity) {
        ensemble->sync_capacity = MK_MAX(ensemble->sync_capacity * 2, (size_t)16);
        ensemble->syncs =
            mk_realloc(ensemble->syncs, ensemble->sync_capacity * sizeof *ensemble->syncs);
    }
    ensemble->syncs[ensemble->sync_count++] =
        (struct sync_ticket){.ticket = ensemble->sync_next, .connection = connection->number};
    if (!replica_learns(replica)) {
        ensemble_step(replica,
                      &(struct zab_event){.type = ZAB_SYNC, .ticket = ensemble->sync_next});
        return;
    }
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_write_bytes(&body, path);
    send_request(replica, connection->session->id, xid, MK_OP_SYNC, mk_buffer_bytes(&body),
                 &connection->identities);
    mk_buffer_fini(&body);
}

/* From now on it waits for nothing but its turn; the path is its answer. */
static void make_ready(struct replica *replica, const struct sync_ticket *sync)
{
    struct connection *connection = connection_find(replica, sync->connection);
    if (!connection)
        return;
    /* If the client is gone the number may be another's, but never the ticket. */
    for (struct request *request = connection->queue_head; request; request = request->next) {
        if (request->state != REQUEST_PROPOSED || request->sync_ticket != sync->ticket)
            continue;
        request->state = REQUEST_ANSWERED;
        request->answer_zxid = ZXID_LAST_APPLIED;
        request->path_body = !request->null_token_body;
        pipeline_run(replica, connection);
        return;
    }
}

void forward_synced(struct replica *replica, uint64_t ticket, int64_t zxid)
{
    struct ensemble *ensemble = replica->ensemble;
    for (size_t i = 0; i < ensemble->sync_count; i++) {
        struct sync_ticket *sync = &ensemble->syncs[i];
        if (sync->answered || (ticket && sync->ticket != ticket))
            continue;
        sync->answered = true;
        sync->zxid = zxid;
        ensemble->sync_answered_count++;
        break;
    }
    forward_syncs_run(replica);
}

void forward_syncs_run(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    if (ensemble->sync_answered_count == 0)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < ensemble->sync_count; i++) {
        struct sync_ticket sync = ensemble->syncs[i];
        if (!sync.answered || sync.zxid > replica->last_zxid) {
            ensemble->syncs[kept++] = sync;
            continue;
        }
        ensemble->sync_answered_count--;
        make_ready(replica, &sync);
    }
    ensemble->sync_count = kept;
}
