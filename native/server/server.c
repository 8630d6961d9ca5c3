/* SPDX-License-Identifier: MIT */
/* The server's turn: events of sockets, disk and timers become replica steps while the loop
 * polls; what they want done is performed once, at the end of the turn (a uv_check behind the
 * poll, a uv_prepare behind the timers). So all requests that arrived together share one log
 * batch, and all replies to a connection one write. Start and stop are here too. */
#include "server/server_int.h"

#include "base/mem.h"
#include "replica/stats.h"
#include "server/disk.h"
#include "server/ensemble.h"
#include "server/snapshots.h"
#include "wire/errors.gen.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define PERFORM_ROUNDS_MAX 8
/* The loop writes so many entries itself at most: that saves waking a thread twice. With more of
 * them it is worth more that it reads and answers other connections while the disk works. */
#define WRITE_HERE_MAX 64

/* --- steps ------------------------------------------------------------------------------------ */

static int64_t wall_clock_ms(struct server *server)
{
    if (!server->wall_known) {
        uv_timeval64_t wall;
        uv_gettimeofday(&wall);
        server->wall_ms = wall.tv_sec * 1000 + wall.tv_usec / 1000;
        server->wall_known = true;
    }
    return server->wall_ms;
}

/* Hardly anything but writes came in this turn, so hardly anyone waits for less than the disk. */
static bool is_writes_only(struct server *server)
{
    uint64_t received = replica_stats(server->replica)->packets_received;
    uint64_t packets = received - server->packets_seen, writes = server->update.log_count;
    return packets <= writes + writes / 8;
}

/* Copies the entries for perform_log, which comes behind the other parts of the update. */
static void keep_log(struct server *server)
{
    const struct replica_update *update = &server->update;
    if (update->log_count > server->log_capacity) {
        server->log_capacity = update->log_capacity;
        server->log_kept =
            mk_realloc(server->log_kept, server->log_capacity * sizeof *server->log_kept);
    }
    memcpy(server->log_kept, update->log, update->log_count * sizeof *update->log);
    server->log_count = update->log_count;
}

static void submit_log(struct server *server)
{
    const struct replica_update *update = &server->update;
    if (update->log_count == 0)
        return;
    if (!server->disk)
        server->durable_zxid = update->log[update->log_count - 1].zxid;
    else if (update->log_count <= WRITE_HERE_MAX && is_writes_only(server))
        keep_log(server);
    else
        disk_submit(server->disk, update->log, update->log_count);
}

void server_feed(struct server *server, struct replica_event *event)
{
    server->update.consumed = 0;
    if (server->state == SERVER_CLOSING)
        return;
    event->now_ms = server_now_ms(server);
    event->wall_ms = wall_clock_ms(server);
    replica_step(server->replica, event, &server->update);
    server->turn_pending = true;
}

void server_feed_simple(struct server *server, enum replica_event_type type, uint32_t connection)
{
    struct replica_event event = {.type = type, .connection = connection};
    server_feed(server, &event);
}

static void on_tick(uv_timer_t *timer)
{
    struct server *server = timer->data;
    server->timer_at_ms = INT64_MAX;
    server_feed_simple(server, REPLICA_TICK, 0);
}

/* Only ever brings the timer forward: a tick that comes too early does no harm, and sessions
 * that are heard push the deadline back all the time. */
static void arm_timer(struct server *server, int64_t deadline_ms)
{
    if (deadline_ms >= server->timer_at_ms)
        return;
    server->timer_at_ms = deadline_ms;
    int64_t wait_ms = deadline_ms - server_now_ms(server);
    uv_timer_start(&server->tick_timer, on_tick, (uint64_t)MK_MAX(wait_ms, INT64_C(0)), 0);
}

/* --- the end of a turn --------------------------------------------------------------------------
 */

static void answer_command(struct server *server, const struct replica_command *command)
{
    clients_command_begin(server->clients, command->connection);
    if (server->callbacks.command)
        server->callbacks.command(server->callbacks.context, server, command->connection,
                                  command->word, command->mask);
    else
        server_answer(server, command->connection, mk_bytes_of("", 0));
}

/* One update. It is taken out of the way first: what is done here may make further steps, whose
 * update is the next round's. */
static void perform_update(struct server *server)
{
    struct replica_update *update = &server->update;
    server->turn_pending = false;
    submit_log(server);
    ensemble_perform(server);
    if (server->snapshots)
        snapshots_submit(server->snapshots, update);
    else if (update->snapshot_begin)
        server->memory_snapshot_begun = true;
    arm_timer(server, update->deadline_ms);

    size_t touched_count = update->touched_count;
    if (touched_count > server->touched_capacity) {
        server->touched_capacity = update->touched_capacity;
        server->touched =
            mk_realloc(server->touched, server->touched_capacity * sizeof *server->touched);
    }
    if (touched_count)
        memcpy(server->touched, update->touched, touched_count * sizeof *server->touched);
    size_t command_count = update->command_count;
    struct replica_command *commands = mk_alloc(command_count * sizeof *commands);
    if (command_count)
        memcpy(commands, update->commands, command_count * sizeof *commands);
    replica_update_clear(server->replica, update);

    for (size_t i = 0; i < touched_count; i++)
        clients_perform(server->clients, server->touched[i]);
    for (size_t i = 0; i < command_count; i++)
        answer_command(server, &commands[i]);
    mk_free(commands);
    ensemble_performed(server);
    clients_reap(server->clients);
}

/* What submit_log kept is written here, or by the log thread after all. */
static void perform_log(struct server *server)
{
    if (server->log_count == 0)
        return;
    size_t count = server->log_count;
    server->log_count = 0;
    if (disk_write_here(server->disk, server->log_kept, count))
        server->durable_zxid = server->log_kept[count - 1].zxid;
    else
        disk_submit(server->disk, server->log_kept, count);
}

/* What became durable at once; in memory-only mode everything does, and a snapshot is written to
 * nowhere. */
static void perform_durable(struct server *server)
{
    if (server->durable_zxid) {
        struct replica_event event = {.type = REPLICA_DURABLE, .zxid = server->durable_zxid};
        server->durable_zxid = 0;
        server_feed(server, &event);
    }
    if (server->memory_snapshot_begun) {
        server->memory_snapshot_begun = false;
        server_feed_simple(server, REPLICA_SNAPSHOT_DONE, 0);
    }
}

static void begin_close(struct server *server);

static void check_stop(struct server *server)
{
    if (server->state == SERVER_STOPPING && !server->turn_pending && !server->call_again &&
        replica_is_idle(server->replica) && clients_are_drained(server->clients))
        begin_close(server);
}

static bool has_more_to_do(const struct server *server)
{
    return server->turn_pending || server->update.again || server->call_again;
}

/* Being active keeps the poll from blocking; prepare does the work. Once in a turn of the loop, so
 * that sockets are looked at before the next share of those that want much. */
static void on_again(uv_idle_t *idle)
{
    struct server *server = idle->data;
    if (server->update.again)
        server_feed_simple(server, REPLICA_CONTINUE, 0);
    if (server->call_again) {
        server->call_again = false;
        server->callbacks.again(server->callbacks.context, server);
    }
    if (!has_more_to_do(server)) { /* nothing came of it, so no turn's end will look */
        uv_idle_stop(&server->again);
        check_stop(server);
    }
}

void server_perform(struct server *server)
{
    for (int round = 0; server->turn_pending && round < PERFORM_ROUNDS_MAX; round++) {
        perform_update(server);
        perform_log(server);
        perform_durable(server);
    }
    server->packets_seen = replica_stats(server->replica)->packets_received;
    if (has_more_to_do(server))
        uv_idle_start(&server->again, on_again);
    else
        uv_idle_stop(&server->again);
    server->wall_known = false;
    check_stop(server);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct server *server = prepare->data;
    if (server->turn_pending)
        server_perform(server);
}

static void on_check(uv_check_t *check)
{
    struct server *server = check->data;
    if (server->turn_pending)
        server_perform(server);
}

/* --- start --------------------------------------------------------------------------------------
 */

static void init_handles(struct server *server)
{
    uv_prepare_init(server->loop, &server->prepare);
    uv_check_init(server->loop, &server->check);
    uv_idle_init(server->loop, &server->again);
    uv_timer_init(server->loop, &server->tick_timer);
    uv_timer_init(server->loop, &server->stop_timer);
    server->prepare.data = server->check.data = server->again.data = server;
    server->tick_timer.data = server->stop_timer.data = server;
    for (int i = 0; i < 5; i++)
        server_handle_opened(server);
    server->has_handles = true;
    uv_prepare_start(&server->prepare, on_prepare);
    uv_check_start(&server->check, on_check);
}

static void server_free(struct server *server)
{
    clients_free(server->clients);
    storage_close(server);
    replica_update_fini(&server->update);
    replica_free(server->replica);
    ensemble_free(server);
    server_options_fini(&server->options);
    mk_free(server->touched);
    mk_free(server->log_kept);
    mk_free(server);
}

int server_start(uv_loop_t *loop, const struct server_options *options,
                 const struct server_callbacks *callbacks, struct server **result,
                 struct server_error *error)
{
    struct server *server = mk_calloc(1, sizeof *server);
    server->loop = loop;
    server_options_copy(&server->options, options);
    if (server->options.memory_only) {
        server->options.replica.snapshot_transactions = 0;
        server->options.replica.snapshot_log_bytes = 0;
    }
    if (callbacks)
        server->callbacks = *callbacks;
    server->trace = server->options.replica.trace;
    server->timer_at_ms = INT64_MAX;
    int code = ensemble_prepare(server, error);
    server->replica = replica_new(&server->options.replica);
    replica_update_init(&server->update);
    server->clients = clients_new(server);
    uv_update_time(loop);

    if (code == 0)
        code = clients_bind(server->clients, error);
    if (code == 0)
        code = storage_open(server, error);
    if (code == 0) {
        uv_update_time(loop); /* restoring may have taken long */
        server_feed_simple(server, REPLICA_START, 0);
        code = storage_first_snapshot(server, error);
    }
    if (code == 0) {
        init_handles(server);
        code = clients_listen(server->clients, error);
    }
    if (code == 0)
        code = storage_start(server, error);
    if (code == 0)
        code = ensemble_start(server, error);
    if (code != 0) {
        server->start_failed = true;
        begin_close(server);
        return code;
    }
    server->state = SERVER_RUNNING;
    *result = server;
    return 0;
}

/* --- stop ----------------------------------------------------------------------------------------
 */

void server_handle_opened(struct server *server)
{
    server->open_handles++;
}

void server_handle_closed(struct server *server)
{
    MK_ASSERT(server->open_handles > 0);
    if (--server->open_handles > 0)
        return;
    if (!server->start_failed) {
        /* Threads are joined and the log is closed; the directory is let go before the caller
         * hears of it, so that it may start another server there. */
        clients_free(server->clients);
        server->clients = NULL;
        storage_close(server);
        if (server->callbacks.stopped)
            server->callbacks.stopped(server->callbacks.context, server, 0);
    }
    server_free(server);
}

static void on_own_closed(uv_handle_t *handle)
{
    server_handle_closed(handle->data);
}

static void begin_close(struct server *server)
{
    server->state = SERVER_CLOSING;
    server_handle_opened(server); /* holds the server until all closes are under way */
    clients_close(server->clients);
    ensemble_stop(server);
    storage_stop(server);
    if (server->has_handles) {
        uv_close((uv_handle_t *)&server->prepare, on_own_closed);
        uv_close((uv_handle_t *)&server->check, on_own_closed);
        uv_close((uv_handle_t *)&server->again, on_own_closed);
        uv_close((uv_handle_t *)&server->tick_timer, on_own_closed);
        uv_close((uv_handle_t *)&server->stop_timer, on_own_closed);
    }
    server_handle_closed(server);
}

static void on_stop_timeout(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (server->state != SERVER_STOPPING)
        return;
    mk_trace(server->trace, MK_LEVEL_WARN, "server",
             "stopping: not everything could be answered within %d ms, closing anyway",
             server->options.stop_timeout_ms);
    begin_close(server);
}

void server_stop(struct server *server)
{
    if (server->state != SERVER_RUNNING)
        return;
    mk_trace(server->trace, MK_LEVEL_INFO, "server", "stopping");
    server->state = SERVER_STOPPING;
    clients_stop(server->clients);
    server_feed_simple(server, REPLICA_STOP, 0);
    uv_timer_start(&server->stop_timer, on_stop_timeout,
                   (uint64_t)MK_MAX(server->options.stop_timeout_ms, 1), 0);
}

/* --- what the layers above ask
 * --------------------------------------------------------------------- */

bool server_answer_part(struct server *server, uint32_t connection, struct mk_bytes text)
{
    if (!server->clients || !clients_command_is_open(server->clients, connection))
        return false;
    struct replica_event event = {
        .type = REPLICA_COMMAND_PART, .connection = connection, .bytes = text};
    server_feed(server, &event);
    return !replica_link(server->replica, connection)->closing;
}

void server_call_again(struct server *server)
{
    if (!server->callbacks.again || server->state == SERVER_CLOSING)
        return;
    server->call_again = true;
    uv_idle_start(&server->again, on_again);
}

void server_answer(struct server *server, uint32_t connection, struct mk_bytes text)
{
    if (!server->clients || !clients_command_end(server->clients, connection))
        return;
    struct replica_event event = {
        .type = REPLICA_COMMAND_TEXT, .connection = connection, .bytes = text};
    server_feed(server, &event);
}

uint16_t server_port(const struct server *server, size_t index)
{
    return clients_port(server->clients, index);
}

uint16_t server_peer_port(const struct server *server, uint32_t connection)
{
    return clients_peer_port(server->clients, connection);
}

struct replica *server_replica(struct server *server)
{
    return server->replica;
}

void server_snapshot_now(struct server *server)
{
    server_feed_simple(server, REPLICA_SNAPSHOT_NOW, 0);
}

const struct server_options *server_options(const struct server *server)
{
    return &server->options;
}

int64_t server_now_ms(const struct server *server)
{
    return (int64_t)uv_now(server->loop);
}

/* The directory's own size is the number of open descriptors since Linux 6.2; 0 before. */
static uint64_t open_descriptors(void)
{
    struct stat status;
    return stat("/proc/self/fd", &status) == 0 ? (uint64_t)status.st_size : 0;
}

void server_figures(const struct server *server, struct server_figures *figures)
{
    *figures = (struct server_figures){.last_snapshot_zxid = -1};
    figures->data_dir_bytes = storage_directory_bytes(server->snapshot_store);
    figures->log_dir_bytes = server->log_store == server->snapshot_store
                                 ? figures->data_dir_bytes
                                 : storage_directory_bytes(server->log_store);
    figures->file_descriptors_open = open_descriptors();
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        figures->file_descriptors_max = limit.rlim_cur;
    figures->connections_rejected =
        clients_rejected(server->clients) - server->rejected_before_reset;
    figures->restore_ms = server->restore_ms;
    figures->snapshot_load_ms = server->snapshot_load_ms;
    figures->replay_ms = server->replay_ms;
    figures->replayed_transactions = server->replayed_transactions;
    if (server->disk) {
        struct disk_figures disk;
        disk_figures(server->disk, &disk);
        figures->sync_us = disk.sync_us;
        figures->sync_batch = disk.sync_batch;
    }
    if (server->snapshots) {
        struct snapshots_figures snapshots;
        snapshots_figures(server->snapshots, &snapshots);
        figures->snapshot_ms = snapshots.elapsed_ms;
        figures->last_snapshot_zxid = snapshots.last_zxid;
        figures->last_snapshot_wall_ms = snapshots.last_wall_ms;
    }
}

void server_figures_reset(struct server *server)
{
    server->rejected_before_reset = clients_rejected(server->clients);
    if (server->disk)
        disk_figures_reset(server->disk);
    if (server->snapshots)
        snapshots_figures_reset(server->snapshots);
}
