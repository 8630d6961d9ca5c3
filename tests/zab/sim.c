/* SPDX-License-Identifier: MIT */
/* The event heap and the two phases of a run: first anything goes wrong, then all is healed and
 * the ensemble has to settle. Called by main.c and mutants.c. */
#include "tests/zab/sim.h"

#include <stdarg.h>
#include <stdio.h>

#define EVENTS_MAX 4000000
#define HEALED_ELECTIONS_MAX 3

uint64_t sim_below(struct sim *sim, uint64_t limit)
{
    return limit > 0 ? mk_rand_below(&sim->rand, limit) : 0;
}

bool sim_one_in(struct sim *sim, uint64_t n)
{
    return mk_rand_below(&sim->rand, n) == 0;
}

void sim_fail(struct sim *sim, const char *check, const char *format, ...)
{
    if (sim->failed)
        return;
    sim->failed = true;
    snprintf(sim->check, sizeof sim->check, "%s", check);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->failure, sizeof sim->failure, format, arguments);
    va_end(arguments);
    sim_say(sim, NULL, "FAILED %s: %s", check, sim->failure);
}

void sim_say(struct sim *sim, const struct node *node, const char *format, ...)
{
    if (!sim->print)
        return;
    printf("%9lld.%03lld ", (long long)sim->now / 1000, (long long)sim->now % 1000);
    if (node)
        printf("%3d ", (int)node->id);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

/* --- heap by (time, sequence) ------------------------------------------------------------------
 */

static bool before(const struct event *a, const struct event *b)
{
    return a->time != b->time ? a->time < b->time : a->sequence < b->sequence;
}

void sim_schedule(struct sim *sim, int64_t delay, struct event event)
{
    if (sim->heap_count == sim->heap_capacity) {
        sim->heap_capacity = sim->heap_capacity ? sim->heap_capacity * 2 : 256;
        sim->heap = mk_realloc(sim->heap, sim->heap_capacity * sizeof *sim->heap);
    }
    event.time = sim->now + delay;
    event.sequence = sim->sequence++;
    size_t at = sim->heap_count++;
    while (at > 0 && before(&event, &sim->heap[(at - 1) / 2])) {
        sim->heap[at] = sim->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->heap[at] = event;
}

static struct event pop(struct sim *sim)
{
    struct event first = sim->heap[0];
    struct event last = sim->heap[--sim->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= sim->heap_count)
            break;
        if (child + 1 < sim->heap_count && before(&sim->heap[child + 1], &sim->heap[child]))
            child++;
        if (!before(&sim->heap[child], &last))
            break;
        sim->heap[at] = sim->heap[child];
        at = child;
    }
    sim->heap[at] = last;
    return first;
}

/* --- dispatch ----------------------------------------------------------------------------------
 */

static void happen_to_node(struct sim *sim, const struct event *event)
{
    struct node *node = &sim->nodes[event->node];
    if (!node->up || node->life != event->life)
        return;
    if (node->paused_until > sim->now) {
        sim_schedule(sim, node->paused_until - sim->now, *event);
        return;
    }
    switch (event->type) {
    case EVENT_TICK:
        node_tick(node);
        break;
    case EVENT_DISK:
        disk_write_done(node);
        break;
    case EVENT_APPLY:
        node_apply(node);
        break;
    case EVENT_RELOAD:
        node_reload(node);
        break;
    case EVENT_STREAM:
        stream_slice(node, event->index);
        break;
    case EVENT_TAKEN:
        stream_taken(node);
        wire_feed(sim, node->fed_wire, node->fed_end);
        break;
    case EVENT_ANSWER:
        work_answer(node, event->index, event->other);
        break;
    case EVENT_SUBMIT:
        work_submit(node);
        break;
    case EVENT_WORK:
        work_step(node);
        break;
    case EVENT_DIAL:
        wire_dialled(node, event->other, event->index);
        break;
    case EVENT_REFUSED:
        wire_refused(node, event->index);
        break;
    case EVENT_KILL:
        fault_kill(node);
        break;
    case EVENT_RESUME:
        wires_resume(node);
        break;
    default:
        break;
    }
}

static void happen_to_wire(struct sim *sim, const struct event *event)
{
    const struct wire *wire = &sim->wires[event->index];
    if (!wire->used || wire->generation != event->life)
        return;
    if (event->type == EVENT_ACCEPT)
        wire_accept(sim, event->index);
    else if (event->type == EVENT_WIRE)
        wire_step(sim, event->index, event->other);
    else if (event->type == EVENT_CUT)
        wire_cut(sim, event->index);
    else
        wire_closed(sim, event->index, event->other);
}

static void happen(struct sim *sim, const struct event *event)
{
    switch (event->type) {
    case EVENT_START:
        node_start(&sim->nodes[event->node]);
        break;
    case EVENT_FAULT:
        fault_happen(sim, (enum fault_type)event->index);
        break;
    case EVENT_ACCEPT:
    case EVENT_WIRE:
    case EVENT_CLOSED:
    case EVENT_CUT:
        happen_to_wire(sim, event);
        break;
    case EVENT_PAIR:
        post_pair(sim, event->node, event->other);
        break;
    case EVENT_PEER_UP:
        post_up(sim, event->node, event->other, event->life);
        break;
    case EVENT_PEER_DOWN:
        post_down(sim, event->node, event->other, event->life);
        break;
    case EVENT_POST:
        post_arrive(sim, event->node, event->other, event->life);
        break;
    default:
        happen_to_node(sim, event);
        break;
    }
}

/* Runs until `end`; sooner when `done` says so. */
static void run_until(struct sim *sim, int64_t end, bool (*done)(const struct sim *))
{
    uint32_t looked = 0;
    while (!sim->failed && sim->heap_count > 0 && sim->heap[0].time <= end) {
        struct event event = pop(sim);
        sim->now = event.time;
        sim_trace(sim, (uint64_t)event.time ^ (uint64_t)event.type << 50 ^
                           (uint64_t)event.node << 56 ^ (uint64_t)event.index << 34);
        happen(sim, &event);
        if (++sim->events > EVENTS_MAX) {
            sim_fail(sim, "I17", "more than %d events", EVENTS_MAX);
            return;
        }
        if (done && ++looked % 64 == 0 && done(sim))
            return;
    }
    sim->now = MK_MAX(sim->now, end);
}

static bool all_serve(const struct sim *sim)
{
    bool leader = false;
    for (uint8_t i = 0; i < sim->node_count; i++) {
        const struct node *node = &sim->nodes[i];
        if (node->lost)
            continue;
        if (!node->up || !node->status.serving)
            return false;
        leader |= node->status.role == ZAB_LEADING;
    }
    return leader;
}

static void describe(const struct sim *sim, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (uint8_t i = 0; i < sim->node_count && used < size; i++) {
        const struct zab_status *status = &sim->nodes[i].status;
        used += (size_t)snprintf(
            text + used, size - used, " %d:%s%s/%d->%lld@%llx", (int)sim->nodes[i].id,
            sim->nodes[i].lost ? "lost "
            : sim->nodes[i].up ? ""
                               : "down ",
            (const char *[]){"looks", "follows", "leads", "observes"}[status->role],
            (int)status->phase, status->leader == ZAB_NOBODY ? 0 : (long long)status->leader,
            (unsigned long long)status->applied);
    }
}

/* A leader in time, everything settled, everybody in one state. */
static void demand_liveness(struct sim *sim)
{
    const struct zab_options *options = &sim->options;
    int64_t tick = options->tick_time_ms;
    int64_t settle = options->notification_max_ms + 10 * options->finalize_wait_ms +
                     tick * (options->init_limit_ticks + options->sync_limit_ticks);
    char text[300];
    run_until(sim, sim->healed_at, NULL);
    run_until(sim, sim->now + 30000 + 10 * settle, all_serve);
    describe(sim, text, sizeof text);
    if (!all_serve(sim))
        sim_fail(sim, "LV1", "no leader that all follow after the heal:%s", text);
    run_until(sim, sim->now + 2000, NULL);
    sim->quiet = true;
    run_until(sim, sim->now + 30000 + 10 * settle, check_converged);
    describe(sim, text, sizeof text);
    if (!check_converged(sim))
        sim_fail(sim, "LV3", "not in one state after the heal:%s", text);
    uint64_t used_up = 2 * (sim->commit_count - sim->healed_commits) / options->counter_max;
    if (sim->marks[MARK_HEALED_ELECTIONS] > HEALED_ELECTIONS_MAX + used_up)
        sim_fail(sim, "LV4", "%d leaders after the heal", (int)sim->marks[MARK_HEALED_ELECTIONS]);
}

void sim_run(struct sim *sim, uint64_t seed, bool print)
{
    memset(sim, 0, sizeof *sim);
    sim->seed = seed;
    sim->print = print;
    sim->last_leader = -1;
    mk_rand_init(&sim->rand, seed);
    setup_draw(sim);
    for (uint8_t i = 0; i < sim->node_count; i++) {
        sim->nodes[i].status.leader = ZAB_NOBODY;
        sim_schedule(sim, (int64_t)sim_below(sim, 500),
                     (struct event){.type = EVENT_START, .node = i});
    }
    for (int type = 0; type < FAULT_TYPES; type++)
        fault_schedule(sim, (enum fault_type)type);
    run_until(sim, sim->plan.safety_ms, NULL);
    if (!sim->failed)
        fault_heal(sim);
    if (!sim->failed)
        demand_liveness(sim);
    for (uint8_t i = 0; i < sim->node_count && !sim->failed; i++)
        node_crash(&sim->nodes[i], false);
    if (!sim->failed)
        check_end(sim);
}

void sim_fini(struct sim *sim)
{
    for (uint8_t i = 0; i < sim->node_count; i++)
        node_free(&sim->nodes[i]);
    for (int a = 0; a < NODES_MAX; a++) {
        for (int b = 0; b < NODES_MAX; b++) {
            mk_buffer_fini(&sim->posts[a][b].message);
            mk_buffer_fini(&sim->posts[a][b].next);
        }
    }
    wires_free(sim);
    mk_free(sim->heap);
    mk_free(sim->txns);
    mk_free(sim->sessions);
    mk_free(sim->commits);
    mk_free(sim->reigns);
    mk_buffer_fini(&sim->config);
    mk_buffer_fini(&sim->scratch);
    mk_buffer_fini(&sim->chain);
}
