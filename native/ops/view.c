/* SPDX-License-Identifier: MIT */
/* The tree plus the changes in flight; see view.h. Called by the preparing half of every write.
 * One record per path and zxid: reachable by path (the newest; older ones hang behind it) and
 * in order of acceptance (a queue: commits take from its head, a reject from its tail).
 * Records are recycled, so a steady stream of writes allocates nothing. Never changes the
 * tree, but for the counts of users in its ACL table. */
#include "ops/view.h"

#include "base/checksum.h"
#include "base/hash.h"
#include "base/mem.h"

#define uthash_malloc(size) mk_alloc(size)
#define uthash_free(pointer, size) mk_free(pointer)
#include <uthash.h>

#define PATH_INLINE_BYTES 96
#define BUCKETS_MIN 64u
#define SPARE_MAX 4096u

struct change {
    struct view_node node;
    int64_t zxid;
    uint64_t digest_before; /* of the node without this change */
    struct mk_bytes path;
    struct change *bucket_next;     /* valid for the newest of a path */
    struct change *older, *newer;   /* of the same path */
    struct change *next, *previous; /* in order of acceptance */
    struct change *ephemeral_next, *ephemeral_previous;
    bool is_ephemeral; /* in the list of ephemerals that exist after their change */
    uint8_t path_inline[PATH_INLINE_BYTES];
};

/* A session whose close is in flight: what the tree says it owns is gone. */
struct closing {
    int64_t session_id;
    int64_t zxid;
    struct closing *next;
    UT_hash_handle hh;
};

struct view {
    struct tree *tree;
    struct tree_options options;
    struct change **buckets;
    size_t bucket_count; /* a power of two */
    size_t path_count;   /* newest changes, one a path */
    struct change *head, *tail;
    struct change *ephemerals;
    struct closing *closings;                     /* by session */
    struct closing *closing_first, *closing_last; /* by zxid */
    struct change *spare;
    size_t spare_count;
    /* Between begin and accept or reject. */
    bool open;
    int64_t zxid;
    struct change *tail_before;
    uint64_t digest_before;
    uint64_t digest; /* meaningful while there is a change in flight */
    struct view_node found;
};

struct view *view_new(struct tree *tree, const struct tree_options *options)
{
    struct view *view = mk_calloc(1, sizeof *view);
    view->tree = tree;
    view->options = *options;
    view->bucket_count = BUCKETS_MIN;
    view->buckets = mk_calloc(view->bucket_count, sizeof *view->buckets);
    return view;
}

static void change_free(struct change *change)
{
    if (change->path.data != change->path_inline)
        mk_free((void *)(uintptr_t)change->path.data);
    mk_free(change);
}

void view_free(struct view *view)
{
    view_reset(view);
    while (view->spare) {
        struct change *change = view->spare;
        view->spare = change->next;
        change_free(change);
    }
    mk_free(view->buckets);
    mk_free(view);
}

/* --- records ------------------------------------------------------------------------------ */

static struct change *change_take(struct view *view, struct mk_bytes path)
{
    struct change *change = view->spare;
    if (change) {
        view->spare = change->next;
        view->spare_count--;
    } else {
        change = mk_alloc(sizeof *change);
    }
    size_t size = mk_bytes_size(path);
    uint8_t *copy = size <= PATH_INLINE_BYTES ? change->path_inline : mk_alloc(size);
    if (size)
        memcpy(copy, path.data, size);
    change->path = mk_bytes_of(copy, size);
    change->is_ephemeral = false;
    return change;
}

static void change_give_back(struct view *view, struct change *change)
{
    if (view->spare_count >= SPARE_MAX) {
        change_free(change);
        return;
    }
    if (change->path.data != change->path_inline) {
        mk_free((void *)(uintptr_t)change->path.data);
        change->path.data = change->path_inline;
    }
    change->next = view->spare;
    view->spare = change;
    view->spare_count++;
}

/* Keeps the list of ephemerals in step with what the change says now. */
static void change_link_ephemeral(struct view *view, struct change *change)
{
    bool wanted =
        change->node.exists && tree_kind(change->node.stat.ephemeral_owner) == ZNODE_EPHEMERAL;
    if (wanted == change->is_ephemeral)
        return;
    change->is_ephemeral = wanted;
    if (wanted) {
        change->ephemeral_previous = NULL;
        change->ephemeral_next = view->ephemerals;
        if (view->ephemerals)
            view->ephemerals->ephemeral_previous = change;
        view->ephemerals = change;
        return;
    }
    if (change->ephemeral_previous)
        change->ephemeral_previous->ephemeral_next = change->ephemeral_next;
    else
        view->ephemerals = change->ephemeral_next;
    if (change->ephemeral_next)
        change->ephemeral_next->ephemeral_previous = change->ephemeral_previous;
}

/* --- the map from path to newest change --------------------------------------------------- */

/* The root has two names, "" and "/"; the digest knows it as "". */
static struct mk_bytes path_normal(struct mk_bytes path)
{
    if (path.length == 1 && path.data[0] == '/')
        path.length = 0;
    return path;
}

static uint64_t path_hash(const struct view *view, struct mk_bytes path)
{
    return mk_hash_data(path.data, mk_bytes_size(path), view->options.hash_seed);
}

static struct change **map_bucket(const struct view *view, uint64_t hash)
{
    return &view->buckets[hash & (view->bucket_count - 1)];
}

static struct change **map_slot(const struct view *view, struct mk_bytes path, uint64_t hash)
{
    struct change **slot = map_bucket(view, hash);
    while (*slot && !((*slot)->node.path_hash == hash && mk_bytes_equal((*slot)->path, path)))
        slot = &(*slot)->bucket_next;
    return slot;
}

static void map_grow(struct view *view)
{
    size_t count = view->bucket_count * 2;
    struct change **buckets = mk_calloc(count, sizeof *buckets);
    for (size_t i = 0; i < view->bucket_count; i++) {
        struct change *change = view->buckets[i];
        while (change) {
            struct change *next = change->bucket_next;
            struct change **bucket = &buckets[change->node.path_hash & (count - 1)];
            change->bucket_next = *bucket;
            *bucket = change;
            change = next;
        }
    }
    mk_free(view->buckets);
    view->buckets = buckets;
    view->bucket_count = count;
}

/* Puts `change` where `slot` points (the newest of its path, or the end of the chain). */
static void map_put(struct view *view, struct change **slot, struct change *change)
{
    struct change *older = *slot;
    change->older = older;
    change->newer = NULL;
    change->bucket_next = older ? older->bucket_next : NULL;
    if (older)
        older->newer = change;
    *slot = change;
    if (!older && ++view->path_count > view->bucket_count)
        map_grow(view);
}

/* Takes out a change, be it the newest of its path or not. */
static void map_remove(struct view *view, struct change *change)
{
    if (change->older)
        change->older->newer = change->newer;
    if (change->newer) {
        change->newer->older = change->older;
        return;
    }
    struct change **slot = map_bucket(view, change->node.path_hash);
    while (*slot != change)
        slot = &(*slot)->bucket_next;
    if (change->older) {
        change->older->bucket_next = change->bucket_next;
        *slot = change->older;
    } else {
        *slot = change->bucket_next;
        view->path_count--;
    }
}

/* --- reading ------------------------------------------------------------------------------ */

uint32_t view_content_crc(const struct view *view, struct mk_bytes path, struct mk_bytes data)
{
    if (!view->options.digest_enabled)
        return 0;
    path = path_normal(path);
    uint32_t crc = mk_crc32(0, path.data, mk_bytes_size(path));
    return data.length > 0 ? mk_crc32(crc, data.data, (size_t)data.length) : crc;
}

static uint64_t node_digest(const struct view *view, struct mk_bytes path,
                            const struct view_node *node)
{
    if (!node->exists || !view->options.digest_enabled || !tree_digest_counts(path))
        return 0;
    return tree_node_digest(node->content_crc, &node->stat);
}

static bool is_closing(const struct view *view, int64_t session_id)
{
    struct closing *closing = NULL;
    if (view->closings)
        HASH_FIND(hh, view->closings, &session_id, sizeof session_id, closing);
    return closing != NULL;
}

static bool is_going(const struct view *view, const struct znode *znode)
{
    int64_t owner = tree_owner(view->tree, znode);
    return tree_kind(owner) == ZNODE_EPHEMERAL && tree_child_count(view->tree, znode) == 0 &&
           is_closing(view, owner);
}

static void find_in_tree(struct view *view, struct mk_bytes path, struct view_node *node)
{
    struct znode *znode = tree_find(view->tree, path);
    if (!znode || (view->closings && is_going(view, znode))) {
        memset(node, 0, sizeof *node);
        node->acl = ACL_OPEN_UNSAFE;
        return;
    }
    node->exists = true;
    node->znode = znode;
    node->acl = znode_acl(znode);
    node->child_count = tree_child_count(view->tree, znode);
    node->data_length = MK_MAX(znode_data(znode).length, 0);
    node->content_crc = view->options.digest_enabled ? znode_content_crc(znode) : 0;
    tree_stat_persisted(view->tree, znode, &node->stat);
    node->digest = node_digest(view, path, node);
}

const struct view_node *view_find(struct view *view, struct mk_bytes path)
{
    path = path_normal(path);
    uint64_t hash = path_hash(view, path);
    struct change *change = *map_slot(view, path, hash);
    if (change)
        return &change->node;
    find_in_tree(view, path, &view->found);
    view->found.path_hash = hash;
    return &view->found;
}

uint64_t view_digest(const struct view *view)
{
    return view->head ? view->digest : tree_digest(view->tree);
}

uint64_t view_size(const struct view *view)
{
    return view->path_count;
}

/* --- changing ----------------------------------------------------------------------------- */

void view_begin(struct view *view, int64_t zxid)
{
    MK_ASSERT(!view->open);
    MK_ASSERT(!view->tail || view->tail->zxid < zxid);
    view->open = true;
    view->zxid = zxid;
    view->tail_before = view->tail;
    view->digest = view_digest(view);
    view->digest_before = view->digest;
}

void view_change(struct view *view, struct mk_bytes path, const struct view_node *node)
{
    MK_ASSERT(view->open);
    struct acl_table *acls = tree_acls(view->tree);
    path = path_normal(path);
    struct change **slot = map_slot(view, path, node->path_hash);
    struct change *change = *slot;
    MK_ASSERT(!change || change->node.digest == node->digest);
    uint64_t digest_old = node->digest;
    acl_retain(acls, node->acl);
    if (change && change->zxid == view->zxid) {
        acl_release(acls, change->node.acl);
        change->node = *node;
    } else {
        change = change_take(view, path);
        change->node = *node;
        change->zxid = view->zxid;
        change->digest_before = digest_old;
        map_put(view, slot, change);
        change->next = NULL;
        change->previous = view->tail;
        if (view->tail)
            view->tail->next = change;
        else
            view->head = change;
        view->tail = change;
    }
    if (!node->exists)
        change->node.znode = NULL;
    change->node.digest = node_digest(view, path, node);
    view->digest += change->node.digest - digest_old;
    change_link_ephemeral(view, change);
}

void view_accept(struct view *view)
{
    MK_ASSERT(view->open);
    view->open = false;
}

/* Out of the map, the list of ephemerals and the ACL's users; not out of the queue. */
static void change_retire(struct view *view, struct change *change)
{
    map_remove(view, change);
    change->node.exists = false;
    change_link_ephemeral(view, change);
    acl_release(tree_acls(view->tree), change->node.acl);
    change_give_back(view, change);
}

void view_reject(struct view *view)
{
    MK_ASSERT(view->open);
    while (view->tail != view->tail_before) {
        struct change *change = view->tail;
        view->tail = change->previous;
        if (view->tail)
            view->tail->next = NULL;
        else
            view->head = NULL;
        change_retire(view, change);
    }
    view->digest = view->digest_before;
    view->open = false;
}

bool view_known(const struct view *view, int64_t zxid, struct mk_bytes path,
                struct tree_known *known)
{
    const struct change *change = view->head;
    if (!change || change->zxid != zxid || !change->node.znode ||
        !mk_bytes_equal(change->path, path))
        return false;
    *known = (struct tree_known){.node = change->node.znode,
                                 .content_crc = change->node.content_crc,
                                 .digest_before = change->digest_before,
                                 .digest_after = change->node.digest};
    return true;
}

/* The oldest. */
static void closing_forget(struct view *view)
{
    struct closing *closing = view->closing_first;
    view->closing_first = closing->next;
    HASH_DEL(view->closings, closing);
    mk_free(closing);
}

void view_committed(struct view *view, int64_t zxid)
{
    MK_ASSERT(!view->open);
    while (view->head && view->head->zxid <= zxid) {
        struct change *change = view->head;
        view->head = change->next;
        if (view->head)
            view->head->previous = NULL;
        else
            view->tail = NULL;
        change_retire(view, change);
    }
    while (view->closing_first && view->closing_first->zxid <= zxid)
        closing_forget(view);
}

/* Without a look at the tree: its ACL table may be another one already. */
void view_reset(struct view *view)
{
    while (view->head) {
        struct change *change = view->head;
        view->head = change->next;
        change_give_back(view, change);
    }
    while (view->closing_first)
        closing_forget(view);
    view->tail = NULL;
    view->ephemerals = NULL;
    view->open = false;
    view->path_count = 0;
    memset(view->buckets, 0, view->bucket_count * sizeof *view->buckets);
}

/* --- ephemerals of a session -------------------------------------------------------------- */

void view_touched_ephemerals(const struct view *view, int64_t session_id, struct mk_arena *arena,
                             struct mk_bytes_vector *paths)
{
    size_t count = 0;
    for (const struct change *change = view->ephemerals; change; change = change->ephemeral_next)
        count += !change->newer && change->node.stat.ephemeral_owner == session_id;
    MK_ASSERT(count <= INT32_MAX);
    *paths = (struct mk_bytes_vector){0, mk_arena_alloc(arena, count * sizeof *paths->items)};
    for (const struct change *change = view->ephemerals; change; change = change->ephemeral_next) {
        if (change->newer || change->node.stat.ephemeral_owner != session_id)
            continue;
        size_t size = mk_bytes_size(change->path);
        paths->items[paths->count++] =
            mk_bytes_of(mk_arena_copy(arena, change->path.data, size), size);
    }
}

struct close_session {
    struct view *view;
    struct mk_buffer path;
    uint64_t count;
    void (*visit)(void *context, struct mk_bytes path, const struct znode *node);
    void *context;
};

static void close_visit(void *context, const struct znode *znode)
{
    struct close_session *close = context;
    struct view *view = close->view;
    if (tree_child_count(view->tree, znode))
        return;
    mk_buffer_clear(&close->path);
    tree_append_path(view->tree, znode, &close->path);
    struct mk_bytes path = mk_buffer_bytes(&close->path);
    if (view->path_count && *map_slot(view, path, path_hash(view, path)))
        return; /* the newest change in flight decides */
    if (view->options.digest_enabled && tree_digest_counts(path)) {
        struct mk_stat_persisted stat;
        tree_stat_persisted(view->tree, znode, &stat);
        view->digest -= tree_node_digest(znode_content_crc(znode), &stat);
    }
    close->count++;
    close->visit(close->context, path, znode);
}

void view_close_session(struct view *view, int64_t session_id,
                        void (*visit)(void *context, struct mk_bytes path,
                                      const struct znode *node),
                        void *context)
{
    MK_ASSERT(view->open);
    if (is_closing(view, session_id))
        return;
    struct close_session close = {.view = view, .visit = visit, .context = context};
    tree_ephemeral_visit(view->tree, session_id, close_visit, &close);
    mk_buffer_fini(&close.path);
    if (!close.count)
        return;
    struct closing *closing = mk_alloc(sizeof *closing);
    *closing = (struct closing){.session_id = session_id, .zxid = view->zxid};
    HASH_ADD(hh, view->closings, session_id, sizeof closing->session_id, closing);
    if (view->closing_first)
        view->closing_last->next = closing;
    else
        view->closing_first = closing;
    view->closing_last = closing;
}
