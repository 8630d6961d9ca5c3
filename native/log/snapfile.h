/* SPDX-License-Identifier: MIT */
/* Snapshot files: the file around a snapshot's body. Writer: snapshot.<hex>.tmp, body bytes,
 * seals, fsync, rename, directory sync, read back. Reader: plain, .gz, .snappy, all seals
 * checked. The body (sessions, ACL map, nodes, closing "/") is opaque here: whoever decodes it
 * says where it ends. Called by the snapshot worker (writer), by recovery and the checker. */
#ifndef LOG_SNAPFILE_H
#define LOG_SNAPFILE_H

#include "log/store.h"

#define SNAPFILE_RECEIVED_NAME "moonkeeper.received.tmp"

/* What stands behind the body. */
struct snapfile_seal {
    bool has_digest;
    int64_t digest_zxid;    /* last transaction applied when the walk ended; 0: none */
    int32_t digest_version; /* 2 */
    uint64_t digest;
    bool has_last_zxid; /* the section that 3.9 added */
    int64_t last_zxid;
};

/* --- writing ---------------------------------------------------------------------------------- */

struct snapfile_writer;

/* Creates snapshot.<hex zxid>.tmp (an old one is removed) and writes the file header. */
int snapfile_begin(struct store *snapshots, int64_t zxid, struct snapfile_writer **writer,
                   struct log_error *error);
int snapfile_write(struct snapfile_writer *writer, const void *body, size_t size,
                   struct log_error *error);
/* Seals, syncs, reads everything back through the device's file and compares checksums, renames
 * to the final name, syncs the directory. On success or failure the writer is gone. A file of
 * the same zxid is replaced. */
int snapfile_finish(struct snapfile_writer *writer, const struct snapfile_seal *seal,
                    uint64_t *file_bytes, struct log_error *error);
/* Likewise for a snapshot that comes from a leader, whose zxid is given later: it lies under the
 * name SNAPFILE_RECEIVED_NAME, complete, durable and read back when snapfile_finish returns 0, and
 * counts for nothing until log_install_snapshot (cut.h). Recovery removes it. */
int snapfile_begin_received(struct store *snapshots, struct snapfile_writer **writer,
                            struct log_error *error);
/* Gives up: removes the unfinished file. `writer` may be NULL. */
void snapfile_abort(struct snapfile_writer *writer);

/* --- reading ---------------------------------------------------------------------------------- */

/* Takes body bytes. Consumes what is complete in `data` (*consumed; the rest comes again with more
 * behind it). Returns 1 at the end of the body (the closing "/" consumed), 0 for more, negative
 * with *reason (a literal) when this cannot be a snapshot. Same shape as tree_loader_feed. */
typedef int snapfile_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                          const char **reason);

struct snapfile_info {
    int64_t zxid; /* from the name */
    struct snapfile_seal seal;
    uint64_t body_bytes; /* uncompressed */
    uint64_t file_bytes;
};

/* Largest item of a body (one node with its data) that the reader buffers. */
#define SNAPFILE_ITEM_BYTES_MAX (256u << 20)

/* Reads the whole file. MK_ERR_CORRUPT: damaged (`error` says where, in uncompressed bytes);
 * MK_ERR_IO and others as the store gives them. */
int snapfile_read(struct store *snapshots, const char *name, snapfile_body *body, void *context,
                  struct snapfile_info *info, struct log_error *error);
/* Walks the structure without a tree: counts and checks every record. For checks. */
struct snapfile_walk {
    uint64_t sessions, acls, nodes, data_bytes;
    /* private: */
    int state;
    int64_t left;
};
void snapfile_walk_init(struct snapfile_walk *walk);
int snapfile_walk_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                       const char **reason);
/* The last transaction that the sections behind the body say the snapshot may contain: Apache
 * writes while transactions are applied, so it may lie beyond the name. 1: *zxid, 0: they do not
 * say, or the file is no whole snapshot, negative: could not read. Of plain files only the end is
 * read, and no checksum. */
int snapfile_reach(struct store *snapshots, const char *name, int64_t *zxid,
                   struct log_error *error);
/* The quick test of Apache's candidates (plain: at least 10 bytes, ends in 00 00 00 01 2f;
 * gz and snappy: magic). 1 looks valid, 0 does not, negative: could not read. */
int snapfile_looks_valid(struct store *snapshots, const char *name, struct log_error *error);

#endif
