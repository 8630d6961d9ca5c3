/* SPDX-License-Identifier: MIT */
/* See zab_node_state.h. Called by zab_node.c only. Checks what it is told: a log without holes, a
 * disk that is never ahead of what zab asked for, digests as the leader computed them. */
#include "tests/interop/zab_node_state.h"

#include "base/mem.h"
#include "tree/snapshot.h"

#include <stdio.h>
#include <time.h>

static const struct tree_options tree_options = {.hash_seed = 1, .digest_enabled = true};

static void tree_begin(struct node_state *state)
{
    if (state->loader)
        tree_loader_end(state->loader);
    if (state->view)
        view_free(state->view);
    tree_free(state->tree);
    state->loader = NULL;
    state->tree = tree_new(&tree_options);
    state->view = view_new(state->tree, &tree_options);
    state->applied = 0;
}

void state_init(struct node_state *state)
{
    *state = (struct node_state){0};
    mk_arena_init(&state->arena);
    state->tree = tree_new(&tree_options);
    state->view = view_new(state->tree, &tree_options);
}

/* --- the disk --------------------------------------------------------------------------------- */

int64_t state_last_zxid(const struct node_state *state)
{
    return state->log_count > 0 ? state->log[state->log_count - 1].zxid : state->snapshot_zxid;
}

void state_step(struct node_state *state, const struct zab_disk_step *step)
{
    if (state->step_count == state->step_capacity) {
        state->step_capacity = MK_MAX(state->step_capacity * 2, (size_t)16);
        state->steps = mk_realloc(state->steps, state->step_capacity * sizeof *state->steps);
    }
    MK_ASSERT(state->step_count == 0 || step->ticket > state->steps[state->step_count - 1].ticket);
    struct waiting_step *taken = &state->steps[state->step_count++];
    *taken = (struct waiting_step){
        .ticket = step->ticket, .type = step->type, .zxid = step->zxid, .epoch = step->epoch};
    if (step->type == ZAB_DISK_APPEND) {
        taken->entry =
            (struct stored){step->entry.zxid, mk_alloc(step->entry.length), step->entry.length};
        memcpy(taken->entry.data, step->entry.data, step->entry.length);
    } else if (step->type == ZAB_DISK_INSTALL_SNAPSHOT) {
        if (state->loader)
            tree_loader_end(state->loader);
        state->loader = NULL;
        tree_load_finish(state->tree);
        state->applied = step->zxid;
        state_stream(state, &taken->snapshot);
    }
}

static void log_cut(struct node_state *state, int64_t zxid)
{
    while (state->log_count > 0 && state->log[state->log_count - 1].zxid > zxid)
        mk_free(state->log[--state->log_count].data);
}

static void do_step(struct node_state *state, struct waiting_step *step)
{
    switch (step->type) {
    case ZAB_DISK_APPEND:
        MK_ASSERT(step->entry.zxid > state_last_zxid(state));
        if (state->log_count == state->log_capacity) {
            state->log_capacity = MK_MAX(state->log_capacity * 2, (size_t)64);
            state->log = mk_realloc(state->log, state->log_capacity * sizeof *state->log);
        }
        state->log[state->log_count++] = step->entry;
        return;
    case ZAB_DISK_TRUNCATE:
        log_cut(state, step->zxid);
        if (state->snapshot_zxid > step->zxid) { /* and there is no older one */
            log_cut(state, -1);
            mk_buffer_clear(&state->snapshot);
            state->snapshot_zxid = 0;
        }
        return;
    case ZAB_DISK_ACCEPTED_EPOCH:
        state->accepted_epoch = step->epoch;
        return;
    case ZAB_DISK_PREPARE_EPOCH:
        return;
    case ZAB_DISK_CURRENT_EPOCH:
        state->current_epoch = step->epoch;
        return;
    case ZAB_DISK_INSTALL_SNAPSHOT:
        log_cut(state, -1);
        mk_buffer_fini(&state->snapshot);
        state->snapshot = step->snapshot;
        state->snapshot_zxid = step->zxid;
        return;
    }
}

uint64_t state_steps_done(struct node_state *state)
{
    MK_ASSERT(state->step_count > 0);
    uint64_t ticket = state->steps[state->step_count - 1].ticket;
    for (size_t i = 0; i < state->step_count; i++)
        do_step(state, &state->steps[i]);
    state->step_count = 0;
    return ticket;
}

/* --- memory ----------------------------------------------------------------------------------- */

static void apply(struct node_state *state, int64_t zxid, struct mk_bytes bytes)
{
    struct mk_reader reader;
    struct mk_txn_header header;
    struct op_result result = {0};
    mk_reader_init_bytes(&reader, bytes, &state->arena);
    mk_txn_header_read(&reader, &header);
    struct op_apply context = {.tree = state->tree, .arena = &state->arena};
    int error = reader.error ? reader.error : op_apply(&context, &header, &reader, &result);
    if (error != 0 || header.zxid != zxid) {
        printf("bad transaction 0x%llx: error %d, header 0x%llx\n", (unsigned long long)zxid, error,
               (unsigned long long)header.zxid);
        MK_ASSERT(!"a transaction that cannot be applied");
    }
    state->applied = zxid;
    view_committed(state->view, zxid);
    if (header.type != MK_OP_ERROR && mk_reader_left(&reader) >= MK_TXN_DIGEST_BYTES) {
        struct mk_txn_digest digest;
        mk_txn_digest_read(&reader, &digest);
        state->digests_compared++;
        if ((uint64_t)digest.tree_digest != tree_digest(state->tree)) {
            state->digests_different++;
            printf("digest differs at 0x%llx\n", (unsigned long long)zxid);
        }
    }
    mk_arena_reset(&state->arena);
}

void state_apply(struct node_state *state, const struct zab_entry *entry)
{
    apply(state, entry->zxid, mk_bytes_of(entry->data, entry->length));
}

void state_load_begin(struct node_state *state)
{
    tree_begin(state);
    state->loader = tree_loader_begin(state->tree);
}

int state_load(struct node_state *state, struct mk_bytes bytes, size_t *consumed)
{
    const char *reason = "";
    *consumed = 0;
    if (!state->loader) /* of a stream that was given up */
        return 0;
    int result =
        tree_loader_feed(state->loader, bytes.data, mk_bytes_size(bytes), consumed, &reason);
    if (result < 0)
        printf("bad tree: %s\n", reason);
    return result;
}

void state_reload(struct node_state *state)
{
    MK_ASSERT(state->step_count == 0);
    tree_begin(state);
    if (state->snapshot.length > 0) {
        size_t consumed = 0;
        state->loader = tree_loader_begin(state->tree);
        MK_ASSERT(state_load(state, mk_buffer_bytes(&state->snapshot), &consumed) == 1);
        tree_loader_end(state->loader);
        state->loader = NULL;
        tree_load_finish(state->tree);
        state->applied = state->snapshot_zxid;
    }
    for (size_t i = 0; i < state->log_count; i++)
        apply(state, state->log[i].zxid, mk_bytes_of(state->log[i].data, state->log[i].length));
}

void state_stream(struct node_state *state, struct mk_buffer *body)
{
    struct tree_snapshot *walk = tree_snapshot_begin(state->tree, INT64_MAX);
    while (!tree_snapshot_step(walk, body, 1 << 20))
        continue;
    tree_snapshot_end(walk);
}

/* --- proposals -------------------------------------------------------------------------------- */

static int prepare(struct node_state *state, const struct mk_txn_header *header,
                   struct mk_bytes record, const struct mk_id_vector *identities,
                   struct mk_buffer *txn, int32_t *type)
{
    struct op_settings settings = {.extended_types = true, .enforce_quota = true};
    struct op_prepare context = {
        .view = state->view,
        .tree = state->tree,
        .settings = &settings,
        .caller = {.session_id = header->client_id, .identities = identities},
        .zxid = header->zxid,
        .time_ms = header->time,
        .arena = &state->arena,
    };
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, record, &state->arena);
    if (header->type == MK_OP_CREATE_SESSION) {
        mk_create_session_txn_write(
            txn, &(struct mk_create_session_txn){.timeout = mk_read_int(&reader)});
        return reader.error;
    }
    if (header->type == MK_OP_CLOSE_SESSION) {
        op_prepare_close_session(&context, header->client_id, txn);
        return 0;
    }
    if (header->client_id != 0 && !tree_session_find(state->tree, header->client_id, &(int32_t){0}))
        return MK_ERR_SESSION_EXPIRED;
    return op_prepare(&context, header->type, &reader, txn, type);
}

void state_propose(struct node_state *state, int64_t zxid, int64_t session_id, int32_t cxid,
                   int32_t op, struct mk_bytes record, const struct mk_id_vector *identities,
                   struct mk_buffer *txn)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct mk_txn_header header = {.client_id = session_id,
                                   .cxid = cxid,
                                   .zxid = zxid,
                                   .time = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
                                   .type = op};
    txn->length = 0;
    mk_txn_header_write(txn, &header); /* and again below, with the type */
    int error = op == MK_OP_ERROR ? MK_ERR_NO_NODE
                                  : prepare(state, &header, record, identities, txn, &header.type);
    if (error != 0) {
        txn->length = MK_TXN_HEADER_BYTES;
        header.type = MK_OP_ERROR;
        mk_error_txn_write(txn, &(struct mk_error_txn){.err = error});
    }
    mk_txn_header_store(txn->data, &header);
    if (header.type != MK_OP_ERROR)
        mk_txn_digest_write(
            txn, &(struct mk_txn_digest){.version = 2,
                                         .tree_digest = (int64_t)view_digest(state->view)});
    mk_arena_reset(&state->arena);
}

void state_fini(struct node_state *state)
{
    if (state->loader)
        tree_loader_end(state->loader);
    view_free(state->view);
    tree_free(state->tree);
    log_cut(state, -1);
    mk_free(state->log);
    for (size_t i = 0; i < state->step_count; i++) {
        mk_free(state->steps[i].entry.data);
        mk_buffer_fini(&state->steps[i].snapshot);
    }
    mk_free(state->steps);
    mk_buffer_fini(&state->snapshot);
    mk_arena_fini(&state->arena);
}
