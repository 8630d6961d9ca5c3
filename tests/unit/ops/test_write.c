/* SPDX-License-Identifier: MIT */
/* delete, setData, setACL, deleteContainer, reconfig: the order in which errors win (4.2), and
 * how each operation moves the fields of Stat (4.5). */
#include "tests/lib/op_fixture.h"

#include "tree/path.h"

static void test_delete_order(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/a"), 0);
    assert_int_equal(create(&f, "/a/b"), 0);
    assert_int_equal(delete_node(&f, "/a", 0), MK_ERR_NOT_EMPTY);
    assert_int_equal(delete_node(&f, "/a", 7), MK_ERR_BAD_VERSION);
    assert_int_equal(delete_node(&f, "/b", 7), MK_ERR_NO_NODE);
    assert_int_equal(create_with(&f, "/closed", "23:world:anyone", 0), 0);
    assert_int_equal(delete_node(&f, "/closed/x", 7), MK_ERR_NO_AUTH);
    assert_int_equal(delete_node(&f, "/missing/x", 7), MK_ERR_NO_NODE);
    assert_int_equal(delete_node(&f, "/a/", 7), MK_ERR_NO_NODE);
    assert_int_equal(delete_node(&f, "//", 7), MK_ERR_NO_NODE);
    static const char *const refused[] = {
        "", "nop", "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(refused); i++)
        assert_int_equal(delete_node(&f, refused[i], -1), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(delete_node(&f, NULL, -1), MK_ERR_MARSHALLING);
    assert_int_equal(delete_node(&f, "/a/b", 0), 0);
    assert_int_equal(f.reply.length, 0);
    assert_changes(&f.changes, "2 /a/b");
    assert_int_equal(delete_node(&f, "/a", -1), 0);
    assert_false(is_there(&f, "/a"));
    fixture_fini(&f);
}

static void test_set_data_order(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/a"), 0);
    assert_int_equal(set_data(&f, "/a", "y", 7), MK_ERR_BAD_VERSION);
    assert_int_equal(set_data(&f, "/a", "y", -2), MK_ERR_BAD_VERSION);
    assert_int_equal(create_with(&f, "/closed", "29:world:anyone", 0), 0);
    assert_int_equal(set_data(&f, "/closed", "y", 7), MK_ERR_NO_AUTH);
    assert_int_equal(set_data(&f, "/missing", "y", 7), MK_ERR_NO_NODE);
    assert_int_equal(set_data(&f, "/missing/", "y", 7), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(set_data(&f, "", "y", 7), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(set_data(&f, "/a/", "y", 7), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(set_data(&f, NULL, "y", 7), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(set_data(&f, "/zookeeper/config", "y", -1), MK_ERR_NO_AUTH);
    assert_int_equal(set_data(&f, "/a", "yy", 0), 0);
    assert_changes(&f.changes, "3 /a");
    assert_int_equal(set_data(&f, "/", "root", 0), 0);
    assert_int_equal(stat_of(&f, "/").version, 1);
    assert_int_equal(set_data(&f, "/a", NULL, 1), 0);
    assert_int_equal(znode_data(tree_find(f.tree, text("/a"))).length, -1);
    fixture_fini(&f);
}

static void test_set_acl_order(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/a"), 0);
    assert_int_equal(set_acl(&f, "/a", OPEN_ACL, 7), MK_ERR_BAD_VERSION);
    assert_int_equal(create_with(&f, "/closed", "15:world:anyone", 0), 0);
    assert_int_equal(set_acl(&f, "/closed", OPEN_ACL, 7), MK_ERR_NO_AUTH);
    assert_int_equal(set_acl(&f, "/missing", OPEN_ACL, 7), MK_ERR_NO_NODE);
    assert_int_equal(set_acl(&f, "/missing", "", 7), MK_ERR_INVALID_ACL);
    assert_int_equal(set_acl(&f, "/missing/", "", 7), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(set_acl(&f, NULL, OPEN_ACL, 7), MK_ERR_BAD_ARGUMENTS);
    /* It is aversion that is compared. */
    assert_int_equal(set_data(&f, "/a", "y", -1), 0);
    assert_int_equal(set_acl(&f, "/a", "31:digest:u:x", 0), 0);
    assert_int_equal(f.reply.length, MK_STAT_BYTES);
    assert_changes(&f.changes, "");
    fixture_fini(&f);
}

static void assert_stat(struct mk_stat seen, struct mk_stat wanted)
{
    assert_int_equal(seen.czxid, wanted.czxid);
    assert_int_equal(seen.mzxid, wanted.mzxid);
    assert_int_equal(seen.pzxid, wanted.pzxid);
    assert_int_equal(seen.ctime, wanted.ctime);
    assert_int_equal(seen.mtime, wanted.mtime);
    assert_int_equal(seen.version, wanted.version);
    assert_int_equal(seen.cversion, wanted.cversion);
    assert_int_equal(seen.aversion, wanted.aversion);
    assert_int_equal(seen.data_length, wanted.data_length);
    assert_int_equal(seen.num_children, wanted.num_children);
}

/* The columns of 4.5, for the node and its parent. */
static void test_stat_evolution(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.time_ms = 100;
    assert_int_equal(create(&f, "/p"), 0);
    int64_t z = f.zxid;
    struct mk_stat p = {
        .czxid = z, .mzxid = z, .pzxid = z, .ctime = 100, .mtime = 100, .data_length = 1};
    assert_stat(stat_of(&f, "/p"), p);

    f.time_ms = 200;
    assert_int_equal(create(&f, "/p/x"), 0);
    struct mk_stat x = {.czxid = z + 1,
                        .mzxid = z + 1,
                        .pzxid = z + 1,
                        .ctime = 200,
                        .mtime = 200,
                        .data_length = 1};
    p.pzxid = z + 1;
    p.cversion = 1;
    p.num_children = 1;
    assert_stat(stat_of(&f, "/p/x"), x);
    assert_stat(stat_of(&f, "/p"), p);

    f.time_ms = 300;
    assert_int_equal(set_data(&f, "/p/x", "abc", 0), 0);
    x.mzxid = z + 2;
    x.mtime = 300;
    x.version = 1;
    x.data_length = 3;
    assert_stat(stat_of(&f, "/p/x"), x);
    assert_stat(stat_of(&f, "/p"), p);

    assert_int_equal(set_acl(&f, "/p/x", "31:world:anyone", 0), 0);
    x.aversion = 1;
    assert_stat(stat_of(&f, "/p/x"), x);
    assert_stat(stat_of(&f, "/p"), p);

    assert_int_equal(delete_node(&f, "/p/x", 1), 0);
    p.pzxid = z + 4;
    p.cversion = 2;
    p.num_children = 0;
    assert_stat(stat_of(&f, "/p"), p);
    fixture_fini(&f);
}

/* A fresh tree shows -1 and -2: its built-in nodes were never counted as created. */
static void test_fresh_cversion(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(stat_of(&f, "/").cversion, -1);
    assert_int_equal(stat_of(&f, "/zookeeper").cversion, -2);
    fixture_fini(&f);
}

/* -1 as a version would mean "any": it is skipped (3.9, ZOOKEEPER-4743). */
static void test_version_wrap(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/v"), 0);
    assert_int_equal(tree_set_data(f.tree, text("/v"), text("x"), INT32_MAX, ++f.zxid, 1), 0);
    assert_int_equal(set_data(&f, "/v", "y", INT32_MAX), 0);
    assert_int_equal(stat_of(&f, "/v").version, INT32_MIN);
    assert_int_equal(tree_set_data(f.tree, text("/v"), text("x"), -2, ++f.zxid, 1), 0);
    assert_int_equal(set_data(&f, "/v", "y", -2), 0);
    assert_int_equal(stat_of(&f, "/v").version, 0);
    fixture_fini(&f);
}

static int delete_container(struct fixture *f, const char *path)
{
    put_path(f, path);
    return send_write(f, MK_OP_DELETE_CONTAINER);
}

static void test_delete_container(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    put_create(&f, "/c", "x", OPEN_ACL, MK_CREATE_CONTAINER);
    assert_int_equal(send_write(&f, MK_OP_CREATE_CONTAINER), 0);
    assert_int_equal(create(&f, "/c/x"), 0);
    assert_int_equal(create(&f, "/plain"), 0);
    assert_int_equal(create_with(&f, "/e", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    f.time_ms = 1000;
    put_create_ttl(&f, "/t", MK_CREATE_PERSISTENT_WITH_TTL, 50);
    assert_int_equal(send_write(&f, MK_OP_CREATE_TTL), 0);

    assert_int_equal(delete_container(&f, "nop"), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(delete_container(&f, "/zookeeper"), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(delete_container(&f, "/missing"), MK_ERR_NO_NODE);
    assert_int_equal(delete_container(&f, "/c"), MK_ERR_NOT_EMPTY);
    assert_int_equal(delete_container(&f, "/e"), MK_ERR_BAD_VERSION);
    /* Stricter than upstream: what is no container (any more) stays. */
    assert_int_equal(delete_container(&f, "/plain"), MK_ERR_BAD_VERSION);
    assert_int_equal(delete_container(&f, NULL), MK_ERR_MARSHALLING);
    f.time_ms = 1050;
    assert_int_equal(delete_container(&f, "/t"), MK_ERR_BAD_VERSION);
    assert_int_equal(set_data(&f, "/t", "y", -1), 0);
    f.time_ms = 1100;
    assert_int_equal(delete_container(&f, "/t"), MK_ERR_BAD_VERSION);
    f.time_ms = 1101;
    assert_int_equal(delete_container(&f, "/t"), 0);
    assert_int_equal(f.txn_type, MK_OP_DELETE_CONTAINER);
    assert_changes(&f.changes, "2 /t");
    assert_int_equal(delete_node(&f, "/c/x", -1), 0);
    assert_int_equal(delete_container(&f, "/c"), 0);
    assert_false(is_there(&f, "/c"));
    fixture_fini(&f);
}

static int reconfig(struct fixture *f)
{
    mk_reconfig_request_write(&f->request, &(struct mk_reconfig_request){
                                               .new_members = text("server.1=a:1:2;3"),
                                               .cur_config_id = -1,
                                           });
    return send_write(f, MK_OP_RECONFIG);
}

static void test_reconfig(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(reconfig(&f), MK_ERR_RECONFIG_DISABLED);
    f.settings.reconfig_enabled = true;
    assert_int_equal(reconfig(&f), MK_ERR_UNIMPLEMENTED);
    assert_false(f.undecodable);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delete_order),     cmocka_unit_test(test_set_data_order),
        cmocka_unit_test(test_set_acl_order),    cmocka_unit_test(test_stat_evolution),
        cmocka_unit_test(test_fresh_cversion),   cmocka_unit_test(test_version_wrap),
        cmocka_unit_test(test_delete_container), cmocka_unit_test(test_reconfig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
