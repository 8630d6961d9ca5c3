/* SPDX-License-Identifier: MIT */
/* Listening sockets and the door: who is let in. A connection beyond a limit is accepted and
 * closed at once, as ZooKeeper does (client-protocol reference, limits): its client sees an
 * end, not a refusal. The last descriptors of the process are kept for the log and the
 * snapshots: a server full of clients must still be able to open a new log file. */
#include "server/clients_int.h"

#include "base/mem.h"
#include "wire/errors.gen.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <uthash.h>

#define DESCRIPTORS_RESERVED 24
#define REJECT_TRACE_EVERY_MS 60000
#define ADDRESS_BYTES 16

struct address_count {
    uint8_t address[ADDRESS_BYTES]; /* IPv4 as ::ffff:a.b.c.d */
    uint32_t count;
    UT_hash_handle hh;
};

/* --- counting addresses ------------------------------------------------------------------------
 */

static void address_key(const struct sockaddr_storage *peer, uint8_t key[ADDRESS_BYTES])
{
    memset(key, 0, ADDRESS_BYTES);
    if (peer->ss_family == AF_INET6) {
        memcpy(key, &((const struct sockaddr_in6 *)peer)->sin6_addr, ADDRESS_BYTES);
    } else {
        key[10] = key[11] = 0xff;
        memcpy(key + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    }
}

static struct address_count *address_find(struct clients *clients, const uint8_t key[ADDRESS_BYTES])
{
    struct address_count *found;
    HASH_FIND(hh, clients->addresses, key, ADDRESS_BYTES, found);
    return found;
}

static void address_remember(struct clients *clients, struct connection *connection,
                             const uint8_t key[ADDRESS_BYTES])
{
    struct address_count *entry = address_find(clients, key);
    if (!entry) {
        entry = mk_calloc(1, sizeof *entry);
        memcpy(entry->address, key, ADDRESS_BYTES);
        HASH_ADD(hh, clients->addresses, address, ADDRESS_BYTES, entry);
    }
    entry->count++;
    connection->address = entry;
}

void address_forget(struct connection *connection)
{
    struct clients *clients = connection->clients;
    struct address_count *entry = connection->address;
    if (!entry)
        return;
    connection->address = NULL;
    if (--entry->count == 0) {
        HASH_DELETE(hh, clients->addresses, entry);
        mk_free(entry);
    }
}

void addresses_free(struct clients *clients)
{
    struct address_count *entry, *following;
    HASH_ITER(hh, clients->addresses, entry, following)
    {
        HASH_DELETE(hh, clients->addresses, entry);
        mk_free(entry);
    }
}

/* Without port; an IPv4 client of an IPv6 socket is shown as IPv4, as ACLs of the scheme ip name
 * it. */
static void address_text(const uint8_t key[ADDRESS_BYTES], char text[INET6_ADDRSTRLEN])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_v4 = memcmp(key, mapped, sizeof mapped) == 0;
    if (uv_inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? key + 12 : key, text, INET6_ADDRSTRLEN) !=
        0)
        snprintf(text, INET6_ADDRSTRLEN, "?");
}

/* --- the door ------------------------------------------------------------------------------------
 */

static void on_rejected_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct server *server = connection->clients->server;
    mk_free(connection);
    server_handle_closed(server);
}

static void reject(struct clients *clients, struct connection *connection, const char *reason)
{
    clients->rejected++;
    clients->reject_untraced++;
    int64_t now_ms = server_now_ms(clients->server);
    if (clients->reject_traced_ms == 0 ||
        now_ms - clients->reject_traced_ms >= REJECT_TRACE_EVERY_MS) {
        mk_trace(clients->server->trace, MK_LEVEL_WARN, "clients",
                 "%llu connections were accepted and closed at once, the last because %s",
                 (unsigned long long)clients->reject_untraced, reason);
        clients->reject_traced_ms = MK_MAX(now_ms, INT64_C(1));
        clients->reject_untraced = 0;
    }
    uv_close((uv_handle_t *)&connection->tcp, on_rejected_closed);
}

/* The kernel gives out the lowest free descriptor, so a high one means that all below are in
 * use. */
static bool descriptors_are_short(const struct connection *connection)
{
    struct rlimit limit;
    uv_os_fd_t descriptor;
    if (uv_fileno((const uv_handle_t *)&connection->tcp, &descriptor) != 0 ||
        getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return false;
    return (rlim_t)descriptor + DESCRIPTORS_RESERVED >= limit.rlim_cur;
}

/* Registers the connection, or closes it. */
static void admit(struct clients *clients, struct connection *connection)
{
    const struct server_options *options = &clients->server->options;
    struct sockaddr_storage peer;
    int peer_bytes = sizeof peer;
    char reason[160];
    if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&peer, &peer_bytes) != 0) {
        reject(clients, connection, "the client was gone already");
        return;
    }
    uint8_t key[ADDRESS_BYTES];
    char text[INET6_ADDRSTRLEN];
    address_key(&peer, key);
    address_text(key, text);
    const struct address_count *same = address_find(clients, key);
    if (options->connections_max > 0 && clients->count >= options->connections_max) {
        snprintf(reason, sizeof reason, "there are %u already (connections_max)", clients->count);
        reject(clients, connection, reason);
    } else if (options->connections_per_address_max > 0 && same &&
               same->count >= options->connections_per_address_max) {
        snprintf(reason, sizeof reason, "%s has %u already (connections_per_address_max)", text,
                 same->count);
        reject(clients, connection, reason);
    } else if (descriptors_are_short(connection)) {
        reject(clients, connection,
               "the process has no more file descriptors for clients (raise ulimit -n)");
    } else {
        address_remember(clients, connection, key);
        connection_start(clients, connection, mk_bytes_of_string(text));
    }
}

bool listeners_chores(struct clients *clients)
{
    uint64_t kept_back = mk_quiet_take(&clients->accept_failures, server_now_ms(clients->server));
    if (kept_back > 0)
        mk_trace(clients->server->trace, MK_LEVEL_WARN, "clients",
                 "... and %llu more of this kind in a minute: connections that cannot be accepted",
                 (unsigned long long)kept_back);
    return mk_quiet_deadline_ms(&clients->accept_failures) != INT64_MAX;
}

/* As often as there is a connection and no memory or descriptor for it. */
static void accept_failed(struct clients *clients, int error)
{
    struct server *server = clients->server;
    listeners_chores(clients);
    if (mk_quiet_pass(&clients->accept_failures, server_now_ms(server)))
        mk_trace(server->trace, MK_LEVEL_WARN, "clients", "a connection cannot be accepted: %s",
                 uv_strerror(error));
    else
        chores_start(clients);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    struct clients *clients = listener->clients;
    struct server *server = clients->server;
    if (status != 0) {
        accept_failed(clients, status);
        return;
    }
    struct connection *connection = mk_calloc(1, sizeof *connection);
    connection->clients = clients;
    connection->number = CONNECTION_NO_NUMBER;
    uv_tcp_init(server->loop, &connection->tcp);
    connection->tcp.data = connection;
    server_handle_opened(server);
    int error = uv_accept(stream, (uv_stream_t *)&connection->tcp);
    if (error != 0)
        reject(clients, connection, uv_strerror(error));
    else
        admit(clients, connection);
}

/* --- listening
 * ------------------------------------------------------------------------------------- */

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    struct server *server = listener->clients->server;
    mk_free(listener);
    server_handle_closed(server);
}

/* An IPv6 wildcard takes IPv4 clients too, unless an IPv4 address is listed for itself. */
static bool takes_ipv6_only(const struct clients *clients, const struct sockaddr *address)
{
    if (address->sa_family != AF_INET6)
        return false;
    const struct server_options *options = &clients->server->options;
    struct in_addr ipv4;
    for (size_t i = 0; i < options->address_count; i++) {
        if (uv_inet_pton(AF_INET, options->addresses[i].host, &ipv4) == 0)
            return true;
    }
    return !IN6_IS_ADDR_UNSPECIFIED(
        &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

static uint16_t bound_port(const struct listener *listener)
{
    struct sockaddr_storage bound;
    int bytes = sizeof bound;
    if (uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&bound, &bytes) != 0)
        return 0;
    return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
}

/* 0, or libuv's error. */
static int bind_to(struct clients *clients, const struct sockaddr *address, uint16_t *port)
{
    struct server *server = clients->server;
    struct listener *listener = mk_calloc(1, sizeof *listener);
    listener->clients = clients;
    int error = uv_tcp_init_ex(server->loop, &listener->tcp, (unsigned)address->sa_family);
    if (error != 0) {
        mk_free(listener);
        return error;
    }
    server_handle_opened(server);
    listener->tcp.data = listener;
    unsigned flags = takes_ipv6_only(clients, address) ? UV_TCP_IPV6ONLY : 0;
    error = uv_tcp_bind(&listener->tcp, address, flags);
    if (error == 0) { /* libuv keeps back that an address is in use; asking for the name tells */
        struct sockaddr_storage bound;
        int bytes = sizeof bound;
        error = uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&bound, &bytes);
    }
    if (error != 0) {
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
        return error;
    }
    *port = bound_port(listener);
    clients->listeners =
        mk_realloc(clients->listeners, (clients->listener_count + 1) * sizeof *clients->listeners);
    clients->listeners[clients->listener_count++] = listener;
    return 0;
}

static int listen_failed(struct server_error *error, const struct server_address *address,
                         int cause)
{
    const char *advice =
        cause == UV_EADDRINUSE ? "another process listens there (another server? see `ss -ltnp`); "
                                 "stop it or choose another port"
        : cause == UV_EACCES   ? "this user may not use that port; choose one from 1024 on"
        : cause == UV_EADDRNOTAVAIL ? "this machine does not have that address"
                                    : "choose another client address";
    error->code = MK_ERR_BAD_CONFIG;
    snprintf(error->text, sizeof error->text, "cannot listen on %s port %u: %s; %s", address->host,
             address->port, uv_strerror(cause), advice);
    return error->code;
}

/* A name may stand for several addresses (localhost: 127.0.0.1 and ::1); at least one must do. */
static int bind_name(struct clients *clients, size_t index, struct server_error *error)
{
    const struct server_address *wanted = &clients->server->options.addresses[index];
    char service[8];
    snprintf(service, sizeof service, "%u", wanted->port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    uv_getaddrinfo_t lookup;
    int cause = uv_getaddrinfo(clients->server->loop, &lookup, NULL, wanted->host, service, &hints);
    if (cause != 0)
        return listen_failed(error, wanted, cause);
    uint16_t port = wanted->port;
    size_t open = 0;
    for (struct addrinfo *found = lookup.addrinfo; found; found = found->ai_next) {
        if (found->ai_family == AF_INET)
            ((struct sockaddr_in *)(void *)found->ai_addr)->sin_port = htons(port);
        else if (found->ai_family == AF_INET6)
            ((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_port = htons(port);
        else
            continue;
        int failure = bind_to(clients, found->ai_addr, &port);
        if (failure == 0)
            clients->listeners[clients->listener_count - 1]->address = index;
        if (failure == 0)
            open++;
        else
            cause = failure;
        if (failure != 0 && failure != UV_EADDRNOTAVAIL && failure != UV_EAFNOSUPPORT)
            break; /* in use, say: half a name would be a surprise */
        if (failure == 0)
            cause = 0;
    }
    uv_freeaddrinfo(lookup.addrinfo);
    clients->ports[index] = port;
    bool fatal = cause != 0 && cause != UV_EADDRNOTAVAIL && cause != UV_EAFNOSUPPORT;
    return open == 0 || fatal ? listen_failed(error, wanted, cause ? cause : UV_EADDRNOTAVAIL) : 0;
}

int clients_bind(struct clients *clients, struct server_error *error)
{
    struct server *server = clients->server;
    uv_timer_init(server->loop, &clients->chores);
    clients->chores.data = clients;
    clients->has_chores_handle = true;
    server_handle_opened(server);
    clients->ports = mk_calloc(server->options.address_count, sizeof *clients->ports);
    for (size_t i = 0; i < server->options.address_count; i++) {
        int code = bind_name(clients, i, error);
        if (code != 0)
            return code;
    }
    return 0;
}

int clients_listen(struct clients *clients, struct server_error *error)
{
    struct server *server = clients->server;
    for (size_t i = 0; i < clients->listener_count; i++) {
        struct listener *listener = clients->listeners[i];
        int cause =
            uv_listen((uv_stream_t *)&listener->tcp, server->options.listen_backlog, on_connection);
        if (cause != 0) /* somebody else bound it too, and listened first */
            return listen_failed(error, &server->options.addresses[listener->address], cause);
    }
    for (size_t i = 0; i < server->options.address_count; i++)
        mk_trace(server->trace, MK_LEVEL_INFO, "clients", "listening on %s port %u",
                 server->options.addresses[i].host, clients->ports[i]);
    return 0;
}

void listeners_close(struct clients *clients)
{
    for (size_t i = 0; i < clients->listener_count; i++)
        uv_close((uv_handle_t *)&clients->listeners[i]->tcp, on_listener_closed);
    mk_free(clients->listeners);
    clients->listeners = NULL;
    clients->listener_count = 0;
}

uint16_t clients_port(const struct clients *clients, size_t index)
{
    return clients->ports && index < clients->server->options.address_count ? clients->ports[index]
                                                                            : 0;
}
