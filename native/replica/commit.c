/* SPDX-License-Identifier: MIT */
/* What is durable is applied, in the order of zxids: tree, watches, sessions, answers, then the
 * reads that waited behind. Events caused by a transaction are in each connection's output
 * before any answer that shows it (client-protocol reference, 6.5). */
#include "replica/replica_int.h"

#include "base/mem.h"

static void session_created(struct replica *replica, const struct proposal *proposal)
{
    struct session *session = session_find(replica, proposal->session_id);
    MK_ASSERT(session != NULL);
    session->committed = true;
    if (proposal->connection)
        handshake_established(replica, proposal->connection);
}

/* The client that asked gets its answer and then the end of the connection; one that fell
 * silent just gets the end. */
static void session_closed(struct replica *replica, const struct proposal *proposal)
{
    struct session *session = session_find(replica, proposal->session_id);
    if (!session)
        return; /* an owner of ephemerals that had no session */
    struct connection *connection = session->connection;
    if (connection) {
        connection->phase = PHASE_ENDING;
        replica->stats.connection_count--;
    }
    session_free(replica, session);
    if (!connection)
        return;
    if (proposal->request)
        connection_end(replica, connection);
    else
        connection_drop(replica, connection);
}

/* The header's err: 0 also for a failed multi, whose body tells (client-protocol, 5.3). */
static void answer_write(struct replica *replica, const struct proposal *proposal,
                         const struct op_result *result)
{
    struct connection *connection = proposal->connection;
    struct request *request = proposal->request;
    if (connection->link.closing) {
        pipeline_free(replica, connection); /* nobody is there to be told */
        return;
    }
    MK_ASSERT(connection->queue_head == request);
    bool is_multi = proposal->op == MK_OP_MULTI && result->type == MK_OP_MULTI;
    int32_t error = is_multi ? 0 : result->error;
    size_t begin = egress_reply_begin(connection);
    if (!error)
        op_write_reply(&connection->link.output, proposal->op, result);
    egress_reply_end(replica, connection, begin, request->xid, proposal->zxid, error);
    stats_replied(replica, connection, request->xid, proposal->op, proposal->zxid,
                  request->started_ms);
    pipeline_pop(replica, connection);
}

static void apply(struct replica *replica, struct proposal *proposal, struct op_result *result)
{
    struct mk_reader reader;
    struct mk_txn_header header;
    mk_reader_init(&reader, proposal->data, proposal->length, &replica->arena);
    mk_txn_header_read(&reader, &header);
    struct op_apply context = {.tree = replica->tree,
                               .arena = &replica->arena,
                               .changes = &replica->changes,
                               .view = replica->view};
    int error = op_apply(&context, &header, &reader, result);
    result->create2_parts =
        (struct mk_bytes){proposal->data + proposal->length, proposal->create2_length};
    MK_ASSERT(error == 0); /* we made these bytes */
    MK_ASSERT(header.zxid == proposal->zxid);
    replica->last_zxid = header.zxid;
    view_committed(replica->view, header.zxid);
    mk_histogram_add(&replica->stats.histograms[HISTOGRAM_PROPAGATION_LATENCY],
                     (uint64_t)MK_MAX(replica->wall_ms - header.time, INT64_C(0)));
    stats_digest(replica, header.zxid);
}

static void commit_one(struct replica *replica, struct proposal *proposal)
{
    struct op_result result;
    struct connection *connection = proposal->connection;
    if (proposal->request)
        pipeline_finish(replica, connection);
    apply(replica, proposal, &result);
    egress_changes(replica, proposal->zxid);
    if (proposal->request)
        answer_write(replica, proposal, &result);
    if (proposal->op == MK_OP_CREATE_SESSION)
        session_created(replica, proposal);
    else if (proposal->op == MK_OP_CLOSE_SESSION)
        session_closed(replica, proposal);
    if (proposal->request)
        pipeline_run(replica, connection);
    mk_arena_reset(&replica->arena);
}

bool commit_is_due(const struct replica *replica)
{
    return replica->proposal_first && replica->proposal_first->zxid <= replica->durable_zxid;
}

void commit_durable(struct replica *replica, int64_t zxid)
{
    MK_ASSERT(zxid <= replica->last_proposed_zxid);
    replica->durable_zxid = MK_MAX(replica->durable_zxid, zxid);
    commit_continue(replica);
}

void commit_continue(struct replica *replica)
{
    if (!commit_is_due(replica))
        return;
    uint64_t cost = 0;
    while (commit_is_due(replica) && cost < replica->options.commit_cost_max) {
        struct proposal *proposal = replica->proposal_first;
        cost += proposal->length + FAIR_REQUEST_COST;
        commit_one(replica, proposal);
        replica->proposal_first = proposal->next;
        if (!replica->proposal_first)
            replica->proposal_last = NULL;
        replica->proposal_count--;
        replica->proposal_bytes -= proposal->length;
        proposal_free(&replica->pool, proposal);
    }
    if (replica->paused_count > 0 &&
        replica->proposal_count <= replica->options.outstanding_max / 2)
        connections_resume_all(replica);
    snapshot_maybe_begin(replica);
}
