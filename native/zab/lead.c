/* SPDX-License-Identifier: MIT */
/* The leader: its beginning and end, what each packet of a learner means in the phase that the
 * learner is in, and the clock (quorum-protocol reference, 5.1, 5.3, 7 and 8). Called by zab.c and
 * elect.c. The phases themselves are in lead_discover.c, lead_sync.c, lead_broadcast.c and
 * lead_confirm.c. It must never lead on without a quorum that it hears. */
#include <stdio.h>

#include "base/mem.h"
#include "base/zxid.h"
#include "zab/zab_int.h"

void lead_begin(struct zab *zab)
{
    struct sync_waits syncs = zab->lead.syncs;
    syncs.count = 0;
    zab->lead = (struct leadership){
        .epoch_asked = zab->accepted_epoch,
        .summary_epoch = zab->current_epoch,
        .summary_zxid = zab_last_logged(zab),
        .phase_deadline_ms = zab->now_ms + ticks_ms(zab, zab->options.init_limit_ticks),
        .syncs = syncs,
    };
    role_enter(zab, ZAB_LEADING, ZAB_DISCOVERY);
    ZAB_TRACE(zab, MK_LEVEL_INFO, "elected: leading from zxid 0x%llx",
              (unsigned long long)zab_last_logged(zab));
    /* Memory may lack the end of the log, which becomes history of the new epoch. */
    apply_up_to(zab, zab_last_logged(zab));
    lead_discover_progress(zab);
}

void lead_accepted(struct zab *zab, struct peer *peer, struct mk_bytes address)
{
    peer->phase = PEER_CONNECTED;
    peer->heard_ms = zab->now_ms;
    snprintf(peer->address, sizeof peer->address, "%.*s", (int)mk_bytes_size(address),
             (const char *)address.data);
}

static void broadcast_packet(struct zab *zab, struct peer *peer, const struct packet *packet)
{
    struct zab_delivery delivery = {.link = peer->number,
                                    .server = peer->server,
                                    .bytes = packet->data,
                                    .identities = packet->identities};
    switch (packet->type) {
    case PACKET_ACK:
        lead_ack(zab, peer, packet->zxid);
        return;
    case PACKET_PING:
        lead_ping_answer(zab, peer, packet);
        return;
    case PACKET_REQUEST:
        delivery.type = ZAB_REQUEST;
        break;
    case PACKET_REVALIDATE:
        delivery.type = ZAB_REVALIDATE;
        break;
    default:
        ZAB_TRACE(zab, MK_LEVEL_WARN, "server %lld sent %s in broadcast: ignored",
                  (long long)peer->server, packet_name(packet->type));
        return;
    }
    deliver(zab, &delivery);
}

void lead_packet(struct zab *zab, struct peer *peer, const struct packet *packet)
{
    peer->heard_ms = zab->now_ms;
    switch (peer->phase) {
    case PEER_CONNECTED:
        lead_info(zab, peer, packet);
        return;
    case PEER_EPOCH:
        lead_promise(zab, peer, packet);
        return;
    case PEER_SYNCING:
    case PEER_SYNCED:
        /* Some releases acknowledge proposals before NEWLEADER (hazard 4685). */
        if (packet->type == PACKET_ACK)
            lead_sync_ack(zab, peer, packet->zxid);
        else if (packet->type != PACKET_PING)
            link_drop(zab, peer, "%s came instead of the ACK of NEWLEADER",
                      packet_name(packet->type));
        return;
    case PEER_ACTIVE:
        broadcast_packet(zab, peer, packet);
        return;
    case PEER_UNUSED:
    case PEER_INFO:
    case PEER_PROMISED:
    case PEER_SNAPSHOT:
        link_drop(zab, peer, "%s came before anything was asked for", packet_name(packet->type));
    }
}

void lead_disk_done(struct zab *zab)
{
    if (zab->lead.established)
        lead_commit_progress(zab);
    else
        lead_discover_progress(zab);
}

void lead_applied(struct zab *zab)
{
    if (!zab->lead.established)
        lead_discover_progress(zab);
}

bool lead_quorum_in(const struct zab *zab, bool (*counts)(const struct peer *peer))
{
    struct quorum_set set;
    quorum_set_clear(&set);
    quorum_set_add(&set, zab->options.id);
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        const struct peer *peer = zab->peers[i];
        if (peer && peer->votes && counts(peer))
            quorum_set_add(&set, peer->server);
    }
    return quorum_reached(&zab->options.quorum, &set);
}

static bool is_active(const struct peer *peer)
{
    return peer->phase == PEER_ACTIVE;
}

static bool has_quorum(const struct zab *zab)
{
    return lead_quorum_in(zab, is_active);
}

/* Without a quorum there is nothing to wait for: the others elect already, and need this server's
 * vote. Not from here, where links are being walked. */
static void look_at_quorum(struct zab *zab)
{
    if (zab->lead.established && !has_quorum(zab))
        zab->lead.ping_ms = zab->now_ms;
}

void lead_peer_gone(struct zab *zab, struct peer *peer)
{
    struct sync_waits *syncs = &zab->lead.syncs;
    bool told = peer->phase == PEER_ACTIVE;
    peer->phase = PEER_UNUSED;
    peer->votes = false;
    if (told)
        deliver(zab, &(struct zab_delivery){
                         .type = ZAB_LEARNER_GONE, .link = peer->number, .server = peer->server});
    size_t kept = 0;
    for (size_t i = 0; i < syncs->count; i++)
        if (syncs->items[i].local || syncs->items[i].link != peer->number)
            syncs->items[kept++] = syncs->items[i];
    syncs->count = kept;
    look_at_quorum(zab);
}

/* --- the clock -------------------------------------------------------------------------------- */

/* Whether `peer` was silent for too long where it is its turn. */
static bool is_late(const struct zab *zab, const struct peer *peer)
{
    int64_t silent = zab->now_ms - peer->heard_ms;
    int32_t init = zab->options.init_limit_ticks;
    int32_t sync = zab->options.sync_limit_ticks;
    switch (peer->phase) {
    case PEER_CONNECTED:
    case PEER_EPOCH:
    case PEER_SYNCING:
        return silent > ticks_ms(zab, init + sync);
    case PEER_ACTIVE:
        return silent > ticks_ms(zab, sync);
    default:
        return false;
    }
}

static void drop_late(struct zab *zab)
{
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        struct peer *peer = link_find(zab, i);
        if (!peer)
            continue;
        if (is_late(zab, peer))
            link_drop(zab, peer, "it was silent for %lld ms",
                      (long long)(zab->now_ms - peer->heard_ms));
        else if (peer->behind_since_ms &&
                 zab->now_ms - peer->behind_since_ms > ticks_ms(zab, zab->options.sync_limit_ticks))
            link_drop(zab, peer, "it has not acknowledged 0x%llx for %lld ms (a slow disk?)",
                      (unsigned long long)(peer->acked + 1),
                      (long long)(zab->now_ms - peer->behind_since_ms));
    }
}

void lead_tick(struct zab *zab)
{
    struct leadership *lead = &zab->lead;
    if (!lead->established) {
        if (zab->now_ms >= lead->phase_deadline_ms) {
            look_again(zab, "no quorum of followers within %d ticks",
                       zab->options.init_limit_ticks);
            return;
        }
        drop_late(zab);
        return;
    }
    if (lead->stopping && zab->now_ms >= lead->phase_deadline_ms) {
        leave(zab, MK_LEVEL_WARN,
              zab->committed < zab_last_logged(zab)
                  ? "; what it proposed last is not committed yet, the next leader decides on it"
                  : "; some of its followers have not acknowledged all that is committed");
        return;
    }
    if (zab->now_ms < lead->ping_ms)
        return;
    drop_late(zab);
    if (!has_quorum(zab)) {
        look_again(zab, "a quorum of followers is lost");
        return;
    }
    lead_ping_round(zab);
    lead->ping_ms = zab->now_ms + MK_MAX(ticks_ms(zab, 1) / 2, 1);
}

int64_t lead_deadline(const struct zab *zab)
{
    const struct leadership *lead = &zab->lead;
    if (lead->established)
        return lead->stopping ? MK_MIN(lead->ping_ms, lead->phase_deadline_ms) : lead->ping_ms;
    return MK_MIN(lead->phase_deadline_ms, zab->now_ms + ticks_ms(zab, 1));
}

/* --- the end ---------------------------------------------------------------------------------- */

void lead_stop(struct zab *zab)
{
    struct leadership *lead = &zab->lead;
    lead->stopping = true;
    lead->phase_deadline_ms = zab->now_ms + ticks_ms(zab, zab->options.sync_limit_ticks);
    if (lead->established)
        lead_commit_progress(zab);
    else
        leave(zab, MK_LEVEL_INFO, "");
}

void lead_end(struct zab *zab)
{
    zab->lead.syncs.count = 0;
    zab->lead.established = false;
    zab->lead.epoch = 0;
}
