/* SPDX-License-Identifier: MIT */
/* Draws from the seed: the ensemble, its options, how its network and disks behave, and which
 * faults happen how often. Called once per seed by sim.c. */
#include "tests/zab/sim.h"

#define PACKET_BYTES_MAX 310000

static void draw_members(struct sim *sim)
{
    struct quorum *quorum = &sim->options.quorum;
    static const uint8_t voters_by_chance[] = {3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 1, 2, 4, 4, 6, 7};
    size_t voters = voters_by_chance[sim_below(sim, MK_ARRAY_LENGTH(voters_by_chance))];
    size_t observers = sim_one_in(sim, 2) ? 0 : 1 + (size_t)sim_below(sim, 3);
    sim->node_count = (uint8_t)(voters + observers);
    int64_t id = 0;
    for (uint8_t i = 0; i < sim->node_count; i++) {
        id += 1 + (int64_t)(sim_one_in(sim, 4) ? sim_below(sim, 20) : 0);
        sim->nodes[i].id = id;
        sim->nodes[i].index = i;
        sim->nodes[i].sim = sim;
    }
    for (size_t made = 0; made < observers;) { /* anywhere among the ids */
        struct node *node = &sim->nodes[sim_below(sim, sim->node_count)];
        made += !node->observer;
        node->observer = true;
    }
    quorum->count = sim->node_count;
    for (uint8_t i = 0; i < sim->node_count; i++)
        quorum->members[i] = (struct quorum_member){
            .id = sim->nodes[i].id, .observer = sim->nodes[i].observer, .weight = 1};
}

/* Two or three groups, sometimes with weights; every group can win. */
static void draw_groups(struct sim *sim)
{
    struct quorum *quorum = &sim->options.quorum;
    size_t voter = 0, groups = 2 + (size_t)sim_below(sim, 2), voters = 0;
    for (size_t i = 0; i < quorum->count; i++)
        voters += !quorum->members[i].observer;
    if (voters < 3 || !sim_one_in(sim, 5))
        return;
    quorum->hierarchical = true;
    bool weights = sim_one_in(sim, 2);
    for (size_t i = 0; i < quorum->count; i++) {
        struct quorum_member *member = &quorum->members[i];
        if (member->observer)
            continue;
        member->group = 1 + (int64_t)(voter % groups);
        if (weights && voter >= groups) /* the first of each group keeps weight 1 */
            member->weight = sim_below(sim, 3);
        voter++;
    }
}

static void write_config(struct sim *sim)
{
    const struct quorum *quorum = &sim->options.quorum;
    mk_buffer_clear(&sim->config);
    for (size_t i = 0; i < quorum->count; i++) {
        const struct quorum_member *member = &quorum->members[i];
        mk_buffer_print(&sim->config, "server.%lld=10.0.0.%lld:2888:3888:%s;10.0.0.%lld:2181\n",
                        (long long)member->id, (long long)member->id,
                        member->observer ? "observer" : "participant", (long long)member->id);
    }
    for (int64_t group = 1; group <= 3 && quorum->hierarchical; group++) {
        const char *before = "group";
        for (size_t i = 0; i < quorum->count; i++) {
            if (quorum->members[i].observer || quorum->members[i].group != group)
                continue;
            if (before[0] == 'g')
                mk_buffer_print(&sim->config, "group.%lld=", (long long)group);
            else
                mk_buffer_append_string(&sim->config, before);
            mk_buffer_print(&sim->config, "%lld", (long long)quorum->members[i].id);
            before = ":";
        }
        if (before[0] == ':')
            mk_buffer_append_string(&sim->config, "\n");
    }
    for (size_t i = 0; i < quorum->count && quorum->hierarchical; i++)
        if (!quorum->members[i].observer)
            mk_buffer_print(&sim->config, "weight.%lld=%llu\n", (long long)quorum->members[i].id,
                            (unsigned long long)quorum->members[i].weight);
    mk_buffer_append_string(&sim->config, "version=0");
}

static void draw_options(struct sim *sim)
{
    struct zab_options *options = &sim->options;
    static const int32_t ticks[] = {100, 200, 500, 1000, 2000};
    zab_options_init(options);
    options->history_bytes_max = 1000000;
    if (sim_one_in(sim, 8)) /* epochs that are used up soon */
        options->counter_max = 20 + (uint32_t)sim_below(sim, 500);
    options->tick_time_ms = ticks[sim_below(sim, MK_ARRAY_LENGTH(ticks))];
    options->init_limit_ticks = 5 + (int32_t)sim_below(sim, 10);
    options->sync_limit_ticks = 2 + (int32_t)sim_below(sim, 5);
    if (!sim_one_in(sim, 4)) {
        options->history_entries_max = 1 + (uint32_t)sim_below(sim, 40);
        options->history_bytes_max = 1000 + (size_t)sim_below(sim, 100000);
    }
    options->packet_bytes_max = PACKET_BYTES_MAX;
    if (!sim_one_in(sim, 3)) /* as a host has to: a learner may lack a few packets of any size */
        options->learner_output_max = 3 * PACKET_BYTES_MAX + (size_t)sim_below(sim, 1000000);
    if (sim_one_in(sim, 2)) {
        options->notification_min_ms = 20 + (int32_t)sim_below(sim, 200);
        options->notification_max_ms = 1000 + (int32_t)sim_below(sim, 4000);
        options->finalize_wait_ms = (int32_t)sim_below(sim, 250);
    }
}

static void draw_plan(struct sim *sim)
{
    struct plan *plan = &sim->plan;
    static const int64_t disks[] = {0, 1, 5, 20, 50};
    static const int64_t delays[] = {0, 0, 1, 2, 5, 20, 100};
    static const uint32_t kernels[] = {2000, 10000, 65536, 300000};
    plan->safety_ms = 20000 + (int64_t)sim_below(sim, 100000);
    plan->disk_ms = disks[sim_below(sim, MK_ARRAY_LENGTH(disks))];
    plan->latency_ms = delays[sim_below(sim, MK_ARRAY_LENGTH(delays))];
    plan->jitter_ms = delays[sim_below(sim, MK_ARRAY_LENGTH(delays))];
    plan->kernel_bytes = kernels[sim_below(sim, MK_ARRAY_LENGTH(kernels))];
    plan->fragment = (uint32_t)sim_below(sim, 3);
    plan->host_takes_all = sim_one_in(sim, 2);
    plan->refuses_when_idle = sim_one_in(sim, 2);
    plan->big_payloads = sim_one_in(sim, 4);
    if (plan->big_payloads)
        plan->kernel_bytes = MK_MAX(plan->kernel_bytes, 10000u);
    plan->work_every_ms = 5 + (int64_t)sim_below(sim, 200);
    plan->burst = sim_one_in(sim, 3) ? 0 : 2 + (uint32_t)sim_below(sim, 60);
    plan->restore_none = sim_one_in(sim, 4);
    plan->compacts = sim_one_in(sim, 2);
    plan->drift_max = sim_one_in(sim, 2) ? 0 : (int32_t)sim_below(sim, 100);
    for (int type = 0; type < FAULT_TYPES; type++)
        plan->fault_every_ms[type] = sim_one_in(sim, 2) ? 0 : 500 + (int64_t)sim_below(sim, 30000);
    if (plan->fault_every_ms[FAULT_WIPE] > 0 && !sim_one_in(sim, 3))
        plan->fault_every_ms[FAULT_WIPE] = 0;
}

/* Where everybody begins; far up in epochs now and then. */
static void draw_disks(struct sim *sim)
{
    int64_t epoch = 0, zxid = 0;
    if (sim_one_in(sim, 6)) {
        epoch = sim_one_in(sim, 2) ? 1 + (int64_t)sim_below(sim, 9) : 0x7ffffff0 - 100000;
        uint32_t counter = 1 + (uint32_t)sim_below(sim, 1000);
        zxid = (int64_t)((uint64_t)epoch << 32 | counter);
    }
    memset(&sim->truth, 0, sizeof sim->truth);
    sim->truth.applied = sim->truth.last = zxid;
    sim->commit_capacity = 256;
    sim->commits = mk_alloc(sim->commit_capacity * sizeof *sim->commits);
    sim->commits[0] = (struct commit){.zxid = zxid, .digest = machine_digest(&sim->truth)};
    sim->commit_count = 1;
    for (uint8_t i = 0; i < sim->node_count; i++) {
        struct image *image = &sim->nodes[i].disk.image;
        image->snapshot = sim->truth;
        image->accepted = image->current = epoch;
        image->prepared = -1;
        sim->nodes[i].drift =
            sim->plan.drift_max == 0
                ? 0
                : (int32_t)sim_below(sim, (uint64_t)sim->plan.drift_max * 2) - sim->plan.drift_max;
    }
}

static void tell(struct sim *sim)
{
    const struct zab_options *options = &sim->options;
    const struct plan *plan = &sim->plan;
    sim_say(sim, NULL, "%.*s", (int)mk_bytes_size(options->config), (char *)options->config.data);
    sim_say(sim, NULL, "tick %d ms, init %d, sync %d; history %u, %zu bytes; output %zu bytes",
            (int)options->tick_time_ms, (int)options->init_limit_ticks,
            (int)options->sync_limit_ticks, options->history_entries_max,
            options->history_bytes_max, options->learner_output_max);
    sim_say(sim, NULL, "latency %lld + %lld ms, disk %lld ms, kernel %u bytes, fragments %u",
            (long long)plan->latency_ms, (long long)plan->jitter_ms, (long long)plan->disk_ms,
            plan->kernel_bytes, plan->fragment);
}

void setup_draw(struct sim *sim)
{
    draw_options(sim);
    draw_members(sim);
    draw_groups(sim);
    draw_plan(sim);
    draw_disks(sim);
    write_config(sim);
    sim->options.config = mk_buffer_bytes(&sim->config);
    tell(sim);
}
