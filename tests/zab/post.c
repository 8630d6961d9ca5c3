/* SPDX-License-Identifier: MIT */
/* Election connections: one per pair of nodes, each end with its own belief in it. A message that
 * was not sent yet is replaced by a newer one; a connection that breaks loses what was on the way.
 * Called by node.c for update.messages and by sim.c for its events. */
#include "tests/zab/sim.h"

static struct node *node_of(struct sim *sim, int64_t id)
{
    for (uint8_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i].id == id)
            return &sim->nodes[i];
    return NULL;
}

void post_schedule(struct sim *sim, uint8_t a, uint8_t b, int64_t delay)
{
    uint8_t low = MK_MIN(a, b), high = MK_MAX(a, b);
    if (sim->pair_scheduled[low][high])
        return;
    sim->pair_scheduled[low][high] = true;
    sim_schedule(sim, delay, (struct event){.type = EVENT_PAIR, .node = low, .other = high});
}

static void launch(struct sim *sim, uint8_t from, uint8_t to)
{
    struct post *post = &sim->posts[from][to];
    post->flying = true;
    sim_schedule(
        sim, sim->plan.latency_ms + (int64_t)sim_below(sim, (uint64_t)sim->plan.jitter_ms + 1),
        (struct event){
            .type = EVENT_POST, .node = from, .other = to, .life = sim->pair_generation[from][to]});
}

void post_send(struct node *node, int64_t server, struct mk_bytes message)
{
    struct sim *sim = node->sim;
    const struct node *target = node_of(sim, server);
    if (!target || target == node) {
        sim_fail(sim, "host", "node %d: a vote for %lld, which has no connection", (int)node->id,
                 (long long)server);
        return;
    }
    struct post *post = &sim->posts[node->index][target->index];
    if (!post->up)
        return;
    struct mk_buffer *into = post->flying ? &post->next : &post->message;
    if (post->flying)
        post->waiting = true;
    mk_buffer_clear(into);
    mk_buffer_append_bytes(into, message);
    if (!post->flying)
        launch(sim, node->index, target->index);
}

void post_arrive(struct sim *sim, uint8_t from, uint8_t to, uint32_t generation)
{
    struct post *post = &sim->posts[from][to];
    struct node *node = &sim->nodes[to];
    if (generation != sim->pair_generation[from][to] || !post->flying || !node->up)
        return;
    struct event again = {.type = EVENT_POST, .node = from, .other = to, .life = generation};
    if (node->paused_until > sim->now) {
        sim_schedule(sim, node->paused_until - sim->now, again);
        return;
    }
    if (fault_blocked(sim, from, to) || !sim->posts[to][from].up) {
        sim_schedule(sim, 20 + (int64_t)sim_below(sim, 200), again);
        return;
    }
    struct mk_buffer bytes = post->message;
    post->message = MK_BUFFER_EMPTY;
    post->flying = false;
    if (post->waiting) {
        struct mk_buffer swap = post->message;
        post->message = post->next;
        post->next = swap;
        post->waiting = false;
        launch(sim, from, to);
    }
    ballot_arrived(node, from, mk_buffer_bytes(&bytes));
    node_feed(node, &(struct zab_event){.type = ZAB_PEER_MESSAGE,
                                        .server = sim->nodes[from].id,
                                        .bytes = mk_buffer_bytes(&bytes)});
    mk_buffer_fini(&bytes);
}

static void forget(struct sim *sim, uint8_t from, uint8_t to)
{
    struct post *post = &sim->posts[from][to];
    post->flying = post->waiting = false;
}

/* Tries to connect the two. */
void post_pair(struct sim *sim, uint8_t a, uint8_t b)
{
    sim->pair_scheduled[a][b] = false;
    struct node *one = &sim->nodes[a], *two = &sim->nodes[b];
    if (!one->up || !two->up || (sim->posts[a][b].up && sim->posts[b][a].up))
        return;
    if (fault_blocked(sim, a, b) || fault_blocked(sim, b, a) || one->paused_until > sim->now ||
        two->paused_until > sim->now) {
        post_schedule(sim, a, b, 50 + (int64_t)sim_below(sim, 500));
        return;
    }
    uint32_t generation = ++sim->pair_generation[a][b];
    sim->pair_generation[b][a] = generation;
    forget(sim, a, b);
    forget(sim, b, a);
    sim_schedule(sim, (int64_t)sim_below(sim, (uint64_t)sim->plan.jitter_ms + 2),
                 (struct event){.type = EVENT_PEER_UP, .node = a, .other = b, .life = generation});
    sim_schedule(sim, (int64_t)sim_below(sim, (uint64_t)sim->plan.jitter_ms + 2),
                 (struct event){.type = EVENT_PEER_UP, .node = b, .other = a, .life = generation});
}

void post_up(struct sim *sim, uint8_t a, uint8_t b, uint32_t generation)
{
    struct node *node = &sim->nodes[a];
    if (!node->up || generation != sim->pair_generation[a][b])
        return;
    if (node->paused_until > sim->now) {
        sim_schedule(
            sim, node->paused_until - sim->now,
            (struct event){.type = EVENT_PEER_UP, .node = a, .other = b, .life = generation});
        return;
    }
    if (sim->posts[a][b].up) /* the end of an older connection */
        node_feed(node, &(struct zab_event){.type = ZAB_PEER_DOWN, .server = sim->nodes[b].id});
    sim->posts[a][b].up = true;
    node_feed(node, &(struct zab_event){.type = ZAB_PEER_UP, .server = sim->nodes[b].id});
}

void post_down(struct sim *sim, uint8_t a, uint8_t b, uint32_t generation)
{
    struct node *node = &sim->nodes[a];
    if (!node->up || generation != sim->pair_generation[a][b])
        return;
    if (node->paused_until > sim->now) {
        sim_schedule(
            sim, node->paused_until - sim->now,
            (struct event){.type = EVENT_PEER_DOWN, .node = a, .other = b, .life = generation});
        return;
    }
    bool was = sim->posts[a][b].up;
    sim->posts[a][b].up = false;
    forget(sim, a, b);
    if (was)
        node_feed(node, &(struct zab_event){.type = ZAB_PEER_DOWN, .server = sim->nodes[b].id});
    post_schedule(sim, a, b, 1 + (int64_t)sim_below(sim, 300));
}

/* Both ends hear of it, each in its own time. */
void post_cut(struct sim *sim, uint8_t a, uint8_t b, int64_t delay)
{
    uint32_t generation = sim->pair_generation[a][b];
    forget(sim, a, b);
    forget(sim, b, a);
    sim_schedule(
        sim, (int64_t)sim_below(sim, (uint64_t)delay + 1),
        (struct event){.type = EVENT_PEER_DOWN, .node = a, .other = b, .life = generation});
    sim_schedule(
        sim, (int64_t)sim_below(sim, (uint64_t)delay + 1),
        (struct event){.type = EVENT_PEER_DOWN, .node = b, .other = a, .life = generation});
}

void posts_crash(struct node *node, bool silent)
{
    struct sim *sim = node->sim;
    for (uint8_t other = 0; other < sim->node_count; other++) {
        if (other == node->index)
            continue;
        sim->posts[node->index][other].up = false;
        forget(sim, node->index, other);
        forget(sim, other, node->index);
        uint32_t generation = ++sim->pair_generation[node->index][other];
        sim->pair_generation[other][node->index] = generation;
        if (!sim->posts[other][node->index].up)
            continue;
        sim_schedule(
            sim, silent ? 1000 + (int64_t)sim_below(sim, 20000) : (int64_t)sim_below(sim, 50),
            (struct event){
                .type = EVENT_PEER_DOWN, .node = other, .other = node->index, .life = generation});
    }
}
