/* SPDX-License-Identifier: MIT */
/* What belongs to a session: createSession and closeSession (made by the server, not read from
 * a request), whoAmI, sync, ping. Called through the table of op.c. */
#include "ops/op_int.h"
#include "tree/path.h"

struct parent;

struct closing {
    struct op_prepare *prepare;
    struct mk_buffer *txn;
    size_t begin; /* of the record */
    int32_t count;
    struct parent *parents; /* the last first */
};

/* Some children of it go, one after another; it may come several times. */
struct parent {
    struct parent *next;
    struct mk_bytes path;
    const struct znode *node;
    int32_t gone;
};

/* Applying deletes what is not listed as well, here and in Apache. */
static void closing_list(struct closing *closing, struct mk_bytes path)
{
    struct mk_buffer *txn = closing->txn;
    if (txn->length - closing->begin + 4 + mk_bytes_size(path) >
        op_record_bytes_max(closing->prepare))
        return;
    mk_write_bytes(txn, path);
    closing->count++;
}

static void closing_visit(void *context, struct mk_bytes path, const struct znode *node)
{
    struct closing *closing = context;
    struct op_prepare *prepare = closing->prepare;
    closing_list(closing, path);
    const struct znode *parent_node = tree_parent(prepare->tree, node);
    if (!closing->parents || closing->parents->node != parent_node) {
        struct mk_bytes parent_path = path_parent(path);
        size_t size = mk_bytes_size(parent_path);
        struct parent *parent = mk_arena_alloc(prepare->arena, sizeof *parent);
        *parent = (struct parent){
            .next = closing->parents,
            .path = mk_bytes_of(mk_arena_copy(prepare->arena, parent_path.data, size), size),
            .node = parent_node};
        closing->parents = parent;
    }
    closing->parents->gone++;
}

void op_prepare_close_session(struct op_prepare *prepare, int64_t session_id, struct mk_buffer *txn)
{
    struct closing closing = {.prepare = prepare, .txn = txn, .begin = txn->length};
    struct mk_bytes_vector touched;
    mk_write_int(txn, 0);
    view_begin(prepare->view, prepare->zxid);
    view_touched_ephemerals(prepare->view, session_id, prepare->arena, &touched);
    view_close_session(prepare->view, session_id, closing_visit, &closing);
    for (const struct parent *parent = closing.parents; parent; parent = parent->next)
        op_view_children_gone(prepare, parent->path, parent->gone);
    for (int32_t i = 0; i < touched.count; i++) {
        /* Cannot have children by our rules; a foreign snapshot may be odd. */
        if (view_find(prepare->view, touched.items[i])->child_count)
            continue;
        closing_list(&closing, touched.items[i]);
        op_view_delete(prepare, touched.items[i]);
    }
    view_accept(prepare->view);
    mk_store_u32(txn->data + closing.begin, (uint32_t)closing.count);
}

/* --- apply -------------------------------------------------------------------------------- */

static int create_session_apply(struct op_apply *apply, const struct mk_txn_header *header,
                                struct mk_reader *txn, struct op_result *result)
{
    (void)result;
    struct mk_create_session_txn record;
    mk_create_session_txn_read(txn, &record);
    if (txn->error)
        return MK_ERR_CORRUPT;
    tree_session_add(apply->tree, header->client_id, record.timeout);
    return 0;
}

struct leftover {
    struct mk_bytes path;
    struct leftover *next;
};

struct leftover_list {
    struct op_apply *apply;
    struct leftover *first;
    struct mk_buffer path;
};

static void leftover_visit(void *context, const struct znode *node)
{
    struct leftover_list *list = context;
    if (tree_child_count(list->apply->tree, node))
        return; /* stays, as in prepare */
    mk_buffer_clear(&list->path);
    tree_append_path(list->apply->tree, node, &list->path);
    struct leftover *leftover = mk_arena_alloc(list->apply->arena, sizeof *leftover);
    size_t size = list->path.length;
    leftover->path = mk_bytes_of(mk_arena_copy(list->apply->arena, list->path.data, size), size);
    leftover->next = list->first;
    list->first = leftover;
}

/* The record is missing in logs from before 3.6 (and with closeSessionTxn.enabled=false, where
 * a digest may follow at once). */
static void read_close_session(struct mk_reader *txn, struct mk_close_session_txn *record)
{
    struct mk_reader begin = *txn;
    mk_close_session_txn_read(txn, record);
    if (txn->error) {
        *txn = begin;
        *record = (struct mk_close_session_txn){.has_paths_to_delete = false};
    }
}

static int close_session_apply(struct op_apply *apply, const struct mk_txn_header *header,
                               struct mk_reader *txn, struct op_result *result)
{
    (void)result;
    struct mk_close_session_txn record;
    read_close_session(txn, &record);
    int32_t count = record.has_paths_to_delete ? record.paths_to_delete.count : 0;
    for (int32_t i = 0; i < count; i++) {
        struct mk_bytes path = record.paths_to_delete.items[i];
        if (i % TREE_PREFETCH_MAX == 0)
            tree_prefetch(apply->tree, record.paths_to_delete.items + i,
                          (size_t)MK_MIN(count - i, TREE_PREFETCH_MAX));
        if (path.length < 2 || path.data[0] != '/')
            return MK_ERR_CORRUPT;
        tree_expect_ephemeral(apply->tree, header->client_id, path);
        op_delete_node(apply, path, header->zxid);
    }
    /* Whatever it still owns goes too: replay over a fuzzy snapshot. */
    struct leftover_list list = {.apply = apply};
    tree_ephemeral_visit(apply->tree, header->client_id, leftover_visit, &list);
    mk_buffer_fini(&list.path);
    for (struct leftover *leftover = list.first; leftover; leftover = leftover->next)
        op_delete_node(apply, leftover->path, header->zxid);
    tree_session_remove(apply->tree, header->client_id);
    return 0;
}

static int error_apply(struct op_apply *apply, const struct mk_txn_header *header,
                       struct mk_reader *txn, struct op_result *result)
{
    (void)apply;
    (void)header;
    struct mk_error_txn record;
    mk_error_txn_read(txn, &record);
    result->error = record.err;
    return txn->error ? MK_ERR_CORRUPT : 0;
}

/* --- reads -------------------------------------------------------------------------------- */

/* The user behind an identity: for digest the part before the first colon. A scheme that only
 * the server itself uses ("super") names nobody. */
static struct mk_bytes user_of(const struct mk_id *identity)
{
    if (mk_bytes_equal_string(identity->scheme, "super") || identity->id.length < 0)
        return MK_BYTES("");
    if (!mk_bytes_equal_string(identity->scheme, "digest") || identity->id.length == 0)
        return identity->id;
    const uint8_t *colon = memchr(identity->id.data, ':', (size_t)identity->id.length);
    if (!colon)
        return identity->id;
    return mk_bytes_of(identity->id.data, (size_t)(colon - identity->id.data));
}

static int who_am_i_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                         struct mk_buffer *reply)
{
    (void)op;
    (void)reader;
    const struct mk_id_vector *identities = read->caller.identities;
    mk_write_int(reply, MK_MAX(identities->count, 0));
    for (int32_t i = 0; i < identities->count; i++)
        mk_client_info_write(reply, &(struct mk_client_info){identities->items[i].scheme,
                                                             user_of(&identities->items[i])});
    return 0;
}

/* The path comes back as it is, unchecked, null included. */
static int sync_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                     struct mk_buffer *reply)
{
    (void)read;
    (void)op;
    struct mk_sync_request request;
    mk_sync_request_read(reader, &request);
    if (reader->error)
        return MK_ERR_MARSHALLING;
    mk_write_bytes(reply, request.path);
    return 0;
}

static int ping_read(struct op_read *read, int32_t op, struct mk_reader *reader,
                     struct mk_buffer *reply)
{
    (void)read;
    (void)op;
    (void)reader;
    (void)reply;
    return 0;
}

const struct op_family op_family_create_session = {.apply = create_session_apply};
const struct op_family op_family_close_session = {.apply = close_session_apply};
const struct op_family op_family_error = {.apply = error_apply};
const struct op_family op_family_who_am_i = {.read = who_am_i_read};
const struct op_family op_family_sync = {.read = sync_read};
const struct op_family op_family_ping = {.read = ping_read};
/* auth and sasl are answered by the connection layer (replica). */
const struct op_family op_family_connection = {0};
