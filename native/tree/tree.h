/* SPDX-License-Identifier: MIT */
/* The public door of the znode tree: look-up, what a znode tells, and the primitives that
 * applying a transaction uses. Pure: no I/O, no clock, no randomness; one owner, one
 * thread. Memory per znode is the design goal: a million znodes with 100 bytes of data cost
 * at most 220 bytes of resident memory each (headers in slabs addressed by 32-bit numbers,
 * name and data in one block of a size class, look-up by (parent, name) in a linear-hashing
 * table that never stops the world to grow).
 *
 * Effects of each transaction: storage reference, sections 3.1 and 6.2 (idempotent replay);
 * Stat: client-protocol reference, section 4.5; digest: storage reference, section 8. */
#ifndef TREE_TREE_H
#define TREE_TREE_H

#include "tree/acl.h"
#include "wire/records.gen.h"

/* ephemeralOwner as stored (client-protocol reference, 4.6). */
#define TREE_OWNER_CONTAINER INT64_MIN
#define TREE_OWNER_TTL_MASK ((int64_t)0xff00000000000000)
#define TREE_TTL_MS_MAX INT64_C(0xffffffffff)

enum znode_kind { ZNODE_PERSISTENT, ZNODE_EPHEMERAL, ZNODE_CONTAINER, ZNODE_TTL };

struct tree;
/* A znode borrowed from its tree: valid until the tree changes. */
struct znode;

struct tree_options {
    uint64_t hash_seed;
    bool digest_enabled;
};

/* A fresh tree as a fresh Apache server has it: "/", /zookeeper, /zookeeper/quota (open list
 * ACL_OPEN_UNSAFE) and /zookeeper/config (world:anyone:1, aversion -1), all else 0. */
struct tree *tree_new(const struct tree_options *options);
void tree_free(struct tree *tree);

/* --- look-up ----------------------------------------------------------------------------- */

/* NULL when there is none. "" and "/" are the root. No syntax check: "foo" finds nothing. */
struct znode *tree_find(const struct tree *tree, struct mk_bytes path);
struct znode *tree_root(const struct tree *tree);
/* Has what looking up these paths (at most TREE_PREFETCH_MAX) takes fetched into the processor's
 * caches, the misses of all of them at once. A hint: it tells and changes nothing. */
#define TREE_PREFETCH_MAX 16
void tree_prefetch(const struct tree *tree, const struct mk_bytes *paths, size_t count);
/* Children in no order; NULL at the end. */
struct znode *tree_first_child(const struct tree *tree, const struct znode *node);
struct znode *tree_next_sibling(const struct tree *tree, const struct znode *node);
struct znode *tree_parent(const struct tree *tree, const struct znode *node); /* root: NULL */
/* Appends the full path ("/" for the root). */
void tree_append_path(const struct tree *tree, const struct znode *node, struct mk_buffer *path);

struct mk_bytes znode_name(const struct znode *node);
struct mk_bytes znode_data(const struct znode *node); /* length -1 when null */
int32_t tree_child_count(const struct tree *tree, const struct znode *node);
/* As a client sees it: cversion = 2 * creates - children, owner 0 unless ephemeral. */
void tree_stat(const struct tree *tree, const struct znode *node, struct mk_stat *stat);
/* As snapshots store it: cversion is the count of creates, owner as stored. */
void tree_stat_persisted(const struct tree *tree, const struct znode *node,
                         struct mk_stat_persisted *stat);
uint32_t znode_acl(const struct znode *node); /* number in tree_acls(); see acl.h */
int64_t tree_owner(const struct tree *tree, const struct znode *node); /* as stored */
enum znode_kind tree_kind(int64_t owner);
/* CRC-32 over path (of the root: empty) and data: the part of the node digest that a change of
 * Stat leaves alone. 0 when digests are off. */
uint32_t znode_content_crc(const struct znode *node);
/* The digest of a node with this content and Stat. `path_counts` is false for paths below
 * /zookeeper/, whose digest is 0 (tree_digest_counts tells). */
uint64_t tree_node_digest(uint32_t content_crc, const struct mk_stat_persisted *stat);
bool tree_digest_counts(struct mk_bytes path);

struct acl_table *tree_acls(const struct tree *tree);
uint64_t tree_digest(const struct tree *tree);
/* The root once. (Apache's map has it under "" and "/" and counts it twice.) */
uint64_t tree_node_count(const struct tree *tree);
/* Bytes of all paths and data, as Apache's approximate_data_size counts them: 44 when fresh. */
uint64_t tree_data_size(const struct tree *tree);
/* Descendants of a node (getAllChildrenNumber), itself not counted; O(1). */
uint64_t tree_descendant_count(const struct tree *tree, const struct znode *node);

/* --- what a transaction does ------------------------------------------------------------- */

struct tree_create {
    struct mk_bytes path; /* "/a/b" */
    struct mk_bytes data;
    uint32_t acl;            /* the tree retains it */
    int64_t owner;           /* as stored; an ephemeral is entered under its session */
    int32_t parent_cversion; /* the parent's new count of creates; -1: one more than now */
    int64_t zxid;
    int64_t time_ms;
};

/* 0, or (without effect but what idempotent replay asks: storage reference 6.2 rule 2)
 * MK_ERR_NODE_EXISTS, MK_ERR_NO_NODE (no parent). */
int tree_create(struct tree *tree, const struct tree_create *create);
/* 0, MK_ERR_NO_NODE, MK_ERR_NOT_EMPTY. The parent's pzxid rises in any case (6.2 rule 4). */
int tree_delete(struct tree *tree, struct mk_bytes path, int64_t zxid);
/* 0 or MK_ERR_NO_NODE. */
int tree_set_data(struct tree *tree, struct mk_bytes path, struct mk_bytes data, int32_t version,
                  int64_t zxid, int64_t time_ms);
/* What whoever prepared a setData on this very tree knows of it, so that it is neither looked up
 * nor hashed twice. */
struct tree_known {
    struct znode *node;     /* the one at the path */
    uint32_t content_crc;   /* of the path and the new data; 0 if the tree keeps no digest */
    uint64_t digest_before; /* the node's share of the tree digest */
    uint64_t digest_after;
};

/* tree_set_data without a look-up; the node has the path. */
void tree_set_data_known(struct tree *tree, struct mk_bytes path, struct mk_bytes data,
                         int32_t version, int64_t zxid, int64_t time_ms,
                         const struct tree_known *known);
int tree_set_acl(struct tree *tree, struct mk_bytes path, uint32_t acl, int32_t version);

/* --- sessions: replicated with the tree -------------------------------------------------- */

void tree_session_add(struct tree *tree, int64_t session_id, int32_t timeout_ms);
void tree_session_remove(struct tree *tree, int64_t session_id);
/* False when there is no such session. */
bool tree_session_find(const struct tree *tree, int64_t session_id, int32_t *timeout_ms);
uint64_t tree_session_count(const struct tree *tree);
/* In ascending order of id. */
void tree_session_visit(const struct tree *tree,
                        void (*visit)(void *context, int64_t session_id, int32_t timeout_ms),
                        void *context);
/* A hint: this path is probably that of the newest ephemeral of the session, and comes next. */
void tree_expect_ephemeral(struct tree *tree, int64_t session_id, struct mk_bytes path);
/* The ephemerals of a session, newest first; O(their number). The tree must not change
 * while they are visited. */
void tree_ephemeral_visit(const struct tree *tree, int64_t session_id,
                          void (*visit)(void *context, const struct znode *node), void *context);
uint64_t tree_ephemeral_count(const struct tree *tree); /* all sessions */
uint64_t tree_ephemeral_owner_count(const struct tree *tree);
/* Every session (alive or not) that owns ephemerals, in ascending order of id. */
void tree_ephemeral_owner_visit(const struct tree *tree,
                                void (*visit)(void *context, int64_t session_id), void *context);

/* Lists in slices, between which the tree may change. Sessions by number, from 1 to below
 * tree_session_end: one that is there all the time keeps its number. False when that one is
 * nobody's now. */
uint32_t tree_session_end(const struct tree *tree);
bool tree_session_at(const struct tree *tree, uint32_t number, int64_t *session_id);

/* A walk over the ephemerals of all sessions, those of one session together: each that is there
 * from begin to end is visited once, one that comes or goes meanwhile if it is there then. */
struct tree_owner_walk {
    struct tree *tree;            /* NULL: not begun, or ended */
    uint32_t at, end;             /* number of the session at hand; the first not to look at */
    uint32_t node;                /* its next ephemeral */
    struct tree_owner_walk *next; /* of those that go on in this tree */
};

void tree_owner_walk_begin(struct tree_owner_walk *walk, struct tree *tree);
/* At most `steps_max` sessions and ephemerals. False when that was all: the walk has ended. The
 * callback must not change the tree. */
bool tree_owner_walk_next(struct tree_owner_walk *walk, uint32_t steps_max,
                          void (*visit)(void *context, int64_t session_id,
                                        const struct znode *node),
                          void *context);
/* A second end does nothing; freeing or replacing the tree ends all. */
void tree_owner_walk_end(struct tree_owner_walk *walk);

/* --- containers and TTL nodes ------------------------------------------------------------ */

/* Every container and TTL node; O(their number), not of all znodes. */
void tree_expirable_visit(const struct tree *tree,
                          void (*visit)(void *context, const struct znode *node), void *context);

/* --- quotas (client-protocol reference, section 9) --------------------------------------- */

struct tree_quota { /* -1: unlimited */
    int64_t count, bytes, count_hard, bytes_hard;
};

/* The longest prefix of `path` that has limits (never "/"), borrowed from `path`. Returns false
 * when there is none. `used_*` is the committed usage of that prefix, itself counted; *valid is
 * false when the limit text does not parse (writes below it then fail). Without a stats node
 * nothing is enforced, as in Apache: all limits read as -1. Costs nothing while there are no
 * quotas; usage is kept as sums per subtree, so it is always exact. */
bool tree_quota_find(const struct tree *tree, struct mk_bytes path, struct mk_bytes *prefix,
                     struct tree_quota *quota, int64_t *used_count, int64_t *used_bytes,
                     bool *valid);
/* What the quotas below one top-level znode add up to. A hard limit counts, or the soft one where
 * there is none; -1: there is no limit, or nothing keeps account of what is used. One quota below
 * another counts twice. As in Apache (QuotaMetricsUtils), for its figures. */
struct tree_quota_sum {
    struct mk_bytes name; /* of the top-level znode, in the tree */
    int64_t count_limit, bytes_limit;
    int64_t count_used, bytes_used;
};

/* Each top-level znode with quotas, which need not exist itself. False if the walk ended after
 * `nodes_max` znodes of /zookeeper/quota, before it was through. */
bool tree_quota_sums(const struct tree *tree, uint32_t nodes_max,
                     void (*visit)(void *context, const struct tree_quota_sum *sum), void *context);

/* After a snapshot was loaded, before or after the log is replayed: rewrites the stats nodes below
 * /zookeeper/quota, and makes the system nodes that an old snapshot may lack. */
void tree_load_finish(struct tree *tree);
/* Checks every invariant (links, counts, digest, table); MK_ASSERTs. For tests and the
 * simulator: O(znodes). */
void tree_check(const struct tree *tree);

#endif
