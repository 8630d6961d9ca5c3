/* SPDX-License-Identifier: MIT */
/* Containers and TTL nodes (client-protocol reference, section 10): when they go, what saves
 * them, how many go at a time, and that a wall clock that jumps deletes nothing early and
 * keeps nothing for ever. */
#include "tests/lib/replica_fixture.c"

#define CHECK_MS 1000
#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)

static int prepare(void **state)
{
    world_prepare(state);
    struct world *world = *state;
    world->options.container_check_interval_ms = CHECK_MS;
    world->options.container_never_used_ms = 5000;
    world->options.container_checks_per_minute_max = 100000;
    world->options.session_timeout_max_ms = INT32_MAX;
    return 0;
}

static int setup(void **state)
{
    prepare(state);
    struct world *world = *state;
    world_start(world);
    session_open_with(world, 0, INT32_MAX);
    return 0;
}

static void create_container(struct world *world, const char *path)
{
    int32_t xid = send_create_op(world, 0, MK_OP_CREATE_CONTAINER, path, MK_CREATE_CONTAINER, 0);
    expect_reply(world, 0, xid, 0);
}

static void create_ttl(struct world *world, const char *path, int64_t ttl)
{
    int32_t xid =
        send_create_op(world, 0, MK_OP_CREATE_TTL, path, MK_CREATE_PERSISTENT_WITH_TTL, ttl);
    expect_reply(world, 0, xid, 0);
}

static void delete_node(struct world *world, const char *path)
{
    expect_reply(world, 0, send_delete(world, 0, path), 0);
}

/* --- containers
 * ------------------------------------------------------------------------------------ */

static void test_container_after_its_last_child(void **state)
{
    struct world *world = *state;
    create_container(world, "/c");
    create(world, 0, "/c/x", 0);
    create(world, 0, "/c/y", 0);
    delete_node(world, "/c/x");
    world_pass(world, 3 * CHECK_MS);
    assert_true(tree_has(world, "/c"));
    expect_reply(world, 0, send_exists(world, 0, "/c", true), 0);
    expect_reply(world, 0, send_children(world, 0, "/", true), 0);
    delete_node(world, "/c/y");
    int64_t before = world_last_logged(world);
    world_pass(world, CHECK_MS);
    assert_false(tree_has(world, "/c"));
    /* To watchers it is a delete like any other, with its own zxid. */
    assert_int_equal(expect_event(world, 0, MK_EVENT_NODE_DELETED, "/c"), before + 1);
    assert_int_equal(expect_event(world, 0, MK_EVENT_NODE_CHILDREN_CHANGED, "/"), before + 1);
    assert_int_equal(world_last_logged(world), before + 1);
}

static void test_never_used_container(void **state)
{
    struct world *world = *state;
    create_container(world, "/c");
    create(world, 0, "/plain", 0);
    world_pass(world, 5000);
    assert_true(tree_has(world, "/c"));
    world_pass(world, 2 * CHECK_MS);
    assert_false(tree_has(world, "/c"));
    assert_true(tree_has(world, "/plain"));
}

static void test_never_used_container_may_stay(void **state)
{
    struct world *world = *state;
    world->options.container_never_used_ms = 0;
    world_start(world);
    session_open_with(world, 0, INT32_MAX);
    create_container(world, "/c");
    world_pass(world, 100000);
    assert_true(tree_has(world, "/c"));
}

static void test_child_in_flight_saves_its_container(void **state)
{
    struct world *world = *state;
    create_container(world, "/c");
    create(world, 0, "/c/x", 0);
    delete_node(world, "/c/x");
    world->hold = true;
    int32_t xid = send_create(world, 0, "/c/y", "x", 0);
    int64_t before = world_last_logged(world);
    world_pass(world, 3 * CHECK_MS);
    assert_int_equal(world_last_logged(world), before);
    world->hold = false;
    world_durable_all(world);
    expect_reply(world, 0, xid, 0);
    world_pass(world, 3 * CHECK_MS);
    assert_true(tree_has(world, "/c/y"));
}

/* The delete is in flight: a child comes too late, and nothing is proposed twice. */
static void test_delete_in_flight(void **state)
{
    struct world *world = *state;
    create_container(world, "/c");
    create(world, 0, "/c/x", 0);
    delete_node(world, "/c/x");
    world->hold = true;
    int64_t before = world_last_logged(world);
    world_pass(world, 3 * CHECK_MS);
    assert_int_equal(world_last_logged(world), before + 1);
    int32_t xid = send_create(world, 0, "/c/y", "x", 0);
    world_durable_all(world);
    expect_reply(world, 0, xid, MK_ERR_NO_NODE);
    assert_false(tree_has(world, "/c"));
}

static void test_nested_containers(void **state)
{
    struct world *world = *state;
    create_container(world, "/c");
    create_container(world, "/c/d");
    create(world, 0, "/c/d/x", 0);
    delete_node(world, "/c/d/x");
    world_pass(world, 3 * CHECK_MS);
    assert_false(tree_has(world, "/c"));
}

/* So many a minute: the rest waits for the next rounds. */
static void test_rate(void **state)
{
    struct world *world = *state;
    world->options.container_checks_per_minute_max = 600; /* ten a second */
    world_start(world);
    session_open_with(world, 0, INT32_MAX);
    for (int i = 0; i < 25; i++) {
        char path[32];
        snprintf(path, sizeof path, "/t%d", i);
        create_ttl(world, path, 1);
    }
    int64_t before = world_last_logged(world);
    static const int64_t after[] = {10, 20, 25, 25};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(after); i++) {
        world_pass(world, CHECK_MS);
        assert_int_equal(world_last_logged(world) - before, after[i]);
    }
}

/* --- TTL nodes
 * --------------------------------------------------------------------------------------- */

static void test_ttl(void **state)
{
    struct world *world = *state;
    create_ttl(world, "/t", 10000);
    create_ttl(world, "/touched", 10000);
    create_ttl(world, "/parent", 10000);
    create(world, 0, "/parent/x", 0);
    world_pass(world, 9000);
    set(world, 0, "/touched", "y");
    world_pass(world, 1000);
    assert_true(tree_has(world, "/t"));
    world_pass(world, 2 * CHECK_MS);
    assert_false(tree_has(world, "/t"));
    assert_true(tree_has(world, "/touched"));
    assert_true(tree_has(world, "/parent"));
    delete_node(world, "/parent/x"); /* mtime is old: at the next round */
    world_pass(world, CHECK_MS);
    assert_false(tree_has(world, "/parent"));
    world_pass(world, 7000 + 2 * CHECK_MS);
    assert_false(tree_has(world, "/touched"));
}

/* A write that is in the log's hands when the time is up counts. */
static void test_touch_in_flight_saves_a_ttl_node(void **state)
{
    struct world *world = *state;
    create_ttl(world, "/t", 5000);
    world_pass(world, 4900);
    world->hold = true;
    int32_t xid = send_set(world, 0, "/t", "y", -1);
    int64_t before = world_last_logged(world);
    world_pass(world, 3000);
    assert_int_equal(world_last_logged(world), before);
    world->hold = false;
    world_durable_all(world);
    expect_reply(world, 0, xid, 0);
    world_pass(world, 1000);
    assert_true(tree_has(world, "/t"));
    world_pass(world, 3000);
    assert_false(tree_has(world, "/t"));
}

/* --- the wall clock jumps
 * --------------------------------------------------------------------------------- */

static void test_forward_jump_deletes_nothing_early(void **state)
{
    struct world *world = *state;
    create_ttl(world, "/before", 10000);
    create_container(world, "/c");
    world_pass(world, 2000);
    world->wall_ms += YEAR_MS;
    world_pass(world, 1000);
    create_ttl(world, "/after", 10000);
    assert_true(tree_has(world, "/before"));
    assert_true(tree_has(world, "/c"));
    world_pass(world, 6900);
    assert_true(tree_has(world, "/before")); /* 9.9 s old */
    assert_false(tree_has(world, "/c"));     /* was never used for 5 s */
    world_pass(world, 100 + 2 * CHECK_MS);
    assert_false(tree_has(world, "/before"));
    assert_true(tree_has(world, "/after"));
    world_pass(world, 3000);
    assert_false(tree_has(world, "/after"));
}

/* Somebody set the clock wrong and right again. */
static void test_jump_and_back(void **state)
{
    struct world *world = *state;
    create_ttl(world, "/before", 20000);
    world_pass(world, 2000);
    world->wall_ms += YEAR_MS;
    world_pass(world, 2000);
    create_ttl(world, "/meanwhile", 20000);
    world_pass(world, 2000);
    world->wall_ms -= YEAR_MS;
    world_pass(world, 2000);
    create_ttl(world, "/after", 20000);
    assert_true(tree_has(world, "/before") && tree_has(world, "/meanwhile"));
    world_pass(world, 11900);
    assert_true(tree_has(world, "/before")); /* 19.9 s old */
    world_pass(world, 100 + 2 * CHECK_MS);
    assert_false(tree_has(world, "/before"));
    world_pass(world, 10000);
    assert_false(tree_has(world, "/meanwhile"));
    assert_false(tree_has(world, "/after"));
}

static void test_backward_jump(void **state)
{
    struct world *world = *state;
    create_ttl(world, "/before", 10000);
    create_container(world, "/c");
    world_pass(world, 2000);
    world->wall_ms -= YEAR_MS;
    world_pass(world, 2000);
    create_ttl(world, "/after", 10000);
    assert_true(tree_has(world, "/before"));
    world_pass(world, 5900);
    assert_true(tree_has(world, "/before"));
    world_pass(world, 6100 + 2 * CHECK_MS); /* no later than one TTL after the jump */
    assert_false(tree_has(world, "/before"));
    assert_false(tree_has(world, "/after"));
    assert_false(tree_has(world, "/c"));
}

static void test_two_jumps(void **state)
{
    struct world *world = *state;
    create_ttl(world, "/one", 10000);
    world->wall_ms += YEAR_MS;
    world_pass(world, 1000);
    create_ttl(world, "/two", 10000);
    world_pass(world, 1000);
    world->wall_ms += YEAR_MS;
    world_pass(world, 1000);
    create_ttl(world, "/three", 10000);
    world_pass(world, 6900);
    assert_true(tree_has(world, "/one"));
    assert_true(tree_has(world, "/two"));
    assert_true(tree_has(world, "/three"));
    world_pass(world, 100 + 4 * CHECK_MS);
    assert_false(tree_has(world, "/one"));
    assert_false(tree_has(world, "/two"));
    world_pass(world, 2 * CHECK_MS);
    assert_false(tree_has(world, "/three"));
}

/* More jumps than are remembered: late is allowed, early is not. */
static void test_many_jumps(void **state)
{
    struct world *world = *state;
    create_ttl(world, "/t", 60000);
    for (int i = 0; i < 25; i++) {
        world->wall_ms += i % 3 == 2 ? -YEAR_MS : YEAR_MS;
        world_pass(world, 2000);
        assert_true(tree_has(world, "/t"));
    }
    world_pass(world, 60000 + 2 * CHECK_MS);
    assert_false(tree_has(world, "/t"));
}

/* A host that was asleep with both clocks running: that time counts. */
static void test_stall_counts(void **state)
{
    struct world *world = *state;
    create_ttl(world, "/t", 100000);
    world_stall(world, 200000);
    world_tick(world);
    assert_false(tree_has(world, "/t"));
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, setup, world_teardown)
#define PREPARED(test) cmocka_unit_test_setup_teardown(test, prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STARTED(test_container_after_its_last_child),
        STARTED(test_never_used_container),
        PREPARED(test_never_used_container_may_stay),
        STARTED(test_child_in_flight_saves_its_container),
        STARTED(test_delete_in_flight),
        STARTED(test_nested_containers),
        PREPARED(test_rate),
        STARTED(test_ttl),
        STARTED(test_touch_in_flight_saves_a_ttl_node),
        STARTED(test_forward_jump_deletes_nothing_early),
        STARTED(test_jump_and_back),
        STARTED(test_backward_jump),
        STARTED(test_two_jumps),
        STARTED(test_many_jumps),
        STARTED(test_stall_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
