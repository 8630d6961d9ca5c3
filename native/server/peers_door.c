/* SPDX-License-Identifier: MIT */
/* The two ports on which other servers knock, and strangers until their first bytes say what they
 * are. Called by peers.c; `look` is election_look or quorum_look. It owns listeners and strangers.
 * It must never let strangers use more than a bounded number of sockets for a bounded time, nor
 * stop listening because of what one of them did (hazard 2836). */
#include "server/peers_int.h"

#include "base/mem.h"
#include "wire/errors.gen.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

#define BACKLOG 128

/* --- strangers -------------------------------------------------------------------------------- */

static void tell_kept_back(struct peer_door *door)
{
    uint64_t kept_back = mk_quiet_take(&door->refusals, peers_now(door->peers));
    if (kept_back > 0)
        PEERS_TRACE(door->peers, WARN,
                    "... and %llu more of this kind in a minute: connections to the %s port that "
                    "were refused",
                    (unsigned long long)kept_back, door->name);
}

static void tell(struct peer_door *door, const char *address, const char *reason)
{
    tell_kept_back(door);
    if (mk_quiet_pass(&door->refusals, peers_now(door->peers)))
        PEERS_TRACE(door->peers, WARN, "a connection from %s to the %s port is refused: %s",
                    address, door->name, reason);
    else
        peers_wake_at(door->peers, mk_quiet_deadline_ms(&door->refusals));
}

static void leave(struct peer_stranger *stranger)
{
    struct peer_door *door = stranger->door;
    *(stranger->previous ? &stranger->previous->next : &door->oldest) = stranger->next;
    *(stranger->next ? &stranger->next->previous : &door->newest) = stranger->previous;
    door->count--;
    mk_free(stranger);
}

static void dismiss(struct peer_stranger *stranger)
{
    peer_socket_close(stranger->socket, false);
    leave(stranger);
}

void peer_stranger_refuse(struct peer_stranger *stranger, const char *format, ...)
{
    char reason[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    tell(stranger->door, stranger->socket->address, reason);
    dismiss(stranger);
}

struct peer_socket *peer_stranger_take(struct peer_stranger *stranger)
{
    struct peer_socket *socket = stranger->socket;
    leave(stranger);
    return socket;
}

static void stranger_input(struct peer_socket *socket)
{
    struct peer_stranger *stranger = socket->owner;
    /* More than its hello can be: it waits to be let in, and so do its further words. */
    if (socket->input.length >= stranger->door->hello_bytes_max)
        peer_socket_stop_reading(socket);
    stranger->door->look(stranger);
}

static void stranger_ended(struct peer_socket *socket, int status)
{
    struct peer_stranger *stranger = socket->owner;
    PEERS_TRACE(socket->peers, DEBUG, "%s left the %s port without a word: %s", socket->address,
                stranger->door->name, uv_strerror(status));
    dismiss(stranger);
}

static const struct peer_socket_use stranger_use = {stranger_input, stranger_ended, NULL};

static void admit(struct peer_door *door, struct peer_socket *socket)
{
    struct peers *peers = door->peers;
    if (door->count >= peers->options.strangers_max)
        peer_stranger_refuse(door->oldest, "%u others wait there too, and it was the first",
                             door->count - 1);
    struct peer_stranger *stranger = mk_calloc(1, sizeof *stranger);
    *stranger = (struct peer_stranger){
        .socket = socket, .door = door, .previous = door->newest, .since_ms = peers_now(peers)};
    *(door->newest ? &door->newest->next : &door->oldest) = stranger;
    door->newest = stranger;
    door->count++;
    peers_wake_at(peers, peer_door_deadline(door));
    peer_socket_own(socket, stranger, &stranger_use);
    peer_socket_read(socket);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct peer_listener *listener = stream->data;
    struct peer_door *door = listener->door;
    if (status != 0) {
        tell(door, "somebody", uv_strerror(status));
        return;
    }
    struct peer_socket *socket = peer_socket_new(door->peers);
    int error = uv_accept(stream, (uv_stream_t *)&socket->tcp);
    if (error != 0)
        tell(door, "somebody", uv_strerror(error));
    if (error != 0 || !peer_socket_connected(socket))
        peer_socket_close(socket, false);
    else
        admit(door, socket);
}

void peer_door_look(struct peer_door *door)
{
    struct peer_stranger *following;
    for (struct peer_stranger *stranger = door->oldest; stranger; stranger = following) {
        following = stranger->next;
        door->look(stranger);
    }
}

void peer_door_tick(struct peer_door *door, int64_t now_ms)
{
    int64_t limit_ms = door->peers->options.handshake_timeout_ms;
    while (door->oldest && now_ms - door->oldest->since_ms >= limit_ms) {
        if (door->oldest->socket->input.length >= 4 && door == &door->peers->quorum_door)
            peer_stranger_refuse(door->oldest, "no leader was elected within %lld ms",
                                 (long long)limit_ms);
        else
            peer_stranger_refuse(door->oldest, "it did not say what it is within %lld ms",
                                 (long long)limit_ms);
    }
    tell_kept_back(door);
}

int64_t peer_door_deadline(const struct peer_door *door)
{
    int64_t deadline_ms = mk_quiet_deadline_ms(&door->refusals);
    if (door->oldest)
        deadline_ms =
            MK_MIN(deadline_ms, door->oldest->since_ms + door->peers->options.handshake_timeout_ms);
    return deadline_ms;
}

/* --- listening -------------------------------------------------------------------------------- */

static void on_listener_closed(uv_handle_t *handle)
{
    struct peer_listener *listener = handle->data;
    struct peers *peers = listener->door->peers;
    mk_free(listener);
    peers_one_closed(peers);
}

/* 0, or libuv's error. */
static int listen_at(struct peer_door *door, const struct sockaddr *address, unsigned flags)
{
    struct peer_listener *listener = mk_calloc(1, sizeof *listener);
    listener->door = door;
    int error =
        uv_tcp_init_ex(door->peers->options.loop, &listener->tcp, (unsigned)address->sa_family);
    if (error != 0) {
        mk_free(listener);
        return error;
    }
    peers_opened(door->peers);
    listener->tcp.data = listener;
    error = uv_tcp_bind(&listener->tcp, address, flags);
    if (error == 0) /* where an address in use is told, too */
        error = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    if (error != 0) {
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
        return error;
    }
    door->listeners =
        mk_realloc(door->listeners, (door->listener_count + 1) * sizeof *door->listeners);
    door->listeners[door->listener_count++] = listener;
    return 0;
}

static int open_failed(const struct peer_door *door, const char *host, uint16_t port, int cause,
                       char *reason, size_t reason_size)
{
    const char *advice =
        cause == UV_EADDRINUSE ? "another process listens there (another server? see `ss -ltnp`); "
                                 "stop it or choose another port"
        : cause == UV_EACCES   ? "this user may not use that port; choose one from 1024 on"
        : cause == UV_EADDRNOTAVAIL
            ? "this machine does not have that address: is this server's id right? If the others "
              "reach it by an address that is translated on the way, set quorumListenOnAllIPs"
            : "check the line of this server in the list of servers";
    snprintf(reason, reason_size, "cannot listen for other servers on %s port %u (%s): %s; %s",
             host, port, door->name, uv_strerror(cause), advice);
    return MK_ERR_BAD_CONFIG;
}

static bool has_not(int error)
{
    return error == UV_EADDRNOTAVAIL || error == UV_EAFNOSUPPORT;
}

/* Where IPv4 is listened to for itself, an IPv6 wildcard must not take it too. */
static unsigned flags_for(const struct addrinfo *all, const struct addrinfo *one)
{
    if (one->ai_family != AF_INET6)
        return 0;
    for (; all; all = all->ai_next)
        if (all->ai_family == AF_INET)
            return UV_TCP_IPV6ONLY;
    return 0;
}

/* A name may stand for several addresses; at least one of them must be this machine's. */
int peer_door_open(struct peer_door *door, const char *host, uint16_t port, char *reason,
                   size_t reason_size)
{
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    uv_getaddrinfo_t lookup;
    int cause = uv_getaddrinfo(door->peers->options.loop, &lookup, NULL, host, service, &hints);
    if (cause != 0)
        return open_failed(door, host, port, cause, reason, reason_size);
    for (struct addrinfo *found = lookup.addrinfo; found; found = found->ai_next) {
        if (found->ai_family != AF_INET && found->ai_family != AF_INET6)
            continue;
        int error = listen_at(door, found->ai_addr, flags_for(lookup.addrinfo, found));
        if (error != 0 && (cause == 0 || has_not(cause)))
            cause = error;
    }
    uv_freeaddrinfo(lookup.addrinfo);
    if (door->listener_count > 0 && (cause == 0 || has_not(cause)))
        return 0;
    return open_failed(door, host, port, cause != 0 ? cause : UV_EADDRNOTAVAIL, reason,
                       reason_size);
}

void peer_door_close(struct peer_door *door)
{
    for (size_t i = 0; i < door->listener_count; i++)
        uv_close((uv_handle_t *)&door->listeners[i]->tcp, on_listener_closed);
    mk_free(door->listeners);
    door->listeners = NULL;
    door->listener_count = 0;
    while (door->oldest)
        dismiss(door->oldest);
}
