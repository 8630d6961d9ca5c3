/* SPDX-License-Identifier: MIT */
/* The tree against a naive model (an array of nodes that is searched from end to end), under
 * thousands of random transactions: same nodes, data, Stat, lists, digest after every one, and
 * every internal invariant. Prints the seed that fails. */
#include "base/checksum.h"
#include "tests/unit/tree/random_change.h"

#define MODEL_NODES_MAX 2000

struct model_node {
    char path[CHANGE_PATH_MAX];
    char data[CHANGE_DATA_MAX];
    int32_t data_length;
    int32_t perms;
    struct mk_stat_persisted stat;
};

struct model {
    struct model_node nodes[MODEL_NODES_MAX]; /* without the system nodes */
    int count;
    struct mk_stat_persisted root;
};

static struct model_node *model_find(struct model *model, struct mk_bytes path)
{
    for (int i = 0; i < model->count; i++)
        if (mk_bytes_equal_string(path, model->nodes[i].path))
            return &model->nodes[i];
    return NULL;
}

static struct mk_stat_persisted *model_parent(struct model *model, const struct change *change)
{
    struct mk_bytes parent = path_parent(change_path(change));
    struct model_node *node = model_find(model, parent);
    if (!node)
        assert_int_equal(parent.length, 0);
    return node ? &node->stat : &model->root;
}

static void model_delete(struct model *model, struct model_node *node, int64_t zxid)
{
    struct change parent = {.zxid = zxid};
    snprintf(parent.path, sizeof parent.path, "%s", node->path);
    *node = model->nodes[--model->count];
    model_parent(model, &parent)->pzxid = zxid;
}

static void model_create(struct model *model, const struct change *change)
{
    assert_true(model->count < MODEL_NODES_MAX);
    struct model_node *node = &model->nodes[model->count++];
    *node = (struct model_node){.data_length = change->data_length, .perms = change->perms};
    snprintf(node->path, sizeof node->path, "%s", change->path);
    memcpy(node->data, change->data, sizeof node->data);
    node->stat.czxid = node->stat.mzxid = node->stat.pzxid = change->zxid;
    node->stat.ctime = node->stat.mtime = change->time_ms;
    node->stat.ephemeral_owner = change->owner;
    model_parent(model, change)->cversion++;
    model_parent(model, change)->pzxid = change->zxid;
}

static void model_apply(struct model *model, const struct change *change)
{
    struct model_node *node = model_find(model, change_path(change));
    switch (change->type) {
    case CHANGE_CREATE:
        model_create(model, change);
        break;
    case CHANGE_DELETE:
        model_delete(model, node, change->zxid);
        break;
    case CHANGE_DATA:
        memcpy(node->data, change->data, sizeof node->data);
        node->data_length = change->data_length;
        node->stat.version++;
        node->stat.mzxid = change->zxid;
        node->stat.mtime = change->time_ms;
        break;
    case CHANGE_ACL:
        node->perms = change->perms;
        node->stat.aversion++;
        break;
    case CHANGE_OPEN:
        break;
    case CHANGE_CLOSE:
        for (int i = model->count - 1; i >= 0; i--)
            if (model->nodes[i].stat.ephemeral_owner == change->owner)
                model_delete(model, &model->nodes[i], change->zxid);
        break;
    }
}

/* The definition, byte by byte, and not the way in which the tree comes by it. */
static uint64_t model_digest(const char *path, const char *data, int32_t data_length,
                             const struct mk_stat_persisted *stat)
{
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    const int64_t longs[] = {stat->czxid, stat->mzxid, stat->pzxid, stat->ctime, stat->mtime};
    const int32_t ints[] = {stat->version, stat->cversion, stat->aversion};
    uint8_t word[8];
    mk_buffer_append_string(&bytes, path);
    mk_buffer_append(&bytes, data, (size_t)MK_MAX(data_length, 0));
    for (size_t i = 0; i < MK_ARRAY_LENGTH(longs); i++) {
        mk_store_u64(word, (uint64_t)longs[i]);
        mk_buffer_append(&bytes, word, 8);
    }
    for (size_t i = 0; i < MK_ARRAY_LENGTH(ints); i++) {
        mk_store_u32(word, (uint32_t)ints[i]);
        mk_buffer_append(&bytes, word, 4);
    }
    mk_store_u64(word, (uint64_t)stat->ephemeral_owner);
    mk_buffer_append(&bytes, word, 8);
    uint64_t digest = mk_crc32(0, bytes.data, bytes.length);
    mk_buffer_fini(&bytes);
    return digest;
}

static int model_children(const struct model *model, const char *path)
{
    int count = 0;
    for (int i = 0; i < model->count; i++)
        count += mk_bytes_equal_string(path_parent(text(model->nodes[i].path)), path);
    return count;
}

static int model_descendants(const struct model *model, const char *path)
{
    int count = 0;
    size_t length = strlen(path);
    for (int i = 0; i < model->count; i++)
        count +=
            strncmp(model->nodes[i].path, path, length) == 0 && model->nodes[i].path[length] == '/';
    return count;
}

static void compare_node(const struct tree *tree, const struct model *model,
                         const struct model_node *expected)
{
    const struct znode *node = tree_find(tree, text(expected->path));
    assert_non_null(node);
    struct mk_stat_persisted stat;
    tree_stat_persisted(tree, node, &stat);
    assert_memory_equal(&stat, &expected->stat, sizeof stat);
    struct mk_bytes data = {(const uint8_t *)expected->data, expected->data_length};
    assert_true(mk_bytes_equal(znode_data(node), data));
    assert_int_equal(tree_child_count(tree, node), model_children(model, expected->path));
    assert_int_equal(tree_descendant_count(tree, node), model_descendants(model, expected->path));
    const struct mk_acl_vector *acl = acl_get(tree_acls(tree), znode_acl(node));
    assert_int_equal(acl->items[0].perms, expected->perms < 0 ? 31 : expected->perms);
}

static void compare(const struct tree *tree, const struct model *model)
{
    struct mk_stat_persisted zookeeper = {.czxid = 0};
    uint64_t digest = model_digest("", "", 0, &model->root);
    digest += model_digest("/zookeeper", "", 0, &zookeeper);
    assert_int_equal(tree_node_count(tree), model->count + 4);
    for (int i = 0; i < model->count; i++) {
        const struct model_node *node = &model->nodes[i];
        compare_node(tree, model, node);
        digest += model_digest(node->path, node->data, node->data_length, &node->stat);
    }
    assert_int_equal(tree_digest(tree), digest);
}

static void run_seed(uint64_t seed, int steps)
{
    struct mk_rand rand;
    struct model *model = mk_calloc(1, sizeof *model);
    struct tree *tree = new_tree();
    mk_rand_init(&rand, seed);
    for (int i = 1; i <= steps; i++) {
        struct change change = random_change(tree, &rand, i);
        assert_int_equal(apply_change(tree, &change), 0);
        model_apply(model, &change);
        if (i % 20 == 0) {
            tree_check(tree);
            compare(tree, model);
        }
    }
    tree_check(tree);
    compare(tree, model);
    tree_free(tree);
    mk_free(model);
}

static void test_random_changes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        run_seed(seed, 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
