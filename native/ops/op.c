/* SPDX-License-Identifier: MIT */
/* The table from opcode to family, and the public calls of op.h that go through it. Whatever
 * is special about an operation is in the file of its family. */
#include "ops/op_int.h"

/* No default on purpose: the compiler names an opcode of the schema that has no row here. */
const struct op_family *op_family_of(int32_t op)
{
    switch ((enum mk_op)op) {
    case MK_OP_CREATE:
    case MK_OP_CREATE2:
    case MK_OP_CREATE_CONTAINER:
    case MK_OP_CREATE_TTL:
        return &op_family_create;
    case MK_OP_DELETE:
    case MK_OP_DELETE_CONTAINER:
        return &op_family_delete;
    case MK_OP_EXISTS:
        return &op_family_exists;
    case MK_OP_GET_DATA:
        return &op_family_get_data;
    case MK_OP_SET_DATA:
        return &op_family_set_data;
    case MK_OP_GET_ACL:
        return &op_family_get_acl;
    case MK_OP_SET_ACL:
        return &op_family_set_acl;
    case MK_OP_GET_CHILDREN:
    case MK_OP_GET_CHILDREN2:
        return &op_family_children;
    case MK_OP_SYNC:
        return &op_family_sync;
    case MK_OP_PING:
        return &op_family_ping;
    case MK_OP_CHECK:
        return &op_family_check;
    case MK_OP_MULTI:
        return &op_family_multi;
    case MK_OP_RECONFIG:
        return &op_family_reconfig;
    case MK_OP_CHECK_WATCHES:
    case MK_OP_REMOVE_WATCHES:
        return &op_family_check_watches;
    case MK_OP_MULTI_READ:
        return &op_family_multi_read;
    case MK_OP_AUTH:
    case MK_OP_SASL:
        return &op_family_connection;
    case MK_OP_SET_WATCHES:
    case MK_OP_SET_WATCHES2:
        return &op_family_set_watches;
    case MK_OP_GET_EPHEMERALS:
        return &op_family_ephemerals;
    case MK_OP_GET_ALL_CHILDREN_NUMBER:
        return &op_family_descendants;
    case MK_OP_ADD_WATCH:
        return &op_family_add_watch;
    case MK_OP_WHO_AM_I:
        return &op_family_who_am_i;
    case MK_OP_CREATE_SESSION:
        return &op_family_create_session;
    case MK_OP_CLOSE_SESSION:
        return &op_family_close_session;
    case MK_OP_ERROR:
        return &op_family_error;
    }
    return NULL;
}

int op_prepare_request(struct op_prepare *prepare, const struct op_request *request,
                       struct mk_buffer *txn, int32_t *txn_type)
{
    return op_family_of(request->op)->prepare(prepare, request, txn, txn_type);
}

int op_prepare(struct op_prepare *prepare, int32_t op, struct mk_reader *reader,
               struct mk_buffer *txn, int32_t *txn_type)
{
    const struct op_family *family = op_family_of(op);
    prepare->undecodable = false;
    prepare->create2_parts = MK_BYTES_NULL;
    prepare->excess = NULL;
    if (!family || !family->prepare || op == MK_OP_CHECK)
        return MK_ERR_UNIMPLEMENTED;
    struct op_request request; /* decode fills the operation's own part */
    request.op = op;
    request.is_create2 = false;
    if (!reader->arena)
        reader->arena = prepare->arena;
    family->decode(reader, &request);
    if (reader->error) {
        /* An undecodable multi still consumes a zxid, in 3.9 too. */
        prepare->undecodable = op != MK_OP_MULTI;
        return MK_ERR_MARSHALLING;
    }
    size_t begin = txn->length;
    view_begin(prepare->view, prepare->zxid);
    int error = family->prepare(prepare, &request, txn, txn_type);
    if (!error && txn->length - begin > op_record_bytes_max(prepare)) {
        txn->length = begin;
        error = MK_ERR_MARSHALLING;
    }
    if (error) {
        view_reject(prepare->view);
        op_quota_rejected(prepare);
    } else {
        view_accept(prepare->view);
    }
    return error;
}

/* --- apply and reply ---------------------------------------------------------------------- */

int op_apply_record(struct op_apply *apply, const struct mk_txn_header *header,
                    struct mk_reader *txn, struct op_result *result)
{
    const struct op_family *family = op_family_of(header->type);
    if (!family || !family->apply)
        return MK_ERR_CORRUPT;
    result->type = header->type;
    return family->apply(apply, header, txn, result);
}

int op_apply(struct op_apply *apply, const struct mk_txn_header *header, struct mk_reader *txn,
             struct op_result *result)
{
    /* `stat` is set by the families that answer with one, if they succeed. */
    result->error = 0;
    result->path = (struct mk_bytes){NULL, 0};
    result->parts = NULL;
    result->part_count = 0;
    result->create2_parts = (struct mk_bytes){NULL, 0};
    if (header->type == MK_OP_MULTI)
        apply->view = NULL; /* its records tell what all parts together make of a node */
    if (!txn->arena)
        txn->arena = apply->arena;
    return op_apply_record(apply, header, txn, result);
}

void op_write_reply(struct mk_buffer *reply, int32_t op, const struct op_result *result)
{
    const struct op_family *family = op_family_of(op);
    MK_ASSERT(family != NULL);
    if (family->reply && !result->error)
        family->reply(reply, result);
}

void op_reply_stat(struct mk_buffer *reply, const struct op_result *result)
{
    mk_stat_write(reply, &result->stat);
}

void op_reply_path(struct mk_buffer *reply, const struct op_result *result)
{
    mk_write_bytes(reply, result->path);
}

void op_reply_path_stat(struct mk_buffer *reply, const struct op_result *result)
{
    op_reply_path(reply, result);
    op_reply_stat(reply, result);
}

/* --- read --------------------------------------------------------------------------------- */

int op_read(struct op_read *read, int32_t op, struct mk_reader *reader, struct mk_buffer *reply)
{
    const struct op_family *family = op_family_of(op);
    if (!family || !family->read)
        return MK_ERR_UNIMPLEMENTED;
    if (!reader->arena)
        reader->arena = read->arena;
    read->steps = 0;
    read->refusal = WATCH_ADDED;
    read->length_max =
        reply->length + (read->reply_bytes_max ? read->reply_bytes_max : OP_REPLY_BYTES_MAX);
    return family->read(read, op, reader, reply);
}
