/* SPDX-License-Identifier: MIT */
/* Order within a connection: requests are answered in the order in which they were sent; a read
 * behind a write waits until that write is applied (client-protocol reference, 3.3). Writes are
 * proposed at once, so a connection may have many of them in the log's hands. */
#include "replica/replica_int.h"

struct request *pipeline_push(struct replica *replica, struct connection *connection,
                              enum request_state state, int32_t xid, int32_t op,
                              struct mk_bytes frame)
{
    size_t frame_length = mk_bytes_size(frame);
    stats_sample(replica, SUMMARY_REQUESTS_IN_SESSION_QUEUE, connection->queue_length);
    struct request *request = mk_pool_alloc(&replica->pool, sizeof *request + frame_length);
    *request = (struct request){.state = state,
                                .xid = xid,
                                .op = op,
                                .started_ms = replica->now_ms,
                                .identity_count = connection->identities.count,
                                .frame_length = (uint32_t)frame_length};
    if (frame_length)
        memcpy(request->frame, frame.data, frame_length);
    if (connection->queue_tail)
        connection->queue_tail->next = request;
    else
        connection->queue_head = request;
    connection->queue_tail = request;
    connection->queue_length++;
    connection->queue_bytes += frame_length;
    buffers_more(replica, connection, sizeof *request + frame_length);
    replica->stats.outstanding_requests++;
    return request;
}

void pipeline_pop(struct replica *replica, struct connection *connection)
{
    struct request *request = connection->queue_head;
    MK_ASSERT(request != NULL);
    connection->queue_head = request->next;
    if (!connection->queue_head)
        connection->queue_tail = NULL;
    connection->queue_length--;
    connection->queue_bytes -= request->frame_length;
    buffers_less(replica, connection, sizeof *request + request->frame_length);
    connection->queue_cost -= request->cost;
    replica->forwarded_bytes -= request->forwarded_bytes;
    replica->stats.outstanding_requests--;
    mk_pool_free(&replica->pool, request, sizeof *request + request->frame_length);
}

static bool head_is_ready(const struct connection *connection)
{
    const struct request *head = connection->queue_head;
    return head && head->state != REQUEST_PROPOSED && !connection->link.closing;
}

static void answer_head(struct replica *replica, struct connection *connection)
{
    struct request *request = connection->queue_head;
    request_answer(replica, connection, request,
                   mk_bytes_of(request->frame, request->frame_length));
    pipeline_pop(replica, connection);
}

void pipeline_run(struct replica *replica, struct connection *connection)
{
    while (head_is_ready(connection)) {
        if (connection_output_is_full(replica, connection) || fair_is_spent(replica, connection)) {
            connection_pause(replica, connection);
            return;
        }
        answer_head(replica, connection);
    }
    if (connection->link.paused &&
        connection->queue_length <= replica->options.requests_in_flight_max / 2)
        connection_resume(replica, connection);
}

void pipeline_finish(struct replica *replica, struct connection *connection)
{
    while (head_is_ready(connection)) {
        if (connection->link.output.length + connection->link.unsent_elsewhere >
            replica->options.output_close_bytes) {
            replica_complain(replica, COMPLAINT_OUTPUT,
                             "closing the connection from %s: it asks for more than it reads "
                             "(option output_close_bytes)",
                             connection->address);
            connection_drop(replica, connection);
            return;
        }
        answer_head(replica, connection);
    }
}

void pipeline_free(struct replica *replica, struct connection *connection)
{
    while (connection->queue_head) {
        struct proposal *proposal = connection->queue_head->proposal;
        if (proposal) {
            proposal->request = NULL;
            proposal->connection = NULL;
        }
        pipeline_pop(replica, connection);
    }
}
