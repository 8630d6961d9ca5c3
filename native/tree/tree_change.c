/* SPDX-License-Identifier: MIT */
/* The primitives that applying a transaction uses: create, delete, set data, set ACL, with
 * the effects that idempotent replay asks for (storage reference, 3.1 and 6.2). Cost does not
 * depend on the number of siblings or znodes, only on the length of the path. */
#include "tree/path.h"
#include "tree/tree.h"
#include "tree/tree_int.h"
#include "wire/errors.gen.h"

struct znode_extra *node_need_extra(struct tree *tree, struct znode *node)
{
    if (!node->extra) {
        node->extra = slab_alloc(&tree->extras);
        *extra_at(tree, node->extra) = (struct znode_extra){.pzxid = node->czxid};
    }
    return extra_at(tree, node->extra);
}

/* --- nodes ------------------------------------------------------------------------------- */

static uint8_t *make_block(struct tree *tree, struct mk_bytes name, struct mk_bytes data)
{
    size_t name_length = mk_bytes_size(name);
    size_t data_size = mk_bytes_size(data);
    uint8_t *block = block_alloc(&tree->blocks, node_block_size(name_length, data_size));
    uint32_t offset = name_offset(name_length);
    if (offset == 1) {
        block[0] = (uint8_t)name_length;
    } else {
        block[0] = NAME_LENGTH_LONG;
        mk_store_u32(block + 1, (uint32_t)name_length);
    }
    if (name_length)
        memcpy(block + offset, name.data, name_length);
    if (data_size)
        memcpy(block + offset + name_length, data.data, data_size);
    return block;
}

static void free_block(struct tree *tree, struct znode *node)
{
    size_t name_length = mk_bytes_size(node_name(node));
    block_free(&tree->blocks, node->block, node_block_size(name_length, node_data_size(node)));
}

static void link_sibling(struct tree *tree, uint32_t number, uint32_t parent)
{
    struct znode *node = node_at(tree, number);
    struct znode_extra *extra = node_need_extra(tree, node_at(tree, parent));
    node->next = extra->first_child;
    node->previous = 0;
    if (extra->first_child)
        node_at(tree, extra->first_child)->previous = number;
    extra->first_child = number;
    extra->child_count++;
}

static void unlink_sibling(struct tree *tree, const struct znode *node)
{
    struct znode_extra *extra = extra_of(tree, node_at(tree, node->parent));
    if (node->previous)
        node_at(tree, node->previous)->next = node->next;
    else
        extra->first_child = node->next;
    if (node->next)
        node_at(tree, node->next)->previous = node->previous;
    extra->child_count--;
}

/* Keeps the sums of all ancestors; modular arithmetic serves for less, too. */
static void add_to_ancestors(struct tree *tree, uint32_t parent, uint32_t count, uint64_t data)
{
    while (parent) {
        const struct znode *node = node_at(tree, parent);
        struct znode_extra *extra = extra_at(tree, node->extra);
        extra->descendant_count += count;
        extra->descendant_data += data;
        parent = node->parent;
    }
}

static void fill_node(struct tree *tree, struct znode *node, const struct node_fields *fields)
{
    const struct mk_stat_persisted *stat = &fields->stat;
    *node = (struct znode){
        .acl = fields->acl,
        .content_crc = digest_content(tree, fields->path, fields->data),
        .czxid = stat->czxid,
        .mzxid = stat->mzxid,
        .ctime = stat->ctime,
        .mtime = stat->mtime,
        .version = stat->version,
        .data_length = fields->data.length,
    };
    if (stat->cversion || stat->aversion || stat->ephemeral_owner || stat->pzxid != stat->czxid) {
        struct znode_extra *extra = node_need_extra(tree, node);
        extra->cversion = stat->cversion;
        extra->aversion = stat->aversion;
        extra->pzxid = stat->pzxid;
        extra->owner = stat->ephemeral_owner;
    }
}

uint32_t node_insert(struct tree *tree, uint32_t parent, const struct node_fields *fields)
{
    uint32_t number = slab_alloc(&tree->nodes);
    struct znode *node = node_at(tree, number);
    struct mk_bytes name = parent ? path_name(fields->path) : MK_BYTES("");
    fill_node(tree, node, fields);
    node->parent = parent;
    node->block = make_block(tree, name, fields->data);
    if (!acl_retain(tree->acls, fields->acl)) {
        acl_reserve(tree->acls, fields->acl);
        tree->dangling_acls++;
    }
    index_insert(&tree->index, node_hash(tree, parent, name), number, node_index_hash, tree);
    if (parent) {
        link_sibling(tree, number, parent);
        add_to_ancestors(tree, parent, 1, node_data_size(node));
        if (MK_UNLIKELY(mk_bytes_equal_string(fields->path, "/zookeeper/quota")))
            tree->quota = number;
    } else {
        tree->root = number;
    }
    tree->data_size += MK_MAX(mk_bytes_size(fields->path), 1u) + node_data_size(node);
    if (fields->stat.ephemeral_owner)
        owner_link(tree, number);
    digest_add(tree, node, fields->path);
    return number;
}

/* The node gives up its list. */
static void release_acl(struct tree *tree, const struct znode *node)
{
    if (acl_user_count(tree->acls, node->acl) > 0)
        acl_release(tree->acls, node->acl);
    else if (node->acl != ACL_OPEN_UNSAFE)
        tree->dangling_acls--;
}

void node_remove(struct tree *tree, uint32_t number, struct mk_bytes path)
{
    struct znode *node = node_at(tree, number);
    MK_ASSERT(node->parent != 0);
    MK_ASSERT(tree_child_count(tree, node) == 0);
    if (tree->snapshot)
        snapshot_node_leaves(tree->snapshot, number);
    digest_subtract(tree, node, path);
    if (tree_owner(tree, node))
        owner_unlink(tree, number);
    unlink_sibling(tree, node);
    add_to_ancestors(tree, node->parent, (uint32_t)-1, (uint64_t)0 - node_data_size(node));
    index_remove(&tree->index, node_index_hash(tree, number), number);
    tree->data_size -= mk_bytes_size(path) + node_data_size(node);
    release_acl(tree, node);
    free_block(tree, node);
    if (node->extra)
        slab_free(&tree->extras, node->extra);
    if (number == tree->quota)
        tree->quota = 0;
    recall_forget(tree->recall, number);
    slab_free(&tree->nodes, number);
}

void node_replace_data(struct tree *tree, struct znode *node, struct mk_bytes data)
{
    struct mk_bytes name = node_name(node);
    size_t name_length = mk_bytes_size(name);
    size_t old_size = node_data_size(node);
    size_t new_size = mk_bytes_size(data);
    size_t old_block = node_block_size(name_length, old_size);
    size_t new_block = node_block_size(name_length, new_size);
    if (block_capacity(old_block) == block_capacity(new_block)) {
        if (new_size)
            memmove(node->block + name_offset(name_length) + name_length, data.data, new_size);
    } else {
        uint8_t *block = make_block(tree, name, data);
        free_block(tree, node);
        node->block = block;
    }
    node->data_length = data.length;
    if (new_size != old_size) {
        tree->data_size += new_size - old_size;
        add_to_ancestors(tree, node->parent, 0, (uint64_t)new_size - old_size);
    }
}

/* --- transactions ------------------------------------------------------------------------ */

/* The parent's count of creates and pzxid only move up. */
static void raise_parent(struct tree *tree, uint32_t parent, struct mk_bytes parent_path,
                         int32_t cversion, int64_t zxid)
{
    struct znode *node = node_at(tree, parent);
    digest_subtract(tree, node, parent_path);
    struct znode_extra *extra = node_need_extra(tree, node);
    extra->cversion = MK_MAX(extra->cversion, cversion);
    extra->pzxid = MK_MAX(extra->pzxid, zxid);
    digest_add(tree, node, parent_path);
}

static int32_t parent_cversion_now(const struct tree *tree, uint32_t parent)
{
    const struct znode_extra *extra = extra_of(tree, node_at(tree, parent));
    return extra ? extra->cversion : 0;
}

static void replace_acl(struct tree *tree, uint32_t number, uint32_t acl)
{
    struct znode *node = node_at(tree, number);
    if (tree->snapshot)
        snapshot_acl_changes(tree->snapshot, number, acl);
    bool found = acl_retain(tree->acls, acl);
    MK_ASSERT(found);
    release_acl(tree, node);
    node->acl = acl;
}

/* A create that is replayed over its own effect: the list may be one that a fuzzy snapshot
 * did not have, the rest of the node is newer than this transaction. */
static int create_over_existing(struct tree *tree, const struct tree_create *create,
                                uint32_t number)
{
    uint32_t parent = node_at(tree, number)->parent;
    replace_acl(tree, number, create->acl);
    if (create->parent_cversion > parent_cversion_now(tree, parent))
        raise_parent(tree, parent, path_parent(create->path), create->parent_cversion,
                     create->zxid);
    return MK_ERR_NODE_EXISTS;
}

int tree_create(struct tree *tree, const struct tree_create *create)
{
    struct mk_bytes path = create->path;
    if (path.length <= 0 || path.data[0] != '/')
        return MK_ERR_NO_NODE;
    if (path.length == 1)
        return MK_ERR_NODE_EXISTS;
    uint32_t parent = node_find_parent(tree, path);
    if (!parent)
        return MK_ERR_NO_NODE;
    uint32_t existing = node_find_child(tree, parent, path_name(path));
    if (existing)
        return create_over_existing(tree, create, existing);

    int32_t cversion_now = parent_cversion_now(tree, parent);
    int32_t cversion = create->parent_cversion;
    if (cversion == -1) /* logs older than 3.4 do not tell */
        cversion = (int32_t)((uint32_t)cversion_now + 1);
    struct node_fields fields = {.path = path, .data = create->data, .acl = create->acl};
    fields.stat.czxid = fields.stat.mzxid = fields.stat.pzxid = create->zxid;
    fields.stat.ctime = fields.stat.mtime = create->time_ms;
    fields.stat.ephemeral_owner = create->owner;
    node_insert(tree, parent, &fields);
    if (cversion > cversion_now)
        raise_parent(tree, parent, path_parent(path), cversion, create->zxid);
    quota_update(tree, path);
    if (MK_UNLIKELY(mk_bytes_equal_string(path_name(path), "zookeeper_stats")))
        quota_created(tree, path);
    return 0;
}

int tree_delete(struct tree *tree, struct mk_bytes path, int64_t zxid)
{
    if (path.length <= 0 || path.data[0] != '/')
        return MK_ERR_NO_NODE;
    if (path.length == 1)
        return MK_ERR_NOT_EMPTY; /* the root stays */
    uint32_t number = recall_find(&tree->recall->node, path.data, (size_t)path.length);
    uint32_t parent = number ? node_at(tree, number)->parent : node_find_parent(tree, path);
    if (!parent)
        return MK_ERR_NO_NODE;
    const struct znode_extra *extra = extra_of(tree, node_at(tree, parent));
    int64_t pzxid = extra ? extra->pzxid : node_at(tree, parent)->czxid;
    if (zxid > pzxid)
        raise_parent(tree, parent, path_parent(path), INT32_MIN, zxid);
    if (!number)
        number = node_find_child(tree, parent, path_name(path));
    if (!number)
        return MK_ERR_NO_NODE;
    if (tree_child_count(tree, node_at(tree, number)) > 0)
        return MK_ERR_NOT_EMPTY;
    node_remove(tree, number, path);
    quota_update(tree, path);
    return 0;
}

int tree_set_data(struct tree *tree, struct mk_bytes path, struct mk_bytes data, int32_t version,
                  int64_t zxid, int64_t time_ms)
{
    uint32_t number = node_find(tree, path);
    if (!number)
        return MK_ERR_NO_NODE;
    struct znode *node = node_at(tree, number);
    digest_subtract(tree, node, path);
    node->version = version;
    node->mzxid = zxid;
    node->mtime = time_ms;
    node_replace_data(tree, node, data);
    node->content_crc = digest_content(tree, path, data);
    digest_add(tree, node, path);
    quota_update(tree, path);
    return 0;
}

void tree_set_data_known(struct tree *tree, struct mk_bytes path, struct mk_bytes data,
                         int32_t version, int64_t zxid, int64_t time_ms,
                         const struct tree_known *known)
{
    struct znode *node = known->node;
    MK_ASSERT(mk_bytes_equal(node_name(node), path_name(path)));
    node->version = version;
    node->mzxid = zxid;
    node->mtime = time_ms;
    node_replace_data(tree, node, data);
    node->content_crc = known->content_crc;
    tree->digest += known->digest_after - known->digest_before;
    quota_update(tree, path);
}

int tree_set_acl(struct tree *tree, struct mk_bytes path, uint32_t acl, int32_t version)
{
    uint32_t number = node_find(tree, path);
    if (!number)
        return MK_ERR_NO_NODE;
    struct znode *node = node_at(tree, number);
    digest_subtract(tree, node, path);
    replace_acl(tree, number, acl);
    if (version != 0 || node->extra)
        node_need_extra(tree, node)->aversion = version;
    digest_add(tree, node, path);
    return 0;
}
