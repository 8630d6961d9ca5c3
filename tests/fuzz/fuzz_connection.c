/* SPDX-License-Identifier: MIT */
/* Fuzzes whole conversations: the input is a list of actions on a few connections of one replica:
 * bytes as they come, handshakes, well-framed requests, sockets that are stuck, time, commits
 * that are held back, snapshots that fail. The host here keeps the contract of replica.h.
 * Asserts: frames to clients are well-formed, no zxid goes backward, memory per connection is
 * bounded, the tree is sound, and the log gives the same tree again. */
#include "base/mem.h"
#include "ops/op.h"
#include "replica/replica.h"
#include "replica/stats.h"

#define PEERS 4
#define ACTIONS_MAX 400
#define OUTPUT_BYTES_MAX ((size_t)256 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

struct peer {
    bool open, stuck, handshaken;
    struct mk_buffer kept;    /* sent, not consumed */
    struct mk_buffer output;  /* received */
    struct mk_buffer stalled; /* taken from the replica by a stuck socket */
    int64_t last_zxid;
    int64_t session_id;
    uint8_t password[16];
};

struct entry {
    struct entry *next;
    size_t length;
    uint8_t data[];
};

struct host {
    struct replica_options options;
    struct replica *replica;
    struct replica_update update;
    struct peer peers[PEERS];
    struct entry *log_first, *log_last;
    int64_t logged_zxid, durable_zxid;
    bool snapshot_running, snapshot_finished;
    int64_t now_ms, wall_ms;
};

static uint8_t take_byte(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static struct mk_bytes take_bytes(struct input *input, size_t length)
{
    length = MK_MIN(length, input->size);
    struct mk_bytes bytes = mk_bytes_of(input->data, length);
    input->data += length;
    input->size -= length;
    return bytes;
}

/* --- the host ------------------------------------------------------------------------------------
 */

static void step(struct host *host, struct replica_event event)
{
    event.now_ms = host->now_ms;
    event.wall_ms = host->wall_ms;
    replica_step(host->replica, &event, &host->update);
}

static void step_simple(struct host *host, enum replica_event_type type, uint32_t number)
{
    step(host, (struct replica_event){.type = type, .connection = number});
}

static void keep_log(struct host *host)
{
    for (size_t i = 0; i < host->update.log_count; i++) {
        const struct replica_log_entry *log = &host->update.log[i];
        MK_ASSERT(log->zxid == host->logged_zxid + 1);
        host->logged_zxid = log->zxid;
        struct entry *entry = mk_alloc(sizeof *entry + log->length);
        *entry = (struct entry){.length = log->length};
        memcpy(entry->data, log->data, log->length);
        if (host->log_last)
            host->log_last->next = entry;
        else
            host->log_first = entry;
        host->log_last = entry;
    }
}

static void check_frame(struct peer *peer, const uint8_t *data, size_t length)
{
    struct mk_reader reader;
    mk_reader_init(&reader, data, length, NULL);
    if (!peer->handshaken) {
        struct mk_connect_response response;
        mk_connect_response_read(&reader, &response);
        MK_ASSERT(!reader.error && mk_reader_left(&reader) == 0);
        MK_ASSERT(length == 36 || length == 37);
        MK_ASSERT((response.timeout == 0) == (response.session_id == 0));
        peer->handshaken = true;
        peer->session_id = response.session_id;
        memcpy(peer->password, response.password.data, 16);
        return;
    }
    struct mk_reply_header header;
    mk_reply_header_read(&reader, &header);
    MK_ASSERT(!reader.error);
    MK_ASSERT(header.err == 0 || mk_reader_left(&reader) == 0);
    if (header.zxid > 0) {
        MK_ASSERT(header.zxid >= peer->last_zxid);
        peer->last_zxid = header.zxid;
    }
}

/* Cuts what was received into frames. A connection that got the text of a word has none. */
static void check_output(struct peer *peer)
{
    size_t offset = 0;
    while (peer->output.length - offset >= 4) {
        size_t length = mk_load_u32(peer->output.data + offset);
        if (peer->output.length - offset - 4 < length)
            break;
        check_frame(peer, peer->output.data + offset + 4, length);
        offset += 4 + length;
    }
    mk_buffer_consume(&peer->output, offset);
    MK_ASSERT(peer->output.length == 0); /* the replica hands over whole frames */
}

static void forget_peer(struct peer *peer)
{
    mk_buffer_fini(&peer->kept);
    mk_buffer_fini(&peer->output);
    mk_buffer_fini(&peer->stalled);
    peer->open = false;
}

static void take_output(struct host *host, uint32_t number)
{
    struct peer *peer = &host->peers[number];
    struct replica_link *link = replica_link(host->replica, number);
    if (!link || !peer->open)
        return;
    MK_ASSERT(link->output.length <= OUTPUT_BYTES_MAX);
    MK_ASSERT(!link->abandoned || (link->closing && link->output.length == 0));
    bool had_output = link->output.length > 0;
    mk_buffer_append(peer->stuck ? &peer->stalled : &peer->output, link->output.data,
                     link->output.length);
    mk_buffer_clear(&link->output);
    link->unsent_elsewhere = peer->stalled.length;
    MK_ASSERT(peer->stalled.length <= OUTPUT_BYTES_MAX);
    check_output(peer);
    if (link->closing) {
        step_simple(host, REPLICA_DISCONNECT, number);
        forget_peer(peer);
    } else if (link->paused && had_output && !peer->stuck) {
        step_simple(host, REPLICA_DRAINED, number);
    }
}

static bool feed(struct host *host, uint32_t number)
{
    struct peer *peer = &host->peers[number];
    if (!peer->open || peer->kept.length == 0 || replica_link(host->replica, number)->paused)
        return false;
    step(host, (struct replica_event){.type = REPLICA_BYTES,
                                      .connection = number,
                                      .bytes = mk_buffer_bytes(&peer->kept)});
    size_t consumed = host->update.consumed;
    MK_ASSERT(consumed <= peer->kept.length);
    mk_buffer_consume(&peer->kept, consumed);
    replica_link(host->replica, number)->kept_elsewhere = peer->kept.length;
    replica_link_changed(host->replica, number);
    return consumed > 0;
}

/* A turn of the host's loop, again while there is something to do. */
static void perform(struct host *host)
{
    bool busy = true;
    while (busy) {
        struct replica_update *update = &host->update;
        if (update->again)
            step_simple(host, REPLICA_CONTINUE, 0);
        keep_log(host);
        if (update->snapshot_begin) {
            MK_ASSERT(!host->snapshot_running);
            host->snapshot_running = true;
        }
        host->snapshot_finished |= update->snapshot_finish;
        uint32_t answers[PEERS * 4];
        size_t answer_count = 0;
        for (size_t i = 0; i < update->command_count && answer_count < PEERS * 4; i++)
            answers[answer_count++] = update->commands[i].connection;
        replica_update_clear(host->replica, update);
        for (uint32_t i = 0; i < PEERS; i++)
            take_output(host, i);
        for (size_t i = 0; i < answer_count;
             i++) /* an answer without text: it looks like a frame */
            step(host,
                 (struct replica_event){.type = REPLICA_COMMAND_TEXT, .connection = answers[i]});
        for (uint32_t i = 0; i < PEERS; i++)
            feed(host, i);
        busy = update->touched_count || update->log_count || update->command_count || update->again;
    }
}

/* --- actions
 * --------------------------------------------------------------------------------------- */

static const int32_t op_numbers[] = {
    MK_OP_CREATE,
    MK_OP_CREATE2,
    MK_OP_CREATE_CONTAINER,
    MK_OP_CREATE_TTL,
    MK_OP_DELETE,
    MK_OP_DELETE_CONTAINER,
    MK_OP_SET_DATA,
    MK_OP_SET_ACL,
    MK_OP_MULTI,
    MK_OP_RECONFIG,
    MK_OP_CLOSE_SESSION,
    MK_OP_EXISTS,
    MK_OP_GET_DATA,
    MK_OP_GET_ACL,
    MK_OP_GET_CHILDREN,
    MK_OP_GET_CHILDREN2,
    MK_OP_GET_EPHEMERALS,
    MK_OP_GET_ALL_CHILDREN_NUMBER,
    MK_OP_MULTI_READ,
    MK_OP_WHO_AM_I,
    MK_OP_SYNC,
    MK_OP_ADD_WATCH,
    MK_OP_CHECK_WATCHES,
    MK_OP_REMOVE_WATCHES,
    MK_OP_SET_WATCHES,
    MK_OP_SET_WATCHES2,
    MK_OP_PING,
    MK_OP_AUTH,
    MK_OP_SASL,
    MK_OP_CREATE_SESSION,
    MK_OP_CHECK,
    77,
};

static const char *const paths[] = {"/a", "/b", "/a/x", "/a/y", "/", "/b/z", "/c", "/a/x/w"};

static void send_frame(struct peer *peer, const struct mk_buffer *body)
{
    uint8_t prefix[4];
    mk_store_u32(prefix, (uint32_t)body->length);
    mk_buffer_append(&peer->kept, prefix, 4);
    mk_buffer_append(&peer->kept, body->data, body->length);
}

static void send_connect(struct host *host, struct peer *peer, struct input *input)
{
    uint8_t choice = take_byte(input);
    const struct peer *other = &host->peers[(choice >> 2) % PEERS];
    struct mk_connect_request request = {.timeout = 4000 + 100 * take_byte(input),
                                         .has_read_only = choice & 1};
    if (choice & 2) {
        request.session_id = other->session_id;
        request.password = mk_bytes_of(other->password, 16);
        request.last_zxid_seen = other->last_zxid;
    }
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_connect_request_write(&body, &request);
    send_frame(peer, &body);
    mk_buffer_fini(&body);
}

/* Any opcode with the bytes of the input as its record. */
static void send_any_request(struct peer *peer, struct input *input)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    int32_t op = op_numbers[take_byte(input) % MK_ARRAY_LENGTH(op_numbers)];
    mk_request_header_write(&body, &(struct mk_request_header){take_byte(input), op});
    mk_buffer_append_bytes(&body, take_bytes(input, take_byte(input)));
    send_frame(peer, &body);
    mk_buffer_fini(&body);
}

static void write_record(struct mk_buffer *body, int32_t op, struct mk_bytes path, uint8_t detail)
{
    struct mk_acl acls[] = {{31, {MK_BYTES("world"), MK_BYTES("anyone")}},
                            {31, {MK_BYTES("auth"), MK_BYTES("")}},
                            {1, {MK_BYTES("world"), MK_BYTES("anyone")}}};
    struct mk_acl_vector acl = {1, &acls[detail % 8 < 6 ? 0 : detail % 8 - 5]};
    int32_t version = detail & 1 ? -1 : detail >> 4;
    switch (op) {
    case MK_OP_CREATE_TTL:
        mk_create_ttl_request_write(
            body, &(struct mk_create_ttl_request){path, path, acl, 5, 1 + detail * 100});
        return;
    case MK_OP_CREATE:
    case MK_OP_CREATE2:
    case MK_OP_CREATE_CONTAINER:
        mk_create_request_write(body,
                                &(struct mk_create_request){path, path, acl, (detail >> 3) % 5});
        return;
    case MK_OP_SET_DATA:
        mk_set_data_request_write(body, &(struct mk_set_data_request){path, path, version});
        return;
    case MK_OP_SET_ACL:
        mk_set_acl_request_write(body, &(struct mk_set_acl_request){path, acl, version});
        return;
    case MK_OP_DELETE:
        mk_delete_request_write(body, &(struct mk_delete_request){path, version});
        return;
    case MK_OP_AUTH:
        mk_auth_packet_write(body, &(struct mk_auth_packet){0, MK_BYTES("digest"), path});
        return;
    case MK_OP_SET_WATCHES2:
        mk_set_watches2_write(
            body, &(struct mk_set_watches2){
                      detail, {1, &path}, {1, &path}, {1, &path}, {1, &path}, {1, &path}});
        return;
    case MK_OP_ADD_WATCH:
    case MK_OP_REMOVE_WATCHES:
    case MK_OP_CHECK_WATCHES:
        mk_add_watch_request_write(body, &(struct mk_add_watch_request){path, detail % 6});
        return;
    default:
        mk_get_data_request_write(body, &(struct mk_get_data_request){path, detail & 1});
    }
}

/* A request that makes sense. */
static void send_good_request(struct peer *peer, struct input *input)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    uint8_t choice = take_byte(input), detail = take_byte(input);
    struct mk_bytes path = mk_bytes_of_string(paths[detail % MK_ARRAY_LENGTH(paths)]);
    int32_t op = op_numbers[choice % 27];
    mk_request_header_write(&body, &(struct mk_request_header){choice, op});
    if (op == MK_OP_MULTI) {
        for (int i = 0; i < detail % 4; i++) {
            int32_t part = (int32_t[]){MK_OP_CREATE, MK_OP_SET_DATA, MK_OP_DELETE}[i % 3];
            mk_multi_header_write(&body, &(struct mk_multi_header){part, false, -1});
            write_record(&body, part, path, (uint8_t)(detail >> 2));
        }
        mk_multi_header_write(&body, &(struct mk_multi_header){-1, true, -1});
    } else {
        write_record(&body, op, path, (uint8_t)(detail >> 1 | choice << 3));
    }
    send_frame(peer, &body);
    mk_buffer_fini(&body);
}

static void unstick(struct host *host, uint32_t number)
{
    struct peer *peer = &host->peers[number];
    struct replica_link *link = replica_link(host->replica, number);
    peer->stuck = false;
    mk_buffer_append(&peer->output, peer->stalled.data, peer->stalled.length);
    mk_buffer_clear(&peer->stalled);
    if (link && peer->open) {
        link->unsent_elsewhere = 0;
        check_output(peer);
        step_simple(host, REPLICA_DRAINED, number);
    }
}

static void commit(struct host *host, uint8_t share)
{
    keep_log(host);
    host->update.log_count = 0;
    int64_t waiting = host->logged_zxid - host->durable_zxid;
    if (waiting == 0)
        return;
    host->durable_zxid += share % 4 ? waiting : 1 + share % waiting;
    step(host, (struct replica_event){.type = REPLICA_DURABLE, .zxid = host->durable_zxid});
}

static void snapshot(struct host *host, uint8_t choice)
{
    if (!host->snapshot_running) {
        step_simple(host, REPLICA_SNAPSHOT_NOW, 0);
    } else if (host->snapshot_finished || choice % 4 == 3) {
        perform(host); /* the writer has what was walked so far */
        host->snapshot_running = host->snapshot_finished = false;
        step(host, (struct replica_event){.type = REPLICA_SNAPSHOT_DONE,
                                          .error = choice % 4 == 3 ? MK_ERR_IO : 0});
    } else {
        step_simple(host, REPLICA_SNAPSHOT_NEXT, 0);
    }
}

static void connect_peer(struct host *host, uint32_t number)
{
    struct peer *peer = &host->peers[number];
    peer->open = true;
    peer->handshaken = peer->stuck = false;
    step(host, (struct replica_event){
                   .type = REPLICA_CONNECT, .connection = number, .bytes = MK_BYTES("127.0.0.1")});
}

/* Actions without a connection; false when it is another one. */
static bool act_alone(struct host *host, struct input *input, uint8_t action)
{
    switch (action) {
    case 0:
        commit(host, take_byte(input));
        return true;
    case 1:
        host->now_ms += take_byte(input) * 20;
        host->wall_ms += take_byte(input) * 20;
        step_simple(host, REPLICA_TICK, 0);
        return true;
    case 2:
        snapshot(host, take_byte(input));
        return true;
    case 3:
        host->wall_ms += ((int64_t)take_byte(input) - 128) * 100000;
        return true;
    default:
        return false;
    }
}

static void act(struct host *host, struct input *input)
{
    uint8_t choice = take_byte(input);
    uint8_t action = choice & 15;
    uint32_t number = (choice >> 4) % PEERS;
    struct peer *peer = &host->peers[number];
    if (act_alone(host, input, action))
        return;
    if (!peer->open) {
        connect_peer(host, number);
        if (action > 5)
            send_connect(host, peer, input);
    }
    if (action == 4) {
        mk_buffer_append_bytes(&peer->kept, take_bytes(input, take_byte(input)));
    } else if (action == 5) {
        step_simple(host, REPLICA_DISCONNECT, number);
        forget_peer(peer);
    } else if (action == 6) {
        peer->stuck = true;
    } else if (action == 7) {
        unstick(host, number);
    } else if (action == 8) {
        send_connect(host, peer, input);
    } else if (action < 11) {
        send_any_request(peer, input);
    } else {
        send_good_request(peer, input);
    }
    if (peer->open && (choice & 0x80))
        feed(host, number); /* before the host performs: many steps fill one update */
    else
        perform(host);
}

/* --- the verdict
 * ------------------------------------------------------------------------------------- */

/* The log gives the same tree again. */
static void check_log(const struct host *host)
{
    struct replica *copy = replica_new(&host->options);
    replica_restore_reset(copy);
    for (const struct entry *entry = host->log_first; entry; entry = entry->next) {
        const char *reason = NULL;
        MK_ASSERT(replica_restore_transaction(copy, entry->data, entry->length, &reason) == 0);
    }
    const struct tree *tree = replica_tree(host->replica), *again = replica_tree(copy);
    MK_ASSERT(replica_last_zxid(copy) == replica_last_zxid(host->replica));
    MK_ASSERT(tree_digest(tree) == tree_digest(again));
    MK_ASSERT(tree_node_count(tree) == tree_node_count(again));
    MK_ASSERT(tree_session_count(tree) == tree_session_count(again));
    MK_ASSERT(tree_ephemeral_count(tree) == tree_ephemeral_count(again));
    replica_free(copy);
}

/* Everything is healed: whoever waits must get on. */
static void heal(struct host *host)
{
    for (uint32_t i = 0; i < PEERS; i++)
        unstick(host, i);
    do {
        perform(host);
        commit(host, 1);
        perform(host);
    } while (host->logged_zxid > host->durable_zxid);
    MK_ASSERT(replica_is_idle(host->replica));
    MK_ASSERT(replica_stats(host->replica)->outstanding_requests == 0);
    for (uint32_t i = 0; i < PEERS; i++)
        MK_ASSERT(!host->peers[i].open || !replica_link(host->replica, i)->paused);
    tree_check(replica_tree(host->replica));
    check_log(host);
    for (uint32_t i = 0; i < PEERS; i++) {
        if (host->peers[i].open)
            step_simple(host, REPLICA_DISCONNECT, i);
        forget_peer(&host->peers[i]);
    }
    while (host->update.again)
        step_simple(host, REPLICA_CONTINUE, 0);
    struct watch_counts counts;
    watch_count(replica_watches(host->replica), &counts);
    MK_ASSERT(counts.watches == 0 && counts.watchers == 0);
    MK_ASSERT(watch_bytes(replica_watches(host->replica)) == 0);
    MK_ASSERT(replica_buffer_bytes(host->replica) == 0);
    MK_ASSERT(replica_stats(host->replica)->connection_count == 0);
}

static void begin(struct host *host, struct input *input)
{
    struct replica_options *options = &host->options;
    replica_options_init(options);
    uint8_t limits = take_byte(input);
    options->frame_bytes_max = 4096;
    options->requests_in_flight_max = limits & 1 ? 2 : 64;
    options->outstanding_max = limits & 2 ? 2 : 1000;
    options->outstanding_bytes_max = limits & 4 ? 100 : 1000000;
    options->output_pause_bytes = limits & 8 ? 50 : 5000;
    options->output_close_bytes = limits & 16 ? 200 : 20000;
    options->watches_per_connection_max = limits & 32 ? 3 : 1000;
    options->snapshot_transactions = limits & 64 ? 4 : 1000;
    options->scout_znodes_min = limits & 128 ? 1000 : 0; /* never, always */
    if (limits & 32) {
        options->buffers_total_bytes = 3000;
        options->watch_bytes_per_connection_max = 150;
        options->watch_bytes_total_max = 300;
        options->sessions_per_address_max = 3;
    }
    options->snapshot_interval_min_ms = 0;
    options->container_check_interval_ms = 500;
    options->container_never_used_ms = 1000;
    options->command_words = "ruokstmk";
    host->now_ms = 1000;
    host->wall_ms = INT64_C(1700000000000);
    host->replica = replica_new(options);
    replica_update_init(&host->update);
    step_simple(host, REPLICA_START, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct host *host = mk_calloc(1, sizeof *host);
    struct input input = {data, size};
    begin(host, &input);
    for (int i = 0; i < ACTIONS_MAX && input.size > 0; i++)
        act(host, &input);
    heal(host);
    replica_free(host->replica);
    replica_update_fini(&host->update);
    while (host->log_first) {
        struct entry *entry = host->log_first;
        host->log_first = entry->next;
        mk_free(entry);
    }
    mk_free(host);
    return 0;
}
