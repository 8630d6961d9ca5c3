/* SPDX-License-Identifier: MIT */
/* Reads every packet at the moment at which it leaves, and compares what it says with what
 * the sender's disk holds at that moment: promise before word (I9). Also counts the rare places
 * that a run reached. Called by wire.c and node.c. */
#include "tests/zab/sim.h"

static void broken(struct node *node, const char *what, const struct packet *packet)
{
    const struct image *image = &node->disk.image;
    sim_fail(node->sim, "I9",
             "node %d: %s: %s %llx, its disk has last %llx accepted %lld current %lld",
             (int)node->id, what, packet_name(packet->type), (unsigned long long)packet->zxid,
             (unsigned long long)image_last(image), (long long)image->accepted,
             (long long)image->current);
}

static void ack(struct node *node, struct wire *wire, const struct packet *packet)
{
    const struct image *image = &node->disk.image;
    struct tap *from = &wire->direction[0].tap;
    const struct tap *other = &wire->direction[1].tap;
    if (COUNTER_OF(packet->zxid) != 0) {
        if (!from->acked_leader)
            broken(node, "acked before the ACK of NEWLEADER", packet);
        else if (!image_covers(image, packet->zxid))
            broken(node, "acked before it is durable", packet);
        return;
    }
    from->acked_leader = true;
    if (!other->new_leader)
        broken(node, "acks a NEWLEADER that was not sent", packet);
    else if (image->current != EPOCH_OF(packet->zxid))
        broken(node, "acks NEWLEADER before currentEpoch is durable", packet);
    else if (other->snapshot_sync && image_last(image) < other->base)
        broken(node, "acks NEWLEADER before the snapshot is durable", packet);
    else if (other->must_hold >= 0 && !image_covers(image, other->must_hold))
        broken(node, "acks NEWLEADER before the history is durable", packet);
}

static void from_learner(struct node *node, struct wire *wire, const struct packet *packet)
{
    const struct image *image = &node->disk.image;
    switch (packet->type) {
    case PACKET_FOLLOWER_INFO:
    case PACKET_OBSERVER_INFO:
        if (EPOCH_OF(packet->zxid) > image->accepted)
            broken(node, "tells of an epoch that is not durable", packet);
        break;
    case PACKET_ACK_EPOCH: {
        wire->direction[0].tap.base = packet->zxid;
        int32_t current =
            mk_bytes_size(packet->data) == 4 ? (int32_t)mk_load_u32(packet->data.data) : INT32_MIN;
        if (image->accepted < wire->direction[1].tap.epoch)
            broken(node, "promises before acceptedEpoch is durable", packet);
        else if (packet->zxid != image_last(image) &&
                 (packet->zxid != -1 ||
                  (current != -1 && (!node->disk.wiped || node->disk.adopted))))
            broken(node, "promises with another zxid than its log's", packet);
        else if (current != -1 && current != (int32_t)image->current)
            broken(node, "promises with another currentEpoch than its own", packet);
        break;
    }
    case PACKET_ACK:
        ack(node, wire, packet);
        break;
    default:
        break;
    }
}

static bool promised(const struct image *image, int64_t accepted, int64_t current)
{
    return !image->empty && image->accepted >= accepted && image->current >= current;
}

bool tap_quorum_promised(const struct sim *sim, int64_t accepted, int64_t current)
{
    bool members[NODES_MAX];
    for (uint8_t i = 0; i < sim->node_count; i++) {
        const struct disk *disk = &sim->nodes[i].disk;
        members[i] = promised(&disk->image, accepted, current) ||
                     (disk->wiped && promised(&disk->gone, accepted, current));
    }
    return check_quorum(sim, members);
}

static void sync_chosen(struct node *node, const struct wire *wire, struct tap *tap,
                        const struct packet *packet)
{
    struct sim *sim = node->sim;
    if (!tap_quorum_promised(sim, tap->epoch, 0))
        broken(node, "sends history before a quorum has promised", packet);
    tap->base = packet->zxid;
    tap->base_last = disk_transaction_at(node, packet->zxid);
    tap->must_hold = -1;
    if (packet->type == PACKET_SNAP) {
        if (packet->zxid < wire->direction[0].tap.base)
            sim_fail(sim, "T2", "node %d sends its tree as %llx to one who has %llx", (int)node->id,
                     (unsigned long long)packet->zxid,
                     (unsigned long long)wire->direction[0].tap.base);
        tap->stream = tap->snapshot_sync = true;
        tap->skip = 0;
        sim->marks[MARK_SNAP]++;
    } else {
        if (packet->type == PACKET_TRUNC &&
            EPOCH_OF(packet->zxid) != EPOCH_OF(wire->direction[0].tap.base))
            sim_fail(sim, "T2", "node %d cuts across epochs: from %llx to %llx", (int)node->id,
                     (unsigned long long)wire->direction[0].tap.base,
                     (unsigned long long)packet->zxid);
        sim->marks[packet->type == PACKET_TRUNC ? MARK_TRUNC : MARK_DIFF]++;
    }
}

/* Each COMMIT of a link comes right behind the one before. */
static void told_committed(struct node *node, struct tap *tap, const struct packet *packet)
{
    struct sim *sim = node->sim;
    size_t at = check_commit_at(sim, packet->zxid);
    if (!tap->new_leader) {
        if (packet->zxid <= tap->must_hold)
            sim_fail(sim, "I2", "node %d: tells that %llx is committed behind %llx", (int)node->id,
                     (unsigned long long)packet->zxid, (unsigned long long)tap->must_hold);
        tap->must_hold = packet->zxid; /* history: committed once NEWLEADER is acked */
        return;
    }
    if (sim->commits[at].zxid != packet->zxid)
        sim_fail(sim, "I8", "node %d: tells that %llx is committed, which it is not", (int)node->id,
                 (unsigned long long)packet->zxid);
    else if (tap->committed >= 0 && at > 0 && sim->commits[at - 1].zxid != tap->committed)
        sim_fail(sim, "I2", "node %d: tells that %llx is committed behind %llx", (int)node->id,
                 (unsigned long long)packet->zxid, (unsigned long long)tap->committed);
    tap->committed = packet->zxid;
}

static void from_leader(struct node *node, struct wire *wire, const struct packet *packet)
{
    struct sim *sim = node->sim;
    struct tap *tap = &wire->direction[1].tap;
    switch (packet->type) {
    case PACKET_LEADER_INFO:
        tap->epoch = EPOCH_OF(packet->zxid);
        if (node->disk.image.accepted < tap->epoch)
            broken(node, "asks for a promise that it has not made durable itself", packet);
        break;
    case PACKET_DIFF:
    case PACKET_TRUNC:
    case PACKET_SNAP:
        sync_chosen(node, wire, tap, packet);
        break;
    case PACKET_PROPOSAL:
        tap->proposed = packet->zxid;
        break;
    case PACKET_INFORM:
        sim->marks[MARK_INFORM]++;
        tap->proposed = packet->zxid;
        told_committed(node, tap, packet);
        break;
    case PACKET_COMMIT:
        told_committed(node, tap, packet);
        break;
    case PACKET_NEW_LEADER:
        if (tap->must_hold < 0 && tap->proposed < 0)
            sim->marks[MARK_EMPTY_DIFF]++;
        tap->new_leader = true;
        break;
    case PACKET_UP_TO_DATE:
        tap->up_to_date = true;
        if (!tap_quorum_promised(sim, tap->epoch, tap->epoch))
            broken(node, "lets a learner serve before a quorum took over its history", packet);
        break;
    default:
        break;
    }
}

/* Inside a snapshot: its own length, then the signature. */
static size_t skip_stream(struct tap *tap, const uint8_t *data, size_t length)
{
    size_t used = 0;
    if (tap->skip == 0) {
        if (length < STREAM_HEADER)
            return 0;
        tap->skip = stream_length(data) - STREAM_HEADER + 4 + strlen(PACKET_SNAPSHOT_SIGNATURE);
        used = STREAM_HEADER;
    }
    size_t count = (size_t)MK_MIN(tap->skip, (uint64_t)(length - used));
    tap->skip -= count;
    if (tap->skip == 0)
        tap->stream = false;
    return used + count;
}

void tap_output(struct node *node, struct wire *wire, uint8_t end, const uint8_t *data,
                size_t length, size_t *used)
{
    struct sim *sim = node->sim;
    struct tap *tap = &wire->direction[end].tap;
    while (*used < length && !sim->failed) {
        size_t count = 0;
        if (tap->stream) {
            count = skip_stream(tap, data + *used, length - *used);
            if (count == 0)
                return;
            *used += count;
            continue;
        }
        struct packet packet;
        int result = packet_read(mk_bytes_of(data + *used, length - *used),
                                 sim->options.packet_bytes_max, &packet, &count);
        if (result == 0)
            return;
        if (result < 0) {
            sim_fail(sim, "packets", "node %d: sends what is no packet", (int)node->id);
            return;
        }
        sim_trace(sim, (uint64_t)packet.zxid ^ (uint64_t)packet.type << 56);
        if (sim->print && packet.type != PACKET_PING)
            sim_say(sim, node, "  to %d: %s %llx, %d bytes",
                    (int)sim->nodes[wire->node[1 - end]].id, packet_name(packet.type),
                    (unsigned long long)packet.zxid, packet.data.length);
        tap_aim(node, wire, false, packet.type);
        if (end == 0)
            from_learner(node, wire, &packet);
        else
            from_leader(node, wire, &packet);
        *used += count;
    }
}

void tap_aim(struct node *node, const struct wire *wire, bool disk, int32_t type)
{
    struct sim *sim = node->sim;
    struct aim *aim = &sim->aim;
    if (!aim->armed || aim->disk != disk || aim->type != type || aim->skip-- > 0)
        return;
    aim->armed = false;
    sim->marks[MARK_AIMED]++;
    int64_t delay = sim_one_in(sim, 2) ? 0 : (int64_t)sim_below(sim, 10);
    if (aim->cut) {
        struct event cut = {.type = EVENT_CUT,
                            .index = wire ? (uint16_t)(wire - sim->wires) : node->learner_wire,
                            .life = wire ? wire->generation : node->learner_generation};
        sim_schedule(sim, delay, cut);
        return;
    }
    if (aim->receiver && wire) /* the other end */
        node = &sim->nodes[wire->node[wire->node[0] == node->index]];
    sim_schedule(sim, delay,
                 (struct event){.type = EVENT_KILL, .node = node->index, .life = node->life});
}
