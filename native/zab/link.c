/* SPDX-License-Identifier: MIT */
/* Links between leader and learner: their outputs, and why one is closed. Called by the roles and
 * by zab.c. Owns the peers, by the host's link numbers. A peer that is closing stays until the host
 * says that the link is down, and is never sent to nor heard again (mutant 25). */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "zab/zab_int.h"

struct peer *link_open(struct zab *zab, uint32_t link)
{
    if (link >= zab->peer_capacity) {
        uint32_t capacity = MK_MAX(link + 1, zab->peer_capacity * 2);
        zab->peers = mk_realloc(zab->peers, capacity * sizeof *zab->peers);
        memset(zab->peers + zab->peer_capacity, 0,
               (capacity - zab->peer_capacity) * sizeof *zab->peers);
        zab->peer_capacity = capacity;
    }
    MK_ASSERT(!zab->peers[link]); /* the host gives a number back only when its link is down */
    struct peer *peer = mk_alloc(sizeof *peer);
    *peer = (struct peer){.number = link, .server = ZAB_NOBODY, .heard_ms = zab->now_ms};
    zab->peers[link] = peer;
    return peer;
}

struct peer *link_find(struct zab *zab, uint32_t link)
{
    struct peer *peer = link < zab->peer_capacity ? zab->peers[link] : NULL;
    return peer && !peer->link.closing ? peer : NULL;
}

void link_touch(struct zab *zab, struct peer *peer)
{
    struct zab_update *update = zab->update;
    if (peer->link.touched)
        return;
    peer->link.touched = true;
    if (update->touched_count == update->touched_capacity) {
        update->touched_capacity = MK_MAX(update->touched_capacity * 2, 16);
        update->touched =
            mk_realloc(update->touched, update->touched_capacity * sizeof *update->touched);
    }
    update->touched[update->touched_count++] = peer->number;
}

void packet_send(struct zab *zab, struct peer *peer, struct mk_buffer *buffer,
                 const struct packet *packet)
{
    packet_write(buffer, packet);
    if (buffer == &peer->link.output)
        link_touch(zab, peer);
}

void link_send(struct zab *zab, struct peer *peer, int32_t type, int64_t zxid, struct mk_bytes data)
{
    packet_send(
        zab, peer, &peer->link.output,
        &(struct packet){.type = type, .zxid = zxid, .data = data, .identities = MK_BYTES_NULL});
}

/* Strangers can cause this as often as they like. */
static void tell_drop(struct zab *zab, const struct peer *peer, const char *reason)
{
    struct mk_quiet *quiet = &zab->drops;
    uint64_t kept_back = mk_quiet_take(quiet, zab->now_ms);
    if (kept_back > 0)
        ZAB_TRACE(zab, MK_LEVEL_WARN,
                  "... and %llu more of this kind in a minute: quorum connections that were closed",
                  (unsigned long long)kept_back);
    if (!peer->votes && !mk_quiet_pass(quiet, zab->now_ms))
        return;
    if (peer->server == ZAB_NOBODY)
        ZAB_TRACE(zab, MK_LEVEL_WARN, "closing the quorum connection of %s: %s",
                  peer->address[0] ? peer->address : "a server", reason);
    else
        ZAB_TRACE(zab, MK_LEVEL_WARN, "closing the quorum connection of server %lld: %s",
                  (long long)peer->server, reason);
}

void link_drop(struct zab *zab, struct peer *peer, const char *format, ...)
{
    if (peer->link.closing)
        return;
    char reason[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    tell_drop(zab, peer, reason);
    peer->link.closing = true;
    link_touch(zab, peer);
    if (zab->role == ZAB_LEADING)
        lead_peer_gone(zab, peer);
}

static void free_peer(struct peer *peer)
{
    mk_buffer_fini(&peer->link.output);
    mk_buffer_fini(&peer->behind);
    mk_free(peer);
}

void link_forget(struct zab *zab, uint32_t link)
{
    struct zab_update *update = zab->update;
    struct peer *peer = zab->peers[link];
    for (size_t i = 0; i < update->touched_count; i++) {
        if (update->touched[i] != link)
            continue;
        update->touched[i] = update->touched[--update->touched_count];
        break;
    }
    free_peer(peer);
    zab->peers[link] = NULL;
}

void links_close(struct zab *zab)
{
    for (uint32_t i = 0; i < zab->peer_capacity; i++) {
        struct peer *peer = link_find(zab, i);
        if (!peer)
            continue;
        peer->link.closing = true;
        peer->phase = PEER_UNUSED;
        link_touch(zab, peer);
    }
}

void links_free(struct zab *zab)
{
    for (uint32_t i = 0; i < zab->peer_capacity; i++)
        if (zab->peers[i])
            free_peer(zab->peers[i]);
    mk_free(zab->peers);
}
