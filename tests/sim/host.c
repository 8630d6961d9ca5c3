/* SPDX-License-Identifier: MIT */
/* Does for the replica what the libuv server does: recovery at start, log batches with a virtual
 * latency, snapshots in slices, output to clients. A failure of the log ends the server at
 * once, as the real one ends its process. */
#include "tests/sim/sim.h"

#include "base/mem.h"
#include "log/purge.h"
#include "log/recover.h"
#include "tree/snapshot.h"

#include <stdio.h>

static void restore_reset(void *context)
{
    struct sim *sim = context;
    replica_restore_reset(sim->replica);
}

static int restore_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                        const char **reason)
{
    struct sim *sim = context;
    return replica_restore_body(sim->replica, data, size, consumed, reason);
}

static int restore_snapshot_done(void *context, const struct snapfile_info *info,
                                 const char **reason)
{
    struct sim *sim = context;
    return replica_restore_snapshot_done(sim->replica, info->zxid,
                                         info->seal.has_digest ? info->seal.digest_zxid : 0,
                                         info->seal.digest, reason);
}

static int restore_transaction(void *context, const struct txnlog_entry *entry, const char **reason)
{
    struct sim *sim = context;
    return replica_restore_transaction(sim->replica, entry->data, entry->length, reason);
}

static void trace_line(void *context, enum mk_level level, const char *component, const char *text)
{
    const struct sim *sim = context;
    if (sim->options.verbose)
        fprintf(stderr, "# %lld [%d] %s: %s\n", (long long)sim->now_ms, (int)level, component,
                text);
}

static void make_replica(struct sim *sim, struct mk_trace *trace)
{
    struct replica_options options;
    replica_options_init(&options);
    *trace = (struct mk_trace){.level = MK_LEVEL_DEBUG, .write = trace_line, .context = sim};
    options.seed = mk_rand_next(&sim->rand);
    options.tick_time_ms = SIM_TICK_MS;
    options.session_timeout_min_ms = 2 * SIM_TICK_MS;
    options.session_timeout_max_ms = 20 * SIM_TICK_MS;
    options.handshake_timeout_ms = 500;
    options.snapshot_transactions = 20 + (uint32_t)mk_rand_below(&sim->rand, 400);
    options.snapshot_interval_min_ms = (int32_t)mk_rand_below(&sim->rand, 300);
    options.requests_in_flight_max = 1 + (uint32_t)mk_rand_below(&sim->rand, 40);
    options.outstanding_max = 1 + (uint32_t)mk_rand_below(&sim->rand, 60);
    options.output_pause_bytes = 200 + mk_rand_below(&sim->rand, 4000);
    options.turn_cost_max = 1 + (uint32_t)mk_rand_below(&sim->rand, 4000);
    options.continue_cost_max = 1 + (uint32_t)mk_rand_below(&sim->rand, 8000);
    options.commit_cost_max = 1 + (uint32_t)mk_rand_below(&sim->rand, 4000);
    options.container_check_interval_ms = 300;
    sim->replica = replica_new(&options);
}

/* The snapshot of a fresh directory, as Apache writes it (storage reference, 7.1). */
static int first_snapshot(struct sim *sim, struct log_error *error)
{
    struct snapfile_writer *writer;
    int code = snapfile_begin(sim->stores.snapshots, 0, &writer, error);
    if (code)
        return code;
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct tree_snapshot *walk = tree_snapshot_begin(replica_tree(sim->replica), 0);
    while (!tree_snapshot_step(walk, &body, 1 << 20))
        continue;
    tree_snapshot_end(walk);
    code = snapfile_write(writer, body.data, body.length, error);
    mk_buffer_fini(&body);
    if (code) {
        snapfile_abort(writer);
        return code;
    }
    struct snapfile_seal seal = {
        .has_digest = true, .digest_version = 2, .digest = tree_digest(replica_tree(sim->replica))};
    uint64_t bytes;
    return snapfile_finish(writer, &seal, &bytes, error);
}

void host_start(struct sim *sim)
{
    static const struct log_recover_calls calls = {.reset = restore_reset,
                                                   .snapshot_body = restore_body,
                                                   .snapshot_done = restore_snapshot_done,
                                                   .transaction = restore_transaction};
    static struct mk_trace trace;
    make_replica(sim, &trace);
    struct log_recover_options recover_options = {.clean_up = true};
    struct log_recover_result result;
    struct log_error error = {0, ""};
    int code = log_recover(&sim->stores, &recover_options, &calls, sim, &result, NULL, &error);
    if (code) {
        sim_fail(sim, "restart refused: %s", error.text);
        return;
    }
    check_restart(sim);
    if (result.empty)
        code = first_snapshot(sim, &error);
    struct txnlog_options log_options;
    txnlog_options_init(&log_options);
    log_options.preallocate_bytes = mk_rand_below(&sim->rand, 2) ? 4096 : 0;
    log_options.identity = mk_rand_next(&sim->rand);
    if (!code)
        code = txnlog_open(sim->stores.logs, &log_options, &result.tail, &sim->log, &error);
    if (code) { /* a fault of the disk hit the start: as if the process had ended */
        host_kill(sim);
        return;
    }
    host_feed_simple(sim, REPLICA_START, 0);
}

void host_kill(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->client_count; i++)
        client_disconnected(&sim->clients[i]);
    if (sim->log)
        txnlog_free(sim->log);
    sim->log = NULL;
    if (sim->snapshot)
        snapfile_abort(sim->snapshot);
    sim->snapshot = NULL;
    sim->snapshot_finishing = sim->snapshot_slice_taken = false;
    mk_buffer_fini(&sim->snapshot_slice);
    sim->batch_count = sim->waiting_count = 0;
    replica_free(sim->replica);
    sim->replica = NULL;
    replica_update_fini(&sim->update);
    replica_update_init(&sim->update);
}

void host_feed(struct sim *sim, struct replica_event *event)
{
    event->now_ms = sim->now_ms;
    event->wall_ms = sim->wall_ms;
    sim->events++;
    sim_trace_number(sim, (uint64_t)event->type << 32 | event->connection);
    sim_trace(sim, event->bytes.data, mk_bytes_size(event->bytes));
    replica_step(sim->replica, event, &sim->update);
    check_applied(sim);
}

void host_feed_simple(struct sim *sim, enum replica_event_type type, uint32_t connection)
{
    struct replica_event event = {.type = type, .connection = connection};
    host_feed(sim, &event);
}

static void append_entries(struct replica_log_entry **list, size_t *count, size_t *capacity,
                           const struct replica_log_entry *entries, size_t more)
{
    while (*capacity < *count + more) {
        *capacity = MK_MAX(*capacity * 2, (size_t)64);
        *list = mk_realloc(*list, *capacity * sizeof **list);
    }
    if (more)
        memcpy(*list + *count, entries, more * sizeof **list);
    *count += more;
}

static void perform_snapshot(struct sim *sim)
{
    struct replica_update *update = &sim->update;
    struct log_error error;
    if (update->snapshot_begin) {
        MK_ASSERT(!sim->snapshot);
        int code =
            snapfile_begin(sim->stores.snapshots, update->snapshot_zxid, &sim->snapshot, &error);
        update->snapshot_begin = false;
        if (code) {
            sim->snapshot = NULL;
            mk_buffer_clear(&update->snapshot_body);
            update->snapshot_finish = false;
            struct replica_event event = {.type = REPLICA_SNAPSHOT_DONE, .error = code};
            host_feed(sim, &event);
            return;
        }
    }
    if (update->snapshot_body.length > 0) {
        mk_buffer_append(&sim->snapshot_slice, update->snapshot_body.data,
                         update->snapshot_body.length);
        mk_buffer_clear(&update->snapshot_body);
        sim->snapshot_slice_taken = true;
    }
    if (update->snapshot_finish) {
        update->snapshot_finish = false;
        sim->snapshot_finishing = true;
        sim->snapshot_seal = (struct snapfile_seal){.has_digest = true,
                                                    .digest_version = 2,
                                                    .digest_zxid = update->snapshot_digest_zxid,
                                                    .digest = update->snapshot_digest};
    }
}

void host_output(struct sim *sim, uint32_t number)
{
    struct replica_link *link = replica_link(sim->replica, number);
    if (!link)
        return;
    for (uint32_t i = 0; i < sim->client_count; i++) {
        struct sim_client *client = &sim->clients[i];
        if (!client->connected || client->connection != number)
            continue;
        size_t take = link->output.length;
        if (take > 0 && mk_rand_below(&sim->rand, 4) == 0)
            take = 1 + mk_rand_below(&sim->rand, take); /* the socket took a part */
        mk_buffer_append(&client->from_server, link->output.data, take);
        sim_trace(sim, link->output.data, take);
        mk_buffer_consume(&link->output, take);
        if (link->closing && link->output.length == 0) {
            host_feed_simple(sim, REPLICA_DISCONNECT, number);
            client->connected = false; /* what is in from_server still arrives */
            return;
        }
        if (link->output.length == 0)
            host_feed_simple(sim, REPLICA_DRAINED, number);
    }
}

void host_perform(struct sim *sim)
{
    if (sim->update.again)
        host_feed_simple(sim, REPLICA_CONTINUE, 0);
    while (sim->replica) {
        struct replica_update *update = &sim->update;
        append_entries(&sim->waiting, &sim->waiting_count, &sim->waiting_capacity, update->log,
                       update->log_count);
        size_t count = update->touched_count;
        uint32_t *touched = mk_alloc((count + 1) * sizeof *touched);
        if (count)
            memcpy(touched, update->touched, count * sizeof *touched);
        perform_snapshot(sim);
        bool begin = update->snapshot_begin, finish = update->snapshot_finish;
        update->log_count = 0;
        replica_update_clear(sim->replica, update);
        update->snapshot_begin = begin;
        update->snapshot_finish = finish;
        for (size_t i = 0; i < count && sim->replica; i++)
            host_output(sim, touched[i]);
        mk_free(touched);
        if (sim->update.touched_count == 0 && sim->update.log_count == 0)
            return;
    }
}

static void log_batch(struct sim *sim)
{
    struct log_error error;
    int code = 0;
    for (size_t i = 0; i < sim->batch_count && !code; i++) {
        const struct replica_log_entry *entry = &sim->batch[i];
        if (entry->roll)
            code = txnlog_roll(sim->log, &error);
        if (!code)
            code = txnlog_append(sim->log, entry->zxid, entry->data, entry->length, &error);
    }
    if (!code)
        code = txnlog_flush(sim->log, &error);
    if (code) {
        sim->log_failed = true; /* the process ends; nothing of the batch is acknowledged */
        return;
    }
    int64_t zxid = sim->batch[sim->batch_count - 1].zxid;
    sim->batch_count = 0;
    struct replica_event event = {.type = REPLICA_DURABLE, .zxid = zxid};
    host_feed(sim, &event);
}

void host_disk(struct sim *sim)
{
    if (sim->batch_count > 0 && sim->now_ms >= sim->batch_done_ms)
        log_batch(sim);
    if (sim->log_failed || sim->batch_count > 0 || sim->waiting_count == 0)
        return;
    append_entries(&sim->batch, &sim->batch_count, &sim->batch_capacity, sim->waiting,
                   sim->waiting_count);
    sim->waiting_count = 0;
    sim->batch_done_ms = sim->now_ms + (int64_t)mk_rand_below(&sim->rand, 4);
}

static void snapshot_over(struct sim *sim, int code)
{
    sim->snapshot = NULL;
    sim->snapshot_finishing = sim->snapshot_slice_taken = false;
    mk_buffer_clear(&sim->snapshot_slice);
    if (!code) {
        struct log_purge_result result;
        struct log_error error;
        (void)log_purge(&sim->stores, 3, replica_last_zxid(sim->replica), &result, &error);
    }
    struct replica_event event = {.type = REPLICA_SNAPSHOT_DONE, .error = code};
    host_feed(sim, &event);
}

void host_snapshot(struct sim *sim)
{
    if (!sim->snapshot)
        return;
    struct log_error error;
    int code = 0;
    if (sim->snapshot_slice.length > 0) {
        code = snapfile_write(sim->snapshot, sim->snapshot_slice.data, sim->snapshot_slice.length,
                              &error);
        mk_buffer_clear(&sim->snapshot_slice);
    }
    if (code) {
        snapfile_abort(sim->snapshot);
        snapshot_over(sim, code);
    } else if (sim->snapshot_finishing) {
        uint64_t bytes;
        snapshot_over(sim, snapfile_finish(sim->snapshot, &sim->snapshot_seal, &bytes, &error));
    } else if (sim->snapshot_slice_taken) {
        sim->snapshot_slice_taken = false;
        host_feed_simple(sim, REPLICA_SNAPSHOT_NEXT, 0);
    }
}
