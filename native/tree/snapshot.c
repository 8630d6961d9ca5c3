/* SPDX-License-Identifier: MIT */
/* Writing the body of a snapshot in slices; see snapshot.h. The walk is in preorder, its
 * state is one node number: the next to write. A node that goes away moves it on; nodes made
 * since the walk began are skipped, and so is all below them, which is newer still. */
#include "tree/snapshot.h"

#include "base/mem.h"
#include "tree/tree_int.h"

/* What a skipped node counts in the size of a slice: its time. */
#define SNAPSHOT_SKIP_BYTES 32
#define SNAPSHOT_STAT_BYTES 60

/* A node whose list became one that the ACL map at the head does not have. */
struct old_acl {
    uint32_t node; /* 0: empty place */
    uint32_t acl;
};

struct tree_snapshot {
    struct tree *tree;
    int64_t zxid;
    uint64_t acl_serial;   /* lists younger than this are not in the map */
    struct mk_buffer head; /* sessions and ACL map, taken at the beginning */
    size_t head_written;
    struct mk_buffer path; /* of the node at the cursor; empty for the root */
    bool done;
    uint32_t cursor;          /* next node to write; 0: all are written */
    struct old_acl *old_acls; /* open addressing, a power of two, at most half full */
    uint32_t old_acl_capacity;
    uint32_t old_acl_count;
};

static void append_u32(struct mk_buffer *buffer, uint32_t value)
{
    mk_store_u32(mk_buffer_reserve(buffer, 4), value);
    buffer->length += 4;
}

static void append_u64(struct mk_buffer *buffer, uint64_t value)
{
    mk_store_u64(mk_buffer_reserve(buffer, 8), value);
    buffer->length += 8;
}

/* --- sessions and ACL map ---------------------------------------------------------------- */

static void append_sessions(const struct tree *tree, struct mk_buffer *head)
{
    append_u32(head, (uint32_t)tree->session_count);
    for (uint32_t bucket = 0; bucket < table_bucket_count(&tree->session_table); bucket++) {
        uint32_t number = *table_bucket(&tree->session_table, bucket);
        for (; number; number = session_at(tree, number)->hash_next) {
            const struct session *session = session_at(tree, number);
            if (!session->alive)
                continue;
            append_u64(head, (uint64_t)session->session_id);
            append_u32(head, (uint32_t)session->timeout_ms);
        }
    }
}

static void append_acl(void *context, uint32_t reference, const struct mk_acl_vector *acl)
{
    append_u64(context, reference);
    mk_acl_vector_write(context, acl);
}

struct tree_snapshot *tree_snapshot_begin(struct tree *tree, int64_t zxid)
{
    MK_ASSERT(!tree->snapshot);
    struct tree_snapshot *snapshot = mk_alloc(sizeof *snapshot);
    *snapshot = (struct tree_snapshot){
        .tree = tree,
        .zxid = zxid,
        .acl_serial = acl_serial(tree->acls),
        .cursor = tree->root,
    };
    append_sessions(tree, &snapshot->head);
    append_u32(&snapshot->head, acl_count(tree->acls));
    acl_visit(tree->acls, append_acl, &snapshot->head);
    tree->snapshot = snapshot;
    return snapshot;
}

void tree_snapshot_end(struct tree_snapshot *snapshot)
{
    if (!snapshot)
        return;
    snapshot->tree->snapshot = NULL;
    mk_buffer_fini(&snapshot->head);
    mk_buffer_fini(&snapshot->path);
    mk_free(snapshot->old_acls);
    mk_free(snapshot);
}

/* --- lists that changed during the walk -------------------------------------------------- */

static struct old_acl *old_acl_place(const struct tree_snapshot *snapshot, uint32_t node)
{
    uint32_t mask = snapshot->old_acl_capacity - 1;
    uint32_t i = node * 0x9e3779b1u;
    while (snapshot->old_acls[i & mask].node && snapshot->old_acls[i & mask].node != node)
        i++;
    return &snapshot->old_acls[i & mask];
}

static void grow_old_acls(struct tree_snapshot *snapshot)
{
    struct old_acl *old = snapshot->old_acls;
    uint32_t old_capacity = snapshot->old_acl_capacity;
    snapshot->old_acl_capacity = old_capacity ? old_capacity * 2 : 16;
    snapshot->old_acls = mk_calloc(snapshot->old_acl_capacity, sizeof *old);
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i].node)
            *old_acl_place(snapshot, old[i].node) = old[i];
    mk_free(old);
}

/* Keeps the list that the node had, if the map has it: replay brings the new one, and a
 * reader must not meet a reference that it cannot resolve. */
void snapshot_acl_changes(struct tree_snapshot *snapshot, uint32_t number, uint32_t new_acl)
{
    const struct tree *tree = snapshot->tree;
    const struct znode *node = node_at(tree, number);
    if (node->czxid > snapshot->zxid || new_acl == ACL_OPEN_UNSAFE ||
        acl_serial_of(tree->acls, new_acl) <= snapshot->acl_serial)
        return;
    if (snapshot->old_acl_count * 2 >= snapshot->old_acl_capacity)
        grow_old_acls(snapshot);
    struct old_acl *place = old_acl_place(snapshot, number);
    if (place->node)
        return; /* the second change: the first remembered what the map has */
    *place = (struct old_acl){number, node->acl};
    snapshot->old_acl_count++;
}

static uint32_t acl_to_write(const struct tree_snapshot *snapshot, uint32_t number)
{
    const struct tree *tree = snapshot->tree;
    uint32_t acl = node_at(tree, number)->acl;
    if (MK_LIKELY(!snapshot->old_acl_count) || acl == ACL_OPEN_UNSAFE ||
        !acl_user_count(tree->acls, acl) || acl_serial_of(tree->acls, acl) <= snapshot->acl_serial)
        return acl;
    const struct old_acl *place = old_acl_place(snapshot, number);
    MK_ASSERT(place->node == number);
    return place->acl;
}

/* --- the walk ---------------------------------------------------------------------------- */

/* The node behind this one and all below it; the path goes up with it. */
static uint32_t next_outside(struct tree_snapshot *snapshot, uint32_t number)
{
    const struct tree *tree = snapshot->tree;
    for (;;) {
        const struct znode *node = node_at(tree, number);
        if (!node->parent)
            return 0;
        snapshot->path.length -= 1 + mk_bytes_size(node_name(node));
        if (node->next)
            return node->next;
        number = node->parent;
    }
}

static void move_to(struct tree_snapshot *snapshot, uint32_t number)
{
    snapshot->cursor = number;
    if (!number)
        return;
    mk_buffer_append(&snapshot->path, "/", 1);
    mk_buffer_append_bytes(&snapshot->path, node_name(node_at(snapshot->tree, number)));
}

/* An old_acl of the node may stay: whoever gets the number next is newer than the walk. */
void snapshot_node_leaves(struct tree_snapshot *snapshot, uint32_t number)
{
    if (number == snapshot->cursor)
        move_to(snapshot, next_outside(snapshot, number));
}

static void append_node(const struct tree_snapshot *snapshot, struct mk_buffer *body)
{
    const struct tree *tree = snapshot->tree;
    const struct znode *node = node_at(tree, snapshot->cursor);
    size_t path_length = snapshot->path.length;
    size_t data_size = node_data_size(node);
    size_t size = 4 + path_length + 4 + data_size + 8 + SNAPSHOT_STAT_BYTES;
    uint8_t *at = mk_buffer_reserve(body, size);
    body->length += size;
    mk_store_u32(at, (uint32_t)path_length);
    at += 4;
    if (path_length)
        memcpy(at, snapshot->path.data, path_length);
    at += path_length;
    mk_store_u32(at, (uint32_t)node->data_length);
    at += 4;
    if (data_size)
        memcpy(at, znode_data(node).data, data_size);
    at += data_size;
    uint32_t acl = acl_to_write(snapshot, snapshot->cursor);
    mk_store_u64(at, acl == ACL_OPEN_UNSAFE ? UINT64_MAX : acl);
    struct mk_stat_persisted stat;
    tree_stat_persisted(tree, node, &stat);
    mk_stat_persisted_store(at + 8, &stat);
}

/* Writes or skips the node at the cursor and goes on; the cost in bytes. */
static size_t visit_node(struct tree_snapshot *snapshot, struct mk_buffer *body)
{
    const struct tree *tree = snapshot->tree;
    uint32_t number = snapshot->cursor;
    const struct znode *node = node_at(tree, number);
    if (node->czxid > snapshot->zxid) {
        move_to(snapshot, next_outside(snapshot, number));
        return SNAPSHOT_SKIP_BYTES;
    }
    size_t before = body->length;
    append_node(snapshot, body);
    const struct znode_extra *extra = extra_of(tree, node);
    if (extra && extra->first_child)
        move_to(snapshot, extra->first_child);
    else
        move_to(snapshot, next_outside(snapshot, number));
    return body->length - before;
}

bool tree_snapshot_step(struct tree_snapshot *snapshot, struct mk_buffer *body, size_t bytes_max)
{
    size_t spent = 0;
    if (snapshot->head_written < snapshot->head.length) {
        spent = MK_MIN(snapshot->head.length - snapshot->head_written, MK_MAX(bytes_max, 1u));
        mk_buffer_append(body, snapshot->head.data + snapshot->head_written, spent);
        snapshot->head_written += spent;
        if (snapshot->head_written < snapshot->head.length)
            return false;
        mk_buffer_fini(&snapshot->head);
        snapshot->head_written = 0;
    }
    while (snapshot->cursor && (spent < bytes_max || spent == 0))
        spent += visit_node(snapshot, body);
    if (snapshot->cursor || snapshot->done)
        return snapshot->done;
    append_u32(body, 1);
    mk_buffer_append(body, "/", 1);
    snapshot->done = true;
    return true;
}
