/* SPDX-License-Identifier: MIT */
/* Reading the body of a snapshot; see snapshot.h. The bytes come from a file: nothing in them
 * is believed. A million znodes load in a fraction of a second, so nodes are decoded by hand
 * and the parent of the last node is remembered. */
#include "base/arena.h"
#include "base/mem.h"
#include "tree/path.h"
#include "tree/snapshot.h"
#include "tree/tree_int.h"
#include "wire/errors.gen.h"

#define LOADER_STAT_BYTES 60
#define LOADER_COUNT_BYTES 4
#define LOADER_SESSION_BYTES 12
/* reference and number of entries */
#define LOADER_ACL_BYTES_MIN 12

enum loader_state {
    LOAD_SESSION_COUNT,
    LOAD_SESSIONS,
    LOAD_ACL_COUNT,
    LOAD_ACLS,
    LOAD_NODES,
    LOAD_DONE
};

/* How many nodes ahead the index is fetched into the cache. */
#define SCOUT_NODES 8

struct tree_loader {
    struct tree *tree;
    enum loader_state state;
    uint32_t left;                /* sessions or lists still to come */
    struct mk_buffer parent_path; /* of `parent` */
    uint32_t parent;              /* of the last node; 0: none yet */
    struct mk_arena arena;
    const char *reason;
    const uint8_t *scout; /* start of the first node not looked at yet, during one feed */
    uint32_t scout_lead;  /* nodes between the one being taken and the scout */
};

/* What is left of the bytes given to one call. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* Results of one step: an item was taken, more bytes are needed, or MK_ERR_CORRUPT. */
enum { STEP_MORE = 0, STEP_TAKEN = 1 };

struct tree_loader *tree_loader_begin(struct tree *tree)
{
    struct tree_loader *loader = mk_alloc(sizeof *loader);
    *loader = (struct tree_loader){.tree = tree, .state = LOAD_SESSION_COUNT};
    mk_arena_init(&loader->arena);
    tree_fini_all(tree);
    tree_init_empty(tree);
    return loader;
}

void tree_loader_end(struct tree_loader *loader)
{
    if (!loader)
        return;
    if (loader->state == LOAD_DONE)
        acl_collect(loader->tree->acls);
    mk_buffer_fini(&loader->parent_path);
    mk_arena_fini(&loader->arena);
    mk_free(loader);
}

static int corrupt(struct tree_loader *loader, const char *reason)
{
    loader->reason = reason;
    return MK_ERR_CORRUPT;
}

static size_t left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

/* --- sessions and lists ------------------------------------------------------------------ */

static int take_count(struct tree_loader *loader, struct cursor *cursor, enum loader_state next)
{
    if (left(cursor) < LOADER_COUNT_BYTES)
        return STEP_MORE;
    uint32_t count = mk_load_u32(cursor->at);
    if (count > INT32_MAX)
        return corrupt(loader, "a negative count");
    cursor->at += LOADER_COUNT_BYTES;
    loader->left = count;
    loader->state = next;
    return STEP_TAKEN;
}

static int take_session(struct tree_loader *loader, struct cursor *cursor)
{
    if (left(cursor) < LOADER_SESSION_BYTES)
        return STEP_MORE;
    tree_session_add(loader->tree, (int64_t)mk_load_u64(cursor->at),
                     (int32_t)mk_load_u32(cursor->at + 8));
    cursor->at += LOADER_SESSION_BYTES;
    loader->left--;
    return STEP_TAKEN;
}

/* A list is decoded from all the bytes there are; when they end too early there may be more. */
static int take_acl(struct tree_loader *loader, struct cursor *cursor)
{
    struct mk_reader reader;
    struct mk_acl_vector acl;
    if (left(cursor) < LOADER_ACL_BYTES_MIN)
        return STEP_MORE;
    uint64_t reference = mk_load_u64(cursor->at);
    if (reference == 0 || reference >= ACL_OPEN_UNSAFE)
        return corrupt(loader, "an ACL reference out of range");
    mk_arena_reset(&loader->arena);
    mk_reader_init(&reader, cursor->at + 8, left(cursor) - 8, &loader->arena);
    mk_acl_vector_read(&reader, &acl);
    if (reader.error) {
        if (left(cursor) > TREE_LOADER_STRING_BYTES_MAX)
            return corrupt(loader, "an ACL that cannot be decoded");
        return STEP_MORE;
    }
    if (acl.count < 0)
        acl.count = 0; /* a null list lets everyone in, like an empty one */
    acl_define(loader->tree->acls, (uint32_t)reference, &acl);
    cursor->at += 8 + reader.offset;
    loader->left--;
    return STEP_TAKEN;
}

/* --- nodes ------------------------------------------------------------------------------- */

/* A length and as many bytes. */
static int take_string(struct tree_loader *loader, struct cursor *cursor, struct mk_bytes *string)
{
    if (left(cursor) < 4)
        return STEP_MORE;
    int32_t length = (int32_t)mk_load_u32(cursor->at);
    if (length < -1 || length > TREE_LOADER_STRING_BYTES_MAX)
        return corrupt(loader, "a string with an impossible length");
    if (length > 0 && left(cursor) - 4 < (size_t)length)
        return STEP_MORE;
    *string = (struct mk_bytes){cursor->at + 4, length};
    cursor->at += 4 + mk_bytes_size(*string);
    return STEP_TAKEN;
}

static int find_parent(struct tree_loader *loader, struct mk_bytes path)
{
    struct mk_bytes parent_path = path_parent(path);
    if (loader->parent && mk_bytes_equal(parent_path, mk_buffer_bytes(&loader->parent_path)))
        return STEP_TAKEN;
    loader->parent = node_find_parent(loader->tree, path);
    if (!loader->parent)
        return corrupt(loader, "a node without a parent");
    mk_buffer_clear(&loader->parent_path);
    mk_buffer_append_bytes(&loader->parent_path, parent_path);
    return STEP_TAKEN;
}

static int add_node(struct tree_loader *loader, const struct node_fields *fields)
{
    struct tree *tree = loader->tree;
    if (fields->path.length == 0) {
        if (tree->root)
            return corrupt(loader, "a second root");
        node_insert(tree, 0, fields);
        return STEP_TAKEN;
    }
    if (!tree->root)
        return corrupt(loader, "a node before the root");
    if (fields->path.data[0] != '/')
        return corrupt(loader, "a path that does not start with '/'");
    int result = find_parent(loader, fields->path);
    if (result != STEP_TAKEN)
        return result;
    if (node_find_child(tree, loader->parent, path_name(fields->path)))
        return corrupt(loader, "a node twice");
    node_insert(tree, loader->parent, fields);
    return STEP_TAKEN;
}

/* Looks at the nodes to come and has their places in the index fetched: the cache misses of
 * several nodes then overlap. Most nodes have the parent of the one before; for others there
 * is no guess. Checks nothing: take_node does. */
static void scout_ahead(struct tree_loader *loader, const uint8_t *end)
{
    struct mk_bytes parent_path = mk_buffer_bytes(&loader->parent_path);
    while (loader->scout_lead < SCOUT_NODES) {
        struct cursor cursor = {loader->scout, end};
        struct mk_bytes path;
        struct mk_bytes data;
        if (take_string(loader, &cursor, &path) != STEP_TAKEN ||
            take_string(loader, &cursor, &data) != STEP_TAKEN ||
            left(&cursor) < 8 + LOADER_STAT_BYTES)
            return;
        if (loader->parent && path.length > parent_path.length &&
            path.data[parent_path.length] == '/' && mk_bytes_starts_with(path, parent_path)) {
            struct mk_bytes name = {path.data + parent_path.length + 1,
                                    path.length - parent_path.length - 1};
            uint32_t hash = node_hash(loader->tree, loader->parent, name);
            __builtin_prefetch(index_line_of(&loader->tree->index, hash), 1);
        }
        loader->scout = cursor.at + 8 + LOADER_STAT_BYTES;
        loader->scout_lead++;
    }
}

static void load_stat(const uint8_t *at, struct mk_stat_persisted *stat)
{
    struct mk_reader reader;
    mk_reader_init(&reader, at, LOADER_STAT_BYTES, NULL);
    mk_stat_persisted_read(&reader, stat);
}

static int take_node(struct tree_loader *loader, struct cursor *cursor)
{
    struct cursor ahead = *cursor;
    struct node_fields fields;
    if (loader->scout_lead == 0)
        loader->scout = cursor->at;
    scout_ahead(loader, cursor->end);
    int result = take_string(loader, &ahead, &fields.path);
    if (result != STEP_TAKEN)
        return result;
    if (fields.path.length < 0)
        return corrupt(loader, "a node without a path");
    if (fields.path.length == 1 && fields.path.data[0] == '/') {
        if (!loader->tree->root)
            return corrupt(loader, "no root");
        *cursor = ahead;
        loader->state = LOAD_DONE;
        return STEP_TAKEN;
    }
    result = take_string(loader, &ahead, &fields.data);
    if (result != STEP_TAKEN)
        return result;
    if (left(&ahead) < 8 + LOADER_STAT_BYTES)
        return STEP_MORE;
    uint64_t acl = mk_load_u64(ahead.at);
    if (acl != UINT64_MAX && (acl == 0 || acl >= ACL_OPEN_UNSAFE))
        return corrupt(loader, "an ACL reference out of range");
    fields.acl = (uint32_t)acl;
    load_stat(ahead.at + 8, &fields.stat);
    result = add_node(loader, &fields);
    if (result != STEP_TAKEN)
        return result;
    ahead.at += 8 + LOADER_STAT_BYTES;
    *cursor = ahead;
    loader->scout_lead--;
    return STEP_TAKEN;
}

static int take_item(struct tree_loader *loader, struct cursor *cursor)
{
    switch (loader->state) {
    case LOAD_SESSION_COUNT:
        return take_count(loader, cursor, LOAD_SESSIONS);
    case LOAD_SESSIONS:
        if (loader->left)
            return take_session(loader, cursor);
        loader->state = LOAD_ACL_COUNT;
        return STEP_TAKEN;
    case LOAD_ACL_COUNT:
        return take_count(loader, cursor, LOAD_ACLS);
    case LOAD_ACLS:
        if (loader->left)
            return take_acl(loader, cursor);
        loader->state = LOAD_NODES;
        return STEP_TAKEN;
    case LOAD_NODES:
        return take_node(loader, cursor);
    case LOAD_DONE:
        break;
    }
    return STEP_MORE;
}

int tree_loader_feed(struct tree_loader *loader, const uint8_t *data, size_t size, size_t *consumed,
                     const char **reason)
{
    struct cursor cursor = {data, data + size};
    int result = STEP_TAKEN;
    loader->scout_lead = 0;
    while (result == STEP_TAKEN && loader->state != LOAD_DONE)
        result = take_item(loader, &cursor);
    *consumed = (size_t)(cursor.at - data);
    if (result < 0) {
        *reason = loader->reason;
        return MK_ERR_CORRUPT;
    }
    return loader->state == LOAD_DONE;
}

uint64_t tree_dangling_acls(const struct tree *tree)
{
    return tree->dangling_acls;
}
