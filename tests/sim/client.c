/* SPDX-License-Identifier: MIT */
/* A client of the simulator: it connects, resumes its session, pipelines requests, takes replies
 * in the order of its requests, and falls silent, cuts its connection or closes at random. */
#include "tests/sim/sim.h"

#include "base/mem.h"
#include "wire/frame.h"

void client_init(struct sim *sim, uint32_t index)
{
    struct sim_client *client = &sim->clients[index];
    *client = (struct sim_client){.sim = sim, .index = index};
    client->next_value = 1;
    client->value_sent = client->pair_seen = -1;
}

void client_fini(struct sim_client *client)
{
    mk_buffer_fini(&client->to_server);
    mk_buffer_fini(&client->kept);
    mk_buffer_fini(&client->from_server);
    mk_free(client->unique_acked);
    mk_free(client->unique_sent);
}

static void connect_server(struct sim_client *client)
{
    struct sim *sim = client->sim;
    client->connection = sim->next_connection++ % 1000;
    client->connected = true;
    client->established = client->closing = false;
    client->next_xid = 1;
    client->queue_length = 0;
    client->unique_sent_count = 0;
    client->value_sent = client->pair_seen = -1;
    mk_buffer_clear(&client->to_server);
    mk_buffer_clear(&client->kept);
    mk_buffer_clear(&client->from_server);
    struct replica_event event = {
        .type = REPLICA_CONNECT, .connection = client->connection, .bytes = MK_BYTES("127.0.0.1")};
    host_feed(sim, &event);
    struct mk_connect_request request = {
        .last_zxid_seen = client->last_zxid,
        .timeout = 200 + (int32_t)mk_rand_below(&sim->rand, 1500),
        .session_id = client->session_id,
        .password = mk_bytes_of(client->password, sizeof client->password),
        .has_read_only = mk_rand_below(&sim->rand, 2) == 0,
    };
    size_t begin = mk_frame_begin(&client->to_server);
    mk_connect_request_write(&client->to_server, &request);
    mk_frame_end(&client->to_server, begin);
}

/* The socket is gone; what was on its way to the server is lost from some byte on. */
void client_disconnected(struct sim_client *client)
{
    client->connected = client->established = false;
    client->queue_length = 0;
    client->value_sent = client->pair_seen = -1;
    mk_buffer_clear(&client->to_server);
    mk_buffer_clear(&client->kept);
    mk_buffer_clear(&client->from_server);
}

static void cut(struct sim_client *client)
{
    host_feed_simple(client->sim, REPLICA_DISCONNECT, client->connection);
    client_disconnected(client);
}

static void session_is_dead(struct sim_client *client)
{
    size_t capacity = MK_ARRAY_LENGTH(client->dead_sessions);
    client->dead_sessions[client->dead_session_count++ % capacity] = client->session_id;
    client->session_id = 0;
    client->last_zxid = 0;
    client->watch_set = client->close_sent = false;
}

void client_append_request(struct sim_client *client, enum sim_request_kind kind, int64_t value,
                           int64_t expect, int32_t op, const struct mk_buffer *body)
{
    MK_ASSERT(client->queue_length < SIM_QUEUE_MAX);
    struct mk_request_header header = {.xid = client->next_xid++, .type = op};
    size_t begin = mk_frame_begin(&client->to_server);
    mk_request_header_write(&client->to_server, &header);
    if (body && body->length)
        mk_buffer_append(&client->to_server, body->data, body->length);
    mk_frame_end(&client->to_server, begin);
    client->queue[client->queue_length++] =
        (struct sim_request){.kind = kind, .xid = header.xid, .value = value, .expect = expect};
}

void client_act(struct sim_client *client)
{
    struct sim *sim = client->sim;
    if (sim->now_ms < client->silent_until_ms)
        return;
    if (!client->connected) {
        if (client->from_server.length == 0)
            connect_server(client);
        return;
    }
    if (sim_chance(sim, sim->cut_rate)) {
        cut(client);
        return;
    }
    if (sim_chance(sim, sim->silence_rate)) {
        client->silent_until_ms = sim->now_ms + (int64_t)mk_rand_below(&sim->rand, 2500);
        return;
    }
    if (client->established && !client->closing)
        workload_send(client);
}

/* --- bytes on their way ------------------------------------------------------------------------
 */

static void to_server(struct sim_client *client)
{
    struct sim *sim = client->sim;
    struct replica_link *link = replica_link(sim->replica, client->connection);
    if (!link || link->closing)
        return;
    if (client->to_server.length > 0) {
        size_t take = 1 + mk_rand_below(&sim->rand, client->to_server.length);
        mk_buffer_append(&client->kept, client->to_server.data, take);
        mk_buffer_consume(&client->to_server, take);
    }
    if (client->kept.length == 0 || link->paused)
        return;
    struct replica_event event = {.type = REPLICA_BYTES,
                                  .connection = client->connection,
                                  .bytes = mk_buffer_bytes(&client->kept)};
    host_feed(sim, &event);
    mk_buffer_consume(&client->kept, sim->update.consumed);
}

static void handshake_reply(struct sim_client *client, struct mk_bytes payload)
{
    struct mk_reader reader;
    struct mk_connect_response response;
    mk_reader_init_bytes(&reader, payload, NULL);
    mk_connect_response_read(&reader, &response);
    if (reader.error || response.password.length != 16) {
        sim_fail(client->sim, "client %u: a connect response that cannot be read", client->index);
        return;
    }
    if (response.timeout <= 0) {
        if (client->session_id == 0)
            sim_fail(client->sim, "client %u: a new session was refused", client->index);
        if (!client->close_sent && client->sim->now_ms - client->heard_ms < client->timeout_ms)
            sim_fail(client->sim,
                     "client %u: session expired %lld ms after it was heard of, "
                     "its timeout is %d",
                     client->index, (long long)(client->sim->now_ms - client->heard_ms),
                     client->timeout_ms);
        session_is_dead(client);
        return;
    }
    if (client->session_id != 0 && response.session_id != client->session_id)
        sim_fail(client->sim, "client %u: resumed another session", client->index);
    bool is_new = client->session_id == 0;
    client->session_id = response.session_id;
    memcpy(client->password, response.password.data, sizeof client->password);
    client->timeout_ms = is_new ? response.timeout : MK_MIN(client->timeout_ms, response.timeout);
    client->established = true;
    workload_setup(client);
}

static void reply(struct sim_client *client, const struct mk_reply_header *header,
                  struct mk_reader *reader)
{
    struct sim *sim = client->sim;
    if (client->queue_length == 0) {
        sim_fail(sim, "client %u: a reply that nobody asked for (xid %d)", client->index,
                 header->xid);
        return;
    }
    struct sim_request request = client->queue[0];
    client->queue_length--;
    memmove(client->queue, client->queue + 1, client->queue_length * sizeof request);
    int32_t xid = request.kind == SIM_PING ? MK_XID_PING : request.xid;
    if (header->xid != xid)
        sim_fail(sim, "client %u: reply xid %d, the oldest request has %d", client->index,
                 header->xid, xid);
    if (header->zxid < client->last_zxid)
        sim_fail(sim, "client %u: zxid fell from 0x%llx to 0x%llx", client->index,
                 (unsigned long long)client->last_zxid, (unsigned long long)header->zxid);
    client->last_zxid = MK_MAX(client->last_zxid, header->zxid);
    client->heard_ms = MK_MAX(client->heard_ms, request.sent_ms);
    sim->acked_zxid = MK_MAX(sim->acked_zxid, header->zxid);
    workload_reply(client, &request, header, reader);
    if (request.kind == SIM_CLOSE)
        session_is_dead(client);
}

static void take_frame(struct sim_client *client, struct mk_bytes payload)
{
    if (!client->established && !client->closing) {
        handshake_reply(client, payload);
        return;
    }
    struct mk_arena arena;
    struct mk_reader reader;
    struct mk_reply_header header;
    mk_arena_init(&arena);
    mk_reader_init_bytes(&reader, payload, &arena);
    mk_reply_header_read(&reader, &header);
    if (reader.error) {
        sim_fail(client->sim, "client %u: a reply without header", client->index);
    } else if (header.xid == MK_XID_NOTIFICATION) {
        struct mk_watcher_event event;
        mk_watcher_event_read(&reader, &event);
        workload_event(client, &event);
    } else {
        reply(client, &header, &reader);
    }
    mk_arena_fini(&arena);
}

static void from_server(struct sim_client *client)
{
    struct sim *sim = client->sim;
    size_t arrived = client->from_server.length;
    if (arrived > 8 && mk_rand_below(&sim->rand, 3) == 0)
        arrived = 1 + mk_rand_below(&sim->rand, arrived);
    size_t offset = 0;
    struct mk_frame frame;
    while (mk_frame_next(client->from_server.data + offset, arrived - offset, 1 << 24, &frame) ==
           MK_FRAME_READY) {
        take_frame(client, frame.payload);
        offset += frame.consumed;
        if (offset >= arrived)
            break;
    }
    mk_buffer_consume(&client->from_server, offset);
    /* A connection that the server closed: a torn frame at its end never completes. */
    if (!client->connected && arrived == client->from_server.length + offset)
        client_disconnected(client);
}

void client_deliver(struct sim_client *client)
{
    if (client->connected && client->sim->replica)
        host_output(client->sim, client->connection);
    if (client->from_server.length > 0)
        from_server(client);
    else if (!client->connected)
        client->established = false;
    if (client->connected && client->sim->replica)
        to_server(client);
}
