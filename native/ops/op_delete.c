/* SPDX-License-Identifier: MIT */
/* delete, and deleteContainer by which the server reaps containers and TTL nodes. Order of
 * checks: client-protocol reference, 4.2. Called through the table of op.c; the helpers are
 * for closeSession as well. */
#include "ops/op_int.h"

#include "tree/path.h"

static void delete_decode(struct mk_reader *reader, struct op_request *request)
{
    if (request->op == MK_OP_DELETE) {
        mk_delete_request_read(reader, &request->delete_node);
        return;
    }
    struct mk_delete_container_request container;
    mk_delete_container_request_read(reader, &container);
    request->delete_node = (struct mk_delete_request){container.path, -1};
}

void op_view_children_gone(struct op_prepare *prepare, struct mk_bytes parent_path, int32_t count)
{
    struct view_node parent = *view_find(prepare->view, parent_path);
    MK_ASSERT(parent.exists && parent.child_count >= count);
    parent.child_count -= count;
    parent.stat.pzxid = MK_MAX(parent.stat.pzxid, prepare->zxid);
    view_change(prepare->view, parent_path, &parent);
}

void op_view_delete(struct op_prepare *prepare, struct mk_bytes path)
{
    op_view_children_gone(prepare, path_parent(path), 1);
    struct view_node node = *view_find(prepare->view, path);
    MK_ASSERT(node.exists);
    node.exists = false;
    view_change(prepare->view, path, &node);
}

static int check_delete(struct op_prepare *prepare, const struct mk_delete_request *request)
{
    if (request->path.length < 0)
        return MK_ERR_MARSHALLING;
    if (!path_has_parent(request->path) || path_is_system(request->path))
        return MK_ERR_BAD_ARGUMENTS;
    const struct view_node *parent = view_find(prepare->view, path_parent(request->path));
    if (!parent->exists)
        return MK_ERR_NO_NODE;
    if (!op_permits(prepare->tree, prepare->settings, &prepare->caller, parent->acl,
                    MK_PERM_DELETE))
        return MK_ERR_NO_AUTH;
    const struct view_node *node = view_find(prepare->view, request->path);
    if (!node->exists)
        return MK_ERR_NO_NODE;
    int32_t next;
    if (op_next_version(node->stat.version, request->version, &next))
        return MK_ERR_BAD_VERSION;
    return node->child_count ? MK_ERR_NOT_EMPTY : 0;
}

/* The reaper looked some time ago: what it asks for may have been replaced or touched since.
 * Only a container or an outlived TTL node is ever deleted here. */
static int check_delete_container(struct op_prepare *prepare, struct mk_bytes path)
{
    if (path.length < 0)
        return MK_ERR_MARSHALLING;
    if (!path_has_parent(path) || path_is_system(path))
        return MK_ERR_BAD_ARGUMENTS;
    const struct view_node *node = view_find(prepare->view, path);
    if (!node->exists)
        return MK_ERR_NO_NODE;
    if (node->child_count)
        return MK_ERR_NOT_EMPTY;
    enum znode_kind kind = tree_kind(node->stat.ephemeral_owner);
    if (kind == ZNODE_TTL) {
        int64_t ttl_ms = node->stat.ephemeral_owner & TREE_TTL_MS_MAX;
        return prepare->time_ms - node->stat.mtime > ttl_ms ? 0 : MK_ERR_BAD_VERSION;
    }
    return kind == ZNODE_CONTAINER ? 0 : MK_ERR_BAD_VERSION;
}

static int delete_prepare(struct op_prepare *prepare, const struct op_request *request,
                          struct mk_buffer *txn, int32_t *txn_type)
{
    const struct mk_delete_request *record = &request->delete_node;
    int error = request->op == MK_OP_DELETE ? check_delete(prepare, record)
                                            : check_delete_container(prepare, record->path);
    if (error)
        return error;
    mk_delete_txn_write(txn, &(struct mk_delete_txn){record->path});
    op_view_delete(prepare, record->path);
    *txn_type = request->op;
    return 0;
}

int op_delete_node(struct op_apply *apply, struct mk_bytes path, int64_t zxid)
{
    if (!apply->changes)
        return tree_delete(apply->tree, path, zxid);
    const struct znode *node = tree_find(apply->tree, path);
    const struct znode *parent = node ? tree_parent(apply->tree, node) : NULL;
    if (!parent || tree_child_count(apply->tree, node))
        return tree_delete(apply->tree, path, zxid);
    op_change_add(apply, MK_EVENT_NODE_DELETED, path, znode_acl(node), znode_acl(parent));
    int error = tree_delete(apply->tree, path, zxid);
    MK_ASSERT(!error);
    return 0;
}

static int delete_apply(struct op_apply *apply, const struct mk_txn_header *header,
                        struct mk_reader *txn, struct op_result *result)
{
    struct mk_delete_txn record;
    mk_delete_txn_read(txn, &record);
    if (txn->error || record.path.length < 2 || record.path.data[0] != '/')
        return MK_ERR_CORRUPT;
    result->path = record.path;
    result->error = op_delete_node(apply, record.path, header->zxid);
    return 0;
}

const struct op_family op_family_delete = {
    .decode = delete_decode,
    .prepare = delete_prepare,
    .apply = delete_apply,
};
