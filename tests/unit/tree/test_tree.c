/* SPDX-License-Identifier: MIT */
/* What each change does to znodes and their Stat (client-protocol reference, 4.5 and 4.7), what
 * replay over its own effects does (storage reference, 6.2), odd paths, odd sizes. */
#include "tests/unit/tree/tree_test.h"

static void test_fresh(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct mk_stat stat = stat_of(tree, "/");
    assert_int_equal(stat.cversion, -1);
    assert_int_equal(stat.num_children, 1);
    assert_int_equal(stat.czxid + stat.mzxid + stat.pzxid + stat.ctime + stat.mtime, 0);
    assert_int_equal(stat_of(tree, "/zookeeper").cversion, -2);
    assert_int_equal(stat_of(tree, "/zookeeper/quota").cversion, 0);
    struct mk_stat config = stat_of(tree, "/zookeeper/config");
    assert_int_equal(config.aversion, -1);
    assert_int_equal(config.version, 0);
    assert_int_equal(config.data_length, 0);
    assert_int_equal(znode_acl(tree_root(tree)), ACL_OPEN_UNSAFE);
    const struct znode *node = tree_find(tree, text("/zookeeper/config"));
    const struct mk_acl_vector *acl = acl_get(tree_acls(tree), znode_acl(node));
    assert_int_equal(znode_acl(node), 1);
    assert_int_equal(acl->items[0].perms, MK_PERM_READ);
    assert_int_equal(acl_user_count(tree_acls(tree), 1), 1);
    assert_bytes(znode_data(node), "");
    tree_check(tree);
    tree_free(tree);
}

static void test_odd_paths_find_nothing(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    assert_int_equal(create(tree, "/a", "x", 1), 0);
    assert_int_equal(create(tree, "/a/b", "x", 2), 0);
    assert_ptr_equal(tree_find(tree, text("")), tree_root(tree));
    assert_ptr_equal(tree_find(tree, text("/")), tree_root(tree));
    assert_non_null(tree_find(tree, text("/a/b")));
    static const char *const odd[] = {"a",    "foo",  "/a/", "//a", "/a//b", "/a/b/", "//",
                                      "/a/.", "/./a", "a/b", "/b",  "/a/c",  "/A",    "/aa"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(odd); i++)
        if (tree_find(tree, text(odd[i])))
            fail_msg("found: %s", odd[i]);
    assert_null(tree_find(tree, MK_BYTES_NULL));
    assert_null(tree_find(tree, MK_BYTES("/a\0")));
    tree_free(tree);
}

static void test_stat_of_create(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    assert_int_equal(create(tree, "/p", "data", 10), 0);
    struct mk_stat stat = stat_of(tree, "/p");
    assert_int_equal(stat.czxid, 10);
    assert_int_equal(stat.mzxid, 10);
    assert_int_equal(stat.pzxid, 10);
    assert_int_equal(stat.ctime, 1010);
    assert_int_equal(stat.mtime, 1010);
    assert_int_equal(stat.version + stat.cversion + stat.aversion, 0);
    assert_int_equal(stat.data_length, 4);
    stat = stat_of(tree, "/");
    assert_int_equal(stat.pzxid, 10);
    assert_int_equal(stat.cversion, 0); /* 2 * 1 create - 2 children */
    assert_int_equal(stat.mzxid, 0);

    assert_int_equal(create(tree, "/p/x", NULL, 11), 0);
    assert_int_equal(create(tree, "/p/y", "", 12), 0);
    stat = stat_of(tree, "/p");
    assert_int_equal(stat.pzxid, 12);
    assert_int_equal(stat.cversion, 2);
    assert_int_equal(stat.num_children, 2);
    assert_int_equal(stat.mzxid, 10);
    assert_int_equal(stat.mtime, 1010);
    assert_bytes(znode_data(tree_find(tree, text("/p/x"))), NULL);
    assert_bytes(znode_data(tree_find(tree, text("/p/y"))), "");
    assert_int_equal(stat_of(tree, "/p/x").data_length, 0);

    assert_int_equal(tree_delete(tree, text("/p/x"), 13), 0);
    stat = stat_of(tree, "/p");
    assert_int_equal(stat.pzxid, 13);
    assert_int_equal(stat.cversion, 3);
    assert_int_equal(stat.num_children, 1);
    struct mk_stat_persisted persisted;
    tree_stat_persisted(tree, tree_find(tree, text("/p")), &persisted);
    assert_int_equal(persisted.cversion, 2);
    tree_check(tree);
    tree_free(tree);
}

static void test_stat_of_set(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    assert_int_equal(create(tree, "/p", "data", 10), 0);
    assert_int_equal(tree_set_data(tree, text("/p"), text("longer data"), 1, 20, 99), 0);
    struct mk_stat stat = stat_of(tree, "/p");
    assert_int_equal(stat.version, 1);
    assert_int_equal(stat.mzxid, 20);
    assert_int_equal(stat.mtime, 99);
    assert_int_equal(stat.czxid, 10);
    assert_int_equal(stat.pzxid, 10);
    assert_int_equal(stat.data_length, 11);
    assert_bytes(znode_data(tree_find(tree, text("/p"))), "longer data");
    uint32_t acl = intern_one(tree, 3, "digest", "a:b");
    assert_int_equal(tree_set_acl(tree, text("/p"), acl, 5), 0);
    acl_release(tree_acls(tree), acl);
    struct mk_stat after = stat_of(tree, "/p");
    assert_int_equal(after.aversion, 5);
    after.aversion = stat.aversion;
    assert_memory_equal(&after, &stat, sizeof stat); /* nothing else moves */
    assert_int_equal(znode_acl(tree_find(tree, text("/p"))), acl);
    assert_int_equal(tree_set_data(tree, text("/p"), MK_BYTES_NULL, 2, 21, 100), 0);
    assert_bytes(znode_data(tree_find(tree, text("/p"))), NULL);
    assert_int_equal(tree_set_data(tree, text("/q"), text(""), 1, 20, 99), MK_ERR_NO_NODE);
    assert_int_equal(tree_set_data(tree, text("/p/"), text(""), 1, 20, 99), MK_ERR_NO_NODE);
    assert_int_equal(tree_set_acl(tree, text("/q"), ACL_OPEN_UNSAFE, 1), MK_ERR_NO_NODE);
    assert_int_equal(tree_set_data(tree, text("/"), text("root"), 1, 30, 99), 0);
    assert_int_equal(stat_of(tree, "/").data_length, 4);
    tree_check(tree);
    tree_free(tree);
}

static void test_errors(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    assert_int_equal(create(tree, "/a", "", 1), 0);
    assert_int_equal(create(tree, "/a", "", 2), MK_ERR_NODE_EXISTS);
    assert_int_equal(create(tree, "/", "", 2), MK_ERR_NODE_EXISTS);
    assert_int_equal(create(tree, "/x/y", "", 2), MK_ERR_NO_NODE);
    assert_int_equal(create(tree, "//y", "", 2), MK_ERR_NO_NODE); /* not the child "y" of "/" */
    assert_int_equal(create(tree, "a", "", 2), MK_ERR_NO_NODE);
    assert_int_equal(create(tree, "a/b", "", 2), MK_ERR_NO_NODE);
    assert_int_equal(create(tree, "", "", 2), MK_ERR_NO_NODE);
    assert_int_equal(create(tree, "/a/b", "", 2), 0);
    assert_int_equal(tree_delete(tree, text("/a"), 3), MK_ERR_NOT_EMPTY);
    assert_int_equal(tree_delete(tree, text("/"), 3), MK_ERR_NOT_EMPTY);
    assert_int_equal(tree_delete(tree, text(""), 3), MK_ERR_NO_NODE);
    assert_int_equal(tree_delete(tree, MK_BYTES_NULL, 3), MK_ERR_NO_NODE);
    assert_int_equal(tree_delete(tree, text("//a"), 3), MK_ERR_NO_NODE);
    assert_int_equal(tree_delete(tree, text("/a/c"), 4), MK_ERR_NO_NODE);
    assert_int_equal(stat_of(tree, "/a").pzxid, 4); /* rises all the same */
    assert_int_equal(tree_delete(tree, text("/c/c"), 4), MK_ERR_NO_NODE);
    tree_check(tree);
    tree_free(tree);
}

static int create_with_count(struct tree *tree, const char *path, int32_t cversion, int64_t zxid)
{
    uint32_t acl = intern_one(tree, 1, "ip", "10.0.0.1");
    struct tree_create create = {.path = text(path),
                                 .data = text("new"),
                                 .acl = acl,
                                 .parent_cversion = cversion,
                                 .zxid = zxid};
    int result = tree_create(tree, &create);
    acl_release(tree_acls(tree), acl);
    return result;
}

static void test_replay_of_create(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    assert_int_equal(create(tree, "/p", "", 1), 0);
    assert_int_equal(create_with_count(tree, "/p/x", 5, 10), 0);
    assert_int_equal(stat_of(tree, "/p").cversion, 2 * 5 - 1);
    /* a smaller count moves nothing, pzxid included */
    assert_int_equal(create_with_count(tree, "/p/y", 3, 11), 0);
    assert_int_equal(stat_of(tree, "/p").cversion, 2 * 5 - 2);
    assert_int_equal(stat_of(tree, "/p").pzxid, 10);
    /* over itself: data and Stat stay, the list is taken, the parent only moves up */
    assert_int_equal(tree_set_data(tree, text("/p/x"), text("later"), 1, 50, 7), 0);
    assert_int_equal(create(tree, "/p/x", "old", 12), MK_ERR_NODE_EXISTS);
    struct mk_stat stat = stat_of(tree, "/p/x");
    assert_int_equal(stat.mzxid, 50);
    assert_int_equal(stat.czxid, 10);
    assert_bytes(znode_data(tree_find(tree, text("/p/x"))), "later");
    const struct znode *node = tree_find(tree, text("/p/x"));
    assert_int_equal(acl_get(tree_acls(tree), znode_acl(node))->items[0].perms, 31);
    assert_int_equal(stat_of(tree, "/p").pzxid, 10);
    assert_int_equal(create_with_count(tree, "/p/x", 9, 13), MK_ERR_NODE_EXISTS);
    assert_int_equal(stat_of(tree, "/p").cversion, 2 * 9 - 2);
    assert_int_equal(stat_of(tree, "/p").pzxid, 13);
    assert_int_equal(create_with_count(tree, "/p/x", 9, 14), MK_ERR_NODE_EXISTS);
    assert_int_equal(stat_of(tree, "/p").pzxid, 13);
    tree_check(tree);
    tree_free(tree);
}

static void test_count_of_creates_at_its_end(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    assert_int_equal(create(tree, "/p", "", 1), 0);
    assert_int_equal(create_with_count(tree, "/p/a", INT32_MAX, 2), 0);
    assert_int_equal(create(tree, "/p/b", "", 3), 0); /* would wrap: sticks */
    struct mk_stat_persisted stat;
    tree_stat_persisted(tree, tree_find(tree, text("/p")), &stat);
    assert_int_equal(stat.cversion, INT32_MAX);
    assert_int_equal(stat.pzxid, 2);
    assert_int_equal(stat_of(tree, "/p").cversion, -4); /* 2 * (2^31 - 1) - 2, in 32 bits */
    tree_check(tree);
    tree_free(tree);
}

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(tree_kind(0), ZNODE_PERSISTENT);
    assert_int_equal(tree_kind(0x1000033f72f0000), ZNODE_EPHEMERAL);
    assert_int_equal(tree_kind(1), ZNODE_EPHEMERAL);
    assert_int_equal(tree_kind(-2), ZNODE_EPHEMERAL);
    assert_int_equal(tree_kind(TREE_OWNER_CONTAINER), ZNODE_CONTAINER);
    assert_int_equal(tree_kind(TREE_OWNER_TTL_MASK | 1), ZNODE_TTL);
    assert_int_equal(tree_kind(TREE_OWNER_TTL_MASK | TREE_TTL_MS_MAX), ZNODE_TTL);
    assert_int_equal(tree_kind((int64_t)0xfe00000000000001), ZNODE_EPHEMERAL);
    assert_int_equal(tree_kind((int64_t)0xff00010000000001), ZNODE_EPHEMERAL);
}

/* Names and data around every limit of the block classes, changed from each to each. */
static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 100, 254, 255, 256, 1000, 1017, 1023, 1024, 70000};
    struct tree *tree = new_tree();
    char *name = mk_alloc(70002);
    char *data = mk_alloc(70001);
    int64_t zxid = 1;
    for (size_t i = 1; i < MK_ARRAY_LENGTH(sizes); i++) {
        memset(name, 'a', sizes[i] + 1);
        name[0] = '/';
        struct mk_bytes path = mk_bytes_of(name, sizes[i] + 1);
        struct tree_create node = {.path = path,
                                   .data = MK_BYTES_NULL,
                                   .acl = ACL_OPEN_UNSAFE,
                                   .parent_cversion = -1,
                                   .zxid = zxid++};
        assert_int_equal(tree_create(tree, &node), 0);
        for (size_t j = 0; j < MK_ARRAY_LENGTH(sizes) * MK_ARRAY_LENGTH(sizes); j++) {
            size_t size = sizes[j * 5 % MK_ARRAY_LENGTH(sizes)];
            memset(data, 'a' + (int)(j % 26), size);
            assert_int_equal(
                tree_set_data(tree, path, mk_bytes_of(data, size), (int32_t)j, zxid++, 1), 0);
            const struct znode *found = tree_find(tree, path);
            assert_true(mk_bytes_equal(znode_data(found), mk_bytes_of(data, size)));
            assert_int_equal(znode_name(found).length, sizes[i]);
        }
        tree_check(tree);
        if (i % 2)
            assert_int_equal(tree_delete(tree, path, zxid++), 0);
    }
    tree_check(tree);
    mk_free(name);
    mk_free(data);
    tree_free(tree);
}

static void test_deep_path(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct mk_buffer path = MK_BUFFER_EMPTY;
    for (int depth = 1; depth <= 2000; depth++) {
        mk_buffer_append_string(&path, "/x");
        struct tree_create node = {.path = mk_buffer_bytes(&path),
                                   .data = MK_BYTES("1"),
                                   .acl = ACL_OPEN_UNSAFE,
                                   .parent_cversion = -1,
                                   .zxid = depth};
        assert_int_equal(tree_create(tree, &node), 0);
    }
    assert_int_equal(tree_descendant_count(tree, tree_root(tree)), 2003);
    assert_int_equal(tree_descendant_count(tree, tree_find(tree, text("/x"))), 1999);
    struct mk_buffer again = MK_BUFFER_EMPTY;
    tree_append_path(tree, tree_find(tree, mk_buffer_bytes(&path)), &again);
    assert_true(mk_bytes_equal(mk_buffer_bytes(&again), mk_buffer_bytes(&path)));
    tree_check(tree);
    for (int depth = 2000; depth >= 1; depth--) {
        assert_int_equal(tree_delete(tree, mk_buffer_bytes(&path), 5000 - depth), 0);
        path.length -= 2;
    }
    assert_int_equal(tree_node_count(tree), 4);
    tree_check(tree);
    mk_buffer_fini(&path);
    mk_buffer_fini(&again);
    tree_free(tree);
}

static void test_digest_off(void **state)
{
    (void)state;
    struct tree_options options = {.hash_seed = 1, .digest_enabled = false};
    struct tree *tree = tree_new(&options);
    assert_int_equal(create(tree, "/a", "x", 1), 0);
    assert_int_equal(tree_digest(tree), 0);
    assert_int_equal(znode_content_crc(tree_find(tree, text("/a"))), 0);
    tree_check(tree);
    tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_odd_paths_find_nothing),
        cmocka_unit_test(test_stat_of_create),
        cmocka_unit_test(test_stat_of_set),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_replay_of_create),
        cmocka_unit_test(test_count_of_creates_at_its_end),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_deep_path),
        cmocka_unit_test(test_digest_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
