/* SPDX-License-Identifier: MIT */
/* What the host of a server does for its zab: feeds it what happened, performs the update, applies
 * transactions to the toy state, loads memory again from the disk. Crash and start are here, too.
 * Called by sim.c for each event of a node; it never looks into struct zab. */
#include "tests/zab/sim.h"

#include <stdio.h>

void machine_apply(struct machine *machine, int64_t zxid, uint64_t id)
{
    struct cell *cell = &machine->cells[id % CELLS];
    if (zxid > cell->zxid) {
        cell->hash = mk_hash_u64(id, mk_hash_u64((uint64_t)zxid, cell->hash));
        cell->zxid = zxid;
    }
    machine->applied = machine->last = zxid;
}

uint64_t machine_digest(const struct machine *machine)
{
    uint64_t digest = 1;
    for (int i = 0; i < CELLS; i++)
        digest = mk_hash_u64((uint64_t)machine->cells[i].zxid,
                             mk_hash_u64(machine->cells[i].hash, digest));
    return digest;
}

int64_t machine_newest(const struct machine *machine)
{
    int64_t newest = 0;
    for (int i = 0; i < CELLS; i++)
        newest = MK_MAX(newest, machine->cells[i].zxid);
    return newest;
}

int64_t node_now(struct node *node)
{
    int64_t elapsed = node->sim->now - node->clock_origin;
    int64_t now = node->clock_base + elapsed + elapsed * node->drift / 1000;
    node->last_now = MK_MAX(node->last_now, now);
    return node->last_now;
}

/* Moment of the simulation at which the node's clock shows `deadline`. */
static int64_t moment_of(struct node *node, int64_t deadline)
{
    int64_t elapsed = deadline - node->clock_base;
    if (elapsed > NEVER / 2000)
        return NEVER;
    int64_t moment = node->clock_origin + elapsed * 1000 / (1000 + node->drift);
    while (node->clock_base + (moment - node->clock_origin) +
               (moment - node->clock_origin) * node->drift / 1000 <
           deadline)
        moment++;
    return MK_MAX(moment, node->sim->now);
}

static void schedule_tick(struct node *node)
{
    struct sim *sim = node->sim;
    int64_t at = moment_of(node, node->update.deadline_ms);
    if (at >= NEVER || (node->tick_at > sim->now && node->tick_at <= at))
        return;
    if (node->tick_at == sim->now && at == sim->now)
        at++; /* a tick that asks for another one at once gets it a moment later */
    if (sim_one_in(sim, 8))
        at += (int64_t)sim_below(sim, 10); /* a loop that is busy */
    node->tick_at = at;
    sim_schedule(sim, at - sim->now,
                 (struct event){.type = EVENT_TICK, .node = node->index, .life = node->life});
}

void node_tick(struct node *node)
{
    if (node->tick_at > node->sim->now)
        return; /* an earlier one was already replaced */
    int64_t now = node_now(node);
    if (now < node->update.deadline_ms) {
        node->tick_at = 0;
        schedule_tick(node);
        return;
    }
    node_feed(node, &(struct zab_event){.type = ZAB_TICK});
    if (node->update.deadline_ms <= now && ++node->hurries > 500)
        sim_fail(node->sim, "LV0", "node %d: 500 ticks in a row ask for another one at once",
                 (int)node->id);
    else if (node->update.deadline_ms > now)
        node->hurries = 0;
}

/* --- performing ------------------------------------------------------------------------------- */

static void begin_reload(struct node *node)
{
    node->memory_valid = false;
    node->snapshot_loading = false;
    node->reloading = true;
    stream_reset(node);
    node->sim->marks[MARK_RELOADS]++;
    sim_schedule(node->sim, 1 + (int64_t)sim_below(node->sim, 100),
                 (struct event){.type = EVENT_RELOAD, .node = node->index, .life = node->life});
}

void node_reload(struct node *node)
{
    struct sim *sim = node->sim;
    if (!node->reloading)
        return;
    if (node->disk.count > 0) { /* what is under way belongs to what the disk holds */
        sim_schedule(sim, 1 + (int64_t)sim_below(sim, 20),
                     (struct event){.type = EVENT_RELOAD, .node = node->index, .life = node->life});
        return;
    }
    node->reloading = false;
    image_replay(&node->disk.image, &node->memory);
    int64_t last = image_last(&node->disk.image);
    if (last >= 0 && node->memory.applied != last)
        sim_fail(sim, "I13", "node %d: its log ends at %llx and not at %llx", (int)node->id,
                 (unsigned long long)node->memory.applied, (unsigned long long)last);
    node->memory_valid = true;
    node->checked_applied = -1;
    node->apply_to = node->memory.applied;
    node_feed(node, &(struct zab_event){.type = ZAB_RELOADED, .zxid = last});
}

static void schedule_apply(struct node *node)
{
    if (node->apply_scheduled || !node->memory_valid || node->apply_to <= node->memory.applied)
        return;
    node->apply_scheduled = true;
    sim_schedule(node->sim, sim_one_in(node->sim, 4) ? (int64_t)sim_below(node->sim, 20) : 0,
                 (struct event){.type = EVENT_APPLY, .node = node->index, .life = node->life});
}

void node_apply(struct node *node)
{
    struct sim *sim = node->sim;
    node->apply_scheduled = false;
    if (!node->memory_valid || node->memory.applied < 0)
        return;
    uint64_t most = sim_one_in(sim, 4) ? 1 + sim_below(sim, 5) : UINT64_MAX;
    uint64_t count = 0;
    for (; count < most; count++) {
        const struct zab_entry *entry = zab_entry_after(node->zab, node->memory.applied);
        if (!entry || entry->zxid > node->apply_to)
            break;
        uint64_t id = payload_id(sim, entry->data, entry->length);
        if (id == UINT64_MAX || sim->txns[id].zxid != entry->zxid) {
            sim_fail(sim, "I1", "node %d applies %llx, which nobody submitted", (int)node->id,
                     (unsigned long long)entry->zxid);
            return;
        }
        check_applying(node, entry->zxid, id);
        machine_apply(&node->memory, entry->zxid, id);
        work_applied(node, entry->zxid, id);
    }
    if (count > 0)
        node_feed(node, &(struct zab_event){.type = ZAB_APPLIED, .zxid = node->memory.applied});
    schedule_apply(node);
}

static void perform_disk(struct node *node)
{
    struct zab_update *update = &node->update;
    for (size_t i = 0; i < update->disk_count; i++) {
        if (update->disk[i].type == ZAB_DISK_INSTALL_SNAPSHOT) {
            node->memory.applied = update->disk[i].zxid;
            node->memory.last = node->sim->wires[node->learner_wire].direction[1].tap.base_last;
            node->checked_applied = -1;
        }
        disk_queue_step(node, &update->disk[i]);
    }
}

static void perform_network(struct node *node)
{
    struct zab_update *update = &node->update;
    for (size_t i = 0; i < update->touched_count; i++)
        wire_touched(node, update->touched[i]);
    for (size_t i = 0; i < update->message_count; i++) {
        const struct zab_message *message = &update->messages[i];
        struct mk_bytes bytes =
            mk_bytes_of(update->message_bytes.data + message->offset, message->length);
        ballot_sent(node, bytes);
        post_send(node, message->server, bytes);
    }
    for (size_t i = 0; i < update->snapshot_count; i++)
        stream_begin(node, update->snapshots[i]);
}

static void perform(struct node *node)
{
    struct sim *sim = node->sim;
    struct zab_update *update = &node->update;
    bool disk_first = sim_one_in(sim, 2);
    for (size_t i = 0; i < update->delivery_count; i++)
        work_delivery(node, &update->deliveries[i]);
    if (update->reload)
        begin_reload(node);
    if (update->snapshot_begin) {
        node->memory_valid = false;
        node->snapshot_loading = true;
        stream_reset(node);
    }
    if (update->snapshot_input.length > 0)
        stream_input(node, update->snapshot_input);
    if (update->consumed > 0 && node->stranger_talks)
        node->stranger_consumed = update->consumed;
    else if (update->consumed > 0)
        wire_consumed(node, update->consumed);
    if (disk_first)
        perform_disk(node);
    perform_network(node);
    if (!disk_first)
        perform_disk(node);
    if (update->connect)
        wire_dial(node, update->connect_to);
    node->apply_to = update->apply_to;
}

static const char *const event_names[] = {
    "start",       "tick",           "stop",           "peer up", "peer down",
    "vote",        "link accepted",  "link connected", "refused", "bytes",
    "link down",   "drained",        "disk done",      "applied", "reloaded",
    "snapshot in", "snapshot bytes", "submit",         "sync",    "send",
};

static void trace_step(struct node *node, const struct zab_event *event)
{
    struct sim *sim = node->sim;
    const struct zab_status *status = &node->status;
    const struct zab_update *update = &node->update;
    sim_trace(sim, (uint64_t)event->type << 56 ^ (uint64_t)node->index << 48 ^
                       (uint64_t)event->bytes.length);
    sim_trace(sim, (uint64_t)status->last_logged ^ (uint64_t)status->committed << 20 ^
                       (uint64_t)status->role << 1 ^ (uint64_t)status->serving);
    sim_trace(sim, (uint64_t)update->deadline_ms ^ update->disk_count << 40 ^
                       update->message_bytes.length << 50 ^ update->touched_count << 60);
    if (sim->print && event->type != ZAB_TICK)
        sim_say(sim, node,
                "%s server %lld link %u zxid %llx ticket %llu bytes %d -> logged %llx "
                "durable %llx committed %llx applied %llx",
                event_names[event->type], (long long)event->server, event->link,
                (unsigned long long)event->zxid, (unsigned long long)event->ticket,
                event->bytes.length, (unsigned long long)status->last_logged,
                (unsigned long long)status->persisted, (unsigned long long)status->committed,
                (unsigned long long)status->applied);
}

void node_feed(struct node *node, struct zab_event *event)
{
    struct sim *sim = node->sim;
    if (sim->failed || !node->up)
        return;
    if (node->stepping) {
        sim_fail(sim, "sim", "node %d: a step within a step", (int)node->id);
        return;
    }
    node->stepping = true;
    sim->steps++;
    event->now_ms = node_now(node);
    zab_step(node->zab, event, &node->update);
    zab_status(node->zab, &node->status);
    trace_step(node, event);
    check_step(
        node); /* first: a commit is noted before the packets that tell of it are looked at */
    perform(node);
    work_syncs(node);
    if (node->status.role != ZAB_FOLLOWING && node->status.role != ZAB_OBSERVING)
        node->dialling_to = ZAB_NOBODY;
    if (node->was_role == ZAB_LOOKING && node->status.role != ZAB_LOOKING)
        ballot_decided(node);
    if (node->was_role != ZAB_LOOKING && node->status.role == ZAB_LOOKING)
        node->turns += sim->healed && sim->now >= sim->healed_at;
    if (node->was_serving != node->status.serving || node->was_role != node->status.role)
        work_serving_changed(node);
    node->was_serving = node->status.serving;
    node->was_role = node->status.role;
    zab_update_clear(node->zab, &node->update);
    node->stepping = false;
    schedule_apply(node);
    schedule_tick(node);
}

/* --- life ------------------------------------------------------------------------------------- */

static void write_trace(void *context, enum mk_level level, const char *component, const char *text)
{
    struct node *node = context;
    (void)level;
    (void)component;
    sim_say(node->sim, node, "    %s", text);
}

static void restore_history(struct node *node)
{
    struct sim *sim = node->sim;
    const struct image *image = &node->disk.image;
    if (sim->plan.restore_none || image->count == 0)
        return;
    size_t from = sim_one_in(sim, 2) ? 0 : (size_t)sim_below(sim, image->count);
    struct mk_buffer payload = MK_BUFFER_EMPTY;
    for (size_t i = from; i < image->count; i++) {
        payload_make(sim, image->log[i].id, &payload);
        zab_restore_entry(node->zab, image->log[i].zxid, mk_buffer_bytes(&payload));
    }
    mk_buffer_fini(&payload);
}

static void reset(struct node *node)
{
    node->life++;
    node->stepping = node->reloading = node->snapshot_loading = false;
    node->apply_scheduled = node->submit_scheduled = node->stop_asked = false;
    node->was_serving = false;
    node->was_role = ZAB_LOOKING;
    node->tick_at = 0;
    node->hurries = 0;
    node->dialling_to = ZAB_NOBODY;
    node->checked_applied = -1;
    node->queue_count = node->sync_count = 0;
    node->proposed_unapplied = 0;
    node->session = UINT32_MAX;
    memset(&node->status, 0, sizeof node->status);
    memset(node->heard, 0, sizeof node->heard);
    node->round = 0;
    for (uint32_t i = 0; i < NUMBERS_MAX; i++)
        node->streams[i].used = false;
    stream_reset(node);
}

void node_start(struct node *node)
{
    struct sim *sim = node->sim;
    struct image *image = &node->disk.image;
    if (node->up || node->lost)
        return;
    reset(node);
    node->up = true;
    node->clock_origin = sim->now;
    node->clock_base = 1000 + (int64_t)sim_below(sim, 1000000);
    node->last_now = node->clock_base;
    struct zab_options options = sim->options;
    options.id = node->id;
    options.observer = node->observer;
    node->trace = (struct mk_trace){.level = MK_LEVEL_DEBUG, .write = write_trace, .context = node};
    options.trace = sim->print ? &node->trace : NULL;
    node->zab = zab_new(&options);
    zab_update_init(&node->update);
    image_replay(image, &node->memory);
    node->memory_valid = true;
    node->apply_to = node->memory.applied;
    int64_t last = image_last(image);
    if (last >= 0 && EPOCH_OF(last) > image->current && image->accepted >= EPOCH_OF(last)) {
        image->current = EPOCH_OF(last); /* recovery's rule */
        sim->marks[MARK_EPOCH_RAISED]++;
    }
    restore_history(node);
    node_feed(node, &(struct zab_event){.type = ZAB_START,
                                        .state = {.last_zxid = last,
                                                  .snapshot_zxid = image->snapshot.applied,
                                                  .accepted_epoch = image->accepted,
                                                  .current_epoch = image->current}});
    for (uint8_t other = 0; other < sim->node_count; other++)
        if (other != node->index)
            post_schedule(sim, node->index, other, 1 + (int64_t)sim_below(sim, 200));
    sim_schedule(sim, 1 + (int64_t)sim_below(sim, (uint64_t)sim->plan.work_every_ms),
                 (struct event){.type = EVENT_WORK, .node = node->index, .life = node->life});
}

void node_crash(struct node *node, bool silent)
{
    if (!node->up)
        return;
    node->up = false;
    node->life++;
    node->sim->marks[MARK_CRASHES]++;
    disk_crash(node);
    wires_crash(node, silent);
    posts_crash(node, silent);
    zab_update_fini(&node->update);
    zab_free(node->zab);
    node->zab = NULL;
    memset(&node->status, 0, sizeof node->status);
    node->status.leader = ZAB_NOBODY;
    node->paused_until = 0;
}

void node_free(struct node *node)
{
    if (node->zab) {
        zab_update_fini(&node->update);
        zab_free(node->zab);
    }
    mk_free(node->disk.image.log);
    mk_free(node->disk.gone.log);
    mk_free(node->disk.jobs);
    mk_free(node->queue);
    mk_buffer_fini(&node->input);
    for (uint32_t i = 0; i < NUMBERS_MAX; i++)
        mk_buffer_fini(&node->streams[i].bytes);
}
