/* SPDX-License-Identifier: MIT */
/* Sessions and what has an owner: lists of ephemerals stay right whatever goes first, an owner
 * without a session is kept in sight, containers and TTL nodes are found without a search. */
#include "tests/unit/tree/tree_test.h"

#include "base/rand.h"

struct seen {
    const struct tree *tree;
    char text[512];
};

static void note_node(void *context, const struct znode *node)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    struct mk_bytes name = znode_name(node);
    snprintf(seen->text + used, sizeof seen->text - used, "%.*s ", (int)name.length,
             (const char *)name.data);
}

static void note_owner(void *context, int64_t session_id)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%lld ", (long long)session_id);
}

static void note_session(void *context, int64_t session_id, int32_t timeout_ms)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%lld:%d ", (long long)session_id,
             (int)timeout_ms);
}

static void assert_ephemerals(const struct tree *tree, int64_t session_id, const char *expected)
{
    struct seen seen = {tree, ""};
    tree_ephemeral_visit(tree, session_id, note_node, &seen);
    assert_string_equal(seen.text, expected);
}

static void assert_owners(const struct tree *tree, const char *expected)
{
    struct seen seen = {tree, ""};
    tree_ephemeral_owner_visit(tree, note_owner, &seen);
    assert_string_equal(seen.text, expected);
}

static void test_sessions(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    int32_t timeout_ms;
    tree_session_add(tree, 300, 3);
    tree_session_add(tree, -5, 5);
    tree_session_add(tree, 100, 1);
    tree_session_add(tree, 300, 30);
    assert_int_equal(tree_session_count(tree), 3);
    struct seen seen = {tree, ""};
    tree_session_visit(tree, note_session, &seen);
    assert_string_equal(seen.text, "-5:5 100:1 300:30 ");
    assert_true(tree_session_find(tree, 300, &timeout_ms));
    assert_int_equal(timeout_ms, 30);
    tree_session_remove(tree, 300);
    tree_session_remove(tree, 300);
    tree_session_remove(tree, 12345);
    assert_false(tree_session_find(tree, 300, &timeout_ms));
    assert_int_equal(tree_session_count(tree), 2);
    tree_check(tree);
    tree_free(tree);
}

static void test_ephemerals(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    tree_session_add(tree, 7, 1000);
    assert_int_equal(create_as(tree, "/a", "", 7, 1), 0);
    assert_int_equal(create_as(tree, "/b", "", 7, 2), 0);
    assert_int_equal(create_as(tree, "/c", "", 7, 3), 0);
    assert_int_equal(create_as(tree, "/d", "", 9, 4), 0); /* its session is unknown */
    assert_int_equal(stat_of(tree, "/a").ephemeral_owner, 7);
    assert_ephemerals(tree, 7, "c b a ");
    assert_ephemerals(tree, 9, "d ");
    assert_ephemerals(tree, 8, "");
    assert_owners(tree, "7 9 ");
    assert_int_equal(tree_ephemeral_count(tree), 4);
    tree_check(tree);
    assert_int_equal(tree_delete(tree, text("/b"), 5), 0);
    assert_ephemerals(tree, 7, "c a ");
    assert_int_equal(tree_delete(tree, text("/c"), 6), 0);
    assert_ephemerals(tree, 7, "a ");
    tree_session_remove(tree, 7); /* the record stays while it owns something */
    assert_owners(tree, "7 9 ");
    tree_check(tree);
    assert_int_equal(tree_delete(tree, text("/a"), 7), 0);
    assert_int_equal(tree_delete(tree, text("/d"), 8), 0);
    assert_owners(tree, "");
    assert_int_equal(tree_ephemeral_count(tree), 0);
    tree_check(tree);
    tree_free(tree);
}

/* --- lists in slices ------------------------------------------------------------------------ */

#define OWNERS 6
#define NODES 30

struct model {
    bool has[OWNERS][NODES];
    bool stays[OWNERS][NODES]; /* since the walk began */
    int visited[OWNERS][NODES];
    int64_t session_id; /* of the one visited last */
    int groups[OWNERS];
};

static void visit_owned(void *context, int64_t session_id, const struct znode *node)
{
    struct model *model = context;
    struct mk_bytes name = znode_name(node); /* no zero byte ends it */
    char digits[8];
    snprintf(digits, sizeof digits, "%.*s", name.length - 1, (const char *)name.data + 1);
    long owner = session_id - 1, number = strtol(digits, NULL, 10);
    assert_in_range(owner, 0, OWNERS - 1);
    assert_in_range(number, 0, NODES - 1);
    assert_true(model->has[owner][number]);
    model->visited[owner][number]++;
    if (session_id != model->session_id)
        model->groups[owner]++;
    model->session_id = session_id;
}

/* A name is owned by one at a time. */
static void change_owned(struct tree *tree, struct model *model, struct mk_rand *rand, int64_t zxid)
{
    char path[16];
    int number = (int)mk_rand_below(rand, NODES), owner = (int)mk_rand_below(rand, OWNERS);
    snprintf(path, sizeof path, "/n%d", number);
    if (create_as(tree, path, "", owner + 1, zxid) == 0) {
        model->has[owner][number] = true;
        return;
    }
    assert_int_equal(tree_delete(tree, text(path), zxid), 0);
    for (int i = 0; i < OWNERS; i++)
        model->has[i][number] = model->stays[i][number] = false;
}

static void run_owner_walks(uint64_t seed)
{
    struct mk_rand rand;
    struct model model = {.session_id = 0};
    struct tree *tree = new_tree();
    struct tree_owner_walk walk = {.tree = NULL}, other;
    mk_rand_init(&rand, seed);
    int finished = 0;
    for (int64_t id = 1; id <= OWNERS; id++)
        tree_session_add(tree, id, 1000);
    tree_owner_walk_begin(&other, tree); /* ends with the tree */
    for (int64_t i = 1; i < 3000; i++) {
        change_owned(tree, &model, &rand, i);
        if (!walk.tree) {
            memcpy(model.stays, model.has, sizeof model.has);
            memset(model.visited, 0, sizeof model.visited);
            memset(model.groups, 0, sizeof model.groups);
            model.session_id = 0;
            tree_owner_walk_begin(&walk, tree);
        }
        uint32_t steps = (uint32_t)mk_rand_below(&rand, 6);
        if (tree_owner_walk_next(&walk, steps, visit_owned, &model))
            continue;
        for (int owner = 0; owner < OWNERS; owner++) {
            assert_true(model.groups[owner] <= 1);
            for (int number = 0; number < NODES; number++)
                if (model.stays[owner][number])
                    assert_int_equal(model.visited[owner][number], 1);
        }
        finished++;
    }
    assert_true(finished > 50);
    tree_check(tree);
    tree_free(tree);
    assert_null(other.tree);
    tree_owner_walk_end(&walk);
    tree_owner_walk_end(&other);
}

static void test_owner_walks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        run_owner_walks(seed);
    }
}

static void test_sessions_by_number(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    int64_t id;
    for (int64_t session_id = 1; session_id <= 5; session_id++)
        tree_session_add(tree, session_id, 1000);
    assert_int_equal(create_as(tree, "/a", "", 9, 1), 0); /* an owner that is no session */
    tree_session_remove(tree, 2);
    int found = 0;
    for (uint32_t number = 1; number < tree_session_end(tree); number++) {
        if (!tree_session_at(tree, number, &id))
            continue;
        assert_in_range(id, 1, 5);
        assert_int_not_equal(id, 2);
        found++;
    }
    assert_int_equal(found, 4);
    assert_int_equal(tree_ephemeral_owner_count(tree), 1);
    tree_free(tree);
}

static void test_expirables(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    assert_int_equal(create_as(tree, "/c", "", TREE_OWNER_CONTAINER, 1), 0);
    assert_int_equal(create_as(tree, "/t", "", TREE_OWNER_TTL_MASK | 5000, 2), 0);
    assert_int_equal(create(tree, "/t/child", "", 3), 0);
    assert_int_equal(stat_of(tree, "/c").ephemeral_owner, 0); /* clients see no owner */
    assert_int_equal(stat_of(tree, "/t").ephemeral_owner, 0);
    assert_int_equal(tree_owner(tree, tree_find(tree, text("/t"))), TREE_OWNER_TTL_MASK | 5000);
    struct seen seen = {tree, ""};
    tree_expirable_visit(tree, note_node, &seen);
    assert_string_equal(seen.text, "t c ");
    assert_int_equal(tree_ephemeral_count(tree), 0);
    assert_int_equal(tree_delete(tree, text("/c"), 4), 0);
    seen.text[0] = '\0';
    tree_expirable_visit(tree, note_node, &seen);
    assert_string_equal(seen.text, "t ");
    tree_check(tree);
    tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions),           cmocka_unit_test(test_ephemerals),
        cmocka_unit_test(test_expirables),         cmocka_unit_test(test_owner_walks),
        cmocka_unit_test(test_sessions_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
