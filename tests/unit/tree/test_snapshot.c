/* SPDX-License-Identifier: MIT */
/* Snapshots: a walk in small slices with random transactions in between, loaded into a new
 * tree and replayed from its zxid on, gives the same tree; whatever the slicing; the loader
 * refuses what cannot be a body, says why, and never reads beyond its bytes. */
#include "tests/unit/tree/random_change.h"

static struct mk_buffer write_body(struct tree *tree, int64_t zxid, size_t slice)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct tree_snapshot *snapshot = tree_snapshot_begin(tree, zxid);
    while (!tree_snapshot_step(snapshot, &body, slice))
        continue;
    assert_true(tree_snapshot_step(snapshot, &body, slice)); /* complete stays complete */
    tree_snapshot_end(snapshot);
    return body;
}

static struct tree *random_tree(struct mk_rand *rand, int steps)
{
    struct tree *tree = new_tree();
    for (int i = 1; i <= steps; i++) {
        struct change change = random_change(tree, rand, i);
        assert_int_equal(apply_change(tree, &change), 0);
    }
    return tree;
}

static void test_quiet_walk(void **state)
{
    (void)state;
    struct mk_rand rand;
    mk_rand_init(&rand, 1);
    struct tree *tree = random_tree(&rand, 1000);
    struct mk_buffer whole = write_body(tree, 1000, SIZE_MAX);
    static const size_t slices[] = {0, 1, 100, 4096};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(slices); i++) {
        struct mk_buffer body = write_body(tree, 1000, slices[i]);
        assert_true(mk_bytes_equal(mk_buffer_bytes(&whole), mk_buffer_bytes(&body)));
        struct tree *loaded = new_tree();
        size_t consumed;
        assert_int_equal(load_body(loaded, body.data, body.length, slices[i] + 1, &consumed), 1);
        assert_int_equal(consumed, body.length);
        tree_load_finish(loaded);
        tree_check(loaded);
        assert_trees_equal(tree, loaded);
        tree_free(loaded);
        mk_buffer_fini(&body);
    }
    mk_buffer_fini(&whole);
    tree_free(tree);
}

/* What happened since the walk began. */
struct history {
    struct change *changes;
    int count;
};

static void keep_change(struct history *history, const struct change *change)
{
    if (history->count % 64 == 0)
        history->changes =
            mk_realloc(history->changes, (size_t)(history->count + 64) * sizeof(struct change));
    history->changes[history->count++] = *change;
}

/* A closing session names what it deletes, as its transaction does: a replay must raise the
 * pzxid of parents even where the ephemeral never was in the snapshot. */
static void keep_close(struct history *history, const struct tree *tree,
                       const struct change *change)
{
    struct ephemeral_paths list = {tree, MK_BUFFER_EMPTY};
    tree_ephemeral_visit(tree, change->owner, note_ephemeral, &list);
    for (size_t at = 0; at < list.paths.length;) {
        struct change gone = {.type = CHANGE_DELETE, .zxid = change->zxid};
        snprintf(gone.path, sizeof gone.path, "%s", (const char *)list.paths.data + at);
        at += strlen(gone.path) + 1;
        keep_change(history, &gone);
    }
    mk_buffer_fini(&list.paths);
}

static void change_some(struct tree *tree, struct mk_rand *rand, struct history *history,
                        int64_t *zxid, int count)
{
    for (int i = 0; i < count; i++) {
        struct change change = random_change(tree, rand, ++*zxid);
        if (change.type == CHANGE_CLOSE)
            keep_close(history, tree, &change);
        assert_int_equal(apply_change(tree, &change), 0);
        keep_change(history, &change);
    }
}

static void run_fuzzy(uint64_t seed)
{
    struct mk_rand rand;
    mk_rand_init(&rand, seed);
    struct tree *tree = random_tree(&rand, 600);
    struct history history = {NULL, 0};
    struct mk_buffer body = MK_BUFFER_EMPTY;
    int64_t zxid = 600;
    struct tree_snapshot *snapshot = tree_snapshot_begin(tree, zxid);
    int pace = 1 + (int)mk_rand_below(&rand, 12);
    bool done = false;
    while (!done) {
        change_some(tree, &rand, &history, &zxid, (int)mk_rand_below(&rand, (uint64_t)pace));
        done = tree_snapshot_step(snapshot, &body, mk_rand_below(&rand, 400));
        tree_check(tree);
    }
    tree_snapshot_end(snapshot);
    change_some(tree, &rand, &history, &zxid, 20);

    struct tree *loaded = new_tree();
    size_t consumed;
    assert_int_equal(
        load_body(loaded, body.data, body.length, 1 + mk_rand_below(&rand, 500), &consumed), 1);
    assert_int_equal(consumed, body.length);
    tree_check(loaded);
    assert_int_equal(tree_dangling_acls(loaded), 0); /* the walk keeps the lists it has named */
    for (int i = 0; i < history.count; i++)
        (void)apply_change(loaded, &history.changes[i]);
    tree_load_finish(loaded);
    tree_check(loaded);
    assert_trees_equal(tree, loaded);
    mk_free(history.changes);
    mk_buffer_fini(&body);
    tree_free(loaded);
    tree_free(tree);
}

static void test_fuzzy_walk(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        if (seed % 10 == 1)
            print_message("# from seed %llu\n", (unsigned long long)seed);
        run_fuzzy(seed);
    }
}

/* The cursor's node, its siblings and its parent go while the walk stands there. */
static void test_cursor_is_deleted(void **state)
{
    (void)state;
    static const char *const paths[] = {"/a", "/a/x", "/a/x/1", "/a/x/2", "/a/y", "/b"};
    static const char *const gone[] = {"/a/x/1", "/a/x/2", "/a/x", "/a/y", "/a", "/b"};
    for (size_t steps = 0; steps < 12; steps++) {
        struct tree *tree = new_tree();
        for (size_t i = 0; i < MK_ARRAY_LENGTH(paths); i++)
            assert_int_equal(create(tree, paths[i], "x", (int64_t)i + 1), 0);
        struct mk_buffer body = MK_BUFFER_EMPTY;
        struct tree_snapshot *snapshot = tree_snapshot_begin(tree, 10);
        for (size_t i = 0; i < steps; i++)
            (void)tree_snapshot_step(snapshot, &body, 1);
        for (size_t i = 0; i < MK_ARRAY_LENGTH(gone); i++)
            assert_int_equal(tree_delete(tree, text(gone[i]), (int64_t)i + 11), 0);
        assert_int_equal(create(tree, "/new", "x", 20), 0);
        while (!tree_snapshot_step(snapshot, &body, 1))
            continue;
        tree_snapshot_end(snapshot);
        struct tree *loaded = new_tree();
        size_t consumed;
        assert_int_equal(load_body(loaded, body.data, body.length, 10, &consumed), 1);
        assert_null(tree_find(loaded, text("/new")));
        assert_non_null(tree_find(loaded, text("/zookeeper/config")));
        for (size_t i = 0; i < MK_ARRAY_LENGTH(gone); i++)
            (void)tree_delete(loaded, text(gone[i]), (int64_t)i + 11);
        assert_int_equal(tree_node_count(loaded), 4);
        tree_check(loaded);
        mk_buffer_fini(&body);
        tree_free(loaded);
        tree_free(tree);
    }
}

static void test_old_trees_get_system_nodes(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    assert_int_equal(tree_delete(tree, text("/zookeeper/config"), 1), 0);
    assert_int_equal(tree_delete(tree, text("/zookeeper/quota"), 1), 0);
    assert_int_equal(tree_delete(tree, text("/zookeeper"), 1), 0);
    struct mk_buffer body = write_body(tree, 1, 100);
    struct tree *loaded = new_tree();
    size_t consumed;
    assert_int_equal(load_body(loaded, body.data, body.length, 100, &consumed), 1);
    assert_int_equal(tree_node_count(loaded), 1);
    tree_check(loaded);
    tree_load_finish(loaded);
    assert_int_equal(tree_node_count(loaded), 4);
    tree_check(loaded);
    mk_buffer_fini(&body);
    tree_free(loaded);
    tree_free(tree);
}

/* --- bodies by hand ---------------------------------------------------------------------- */

static void put_u32(struct mk_buffer *body, uint32_t value)
{
    mk_store_u32(mk_buffer_reserve(body, 4), value);
    body->length += 4;
}

static void put_u64(struct mk_buffer *body, uint64_t value)
{
    mk_store_u64(mk_buffer_reserve(body, 8), value);
    body->length += 8;
}

static void put_string(struct mk_buffer *body, const char *string)
{
    put_u32(body, (uint32_t)strlen(string));
    mk_buffer_append_string(body, string);
}

static void put_node(struct mk_buffer *body, const char *path, uint64_t acl)
{
    put_string(body, path);
    put_string(body, "data");
    put_u64(body, acl);
    for (int i = 0; i < 60; i++)
        mk_buffer_append(body, "", 1);
}

/* No session, one list with number 3, the root. */
static struct mk_buffer body_start(void)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct mk_acl item = {31, {text("world"), text("anyone")}};
    struct mk_acl_vector acl = {1, &item};
    put_u32(&body, 0);
    put_u32(&body, 1);
    put_u64(&body, 3);
    mk_acl_vector_write(&body, &acl);
    put_node(&body, "", UINT64_MAX);
    return body;
}

static void assert_load(struct mk_buffer *body, int expected)
{
    struct tree *tree = new_tree();
    size_t consumed;
    assert_int_equal(load_body(tree, body->data, body->length, 13, &consumed), expected);
    assert_int_equal(load_body(tree, body->data, body->length, SIZE_MAX / 2, &consumed), expected);
    assert_true(consumed <= body->length);
    if (expected == 1)
        tree_check(tree);
    tree_free(tree);
    mk_buffer_fini(body);
}

static void test_bodies_by_hand(void **state)
{
    (void)state;
    struct mk_buffer body = body_start();
    put_node(&body, "/a", 3);
    put_node(&body, "/a/b", 3);
    put_string(&body, "/");
    assert_load(&body, 1);

    body = body_start(); /* incomplete */
    put_node(&body, "/a", 3);
    assert_load(&body, 0);

    body = body_start();
    put_node(&body, "/a/b", 3);
    assert_load(&body, MK_ERR_CORRUPT);

    body = body_start();
    put_node(&body, "/a", 3);
    put_node(&body, "/a", 3);
    assert_load(&body, MK_ERR_CORRUPT);

    body = body_start();
    put_node(&body, "", 3);
    assert_load(&body, MK_ERR_CORRUPT);

    body = body_start();
    put_node(&body, "a", 3);
    assert_load(&body, MK_ERR_CORRUPT);

    body = body_start();
    put_node(&body, "//a", 3);
    assert_load(&body, MK_ERR_CORRUPT);

    body = body_start();
    put_node(&body, "/a", 0);
    assert_load(&body, MK_ERR_CORRUPT);

    body = body_start();
    put_node(&body, "/a", (uint64_t)1 << 40);
    assert_load(&body, MK_ERR_CORRUPT);

    body = body_start();
    put_u32(&body, (uint32_t)-2);
    assert_load(&body, MK_ERR_CORRUPT);

    body = body_start();
    put_u32(&body, TREE_LOADER_STRING_BYTES_MAX + 1);
    assert_load(&body, MK_ERR_CORRUPT);

    body = MK_BUFFER_EMPTY; /* no root */
    put_u32(&body, 0);
    put_u32(&body, 0);
    put_string(&body, "/");
    assert_load(&body, MK_ERR_CORRUPT);

    body = MK_BUFFER_EMPTY;
    put_u32(&body, (uint32_t)-1);
    assert_load(&body, MK_ERR_CORRUPT);
}

static void test_dangling_list_is_mended(void **state)
{
    (void)state;
    struct mk_buffer body = body_start();
    put_node(&body, "/a", 9);
    put_node(&body, "/b", 8);
    put_node(&body, "/c", 3);
    put_string(&body, "/");
    struct tree *tree = new_tree();
    size_t consumed;
    assert_int_equal(load_body(tree, body.data, body.length, 50, &consumed), 1);
    mk_buffer_fini(&body);
    assert_int_equal(tree_dangling_acls(tree), 2);
    assert_null(acl_get(tree_acls(tree), znode_acl(tree_find(tree, text("/a")))));
    tree_check(tree);
    /* a list that is new here must not get a number that dangles */
    assert_int_equal(create(tree, "/a", "", 5), MK_ERR_NODE_EXISTS);
    assert_int_equal(tree_dangling_acls(tree), 1);
    uint32_t acl = intern_one(tree, 1, "ip", "10.0.0.1");
    assert_int_equal(acl, 10);
    assert_null(acl_get(tree_acls(tree), 8));
    assert_int_equal(tree_delete(tree, text("/b"), 6), 0);
    assert_int_equal(tree_dangling_acls(tree), 0);
    acl_release(tree_acls(tree), acl);
    tree_check(tree);
    tree_free(tree);
}

static void test_damaged_bodies(void **state)
{
    (void)state;
    struct mk_rand rand;
    mk_rand_init(&rand, 3);
    struct tree *tree = random_tree(&rand, 200);
    struct mk_buffer body = write_body(tree, 200, SIZE_MAX);
    for (int i = 0; i < 3000; i++) {
        uint8_t *copy = mk_alloc(body.length); /* exactly as large: overreads are seen */
        memcpy(copy, body.data, body.length);
        size_t flips = 1 + mk_rand_below(&rand, 3);
        for (size_t j = 0; j < flips; j++)
            copy[mk_rand_below(&rand, body.length)] ^= (uint8_t)(1u << mk_rand_below(&rand, 8));
        size_t length = mk_rand_below(&rand, 4) ? body.length : mk_rand_below(&rand, body.length);
        struct tree *loaded = new_tree();
        size_t consumed;
        int result = load_body(loaded, copy, length, 1 + mk_rand_below(&rand, 5000), &consumed);
        assert_true(result == 0 || result == 1 || result == MK_ERR_CORRUPT);
        if (result == 1)
            tree_check(loaded);
        tree_free(loaded);
        mk_free(copy);
    }
    mk_buffer_fini(&body);
    tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet_walk),        cmocka_unit_test(test_fuzzy_walk),
        cmocka_unit_test(test_cursor_is_deleted), cmocka_unit_test(test_old_trees_get_system_nodes),
        cmocka_unit_test(test_bodies_by_hand),    cmocka_unit_test(test_dangling_list_is_mended),
        cmocka_unit_test(test_damaged_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
