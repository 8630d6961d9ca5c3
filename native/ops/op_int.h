/* SPDX-License-Identifier: MIT */
/* What the files of this layer share: one family of operations per file, and the checks that
 * several of them make. Included by native/ops only. */
#ifndef OPS_OP_INT_H
#define OPS_OP_INT_H

#include "ops/op.h"

/* A part of a multi, decoded before any part is prepared. In the request's arena. */
struct op_multi_part;

static inline size_t op_record_bytes_max(const struct op_prepare *prepare)
{
    size_t max = prepare->settings->transaction_bytes_max;
    return max ? MK_MIN(max, OP_TRANSACTION_BYTES_MAX) : OP_TRANSACTION_BYTES_MAX;
}

/* Of a tree so small that the processor's caches hold it, nothing is fetched ahead. */
#define OP_FETCH_ZNODES_MIN 50000
/* Of a path to create. Closing a session lists the paths of all its ephemerals: with paths as long
 * as a frame, a few thousand of them would outgrow the memory of any machine. */
#define OP_PATH_BYTES_MAX 16384

/* A decoded write request; which member holds it follows from the opcode. */
struct op_request {
    int32_t op;
    bool is_create2; /* a part of a multi; `op` is create */
    union {
        struct mk_create_ttl_request create;  /* ttl is -1 unless the op is createTTL */
        struct mk_delete_request delete_node; /* deleteContainer: version -1 */
        struct mk_set_data_request set_data;
        struct mk_set_acl_request set_acl;
        struct mk_check_version_request check;
        struct mk_reconfig_request reconfig;
        struct op_multi_part *parts; /* multi: the first; NULL for an empty one */
    };
};

/* What a family can do; NULL where it has no such half. */
struct op_family {
    /* `op` is set in the request; an error is left in the reader. */
    void (*decode)(struct mk_reader *reader, struct op_request *request);
    /* Between view_begin and view_accept or view_reject. Checks everything before it changes
     * the view or appends to `txn`, so an error leaves both as they were. MK_ERR_MARSHALLING
     * stands for what makes Apache fail while it executes (a null path): in a multi it is the
     * answer to the whole request. */
    int (*prepare)(struct op_prepare *prepare, const struct op_request *request,
                   struct mk_buffer *txn, int32_t *txn_type);
    int (*apply)(struct op_apply *apply, const struct mk_txn_header *header, struct mk_reader *txn,
                 struct op_result *result);
    void (*reply)(struct mk_buffer *reply, const struct op_result *result);
    int (*read)(struct op_read *read, int32_t op, struct mk_reader *request,
                struct mk_buffer *reply);
};

extern const struct op_family op_family_create, op_family_delete, op_family_set_data,
    op_family_set_acl, op_family_get_acl, op_family_check, op_family_multi, op_family_reconfig,
    op_family_error, op_family_create_session, op_family_close_session, op_family_exists,
    op_family_get_data, op_family_children, op_family_descendants, op_family_ephemerals,
    op_family_multi_read, op_family_add_watch, op_family_check_watches, op_family_set_watches,
    op_family_who_am_i, op_family_sync, op_family_ping, op_family_connection;

/* The family of an opcode; NULL when there is no such opcode. */
const struct op_family *op_family_of(int32_t op);

static inline bool op_is_ttl_mode(int32_t flags)
{
    return flags == MK_CREATE_PERSISTENT_WITH_TTL ||
           flags == MK_CREATE_PERSISTENT_SEQUENTIAL_WITH_TTL;
}

/* True if the list `acl` (a number) grants one of `permissions` to the caller. */
bool op_permits(const struct tree *tree, const struct op_settings *settings,
                const struct op_caller *caller, uint32_t acl, int32_t permissions);

/* The list that is stored for the one that was asked for: duplicates removed, every entry
 * checked, scheme "auth" replaced by the caller's identities (client-protocol reference,
 * 8.5). In the arena. 0, MK_ERR_INVALID_ACL or MK_ERR_MARSHALLING. */
int op_fixup_acl(const struct mk_acl_vector *wanted, const struct mk_id_vector *identities,
                 struct mk_arena *arena, struct mk_acl_vector *stored);

/* Quotas against the committed usage (client-protocol reference, section 9): 0, or, where they are
 * enforced, MK_ERR_QUOTA_EXCEEDED, and MK_ERR_MARSHALLING when the limits cannot be parsed. Adds
 * to prepare->excess. */
int op_check_quota(struct op_prepare *prepare, struct mk_bytes path, int64_t count_more,
                   int64_t bytes_more);

/* What was prepared is not done: writes beyond a soft limit were none. */
void op_quota_rejected(struct op_prepare *prepare);

/* 0 and the version after `current`, or MK_ERR_BAD_VERSION. -1 is never a version: as an
 * expectation it means any (3.9 and later skip it, ZOOKEEPER-4743). */
int op_next_version(int32_t current, int32_t expected, int32_t *next);

/* The node goes and its parent learns of it, in the view. */
void op_view_delete(struct op_prepare *prepare, struct mk_bytes path);
/* What deleting so many of its children does to a parent. */
void op_view_children_gone(struct op_prepare *prepare, struct mk_bytes parent_path, int32_t count);

/* Notes a change for the watchers; nothing while the log is replayed. */
void op_change_add(struct op_apply *apply, int32_t event_type, struct mk_bytes path, uint32_t acl,
                   uint32_t parent_acl);
/* One event for the caller alone (setWatches). */
void op_event_add(struct op_changes *events, struct acl_table *acls, int32_t event_type,
                  struct mk_bytes path, uint32_t acl);

/* Deletes a node and notes the change: 0, MK_ERR_NO_NODE or MK_ERR_NOT_EMPTY. */
int op_delete_node(struct op_apply *apply, struct mk_bytes path, int64_t zxid);

/* Decodes, and if that works prepares, one write inside an open view. */
int op_prepare_request(struct op_prepare *prepare, const struct op_request *request,
                       struct mk_buffer *txn, int32_t *txn_type);
/* Applies one transaction record of header->type; used for parts of a multi too. */
int op_apply_record(struct op_apply *apply, const struct mk_txn_header *header,
                    struct mk_reader *txn, struct op_result *result);

/* Reply helpers. */
void op_reply_stat(struct mk_buffer *reply, const struct op_result *result);
void op_reply_path(struct mk_buffer *reply, const struct op_result *result);
void op_reply_path_stat(struct mk_buffer *reply, const struct op_result *result);

/* Watches the path for the caller: 0, or MK_ERR_BAD_ARGUMENTS when its watches, or all, have no
 * room for one more (the protocol knows no such case; a client takes it for an answer, and does
 * not believe that it watches). */
int op_read_watch(struct op_read *read, struct mk_bytes path, enum watch_mode mode);

/* A read of getData or getChildren for one path, without watch; shared with multiRead. */
int op_read_data(struct op_read *read, struct mk_bytes path, bool watch, struct mk_buffer *reply);
int op_read_children(struct op_read *read, struct mk_bytes path, bool watch, bool with_stat,
                     struct mk_buffer *reply);
#define OP_CHILD_BYTES_MIN 5 /* of a child's name in a reply */
/* The next part of a multiRead. False at the end and at what is none (then the reader holds an
 * error). */
bool op_multi_read_next(struct mk_reader *reader, int32_t *type, struct mk_bytes *path);

/* True if `more` bytes would make the reply too long: then nothing is copied. */
static inline bool op_read_is_full(const struct op_read *read, const struct mk_buffer *reply,
                                   size_t more)
{
    return reply->length > read->length_max || more > read->length_max - reply->length;
}

/* The node if it is there and the caller may read it: 0, MK_ERR_MARSHALLING (null path),
 * MK_ERR_NO_NODE or MK_ERR_NO_AUTH. */
int op_read_find(const struct op_read *read, struct mk_bytes path, int32_t permissions,
                 const struct znode **node);

#endif
