/* SPDX-License-Identifier: MIT */
/* Snapshots through a link: the sender makes them slice by slice, so later cells show later
 * transactions (fuzzy, as a tree that is written while it serves); the receiver loads them in
 * pieces cut anywhere. The stream tells its own length first. Called by node.c. */
#include "tests/zab/sim.h"

#define STREAM_MAGIC 0x5a534e50u

uint64_t stream_length(const uint8_t *header)
{
    return mk_load_u32(header) == STREAM_MAGIC ? mk_load_u32(header + 4) : 0;
}

void stream_begin(struct node *node, uint32_t link)
{
    struct sim *sim = node->sim;
    if (link >= NUMBERS_MAX || !node->links[link].used || node->links[link].stranger)
        return;
    struct stream *stream = NULL;
    for (uint16_t i = 0; i < NUMBERS_MAX && !stream; i++)
        if (!node->streams[i].used)
            stream = &node->streams[i];
    if (!stream)
        return;
    stream->used = true;
    stream->link = link;
    stream->wire = node->links[link].wire;
    stream->generation = sim->wires[stream->wire].generation;
    stream->sent = 0;
    stream->padding = sim_one_in(sim, 3) ? (uint32_t)sim_below(sim, 100) : 0;
    if (sim->plan.big_payloads && sim_one_in(sim, 4))
        stream->padding = (uint32_t)sim_below(sim, 200000);
    mk_buffer_clear(&stream->bytes);
    uint8_t header[STREAM_HEADER];
    mk_store_u32(header, STREAM_MAGIC);
    mk_store_u32(header + 4, STREAM_HEADER + CELLS * 16 + stream->padding);
    mk_buffer_append(&stream->bytes, header, sizeof header);
    sim_schedule(sim, (int64_t)sim_below(sim, 10),
                 (struct event){.type = EVENT_STREAM,
                                .node = node->index,
                                .index = (uint16_t)(stream - node->streams),
                                .life = node->life});
}

static void make_cells(struct node *node, struct stream *stream)
{
    uint32_t count = 1 + (uint32_t)sim_below(node->sim, CELLS);
    for (; count > 0 && stream->sent < CELLS; count--, stream->sent++) {
        const struct cell *cell = &node->memory.cells[stream->sent];
        uint8_t bytes[16];
        mk_store_u64(bytes, (uint64_t)cell->zxid);
        mk_store_u64(bytes + 8, cell->hash);
        mk_buffer_append(&stream->bytes, bytes, sizeof bytes);
    }
    if (stream->sent == CELLS && stream->padding > 0) {
        memset(mk_buffer_reserve(&stream->bytes, stream->padding), 7, stream->padding);
        stream->bytes.length += stream->padding;
        stream->padding = 0;
    }
}

void stream_slice(struct node *node, uint16_t slot)
{
    struct sim *sim = node->sim;
    struct stream *stream = &node->streams[slot];
    const struct wire *wire = &sim->wires[stream->wire];
    if (!stream->used)
        return;
    struct zab_link *link = zab_link(node->zab, stream->link);
    if (wire->generation != stream->generation || !node->links[stream->link].used || !link ||
        link->closing || !node->memory_valid) {
        stream->used = false;
        return;
    }
    make_cells(node, stream);
    size_t count = stream->bytes.length;
    if (sim_one_in(sim, 3))
        count = (size_t)sim_below(sim, count + 1);
    bool last = stream->sent == CELLS && stream->padding == 0 && count == stream->bytes.length;
    struct mk_buffer slice = MK_BUFFER_EMPTY;
    mk_buffer_append(&slice, stream->bytes.data, count);
    mk_buffer_consume(&stream->bytes, count);
    if (last)
        stream->used = false;
    node_feed(node, &(struct zab_event){.type = ZAB_SNAPSHOT_BYTES,
                                        .link = stream->link,
                                        .bytes = mk_buffer_bytes(&slice),
                                        .flag = last});
    mk_buffer_fini(&slice);
    if (!last)
        sim_schedule(
            sim, (int64_t)sim_below(sim, 30),
            (struct event){
                .type = EVENT_STREAM, .node = node->index, .index = slot, .life = node->life});
}

/* --- receiving -------------------------------------------------------------------------------- */

void stream_reset(struct node *node)
{
    memset(&node->loaded, 0, sizeof node->loaded);
    node->loaded_bytes = node->loaded_total = 0;
    node->input_waiting = false;
    mk_buffer_clear(&node->input);
}

void stream_input(struct node *node, struct mk_bytes bytes)
{
    mk_buffer_clear(&node->input);
    mk_buffer_append_bytes(&node->input, bytes);
    node->input_waiting = true;
    sim_schedule(node->sim, (int64_t)sim_below(node->sim, 5),
                 (struct event){.type = EVENT_TAKEN, .node = node->index, .life = node->life});
}

/* Takes whole records only, so that something is left over now and then. */
static size_t load(struct node *node, bool *done)
{
    const uint8_t *data = node->input.data;
    size_t length = node->input.length, at = 0;
    if (node->loaded_total == 0) {
        if (length < STREAM_HEADER)
            return 0;
        node->loaded_total = stream_length(data);
        if (node->loaded_total == 0) {
            sim_fail(node->sim, "I1", "node %d: a snapshot stream that nobody sent", (int)node->id);
            return 0;
        }
        at = node->loaded_bytes = STREAM_HEADER;
    }
    while (node->loaded_bytes < STREAM_HEADER + CELLS * 16 && length - at >= 16) {
        struct cell *cell = &node->loaded.cells[(node->loaded_bytes - STREAM_HEADER) / 16];
        cell->zxid = (int64_t)mk_load_u64(data + at);
        cell->hash = mk_load_u64(data + at + 8);
        at += 16;
        node->loaded_bytes += 16;
    }
    if (node->loaded_bytes >= STREAM_HEADER + CELLS * 16) {
        size_t padding = (size_t)(node->loaded_total - node->loaded_bytes);
        size_t count = MK_MIN(padding, length - at);
        at += count;
        node->loaded_bytes += count;
    }
    *done = node->loaded_bytes == node->loaded_total;
    return at;
}

void stream_taken(struct node *node)
{
    if (!node->input_waiting)
        return;
    bool done = false;
    size_t count = load(node, &done);
    node->input_waiting = false;
    if (done) {
        node->memory = node->loaded;
        node->memory.applied = -1; /* known when it is installed */
        node->memory_valid = true;
        node->snapshot_loading = false;
    }
    node_feed(node, &(struct zab_event){.type = ZAB_SNAPSHOT_TAKEN, .count = count, .flag = done});
}
