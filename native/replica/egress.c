/* SPDX-License-Identifier: MIT */
/* Frames to clients: replies and watch events, written straight into each connection's output.
 * zxid of each frame: client-protocol reference, 3.4 (events carry the zxid of the change, as
 * since 3.9; those made by setWatches carry -1). */
#include "replica/replica_int.h"

#include "wire/frame.h"

size_t egress_reply_begin(struct connection *connection)
{
    struct mk_buffer *output = &connection->link.output;
    size_t begin = mk_frame_begin(output);
    mk_buffer_reserve(output, MK_REPLY_HEADER_BYTES);
    output->length += MK_REPLY_HEADER_BYTES;
    return begin;
}

/* A reader so slow that its output passes all bounds is disconnected: it must not cost the
 * others memory. */
void egress_check(struct replica *replica, struct connection *connection)
{
    size_t unsent = connection->link.output.length + connection->link.unsent_elsewhere;
    if (MK_LIKELY(unsent <= replica->options.output_close_bytes) || connection->link.closing)
        return;
    /* One reply may be larger than the bound; it is the pile that counts. */
    if (connection->link.unsent_elsewhere == 0)
        return;
    replica_complain(replica, COMPLAINT_OUTPUT,
                     "closing the connection from %s: it does not read, %zu bytes wait for it "
                     "(option output_close_bytes)",
                     connection->address, unsent);
    connection_drop(replica, connection);
}

void egress_reply_end(struct replica *replica, struct connection *connection, size_t begin,
                      int32_t xid, int64_t zxid, int32_t error)
{
    struct mk_buffer *output = &connection->link.output;
    struct mk_reply_header header = {.xid = xid, .zxid = zxid, .err = error};
    mk_reply_header_store(output->data + begin + MK_FRAME_PREFIX_BYTES, &header);
    mk_frame_end(output, begin);
    replica->stats.bytes_sent += output->length - begin;
    stats_sent(replica, output->length - begin - MK_FRAME_PREFIX_BYTES);
    replica_touch(replica, connection);
    buffers_more(replica, connection, output->length - begin);
    egress_check(replica, connection);
    if (MK_UNLIKELY(replica->buffer_bytes > replica->options.buffers_total_bytes))
        buffers_relieve(replica); /* now: one change may be told to thousands */
}

void egress_event(struct replica *replica, struct connection *connection, int64_t zxid,
                  int32_t event_type, struct mk_bytes path)
{
    if (connection->link.closing)
        return;
    struct mk_watcher_event event = {
        .type = event_type, .state = MK_STATE_SYNC_CONNECTED, .path = path};
    size_t begin = egress_reply_begin(connection);
    mk_watcher_event_write(&connection->link.output, &event);
    replica->stats.counters[COUNTER_WATCH_BYTES] +=
        connection->link.output.length - begin - MK_FRAME_PREFIX_BYTES;
    egress_reply_end(replica, connection, begin, MK_XID_NOTIFICATION, zxid, 0);
    replica->stats.packets_sent++;
    connection->info.sent++;
}

struct delivery {
    struct replica *replica;
    const struct op_change *change;
    int64_t zxid;
    uint32_t told, told_of_children; /* watchers, of this change */
};

static void deliver(void *context, uint32_t watcher, int32_t event_type, struct mk_bytes path,
                    bool on_parent)
{
    struct delivery *delivery = context;
    if (event_type == MK_EVENT_NODE_CHILDREN_CHANGED)
        delivery->told_of_children++;
    else
        delivery->told++;
    struct replica *replica = delivery->replica;
    struct connection *connection = connection_find(replica, watcher);
    MK_ASSERT(connection != NULL);
    uint32_t acl = on_parent ? delivery->change->parent_acl : delivery->change->acl;
    if (!replica->options.operations.skip_acl &&
        !acl_allows(tree_acls(replica->tree), acl, MK_PERM_READ, &connection->identities))
        return;
    egress_event(replica, connection, delivery->zxid, event_type, path);
}

static void count_told(const struct delivery *delivery)
{
    struct replica *replica = delivery->replica;
    static const enum metric_summary summaries[] = {
        [MK_EVENT_NODE_CREATED] = SUMMARY_NODE_CREATED_WATCH_COUNT,
        [MK_EVENT_NODE_DELETED] = SUMMARY_NODE_DELETED_WATCH_COUNT,
        [MK_EVENT_NODE_DATA_CHANGED] = SUMMARY_NODE_CHANGED_WATCH_COUNT,
    };
    if (delivery->told)
        stats_sample(replica, summaries[delivery->change->event_type], delivery->told);
    if (delivery->told_of_children)
        stats_sample(replica, SUMMARY_NODE_CHILDREN_WATCH_COUNT, delivery->told_of_children);
}

void egress_changes(struct replica *replica, int64_t zxid)
{
    struct delivery delivery = {.replica = replica, .zxid = zxid};
    for (size_t i = 0; i < replica->changes.count; i++) {
        delivery.change = &replica->changes.items[i];
        delivery.told = delivery.told_of_children = 0;
        watch_trigger(replica->watches, delivery.change->event_type, delivery.change->path, deliver,
                      &delivery);
        if (delivery.told + delivery.told_of_children > 0)
            count_told(&delivery);
    }
    op_changes_clear(&replica->changes, tree_acls(replica->tree));
}
