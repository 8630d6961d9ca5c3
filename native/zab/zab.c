/* SPDX-License-Identifier: MIT */
/* The door of the layer: creation, zab_step and what the host may look at. Each event goes to the
 * role that it is for; what may follow from it (an election that was due, acknowledgements) is done
 * before the step ends, so an update is always whole. Called by the replica's host and by the
 * simulator. */
#include "zab/zab.h"

#include "base/mem.h"
#include "base/zxid.h"
#include "zab/zab_int.h"

#ifdef MK_MUTANTS
int zab_mutant;
#endif

void zab_options_init(struct zab_options *options)
{
    *options = (struct zab_options){
        .tick_time_ms = 2000,
        .init_limit_ticks = 10,
        .sync_limit_ticks = 5,
        .history_entries_max = 10000,
        .history_bytes_max = 64 << 20,
        .packet_bytes_max = 2 << 20,
        .learner_output_max = 64 << 20,
        .notification_min_ms = 200,
        .notification_max_ms = 60000,
        .finalize_wait_ms = 200,
        /* Apache never proposes the counter 0xffffffff (quorum-protocol reference, 10). */
        .counter_max = UINT32_MAX - 1,
    };
}

struct zab *zab_new(const struct zab_options *options)
{
    struct zab *zab = mk_alloc(sizeof *zab);
    *zab = (struct zab){.options = *options};
    mk_buffer_append_bytes(&zab->config, options->config);
    zab->options.config = mk_buffer_bytes(&zab->config);
    history_init(&zab->history, options->history_entries_max, options->history_bytes_max);
    zab->election.own.leader = ZAB_NOBODY;
    mk_arena_init(&zab->arena);
    return zab;
}

void zab_free(struct zab *zab)
{
    if (!zab)
        return;
    links_free(zab);
    history_fini(&zab->history);
    mk_buffer_fini(&zab->config);
    mk_free(zab->appends);
    mk_free(zab->lead.syncs.items);
    mk_arena_fini(&zab->arena);
    mk_free(zab);
}

void zab_restore_entry(struct zab *zab, int64_t zxid, struct mk_bytes bytes)
{
    MK_ASSERT(!zab->started);
    if (mk_bytes_size(bytes) > zab->options.packet_bytes_max) { /* made while it was alone */
        history_reset(&zab->history, zxid);
        return;
    }
    if (zab->history.count == 0 || !history_follows(&zab->history, zxid))
        history_reset(&zab->history, zxid - 1);
    history_append(&zab->history, zxid, bytes);
    history_trim(&zab->history, zxid);
}

static void start(struct zab *zab, const struct zab_state *state)
{
    MK_ASSERT(!zab->started && state->accepted_epoch >= state->current_epoch);
    zab->started = true;
    zab->trusted = state->last_zxid >= 0 || ZAB_MUTANT(15);
    int64_t last = zab->trusted ? MK_MAX(state->last_zxid, 0) : -1;
    if (history_last(&zab->history) != last || !zab->trusted)
        history_reset(&zab->history, last);
    zab->accepted_epoch = state->accepted_epoch;
    zab->current_epoch = state->current_epoch;
    zab->floor = state->snapshot_zxid;
    zab->persisted = zab->applied = zab->apply_to = last;
    role_enter(zab, ZAB_LOOKING, ZAB_ELECTION);
    elect_later(zab);
}

static void stop(struct zab *zab)
{
    if (zab->stopped)
        return;
    zab->stopped = true;
    if (zab->role == ZAB_LEADING)
        lead_stop(zab);
    else
        leave(zab, MK_LEVEL_INFO, "");
}

/* --- links ------------------------------------------------------------------------------------ */

static bool is_learner(const struct zab *zab)
{
    return zab->role == ZAB_FOLLOWING || zab->role == ZAB_OBSERVING;
}

static void link_accepted(struct zab *zab, const struct zab_event *event)
{
    struct peer *peer = link_open(zab, event->link);
    if (zab->role != ZAB_LEADING || zab->lead.stopping)
        link_drop(zab, peer, "this server does not lead");
    else
        lead_accepted(zab, peer, event->bytes);
}

static void link_connected(struct zab *zab, const struct zab_event *event)
{
    struct peer *peer = link_open(zab, event->link);
    if (!is_learner(zab) || zab->learn.phase != LEARNER_CONNECTING || zab->learn.linked)
        link_drop(zab, peer, "the leader is not wanted any more");
    else
        learn_connected(zab, peer);
}

static void packet_in(struct zab *zab, struct peer *peer, const struct packet *packet)
{
    ZAB_TRACE(zab, MK_LEVEL_DEBUG, "%s zxid 0x%llx from server %lld", packet_name(packet->type),
              (unsigned long long)packet->zxid, (long long)peer->server);
    if (zab->role == ZAB_LEADING)
        lead_packet(zab, peer, packet);
    else
        learn_packet(zab, peer, packet);
}

/* May more be read from the link? It may have been closed by what was read. */
static bool reads(struct zab *zab, const struct peer *peer)
{
    if (peer->link.closing)
        return false;
    return zab->role == ZAB_LEADING || learn_reads(zab);
}

static void link_bytes(struct zab *zab, const struct zab_event *event)
{
    struct peer *peer = link_find(zab, event->link);
    if (!peer)
        return;
    size_t at = 0;
    size_t size = mk_bytes_size(event->bytes);
    while (reads(zab, peer)) {
        struct mk_bytes rest = mk_bytes_of(event->bytes.data + at, size - at);
        if (is_learner(zab) &&
            (zab->learn.phase == LEARNER_SNAPSHOT || zab->learn.phase == LEARNER_SIGNATURE)) {
            size_t taken = learn_snapshot_input(zab, rest);
            at += taken;
            if (!taken)
                break;
            continue;
        }
        struct packet packet;
        size_t consumed = 0;
        int result = packet_read(rest, zab->options.packet_bytes_max, &packet, &consumed);
        if (result == 0)
            break;
        if (result < 0) {
            link_drop(zab, peer, "it sent no QuorumPacket, or one above %zu bytes",
                      zab->options.packet_bytes_max);
            if (is_learner(zab))
                look_again(zab, "the leader's packets cannot be read");
            break;
        }
        at += consumed;
        packet_in(zab, peer, &packet);
    }
    zab->update->consumed = at;
}

static void link_down(struct zab *zab, const struct zab_event *event)
{
    struct peer *peer = event->link < zab->peer_capacity ? zab->peers[event->link] : NULL;
    MK_ASSERT(peer);
    bool news = !peer->link.closing;
    peer->link.closing = true;
    if (news && zab->role == ZAB_LEADING)
        lead_peer_gone(zab, peer);
    else if (news && is_learner(zab))
        look_again(zab, "the connection to leader %lld is lost",
                   (long long)zab->election.own.leader);
    link_forget(zab, event->link);
}

static void link_drained(struct zab *zab, const struct zab_event *event)
{
    struct peer *peer = link_find(zab, event->link);
    if (peer && (peer->phase == PEER_SNAPSHOT || peer->phase == PEER_SYNCING))
        peer->heard_ms = zab->now_ms; /* its limit begins when it has all that it must answer */
}

/* --- words of the layers above ---------------------------------------------------------------- */

static void submit(struct zab *zab, const struct zab_event *event)
{
    MK_ASSERT(event->zxid != 0 && event->zxid == zab_next_zxid(zab));
    lead_submit(zab, event->zxid, event->bytes);
}

static void sync_asked(struct zab *zab, const struct zab_event *event)
{
    if (zab->role != ZAB_LEADING || !zab->serving)
        return; /* the learner or client hears of the end of the role */
    if (!event->flag) {
        lead_sync_request(zab, NULL, event->ticket);
        return;
    }
    struct peer *peer = link_find(zab, event->link);
    if (peer && peer->phase == PEER_ACTIVE)
        lead_sync_request(zab, peer, 0);
}

static void send_asked(struct zab *zab, const struct zab_event *event)
{
    struct peer *peer = NULL;
    int64_t zxid = -1;
    if (is_learner(zab) && zab->learn.phase == LEARNER_ACTIVE) {
        peer = link_find(zab, zab->learn.link);
        if (event->packet_type == PACKET_PING)
            zxid = zab->learn.ping_zxid;
    } else if (zab->role == ZAB_LEADING) {
        if (event->packet_type == PACKET_REVALIDATE)
            zxid = zab->lead.proposed; /* Apache writes -1, and reads nothing */
        peer = link_find(zab, event->link);
        if (peer && peer->phase != PEER_ACTIVE)
            peer = NULL;
    }
    if (!peer)
        return;
    struct mk_bytes data = event->bytes;
    if (data.length < 0) /* null data in the answer to a PING ends an Apache leader's handler */
        data = mk_bytes_of(NULL, 0);
    packet_send(zab, peer, &peer->link.output,
                &(struct packet){.type = event->packet_type,
                                 .zxid = zxid,
                                 .data = data,
                                 .identities = event->identities});
}

/* --- the step --------------------------------------------------------------------------------- */

static void tick(struct zab *zab)
{
    if (zab->role == ZAB_LOOKING)
        elect_tick(zab);
    else if (zab->role == ZAB_LEADING)
        lead_tick(zab);
    else
        learn_tick(zab);
}

static void disk_progress(struct zab *zab, uint64_t ticket)
{
    disk_done(zab, ticket);
    if (zab->role == ZAB_LEADING)
        lead_disk_done(zab);
    else if (is_learner(zab))
        learn_disk_done(zab);
}

static void applied(struct zab *zab, int64_t zxid)
{
    if (zab->reloading) /* of memory that is being thrown away */
        return;
    MK_ASSERT(zxid <= zab->apply_to);
    zab->applied = MK_MAX(zab->applied, zxid);
    if (zab->role == ZAB_LEADING)
        lead_applied(zab);
    else if (is_learner(zab))
        learn_progress(zab);
}

static void reloaded(struct zab *zab, int64_t zxid)
{
    MK_ASSERT(zab->reloading);
    zab->reloading = false;
    zab->applied = zab->apply_to = zxid;
    zab->committed = MK_MIN(zab->committed, zxid);
    if (is_learner(zab))
        learn_reloaded(zab, zxid);
}

static void dispatch(struct zab *zab, const struct zab_event *event)
{
    switch (event->type) {
    case ZAB_START:
        start(zab, &event->state);
        break;
    case ZAB_TICK:
        tick(zab);
        break;
    case ZAB_STOP:
        stop(zab);
        break;
    case ZAB_PEER_UP:
        elect_peer_up(zab, event->server);
        break;
    case ZAB_PEER_DOWN:
        elect_peer_down(zab, event->server);
        break;
    case ZAB_PEER_MESSAGE:
        elect_message(zab, event->server, event->bytes);
        break;
    case ZAB_LINK_ACCEPTED:
        link_accepted(zab, event);
        break;
    case ZAB_LINK_CONNECTED:
        link_connected(zab, event);
        break;
    case ZAB_LINK_REFUSED:
        if (is_learner(zab))
            learn_refused(zab);
        break;
    case ZAB_LINK_BYTES:
        link_bytes(zab, event);
        break;
    case ZAB_LINK_DOWN:
        link_down(zab, event);
        break;
    case ZAB_LINK_DRAINED:
        link_drained(zab, event);
        break;
    case ZAB_DISK_DONE:
        disk_progress(zab, event->ticket);
        break;
    case ZAB_APPLIED:
        applied(zab, event->zxid);
        break;
    case ZAB_RELOADED:
        reloaded(zab, event->zxid);
        break;
    case ZAB_SNAPSHOT_TAKEN:
        if (is_learner(zab))
            learn_snapshot_taken(zab, event);
        break;
    case ZAB_SNAPSHOT_BYTES: {
        struct peer *peer = link_find(zab, event->link);
        if (peer && zab->role == ZAB_LEADING)
            lead_snapshot_bytes(zab, peer, event->bytes, event->flag);
        break;
    }
    case ZAB_SUBMIT:
        submit(zab, event);
        break;
    case ZAB_SYNC:
        sync_asked(zab, event);
        break;
    case ZAB_SEND:
        send_asked(zab, event);
        break;
    }
}

static int64_t next_deadline(const struct zab *zab)
{
    if (zab->role == ZAB_LOOKING)
        return elect_deadline(zab);
    return zab->role == ZAB_LEADING ? lead_deadline(zab) : learn_deadline(zab);
}

/* The learner's link is read again when the disk has caught up. */
static void pause_link(struct zab *zab)
{
    struct peer *peer =
        is_learner(zab) && zab->learn.linked ? link_find(zab, zab->learn.link) : NULL;
    if (!peer || peer->link.paused == !learn_reads(zab))
        return;
    peer->link.paused = !peer->link.paused;
    link_touch(zab, peer);
}

/* What a peer sent before a long stop of this process is no sign that it follows, or leads, still.
 */
static void wake(struct zab *zab, const struct zab_event *event, int64_t before_ms)
{
    if (event->type == ZAB_LINK_BYTES &&
        zab->now_ms - before_ms > ticks_ms(zab, zab->options.sync_limit_ticks))
        tick(zab);
}

void zab_step(struct zab *zab, const struct zab_event *event, struct zab_update *update)
{
    MK_ASSERT(zab->started || event->type == ZAB_START);
    int64_t before_ms = zab->now_ms;
    zab->now_ms = MK_MAX(zab->now_ms, event->now_ms);
    zab->update = update;
    update->consumed = 0;
    wake(zab, event, before_ms);
    dispatch(zab, event);
    if (zab->role == ZAB_LOOKING && zab->election.due && !zab->stopped && !zab->reloading &&
        disk_idle(zab))
        elect_begin(zab);
    pause_link(zab);
    history_trim(&zab->history, MK_MIN(zab->persisted, zab->applied));
    update->apply_to = zab->apply_to;
    update->deadline_ms = next_deadline(zab);
    mk_arena_reset(&zab->arena);
    zab->update = NULL;
}

/* --- updates ---------------------------------------------------------------------------------- */

void zab_update_init(struct zab_update *update)
{
    *update = (struct zab_update){0};
}

void zab_update_fini(struct zab_update *update)
{
    mk_free(update->touched);
    mk_free(update->disk);
    mk_free(update->messages);
    mk_buffer_fini(&update->message_bytes);
    mk_free(update->deliveries);
    mk_free(update->snapshots);
    *update = (struct zab_update){0};
}

void zab_update_clear(struct zab *zab, struct zab_update *update)
{
    for (size_t i = 0; i < update->touched_count; i++) {
        uint32_t link = update->touched[i];
        if (link < zab->peer_capacity && zab->peers[link])
            zab->peers[link]->link.touched = false;
    }
    update->touched_count = update->disk_count = update->message_count = 0;
    update->delivery_count = update->snapshot_count = 0;
    mk_buffer_clear(&update->message_bytes);
    update->connect = update->reload = update->snapshot_begin = false;
    update->snapshot_input = (struct mk_bytes){NULL, 0};
    update->consumed = 0;
}

/* --- looking ---------------------------------------------------------------------------------- */

struct zab_link *zab_link(struct zab *zab, uint32_t link)
{
    struct peer *peer = link < zab->peer_capacity ? zab->peers[link] : NULL;
    return peer ? &peer->link : NULL;
}

void zab_status(const struct zab *zab, struct zab_status *status)
{
    *status = (struct zab_status){
        .role = zab->role,
        .phase = zab->phase,
        .serving = zab->serving,
        .leader = zab->role == ZAB_LOOKING ? ZAB_NOBODY : zab->election.own.leader,
        .epoch = zab->role == ZAB_LEADING ? zab->lead.epoch : zab->learn.epoch,
        .last_logged = zab_last_logged(zab),
        .persisted = zab->persisted,
        .committed = zab->committed,
        .applied = zab->applied,
        .accepted_epoch = zab->accepted_epoch,
        .current_epoch = zab->current_epoch,
    };
}

const struct zab_entry *zab_entry_after(const struct zab *zab, int64_t zxid)
{
    uint32_t index = history_after(&zab->history, zxid);
    return index < zab->history.count ? history_at(&zab->history, index) : NULL;
}

int64_t zab_apply_to(const struct zab *zab)
{
    return zab->apply_to;
}

const struct zab_entry *zab_entry(const struct zab *zab, int64_t zxid)
{
    if (zxid <= zab->applied || zxid > zab->apply_to)
        return NULL;
    return history_find(&zab->history, zxid);
}

int64_t zab_next_zxid(const struct zab *zab)
{
    const struct leadership *lead = &zab->lead;
    if (zab->role != ZAB_LEADING || !lead->established || lead->stopping)
        return 0;
    if (mk_zxid_counter(lead->proposed) >= zab->options.counter_max && !ZAB_MUTANT(33))
        return 0;
    return lead->proposed + 1;
}
