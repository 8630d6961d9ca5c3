/* SPDX-License-Identifier: MIT */
/* Reads that list: getChildren, getChildren2, getAllChildrenNumber, getEphemerals. The order of
 * names is unspecified. Called through the table of op.c. */
#include "ops/op_int.h"

int op_read_children(struct op_read *read, struct mk_bytes path, bool watch, bool with_stat,
                     struct mk_buffer *reply)
{
    const struct znode *node;
    int error = op_read_find(read, path, MK_PERM_READ, &node);
    if (error)
        return error;
    if (watch)
        error = op_read_watch(read, path, WATCH_CHILD);
    if (error)
        return error;
    int32_t count = tree_child_count(read->tree, node);
    if (op_read_is_full(read, reply, (size_t)count * OP_CHILD_BYTES_MIN))
        return MK_ERR_MARSHALLING;
    read->steps += (uint64_t)count;
    mk_write_int(reply, count);
    for (const struct znode *child = tree_first_child(read->tree, node); child;
         child = tree_next_sibling(read->tree, child)) {
        struct mk_bytes name = znode_name(child);
        if (op_read_is_full(read, reply, 4 + mk_bytes_size(name)))
            return MK_ERR_MARSHALLING;
        mk_write_bytes(reply, name);
        count--;
    }
    MK_ASSERT(count == 0);
    if (with_stat) {
        struct mk_stat stat;
        tree_stat(read->tree, node, &stat);
        mk_stat_write(reply, &stat);
    }
    return 0;
}

static int children_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                         struct mk_buffer *reply)
{
    struct mk_get_children_request request; /* getChildren2 has the same fields */
    mk_get_children_request_read(reader, &request);
    if (reader->error)
        return MK_ERR_MARSHALLING;
    return op_read_children(read, request.path, request.watch, op == MK_OP_GET_CHILDREN2, reply);
}

static int descendants_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                            struct mk_buffer *reply)
{
    (void)op;
    struct mk_get_all_children_number_request request;
    mk_get_all_children_number_request_read(reader, &request);
    if (reader->error)
        return MK_ERR_MARSHALLING;
    const struct znode *node;
    int error = op_read_find(read, request.path, MK_PERM_READ, &node);
    if (error)
        return error;
    mk_write_int(reply, (int32_t)tree_descendant_count(read->tree, node));
    return 0;
}

/* --- getEphemerals ------------------------------------------------------------------------ */

struct ephemeral_list {
    struct op_read *read;
    struct mk_bytes prefix; /* length 0: all */
    struct mk_buffer *reply;
    struct mk_buffer path;
    bool full;
    int32_t count;
};

static void ephemeral_visit(void *context, const struct znode *node)
{
    struct ephemeral_list *list = context;
    list->read->steps++;
    if (list->full)
        return;
    mk_buffer_clear(&list->path);
    tree_append_path(list->read->tree, node, &list->path);
    struct mk_bytes path = mk_buffer_bytes(&list->path);
    if (!mk_bytes_starts_with(path, list->prefix))
        return;
    list->full = op_read_is_full(list->read, list->reply, 4 + mk_bytes_size(path));
    if (list->full)
        return;
    mk_write_bytes(list->reply, path);
    list->count++;
}

/* Null, blank or "/" (with blanks around it) asks for all; anything else is a prefix of
 * the string, without a thought to components. */
static struct mk_bytes ephemeral_prefix(struct mk_bytes prefix)
{
    size_t begin = 0, end = mk_bytes_size(prefix);
    while (begin < end && prefix.data[begin] <= ' ')
        begin++;
    while (end > begin && prefix.data[end - 1] <= ' ')
        end--;
    bool all = begin == end || (end - begin == 1 && prefix.data[begin] == '/');
    return all ? MK_BYTES("") : prefix;
}

static int ephemerals_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                           struct mk_buffer *reply)
{
    (void)op;
    struct mk_get_ephemerals_request request;
    mk_get_ephemerals_request_read(reader, &request);
    if (reader->error)
        return MK_ERR_MARSHALLING;
    struct ephemeral_list list = {
        .read = read, .prefix = ephemeral_prefix(request.prefix_path), .reply = reply};
    size_t count_at = reply->length;
    mk_write_int(reply, 0);
    tree_ephemeral_visit(read->tree, read->caller.session_id, ephemeral_visit, &list);
    mk_store_u32(reply->data + count_at, (uint32_t)list.count);
    mk_buffer_fini(&list.path);
    return list.full ? MK_ERR_MARSHALLING : 0;
}

const struct op_family op_family_children = {.read = children_read};
const struct op_family op_family_descendants = {.read = descendants_read};
const struct op_family op_family_ephemerals = {.read = ephemerals_read};
