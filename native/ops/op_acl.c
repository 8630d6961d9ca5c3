/* SPDX-License-Identifier: MIT */
/* setACL and getACL. Order of checks: client-protocol reference, 4.2; what a caller without
 * ADMIN is shown: 8.4. Called through the table of op.c. */
#include "ops/op_int.h"

#include "tree/path.h"

static void set_acl_decode(struct mk_reader *reader, struct op_request *request)
{
    mk_set_acl_request_read(reader, &request->set_acl);
}

static int set_acl_prepare(struct op_prepare *prepare, const struct op_request *request,
                           struct mk_buffer *txn, int32_t *txn_type)
{
    const struct mk_set_acl_request *record = &request->set_acl;
    if (!path_is_valid(record->path))
        return MK_ERR_BAD_ARGUMENTS;
    struct mk_acl_vector acl;
    int error = op_fixup_acl(&record->acl, prepare->caller.identities, prepare->arena, &acl);
    if (error)
        return error;
    struct view_node node = *view_find(prepare->view, record->path);
    if (!node.exists)
        return MK_ERR_NO_NODE;
    if (!op_permits(prepare->tree, prepare->settings, &prepare->caller, node.acl, MK_PERM_ADMIN))
        return MK_ERR_NO_AUTH;
    int32_t version;
    if (op_next_version(node.stat.aversion, record->version, &version))
        return MK_ERR_BAD_VERSION;

    mk_set_acl_txn_write(txn, &(struct mk_set_acl_txn){record->path, acl, version});
    /* Requests behind this one are judged by the new list, committed or not. */
    struct acl_table *acls = tree_acls(prepare->tree);
    node.acl = acl_intern(acls, &acl);
    node.stat.aversion = version;
    view_change(prepare->view, record->path, &node);
    acl_release(acls, node.acl);
    *txn_type = MK_OP_SET_ACL;
    return 0;
}

static int set_acl_apply(struct op_apply *apply, const struct mk_txn_header *header,
                         struct mk_reader *txn, struct op_result *result)
{
    (void)header;
    struct mk_set_acl_txn record;
    mk_set_acl_txn_read(txn, &record);
    if (txn->error || record.path.length < 0)
        return MK_ERR_CORRUPT;
    result->path = record.path;
    struct acl_table *acls = tree_acls(apply->tree);
    uint32_t acl = record.acl.count < 0 ? ACL_OPEN_UNSAFE : acl_intern(acls, &record.acl);
    result->error = tree_set_acl(apply->tree, record.path, acl, record.version);
    if (!result->error && apply->changes)
        tree_stat(apply->tree, tree_find(apply->tree, record.path), &result->stat);
    acl_release(acls, acl);
    return 0;
}

/* --- getACL ------------------------------------------------------------------------------- */

/* "user:hash" becomes "user:x". */
static void write_redacted(struct mk_buffer *reply, struct mk_bytes id)
{
    size_t size = mk_bytes_size(id);
    const uint8_t *colon = size ? memchr(id.data, ':', size) : NULL;
    if (!colon) {
        mk_write_bytes(reply, id);
        return;
    }
    size_t kept = (size_t)(colon - id.data) + 1;
    mk_write_int(reply, (int32_t)kept + 1);
    mk_buffer_append(reply, id.data, kept);
    mk_buffer_append(reply, "x", 1);
}

static void write_acl(struct mk_buffer *reply, const struct mk_acl_vector *acl, bool in_full)
{
    if (in_full) {
        mk_acl_vector_write(reply, acl);
        return;
    }
    mk_write_int(reply, acl->count);
    for (int32_t i = 0; i < acl->count; i++) {
        const struct mk_acl *entry = &acl->items[i];
        if (!mk_bytes_equal_string(entry->id.scheme, "digest")) {
            mk_acl_write(reply, entry);
            continue;
        }
        mk_write_int(reply, entry->perms);
        mk_write_bytes(reply, entry->id.scheme);
        write_redacted(reply, entry->id.id);
    }
}

static int get_acl_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                        struct mk_buffer *reply)
{
    (void)op;
    struct mk_get_acl_request request;
    mk_get_acl_request_read(reader, &request);
    if (reader->error)
        return MK_ERR_MARSHALLING;
    const struct znode *node;
    int error = op_read_find(read, request.path, MK_PERM_READ | MK_PERM_ADMIN, &node);
    if (error)
        return error;

    const struct mk_acl_vector none = {0, NULL}; /* a null vector never travels */
    uint32_t number = znode_acl(node);
    const struct mk_acl_vector *acl = acl_get(tree_acls(read->tree), number);
    bool in_full = op_permits(read->tree, read->settings, &read->caller, number, MK_PERM_ADMIN);
    write_acl(reply, acl && acl->count > 0 ? acl : &none, in_full);
    struct mk_stat stat;
    tree_stat(read->tree, node, &stat);
    mk_stat_write(reply, &stat);
    return 0;
}

const struct op_family op_family_set_acl = {
    .decode = set_acl_decode,
    .prepare = set_acl_prepare,
    .apply = set_acl_apply,
    .reply = op_reply_stat,
};
const struct op_family op_family_get_acl = {.read = get_acl_read};
