/* SPDX-License-Identifier: MIT */
/* What goes wrong: each seed draws which kinds of faults happen and how often (swarm). Every fault
 * ends by itself; fault_heal ends them all. Called by sim.c. */
#include "tests/zab/sim.h"

#define STOP_MS 3000 /* until a server that was asked to stop is ended */

bool fault_blocked(const struct sim *sim, uint8_t from, uint8_t to)
{
    return sim->blocked_until[from][to] > sim->now;
}

void fault_schedule(struct sim *sim, enum fault_type type)
{
    int64_t every = sim->plan.fault_every_ms[type];
    if (every > 0 && !sim->healed)
        sim_schedule(sim, 1 + (int64_t)sim_below(sim, (uint64_t)every * 2),
                     (struct event){.type = EVENT_FAULT, .index = (uint16_t)type});
}

static struct node *any_node(struct sim *sim)
{
    return &sim->nodes[sim_below(sim, sim->node_count)];
}

static struct node *any_leader(struct sim *sim)
{
    for (uint8_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i].up && sim->nodes[i].status.role == ZAB_LEADING)
            return &sim->nodes[i];
    return any_node(sim);
}

static int64_t draw_pause(struct sim *sim)
{
    return sim_one_in(sim, 3) ? 1 + (int64_t)sim_below(sim, 300)
                              : 100 + (int64_t)sim_below(sim, 20000);
}

static void start_later(struct node *node, int64_t delay)
{
    if (node->lost)
        return;
    sim_schedule(node->sim, delay, (struct event){.type = EVENT_START, .node = node->index});
}

static void crash(struct node *node)
{
    struct sim *sim = node->sim;
    if (!node->up)
        return;
    node_crash(node, sim_one_in(sim, 4));
    sim_say(sim, node, "CRASHED; its disk has %llx",
            (unsigned long long)image_last(&node->disk.image));
    start_later(node,
                sim->healed || sim_one_in(sim, 3) ? (int64_t)sim_below(sim, 50) : draw_pause(sim));
}

/* The end of a graceful stop. */
void fault_kill(struct node *node)
{
    crash(node);
}

static void stop(struct node *node)
{
    if (!node->up || node->stop_asked || node->paused_until > node->sim->now)
        return;
    node->stop_asked = true;
    node->sim->marks[MARK_STOPS]++;
    node_feed(node, &(struct zab_event){.type = ZAB_STOP});
    sim_schedule(node->sim, (int64_t)sim_below(node->sim, STOP_MS),
                 (struct event){.type = EVENT_KILL, .node = node->index, .life = node->life});
}

static void pause_node(struct node *node)
{
    struct sim *sim = node->sim;
    if (!node->up)
        return;
    int64_t length = sim_one_in(sim, 5) ? (int64_t)sim_below(sim, 60000) : draw_pause(sim);
    node->paused_until = MK_MAX(node->paused_until, sim->now + length);
    sim->marks[MARK_PAUSES]++;
    sim_say(sim, node, "PAUSED for %lld ms", (long long)length);
    sim_schedule(sim, node->paused_until - sim->now,
                 (struct event){.type = EVENT_RESUME, .node = node->index, .life = node->life});
}

static void block(struct sim *sim, uint8_t from, uint8_t to, int64_t length)
{
    if (from != to)
        sim->blocked_until[from][to] = MK_MAX(sim->blocked_until[from][to], sim->now + length);
}

static void partition(struct sim *sim, enum fault_type type)
{
    bool side[NODES_MAX] = {false};
    uint8_t bridge = NODES_MAX;
    int64_t length = draw_pause(sim) * (sim_one_in(sim, 4) ? 3 : 1);
    for (uint8_t i = 0; i < sim->node_count; i++)
        side[i] = sim_one_in(sim, 2);
    if (type == FAULT_ISOLATE || type == FAULT_ONE_WAY) {
        uint8_t alone = sim_one_in(sim, 2) ? any_leader(sim)->index : any_node(sim)->index;
        for (uint8_t i = 0; i < sim->node_count; i++)
            side[i] = i == alone;
    }
    if (type == FAULT_BRIDGE)
        bridge = any_node(sim)->index;
    bool outward = sim_one_in(sim, 2);
    for (uint8_t from = 0; from < sim->node_count; from++) {
        for (uint8_t to = 0; to < sim->node_count; to++) {
            if (side[from] == side[to] || from == bridge || to == bridge)
                continue;
            if (type == FAULT_ONE_WAY && side[from] != outward)
                continue;
            block(sim, from, to, length);
        }
    }
    sim->marks[MARK_PARTITIONS]++;
    sim_say(sim, NULL, "PARTITION of type %d for %lld ms", (int)type, (long long)length);
}

static void cut(struct sim *sim, bool clog)
{
    uint16_t used[WIRES_MAX];
    uint16_t count = 0;
    for (uint16_t i = 0; i < WIRES_MAX; i++)
        if (sim->wires[i].used)
            used[count++] = i;
    if (count == 0)
        return;
    struct wire *wire = &sim->wires[used[sim_below(sim, count)]];
    if (!clog) {
        wire_cut(sim, (uint16_t)(wire - sim->wires));
        return;
    }
    struct direction *direction = &wire->direction[sim_below(sim, 2)];
    direction->stuck_until = MK_MAX(direction->stuck_until, sim->now + draw_pause(sim));
}

/* One disk is lost, or its log can not be trusted; not another one until it has the data again
 * (D5 to D8, D17). */
static void wipe(struct sim *sim)
{
    struct node *node = any_node(sim);
    size_t voters = 0;
    for (uint8_t i = 0; i < sim->node_count; i++)
        voters += !sim->nodes[i].observer;
    if (voters < 3 || sim->options.quorum.hierarchical || sim->wipes > 0)
        return;
    crash(node);
    struct image *image = &node->disk.image;
    node->disk.gone = *image;
    node->disk.wiped = true;
    node->disk.adopted = false;
    image->empty = true;
    image->log = NULL;
    image->count = image->capacity = 0;
    memset(&image->snapshot, 0, sizeof image->snapshot);
    image->prepared = -1;
    sim->wipes++;
    if (sim_one_in(sim, 2)) {
        sim->marks[MARK_DAMAGED]++;
        sim_say(sim, node, "DAMAGED");
        return;
    }
    image->accepted = image->current = 0;
    sim->marks[MARK_WIPES]++;
    sim_say(sim, node, "WIPED");
}

static void aim(struct sim *sim)
{
    static const int32_t packets[] = {PACKET_LEADER_INFO, PACKET_ACK_EPOCH,  PACKET_DIFF,
                                      PACKET_TRUNC,       PACKET_SNAP,       PACKET_NEW_LEADER,
                                      PACKET_ACK,         PACKET_UP_TO_DATE, PACKET_COMMIT,
                                      PACKET_PROPOSAL,    PACKET_INFORM,     PACKET_REQUEST,
                                      PACKET_NEW_LEADER,  PACKET_NEW_LEADER, PACKET_UP_TO_DATE};
    sim->aim.armed = true;
    sim->aim.disk = sim_one_in(sim, 3);
    sim->aim.receiver = sim_one_in(sim, 2);
    sim->aim.cut = sim_one_in(sim, 3);
    sim->aim.skip = (uint32_t)sim_below(sim, 4);
    sim->aim.type = sim->aim.disk ? (int32_t)sim_below(sim, ZAB_DISK_INSTALL_SNAPSHOT + 1)
                                  : packets[sim_below(sim, MK_ARRAY_LENGTH(packets))];
}

void fault_happen(struct sim *sim, enum fault_type type)
{
    uint8_t a = any_node(sim)->index, b = any_node(sim)->index;
    if (sim->healed)
        return;
    switch (type) {
    case FAULT_CRASH:
        crash(any_node(sim));
        break;
    case FAULT_CRASH_LEADER:
        crash(any_leader(sim));
        break;
    case FAULT_CRASH_ALL:
        for (uint8_t i = 0; i < sim->node_count; i++)
            crash(&sim->nodes[i]);
        break;
    case FAULT_STOP:
        stop(sim_one_in(sim, 2) ? any_leader(sim) : any_node(sim));
        break;
    case FAULT_PAUSE:
        pause_node(sim_one_in(sim, 2) ? any_leader(sim) : any_node(sim));
        break;
    case FAULT_CUT:
    case FAULT_CLOG:
        cut(sim, type == FAULT_CLOG);
        break;
    case FAULT_CUT_VOTES:
        if (a != b)
            post_cut(sim, a, b, draw_pause(sim) / 4);
        break;
    case FAULT_ISOLATE:
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
    case FAULT_BRIDGE:
        partition(sim, type);
        break;
    case FAULT_SLOW_DISK:
        sim->nodes[a].disk.slow_until = sim->now + draw_pause(sim);
        break;
    case FAULT_WIPE:
        wipe(sim);
        break;
    case FAULT_AIM:
        aim(sim);
        break;
    case FAULT_STRANGER:
        stranger_come(sim_one_in(sim, 2) ? any_leader(sim) : any_node(sim));
        break;
    case FAULT_TYPES:
        break;
    }
    fault_schedule(sim, type);
}

/* Some servers stay away for ever, crashed or cut off, as long as the others can go on. */
static void lose_minority(struct sim *sim)
{
    bool core[NODES_MAX];
    uint32_t away = 0;
    for (uint8_t i = 0; i < sim->node_count; i++)
        core[i] = !sim->nodes[i].disk.wiped || sim->nodes[i].disk.adopted;
    for (uint8_t tries = 0; tries < sim->node_count; tries++) {
        uint8_t i = any_node(sim)->index;
        bool was = core[i];
        core[i] = false;
        if (check_quorum(sim, core) && !sim->nodes[i].lost) {
            sim->nodes[i].lost = true;
            away++;
        } else if (!sim->nodes[i].lost) {
            core[i] = was;
        }
    }
    sim->marks[MARK_MINORITY] += away > 0;
    for (uint8_t i = 0; i < sim->node_count; i++) {
        struct node *node = &sim->nodes[i];
        if (!node->lost)
            continue;
        sim_say(sim, node, "LOST");
        if (sim_one_in(sim, 2))
            node_crash(node, sim_one_in(sim, 2));
        for (uint8_t other = 0; other < sim->node_count; other++) {
            block(sim, i, other, NEVER);
            block(sim, other, i, NEVER);
        }
    }
}

void fault_heal(struct sim *sim)
{
    sim->healed = true;
    sim->aim.armed = false;
    memset(sim->blocked_until, 0, sizeof sim->blocked_until);
    sim->plan.disk_ms = MK_MIN(sim->plan.disk_ms, 20);
    sim->plan.jitter_ms = MK_MIN(sim->plan.jitter_ms, 5);
    sim->plan.latency_ms = MK_MIN(sim->plan.latency_ms, 5);
    sim->plan.kernel_bytes = MK_MAX(sim->plan.kernel_bytes, 65536u);
    if (sim_one_in(sim, 3))
        lose_minority(sim);
    sim->healed_at = sim->now;
    sim->healed_commits = sim->commit_count;
    for (uint16_t i = 0; i < WIRES_MAX; i++)
        for (int end = 0; end < 2 && sim->wires[i].used; end++)
            sim->healed_at = MK_MAX(sim->healed_at, sim->wires[i].direction[end].stuck_until);
    for (uint8_t i = 0; i < sim->node_count; i++) {
        struct node *node = &sim->nodes[i];
        node->disk.slow_until = 0;
        sim->healed_at = MK_MAX(sim->healed_at, node->paused_until);
        if (node->stop_asked) /* it ends in a moment, and comes back */
            sim->healed_at = MK_MAX(sim->healed_at, sim->now + STOP_MS + 100);
        if (!node->up)
            start_later(node, (int64_t)sim_below(sim, 100));
    }
    sim_say(sim, NULL, "HEALED");
}
