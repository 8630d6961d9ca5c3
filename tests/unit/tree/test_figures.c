/* SPDX-License-Identifier: MIT */
/* Memory and time of a million znodes and a million watches. Memory is asserted against the
 * promise (205 bytes a znode by the tree alone, 100 bytes a watch); times are only printed,
 * since they depend on the machine. Smaller under a sanitizer, where neither is meaningful. */
#include "tests/unit/tree/tree_test.h"

#include <malloc.h>
#include <time.h>

#include "base/rand.h"
#include "tree/watch.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define NODES 20000
static const bool measures = false;
#else
#define NODES 1000000
static const bool measures = true;
#endif
#define DIRECTORIES 1000
#define DATA_BYTES 100

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double resident(void)
{
    long pages = 0;
    long ignored;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &ignored, &pages), 2);
    fclose(file);
    return (double)pages * 4096;
}

static void report(const char *what, double start, double count)
{
    double seconds = now() - start;
    print_message("# %-32s %8.3f s %8.1f ns each\n", what, seconds, seconds * 1e9 / count);
}

/* "/dDDD/nNNNNNNNNN": names of 10 bytes; all below one node when `directories` is 1. */
static struct mk_bytes node_path(char *buffer, uint32_t i, uint32_t directories)
{
    int length = snprintf(buffer, 64, "/d%03u/n%09u", i % directories, i);
    return mk_bytes_of(buffer, (size_t)length);
}

static void fill(struct tree *tree, uint32_t directories)
{
    char path[64];
    uint8_t data[DATA_BYTES];
    memset(data, 'x', sizeof data);
    for (uint32_t i = 0; i < directories; i++) {
        snprintf(path, sizeof path, "/d%03u", i);
        assert_int_equal(create(tree, path, "", 1 + i), 0);
    }
    uint32_t acl = intern_one(tree, 31, "world", "anyone");
    double start = now();
    double slowest = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        struct tree_create node = {.path = node_path(path, i, directories),
                                   .data = mk_bytes_of(data, sizeof data),
                                   .acl = acl,
                                   .parent_cversion = -1,
                                   .zxid = 5000 + i,
                                   .time_ms = 1700000000000 + i};
        double before = i % 64 == 0 ? now() : 0;
        assert_int_equal(tree_create(tree, &node), 0);
        if (i % 64 == 0)
            slowest = MK_MAX(slowest, now() - before);
    }
    report("create", start, NODES);
    print_message("# %-32s %8.3f ms\n", "slowest create seen (1 of 64)", slowest * 1e3);
    acl_release(tree_acls(tree), acl);
}

static void read_all(const struct tree *tree, uint32_t directories)
{
    struct mk_rand rand;
    char path[64];
    mk_rand_init(&rand, 7);
    uint64_t bytes = 0;
    double start = now();
    for (uint32_t i = 0; i < NODES; i++) {
        uint32_t which = (uint32_t)mk_rand_below(&rand, NODES);
        struct mk_stat stat;
        const struct znode *node = tree_find(tree, node_path(path, which, directories));
        tree_stat(tree, node, &stat);
        bytes += (uint64_t)stat.data_length + znode_data(node).data[0];
    }
    report("find and read, random", start, NODES);
    assert_int_equal(bytes, (uint64_t)NODES * (DATA_BYTES + 'x'));
}

static void change_all(struct tree *tree, uint32_t directories)
{
    struct mk_rand rand;
    char path[64];
    uint8_t data[DATA_BYTES];
    memset(data, 'x', sizeof data);
    mk_rand_init(&rand, 8);
    double start = now();
    for (uint32_t i = 0; i < NODES; i++) {
        uint32_t which = (uint32_t)mk_rand_below(&rand, NODES);
        assert_int_equal(tree_set_data(tree, node_path(path, which, directories),
                                       mk_bytes_of(data, sizeof data), 1, 2000000 + i, 1700000),
                         0);
    }
    report("set data, random", start, NODES);
}

static struct mk_buffer write_snapshot(struct tree *tree)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    double start = now();
    double slowest = 0;
    struct tree_snapshot *snapshot = tree_snapshot_begin(tree, INT64_MAX);
    bool done = false;
    while (!done) {
        double before = now();
        done = tree_snapshot_step(snapshot, &body, 65536);
        slowest = MK_MAX(slowest, now() - before);
    }
    tree_snapshot_end(snapshot);
    report("snapshot in slices of 64 KiB", start, NODES);
    print_message("# %-32s %8.3f ms\n", "slowest slice", slowest * 1e3);
    return body;
}

static void delete_all(struct tree *tree, uint32_t directories)
{
    char path[64];
    double start = now();
    for (uint32_t i = 0; i < NODES; i++) {
        uint32_t which = (uint32_t)((uint64_t)i * 7919 % NODES);
        assert_int_equal(tree_delete(tree, node_path(path, which, directories), 4000000 + i), 0);
    }
    report("delete", start, NODES);
}

static void measure_tree(uint32_t directories)
{
    print_message("# %d znodes in %u directories\n", NODES, directories);
    malloc_trim(0);
    double resident_before = resident();
    struct tree *tree = new_tree();
    fill(tree, directories);
    double each = (resident() - resident_before) / NODES;
    print_message("# %-32s %8.1f bytes each\n", "resident memory", each);
    if (measures)
        assert_true(each <= 205);
    read_all(tree, directories);
    change_all(tree, directories);
    struct mk_buffer body = write_snapshot(tree);

    struct tree *loaded = new_tree();
    size_t consumed;
    double start = now();
    assert_int_equal(load_body(loaded, body.data, body.length, 1 << 20, &consumed), 1);
    report("load", start, NODES);
    assert_int_equal(tree_digest(loaded), tree_digest(tree));
    mk_buffer_fini(&body);
    delete_all(tree, directories);
    assert_int_equal(tree_node_count(tree), 4 + directories);
    tree_check(loaded);
    tree_free(loaded);
    tree_free(tree);
}

static void test_many_directories(void **state)
{
    (void)state;
    measure_tree(DIRECTORIES);
}

static void test_one_directory(void **state)
{
    (void)state;
    measure_tree(1);
}

static void count_event(void *context, uint32_t watcher, int32_t type, struct mk_bytes path,
                        bool on_parent)
{
    uint64_t *count = context;
    (void)watcher;
    (void)type;
    (void)path;
    (void)on_parent;
    ++*count;
}

/* NODES watches: `paths` paths, each watched by NODES / paths watchers. */
static void measure_watches(uint32_t paths)
{
    uint32_t watchers = NODES / paths;
    char path[64];
    malloc_trim(0);
    double resident_before = resident();
    struct watch_table *table = watch_table_new(3);
    double start = now();
    for (uint32_t i = 0; i < paths; i++) {
        struct mk_bytes watched = node_path(path, i, MK_MIN(paths, 1000u));
        for (uint32_t watcher = 0; watcher < watchers; watcher++)
            watch_add(table, watcher, watched, WATCH_DATA);
    }
    print_message("# %u watchers of %u paths\n", watchers, paths);
    report("add watch", start, NODES);
    /* not what malloc counts: alignment reserves addresses that are never touched */
    double each = (resident() - resident_before) / NODES;
    print_message("# %-32s %8.1f bytes each\n", "resident memory", each);
    if (measures)
        assert_true(each <= 100);
    assert_int_equal(watch_count_of(table, 0), paths);
    uint64_t events = 0;
    start = now();
    for (uint32_t i = 0; i < paths / 2; i++)
        watch_trigger(table, MK_EVENT_NODE_DATA_CHANGED, node_path(path, i, MK_MIN(paths, 1000u)),
                      count_event, &events);
    report("trigger", start, NODES / 2.0);
    assert_int_equal(events, (uint64_t)(paths / 2) * watchers);
    start = now();
    for (uint32_t watcher = 0; watcher < watchers; watcher++)
        watch_forget(table, watcher);
    watch_sweep(table, UINT64_MAX);
    report("forget", start, NODES / 2.0);
    struct watch_counts counts;
    watch_count(table, &counts);
    assert_int_equal(counts.paths + counts.watchers + counts.watches, 0);
    watch_table_free(table);
}

static void test_watches_of_one(void **state)
{
    (void)state;
    measure_watches(NODES);
}

static void test_watches_of_many(void **state)
{
    (void)state;
    measure_watches(1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_directories),
        cmocka_unit_test(test_one_directory),
        cmocka_unit_test(test_watches_of_one),
        cmocka_unit_test(test_watches_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
