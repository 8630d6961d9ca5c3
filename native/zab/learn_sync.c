/* SPDX-License-Identifier: MIT */
/* Synchronization, the learner's side: DIFF, TRUNC or SNAP, then proposals until NEWLEADER
 * (quorum-protocol reference, 5.4 and 9.2). Called by learn.c. The order of persistence is its
 * whole purpose: a note of the new epoch before the first transaction of it, all history before
 * currentEpoch, both before the ACK of NEWLEADER (hazards 3911, 4643, 4646). Until a snapshot or a
 * cut is durable, what the disk held before is what this server has (hazards 3642, 5094). */
#include "base/zxid.h"
#include "wire/jute.h"
#include "zab/zab_int.h"

#define SIGNATURE_BYTES (4 + sizeof PACKET_SNAPSHOT_SIGNATURE - 1)
#define LACKS_ITS_LAST "its history ends with a transaction that this log lacks"

/* Transactions of the leader's epoch may follow: recovery can tell that they are no accident. */
static void prepare_epoch(struct zab *zab)
{
    if (zab->current_epoch == zab->learn.epoch)
        return;
    if (ZAB_MUTANT(5))
        disk_step(zab, ZAB_DISK_CURRENT_EPOCH, zab->learn.epoch);
    else
        disk_step(zab, ZAB_DISK_PREPARE_EPOCH, zab->learn.epoch);
}

static void begin_history(struct zab *zab)
{
    zab->learn.phase = LEARNER_HISTORY;
    learn_wait(zab, zab->options.init_limit_ticks);
}

/* --- DIFF and TRUNC --------------------------------------------------------------------------- */

static void diff(struct zab *zab, int64_t zxid)
{
    struct learnership *learn = &zab->learn;
    if (!zab->trusted && !ZAB_MUTANT(15)) {
        look_again(zab, "the leader sent DIFF, but this server has no data to build on");
        return;
    }
    if (learn->wants_tree) {
        look_again(zab, "the leader sent DIFF to a server that needs its tree");
        return;
    }
    /* What it calls committed and this server has; the rest comes, or is told, later. */
    learn->committed = MK_MIN(zab_last_logged(zab), zxid);
    prepare_epoch(zab);
    begin_history(zab);
}

/* Whether this log has the history that ends with `zxid`, so far as memory can tell: what lies
 * before the first transaction of an epoch is what the epoch began with. */
static bool has_history_to(const struct zab *zab, int64_t zxid)
{
    const struct history *history = &zab->history;
    if (zxid <= history->base || history_find(history, zxid))
        return true;
    uint32_t next = history_after(history, zxid);
    return mk_zxid_counter(zxid) == 0 && next < history->count &&
           history_at(history, next)->zxid == zxid + 1;
}

static void truncate(struct zab *zab, int64_t zxid)
{
    struct learnership *learn = &zab->learn;
    if (!zab->trusted || zxid < 0 || zxid > zab_last_logged(zab)) {
        look_again(zab, "the leader sent TRUNC to 0x%llx, but the log ends at 0x%llx",
                   (unsigned long long)zxid, (unsigned long long)zab_last_logged(zab));
        return;
    }
    if (zxid < zab->committed) {
        look_again(zab,
                   "the leader sent TRUNC to 0x%llx, but 0x%llx is committed: it does not "
                   "know what this ensemble has acknowledged",
                   (unsigned long long)zxid, (unsigned long long)zab->committed);
        return;
    }
    if (zxid < zab->floor) {
        learn_ask_tree(zab, "its history ends below this server's snapshot");
        return;
    }
    if (!has_history_to(zab, zxid)) {
        learn_ask_tree(zab, LACKS_ITS_LAST);
        return;
    }
    ZAB_TRACE(zab, MK_LEVEL_WARN, "dropping what was never committed: 0x%llx to 0x%llx",
              (unsigned long long)(zxid + 1), (unsigned long long)zab_last_logged(zab));
    prepare_epoch(zab);
    learn->committed = zxid;
    learn->sync_zxid = zxid;
    learn->dirty = zab->apply_to > zxid && !ZAB_MUTANT(10);
    learn->ticket = disk_truncate(zab, zxid);
    learn->phase = LEARNER_TRUNCATING;
}

static void truncated(struct zab *zab)
{
    if (zab->reloading)
        return;
    if (zab->learn.dirty) /* memory has what was cut off */
        reload(zab);
    else
        begin_history(zab);
}

void learn_reloaded(struct zab *zab, int64_t zxid)
{
    struct learnership *learn = &zab->learn;
    if (learn->phase != LEARNER_TRUNCATING)
        return;
    learn->dirty = false;
    if (zxid > learn->sync_zxid) {
        look_again(zab, "the log could not be cut at 0x%llx", (unsigned long long)learn->sync_zxid);
        return;
    }
    if (zxid != zab_last_logged(zab)) { /* there is no such transaction here (hazard T1) */
        history_reset(&zab->history, zxid);
        zab->persisted = zxid;
        learn->committed = zxid;
        if (mk_zxid_counter(learn->sync_zxid) != 0) {
            learn_ask_tree(zab, LACKS_ITS_LAST);
            return;
        }
    }
    begin_history(zab);
}

/* --- SNAP ------------------------------------------------------------------------------------- */

static void snapshot(struct zab *zab, int64_t zxid)
{
    struct learnership *learn = &zab->learn;
    if (zxid < 0 || zxid < zab->committed) {
        look_again(zab, "the leader sent its tree at 0x%llx, but 0x%llx is committed",
                   (unsigned long long)zxid, (unsigned long long)zab->committed);
        return;
    }
    if (mk_zxid_epoch(zxid) > learn->epoch) {
        look_again(zab, "the leader sent its tree at 0x%llx in epoch %lld",
                   (unsigned long long)zxid, (long long)learn->epoch);
        return;
    }
    ZAB_TRACE(zab, MK_LEVEL_INFO,
              "the leader sends its tree at 0x%llx, in place of what is here (to 0x%llx)",
              (unsigned long long)zxid, (unsigned long long)zab_last_logged(zab));
    learn->sync_zxid = zxid;
    learn->dirty = true;
    learn->starved = -1;
    learn->phase = LEARNER_SNAPSHOT;
    zab->update->snapshot_begin = true;
}

static void install(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    prepare_epoch(zab);
    learn->ticket = disk_install(zab, learn->sync_zxid);
    learn->committed = learn->sync_zxid;
    zab->applied = zab->apply_to = learn->sync_zxid;
    learn->phase = LEARNER_INSTALLING;
    if (ZAB_MUTANT(30))
        begin_history(zab);
}

static void installed(struct zab *zab)
{
    zab->learn.dirty = false;
    begin_history(zab);
}

static size_t take_signature(struct zab *zab, struct mk_bytes bytes)
{
    if (mk_bytes_size(bytes) < SIGNATURE_BYTES)
        return 0;
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, bytes, NULL);
    struct mk_bytes signature = mk_read_bytes(&reader);
    if (reader.error || !mk_bytes_equal_string(signature, PACKET_SNAPSHOT_SIGNATURE)) {
        look_again(zab, "the leader's tree does not end as it should");
        return 0;
    }
    install(zab);
    return SIGNATURE_BYTES;
}

size_t learn_snapshot_input(struct zab *zab, struct mk_bytes bytes)
{
    struct learnership *learn = &zab->learn;
    if (learn->phase == LEARNER_SIGNATURE)
        return take_signature(zab, bytes);
    if (bytes.length == 0 || bytes.length <= learn->starved)
        return 0; /* no more than what was too little */
    learn_wait(zab, zab->options.init_limit_ticks);
    learn->loading = true;
    learn->starved = bytes.length;
    zab->update->snapshot_input = bytes;
    return 0;
}

void learn_snapshot_taken(struct zab *zab, const struct zab_event *event)
{
    struct learnership *learn = &zab->learn;
    if (!learn->loading)
        return; /* of a stream that was given up */
    learn->loading = false;
    if (event->failed) {
        look_again(zab, "the leader's tree cannot be read");
        return;
    }
    if (event->count)
        learn->starved = -1;
    zab->update->consumed = event->count;
    if (event->flag)
        learn->phase = LEARNER_SIGNATURE;
}

/* --- proposals until NEWLEADER ---------------------------------------------------------------- */

static void new_leader(struct zab *zab, const struct packet *packet)
{
    struct learnership *learn = &zab->learn;
    if (packet->zxid != learn->epoch << 32) {
        look_again(zab, "NEWLEADER 0x%llx is not of epoch %lld", (unsigned long long)packet->zxid,
                   (long long)learn->epoch);
        return;
    }
    learn->phase = LEARNER_ADOPTING;
    /* The disk's steps are done in order, so history is durable before this one begins. */
    learn->ticket = zab->ticket_issued;
    if (zab->current_epoch != learn->epoch)
        learn->ticket = disk_step(zab, ZAB_DISK_CURRENT_EPOCH, learn->epoch);
    if (ZAB_MUTANT(3))
        learn->ticket--;
    if (ZAB_MUTANT(4) || (ZAB_MUTANT(30) && zab->floor == learn->sync_zxid))
        learn->ticket = 0;
    if (zab->ticket_done >= learn->ticket)
        learn_sync_disk_done(zab);
}

static void adopted(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    learn->phase = LEARNER_ADOPTED;
    zab->trusted = true; /* not before: its vote with the older epoch would lose to who has less */
    learn->acked = learn->committed; /* what is not committed is acknowledged from now on */
    learn_wait(zab, zab->options.init_limit_ticks);
    link_send(zab, link_find(zab, learn->link), PACKET_ACK, learn->epoch << 32, MK_BYTES_NULL);
}

void learn_sync_disk_done(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    if (zab->ticket_done < learn->ticket)
        return;
    switch (learn->phase) {
    case LEARNER_TRUNCATING:
        truncated(zab);
        return;
    case LEARNER_INSTALLING:
        installed(zab);
        return;
    case LEARNER_ADOPTING:
        adopted(zab);
        return;
    default:
        return;
    }
}

static void first_packet(struct zab *zab, const struct packet *packet)
{
    switch (packet->type) {
    case PACKET_DIFF:
        diff(zab, packet->zxid);
        return;
    case PACKET_TRUNC:
        truncate(zab, packet->zxid);
        return;
    case PACKET_SNAP:
        snapshot(zab, packet->zxid);
        return;
    case PACKET_PING:
        return;
    default:
        look_again(zab, "the leader sent %s instead of DIFF, TRUNC or SNAP",
                   packet_name(packet->type));
    }
}

void learn_sync_packet(struct zab *zab, const struct packet *packet)
{
    if (zab->learn.phase == LEARNER_SYNC) {
        first_packet(zab, packet);
        return;
    }
    switch (packet->type) {
    case PACKET_PROPOSAL:
        learn_proposal(zab, packet);
        return;
    case PACKET_INFORM:
        if (learn_proposal(zab, packet))
            learn_commit(zab, packet->zxid);
        return;
    case PACKET_COMMIT:
        learn_commit(zab, packet->zxid);
        return;
    case PACKET_NEW_LEADER:
        new_leader(zab, packet);
        return;
    case PACKET_PING:
        return; /* its answer would be taken for the ACK of NEWLEADER */
    case PACKET_UP_TO_DATE:
    case PACKET_DIFF:
    case PACKET_TRUNC:
    case PACKET_SNAP:
        look_again(zab, "the leader sent %s before NEWLEADER", packet_name(packet->type));
        return;
    default:
        ZAB_TRACE(zab, MK_LEVEL_WARN, "%s during synchronization: ignored",
                  packet_name(packet->type));
    }
}
