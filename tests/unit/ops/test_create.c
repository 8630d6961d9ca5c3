/* SPDX-License-Identifier: MIT */
/* create in all its forms: the order in which errors win (client-protocol reference, 4.2),
 * what is a path (4.3), sequential names (4.4), owners (4.6), replies (Appendix B). */
#include "tests/lib/op_fixture.h"

#include "tree/path.h"

static int send_create(struct fixture *f, int32_t op, const char *path, const char *acl,
                       int32_t flags)
{
    put_create(f, path, "x", acl, flags);
    return send_write(f, op);
}

static int send_ttl(struct fixture *f, const char *path, int32_t flags, int64_t ttl)
{
    put_create_ttl(f, path, flags, ttl);
    return send_write(f, MK_OP_CREATE_TTL);
}

/* Each row adds one mistake in front of those of the row before: the newest must win. */
static void test_error_order(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.enforce_quota = true;
    assert_int_equal(create(&f, "/q"), 0);
    assert_int_equal(create(&f, "/zookeeper/quota/q"), 0);
    put_create(&f, "/zookeeper/quota/q/zookeeper_limits", "count=-1,bytes=-1=;countHardLimit=1",
               OPEN_ACL, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), 0);
    assert_int_equal(create(&f, "/zookeeper/quota/q/zookeeper_stats"), 0);
    assert_int_equal(create(&f, "/q/a"), MK_ERR_QUOTA_EXCEEDED);
    assert_int_equal(create(&f, "/q"), MK_ERR_NODE_EXISTS);

    assert_int_equal(create_with(&f, "/e", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    assert_int_equal(create(&f, "/e/x"), MK_ERR_NO_CHILDREN_FOR_EPHEMERALS);
    assert_int_equal(create_with(&f, "/e/x", OPEN_ACL, MK_CREATE_EPHEMERAL_SEQUENTIAL),
                     MK_ERR_NO_CHILDREN_FOR_EPHEMERALS);
    assert_int_equal(create(&f, "/e/x\x01"), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(create_with(&f, "/closed", "27:world:anyone", 0), 0);
    assert_int_equal(create(&f, "/closed/x\x01"), MK_ERR_NO_AUTH);
    assert_int_equal(create(&f, "/missing/x\x01"), MK_ERR_NO_NODE);
    assert_int_equal(create_with(&f, "/missing/x\x01", "", 0), MK_ERR_INVALID_ACL);
    assert_int_equal(create_with(&f, "/e/x", "", 0), MK_ERR_INVALID_ACL);
    assert_int_equal(create_with(&f, "nop", "", 0), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(create_with(&f, NULL, "", 0), MK_ERR_MARSHALLING);
    assert_false(f.undecodable);
    assert_int_equal(create_with(&f, NULL, "", MK_CREATE_PERSISTENT_WITH_TTL),
                     MK_ERR_BAD_ARGUMENTS);
    f.settings.extended_types = false;
    assert_int_equal(create_with(&f, NULL, "", MK_CREATE_PERSISTENT_WITH_TTL),
                     MK_ERR_UNIMPLEMENTED);
    assert_int_equal(create_with(&f, NULL, "", 7), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(create_with(&f, NULL, "", -1), MK_ERR_BAD_ARGUMENTS);
    fixture_fini(&f);
}

static void test_paths(void **state)
{
    static const struct {
        const char *path;
        int32_t flags;
        int error;
    } rows[] = {
        {"", 0, MK_ERR_BAD_ARGUMENTS},
        {"foo", 0, MK_ERR_BAD_ARGUMENTS},
        {"foo/bar", 0, MK_ERR_NO_NODE},
        {"/", 0, MK_ERR_NODE_EXISTS},
        {"/a/", 0, MK_ERR_BAD_ARGUMENTS},
        {"/b/", 0, MK_ERR_NO_NODE},
        {"/a//b", 0, MK_ERR_NO_NODE},
        {"/a/./b", 0, MK_ERR_NO_NODE},
        {"/a/.", 0, MK_ERR_BAD_ARGUMENTS},
        {"/a/..", 0, MK_ERR_BAD_ARGUMENTS},
        {"/a/...", 0, 0},
        {"/a/\xc2\xa0", 0, 0},
        {"/a/\xef\xa4\x80", 0, 0},
        {"/a/\xef\xbf\xaf", 0, 0},
        {"/a/\xef\xbf\xb0", 0, MK_ERR_BAD_ARGUMENTS},
        {"/a/\xf0\x9f\x98\x80", 0, MK_ERR_BAD_ARGUMENTS},
        {"/a/\x7f", 0, MK_ERR_BAD_ARGUMENTS},
        {"/a/\xff", 0, MK_ERR_BAD_ARGUMENTS},
        {"/a/\xee\x80\x80", 0, MK_ERR_BAD_ARGUMENTS},
    };
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/a"), 0);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(rows); i++)
        if (create_with(&f, rows[i].path, OPEN_ACL, rows[i].flags) != rows[i].error)
            fail_msg("create \"%s\" (row %zu)", rows[i].path, i);
    mk_create_request_write(&f.request, &(struct mk_create_request){
                                            .path = MK_BYTES("/a/x\0y"),
                                            .acl = acl_of(&f, OPEN_ACL),
                                        });
    assert_int_equal(send_write(&f, MK_OP_CREATE), MK_ERR_BAD_ARGUMENTS);
    /* Four children so far: /a/ with a number behind it is the fifth. */
    assert_int_equal(create_with(&f, "/a/", OPEN_ACL, MK_CREATE_PERSISTENT_SEQUENTIAL), 0);
    assert_reply_path(&f, "/a/0000000004");
    fixture_fini(&f);
}

/* The longest path, and one byte more. */
static void test_path_length(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    char path[16384 + 2];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[16384] = '\0';
    assert_int_equal(create(&f, path), 0);
    path[16384] = 'x';
    path[16385] = '\0';
    assert_int_equal(create(&f, path), MK_ERR_BAD_ARGUMENTS);
    fixture_fini(&f);
}

static void test_sequence(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    const int32_t sequential = MK_CREATE_PERSISTENT_SEQUENTIAL;
    assert_int_equal(create(&f, "/s"), 0);
    assert_int_equal(create_with(&f, "/s/n-", OPEN_ACL, sequential), 0);
    assert_reply_path(&f, "/s/n-0000000000");
    /* Every child counts, deletes and failures do not. */
    assert_int_equal(create(&f, "/s/other"), 0);
    assert_int_equal(create(&f, "/s/other"), MK_ERR_NODE_EXISTS);
    assert_int_equal(delete_node(&f, "/s/other", -1), 0);
    assert_int_equal(create_with(&f, "/s/n-", OPEN_ACL, MK_CREATE_EPHEMERAL_SEQUENTIAL), 0);
    assert_reply_path(&f, "/s/n-0000000002");
    assert_int_equal(send_ttl(&f, "/s/t-", MK_CREATE_PERSISTENT_SEQUENTIAL_WITH_TTL, 9), 0);
    assert_reply_path(&f, "/s/t-0000000003");
    assert_int_equal(send_create(&f, MK_OP_CREATE_CONTAINER, "/s/c-", OPEN_ACL, sequential), 0);
    assert_reply_path(&f, "/s/c-0000000004");
    fixture_fini(&f);
}

/* Puts the count of creates of a node where no test could get by counting. */
static void raise_count(struct fixture *f, const char *parent, int32_t count)
{
    char path[64];
    snprintf(path, sizeof path, "%s/raise%lld", parent, (long long)f->zxid);
    struct tree_create node = {.path = text(path),
                               .acl = ACL_OPEN_UNSAFE,
                               .parent_cversion = count,
                               .zxid = ++f->zxid,
                               .time_ms = 1};
    assert_int_equal(tree_create(f->tree, &node), 0);
}

/* 4.4: the stored count only grows; at the top it sticks, and names collide. */
static void test_sequence_overflow(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/s"), 0);
    raise_count(&f, "/s", INT32_MAX - 1);
    int64_t pzxid = f.zxid + 1;
    assert_int_equal(create_with(&f, "/s/n", OPEN_ACL, MK_CREATE_PERSISTENT_SEQUENTIAL), 0);
    assert_reply_path(&f, "/s/n2147483646");
    assert_int_equal(create_with(&f, "/s/n", OPEN_ACL, MK_CREATE_PERSISTENT_SEQUENTIAL), 0);
    assert_reply_path(&f, "/s/n2147483647");
    assert_int_equal(create_with(&f, "/s/n", OPEN_ACL, MK_CREATE_PERSISTENT_SEQUENTIAL),
                     MK_ERR_NODE_EXISTS);
    assert_int_equal(create_with(&f, "/s/m", OPEN_ACL, MK_CREATE_PERSISTENT_SEQUENTIAL), 0);
    assert_reply_path(&f, "/s/m2147483647");
    assert_int_equal(stat_of(&f, "/s").pzxid, pzxid);
    assert_int_equal(stat_of(&f, "/s").num_children, 4);
    fixture_fini(&f);
}

static int64_t owner_of(struct fixture *f, const char *path)
{
    return tree_owner(f->tree, tree_find(f->tree, text(path)));
}

static void test_owners(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create_with(&f, "/e", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    assert_true(owner_of(&f, "/e") == SESSION);
    assert_true(stat_of(&f, "/e").ephemeral_owner == SESSION);
    /* A container whatever the flags say; create with flag 4 is an ordinary node. */
    assert_int_equal(send_create(&f, MK_OP_CREATE_CONTAINER, "/c0", OPEN_ACL, 0), 0);
    assert_int_equal(send_create(&f, MK_OP_CREATE_CONTAINER, "/c1", OPEN_ACL, 1), 0);
    assert_int_equal(send_create(&f, MK_OP_CREATE_CONTAINER, "/c4", OPEN_ACL, 4), 0);
    assert_true(owner_of(&f, "/c0") == TREE_OWNER_CONTAINER);
    assert_true(owner_of(&f, "/c1") == TREE_OWNER_CONTAINER);
    assert_true(owner_of(&f, "/c4") == TREE_OWNER_CONTAINER);
    assert_int_equal(create_with(&f, "/p4", OPEN_ACL, MK_CREATE_CONTAINER), 0);
    assert_int_equal(send_create(&f, MK_OP_CREATE2, "/p42", OPEN_ACL, MK_CREATE_CONTAINER), 0);
    assert_true(owner_of(&f, "/p4") == 0);
    assert_true(owner_of(&f, "/p42") == 0);
    assert_int_equal(send_ttl(&f, "/t", MK_CREATE_PERSISTENT_WITH_TTL, 5), 0);
    assert_true(owner_of(&f, "/t") == (TREE_OWNER_TTL_MASK | 5));
    /* To clients only ephemerals have an owner. */
    assert_int_equal(stat_of(&f, "/c0").ephemeral_owner, 0);
    assert_int_equal(stat_of(&f, "/t").ephemeral_owner, 0);
    fixture_fini(&f);
}

static void test_ttl_range(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(send_ttl(&f, "/t", 5, 0), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(send_ttl(&f, "/t", 5, -1), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(send_ttl(&f, "/t", 5, TREE_TTL_MS_MAX + 1), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(send_ttl(&f, "/t1", 5, 1), 0);
    assert_int_equal(send_ttl(&f, "/t2", 5, TREE_TTL_MS_MAX), 0);
    /* A mode without TTL never goes with this opcode: Apache 3.8.0 dies of the negative one. */
    for (int32_t flags = 0; flags <= 4; flags++) {
        assert_int_equal(send_ttl(&f, "/t", flags, -1), MK_ERR_BAD_ARGUMENTS);
        assert_int_equal(send_ttl(&f, "/t", flags, 5), MK_ERR_BAD_ARGUMENTS);
    }
    /* And a TTL mode needs a TTL. */
    assert_int_equal(send_create(&f, MK_OP_CREATE_CONTAINER, "/t", OPEN_ACL, 5),
                     MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(send_create(&f, MK_OP_CREATE2, "/t", OPEN_ACL, 6), MK_ERR_BAD_ARGUMENTS);
    f.settings.extended_types = false;
    assert_int_equal(send_ttl(&f, "/t", 5, 0), MK_ERR_UNIMPLEMENTED);
    assert_int_equal(send_create(&f, MK_OP_CREATE_CONTAINER, "/c", OPEN_ACL, 0), 0);
    fixture_fini(&f);
}

static void test_replies(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/a"), 0);
    assert_hex(&f.reply, "00000002 2f61");
    f.zxid = 0x12;
    f.time_ms = 0x123456;
    assert_int_equal(send_create(&f, MK_OP_CREATE2, "/b", OPEN_ACL, 0), 0);
    assert_hex(&f.reply, "00000002 2f62"
                         "0000000000000013 0000000000000013 0000000000123456 0000000000123456"
                         "00000000 00000000 00000000 0000000000000000 00000001 00000000"
                         "0000000000000013");
    assert_changes(&f.changes, "1 /b");
    assert_int_equal(send_create(&f, MK_OP_CREATE_CONTAINER, "/c", OPEN_ACL, 4), 0);
    assert_int_equal(f.reply.length, 6 + MK_STAT_BYTES);
    assert_int_equal(send_ttl(&f, "/d", 5, 77), 0);
    assert_int_equal(f.reply.length, 6 + MK_STAT_BYTES);
    fixture_fini(&f);
}

/* Null data stays null, with length 0. */
static void test_null_data(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    put_create(&f, "/n", NULL, OPEN_ACL, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), 0);
    assert_int_equal(stat_of(&f, "/n").data_length, 0);
    assert_int_equal(znode_data(tree_find(f.tree, text("/n"))).length, -1);
    put_create(&f, "/m", "", OPEN_ACL, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), 0);
    assert_int_equal(znode_data(tree_find(f.tree, text("/m"))).length, 0);
    fixture_fini(&f);
}

static void test_undecodable(void **state)
{
    static const int32_t ops[] = {MK_OP_CREATE,     MK_OP_CREATE2,  MK_OP_CREATE_CONTAINER,
                                  MK_OP_CREATE_TTL, MK_OP_DELETE,   MK_OP_SET_DATA,
                                  MK_OP_SET_ACL,    MK_OP_RECONFIG, MK_OP_DELETE_CONTAINER};
    struct fixture f;
    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(ops); i++) {
        mk_buffer_append(&f.request, "\0\0", 2);
        assert_int_equal(send_write(&f, ops[i]), MK_ERR_MARSHALLING);
        assert_true(f.undecodable);
    }
    /* An inner length beyond the frame, and more ACLs than bytes. */
    mk_write_int(&f.request, 1000);
    assert_int_equal(send_write(&f, MK_OP_DELETE), MK_ERR_MARSHALLING);
    put_path(&f, "/x");
    put_path(&f, "x");
    mk_write_int(&f.request, 0x7fffffff);
    assert_int_equal(send_write(&f, MK_OP_CREATE), MK_ERR_MARSHALLING);
    /* A count below -1 reads as an empty list. */
    put_path(&f, "/x");
    put_path(&f, "x");
    mk_write_int(&f.request, -5);
    mk_write_int(&f.request, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), MK_ERR_INVALID_ACL);
    /* Not writes: refused, whatever the bytes. */
    assert_int_equal(send_write(&f, MK_OP_CHECK), MK_ERR_UNIMPLEMENTED);
    assert_int_equal(send_write(&f, MK_OP_GET_DATA), MK_ERR_UNIMPLEMENTED);
    assert_int_equal(send_write(&f, 4711), MK_ERR_UNIMPLEMENTED);
    assert_int_equal(send_read(&f, MK_OP_CREATE), MK_ERR_UNIMPLEMENTED);
    assert_int_equal(send_read(&f, -7), MK_ERR_UNIMPLEMENTED);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_order),       cmocka_unit_test(test_paths),
        cmocka_unit_test(test_path_length),       cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_sequence_overflow), cmocka_unit_test(test_owners),
        cmocka_unit_test(test_ttl_range),         cmocka_unit_test(test_replies),
        cmocka_unit_test(test_null_data),         cmocka_unit_test(test_undecodable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
