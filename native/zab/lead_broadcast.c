/* SPDX-License-Identifier: MIT */
/* Broadcast, the leader's side: proposals out, acknowledgements in, and what they commit
 * (quorum-protocol reference, 7.1 and 9.3). Called by zab.c and lead*.c. It must never commit what
 * is not durable on a quorum of voters, nor tell a follower of a commit between NEWLEADER and
 * UPTODATE (hazard 4394). */
#include "base/mem.h"
#include "base/zxid.h"
#include "zab/zab_int.h"

static bool is_slow(const struct zab *zab, const struct peer *peer)
{
    return peer->link.output.length + peer->link.unsent_elsewhere + peer->behind.length >
           zab->options.learner_output_max;
}

/* Followers have each proposal as soon as it is made, from the beginning of their sync on. */
static void forward_proposals(struct zab *zab, struct peer *peer)
{
    const struct history *history = &zab->history;
    for (uint32_t i = history_after(history, peer->forwarded); i < history->count; i++) {
        const struct zab_entry *entry = history_at(history, i);
        packet_send(zab, peer, peer_output(peer),
                    &(struct packet){.type = PACKET_PROPOSAL,
                                     .zxid = entry->zxid,
                                     .data = mk_bytes_of(entry->data, entry->length),
                                     .identities = MK_BYTES_NULL});
        peer->forwarded = entry->zxid;
        if (peer->votes && peer->behind_since_ms == 0 && peer->phase == PEER_ACTIVE)
            peer->behind_since_ms = MK_MAX(zab->now_ms, 1);
    }
}

static void forward_commits(struct zab *zab, struct peer *peer)
{
    const struct history *history = &zab->history;
    uint32_t first = history_after(history, peer->commit_sent);
    uint32_t end = history_after(history, MK_MIN(zab->committed, peer->forwarded));
    for (uint32_t i = first; i < end; i++) {
        uint32_t index = ZAB_MUTANT(20) ? end - 1 - (i - first) : i;
        link_send(zab, peer, PACKET_COMMIT, history_at(history, index)->zxid, MK_BYTES_NULL);
    }
    if (end > first)
        peer->commit_sent = history_at(history, end - 1)->zxid;
}

/* Observers have what is committed, in one packet each. */
static void forward_informs(struct zab *zab, struct peer *peer)
{
    const struct history *history = &zab->history;
    uint32_t end = history_after(history, zab->committed);
    for (uint32_t i = history_after(history, peer->forwarded); i < end; i++) {
        const struct zab_entry *entry = history_at(history, i);
        packet_send(zab, peer, peer_output(peer),
                    &(struct packet){.type = PACKET_INFORM,
                                     .zxid = entry->zxid,
                                     .data = mk_bytes_of(entry->data, entry->length),
                                     .identities = MK_BYTES_NULL});
        peer->forwarded = entry->zxid;
    }
}

void lead_forward(struct zab *zab, struct peer *peer)
{
    if (peer->phase < PEER_SNAPSHOT || !zab->lead.established)
        return;
    if (peer->observer) {
        forward_informs(zab, peer);
    } else {
        forward_proposals(zab, peer);
        if (peer->phase == PEER_ACTIVE)
            forward_commits(zab, peer);
    }
    if (is_slow(zab, peer))
        link_drop(zab, peer, "it is more than %zu bytes behind; it will be synchronized again",
                  zab->options.learner_output_max);
}

static void forward_all(struct zab *zab)
{
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        struct peer *peer = link_find(zab, i);
        if (peer)
            lead_forward(zab, peer);
    }
}

void lead_submit(struct zab *zab, int64_t zxid, struct mk_bytes bytes)
{
    disk_append(zab, zxid, bytes);
    zab->lead.proposed = zxid;
    zab->counts.proposals++;
    forward_all(zab);
    lead_commit_progress(zab);
}

void lead_ack(struct zab *zab, struct peer *peer, int64_t zxid)
{
    if (mk_zxid_counter(zxid) == 0 || !zab->lead.established)
        return; /* the second ACK of NEWLEADER, or one of history that was synchronized */
    if (zxid > peer->forwarded) {
        link_drop(zab, peer, "it acknowledges 0x%llx, which it was not sent",
                  (unsigned long long)zxid);
        return;
    }
    if (zxid <= peer->acked)
        return;
    peer->acked = zxid;
    peer->behind_since_ms = zxid >= peer->forwarded ? 0 : MK_MAX(zab->now_ms, 1);
    lead_commit_progress(zab);
}

/* How far each voter has the log on its disk, as it says itself. */
static void collect_acked(const struct zab *zab, int64_t *values)
{
    for (size_t i = 0; i < QUORUM_MEMBERS_MAX; i++)
        values[i] = -1;
    int self = member_index(zab, zab->options.id);
    if (self >= 0)
        values[self] = zab->persisted;
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        const struct peer *peer = zab->peers[i];
        if (!peer || !peer->votes || peer->phase < PEER_SYNCED)
            continue;
        int index = member_index(zab, peer->server);
        if (ZAB_MUTANT(18) && index >= 0 && values[index] > -1)
            index = (index + 1) % (int)zab->options.quorum.count;
        if (index >= 0)
            values[index] = MK_MAX(values[index], peer->acked);
    }
}

static bool somebody_owes(const struct zab *zab)
{
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        const struct peer *peer = zab->peers[i];
        if (peer && peer->votes && peer->phase == PEER_ACTIVE && peer->behind_since_ms)
            return true;
    }
    return false;
}

/* Nothing more is proposed, and all that was is committed: the role can end. A leader that stops
 * gives its followers a tick to have all on their disks: an Apache follower before 3.9.3 whose
 * leader goes while it owes ACKs may lose from its log what its memory has (ZOOKEEPER-4409). */
static void leave_if_done(struct zab *zab)
{
    struct leadership *lead = &zab->lead;
    if (zab->committed < zab_last_logged(zab) || zab_next_zxid(zab) != 0)
        return;
    if (lead->stopping && somebody_owes(zab))
        lead->phase_deadline_ms = MK_MIN(lead->phase_deadline_ms, zab->now_ms + ticks_ms(zab, 1));
    else if (lead->stopping)
        leave(zab, MK_LEVEL_INFO, "");
    else
        look_again(zab, "the counter of epoch %lld is used up", (long long)lead->epoch);
}

void lead_commit_progress(struct zab *zab)
{
    if (zab->role != ZAB_LEADING || !zab->lead.established)
        return;
    int64_t values[QUORUM_MEMBERS_MAX];
    collect_acked(zab, values);
    int64_t committed = quorum_reached_value(&zab->options.quorum, values, zab->committed);
    zab->lead.proving = committed = MK_MIN(committed, zab_last_logged(zab));
    lead_syncs_progress(zab); /* those that waited for a proof only, before the commits behind */
    if (zab->committed < committed)
        zab->counts.commits +=
            history_after(&zab->history, committed) - history_after(&zab->history, zab->committed);
    while (zab->committed < committed) {
        zab->committed = lead_next_sync(zab, committed);
        forward_all(zab);
        lead_syncs_progress(zab);
    }
    apply_up_to(zab, MK_MIN(zab->committed, zab->persisted));
    lead_syncs_progress(zab);
    leave_if_done(zab);
}
