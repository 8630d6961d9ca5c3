/* SPDX-License-Identifier: MIT */
/* What a member of an ensemble tells about itself in mntr and srvr: how long elections and times
 * without service took, what zab counts, the sizes of proposals. Called by ensemble.c whenever
 * something may have changed, and by propose.c. It only counts. */
#include "replica/replica_int.h"

void measure_begin(struct replica *replica)
{
    struct measure *measure = &replica->ensemble->measure;
    measure->looking_since_ms = measure->role_since_ms = replica->now_ms;
    measure->unavailable_since_ms = replica->now_ms;
}

static void add_time(struct replica *replica, enum metric_summary summary, int64_t since_ms)
{
    mk_summary_add(&replica->stats.summaries[summary], (uint64_t)(replica->now_ms - since_ms));
}

static void role_changed(struct replica *replica, enum zab_role before)
{
    struct measure *measure = &replica->ensemble->measure;
    enum zab_role role = replica->ensemble->status.role;
    if (role == ZAB_LOOKING)
        measure->looking_since_ms = replica->now_ms;
    else if (before == ZAB_LOOKING)
        add_time(replica, SUMMARY_ELECTION_TIME, measure->looking_since_ms);
    measure->role_since_ms = replica->now_ms;
}

static void serving_changed(struct replica *replica)
{
    struct measure *measure = &replica->ensemble->measure;
    if (!replica->ensemble->status.serving) {
        measure->unavailable_since_ms = replica->now_ms;
        return;
    }
    measure->serving_since_ms = replica->now_ms;
    add_time(replica, SUMMARY_UNAVAILABLE_TIME, measure->unavailable_since_ms);
    switch (replica->ensemble->status.role) {
    case ZAB_LEADING:
        add_time(replica, SUMMARY_LEADER_UNAVAILABLE_TIME, measure->unavailable_since_ms);
        break;
    case ZAB_FOLLOWING:
        add_time(replica, SUMMARY_FOLLOWER_SYNC_TIME, measure->role_since_ms);
        break;
    default:
        add_time(replica, SUMMARY_OBSERVER_SYNC_TIME, measure->role_since_ms);
    }
}

/* The counters of the replica begin anew with srst, those of zab never do. */
static void take_counts(struct replica *replica)
{
    uint64_t *counters = replica->stats.counters;
    struct zab_counts *taken = &replica->ensemble->measure.taken;
    const struct zab_counts *counts = zab_counts(replica->ensemble->zab);
    counters[COUNTER_LOOKING_COUNT] += counts->looking - taken->looking;
    counters[COUNTER_PROPOSAL_COUNT] += counts->proposals - taken->proposals;
    counters[COUNTER_COMMIT_COUNT] += counts->commits - taken->commits;
    counters[COUNTER_DIFF_COUNT] += counts->differences - taken->differences;
    counters[COUNTER_SNAP_COUNT] += counts->trees - taken->trees;
    counters[COUNTER_LEARNER_PROPOSAL_RECEIVED_COUNT] +=
        counts->proposals_received - taken->proposals_received;
    counters[COUNTER_LEARNER_COMMIT_RECEIVED_COUNT] +=
        counts->commits_received - taken->commits_received;
    *taken = *counts;
}

void measure_status(struct replica *replica, const struct zab_status *before)
{
    const struct zab_status *status = &replica->ensemble->status;
    if (status->role != before->role)
        role_changed(replica, before->role);
    if (status->serving != before->serving)
        serving_changed(replica);
    take_counts(replica);
}

void measure_proposal(struct replica *replica, size_t bytes)
{
    replica->stats.proposal_last_bytes = bytes;
    mk_summary_add(&replica->stats.proposal_bytes, bytes);
}

int64_t replica_serving_since_ms(const struct replica *replica)
{
    return replica->ensemble ? replica->ensemble->measure.serving_since_ms
                             : replica->stats.start_now_ms;
}
