/* SPDX-License-Identifier: MIT */
/* One attempt to reach a server: resolves its name anew (hazards 1506, 2982, 3991, 4728) and tries
 * the addresses in turn. Called by election_dials.c and quorum_links.c. It owns the lookup and the
 * socket until it hands that on; it must never wait without a limit. */
#include "server/peers_int.h"

#include "base/mem.h"

#include <netinet/in.h>
#include <stdio.h>

/* Outlives its dial when that is cancelled: a resolver that hangs must not keep a server from
 * stopping. */
struct lookup {
    uv_getaddrinfo_t request;
    struct peer_dial *dial; /* NULL: nobody wants to know any more */
};

struct peer_dial {
    struct peers *peers;
    struct peer_dial *previous, *next;
    peer_dial_done done; /* NULL: cancelled */
    void *owner;
    uint16_t port;
    struct lookup *lookup; /* under way, or NULL */
    uv_connect_t request;
    bool connecting; /* `request` is under way */
    struct addrinfo *found, *at;
    struct peer_socket *socket;
    int64_t deadline_ms; /* INT64_MAX while the name is resolved: the resolver has its own limit */
    int error;
};

static void dial_free(struct peer_dial *dial)
{
    struct peers *peers = dial->peers;
    if (dial->previous)
        dial->previous->next = dial->next;
    else
        peers->dials = dial->next;
    if (dial->next)
        dial->next->previous = dial->previous;
    uv_freeaddrinfo(dial->found);
    mk_free(dial);
    peers_one_closed(peers);
}

static void dial_end(struct peer_dial *dial, int error)
{
    struct peer_socket *socket = dial->socket;
    peer_dial_done done = dial->done;
    void *owner = dial->owner;
    if (socket && error != 0) {
        peer_socket_close(socket, false);
        socket = NULL;
    }
    /* The peers must outlive what `done` may do: `socket`, or nobody, keeps them open. */
    dial->done = NULL;
    if (done)
        done(owner, socket, error);
    else if (socket)
        peer_socket_close(socket, false);
    dial_free(dial);
}

static void try_next(struct peer_dial *dial);

static void on_connect(uv_connect_t *request, int status)
{
    struct peer_dial *dial = MK_CONTAINER_OF(request, struct peer_dial, request);
    dial->connecting = false;
    if (status == 0 && dial->done && peer_socket_connected(dial->socket)) {
        dial_end(dial, 0);
        return;
    }
    if (status != UV_ECANCELED || dial->error == 0)
        dial->error = status != 0 ? status : UV_ECONNREFUSED;
    peer_socket_close(dial->socket, false);
    dial->socket = NULL;
    try_next(dial);
}

/* Ends the dial when there is no further address. */
static void try_next(struct peer_dial *dial)
{
    struct peers *peers = dial->peers;
    while (dial->done && dial->at) {
        struct addrinfo *address = dial->at;
        dial->at = address->ai_next;
        if (address->ai_family == AF_INET)
            ((struct sockaddr_in *)(void *)address->ai_addr)->sin_port = htons(dial->port);
        else if (address->ai_family == AF_INET6)
            ((struct sockaddr_in6 *)(void *)address->ai_addr)->sin6_port = htons(dial->port);
        else
            continue;
        dial->socket = peer_socket_new(peers);
        int error =
            uv_tcp_connect(&dial->request, &dial->socket->tcp, address->ai_addr, on_connect);
        if (error == 0) {
            dial->connecting = true;
            dial->deadline_ms = peers_now(peers) + peers->options.connect_timeout_ms;
            peers_wake_at(peers, dial->deadline_ms);
            return;
        }
        dial->error = error;
        peer_socket_close(dial->socket, false);
        dial->socket = NULL;
    }
    dial_end(dial, dial->error != 0 ? dial->error : UV_EADDRNOTAVAIL);
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct lookup *lookup = MK_CONTAINER_OF(request, struct lookup, request);
    struct peer_dial *dial = lookup->dial;
    mk_free(lookup);
    if (!dial) {
        uv_freeaddrinfo(found);
        return;
    }
    dial->lookup = NULL;
    dial->found = dial->at = found;
    dial->error = status;
    try_next(dial);
}

/* 0, or libuv's error. */
static int look_up(struct peer_dial *dial, const char *host)
{
    struct lookup *lookup = mk_calloc(1, sizeof *lookup);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int error =
        uv_getaddrinfo(dial->peers->options.loop, &lookup->request, on_found, host, NULL, &hints);
    if (error != 0) {
        mk_free(lookup);
        return error;
    }
    lookup->dial = dial;
    dial->lookup = lookup;
    return 0;
}

struct peer_dial *peer_dial_start(struct peers *peers, const char *host, uint16_t port,
                                  peer_dial_done done, void *owner)
{
    struct peer_dial *dial = mk_calloc(1, sizeof *dial);
    *dial = (struct peer_dial){.peers = peers,
                               .done = done,
                               .owner = owner,
                               .port = port,
                               .deadline_ms = INT64_MAX,
                               .next = peers->dials};
    if (peers->dials)
        peers->dials->previous = dial;
    peers->dials = dial;
    peers_opened(peers);
    dial->error = look_up(dial, host);
    if (dial->error != 0) { /* told by the timer, as `done` must not come from here */
        dial->deadline_ms = peers_now(peers);
        peers_wake_at(peers, dial->deadline_ms);
    }
    return dial;
}

void peer_dial_cancel(struct peer_dial *dial)
{
    if (!dial)
        return;
    dial->done = NULL;
    if (dial->lookup) {
        dial->lookup->dial = NULL;
        uv_cancel((uv_req_t *)&dial->lookup->request); /* on_found comes in any case */
        dial->lookup = NULL;
    }
    if (dial->connecting)
        peer_socket_close(dial->socket, false); /* on_connect comes */
    else
        dial_end(dial, UV_ECANCELED);
}

void peer_dials_tick(struct peers *peers, int64_t now_ms)
{
    struct peer_dial *following;
    for (struct peer_dial *dial = peers->dials; dial; dial = following) {
        following = dial->next;
        if (now_ms < dial->deadline_ms)
            continue;
        dial->deadline_ms = INT64_MAX;
        if (dial->connecting) {
            dial->error = UV_ETIMEDOUT;
            peer_socket_close(dial->socket, false); /* on_connect: UV_ECANCELED */
        } else {
            dial_end(dial, dial->error);
        }
    }
}

int64_t peer_dials_deadline(const struct peers *peers)
{
    int64_t deadline_ms = INT64_MAX;
    for (const struct peer_dial *dial = peers->dials; dial; dial = dial->next)
        deadline_ms = MK_MIN(deadline_ms, dial->deadline_ms);
    return deadline_ms;
}
