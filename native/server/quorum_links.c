/* SPDX-License-Identifier: MIT */
/* The links between leader and learners: accepted ones, and the one that this server dials. Called
 * by the quorum door, by sockets and by peers.c. It owns the links and their numbers (small, dense,
 * free again after the ZAB_LINK_DOWN step). It knows of packets only what the first one must be; it
 * must never feed zab from inside peers_perform, nor move bytes that an update may point into. */
#include "server/peers_int.h"

#include "base/mem.h"
#include "wire/ops.gen.h"

#include <stdio.h>

#define DRAINED_BYTES ((size_t)64 << 10)

/* --- numbers ---------------------------------------------------------------------------------- */

static struct quorum_link *link_new(struct peers *peers, struct peer_socket *socket, bool dialled)
{
    struct quorum_links *all = &peers->quorum;
    uint32_t number = 0;
    while (number < all->capacity && all->links[number])
        number++;
    if (number == all->capacity) {
        all->capacity = MK_MAX(all->capacity * 2, 8u);
        all->links = mk_realloc(all->links, all->capacity * sizeof *all->links);
        memset(all->links + number, 0, (all->capacity - number) * sizeof *all->links);
    }
    struct quorum_link *link = mk_calloc(1, sizeof *link);
    *link = (struct quorum_link){
        .peers = peers, .socket = socket, .number = number, .dialled = dialled};
    all->links[number] = link;
    all->accepted += dialled ? 0 : 1;
    return link;
}

static void link_down(struct quorum_link *link)
{
    struct peers *peers = link->peers;
    struct zab_event event = {.type = ZAB_LINK_DOWN, .link = link->number};
    peer_socket_close(link->socket, true);
    peers_feed(peers, &event);
    peers->quorum.links[link->number] = NULL;
    peers->quorum.accepted -= link->dialled ? 0 : 1;
    mk_free(link);
}

static struct zab_link *state_of(const struct quorum_link *link)
{
    struct zab_link *state =
        link->peers->callbacks.link(link->peers->callbacks.context, link->number);
    MK_ASSERT(state);
    return state;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Whether zab takes bytes now. What stays is fed again when it does. */
static bool reads(struct quorum_link *link)
{
    const struct zab_link *state = state_of(link);
    if (state->closing || link->broken) {
        peer_socket_stop_reading(link->socket);
        return false;
    }
    link->paused = state->paused;
    if (link->paused)
        peer_socket_stop_reading(link->socket);
    return !link->paused;
}

static void feed(struct quorum_link *link)
{
    struct peer_socket *socket = link->socket;
    while (reads(link) && socket->taken < socket->input.length) {
        struct zab_event event = {
            .type = ZAB_LINK_BYTES, .link = link->number, .bytes = peer_socket_input(socket)};
        size_t consumed = peers_feed(link->peers, &event);
        MK_ASSERT(consumed <= socket->input.length - socket->taken);
        socket->taken += consumed;
        if (consumed == 0)
            break;
    }
    if (!reads(link))
        return;
    if (socket->input.length - socket->taken > link->peers->options.input_max) {
        PEERS_TRACE(
            link->peers, WARN,
            "closing the quorum connection with %s: more than %zu bytes that cannot be used",
            socket->address, link->peers->options.input_max);
        link->broken = true;
        peers_later(link->peers);
        peer_socket_stop_reading(socket);
        return;
    }
    peer_socket_read(socket);
}

static void link_input(struct peer_socket *socket)
{
    feed(socket->owner);
}

static void link_ended(struct peer_socket *socket, int status)
{
    struct quorum_link *link = socket->owner;
    struct mk_quiet *quiet = &socket->peers->quorum.ends;
    mk_quiet_take(quiet, peers_now(socket->peers));
    if (link->dialled || mk_quiet_pass(quiet, peers_now(socket->peers)))
        PEERS_TRACE(socket->peers, INFO, "quorum connection with %s ends: %s", socket->address,
                    status == UV_EOF ? "the other side closed it" : uv_strerror(status));
    link_down(link);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void send_output(struct quorum_link *link, struct zab_link *state)
{
    struct peer_socket *socket = link->socket;
    size_t waiting = state->output.length;
    if (link->broken)
        return;
    if (!socket->unsent && peer_socket_send(socket, &state->output) != 0) {
        link->broken = true;
        peers_later(link->peers);
    }
    state->unsent_elsewhere = peer_socket_unsent_bytes(socket);
    /* The kernel took at once what somebody may have found too much to add to. */
    if (waiting >= DRAINED_BYTES && !socket->unsent && !link->broken) {
        link->drained_due = true;
        peers_later(link->peers);
    }
}

static void feed_drained(struct quorum_link *link)
{
    struct zab_event event = {.type = ZAB_LINK_DRAINED, .link = link->number};
    peers_feed(link->peers, &event);
}

static void link_sent(struct peer_socket *socket)
{
    struct quorum_link *link = socket->owner;
    struct zab_link *state = state_of(link);
    send_output(link, state);
    if (socket->unsent || link->broken || state->closing || link->drained_due)
        return;
    feed_drained(link);
}

static const struct peer_socket_use link_use = {link_input, link_ended, link_sent};

/* --- learners come ---------------------------------------------------------------------------- */

static void accepted(struct peers *peers, struct peer_socket *socket)
{
    struct quorum_link *link = link_new(peers, socket, false);
    peer_socket_own(socket, link, &link_use);
    struct zab_event event = {.type = ZAB_LINK_ACCEPTED,
                              .link = link->number,
                              .bytes = mk_bytes_of_string(socket->address)};
    peers_feed(peers, &event);
    feed(link);
}

void quorum_look(struct peer_stranger *stranger)
{
    struct peers *peers = stranger->door->peers;
    struct mk_bytes input = peer_socket_input(stranger->socket);
    if (mk_bytes_size(input) < 4)
        return;
    uint32_t type = mk_load_u32(input.data);
    if (type != MK_PACKET_FOLLOWER_INFO && type != MK_PACKET_OBSERVER_INFO)
        peer_stranger_refuse(stranger,
                             "it began with packet type %d instead of FOLLOWERINFO or OBSERVERINFO",
                             (int)type);
    else if (peers->role == ZAB_FOLLOWING || peers->role == ZAB_OBSERVING)
        peer_stranger_refuse(stranger, "it looks for its leader here, but this server follows");
    else if (peers->role == ZAB_LEADING && peers->quorum.accepted >= peers->options.links_max)
        peer_stranger_refuse(stranger, "there are %u learners already", peers->quorum.accepted);
    else if (peers->role == ZAB_LEADING)
        accepted(peers, peer_stranger_take(stranger));
}

/* --- the leader is dialled -------------------------------------------------------------------- */

static bool wants_leader(const struct peers *peers)
{
    return peers->role == ZAB_FOLLOWING || peers->role == ZAB_OBSERVING;
}

static void feed_refused(struct peers *peers)
{
    struct zab_event event = {.type = ZAB_LINK_REFUSED};
    peers_feed(peers, &event);
}

static void dialled(void *owner, struct peer_socket *socket, int error)
{
    struct peers *peers = owner;
    peers->quorum.dial = NULL;
    if (!wants_leader(peers)) {
        if (socket)
            peer_socket_close(socket, false);
        return;
    }
    if (error != 0) {
        PEERS_TRACE(peers, INFO, "the leader cannot be reached on its quorum port: %s",
                    uv_strerror(error));
        feed_refused(peers);
        return;
    }
    struct quorum_link *link = link_new(peers, socket, true);
    peer_socket_own(socket, link, &link_use);
    struct zab_event event = {.type = ZAB_LINK_CONNECTED, .link = link->number};
    peers_feed(peers, &event);
    feed(link);
}

void quorum_links_dial(struct peers *peers, int64_t id)
{
    const struct peer_address *member = peers_member(peers, id);
    quorum_links_dial_cancel(peers);
    if (member) {
        peers->quorum.dial =
            peer_dial_start(peers, member->host, member->quorum_port, dialled, peers);
    } else {
        PEERS_TRACE(peers, WARN, "leader %lld is in no list of servers here", (long long)id);
        peers->quorum.refuse_due = true;
        peers_later(peers);
    }
}

void quorum_links_dial_cancel(struct peers *peers)
{
    peer_dial_cancel(peers->quorum.dial);
    peers->quorum.dial = NULL;
    peers->quorum.refuse_due = false;
}

/* --- the update ------------------------------------------------------------------------------- */

void quorum_link_perform(struct peers *peers, uint32_t number)
{
    struct quorum_link *link = number < peers->quorum.capacity ? peers->quorum.links[number] : NULL;
    if (!link)
        return;
    struct zab_link *state = state_of(link);
    send_output(link, state);
    if (state->closing)
        link->broken = true;
    else if (link->paused != state->paused)
        link->feed_due = true; /* or reading ends */
    if (link->broken || link->feed_due)
        peers_later(peers);
}

void quorum_links_consumed(struct peers *peers, size_t consumed)
{
    if (consumed == 0)
        return;
    for (uint32_t i = 0; i < peers->quorum.capacity; i++) {
        struct quorum_link *link = peers->quorum.links[i];
        if (!link || !link->dialled || link->broken)
            continue;
        MK_ASSERT(consumed <= link->socket->input.length - link->socket->taken);
        link->socket->taken += consumed;
        return;
    }
}

void quorum_links_later(struct peers *peers)
{
    for (uint32_t i = 0; i < peers->quorum.capacity; i++) {
        struct quorum_link *link = peers->quorum.links[i];
        if (!link)
            continue;
        if (link->broken) {
            link_down(link);
            continue;
        }
        bool drained = link->drained_due, fed = link->feed_due;
        link->drained_due = link->feed_due = false;
        if (drained)
            feed_drained(link);
        if (fed)
            feed(link);
    }
    if (peers->quorum.refuse_due) {
        peers->quorum.refuse_due = false;
        feed_refused(peers);
    }
}

void quorum_links_close(struct peers *peers)
{
    quorum_links_dial_cancel(peers);
    for (uint32_t i = 0; i < peers->quorum.capacity; i++)
        if (peers->quorum.links[i])
            peer_socket_close(peers->quorum.links[i]->socket, false);
}

void quorum_links_free(struct peers *peers)
{
    for (uint32_t i = 0; i < peers->quorum.capacity; i++)
        mk_free(peers->quorum.links[i]);
    mk_free(peers->quorum.links);
}
