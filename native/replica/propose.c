/* SPDX-License-Identifier: MIT */
/* From a write request to a transaction in the log's hands: validation against the tree and all
 * changes in flight, the next zxid, the TxnHeader, the record, the digest that the tree will
 * have. A write that fails validation takes a zxid too and is logged as an error
 * (client-protocol reference, 3.2; quorum reference, 7.1). */
#include "replica/replica_int.h"

#include "base/mem.h"

#define TREE_DIGEST_VERSION 2

static void transaction_begin(struct replica *replica)
{
    mk_buffer_clear(&replica->scratch);
    mk_buffer_reserve(&replica->scratch, MK_TXN_HEADER_BYTES);
    replica->scratch.length = MK_TXN_HEADER_BYTES;
}

static void update_log(struct replica *replica, const struct proposal *proposal)
{
    struct replica_update *update = replica->update;
    if (update->log_count == update->log_capacity) {
        update->log_capacity = MK_MAX(update->log_capacity * 2, (size_t)64);
        update->log = mk_realloc(update->log, update->log_capacity * sizeof *update->log);
    }
    update->log[update->log_count++] =
        (struct replica_log_entry){.zxid = proposal->zxid,
                                   .data = proposal->data,
                                   .length = proposal->length,
                                   .roll = replica->snapshot.roll_next};
    replica->snapshot.roll_next = false;
    snapshot_logged(replica, proposal->length);
}

/* The bytes are in the log's hands (a single server), or in those of zab, which copies them. */
static void hand_over(struct replica *replica, const struct proposal *proposal)
{
    if (!replica->ensemble) {
        update_log(replica, proposal);
        return;
    }
    measure_proposal(replica, replica->scratch.length);
    ensemble_step(replica, &(struct zab_event){.type = ZAB_SUBMIT,
                                               .zxid = proposal->zxid,
                                               .bytes = mk_buffer_bytes(&replica->scratch)});
}

/* Closes the transaction in `scratch` and hands it to the log. */
static struct proposal *transaction_end(struct replica *replica, int64_t session_id, int32_t cxid,
                                        int32_t type, int32_t op, struct mk_bytes create2_parts)
{
    struct mk_buffer *scratch = &replica->scratch;
    struct mk_txn_header header = {.client_id = session_id,
                                   .cxid = cxid,
                                   .zxid = ++replica->last_proposed_zxid,
                                   .time = replica->wall_ms,
                                   .type = type};
    mk_txn_header_store(scratch->data, &header);
    if (replica->options.tree_digest_enabled && type != MK_OP_ERROR) {
        struct mk_txn_digest digest = {.version = TREE_DIGEST_VERSION,
                                       .tree_digest = (int64_t)view_digest(replica->view)};
        mk_txn_digest_write(scratch, &digest);
    }
    size_t marks = (size_t)MK_MAX(create2_parts.length, 0);
    size_t kept = replica->ensemble ? 0 : scratch->length;
    struct proposal *proposal = mk_pool_alloc(&replica->pool, sizeof *proposal + kept + marks);
    *proposal = (struct proposal){.zxid = header.zxid,
                                  .session_id = session_id,
                                  .op = op,
                                  .create2_length = create2_parts.length,
                                  .length = (uint32_t)scratch->length,
                                  .data_length = (uint32_t)kept};
    memcpy(proposal->data, scratch->data, kept);
    if (marks > 0)
        memcpy(proposal->data + kept, create2_parts.data, marks);
    stats_sample(replica, SUMMARY_SYNC_PROCESSOR_QUEUE_SIZE, replica->proposal_count);
    stats_count(replica, COUNTER_SYNC_PROCESSOR_REQUEST_QUEUED);
    if (replica->proposal_last)
        replica->proposal_last->next = proposal;
    else
        replica->proposal_first = proposal;
    replica->proposal_last = proposal;
    replica->proposal_count++;
    replica->proposal_bytes += proposal->length;
    hand_over(replica, proposal);
    return proposal;
}

void proposal_done(struct replica *replica)
{
    struct proposal *proposal = replica->proposal_first;
    replica->proposal_first = proposal->next;
    if (!replica->proposal_first)
        replica->proposal_last = NULL;
    replica->proposal_count--;
    replica->proposal_bytes -= proposal->length;
    proposal_free(&replica->pool, proposal);
}

void proposals_drop(struct replica *replica)
{
    while (replica->proposal_first)
        proposal_done(replica);
}

static struct op_prepare prepare_context(struct replica *replica)
{
    return (struct op_prepare){.view = replica->view,
                               .tree = replica->tree,
                               .settings = &replica->options.operations,
                               .zxid = replica->last_proposed_zxid + 1,
                               .time_ms = replica->wall_ms,
                               .arena = &replica->arena};
}

static void attach_request(struct replica *replica, struct connection *connection,
                           struct proposal *proposal, int32_t xid)
{
    struct request *request =
        pipeline_push(replica, connection, REQUEST_PROPOSED, xid, proposal->op, MK_BYTES_NULL);
    request->proposal = proposal;
    proposal->request = request;
    proposal->connection = connection;
}

/* No transaction is made of a record that cannot be read (3.9): the answer is known. */
static void answer_undecodable(struct replica *replica, struct connection *connection, int32_t xid,
                               int32_t op, int error)
{
    struct request *request =
        pipeline_push(replica, connection, REQUEST_ANSWERED, xid, op, MK_BYTES_NULL);
    request->error = error;
    request->answer_zxid = ZXID_LAST_APPLIED;
    pipeline_run(replica, connection);
}

/* The transaction that says that there is none. */
static struct proposal *error_end(struct replica *replica, int64_t session_id, int32_t cxid,
                                  int32_t op, int32_t error)
{
    replica->scratch.length = MK_TXN_HEADER_BYTES;
    mk_write_int(&replica->scratch, error);
    return transaction_end(replica, session_id, cxid, MK_OP_ERROR, op, MK_BYTES_NULL);
}

void propose_error(struct replica *replica, int64_t session_id, int32_t cxid, int32_t op,
                   int32_t error)
{
    transaction_begin(replica);
    error_end(replica, session_id, cxid, op, error);
}

/* A write becomes a transaction, if only one that says that it failed. NULL: its record cannot be
 * read (`error`), and there is none. */
static struct proposal *propose_write(struct replica *replica, const struct op_caller *caller,
                                      int32_t cxid, int32_t op, struct mk_bytes body, int *error)
{
    struct op_prepare prepare = prepare_context(replica);
    prepare.caller = *caller;
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, body, &replica->arena);
    transaction_begin(replica);
    int32_t type = op;
    *error = op_prepare(&prepare, op, &reader, &replica->scratch, &type);
    if (MK_UNLIKELY(prepare.excess != NULL))
        replica_complain_quota(replica, prepare.excess);
    if (*error && prepare.undecodable)
        return NULL;
    return *error ? error_end(replica, caller->session_id, cxid, op, *error)
                  : transaction_end(replica, caller->session_id, cxid, type, op,
                                    prepare.create2_parts);
}

void propose_remote(struct replica *replica, int64_t session_id, int32_t cxid, int32_t op,
                    struct mk_bytes body, const struct mk_id_vector *identities)
{
    struct op_caller caller = {.session_id = session_id, .identities = identities};
    int error;
    if (!propose_write(replica, &caller, cxid, op, body, &error))
        propose_error(replica, session_id, cxid, op, error); /* its server waits for an answer */
}

/* Known from now on: its server may have applied the transaction, and let the client write, before
 * this one has. */
void propose_remote_session(struct replica *replica, int64_t session_id, int64_t owner,
                            struct mk_bytes body)
{
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, body, &replica->arena);
    int32_t timeout_ms = mk_read_int(&reader);
    bool is_session = session_id != 0 && session_id != TREE_OWNER_CONTAINER && timeout_ms > 0;
    if (reader.error || !is_session)
        return; /* no learner makes such a request */
    struct session *session = session_find(replica, session_id);
    if (!session)
        session = session_add(replica, session_id, timeout_ms);
    session->owner = owner;
    transaction_begin(replica);
    mk_write_int(&replica->scratch, timeout_ms);
    transaction_end(replica, session_id, 0, MK_OP_CREATE_SESSION, MK_OP_CREATE_SESSION,
                    MK_BYTES_NULL);
}

void propose_request(struct replica *replica, struct connection *connection, int32_t xid,
                     int32_t op, struct mk_bytes body)
{
    struct op_caller caller = {.session_id = connection->session->id,
                               .identities = &connection->identities};
    int error;
    struct proposal *proposal = propose_write(replica, &caller, xid, op, body, &error);
    if (proposal)
        attach_request(replica, connection, proposal, xid);
    else
        answer_undecodable(replica, connection, xid, op, error);
}

void propose_create_session(struct replica *replica, struct connection *connection)
{
    transaction_begin(replica);
    mk_write_int(&replica->scratch, connection->session->timeout_ms);
    struct proposal *proposal =
        transaction_end(replica, connection->session->id, 0, MK_OP_CREATE_SESSION,
                        MK_OP_CREATE_SESSION, MK_BYTES_NULL);
    proposal->connection = connection;
    connection->establishing = proposal;
}

void propose_close_session(struct replica *replica, int64_t session_id,
                           struct connection *connection, int32_t request_xid)
{
    struct session *session = session_find(replica, session_id);
    if (session) {
        MK_ASSERT(!session->closing);
        session->closing = true;
        expiry_remove(replica, session);
    }
    struct op_prepare prepare = prepare_context(replica);
    transaction_begin(replica);
    op_prepare_close_session(&prepare, session_id, &replica->scratch);
    struct proposal *proposal = transaction_end(
        replica, session_id, request_xid, MK_OP_CLOSE_SESSION, MK_OP_CLOSE_SESSION, MK_BYTES_NULL);
    if (connection)
        attach_request(replica, connection, proposal, request_xid);
}

/* The reaper has judged the age of the committed node; a time at which it is over passes that
 * judgement on. False when a write in flight has touched or replaced the node. */
static bool time_of_outlived(struct replica *replica, struct mk_bytes path, int64_t *time_ms)
{
    const struct znode *node = tree_find(replica->tree, path);
    if (!node)
        return false;
    struct mk_stat_persisted stat;
    tree_stat_persisted(replica->tree, node, &stat);
    const struct view_node *newest = view_find(replica->view, path);
    if (!newest->exists || newest->stat.mzxid != stat.mzxid)
        return false;
    *time_ms = MK_MIN(stat.mtime, INT64_MAX - TREE_TTL_MS_MAX - 1) + TREE_TTL_MS_MAX + 1;
    return true;
}

bool propose_delete_container(struct replica *replica, struct mk_bytes path)
{
    static const struct mk_id_vector nobody = {0, NULL};
    struct op_prepare prepare = prepare_context(replica);
    prepare.caller.identities = &nobody;
    if (!time_of_outlived(replica, path, &prepare.time_ms))
        return false;
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_write_bytes(&body, path);
    struct mk_reader reader;
    mk_reader_init(&reader, body.data, body.length, &replica->arena);
    transaction_begin(replica);
    int32_t type = MK_OP_DELETE_CONTAINER;
    int error = op_prepare(&prepare, MK_OP_DELETE_CONTAINER, &reader, &replica->scratch, &type);
    mk_buffer_fini(&body);
    if (error)
        return false;
    transaction_end(replica, 0, 0, type, MK_OP_DELETE_CONTAINER, MK_BYTES_NULL);
    return true;
}
