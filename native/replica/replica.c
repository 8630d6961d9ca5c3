/* SPDX-License-Identifier: MIT */
/* The one step of the replica: dispatch of events, the clock, and the update's book-keeping.
 * See replica.h for the contract and replica_int.h for the way through the files. */
#include "replica/replica_int.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define DEADLINE_MAX_MS 3600000

void replica_options_init(struct replica_options *options)
{
    *options = (struct replica_options){
        .server_id = 1,
        .seed = 1,
        .tick_time_ms = 2000,
        .session_timeout_min_ms = 4000,
        .session_timeout_max_ms = 40000,
        .handshake_timeout_ms = 10000,
        .frame_bytes_max = 0xfffff,
        .requests_in_flight_max = 4096,
        .outstanding_max = 100000,
        .outstanding_bytes_max = (size_t)64 << 20,
        .output_pause_bytes = (size_t)1 << 20,
        .output_close_bytes = (size_t)64 << 20,
        .buffers_total_bytes = (size_t)512 << 20,
        .turn_cost_max = 512 << 10,
        .continue_cost_max = 2 << 20,
        .commit_cost_max = 2 << 20,
        .scout_znodes_min = 20000, /* smaller trees are in the caches anyway */
        .watches_per_connection_max = 1000000,
        .watch_bytes_per_connection_max = (uint64_t)128 << 20,
        .watch_bytes_total_max = (uint64_t)512 << 20,
        .sessions_per_address_max = 100000,
        .snapshot_transactions = 100000,
        .snapshot_log_bytes = (uint64_t)4 << 30,
        .snapshot_interval_min_ms = 1000,
        .container_check_interval_ms = 60000,
        .container_checks_per_minute_max = 10000,
        .container_never_used_ms = 300000,
        .operations = {.extended_types = true},
        .digest_enabled = true,
        .tree_digest_enabled = true,
    };
}

void replica_tree_init(struct replica *replica)
{
    struct tree_options options = {.hash_seed = mk_rand_next(&replica->rand),
                                   .digest_enabled = replica->options.tree_digest_enabled};
    replica->tree = tree_new(&options);
    replica->view = view_new(replica->tree, &options);
}

void replica_tree_fini(struct replica *replica)
{
    view_free(replica->view);
    tree_free(replica->tree);
}

struct replica *replica_new(const struct replica_options *options)
{
    struct replica *replica = mk_calloc(1, sizeof *replica);
    replica->options = *options;
    if (options->super_digest)
        replica->super_digest =
            mk_string_copy(options->super_digest, strlen(options->super_digest));
    const char *words = options->command_words ? options->command_words : "";
    replica->command_words = mk_string_copy(words, strlen(words));
    mk_rand_init(&replica->rand, options->seed);
    replica_tree_init(replica);
    replica->watches = watch_table_new(mk_rand_next(&replica->rand));
    watch_limit(replica->watches, options->watch_bytes_per_connection_max,
                options->watch_bytes_total_max);
    mk_arena_init(&replica->arena);
    snapshot_init(replica);
    if (options->ensemble)
        ensemble_init(replica, options->ensemble);
    return replica;
}

void replica_free(struct replica *replica)
{
    if (!replica)
        return;
    ensemble_fini(replica);
    snapshot_fini(replica);
    for (size_t i = 0; i < replica->connection_capacity; i++)
        connection_closed(replica, (uint32_t)i);
    while (replica->proposal_first) {
        struct proposal *proposal = replica->proposal_first;
        replica->proposal_first = proposal->next;
        proposal_free(&replica->pool, proposal);
    }
    session_table_fini(replica);
    op_changes_fini(&replica->changes, tree_acls(replica->tree));
    if (replica->loader)
        tree_loader_end(replica->loader);
    watch_table_free(replica->watches);
    replica_tree_fini(replica);
    mk_arena_fini(&replica->arena);
    mk_buffer_fini(&replica->scratch);
    mk_pool_fini(&replica->pool);
    mk_free(replica->connections);
    mk_free(replica->digests);
    mk_free(replica->super_digest);
    mk_free(replica->command_words);
    mk_free(replica);
}

void replica_log_list(struct replica *replica, enum mk_level level, const char *format,
                      va_list arguments)
{
    const struct mk_trace *trace = replica->options.trace;
    if (!trace || level > trace->level)
        return;
    char line[1024];
    vsnprintf(line, sizeof line, format, arguments);
    mk_trace(trace, level, "replica", "%s", line);
}

void replica_log(struct replica *replica, enum mk_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    replica_log_list(replica, level, format, arguments);
    va_end(arguments);
}

/* --- update ------------------------------------------------------------------------------------
 */

void replica_update_init(struct replica_update *update)
{
    memset(update, 0, sizeof *update);
    zab_update_init(&update->zab);
    update->deadline_ms = INT64_MAX;
}

void replica_update_fini(struct replica_update *update)
{
    mk_free(update->touched);
    mk_free(update->log);
    mk_free(update->commands);
    zab_update_fini(&update->zab);
    mk_buffer_fini(&update->snapshot_body);
    mk_buffer_fini(&update->received_body);
}

void replica_update_clear(struct replica *replica, struct replica_update *update)
{
    for (size_t i = 0; i < update->touched_count; i++) {
        struct connection *connection = connection_find(replica, update->touched[i]);
        if (connection)
            connection->link.touched = false;
    }
    update->consumed = 0;
    update->touched_count = 0;
    update->log_count = 0;
    update->command_count = 0;
    update->snapshot_begin = false;
    update->snapshot_finish = false;
    update->snapshot_abandon = false;
    update->received_begin = false;
    mk_buffer_clear(&update->snapshot_body);
    if (replica->ensemble)
        zab_update_clear(replica->ensemble->zab, &update->zab);
}

void replica_touch(struct replica *replica, struct connection *connection)
{
    struct replica_update *update = replica->update;
    if (connection->link.touched || !update)
        return;
    connection->link.touched = true;
    if (update->touched_count == update->touched_capacity) {
        update->touched_capacity = MK_MAX(update->touched_capacity * 2, (size_t)64);
        update->touched =
            mk_realloc(update->touched, update->touched_capacity * sizeof *update->touched);
    }
    update->touched[update->touched_count++] = connection->number;
}

struct replica_link *replica_link(struct replica *replica, uint32_t number)
{
    struct connection *connection = connection_find(replica, number);
    return connection ? &connection->link : NULL;
}

/* --- step --------------------------------------------------------------------------------------
 */

static void adopt_session(void *context, int64_t session_id, int32_t timeout_ms)
{
    struct replica *replica = context;
    struct session *session = session_find(replica, session_id);
    if (!session)
        session = session_add(replica, session_id, timeout_ms);
    /* Another server may have negotiated another timeout since: rather too late than too early. */
    session->timeout_ms = MK_MAX(session->timeout_ms, timeout_ms);
    session->committed = true;
    expiry_remove(replica, session);
    expiry_heard(replica, session);
    expiry_insert(replica, session);
}

void replica_adopt_sessions(struct replica *replica)
{
    tree_session_visit(replica->tree, adopt_session, replica);
}

static void forget_session(void *context, struct session *session)
{
    if (session->connection)
        session->connection->session = NULL;
    session_free(context, session);
}

void replica_forget_sessions(struct replica *replica)
{
    session_visit_all(replica, forget_session, replica);
}

struct orphans {
    struct replica *replica;
    int64_t *ids;
    size_t count, capacity;
};

static void find_orphan(void *context, int64_t session_id)
{
    struct orphans *orphans = context;
    if (session_find(orphans->replica, session_id))
        return;
    if (orphans->count == orphans->capacity) {
        orphans->capacity = MK_MAX(orphans->capacity * 2, (size_t)16);
        orphans->ids = mk_realloc(orphans->ids, orphans->capacity * sizeof *orphans->ids);
    }
    orphans->ids[orphans->count++] = session_id;
}

void replica_close_orphans(struct replica *replica)
{
    struct orphans orphans = {.replica = replica};
    tree_ephemeral_owner_visit(replica->tree, find_orphan, &orphans);
    for (size_t i = 0; i < orphans.count; i++)
        propose_close_session(replica, orphans.ids[i], NULL, 0);
    mk_free(orphans.ids);
}

/* In an ensemble the sessions wait for a leader. */
static void start(struct replica *replica)
{
    if (!replica->ensemble) {
        replica_adopt_sessions(replica);
        replica_close_orphans(replica);
    }
    replica->stats.start_now_ms = replica->now_ms;
    replica->reaper_next_ms = replica->now_ms + replica->options.container_check_interval_ms;
}

static void command_text(struct replica *replica, struct connection *connection,
                         struct mk_bytes text, bool last)
{
    if (!connection || connection->phase != PHASE_COMMAND || connection->link.closing)
        return;
    mk_buffer_append_bytes(&connection->link.output, text);
    replica_touch(replica, connection);
    egress_check(replica, connection);
    if (last)
        connection_end(replica, connection);
}

static void drop_stale_handshakes(struct replica *replica)
{
    int64_t limit = replica->now_ms - replica->options.handshake_timeout_ms;
    while (replica->handshake_first && replica->handshake_first->opened_ms <= limit) {
        stats_count(replica, COUNTER_SESSIONLESS_CONNECTIONS_EXPIRED);
        connection_drop(replica, replica->handshake_first);
    }
}

static void clock_advance(struct replica *replica, const struct replica_event *event)
{
    if (event->now_ms == replica->now_ms && event->wall_ms == replica->wall_ms)
        return;
    bool first = replica->now_ms == 0 && replica->wall_ms == 0;
    int64_t elapsed = first ? 0 : MK_MAX(event->now_ms - replica->now_ms, INT64_C(0));
    int64_t jump = first ? 0 : event->wall_ms - replica->wall_ms - elapsed;
    if (jump > WALL_JUMP_MS || jump < -WALL_JUMP_MS) {
        wall_history_jump(replica, event->wall_ms);
        replica_log(replica, MK_LEVEL_WARN,
                    "the wall clock jumped by %lld ms; TTL nodes made before are not charged for "
                    "it",
                    (long long)jump);
    }
    replica->now_ms = event->now_ms;
    replica->wall_ms = event->wall_ms;
    if (first)
        wall_history_init(replica);
    expiry_advance(replica, elapsed);
}

static void run_timers(struct replica *replica)
{
    if (replica->stopping)
        return;
    drop_stale_handshakes(replica);
    complaints_run(replica);
    if (replica_leads(replica) && replica_may_propose(replica))
        expiry_run(replica);
    if (replica->now_ms >= replica->reaper_next_ms)
        reaper_run(replica);
    snapshot_maybe_begin(replica);
}

static void set_deadline(struct replica *replica)
{
    int64_t deadline = replica->now_ms + DEADLINE_MAX_MS;
    if (replica->ensemble)
        deadline = MK_MIN(MK_MIN(deadline, replica->ensemble->deadline_ms),
                          read_only_deadline_ms(replica));
    if (!replica->stopping) {
        deadline = MK_MIN(deadline, expiry_deadline_ms(replica));
        deadline = MK_MIN(deadline, replica->reaper_next_ms);
        deadline = MK_MIN(deadline, complaints_deadline_ms(replica));
        if (replica->snapshot.wanted && !replica->snapshot.running)
            deadline = MK_MIN(deadline, replica->snapshot.not_before_ms);
        if (replica->handshake_first)
            deadline = MK_MIN(deadline, replica->handshake_first->opened_ms +
                                            replica->options.handshake_timeout_ms);
    }
    replica->update->deadline_ms = MK_MAX(deadline, replica->now_ms + 1);
}

static void dispatch(struct replica *replica, const struct replica_event *event)
{
    struct connection *connection = connection_find(replica, event->connection);
    switch (event->type) {
    case REPLICA_START:
        start(replica);
        break;
    case REPLICA_CONNECT:
        connection_open(replica, event->connection, event->bytes);
        break;
    case REPLICA_BYTES:
        connection_bytes(replica, connection, event->bytes);
        break;
    case REPLICA_DISCONNECT:
        connection_closed(replica, event->connection);
        break;
    case REPLICA_DRAINED:
        if (connection) {
            pipeline_run(replica, connection);
            connection_resume(replica, connection);
        }
        break;
    case REPLICA_DURABLE:
        commit_durable(replica, event->zxid);
        break;
    case REPLICA_COMMAND_PART:
    case REPLICA_COMMAND_TEXT:
        command_text(replica, connection, event->bytes, event->type == REPLICA_COMMAND_TEXT);
        break;
    case REPLICA_SNAPSHOT_NOW:
        replica->snapshot.wanted = true;
        replica->snapshot.not_before_ms = replica->now_ms;
        snapshot_maybe_begin(replica);
        break;
    case REPLICA_SNAPSHOT_NEXT:
        snapshot_next(replica);
        break;
    case REPLICA_SNAPSHOT_DONE:
        snapshot_done(replica, event->error);
        break;
    case REPLICA_TICK:
        run_timers(replica);
        if (replica->ensemble)
            ensemble_tick(replica);
        break;
    case REPLICA_ENSEMBLE:
        ensemble_event(replica, event->zab);
        break;
    case REPLICA_CONTINUE:
        if (replica->ensemble)
            stream_continue(replica);
        else
            commit_continue(replica);
        fair_continue(replica);
        fair_sweep(replica);
        break;
    case REPLICA_STOP:
        replica->stopping = true;
        break;
    }
}

/* A process that was stopped finds its clients' requests before its timers. If its time to lead or
 * to follow went by meanwhile, it must neither answer nor propose from what it knew before. */
static void wake(struct replica *replica, enum replica_event_type type)
{
    if (!replica->ensemble || !replica->ensemble->started || type == REPLICA_ENSEMBLE ||
        !ensemble_is_due(replica))
        return;
    ensemble_tick(replica);
    ensemble_follow_up(replica);
}

void replica_step(struct replica *replica, const struct replica_event *event,
                  struct replica_update *update)
{
    replica->update = update;
    clock_advance(replica, event);
    wake(replica, event->type);
    dispatch(replica, event);
    if (replica->ensemble)
        ensemble_follow_up(replica);
    buffers_check(replica, connection_find(replica, event->connection));
    mk_arena_reset(&replica->arena);
    set_deadline(replica);
    update->again = fair_is_due(replica) || commit_is_due(replica) || stream_is_due(replica);
    replica->update = NULL;
}

bool replica_is_idle(const struct replica *replica)
{
    if (replica->ensemble && !ensemble_has_left(replica))
        return false;
    return !replica->proposal_first && !replica->turn_first;
}

int64_t replica_last_zxid(const struct replica *replica)
{
    return replica->last_zxid;
}

struct tree *replica_tree(const struct replica *replica)
{
    return replica->tree;
}
