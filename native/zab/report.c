/* SPDX-License-Identifier: MIT */
/* What an operator may know beyond zab_status: who is linked to a leader, counts, and the members
 * as text. Called by the layers above; it changes nothing. */
#include "zab/zab_int.h"

static void count_peer(const struct peer *peer, struct zab_learners *learners)
{
    learners->linked++;
    if (peer->phase < PEER_SYNCED)
        return;
    if (peer->observer)
        learners->synced_observers++;
    else if (peer->votes)
        learners->synced_followers++;
    else
        learners->synced_without_vote++;
}

void zab_learners(const struct zab *zab, struct zab_learners *learners)
{
    *learners = (struct zab_learners){0};
    if (zab->role != ZAB_LEADING)
        return;
    for (uint32_t i = 0; i < zab->peer_capacity; i++)
        if (zab->peers[i] && zab->peers[i]->phase != PEER_UNUSED && !zab->peers[i]->link.closing)
            count_peer(zab->peers[i], learners);
    learners->pending_syncs = (uint32_t)zab->lead.syncs.count;
}

struct mk_bytes zab_config(const struct zab *zab, int64_t *version)
{
    *version = zab->options.quorum.version;
    return mk_buffer_bytes(&zab->config);
}

const struct zab_counts *zab_counts(const struct zab *zab)
{
    return &zab->counts;
}
