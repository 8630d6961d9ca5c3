/* SPDX-License-Identifier: MIT */
/* The scheduler: each step lets time pass and then somebody act, chosen by the seed; now and
 * then the process or the power goes, or the disk fails, and the server is started again from
 * what is left. */
#include "tests/sim/sim.h"

#include "base/hash.h"
#include "base/mem.h"
#include "log/format.h"

#include <stdarg.h>
#include <stdio.h>

void sim_fail(struct sim *sim, const char *format, ...)
{
    sim->failures++;
    if (sim->failure[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->failure, sizeof sim->failure, format, arguments);
    va_end(arguments);
}

void sim_trace(struct sim *sim, const void *data, size_t size)
{
    if (size)
        sim->trace = mk_hash_data(data, size, sim->trace);
}

void sim_trace_number(struct sim *sim, uint64_t number)
{
    sim->trace = mk_hash_u64(number, sim->trace);
}

bool sim_chance(struct sim *sim, uint32_t per_thousand)
{
    return mk_rand_below(&sim->rand, 1000) < per_thousand;
}

static uint32_t draw_rate(struct sim *sim, uint32_t most)
{
    return mk_rand_below(&sim->rand, 3) == 0 ? 0 : (uint32_t)mk_rand_below(&sim->rand, most + 1);
}

static void init(struct sim *sim, const struct sim_options *options)
{
    memset(sim, 0, sizeof *sim);
    sim->options = *options;
    mk_rand_init(&sim->rand, options->seed);
    sim->now_ms = 1000 + (int64_t)mk_rand_below(&sim->rand, 100000);
    sim->wall_ms = INT64_C(1700000000000) + (int64_t)mk_rand_below(&sim->rand, 1000000000);
    sim->crash_rate = draw_rate(sim, 6);
    sim->power_cut_rate = draw_rate(sim, 6);
    sim->fault_rate = draw_rate(sim, 6);
    sim->cut_rate = draw_rate(sim, 20);
    sim->silence_rate = draw_rate(sim, 10);
    sim->stall_rate = draw_rate(sim, 4);
    sim->client_count = 1 + (uint32_t)mk_rand_below(&sim->rand, SIM_CLIENTS_MAX);
    sim->disk = memory_store_new(mk_rand_next(&sim->rand));
    static const uint32_t blocks[] = {0, LOG_SECTOR_BYTES, 4096};
    memory_store_set_block(sim->disk, blocks[mk_rand_below(&sim->rand, MK_ARRAY_LENGTH(blocks))]);
    sim->stores = (struct log_stores){.snapshots = memory_store_of(sim->disk),
                                      .logs = memory_store_of(sim->disk)};
    replica_update_init(&sim->update);
    for (uint32_t i = 0; i < sim->client_count; i++)
        client_init(sim, i);
}

void sim_fini(struct sim *sim)
{
    if (sim->replica)
        host_kill(sim);
    for (uint32_t i = 0; i < sim->client_count; i++)
        client_fini(&sim->clients[i]);
    memory_store_free(sim->disk);
    replica_update_fini(&sim->update);
    mk_free(sim->batch);
    mk_free(sim->waiting);
    mk_free(sim->digests);
}

static void crash(struct sim *sim, bool power_cut)
{
    sim_trace_number(sim, power_cut ? 0xdead : 0xc0de);
    host_kill(sim);
    sim->log_failed = false;
    if (power_cut)
        memory_store_crash(sim->disk, (unsigned)mk_rand_below(&sim->rand, 101));
    else
        memory_store_kill(sim->disk);
    *memory_store_faults(sim->disk) = (struct memory_faults){.bytes_max = 0};
    sim->restarts++;
    sim->now_ms += 1 + (int64_t)mk_rand_below(&sim->rand, 300);
}

static void let_time_pass(struct sim *sim)
{
    int64_t elapsed = (int64_t)mk_rand_below(&sim->rand, 4);
    if (sim_chance(sim, sim->stall_rate))
        elapsed += (int64_t)mk_rand_below(&sim->rand, 3000);
    sim->now_ms += elapsed;
    sim->wall_ms += elapsed;
    if (sim->replica && sim->now_ms >= sim->update.deadline_ms)
        host_feed_simple(sim, REPLICA_TICK, 0);
}

/* Sometimes the server dies in the middle of its next I/O calls, whichever they are. */
static void maybe_arm_fault(struct sim *sim)
{
    if (!sim_chance(sim, sim->fault_rate))
        return;
    uint64_t call = memory_store_calls(sim->disk) + 1 + mk_rand_below(&sim->rand, 30);
    struct memory_faults *faults = memory_store_faults(sim->disk);
    if (mk_rand_below(&sim->rand, 2) == 0) {
        faults->crash_call = call;
    } else {
        faults->fail_call = call;
        faults->fail_code = mk_rand_below(&sim->rand, 2) == 0 ? MK_ERR_IO : MK_ERR_NO_SPACE;
    }
}

static void server_step(struct sim *sim)
{
    if (!sim->replica) {
        host_start(sim);
        if (sim->replica)
            host_perform(sim);
        return;
    }
    maybe_arm_fault(sim);
    host_disk(sim);
    if (!sim->log_failed && mk_rand_below(&sim->rand, 2) == 0)
        host_snapshot(sim);
    if (sim->log_failed || sim_chance(sim, sim->crash_rate)) {
        crash(sim, false);
        return;
    }
    if (sim_chance(sim, sim->power_cut_rate)) {
        crash(sim, true);
        return;
    }
    host_perform(sim);
}

static void step(struct sim *sim)
{
    let_time_pass(sim);
    struct sim_client *client = &sim->clients[mk_rand_below(&sim->rand, sim->client_count)];
    if (sim->replica) {
        if (mk_rand_below(&sim->rand, 2) == 0)
            client_act(client);
        else
            client_deliver(client);
    }
    server_step(sim);
}

/* After the faults: everybody is answered, and every session that stays silent ends. */
static void settle(struct sim *sim)
{
    sim->crash_rate = sim->power_cut_rate = sim->fault_rate = 0;
    sim->cut_rate = sim->silence_rate = sim->stall_rate = 0;
    *memory_store_faults(sim->disk) = (struct memory_faults){.bytes_max = 0};
    for (int i = 0; i < 400 && !sim->failure[0]; i++) {
        let_time_pass(sim);
        server_step(sim);
        for (uint32_t c = 0; c < sim->client_count && sim->replica; c++)
            client_deliver(&sim->clients[c]);
    }
    for (uint32_t c = 0; c < sim->client_count; c++) {
        const struct sim_client *client = &sim->clients[c];
        if (client->connected && client->queue_length > 0)
            sim_fail(sim, "client %u: %u requests were never answered", c, client->queue_length);
    }
    for (int i = 0; i < 3000 && sim->replica && !sim->failure[0]; i++) {
        let_time_pass(sim);
        server_step(sim);
    }
    if (sim->replica && tree_session_count(replica_tree(sim->replica)) > 0)
        sim_fail(sim, "%llu sessions of silent clients never expired",
                 (unsigned long long)tree_session_count(replica_tree(sim->replica)));
    if (sim->replica && tree_ephemeral_count(replica_tree(sim->replica)) > 0)
        sim_fail(sim, "ephemerals outlived all sessions");
}

void sim_run(struct sim *sim, const struct sim_options *options)
{
    init(sim, options);
    for (uint32_t i = 0; i < options->steps && !sim->failure[0]; i++)
        step(sim);
    if (!sim->failure[0])
        settle(sim);
    if (!sim->failure[0] && sim->replica) {
        crash(sim, true);
        host_start(sim);
    }
}
