/* SPDX-License-Identifier: MIT */
/* The tree's life, look-up, and what a znode tells; see tree.h. A path is looked up component
 * by component in one table keyed by (parent number, name). */
#include "tree/tree.h"

#include "base/mem.h"
#include "tree/path.h"
#include "tree/tree_int.h"
#include "wire/ops.gen.h"

_Static_assert(sizeof(struct znode) == 72, "the memory per znode is a promise");
_Static_assert(sizeof(struct znode_extra) == 56, "the memory per directory is a promise");

uint32_t node_index_hash(const void *context, uint32_t number)
{
    const struct znode *node = node_at(context, number);
    return node_hash(context, node->parent, node_name(node));
}

/* --- life -------------------------------------------------------------------------------- */

void tree_init_empty(struct tree *tree)
{
    struct tree_options options = tree->options;
    *tree = (struct tree){.options = options};
    slab_init(&tree->nodes, sizeof(struct znode));
    slab_init(&tree->extras, sizeof(struct znode_extra));
    slab_init(&tree->sessions, sizeof(struct session));
    index_init(&tree->index);
    table_init(&tree->session_table);
    block_heap_init(&tree->blocks);
    tree->acls = acl_table_new(options.hash_seed);
    tree->recall = mk_calloc(1, sizeof *tree->recall);
}

static void free_large_block(void *context, uint32_t number)
{
    struct tree *tree = context;
    const struct znode *node = node_at(tree, number);
    size_t size = node_block_size(mk_bytes_size(node_name(node)), node_data_size(node));
    if (size > BLOCK_SMALL_BYTES_MAX)
        block_free(&tree->blocks, node->block, size);
}

void tree_fini_all(struct tree *tree)
{
    MK_ASSERT(!tree->snapshot);
    owner_walks_end(tree);
    if (tree->blocks.large_count) /* they are in no page: every node has to be asked */
        index_visit(&tree->index, free_large_block, tree);
    block_heap_fini(&tree->blocks);
    slab_fini(&tree->nodes);
    slab_fini(&tree->extras);
    slab_fini(&tree->sessions);
    index_fini(&tree->index);
    table_fini(&tree->session_table);
    acl_table_free(tree->acls);
    mk_free(tree->recall);
}

static uint32_t add_system_node(struct tree *tree, uint32_t parent, struct mk_bytes path,
                                uint32_t acl, int32_t aversion)
{
    struct node_fields fields = {.path = path, .data = MK_BYTES(""), .acl = acl};
    fields.stat.aversion = aversion;
    return node_insert(tree, parent, &fields);
}

static void add_config_node(struct tree *tree, uint32_t parent)
{
    struct mk_acl item = {MK_PERM_READ, {MK_BYTES("world"), MK_BYTES("anyone")}};
    struct mk_acl_vector readable = {1, &item};
    uint32_t acl = acl_intern(tree->acls, &readable);
    add_system_node(tree, parent, MK_BYTES("/zookeeper/config"), acl, -1);
    acl_release(tree->acls, acl); /* the node is its user now */
}

/* What every server has (client-protocol reference, 4.7). Parents' counts of creates stay: a
 * fresh root shows cversion -1, /zookeeper -2. */
static void add_missing_system_nodes(struct tree *tree)
{
    struct mk_bytes quota = MK_BYTES("/zookeeper/quota");
    if (!tree->root)
        add_system_node(tree, 0, MK_BYTES(""), ACL_OPEN_UNSAFE, 0);
    uint32_t zookeeper = node_find(tree, MK_BYTES("/zookeeper"));
    if (!zookeeper)
        zookeeper = add_system_node(tree, tree->root, MK_BYTES("/zookeeper"), ACL_OPEN_UNSAFE, 0);
    if (!node_find(tree, quota))
        add_system_node(tree, zookeeper, quota, ACL_OPEN_UNSAFE, 0);
    if (!node_find(tree, MK_BYTES("/zookeeper/config")))
        add_config_node(tree, zookeeper);
}

struct tree *tree_new(const struct tree_options *options)
{
    struct tree *tree = mk_alloc(sizeof *tree);
    *tree = (struct tree){.options = *options};
    tree_init_empty(tree);
    add_missing_system_nodes(tree);
    return tree;
}

void tree_free(struct tree *tree)
{
    if (!tree)
        return;
    tree_fini_all(tree);
    mk_free(tree);
}

static void rewrite_stats_below(struct tree *tree, uint32_t top)
{
    struct mk_buffer path = MK_BUFFER_EMPTY;
    uint32_t number = top;
    while (number) {
        struct znode *node = node_at(tree, number);
        if (mk_bytes_equal_string(node_name(node), "zookeeper_stats")) {
            mk_buffer_clear(&path);
            tree_append_path(tree, node, &path);
            quota_created(tree, mk_buffer_bytes(&path));
        }
        struct znode_extra *extra = extra_of(tree, node);
        if (extra && extra->first_child) {
            number = extra->first_child;
            continue;
        }
        while (number != top && !node_at(tree, number)->next)
            number = node_at(tree, number)->parent;
        number = number == top ? 0 : node_at(tree, number)->next;
    }
    mk_buffer_fini(&path);
}

void tree_load_finish(struct tree *tree)
{
    add_missing_system_nodes(tree);
    rewrite_stats_below(tree, tree->quota);
}

/* --- look-up ----------------------------------------------------------------------------- */

uint32_t node_find_child(const struct tree *tree, uint32_t parent, struct mk_bytes name)
{
    uint32_t hash = node_hash(tree, parent, name);
    uint16_t tag = index_tag(hash);
    const struct index_line *line = index_line_of(&tree->index, hash);
    for (; line; line = index_line_next(&tree->index, line)) {
        uint32_t slots = index_line_match(line, tag);
        for (; slots; slots &= slots - 1) {
            uint32_t number = line->numbers[__builtin_ctz(slots)];
            const struct znode *node = node_at(tree, number);
            if (number && node->parent == parent && mk_bytes_equal(node_name(node), name))
                return number;
        }
    }
    return 0;
}

/* Component by component from the root; `length` 0 is the root. */
static uint32_t walk(const struct tree *tree, const uint8_t *path, size_t length)
{
    uint32_t number = tree->root;
    size_t start = 1;
    while (number && length > 0 && start <= length) {
        const uint8_t *at = path + start;
        const uint8_t *slash = start < length ? memchr(at, '/', length - start) : NULL;
        size_t name_length = slash ? (size_t)(slash - at) : length - start;
        /* an empty name (odd paths: "/a//b", "/a/") is looked up like any other: there is none */
        number = node_find_child(tree, number, mk_bytes_of(at, name_length));
        start += name_length + 1;
    }
    return number;
}

static uint32_t find_directory(const struct tree *tree, const uint8_t *path, size_t length)
{
    uint32_t number = recall_find(&tree->recall->directory, path, length);
    if (!number) {
        number = walk(tree, path, length);
        recall_set(&tree->recall->directory, path, length, number);
    }
    return number;
}

uint32_t node_find(const struct tree *tree, struct mk_bytes path)
{
    if (path.length < 0 || (path.length > 0 && path.data[0] != '/'))
        return 0;
    if (path.length <= 1)
        return tree->root;
    size_t length = (size_t)path.length;
    uint32_t number = recall_find(&tree->recall->node, path.data, length);
    if (number)
        return number;
    const uint8_t *slash = memrchr(path.data, '/', length);
    size_t directory = (size_t)(slash - path.data);
    number = directory ? find_directory(tree, path.data, directory) : tree->root;
    if (number)
        number = node_find_child(tree, number, mk_bytes_of(slash + 1, length - directory - 1));
    recall_set(&tree->recall->node, path.data, length, number);
    return number;
}

void tree_expect_ephemeral(struct tree *tree, int64_t session_id, struct mk_bytes path)
{
    uint32_t session = tree_session_number(tree, session_id);
    uint32_t number = session ? session_at(tree, session)->first : 0;
    size_t length = mk_bytes_size(path);
    const uint8_t *slash = length ? memrchr(path.data, '/', length) : NULL;
    if (!number || !slash || path.data[0] != '/')
        return;
    const struct znode *node = node_at(tree, number);
    size_t directory = (size_t)(slash - path.data);
    uint32_t parent = directory ? find_directory(tree, path.data, directory) : tree->root;
    if (node->parent == parent &&
        mk_bytes_equal(node_name(node), mk_bytes_of(slash + 1, length - directory - 1)))
        recall_set(&tree->recall->node, path.data, length, number);
}

#define CACHE_LINE_BYTES 64

struct scout {
    const struct index_line *line; /* NULL: nothing to look up */
    const struct znode *node;
    uint32_t hash;
};

static void scout_line(const struct tree *tree, struct mk_bytes path, struct scout *scout)
{
    *scout = (struct scout){NULL, NULL, 0};
    size_t length = mk_bytes_size(path);
    const uint8_t *slash = length ? memrchr(path.data, '/', length) : NULL;
    if (!slash || path.data[0] != '/')
        return;
    size_t directory = (size_t)(slash - path.data);
    uint32_t parent = directory ? find_directory(tree, path.data, directory) : tree->root;
    if (!parent)
        return;
    scout->hash = node_hash(tree, parent, mk_bytes_of(slash + 1, length - directory - 1));
    scout->line = index_line_of(&tree->index, scout->hash);
    __builtin_prefetch(scout->line);
}

/* The first entry of the line that may be it; a line behind this one is not looked into. */
static void scout_node(const struct tree *tree, struct scout *scout)
{
    uint16_t tag = index_tag(scout->hash);
    for (uint32_t i = 0; scout->line && i < INDEX_LINE_SLOTS; i++) {
        if (scout->line->tags[i] == tag && scout->line->numbers[i]) {
            scout->node = node_at(tree, scout->line->numbers[i]);
            __builtin_prefetch(scout->node);
            __builtin_prefetch((const char *)scout->node + sizeof *scout->node - 1);
            return;
        }
    }
}

void tree_prefetch(const struct tree *tree, const struct mk_bytes *paths, size_t count)
{
    struct scout scouts[TREE_PREFETCH_MAX];
    MK_ASSERT(count <= TREE_PREFETCH_MAX);
    for (size_t i = 0; i < count; i++)
        scout_line(tree, paths[i], &scouts[i]);
    for (size_t i = 0; i < count; i++)
        scout_node(tree, &scouts[i]);
    for (size_t i = 0; i < count; i++) {
        if (!scouts[i].node)
            continue;
        for (size_t line = 0; line < 3; line++) /* a name and some 100 bytes of data */
            __builtin_prefetch(scouts[i].node->block + line * CACHE_LINE_BYTES);
    }
}

uint32_t node_find_parent(const struct tree *tree, struct mk_bytes path)
{
    struct mk_bytes parent = path_parent(path);
    return parent.length == 1 ? 0 : node_find(tree, parent);
}

struct znode *tree_find(const struct tree *tree, struct mk_bytes path)
{
    uint32_t number = node_find(tree, path);
    return number ? node_at(tree, number) : NULL;
}

static struct znode *node_or_null(const struct tree *tree, uint32_t number)
{
    return number ? node_at(tree, number) : NULL;
}

struct znode *tree_root(const struct tree *tree)
{
    return node_or_null(tree, tree->root);
}

struct znode *tree_first_child(const struct tree *tree, const struct znode *node)
{
    const struct znode_extra *extra = extra_of(tree, node);
    return node_or_null(tree, extra ? extra->first_child : 0);
}

struct znode *tree_next_sibling(const struct tree *tree, const struct znode *node)
{
    return node_or_null(tree, node->next);
}

struct znode *tree_parent(const struct tree *tree, const struct znode *node)
{
    return node_or_null(tree, node->parent);
}

void tree_append_path(const struct tree *tree, const struct znode *node, struct mk_buffer *path)
{
    size_t length = 0;
    const struct znode *at = node;
    for (; at->parent; at = node_at(tree, at->parent))
        length += 1 + mk_bytes_size(node_name(at));
    if (length == 0) {
        mk_buffer_append(path, "/", 1);
        return;
    }
    uint8_t *end = mk_buffer_reserve(path, length) + length;
    for (at = node; at->parent; at = node_at(tree, at->parent)) {
        struct mk_bytes name = node_name(at);
        end -= mk_bytes_size(name);
        memcpy(end, name.data, mk_bytes_size(name));
        *--end = '/';
    }
    path->length += length;
}

/* --- what a znode tells ------------------------------------------------------------------ */

struct mk_bytes znode_name(const struct znode *node)
{
    return node_name(node);
}

struct mk_bytes znode_data(const struct znode *node)
{
    struct mk_bytes name = node_name(node);
    return (struct mk_bytes){name.data + name.length, node->data_length};
}

int32_t tree_child_count(const struct tree *tree, const struct znode *node)
{
    const struct znode_extra *extra = extra_of(tree, node);
    return extra ? (int32_t)extra->child_count : 0;
}

uint64_t tree_descendant_count(const struct tree *tree, const struct znode *node)
{
    const struct znode_extra *extra = extra_of(tree, node);
    return extra ? extra->descendant_count : 0;
}

uint32_t znode_acl(const struct znode *node)
{
    return node->acl;
}

uint32_t znode_content_crc(const struct znode *node)
{
    return node->content_crc;
}

int64_t tree_owner(const struct tree *tree, const struct znode *node)
{
    const struct znode_extra *extra = extra_of(tree, node);
    return extra ? extra->owner : 0;
}

enum znode_kind tree_kind(int64_t owner)
{
    if (owner == 0)
        return ZNODE_PERSISTENT;
    if (owner == TREE_OWNER_CONTAINER)
        return ZNODE_CONTAINER;
    /* the two bytes below the mark are the feature's id: 0 is TTL */
    if ((uint64_t)owner >> 40 == (uint64_t)TREE_OWNER_TTL_MASK >> 40)
        return ZNODE_TTL;
    return ZNODE_EPHEMERAL;
}

void tree_stat(const struct tree *tree, const struct znode *node, struct mk_stat *stat)
{
    *stat = (struct mk_stat){
        .czxid = node->czxid,
        .mzxid = node->mzxid,
        .ctime = node->ctime,
        .mtime = node->mtime,
        .version = node->version,
        .data_length = (int32_t)node_data_size(node),
        .pzxid = node->czxid,
    };
    const struct znode_extra *extra = extra_of(tree, node);
    if (!extra)
        return;
    stat->cversion = (int32_t)(2u * (uint32_t)extra->cversion - extra->child_count);
    stat->aversion = extra->aversion;
    stat->ephemeral_owner = tree_kind(extra->owner) == ZNODE_EPHEMERAL ? extra->owner : 0;
    stat->num_children = (int32_t)extra->child_count;
    stat->pzxid = extra->pzxid;
}

void tree_stat_persisted(const struct tree *tree, const struct znode *node,
                         struct mk_stat_persisted *stat)
{
    *stat = (struct mk_stat_persisted){
        .czxid = node->czxid,
        .mzxid = node->mzxid,
        .ctime = node->ctime,
        .mtime = node->mtime,
        .version = node->version,
        .pzxid = node->czxid,
    };
    const struct znode_extra *extra = extra_of(tree, node);
    if (!extra)
        return;
    stat->cversion = extra->cversion;
    stat->aversion = extra->aversion;
    stat->ephemeral_owner = extra->owner;
    stat->pzxid = extra->pzxid;
}

struct acl_table *tree_acls(const struct tree *tree)
{
    return tree->acls;
}

uint64_t tree_node_count(const struct tree *tree)
{
    return tree->nodes.live;
}

uint64_t tree_data_size(const struct tree *tree)
{
    return tree->data_size;
}
