/* SPDX-License-Identifier: MIT */
/* The contract of the operations: a write is *prepared* once (request -> transaction record,
 * or an error), *applied* on every server (transaction -> tree, result, changes), and a read
 * is answered from the tree. One file per family (op_create.c, op_delete.c, ...), one row each
 * in the table of op.c; the generated opcode table says which numbers exist.
 * Order of checks: client-protocol reference, section 4.2. Transactions: storage reference,
 * section 3. Pure: no I/O, clock or randomness; nothing is kept between calls. */
#ifndef OPS_OP_H
#define OPS_OP_H

#include "ops/view.h"
#include "tree/watch.h"
#include "wire/errors.gen.h"
#include "wire/jute.h"
#include "wire/ops.gen.h"

/* What an administrator may set. */
struct op_settings {
    bool extended_types; /* TTL nodes; our default is on */
    bool enforce_quota;  /* hard quotas reject */
    bool skip_acl;
    bool reconfig_enabled;
    /* Of one record, where that is less than OP_TRANSACTION_BYTES_MAX (0: it is not): what the
     * other members of an ensemble take. */
    size_t transaction_bytes_max;
};

/* What a small request may make of long or many names, in one transaction. The log takes none
 * beyond 256 MiB: writing one would end the process. */
#define OP_TRANSACTION_BYTES_MAX ((size_t)192 << 20)

struct op_caller {
    int64_t session_id;
    const struct mk_id_vector *identities; /* ("ip", address) first, then what auth added */
};

/* --- writes: request -> transaction ------------------------------------------------------ */

/* A write beyond a limit of a quota: beyond a soft one it is done, beyond a hard one refused (where
 * those are enforced). */
struct op_quota_excess {
    struct op_quota_excess *next;
    struct mk_bytes path; /* that the quota is set on; borrowed from the request or the arena */
    bool of_bytes;        /* else of znodes */
    bool hard;
    int64_t value, limit; /* what the subtree would have, what it may have */
};

struct op_prepare {
    struct view *view;
    struct tree *tree;
    const struct op_settings *settings;
    struct op_caller caller;
    int64_t zxid; /* of the transaction to be */
    int64_t time_ms;
    struct mk_arena *arena;
    bool undecodable; /* out: the request record could not be read: no zxid is used (3.9) */
    /* Out: of a multi with create2, a byte for each part, 1 where create2 was asked for; else
     * null. In the arena; the reply needs it (op_result). */
    struct mk_bytes create2_parts;
    struct op_quota_excess *excess; /* out: for the operator, newest first, in the arena */
};

/* Validates `request` against the view and appends the transaction record to `txn`;
 * *txn_type is its type. On 0 the view holds its changes (accepted). On an error the view is
 * unchanged and nothing was appended; the caller then logs an ErrorTxn (unless
 * `undecodable`). A multi with a failing part returns 0: its transaction carries the errors.
 * `op` is one of create, create2, createContainer, createTTL, delete, setData, setACL, multi,
 * reconfig (answers its proper error), deleteContainer (internal caller only). */
int op_prepare(struct op_prepare *prepare, int32_t op, struct mk_reader *request,
               struct mk_buffer *txn, int32_t *txn_type);
/* op_prepare.create2_parts of a multi that another server will prepare; null as well when the bytes
 * are none. */
struct mk_bytes op_create2_parts(struct mk_bytes multi, struct mk_arena *arena);
/* closeSession: lists the ephemerals to delete. Always succeeds. */
void op_prepare_close_session(struct op_prepare *prepare, int64_t session_id,
                              struct mk_buffer *txn);

/* --- apply: transaction -> tree ------------------------------------------------------------- */

/* A change that watchers may have to be told, in order. The ACLs are those that decide who may
 * see it (the node's own, as before a delete; the parent's for children-changed); retained
 * in the tree's ACL table until op_changes_clear. */
struct op_change {
    int32_t event_type;   /* MK_EVENT_NODE_CREATED, _DELETED, _DATA_CHANGED */
    struct mk_bytes path; /* borrowed from the transaction or the arena */
    uint32_t acl;
    uint32_t parent_acl;
};

struct op_changes {
    struct op_change *items;
    size_t count, capacity;
};

void op_changes_fini(struct op_changes *changes, struct acl_table *acls);
void op_changes_clear(struct op_changes *changes, struct acl_table *acls);

/* What the reply needs. */
struct op_result {
    int32_t error;
    int32_t type; /* transaction type of this part */
    struct mk_bytes path;
    struct mk_stat stat;     /* set where the answer shows it and error is 0 */
    struct op_result *parts; /* multi, in the arena */
    int32_t part_count;
    /* Set by the caller before op_write_reply, from op_prepare: the log does not tell create2
     * from create inside a multi, as Apache before 3.8.2 loses the nodes of a logged multi with
     * one. Null where nothing is known. */
    struct mk_bytes create2_parts;
};

struct op_apply {
    struct tree *tree;
    struct mk_arena *arena;
    struct op_changes *changes; /* NULL while the log is replayed */
    bool unwatched;             /* there is no watch at all: changes need not be noted */
    const struct view *view;    /* that prepared the transaction on this tree, or NULL */
};

/* Applies one transaction (header already read). Never fails on what replay may meet
 * (existing or missing nodes: storage reference 6.2). Returns MK_ERR_CORRUPT if the bytes
 * cannot be such a transaction (only possible while reading a log: ours are well-formed). */
int op_apply(struct op_apply *apply, const struct mk_txn_header *header, struct mk_reader *txn,
             struct op_result *result);
/* The reply record of a write request `op` with this result (nothing where there is none). For
 * a failed multi: the error list; the reply header's err stays 0 then. */
void op_write_reply(struct mk_buffer *reply, int32_t op, const struct op_result *result);

/* --- reads: tree -> reply --------------------------------------------------------------------- */

struct op_read {
    const struct tree *tree;
    const struct op_settings *settings;
    struct op_caller caller;
    struct mk_arena *arena;
    struct watch_table *watches; /* registrations and removals go here */
    uint32_t watcher;
    /* Out: events that setWatches must deliver to this watcher before its reply, if it may
     * read the node (`acl`; open for a missing one). Paths are borrowed from the request. */
    struct op_changes *events;
    size_t reply_bytes_max; /* of a list or a multiRead; 0: OP_REPLY_BYTES_MAX */
    /* Out: znodes and paths that were looked at one by one. With the bytes of the reply that is
     * what the read has cost. */
    uint64_t steps;
    /* Out: why a watch was refused (MK_ERR_BAD_ARGUMENTS; of setWatches, some may be set). */
    enum watch_refusal refusal;
    size_t length_max; /* op_read's own: where `reply` must end */
};

/* Bytes whose copying takes about as long as one of `steps`. */
#define OP_STEP_BYTES 128
/* Of one list: what a small request may make of long or many names. A multiRead names nodes many
 * times, and could as well be several requests. Where reply_bytes_max is more, it counts. */
#define OP_REPLY_BYTES_MAX ((size_t)64 << 20)
#define OP_MULTI_READ_BYTES_MAX ((size_t)16 << 20)

/* Answers exists, getData, getACL, getChildren, getChildren2, getEphemerals,
 * getAllChildrenNumber, multiRead, whoAmI, sync (echo), addWatch, removeWatches,
 * checkWatches, setWatches, setWatches2. Appends the reply record to `reply`; on an error
 * (returned, MK_ERR_*) whatever was appended is dropped by the caller. */
int op_read(struct op_read *read, int32_t op, struct mk_reader *request, struct mk_buffer *reply);
/* What this read would cost now, in bytes (OP_STEP_BYTES for a step): a guess, without walking
 * over anything but the request itself. */
uint64_t op_read_cost(const struct tree *tree, int32_t op, struct mk_reader *request);

#endif
