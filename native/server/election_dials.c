/* SPDX-License-Identifier: MIT */
/* Which server is dialled for elections, and when: every voter that is not connected, again and
 * again with growing waits and a little chance; and whoever knocked, at the address that it said,
 * also when it is in no configuration (quorum-protocol reference, 1.2). One attempt per server at a
 * time. Called by election_links.c and the timer. It must never give up a voter. */
#include "server/peers_int.h"

#include "base/mem.h"

#include <stdio.h>

#define RETRY_MIN_MS 100
#define RETRY_LOOKING_MAX_MS 1000
#define RETRY_SETTLED_MAX_MS 10000 /* there is a leader: nobody waits for it */
#define KNOCK_AGAIN_MS 1000        /* for the other side to dial back */

void election_dial_soon(struct election_peer *peer, int32_t within_ms)
{
    struct peers *peers = peer->peers;
    if (!election_is_wanted(peer) || peer->socket || peer->dial)
        return;
    int64_t at_ms =
        peers_now(peers) + (int64_t)mk_rand_below(&peers->rand, (uint64_t)within_ms + 1);
    peer->dial_at_ms = MK_MIN(peer->dial_at_ms, at_ms);
    peers_wake_at(peers, peer->dial_at_ms);
}

static void dial_later(struct election_peer *peer, int32_t at_least_ms)
{
    struct peers *peers = peer->peers;
    int32_t limit_ms = peers->role == ZAB_LOOKING ? RETRY_LOOKING_MAX_MS : RETRY_SETTLED_MAX_MS;
    if (!election_is_wanted(peer))
        return;
    int32_t wait_ms = MK_MIN(MK_MAX(peer->retry_ms, at_least_ms), limit_ms);
    peer->retry_ms = wait_ms * 2;
    wait_ms += (int32_t)mk_rand_below(&peers->rand, (uint64_t)wait_ms / 2 + 1) - wait_ms / 4;
    peer->dial_at_ms = peers_now(peers) + wait_ms;
    peers_wake_at(peers, peer->dial_at_ms);
}

static bool begin_attempt(struct election_peer *peer);

static void failed(struct election_peer *peer, int error)
{
    if (!peer->told)
        PEERS_TRACE(peer->peers, INFO, "server %lld cannot be reached for elections at %s: %s",
                    (long long)peer->id, peer->dialled, uv_strerror(error));
    peer->told = true;
    if (mk_bytes_size(peer->hello_at) == 0 || !begin_attempt(peer))
        dial_later(peer, RETRY_MIN_MS);
}

static int say_hello(struct peers *peers, struct peer_socket *socket)
{
    struct mk_buffer hello = MK_BUFFER_EMPTY;
    election_hello_write(&hello, peers->options.id, peers->own->host, peers->own->election_port);
    int error = peer_socket_send(socket, &hello);
    mk_buffer_fini(&hello);
    return error == 0 && socket->unsent ? UV_EAGAIN : error; /* a fresh socket takes it all */
}

static void dialled(void *owner, struct peer_socket *socket, int error)
{
    struct election_peer *peer = owner;
    peer->dial = NULL;
    if (error == 0) {
        error = say_hello(peer->peers, socket);
        if (error != 0)
            peer_socket_close(socket, false);
    }
    if (error != 0) {
        failed(peer, error);
    } else if (election_tie(true, peer->peers->options.id, peer->id) == ELECTION_KEEP) {
        election_link_adopt(peer, socket);
    } else { /* that was the knock */
        peer_socket_close(socket, false);
        peer->hello_at = (struct mk_bytes){NULL, 0};
        dial_later(peer, KNOCK_AGAIN_MS);
    }
}

/* False when it has no address. */
static bool begin_attempt(struct election_peer *peer)
{
    char host[PEER_HOST_BYTES];
    uint16_t port;
    if (!election_hello_next_address(&peer->hello_at, host, sizeof host, &port)) {
        if (!peer->member)
            return false;
        snprintf(host, sizeof host, "%s", peer->member->host);
        port = peer->member->election_port;
    }
    snprintf(peer->dialled, sizeof peer->dialled, "%s:%u", host, port);
    peer->dial_at_ms = INT64_MAX;
    peer->dial = peer_dial_start(peer->peers, host, port, dialled, peer);
    return true;
}

char *election_copy_addresses(struct mk_bytes addresses)
{
    return mk_string_copy(addresses.data ? addresses.data : (const uint8_t *)"",
                          mk_bytes_size(addresses));
}

void election_dial_back(struct election_peer *peer, struct mk_bytes addresses)
{
    mk_free(peer->hello_addresses);
    peer->hello_addresses = election_copy_addresses(addresses);
    peer->hello_at = mk_bytes_of_string(peer->hello_addresses);
    if (peer->dial) /* crossed: it is being dialled */
        return;
    if (!begin_attempt(peer))
        PEERS_TRACE(peer->peers, WARN,
                    "server %lld is in no list of servers here, knocked for elections, and said no "
                    "address at which it can be dialled ('%s')",
                    (long long)peer->id, peer->hello_addresses);
}

void election_dial_all(struct peers *peers)
{
    for (size_t id = 0; id < MK_ARRAY_LENGTH(peers->election.peers); id++) {
        struct election_peer *peer = peers->election.peers[id];
        if (!peer)
            continue;
        peer->retry_ms = 0;
        election_dial_soon(peer, 20);
    }
}

void election_dials_tick(struct peers *peers, int64_t now_ms)
{
    for (size_t id = 0; id < MK_ARRAY_LENGTH(peers->election.peers); id++) {
        struct election_peer *peer = peers->election.peers[id];
        if (!peer || now_ms < peer->dial_at_ms)
            continue;
        peer->dial_at_ms = INT64_MAX;
        if (!peer->socket && !peer->dial)
            begin_attempt(peer);
    }
}

int64_t election_dials_deadline(const struct peers *peers)
{
    int64_t deadline_ms = INT64_MAX;
    for (size_t id = 0; id < MK_ARRAY_LENGTH(peers->election.peers); id++)
        if (peers->election.peers[id])
            deadline_ms = MK_MIN(deadline_ms, peers->election.peers[id]->dial_at_ms);
    return deadline_ms;
}
