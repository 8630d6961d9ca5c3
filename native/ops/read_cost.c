/* SPDX-License-Identifier: MIT */
/* What a read would cost before it is made. Asked by the replica for reads that must wait: how much
 * of them a connection may pile up depends on it. Looks up the znodes that are named, no more. */
#include "ops/op_int.h"

static uint64_t cost_of_path(const struct tree *tree, int32_t op, struct mk_bytes path)
{
    const struct znode *node = path.length < 0 ? NULL : tree_find(tree, path);
    if (!node)
        return 0;
    if (op == MK_OP_GET_DATA)
        return mk_bytes_size(znode_data(node));
    return (uint64_t)tree_child_count(tree, node) * OP_STEP_BYTES;
}

static uint64_t cost_of_multi_read(const struct tree *tree, struct mk_reader *request)
{
    uint64_t cost = 0;
    int32_t type;
    struct mk_bytes path;
    while (op_multi_read_next(request, &type, &path))
        cost += OP_STEP_BYTES + cost_of_path(tree, type, path);
    return cost;
}

uint64_t op_read_cost(const struct tree *tree, int32_t op, struct mk_reader *request)
{
    switch (op) {
    case MK_OP_GET_DATA:
    case MK_OP_GET_CHILDREN:
    case MK_OP_GET_CHILDREN2:
        return cost_of_path(tree, op, mk_read_bytes(request));
    case MK_OP_MULTI_READ:
        return cost_of_multi_read(tree, request);
    case MK_OP_GET_EPHEMERALS: /* of all sessions: that is more, but known */
        return tree_ephemeral_count(tree) * OP_STEP_BYTES;
    case MK_OP_SET_WATCHES:
    case MK_OP_SET_WATCHES2: /* a path of a few bytes is a step */
        return mk_reader_left(request) * (OP_STEP_BYTES / 8);
    default:
        return 0;
    }
}
