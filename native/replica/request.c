/* SPDX-License-Identifier: MIT */
/* Every frame behind the handshake: who may send what, and which way it goes: answered at once,
 * queued behind the connection's own writes, or proposed. Rules: client-protocol reference,
 * sections 3.1 to 3.4. */
#include "replica/replica_int.h"

#define REPLY_BYTES_MAX ((size_t)1 << 30) /* a frame's length is an int */

/* An answer that is known already; it goes out when its turn comes. */
static void answer_in_turn(struct replica *replica, struct connection *connection,
                           const struct request *known)
{
    if (connection->queue_length == 0) {
        struct request request = *known;
        request_answer(replica, connection, &request, MK_BYTES_NULL);
        return;
    }
    struct request *request =
        pipeline_push(replica, connection, REQUEST_ANSWERED, known->xid, known->op, MK_BYTES_NULL);
    request->error = known->error;
    request->answer_zxid = known->answer_zxid;
    request->close_after = known->close_after;
    request->null_token_body = known->null_token_body;
}

static void request_auth(struct replica *replica, struct connection *connection, int32_t xid,
                         struct mk_reader *reader)
{
    struct mk_auth_packet packet;
    mk_auth_packet_read(reader, &packet);
    if (reader->error) {
        connection_drop(replica, connection);
        return;
    }
    int error = auth_add(replica, connection, &packet);
    if (error) {
        replica->stats.auth_failed_count++;
        replica_complain(replica, COMPLAINT_AUTH, "authentication failed for %s, scheme %.*s",
                         connection->address, (int)MK_MIN(mk_bytes_size(packet.scheme), (size_t)64),
                         packet.scheme.length > 0 ? (const char *)packet.scheme.data : "");
        connection->phase = PHASE_ENDING;
    }
    answer_in_turn(replica, connection,
                   &(struct request){.state = REQUEST_ANSWERED,
                                     .xid = xid,
                                     .op = MK_OP_AUTH,
                                     .started_ms = replica->now_ms,
                                     .error = error,
                                     .close_after = error != 0});
}

/* No SASL mechanism is configured: err 0 and a null token (client-protocol reference, 8.6). */
static void request_sasl(struct replica *replica, struct connection *connection, int32_t xid,
                         struct mk_reader *reader)
{
    struct mk_bytes token = mk_read_bytes(reader);
    if (reader->error || token.length < 0) {
        connection_drop(replica, connection);
        return;
    }
    answer_in_turn(replica, connection,
                   &(struct request){.state = REQUEST_ANSWERED,
                                     .xid = xid,
                                     .op = MK_OP_SASL,
                                     .started_ms = replica->now_ms,
                                     .null_token_body = true});
}

/* -6 with zxid -1, then the connection is closed (trap 24). */
static void request_unknown(struct replica *replica, struct connection *connection, int32_t xid,
                            int32_t op)
{
    replica_complain(replica, COMPLAINT_OPCODE,
                     "closing the connection from %s: opcode %d is not one a "
                     "client may send",
                     connection->address, (int)op);
    connection->phase = PHASE_ENDING;
    answer_in_turn(replica, connection,
                   &(struct request){.state = REQUEST_ANSWERED,
                                     .xid = xid,
                                     .op = op,
                                     .started_ms = replica->now_ms,
                                     .error = MK_ERR_UNIMPLEMENTED,
                                     .answer_zxid = -1,
                                     .close_after = true});
}

static void request_read(struct replica *replica, struct connection *connection, int32_t xid,
                         int32_t op, struct mk_bytes frame)
{
    if (connection->queue_length > 0) {
        struct request *waiting =
            pipeline_push(replica, connection, REQUEST_UNREAD, xid, op, frame);
        struct mk_reader reader;
        mk_reader_init_bytes(&reader, frame, &replica->arena);
        reader.offset = MK_REQUEST_HEADER_BYTES;
        waiting->cost = op_read_cost(replica->tree, op, &reader);
        connection->queue_cost += waiting->cost;
        return;
    }
    struct request request = {.state = REQUEST_UNREAD,
                              .xid = xid,
                              .op = op,
                              .started_ms = replica->now_ms,
                              .identity_count = connection->identities.count};
    request_answer(replica, connection, &request, frame);
}

/* A learner's writes are the leader's business; a leader that is about to go makes no more. */
static void request_write(struct replica *replica, struct connection *connection,
                          const struct mk_request_header *header, struct mk_bytes body)
{
    bool ends = header->type == MK_OP_CLOSE_SESSION;
    if (replica_learns(replica)) {
        if (ends)
            forward_close_session(replica, connection, header->xid);
        else
            forward_write(replica, connection, header->xid, header->type, body);
    } else if (!replica_may_propose(replica)) {
        connection_drop(replica, connection);
        return;
    } else if (ends) {
        propose_close_session(replica, connection->session->id, connection, header->xid);
    } else {
        propose_request(replica, connection, header->xid, header->type, body);
    }
    if (ends)
        connection->phase = PHASE_ENDING;
}

/* Alone, a server is always up to date; in an ensemble the leader asks its quorum (promise G7). */
static void request_sync(struct replica *replica, struct connection *connection, int32_t xid,
                         struct mk_bytes frame)
{
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, frame, &replica->arena);
    reader.offset = MK_REQUEST_HEADER_BYTES;
    struct mk_bytes path = mk_read_bytes(&reader);
    if (!replica->ensemble || reader.error)
        request_read(replica, connection, xid, MK_OP_SYNC, frame);
    else
        forward_sync(replica, connection, xid, path);
}

/* True: that was all. */
static bool answer_read_only(struct replica *replica, struct connection *connection,
                             const struct mk_request_header *header)
{
    bool ends = header->type == MK_OP_CLOSE_SESSION;
    if (!ends && !read_only_refuses(replica, header->type))
        return false;
    if (ends)
        connection->phase = PHASE_ENDING;
    answer_in_turn(replica, connection,
                   &(struct request){.state = REQUEST_ANSWERED,
                                     .xid = header->xid,
                                     .op = header->type,
                                     .started_ms = replica->now_ms,
                                     .error = ends ? 0 : MK_ERR_NOT_READ_ONLY,
                                     .answer_zxid = ZXID_LAST_APPLIED,
                                     .close_after = ends});
    return true;
}

void request_frame(struct replica *replica, struct connection *connection, struct mk_bytes frame)
{
    struct mk_reader reader;
    struct mk_request_header header;
    mk_reader_init_bytes(&reader, frame, &replica->arena);
    mk_request_header_read(&reader, &header);
    if (reader.error) {
        connection_drop(replica, connection);
        return;
    }
    struct session *session = connection->session;
    if (!session || session->closing)
        return; /* dropped without reply (client-protocol reference, 7.4) */
    if (header.type != MK_OP_AUTH && header.type != MK_OP_SASL) {
        expiry_heard(replica, session);
        if (replica_learns(replica) && replica_is_serving(replica))
            forward_touched(replica, session);
    }
    if (header.type >= 0 && header.type < (int32_t)MK_ARRAY_LENGTH(replica->stats.op_count))
        replica->stats.op_count[header.type]++;
    if (replica_is_read_only(replica) && answer_read_only(replica, connection, &header))
        return;

    switch (header.type) {
    case MK_OP_GET_DATA:
    case MK_OP_EXISTS:
    case MK_OP_GET_ACL:
    case MK_OP_GET_CHILDREN:
    case MK_OP_GET_CHILDREN2:
    case MK_OP_PING:
    case MK_OP_CHECK_WATCHES:
    case MK_OP_REMOVE_WATCHES:
    case MK_OP_MULTI_READ:
    case MK_OP_SET_WATCHES:
    case MK_OP_SET_WATCHES2:
    case MK_OP_GET_EPHEMERALS:
    case MK_OP_GET_ALL_CHILDREN_NUMBER:
    case MK_OP_ADD_WATCH:
    case MK_OP_WHO_AM_I:
        request_read(replica, connection, header.xid, header.type, frame);
        break;
    case MK_OP_CREATE:
    case MK_OP_CREATE2:
    case MK_OP_CREATE_CONTAINER:
    case MK_OP_CREATE_TTL:
    case MK_OP_DELETE:
    case MK_OP_SET_DATA:
    case MK_OP_SET_ACL:
    case MK_OP_MULTI:
    case MK_OP_RECONFIG:
        request_write(replica, connection, &header, mk_reader_rest(&reader));
        break;
    case MK_OP_SYNC:
        request_sync(replica, connection, header.xid, frame);
        break;
    case MK_OP_AUTH:
        request_auth(replica, connection, header.xid, &reader);
        break;
    case MK_OP_SASL:
        request_sasl(replica, connection, header.xid, &reader);
        break;
    case MK_OP_CLOSE_SESSION:
        request_write(replica, connection, &header, MK_BYTES_NULL);
        break;
    default: /* also check outside a multi, deleteContainer and createSession from a client */
        request_unknown(replica, connection, header.xid, header.type);
    }
}

/* --- answers -------------------------------------------------------------------------------------
 */

static void complain_of_refusal(struct replica *replica, struct connection *connection, int32_t op,
                                enum watch_refusal refusal)
{
    bool is_own = refusal == WATCH_WATCHER_IS_FULL;
    bool closes = op == MK_OP_SET_WATCHES || op == MK_OP_SET_WATCHES2;
    uint64_t bytes = is_own ? watch_bytes_of(replica->watches, connection->number)
                            : watch_bytes(replica->watches);
    stats_count(replica, COUNTER_WATCHES_REFUSED);
    replica_complain(
        replica, is_own ? COMPLAINT_WATCH_BYTES : COMPLAINT_WATCH_BYTES_TOTAL,
        "%s the connection from %s: the watches of %s hold %llu bytes, and one more has no room "
        "(option %s)",
        closes ? "closing" : "refusing a watch of", connection->address,
        is_own ? "this connection" : "all connections together", (unsigned long long)bytes,
        is_own ? "watch_bytes_per_connection_max" : "watch_bytes_total_max");
}

/* Adds what it took to the cost of the connection. */
static int read_into(struct replica *replica, struct connection *connection,
                     const struct request *request, struct mk_bytes frame, struct mk_buffer *reply,
                     struct op_changes *events)
{
    size_t list_bytes_max =
        MK_MAX(OP_REPLY_BYTES_MAX, (size_t)replica->options.frame_bytes_max + MK_STAT_BYTES);
    struct mk_id_vector identities = {request->identity_count, connection->identities.items};
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, frame, &replica->arena);
    reader.offset = MK_REQUEST_HEADER_BYTES;
    struct op_read read = {
        .tree = replica->tree,
        .settings = &replica->options.operations,
        .caller = {.session_id = connection->session ? connection->session->id : 0,
                   .identities = &identities},
        .arena = &replica->arena,
        .watches = replica->watches,
        .watcher = connection->number,
        .events = events,
        .reply_bytes_max = MK_MIN(list_bytes_max, REPLY_BYTES_MAX),
    };
    size_t before = reply->length;
    int error = op_read(&read, request->op, &reader, reply);
    connection->cost += reply->length - before + read.steps * OP_STEP_BYTES;
    if (MK_UNLIKELY(read.refusal))
        complain_of_refusal(replica, connection, request->op, read.refusal);
    return error;
}

/* setWatches: the events that were missed go out before the reply (client-protocol reference,
 * 6.6), if the client may read the node. */
static int answer_set_watches(struct replica *replica, struct connection *connection,
                              const struct request *request, struct mk_bytes frame)
{
    struct acl_table *acls = tree_acls(replica->tree);
    mk_buffer_clear(&replica->scratch);
    int error =
        read_into(replica, connection, request, frame, &replica->scratch, &replica->changes);
    if (error == MK_ERR_BAD_ARGUMENTS) {
        /* A refused watch. Its client asks after a reconnect and looks at no answer. */
        watch_forget(replica->watches, connection->number);
        connection_drop(replica, connection);
    }
    for (size_t i = 0; i < replica->changes.count && !error; i++) {
        const struct op_change *change = &replica->changes.items[i];
        if (replica->options.operations.skip_acl ||
            acl_allows(acls, change->acl, MK_PERM_READ, &connection->identities))
            egress_event(replica, connection, -1, change->event_type, change->path);
    }
    op_changes_clear(&replica->changes, acls);
    return error;
}

static void check_watch_limit(struct replica *replica, struct connection *connection)
{
    if (watch_count_of(replica->watches, connection->number) <=
        replica->options.watches_per_connection_max)
        return;
    replica_complain(replica, COMPLAINT_WATCHES,
                     "closing the connection from %s: more than %u watches "
                     "(option watches_per_connection_max)",
                     connection->address, replica->options.watches_per_connection_max);
    connection_drop(replica, connection);
}

/* The byte behind the path of a read; more bytes may follow and count for nothing. */
static bool has_watch_byte(struct mk_bytes frame)
{
    if (frame.length < MK_REQUEST_HEADER_BYTES + 4)
        return false;
    uint64_t at = MK_REQUEST_HEADER_BYTES + 4;
    at += mk_load_u32(frame.data + MK_REQUEST_HEADER_BYTES); /* the path's length; null is huge */
    return at < (uint64_t)frame.length && frame.data[at] != 0;
}

static bool may_add_watch(int32_t op, struct mk_bytes frame)
{
    switch (op) {
    case MK_OP_GET_DATA:
    case MK_OP_EXISTS:
    case MK_OP_GET_CHILDREN:
    case MK_OP_GET_CHILDREN2:
        return has_watch_byte(frame);
    case MK_OP_SET_WATCHES:
    case MK_OP_SET_WATCHES2:
    case MK_OP_ADD_WATCH:
        return true;
    default:
        return false;
    }
}

static void answer_read(struct replica *replica, struct connection *connection,
                        const struct request *request, struct mk_bytes frame)
{
    struct mk_buffer *output = &connection->link.output;
    int64_t zxid = replica->last_zxid;
    int error = 0;
    if (request->op == MK_OP_SET_WATCHES || request->op == MK_OP_SET_WATCHES2)
        error = answer_set_watches(replica, connection, request, frame);
    if (connection->link.closing)
        return; /* too many events for it: a reply would say that it has them */
    size_t begin = egress_reply_begin(connection);
    size_t body = output->length;
    if (request->op != MK_OP_PING && request->op != MK_OP_SET_WATCHES &&
        request->op != MK_OP_SET_WATCHES2)
        error = read_into(replica, connection, request, frame, output, NULL);
    if (!error && output->length - body > REPLY_BYTES_MAX)
        error = MK_ERR_MARSHALLING;
    if (error)
        output->length = body;
    int32_t xid = request->op == MK_OP_PING ? MK_XID_PING : request->xid;
    egress_reply_end(replica, connection, begin, xid, zxid, error);
    stats_replied(replica, connection, HISTOGRAM_READLATENCY, xid, request->op, zxid,
                  request->started_ms);
    if (may_add_watch(request->op, frame))
        check_watch_limit(replica, connection);
}

void request_answer(struct replica *replica, struct connection *connection, struct request *request,
                    struct mk_bytes frame)
{
    if (request->state == REQUEST_UNREAD) {
        answer_read(replica, connection, request, frame);
        return;
    }
    size_t begin = egress_reply_begin(connection);
    if (request->null_token_body)
        mk_write_bytes(&connection->link.output, MK_BYTES_NULL);
    if (request->path_body)
        mk_write_bytes(&connection->link.output, frame);
    int64_t zxid =
        request->answer_zxid == ZXID_LAST_APPLIED ? replica->last_zxid : request->answer_zxid;
    egress_reply_end(replica, connection, begin, request->xid, zxid, request->error);
    stats_replied(replica, connection, stats_latency_of(request->op), request->xid, request->op,
                  zxid, request->started_ms);
    if (request->close_after)
        connection_end(replica, connection);
}
