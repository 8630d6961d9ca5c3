/* SPDX-License-Identifier: MIT */
/* Broadcast, the learner's side: proposals into the log, acknowledgements when they are durable,
 * commits into memory (quorum-protocol reference, 7.2 and 9.2). Called by learn.c. It must never
 * acknowledge what is not durable, never take a transaction that does not follow the last one, and
 * never serve a state that is older than what was committed, or newer. */
#include "base/zxid.h"
#include "zab/zab_int.h"

bool learn_proposal(struct zab *zab, const struct packet *packet)
{
    int64_t zxid = packet->zxid;
    if (zxid <= zab_last_logged(zab))
        return true;                              /* around a snapshot some come twice */
    if (mk_zxid_epoch(zxid) > zab->learn.epoch) { /* else no leader could ever follow it up */
        look_again(zab, "0x%llx was proposed in epoch %lld", (unsigned long long)zxid,
                   (long long)zab->learn.epoch);
        return false;
    }
    if (!history_follows(&zab->history, zxid)) {
        look_again(zab, "0x%llx was proposed, but the log ends at 0x%llx", (unsigned long long)zxid,
                   (unsigned long long)zab_last_logged(zab));
        return false;
    }
    if (packet->data.length <= 0) {
        look_again(zab, "the proposal 0x%llx is empty", (unsigned long long)zxid);
        return false;
    }
    if (zab->options.entry_fits && !zab->options.entry_fits(zxid, packet->data)) {
        look_again(zab, "the proposal 0x%llx is not the transaction of that zxid",
                   (unsigned long long)zxid);
        return false;
    }
    disk_append(zab, zxid, packet->data);
    return true;
}

bool learn_commit(struct zab *zab, int64_t zxid)
{
    struct learnership *learn = &zab->learn;
    if (zxid > zab_last_logged(zab)) {
        look_again(zab, "0x%llx was committed, but the log ends at 0x%llx",
                   (unsigned long long)zxid, (unsigned long long)zab_last_logged(zab));
        return false;
    }
    learn->committed = MK_MAX(learn->committed, zxid);
    return true;
}

static void up_to_date(struct zab *zab, struct peer *peer)
{
    struct learnership *learn = &zab->learn;
    learn->phase = LEARNER_ACTIVE;
    learn->serve_from = learn->committed;
    link_send(zab, peer, PACKET_ACK, learn->epoch << 32, MK_BYTES_NULL); /* Apache's second one */
    zab->phase = ZAB_BROADCAST;
    elect_settled(zab, learn->epoch);
    learn_wait(zab, zab->options.sync_limit_ticks);
}

/* --- what follows from news ------------------------------------------------------------------- */

/* Apache's leader counts each proposal by itself, so each is acknowledged. */
static void acknowledge(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    const struct history *history = &zab->history;
    int64_t durable = ZAB_MUTANT(1) ? zab_last_logged(zab) : zab->persisted;
    if (zab->options.observer || learn->acked >= durable)
        return;
    struct peer *peer = link_find(zab, learn->link);
    for (uint32_t i = history_after(history, learn->acked); i < history->count; i++) {
        int64_t zxid = history_at(history, i)->zxid;
        if (zxid > durable)
            break;
        link_send(zab, peer, PACKET_ACK, zxid, MK_BYTES_NULL);
        learn->acked = zxid;
    }
}

void learn_progress(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    if (zab->role == ZAB_LOOKING || learn->phase < LEARNER_ADOPTED)
        return;
    acknowledge(zab);
    if (learn->phase != LEARNER_ACTIVE)
        return;
    zab->committed = MK_MAX(zab->committed, learn->committed);
    apply_up_to(zab, MK_MIN(zab->committed, zab->persisted));
    if (!zab->serving && zab->applied >= learn->serve_from && zab->applied <= zab->committed)
        serve(zab, true);
}

/* --- packets ---------------------------------------------------------------------------------- */

static void hand_over(struct zab *zab, const struct packet *packet, int type)
{
    struct zab_delivery delivery = {.link = zab->learn.link,
                                    .server = zab->election.own.leader,
                                    .zxid = MK_MAX(packet->zxid, zab_last_logged(zab)),
                                    .bytes = packet->data,
                                    .identities = MK_BYTES_NULL};
    delivery.type = type;
    deliver(zab, &delivery);
}

/* Behind the answer come the commits of what was proposed later. */
static void synced(struct zab *zab)
{
    deliver(zab, &(struct zab_delivery){.type = ZAB_SYNCED,
                                        .link = zab->learn.link,
                                        .server = zab->election.own.leader,
                                        .zxid = zab->learn.committed});
}

/* An INFORM is both, but counts as Apache counts it. */
static void count_packet(struct zab *zab, int32_t type)
{
    zab->counts.proposals_received += type == PACKET_PROPOSAL;
    zab->counts.commits_received += type == PACKET_COMMIT || type == PACKET_INFORM;
}

void learn_broadcast_packet(struct zab *zab, struct peer *peer, const struct packet *packet)
{
    struct learnership *learn = &zab->learn;
    bool active = learn->phase == LEARNER_ACTIVE;
    count_packet(zab, packet->type);
    switch (packet->type) {
    case PACKET_PROPOSAL:
        if (!ZAB_MUTANT(31) || active)
            learn_proposal(zab, packet);
        break;
    case PACKET_INFORM:
        if (learn_proposal(zab, packet))
            learn_commit(zab, packet->zxid);
        break;
    case PACKET_COMMIT:
        learn_commit(zab, packet->zxid);
        break;
    case PACKET_UP_TO_DATE:
        if (!active)
            up_to_date(zab, peer);
        break;
    case PACKET_PING:
        learn->ping_zxid = packet->zxid;
        if (active)
            hand_over(zab, packet, ZAB_PING);
        break;
    case PACKET_REVALIDATE:
        if (active)
            hand_over(zab, packet, ZAB_REVALIDATED);
        break;
    case PACKET_SYNC:
        if (active)
            synced(zab);
        break;
    default:
        ZAB_TRACE(zab, MK_LEVEL_WARN, "the leader sent %s in broadcast: ignored",
                  packet_name(packet->type));
    }
    if (zab->role != ZAB_LOOKING)
        learn_progress(zab);
}
