/* SPDX-License-Identifier: MIT */
/* multi: several writes, all or none (client-protocol reference, section 5; storage reference,
 * section 3). The request is decoded completely before its first part is prepared; a part
 * that fails takes the changes of those before it back and leaves a transaction of errors.
 * Called through the table of op.c, and calls it for each part. */
#include "ops/op_int.h"

#include "base/mem.h"

struct op_multi_part {
    struct op_multi_part *next;
    struct op_request request;
};

/* Inside a multi the flags decide about the opcode (5.1; as 3.8.2 and later): 4 makes a
 * container of a plain create, createTTL without a TTL flag is a plain create, and flags
 * that cannot go with another opcode spoil the whole request. */
static void part_check_flags(struct mk_reader *reader, struct op_request *request)
{
    int32_t flags = request->create.flags;
    if (request->op == MK_OP_CREATE_TTL) {
        if (op_is_ttl_mode(flags))
            return;
        request->op = MK_OP_CREATE;
        request->create.ttl = -1;
    } else if (flags < MK_CREATE_PERSISTENT || flags > MK_CREATE_CONTAINER) {
        mk_reader_fail(reader, MK_ERR_MARSHALLING);
    }
    if (flags == MK_CREATE_CONTAINER)
        request->op = MK_OP_CREATE_CONTAINER;
    request->is_create2 = request->op == MK_OP_CREATE2;
    if (request->is_create2)
        request->op = MK_OP_CREATE;
}

static struct mk_bytes part_path(const struct op_request *request)
{
    switch (request->op) {
    case MK_OP_DELETE:
        return request->delete_node.path;
    case MK_OP_SET_DATA:
        return request->set_data.path;
    case MK_OP_CHECK:
        return request->check.path;
    default:
        return request->create.path;
    }
}

static void part_decode(struct mk_reader *reader, int32_t type, struct op_request *request)
{
    const struct mk_op_info *info = mk_op_find(type);
    if (!info || !info->in_multi) {
        mk_reader_fail(reader, MK_ERR_MARSHALLING);
        return;
    }
    const struct op_family *family = op_family_of(type);
    *request = (struct op_request){.op = type};
    family->decode(reader, request);
    if (family == &op_family_create)
        part_check_flags(reader, request);
    if (part_path(request).length < 0)
        mk_reader_fail(reader, MK_ERR_MARSHALLING);
}

static void multi_decode(struct mk_reader *reader, struct op_request *request)
{
    struct op_multi_part **end = &request->parts;
    *end = NULL;
    for (;;) {
        struct mk_multi_header header;
        mk_multi_header_read(reader, &header);
        if (reader->error || header.done)
            return;
        struct op_multi_part *part = mk_arena_alloc(reader->arena, sizeof *part);
        part->next = NULL;
        part_decode(reader, header.type, &part->request);
        *end = part;
        end = &part->next;
    }
}

/* Looking them up one by one would wait for memory each time. */
static void fetch_parts(const struct tree *tree, const struct op_multi_part *part)
{
    struct mk_bytes paths[TREE_PREFETCH_MAX];
    size_t count = 0;
    if (tree_node_count(tree) < OP_FETCH_ZNODES_MIN)
        return;
    for (; part && count < TREE_PREFETCH_MAX; part = part->next)
        paths[count++] = part_path(&part->request);
    if (count > 1)
        tree_prefetch(tree, paths, count);
}

static void fetch_txns(const struct tree *tree, const struct mk_txn_vector *txns, int32_t from)
{
    struct mk_bytes paths[TREE_PREFETCH_MAX];
    size_t count = 0;
    if (tree_node_count(tree) < OP_FETCH_ZNODES_MIN)
        return;
    for (int32_t i = from; i < txns->count && count < TREE_PREFETCH_MAX; i++) {
        struct mk_reader reader; /* the path is the first field of every record */
        mk_reader_init_bytes(&reader, txns->items[i].data, NULL);
        paths[count++] = mk_read_bytes(&reader);
    }
    if (count > 1)
        tree_prefetch(tree, paths, count);
}

/* --- prepare ------------------------------------------------------------------------------ */

static void store_int_at(struct mk_buffer *buffer, size_t offset, int32_t value)
{
    mk_store_u32(buffer->data + offset, (uint32_t)value);
}

static void write_error_part(struct mk_buffer *txn, int32_t error)
{
    mk_write_int(txn, MK_OP_ERROR);
    mk_write_int(txn, MK_ERROR_TXN_BYTES);
    mk_error_txn_write(txn, &(struct mk_error_txn){error});
}

/* Which parts asked for create2 (op.h). */
static struct mk_bytes create2_parts(const struct op_multi_part *parts, struct mk_arena *arena)
{
    int32_t count = 0;
    bool any = false;
    for (const struct op_multi_part *part = parts; part; part = part->next, count++)
        any = any || part->request.is_create2;
    if (!any)
        return MK_BYTES_NULL;
    uint8_t *marks = mk_arena_alloc(arena, (size_t)count), *mark = marks;
    for (const struct op_multi_part *part = parts; part; part = part->next)
        *mark++ = part->request.is_create2;
    return mk_bytes_of(marks, (size_t)count);
}

struct mk_bytes op_create2_parts(struct mk_bytes multi, struct mk_arena *arena)
{
    struct op_request request = {.op = MK_OP_MULTI};
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, multi, arena);
    multi_decode(&reader, &request);
    return reader.error ? MK_BYTES_NULL : create2_parts(request.parts, arena);
}

static int multi_prepare(struct op_prepare *prepare, const struct op_request *request,
                         struct mk_buffer *txn, int32_t *txn_type)
{
    size_t begin = txn->length;
    int32_t count = 0;
    bool failed = false;
    mk_write_int(txn, 0);
    for (const struct op_multi_part *part = request->parts; part; part = part->next, count++) {
        if (failed) {
            write_error_part(txn, MK_ERR_RUNTIME_INCONSISTENCY);
            continue;
        }
        size_t part_begin = txn->length;
        int32_t type = 0;
        if (count % TREE_PREFETCH_MAX == 0)
            fetch_parts(prepare->tree, part);
        mk_write_int(txn, 0);
        mk_write_int(txn, 0);
        int error = op_prepare_request(prepare, &part->request, txn, &type);
        if (!error && txn->length - begin > op_record_bytes_max(prepare))
            error = MK_ERR_MARSHALLING; /* long identities in the place of many short "auth" */
        if (!error) {
            store_int_at(txn, part_begin, type);
            store_int_at(txn, part_begin + 4, (int32_t)(txn->length - part_begin - 8));
            continue;
        }
        if (error == MK_ERR_MARSHALLING) {
            txn->length = begin;
            return error;
        }
        failed = true;
        txn->length = part_begin;
        write_error_part(txn, error);
        op_quota_rejected(prepare);
        view_reject(prepare->view);
        view_begin(prepare->view, prepare->zxid);
    }
    store_int_at(txn, begin, count);
    prepare->create2_parts = create2_parts(request->parts, prepare->arena);
    *txn_type = MK_OP_MULTI;
    return 0;
}

/* --- apply -------------------------------------------------------------------------------- */

static bool may_be_part(int32_t type)
{
    const struct mk_op_info *info = mk_op_find(type);
    return info && (info->in_multi || type == MK_OP_DELETE_CONTAINER || type == MK_OP_ERROR);
}

/* Nothing is applied: parts before the failing one are reported as fine, later ones as
 * skipped. */
static int apply_failed(const struct mk_multi_txn *multi, struct op_result *parts)
{
    bool behind = false;
    for (int32_t i = 0; i < multi->txns.count; i++) {
        const struct mk_txn *txn = &multi->txns.items[i];
        parts[i].type = MK_OP_ERROR;
        parts[i].error = behind ? MK_ERR_RUNTIME_INCONSISTENCY : 0;
        if (txn->type != MK_OP_ERROR)
            continue;
        struct mk_reader reader;
        mk_reader_init_bytes(&reader, txn->data, NULL);
        struct mk_error_txn record;
        mk_error_txn_read(&reader, &record);
        if (reader.error)
            return MK_ERR_CORRUPT;
        parts[i].error = record.err;
        behind = true;
    }
    return 0;
}

static int multi_apply(struct op_apply *apply, const struct mk_txn_header *header,
                       struct mk_reader *txn, struct op_result *result)
{
    struct mk_multi_txn multi;
    mk_multi_txn_read(txn, &multi);
    if (txn->error)
        return MK_ERR_CORRUPT;
    int32_t count = MK_MAX(multi.txns.count, 0);
    bool failed = false;
    for (int32_t i = 0; i < count; i++) {
        if (!may_be_part(multi.txns.items[i].type))
            return MK_ERR_CORRUPT;
        failed = failed || multi.txns.items[i].type == MK_OP_ERROR;
    }
    result->part_count = count;
    result->parts = mk_arena_alloc(apply->arena, (size_t)count * sizeof *result->parts);
    memset(result->parts, 0, (size_t)count * sizeof *result->parts);
    if (failed)
        return apply_failed(&multi, result->parts);
    for (int32_t i = 0; i < count; i++) {
        if (i % TREE_PREFETCH_MAX == 0)
            fetch_txns(apply->tree, &multi.txns, i);
        struct mk_txn_header part_header = *header;
        part_header.type = multi.txns.items[i].type;
        struct mk_reader part;
        mk_reader_init_bytes(&part, multi.txns.items[i].data, apply->arena);
        int error = op_apply_record(apply, &part_header, &part, &result->parts[i]);
        if (error)
            return error;
    }
    return 0;
}

/* --- replies ------------------------------------------------------------------------------ */

/* Every kind of create that answers a Stat is told as create2 (5.2). */
static int32_t reply_type(int32_t type)
{
    switch (type) {
    case MK_OP_CREATE_CONTAINER:
    case MK_OP_CREATE_TTL:
        return MK_OP_CREATE2;
    case MK_OP_DELETE_CONTAINER:
        return MK_OP_DELETE;
    default:
        return type;
    }
}

static void write_header(struct mk_buffer *reply, int32_t type, bool done, int32_t error)
{
    mk_multi_header_write(reply, &(struct mk_multi_header){type, done, error});
}

static void write_error(struct mk_buffer *reply, int32_t error)
{
    write_header(reply, MK_OP_ERROR, false, error);
    mk_error_response_write(reply, &(struct mk_error_response){error});
}

static void multi_reply(struct mk_buffer *reply, const struct op_result *result)
{
    for (int32_t i = 0; i < result->part_count; i++) {
        struct op_result part = result->parts[i];
        if (part.type == MK_OP_ERROR || part.error) {
            write_error(reply, part.error);
            continue;
        }
        if (i < result->create2_parts.length && result->create2_parts.data[i])
            part.type = MK_OP_CREATE2;
        write_header(reply, reply_type(part.type), false, 0);
        const struct op_family *family = op_family_of(part.type);
        if (family->reply)
            family->reply(reply, &part);
    }
    write_header(reply, -1, true, -1);
}

const struct op_family op_family_multi = {
    .decode = multi_decode,
    .prepare = multi_prepare,
    .apply = multi_apply,
    .reply = multi_reply,
};

/* --- multiRead ---------------------------------------------------------------------------- */

/* The watch byte of a part is read and ignored, as upstream does (5.5). */
static int read_part(struct op_read *read, int32_t type, struct mk_bytes path,
                     struct mk_buffer *reply)
{
    size_t begin = reply->length;
    read->steps++;
    write_header(reply, type, false, 0);
    int error = type == MK_OP_GET_DATA ? op_read_data(read, path, false, reply)
                                       : op_read_children(read, path, false, false, reply);
    if (!error || error == MK_ERR_MARSHALLING)
        return error;
    reply->length = begin;
    write_error(reply, error);
    return 0;
}

bool op_multi_read_next(struct mk_reader *reader, int32_t *type, struct mk_bytes *path)
{
    struct mk_multi_header header;
    mk_multi_header_read(reader, &header);
    if (reader->error || header.done)
        return false;
    struct mk_get_data_request part; /* getChildren has the same fields */
    mk_get_data_request_read(reader, &part);
    const struct mk_op_info *info = mk_op_find(header.type);
    if (!info || !info->in_multi_read)
        mk_reader_fail(reader, MK_ERR_MARSHALLING);
    *type = header.type;
    *path = part.path;
    return !reader->error;
}

/* Whether the answer to the rest cannot fit, by what the nodes hold: a large node, named many
 * times, is not copied until the limit is met. */
static bool rest_is_too_long(struct op_read *read, struct mk_reader rest,
                             const struct mk_buffer *reply)
{
    int32_t type;
    struct mk_bytes path;
    size_t bytes = 0;
    while (op_multi_read_next(&rest, &type, &path)) {
        const struct znode *node;
        read->steps++;
        bytes += MK_MULTI_HEADER_BYTES;
        if (op_read_find(read, path, MK_PERM_READ, &node) != 0)
            continue;
        bytes += type == MK_OP_GET_DATA
                     ? mk_bytes_size(znode_data(node)) + MK_STAT_BYTES
                     : (size_t)tree_child_count(read->tree, node) * OP_CHILD_BYTES_MIN;
        if (op_read_is_full(read, reply, bytes))
            return true;
    }
    return false;
}

#define LONG_ANSWER_BYTES ((size_t)256 << 10) /* from here on looking ahead pays */

static int multi_read_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                           struct mk_buffer *reply)
{
    (void)op;
    /* The whole list is checked before a part is answered. */
    struct mk_reader check = *reader;
    int32_t type;
    struct mk_bytes path;
    while (op_multi_read_next(&check, &type, &path))
        continue;
    if (check.error)
        return MK_ERR_MARSHALLING;
    size_t begin = reply->length;
    if (read->reply_bytes_max <= OP_REPLY_BYTES_MAX)
        read->length_max = MK_MIN(read->length_max, begin + OP_MULTI_READ_BYTES_MAX);
    bool looked_ahead = false;
    while (op_multi_read_next(reader, &type, &path)) {
        int error = read_part(read, type, path, reply);
        if (error)
            return error;
        if (!looked_ahead && reply->length - begin > LONG_ANSWER_BYTES) {
            looked_ahead = true;
            if (rest_is_too_long(read, *reader, reply))
                return MK_ERR_MARSHALLING;
        }
        if (op_read_is_full(read, reply, MK_MULTI_HEADER_BYTES))
            return MK_ERR_MARSHALLING;
    }
    write_header(reply, -1, true, -1);
    return 0;
}

const struct op_family op_family_multi_read = {.read = multi_read_read};
