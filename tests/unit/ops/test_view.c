/* SPDX-License-Identifier: MIT */
/* The view of changes in flight: what later requests see, what a reject takes back, what a
 * commit forgets, and the property that all of it must have: requests prepared far ahead of
 * what is applied give the same answers, the same transactions and the same digests as
 * requests applied one by one. */
#include "tests/lib/op_fixture.h"

#include "base/rand.h"

/* --- by hand ------------------------------------------------------------------------------ */

static void test_in_flight(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    put_create(&f, "/a", "x", OPEN_ACL, 0);
    assert_int_equal(prepare(&f, MK_OP_CREATE), 0);
    assert_false(is_there(&f, "/a"));
    assert_int_equal(view_size(f.view), 2); /* the node and the root */
    put_create(&f, "/a", "x", OPEN_ACL, 0);
    assert_int_equal(prepare(&f, MK_OP_CREATE), MK_ERR_NODE_EXISTS);
    put_create(&f, "/a/b", "x", "16:world:anyone", 0);
    assert_int_equal(prepare(&f, MK_OP_CREATE), 0);
    put_path_int(&f, "/a", -1);
    assert_int_equal(prepare(&f, MK_OP_DELETE), MK_ERR_NOT_EMPTY);
    put_set_data(&f, "/a/b", "y", 0);
    assert_int_equal(prepare(&f, MK_OP_SET_DATA), MK_ERR_NO_AUTH);
    /* An ACL in flight counts at once. */
    put_set_acl(&f, "/a/b", "2:world:anyone", 0);
    assert_int_equal(prepare(&f, MK_OP_SET_ACL), 0);
    put_set_acl(&f, "/a/b", OPEN_ACL, -1);
    assert_int_equal(prepare(&f, MK_OP_SET_ACL), MK_ERR_NO_AUTH);
    put_set_data(&f, "/a/b", "yyy", 0);
    assert_int_equal(prepare(&f, MK_OP_SET_DATA), 0);
    put_set_data(&f, "/a/b", "y", 0);
    assert_int_equal(prepare(&f, MK_OP_SET_DATA), MK_ERR_BAD_VERSION);
    const struct view_node *node = view_find(f.view, text("/a/b"));
    assert_true(node->exists);
    assert_int_equal(node->stat.version, 1);
    assert_int_equal(node->stat.aversion, 1);
    assert_int_equal(node->data_length, 3);
    put_path_int(&f, "/a/b", 1);
    assert_int_equal(prepare(&f, MK_OP_DELETE), 0);
    assert_false(view_find(f.view, text("/a/b"))->exists);
    assert_int_equal(view_find(f.view, text("/a"))->child_count, 0);
    assert_int_equal(view_size(f.view), 3);
    /* Nothing was applied: once all is forgotten the tree is what counts. */
    view_reset(f.view);
    assert_int_equal(view_size(f.view), 0);
    assert_true(view_digest(f.view) == tree_digest(f.tree));
    assert_false(view_find(f.view, text("/a"))->exists);
    fixture_fini(&f);
}

static struct view_node changed(struct view *view, const char *path, int32_t version)
{
    struct view_node node = *view_find(view, text(path));
    node.exists = true;
    node.stat.version = version;
    view_change(view, text(path), &node);
    return node;
}

static void test_reject_and_commit(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    uint64_t digest[4];
    digest[0] = view_digest(f.view);
    view_begin(f.view, 1);
    changed(f.view, "/a", 1);
    view_accept(f.view);
    digest[1] = view_digest(f.view);
    assert_true(digest[0] != digest[1]);
    view_begin(f.view, 2);
    changed(f.view, "/a", 2);
    changed(f.view, "/a", 3); /* twice under one zxid */
    changed(f.view, "/b", 4);
    assert_int_equal(view_find(f.view, text("/a"))->stat.version, 3);
    view_reject(f.view);
    assert_true(view_digest(f.view) == digest[1]);
    assert_int_equal(view_find(f.view, text("/a"))->stat.version, 1);
    assert_false(view_find(f.view, text("/b"))->exists);
    assert_int_equal(view_size(f.view), 1);

    view_begin(f.view, 3);
    changed(f.view, "/a", 5);
    view_accept(f.view);
    digest[2] = view_digest(f.view);
    view_begin(f.view, 4);
    changed(f.view, "/a", 6);
    /* What is older is committed while the newest is undecided. */
    view_accept(f.view);
    view_committed(f.view, 1);
    assert_int_equal(view_find(f.view, text("/a"))->stat.version, 6);
    view_committed(f.view, 3);
    assert_int_equal(view_find(f.view, text("/a"))->stat.version, 6);
    assert_int_equal(view_size(f.view), 1);
    view_committed(f.view, 4);
    assert_int_equal(view_size(f.view), 0);
    assert_false(view_find(f.view, text("/a"))->exists);
    fixture_fini(&f);
}

/* Long paths, and enough of them that the map grows. */
static void test_many_paths(void **state)
{
    enum { COUNT = 5000 };
    struct fixture f;
    char path[512];
    (void)state;
    fixture_init(&f);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            view_begin(f.view, round * COUNT + i + 1);
            snprintf(path, sizeof path, "/%0*d", i % 2 ? 300 : 8, i);
            changed(f.view, path, i);
            view_accept(f.view);
        }
        assert_int_equal(view_size(f.view), COUNT);
        for (int i = 0; i < COUNT; i++) {
            snprintf(path, sizeof path, "/%0*d", i % 2 ? 300 : 8, i);
            assert_int_equal(view_find(f.view, text(path))->stat.version, i);
        }
        view_committed(f.view, (round + 1) * COUNT - 1);
        assert_int_equal(view_size(f.view), 1);
    }
    fixture_fini(&f);
}

/* The ACL of a change in flight lives as long as the change does. */
static void test_acl_users(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    uint32_t before = acl_count(tree_acls(f.tree));
    put_create(&f, "/a", "x", "31:digest:u:h", 0);
    assert_int_equal(prepare(&f, MK_OP_CREATE), 0);
    assert_int_equal(acl_count(tree_acls(f.tree)), before + 1);
    view_committed(f.view, f.zxid);
    assert_int_equal(acl_count(tree_acls(f.tree)), before);
    assert_int_equal(create_with(&f, "/b", "31:digest:u:h", 0), 0);
    assert_int_equal(acl_count(tree_acls(f.tree)), before + 1);
    add_identity(&f, "digest", "u:h");
    assert_int_equal(set_acl(&f, "/b", "31:digest:u:i", -1), 0);
    op_changes_clear(&f.changes, tree_acls(f.tree));
    assert_int_equal(acl_count(tree_acls(f.tree)), before + 1);
    assert_int_equal(delete_node(&f, "/b", -1), 0);
    op_changes_clear(&f.changes, tree_acls(f.tree));
    assert_int_equal(acl_count(tree_acls(f.tree)), before);
    fixture_fini(&f);
}

/* `digest.enabled=false`: nothing is computed, all else works. */
static void test_without_digest(void **state)
{
    struct tree_options options = {.hash_seed = 42, .digest_enabled = false};
    struct fixture f;
    (void)state;
    fixture_init(&f);
    view_free(f.view);
    tree_free(f.tree);
    f.tree = tree_new(&options);
    f.view = view_new(f.tree, &options);
    assert_int_equal(create(&f, "/a"), 0);
    assert_int_equal(set_data(&f, "/a", "y", 0), 0);
    put_path_int(&f, "/a", 1);
    assert_int_equal(prepare(&f, MK_OP_DELETE), 0);
    assert_false(view_find(f.view, text("/a"))->exists);
    assert_true(view_digest(f.view) == 0);
    assert_true(view_content_crc(f.view, text("/a"), text("y")) == 0);
    fixture_fini(&f);
}

/* --- the property ------------------------------------------------------------------------- */

#define FLIGHT_MAX 24

struct flight {
    struct mk_txn_header header;
    struct mk_bytes txn;
    uint64_t digest; /* promised */
};

struct pair {
    struct fixture ahead, behind; /* applied late, applied at once */
    struct flight queue[FLIGHT_MAX];
    size_t count;
    struct mk_rand rand;
    int32_t accepted, failed;
};

static uint32_t below(struct pair *pair, uint32_t limit)
{
    return (uint32_t)mk_rand_below(&pair->rand, limit);
}

static const char *random_path(struct pair *pair)
{
    static const char *const paths[] = {"/a",          "/b",     "/a/x",      "/a/y",
                                        "/b/x",        "/a/x/p", "/a/x/q",    "/zookeeper/t",
                                        "/a/x/p/deep", "/",      "/zookeeper"};
    return paths[below(pair, MK_ARRAY_LENGTH(paths))];
}

static const char *random_acl(struct pair *pair)
{
    static const char *const acls[] = {OPEN_ACL,          OPEN_ACL,
                                       OPEN_ACL,          "31:ip:127.0.0.1",
                                       "29:world:anyone", "27:world:anyone,4:ip:127.0.0.1"};
    return acls[below(pair, MK_ARRAY_LENGTH(acls))];
}

static int32_t random_version(struct pair *pair)
{
    return below(pair, 3) ? -1 : (int32_t)below(pair, 3);
}

/* The same part into both; returns the opcode. */
static int32_t put_random(struct pair *pair, bool in_multi)
{
    static const int32_t ops[] = {MK_OP_CREATE,   MK_OP_CREATE,     MK_OP_CREATE2,
                                  MK_OP_DELETE,   MK_OP_SET_DATA,   MK_OP_CREATE_CONTAINER,
                                  MK_OP_SET_DATA, MK_OP_CREATE_TTL, MK_OP_SET_ACL};
    int32_t op = ops[below(pair, MK_ARRAY_LENGTH(ops))];
    if (in_multi && op == MK_OP_SET_ACL)
        op = MK_OP_CHECK;
    const char *path = random_path(pair), *acl = random_acl(pair);
    int32_t version = random_version(pair), flags = (int32_t)below(pair, 4);
    int64_t ttl = below(pair, 2) ? 100 : 1;
    for (int i = 0; i < 2; i++) {
        struct fixture *f = i ? &pair->behind : &pair->ahead;
        if (in_multi)
            put_part(f, op);
        switch (op) {
        case MK_OP_CREATE_TTL:
            put_create_ttl(f, path, 5 + flags % 2, ttl);
            break;
        case MK_OP_DELETE:
        case MK_OP_CHECK:
            put_path_int(f, path, version);
            break;
        case MK_OP_SET_DATA:
            put_set_data(f, path, flags ? "data" : NULL, version);
            break;
        case MK_OP_SET_ACL:
            put_set_acl(f, path, acl, version);
            break;
        default:
            put_create(f, path, flags ? "x" : NULL, acl, flags);
        }
    }
    return op;
}

static int32_t put_random_request(struct pair *pair)
{
    if (below(pair, 4))
        return put_random(pair, false);
    for (uint32_t parts = below(pair, 6); parts > 0; parts--)
        put_random(pair, true);
    put_part(&pair->ahead, -1);
    put_part(&pair->behind, -1);
    return MK_OP_MULTI;
}

static struct mk_bytes keep(struct fixture *f)
{
    return mk_bytes_of(mk_arena_copy(&f->arena, f->txn.data, f->txn.length), f->txn.length);
}

static void apply_oldest(struct pair *pair)
{
    struct fixture *f = &pair->ahead;
    struct flight *flight = &pair->queue[0];
    struct op_result result;
    op_changes_clear(&f->changes, tree_acls(f->tree));
    apply_bytes(f, &flight->header, flight->txn, &result);
    assert_int_equal(result.error, 0);
    view_committed(f->view, flight->header.zxid);
    assert_true(tree_digest(f->tree) == flight->digest);
    memmove(pair->queue, pair->queue + 1, --pair->count * sizeof *pair->queue);
}

static void enqueue(struct pair *pair, int32_t type)
{
    struct fixture *f = &pair->ahead;
    if (pair->count == FLIGHT_MAX)
        apply_oldest(pair);
    pair->queue[pair->count++] = (struct flight){
        {f->session_id, 0, f->zxid, f->time_ms, type}, keep(f), view_digest(f->view)};
}

static void close_one(struct fixture *f)
{
    struct op_prepare prepare = {.view = f->view,
                                 .tree = f->tree,
                                 .settings = &f->settings,
                                 .zxid = ++f->zxid,
                                 .time_ms = f->time_ms,
                                 .arena = &f->arena};
    mk_buffer_clear(&f->txn);
    op_prepare_close_session(&prepare, f->session_id, &f->txn);
}

/* Ends the caller's session in both; its list of paths may be in another order. */
static void random_close(struct pair *pair)
{
    close_one(&pair->ahead);
    enqueue(pair, MK_OP_CLOSE_SESSION);
    struct fixture *f = &pair->behind;
    close_one(f);
    uint64_t promised = view_digest(f->view);
    struct mk_txn_header header = {f->session_id, 0, f->zxid, f->time_ms, MK_OP_CLOSE_SESSION};
    struct op_result result;
    apply_bytes(f, &header, keep(f), &result);
    view_committed(f->view, f->zxid);
    assert_true(tree_digest(f->tree) == promised);
    assert_true(view_digest(pair->ahead.view) == promised);
}

static void random_request(struct pair *pair)
{
    int32_t op = put_random_request(pair);
    int error = prepare(&pair->ahead, op);
    if (!error)
        enqueue(pair, pair->ahead.txn_type);
    assert_int_equal(send_write(&pair->behind, op), error);
    assert_int_equal(pair->ahead.txn.length, pair->behind.txn.length);
    assert_memory_equal(pair->ahead.txn.data, pair->behind.txn.data, pair->ahead.txn.length);
    assert_true(view_digest(pair->ahead.view) == tree_digest(pair->behind.tree));
    if (error)
        pair->failed++;
    else
        pair->accepted++;
}

static void run_pair(uint64_t seed, int steps)
{
    struct pair *pair = calloc(1, sizeof *pair);
    fixture_init(&pair->ahead);
    fixture_init(&pair->behind);
    mk_rand_init(&pair->rand, seed);
    for (int step = 0; step < steps; step++) {
        int64_t session = SESSION + below(pair, 3);
        pair->ahead.session_id = pair->behind.session_id = session;
        pair->ahead.time_ms = pair->behind.time_ms = 1000 + step;
        if (below(pair, 20) == 0)
            random_close(pair);
        else
            random_request(pair);
        for (uint32_t n = below(pair, 3); n > 0 && pair->count; n--)
            apply_oldest(pair);
        if (below(pair, 100) == 0 && !pair->count) {
            mk_arena_reset(&pair->ahead.arena);
            mk_arena_reset(&pair->behind.arena);
        }
    }
    while (pair->count)
        apply_oldest(pair);
    assert_int_equal(view_size(pair->ahead.view), 0);
    assert_true(tree_digest(pair->ahead.tree) == tree_digest(pair->behind.tree));
    assert_int_equal(tree_node_count(pair->ahead.tree), tree_node_count(pair->behind.tree));
    /* The mix is worth something only if both outcomes are common. */
    assert_true(pair->accepted > steps / 5 && pair->failed > steps / 20);
    op_changes_clear(&pair->ahead.changes, tree_acls(pair->ahead.tree));
    op_changes_clear(&pair->behind.changes, tree_acls(pair->behind.tree));
    assert_int_equal(acl_count(tree_acls(pair->ahead.tree)),
                     acl_count(tree_acls(pair->behind.tree)));
    fixture_fini(&pair->ahead);
    fixture_fini(&pair->behind);
    free(pair);
}

static void test_property(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        run_pair(seed, 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_flight),      cmocka_unit_test(test_reject_and_commit),
        cmocka_unit_test(test_many_paths),     cmocka_unit_test(test_acl_users),
        cmocka_unit_test(test_without_digest), cmocka_unit_test(test_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
