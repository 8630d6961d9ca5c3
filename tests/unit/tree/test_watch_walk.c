/* SPDX-License-Identifier: MIT */
/* Lists of watches in slices (watch_walk.c): whatever happens to the table between two slices,
 * what is there all the time comes exactly once, and nothing comes that is not there. */
#include "tests/unit/tree/tree_test.h"

#include "base/rand.h"
#include "tree/watch.h"

#define WATCHERS 6
#define PATHS 40
#define WALKS 2

struct model {
    bool has[WATCHERS][PATHS];
    /* of each walk: had the pair from its beginning until now; how often it was visited */
    bool stays[WALKS][WATCHERS][PATHS];
    int visited[WALKS][WATCHERS][PATHS];
};

struct visit {
    struct model *model;
    int walk;
    uint32_t watcher; /* of the one before */
    int32_t path;
    enum watch_order order;
};

static struct mk_bytes path_of(int number, char text[32])
{
    return mk_bytes_of(text, (size_t)snprintf(text, 32, "/p-%d", number));
}

/* No zero ends a path. */
static int number_of(struct mk_bytes path)
{
    char text[32];
    assert_true(path.length > 3 && (size_t)path.length < sizeof text);
    snprintf(text, sizeof text, "%.*s", (int)path.length, (const char *)path.data);
    return (int)strtol(text + 3, NULL, 10);
}

static void visit(void *context, struct mk_bytes path, uint32_t watcher)
{
    struct visit *visit = context;
    int number = number_of(path);
    assert_true(watcher < WATCHERS && number < PATHS);
    assert_true(visit->model->has[watcher][number]);
    visit->model->visited[visit->walk][watcher][number]++;
}

static void gone(struct model *model, uint32_t watcher, int path)
{
    model->has[watcher][path] = false;
    for (int walk = 0; walk < WALKS; walk++)
        model->stays[walk][watcher][path] = false;
}

static void told(void *context, uint32_t watcher, int32_t type, struct mk_bytes path,
                 bool on_parent)
{
    (void)context, (void)watcher, (void)type, (void)path, (void)on_parent;
}

static void random_change(struct watch_table *table, struct model *model, struct mk_rand *rand)
{
    char buffer[32];
    uint32_t watcher = (uint32_t)mk_rand_below(rand, WATCHERS);
    int number = (int)mk_rand_below(rand, PATHS);
    struct mk_bytes path = path_of(number, buffer);
    switch (mk_rand_below(rand, 12)) {
    case 0:
        watch_trigger(table, MK_EVENT_NODE_DATA_CHANGED, path, told, NULL); /* uses up one-shots */
        for (uint32_t i = 0; i < WATCHERS; i++)
            if (model->has[i][number] && !watch_has(table, i, path, MK_WATCHER_ANY))
                gone(model, i, number);
        break;
    case 1:
        watch_remove(table, watcher, path, MK_WATCHER_ANY);
        gone(model, watcher, number);
        break;
    case 2:
        if (mk_rand_below(rand, 10) == 0) {
            watch_forget(table, watcher);
            for (int i = 0; i < PATHS; i++)
                gone(model, watcher, i);
        }
        break;
    case 3:
        watch_sweep(table, mk_rand_below(rand, 5));
        break;
    default: {
        static const enum watch_mode modes[] = {WATCH_DATA, WATCH_PERSISTENT, WATCH_RECURSIVE};
        watch_add(table, watcher, path, modes[mk_rand_below(rand, 3)]);
        model->has[watcher][number] = true;
    }
    }
}

static void check_walk(const struct model *model, int walk)
{
    for (int watcher = 0; watcher < WATCHERS; watcher++)
        for (int path = 0; path < PATHS; path++)
            if (model->stays[walk][watcher][path])
                assert_int_equal(model->visited[walk][watcher][path], 1);
}

static void run(uint64_t seed)
{
    struct mk_rand rand;
    struct model model = {0};
    struct watch_table *table = watch_table_new(seed);
    struct watch_walk walks[WALKS] = {{.table = NULL}};
    uint64_t finished = 0;
    mk_rand_init(&rand, seed);
    for (int i = 0; i < 5000; i++) {
        random_change(table, &model, &rand);
        int number = (int)mk_rand_below(&rand, WALKS);
        struct watch_walk *walk = &walks[number];
        if (!walk->table) {
            memcpy(model.stays[number], model.has, sizeof model.has);
            memset(model.visited[number], 0, sizeof model.visited[number]);
            watch_walk_begin(walk, table, number ? WATCHES_BY_PATH : WATCHES_BY_WATCHER);
        }
        struct visit context = {.model = &model, .walk = number};
        if (watch_walk_next(walk, (uint32_t)mk_rand_below(&rand, 8), visit, &context))
            continue;
        assert_null(walk->table);
        check_walk(&model, number);
        finished++;
    }
    assert_true(finished > 20);
    for (int i = 0; i < WALKS; i++)
        watch_walk_end(&walks[i]);
    watch_table_free(table);
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        run(seed);
    }
}

static void check_group(void *context, struct mk_bytes path, uint32_t watcher)
{
    struct visit *group = context;
    int number = number_of(path);
    if (group->order == WATCHES_BY_WATCHER && watcher != group->watcher) {
        assert_true(group->walk++ < WATCHERS); /* each begins once */
        group->watcher = watcher;
    } else if (group->order == WATCHES_BY_PATH && number != group->path) {
        assert_true(group->walk++ < PATHS);
        group->path = number;
    }
}

/* What a table of figures needs: the pairs of one path, or of one watcher, lie together. */
static void test_groups(void **state)
{
    (void)state;
    char buffer[32];
    struct watch_table *table = watch_table_new(1);
    for (uint32_t watcher = 0; watcher < WATCHERS; watcher++)
        for (int path = 0; path < PATHS; path++)
            watch_add(table, watcher, path_of(path, buffer), WATCH_DATA);
    for (int order = WATCHES_BY_PATH; order <= WATCHES_BY_WATCHER; order++) {
        struct watch_walk walk;
        struct visit group = {.watcher = WATCHERS, .path = -1, .order = (enum watch_order)order};
        watch_walk_begin(&walk, table, (enum watch_order)order);
        int slices = 0;
        while (watch_walk_next(&walk, 10, check_group, &group))
            slices++;
        assert_int_equal(group.walk, order == WATCHES_BY_PATH ? PATHS : WATCHERS);
        assert_true(slices >= WATCHERS * PATHS / (10 + WATCHERS));
    }
    watch_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
