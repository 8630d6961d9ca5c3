/* SPDX-License-Identifier: MIT */
/* A member of an ensemble without clients: struct zab, the network of native/server, a real tree,
 * and a disk in memory. Tests drive it against real Apache servers (zab_join.py).
 *   zab_node ID [tick=MS] [init=TICKS] [sync=TICKS] server.N=HOST:QUORUM:ELECTION[:ROLE]...
 * On stdin: "submit N" (as leader: N error transactions), "create N" (as leader: N znodes named by
 * their zxids), "sync", "status", "list FILE" (children of the root), "stop" (graceful: it leaves
 * its role) or the end of input (it ends). On stdout: one line for each thing that happened. */
#include "base/mem.h"
#include "base/zxid.h"
#include "server/peers.h"
#include "tests/interop/zab_node_state.h"
#include "zab/packet.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMBERS_MAX 16

struct node {
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_idle_t disk;
    uv_timer_t tick;
    uv_pipe_t input;
    char line[4096];
    size_t line_length;
    struct peer_address members[MEMBERS_MAX];
    size_t member_count;
    struct peers *peers;
    struct zab *zab;
    struct zab_options zab_options;
    struct zab_update update;
    struct zab_status status;
    struct node_state state;
    bool pending, reload, ending;
    struct mk_trace trace;
    uint64_t submitted, synced;
};

/* --- steps ------------------------------------------------------------------------------------ */

static size_t step(struct node *node, struct zab_event *event)
{
    uv_update_time(&node->loop);
    event->now_ms = (int64_t)uv_now(&node->loop);
    zab_step(node->zab, event, &node->update);
    node->pending = true;
    return node->update.consumed;
}

static size_t on_event(void *context, struct zab_event *event)
{
    return step(context, event);
}

static struct zab_link *on_link(void *context, uint32_t link)
{
    struct node *node = context;
    return zab_link(node->zab, link);
}

static void on_disk(uv_idle_t *idle)
{
    struct node *node = idle->data;
    uv_idle_stop(idle);
    if (node->state.step_count == 0)
        return;
    uint64_t ticket = state_steps_done(&node->state);
    step(node, &(struct zab_event){.type = ZAB_DISK_DONE, .ticket = ticket});
}

static void take_disk(struct node *node)
{
    for (size_t i = 0; i < node->update.disk_count; i++)
        state_step(&node->state, &node->update.disk[i]);
    node->update.disk_count = 0;
    if (node->state.step_count > 0)
        uv_idle_start(&node->disk, on_disk);
}

static void send_packet(struct node *node, uint32_t link, int32_t type, struct mk_bytes bytes)
{
    step(node, &(struct zab_event){.type = ZAB_SEND,
                                   .link = link,
                                   .packet_type = type,
                                   .bytes = bytes,
                                   .identities = MK_BYTES_NULL});
}

static void submit(struct node *node, int64_t session_id, int32_t cxid, int32_t op,
                   struct mk_bytes record, const struct mk_id_vector *identities)
{
    struct mk_buffer txn = MK_BUFFER_EMPTY;
    int64_t zxid = zab_next_zxid(node->zab);
    if (zxid == 0)
        return;
    state_propose(&node->state, zxid, session_id, cxid, op, record, identities, &txn);
    step(node,
         &(struct zab_event){.type = ZAB_SUBMIT, .zxid = zxid, .bytes = mk_buffer_bytes(&txn)});
    node->submitted++;
    mk_buffer_fini(&txn);
}

static void take_request(struct node *node, const struct zab_delivery *delivery)
{
    struct mk_arena arena;
    struct mk_reader reader;
    struct mk_request_forward request;
    struct mk_id_vector identities = {0, NULL};
    mk_arena_init(&arena);
    mk_reader_init_bytes(&reader, delivery->bytes, &arena);
    mk_request_forward_read(&reader, &request);
    MK_ASSERT(!reader.error);
    struct mk_bytes record = mk_reader_rest(&reader);
    printf("request op %d session 0x%llx from server %lld\n", request.type,
           (unsigned long long)request.session_id, (long long)delivery->server);
    if (delivery->identities.length > 0) {
        mk_reader_init_bytes(&reader, delivery->identities, &arena);
        mk_id_vector_read(&reader, &identities);
        MK_ASSERT(!reader.error);
    }
    if (request.type == MK_OP_SYNC)
        step(node, &(struct zab_event){.type = ZAB_SYNC, .link = delivery->link, .flag = true});
    else
        submit(node, request.session_id, request.cxid, request.type, record, &identities);
    mk_arena_fini(&arena);
}

static void take_revalidate(struct node *node, const struct zab_delivery *delivery)
{
    struct mk_reader reader;
    struct mk_session_touch touch;
    uint8_t reply[16];
    mk_reader_init_bytes(&reader, delivery->bytes, NULL);
    mk_session_touch_read(&reader, &touch);
    int32_t timeout_ms;
    bool valid =
        !reader.error && tree_session_find(node->state.tree, touch.session_id, &timeout_ms);
    uint8_t *end = mk_revalidate_reply_store(
        reply, &(struct mk_revalidate_reply){.session_id = touch.session_id, .valid = valid});
    send_packet(node, delivery->link, PACKET_REVALIDATE, mk_bytes_of(reply, (size_t)(end - reply)));
}

static void take_delivery(struct node *node, const struct zab_delivery *delivery)
{
    switch (delivery->type) {
    case ZAB_REQUEST:
        take_request(node, delivery);
        return;
    case ZAB_REVALIDATE:
        take_revalidate(node, delivery);
        return;
    case ZAB_PING:
        send_packet(node, 0, PACKET_PING, mk_bytes_of("", 0));
        return;
    case ZAB_SYNCED:
    case ZAB_SYNC_DONE:
        node->synced++;
        printf("synced\n");
        return;
    case ZAB_LEARNER_GONE:
        printf("learner %lld gone\n", (long long)delivery->server);
        return;
    case ZAB_REVALIDATED:
    case ZAB_TOUCHED:
        return;
    }
}

/* Bytes of a delivery are those of the event: they are taken within its callback. */
static void take_deliveries(struct node *node)
{
    for (size_t i = 0; i < node->update.delivery_count; i++) {
        struct zab_delivery delivery = node->update.deliveries[i];
        take_delivery(node, &delivery);
    }
    node->update.delivery_count = 0;
}

static void take_trees(struct node *node)
{
    struct zab_update *update = &node->update;
    if (update->snapshot_begin)
        state_load_begin(&node->state);
    update->snapshot_begin = false;
    node->reload = node->reload || update->reload;
    update->reload = false;
    if (update->snapshot_input.length > 0) {
        struct mk_bytes input = update->snapshot_input;
        size_t consumed;
        update->snapshot_input = mk_bytes_of(NULL, 0);
        int result = state_load(&node->state, input, &consumed);
        consumed = step(node, &(struct zab_event){.type = ZAB_SNAPSHOT_TAKEN,
                                                  .count = consumed,
                                                  .flag = result == 1,
                                                  .failed = result < 0});
        peers_consumed(node->peers, consumed);
    }
    while (update->snapshot_count > 0) {
        struct mk_buffer body = MK_BUFFER_EMPTY;
        uint32_t link = update->snapshots[--update->snapshot_count];
        state_stream(&node->state, &body);
        printf("tree of %zu bytes sent\n", body.length);
        step(node, &(struct zab_event){.type = ZAB_SNAPSHOT_BYTES,
                                       .link = link,
                                       .bytes = mk_buffer_bytes(&body),
                                       .flag = true});
        mk_buffer_fini(&body);
    }
}

static void reload(struct node *node)
{
    node->reload = false;
    state_reload(&node->state);
    printf("reloaded to 0x%llx\n", (unsigned long long)state_last_zxid(&node->state));
    step(node, &(struct zab_event){.type = ZAB_RELOADED, .zxid = state_last_zxid(&node->state)});
}

static void apply(struct node *node)
{
    int64_t before = node->state.applied;
    const struct zab_entry *entry;
    while (!node->state.loader && !node->reload &&
           (entry = zab_entry_after(node->zab, node->state.applied)) &&
           entry->zxid <= zab_apply_to(node->zab))
        state_apply(&node->state, entry);
    if (node->state.applied != before)
        step(node, &(struct zab_event){.type = ZAB_APPLIED, .zxid = node->state.applied});
}

/* --- what is told ----------------------------------------------------------------------------- */

static const char *const role_names[] = {"looking", "following", "leading", "observing"};
static const char *const phase_names[] = {"election", "discovery", "synchronization", "broadcast"};

static void tell(struct node *node)
{
    struct zab_status now;
    zab_status(node->zab, &now);
    const struct zab_status *then = &node->status;
    if (now.role != then->role || now.phase != then->phase || now.leader != then->leader ||
        now.epoch != then->epoch)
        printf("role %s leader %lld phase %s epoch %lld\n", role_names[now.role],
               now.leader == ZAB_NOBODY ? -1LL : (long long)now.leader, phase_names[now.phase],
               (long long)now.epoch);
    if (now.serving != then->serving) {
        printf(now.serving ? "serving epoch %lld\n" : "not serving\n", (long long)now.epoch);
        if (now.serving)
            view_reset(node->state.view);
    }
    if (now.committed != then->committed)
        printf("committed 0x%llx\n", (unsigned long long)now.committed);
    node->status = now;
    fflush(stdout);
}

static void tell_status(struct node *node)
{
    const struct zab_status *now = &node->status;
    printf("status role %s leader %lld serving %d epoch %lld logged 0x%llx persisted 0x%llx "
           "committed 0x%llx applied 0x%llx digest %llu compared %llu different %llu znodes %llu "
           "sessions %llu\n",
           role_names[now->role], now->leader == ZAB_NOBODY ? -1LL : (long long)now->leader,
           now->serving, (long long)now->epoch, (unsigned long long)now->last_logged,
           (unsigned long long)now->persisted, (unsigned long long)now->committed,
           (unsigned long long)node->state.applied,
           (unsigned long long)tree_digest(node->state.tree),
           (unsigned long long)node->state.digests_compared,
           (unsigned long long)node->state.digests_different,
           (unsigned long long)tree_node_count(node->state.tree),
           (unsigned long long)tree_session_count(node->state.tree));
    fflush(stdout);
}

/* --- the turn --------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
    step(timer->data, &(struct zab_event){.type = ZAB_TICK});
}

static void end(struct node *node)
{
    if (node->ending)
        return;
    node->ending = true;
    peers_stop(node->peers);
    uv_close((uv_handle_t *)&node->prepare, NULL);
    uv_close((uv_handle_t *)&node->disk, NULL);
    uv_close((uv_handle_t *)&node->tick, NULL);
    uv_close((uv_handle_t *)&node->input, NULL);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct node *node = prepare->data;
    while (node->pending) {
        node->pending = false;
        take_trees(node);
        take_deliveries(node);
        take_disk(node);
        if (node->reload && node->state.step_count == 0)
            reload(node);
        apply(node);
        tell(node);
        if (node->pending)
            continue;
        peers_perform(node->peers, &node->update, node->status.role);
        int64_t wait_ms = node->update.deadline_ms - (int64_t)uv_now(&node->loop);
        zab_update_clear(node->zab, &node->update);
        uv_timer_start(&node->tick, on_tick, (uint64_t)MK_MIN(MK_MAX(wait_ms, 0), 1000), 0);
    }
}

static size_t on_event_whole(void *context, struct zab_event *event)
{
    struct node *node = context;
    size_t consumed = on_event(context, event);
    take_deliveries(node);
    return consumed;
}

/* --- commands --------------------------------------------------------------------------------- */

/* A znode whose name is the zxid that makes it. */
static void create(struct node *node)
{
    char path[24];
    int64_t zxid = zab_next_zxid(node->zab);
    struct mk_acl open = {.perms = 31,
                          .id = {.scheme = MK_BYTES("world"), .id = MK_BYTES("anyone")}};
    if (zxid == 0)
        return;
    snprintf(path, sizeof path, "/%016llx", (unsigned long long)zxid);
    struct mk_buffer record = MK_BUFFER_EMPTY;
    mk_create_request_write(&record,
                            &(struct mk_create_request){.path = mk_bytes_of_string(path),
                                                        .data = mk_bytes_of_string("x"),
                                                        .acl = {.count = 1, .items = &open}});
    submit(node, 0, 0, MK_OP_CREATE, mk_buffer_bytes(&record), &(struct mk_id_vector){0, NULL});
    mk_buffer_fini(&record);
}

/* The children of the root into a file, a name a line. */
static void list(struct node *node, const char *path)
{
    const struct tree *tree = node->state.tree;
    FILE *file = fopen(path, "w");
    if (!file) {
        printf("cannot list\n");
        return;
    }
    for (struct znode *child = tree_first_child(tree, tree_root(tree)); child;
         child = tree_next_sibling(tree, child)) {
        struct mk_bytes name = znode_name(child);
        fprintf(file, "%.*s\n", (int)mk_bytes_size(name), (const char *)name.data);
    }
    fclose(file);
    printf("listed\n");
    fflush(stdout);
}

static void command(struct node *node, const char *line)
{
    int count;
    if (sscanf(line, "create %d", &count) == 1) {
        for (int i = 0; i < count; i++)
            create(node);
    } else if (sscanf(line, "submit %d", &count) == 1) {
        for (int i = 0; i < count; i++)
            submit(node, 0, i, MK_OP_ERROR, MK_BYTES_NULL, NULL);
    } else if (strcmp(line, "sync") == 0) {
        step(node, &(struct zab_event){.type = ZAB_SYNC, .ticket = 1});
    } else if (strcmp(line, "status") == 0) {
        tell_status(node);
    } else if (strncmp(line, "list ", 5) == 0) {
        list(node, line + 5);
    } else if (strcmp(line, "stop") == 0) {
        step(node, &(struct zab_event){.type = ZAB_STOP});
    } else {
        printf("unknown command: %s\n", line);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct node *node = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(node->line + node->line_length,
                          (unsigned)(sizeof node->line - node->line_length));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct node *node = stream->data;
    (void)buffer;
    if (size < 0) {
        end(node);
        return;
    }
    node->line_length += (size_t)size;
    char *newline;
    while ((newline = memchr(node->line, '\n', node->line_length))) {
        *newline = '\0';
        command(node, node->line);
        size_t taken = (size_t)(newline + 1 - node->line);
        node->line_length -= taken;
        memmove(node->line, newline + 1, node->line_length);
    }
}

/* --- start ------------------------------------------------------------------------------------ */

static void on_line(void *context, enum mk_level level, const char *component, const char *text)
{
    struct node *node = context;
    static const char *const names[] = {"error", "warn", "info", "debug"};
    fprintf(stderr, "%lld.%03lld %s %s: %s\n", (long long)uv_now(&node->loop) / 1000,
            (long long)uv_now(&node->loop) % 1000, names[level], component, text);
}

static void usage(const char *problem)
{
    fprintf(stderr, "zab_node: %s; see the top of zab_node.c\n", problem);
    exit(2);
}

/* "server.N=HOST:QUORUM:ELECTION[:ROLE]" */
static void add_member(struct node *node, const char *line, struct mk_buffer *config)
{
    static char hosts[MEMBERS_MAX][64];
    char role[16] = "participant";
    long long id;
    unsigned quorum_port, election_port;
    if (node->member_count == MEMBERS_MAX)
        usage("too many servers");
    char *host = hosts[node->member_count];
    if (sscanf(line, "server.%lld=%63[^:]:%u:%u:%15s", &id, host, &quorum_port, &election_port,
               role) < 4)
        usage("a bad server line");
    node->members[node->member_count++] =
        (struct peer_address){.id = id,
                              .host = host,
                              .quorum_port = (uint16_t)quorum_port,
                              .election_port = (uint16_t)election_port,
                              .observer = strcmp(role, "observer") == 0};
    mk_buffer_print(config, "server.%lld=%s:%u:%u:%s\n", id, host, quorum_port, election_port,
                    role);
}

static void read_options(struct node *node, int count, char **arguments, struct mk_buffer *config)
{
    struct zab_options *options = &node->zab_options;
    char reason[256];
    zab_options_init(options);
    options->id = count > 1 ? atoll(arguments[1]) : 0;
    for (int i = 2; i < count; i++) {
        int value;
        if (sscanf(arguments[i], "tick=%d", &value) == 1)
            options->tick_time_ms = value;
        else if (sscanf(arguments[i], "init=%d", &value) == 1)
            options->init_limit_ticks = value;
        else if (sscanf(arguments[i], "sync=%d", &value) == 1)
            options->sync_limit_ticks = value;
        else
            add_member(node, arguments[i], config);
    }
    mk_buffer_append_string(config, "version=0");
    if (quorum_parse(&options->quorum, mk_buffer_bytes(config), reason, sizeof reason) != 0)
        usage(reason);
    const struct quorum_member *own = quorum_find(&options->quorum, options->id);
    if (!own)
        usage("the id is not among the servers");
    options->observer = own->observer;
    options->config = mk_buffer_bytes(config);
    options->trace = &node->trace;
}

static void start_handles(struct node *node)
{
    uv_prepare_init(&node->loop, &node->prepare);
    uv_idle_init(&node->loop, &node->disk);
    uv_timer_init(&node->loop, &node->tick);
    uv_pipe_init(&node->loop, &node->input, 0);
    node->prepare.data = node->disk.data = node->tick.data = node->input.data = node;
    uv_prepare_start(&node->prepare, on_prepare);
    uv_pipe_open(&node->input, 0);
    uv_read_start((uv_stream_t *)&node->input, on_alloc, on_read);
}

int main(int count, char **arguments)
{
    struct node node = {.status = {.leader = ZAB_NOBODY}};
    struct mk_buffer config = MK_BUFFER_EMPTY;
    char reason[512];
    node.trace = (struct mk_trace){getenv("ZAB_NODE_DEBUG") ? MK_LEVEL_DEBUG : MK_LEVEL_INFO,
                                   on_line, &node};
    uv_loop_init(&node.loop);
    read_options(&node, count, arguments, &config);
    state_init(&node.state);
    node.zab = zab_new(&node.zab_options);
    zab_update_init(&node.update);
    struct peers_options options;
    peers_options_init(&options);
    options.loop = &node.loop;
    options.id = node.zab_options.id;
    options.members = node.members;
    options.count = node.member_count;
    options.handshake_timeout_ms =
        node.zab_options.tick_time_ms * node.zab_options.sync_limit_ticks;
    options.trace = &node.trace;
    struct peers_callbacks callbacks = {&node, on_event_whole, on_link, NULL};
    if (peers_start(&options, &callbacks, &node.peers, reason, sizeof reason) != 0) {
        fprintf(stderr, "zab_node: %s\n", reason);
        return 1;
    }
    start_handles(&node);
    step(&node, &(struct zab_event){.type = ZAB_START});
    uv_run(&node.loop, UV_RUN_DEFAULT);
    uv_loop_close(&node.loop);
    zab_update_fini(&node.update);
    zab_free(node.zab);
    state_fini(&node.state);
    mk_buffer_fini(&config);
    return 0;
}
