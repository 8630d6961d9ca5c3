/* SPDX-License-Identifier: MIT */
/* exists and getData: the two reads that clients send most, so nothing here allocates. Order
 * of checks: client-protocol reference, 4.2. Called through the table of op.c. */
#include "ops/op_int.h"

int op_read_find(const struct op_read *read, struct mk_bytes path, int32_t permissions,
                 const struct znode **node)
{
    if (path.length < 0)
        return MK_ERR_MARSHALLING;
    *node = tree_find(read->tree, path);
    if (!*node)
        return MK_ERR_NO_NODE;
    if (!op_permits(read->tree, read->settings, &read->caller, znode_acl(*node), permissions))
        return MK_ERR_NO_AUTH;
    return 0;
}

static int exists_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                       struct mk_buffer *reply)
{
    (void)op;
    struct mk_exists_request request;
    mk_exists_request_read(reader, &request);
    if (reader->error || request.path.length < 0)
        return MK_ERR_MARSHALLING;
    if (request.path.length && memchr(request.path.data, 0, (size_t)request.path.length))
        return MK_ERR_BAD_ARGUMENTS;
    const struct znode *node;
    int error = op_read_find(read, request.path, MK_PERM_READ, &node);
    if (error == MK_ERR_NO_AUTH)
        return error;
    /* A missing node is watched as well: that is what locks and barriers wait for. */
    int refused = request.watch ? op_read_watch(read, request.path, WATCH_DATA) : 0;
    if (refused || error)
        return refused ? refused : error;
    struct mk_stat stat;
    tree_stat(read->tree, node, &stat);
    mk_stat_write(reply, &stat);
    return 0;
}

int op_read_data(struct op_read *read, struct mk_bytes path, bool watch, struct mk_buffer *reply)
{
    const struct znode *node;
    int error = op_read_find(read, path, MK_PERM_READ, &node);
    if (error)
        return error;
    if (watch)
        error = op_read_watch(read, path, WATCH_DATA);
    if (error)
        return error;
    struct mk_bytes data = znode_data(node);
    struct mk_stat stat;
    tree_stat(read->tree, node, &stat);
    uint8_t *at = mk_buffer_reserve(reply, 4 + mk_bytes_size(data) + MK_STAT_BYTES);
    mk_buffer_stored(reply, mk_stat_store(mk_store_bytes(at, data), &stat));
    return 0;
}

static int get_data_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                         struct mk_buffer *reply)
{
    (void)op;
    struct mk_get_data_request request;
    mk_get_data_request_read(reader, &request);
    if (reader->error)
        return MK_ERR_MARSHALLING;
    return op_read_data(read, request.path, request.watch, reply);
}

const struct op_family op_family_exists = {.read = exists_read};
const struct op_family op_family_get_data = {.read = get_data_read};
