/* SPDX-License-Identifier: MIT */
/* What is durable is applied, in the order of zxids: tree, watches, sessions, answers, then the
 * reads that waited behind. Events caused by a transaction are in each connection's output
 * before any answer that shows it (client-protocol reference, 6.5). */
#include "replica/replica_int.h"

#include "base/mem.h"

/* A transaction whose turn has come, and who waits for it here. */
struct commit {
    int64_t zxid; /* as its place in the log says */
    struct mk_txn_header header;
    struct mk_bytes data;          /* TxnHeader, record, optional TxnDigest */
    struct proposal *proposal;     /* of this server, else NULL */
    struct connection *connection; /* of the request, or of the session that is made */
    struct request *request;       /* NULL: nobody waits here */
    int32_t op; /* of the request: create and create2 make the same transaction */
    struct mk_bytes create2_parts;
};

/* Every member of an ensemble keeps the table of sessions, so that it can lead at once. */
static void session_created(struct replica *replica, const struct commit *commit)
{
    struct session *session = session_find(replica, commit->header.client_id);
    if (!session) {
        int32_t timeout_ms = 0;
        MK_ASSERT(replica->ensemble);
        tree_session_find(replica->tree, commit->header.client_id, &timeout_ms);
        session = session_add(replica, commit->header.client_id, timeout_ms);
    }
    session->committed = true;
    struct connection *connection = commit->connection;
    if (!connection && session->connection && session->connection->phase == PHASE_ESTABLISHING &&
        !session->connection->revalidating)
        connection = session->connection;
    if (connection)
        handshake_established(replica, connection);
}

/* The client that asked gets its answer and then the end of the connection; one that fell
 * silent just gets the end. */
static void session_closed(struct replica *replica, const struct commit *commit)
{
    struct session *session = session_find(replica, commit->header.client_id);
    if (!session)
        return; /* an owner of ephemerals that had no session */
    struct connection *connection = session->connection;
    if (connection) {
        if (connection->phase != PHASE_ESTABLISHING)
            replica->stats.connection_count--;
        connection->phase = PHASE_ENDING;
    }
    session_free(replica, session);
    if (!connection)
        return;
    if (commit->request)
        connection_end(replica, connection);
    else
        connection_drop(replica, connection);
}

/* An Apache leader refuses a multi by its parts. */
static bool says_moved(const struct op_result *result)
{
    if (result->error == MK_ERR_SESSION_MOVED)
        return true;
    for (int32_t i = 0; i < result->part_count; i++)
        if (result->parts[i].error == MK_ERR_SESSION_MOVED)
            return true;
    return false;
}

/* The client speaks through another connection by now: this one ends, without an answer (as with
 * Apache). The transaction may also be the answer to one that was left earlier and had the same
 * xid; then the client comes back. */
static void session_moved(struct replica *replica, const struct commit *commit)
{
    struct connection *connection = commit->connection;
    connection->session->closing = false;
    connection->phase = PHASE_ENDING;
    replica->stats.connection_count--;
    connection->session->connection = NULL;
    connection->session = NULL;
    watch_forget(replica->watches, connection->number);
    pipeline_free(replica, connection);
    connection_end(replica, connection);
}

/* The header's err: 0 also for a failed multi, whose body tells (client-protocol, 5.3). */
static void answer_write(struct replica *replica, const struct commit *commit,
                         const struct op_result *result)
{
    struct connection *connection = commit->connection;
    struct request *request = commit->request;
    if (connection->link.closing) {
        pipeline_free(replica, connection); /* nobody is there to be told */
        return;
    }
    if (!commit->proposal && says_moved(result)) {
        session_moved(replica, commit);
        return;
    }
    if (connection->queue_head != request) {
        MK_ASSERT(!commit->proposal);
        replica_log(replica, MK_LEVEL_ERROR,
                    "the leader committed 0x%llx before it answered the sync in front of it",
                    (unsigned long long)commit->header.zxid);
        pipeline_free(replica, connection);
        connection_drop(replica, connection);
        return;
    }
    bool is_multi = commit->op == MK_OP_MULTI && result->type == MK_OP_MULTI;
    int32_t error = is_multi ? 0 : result->error;
    size_t begin = egress_reply_begin(connection);
    if (!error)
        op_write_reply(&connection->link.output, commit->op, result);
    egress_reply_end(replica, connection, begin, request->xid, commit->header.zxid, error);
    stats_replied(replica, connection, HISTOGRAM_UPDATELATENCY, request->xid, commit->op,
                  commit->header.zxid, request->started_ms);
    pipeline_pop(replica, connection);
}

/* Only another server's: a leader of a later release, or one that is broken. To pass it over would
 * make this server's data differ from the others'. */
static void fail(struct replica *replica, const struct commit *commit)
{
    MK_ASSERT(!commit->proposal);
    replica_log(replica, MK_LEVEL_ERROR,
                "the leader's transaction 0x%llx (type %d, %d bytes) is none that this version can "
                "apply: the server stops before its data differ; started again it is given the "
                "leader's tree",
                (unsigned long long)commit->zxid, (int)commit->header.type, commit->data.length);
    replica->failed = replica->update->failed = true;
}

/* False: the server is at its end. */
static bool apply(struct replica *replica, struct commit *commit, struct mk_reader *reader,
                  struct op_result *result)
{
    struct op_apply context = {.tree = replica->tree,
                               .arena = &replica->arena,
                               .changes = &replica->changes,
                               .unwatched = watch_is_empty(replica->watches),
                               .view = commit->proposal ? replica->view : NULL};
    int error = op_apply(&context, &commit->header, reader, result);
    result->create2_parts = commit->create2_parts;
    if (error || commit->header.zxid != commit->zxid) {
        fail(replica, commit);
        return false;
    }
    replica->last_zxid = commit->header.zxid;
    view_committed(replica->view, commit->header.zxid);
    mk_histogram_add(&replica->stats.histograms[HISTOGRAM_PROPAGATION_LATENCY],
                     (uint64_t)MK_MAX(replica->wall_ms - commit->header.time, INT64_C(0)));
    stats_digest(replica, commit->header.zxid);
    if (replica->ensemble)
        commit_compare_digest(replica, commit->header.zxid, reader);
    return true;
}

/* Who waits for it on this server? */
static void find_waiting(struct replica *replica, struct commit *commit)
{
    struct proposal *proposal = commit->proposal;
    if (proposal) {
        commit->request = proposal->request;
        commit->connection = proposal->connection;
        commit->op = proposal->op;
        commit->create2_parts =
            (struct mk_bytes){proposal->data + proposal->data_length, proposal->create2_length};
        return;
    }
    commit->op = commit->header.type;
    commit->create2_parts = MK_BYTES_NULL;
    commit->request = forward_match(replica, &commit->header, &commit->connection);
    if (!commit->request) {
        commit->connection = NULL;
        return;
    }
    commit->op = commit->request->op;
    if (commit->request->frame_length) { /* in the arena: the request goes with its answer */
        uint8_t *parts =
            mk_arena_copy(&replica->arena, commit->request->frame, commit->request->frame_length);
        commit->create2_parts = mk_bytes_of(parts, commit->request->frame_length);
    }
}

static void commit_one(struct replica *replica, struct commit *commit)
{
    struct mk_reader reader;
    struct op_result result;
    mk_reader_init_bytes(&reader, commit->data, &replica->arena);
    mk_txn_header_read(&reader, &commit->header);
    find_waiting(replica, commit);
    if (commit->request)
        pipeline_finish(replica, commit->connection);
    if (!apply(replica, commit, &reader, &result))
        return;
    egress_changes(replica, commit->header.zxid);
    if (commit->request)
        answer_write(replica, commit, &result);
    if (commit->header.type == MK_OP_CREATE_SESSION)
        session_created(replica, commit);
    else if (commit->header.type == MK_OP_CLOSE_SESSION)
        session_closed(replica, commit);
    if (commit->request)
        pipeline_run(replica, commit->connection);
    mk_arena_reset(&replica->arena);
}

/* --- whose turn it is ------------------------------------------------------------------------- */

static bool next_of_ensemble(const struct replica *replica, struct commit *commit)
{
    const struct ensemble *ensemble = replica->ensemble;
    if (ensemble->loading || ensemble->reloading || replica->failed)
        return false;
    const struct zab_entry *entry = zab_entry_after(ensemble->zab, replica->last_zxid);
    if (!entry || entry->zxid > zab_apply_to(ensemble->zab))
        return false;
    struct proposal *proposal = replica->proposal_first;
    MK_ASSERT(!proposal || proposal->zxid >= entry->zxid);
    *commit =
        (struct commit){.zxid = entry->zxid,
                        .data = mk_bytes_of(entry->data, entry->length),
                        .proposal = proposal && proposal->zxid == entry->zxid ? proposal : NULL};
    return true;
}

static bool next(const struct replica *replica, struct commit *commit)
{
    if (replica->ensemble)
        return next_of_ensemble(replica, commit);
    struct proposal *proposal = replica->proposal_first;
    if (!proposal || proposal->zxid > replica->durable_zxid)
        return false;
    *commit = (struct commit){.zxid = proposal->zxid,
                              .data = mk_bytes_of(proposal->data, proposal->length),
                              .proposal = proposal};
    return true;
}

bool commit_is_due(const struct replica *replica)
{
    struct commit commit;
    return next(replica, &commit);
}

void commit_durable(struct replica *replica, int64_t zxid)
{
    MK_ASSERT(zxid <= replica->last_proposed_zxid);
    replica->durable_zxid = MK_MAX(replica->durable_zxid, zxid);
    commit_continue(replica);
}

void commit_continue(struct replica *replica)
{
    struct commit commit;
    uint64_t cost = 0;
    while (cost < replica->options.commit_cost_max && next(replica, &commit)) {
        cost += (uint64_t)commit.data.length + FAIR_REQUEST_COST;
        commit_one(replica, &commit);
        if (replica->failed)
            return;
        if (replica->ensemble)
            forward_syncs_run(replica);
        if (commit.proposal)
            proposal_done(replica);
        if (replica->ensemble)
            snapshot_logged(replica, (size_t)commit.data.length);
    }
    if (cost == 0)
        return;
    if (replica->paused_count > 0 &&
        replica->proposal_count <= replica->options.outstanding_max / 2 &&
        replica->forwarded_bytes <= replica->options.outstanding_bytes_max / 2)
        connections_resume_all(replica);
    snapshot_maybe_begin(replica);
}
