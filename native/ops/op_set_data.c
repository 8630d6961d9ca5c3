/* SPDX-License-Identifier: MIT */
/* setData, and the check of a version inside a multi. Order of checks: client-protocol
 * reference, 4.2. Called through the table of op.c. */
#include "ops/op_int.h"

#include "tree/path.h"

static void set_data_decode(struct mk_reader *reader, struct op_request *request)
{
    mk_set_data_request_read(reader, &request->set_data);
}

static int set_data_prepare(struct op_prepare *prepare, const struct op_request *request,
                            struct mk_buffer *txn, int32_t *txn_type)
{
    const struct mk_set_data_request *record = &request->set_data;
    if (!path_is_valid(record->path))
        return MK_ERR_BAD_ARGUMENTS;
    struct view_node node = *view_find(prepare->view, record->path);
    if (!node.exists)
        return MK_ERR_NO_NODE;
    if (!op_permits(prepare->tree, prepare->settings, &prepare->caller, node.acl, MK_PERM_WRITE))
        return MK_ERR_NO_AUTH;
    int32_t length = MK_MAX(record->data.length, 0);
    int error = op_check_quota(prepare, record->path, 0, (int64_t)length - node.data_length);
    if (error)
        return error;
    int32_t version;
    if (op_next_version(node.stat.version, record->version, &version))
        return MK_ERR_BAD_VERSION;

    mk_set_data_txn_write(txn, &(struct mk_set_data_txn){record->path, record->data, version});
    node.stat.version = version;
    node.stat.mzxid = prepare->zxid;
    node.stat.mtime = prepare->time_ms;
    node.data_length = length;
    node.content_crc = view_content_crc(prepare->view, record->path, record->data);
    view_change(prepare->view, record->path, &node);
    *txn_type = MK_OP_SET_DATA;
    return 0;
}

static int set_data_apply(struct op_apply *apply, const struct mk_txn_header *header,
                          struct mk_reader *txn, struct op_result *result)
{
    struct mk_set_data_txn record;
    mk_set_data_txn_read(txn, &record);
    if (txn->error || record.path.length < 0)
        return MK_ERR_CORRUPT;
    result->path = record.path;
    struct tree_known known = {.node = NULL};
    if (apply->view && view_known(apply->view, header->zxid, record.path, &known))
        tree_set_data_known(apply->tree, record.path, record.data, record.version, header->zxid,
                            header->time, &known);
    else
        result->error = tree_set_data(apply->tree, record.path, record.data, record.version,
                                      header->zxid, header->time);
    if (result->error || !apply->changes)
        return 0;
    const struct znode *node = known.node ? known.node : tree_find(apply->tree, record.path);
    tree_stat(apply->tree, node, &result->stat);
    op_change_add(apply, MK_EVENT_NODE_DATA_CHANGED, record.path, znode_acl(node), ACL_OPEN_UNSAFE);
    return 0;
}

const struct op_family op_family_set_data = {
    .decode = set_data_decode,
    .prepare = set_data_prepare,
    .apply = set_data_apply,
    .reply = op_reply_stat,
};

/* --- check -------------------------------------------------------------------------------- */

static void check_decode(struct mk_reader *reader, struct op_request *request)
{
    mk_check_version_request_read(reader, &request->check);
}

static int check_prepare(struct op_prepare *prepare, const struct op_request *request,
                         struct mk_buffer *txn, int32_t *txn_type)
{
    const struct mk_check_version_request *record = &request->check;
    if (!path_is_valid(record->path))
        return MK_ERR_BAD_ARGUMENTS;
    const struct view_node *node = view_find(prepare->view, record->path);
    if (!node->exists)
        return MK_ERR_NO_NODE;
    if (!op_permits(prepare->tree, prepare->settings, &prepare->caller, node->acl, MK_PERM_READ))
        return MK_ERR_NO_AUTH;
    int32_t version;
    if (op_next_version(node->stat.version, record->version, &version))
        return MK_ERR_BAD_VERSION;
    mk_check_version_txn_write(txn, &(struct mk_check_version_txn){record->path, version});
    *txn_type = MK_OP_CHECK;
    return 0;
}

/* The check was made when it was prepared; a part of a multi that passed changes nothing. */
static int check_apply(struct op_apply *apply, const struct mk_txn_header *header,
                       struct mk_reader *txn, struct op_result *result)
{
    (void)apply;
    (void)header;
    struct mk_check_version_txn record;
    mk_check_version_txn_read(txn, &record);
    result->path = record.path;
    return txn->error ? MK_ERR_CORRUPT : 0;
}

const struct op_family op_family_check = {
    .decode = check_decode,
    .prepare = check_prepare,
    .apply = check_apply,
};
