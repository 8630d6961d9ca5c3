/* SPDX-License-Identifier: MIT */
/* Proof that this server still leads: rounds of pings that a quorum has answered, and the syncs
 * that wait for one (promise G7 [ours]: Apache answers a sync without asking its quorum). A
 * follower that answered a ping sent after the sync came had not yet left for another leader, so
 * nothing that this server does not know was committed before. A commit of what was proposed after
 * the sync proves the same. Called by lead.c and lead_broadcast.c. At most one round is under way
 * for syncs: those that come meanwhile share the next one. */
#include "base/mem.h"
#include "base/zxid.h"
#include "zab/zab_int.h"

/* The newest round that a quorum has answered. */
static uint64_t confirmed_round(const struct zab *zab)
{
    if (ZAB_MUTANT(23))
        return UINT64_MAX;
    int64_t values[QUORUM_MEMBERS_MAX];
    for (size_t i = 0; i < QUORUM_MEMBERS_MAX; i++)
        values[i] = 0;
    int self = member_index(zab, zab->options.id);
    if (self >= 0)
        values[self] = (int64_t)zab->lead.ping_round;
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        const struct peer *peer = zab->peers[i];
        if (!peer || !peer->votes || peer->phase != PEER_ACTIVE || peer->answers == 0)
            continue;
        int index = member_index(zab, peer->server);
        if (index >= 0)
            values[index] = (int64_t)(peer->first_round + peer->answers - 1);
    }
    return (uint64_t)quorum_reached_value(&zab->options.quorum, values, 0);
}

void lead_ping_round(struct zab *zab)
{
    struct leadership *lead = &zab->lead;
    lead->ping_round++;
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        struct peer *peer = link_find(zab, i);
        if (!peer || peer->phase != PEER_ACTIVE)
            continue;
        if (peer->first_round == 0)
            peer->first_round = lead->ping_round;
        link_send(zab, peer, PACKET_PING, lead->proposed, MK_BYTES_NULL);
    }
}

void lead_ping_answer(struct zab *zab, struct peer *peer, const struct packet *packet)
{
    if (peer->first_round == 0 || peer->first_round + peer->answers > zab->lead.ping_round) {
        link_drop(zab, peer, "it answers a PING that it was not sent");
        return;
    }
    peer->answers++;
    deliver(zab, &(struct zab_delivery){.type = ZAB_TOUCHED,
                                        .link = peer->number,
                                        .server = peer->server,
                                        .bytes = packet->data});
    lead_syncs_progress(zab);
}

static void answer(struct zab *zab, const struct sync_wait *wait)
{
    if (wait->local) {
        deliver(zab, &(struct zab_delivery){
                         .type = ZAB_SYNC_DONE, .ticket = wait->ticket, .zxid = wait->zxid});
        return;
    }
    struct peer *peer = link_find(zab, wait->link);
    MK_ASSERT(peer); /* lead_peer_gone takes its waits away */
    link_send(zab, peer, PACKET_SYNC, 0, MK_BYTES_NULL);
}

void lead_sync_request(struct zab *zab, struct peer *peer, uint64_t ticket)
{
    struct leadership *lead = &zab->lead;
    *sync_wait_add(&lead->syncs) = (struct sync_wait){.local = !peer,
                                                      .link = peer ? peer->number : 0,
                                                      .ticket = ticket,
                                                      .zxid = zab_last_logged(zab),
                                                      .ping_round = lead->ping_round + 1};
    lead_syncs_progress(zab);
}

/* Those that `confirmed` or a commit has proved, in the order in which they came. */
static void answer_proved(struct zab *zab, uint64_t confirmed)
{
    struct sync_waits *syncs = &zab->lead.syncs;
    size_t kept = 0;
    for (size_t i = 0; i < syncs->count; i++) {
        const struct sync_wait *wait = &syncs->items[i];
        bool proved = wait->ping_round <= confirmed || wait->zxid < zab->lead.proving;
        if (proved && zab->committed >= wait->zxid)
            answer(zab, wait);
        else
            syncs->items[kept++] = *wait;
    }
    syncs->count = kept;
}

int64_t lead_next_sync(const struct zab *zab, int64_t limit)
{
    const struct sync_waits *syncs = &zab->lead.syncs;
    for (size_t i = 0; i < syncs->count; i++) /* they rise */
        if (syncs->items[i].zxid > zab->committed && syncs->items[i].zxid < limit)
            return syncs->items[i].zxid;
    return limit;
}

void lead_syncs_progress(struct zab *zab)
{
    struct leadership *lead = &zab->lead;
    struct sync_waits *syncs = &lead->syncs;
    if (syncs->count == 0 || !lead->established)
        return;
    uint64_t confirmed = confirmed_round(zab);
    if (confirmed >= lead->ping_round &&
        syncs->items[syncs->count - 1].ping_round > lead->ping_round) {
        lead_ping_round(zab);
        confirmed = confirmed_round(zab); /* alone, a server is its own quorum */
    }
    answer_proved(zab, confirmed);
}
