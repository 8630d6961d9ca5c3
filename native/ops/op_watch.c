/* SPDX-License-Identifier: MIT */
/* Watches that are set, checked or removed by themselves: addWatch, checkWatches, removeWatches,
 * setWatches, setWatches2 (client-protocol reference, 6.4 and 6.6). No path or permission is
 * checked here; a path may be missing. Called through the table of op.c, and by the reads that
 * leave a watch. */
#include "ops/op_int.h"

int op_read_watch(struct op_read *read, struct mk_bytes path, enum watch_mode mode)
{
    read->refusal = watch_add(read->watches, read->watcher, path, mode);
    return MK_LIKELY(!read->refusal) ? 0 : MK_ERR_BAD_ARGUMENTS;
}

static int add_watch_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                          struct mk_buffer *reply)
{
    (void)op;
    struct mk_add_watch_request request;
    mk_add_watch_request_read(reader, &request);
    bool recursive = request.mode == MK_ADD_WATCH_PERSISTENT_RECURSIVE;
    if (reader->error || (!recursive && request.mode != MK_ADD_WATCH_PERSISTENT))
        return MK_ERR_MARSHALLING;
    /* Apache takes a null path as well; nothing can ever match it. */
    if (request.path.length >= 0 &&
        op_read_watch(read, request.path, recursive ? WATCH_RECURSIVE : WATCH_PERSISTENT) != 0)
        return MK_ERR_BAD_ARGUMENTS;
    /* Java reads these four bytes; leaving them out breaks it. */
    mk_error_response_write(reply, &(struct mk_error_response){0});
    return 0;
}

static int check_watches_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                              struct mk_buffer *reply)
{
    (void)reply;
    struct mk_check_watches_request request; /* removeWatches has the same fields */
    mk_check_watches_request_read(reader, &request);
    if (reader->error || request.path.length < 0 || request.type < MK_WATCHER_CHILDREN ||
        request.type > MK_WATCHER_PERSISTENT_RECURSIVE)
        return MK_ERR_MARSHALLING;
    bool found = op == MK_OP_REMOVE_WATCHES
                     ? watch_remove(read->watches, read->watcher, request.path, request.type)
                     : watch_has(read->watches, read->watcher, request.path, request.type);
    return found ? 0 : MK_ERR_NO_WATCHER;
}

/* --- after a reconnect -------------------------------------------------------------------- */

static bool list_is_complete(const struct mk_bytes_vector *list)
{
    if (list->count < 0)
        return false;
    for (int32_t i = 0; i < list->count; i++)
        if (list->items[i].length < 0)
            return false;
    return true;
}

/* What the client missed, told to it alone. The node's ACL goes along: the caller delivers to
 * those who may read it, as with every other event. */
static void tell(struct op_read *read, int32_t event_type, struct mk_bytes path,
                 const struct znode *node)
{
    op_event_add(read->events, tree_acls(read->tree), event_type, path,
                 node ? znode_acl(node) : ACL_OPEN_UNSAFE);
}

/* Data and child watches: what changed since the client looked is told, the rest is watched. */
static int set_one_shot_watches(struct op_read *read, const struct mk_bytes_vector *paths,
                                int64_t relative_zxid, enum watch_mode mode)
{
    bool is_data = mode == WATCH_DATA;
    int32_t changed = is_data ? MK_EVENT_NODE_DATA_CHANGED : MK_EVENT_NODE_CHILDREN_CHANGED;
    int error = 0;
    read->steps += (uint64_t)paths->count;
    for (int32_t i = 0; i < paths->count && !error; i++) {
        struct mk_bytes path = paths->items[i];
        const struct znode *node = tree_find(read->tree, path);
        if (!node) {
            tell(read, MK_EVENT_NODE_DELETED, path, NULL);
            continue;
        }
        struct mk_stat stat;
        tree_stat(read->tree, node, &stat);
        if ((is_data ? stat.mzxid : stat.pzxid) > relative_zxid)
            tell(read, changed, path, node);
        else
            error = op_read_watch(read, path, mode);
    }
    return error;
}

static int set_exist_watches(struct op_read *read, const struct mk_bytes_vector *paths)
{
    int error = 0;
    read->steps += (uint64_t)paths->count;
    for (int32_t i = 0; i < paths->count && !error; i++) {
        const struct znode *node = tree_find(read->tree, paths->items[i]);
        if (node)
            tell(read, MK_EVENT_NODE_CREATED, paths->items[i], node);
        else
            error = op_read_watch(read, paths->items[i], WATCH_DATA);
    }
    return error;
}

static int set_lasting_watches(struct op_read *read, const struct mk_bytes_vector *paths,
                               enum watch_mode mode)
{
    int error = 0;
    read->steps += (uint64_t)paths->count;
    for (int32_t i = 0; i < paths->count && !error; i++)
        error = op_read_watch(read, paths->items[i], mode);
    return error;
}

static int set_watches_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                            struct mk_buffer *reply)
{
    (void)reply;
    struct mk_set_watches2 request = {0};
    if (op == MK_OP_SET_WATCHES2) {
        mk_set_watches2_read(reader, &request);
    } else {
        struct mk_set_watches old;
        mk_set_watches_read(reader, &old);
        request.relative_zxid = old.relative_zxid;
        request.data_watches = old.data_watches;
        request.exist_watches = old.exist_watches;
        request.child_watches = old.child_watches;
    }
    if (reader->error || !list_is_complete(&request.data_watches) ||
        !list_is_complete(&request.exist_watches) || !list_is_complete(&request.child_watches) ||
        !list_is_complete(&request.persistent_watches) ||
        !list_is_complete(&request.persistent_recursive_watches))
        return MK_ERR_MARSHALLING;
    int error =
        set_one_shot_watches(read, &request.data_watches, request.relative_zxid, WATCH_DATA);
    if (!error)
        error = set_exist_watches(read, &request.exist_watches);
    if (!error)
        error =
            set_one_shot_watches(read, &request.child_watches, request.relative_zxid, WATCH_CHILD);
    if (!error)
        error = set_lasting_watches(read, &request.persistent_watches, WATCH_PERSISTENT);
    if (!error)
        error = set_lasting_watches(read, &request.persistent_recursive_watches, WATCH_RECURSIVE);
    return error;
}

const struct op_family op_family_add_watch = {.read = add_watch_read};
const struct op_family op_family_check_watches = {.read = check_watches_read};
const struct op_family op_family_set_watches = {.read = set_watches_read};
