/* SPDX-License-Identifier: MIT */
/* What the files of the tree share: how a znode lies in memory. Included by native/tree/ only.
 *
 * A znode is a header of 72 bytes in a slab, one block with its name and data, and, only if it
 * has or had children, an owner or an ACL version, an extra record. A persistent leaf with 100
 * bytes of data and a name of 10 thus takes 72 + 112 bytes and about 12 in the index. */
#ifndef TREE_TREE_INT_H
#define TREE_TREE_INT_H

#include "base/hash.h"
#include "tree/block.h"
#include "tree/index.h"
#include "tree/recall.h"
#include "tree/slab.h"
#include "tree/table.h"
#include "tree/tree.h"

/* Numbers are slab numbers; 0 is none. */
struct znode {
    uint32_t parent;     /* also the slab's free link */
    int32_t data_length; /* -1: null */
    uint8_t *block;      /* length of the name (1 byte, or 255 and 4 more), name, data */
    uint32_t extra;
    uint32_t acl;
    int64_t czxid;
    int64_t mzxid;
    int64_t ctime;
    int64_t mtime;
    int32_t version;
    uint32_t content_crc;
    uint32_t next; /* siblings; a new child goes to the front */
    uint32_t previous;
};

/* A node without this has pzxid = czxid and 0 in all else. */
struct znode_extra {
    uint32_t first_child; /* also the slab's free link */
    uint32_t child_count;
    uint32_t descendant_count;
    int32_t cversion; /* children ever created */
    int32_t aversion;
    /* Links of the session's ephemerals, or of the tree's containers and TTL nodes. */
    uint32_t owned_next;
    uint32_t owned_previous;
    uint32_t unused;
    int64_t pzxid;
    int64_t owner;            /* as stored */
    uint64_t descendant_data; /* bytes of data of all descendants */
};

/* A session, or the owner of ephemerals whose session is gone. */
struct session {
    uint32_t hash_next; /* also the slab's free link */
    uint32_t first;     /* newest ephemeral */
    uint32_t ephemeral_count;
    int32_t timeout_ms;
    int64_t session_id;
    uint32_t hash;
    uint32_t alive;
};

struct tree {
    struct tree_options options;
    struct slab nodes;
    struct slab extras;
    struct slab sessions;
    struct index index; /* by parent number and name */
    struct table session_table;
    struct block_heap blocks;
    struct acl_table *acls;
    uint32_t root;
    uint32_t quota;           /* /zookeeper/quota, 0 when it is missing */
    uint32_t expirable_first; /* containers and TTL nodes */
    uint64_t digest;
    uint64_t data_size;
    uint64_t session_count;
    uint64_t ephemeral_count;
    uint64_t owner_count; /* sessions with ephemerals */
    uint64_t dangling_acls;
    struct tree_snapshot *snapshot; /* the walk that goes on, or NULL */
    struct tree_owner_walk *walks;  /* that go on */
    struct recall *recall;
};

/* --- slabs, names ------------------------------------------------------------------------ */

static inline struct znode *node_at(const struct tree *tree, uint32_t number)
{
    return (struct znode *)(void *)tree->nodes.pages[number >> SLAB_PAGE_SHIFT] +
           (number & (SLAB_PAGE_ITEMS - 1));
}

static inline struct znode_extra *extra_at(const struct tree *tree, uint32_t number)
{
    return (struct znode_extra *)(void *)tree->extras.pages[number >> SLAB_PAGE_SHIFT] +
           (number & (SLAB_PAGE_ITEMS - 1));
}

/* NULL when the node has none. */
static inline struct znode_extra *extra_of(const struct tree *tree, const struct znode *node)
{
    return node->extra ? extra_at(tree, node->extra) : NULL;
}

#define NAME_LENGTH_LONG 255u

/* Bytes of the block in front of the name. */
static inline uint32_t name_offset(size_t name_length)
{
    return name_length < NAME_LENGTH_LONG ? 1 : 5;
}

static inline struct mk_bytes node_name(const struct znode *node)
{
    uint32_t length = node->block[0];
    if (MK_LIKELY(length < NAME_LENGTH_LONG))
        return (struct mk_bytes){node->block + 1, (int32_t)length};
    return (struct mk_bytes){node->block + 5, (int32_t)mk_load_u32(node->block + 1)};
}

static inline size_t node_data_size(const struct znode *node)
{
    return node->data_length > 0 ? (size_t)node->data_length : 0;
}

static inline size_t node_block_size(size_t name_length, size_t data_size)
{
    return name_offset(name_length) + name_length + data_size;
}

/* The extra record, made if missing. */
struct znode_extra *node_need_extra(struct tree *tree, struct znode *node);

/* --- look-up (tree.c) -------------------------------------------------------------------- */

/* Number of the child of this name, or 0. */
uint32_t node_find_child(const struct tree *tree, uint32_t parent, struct mk_bytes name);
/* Number of the node of this path, or 0. */
uint32_t node_find(const struct tree *tree, struct mk_bytes path);
/* Number of the node that is, or would be, the parent of this path, or 0. None for "//a": the
 * node "a" of the root has another path. */
uint32_t node_find_parent(const struct tree *tree, struct mk_bytes path);
uint32_t node_index_hash(const void *context, uint32_t number);
void tree_init_empty(struct tree *tree);
void tree_fini_all(struct tree *tree);

static inline uint32_t node_hash(const struct tree *tree, uint32_t parent, struct mk_bytes name)
{
    return (uint32_t)mk_hash_data(name.data, mk_bytes_size(name),
                                  tree->options.hash_seed + parent * 0x9e3779b97f4a7c15u);
}

/* --- change (tree_change.c) -------------------------------------------------------------- */

struct node_fields {
    struct mk_bytes path;
    struct mk_bytes data;
    uint32_t acl; /* not retained */
    struct mk_stat_persisted stat;
};

/* Makes a node below `parent` (0: the root), links it everywhere and adds its digest. Does not
 * touch the parent's Stat. The path and its absence have been checked. */
uint32_t node_insert(struct tree *tree, uint32_t parent, const struct node_fields *fields);
/* The opposite, for a node without children. */
void node_remove(struct tree *tree, uint32_t number, struct mk_bytes path);
/* New data, sums included; nothing of the Stat but its length changes. The digest and the CRC are
 * left to the caller. */
void node_replace_data(struct tree *tree, struct znode *node, struct mk_bytes data);

/* --- digest (digest.c) ------------------------------------------------------------------- */

uint32_t digest_content(const struct tree *tree, struct mk_bytes path, struct mk_bytes data);
/* The node's part of the digest. Bracket a change with these two. */
void digest_subtract(struct tree *tree, const struct znode *node, struct mk_bytes path);
void digest_add(struct tree *tree, const struct znode *node, struct mk_bytes path);

/* --- owners (session.c) ------------------------------------------------------------------ */

/* Enters a node whose extra has its owner into the list of the owner, and takes it out. */
void owner_link(struct tree *tree, uint32_t number);
void owner_unlink(struct tree *tree, uint32_t number);
/* owner_walk.c: no walk may stand on a node that is about to leave its owner's list. */
void owner_walks_leave(struct tree *tree, uint32_t number);
void owner_walks_end(struct tree *tree);
uint32_t tree_session_number(const struct tree *tree, int64_t session_id);

static inline struct session *session_at(const struct tree *tree, uint32_t number)
{
    return slab_at(&tree->sessions, number);
}

/* --- quotas (quota.c) -------------------------------------------------------------------- */

/* Slow path of quota_update. */
void quota_rewrite(struct tree *tree, struct mk_bytes path);
/* After a node was created: a stats node gets its text at once, whatever data came with it. */
void quota_created(struct tree *tree, struct mk_bytes path);

/* After data or children at `path` changed: brings the stats nodes up to date. */
static inline void quota_update(struct tree *tree, struct mk_bytes path)
{
    if (MK_UNLIKELY(tree->quota != 0)) {
        const struct znode_extra *extra = extra_of(tree, node_at(tree, tree->quota));
        if (MK_UNLIKELY(extra && extra->child_count > 0))
            quota_rewrite(tree, path);
    }
}

/* --- snapshots (snapshot.c) -------------------------------------------------------------- */

/* This node is about to go; moves the cursor if it stands there. */
void snapshot_node_leaves(struct tree_snapshot *snapshot, uint32_t number);
/* This node is about to get another ACL. */
void snapshot_acl_changes(struct tree_snapshot *snapshot, uint32_t number, uint32_t new_acl);

#endif
