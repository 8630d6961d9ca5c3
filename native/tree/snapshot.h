/* SPDX-License-Identifier: MIT */
/* The body of a snapshot: sessions, ACL map, nodes (parent before child), the closing "/".
 * Written in slices between events while the tree goes on changing (fuzzy, as the format
 * allows: replaying the log from the snapshot's zxid converges), read back from any slicing
 * of the bytes. The file around it (header, checksums, digest section) is log/snapfile.h.
 * Format: storage reference, sections 5 and 6. */
#ifndef TREE_SNAPSHOT_H
#define TREE_SNAPSHOT_H

#include "tree/tree.h"

struct tree_snapshot;

/* Begins a walk; at most one per tree at a time. Sessions and ACL map are those of now.
 * Nodes created after `zxid` are left out: the log has them. A node that is deleted under
 * the cursor moves the cursor on (the tree does that). */
struct tree_snapshot *tree_snapshot_begin(struct tree *tree, int64_t zxid);
/* Appends about `bytes_max` bytes (at least one item). True when the body is complete. */
bool tree_snapshot_step(struct tree_snapshot *snapshot, struct mk_buffer *body, size_t bytes_max);
/* Ends the walk, complete or not. */
void tree_snapshot_end(struct tree_snapshot *snapshot);

struct tree_loader;

/* Longest path or data that a loader believes: far above any jute.maxbuffer in use. */
#define TREE_LOADER_STRING_BYTES_MAX (INT32_C(64) << 20)

/* Loads into a tree that tree_loader_begin empties first (no node at all, no session). */
struct tree_loader *tree_loader_begin(struct tree *tree);
/* Takes what is complete in `data`; *consumed says how much (the caller keeps the rest and
 * gives it again with more behind it). Returns 1 when the closing "/" was read, 0 for more,
 * MK_ERR_CORRUPT with *reason (a literal) when the bytes cannot be a snapshot body (also a
 * node without parent, a node twice, or a string longer than TREE_LOADER_STRING_BYTES_MAX). */
int tree_loader_feed(struct tree_loader *loader, const uint8_t *data, size_t size, size_t *consumed,
                     const char **reason);
/* Ends loading; the tree then is usable only if feed returned 1 (else it may be loaded again or
 * freed). Then come tree_load_finish and the replay of the log. Dangling ACL references are
 * left for replay to mend; tree_dangling_acls counts the nodes that have one now. */
void tree_loader_end(struct tree_loader *loader);
uint64_t tree_dangling_acls(const struct tree *tree);

#endif
