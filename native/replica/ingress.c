/* SPDX-License-Identifier: MIT */
/* Connections: from bytes to frames. Knows the four-letter words at the start of a connection,
 * the limits at which a connection is paused or dropped, and its end. What a frame says is
 * handshake.c's and request.c's business. Rules: client-protocol reference, section 1. */
#include "replica/replica_int.h"

#include "base/mem.h"
#include "wire/frame.h"

struct connection *connection_find(const struct replica *replica, uint32_t number)
{
    return number < replica->connection_capacity ? replica->connections[number] : NULL;
}

static void handshake_list_append(struct replica *replica, struct connection *connection)
{
    connection->handshake_previous = replica->handshake_last;
    if (replica->handshake_last)
        replica->handshake_last->handshake_next = connection;
    else
        replica->handshake_first = connection;
    replica->handshake_last = connection;
}

void handshake_list_remove(struct replica *replica, struct connection *connection)
{
    if (connection->handshake_previous)
        connection->handshake_previous->handshake_next = connection->handshake_next;
    else if (replica->handshake_first == connection)
        replica->handshake_first = connection->handshake_next;
    else
        return; /* not in the list */
    if (connection->handshake_next)
        connection->handshake_next->handshake_previous = connection->handshake_previous;
    else
        replica->handshake_last = connection->handshake_previous;
    connection->handshake_previous = connection->handshake_next = NULL;
}

void connection_open(struct replica *replica, uint32_t number, struct mk_bytes address)
{
    if (number >= replica->connection_capacity) {
        size_t capacity = MK_MAX(replica->connection_capacity * 2, (size_t)64);
        capacity = MK_MAX(capacity, (size_t)number + 1);
        replica->connections =
            mk_realloc(replica->connections, capacity * sizeof *replica->connections);
        memset(replica->connections + replica->connection_capacity, 0,
               (capacity - replica->connection_capacity) * sizeof *replica->connections);
        replica->connection_capacity = capacity;
    }
    MK_ASSERT(!replica->connections[number]);
    struct connection *connection = mk_calloc(1, sizeof *connection);
    replica->connections[number] = connection;
    replica->connection_open_count++;
    connection->number = number;
    connection->opened_ms = replica->now_ms;
    auth_init(connection, address);
    connection->info = (struct replica_connection_info){
        .connection = number,
        .address = mk_bytes_of_string(connection->address),
        .established_wall_ms = replica->wall_ms,
        .last_response_now_ms = replica->now_ms,
    };
    handshake_list_append(replica, connection);
}

/* Nobody waits for the answer any more, and the host may give the number to the next client
 * before it performs this update. */
static void forget_commands(struct replica_update *update, uint32_t number)
{
    size_t kept = 0;
    for (size_t i = 0; update && i < update->command_count; i++) {
        if (update->commands[i].connection != number)
            update->commands[kept++] = update->commands[i];
    }
    if (update)
        update->command_count = kept;
}

void connection_leave_session(struct replica *replica, struct connection *connection)
{
    struct session *session = connection->session;
    connection->session = NULL;
    if (!session)
        return;
    session->connection = NULL;
    if (session->local)
        session_free(replica, session);
}

void connection_closed(struct replica *replica, uint32_t number)
{
    struct connection *connection = connection_find(replica, number);
    if (!connection)
        return;
    if (connection->phase == PHASE_COMMAND)
        forget_commands(replica->update, number);
    if (connection->link.paused)
        replica->paused_count--;
    handshake_list_remove(replica, connection);
    fair_forget(replica, connection);
    watch_forget(replica->watches, number);
    if (connection->session) {
        if (connection->phase != PHASE_ESTABLISHING)
            replica->stats.connection_count--;
        connection_leave_session(replica, connection);
    }
    pipeline_free(replica, connection);
    if (connection->establishing)
        connection->establishing->connection = NULL;
    buffers_forget(replica, connection);
    auth_fini(connection);
    mk_buffer_fini(&connection->link.output);
    replica->connections[number] = NULL;
    replica->connection_open_count--;
    mk_free(connection);
}

void connection_end(struct replica *replica, struct connection *connection)
{
    handshake_list_remove(replica, connection);
    connection->link.closing = true;
    replica_touch(replica, connection);
}

void connection_drop(struct replica *replica, struct connection *connection)
{
    mk_buffer_clear(&connection->link.output);
    if (!connection->link.closing)
        replica->stats.connection_drop_count++;
    connection_end(replica, connection);
}

bool connection_output_is_full(const struct replica *replica, const struct connection *connection)
{
    return connection->link.output.length + connection->link.unsent_elsewhere >=
           replica->options.output_pause_bytes;
}

static bool must_pause(const struct replica *replica, const struct connection *connection)
{
    const struct replica_options *options = &replica->options;
    if (connection->phase == PHASE_ESTABLISHING || replica->stopping)
        return true;
    if (connection->queue_length >= options->requests_in_flight_max ||
        connection->queue_bytes >= (size_t)options->frame_bytes_max ||
        connection->queue_cost >= options->turn_cost_max || fair_is_spent(replica, connection) ||
        connection_output_is_full(replica, connection))
        return true;
    /* Answers that wait for room go first. */
    if (connection->queue_head && connection->queue_head->state != REQUEST_PROPOSED)
        return true;
    return connection->queue_length > 0 &&
           (replica->proposal_count >= options->outstanding_max ||
            replica->proposal_bytes + replica->forwarded_bytes >= options->outstanding_bytes_max);
}

void connection_pause(struct replica *replica, struct connection *connection)
{
    fair_wait(replica, connection);
    if (connection->link.paused)
        return;
    connection->link.paused = true;
    stats_count(replica, COUNTER_REQUEST_THROTTLE_WAIT_COUNT);
    replica->paused_count++;
    replica_touch(replica, connection);
}

void connection_resume(struct replica *replica, struct connection *connection)
{
    if (!connection->link.paused)
        return;
    if (must_pause(replica, connection)) {
        fair_wait(replica, connection);
        return;
    }
    connection->link.paused = false;
    replica->paused_count--;
    replica_touch(replica, connection);
}

void connections_resume_all(struct replica *replica)
{
    for (size_t i = 0; i < replica->connection_capacity && replica->paused_count > 0; i++) {
        if (replica->connections[i])
            connection_resume(replica, replica->connections[i]);
    }
}

static bool is_command_word(uint32_t word, void *context)
{
    const struct replica *replica = context;
    for (const char *known = replica->command_words; *known; known += 4) {
        if (mk_load_u32((const uint8_t *)known) == word)
            return true;
    }
    return word == 0xfff4fffdu; /* telnet's interrupt: known, and closes quietly */
}

static void command_word(struct replica *replica, struct connection *connection, uint32_t word,
                         uint64_t mask)
{
    handshake_list_remove(replica, connection);
    if (word == 0xfff4fffdu) {
        connection_end(replica, connection);
        return;
    }
    connection->phase = PHASE_COMMAND;
    struct replica_update *update = replica->update;
    if (update->command_count == update->command_capacity) {
        update->command_capacity = MK_MAX(update->command_capacity * 2, (size_t)4);
        update->commands =
            mk_realloc(update->commands, update->command_capacity * sizeof *update->commands);
    }
    struct replica_command *command = &update->commands[update->command_count++];
    *command = (struct replica_command){.connection = connection->number, .mask = mask};
    mk_store_u32((uint8_t *)command->word, word);
}

/* Looks for a four-letter word at the start of a connection. True when the bytes are dealt with
 * (a command, or too few to tell). */
static bool handshake_word(struct replica *replica, struct connection *connection,
                           struct mk_bytes bytes)
{
    uint32_t word = 0;
    switch (mk_frame_word(bytes.data, (size_t)bytes.length, is_command_word, replica, &word)) {
    case MK_WORD_MORE:
        return true;
    case MK_WORD_NONE:
        return false;
    case MK_WORD_KNOWN:
        break;
    }
    uint64_t mask = 0;
    if (word == MK_WORD('s', 't', 'm', 'k')) {
        if (bytes.length < 12) { /* Apache does not wait for the mask either */
            connection_end(replica, connection);
            return true;
        }
        mask = mk_load_u64(bytes.data + 4);
    }
    command_word(replica, connection, word, mask);
    return true;
}

static bool takes_frames(const struct connection *connection)
{
    return !connection->link.closing &&
           (connection->phase == PHASE_HANDSHAKE || connection->phase == PHASE_SERVING ||
            connection->phase == PHASE_ESTABLISHING);
}

/* One frame from the front of `bytes`. False when there is none to take now. */
static bool take_frame(struct replica *replica, struct connection *connection,
                       struct mk_bytes bytes, size_t *consumed)
{
    if (must_pause(replica, connection)) {
        connection_pause(replica, connection);
        return false;
    }
    if (connection->phase == PHASE_HANDSHAKE && handshake_word(replica, connection, bytes))
        return false;
    struct mk_frame frame;
    switch (
        mk_frame_next(bytes.data, (size_t)bytes.length, replica->options.frame_bytes_max, &frame)) {
    case MK_FRAME_MORE:
        return false;
    case MK_FRAME_NEGATIVE:
    case MK_FRAME_TOO_LARGE:
        stats_count(replica, COUNTER_LARGE_REQUESTS_REJECTED);
        replica_complain(replica, COMPLAINT_FRAME,
                         "closing the connection from %s: frame length %d is not within 0..%d "
                         "(option frame_bytes_max)",
                         connection->address, (int)(int32_t)mk_load_u32(bytes.data),
                         (int)replica->options.frame_bytes_max);
        connection_drop(replica, connection);
        return false;
    case MK_FRAME_READY:
        break;
    }
    *consumed = frame.consumed;
    connection->cost += FAIR_REQUEST_COST + frame.consumed;
    replica->stats.packets_received++;
    connection->info.received++;
    if (connection->phase == PHASE_HANDSHAKE)
        handshake_frame(replica, connection, frame.payload);
    else
        request_frame(replica, connection, frame.payload);
    mk_arena_reset(&replica->arena);
    return true;
}

void connection_bytes(struct replica *replica, struct connection *connection, struct mk_bytes bytes)
{
    size_t offset = 0, size = mk_bytes_size(bytes);
    size_t scouted = 0; /* frames whose znodes were fetched */
    while (connection && offset < size && takes_frames(connection)) {
        size_t consumed = 0;
        struct mk_bytes rest = mk_bytes_of(bytes.data + offset, size - offset);
        if (scouted == 0)
            scouted = scout_frames(replica, rest);
        scouted--;
        if (!take_frame(replica, connection, rest, &consumed))
            break;
        offset += consumed;
    }
    if (!connection || !takes_frames(connection))
        offset = size; /* whatever follows has no reader */
    replica->stats.bytes_received += offset;
    replica->update->consumed = offset;
}
