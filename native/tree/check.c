/* SPDX-License-Identifier: MIT */
/* tree_check: every invariant of the tree, for tests and the simulator. O(znodes). */
#include "base/mem.h"
#include "tree/tree.h"
#include "tree/tree_int.h"

struct check {
    const struct tree *tree;
    struct mk_buffer path;
    uint64_t nodes;
    uint64_t extras;
    uint64_t data_size;
    uint64_t digest;
    uint64_t dangling;
    uint64_t ephemerals;
    uint64_t expirables;
};

static void check_node(struct check *check, uint32_t number)
{
    const struct tree *tree = check->tree;
    const struct znode *node = node_at(tree, number);
    bool is_root = number == tree->root;
    mk_buffer_clear(&check->path);
    tree_append_path(tree, node, &check->path);
    struct mk_bytes path = mk_buffer_bytes(&check->path);
    MK_ASSERT(node_find(tree, path) == number);
    MK_ASSERT(node->data_length >= -1);
    struct mk_bytes digest_path = is_root ? MK_BYTES("") : path;
    if (tree_digest_counts(digest_path)) { /* the CRC of stats nodes is not kept up to date */
        MK_ASSERT(node->content_crc == digest_content(tree, digest_path, znode_data(node)));
        struct mk_stat_persisted stat;
        tree_stat_persisted(tree, node, &stat);
        check->digest += tree_node_digest(node->content_crc, &stat);
    }
    check->nodes++;
    check->data_size += mk_bytes_size(path) + node_data_size(node);
    if (node->acl != ACL_OPEN_UNSAFE && acl_user_count(tree->acls, node->acl) == 0)
        check->dangling++;
    int64_t owner = tree_owner(tree, node);
    enum znode_kind kind = tree_kind(owner);
    check->ephemerals += kind == ZNODE_EPHEMERAL;
    check->expirables += kind == ZNODE_CONTAINER || kind == ZNODE_TTL;
    if (node->next) {
        MK_ASSERT(node_at(tree, node->next)->previous == number);
        MK_ASSERT(node_at(tree, node->next)->parent == node->parent);
    }
}

/* Sums over the children; theirs are checked in their turn. */
static void check_children(struct check *check, uint32_t number)
{
    const struct tree *tree = check->tree;
    const struct znode *node = node_at(tree, number);
    const struct znode_extra *extra = extra_of(tree, node);
    if (!extra)
        return;
    check->extras++;
    uint32_t count = 0;
    uint32_t descendants = 0;
    uint64_t data = 0;
    uint32_t child = extra->first_child;
    MK_ASSERT(!child || node_at(tree, child)->previous == 0);
    for (; child; child = node_at(tree, child)->next) {
        const struct znode *child_node = node_at(tree, child);
        const struct znode_extra *child_extra = extra_of(tree, child_node);
        MK_ASSERT(child_node->parent == number);
        count++;
        descendants += 1 + (child_extra ? child_extra->descendant_count : 0);
        data += node_data_size(child_node) + (child_extra ? child_extra->descendant_data : 0);
    }
    MK_ASSERT(count == extra->child_count);
    MK_ASSERT(descendants == extra->descendant_count);
    MK_ASSERT(data == extra->descendant_data);
}

static void check_index(const struct tree *tree)
{
    const struct index *index = &tree->index;
    uint64_t count = 0;
    for (uint32_t bucket = 0; bucket < index_bucket_count(index); bucket++) {
        const struct index_line *head = index_line_at(index, bucket);
        for (const struct index_line *line = head; line; line = index_line_next(index, line)) {
            uint32_t used = 0;
            for (uint32_t i = 0; i < INDEX_LINE_SLOTS && line->numbers[i]; i++, used++) {
                uint32_t hash = node_index_hash(tree, line->numbers[i]);
                MK_ASSERT(index_line_of(index, hash) == head);
                MK_ASSERT(line->tags[i] == index_tag(hash));
            }
            for (uint32_t i = used; i < INDEX_LINE_SLOTS; i++)
                MK_ASSERT(line->numbers[i] == 0);
            MK_ASSERT(used == INDEX_LINE_SLOTS || !line->overflow);
            MK_ASSERT(line == head || used > 0);
            count += used;
        }
    }
    MK_ASSERT(count == tree->nodes.live);
    MK_ASSERT(count == index->count);
    MK_ASSERT(tree->blocks.small_count + tree->blocks.large_count == count);
}

/* Length of a list of what has an owner. */
static uint64_t check_owned(const struct tree *tree, uint32_t first, int64_t session_id)
{
    uint64_t count = 0;
    uint32_t previous = 0;
    for (uint32_t number = first; number;) {
        const struct znode_extra *extra = extra_of(tree, node_at(tree, number));
        MK_ASSERT(extra->owned_previous == previous);
        if (session_id)
            MK_ASSERT(extra->owner == session_id);
        previous = number;
        number = extra->owned_next;
        count++;
    }
    return count;
}

static void check_owners(const struct check *check)
{
    const struct tree *tree = check->tree;
    uint64_t ephemerals = 0, owners = 0;
    uint64_t alive = 0;
    for (uint32_t bucket = 0; bucket < table_bucket_count(&tree->session_table); bucket++) {
        uint32_t number = *table_bucket(&tree->session_table, bucket);
        for (; number; number = session_at(tree, number)->hash_next) {
            const struct session *session = session_at(tree, number);
            uint64_t owned = check_owned(tree, session->first, session->session_id);
            MK_ASSERT(tree_session_number(tree, session->session_id) == number);
            MK_ASSERT(owned == session->ephemeral_count);
            MK_ASSERT(session->alive || owned > 0);
            ephemerals += owned;
            owners += owned > 0;
            alive += session->alive;
        }
    }
    MK_ASSERT(ephemerals == check->ephemerals);
    MK_ASSERT(ephemerals == tree->ephemeral_count);
    MK_ASSERT(owners == tree->owner_count);
    MK_ASSERT(alive == tree->session_count);
    MK_ASSERT(check_owned(tree, tree->expirable_first, 0) == check->expirables);
}

static void check_totals(const struct check *check)
{
    const struct tree *tree = check->tree;
    MK_ASSERT(check->nodes == tree->nodes.live);
    MK_ASSERT(check->extras == tree->extras.live);
    MK_ASSERT(check->data_size == tree->data_size);
    MK_ASSERT(check->dangling == tree->dangling_acls);
    MK_ASSERT(tree->quota == node_find(tree, MK_BYTES("/zookeeper/quota")));
    MK_ASSERT(!tree->options.digest_enabled || check->digest == tree->digest);
}

struct acl_users {
    const struct tree *tree;
    uint32_t *references; /* ascending */
    uint32_t *counts;
    uint32_t count;
};

static void note_acl(void *context, uint32_t reference, const struct mk_acl_vector *acl)
{
    struct acl_users *users = context;
    MK_ASSERT(acl->count >= 0);
    users->references[users->count++] = reference;
}

static void count_acl_user(void *context, uint32_t number)
{
    struct acl_users *users = context;
    uint32_t acl = node_at(users->tree, number)->acl;
    uint32_t low = 0;
    for (uint32_t high = users->count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (users->references[middle] < acl)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < users->count && users->references[low] == acl)
        users->counts[low]++;
}

/* Every list has at least as many users as there are nodes that refer to it (requests in
 * flight hold some, too). */
static void check_acls(const struct tree *tree)
{
    uint32_t count = acl_count(tree->acls);
    struct acl_users users = {tree, mk_calloc(count, sizeof(uint32_t)),
                              mk_calloc(count, sizeof(uint32_t)), 0};
    acl_visit(tree->acls, note_acl, &users);
    MK_ASSERT(users.count == count);
    index_visit(&tree->index, count_acl_user, &users);
    for (uint32_t i = 0; i < count; i++)
        MK_ASSERT(acl_user_count(tree->acls, users.references[i]) >= users.counts[i]);
    mk_free(users.counts);
    mk_free(users.references);
}

void tree_check(const struct tree *tree)
{
    struct check check = {.tree = tree};
    uint32_t number = tree->root;
    while (number) {
        check_node(&check, number);
        check_children(&check, number);
        const struct znode_extra *extra = extra_of(tree, node_at(tree, number));
        if (extra && extra->first_child) {
            number = extra->first_child;
            continue;
        }
        while (number && !node_at(tree, number)->next)
            number = node_at(tree, number)->parent;
        number = number ? node_at(tree, number)->next : 0;
    }
    mk_buffer_fini(&check.path);
    check_totals(&check);
    check_index(tree);
    check_owners(&check);
    check_acls(tree);
}
