/* SPDX-License-Identifier: MIT */
/* Reads each election message as it leaves and as it arrives, and compares it with what the
 * sender's disk holds and with what the receiver was told: nobody votes for a server that is
 * behind itself, nobody votes without trusted data, nobody wins or follows without the votes of a
 * quorum in one round or the word of the leader itself. Called by node.c and post.c. */
#include "tests/zab/sim.h"

#define BALLOT_BYTES_MIN 36

struct ballot {
    uint32_t state;
    int64_t leader, zxid, round, epoch;
};

static struct ballot read_ballot(struct mk_bytes message)
{
    const uint8_t *data = message.data;
    return (struct ballot){.state = mk_load_u32(data),
                           .leader = (int64_t)mk_load_u64(data + 4),
                           .zxid = (int64_t)mk_load_u64(data + 12),
                           .round = (int64_t)mk_load_u64(data + 20),
                           .epoch = (int64_t)mk_load_u64(data + 28)};
}

static bool behind(const struct ballot *ballot, const struct image *image, int64_t id)
{
    if (ballot->epoch != image->current)
        return ballot->epoch < image->current;
    if (ballot->zxid != image_last(image))
        return ballot->zxid < image_last(image);
    return ballot->leader < id;
}

/* A vote for itself names the last transaction that is durable, and the epoch likewise. */
static void check_vote(struct node *node, const struct ballot *ballot)
{
    const struct image *image = &node->disk.image;
    int64_t last = image_last(image);
    const char *check = NULL;
    if (image->empty)
        check = ballot->zxid != -1 ? "D17" : NULL;
    else if (node->disk.wiped && !node->disk.adopted && ballot->zxid == -1)
        check = NULL;
    else if (ballot->leader == node->id)
        check = ballot->zxid != last || ballot->epoch != image->current ? "I9" : NULL;
    else if (behind(ballot, image, node->id))
        check = "election";
    if (check)
        sim_fail(node->sim, check,
                 "node %d: votes for %lld with %llx of epoch %lld, its own disk has %llx of "
                 "epoch %lld",
                 (int)node->id, (long long)ballot->leader, (unsigned long long)ballot->zxid,
                 (long long)ballot->epoch, (unsigned long long)last, (long long)image->current);
}

void ballot_sent(struct node *node, struct mk_bytes message)
{
    if (mk_bytes_size(message) < BALLOT_BYTES_MIN) {
        sim_fail(node->sim, "packets", "node %d: sends a vote of %d bytes", (int)node->id,
                 message.length);
        return;
    }
    struct ballot ballot = read_ballot(message);
    sim_trace(node->sim, (uint64_t)ballot.leader << 40 ^ (uint64_t)ballot.zxid ^
                             (uint64_t)ballot.round << 8 ^ ballot.state);
    node->round = ballot.round;
    if (ballot.state == ZAB_LOOKING && !node->observer)
        check_vote(node, &ballot);
}

void ballot_arrived(struct node *node, uint8_t from, struct mk_bytes message)
{
    struct ballot ballot = read_ballot(message);
    node->heard[from] = (struct heard){
        .known = true, .state = ballot.state, .leader = ballot.leader, .round = ballot.round};
    sim_say(node->sim, node, "  hears of %d: %s, leader %lld, zxid %llx, round %lld, epoch %lld",
            (int)node->sim->nodes[from].id,
            (const char *[]){"looks", "follows", "leads", "observes"}[ballot.state & 3],
            ballot.leader == ZAB_NOBODY ? 0 : (long long)ballot.leader,
            (unsigned long long)ballot.zxid, (long long)ballot.round, (long long)ballot.epoch);
}

void ballot_decided(struct node *node)
{
    struct sim *sim = node->sim;
    int64_t leader = node->status.leader;
    bool members[NODES_MAX], told = false;
    for (uint8_t i = 0; i < sim->node_count; i++) {
        const struct heard *heard = &node->heard[i];
        /* Those who follow this server already, from a time before, count in any round. */
        bool round =
            heard->round == node->round || (leader == node->id && heard->state == ZAB_FOLLOWING);
        members[i] = i == node->index ? !node->disk.image.empty
                                      : heard->known && heard->leader == leader && round &&
                                            heard->state != ZAB_OBSERVING;
        told |= sim->nodes[i].id == leader && heard->known && heard->leader == leader &&
                heard->state == ZAB_LEADING;
    }
    if (node->status.role == ZAB_LEADING && (node->disk.image.empty || node->observer))
        sim_fail(sim, "D17", "node %d leads without data or without a vote", (int)node->id);
    if (node->status.role != ZAB_LEADING && told)
        return;
    if (!check_quorum(sim, members))
        sim_fail(sim, "election",
                 "node %d takes %lld for the leader without a quorum in round %lld", (int)node->id,
                 (long long)leader, (long long)node->round);
}
