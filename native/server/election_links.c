/* SPDX-License-Identifier: MIT */
/* The election connections: one for each pair of servers, kept by the rule of the larger id
 * (quorum-protocol reference, 1.2 and 1.3). Called by the election door, by sockets and by peers.c.
 * It owns the election peers and their sockets. Of what is to be said to a server only the newest
 * message counts; it must never say an old one again: a new connection is ZAB_PEER_UP, and what is
 * true then is said. */
#include "server/peers_int.h"

#include "base/mem.h"

#include <stdio.h>

/* A knock that comes with a connection as young as this crossed with our own dial. */
#define YOUNG_MS 1000

/* --- what is known of a server ---------------------------------------------------------------- */

static struct election_peer *peer_of(struct peers *peers, int64_t id)
{
    MK_ASSERT(id >= 0 && id < (int64_t)MK_ARRAY_LENGTH(peers->election.peers));
    struct election_peer **place = &peers->election.peers[id];
    if (!*place) {
        struct election_peer *peer = mk_calloc(1, sizeof *peer);
        *peer = (struct election_peer){
            .peers = peers, .id = id, .member = peers_member(peers, id), .dial_at_ms = INT64_MAX};
        *place = peer;
    }
    return *place;
}

void election_links_init(struct peers *peers)
{
    for (size_t i = 0; i < peers->options.count; i++)
        if (peers->options.members[i].id != peers->options.id)
            peer_of(peers, peers->options.members[i].id);
}

/* Two servers with one id, say, make and break connections without an end. */
static bool may_tell(struct election_peer *peer)
{
    int64_t now_ms = peers_now(peer->peers);
    uint64_t kept_back = mk_quiet_take(&peer->changes, now_ms);
    if (kept_back > 0)
        PEERS_TRACE(peer->peers, WARN,
                    "... and %llu more lines in a minute about the election connection with server "
                    "%lld, which does not last",
                    (unsigned long long)kept_back, (long long)peer->id);
    return mk_quiet_pass(&peer->changes, now_ms);
}

/* --- the end of a connection ------------------------------------------------------------------ */

void election_link_drop(struct election_peer *peer, const char *why)
{
    if (!peer->socket)
        return;
    if (may_tell(peer))
        PEERS_TRACE(peer->peers, INFO, "election connection with server %lld (%s) ends: %s",
                    (long long)peer->id, peer->socket->address, why);
    peer_socket_close(peer->socket, false);
    peer->socket = NULL;
    peer->broken = false;
    mk_buffer_fini(&peer->waiting);
    struct zab_event event = {.type = ZAB_PEER_DOWN, .server = peer->id};
    peers_feed(peer->peers, &event);
    election_dial_soon(peer, 100);
}

/* --- messages --------------------------------------------------------------------------------- */

static void link_input(struct peer_socket *socket)
{
    struct election_peer *peer = socket->owner;
    while (peer->socket == socket) {
        struct mk_bytes input = peer_socket_input(socket);
        struct zab_event event = {.type = ZAB_PEER_MESSAGE, .server = peer->id};
        int taken = election_message_read(input.data, mk_bytes_size(input), &event.bytes);
        if (taken < 0)
            election_link_drop(peer, "it sent a message whose length is not in 1..524288");
        if (taken <= 0)
            return;
        peers_feed(peer->peers, &event);
        socket->taken += (size_t)taken;
    }
}

static void link_ended(struct peer_socket *socket, int status)
{
    struct election_peer *peer = socket->owner;
    MK_ASSERT(peer->socket == socket);
    election_link_drop(peer, status == UV_EOF ? "the other side closed it" : uv_strerror(status));
}

static void send_waiting(struct election_peer *peer)
{
    if (peer->waiting.length == 0 || peer->socket->unsent)
        return;
    if (peer_socket_send(peer->socket, &peer->waiting) != 0) {
        peer->broken = true;
        peers_later(peer->peers);
    }
}

static void link_sent(struct peer_socket *socket)
{
    send_waiting(socket->owner);
}

void election_send(struct peers *peers, int64_t id, const uint8_t *message, size_t length)
{
    struct election_peer *peer = id >= 0 && id < 256 ? peers->election.peers[id] : NULL;
    if (!peer || !peer->socket || peer->broken)
        return;
    MK_ASSERT(length >= 1 && length <= ELECTION_MESSAGE_BYTES_MAX);
    mk_buffer_clear(&peer->waiting);
    mk_store_u32(mk_buffer_reserve(&peer->waiting, 4 + length), (uint32_t)length);
    peer->waiting.length = 4;
    mk_buffer_append(&peer->waiting, message, length);
    send_waiting(peer);
}

void election_links_later(struct peers *peers)
{
    for (size_t id = 0; id < MK_ARRAY_LENGTH(peers->election.peers); id++) {
        struct election_peer *peer = peers->election.peers[id];
        if (peer && peer->broken)
            election_link_drop(peer, "it cannot be sent to");
    }
}

/* --- a new connection ------------------------------------------------------------------------- */

static const struct peer_socket_use link_use = {link_input, link_ended, link_sent};

void election_link_adopt(struct election_peer *peer, struct peer_socket *socket)
{
    election_link_drop(peer, "a newer one takes its place");
    peer_dial_cancel(peer->dial);
    peer->dial = NULL;
    peer->dial_at_ms = INT64_MAX;
    peer->retry_ms = 0;
    peer->told = false;
    peer->hello_at = (struct mk_bytes){NULL, 0};
    peer->socket = socket;
    peer->connected_ms = peers_now(peer->peers);
    peer_socket_own(socket, peer, &link_use);
    peer_socket_watch(socket);
    if (may_tell(peer))
        PEERS_TRACE(peer->peers, INFO, "election connection with server %lld (%s)",
                    (long long)peer->id, socket->address);
    struct zab_event event = {.type = ZAB_PEER_UP, .server = peer->id};
    peers_feed(peer->peers, &event);
    if (peer->socket != socket)
        return;
    peer_socket_read(socket);
    link_input(socket); /* what came with the hello */
}

/* Two servers with one id take each other's connections away, again and again. */
static void tell_if_twice(struct election_peer *peer, const struct peer_socket *socket,
                          struct mk_bytes addresses)
{
    int64_t now_ms = peers_now(peer->peers);
    bool moved = peer->hello_addresses && mk_bytes_size(addresses) > 0 &&
                 !mk_bytes_equal_string(addresses, peer->hello_addresses);
    if (!peer->socket || (!moved && strcmp(peer->socket->host, socket->host) == 0))
        return;
    mk_quiet_take(&peer->twice, now_ms);
    if (mk_quiet_pass(&peer->twice, now_ms))
        PEERS_TRACE(peer->peers, WARN,
                    "server %lld knocks from %s, says that it is %.*s, and is connected from %s: "
                    "are there two servers with the id %lld?",
                    (long long)peer->id, socket->address, (int)mk_bytes_size(addresses),
                    (const char *)addresses.data, peer->socket->address, (long long)peer->id);
}

static void welcome(struct peer_stranger *stranger, const struct election_hello *hello,
                    size_t length)
{
    struct peers *peers = stranger->door->peers;
    struct election_peer *peer = peer_of(peers, hello->id);
    tell_if_twice(peer, stranger->socket, hello->addresses);
    if (election_tie(false, peers->options.id, hello->id) == ELECTION_KEEP) {
        mk_free(peer->hello_addresses);
        peer->hello_addresses = election_copy_addresses(hello->addresses);
        struct peer_socket *socket = peer_stranger_take(stranger);
        socket->taken += length;
        election_link_adopt(peer, socket);
        return;
    }
    bool crossed = peer->socket && peers_now(peers) - peer->connected_ms < YOUNG_MS;
    if (!crossed) {
        election_link_drop(peer, "the other side has none any more");
        election_dial_back(peer, hello->addresses);
    }
    peer_socket_close(peer_stranger_take(stranger), false);
}

void election_look(struct peer_stranger *stranger)
{
    struct peers *peers = stranger->door->peers;
    struct mk_bytes input = peer_socket_input(stranger->socket);
    struct election_hello hello;
    const char *reason = NULL;
    int length = election_hello_read(input.data, mk_bytes_size(input), &hello, &reason);
    if (length < 0)
        peer_stranger_refuse(stranger, "%s", reason);
    else if (length > 0 && hello.id == peers->options.id)
        peer_stranger_refuse(stranger,
                             "it says that it is server %lld, at %.*s, and so is this one: two "
                             "servers must not have one id (see the file myid of both)",
                             (long long)hello.id, (int)mk_bytes_size(hello.addresses),
                             (const char *)hello.addresses.data);
    else if (length > 0 && (hello.id < 0 || hello.id >= 256))
        peer_stranger_refuse(stranger, "it says that it is server %lld; ids are 1 to 254",
                             (long long)hello.id);
    else if (length > 0)
        welcome(stranger, &hello, (size_t)length);
}

/* --- the end ---------------------------------------------------------------------------------- */

void election_links_close(struct peers *peers)
{
    for (size_t id = 0; id < MK_ARRAY_LENGTH(peers->election.peers); id++) {
        struct election_peer *peer = peers->election.peers[id];
        if (!peer)
            continue;
        if (peer->socket)
            peer_socket_close(peer->socket, false);
        peer->socket = NULL;
        peer_dial_cancel(peer->dial);
        peer->dial = NULL;
    }
}

void election_links_free(struct peers *peers)
{
    for (size_t id = 0; id < MK_ARRAY_LENGTH(peers->election.peers); id++) {
        struct election_peer *peer = peers->election.peers[id];
        if (!peer)
            continue;
        mk_buffer_fini(&peer->waiting);
        mk_free(peer->hello_addresses);
        mk_free(peer);
    }
}
