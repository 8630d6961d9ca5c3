/* SPDX-License-Identifier: MIT */
/* createSession and closeSession: which ephemerals a close deletes (client-protocol reference,
 * 7.4), and what applying does on a tree that is not quite what was prepared against
 * (storage reference, 6.2). */
#include "tests/lib/op_fixture.h"

static int64_t close_txn(struct fixture *f, int64_t session_id)
{
    struct op_prepare prepare = {.view = f->view,
                                 .tree = f->tree,
                                 .settings = &f->settings,
                                 .zxid = ++f->zxid,
                                 .time_ms = f->time_ms,
                                 .arena = &f->arena};
    mk_buffer_clear(&f->txn);
    op_prepare_close_session(&prepare, session_id, &f->txn);
    return f->zxid;
}

static int apply_txn(struct fixture *f, int32_t type, int64_t session_id, int64_t zxid,
                     struct mk_bytes txn)
{
    struct mk_txn_header header = {session_id, 0, zxid, f->time_ms, type};
    struct op_result result;
    apply_bytes(f, &header, txn, &result);
    view_committed(f->view, zxid);
    return result.error;
}

static struct mk_bytes keep(struct fixture *f)
{
    return mk_bytes_of(mk_arena_copy(&f->arena, f->txn.data, f->txn.length), f->txn.length);
}

static void test_session_table(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    int32_t timeout_ms = 0;
    mk_write_int(&f.txn, 4000);
    assert_int_equal(apply_txn(&f, MK_OP_CREATE_SESSION, 77, 1, keep(&f)), 0);
    assert_true(tree_session_find(f.tree, 77, &timeout_ms));
    assert_int_equal(timeout_ms, 4000);
    close_txn(&f, 77);
    assert_hex(&f.txn, "00000000");
    assert_int_equal(apply_txn(&f, MK_OP_CLOSE_SESSION, 77, f.zxid, keep(&f)), 0);
    assert_false(tree_session_find(f.tree, 77, &timeout_ms));
    fixture_fini(&f);
}

/* Committed ephemerals, plus creates in flight, minus deletes in flight. */
static void test_close_with_changes_in_flight(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/p"), 0);
    assert_int_equal(create_with(&f, "/p/stays", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    assert_int_equal(create_with(&f, "/p/goes", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    assert_int_equal(create_with(&f, "/p/taken", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    struct mk_bytes txns[8];
    int32_t types[8];
    int64_t zxids[8];
    size_t count = 0;
    const struct {
        const char *path;
        int32_t op;
        int64_t session_id;
    } rows[] = {
        {"/p/goes", MK_OP_DELETE, SESSION}, {"/p/new", MK_OP_CREATE, SESSION},
        {"/p/other", MK_OP_CREATE, 99},     {"/p/taken", MK_OP_DELETE, 99},
        {"/p/taken", MK_OP_CREATE, 99},     {"/p/stays", MK_OP_SET_DATA, SESSION},
    };
    for (size_t i = 0; i < MK_ARRAY_LENGTH(rows); i++) {
        f.session_id = rows[i].session_id;
        if (rows[i].op == MK_OP_CREATE)
            put_create(&f, rows[i].path, "x", OPEN_ACL, MK_CREATE_EPHEMERAL);
        else if (rows[i].op == MK_OP_DELETE)
            put_path_int(&f, rows[i].path, -1);
        else
            put_set_data(&f, rows[i].path, "y", -1);
        assert_int_equal(prepare(&f, rows[i].op), 0);
        txns[count] = keep(&f);
        zxids[count] = f.zxid;
        types[count++] = f.txn_type;
    }
    close_txn(&f, SESSION);
    assert_hex(&f.txn, "00000002 00000008 2f702f7374617973 00000006 2f702f6e6577");
    assert_false(view_find(f.view, text("/p/new"))->exists);
    assert_int_equal(view_find(f.view, text("/p"))->child_count, 2);
    uint64_t promised = view_digest(f.view);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(apply_txn(&f, types[i], rows[i].session_id, zxids[i], txns[i]), 0);
    op_changes_clear(&f.changes, tree_acls(f.tree));
    assert_int_equal(apply_txn(&f, MK_OP_CLOSE_SESSION, SESSION, f.zxid, keep(&f)), 0);
    assert_changes(&f.changes, "2 /p/stays, 2 /p/new");
    assert_true(tree_digest(f.tree) == promised);
    assert_int_equal(stat_of(&f, "/p").pzxid, f.zxid);
    assert_true(is_there(&f, "/p/taken"));
    assert_true(is_there(&f, "/p/other"));
    fixture_fini(&f);
}

/* Until a close is applied, the view knows by the session alone what is gone. */
static void test_close_in_flight(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/p"), 0);
    assert_int_equal(create(&f, "/q"), 0);
    assert_int_equal(create_with(&f, "/p/a", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    assert_int_equal(create_with(&f, "/q/b", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    assert_int_equal(create_with(&f, "/p/c", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    assert_int_equal(create_with(&f, "/odd", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
    uint32_t acl = znode_acl(tree_find(f.tree, text("/p")));
    struct tree_create child = {
        .path = text("/odd/child"), .acl = acl, .parent_cversion = 1, .zxid = ++f.zxid};
    assert_int_equal(tree_create(f.tree, &child), 0); /* as a foreign snapshot may have it */
    int64_t close_zxid = close_txn(&f, SESSION);
    struct mk_bytes close = keep(&f);
    assert_hex(&f.txn, "00000003 00000004 2f702f63 00000004 2f712f62 00000004 2f702f61");
    assert_false(view_find(f.view, text("/p/a"))->exists);
    assert_false(view_find(f.view, text("/q/b"))->exists);
    assert_true(view_find(f.view, text("/odd"))->exists);
    assert_int_equal(view_find(f.view, text("/p"))->child_count, 0);
    assert_int_equal(view_find(f.view, text("/p"))->stat.pzxid, close_zxid);
    uint64_t promised = view_digest(f.view);
    close_txn(&f, SESSION); /* once more: nothing is left */
    assert_hex(&f.txn, "00000000");
    assert_true(view_digest(f.view) == promised);
    f.session_id = 99;
    put_path_int(&f, "/p/c", -1);
    assert_int_equal(prepare(&f, MK_OP_DELETE), MK_ERR_NO_NODE);
    put_create(&f, "/p/a", "x", OPEN_ACL, 0);
    assert_int_equal(prepare(&f, MK_OP_CREATE), 0);
    assert_true(view_find(f.view, text("/p/a"))->exists);
    struct mk_bytes again = keep(&f);
    uint64_t promised_later = view_digest(f.view);

    op_changes_clear(&f.changes, tree_acls(f.tree));
    assert_int_equal(apply_txn(&f, MK_OP_CLOSE_SESSION, SESSION, close_zxid, close), 0);
    assert_changes(&f.changes, "2 /p/c, 2 /q/b, 2 /p/a");
    assert_true(tree_digest(f.tree) == promised);
    assert_true(is_there(&f, "/odd"));
    assert_true(view_find(f.view, text("/p/a"))->exists);
    assert_int_equal(apply_txn(&f, MK_OP_CREATE, 99, f.zxid, again), 0);
    assert_true(tree_digest(f.tree) == promised_later);
    tree_check(f.tree);
    fixture_fini(&f);
}

/* The list is deleted whoever owns it, what is missing is ignored, and whatever else the
 * session owns goes as well (replay over a fuzzy snapshot; logs from before 3.6 have no list). */
static void test_close_replayed(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(create_with(&f, "/mine", OPEN_ACL, MK_CREATE_EPHEMERAL), 0);
        assert_int_equal(create(&f, "/listed"), 0);
        mk_buffer_clear(&f.txn);
        if (round == 0) {
            mk_write_int(&f.txn, 2);
            mk_write_string(&f.txn, "/missing");
            mk_write_string(&f.txn, "/listed");
        }
        op_changes_clear(&f.changes, tree_acls(f.tree));
        assert_int_equal(apply_txn(&f, MK_OP_CLOSE_SESSION, SESSION, ++f.zxid, keep(&f)), 0);
        assert_false(is_there(&f, "/mine"));
        assert_true(is_there(&f, "/listed") == (round == 1));
        assert_changes(&f.changes, round == 0 ? "2 /listed, 2 /mine" : "2 /mine");
    }
    fixture_fini(&f);
}

/* No list, but a digest behind it (closeSessionTxn.enabled=false): the digest is left to read. */
static void test_close_without_record(void **state)
{
    static const uint8_t digest[] = {0, 0, 0, 2, 0, 0, 0, 1, 0xd2, 0xc6, 0x14, 0xd4};
    struct fixture f;
    (void)state;
    fixture_init(&f);
    struct op_apply apply = {.tree = f.tree, .arena = &f.arena};
    struct mk_txn_header header = {SESSION, 0, 50, 1, MK_OP_CLOSE_SESSION};
    struct mk_reader reader;
    mk_reader_init(&reader, digest, sizeof digest, &f.arena);
    struct op_result result;
    assert_int_equal(op_apply(&apply, &header, &reader, &result), 0);
    assert_int_equal(mk_reader_left(&reader), sizeof digest);
    assert_int_equal(reader.error, 0);
    assert_int_equal(tree_session_count(f.tree), 0);
    fixture_fini(&f);
}

/* A multi with one error in it has no effect, wherever the error is. */
static void test_failed_multi_applied(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    struct mk_txn_header header = {SESSION, 0, 50, 1, MK_OP_MULTI};
    struct op_result result;
    assert_int_equal(create(&f, "/gut"), 0);
    op_changes_clear(&f.changes, tree_acls(f.tree));
    mk_buffer_clear(&f.txn);
    mk_write_int(&f.txn, 3);
    for (int i = 0; i < 3; i++) {
        mk_write_int(&f.txn, i == 1 ? MK_OP_ERROR : MK_OP_DELETE);
        mk_write_int(&f.txn, i == 1 ? 4 : 8);
        if (i == 1)
            mk_write_int(&f.txn, MK_ERR_NO_NODE);
        else
            mk_write_string(&f.txn, "/gut");
    }
    apply_bytes(&f, &header, keep(&f), &result);
    assert_true(is_there(&f, "/gut"));
    assert_changes(&f.changes, "");
    assert_int_equal(result.error, 0);
    mk_buffer_clear(&f.reply);
    op_write_reply(&f.reply, MK_OP_MULTI, &result);
    assert_hex(&f.reply, "ffffffff 00 00000000 00000000 ffffffff 00 ffffff9b ffffff9b"
                         "ffffffff 00 fffffffe fffffffe ffffffff 01 ffffffff");
    fixture_fini(&f);
}

/* Transactions that meet a tree from the future change nothing that is not theirs (6.2). */
static void test_idempotent_replay(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/a"), 0);
    struct mk_bytes create_a = keep(&f);
    int64_t create_zxid = f.zxid;
    assert_int_equal(set_data(&f, "/a", "later", 0), 0);
    struct mk_bytes set_a = keep(&f);
    int64_t set_zxid = f.zxid;
    struct mk_stat before = stat_of(&f, "/a");
    op_changes_clear(&f.changes, tree_acls(f.tree));
    assert_int_equal(apply_txn(&f, MK_OP_CREATE, SESSION, create_zxid, create_a),
                     MK_ERR_NODE_EXISTS);
    assert_int_equal(apply_txn(&f, MK_OP_SET_DATA, SESSION, set_zxid, set_a), 0);
    assert_changes(&f.changes, "3 /a");
    struct mk_stat after = stat_of(&f, "/a");
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(delete_node(&f, "/a", -1), 0);
    struct mk_bytes delete_a = keep(&f);
    op_changes_clear(&f.changes, tree_acls(f.tree));
    assert_int_equal(apply_txn(&f, MK_OP_SET_DATA, SESSION, set_zxid, set_a), MK_ERR_NO_NODE);
    assert_int_equal(apply_txn(&f, MK_OP_DELETE, SESSION, f.zxid + 5, delete_a), MK_ERR_NO_NODE);
    assert_changes(&f.changes, "");
    assert_int_equal(stat_of(&f, "/").pzxid, f.zxid + 5);
    fixture_fini(&f);
}

/* Bytes that are no such transaction are corruption, not an assertion. */
static void test_corrupt(void **state)
{
    static const struct {
        int32_t type;
        const char *bytes;
        size_t length;
    } rows[] = {
        {4711, "", 0},
        {MK_OP_GET_DATA, "", 0},
        {MK_OP_CREATE, "\0\0", 2},
        {MK_OP_CREATE, "\0\0\0\1x\0\0\0\0\0\0\0\0\0\0\0\0\0", 18},
        {MK_OP_DELETE, "\0\0\0\1/", 5},
        {MK_OP_DELETE, "\xff\xff\xff\xff", 4},
        {MK_OP_SET_DATA, "\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 12},
        {MK_OP_SET_ACL, "", 0},
        {MK_OP_CREATE_SESSION, "\0", 1},
        {MK_OP_CLOSE_SESSION, "\0\0\0\1\0\0\0\1x", 9},
        {MK_OP_ERROR, "", 0},
        {MK_OP_MULTI, "\0\0\0\1\0\0\0\7\0\0\0\0", 12},         /* setACL inside */
        {MK_OP_MULTI, "\0\0\0\1\0\0\0\16\0\0\0\0", 12},        /* multi inside */
        {MK_OP_MULTI, "\0\0\0\1\0\0\0\2\0\0\0\0", 12},         /* an empty delete */
        {MK_OP_MULTI, "\0\0\0\1\xff\xff\xff\xff\0\0\0\0", 12}, /* an empty error */
    };
    struct fixture f;
    (void)state;
    fixture_init(&f);
    uint64_t digest = tree_digest(f.tree);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(rows); i++) {
        struct op_apply apply = {.tree = f.tree, .arena = &f.arena, .changes = &f.changes};
        struct mk_txn_header header = {SESSION, 0, 50, 1, rows[i].type};
        struct mk_reader reader;
        mk_reader_init(&reader, rows[i].bytes, rows[i].length, &f.arena);
        struct op_result result;
        if (op_apply(&apply, &header, &reader, &result) != MK_ERR_CORRUPT)
            fail_msg("row %zu was taken", i);
    }
    assert_true(digest == tree_digest(f.tree));
    fixture_fini(&f);
}

/* What 3.8.0 logs for createTTL without a TTL mode, and dies of: no node, but no refusal. */
static void test_ttl_that_kills_apache(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    mk_create_ttl_txn_write(
        &f.txn,
        &(struct mk_create_ttl_txn){.path = text("/t"), .acl = acl_of(&f, OPEN_ACL), .ttl = -1});
    assert_int_equal(apply_txn(&f, MK_OP_CREATE_TTL, SESSION, 50, keep(&f)), MK_ERR_BAD_ARGUMENTS);
    assert_false(is_there(&f, "/t"));
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_table),
        cmocka_unit_test(test_close_with_changes_in_flight),
        cmocka_unit_test(test_close_in_flight),
        cmocka_unit_test(test_close_replayed),
        cmocka_unit_test(test_close_without_record),
        cmocka_unit_test(test_failed_multi_applied),
        cmocka_unit_test(test_idempotent_replay),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_ttl_that_kills_apache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
