/* SPDX-License-Identifier: MIT */
/* Clients: they submit unique transactions at the leader, forward requests through learners, and
 * ask for syncs. What they are told (an ack, a sync) is compared with the committed history. Called
 * by node.c for deliveries and applied transactions, and by sim.c for its events. */
#include "tests/zab/sim.h"

#define OPCODE_CREATE 1
#define OPCODE_SYNC 9
#define REQUEST_BYTES 20 /* session id, cxid, opcode, wanted length */
#define OUTSTANDING_MAX 1000

/* --- payloads: id, length, then a pattern ------------------------------------------------------
 */

void payload_make(struct sim *sim, uint64_t id, struct mk_buffer *buffer)
{
    uint32_t length = sim->txns[id].length;
    mk_buffer_clear(buffer);
    uint8_t *bytes = mk_buffer_reserve(buffer, length);
    mk_store_u64(bytes, id);
    mk_store_u32(bytes + 8, length);
    memset(bytes + 12, (int)(id % 251), length - 12);
    buffer->length = length;
}

uint64_t payload_id(const struct sim *sim, const uint8_t *data, size_t length)
{
    if (length < 12)
        return UINT64_MAX;
    uint64_t id = mk_load_u64(data);
    if (id >= sim->txn_count || mk_load_u32(data + 8) != length || sim->txns[id].length != length)
        return UINT64_MAX;
    return id;
}

bool payload_whole(const struct sim *sim, uint64_t id, const uint8_t *data, size_t length)
{
    if (payload_id(sim, data, length) != id)
        return false;
    for (size_t i = 12; i < length; i += length < 256 ? 1 : 61)
        if (data[i] != id % 251)
            return false;
    return length == 12 || data[length - 1] == id % 251;
}

/* --- the leader's host -------------------------------------------------------------------------
 */

static uint32_t new_session(struct node *node)
{
    struct sim *sim = node->sim;
    if (sim->session_count == sim->session_capacity) {
        sim->session_capacity = sim->session_capacity ? sim->session_capacity * 2 : 64;
        sim->sessions = mk_realloc(sim->sessions, sim->session_capacity * sizeof *sim->sessions);
    }
    sim->sessions[sim->session_count] = (struct session){.origin = node->index};
    return (uint32_t)sim->session_count++;
}

void work_queue(struct node *node, const struct request *request)
{
    if (node->queue_count == node->queue_capacity) {
        node->queue_capacity = node->queue_capacity ? node->queue_capacity * 2 : 32;
        node->queue = mk_realloc(node->queue, node->queue_capacity * sizeof *node->queue);
    }
    node->queue[node->queue_count++] = *request;
    if (node->submit_scheduled)
        return;
    node->submit_scheduled = true;
    sim_schedule(node->sim, 0,
                 (struct event){.type = EVENT_SUBMIT, .node = node->index, .life = node->life});
}

static void submit(struct node *node, const struct request *request, int64_t zxid)
{
    struct sim *sim = node->sim;
    check_submit(node, zxid);
    int64_t previous = disk_transaction_at(node, INT64_MAX);
    if (sim->txn_count == sim->txn_capacity) {
        sim->txn_capacity = sim->txn_capacity ? sim->txn_capacity * 2 : 256;
        sim->txns = mk_realloc(sim->txns, sim->txn_capacity * sizeof *sim->txns);
    }
    uint64_t id = sim->txn_count++;
    sim->txns[id] = (struct txn){.zxid = zxid,
                                 .previous = previous,
                                 .session = request->session,
                                 .sequence = request->sequence,
                                 .length = request->length};
    node->proposed_unapplied++;
    payload_make(sim, id, &sim->scratch);
    node_feed(node, &(struct zab_event){
                        .type = ZAB_SUBMIT, .zxid = zxid, .bytes = mk_buffer_bytes(&sim->scratch)});
}

void work_submit(struct node *node)
{
    struct sim *sim = node->sim;
    size_t done = 0;
    node->submit_scheduled = false;
    while (done < node->queue_count && node->status.serving && !sim->failed &&
           node->status.role == ZAB_LEADING && node->proposed_unapplied < OUTSTANDING_MAX) {
        int64_t zxid = zab_next_zxid(node->zab);
        if (zxid == 0)
            break;
        struct request request = node->queue[done++];
        submit(node, &request, zxid);
    }
    done = MK_MIN(done, node->queue_count); /* it may have stopped serving, which drops them */
    node->queue_count -= done;
    memmove(node->queue, node->queue + done, node->queue_count * sizeof *node->queue);
    if (node->queue_count == 0 || node->submit_scheduled)
        return;
    node->submit_scheduled = true;
    sim_schedule(sim, 20 + (int64_t)sim_below(sim, 20),
                 (struct event){.type = EVENT_SUBMIT, .node = node->index, .life = node->life});
}

/* --- learners' hosts ---------------------------------------------------------------------------
 */

static void forward(struct node *node, uint32_t opcode, uint32_t length)
{
    struct sim *sim = node->sim;
    uint8_t body[REQUEST_BYTES];
    if (node->session == UINT32_MAX || node->session_generation != node->learner_generation ||
        node->session_wire != node->learner_wire) {
        node->session = new_session(node);
        node->session_generation = node->learner_generation;
        node->session_wire = node->learner_wire;
    }
    struct session *session = &sim->sessions[node->session];
    mk_store_u64(body, node->session);
    mk_store_u32(body + 8, opcode == OPCODE_SYNC ? 0 : ++session->sent);
    mk_store_u32(body + 12, opcode);
    mk_store_u32(body + 16, length);
    sim->marks[MARK_FORWARDED]++;
    node_feed(node, &(struct zab_event){.type = ZAB_SEND,
                                        .packet_type = PACKET_REQUEST,
                                        .bytes = mk_bytes_of(body, sizeof body),
                                        .identities = MK_BYTES_NULL});
}

static uint32_t draw_length(struct sim *sim)
{
    if (sim->plan.big_payloads && sim_one_in(sim, 200))
        return 20000 + (uint32_t)sim_below(sim, 280000);
    return 12 + (uint32_t)sim_below(sim, 100);
}

static void ask_sync(struct node *node)
{
    struct sim *sim = node->sim;
    if (node->sync_count == MK_ARRAY_LENGTH(node->syncs))
        return;
    bool local = node->status.role == ZAB_LEADING;
    uint64_t ticket = ++node->next_ticket;
    node->syncs[node->sync_count++] = (struct sync_request){
        .local = local, .ticket = ticket, .must_show = sim->acked, .shows = -1};
    if (local)
        node_feed(node, &(struct zab_event){.type = ZAB_SYNC, .ticket = ticket});
    else
        forward(node, OPCODE_SYNC, 0);
}

static void revalidate(struct node *node)
{
    uint8_t body[12] = {1};
    node_feed(node, &(struct zab_event){.type = ZAB_SEND,
                                        .packet_type = PACKET_REVALIDATE,
                                        .bytes = mk_bytes_of(body, sizeof body),
                                        .identities = MK_BYTES_NULL});
}

void work_step(struct node *node)
{
    struct sim *sim = node->sim;
    if (!sim->quiet)
        sim_schedule(sim, 1 + (int64_t)sim_below(sim, (uint64_t)sim->plan.work_every_ms * 2),
                     (struct event){.type = EVENT_WORK, .node = node->index, .life = node->life});
    if (!node->status.serving || sim->quiet)
        return;
    uint32_t count = 1;
    if (sim->plan.burst > 1 && sim_one_in(sim, 10))
        count = 1 + (uint32_t)sim_below(sim, sim->plan.burst);
    if (sim_one_in(sim, 6)) {
        ask_sync(node);
    } else if (node->status.role == ZAB_LEADING) {
        if (node->session == UINT32_MAX)
            node->session = new_session(node);
        for (; count > 0 && node->queue_count < 3000; count--) {
            uint32_t sequence = ++sim->sessions[node->session].sent;
            work_queue(node, &(struct request){node->session, sequence, draw_length(sim)});
        }
    } else if (sim_one_in(sim, 10)) {
        revalidate(node);
    } else {
        for (; count > 0 && node->status.serving; count--)
            forward(node, OPCODE_CREATE, draw_length(sim));
    }
    if (sim->plan.compacts && sim_one_in(sim, 30))
        work_compact(node);
}

/* --- what zab delivers: only noted here, acted on after the step -------------------------------
 */

/* Tells apart who had a link number before. */
static uint8_t link_generation(const struct node *node, uint32_t link)
{
    return link < NUMBERS_MAX ? (uint8_t)node->sim->wires[node->links[link].wire].generation : 0;
}

/* To be done right after the step; `index` as in work_answer. */
static void later(struct node *node, uint16_t index)
{
    sim_schedule(node->sim, 0,
                 (struct event){.type = EVENT_ANSWER,
                                .node = node->index,
                                .other = link_generation(node, (uint32_t)(index - 1) / 2),
                                .index = index,
                                .life = node->life});
}

static void take_request(struct node *node, const struct zab_delivery *delivery)
{
    struct sim *sim = node->sim;
    if (mk_bytes_size(delivery->bytes) != REQUEST_BYTES) {
        sim_fail(sim, "packets", "node %d: a request of %d bytes", (int)node->id,
                 delivery->bytes.length);
        return;
    }
    const uint8_t *body = delivery->bytes.data;
    uint64_t session = mk_load_u64(body);
    if (session >= sim->session_count ||
        sim->nodes[sim->sessions[session].origin].id != delivery->server) {
        sim_fail(sim, "I1", "node %d: a request that server %lld never made", (int)node->id,
                 (long long)delivery->server);
        return;
    }
    if (mk_load_u32(body + 12) == OPCODE_SYNC)
        later(node, (uint16_t)(1 + delivery->link * 2 + 1));
    else if (node->status.serving)
        work_queue(node, &(struct request){(uint32_t)session, mk_load_u32(body + 8),
                                           mk_load_u32(body + 16)});
}

/* zab answers a sync: the reads behind it wait until memory has `zxid`. */
static void sync_answered(struct node *node, const struct zab_delivery *delivery)
{
    struct sim *sim = node->sim;
    bool local = delivery->type == ZAB_SYNC_DONE;
    for (size_t i = 0; i < node->sync_count; i++) {
        struct sync_request *sync = &node->syncs[i];
        if (sync->local != local || sync->shows >= 0 || (local && sync->ticket != delivery->ticket))
            continue;
        if (delivery->zxid < sync->must_show)
            sim_fail(sim, "G7", "node %d: sync is done at %llx, but %llx was acknowledged before",
                     (int)node->id, (unsigned long long)delivery->zxid,
                     (unsigned long long)sync->must_show);
        sync->shows = delivery->zxid;
        return;
    }
    sim_fail(sim, "G7", "node %d: an answer to no sync (ticket %llu)", (int)node->id,
             (unsigned long long)delivery->ticket);
}

/* Those whose answer memory can show by now. */
void work_syncs(struct node *node)
{
    size_t kept = 0;
    for (size_t i = 0; i < node->sync_count; i++) {
        if (node->syncs[i].shows < 0 || node->syncs[i].shows > node->memory.applied)
            node->syncs[kept++] = node->syncs[i];
        else
            node->sim->marks[MARK_SYNCS]++;
    }
    node->sync_count = kept;
}

void work_delivery(struct node *node, const struct zab_delivery *delivery)
{
    switch (delivery->type) {
    case ZAB_REQUEST:
        take_request(node, delivery);
        break;
    case ZAB_REVALIDATE:
        later(node, (uint16_t)(1 + delivery->link * 2));
        break;
    case ZAB_PING:
        later(node, 0);
        break;
    case ZAB_SYNCED:
    case ZAB_SYNC_DONE:
        sync_answered(node, delivery);
        break;
    case ZAB_LEARNER_GONE:
        node->sim->marks[MARK_GONE]++;
        break;
    case ZAB_REVALIDATED:
    case ZAB_TOUCHED:
        break;
    }
}

/* Answers that a delivery asked for: 0 the leader's ping, else what a learner's link wants. */
void work_answer(struct node *node, uint16_t index, uint8_t generation)
{
    uint8_t body[24] = {0};
    struct zab_event event = {.type = ZAB_SEND, .identities = MK_BYTES_NULL};
    if (index == 0) {
        event.packet_type = PACKET_PING;
        event.bytes = mk_bytes_of(body, 12 * (size_t)sim_below(node->sim, 3));
    } else {
        event.link = (uint32_t)(index - 1) / 2;
        if (!node->links[event.link].used || node->status.role != ZAB_LEADING ||
            generation != link_generation(node, event.link))
            return;
        if ((index - 1) % 2 == 1) {
            event.type = ZAB_SYNC;
            event.flag = true;
        } else {
            event.packet_type = PACKET_REVALIDATE;
            event.bytes = mk_bytes_of(body, 9);
        }
    }
    node_feed(node, &event);
}

/* --- acks --------------------------------------------------------------------------------------
 */

void work_applied(struct node *node, int64_t zxid, uint64_t id)
{
    struct sim *sim = node->sim;
    struct txn *txn = &sim->txns[id];
    if (node->status.role == ZAB_LEADING && EPOCH_OF(zxid) == node->status.epoch &&
        node->proposed_unapplied > 0)
        node->proposed_unapplied--;
    if (!node->status.serving)
        return;
    if (!txn->committed)
        sim_fail(sim, "I15", "node %d shows %llx, which is not committed", (int)node->id,
                 (unsigned long long)zxid);
    if (sim->sessions[txn->session].origin == node->index) {
        txn->acked = true;
        sim->acked = MK_MAX(sim->acked, zxid);
    }
}

/* Clients of a server that stops serving hear nothing more. */
void work_serving_changed(struct node *node)
{
    node->queue_count = 0;
    node->sync_count = 0;
    node->session = UINT32_MAX;
    node->proposed_unapplied = 0;
}

/* A snapshot of what is committed and whole, and the log before it goes. */
void work_compact(struct node *node)
{
    struct sim *sim = node->sim;
    struct image *image = &node->disk.image;
    if (!node->memory_valid || !node->status.serving || node->disk.count > 0 ||
        machine_newest(&node->memory) > node->memory.applied ||
        node->memory.applied > sim->commits[sim->commit_count - 1].zxid ||
        node->memory.applied <= image->snapshot.applied)
        return;
    size_t keep = 0;
    while (keep < image->count && image->log[keep].zxid <= node->memory.applied)
        keep++;
    if (keep == 0 || image->log[keep - 1].zxid != node->memory.applied)
        return;
    image->snapshot = node->memory;
    size_t drop = sim_one_in(sim, 2) ? keep : (size_t)sim_below(sim, keep + 1);
    image->count -= drop;
    memmove(image->log, image->log + drop, image->count * sizeof *image->log);
}
