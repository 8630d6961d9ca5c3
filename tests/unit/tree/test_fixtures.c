/* SPDX-License-Identifier: MIT */
/* Data directories of real servers: every transaction of their logs leads to the digest that
 * the server logged, every snapshot loads to the digest it carries, whatever the slicing, and
 * replaying the log over any snapshot, fuzzy or not, ends in the same tree. */
#include "tests/unit/tree/tree_test.h"

#define ENTRY_HEADER_BYTES 12
#define FILE_HEADER_BYTES 16
#define DIGEST_BYTES 12

struct replay_figures {
    int entries;
    int digests;
};

/* Applies the entries of a log above `zxid_from`; with `compare`, checks each digest. */
static void replay_log(struct tree *tree, const char *name, int64_t zxid_from, bool compare,
                       struct replay_figures *figures)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", STORAGE_VECTORS, name);
    struct mk_buffer log = read_file(path);
    struct txn_context context = {.tree = tree};
    mk_arena_init(&context.arena);
    size_t offset = FILE_HEADER_BYTES;
    while (offset + ENTRY_HEADER_BYTES < log.length) {
        uint32_t length = mk_load_u32(log.data + offset + 8);
        if (length == 0)
            break;
        struct mk_reader reader;
        mk_reader_init(&reader, log.data + offset + ENTRY_HEADER_BYTES, length, &context.arena);
        mk_txn_header_read(&reader, &context.header);
        figures->entries++;
        if (context.header.zxid > zxid_from) {
            apply_txn(&context, context.header.type, &reader);
            tree_check(tree);
        } else {
            reader.offset = reader.length;
        }
        if (compare && mk_reader_left(&reader) == DIGEST_BYTES) {
            struct mk_txn_digest digest;
            mk_txn_digest_read(&reader, &digest);
            assert_int_equal(digest.version, 2);
            assert_int_equal(tree_digest(tree), digest.tree_digest);
            figures->digests++;
        }
        mk_arena_reset(&context.arena);
        offset += ENTRY_HEADER_BYTES + length + 1;
    }
    mk_arena_fini(&context.arena);
    mk_buffer_fini(&log);
}

/* Loads a snapshot file; gives the digest section that it has behind the body. */
static void load_snapshot(struct tree *tree, const char *name, size_t slice, int64_t *digest_zxid,
                          uint64_t *digest)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", STORAGE_VECTORS, name);
    struct mk_buffer file = read_file(path);
    size_t consumed;
    int result = load_body(tree, file.data + FILE_HEADER_BYTES, file.length - FILE_HEADER_BYTES,
                           slice, &consumed);
    assert_int_equal(result, 1);
    tree_check(tree);
    const uint8_t *seal = file.data + FILE_HEADER_BYTES + consumed; /* checksum, "/" */
    *digest_zxid = (int64_t)mk_load_u64(seal + 13);
    assert_int_equal(mk_load_u32(seal + 21), 2);
    *digest = mk_load_u64(seal + 25);
    mk_buffer_fini(&file);
}

static void test_fresh_digest(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    assert_int_equal(tree_digest(tree), 1371985504);
    assert_int_equal(tree_node_count(tree), 4);
    assert_int_equal(tree_data_size(tree), 44);
    tree_check(tree);
    tree_free(tree);
}

static void test_minimal_log(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct replay_figures figures = {0, 0};
    replay_log(tree, "minimal-3.8.0/version-2/log.1", 0, true, &figures);
    assert_int_equal(figures.entries, 6);
    assert_int_equal(figures.digests, 5); /* the error carries none */
    struct tree *loaded = new_tree();
    int64_t zxid;
    uint64_t digest;
    load_snapshot(loaded, "minimal-3.8.0/version-2/snapshot.6", 7, &zxid, &digest);
    assert_int_equal(zxid, 6);
    assert_int_equal(tree_digest(loaded), digest);
    assert_trees_equal(tree, loaded);
    tree_free(loaded);
    tree_free(tree);
}

static const char *const ensemble_logs[] = {"ensemble-3.8.0/version-2/log.100000001",
                                            "ensemble-3.8.0/version-2/log.100000014",
                                            "ensemble-3.8.0/version-2/log.100000024"};

static struct tree *replayed_ensemble(struct replay_figures *figures)
{
    struct tree *tree = new_tree();
    for (size_t i = 0; i < MK_ARRAY_LENGTH(ensemble_logs); i++)
        replay_log(tree, ensemble_logs[i], 0, true, figures);
    return tree;
}

static void test_ensemble_logs(void **state)
{
    (void)state;
    struct replay_figures figures = {0, 0};
    struct tree *tree = replayed_ensemble(&figures);
    assert_int_equal(figures.entries, 60);
    print_message("# %d entries, %d digests compared\n", figures.entries, figures.digests);
    assert_true(figures.digests >= 50);
    tree_free(tree);

    tree = new_tree();
    figures = (struct replay_figures){0, 0};
    replay_log(tree, "ensemble-3.8.0-leader/version-2/log.100000001", 0, true, &figures);
    assert_int_equal(figures.entries, 60);
    tree_free(tree);
}

static void test_every_snapshot(void **state)
{
    (void)state;
    static const char *const names[] = {
        "minimal-3.8.0/version-2/snapshot.0",
        "minimal-3.8.0/version-2/snapshot.6",
        "ensemble-3.8.0/version-2/snapshot.100000012",
        "ensemble-3.8.0-leader/version-2/snapshot.100000034",
        "snapshot-variants/snapshot.200000008",
        "snapshot-variants/3.9.4/snapshot.200000008",
    };
    static const size_t slices[] = {1, 3, 64, 1 << 20};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(names); i++) {
        for (size_t j = 0; j < MK_ARRAY_LENGTH(slices); j++) {
            struct tree *tree = new_tree();
            int64_t zxid;
            uint64_t digest;
            load_snapshot(tree, names[i], slices[j], &zxid, &digest);
            /* a server that has applied nothing yet writes zxid 0 and digest 0 */
            assert_int_equal(digest, zxid == 0 ? 0 : tree_digest(tree));
            assert_int_equal(tree_dangling_acls(tree), 0);
            tree_load_finish(tree);
            tree_check(tree);
            tree_free(tree);
        }
    }
}

static void test_replay_over_snapshots(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t zxid;
    } snapshots[] = {{"ensemble-3.8.0/version-2/snapshot.0", 0},
                     {"ensemble-3.8.0/version-2/snapshot.100000012", 0x100000012},
                     {"ensemble-3.8.0/version-2/snapshot.100000022", 0x100000022}};
    struct replay_figures figures = {0, 0};
    struct tree *expected = replayed_ensemble(&figures);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(snapshots); i++) {
        struct tree *tree = new_tree();
        int64_t zxid;
        uint64_t digest;
        load_snapshot(tree, snapshots[i].name, 100, &zxid, &digest);
        for (size_t j = 0; j < MK_ARRAY_LENGTH(ensemble_logs); j++)
            replay_log(tree, ensemble_logs[j], snapshots[i].zxid, false, &figures);
        tree_load_finish(tree);
        tree_check(tree);
        assert_trees_equal(tree, expected);
        assert_trees_equal(expected, tree);
        tree_free(tree);
    }
    int64_t zxid;
    uint64_t digest;
    struct tree *written = new_tree();
    load_snapshot(written, "snapshot-variants/snapshot.200000008", 100, &zxid, &digest);
    assert_int_equal(tree_digest(written), tree_digest(expected));
    assert_int_equal(tree_node_count(written), tree_node_count(expected));
    tree_free(written);
    tree_free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_digest),          cmocka_unit_test(test_minimal_log),
        cmocka_unit_test(test_ensemble_logs),         cmocka_unit_test(test_every_snapshot),
        cmocka_unit_test(test_replay_over_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
