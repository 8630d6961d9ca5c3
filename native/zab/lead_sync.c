/* SPDX-License-Identifier: MIT */
/* Synchronization, the leader's side: what a learner lacks or has too much of, and when a quorum
 * has taken over this server's history (quorum-protocol reference, 5.3, 6 and 9.3). Called by
 * lead.c and lead_discover.c. It must never call a history common that it does not know to be: in
 * doubt the learner is sent the whole tree. */
#include "base/mem.h"
#include "base/zxid.h"
#include "wire/jute.h"
#include "zab/zab_int.h"

static void send_plain(struct zab *zab, struct peer *peer, int32_t type, int64_t zxid)
{
    packet_send(
        zab, peer, peer_output(peer),
        &(struct packet){
            .type = type, .zxid = zxid, .data = MK_BYTES_NULL, .identities = MK_BYTES_NULL});
}

/* What is committed for everybody who follows: all history before it is established. */
static int64_t settled_zxid(const struct zab *zab)
{
    return zab->lead.established ? zab->committed : zab->lead.summary_zxid;
}

/* --- the choice ------------------------------------------------------------------------------- */

enum sync_way { SYNC_DIFF, SYNC_TRUNC, SYNC_SNAP };

/* `zxid` is the state before the first transaction of an epoch, and our own history has that
 * transaction: that epoch was established, and what came before it is ours too. */
static bool begins_our_epoch(const struct zab *zab, int64_t zxid)
{
    if (mk_zxid_counter(zxid) != 0)
        return false;
    if (zxid == zab->lead.epoch << 32 && zab->history.base <= zxid)
        return true; /* this server's own tree, sent in this epoch */
    return history_find(&zab->history, zxid + 1) != NULL;
}

/* Which way, and from where the learner's history is ours (6.2, 6.3). */
static enum sync_way choose(const struct zab *zab, int64_t last, int64_t *common)
{
    const struct history *history = &zab->history;
    *common = last;
    if (last < history->base && !begins_our_epoch(zab, last))
        return SYNC_SNAP;
    if (last == history->base || history_find(history, last) || begins_our_epoch(zab, last))
        return SYNC_DIFF;
    /* The last that we have at or before it is its own too, if it is of the same epoch: an epoch
     * has one leader, who proposed them in order. */
    uint32_t after = history_after(history, last);
    if (after == 0)
        return SYNC_SNAP;
    int64_t before = history_at(history, after - 1)->zxid;
    if (mk_zxid_epoch(before) != mk_zxid_epoch(last))
        return SYNC_SNAP;
    *common = before;
    if (ZAB_MUTANT(28))
        return SYNC_DIFF;
    return SYNC_TRUNC;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* History behind `common`: committed transactions with their COMMIT, and for voters and followers
 * what is under way. */
static void send_history(struct zab *zab, struct peer *peer, int64_t common)
{
    const struct history *history = &zab->history;
    int64_t settled = settled_zxid(zab);
    for (uint32_t i = history_after(history, common); i < history->count; i++) {
        const struct zab_entry *entry = history_at(history, i);
        bool commits = entry->zxid <= settled;
        if (!commits && peer->observer)
            break;
        packet_send(zab, peer, peer_output(peer),
                    &(struct packet){.type = PACKET_PROPOSAL,
                                     .zxid = entry->zxid,
                                     .data = mk_bytes_of(entry->data, entry->length),
                                     .identities = MK_BYTES_NULL});
        if (commits)
            send_plain(zab, peer, PACKET_COMMIT, entry->zxid);
        peer->forwarded = entry->zxid;
    }
}

static void send_new_leader(struct zab *zab, struct peer *peer)
{
    peer->phase = PEER_SYNCING;
    peer->heard_ms = zab->now_ms;
    link_send(zab, peer, PACKET_NEW_LEADER, zab->lead.epoch << 32, mk_buffer_bytes(&zab->config));
}

static void begin_snapshot(struct zab *zab, struct peer *peer)
{
    struct zab_update *update = zab->update;
    /* The label is above everything in the learner's log, or it would replay that (hazard T2). */
    int64_t zxid = zab->applied;
    if (peer->last_zxid > zxid)
        zxid = zab->lead.epoch << 32;
    peer->forwarded = zab->applied;
    peer->commit_sent = settled_zxid(zab);
    link_send(zab, peer, PACKET_SNAP, zxid, MK_BYTES_NULL);
    zab->counts.trees++;
    peer->phase = PEER_SNAPSHOT;
    if (update->snapshot_count == update->snapshot_capacity) {
        update->snapshot_capacity = MK_MAX(update->snapshot_capacity * 2, 4);
        update->snapshots =
            mk_realloc(update->snapshots, update->snapshot_capacity * sizeof *update->snapshots);
    }
    update->snapshots[update->snapshot_count++] = peer->number;
    send_history(zab, peer, zab->applied);
    if (!peer->quiet)
        ZAB_TRACE(zab, MK_LEVEL_INFO, "server %lld (last zxid 0x%llx) is sent the tree at 0x%llx",
                  (long long)peer->server, (unsigned long long)peer->last_zxid,
                  (unsigned long long)zxid);
}

void lead_sync_begin(struct zab *zab, struct peer *peer)
{
    int64_t common;
    enum sync_way way = choose(zab, peer->last_zxid, &common);
    if (way == SYNC_SNAP) {
        if (zab->applied >= zab->lead.summary_zxid)
            begin_snapshot(zab, peer);
        return; /* or when memory has all history */
    }
    int64_t settled = settled_zxid(zab);
    if (ZAB_MUTANT(29) && common < zab_last_logged(zab))
        common++;
    peer->forwarded = common;
    peer->commit_sent = settled;
    zab->counts.differences++;
    if (way == SYNC_TRUNC)
        link_send(zab, peer, PACKET_TRUNC,
                  ZAB_MUTANT(26)   ? common + 1
                  : ZAB_MUTANT(27) ? common - 1
                                   : common,
                  MK_BYTES_NULL);
    else
        link_send(zab, peer, PACKET_DIFF, settled, MK_BYTES_NULL);
    send_history(zab, peer, common);
    send_new_leader(zab, peer);
    if (!peer->quiet)
        ZAB_TRACE(zab, MK_LEVEL_INFO, "server %lld (last zxid 0x%llx) is sent %s from 0x%llx",
                  (long long)peer->server, (unsigned long long)peer->last_zxid,
                  way == SYNC_TRUNC ? "TRUNC and DIFF" : "DIFF", (unsigned long long)common);
}

void lead_snapshot_bytes(struct zab *zab, struct peer *peer, struct mk_bytes bytes, bool last)
{
    if (peer->phase != PEER_SNAPSHOT)
        return;
    mk_buffer_append_bytes(&peer->link.output, bytes);
    link_touch(zab, peer);
    if (!last)
        return;
    mk_write_string(&peer->link.output, PACKET_SNAPSHOT_SIGNATURE);
    mk_buffer_append_bytes(&peer->link.output, mk_buffer_bytes(&peer->behind));
    mk_buffer_fini(&peer->behind);
    send_new_leader(zab, peer);
}

/* --- the quorum ------------------------------------------------------------------------------- */

static void make_active(struct zab *zab, struct peer *peer)
{
    peer->phase = PEER_ACTIVE;
    send_plain(zab, peer, PACKET_UP_TO_DATE, -1);
    lead_forward(zab, peer);
}

void lead_sync_ack(struct zab *zab, struct peer *peer, int64_t zxid)
{
    if (zxid != zab->lead.epoch << 32) { /* of a proposal, early (hazard 4685) */
        lead_ack(zab, peer, zxid);
        return;
    }
    if (peer->phase != PEER_SYNCING)
        return;
    peer->phase = PEER_SYNCED;
    if (zab->lead.established || ZAB_MUTANT(32)) {
        make_active(zab, peer);
        if (zab->lead.established)
            lead_commit_progress(zab);
    } else {
        lead_sync_progress(zab);
    }
}

static void establish(struct zab *zab)
{
    struct leadership *lead = &zab->lead;
    lead->established = true;
    zab->committed = MK_MAX(zab->committed, lead->summary_zxid);
    lead->ping_ms = zab->now_ms;
    zab->phase = ZAB_BROADCAST;
    serve(zab, true);
    ZAB_TRACE(zab, MK_LEVEL_INFO, "leading in epoch %lld", (long long)lead->epoch);
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        struct peer *peer = link_find(zab, i);
        if (peer && peer->phase == PEER_SYNCED)
            make_active(zab, peer);
    }
    elect_settled(zab, lead->epoch);
}

void lead_sync_progress(struct zab *zab)
{
    struct leadership *lead = &zab->lead;
    struct quorum_set set;
    quorum_set_clear(&set);
    if (lead->epoch_current)
        quorum_set_add(&set, zab->options.id);
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        const struct peer *peer = zab->peers[i];
        if (peer && peer->votes && peer->phase >= PEER_SYNCED)
            quorum_set_add(&set, peer->server);
        if (ZAB_MUTANT(19) && peer && peer->observer && peer->phase >= PEER_SYNCED)
            for (size_t n = 0; n < zab->options.quorum.count; n++)
                quorum_set_add(&set, zab->options.quorum.members[n].id);
    }
    if (lead->epoch_current && zab->applied >= lead->summary_zxid &&
        quorum_reached(&zab->options.quorum, &set))
        establish(zab);
}
