/* SPDX-License-Identifier: MIT */
/* Watches: the events of each operation and their order (client-protocol reference, 6.2), modes
 * that coexist, removal by type (6.4), figures; then the table against a naive model under
 * random operations. */
#include "tests/unit/tree/tree_test.h"

#include "base/rand.h"
#include "tree/watch.h"

/* Events as text: "watcher:type:path", with a '^' in front when the parent's ACL decides. */
struct events {
    char text[2048];
};

static void note(void *context, uint32_t watcher, int32_t type, struct mk_bytes path,
                 bool on_parent)
{
    struct events *events = context;
    size_t used = strlen(events->text);
    snprintf(events->text + used, sizeof events->text - used, "%s%u:%d:%.*s ", on_parent ? "^" : "",
             watcher, (int)type, (int)path.length, (const char *)path.data);
}

static void assert_trigger(struct watch_table *table, int32_t type, const char *path,
                           const char *expected)
{
    struct events events = {""};
    watch_trigger(table, type, text(path), note, &events);
    assert_string_equal(events.text, expected);
}

#define CREATED MK_EVENT_NODE_CREATED
#define DELETED MK_EVENT_NODE_DELETED
#define CHANGED MK_EVENT_NODE_DATA_CHANGED

static void test_one_shot(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    watch_add(table, 1, text("/a"), WATCH_DATA);
    watch_add(table, 1, text("/a"), WATCH_DATA); /* twice is one */
    watch_add(table, 1, text("/"), WATCH_CHILD);
    assert_trigger(table, CREATED, "/a", "1:1:/a ^1:4:/ ");
    assert_trigger(table, CREATED, "/a", "");
    watch_add(table, 1, text("/a"), WATCH_DATA);
    assert_trigger(table, CHANGED, "/a", "1:3:/a ");
    assert_trigger(table, CHANGED, "/a", "");
    watch_add(table, 1, text("/a"), WATCH_CHILD);
    assert_trigger(table, CHANGED, "/a", "");
    assert_trigger(table, CREATED, "/a/b", "^1:4:/a ");
    assert_trigger(table, CREATED, "/a/c", "");
    watch_table_free(table);
}

static void test_delete_is_told_once(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    watch_add(table, 1, text("/a"), WATCH_DATA);
    watch_add(table, 1, text("/a"), WATCH_CHILD);
    watch_add(table, 2, text("/a"), WATCH_CHILD);
    watch_add(table, 3, text("/"), WATCH_CHILD);
    assert_trigger(table, DELETED, "/a", "1:2:/a 2:2:/a ^3:4:/ ");
    struct watch_counts counts;
    watch_count(table, &counts); /* the child watch that was not told is used up, too */
    assert_int_equal(counts.watches + counts.paths + counts.watchers, 0);

    watch_add(table, 4, text("/"), WATCH_RECURSIVE);
    watch_add(table, 4, text("/a/b"), WATCH_CHILD);
    assert_trigger(table, DELETED, "/a/b", "4:2:/a/b ");
    watch_count(table, &counts);
    assert_int_equal(counts.watches, 1);
    watch_table_free(table);
}

static void test_persistent(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    watch_add(table, 1, text("/p"), WATCH_PERSISTENT);
    for (int i = 0; i < 2; i++) {
        assert_trigger(table, CREATED, "/p", "1:1:/p ");
        assert_trigger(table, CHANGED, "/p", "1:3:/p ");
        assert_trigger(table, CREATED, "/p/x", "^1:4:/p ");
        assert_trigger(table, CHANGED, "/p/x", "");
        assert_trigger(table, CREATED, "/p/x/y", "");
        assert_trigger(table, DELETED, "/p/x", "^1:4:/p ");
        assert_trigger(table, DELETED, "/p", "1:2:/p "); /* once, not for each table */
        assert_trigger(table, CREATED, "/pp", "");
    }
    watch_table_free(table);
}

static void test_recursive(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    watch_add(table, 1, text("/r"), WATCH_RECURSIVE);
    watch_add(table, 1, text("/r/x"), WATCH_RECURSIVE);
    watch_add(table, 2, text("/"), WATCH_RECURSIVE);
    assert_trigger(table, CREATED, "/r", "2:1:/r 1:1:/r ");
    assert_trigger(table, CREATED, "/r/x/y/z", "1:1:/r/x/y/z 2:1:/r/x/y/z ");
    assert_trigger(table, CHANGED, "/r/x", "1:3:/r/x 2:3:/r/x ");
    assert_trigger(table, DELETED, "/rr", "2:2:/rr ");
    assert_trigger(table, DELETED, "/r/x", "1:2:/r/x 2:2:/r/x ");
    assert_trigger(table, CHANGED, "/", "2:3:/ ");
    /* children changed goes to who asked for it in another way */
    watch_add(table, 1, text("/r"), WATCH_CHILD);
    assert_trigger(table, CREATED, "/r/q", "1:1:/r/q 2:1:/r/q ^1:4:/r ");
    assert_trigger(table, CREATED, "/r/q", "1:1:/r/q 2:1:/r/q ");
    watch_table_free(table);
}

static void test_modes_coexist(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    watch_add(table, 1, text("/a"), WATCH_PERSISTENT);
    watch_add(table, 1, text("/a"), WATCH_DATA);
    watch_add(table, 1, text("/a"), WATCH_RECURSIVE);
    assert_int_equal(watch_count_of(table, 1), 1);
    assert_trigger(table, CHANGED, "/a/b", "1:3:/a/b ");
    assert_true(watch_has(table, 1, text("/a"), MK_WATCHER_DATA)); /* that was not for it */
    assert_trigger(table, CHANGED, "/a", "1:3:/a ");
    assert_false(watch_has(table, 1, text("/a"), MK_WATCHER_DATA));
    assert_true(watch_has(table, 1, text("/a"), MK_WATCHER_PERSISTENT));
    assert_trigger(table, CHANGED, "/a", "1:3:/a ");
    assert_trigger(table, CHANGED, "/a/b", "1:3:/a/b ");
    assert_true(watch_remove(table, 1, text("/a"), MK_WATCHER_PERSISTENT_RECURSIVE));
    assert_trigger(table, CHANGED, "/a/b", "");
    assert_trigger(table, CREATED, "/a/b", "^1:4:/a ");
    assert_true(watch_remove(table, 1, text("/a"), MK_WATCHER_PERSISTENT));
    assert_trigger(table, CHANGED, "/a", "");
    watch_table_free(table);
}

static void test_remove_by_type(void **state)
{
    (void)state;
    static const struct {
        enum watch_mode mode;
        int32_t type;
    } rows[] = {{WATCH_CHILD, 1}, {WATCH_DATA, 2}, {WATCH_PERSISTENT, 4}, {WATCH_RECURSIVE, 5}};
    struct watch_table *table = watch_table_new(1);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(rows); i++) {
        watch_add(table, 7, text("/a"), rows[i].mode);
        for (int32_t type = -1; type <= 7; type++) {
            bool expected = type == 3 || type == rows[i].type;
            assert_int_equal(watch_has(table, 7, text("/a"), type), expected);
            assert_int_equal(watch_has(table, 8, text("/a"), type), false);
            assert_int_equal(watch_has(table, 7, text("/a/"), type), false);
            assert_int_equal(watch_has(table, 7, text("/"), type), false);
            if (!expected)
                assert_false(watch_remove(table, 7, text("/a"), type));
        }
        assert_true(watch_remove(table, 7, text("/a"), i % 2 ? 3 : rows[i].type));
        assert_false(watch_remove(table, 7, text("/a"), 3));
        struct watch_counts counts;
        watch_count(table, &counts);
        assert_int_equal(counts.watchers + counts.paths + counts.watches, 0);
    }
    watch_table_free(table);
}

static void visit(void *context, struct mk_bytes path, uint32_t watcher)
{
    note(context, watcher, 0, path, false);
}

static void test_figures(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    watch_add(table, 1, text("/a"), WATCH_DATA);
    watch_add(table, 1, text("/b"), WATCH_CHILD);
    watch_add(table, 2, text("/a"), WATCH_PERSISTENT);
    struct watch_counts counts;
    watch_count(table, &counts);
    assert_int_equal(counts.watchers, 2);
    assert_int_equal(counts.paths, 2);
    assert_int_equal(counts.data_watches, 2);
    assert_int_equal(counts.child_watches, 2);
    assert_int_equal(counts.watches, 4);
    assert_int_equal(watch_count_of(table, 1), 2);
    assert_int_equal(watch_count_of(table, 3), 0);
    struct events events = {""};
    struct watch_walk walk;
    watch_walk_begin(&walk, table, WATCHES_BY_PATH);
    assert_false(watch_walk_next(&walk, UINT32_MAX, visit, &events));
    assert_string_equal(events.text, "2:0:/a 1:0:/a ");
    watch_forget(table, 1);
    watch_forget(table, 1);
    assert_true(watch_sweep_is_due(table));
    assert_false(watch_sweep(table, UINT64_MAX));
    watch_count(table, &counts);
    assert_int_equal(counts.watchers, 1);
    assert_int_equal(counts.paths, 1);
    watch_forget(table, 2);
    watch_table_free(table);
}

/* What is not swept yet is as good as gone: nobody is told, neither the one that went nor the one
 * that came under its number. */
static void test_forgotten_in_slices(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    watch_add(table, 1, text("/a"), WATCH_DATA);
    watch_add(table, 1, text("/b"), WATCH_PERSISTENT);
    watch_add(table, 1, text("/c"), WATCH_RECURSIVE);
    watch_forget(table, 1);
    assert_false(watch_has(table, 1, text("/b"), MK_WATCHER_ANY));
    assert_int_equal(watch_count_of(table, 1), 0);
    watch_add(table, 1, text("/d"), WATCH_DATA);
    watch_add(table, 1, text("/b"), WATCH_DATA);
    assert_int_equal(watch_count_of(table, 1), 2);
    assert_trigger(table, CHANGED, "/a", ""); /* used up all the same */
    assert_trigger(table, CHANGED, "/b", "1:3:/b ");
    assert_trigger(table, CHANGED, "/b", "");
    assert_trigger(table, CREATED, "/c/x", "");
    assert_true(watch_sweep(table, 1));  /* one of the two that are left */
    assert_false(watch_sweep(table, 1)); /* with its owner */
    struct watch_counts counts;
    watch_count(table, &counts);
    assert_int_equal(counts.watchers, 1);
    assert_int_equal(counts.watches, 1);
    assert_int_equal(counts.paths, 1);
    assert_trigger(table, CHANGED, "/d", "1:3:/d ");
    watch_forget(table, 1); /* without any left */
    watch_add(table, 2, text("/e"), WATCH_DATA);
    watch_forget(table, 2);
    watch_table_free(table); /* in the middle of it */
}

static void test_odd_paths(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    char *path = mk_alloc(3000);
    memset(path, 'x', 3000);
    path[0] = '/';
    static const size_t lengths[] = {254, 255, 256, 1018, 1019, 1024, 3000};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(lengths); i++)
        watch_add(table, 1, mk_bytes_of(path, lengths[i]), WATCH_DATA);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(lengths); i++)
        assert_true(watch_has(table, 1, mk_bytes_of(path, lengths[i]), MK_WATCHER_DATA));
    assert_false(watch_has(table, 1, mk_bytes_of(path, 300), MK_WATCHER_DATA));
    watch_add(table, 1, MK_BYTES_NULL, WATCH_DATA);
    watch_add(table, 1, text(""), WATCH_DATA);
    assert_int_equal(watch_count_of(table, 1), MK_ARRAY_LENGTH(lengths) + 1);
    watch_add(table, 2, text("/"), WATCH_RECURSIVE);
    assert_trigger(table, CREATED, "", "");
    assert_trigger(table, CREATED, "foo", "");
    assert_trigger(table, MK_EVENT_NODE_CHILDREN_CHANGED, "/a", "");
    assert_trigger(table, CREATED, "/a", "2:1:/a ");
    mk_free(path);
    watch_table_free(table);
}

/* A watch is charged 40 bytes and its path; of all, a watched path 40 bytes and itself, once. */
static void test_limits(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    watch_limit(table, 100, 300);
    assert_int_equal(watch_add(table, 1, text("/0123456789"), WATCH_DATA), WATCH_ADDED);
    assert_int_equal(watch_bytes_of(table, 1), 51);
    assert_int_equal(watch_bytes(table), 91);
    assert_int_equal(watch_add(table, 1, text("/12345678"), WATCH_DATA), WATCH_ADDED); /* full */
    assert_int_equal(watch_bytes_of(table, 1), 100);
    assert_int_equal(watch_add(table, 1, text("/"), WATCH_DATA), WATCH_WATCHER_IS_FULL);
    assert_int_equal(watch_count_of(table, 1), 2);
    assert_false(watch_has(table, 1, text("/"), MK_WATCHER_ANY));
    /* what is watched already takes nothing more */
    assert_int_equal(watch_add(table, 1, text("/12345678"), WATCH_DATA), WATCH_ADDED);
    assert_int_equal(watch_add(table, 1, text("/12345678"), WATCH_RECURSIVE), WATCH_ADDED);
    assert_int_equal(watch_bytes_of(table, 1), 100);
    assert_int_equal(watch_bytes(table), 91 + 89);
    assert_int_equal(watch_add(table, 2, text("/12345678"), WATCH_CHILD), WATCH_ADDED);
    assert_int_equal(watch_bytes(table), 220); /* the path is there already */
    assert_int_equal(watch_add(table, 3, text("/"), WATCH_CHILD), WATCH_TABLE_IS_FULL);
    struct watch_counts counts;
    watch_count(table, &counts); /* a refusal leaves no path and no watcher */
    assert_int_equal(counts.paths, 2);
    assert_int_equal(counts.watchers, 2);
    assert_int_equal(watch_add(table, 3, text("/12345678"), WATCH_CHILD), WATCH_ADDED);

    assert_true(watch_remove(table, 1, text("/12345678"), MK_WATCHER_ANY));
    assert_int_equal(watch_bytes_of(table, 1), 51);
    assert_trigger(table, CHANGED, "/0123456789", "1:3:/0123456789 ");
    assert_int_equal(watch_bytes_of(table, 1), 0);
    assert_int_equal(watch_add(table, 1, text("/"), WATCH_CHILD), WATCH_ADDED);
    for (uint32_t watcher = 1; watcher <= 3; watcher++)
        watch_forget(table, watcher);
    assert_true(watch_bytes(table) > 0); /* still held */
    watch_sweep(table, UINT64_MAX);
    assert_int_equal(watch_bytes(table), 0);
    watch_table_free(table);
}

/* --- against a model --------------------------------------------------------------------- */

#define WATCHERS 4
#define PATHS 12

static const char *const paths[PATHS] = {"/",      "/a",  "/b",     "/a/a", "/a/b",  "/b/a",
                                         "/a/a/a", "/aa", "/a/b/a", "/b/b", "/a/bb", "/ab"};

/* modes[watcher][path]: bits by enum watch_mode */
struct model {
    unsigned modes[WATCHERS][PATHS];
};

static int path_index(struct mk_bytes path)
{
    for (int i = 0; i < PATHS; i++)
        if (mk_bytes_equal_string(path, paths[i]))
            return i;
    return -1;
}

static bool is_below(int path, int ancestor)
{
    size_t length = strlen(paths[ancestor]);
    if (ancestor == 0)
        return path != 0;
    return strncmp(paths[path], paths[ancestor], length) == 0 && paths[path][length] == '/';
}

/* Sets of told watchers as bits: by data, by child of the node, by child of the parent. */
struct told {
    unsigned data, child, parent;
};

static struct told model_trigger(struct model *model, int32_t type, int path)
{
    struct told told = {0, 0, 0};
    struct mk_bytes name = text(paths[path]);
    int parent = path == 0 ? -1 : path_index(path_parent(name));
    if (parent < 0 && path != 0 && path_parent(name).length == 0)
        parent = 0;
    for (int w = 0; w < WATCHERS; w++) {
        unsigned *modes = model->modes[w];
        for (int p = 0; p < PATHS; p++)
            if ((modes[p] & 1u << WATCH_RECURSIVE) && (p == path || is_below(path, p)))
                told.data |= 1u << w;
        if (modes[path] & (1u << WATCH_DATA | 1u << WATCH_PERSISTENT))
            told.data |= 1u << w;
        modes[path] &= ~(1u << WATCH_DATA);
        if (type == DELETED) {
            if ((modes[path] & (1u << WATCH_CHILD | 1u << WATCH_PERSISTENT)) &&
                !(told.data & 1u << w))
                told.child |= 1u << w;
            modes[path] &= ~(1u << WATCH_CHILD);
        }
        if (type == CHANGED || parent < 0)
            continue;
        if (modes[parent] & (1u << WATCH_CHILD | 1u << WATCH_PERSISTENT))
            told.parent |= 1u << w;
        modes[parent] &= ~(1u << WATCH_CHILD);
    }
    return told;
}

struct delivery {
    int path;
    struct told told;
};

static void collect(void *context, uint32_t watcher, int32_t type, struct mk_bytes path,
                    bool on_parent)
{
    struct delivery *delivery = context;
    unsigned bit = 1u << watcher;
    if (type == MK_EVENT_NODE_CHILDREN_CHANGED) {
        assert_true(on_parent);
        assert_false(delivery->told.parent & bit);
        delivery->told.parent |= bit;
        return;
    }
    assert_false(on_parent);
    assert_false(delivery->told.parent); /* the node's events come first */
    assert_false(delivery->told.data & bit);
    assert_int_equal(path_index(path), delivery->path);
    delivery->told.data |= bit;
}

static void compare_figures(const struct watch_table *table, const struct model *model)
{
    struct watch_counts expected = {0};
    uint64_t bytes_total = 0;
    for (int w = 0; w < WATCHERS; w++) {
        uint64_t count = 0, bytes = 0;
        bool has_data = false;
        for (int p = 0; p < PATHS; p++) {
            unsigned modes = model->modes[w][p];
            has_data |= (modes & ~(1u << WATCH_CHILD)) != 0;
            unsigned child = 1u << WATCH_CHILD | 1u << WATCH_PERSISTENT;
            count += modes != 0;
            bytes += modes ? 40 + strlen(paths[p]) : 0;
            expected.child_watches += (modes & child) != 0;
            expected.data_watches += (modes & ~(1u << WATCH_CHILD)) != 0;
            static const int32_t types[] = {2, 1, 4, 5}; /* by enum watch_mode */
            for (int mode = 0; mode < 4; mode++)
                assert_int_equal(watch_has(table, (uint32_t)w, text(paths[p]), types[mode]),
                                 modes >> mode & 1);
        }
        assert_int_equal(watch_count_of(table, (uint32_t)w), count);
        assert_int_equal(watch_bytes_of(table, (uint32_t)w), bytes);
        bytes_total += 40 * count;
        expected.watchers += count > 0;
        expected.data_watchers += has_data;
    }
    for (int p = 0; p < PATHS; p++) {
        bool watched = false, has_data = false;
        for (int w = 0; w < WATCHERS; w++) {
            watched |= model->modes[w][p] != 0;
            has_data |= (model->modes[w][p] & ~(1u << WATCH_CHILD)) != 0;
        }
        expected.paths += watched;
        bytes_total += watched ? 40 + strlen(paths[p]) : 0;
        expected.data_paths += has_data;
    }
    expected.watches = expected.data_watches + expected.child_watches;
    struct watch_counts counts;
    watch_count(table, &counts);
    assert_memory_equal(&counts, &expected, sizeof counts);
    assert_int_equal(watch_bytes(table), bytes_total);
}

static void random_step(struct watch_table *table, struct model *model, struct mk_rand *rand)
{
    static const unsigned modes_of_type[] = {0,  1u << WATCH_CHILD,      1u << WATCH_DATA,
                                             15, 1u << WATCH_PERSISTENT, 1u << WATCH_RECURSIVE};
    uint32_t watcher = (uint32_t)mk_rand_below(rand, WATCHERS);
    int path = (int)mk_rand_below(rand, PATHS);
    switch (mk_rand_below(rand, 10)) {
    case 0:
    case 1:
    case 2:
    case 3: {
        enum watch_mode mode = (enum watch_mode)mk_rand_below(rand, 4);
        watch_add(table, watcher, text(paths[path]), mode);
        model->modes[watcher][path] |= 1u << mode;
        break;
    }
    case 4: {
        int32_t type = (int32_t)mk_rand_below(rand, 6);
        bool expected = (model->modes[watcher][path] & modes_of_type[type]) != 0;
        assert_int_equal(watch_remove(table, watcher, text(paths[path]), type), expected);
        model->modes[watcher][path] &= ~modes_of_type[type];
        break;
    }
    case 5:
        if (mk_rand_below(rand, 4) == 0) {
            watch_forget(table, watcher);
            memset(model->modes[watcher], 0, sizeof model->modes[watcher]);
        }
        watch_sweep(table, mk_rand_below(rand, 3));
        break;
    default: {
        int32_t type = 1 + (int32_t)mk_rand_below(rand, 3);
        struct delivery delivery = {path, {0, 0, 0}};
        watch_trigger(table, type, text(paths[path]), collect, &delivery);
        struct told expected = model_trigger(model, type, path);
        assert_int_equal(delivery.told.data, expected.data | expected.child);
        assert_int_equal(delivery.told.parent, expected.parent);
    }
    }
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        struct mk_rand rand;
        struct model model = {{{0}}};
        struct watch_table *table = watch_table_new(seed);
        mk_rand_init(&rand, seed);
        for (int i = 0; i < 2000; i++) {
            random_step(table, &model, &rand);
            if (!watch_sweep_is_due(table))
                compare_figures(table, &model);
        }
        watch_sweep(table, UINT64_MAX);
        compare_figures(table, &model);
        watch_table_free(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_shot),
        cmocka_unit_test(test_delete_is_told_once),
        cmocka_unit_test(test_persistent),
        cmocka_unit_test(test_recursive),
        cmocka_unit_test(test_modes_coexist),
        cmocka_unit_test(test_remove_by_type),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_odd_paths),
        cmocka_unit_test(test_forgotten_in_slices),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
