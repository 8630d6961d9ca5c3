/* SPDX-License-Identifier: MIT */
/* The tree plus the changes still in flight: what a request is validated against on its way
 * into the log (each write sees the effects of all that were accepted before it, committed
 * or not). Holds one record per changed path and zxid; a record goes when its transaction
 * is committed. Also knows the tree digest as it will be after the newest accepted change,
 * which goes into that transaction's TxnDigest (storage reference, sections 2 and 8). */
#ifndef OPS_VIEW_H
#define OPS_VIEW_H

#include "tree/tree.h"

struct view;

struct view_node {
    bool exists;
    uint32_t acl; /* number in tree_acls(tree); the view counts as a user of it */
    int32_t child_count;
    int32_t data_length;  /* as Stat shows it */
    uint32_t content_crc; /* view_content_crc of path and data */
    struct mk_stat_persisted stat;
    /* The view's own, to be kept when copying: its share of the tree digest, the hash of its path,
     * its znode (NULL when it is not in the tree yet). */
    uint64_t digest;
    uint64_t path_hash;
    struct znode *znode;
};

/* The same options as the tree's. The tree must outlive the view; neither frees the other. */
struct view *view_new(struct tree *tree, const struct tree_options *options);
void view_free(struct view *view);

/* The node as of the newest accepted change; the pointer is valid until the next view_ call.
 * `exists` is false for a node that is not there (never NULL). */
const struct view_node *view_find(struct view *view, struct mk_bytes path);

/* What view_node.content_crc holds for this content (0 while the tree keeps no digest). */
uint32_t view_content_crc(const struct view *view, struct mk_bytes path, struct mk_bytes data);

/* All changes between begin and accept carry this zxid, which is above all before it; reject
 * undoes them all. Nested marks are not needed: a multi is one begin. `node` is what
 * view_find gave for this path, changed. The path is copied. */
void view_begin(struct view *view, int64_t zxid);
void view_change(struct view *view, struct mk_bytes path, const struct view_node *node);
void view_accept(struct view *view);
void view_reject(struct view *view);

/* Before the oldest transaction in flight, `zxid`, is applied: what its first change knows of the
 * node at `path`. False if that is not what is changed first, or not in the tree. */
bool view_known(const struct view *view, int64_t zxid, struct mk_bytes path,
                struct tree_known *known);
/* The transaction `zxid` and all before it are applied to the tree. */
void view_committed(struct view *view, int64_t zxid);
/* The tree was or will be replaced (loaded): forget everything. */
void view_reset(struct view *view);
/* The digest of the tree once every accepted change is applied; 0 if it keeps none. */
uint64_t view_digest(const struct view *view);
/* Paths with a change in flight (metric outstanding_changes). */
uint64_t view_size(const struct view *view);

/* The ephemerals of a session that exist and have a change in flight, newest first. `paths` and
 * what it points to is in `arena`. */
void view_touched_ephemerals(const struct view *view, int64_t session_id, struct mk_arena *arena,
                             struct mk_bytes_vector *paths);
/* The open transaction closes the session: as of it, all its other ephemerals (those in the tree
 * that have no change in flight) are gone. They get no records; the view remembers the session
 * instead. `visit` is called for each of these, as long as it does not change the view; those that
 * have children (of a foreign snapshot) stay and are not visited. Once it is closing, there are
 * none. The Stat of their parents is the caller's to change, after this call. */
void view_close_session(struct view *view, int64_t session_id,
                        void (*visit)(void *context, struct mk_bytes path,
                                      const struct znode *node),
                        void *context);

#endif
