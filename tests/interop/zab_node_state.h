/* SPDX-License-Identifier: MIT */
/* The memory and the disk of zab_node: a real tree, and a "disk" that is memory too and is done
 * with its steps one turn of the loop later. */
#ifndef TESTS_ZAB_NODE_STATE_H
#define TESTS_ZAB_NODE_STATE_H

#include "ops/op.h"
#include "zab/zab.h"

struct stored {
    int64_t zxid;
    uint8_t *data;
    uint32_t length;
};

struct waiting_step {
    uint64_t ticket;
    enum zab_disk_type type;
    int64_t zxid, epoch;
    struct stored entry;       /* of an append */
    struct mk_buffer snapshot; /* of an install */
};

struct node_state {
    struct tree *tree;
    struct view *view;
    struct tree_loader *loader;
    struct mk_arena arena;
    int64_t applied;
    uint64_t digests_compared, digests_different;

    struct stored *log;
    size_t log_count, log_capacity;
    struct mk_buffer snapshot; /* body; empty: none */
    int64_t snapshot_zxid;
    int64_t accepted_epoch, current_epoch;
    struct waiting_step *steps;
    size_t step_count, step_capacity;
};

void state_init(struct node_state *state);
void state_fini(struct node_state *state);

/* Takes a copy of a step; of an install, what memory holds now. */
void state_step(struct node_state *state, const struct zab_disk_step *step);
/* Does all that was taken; returns the last ticket. */
uint64_t state_steps_done(struct node_state *state);
int64_t state_last_zxid(const struct node_state *state);

/* Memory anew from the disk. */
void state_reload(struct node_state *state);
/* An empty tree that the leader's stream is loaded into. */
void state_load_begin(struct node_state *state);
/* 1: that was all; 0: more; below: no tree. */
int state_load(struct node_state *state, struct mk_bytes bytes, size_t *consumed);
void state_apply(struct node_state *state, const struct zab_entry *entry);
void state_stream(struct node_state *state, struct mk_buffer *body);

/* Makes a transaction of a learner's request (RequestForward and record), or of `op` alone. */
void state_propose(struct node_state *state, int64_t zxid, int64_t session_id, int32_t cxid,
                   int32_t op, struct mk_bytes record, const struct mk_id_vector *identities,
                   struct mk_buffer *txn);

#endif
