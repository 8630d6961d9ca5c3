/* SPDX-License-Identifier: MIT */
/* What all connections together keep in memory: unsent answers, requests that wait, beginnings of
 * requests, identities. A sum is kept up to date at each change; only when it passes the limit are
 * the connections looked at, one by one, and those that hold the most are closed. The sum may be
 * too high, where the host has sent something since, and is made exact before anyone is closed.
 * Called wherever something is added, and at the end of each step. */
#include "replica/replica_int.h"

#include "base/mem.h"

#include <stdlib.h>

static size_t bytes_of(const struct connection *connection)
{
    const struct replica_link *link = &connection->link;
    if (link->abandoned)
        return 0; /* the host frees it in this turn */
    return link->output.length + link->unsent_elsewhere + link->kept_elsewhere +
           connection->queue_bytes + connection->queue_length * sizeof(struct request) +
           connection->identity_bytes;
}

static void count(struct replica *replica, struct connection *connection)
{
    size_t bytes = bytes_of(connection);
    replica->buffer_bytes += bytes - connection->counted_bytes;
    connection->counted_bytes = bytes;
}

/* The most first; the number decides between equals, so that a run repeats itself. */
static int compare(const void *left, const void *right)
{
    const struct connection *a = *(struct connection *const *)left;
    const struct connection *b = *(struct connection *const *)right;
    if (a->counted_bytes != b->counted_bytes)
        return a->counted_bytes < b->counted_bytes ? 1 : -1;
    return a->number < b->number ? -1 : 1;
}

static void abandon(struct replica *replica, struct connection *connection)
{
    stats_count(replica, COUNTER_BUFFER_CONNECTIONS_CLOSED);
    replica_complain(replica, COMPLAINT_BUFFERS,
                     "closing the connection from %s: %zu bytes are kept for it, the most of any, "
                     "and %zu for all, which is too much (option buffers_total_bytes)",
                     connection->address, connection->counted_bytes, replica->buffer_bytes);
    connection_drop(replica, connection);
    mk_buffer_fini(&connection->link.output);
    connection->link.abandoned = true;
    count(replica, connection);
}

/* Some more than needed go, so that the next answer does not lead here again. */
void buffers_relieve(struct replica *replica)
{
    size_t limit = replica->options.buffers_total_bytes;
    size_t holder_count = 0;
    struct connection **holders = mk_alloc(replica->connection_open_count * sizeof(void *));
    for (size_t i = 0; i < replica->connection_capacity; i++) {
        struct connection *connection = replica->connections[i];
        if (!connection)
            continue;
        count(replica, connection);
        if (connection->counted_bytes > 0)
            holders[holder_count++] = connection;
    }
    if (replica->buffer_bytes > limit) {
        qsort(holders, holder_count, sizeof(void *), compare);
        for (size_t i = 0; i < holder_count && replica->buffer_bytes > limit - limit / 8; i++)
            abandon(replica, holders[i]);
    }
    mk_free(holders);
}

void buffers_check(struct replica *replica, struct connection *connection)
{
    if (connection)
        count(replica, connection);
    if (MK_UNLIKELY(replica->buffer_bytes > replica->options.buffers_total_bytes))
        buffers_relieve(replica);
}

void buffers_forget(struct replica *replica, struct connection *connection)
{
    replica->buffer_bytes -= connection->counted_bytes;
    connection->counted_bytes = 0;
}

void replica_link_changed(struct replica *replica, uint32_t number)
{
    struct connection *connection = connection_find(replica, number);
    if (connection)
        count(replica, connection);
}

uint64_t replica_buffer_bytes(const struct replica *replica)
{
    return replica->buffer_bytes;
}
