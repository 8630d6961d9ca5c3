/* SPDX-License-Identifier: MIT */
/* The invariants (reliability reference, section 4), checked at every step against one global
 * history: a transaction joins it when a serving leader counts it as committed. Each failure names
 * its check. Called by node.c, image.c and sim.c; changes nothing but the history. */
#include "tests/zab/sim.h"

static const struct commit *last_commit(const struct sim *sim)
{
    return &sim->commits[sim->commit_count - 1];
}

size_t check_commit_at(const struct sim *sim, int64_t zxid)
{
    size_t low = 0, high = sim->commit_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (sim->commits[middle].zxid <= zxid)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Written apart from native/zab/quorum.c on purpose. */
bool check_quorum(const struct sim *sim, const bool *members)
{
    const struct quorum *quorum = &sim->options.quorum;
    uint64_t all[8] = {0}, have[8] = {0};
    unsigned groups = 0, won = 0;
    for (size_t i = 0; i < quorum->count; i++) {
        const struct quorum_member *member = &quorum->members[i];
        if (member->observer)
            continue;
        size_t group = quorum->hierarchical ? (size_t)member->group % 8 : 0;
        uint64_t weight = quorum->hierarchical ? member->weight : 1;
        all[group] += weight;
        for (uint8_t n = 0; n < sim->node_count; n++)
            if (sim->nodes[n].id == member->id && members[n])
                have[group] += weight;
    }
    for (size_t group = 0; group < 8; group++) {
        groups += all[group] > 0;
        won += all[group] > 0 && have[group] * 2 > all[group];
    }
    return won * 2 > groups;
}

static bool follows(int64_t last, int64_t zxid)
{
    if (EPOCH_OF(zxid) == EPOCH_OF(last))
        return COUNTER_OF(zxid) == COUNTER_OF(last) + 1;
    return EPOCH_OF(zxid) > EPOCH_OF(last) && COUNTER_OF(zxid) == 1;
}

/* --- the committed history -------------------------------------------------------------------- */

static bool logged(const struct node *node, int64_t zxid, uint64_t id)
{
    struct record record;
    if (image_holds(&node->disk.image, zxid, id))
        return true;
    return disk_logged_after(node, zxid - 1, &record) && record.zxid == zxid && record.id == id;
}

static struct reign *reign_of(struct sim *sim, int64_t epoch)
{
    for (size_t i = sim->reign_count; i > 0; i--)
        if (sim->reigns[i - 1].epoch == epoch)
            return &sim->reigns[i - 1];
    return NULL;
}

static void check_reign(struct node *node)
{
    struct sim *sim = node->sim;
    int64_t epoch = node->status.epoch;
    const struct reign *reign = reign_of(sim, epoch);
    if (reign) {
        if (reign->leader != node->index || reign->life != node->life)
            sim_fail(sim, "I7", "epoch %lld has two leaders, %d and %d", (long long)epoch,
                     (int)sim->nodes[reign->leader].id, (int)node->id);
        return;
    }
    if (sim->reign_count == sim->reign_capacity) {
        sim->reign_capacity = sim->reign_capacity ? sim->reign_capacity * 2 : 32;
        sim->reigns = mk_realloc(sim->reigns, sim->reign_capacity * sizeof *sim->reigns);
    }
    sim->reigns[sim->reign_count++] =
        (struct reign){.epoch = epoch, .leader = node->index, .life = node->life};
    sim->marks[MARK_ELECTIONS]++;
    sim->marks[MARK_LEADER_CHANGES] += sim->last_leader >= 0 && sim->last_leader != node->index;
    if (COUNTER_OF(last_commit(sim)->zxid) == sim->options.counter_max)
        sim->marks[MARK_ROLLOVERS]++;
    sim->last_leader = (int8_t)node->index;
    if (sim->healed && sim->now >= sim->healed_at)
        sim->marks[MARK_HEALED_ELECTIONS]++;
    if (!tap_quorum_promised(sim, epoch, epoch) && epoch > sim->epoch_newest)
        sim_fail(sim, "I7", "node %d serves as leader of epoch %lld, which no quorum took over",
                 (int)node->id, (long long)epoch);
    if (epoch < sim->epoch_newest)
        return; /* the last word of its quorum came late: it will commit nothing of its own */
    sim->epoch_newest = epoch;
    if (sim->commit_count > 1 && !logged(node, last_commit(sim)->zxid, last_commit(sim)->id))
        sim_fail(sim, "I12", "node %d leads epoch %lld without %llx, which is committed",
                 (int)node->id, (long long)epoch, (unsigned long long)last_commit(sim)->zxid);
}

static void commit(struct node *node, const struct record *record)
{
    struct sim *sim = node->sim;
    struct txn *txn = &sim->txns[record->id];
    struct session *session = &sim->sessions[txn->session];
    unsigned long long zxid = (unsigned long long)record->zxid;
    if (!follows(last_commit(sim)->zxid, record->zxid) || txn->previous != last_commit(sim)->zxid)
        sim_fail(sim, "I2", "node %d commits %llx behind %llx", (int)node->id, zxid,
                 (unsigned long long)last_commit(sim)->zxid);
    if (node->led_epoch < sim->epoch_newest)
        sim_fail(sim, "I6", "node %d of epoch %lld commits %llx, but epoch %lld began without it",
                 (int)node->id, (long long)node->led_epoch, zxid, (long long)sim->epoch_newest);
    if (txn->zxid != record->zxid || txn->committed)
        sim_fail(sim, "I1", "node %d commits %llx twice or in a wrong place", (int)node->id, zxid);
    if (txn->sequence != session->committed + 1)
        sim_fail(sim, "FIFO", "request %u of a submitter is committed after %u (%llx)",
                 txn->sequence, session->committed, zxid);
    session->committed = txn->sequence;
    txn->committed = true;
    machine_apply(&sim->truth, record->zxid, record->id);
    if (sim->commit_count == sim->commit_capacity) {
        sim->commit_capacity *= 2;
        sim->commits = mk_realloc(sim->commits, sim->commit_capacity * sizeof *sim->commits);
    }
    sim->commits[sim->commit_count++] = (struct commit){
        .zxid = record->zxid, .id = record->id, .digest = machine_digest(&sim->truth)};
    sim->marks[MARK_COMMITS]++;
}

/* The transaction that has `zxid`, with an id below `end`: a leader gives each away once. */
static uint64_t transaction_of(const struct sim *sim, int64_t zxid, uint64_t end)
{
    for (uint64_t id = end; id > 0; id--)
        if (sim->txns[id - 1].zxid == zxid)
            return id - 1;
    return UINT64_MAX;
}

/* All that the leader has up to `zxid` and that was not committed before, found backwards: it may
 * lie within its snapshot. */
static void commit_up_to(struct node *node, int64_t zxid)
{
    struct sim *sim = node->sim;
    int64_t at = disk_transaction_at(node, zxid);
    if (at <= last_commit(sim)->zxid)
        return;
    struct record last = {.zxid = at, .id = UINT64_MAX};
    uint64_t id = sim->txn_count;
    mk_buffer_clear(&sim->chain);
    while (at > last_commit(sim)->zxid) {
        id = transaction_of(sim, at, id);
        if (id == UINT64_MAX) {
            sim_fail(sim, "I1", "node %d commits %llx, which nobody submitted", (int)node->id,
                     (unsigned long long)at);
            return;
        }
        if (at == last.zxid)
            last.id = id;
        mk_buffer_append(&sim->chain, &id, sizeof id);
        at = sim->txns[id].previous;
    }
    for (size_t left = sim->chain.length / sizeof id; left > 0 && !sim->failed; left--) {
        memcpy(&id, sim->chain.data + (left - 1) * sizeof id, sizeof id);
        commit(node, &(struct record){.zxid = sim->txns[id].zxid, .id = id});
    }
    bool members[NODES_MAX];
    for (uint8_t i = 0; i < sim->node_count; i++)
        members[i] = disk_held(&sim->nodes[i].disk, last.zxid, last.id);
    if (!check_quorum(sim, members))
        sim_fail(sim, "I8", "node %d commits %llx, which is on the disks of no quorum",
                 (int)node->id, (unsigned long long)last.zxid);
}

/* --- at every step ---------------------------------------------------------------------------- */

static void check_shown(struct node *node)
{
    struct sim *sim = node->sim;
    const struct machine *memory = &node->memory;
    int64_t newest = machine_newest(memory);
    if (newest > last_commit(sim)->zxid) {
        sim_fail(sim, "I15", "node %d shows %llx, which is not committed", (int)node->id,
                 (unsigned long long)newest);
        return;
    }
    node->checked_applied = memory->applied;
    if (newest > memory->applied || memory->applied < sim->commits[0].zxid)
        return; /* fuzzy: whole when it has replayed what follows */
    const struct commit *commit_there = &sim->commits[check_commit_at(sim, memory->applied)];
    if (machine_digest(memory) != commit_there->digest)
        sim_fail(sim, "I3", "node %d shows another state at %llx than was committed there",
                 (int)node->id, (unsigned long long)memory->applied);
}

void check_step(struct node *node)
{
    struct sim *sim = node->sim;
    const struct zab_status *status = &node->status;
    if (status->persisted > MK_MAX(image_last(&node->disk.image), 0) &&
        status->persisted != image_last(&node->disk.image))
        sim_fail(sim, "I9", "node %d: counts %llx as durable, its disk ends at %llx", (int)node->id,
                 (unsigned long long)status->persisted,
                 (unsigned long long)image_last(&node->disk.image));
    bool leads = status->role == ZAB_LEADING && status->serving;
    if (leads) {
        check_reign(node);
        node->led_epoch = status->epoch;
    }
    if (leads || (node->was_role == ZAB_LEADING && node->was_serving)) /* its last commit, maybe */
        commit_up_to(node, status->committed);
    if (status->serving && COUNTER_OF(status->committed) != 0 &&
        status->committed > last_commit(sim)->zxid)
        sim_fail(sim, "I11", "node %d takes %llx for committed, but the history ends at %llx",
                 (int)node->id, (unsigned long long)status->committed,
                 (unsigned long long)last_commit(sim)->zxid);
    if (status->serving && node->memory_valid && node->memory.applied >= 0 &&
        node->checked_applied != node->memory.applied)
        check_shown(node);
    const struct wire *wire = &sim->wires[node->learner_wire];
    if (status->serving && !node->was_serving && status->role != ZAB_LEADING &&
        wire->generation == node->learner_generation &&
        node->memory.applied < wire->direction[1].tap.must_hold)
        sim_fail(sim, "I15", "node %d begins to serve at %llx, but its leader had committed %llx",
                 (int)node->id, (unsigned long long)node->memory.applied,
                 (unsigned long long)wire->direction[1].tap.must_hold);
    if (status->serving && (node->reloading || node->snapshot_loading || !node->memory_valid))
        sim_fail(sim, "I15", "node %d serves without a whole memory", (int)node->id);
}

void check_applying(struct node *node, int64_t zxid, uint64_t id)
{
    if (!image_holds(&node->disk.image, zxid, id))
        sim_fail(node->sim, "I9", "node %d applies %llx, which is not on its disk", (int)node->id,
                 (unsigned long long)zxid);
    if (!follows(node->memory.applied, zxid) || node->sim->txns[id].previous != node->memory.last)
        sim_fail(node->sim, "I2", "node %d applies %llx behind %llx", (int)node->id,
                 (unsigned long long)zxid, (unsigned long long)node->memory.applied);
}

void check_submit(struct node *node, int64_t zxid)
{
    struct sim *sim = node->sim;
    struct reign *reign = reign_of(sim, node->status.epoch);
    if (!reign || reign->leader != node->index || reign->life != node->life ||
        EPOCH_OF(zxid) != reign->epoch || zxid <= reign->submitted || COUNTER_OF(zxid) == 0 ||
        COUNTER_OF(zxid) > sim->options.counter_max) {
        sim_fail(sim, "I4", "node %d proposes %llx in epoch %lld", (int)node->id,
                 (unsigned long long)zxid, (long long)node->status.epoch);
        return;
    }
    reign->submitted = zxid;
}

/* --- the disk --------------------------------------------------------------------------------- */

void check_append(struct node *node, int64_t zxid, uint64_t id)
{
    struct sim *sim = node->sim;
    const struct image *image = &node->disk.image;
    int64_t last = image_last(image);
    unsigned long long shown = (unsigned long long)zxid;
    if (image->empty || !follows(last, zxid))
        sim_fail(sim, "I13", "node %d: %llx comes behind %llx in its log", (int)node->id, shown,
                 (unsigned long long)last);
    if (id >= sim->txn_count || sim->txns[id].zxid != zxid)
        sim_fail(sim, "I1", "node %d logs %llx with the bytes of another", (int)node->id, shown);
    else if (sim->txns[id].previous != image_last_transaction(image))
        sim_fail(sim, "I13", "node %d logs %llx behind %llx, but its leader had %llx before it",
                 (int)node->id, shown, (unsigned long long)image_last_transaction(image),
                 (unsigned long long)sim->txns[id].previous);
    if (EPOCH_OF(zxid) > MK_MAX(image->current, image->prepared))
        sim_fail(sim, "I10", "node %d logs %llx before currentEpoch.tmp says so (%lld, %lld)",
                 (int)node->id, shown, (long long)image->current, (long long)image->prepared);
    if (EPOCH_OF(zxid) > image->accepted)
        sim_fail(sim, "I10", "node %d logs %llx of an epoch that it did not accept (%lld)",
                 (int)node->id, shown, (long long)image->accepted);
}

/* Nothing that is committed is ever dropped again. */
void check_dropping(struct node *node, int64_t keep)
{
    struct sim *sim = node->sim;
    size_t at = check_commit_at(sim, keep) + 1;
    if (keep < sim->commits[0].zxid)
        at = 1;
    if (at < sim->commit_count &&
        image_holds(&node->disk.image, sim->commits[at].zxid, sim->commits[at].id))
        sim_fail(sim, "I8", "node %d drops %llx from its disk, which is committed", (int)node->id,
                 (unsigned long long)sim->commits[at].zxid);
}

void check_epochs(struct node *node, int64_t accepted, int64_t current)
{
    const struct image *image = &node->disk.image;
    if (accepted < image->accepted || current < image->current || accepted < current)
        sim_fail(node->sim, "I10",
                 "node %d: accepted %lld, current %lld become accepted %lld, current %lld",
                 (int)node->id, (long long)image->accepted, (long long)image->current,
                 (long long)accepted, (long long)current);
}

/* The history that a learner was sent is on its disk before the epoch is. */
void check_taking_over(struct node *node, int64_t epoch)
{
    const struct wire *wire = &node->sim->wires[node->learner_wire];
    const struct tap *tap = &wire->direction[1].tap;
    const struct image *image = &node->disk.image;
    if ((node->status.role != ZAB_FOLLOWING && node->status.role != ZAB_OBSERVING) ||
        wire->generation != node->learner_generation || tap->epoch != epoch || !tap->new_leader)
        return;
    if ((tap->must_hold >= 0 && !image_covers(image, tap->must_hold)) ||
        (tap->snapshot_sync && image_last(image) < tap->base))
        sim_fail(node->sim, "I9", "node %d: currentEpoch %lld before the history, %llx of %llx",
                 (int)node->id, (long long)epoch, (unsigned long long)image_last(image),
                 (unsigned long long)MK_MAX(tap->must_hold, tap->base));
}

/* --- the end ---------------------------------------------------------------------------------- */

bool check_converged(const struct sim *sim)
{
    bool leader = false;
    for (uint8_t i = 0; i < sim->node_count; i++) {
        const struct node *node = &sim->nodes[i];
        if (node->lost)
            continue;
        if (!node->up || !node->status.serving || !node->memory_valid || node->queue_count > 0 ||
            node->sync_count > 0 || node->disk.count > 0)
            return false;
        if (node->session != UINT32_MAX &&
            sim->sessions[node->session].sent != sim->sessions[node->session].committed)
            return false;
        if (node->memory.applied < last_commit(sim)->zxid ||
            machine_digest(&node->memory) != last_commit(sim)->digest)
            return false;
        leader |= node->status.role == ZAB_LEADING;
    }
    return leader;
}

/* After a power cut of all: what was acknowledged is on every disk. */
void check_end(struct sim *sim)
{
    bool members[NODES_MAX] = {false};
    for (uint8_t i = 0; i < sim->node_count && !sim->failed; i++) {
        struct machine machine;
        image_replay(&sim->nodes[i].disk.image, &machine);
        members[i] =
            !sim->nodes[i].disk.image.empty && machine_digest(&machine) == last_commit(sim)->digest;
        if (!members[i] && !sim->nodes[i].lost)
            sim_fail(sim, "I14", "node %d: its disk gives another state than the others",
                     (int)sim->nodes[i].id);
    }
    if (!check_quorum(sim, members) || sim->acked > last_commit(sim)->zxid)
        sim_fail(sim, "I15", "what was acknowledged is gone");
    for (size_t i = 0; i < sim->txn_count && !sim->failed; i++)
        if (sim->txns[i].acked && !sim->txns[i].committed)
            sim_fail(sim, "I15", "%llx was acknowledged and is gone",
                     (unsigned long long)sim->txns[i].zxid);
}

const char *mark_name(enum mark mark)
{
    static const char *const names[MARKS] = {"elections",      "leader changes",
                                             "DIFF",           "TRUNC",
                                             "SNAP",           "empty DIFF",
                                             "rollovers",      "learners gone",
                                             "reloads",        "commits",
                                             "forwarded",      "syncs",
                                             "crashes",        "pauses",
                                             "partitions",     "torn writes",
                                             "wiped disks",    "informs",
                                             "epochs raised",  "stops",
                                             "aimed crashes",  "damaged disks",
                                             "repaired disks", "ends without a minority",
                                             "strangers",      "elections after the heal"};
    return names[mark];
}
