/* SPDX-License-Identifier: MIT */
/* When a snapshot is due, and its walk in slices between events, so that no request waits for it.
 * The limits are drawn anew each time, from half to whole, so that the servers of an ensemble
 * do not all write at once (storage reference, section 2). */
#include "replica/replica_int.h"

#define SLICE_BYTES ((size_t)64 << 10)

static uint64_t spread(struct replica *replica, uint64_t limit)
{
    if (limit == 0)
        return UINT64_MAX;
    return limit / 2 + mk_rand_below(&replica->rand, limit - limit / 2) + 1;
}

static void draw_limits(struct replica *replica)
{
    struct snapshot_state *snapshot = &replica->snapshot;
    snapshot->transactions = snapshot->log_bytes = 0;
    replica->stats.transactions_since_snapshot = 0;
    snapshot->transactions_limit = spread(replica, replica->options.snapshot_transactions);
    snapshot->log_bytes_limit = spread(replica, replica->options.snapshot_log_bytes);
}

void snapshot_init(struct replica *replica)
{
    draw_limits(replica);
}

void snapshot_fini(struct replica *replica)
{
    if (replica->snapshot.walk)
        tree_snapshot_end(replica->snapshot.walk);
    replica->snapshot.walk = NULL;
}

void snapshot_logged(struct replica *replica, size_t bytes)
{
    struct snapshot_state *snapshot = &replica->snapshot;
    snapshot->transactions++;
    snapshot->log_bytes += bytes;
    replica->stats.transactions_since_snapshot = snapshot->transactions;
    if (snapshot->transactions >= snapshot->transactions_limit ||
        snapshot->log_bytes >= snapshot->log_bytes_limit)
        snapshot->wanted = true;
}

void snapshot_maybe_begin(struct replica *replica)
{
    struct snapshot_state *snapshot = &replica->snapshot;
    if (!snapshot->wanted || snapshot->running || replica->stopping ||
        replica->now_ms < snapshot->not_before_ms)
        return;
    /* In an ensemble, only of what is committed (hazard 1549), and one walk at a time. */
    if (replica->ensemble && replica->ensemble->started &&
        (!replica->ensemble->serving || replica->ensemble->walk))
        return;
    snapshot->wanted = false;
    snapshot->not_before_ms = replica->now_ms + replica->options.snapshot_interval_min_ms;
    snapshot->running = true;
    snapshot->roll_next = !replica->ensemble;
    replica->update->roll = replica->ensemble != NULL;
    draw_limits(replica);
    snapshot->walk = tree_snapshot_begin(replica->tree, replica->last_zxid);
    replica->update->snapshot_begin = true;
    replica->update->snapshot_zxid = replica->last_zxid;
    snapshot_next(replica);
}

void snapshot_next(struct replica *replica)
{
    struct snapshot_state *snapshot = &replica->snapshot;
    if (!snapshot->walk)
        return;
    struct replica_update *update = replica->update;
    if (!tree_snapshot_step(snapshot->walk, &update->snapshot_body, SLICE_BYTES))
        return;
    tree_snapshot_end(snapshot->walk);
    snapshot->walk = NULL;
    update->snapshot_finish = true;
    update->snapshot_digest_zxid = replica->last_zxid;
    update->snapshot_digest = tree_digest(replica->tree);
}

void snapshot_give_up(struct replica *replica)
{
    if (!replica->snapshot.running)
        return;
    snapshot_fini(replica);
    replica->update->snapshot_abandon = true;
}

void snapshot_done(struct replica *replica, int32_t error)
{
    snapshot_fini(replica);
    replica->snapshot.running = false;
    if (error)
        replica_log(replica, MK_LEVEL_ERROR,
                    "the snapshot failed (%s); the log keeps everything, the next try comes "
                    "with the next trigger",
                    mk_error_name(error));
    else
        replica->stats.snapshot_count++;
}
