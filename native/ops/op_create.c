/* SPDX-License-Identifier: MIT */
/* create, create2, createContainer, createTTL: from the request to the transaction, and from
 * the transaction to the node. Order of checks: client-protocol reference, 4.2; sequential
 * names 4.4; owners 4.6. Called through the table of op.c. */
#include "ops/op_int.h"

#include "tree/path.h"

static void create_decode(struct mk_reader *reader, struct op_request *request)
{
    if (request->op == MK_OP_CREATE_TTL) {
        mk_create_ttl_request_read(reader, &request->create);
        return;
    }
    struct mk_create_request create;
    mk_create_request_read(reader, &create);
    request->create = (struct mk_create_ttl_request){
        .path = create.path,
        .data = create.data,
        .acl = create.acl,
        .flags = create.flags,
        .ttl = -1,
    };
}

static bool is_sequential_mode(int32_t flags)
{
    return flags == MK_CREATE_PERSISTENT_SEQUENTIAL || flags == MK_CREATE_EPHEMERAL_SEQUENTIAL ||
           flags == MK_CREATE_PERSISTENT_SEQUENTIAL_WITH_TTL;
}

static bool is_ephemeral_mode(int32_t flags)
{
    return flags == MK_CREATE_EPHEMERAL || flags == MK_CREATE_EPHEMERAL_SEQUENTIAL;
}

static int check_mode(const struct op_settings *settings, const struct op_request *request)
{
    int32_t flags = request->create.flags;
    int64_t ttl = request->create.ttl;
    if (flags < MK_CREATE_PERSISTENT || flags > MK_CREATE_PERSISTENT_SEQUENTIAL_WITH_TTL)
        return MK_ERR_BAD_ARGUMENTS;
    if (!op_is_ttl_mode(flags))
        return request->op == MK_OP_CREATE_TTL ? MK_ERR_BAD_ARGUMENTS : 0;
    if (!settings->extended_types)
        return MK_ERR_UNIMPLEMENTED;
    return ttl < 1 || ttl > TREE_TTL_MS_MAX ? MK_ERR_BAD_ARGUMENTS : 0;
}

/* What the transaction will make of it: the opcode decides before the flags do. */
static int64_t owner_of(const struct op_prepare *prepare, const struct op_request *request)
{
    if (request->op == MK_OP_CREATE_CONTAINER)
        return TREE_OWNER_CONTAINER;
    if (request->op == MK_OP_CREATE_TTL)
        return TREE_OWNER_TTL_MASK | request->create.ttl;
    return is_ephemeral_mode(request->create.flags) ? prepare->caller.session_id : 0;
}

static struct mk_bytes with_sequence(struct mk_arena *arena, struct mk_bytes path, int32_t counter)
{
    struct mk_buffer name = MK_BUFFER_EMPTY;
    mk_buffer_append_bytes(&name, path);
    path_append_sequence(&name, counter);
    struct mk_bytes copy = mk_bytes_of(mk_arena_copy(arena, name.data, name.length), name.length);
    mk_buffer_fini(&name);
    return copy;
}

/* What the node and its parent will be. */
struct create_plan {
    struct mk_bytes path, parent_path;
    struct mk_acl_vector acl;
    struct view_node node, parent;
    int32_t parent_creates; /* the parent's new count */
};

static int check_create(struct op_prepare *prepare, const struct op_request *request,
                        struct create_plan *plan)
{
    const struct mk_create_ttl_request *create = &request->create;
    int error = check_mode(prepare->settings, request);
    if (error)
        return error;
    if (create->path.length < 0)
        return MK_ERR_MARSHALLING;
    if (!path_has_parent(create->path))
        return MK_ERR_BAD_ARGUMENTS;
    error = op_fixup_acl(&create->acl, prepare->caller.identities, prepare->arena, &plan->acl);
    if (error)
        return error;

    plan->parent_path = path_parent(create->path);
    plan->parent = *view_find(prepare->view, plan->parent_path);
    if (!plan->parent.exists)
        return MK_ERR_NO_NODE;
    if (!op_permits(prepare->tree, prepare->settings, &prepare->caller, plan->parent.acl,
                    MK_PERM_CREATE))
        return MK_ERR_NO_AUTH;
    plan->path = create->path;
    if (is_sequential_mode(create->flags))
        plan->path = with_sequence(prepare->arena, create->path, plan->parent.stat.cversion);
    if (!path_is_valid(plan->path) || plan->path.length > OP_PATH_BYTES_MAX)
        return MK_ERR_BAD_ARGUMENTS;
    plan->node = *view_find(prepare->view, plan->path);
    if (plan->node.exists)
        return MK_ERR_NODE_EXISTS;
    if (tree_kind(plan->parent.stat.ephemeral_owner) == ZNODE_EPHEMERAL)
        return MK_ERR_NO_CHILDREN_FOR_EPHEMERALS;
    return op_check_quota(prepare, plan->path, 1, MK_MAX(create->data.length, 0));
}

static void change_view(struct op_prepare *prepare, const struct op_request *request,
                        struct create_plan *plan)
{
    struct view_node *parent = &plan->parent, *node = &plan->node;
    /* The stored count only grows: at its maximum it stays, and pzxid with it (4.4). */
    if (plan->parent_creates > parent->stat.cversion) {
        parent->stat.cversion = plan->parent_creates;
        parent->stat.pzxid = prepare->zxid;
    }
    parent->child_count++;
    view_change(prepare->view, plan->parent_path, parent);

    struct acl_table *acls = tree_acls(prepare->tree);
    node->exists = true;
    node->acl = acl_intern(acls, &plan->acl);
    node->child_count = 0;
    node->data_length = MK_MAX(request->create.data.length, 0);
    node->content_crc = view_content_crc(prepare->view, plan->path, request->create.data);
    node->stat = (struct mk_stat_persisted){
        .czxid = prepare->zxid,
        .mzxid = prepare->zxid,
        .ctime = prepare->time_ms,
        .mtime = prepare->time_ms,
        .ephemeral_owner = owner_of(prepare, request),
        .pzxid = prepare->zxid,
    };
    view_change(prepare->view, plan->path, node);
    acl_release(acls, node->acl);
}

static void write_txn(const struct op_request *request, const struct create_plan *plan,
                      struct mk_buffer *txn)
{
    const struct mk_create_ttl_request *create = &request->create;
    if (request->op == MK_OP_CREATE_CONTAINER) {
        mk_create_container_txn_write(
            txn, &(struct mk_create_container_txn){.path = plan->path,
                                                   .data = create->data,
                                                   .acl = plan->acl,
                                                   .parent_cversion = plan->parent_creates});
    } else if (request->op == MK_OP_CREATE_TTL) {
        mk_create_ttl_txn_write(txn,
                                &(struct mk_create_ttl_txn){.path = plan->path,
                                                            .data = create->data,
                                                            .acl = plan->acl,
                                                            .parent_cversion = plan->parent_creates,
                                                            .ttl = create->ttl});
    } else {
        mk_create_txn_write(txn,
                            &(struct mk_create_txn){.path = plan->path,
                                                    .data = create->data,
                                                    .acl = plan->acl,
                                                    .ephemeral = is_ephemeral_mode(create->flags),
                                                    .parent_cversion = plan->parent_creates});
    }
}

static int create_prepare(struct op_prepare *prepare, const struct op_request *request,
                          struct mk_buffer *txn, int32_t *txn_type)
{
    struct create_plan plan;
    int error = check_create(prepare, request, &plan);
    if (error)
        return error;
    plan.parent_creates = (int32_t)((uint32_t)plan.parent.stat.cversion + 1);
    write_txn(request, &plan, txn);
    change_view(prepare, request, &plan);
    *txn_type = request->op;
    return 0;
}

/* --- apply -------------------------------------------------------------------------------- */

/* Reads the record of the header's type; `owner` as stored. */
static void read_txn(const struct mk_txn_header *header, struct mk_reader *txn,
                     struct tree_create *create, struct mk_acl_vector *acl)
{
    if (header->type == MK_OP_CREATE_CONTAINER) {
        struct mk_create_container_txn record;
        mk_create_container_txn_read(txn, &record);
        *create = (struct tree_create){.path = record.path,
                                       .data = record.data,
                                       .owner = TREE_OWNER_CONTAINER,
                                       .parent_cversion = record.parent_cversion};
        *acl = record.acl;
    } else if (header->type == MK_OP_CREATE_TTL) {
        struct mk_create_ttl_txn record;
        mk_create_ttl_txn_read(txn, &record);
        bool valid = record.ttl >= 1 && record.ttl <= TREE_TTL_MS_MAX;
        *create = (struct tree_create){.path = record.path,
                                       .data = record.data,
                                       .owner = valid ? TREE_OWNER_TTL_MASK | record.ttl : 0,
                                       .parent_cversion = record.parent_cversion};
        *acl = record.acl;
    } else {
        struct mk_create_txn record;
        mk_create_txn_read(txn, &record);
        *create = (struct tree_create){.path = record.path,
                                       .data = record.data,
                                       .owner = record.ephemeral ? header->client_id : 0,
                                       .parent_cversion = record.parent_cversion};
        *acl = record.acl;
    }
    create->zxid = header->zxid;
    create->time_ms = header->time;
}

static int create_apply(struct op_apply *apply, const struct mk_txn_header *header,
                        struct mk_reader *txn, struct op_result *result)
{
    struct tree_create create;
    struct mk_acl_vector acl;
    read_txn(header, txn, &create, &acl);
    if (txn->error || create.path.length < 1 || create.path.data[0] != '/')
        return MK_ERR_CORRUPT;
    result->path = create.path;
    if (header->type == MK_OP_CREATE_TTL && !create.owner) {
        /* Apache 3.8.0 logs such a time to live and then dies of it: nothing was created. */
        result->error = MK_ERR_BAD_ARGUMENTS;
        return 0;
    }
    struct acl_table *acls = tree_acls(apply->tree);
    create.acl = acl.count < 0 ? ACL_OPEN_UNSAFE : acl_intern(acls, &acl);
    result->error = tree_create(apply->tree, &create);
    if (!result->error && apply->changes) {
        const struct znode *node = tree_find(apply->tree, create.path);
        tree_stat(apply->tree, node, &result->stat);
        op_change_add(apply, MK_EVENT_NODE_CREATED, create.path, create.acl,
                      znode_acl(tree_parent(apply->tree, node)));
    }
    acl_release(acls, create.acl);
    return 0;
}

static void create_reply(struct mk_buffer *reply, const struct op_result *result)
{
    if (result->type == MK_OP_CREATE)
        op_reply_path(reply, result);
    else
        op_reply_path_stat(reply, result);
}

const struct op_family op_family_create = {
    .decode = create_decode,
    .prepare = create_prepare,
    .apply = create_apply,
    .reply = create_reply,
};
