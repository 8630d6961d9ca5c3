/* SPDX-License-Identifier: MIT */
/* See replica_fixture.h. Included, not linked: each test program is one file. */
#include "tests/lib/replica_fixture.h"

/* --- life --------------------------------------------------------------------------------------
 */

void world_init(struct world *world)
{
    memset(world, 0, sizeof *world);
    replica_options_init(&world->options);
    world->options.tick_time_ms = TICK_MS;
    world->options.snapshot_transactions = 0;
    world->options.snapshot_log_bytes = 0;
    world->options.snapshot_interval_min_ms = 0;
    world->options.command_words = "ruoksrvrstmk";
    world->now_ms = 1000;
    world->wall_ms = WALL_START_MS;
    mk_arena_init(&world->arena);
    replica_update_init(&world->update);
}

void world_start(struct world *world)
{
    if (!world->replica)
        world->replica = replica_new(&world->options);
    world_step(world, &(struct replica_event){.type = REPLICA_START});
    world_settle(world);
}

static void peers_forget(struct world *world)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &world->peers[i];
        mk_buffer_fini(&peer->sent);
        mk_buffer_fini(&peer->received);
        mk_buffer_fini(&peer->stalled);
        peer->open = false;
    }
}

void world_fini(struct world *world)
{
    if (world->replica)
        tree_check(replica_tree(world->replica));
    replica_free(world->replica);
    replica_update_fini(&world->update);
    peers_forget(world);
    for (size_t i = 0; i < world->log_count; i++)
        mk_free((void *)(uintptr_t)world->log[i].bytes.data);
    mk_free(world->log);
    mk_buffer_fini(&world->snapshot_body);
    mk_buffer_fini(&world->frame);
    mk_arena_fini(&world->arena);
}

int world_prepare(void **state)
{
    struct world *world = mk_alloc(sizeof *world);
    world_init(world);
    *state = world;
    return 0;
}

int world_setup(void **state)
{
    world_prepare(state);
    world_start(*state);
    return 0;
}

int world_teardown(void **state)
{
    world_fini(*state);
    mk_free(*state);
    return 0;
}

static void restore_body(struct world *world)
{
    const char *reason = NULL;
    size_t offset = 0, consumed = 0;
    int result = 0;
    while (result == 0 && offset < world->snapshot_body.length) {
        result = replica_restore_body(world->replica, world->snapshot_body.data + offset,
                                      world->snapshot_body.length - offset, &consumed, &reason);
        offset += consumed;
        if (consumed == 0)
            break;
    }
    assert_int_equal(result, 1);
    assert_int_equal(replica_restore_snapshot_done(world->replica, world->snapshot_zxid,
                                                   world->snapshot_digest_zxid,
                                                   world->snapshot_digest, &reason),
                     0);
}

void world_restart(struct world *world, bool from_snapshot, int64_t last_zxid)
{
    replica_free(world->replica);
    replica_update_fini(&world->update);
    replica_update_init(&world->update);
    peers_forget(world);
    world->replica = replica_new(&world->options);
    replica_restore_reset(world->replica);
    if (from_snapshot) {
        assert_true(world->snapshot_complete);
        restore_body(world);
    }
    size_t kept = 0;
    for (size_t i = 0; i < world->log_count; i++) {
        const struct kept_entry *entry = &world->log[i];
        if (entry->zxid > last_zxid) {
            mk_free((void *)(uintptr_t)entry->bytes.data);
            continue;
        }
        kept = i + 1;
        const char *reason = NULL;
        if (entry->zxid > replica_last_zxid(world->replica) &&
            replica_restore_transaction(world->replica, entry->bytes.data,
                                        mk_bytes_size(entry->bytes), &reason) != 0)
            fail_msg("transaction %lld: %s", (long long)entry->zxid, reason);
    }
    world->log_count = kept;
    world->durable_zxid = last_zxid;
    world->snapshot_running = world->snapshot_slice_pending = false;
    world->snapshot_finish_pending = false;
    world_start(world);
}

/* --- performing updates -------------------------------------------------------------------------
 */

void world_step(struct world *world, struct replica_event *event)
{
    event->now_ms = world->now_ms;
    event->wall_ms = world->wall_ms;
    replica_step(world->replica, event, &world->update);
}

static void step_simple(struct world *world, enum replica_event_type type, uint32_t connection)
{
    world_step(world, &(struct replica_event){.type = type, .connection = connection});
}

static void keep_log(struct world *world)
{
    for (size_t i = 0; i < world->update.log_count; i++) {
        const struct replica_log_entry *entry = &world->update.log[i];
        assert_true(entry->zxid == world_last_logged(world) + 1);
        if (world->log_count == world->log_capacity) {
            world->log_capacity = MK_MAX(world->log_capacity * 2, (size_t)64);
            world->log = mk_realloc(world->log, world->log_capacity * sizeof *world->log);
        }
        world->log[world->log_count++] = (struct kept_entry){
            entry->zxid, mk_bytes_of(mk_string_copy(entry->data, entry->length), entry->length),
            entry->roll};
    }
    world->update.log_count = 0;
}

static void keep_snapshot(struct world *world)
{
    struct replica_update *update = &world->update;
    if (update->snapshot_begin) {
        assert_false(world->snapshot_running);
        world->snapshot_running = true;
        world->snapshot_complete = false;
        world->snapshot_begin_count++;
        world->snapshot_zxid = update->snapshot_zxid;
        mk_buffer_clear(&world->snapshot_body);
    }
    if (update->snapshot_body.length > 0) {
        mk_buffer_append(&world->snapshot_body, update->snapshot_body.data,
                         update->snapshot_body.length);
        world->snapshot_slice_pending = true;
        world->snapshot_slice_count++;
    }
    if (update->snapshot_finish) {
        world->snapshot_finish_pending = true;
        world->snapshot_digest_zxid = update->snapshot_digest_zxid;
        world->snapshot_digest = update->snapshot_digest;
    }
}

void world_snapshot_next(struct world *world)
{
    if (world->snapshot_finish_pending) {
        world->snapshot_finish_pending = world->snapshot_slice_pending = false;
        world->snapshot_running = false;
        world->snapshot_complete = world->snapshot_error == 0;
        world->snapshot_done_count++;
        world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_DONE,
                                                  .error = world->snapshot_error});
    } else if (world->snapshot_slice_pending) {
        world->snapshot_slice_pending = false;
        step_simple(world, REPLICA_SNAPSHOT_NEXT, 0);
    }
}

/* Takes a connection's output as a socket does. */
static void take_output(struct world *world, uint32_t number)
{
    struct peer *peer = &world->peers[number];
    struct replica_link *link = replica_link(world->replica, number);
    if (!link || !peer->open)
        return;
    if (link->abandoned) {
        assert_true(link->closing && link->output.length == 0);
        mk_buffer_clear(&peer->stalled);
    }
    mk_buffer_append(peer->stuck ? &peer->stalled : &peer->received, link->output.data,
                     link->output.length);
    bool had_output = link->output.length > 0;
    mk_buffer_clear(&link->output);
    link->unsent_elsewhere = peer->stalled.length;
    replica_link_changed(world->replica, number);
    if (link->closing) {
        /* A host gives a stuck reader a little time, then throws the rest away. */
        peer->open = false;
        peer->ended = true;
        step_simple(world, REPLICA_DISCONNECT, number);
        return;
    }
    if (link->paused && had_output && !peer->stuck)
        step_simple(world, REPLICA_DRAINED, number);
    link = replica_link(world->replica, number);
    if (!link->paused)
        peer->may_feed = true;
}

static bool feed(struct world *world, uint32_t number)
{
    struct peer *peer = &world->peers[number];
    if (!peer->open || !peer->may_feed || peer->sent.length == 0 ||
        replica_link(world->replica, number)->paused)
        return false;
    size_t size = peer->sent.length;
    if (peer->chunk)
        size = MK_MIN(size, peer->chunk);
    for (;;) { /* a longer look when the piece was too short for a frame */
        world_step(world, &(struct replica_event){.type = REPLICA_BYTES,
                                                  .connection = number,
                                                  .bytes = mk_bytes_of(peer->sent.data, size)});
        size_t consumed = world->update.consumed;
        assert_true(consumed <= size);
        mk_buffer_consume(&peer->sent, consumed);
        replica_link(world->replica, number)->kept_elsewhere = peer->sent.length;
        replica_link_changed(world->replica, number);
        if (consumed > 0 || replica_link(world->replica, number)->paused)
            return true;
        if (size == peer->sent.length)
            break;
        size = MK_MIN(size + peer->chunk, peer->sent.length);
    }
    peer->may_feed = false;
    return true;
}

static bool perform(struct world *world)
{
    struct replica_update *update = &world->update;
    bool busy = update->touched_count > 0 || update->log_count > 0;
    keep_log(world);
    keep_snapshot(world);
    for (size_t i = 0; i < update->command_count; i++) {
        assert_true(world->command_count < MK_ARRAY_LENGTH(world->commands));
        world->commands[world->command_count++] = update->commands[i];
    }
    size_t touched_count = update->touched_count;
    uint32_t *touched = mk_alloc((touched_count + 1) * sizeof *touched);
    if (touched_count)
        memcpy(touched, update->touched, touched_count * sizeof *touched);
    replica_update_clear(world->replica, update);
    for (size_t i = 0; i < touched_count; i++)
        take_output(world, touched[i]);
    mk_free(touched);
    return busy;
}

void world_settle(struct world *world)
{
    bool busy = true;
    while (busy) {
        bool again = world->update.again;
        if (again)
            step_simple(world, REPLICA_CONTINUE, 0);
        busy = perform(world) || again;
        for (uint32_t i = 0; i < PEERS_MAX; i++)
            busy |= feed(world, i);
        if (!world->hold && world_last_logged(world) > world->durable_zxid) {
            world->durable_zxid = world_last_logged(world);
            world_step(world, &(struct replica_event){.type = REPLICA_DURABLE,
                                                      .zxid = world->durable_zxid});
            busy = true;
        }
        if (!world->snapshot_hold &&
            (world->snapshot_slice_pending || world->snapshot_finish_pending)) {
            world_snapshot_next(world);
            busy = true;
        }
    }
}

int64_t world_last_logged(const struct world *world)
{
    return world->log_count ? world->log[world->log_count - 1].zxid : 0;
}

void world_durable(struct world *world, int64_t zxid)
{
    world->durable_zxid = zxid;
    world_step(world, &(struct replica_event){.type = REPLICA_DURABLE, .zxid = zxid});
    world_settle(world);
}

void world_durable_all(struct world *world)
{
    if (world_last_logged(world) > world->durable_zxid)
        world_durable(world, world_last_logged(world));
}

void world_tick(struct world *world)
{
    step_simple(world, REPLICA_TICK, 0);
    world_settle(world);
}

void world_pass(struct world *world, int64_t ms)
{
    int64_t target = world->now_ms + ms;
    while (world->now_ms < target) {
        int64_t next = MK_MIN(MK_MAX(world->update.deadline_ms, world->now_ms + 1), target);
        world->wall_ms += next - world->now_ms;
        world->now_ms = next;
        world_tick(world);
    }
}

void world_stall(struct world *world, int64_t ms)
{
    world->now_ms += ms;
    world->wall_ms += ms;
}

/* --- sockets -------------------------------------------------------------------------------------
 */

void peer_open_from(struct world *world, uint32_t number, const char *address)
{
    struct peer *peer = &world->peers[number];
    assert_false(peer->open);
    mk_buffer_fini(&peer->sent);
    mk_buffer_fini(&peer->received);
    mk_buffer_fini(&peer->stalled);
    *peer = (struct peer){.open = true};
    world_step(world, &(struct replica_event){.type = REPLICA_CONNECT,
                                              .connection = number,
                                              .bytes = mk_bytes_of_string(address)});
    world_settle(world);
}

void peer_open(struct world *world, uint32_t number)
{
    peer_open_from(world, number, "127.0.0.1");
}

void peer_close(struct world *world, uint32_t number)
{
    assert_open(world, number);
    world->peers[number].open = false;
    step_simple(world, REPLICA_DISCONNECT, number);
    world_settle(world);
}

void peer_send(struct world *world, uint32_t number, const void *data, size_t size)
{
    struct peer *peer = &world->peers[number];
    if (!peer->open)
        return; /* the socket is gone */
    mk_buffer_append(&peer->sent, data, size);
    peer->may_feed = true;
    world_settle(world);
}

void peer_send_bytewise(struct world *world, uint32_t number, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        peer_send(world, number, (const uint8_t *)data + i, 1);
}

void peer_unstick(struct world *world, uint32_t number)
{
    struct peer *peer = &world->peers[number];
    peer->stuck = false;
    mk_buffer_append(&peer->received, peer->stalled.data, peer->stalled.length);
    mk_buffer_clear(&peer->stalled);
    struct replica_link *link = replica_link(world->replica, number);
    if (!peer->open || !link)
        return;
    link->unsent_elsewhere = 0;
    step_simple(world, REPLICA_DRAINED, number);
    take_output(world, number);
    world_settle(world);
}

bool peer_receive(struct world *world, uint32_t number)
{
    struct mk_buffer *received = &world->peers[number].received;
    struct mk_frame frame;
    if (mk_frame_next(received->data, received->length, INT32_MAX, &frame) != MK_FRAME_READY)
        return false;
    mk_buffer_clear(&world->frame);
    mk_buffer_append_bytes(&world->frame, frame.payload);
    mk_buffer_consume(received, frame.consumed);
    return true;
}

void assert_silent(struct world *world, uint32_t number)
{
    assert_int_equal(world->peers[number].received.length, 0);
}

void assert_ended(struct world *world, uint32_t number)
{
    assert_silent(world, number);
    assert_true(world->peers[number].ended);
    assert_null(replica_link(world->replica, number));
}

void assert_open(struct world *world, uint32_t number)
{
    assert_true(world->peers[number].open);
    assert_false(replica_link(world->replica, number)->closing);
}

/* --- the handshake -------------------------------------------------------------------------------
 */

void connect_write(struct mk_buffer *buffer, const struct connect *connect)
{
    size_t begin = mk_frame_begin(buffer);
    mk_connect_request_write(buffer, &(struct mk_connect_request){
                                         .last_zxid_seen = connect->last_zxid_seen,
                                         .timeout = connect->timeout_ms,
                                         .session_id = connect->session_id,
                                         .password = connect->password,
                                         .has_read_only = connect->read_only >= 0,
                                         .read_only = connect->read_only == 1,
                                     });
    mk_frame_end(buffer, begin);
}

void peer_send_connect(struct world *world, uint32_t number, const struct connect *connect)
{
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    connect_write(&frame, connect);
    peer_send(world, number, frame.data, frame.length);
    mk_buffer_fini(&frame);
}

bool peer_established(struct world *world, uint32_t number)
{
    struct peer *peer = &world->peers[number];
    if (!peer_receive(world, number))
        return false;
    struct mk_reader reader;
    struct mk_connect_response response;
    mk_reader_init(&reader, world->frame.data, world->frame.length, NULL);
    mk_connect_response_read(&reader, &response);
    assert_int_equal(reader.error, 0);
    assert_int_equal(mk_reader_left(&reader), 0);
    assert_int_equal(response.protocol_version, 0);
    assert_int_equal(response.password.length, 16);
    assert_false(response.read_only);
    peer->session_id = response.session_id;
    peer->timeout_ms = response.timeout;
    memcpy(peer->password, response.password.data, 16);
    return true;
}

static const uint8_t no_password[16];

void session_open_with(struct world *world, uint32_t number, int32_t timeout_ms)
{
    peer_open(world, number);
    peer_send_connect(
        world, number,
        &(struct connect){.timeout_ms = timeout_ms, .password = mk_bytes_of(no_password, 16)});
    assert_true(peer_established(world, number));
    assert_true(world->peers[number].session_id != 0);
}

void session_open(struct world *world, uint32_t number)
{
    session_open_with(world, number, 10000);
}

void session_resume(struct world *world, uint32_t number, uint32_t old)
{
    struct peer copy = world->peers[old];
    peer_open(world, number);
    peer_send_connect(world, number,
                      &(struct connect){.timeout_ms = copy.timeout_ms,
                                        .session_id = copy.session_id,
                                        .password = mk_bytes_of(copy.password, 16)});
    assert_true(peer_established(world, number));
    assert_true(world->peers[number].session_id == copy.session_id);
}

#include "tests/lib/replica_fixture_requests.c"
