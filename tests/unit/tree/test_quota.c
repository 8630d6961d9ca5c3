/* SPDX-License-Identifier: MIT */
/* Quotas (client-protocol reference, section 9): which prefix counts, what limit texts mean,
 * the text of the stats nodes after each change, without a trace in Stat or digest. */
#include "tests/unit/tree/tree_test.h"

#define LIMITS(path) "/zookeeper/quota" path "/zookeeper_limits"
#define STATS(path) "/zookeeper/quota" path "/zookeeper_stats"

struct found {
    bool any, valid;
    struct mk_bytes prefix;
    struct tree_quota quota;
    int64_t count, bytes;
};

static struct found find(const struct tree *tree, const char *path)
{
    struct found found = {.any = false};
    found.any = tree_quota_find(tree, text(path), &found.prefix, &found.quota, &found.count,
                                &found.bytes, &found.valid);
    return found;
}

static void assert_stats(const struct tree *tree, const char *path, const char *expected)
{
    const struct znode *node = tree_find(tree, text(path));
    assert_non_null(node);
    assert_bytes(znode_data(node), expected);
}

/* A tree with /app, quotas for it, and some nodes. */
static struct tree *quota_tree(const char *limits)
{
    struct tree *tree = new_tree();
    assert_int_equal(create(tree, "/app", "12345", 1), 0);
    assert_int_equal(create(tree, "/app/a", "123", 2), 0);
    assert_int_equal(create(tree, "/other", "123", 3), 0);
    assert_false(find(tree, "/app").any);
    assert_int_equal(create(tree, "/zookeeper/quota/app", "", 4), 0);
    assert_int_equal(create(tree, LIMITS("/app"), limits, 5), 0);
    assert_int_equal(create(tree, STATS("/app"), "whatever", 6), 0);
    return tree;
}

static void test_usage(void **state)
{
    (void)state;
    struct tree *tree = quota_tree("count=10,bytes=100");
    struct mk_stat before = stat_of(tree, STATS("/app"));
    assert_int_equal(before.data_length, 15);
    assert_stats(tree, STATS("/app"), "count=2,bytes=8");
    assert_int_equal(create(tree, "/app/b", NULL, 7), 0);
    assert_stats(tree, STATS("/app"), "count=3,bytes=8");
    assert_int_equal(create(tree, "/app/b/c", "1234567", 8), 0);
    assert_stats(tree, STATS("/app"), "count=4,bytes=15");
    assert_int_equal(tree_set_data(tree, text("/app/b/c"), text("1"), 1, 9, 9), 0);
    assert_int_equal(tree_set_data(tree, text("/app"), text(""), 1, 10, 9), 0);
    assert_stats(tree, STATS("/app"), "count=4,bytes=4");
    assert_int_equal(tree_delete(tree, text("/app/b/c"), 11), 0);
    assert_stats(tree, STATS("/app"), "count=3,bytes=3");
    assert_int_equal(create(tree, "/other/x", "1234567", 12), 0);
    assert_stats(tree, STATS("/app"), "count=3,bytes=3");
    struct mk_stat after = stat_of(tree, STATS("/app"));
    before.data_length = after.data_length;
    assert_memory_equal(&before, &after, sizeof before);
    struct found found = find(tree, "/app/a");
    assert_true(found.any);
    assert_true(found.valid);
    assert_bytes(found.prefix, "/app");
    assert_int_equal(found.count, 3);
    assert_int_equal(found.bytes, 3);
    assert_int_equal(found.quota.count, 10);
    assert_int_equal(found.quota.bytes, 100);
    assert_int_equal(found.quota.count_hard, -1);
    tree_check(tree);
    tree_free(tree);
}

static void test_prefixes(void **state)
{
    (void)state;
    struct tree *tree = quota_tree("count=10,bytes=100");
    assert_bytes(find(tree, "/app").prefix, "/app");
    assert_bytes(find(tree, "/app/not/there").prefix, "/app");
    assert_false(find(tree, "/ap").any);
    assert_false(find(tree, "/application").any);
    assert_false(find(tree, "/other").any);
    assert_false(find(tree, "/").any);
    assert_false(find(tree, "").any);
    assert_false(find(tree, "app").any);
    assert_false(find(tree, "/zookeeper/quota/app").any);
    /* a quota of what is not there yet, inside the first one */
    assert_int_equal(create(tree, "/zookeeper/quota/app/in", "", 20), 0);
    assert_int_equal(create(tree, LIMITS("/app/in"), "count=1,bytes=1", 21), 0);
    assert_int_equal(create(tree, STATS("/app/in"), "", 22), 0);
    assert_stats(tree, STATS("/app/in"), "count=0,bytes=0");
    assert_bytes(find(tree, "/app/in/x").prefix, "/app/in");
    assert_bytes(find(tree, "/app/inn").prefix, "/app");
    assert_int_equal(create(tree, "/app/in", "1234", 23), 0);
    assert_stats(tree, STATS("/app/in"), "count=1,bytes=4");
    assert_stats(tree, STATS("/app"), "count=3,bytes=12");
    /* none for the root */
    assert_int_equal(create(tree, LIMITS(""), "count=1,bytes=1", 24), 0);
    assert_int_equal(create(tree, STATS(""), "mine", 25), 0);
    assert_false(find(tree, "/other").any);
    assert_stats(tree, STATS(""), "mine");
    /* limits that go switch off */
    assert_int_equal(tree_delete(tree, text(LIMITS("/app/in")), 26), 0);
    assert_bytes(find(tree, "/app/in/x").prefix, "/app");
    assert_int_equal(create(tree, "/app/in/y", "1234", 27), 0);
    assert_stats(tree, STATS("/app/in"), "count=1,bytes=4");
    tree_check(tree);
    tree_free(tree);
}

static void test_without_stats_nothing_is_enforced(void **state)
{
    (void)state;
    struct tree *tree = quota_tree("count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=4");
    struct found found = find(tree, "/app/a");
    assert_int_equal(found.quota.count_hard, 4);
    assert_int_equal(found.quota.bytes_hard, 10);
    assert_int_equal(found.quota.count, -1);
    assert_int_equal(tree_delete(tree, text(STATS("/app")), 9), 0);
    found = find(tree, "/app/a");
    assert_true(found.any);
    assert_int_equal(found.quota.count_hard, -1);
    assert_int_equal(found.quota.bytes_hard, -1);
    tree_free(tree);
}

static void test_limit_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
        struct tree_quota quota;
    } rows[] = {
        {"count=1,bytes=2", true, {1, 2, -1, -1}},
        {"bytes=2;;,count=+1", true, {1, 2, -1, -1}},
        {"count=1,bytes=2=;byteHardLimit=3;countHardLimit=4", true, {1, 2, 4, 3}},
        {"count==,bytes=5", true, {-1, 5, -1, -1}},
        {"unknown=7", true, {-1, -1, -1, -1}},
        {"count=1,,", true, {1, -1, -1, -1}},
        {"count=-9223372036854775808,bytes=9223372036854775807",
         true,
         {INT64_MIN, INT64_MAX, -1, -1}},
        {"", true, {-1, -1, -1, -1}},
        {NULL, true, {-1, -1, -1, -1}},
        {"count=", false, {0, 0, 0, 0}},
        {"count", false, {0, 0, 0, 0}},
        {"garbage", false, {0, 0, 0, 0}},
        {",count=1", false, {0, 0, 0, 0}},
        {"count=x", false, {0, 0, 0, 0}},
        {"count=1 ", false, {0, 0, 0, 0}},
        {"count=-", false, {0, 0, 0, 0}},
        {"count=9223372036854775808", false, {0, 0, 0, 0}},
        {"count=-9223372036854775809", false, {0, 0, 0, 0}},
        {"count=0x10", false, {0, 0, 0, 0}},
    };
    struct tree *tree = quota_tree("");
    for (size_t i = 0; i < MK_ARRAY_LENGTH(rows); i++) {
        assert_int_equal(tree_set_data(tree, text(LIMITS("/app")), text(rows[i].text), 1, 30, 1),
                         0);
        struct found found = find(tree, "/app");
        assert_true(found.any);
        if (found.valid != rows[i].valid)
            fail_msg("row %zu", i);
        if (found.valid)
            assert_memory_equal(&found.quota, &rows[i].quota, sizeof found.quota);
    }
    tree_free(tree);
}

static void test_recomputed_after_load(void **state)
{
    (void)state;
    struct tree *tree = quota_tree("count=10,bytes=100");
    uint64_t digest = tree_digest(tree);
    assert_int_equal(tree_set_data(tree, text(STATS("/app")), text("count=77,bytes=7"), 1, 9, 9),
                     0);
    assert_int_equal(tree_digest(tree), digest); /* below /zookeeper nothing counts */
    struct tree_snapshot *snapshot = tree_snapshot_begin(tree, 9);
    struct mk_buffer body = MK_BUFFER_EMPTY;
    while (!tree_snapshot_step(snapshot, &body, 100))
        continue;
    tree_snapshot_end(snapshot);
    struct tree *loaded = new_tree();
    size_t consumed;
    assert_int_equal(load_body(loaded, body.data, body.length, 100, &consumed), 1);
    assert_stats(loaded, STATS("/app"), "count=77,bytes=7");
    tree_load_finish(loaded);
    assert_stats(loaded, STATS("/app"), "count=2,bytes=8");
    assert_int_equal(tree_digest(loaded), digest);
    tree_check(loaded);
    mk_buffer_fini(&body);
    tree_free(loaded);
    tree_free(tree);
}

/* --- sums ------------------------------------------------------------------------------------ */

static void append_sum(void *context, const struct tree_quota_sum *sum)
{
    struct mk_buffer *text = context;
    mk_buffer_print(text, "%.*s %lld/%lld %lld/%lld; ", sum->name.length,
                    (const char *)sum->name.data, (long long)sum->count_used,
                    (long long)sum->count_limit, (long long)sum->bytes_used,
                    (long long)sum->bytes_limit);
}

static void assert_sums(const struct tree *tree, const char *expected)
{
    struct mk_buffer text = MK_BUFFER_EMPTY;
    assert_true(tree_quota_sums(tree, 1000, append_sum, &text));
    mk_buffer_append(&text, "", 1);
    assert_string_equal((char *)text.data, expected);
    mk_buffer_fini(&text);
}

/* The values are those that Apache 3.8 tells. */
static void test_sums(void **state)
{
    (void)state;
    struct tree *tree = quota_tree("count=3,bytes=-1=;byteHardLimit=-1;countHardLimit=-1");
    assert_sums(tree, "app 2/3 8/-1; ");
    assert_int_equal(tree_set_data(tree, text(LIMITS("/app")),
                                   text("count=3,bytes=4=;byteHardLimit=5;countHardLimit=6"), 1, 10,
                                   9),
                     0);
    assert_sums(tree, "app 2/6 8/5; "); /* hard before soft */
    assert_int_equal(create(tree, "/zookeeper/quota/app/a", "", 11), 0);
    assert_sums(tree, "app 2/6 8/5; "); /* a directory on the way */
    assert_int_equal(create(tree, LIMITS("/app/a"), "count=100,bytes=200", 12), 0);
    assert_int_equal(create(tree, STATS("/app/a"), "", 13), 0);
    assert_sums(tree, "app 3/106 11/205; "); /* the inner ones are added */
    assert_int_equal(create(tree, "/zookeeper/quota/app/b", "", 14), 0);
    assert_int_equal(create(tree, "/zookeeper/quota/app/b/c", "", 15), 0);
    assert_int_equal(create(tree, LIMITS("/app/b/c"), "count=9223372036854775807,bytes=1", 16), 0);
    assert_int_equal(create(tree, STATS("/app/b/c"), "", 17), 0); /* no such znode */
    assert_sums(tree, "app 3/9223372036854775807 11/206; ");
    assert_int_equal(create(tree, "/zookeeper/quota/other", "", 18), 0);
    assert_int_equal(create(tree, LIMITS("/other"), "count=1,bytes=2", 19), 0);
    assert_sums(tree, "other -1/1 -1/2; app 3/9223372036854775807 11/206; "); /* no statistics */
    assert_int_equal(tree_set_data(tree, text(LIMITS("/other")), text("nonsense"), 1, 20, 9), 0);
    assert_sums(tree, "app 3/9223372036854775807 11/206; ");
    for (uint32_t nodes_max = 0; nodes_max <= 12; nodes_max++) {
        struct mk_buffer seen = MK_BUFFER_EMPTY;
        assert_int_equal(tree_quota_sums(tree, nodes_max, append_sum, &seen), nodes_max == 12);
        mk_buffer_fini(&seen);
    }
    tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_without_stats_nothing_is_enforced),
        cmocka_unit_test(test_limit_texts),
        cmocka_unit_test(test_recomputed_after_load),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
