/* SPDX-License-Identifier: MIT */
/* Links between learner and leader: a byte stream each way, with delay, fragments, a kernel buffer
 * of bounded size, and ends that hear of a break in their own time or late. A wire has a
 * generation: nothing of an old one reaches a new one. Called by node.c (touched links, dials) and
 * sim.c. */
#include "tests/zab/sim.h"

#define SMALL_PACKETS_MAX 65536 /* pings and answers beyond the limit of a learner's output */

static struct node *end_node(struct sim *sim, const struct wire *wire, uint8_t end)
{
    return &sim->nodes[wire->node[end]];
}

static uint16_t index_of(const struct sim *sim, const struct wire *wire)
{
    return (uint16_t)(wire - sim->wires);
}

static void schedule(struct sim *sim, struct wire *wire, uint8_t end, int64_t delay)
{
    struct direction *direction = &wire->direction[end];
    if (direction->scheduled)
        return;
    direction->scheduled = true;
    sim_schedule(sim, delay,
                 (struct event){.type = EVENT_WIRE,
                                .other = end,
                                .index = index_of(sim, wire),
                                .life = wire->generation});
}

static int64_t transit(struct sim *sim)
{
    return sim->plan.latency_ms + (int64_t)sim_below(sim, (uint64_t)sim->plan.jitter_ms + 1);
}

/* What the host has taken goes into the kernel as far as there is room. */
static void push(struct sim *sim, struct wire *wire, uint8_t end)
{
    struct direction *direction = &wire->direction[end];
    struct node *node = end_node(sim, wire, end);
    struct zab_link *link = zab_link(node->zab, wire->number[end]);
    if (!link)
        return;
    if (direction->ended) { /* broken already, though this end has not heard of it */
        mk_buffer_consume(&link->output, direction->watched);
        mk_buffer_clear(&direction->held);
        direction->watched = 0;
        link->unsent_elsewhere = 0;
        return;
    }
    if (sim->plan.host_takes_all && direction->watched > 0) {
        mk_buffer_append(&direction->held, link->output.data, direction->watched);
        mk_buffer_consume(&link->output, direction->watched);
        direction->watched = 0;
    }
    size_t room = sim->plan.kernel_bytes > direction->bytes.length
                      ? sim->plan.kernel_bytes - direction->bytes.length
                      : 0;
    size_t before = direction->bytes.length;
    size_t count = MK_MIN(room, direction->held.length);
    mk_buffer_append(&direction->bytes, direction->held.data, count);
    mk_buffer_consume(&direction->held, count);
    room -= count;
    if (direction->held.length == 0 && room > 0) {
        count = MK_MIN(room, direction->watched);
        mk_buffer_append(&direction->bytes, link->output.data, count);
        mk_buffer_consume(&link->output, count);
        direction->watched -= count;
    }
    link->unsent_elsewhere = direction->held.length;
    if (direction->held.length + link->output.length > 0)
        direction->backlog = true;
    if (direction->bytes.length > before)
        schedule(sim, wire, end, transit(sim));
}

static void close_here(struct sim *sim, struct wire *wire, uint8_t end)
{
    struct direction *direction = &wire->direction[end];
    wire->state[end] = END_CLOSING;
    direction->ended = true;
    if (direction->bytes.length > 0 && sim_one_in(sim, 3)) /* reset: the tail is lost */
        direction->bytes.length = (size_t)sim_below(sim, direction->bytes.length);
    schedule(sim, wire, end, transit(sim));
    sim_schedule(sim, (int64_t)sim_below(sim, 3),
                 (struct event){.type = EVENT_CLOSED,
                                .other = end,
                                .index = index_of(sim, wire),
                                .life = wire->generation});
}

/* zab changed the link: new output, closing, or reading again. */
void wire_touched(struct node *node, uint32_t number)
{
    struct sim *sim = node->sim;
    if (number >= NUMBERS_MAX || !node->links[number].used || node->links[number].stranger)
        return;
    struct wire *wire = &sim->wires[node->links[number].wire];
    uint8_t end = node->links[number].end;
    struct zab_link *link = zab_link(node->zab, number);
    if (!link || wire->state[end] != END_OPEN)
        return;
    struct direction *direction = &wire->direction[end];
    if (direction->watched < link->output.length) {
        size_t used = 0;
        tap_output(node, wire, end, link->output.data + direction->watched,
                   link->output.length - direction->watched, &used);
        direction->watched += used;
    }
    size_t waits = link->output.length + link->unsent_elsewhere;
    if (direction->tap.up_to_date && !link->closing &&
        waits > sim->options.learner_output_max + SMALL_PACKETS_MAX)
        sim_fail(sim, "I17", "node %d keeps %zu bytes for a slow learner", (int)node->id, waits);
    push(sim, wire, end);
    if (link->closing)
        close_here(sim, wire, end);
    else if (direction->was_paused && !link->paused)
        schedule(sim, wire, (uint8_t)(1 - end), 0); /* what waits in the inbox */
    direction->was_paused = link->paused;
}

static void release(struct wire *wire)
{
    for (int i = 0; i < 2; i++) {
        mk_buffer_clear(&wire->inbox[i]);
        mk_buffer_clear(&wire->direction[i].bytes);
        mk_buffer_clear(&wire->direction[i].held);
        mk_buffer_shrink(&wire->inbox[i], 4096);
        mk_buffer_shrink(&wire->direction[i].bytes, 4096);
        mk_buffer_shrink(&wire->direction[i].held, 4096);
    }
    wire->used = false;
    wire->generation++;
}

/* The end is gone; tells zab when its server lives. */
static void end_closed(struct sim *sim, struct wire *wire, uint8_t end, bool tell)
{
    struct node *node = end_node(sim, wire, end);
    uint32_t number = wire->number[end];
    bool known = wire->state[end] == END_OPEN || wire->state[end] == END_CLOSING;
    wire->state[end] = END_CLOSED;
    mk_buffer_clear(&wire->inbox[end]);
    mk_buffer_clear(&wire->direction[end].held);
    wire->direction[end].ended = true;
    if (wire->state[1 - end] != END_CLOSED)
        schedule(sim, wire, end, transit(sim));
    uint32_t generation = wire->generation;
    if (known && tell)
        node_feed(node, &(struct zab_event){.type = ZAB_LINK_DOWN, .link = number});
    if (known)
        node->links[number].used = false;
    if (wire->generation == generation && wire->used && wire->state[0] == END_CLOSED &&
        wire->state[1] == END_CLOSED)
        release(wire);
}

void wire_closed(struct sim *sim, uint16_t index, uint8_t end)
{
    struct wire *wire = &sim->wires[index];
    struct node *node = end_node(sim, wire, end);
    if (wire->state[end] == END_CLOSED)
        return;
    if (node->paused_until > sim->now) {
        sim_schedule(
            sim, node->paused_until - sim->now,
            (struct event){
                .type = EVENT_CLOSED, .other = end, .index = index, .life = wire->generation});
        return;
    }
    end_closed(sim, wire, end, true);
}

/* The connection breaks: of what is on the way a prefix arrives, and each end hears of it. */
void wire_cut(struct sim *sim, uint16_t index)
{
    struct wire *wire = &sim->wires[index];
    if (!wire->used)
        return;
    for (uint8_t end = 0; end < 2; end++) {
        struct direction *direction = &wire->direction[end];
        direction->ended = true;
        direction->bytes.length = (size_t)sim_below(sim, direction->bytes.length + 1);
        if (sim_one_in(sim, 3)) /* half-open for a while */
            direction->stuck_until =
                MK_MAX(direction->stuck_until, sim->now + 500 + (int64_t)sim_below(sim, 20000));
        schedule(sim, wire, end, transit(sim));
    }
}

void wires_crash(struct node *node, bool silent)
{
    struct sim *sim = node->sim;
    for (uint32_t number = 0; number < NUMBERS_MAX; number++)
        node->links[number].used = false;
    for (uint16_t i = 0; i < WIRES_MAX; i++) {
        struct wire *wire = &sim->wires[i];
        for (uint8_t end = 0; wire->used && end < 2; end++) {
            struct direction *direction = &wire->direction[end];
            if (wire->node[end] != node->index || wire->state[end] == END_CLOSED)
                continue;
            direction->ended = true;
            direction->bytes.length = (size_t)sim_below(sim, direction->bytes.length + 1);
            if (silent)
                direction->stuck_until =
                    MK_MAX(direction->stuck_until, sim->now + 500 + (int64_t)sim_below(sim, 30000));
            schedule(sim, wire, end, transit(sim));
            end_closed(sim, wire, end, false);
        }
    }
}

/* Bytes of `end` move towards the other one. */
static void deliver(struct sim *sim, struct wire *wire, uint8_t end)
{
    struct direction *direction = &wire->direction[end];
    uint8_t to = (uint8_t)(1 - end);
    struct mk_buffer *inbox = &wire->inbox[to];
    const struct node *node = end_node(sim, wire, to);
    const struct zab_link *link = zab_link(node->zab, wire->number[to]);
    if (inbox->length >= sim->plan.kernel_bytes && (node->input_waiting || (link && link->paused)))
        return; /* not read for now: it goes on when there is room */
    size_t count = direction->bytes.length;
    if (sim->plan.fragment >= 1 && sim_one_in(sim, 2))
        count = 1 + (size_t)sim_below(sim, count);
    if (sim->plan.fragment >= 2 && sim_one_in(sim, 6))
        count = 1 + (size_t)sim_below(sim, MK_MIN(count, (size_t)24));
    mk_buffer_append(inbox, direction->bytes.data, count);
    mk_buffer_consume(&direction->bytes, count);
    if (direction->bytes.length > 0 || direction->ended)
        schedule(sim, wire, end, (int64_t)sim_below(sim, (uint64_t)sim->plan.jitter_ms + 1));
}

static void room_again(struct sim *sim, struct wire *wire, uint8_t end)
{
    struct direction *direction = &wire->direction[end];
    struct node *node = end_node(sim, wire, end);
    if (wire->state[end] != END_OPEN || !node->up || node->paused_until > sim->now)
        return;
    push(sim, wire, end);
    struct zab_link *link = zab_link(node->zab, wire->number[end]);
    if (direction->backlog && link && direction->held.length + link->output.length == 0) {
        direction->backlog = false;
        node_feed(node, &(struct zab_event){.type = ZAB_LINK_DRAINED, .link = wire->number[end]});
    }
}

/* A host that does not read does not see the end either, unless it was a reset. */
static void end_of_stream(struct sim *sim, struct wire *wire, uint8_t end)
{
    struct node *node = end_node(sim, wire, end);
    struct zab_link *link = zab_link(node->zab, wire->number[end]);
    bool waits = wire->inbox[end].length > 0 && (node->input_waiting || (link && link->paused));
    if (waits && wire->state[end] == END_OPEN && !sim_one_in(sim, 4))
        schedule(sim, wire, (uint8_t)(1 - end), 1 + (int64_t)sim_below(sim, 50));
    else
        end_closed(sim, wire, end, true);
}

void wire_step(struct sim *sim, uint16_t index, uint8_t end)
{
    struct wire *wire = &sim->wires[index];
    struct direction *direction = &wire->direction[end];
    uint8_t to = (uint8_t)(1 - end);
    struct node *receiver = end_node(sim, wire, to);
    uint32_t generation = wire->generation;
    direction->scheduled = false;
    if (wire->state[to] == END_CLOSED || wire->state[to] == END_CLOSING) {
        mk_buffer_clear(&direction->bytes); /* nobody reads it; room for more of the same */
        room_again(sim, wire, end);
        return;
    }
    if (wire->state[to] == END_OPENING) {
        schedule(sim, wire, end, 1 + (int64_t)sim_below(sim, 5));
        return;
    }
    int64_t until = MK_MAX(receiver->paused_until, direction->stuck_until);
    if (fault_blocked(sim, wire->node[end], wire->node[to])) {
        until = MK_MAX(until, sim->now + 50 + (int64_t)sim_below(sim, 400));
        if (sim_one_in(sim, 40))
            wire_cut(sim, index);
    }
    if (until > sim->now) {
        schedule(sim, wire, end, until - sim->now);
        return;
    }
    if (direction->bytes.length == 0) {
        if (wire->inbox[to].length > 0)
            wire_feed(sim, index, to);
        if (wire->generation == generation && wire->used && direction->ended)
            end_of_stream(sim, wire, to);
        return;
    }
    deliver(sim, wire, end);
    room_again(sim, wire, end);
    if (wire->generation == generation && wire->used)
        wire_feed(sim, index, to);
}

/* Hands what has arrived to zab, as long as it takes some. */
void wire_feed(struct sim *sim, uint16_t index, uint8_t end)
{
    struct wire *wire = &sim->wires[index];
    struct node *node = end_node(sim, wire, end);
    uint32_t generation = wire->generation;
    for (;;) {
        if (!wire->used || wire->generation != generation || wire->state[end] != END_OPEN ||
            !node->up || node->paused_until > sim->now || node->input_waiting || sim->failed ||
            wire->inbox[end].length == 0)
            return;
        struct zab_link *link = zab_link(node->zab, wire->number[end]);
        if (!link || link->paused || link->closing)
            return;
        size_t before = wire->inbox[end].length;
        node->fed_wire = index;
        node->fed_end = end;
        node->fed_generation = generation;
        struct mk_bytes bytes = mk_buffer_bytes(&wire->inbox[end]);
        node_feed(node, &(struct zab_event){
                            .type = ZAB_LINK_BYTES, .link = wire->number[end], .bytes = bytes});
        if (wire->generation != generation || wire->inbox[end].length == before)
            return;
    }
}

/* zab consumed `count` bytes of the link that was fed last. */
void wire_consumed(struct node *node, size_t count)
{
    struct sim *sim = node->sim;
    struct wire *wire = &sim->wires[node->fed_wire];
    uint8_t end = node->fed_end;
    if (!wire->used || wire->generation != node->fed_generation)
        return;
    if (count > wire->inbox[end].length) {
        if (wire->state[end] == END_OPEN)
            sim_fail(sim, "host", "node %d consumed %zu bytes of %zu", (int)node->id, count,
                     wire->inbox[end].length);
        return;
    }
    mk_buffer_consume(&wire->inbox[end], count);
    struct direction *direction = &wire->direction[1 - end];
    if (direction->bytes.length > 0 || direction->ended)
        schedule(sim, wire, (uint8_t)(1 - end), 0);
}

/* --- beginning -------------------------------------------------------------------------------- */

static bool free_number(const struct node *node, uint32_t *number)
{
    for (uint32_t i = 0; i < NUMBERS_MAX; i++) {
        if (!node->links[i].used) {
            *number = i;
            return true;
        }
    }
    return false;
}

static struct wire *free_wire(struct sim *sim)
{
    for (uint16_t i = 0; i < WIRES_MAX; i++)
        if (!sim->wires[i].used)
            return &sim->wires[i];
    sim_fail(sim, "I17", "%d links are open at a time", WIRES_MAX);
    return NULL;
}

void wire_dial(struct node *node, int64_t server)
{
    struct sim *sim = node->sim;
    node->dial++;
    node->dialling_to = server;
    for (uint8_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i].id == server && i != node->index) {
            sim_schedule(sim, 2 * transit(sim),
                         (struct event){.type = EVENT_DIAL,
                                        .node = node->index,
                                        .other = i,
                                        .index = (uint16_t)node->dial,
                                        .life = node->life});
            return;
        }
    }
    sim_fail(sim, "host", "node %d dials %lld", (int)node->id, (long long)server);
}

void wire_refused(struct node *node, uint32_t dial)
{
    if ((uint16_t)node->dial != (uint16_t)dial || node->dialling_to == ZAB_NOBODY)
        return;
    node->dialling_to = ZAB_NOBODY;
    node_feed(node, &(struct zab_event){.type = ZAB_LINK_REFUSED});
}

void wire_dialled(struct node *node, uint8_t other, uint32_t dial)
{
    struct sim *sim = node->sim;
    struct node *target = &sim->nodes[other];
    uint32_t number;
    if ((uint16_t)node->dial != (uint16_t)dial || node->dialling_to == ZAB_NOBODY)
        return;
    bool cut_off = fault_blocked(sim, node->index, other) || fault_blocked(sim, other, node->index);
    if (cut_off || !target->up || !free_number(node, &number) ||
        (sim->plan.refuses_when_idle && target->status.role != ZAB_LEADING)) {
        sim_schedule(sim, cut_off ? 500 + (int64_t)sim_below(sim, 4000) : transit(sim),
                     (struct event){.type = EVENT_REFUSED,
                                    .node = node->index,
                                    .index = (uint16_t)dial,
                                    .life = node->life});
        return;
    }
    struct wire *wire = free_wire(sim);
    if (!wire)
        return;
    wire->used = true;
    uint8_t ends[2] = {node->index, other};
    for (uint8_t end = 0; end < 2; end++) {
        struct direction *direction = &wire->direction[end];
        wire->node[end] = ends[end];
        direction->scheduled = direction->ended = direction->backlog = false;
        direction->was_paused = false;
        direction->stuck_until = 0;
        direction->watched = 0;
        direction->tap = (struct tap){
            .must_hold = -1, .proposed = -1, .committed = -1, .base = -1, .base_last = -1};
    }
    wire->number[0] = number;
    wire->state[0] = END_OPEN;
    wire->state[1] = END_OPENING;
    node->links[number].used = true;
    node->links[number].wire = index_of(sim, wire);
    node->links[number].end = 0;
    node->dialling_to = ZAB_NOBODY;
    node->learner_wire = index_of(sim, wire);
    node->learner_generation = wire->generation;
    sim_schedule(sim, (int64_t)sim_below(sim, 3),
                 (struct event){
                     .type = EVENT_ACCEPT, .index = index_of(sim, wire), .life = wire->generation});
    node_feed(node, &(struct zab_event){.type = ZAB_LINK_CONNECTED, .link = number});
}

void wire_accept(struct sim *sim, uint16_t index)
{
    struct wire *wire = &sim->wires[index];
    struct node *node = end_node(sim, wire, 1);
    uint32_t number;
    if (wire->state[1] != END_OPENING)
        return;
    if (node->up && node->paused_until > sim->now) {
        sim_schedule(
            sim, node->paused_until - sim->now,
            (struct event){.type = EVENT_ACCEPT, .index = index, .life = wire->generation});
        return;
    }
    if (!node->up || !free_number(node, &number)) {
        wire->direction[1].ended = true;
        schedule(sim, wire, 1, transit(sim));
        end_closed(sim, wire, 1, false);
        return;
    }
    wire->number[1] = number;
    wire->state[1] = END_OPEN;
    node->links[number].used = true;
    node->links[number].wire = index;
    node->links[number].end = 1;
    node_feed(node, &(struct zab_event){.type = ZAB_LINK_ACCEPTED,
                                        .link = number,
                                        .bytes = MK_BYTES("10.0.0.1:1234")});
}

void wires_resume(struct node *node)
{
    struct sim *sim = node->sim;
    for (uint16_t i = 0; i < WIRES_MAX; i++) {
        struct wire *wire = &sim->wires[i];
        for (uint8_t end = 0; end < 2; end++) {
            if (!wire->used || wire->node[end] != node->index)
                continue;
            room_again(sim, wire, end);
            wire_feed(sim, i, end);
        }
    }
}

void wires_free(struct sim *sim)
{
    for (uint16_t i = 0; i < WIRES_MAX; i++) {
        for (int end = 0; end < 2; end++) {
            mk_buffer_fini(&sim->wires[i].inbox[end]);
            mk_buffer_fini(&sim->wires[i].direction[end].bytes);
            mk_buffer_fini(&sim->wires[i].direction[end].held);
        }
    }
}
