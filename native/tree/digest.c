/* SPDX-License-Identifier: MIT */
/* The running checksum of the tree: the sum of one CRC-32 per znode (storage reference,
 * section 8). Nodes keep the CRC of path and data, so that a change of Stat costs 60 bytes. */
#include "base/checksum.h"
#include "tree/tree.h"
#include "tree/tree_int.h"

#define DIGEST_STAT_BYTES 60

uint64_t tree_node_digest(uint32_t content_crc, const struct mk_stat_persisted *stat)
{
    uint8_t bytes[DIGEST_STAT_BYTES]; /* not in the order of the wire: pzxid is third */
    mk_store_u64(bytes, (uint64_t)stat->czxid);
    mk_store_u64(bytes + 8, (uint64_t)stat->mzxid);
    mk_store_u64(bytes + 16, (uint64_t)stat->pzxid);
    mk_store_u64(bytes + 24, (uint64_t)stat->ctime);
    mk_store_u64(bytes + 32, (uint64_t)stat->mtime);
    mk_store_u32(bytes + 40, (uint32_t)stat->version);
    mk_store_u32(bytes + 44, (uint32_t)stat->cversion);
    mk_store_u32(bytes + 48, (uint32_t)stat->aversion);
    mk_store_u64(bytes + 52, (uint64_t)stat->ephemeral_owner);
    return mk_crc32(content_crc, bytes, sizeof bytes);
}

bool tree_digest_counts(struct mk_bytes path)
{
    return !mk_bytes_starts_with(path, MK_BYTES("/zookeeper/"));
}

uint32_t digest_content(const struct tree *tree, struct mk_bytes path, struct mk_bytes data)
{
    if (!tree->options.digest_enabled)
        return 0;
    /* the root's path counts as empty */
    uint32_t crc = path.length > 1 ? mk_crc32(0, path.data, mk_bytes_size(path)) : 0;
    return mk_crc32(crc, data.data, mk_bytes_size(data));
}

static uint64_t node_digest(const struct tree *tree, const struct znode *node)
{
    struct mk_stat_persisted stat;
    tree_stat_persisted(tree, node, &stat);
    return tree_node_digest(node->content_crc, &stat);
}

void digest_subtract(struct tree *tree, const struct znode *node, struct mk_bytes path)
{
    if (tree->options.digest_enabled && tree_digest_counts(path))
        tree->digest -= node_digest(tree, node);
}

void digest_add(struct tree *tree, const struct znode *node, struct mk_bytes path)
{
    if (tree->options.digest_enabled && tree_digest_counts(path))
        tree->digest += node_digest(tree, node);
}

uint64_t tree_digest(const struct tree *tree)
{
    return tree->digest;
}
