/* SPDX-License-Identifier: MIT */
/* Who may do what: each operation with each single permission bit (client-protocol reference,
 * 8.1), the ACL that is stored for the one asked for (8.5), what getACL shows (8.4). */
#include "tests/lib/op_fixture.h"

enum subject { NODE, PARENT };

static int do_create(struct fixture *f)
{
    return create(f, "/p/n/new");
}

static int do_delete(struct fixture *f)
{
    return delete_node(f, "/p/n", -1);
}

static int do_set_data(struct fixture *f)
{
    return set_data(f, "/p/n", "y", -1);
}

static int do_set_acl(struct fixture *f)
{
    return set_acl(f, "/p/n", OPEN_ACL, -1);
}

static int do_check(struct fixture *f)
{
    put_part(f, MK_OP_CHECK);
    put_path_int(f, "/p/n", -1);
    put_part(f, -1);
    assert_int_equal(send_write(f, MK_OP_MULTI), 0);
    return f->reply.length == 2 * MK_MULTI_HEADER_BYTES ? 0
                                                        : (int32_t)mk_load_u32(f->reply.data + 9);
}

static int do_get_data(struct fixture *f)
{
    put_watch_read(f, "/p/n", false);
    return send_read(f, MK_OP_GET_DATA);
}

static int do_exists(struct fixture *f)
{
    put_watch_read(f, "/p/n", false);
    return send_read(f, MK_OP_EXISTS);
}

static int do_children(struct fixture *f)
{
    put_watch_read(f, "/p/n", false);
    return send_read(f, MK_OP_GET_CHILDREN);
}

static int do_children2(struct fixture *f)
{
    put_watch_read(f, "/p/n", false);
    return send_read(f, MK_OP_GET_CHILDREN2);
}

static int do_descendants(struct fixture *f)
{
    put_path(f, "/p/n");
    return send_read(f, MK_OP_GET_ALL_CHILDREN_NUMBER);
}

static int do_get_acl(struct fixture *f)
{
    put_path(f, "/p/n");
    return send_read(f, MK_OP_GET_ACL);
}

static int do_sync(struct fixture *f)
{
    put_path(f, "/p/n");
    return send_read(f, MK_OP_SYNC);
}

static int do_add_watch(struct fixture *f)
{
    put_path_int(f, "/p/n", 0);
    return send_read(f, MK_OP_ADD_WATCH);
}

static const struct {
    const char *name;
    int (*call)(struct fixture *f);
    enum subject subject;
    int32_t permissions; /* one is enough; 0: none needed */
} matrix[] = {
    {"create", do_create, NODE, MK_PERM_CREATE},
    {"delete", do_delete, PARENT, MK_PERM_DELETE},
    {"setData", do_set_data, NODE, MK_PERM_WRITE},
    {"setACL", do_set_acl, NODE, MK_PERM_ADMIN},
    {"check", do_check, NODE, MK_PERM_READ},
    {"getData", do_get_data, NODE, MK_PERM_READ},
    {"exists", do_exists, NODE, MK_PERM_READ},
    {"getChildren", do_children, NODE, MK_PERM_READ},
    {"getChildren2", do_children2, NODE, MK_PERM_READ},
    {"getAllChildrenNumber", do_descendants, NODE, MK_PERM_READ},
    {"getACL", do_get_acl, NODE, MK_PERM_READ | MK_PERM_ADMIN},
    {"sync", do_sync, NODE, 0},
    {"addWatch", do_add_watch, NODE, 0},
};

/* The subject has exactly these permissions, its counterpart all the others. */
static int call_with(size_t row, int32_t bits, const char *identity)
{
    struct fixture f;
    char subject[64], other[64];
    fixture_init(&f);
    snprintf(subject, sizeof subject, "%d:world:anyone", bits);
    snprintf(other, sizeof other, "%d:world:anyone", MK_PERM_CREATE | (MK_PERM_ALL & ~bits));
    if (matrix[row].subject == PARENT)
        snprintf(subject, sizeof subject, "%d:world:anyone", bits | MK_PERM_CREATE);
    assert_int_equal(create_with(&f, "/p", matrix[row].subject == PARENT ? subject : other, 0), 0);
    assert_int_equal(create_with(&f, "/p/n", matrix[row].subject == NODE ? subject : other, 0), 0);
    if (identity)
        add_identity(&f, identity, "");
    f.settings.skip_acl = identity && !*identity;
    int error = matrix[row].call(&f);
    fixture_fini(&f);
    return error;
}

static void test_matrix(void **state)
{
    (void)state;
    for (size_t row = 0; row < MK_ARRAY_LENGTH(matrix); row++) {
        for (int32_t bits = 0; bits < 32; bits++) {
            if (bits & (bits - 1) && bits != (MK_PERM_ALL & ~matrix[row].permissions))
                continue;
            bool granted = !matrix[row].permissions || (bits & matrix[row].permissions);
            int error = call_with(row, bits, NULL);
            if (error != (granted ? 0 : MK_ERR_NO_AUTH))
                fail_msg("%s with %d gives %d", matrix[row].name, bits, error);
        }
        assert_int_equal(call_with(row, 0, "super"), 0);
        assert_int_equal(call_with(row, 0, ""), 0); /* skipACL */
    }
}

/* A missing node is told before a permission, and exists on one needs none. */
static void test_missing_first(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create_with(&f, "/p", "4:world:anyone", 0), 0);
    put_watch_read(&f, "/p/n", true);
    assert_int_equal(send_read(&f, MK_OP_EXISTS), MK_ERR_NO_NODE);
    put_watch_read(&f, "/p/n", false);
    assert_int_equal(send_read(&f, MK_OP_GET_DATA), MK_ERR_NO_NODE);
    assert_int_equal(set_data(&f, "/p/n", "x", -1), MK_ERR_NO_NODE);
    fixture_fini(&f);
}

/* --- fix-up
 * --------------------------------------------------------------------------------------- */

static void test_fixup_table(void **state)
{
    static const struct {
        const char *acl;
        int error;
    } rows[] = {
        {NULL, MK_ERR_INVALID_ACL},
        {"", MK_ERR_INVALID_ACL},
        {"31:(null):x", MK_ERR_INVALID_ACL},
        {"0:world:anyone", 0},
        {"4711:world:anyone", 0},
        {"31:world:me", MK_ERR_INVALID_ACL},
        {"31:world:(null)", MK_ERR_MARSHALLING},
        {"31:digest:(null)", MK_ERR_MARSHALLING},
        {"31:ip:(null)", MK_ERR_MARSHALLING},
        {"31:bogus:(null)", MK_ERR_INVALID_ACL},
        {"31:digest:a:b", 0},
        {"31:digest:a:b:", 0},
        {"31:digest::b", 0},
        {"31:digest:a:", MK_ERR_INVALID_ACL},
        {"31:digest:a", MK_ERR_INVALID_ACL},
        {"31:digest::", MK_ERR_INVALID_ACL},
        {"31:digest:", MK_ERR_INVALID_ACL},
        {"31:digest:a:b:c", MK_ERR_INVALID_ACL},
        {"31:ip:10.0.0.1", 0},
        {"31:ip:10.0.0.0/8", 0},
        {"31:ip:10.0.0.0/33", MK_ERR_INVALID_ACL},
        {"31:ip:10.0.0", MK_ERR_INVALID_ACL},
        {"31:ip:host", MK_ERR_INVALID_ACL},
        {"31:x509:CN=a", MK_ERR_INVALID_ACL},
        {"31:sasl:a", MK_ERR_INVALID_ACL},
        {"31:super:", MK_ERR_INVALID_ACL},
        {"31:auth:", MK_ERR_INVALID_ACL},
        /* The first bad entry decides. */
        {"31:world:anyone,31:bogus:x,31:world:(null)", MK_ERR_INVALID_ACL},
        {"31:world:anyone,31:world:(null),31:bogus:x", MK_ERR_MARSHALLING},
    };
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create(&f, "/n"), 0);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(rows); i++) {
        char path[32];
        snprintf(path, sizeof path, "/n/%zu", i);
        if (create_with(&f, path, rows[i].acl, 0) != rows[i].error)
            fail_msg("create with %s", rows[i].acl ? rows[i].acl : "null");
        if (set_acl(&f, "/n/new", rows[i].acl, -1) !=
            (rows[i].error ? rows[i].error : MK_ERR_NO_NODE))
            fail_msg("setACL with %s", rows[i].acl ? rows[i].acl : "null");
    }
    fixture_fini(&f);
}

/* The stored list in the form that acl_of reads. */
static void assert_stored(struct fixture *f, const char *path, const char *wanted)
{
    struct mk_buffer seen = MK_BUFFER_EMPTY;
    const struct mk_acl_vector *acl =
        acl_get(tree_acls(f->tree), znode_acl(tree_find(f->tree, text(path))));
    for (int32_t i = 0; i < acl->count; i++)
        mk_buffer_print(&seen, "%s%d:%.*s:%.*s", i ? "," : "", acl->items[i].perms,
                        acl->items[i].id.scheme.length, acl->items[i].id.scheme.data,
                        (int)mk_bytes_size(acl->items[i].id.id), acl->items[i].id.id.data);
    mk_buffer_append(&seen, "", 1);
    assert_string_equal((const char *)seen.data, wanted);
    mk_buffer_fini(&seen);
}

static void test_fixup_result(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    /* Duplicates go, order stays. */
    assert_int_equal(create_with(&f, "/dup",
                                 "1:world:anyone,31:digest:b:y,1:world:anyone,31:digest:a:x,"
                                 "31:digest:b:y,2:world:anyone",
                                 0),
                     0);
    assert_stored(&f, "/dup", "1:world:anyone,31:digest:b:y,31:digest:a:x,2:world:anyone");
    add_identity(&f, "digest", "u:h");
    add_identity(&f, "super", "");
    add_identity(&f, "digest", "v:i");
    assert_int_equal(create_with(&f, "/auth", "5:auth:(null),1:world:anyone,16:auth:who", 0), 0);
    assert_stored(&f, "/auth",
                  "5:digest:u:h,5:digest:v:i,1:world:anyone,16:digest:u:h,16:digest:v:i");
    assert_int_equal(set_acl(&f, "/dup", "31:auth:", -1), 0);
    assert_stored(&f, "/dup", "31:digest:u:h,31:digest:v:i");
    forget_identities(&f);
    add_identity(&f, "super", "");
    assert_int_equal(create_with(&f, "/none", "31:auth:", 0), MK_ERR_INVALID_ACL);
    fixture_fini(&f);
}

/* A list of many entries costs n log n, and an expansion that would not end is refused. */
static void test_fixup_large(void **state)
{
    enum { COUNT = 60000 };
    struct fixture f;
    (void)state;
    fixture_init(&f);
    add_identity(&f, "digest", "user:0123456789012345678901234567");
    for (int round = 0; round < 2; round++) {
        mk_write_string(&f.request, "/large");
        mk_write_string(&f.request, "");
        mk_write_int(&f.request, COUNT);
        for (int32_t i = 0; i < COUNT; i++) {
            mk_write_int(&f.request, round ? i : i / 2);
            mk_write_string(&f.request, round ? "auth" : "world");
            mk_write_string(&f.request, round ? "" : "anyone");
        }
        mk_write_int(&f.request, 0);
        assert_int_equal(send_write(&f, MK_OP_CREATE), round ? MK_ERR_INVALID_ACL : 0);
    }
    const struct znode *node = tree_find(f.tree, text("/large"));
    const struct mk_acl_vector *stored = acl_get(tree_acls(f.tree), znode_acl(node));
    assert_int_equal(stored->count, COUNT / 2);
    assert_int_equal(stored->items[77].perms, 77);
    fixture_fini(&f);
}

/* Which identity opens which entry. */
static void test_identities(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(create_with(&f, "/d", "31:digest:u:h", 0), 0);
    assert_int_equal(set_data(&f, "/d", "x", -1), MK_ERR_NO_AUTH);
    add_identity(&f, "digest", "v:i");
    assert_int_equal(set_data(&f, "/d", "x", -1), MK_ERR_NO_AUTH);
    add_identity(&f, "digest", "u:h");
    assert_int_equal(set_data(&f, "/d", "x", -1), 0);
    forget_identities(&f);
    assert_int_equal(create_with(&f, "/i", "31:ip:127.0.0.0/8", 0), 0);
    assert_int_equal(set_data(&f, "/i", "x", -1), 0);
    assert_int_equal(create_with(&f, "/j", "31:ip:10.0.0.0/8", 0), 0);
    assert_int_equal(set_data(&f, "/j", "x", -1), MK_ERR_NO_AUTH);
    fixture_fini(&f);
}

/* --- getACL ------------------------------------------------------------------------------- */

static int get_acl(struct fixture *f, const char *path)
{
    put_path(f, path);
    int error = send_read(f, MK_OP_GET_ACL);
    if (!error)
        f->reply.length -= MK_STAT_BYTES;
    return error;
}

static void test_get_acl(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    assert_int_equal(get_acl(&f, "/"), 0);
    assert_hex(&f.reply, "00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65");
    assert_int_equal(create_with(&f, "/d", "1:world:anyone,31:digest:u:hash,31:digest::b", 0), 0);
    assert_int_equal(get_acl(&f, "/d"), 0);
    assert_hex(&f.reply, "00000003 00000001 00000005 776f726c64 00000006 616e796f6e65"
                         "0000001f 00000006 646967657374 00000003 753a78"
                         "0000001f 00000006 646967657374 00000002 3a78");
    add_identity(&f, "digest", "u:hash");
    assert_int_equal(get_acl(&f, "/d"), 0);
    assert_hex(&f.reply, "00000003 00000001 00000005 776f726c64 00000006 616e796f6e65"
                         "0000001f 00000006 646967657374 00000006 753a68617368"
                         "0000001f 00000006 646967657374 00000002 3a62");
    assert_int_equal(get_acl(&f, NULL), MK_ERR_MARSHALLING);
    assert_int_equal(get_acl(&f, "/nope"), MK_ERR_NO_NODE);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),      cmocka_unit_test(test_missing_first),
        cmocka_unit_test(test_fixup_table), cmocka_unit_test(test_fixup_result),
        cmocka_unit_test(test_fixup_large), cmocka_unit_test(test_identities),
        cmocka_unit_test(test_get_acl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
