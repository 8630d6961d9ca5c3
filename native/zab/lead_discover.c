/* SPDX-License-Identifier: MIT */
/* Discovery, the leader's side (quorum-protocol reference, 5.1 and 9.3): an epoch above all that a
 * quorum has promised, the promise of a quorum to follow in it, and that none of them knows more
 * than this server. Called by lead.c. It must never send LEADERINFO before the epoch is durable
 * here, nor send history before a quorum has promised. */
#include "base/zxid.h"
#include "wire/records.gen.h"
#include "zab/zab_int.h"

#define LEARNER_INFO_ID_ONLY 8
#define LEARNER_INFO_WITHOUT_CONFIG 12
#define STRANGERS_MAX 16 /* learners that are not in the list of this server */

/* LearnerInfo; false when it is too short. Older peers end it early. */
static bool read_learner_info(struct mk_bytes data, struct mk_learner_info *info)
{
    size_t size = mk_bytes_size(data);
    *info = (struct mk_learner_info){0};
    if (size < LEARNER_INFO_ID_ONLY)
        return false;
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, data, NULL);
    info->server_id = mk_read_long(&reader);
    if (size >= LEARNER_INFO_WITHOUT_CONFIG)
        info->protocol_version = mk_read_int(&reader);
    if (mk_reader_left(&reader) >= sizeof(int64_t))
        info->config_version = mk_read_long(&reader);
    return true;
}

/* A learner that comes back has given up its old connection, though we may not have heard yet. */
static void drop_older(struct zab *zab, const struct peer *peer)
{
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        struct peer *other = link_find(zab, i);
        if (other && other != peer && other->server == peer->server &&
            other->phase != PEER_CONNECTED && !ZAB_MUTANT(18))
            link_drop(zab, other, "the server has connected again");
    }
}

/* Each may owe learner_output_max bytes, so without a bound strangers could take all memory and all
 * descriptors. */
static bool strangers_are_too_many(const struct zab *zab, const struct peer *peer, int64_t server)
{
    if (member_index(zab, server) >= 0)
        return false;
    int count = 0;
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        const struct peer *other = zab->peers[i];
        count += other && other != peer && !other->link.closing && other->phase != PEER_CONNECTED &&
                 other->server != server && member_index(zab, other->server) < 0;
    }
    return count >= STRANGERS_MAX;
}

/* Whoever knows the protocol can come as a server without a vote, as often as he likes. */
static void hush(struct zab *zab, struct peer *peer)
{
    struct mk_quiet *quiet = &zab->joins;
    uint64_t kept_back = mk_quiet_take(quiet, zab->now_ms);
    if (kept_back > 0)
        ZAB_TRACE(zab, MK_LEVEL_WARN,
                  "... and %llu more of this kind in a minute: servers without a vote that came",
                  (unsigned long long)kept_back);
    peer->quiet = !peer->votes && !mk_quiet_pass(quiet, zab->now_ms);
}

/* As with Apache such a server may follow: one that is about to be a member does. But mostly two
 * files disagree. */
static void compare_lists(const struct zab *zab, const struct peer *peer)
{
    if (peer->quiet)
        return;
    const struct quorum_member *member = quorum_find(&zab->options.quorum, peer->server);
    if (!member)
        ZAB_TRACE(zab, MK_LEVEL_WARN,
                  "server %lld (%s) is not among the servers that this one knows: it follows "
                  "without a vote. Compare the lists of servers",
                  (long long)peer->server, peer->address);
    else if (member->observer != peer->observer)
        ZAB_TRACE(zab, MK_LEVEL_WARN,
                  "server %lld (%s) comes as %s, but is %s in the list of this one: it has no "
                  "vote. Compare the lists of servers",
                  (long long)peer->server, peer->address,
                  peer->observer ? "an observer" : "a participant",
                  member->observer ? "an observer" : "a participant");
}

void lead_info(struct zab *zab, struct peer *peer, const struct packet *packet)
{
    struct leadership *lead = &zab->lead;
    struct mk_learner_info info;
    if (packet->type != PACKET_FOLLOWER_INFO && packet->type != PACKET_OBSERVER_INFO) {
        link_drop(zab, peer, "%s came instead of FOLLOWERINFO or OBSERVERINFO",
                  packet_name(packet->type));
        return;
    }
    if (!read_learner_info(packet->data, &info) ||
        info.protocol_version < PACKET_PROTOCOL_VERSION) {
        link_drop(zab, peer, "its protocol is too old (before ZooKeeper 3.4)");
        return;
    }
    if (info.server_id == zab->options.id) {
        link_drop(zab, peer, "it has the id of this server, %lld: two servers have the same id",
                  (long long)info.server_id);
        return;
    }
    if (info.config_version > zab->options.quorum.version) {
        link_drop(zab, peer, "it knows a newer configuration (version %llx)",
                  (unsigned long long)info.config_version);
        return;
    }
    int64_t accepted = (int64_t)mk_zxid_epoch(packet->zxid);
    if (accepted >= EPOCH_MAX) { /* the next one would be refused by all */
        link_drop(zab, peer, "its epoch %lld is absurd", (long long)accepted);
        return;
    }
    if (strangers_are_too_many(zab, peer, info.server_id)) {
        link_drop(zab, peer, "it is no member, and %d others that are none follow already",
                  STRANGERS_MAX);
        return;
    }
    peer->server = info.server_id;
    peer->observer = packet->type == PACKET_OBSERVER_INFO;
    peer->votes = !peer->observer && quorum_votes(&zab->options.quorum, info.server_id);
    peer->phase = PEER_INFO;
    hush(zab, peer);
    compare_lists(zab, peer);
    drop_older(zab, peer);
    if (lead->epoch && accepted > lead->epoch && peer->votes && !ZAB_MUTANT(24)) {
        look_again(zab, "server %lld has promised the later epoch %lld", (long long)peer->server,
                   (long long)accepted);
        return;
    }
    if (member_index(zab, info.server_id) >= 0) /* a stranger could push epochs to their end */
        lead->epoch_asked = MK_MAX(lead->epoch_asked, accepted);
    lead_discover_progress(zab);
}

void lead_promise(struct zab *zab, struct peer *peer, const struct packet *packet)
{
    struct leadership *lead = &zab->lead;
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, packet->data, NULL);
    int64_t current = mk_read_int(&reader);
    if (packet->type != PACKET_ACK_EPOCH || reader.error) {
        link_drop(zab, peer, "%s came instead of ACKEPOCH", packet_name(packet->type));
        return;
    }
    bool ahead = current > lead->summary_epoch ||
                 (current == lead->summary_epoch && packet->zxid > lead->summary_zxid);
    if (!lead->promised && current != -1 && ahead) {
        if (peer->votes)
            look_again(zab, "server %lld has a longer history: epoch %lld, zxid 0x%llx",
                       (long long)peer->server, (long long)current,
                       (unsigned long long)packet->zxid);
        else
            link_drop(zab, peer, "its history is longer than this server's");
        return;
    }
    peer->last_zxid = packet->zxid;
    peer->current_epoch = current;
    /* -1 as epoch: it has promised this epoch before, perhaps to another. -1 as zxid: it has lost
     * what it may have acknowledged once. Neither counts (5.2, 9.6). */
    peer->promises = peer->votes && (current != -1) && (packet->zxid != -1 || ZAB_MUTANT(15));
    peer->phase = PEER_PROMISED;
    lead_discover_progress(zab);
}

static bool has_reported(const struct peer *peer)
{
    return peer->phase >= PEER_INFO;
}

static bool has_promised(const struct peer *peer)
{
    return peer->phase >= PEER_PROMISED && peer->promises;
}

static void wait_again(struct zab *zab)
{
    zab->lead.phase_deadline_ms = zab->now_ms + ticks_ms(zab, zab->options.init_limit_ticks);
}

static void send_leader_info(struct zab *zab, struct peer *peer)
{
    uint8_t version[4];
    mk_store_int(version, PACKET_PROTOCOL_VERSION);
    link_send(zab, peer, PACKET_LEADER_INFO, zab->lead.epoch << 32,
              mk_bytes_of(version, sizeof version));
    peer->phase = PEER_EPOCH;
}

/* What can be done for each learner as it is. */
static void serve_peers(struct zab *zab)
{
    for (uint32_t i = 0; i < zab->peer_capacity && zab->role == ZAB_LEADING; i++) {
        struct peer *peer = link_find(zab, i);
        if (peer && peer->phase == PEER_INFO && zab->lead.epoch_durable)
            send_leader_info(zab, peer);
        else if (peer && peer->phase == PEER_PROMISED && zab->lead.promised)
            lead_sync_begin(zab, peer);
    }
}

void lead_discover_progress(struct zab *zab)
{
    struct leadership *lead = &zab->lead;
    if (!lead->epoch && lead_quorum_in(zab, has_reported)) {
        lead->epoch = lead->epoch_asked + 1;
        zab->accepted_epoch = lead->epoch;
        lead->accepted_ticket = disk_step(zab, ZAB_DISK_ACCEPTED_EPOCH, lead->epoch);
        lead->proposed = lead->epoch << 32;
        wait_again(zab);
    }
    if (lead->epoch && !lead->epoch_durable && zab->ticket_done >= lead->accepted_ticket)
        lead->epoch_durable = true;
    if (lead->epoch_durable && !lead->promised && lead_quorum_in(zab, has_promised)) {
        lead->promised = true;
        lead->current_ticket = disk_step(zab, ZAB_DISK_CURRENT_EPOCH, lead->epoch);
        zab->phase = ZAB_SYNCHRONIZATION;
        wait_again(zab);
    }
    if (lead->promised && !lead->epoch_current && zab->ticket_done >= lead->current_ticket)
        lead->epoch_current = true;
    serve_peers(zab);
    if (zab->role == ZAB_LEADING && lead->promised && !lead->established)
        lead_sync_progress(zab);
}
