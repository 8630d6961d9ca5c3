/* SPDX-License-Identifier: MIT */
/* A follower or observer: its way to the leader, discovery, and the clock (quorum-protocol
 * reference, 5.2, 8 and 9.2). Called by zab.c and elect.c. Synchronization is in learn_sync.c,
 * broadcast in learn_broadcast.c. It must never promise an epoch before the promise is durable, and
 * never answer out of a phase that it is not in. */
#include "base/zxid.h"
#include "wire/records.gen.h"
#include "zab/zab_int.h"

#define DIALS_MAX 5
#define DIAL_AGAIN_MS 100

static void dial(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    learn->retry_ms = 0;
    learn->tries++;
    zab->update->connect = true;
    zab->update->connect_to = zab->election.own.leader;
}

void learn_wait(struct zab *zab, int32_t ticks)
{
    zab->learn.deadline_ms = zab->now_ms + ticks_ms(zab, ticks);
}

void learn_begin(struct zab *zab)
{
    zab->learn = (struct learnership){.phase = LEARNER_CONNECTING};
    role_enter(zab, zab->options.observer ? ZAB_OBSERVING : ZAB_FOLLOWING, ZAB_DISCOVERY);
    ZAB_TRACE(zab, MK_LEVEL_INFO, "elected: following server %lld",
              (long long)zab->election.own.leader);
    learn_wait(zab, zab->options.init_limit_ticks);
    dial(zab);
}

void learn_connected(struct zab *zab, struct peer *peer)
{
    struct learnership *learn = &zab->learn;
    learn->linked = true;
    learn->link = peer->number;
    learn->phase = LEARNER_INFO;
    peer->server = zab->election.own.leader;
    uint8_t data[20];
    uint8_t *end = mk_learner_info_store(
        data, &(struct mk_learner_info){.server_id = zab->options.id,
                                        .protocol_version = PACKET_PROTOCOL_VERSION,
                                        .config_version = zab->options.quorum.version});
    link_send(zab, peer, zab->options.observer ? PACKET_OBSERVER_INFO : PACKET_FOLLOWER_INFO,
              zab->accepted_epoch << 32, mk_bytes_of(data, (size_t)(end - data)));
    learn_wait(zab, zab->options.init_limit_ticks);
}

/* The leader often begins to listen later than its followers dial. */
void learn_refused(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    if (learn->phase != LEARNER_CONNECTING || learn->linked)
        return;
    if (learn->tries >= DIALS_MAX)
        look_again(zab, "leader %lld cannot be reached", (long long)zab->election.own.leader);
    else
        learn->retry_ms = zab->now_ms + DIAL_AGAIN_MS;
}

void learn_ask_tree(struct zab *zab, const char *reason)
{
    struct learnership *learn = &zab->learn;
    link_drop(zab, link_find(zab, learn->link), reason);
    learn->wants_tree = true;
    learn->linked = false;
    learn->phase = LEARNER_CONNECTING;
    learn->tries = 0;
    zab->phase = ZAB_DISCOVERY;
    learn_wait(zab, zab->options.init_limit_ticks);
    dial(zab);
}

/* --- discovery -------------------------------------------------------------------------------- */

/* A leader answers the zxid -1 by its tree; the promise to it was given and counted before. */
static void send_ack_epoch(struct zab *zab, int64_t current_epoch)
{
    struct peer *peer = link_find(zab, zab->learn.link);
    uint8_t data[4];
    mk_store_int(data, (int32_t)current_epoch);
    link_send(zab, peer, PACKET_ACK_EPOCH,
              zab->learn.wants_tree || !zab->trusted ? -1 : zab_last_logged(zab),
              mk_bytes_of(data, sizeof data));
    zab->learn.phase = LEARNER_SYNC;
    zab->phase = ZAB_SYNCHRONIZATION;
    learn_wait(zab, zab->options.init_limit_ticks);
}

static void leader_info(struct zab *zab, const struct packet *packet)
{
    struct learnership *learn = &zab->learn;
    int64_t epoch = (int64_t)mk_zxid_epoch(packet->zxid);
    if (packet->type != PACKET_LEADER_INFO) {
        look_again(zab, "the leader began with %s", packet_name(packet->type));
        return;
    }
    if (epoch > EPOCH_MAX) {
        look_again(zab, "leader %lld has the absurd epoch %lld",
                   (long long)zab->election.own.leader, (long long)epoch);
        return;
    }
    if (epoch < zab->accepted_epoch && !ZAB_MUTANT(24)) {
        look_again(zab, "leader %lld has epoch %lld, but %lld was promised already",
                   (long long)zab->election.own.leader, (long long)epoch,
                   (long long)zab->accepted_epoch);
        return;
    }
    learn->epoch = epoch;
    if (epoch == zab->accepted_epoch) { /* promised before, maybe to another: must not count */
        send_ack_epoch(zab, -1);
        return;
    }
    learn->wants_tree = false; /* of a leader that it asked in another epoch */
    learn->ticket = disk_step(zab, ZAB_DISK_ACCEPTED_EPOCH, epoch);
    zab->accepted_epoch = epoch;
    learn->phase = LEARNER_PROMISING;
    if (ZAB_MUTANT(6))
        send_ack_epoch(zab, zab->current_epoch);
}

bool learn_reads(const struct zab *zab)
{
    switch (zab->learn.phase) {
    case LEARNER_CONNECTING:
    case LEARNER_PROMISING:
    case LEARNER_TRUNCATING:
    case LEARNER_INSTALLING:
    case LEARNER_ADOPTING:
        return false;
    case LEARNER_SNAPSHOT:
        return !zab->learn.loading;
    default:
        return true;
    }
}

void learn_packet(struct zab *zab, struct peer *peer, const struct packet *packet)
{
    struct learnership *learn = &zab->learn;
    switch (learn->phase) {
    case LEARNER_INFO:
        leader_info(zab, packet);
        return;
    case LEARNER_SYNC:
    case LEARNER_HISTORY:
        learn_wait(zab, zab->options.init_limit_ticks);
        learn_sync_packet(zab, packet);
        return;
    case LEARNER_ADOPTED:
        learn_broadcast_packet(zab, peer, packet);
        return;
    case LEARNER_ACTIVE:
        learn_wait(zab, zab->options.sync_limit_ticks);
        learn_broadcast_packet(zab, peer, packet);
        return;
    default:
        MK_ASSERT(!"a packet in a phase that reads none");
    }
}

void learn_disk_done(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    if (learn->phase == LEARNER_PROMISING && zab->ticket_done >= learn->ticket)
        send_ack_epoch(zab, zab->current_epoch);
    else
        learn_sync_disk_done(zab);
    learn_progress(zab);
}

/* --- the clock and the end -------------------------------------------------------------------- */

/* It is the leader's turn: what the own disk or memory needs is no silence. */
static bool waits_for_leader(const struct zab *zab)
{
    return learn_reads(zab) || zab->learn.phase == LEARNER_CONNECTING;
}

void learn_tick(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    if (learn->retry_ms && zab->now_ms >= learn->retry_ms)
        dial(zab);
    if (zab->now_ms < learn->deadline_ms)
        return;
    if (waits_for_leader(zab))
        look_again(zab, "leader %lld is silent", (long long)zab->election.own.leader);
    else
        learn_wait(zab, zab->options.init_limit_ticks);
}

int64_t learn_deadline(const struct zab *zab)
{
    const struct learnership *learn = &zab->learn;
    if (learn->retry_ms)
        return MK_MIN(learn->retry_ms, learn->deadline_ms);
    return learn->deadline_ms;
}

void learn_end(struct zab *zab)
{
    struct learnership *learn = &zab->learn;
    learn->linked = false;
    learn->loading = false;
    learn->epoch = 0;
    if (learn->dirty && !zab->reloading)
        reload(zab);
    learn->dirty = false;
}
