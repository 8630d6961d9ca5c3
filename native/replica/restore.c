/* SPDX-License-Identifier: MIT */
/* Rebuilding the state from a snapshot and the log behind it, before the first step. Called by
 * whoever runs log/recover.h with these as its callbacks. Replay converges over a fuzzy
 * snapshot (storage reference, section 6.2); digests are compared from the zxid on at which
 * the snapshot's digest was taken. */
#include "replica/replica_int.h"

#define NOT_COMPARING 0
#define COMPARING (-1)

void replica_restore_reset(struct replica *replica)
{
    if (replica->loader)
        tree_loader_end(replica->loader);
    replica->loader = NULL;
    replica_tree_fini(replica);
    replica_tree_init(replica);
    replica->last_zxid = replica->last_proposed_zxid = 0;
    replica->restore_digest_zxid = NOT_COMPARING;
}

int replica_restore_body(struct replica *replica, const uint8_t *data, size_t size,
                         size_t *consumed, const char **reason)
{
    if (!replica->loader)
        replica->loader = tree_loader_begin(replica->tree);
    return tree_loader_feed(replica->loader, data, size, consumed, reason);
}

static int compare_digest(struct replica *replica, int64_t zxid, uint64_t expected,
                          const char **reason)
{
    uint64_t digest = tree_digest(replica->tree);
    if (digest == expected)
        return 0;
    replica_log(replica, MK_LEVEL_ERROR, "tree digest at zxid 0x%llx is %llu, the file says %llu",
                (unsigned long long)zxid, (unsigned long long)digest, (unsigned long long)expected);
    *reason = "the tree that the files describe has another digest than they say";
    return MK_ERR_CORRUPT;
}

int replica_restore_snapshot_done(struct replica *replica, int64_t zxid, int64_t digest_zxid,
                                  uint64_t digest, const char **reason)
{
    MK_ASSERT(replica->loader != NULL);
    tree_loader_end(replica->loader);
    replica->loader = NULL;
    tree_load_finish(replica->tree);
    view_reset(replica->view);
    replica->last_zxid = replica->last_proposed_zxid = zxid;
    replica->restore_digest_zxid = NOT_COMPARING;
    if (!replica->options.tree_digest_enabled || digest_zxid == 0 || digest_zxid < zxid)
        return 0;
    if (digest_zxid > zxid) {
        replica->restore_digest_zxid = digest_zxid;
        replica->restore_digest = digest;
        return 0;
    }
    replica->restore_digest_zxid = COMPARING;
    return compare_digest(replica, zxid, digest, reason);
}

void commit_compare_digest(struct replica *replica, int64_t zxid, struct mk_reader *reader)
{
    if (!replica->options.tree_digest_enabled || !replica->ensemble->serving ||
        mk_reader_left(reader) < MK_TXN_DIGEST_BYTES)
        return;
    struct mk_txn_digest digest;
    mk_txn_digest_read(reader, &digest);
    uint64_t own = tree_digest(replica->tree);
    if (digest.version != 2 || (uint64_t)digest.tree_digest == own)
        return;
    replica_complain(replica, COMPLAINT_DIGEST,
                     "at zxid 0x%llx the tree has the digest %llu here and %llu on the leader: "
                     "this server's data differ; stop it, empty its data directory (and create a "
                     "file `initialize` there) and let it be synchronized again",
                     (unsigned long long)zxid, (unsigned long long)own,
                     (unsigned long long)digest.tree_digest);
}

int replica_restore_transaction(struct replica *replica, const uint8_t *data, size_t size,
                                const char **reason)
{
    struct mk_reader reader;
    struct mk_txn_header header;
    struct op_result result;
    memset(&result, 0, sizeof result);
    mk_reader_init(&reader, data, size, &replica->arena);
    mk_txn_header_read(&reader, &header);
    struct op_apply apply = {.tree = replica->tree, .arena = &replica->arena};
    int error = reader.error ? reader.error : op_apply(&apply, &header, &reader, &result);
    if (error) {
        *reason = "the bytes are not a transaction that this version knows";
        mk_arena_reset(&replica->arena);
        return MK_ERR_CORRUPT;
    }
    replica->last_zxid = replica->last_proposed_zxid = header.zxid;
    ensemble_restored(replica, header.zxid, mk_bytes_of(data, size));
    if (replica->restore_digest_zxid == header.zxid) {
        replica->restore_digest_zxid = COMPARING;
        error = compare_digest(replica, header.zxid, replica->restore_digest, reason);
    }
    if (!error && replica->restore_digest_zxid == COMPARING && header.type != MK_OP_ERROR &&
        mk_reader_left(&reader) >= MK_TXN_DIGEST_BYTES) {
        struct mk_txn_digest digest;
        mk_txn_digest_read(&reader, &digest);
        if (digest.version == 2)
            error = compare_digest(replica, header.zxid, (uint64_t)digest.tree_digest, reason);
    }
    mk_arena_reset(&replica->arena);
    return error;
}
