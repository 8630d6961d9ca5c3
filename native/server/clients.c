/* SPDX-License-Identifier: MIT */
/* Connections: bytes from sockets into replica steps, output of the replica into sockets. Called
 * by libuv and by the turn (server.c). Reading: one shared buffer for all; what a step does
 * not consume is kept by the connection. Writing: once per turn; what the kernel does not take
 * waits in one uv_write, and the replica sees how much that is. Knows no protocol. */
#include "server/clients_int.h"

#include "base/mem.h"

#include <sys/socket.h>
#include <unistd.h>

#define INPUT_BYTES ((size_t)256 << 10)
/* A kept beginning of a frame up to here is copied in front of the next read; a longer one is
 * read on in its own buffer. */
#define INPUT_COPY_BYTES ((size_t)16 << 10)
#define INPUT_STEP_BYTES ((size_t)64 << 10)
/* Output memory that a connection keeps while it is in use, and when it is idle. */
#define OUTPUT_KEEP_BYTES ((size_t)16 << 10)
#define OUTPUT_IDLE_BYTES ((size_t)128)
#define CHORES_EVERY_MS 500
#define ENDING_MS 5000 /* for more of the last output to leave */
#define LINGER_MS 1000 /* for the peer to close its side */
#define LINGER_BYTES ((uint32_t)1 << 20)

struct unsent {
    uv_write_t request;
    struct connection *connection;
    struct mk_buffer buffer;
};

/* Input, and of a buffer that is being sent the part that is with the kernel already. */
static void tell_kept(const struct connection *connection, struct replica_link *link)
{
    size_t kept = connection->input.length;
    if (connection->unsent)
        kept += connection->unsent->buffer.length - link->unsent_elsewhere;
    link->kept_elsewhere = kept;
    replica_link_changed(connection->clients->server->replica, connection->number);
}

/* --- lists --------------------------------------------------------------------------------------
 */

static void on_chores(uv_timer_t *timer);

void chores_start(struct clients *clients)
{
    if (clients->chores_running)
        return;
    clients->chores_running = true;
    uv_timer_start(&clients->chores, on_chores, CHORES_EVERY_MS, CHORES_EVERY_MS);
}

static void chores_add(struct clients *clients, struct connection **list,
                       struct connection *connection)
{
    connection->chore_previous = NULL;
    connection->chore_next = *list;
    if (*list)
        (*list)->chore_previous = connection;
    *list = connection;
    chores_start(clients);
}

static void chores_remove(struct connection **list, struct connection *connection)
{
    if (connection->chore_previous)
        connection->chore_previous->chore_next = connection->chore_next;
    else
        *list = connection->chore_next;
    if (connection->chore_next)
        connection->chore_next->chore_previous = connection->chore_previous;
}

/* A connection is in one chore list at most: ending goes before roomy. */
static void leave_chores(struct connection *connection)
{
    struct clients *clients = connection->clients;
    if (connection->ending)
        chores_remove(&clients->ending, connection);
    else if (connection->roomy)
        chores_remove(&clients->roomy, connection);
    connection->roomy = false;
}

static void release_number(struct clients *clients, uint32_t number)
{
    clients->slots[number].connection = NULL;
    if (!clients->slots[number].command_pending)
        clients->free_numbers[clients->free_count++] = number;
}

static uint32_t take_number(struct clients *clients, struct connection *connection)
{
    if (clients->free_count == 0 && clients->slot_count == clients->slot_capacity) {
        clients->slot_capacity = MK_MAX(clients->slot_capacity * 2, 64u);
        clients->slots =
            mk_realloc(clients->slots, clients->slot_capacity * sizeof *clients->slots);
        clients->free_numbers = mk_realloc(clients->free_numbers,
                                           clients->slot_capacity * sizeof *clients->free_numbers);
    }
    uint32_t number = clients->free_count > 0 ? clients->free_numbers[--clients->free_count]
                                              : clients->slot_count++;
    clients->slots[number] = (struct slot){.connection = connection};
    return number;
}

/* --- the end of a connection
 * ---------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct server *server = connection->clients->server;
    mk_buffer_fini(&connection->input);
    mk_free(connection);
    server_handle_closed(server);
}

/* The replica lets go of it; its number may be used again. */
static void let_go(struct connection *connection)
{
    uint32_t number = connection->number;
    if (number == CONNECTION_NO_NUMBER)
        return;
    connection->number = CONNECTION_NO_NUMBER;
    server_feed_simple(connection->clients->server, REPLICA_DISCONNECT, number);
    release_number(connection->clients, number);
}

static void connection_close(struct connection *connection)
{
    struct clients *clients = connection->clients;
    if (connection->closed)
        return;
    connection->closed = true;
    mk_buffer_fini(&connection->input);
    leave_chores(connection);
    let_go(connection);
    address_forget(connection);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        clients->all = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    clients->count--;
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
}

static void read_start(struct connection *connection);

/* All output is sent: shuts down our side and waits a little for the peer's end. Closing at once
 * would reset the connection if there is unread input, and the peer could lose the answer. */
static void linger(struct connection *connection)
{
    uv_os_fd_t descriptor;
    let_go(connection);
    if (connection->saw_end || uv_fileno((uv_handle_t *)&connection->tcp, &descriptor) != 0 ||
        shutdown(descriptor, SHUT_WR) != 0) {
        connection_close(connection);
        return;
    }
    connection->lingering = true;
    connection->end_at_ms = server_now_ms(connection->clients->server) + LINGER_MS;
    mk_buffer_fini(&connection->input);
    read_start(connection);
}

static void connection_end(struct connection *connection, struct replica_link *link)
{
    struct clients *clients = connection->clients;
    size_t waiting = link->output.length + link->unsent_elsewhere;
    if (!connection->ending) {
        leave_chores(connection);
        connection->ending = true;
        connection->waiting_bytes = waiting;
        connection->end_at_ms = server_now_ms(clients->server) + ENDING_MS;
        chores_add(clients, &clients->ending, connection);
        mk_buffer_fini(&connection->input); /* nobody reads it any more */
        tell_kept(connection, link);
    }
    /* What uv_write sent at once waits for on_written all the same, which needs the link. */
    if (waiting == 0 && !connection->unsent)
        linger(connection);
    else if (waiting > clients->server->options.replica.output_close_bytes)
        connection_close(connection); /* it does not read: nothing to be polite about */
}

static void on_chores(uv_timer_t *timer)
{
    struct clients *clients = timer->data;
    struct replica *replica = clients->server->replica;
    int64_t now_ms = server_now_ms(clients->server);
    struct connection *following;
    for (struct connection *c = clients->ending; c; c = following) {
        following = c->chore_next;
        size_t waiting = c->unsent ? uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) : 0;
        if (waiting > 0 && waiting < c->waiting_bytes)
            c->end_at_ms = now_ms + ENDING_MS; /* it does read */
        c->waiting_bytes = waiting;
        if (now_ms >= c->end_at_ms)
            connection_close(c);
    }
    for (struct connection *c = clients->roomy; c; c = following) {
        following = c->chore_next;
        struct replica_link *link = replica_link(replica, c->number);
        if (!c->used && link && link->output.length == 0) {
            mk_buffer_shrink(&link->output, OUTPUT_IDLE_BYTES);
            leave_chores(c);
        }
        c->used = false;
    }
    if (!listeners_chores(clients) && !clients->ending && !clients->roomy) {
        clients->chores_running = false;
        uv_timer_stop(timer);
    }
}

/* --- reading
 * ----------------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;
    struct clients *clients = connection->clients;
    struct mk_buffer *kept = &connection->input;
    (void)suggested;
    if (connection->paused || clients->stopping) {
        /* Reading is stopped only now that there is something to read: most pauses are over
         * before, and cost no system call. on_read gets UV_ENOBUFS. */
        *buffer = uv_buf_init(NULL, 0);
        if (!connection->lingering)
            return;
    }
    if (kept->length > INPUT_COPY_BYTES) {
        uint8_t *at = mk_buffer_reserve(kept, INPUT_STEP_BYTES);
        *buffer = uv_buf_init((char *)at, (unsigned)(kept->capacity - kept->length));
        return;
    }
    if (kept->length > 0)
        memcpy(clients->input, kept->data, kept->length);
    *buffer =
        uv_buf_init((char *)clients->input + kept->length, (unsigned)(INPUT_BYTES - kept->length));
}

/* One step with these bytes; returns what was taken. */
static size_t feed(struct connection *connection, const uint8_t *data, size_t size)
{
    struct server *server = connection->clients->server;
    struct replica_event event = {
        .type = REPLICA_BYTES, .connection = connection->number, .bytes = mk_bytes_of(data, size)};
    server_feed(server, &event);
    size_t consumed = server->update.consumed;
    MK_ASSERT(consumed <= size);
    const struct replica_link *link = replica_link(server->replica, connection->number);
    connection->paused = link && link->paused;
    return consumed;
}

static void input_changed(struct connection *connection)
{
    struct replica_link *link =
        replica_link(connection->clients->server->replica, connection->number);
    if (connection->input.length == 0)
        mk_buffer_fini(&connection->input);
    if (link)
        tell_kept(connection, link);
}

static void take_input(struct connection *connection, size_t size)
{
    struct mk_buffer *kept = &connection->input;
    bool had_kept = kept->length > 0;
    if (kept->length > INPUT_COPY_BYTES) {
        kept->length += size; /* was read behind it; see on_alloc */
        mk_buffer_consume(kept, feed(connection, kept->data, kept->length));
    } else {
        size += kept->length;
        size_t consumed = feed(connection, connection->clients->input, size);
        mk_buffer_clear(kept);
        mk_buffer_append(kept, connection->clients->input + consumed, size - consumed);
    }
    if (had_kept || kept->length > 0)
        input_changed(connection);
}

static void discard_input(struct connection *connection, ssize_t size)
{
    connection->discarded_bytes += (uint32_t)size;
    if (connection->discarded_bytes > LINGER_BYTES)
        connection_close(connection);
}

/* The peer sends no more. What it sent before is still performed in this turn, and a client that
 * shuts down its side behind a four-letter word still wants the answer; see clients_reap. */
static void input_ended(struct connection *connection)
{
    struct clients *clients = connection->clients;
    connection->saw_end = true;
    connection->reading = false;
    uv_read_stop((uv_stream_t *)&connection->tcp);
    if (connection->number == CONNECTION_NO_NUMBER) {
        connection_close(connection);
        return;
    }
    if (clients->ended_count == clients->ended_capacity) {
        clients->ended_capacity = MK_MAX(clients->ended_capacity * 2, (size_t)16);
        clients->ended =
            mk_realloc(clients->ended, clients->ended_capacity * sizeof *clients->ended);
    }
    clients->ended[clients->ended_count++] = connection->number;
    clients->server->turn_pending = true;
}

void clients_reap(struct clients *clients)
{
    for (size_t i = 0; i < clients->ended_count; i++) {
        uint32_t number = clients->ended[i];
        struct slot *slot = &clients->slots[number];
        const struct replica_link *link = replica_link(clients->server->replica, number);
        if (slot->connection && slot->connection->saw_end && !slot->command_pending && link &&
            !link->closing)
            connection_close(slot->connection);
    }
    clients->ended_count = 0;
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    (void)buffer; /* on_alloc's choice follows from the connection */
    if (size == 0 || connection->closed)
        return;
    if (size == UV_ENOBUFS) {
        connection->reading = false;
        uv_read_stop(stream);
    } else if (size == UV_EOF) {
        input_ended(connection);
    } else if (size < 0) {
        connection_close(connection);
    } else if (connection->ending) {
        discard_input(connection, size);
    } else {
        take_input(connection, (size_t)size);
    }
}

static void read_start(struct connection *connection)
{
    if (connection->reading || connection->saw_end || connection->closed)
        return;
    connection->reading = true;
    if (uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read) != 0)
        connection_close(connection);
}

void connection_start(struct clients *clients, struct connection *connection,
                      struct mk_bytes address)
{
    connection->next = clients->all;
    if (clients->all)
        clients->all->previous = connection;
    clients->all = connection;
    clients->count++;
    connection->number = take_number(clients, connection);
    uv_tcp_nodelay(&connection->tcp, 1);
    struct replica_event event = {
        .type = REPLICA_CONNECT, .connection = connection->number, .bytes = address};
    server_feed(clients->server, &event);
    read_start(connection);
}

/* --- writing
 * ----------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct unsent *unsent = MK_CONTAINER_OF(request, struct unsent, request);
    struct connection *connection = unsent->connection;
    struct clients *clients = connection->clients;
    connection->unsent = NULL;
    clients->unsent_count--;
    mk_buffer_fini(&unsent->buffer);
    mk_free(unsent);
    if (connection->closed)
        return;
    if (status != 0) {
        connection_close(connection);
        return;
    }
    struct replica_link *link = replica_link(clients->server->replica, connection->number);
    MK_ASSERT(link);
    link->unsent_elsewhere = 0;
    tell_kept(connection, link);
    server_feed_simple(clients->server, REPLICA_DRAINED, connection->number);
    clients_perform(clients, connection->number);
}

/* What the kernel did not take goes to libuv, with its memory. */
static bool send_later(struct connection *connection, struct replica_link *link, size_t sent)
{
    struct unsent *unsent = mk_calloc(1, sizeof *unsent);
    unsent->connection = connection;
    unsent->buffer = link->output;
    link->output = MK_BUFFER_EMPTY;
    uv_buf_t rest =
        uv_buf_init((char *)unsent->buffer.data + sent, (unsigned)(unsent->buffer.length - sent));
    connection->unsent = unsent;
    connection->clients->unsent_count++;
    link->unsent_elsewhere = rest.len;
    tell_kept(connection, link);
    if (uv_write(&unsent->request, (uv_stream_t *)&connection->tcp, &rest, 1, on_written) == 0)
        return true;
    connection->unsent = NULL;
    connection->clients->unsent_count--;
    mk_buffer_fini(&unsent->buffer);
    mk_free(unsent);
    return false;
}

static void keep_room(struct connection *connection, struct replica_link *link)
{
    size_t sent = link->output.length;
    mk_buffer_clear(&link->output);
    mk_buffer_shrink(&link->output, OUTPUT_KEEP_BYTES);
    if (sent > OUTPUT_KEEP_BYTES) /* less is seen soon enough */
        tell_kept(connection, link);
    connection->used = true;
    if (link->output.capacity > OUTPUT_IDLE_BYTES && !connection->roomy && !connection->ending) {
        connection->roomy = true;
        chores_add(connection->clients, &connection->clients->roomy, connection);
    }
}

/* False if the connection was found broken. */
static bool send_output(struct connection *connection, struct replica_link *link)
{
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    if (connection->unsent) {
        link->unsent_elsewhere = uv_stream_get_write_queue_size(stream);
        tell_kept(connection, link);
        return true;
    }
    if (link->output.length == 0)
        return true;
    uv_buf_t output = uv_buf_init((char *)link->output.data, (unsigned)link->output.length);
    int sent = uv_try_write(stream, &output, 1);
    if (sent < 0 && sent != UV_EAGAIN)
        return false;
    if ((size_t)MK_MAX(sent, 0) < link->output.length)
        return send_later(connection, link, (size_t)MK_MAX(sent, 0));
    keep_room(connection, link);
    if (link->paused)
        server_feed_simple(connection->clients->server, REPLICA_DRAINED, connection->number);
    return true;
}

/* --- the turn
 * ---------------------------------------------------------------------------------------- */

/* The replica takes bytes again: first those that were kept. */
static void unpause(struct connection *connection)
{
    struct mk_buffer *kept = &connection->input;
    if (kept->length > 0) {
        mk_buffer_consume(kept, feed(connection, kept->data, kept->length));
        input_changed(connection);
    }
    if (!connection->paused)
        read_start(connection);
}

void clients_perform(struct clients *clients, uint32_t number)
{
    struct replica_link *link = replica_link(clients->server->replica, number);
    struct connection *connection =
        number < clients->slot_count ? clients->slots[number].connection : NULL;
    if (!connection || !link)
        return;
    if (link->abandoned || !send_output(connection, link)) {
        connection_close(connection);
        return;
    }
    bool was_paused = connection->paused;
    connection->paused = link->paused;
    if (link->closing)
        connection_end(connection, link);
    else if (was_paused && !link->paused && !clients->stopping)
        unpause(connection);
}

void clients_command_begin(struct clients *clients, uint32_t number)
{
    if (number < clients->slot_count && clients->slots[number].connection)
        clients->slots[number].command_pending = true;
}

bool clients_command_is_open(const struct clients *clients, uint32_t number)
{
    return number < clients->slot_count && clients->slots[number].command_pending &&
           clients->slots[number].connection;
}

bool clients_command_end(struct clients *clients, uint32_t number)
{
    if (number >= clients->slot_count || !clients->slots[number].command_pending)
        return false;
    clients->slots[number].command_pending = false;
    if (clients->slots[number].connection)
        return true;
    clients->free_numbers[clients->free_count++] = number;
    return false;
}

/* --- life
 * ------------------------------------------------------------------------------------------- */

struct clients *clients_new(struct server *server)
{
    struct clients *clients = mk_calloc(1, sizeof *clients);
    clients->server = server;
    clients->input = mk_alloc(INPUT_BYTES);
    return clients;
}

void clients_stop(struct clients *clients)
{
    clients->stopping = true;
    listeners_close(clients);
}

bool clients_are_drained(const struct clients *clients)
{
    return clients->unsent_count == 0;
}

/* What has arrived and is not read would make close() reset the connection. */
static void drain_input(struct connection *connection)
{
    uv_os_fd_t descriptor;
    if (connection->lingering || uv_fileno((uv_handle_t *)&connection->tcp, &descriptor) != 0)
        return;
    shutdown(descriptor, SHUT_WR);
    size_t total = 0;
    ssize_t got;
    while (total < LINGER_BYTES &&
           (got = recv(descriptor, connection->clients->input, INPUT_BYTES, MSG_DONTWAIT)) > 0)
        total += (size_t)got;
}

static void on_chores_closed(uv_handle_t *handle)
{
    struct clients *clients = handle->data;
    server_handle_closed(clients->server);
}

void clients_close(struct clients *clients)
{
    listeners_close(clients);
    while (clients->all) {
        drain_input(clients->all);
        connection_close(clients->all);
    }
    if (clients->has_chores_handle)
        uv_close((uv_handle_t *)&clients->chores, on_chores_closed);
}

void clients_free(struct clients *clients)
{
    if (!clients)
        return;
    addresses_free(clients);
    mk_free(clients->input);
    mk_free(clients->slots);
    mk_free(clients->free_numbers);
    mk_free(clients->ports);
    mk_free(clients->ended);
    mk_free(clients);
}

uint16_t clients_peer_port(const struct clients *clients, uint32_t number)
{
    struct sockaddr_storage peer;
    int bytes = sizeof peer;
    if (number >= clients->slot_count || !clients->slots[number].connection ||
        uv_tcp_getpeername(&clients->slots[number].connection->tcp, (struct sockaddr *)&peer,
                           &bytes) != 0)
        return 0;
    return ntohs(peer.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&peer)->sin6_port
                                            : ((struct sockaddr_in *)&peer)->sin_port);
}

uint64_t clients_rejected(const struct clients *clients)
{
    return clients->rejected;
}
