/* SPDX-License-Identifier: MIT */
/* Reads: their replies byte for byte, what they do with odd paths, and which watches they
 * leave (client-protocol reference, 3.2, 4.2, 6.1, 6.4, 6.6). */
#include "tests/lib/op_fixture.h"

#include "base/mem.h"

static int read_watch(struct fixture *f, int32_t op, const char *path, bool watch)
{
    put_watch_read(f, path, watch);
    return send_read(f, op);
}

static void test_get_data(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.zxid = 0x12;
    f.time_ms = 0x99;
    put_create(&f, "/a", "hi", OPEN_ACL, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), 0);
    const char *stat = "0000000000000013 0000000000000013 0000000000000099 0000000000000099"
                       "00000000 00000000 00000000 0000000000000000 00000002 00000000"
                       "0000000000000013";
    char wanted[512];
    snprintf(wanted, sizeof wanted, "00000002 6869 %s", stat);
    assert_int_equal(read_watch(&f, MK_OP_GET_DATA, "/a", false), 0);
    assert_hex(&f.reply, wanted);
    assert_int_equal(read_watch(&f, MK_OP_EXISTS, "/a", false), 0);
    assert_hex(&f.reply, stat);
    assert_int_equal(read_watch(&f, MK_OP_GET_DATA, "", false), 0);
    assert_int_equal(read_watch(&f, MK_OP_GET_DATA, "foo", false), MK_ERR_NO_NODE);
    assert_int_equal(read_watch(&f, MK_OP_GET_DATA, "/a/", false), MK_ERR_NO_NODE);
    assert_int_equal(read_watch(&f, MK_OP_GET_DATA, NULL, false), MK_ERR_MARSHALLING);
    assert_int_equal(read_watch(&f, MK_OP_EXISTS, NULL, false), MK_ERR_MARSHALLING);
    mk_write_bytes(&f.request, MK_BYTES("/a\0b"));
    mk_write_boolean(&f.request, true);
    assert_int_equal(send_read(&f, MK_OP_EXISTS), MK_ERR_BAD_ARGUMENTS);
    mk_write_bytes(&f.request, MK_BYTES("/a\0b"));
    mk_write_boolean(&f.request, true);
    assert_int_equal(send_read(&f, MK_OP_GET_DATA), MK_ERR_NO_NODE);
    /* The watch byte is missing. */
    put_path(&f, "/a");
    assert_int_equal(send_read(&f, MK_OP_GET_DATA), MK_ERR_MARSHALLING);
    /* Bytes behind the record are ignored. */
    put_watch_read(&f, "/a", false);
    mk_write_int(&f.request, 4711);
    assert_int_equal(send_read(&f, MK_OP_GET_DATA), 0);
    fixture_fini(&f);
}

static void test_children(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/p"), 0);
    assert_int_equal(create(&f, "/p/c"), 0);
    assert_int_equal(create(&f, "/p/c/d"), 0);
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN, "/p", false), 0);
    assert_hex(&f.reply, "00000001 00000001 63");
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN2, "/p", false), 0);
    assert_int_equal(f.reply.length, 9 + MK_STAT_BYTES);
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN, "/p/c/d", false), 0);
    assert_hex(&f.reply, "00000000");
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN, NULL, false), MK_ERR_MARSHALLING);
    put_path(&f, "/p");
    assert_int_equal(send_read(&f, MK_OP_GET_ALL_CHILDREN_NUMBER), 0);
    assert_hex(&f.reply, "00000002");
    put_path(&f, "/");
    assert_int_equal(send_read(&f, MK_OP_GET_ALL_CHILDREN_NUMBER), 0);
    assert_hex(&f.reply, "00000006");
    put_path(&f, NULL);
    assert_int_equal(send_read(&f, MK_OP_GET_ALL_CHILDREN_NUMBER), MK_ERR_MARSHALLING);
    fixture_fini(&f);
}

static int32_t ephemerals(struct fixture *f, const char *prefix)
{
    put_path(f, prefix);
    assert_int_equal(send_read(f, MK_OP_GET_EPHEMERALS), 0);
    return (int32_t)mk_load_u32(f->reply.data);
}

static void test_ephemerals(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(ephemerals(&f, "/"), 0);
    assert_hex(&f.reply, "00000000");
    assert_int_equal(create(&f, "/a"), 0);
    assert_int_equal(create_with(&f, "/a/e", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    assert_int_equal(create_with(&f, "/ab", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    f.session_id = SESSION + 1;
    assert_int_equal(create_with(&f, "/a/other", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    f.session_id = SESSION;
    assert_int_equal(ephemerals(&f, NULL), 2);
    assert_int_equal(ephemerals(&f, ""), 2);
    assert_int_equal(ephemerals(&f, "  "), 2);
    assert_int_equal(ephemerals(&f, " / "), 2);
    assert_int_equal(ephemerals(&f, "/"), 2);
    /* A prefix of the string, not of components. */
    assert_int_equal(ephemerals(&f, "/a"), 2);
    assert_int_equal(ephemerals(&f, "/a/"), 1);
    assert_hex(&f.reply, "00000001 00000004 2f612f65");
    assert_int_equal(ephemerals(&f, "/x"), 0);
    fixture_fini(&f);
}

static void test_who_am_i(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(send_read(&f, MK_OP_WHO_AM_I), 0);
    assert_hex(&f.reply, "00000001 00000002 6970 00000009 3132372e302e302e31");
    add_identity(&f, "digest", "u:hash");
    add_identity(&f, "super", "x");
    assert_int_equal(send_read(&f, MK_OP_WHO_AM_I), 0);
    assert_hex(&f.reply, "00000003 00000002 6970 00000009 3132372e302e302e31"
                         "00000006 646967657374 00000001 75"
                         "00000005 7375706572 00000000");
    fixture_fini(&f);
}

static void test_sync_ping(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    put_path(&f, "/a");
    assert_int_equal(send_read(&f, MK_OP_SYNC), 0);
    assert_hex(&f.reply, "00000002 2f61");
    put_path(&f, NULL);
    assert_int_equal(send_read(&f, MK_OP_SYNC), 0);
    assert_hex(&f.reply, "ffffffff");
    assert_int_equal(send_read(&f, MK_OP_SYNC), MK_ERR_MARSHALLING);
    assert_int_equal(send_read(&f, MK_OP_PING), 0);
    assert_int_equal(f.reply.length, 0);
    fixture_fini(&f);
}

/* --- watches ------------------------------------------------------------------------------ */

static void test_read_watches(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/a"), 0);
    assert_int_equal(create_with(&f, "/closed", "30:world:anyone", 0), 0);
    assert_int_equal(read_watch(&f, MK_OP_GET_DATA, "/a", false), 0);
    assert_false(has_watch(&f, "/a", MK_WATCHER_ANY));
    assert_int_equal(read_watch(&f, MK_OP_GET_DATA, "/a", true), 0);
    assert_true(has_watch(&f, "/a", MK_WATCHER_DATA));
    assert_false(has_watch(&f, "/a", MK_WATCHER_CHILDREN));
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN2, "/a", true), 0);
    assert_true(has_watch(&f, "/a", MK_WATCHER_CHILDREN));
    /* exists watches what is missing, getData does not; a refusal leaves nothing. */
    assert_int_equal(read_watch(&f, MK_OP_EXISTS, "/m", true), MK_ERR_NO_NODE);
    assert_true(has_watch(&f, "/m", MK_WATCHER_DATA));
    assert_int_equal(read_watch(&f, MK_OP_GET_DATA, "/n", true), MK_ERR_NO_NODE);
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN, "/n", true), MK_ERR_NO_NODE);
    assert_false(has_watch(&f, "/n", MK_WATCHER_ANY));
    assert_int_equal(read_watch(&f, MK_OP_EXISTS, "/closed", true), MK_ERR_NO_AUTH);
    assert_int_equal(read_watch(&f, MK_OP_GET_DATA, "/closed", true), MK_ERR_NO_AUTH);
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN, "/closed", true), MK_ERR_NO_AUTH);
    assert_false(has_watch(&f, "/closed", MK_WATCHER_ANY));
    fixture_fini(&f);
}

static int path_int(struct fixture *f, int32_t op, const char *path, int32_t number)
{
    put_path_int(f, path, number);
    return send_read(f, op);
}

static void test_add_watch(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(path_int(&f, MK_OP_ADD_WATCH, "/m", 0), 0);
    assert_hex(&f.reply, "00000000");
    assert_true(has_watch(&f, "/m", MK_WATCHER_PERSISTENT));
    assert_int_equal(path_int(&f, MK_OP_ADD_WATCH, "/m", 1), 0);
    assert_true(has_watch(&f, "/m", MK_WATCHER_PERSISTENT));
    assert_true(has_watch(&f, "/m", MK_WATCHER_PERSISTENT_RECURSIVE));
    assert_int_equal(path_int(&f, MK_OP_ADD_WATCH, "/m", 2), MK_ERR_MARSHALLING);
    assert_int_equal(path_int(&f, MK_OP_ADD_WATCH, "/m", -1), MK_ERR_MARSHALLING);
    assert_int_equal(path_int(&f, MK_OP_ADD_WATCH, NULL, 0), 0);
    fixture_fini(&f);
}

static void test_check_and_remove(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    watch_add(f.watches, 7, text("/w"), WATCH_DATA);
    watch_add(f.watches, 7, text("/w"), WATCH_CHILD);
    watch_add(f.watches, 7, text("/w"), WATCH_PERSISTENT);
    watch_add(f.watches, 7, text("/w"), WATCH_RECURSIVE);
    watch_add(f.watches, 8, text("/other"), WATCH_DATA);
    for (int32_t type = 1; type <= 5; type++)
        assert_int_equal(path_int(&f, MK_OP_CHECK_WATCHES, "/w", type), 0);
    assert_int_equal(f.reply.length, 0);
    static const int32_t bad[] = {0, 6, -1};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(bad); i++) {
        assert_int_equal(path_int(&f, MK_OP_CHECK_WATCHES, "/w", bad[i]), MK_ERR_MARSHALLING);
        assert_int_equal(path_int(&f, MK_OP_REMOVE_WATCHES, "/w", bad[i]), MK_ERR_MARSHALLING);
    }
    assert_int_equal(path_int(&f, MK_OP_CHECK_WATCHES, NULL, 1), MK_ERR_MARSHALLING);
    /* Somebody else's watch is not ours. */
    assert_int_equal(path_int(&f, MK_OP_CHECK_WATCHES, "/other", 3), MK_ERR_NO_WATCHER);
    assert_int_equal(path_int(&f, MK_OP_REMOVE_WATCHES, "/other", 3), MK_ERR_NO_WATCHER);
    assert_int_equal(path_int(&f, MK_OP_CHECK_WATCHES, "/w/x", 5), MK_ERR_NO_WATCHER);
    for (int32_t type = 1; type <= 5; type++) {
        if (type == MK_WATCHER_ANY)
            continue;
        assert_int_equal(path_int(&f, MK_OP_REMOVE_WATCHES, "/w", type), 0);
        assert_int_equal(path_int(&f, MK_OP_REMOVE_WATCHES, "/w", type), MK_ERR_NO_WATCHER);
    }
    assert_int_equal(path_int(&f, MK_OP_REMOVE_WATCHES, "/w", 3), MK_ERR_NO_WATCHER);
    assert_true(watch_has(f.watches, 8, text("/other"), MK_WATCHER_DATA));
    fixture_fini(&f);
}

static void put_list(struct fixture *f, const char *a, const char *b, const char *c)
{
    const char *paths[] = {a, b, c};
    int32_t count = (a != NULL) + (b != NULL) + (c != NULL);
    mk_write_int(&f->request, count);
    for (int32_t i = 0; i < count; i++)
        mk_write_string(&f->request, paths[i]);
}

/* The table of 6.6, each row of it. */
static void test_set_watches(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/old"), 0);
    assert_int_equal(create(&f, "/data"), 0);
    assert_int_equal(create(&f, "/child"), 0);
    int64_t seen = f.zxid;
    assert_int_equal(set_data(&f, "/data", "y", -1), 0);
    assert_int_equal(create(&f, "/child/c"), 0);

    mk_write_long(&f.request, seen);
    put_list(&f, "/child", "/data", "/old"); /* /child was made at just that zxid */
    put_list(&f, "/gone", "/old", NULL);
    put_list(&f, "/gone", "/child", "/old");
    assert_int_equal(send_read(&f, MK_OP_SET_WATCHES), 0);
    assert_int_equal(f.reply.length, 0);
    assert_changes(&f.events, "3 /data, 1 /old, 2 /gone, 4 /child");
    /* Who may be told: the node's list, or anyone where there is no node any more. */
    assert_int_equal(f.events.items[0].acl, znode_acl(tree_find(f.tree, text("/data"))));
    assert_int_equal(f.events.items[2].acl, ACL_OPEN_UNSAFE);
    assert_true(has_watch(&f, "/old", MK_WATCHER_DATA));
    assert_true(has_watch(&f, "/old", MK_WATCHER_CHILDREN));
    assert_true(has_watch(&f, "/gone", MK_WATCHER_DATA));
    assert_false(has_watch(&f, "/gone", MK_WATCHER_CHILDREN));
    assert_false(has_watch(&f, "/data", MK_WATCHER_ANY));
    assert_true(has_watch(&f, "/child", MK_WATCHER_DATA));
    assert_false(has_watch(&f, "/child", MK_WATCHER_CHILDREN));
    mk_write_long(&f.request, seen);
    put_list(&f, "/gone", NULL, NULL);
    put_list(&f, NULL, NULL, NULL);
    put_list(&f, NULL, NULL, NULL);
    assert_int_equal(send_read(&f, MK_OP_SET_WATCHES), 0);
    assert_changes(&f.events, "2 /gone");

    mk_write_long(&f.request, 0);
    for (int i = 0; i < 3; i++)
        put_list(&f, NULL, NULL, NULL);
    put_list(&f, "/p", "/gone", NULL);
    put_list(&f, "/r", NULL, NULL);
    assert_int_equal(send_read(&f, MK_OP_SET_WATCHES2), 0);
    assert_changes(&f.events, "");
    assert_true(has_watch(&f, "/p", MK_WATCHER_PERSISTENT));
    assert_true(has_watch(&f, "/gone", MK_WATCHER_PERSISTENT));
    assert_true(has_watch(&f, "/r", MK_WATCHER_PERSISTENT_RECURSIVE));
    fixture_fini(&f);
}

static void test_set_watches_bad(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    for (int bad = 0; bad < 3; bad++) {
        mk_write_long(&f.request, 0);
        for (int i = 0; i < 3; i++) {
            if (i == bad)
                mk_write_int(&f.request, -1);
            else
                put_list(&f, "/gone", NULL, NULL);
        }
        assert_int_equal(send_read(&f, MK_OP_SET_WATCHES), MK_ERR_MARSHALLING);
        assert_changes(&f.events, "");
    }
    mk_write_long(&f.request, 0);
    put_list(&f, "/gone", NULL, NULL);
    assert_int_equal(send_read(&f, MK_OP_SET_WATCHES), MK_ERR_MARSHALLING);
    mk_write_long(&f.request, 0);
    mk_write_int(&f.request, 1);
    mk_write_string(&f.request, NULL);
    put_list(&f, NULL, NULL, NULL);
    put_list(&f, NULL, NULL, NULL);
    assert_int_equal(send_read(&f, MK_OP_SET_WATCHES), MK_ERR_MARSHALLING);
    assert_false(has_watch(&f, "/gone", MK_WATCHER_ANY));
    fixture_fini(&f);
}

/* --- long answers ------------------------------------------------------------------------- */

static void create_many(struct fixture *f, const char *parent, int count, int32_t flags)
{
    for (int i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/child-%04d", parent, i);
        assert_int_equal(create_with(f, path, OPEN_ACL, flags), 0);
    }
}

/* A list is given up as soon as it is too long, and little of it was copied. */
static void test_long_children(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/p"), 0);
    create_many(&f, "/p", 100, 0);
    size_t length = 4 + 100 * (4 + 10);
    f.reply_bytes_max = length;
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN, "/p", false), 0);
    assert_int_equal(f.reply.length, length);
    assert_int_equal(f.steps, 100);
    f.reply_bytes_max = length - 1;
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN, "/p", false), MK_ERR_MARSHALLING);
    assert_true(f.reply.length < length);
    f.reply_bytes_max = 100 * 5 - 1; /* the number of children tells: not one name is copied */
    assert_int_equal(read_watch(&f, MK_OP_GET_CHILDREN2, "/p", false), MK_ERR_MARSHALLING);
    assert_int_equal(f.reply.length, 0);
    fixture_fini(&f);
}

static void test_long_ephemerals(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    create_many(&f, "", 50, 1);
    size_t length = 4 + 50 * (4 + 11);
    f.reply_bytes_max = length;
    put_path(&f, "/");
    assert_int_equal(send_read(&f, MK_OP_GET_EPHEMERALS), 0);
    assert_int_equal(f.reply.length, length);
    put_path(&f, "/nothing-like-it");
    assert_int_equal(send_read(&f, MK_OP_GET_EPHEMERALS), 0);
    assert_int_equal(f.reply.length, 4);
    assert_int_equal(f.steps, 50); /* they were walked over all the same */
    f.reply_bytes_max = length - 1;
    put_path(&f, "/");
    assert_int_equal(send_read(&f, MK_OP_GET_EPHEMERALS), MK_ERR_MARSHALLING);
    assert_true(f.reply.length <= length - 1);
    fixture_fini(&f);
}

/* A large node, named many times: what the parts will hold is added up before it is copied. */
static void test_long_multi_read(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    char *data = mk_calloc(1, 300001);
    memset(data, 'x', 300000);
    put_create(&f, "/big", data, OPEN_ACL, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), 0);
    mk_free(data);
    for (int parts = 33; parts <= 34; parts++) {
        for (int i = 0; i < parts; i++) {
            put_part(&f, MK_OP_GET_DATA);
            put_watch_read(&f, "/big", false);
        }
        put_part(&f, -1);
        f.reply_bytes_max = 10000000;
        int error = send_read(&f, MK_OP_MULTI_READ);
        assert_int_equal(error, parts == 33 ? 0 : MK_ERR_MARSHALLING);
        assert_true(error ? f.reply.length < 400000 : f.reply.length > 9900000);
    }
    fixture_fini(&f);
}

static uint64_t cost_of(struct fixture *f, int32_t op)
{
    struct mk_reader reader;
    mk_reader_init(&reader, f->request.data, f->request.length, &f->arena);
    uint64_t cost = op_read_cost(f->tree, op, &reader);
    mk_buffer_clear(&f->request);
    return cost;
}

static void test_cost(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    put_create(&f, "/p", "some data", OPEN_ACL, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), 0);
    create_many(&f, "/p", 10, 1);
    put_watch_read(&f, "/p", false);
    assert_int_equal(cost_of(&f, MK_OP_GET_DATA), 9);
    put_watch_read(&f, "/p", false);
    assert_int_equal(cost_of(&f, MK_OP_GET_CHILDREN2), 10 * OP_STEP_BYTES);
    put_watch_read(&f, NULL, false);
    assert_int_equal(cost_of(&f, MK_OP_GET_DATA), 0);
    put_path(&f, "/");
    assert_int_equal(cost_of(&f, MK_OP_GET_EPHEMERALS), 10 * OP_STEP_BYTES);
    put_part(&f, MK_OP_GET_CHILDREN);
    put_watch_read(&f, "/p", false);
    put_part(&f, MK_OP_GET_DATA);
    put_watch_read(&f, "/gone", false);
    mk_write_int(&f.request, MK_OP_GET_DATA); /* cut off */
    assert_int_equal(cost_of(&f, MK_OP_MULTI_READ), 12 * OP_STEP_BYTES);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_data),        cmocka_unit_test(test_children),
        cmocka_unit_test(test_ephemerals),      cmocka_unit_test(test_who_am_i),
        cmocka_unit_test(test_sync_ping),       cmocka_unit_test(test_read_watches),
        cmocka_unit_test(test_add_watch),       cmocka_unit_test(test_check_and_remove),
        cmocka_unit_test(test_set_watches),     cmocka_unit_test(test_set_watches_bad),
        cmocka_unit_test(test_long_children),   cmocka_unit_test(test_long_ephemerals),
        cmocka_unit_test(test_long_multi_read), cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
