/* SPDX-License-Identifier: MIT */
/* When a snapshot is due, its walk in slices between writes, what a writer's failure does, and
 * that each one with the log behind it gives the tree that there was. */
#include "tests/lib/replica_fixture.c"

static void many_nodes(struct world *world, int count)
{
    char path[64];
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/n%05d", i);
        create(world, 0, path, 0);
    }
}

/* --- triggers
 * ------------------------------------------------------------------------------------------ */

/* After a random number of transactions in (count/2, count]. */
static void test_by_count(void **state)
{
    (void)state;
    uint64_t least = UINT64_MAX, most = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world world;
        world_init(&world);
        world.options.snapshot_transactions = 40;
        world.options.seed = seed;
        world_start(&world);
        session_open(&world, 0);
        uint64_t transactions = 1;
        while (world.snapshot_begin_count == 0 && transactions < 100) {
            create(&world, 0, "/s-", MK_CREATE_PERSISTENT_SEQUENTIAL);
            transactions++;
        }
        assert_true(transactions > 20 && transactions <= 40);
        assert_int_equal(world.snapshot_zxid, transactions);
        least = MK_MIN(least, transactions);
        most = MK_MAX(most, transactions);
        world_fini(&world);
    }
    assert_true(least < 27 && most > 33); /* spread */
}

static void test_by_bytes(void **state)
{
    struct world *world = *state;
    world->options.snapshot_log_bytes = 10000;
    world_start(world);
    session_open(world, 0);
    size_t bytes = 0;
    create(world, 0, "/a", 0);
    while (world->snapshot_begin_count == 0 && bytes < 100000) {
        set(world, 0, "/a", "0123456789012345678901234567890123456789");
        bytes = 0;
        for (size_t i = 0; i < world->log_count; i++)
            bytes += mk_bytes_size(world->log[i].bytes);
    }
    assert_true(bytes > 5000 && bytes <= 10100);
    assert_true(world->snapshot_complete);
    assert_int_equal(replica_stats(world->replica)->snapshot_count, 1);
    assert_int_equal(replica_stats(world->replica)->transactions_since_snapshot, 0);
}

/* However fast transactions come, two snapshots begin an interval apart. */
static void test_interval(void **state)
{
    struct world *world = *state;
    world->options.snapshot_transactions = 10;
    world->options.snapshot_interval_min_ms = 500;
    world_start(world);
    session_open(world, 0);
    many_nodes(world, 200);
    assert_int_equal(world->snapshot_begin_count, 1);
    world_pass(world, 499);
    create(world, 0, "/early", 0);
    assert_int_equal(world->snapshot_begin_count, 1);
    world_pass(world, 2); /* no write is needed for it to begin */
    assert_int_equal(world->snapshot_begin_count, 2);
}

static void test_never(void **state)
{
    struct world *world = *state; /* both triggers are off in the fixture */
    session_open(world, 0);
    many_nodes(world, 3000);
    assert_int_equal(world->snapshot_begin_count, 0);
}

/* One at a time, however many are asked for. */
static void test_one_at_a_time(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world->snapshot_hold = true;
    for (int i = 0; i < 5; i++) {
        world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
        world_settle(world);
    }
    assert_int_equal(world->snapshot_begin_count, 1);
    world->snapshot_hold = false;
    world_settle(world);
    assert_int_equal(world->snapshot_done_count, 1);
    create(world, 0, "/a", 0); /* those asked for meanwhile are one */
    assert_int_equal(world->snapshot_begin_count, 2);
    create(world, 0, "/b", 0);
    assert_int_equal(world->snapshot_begin_count, 2);
}

/* The log entry behind the beginning of a snapshot starts a new file, and only that one. */
static void test_roll(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    world->hold = true;
    send_create(world, 0, "/b", "x", 0); /* in the old file, behind the snapshot's zxid */
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    assert_int_equal(world->snapshot_zxid, 2);
    send_create(world, 0, "/c", "x", 0);
    send_create(world, 0, "/d", "x", 0);
    for (size_t i = 0; i < world->log_count; i++)
        assert_int_equal(world->log[i].roll, world->log[i].zxid == 4);
    world_durable_all(world);
}

/* --- slices
 * ------------------------------------------------------------------------------------------------
 */

static void random_write(struct world *world, uint64_t *chance)
{
    *chance = *chance * 6364136223846793005u + 1442695040888963407u;
    char path[64];
    snprintf(path, sizeof path, "/n%05d", (int)((*chance >> 33) % 4000));
    switch ((*chance >> 20) % 4) {
    case 0:
        send_create(world, 0, path, "x", 0);
        break;
    case 1:
        send_delete(world, 0, path);
        break;
    case 2:
        send_set_acl(world, 0, path, (*chance >> 10) % 2 ? OPEN_ACL : "31:ip:127.0.0.1");
        break;
    default:
        send_set(world, 0, path, "changed while it is walked", -1);
    }
    assert_true(peer_receive(world, 0));
}

static void test_slices_between_writes(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    many_nodes(world, 4000);
    world->snapshot_hold = true;
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    int64_t begin = world->snapshot_zxid;
    uint64_t chance = 1;
    while (world->snapshot_running) {
        for (int i = 0; i < 50; i++)
            random_write(world, &chance);
        world_snapshot_next(world);
        world_settle(world);
    }
    assert_true(world->snapshot_slice_count > 3);
    assert_true(world->snapshot_digest_zxid > begin);
    for (int i = 0; i < 50; i++)
        random_write(world, &chance);
    uint64_t digest = tree_digest(replica_tree(world->replica));
    uint64_t nodes = tree_node_count(replica_tree(world->replica));
    world_restart(world, true, world_last_logged(world)); /* compares digests on the way */
    assert_true(tree_digest(replica_tree(world->replica)) == digest);
    assert_int_equal(tree_node_count(replica_tree(world->replica)), nodes);
}

static void test_digest_of_a_quiet_walk(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    many_nodes(world, 100);
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    assert_int_equal(world->snapshot_digest_zxid, world->snapshot_zxid);
    assert_true(world->snapshot_digest == tree_digest(replica_tree(world->replica)));
    world_restart(world, true, world_last_logged(world));
}

/* --- failures
 * ---------------------------------------------------------------------------------------------- */

static void test_failed_one_is_tried_again(void **state)
{
    struct world *world = *state;
    world->options.snapshot_transactions = 20;
    world_start(world);
    session_open(world, 0);
    world->snapshot_error = MK_ERR_NO_SPACE;
    many_nodes(world, 30);
    assert_true(world->snapshot_done_count >= 1);
    assert_int_equal(replica_stats(world->replica)->snapshot_count, 0);
    world->snapshot_error = 0;
    uint32_t before = world->snapshot_done_count;
    for (int i = 0; i < 20; i++)
        create(world, 0, "/s-", MK_CREATE_PERSISTENT_SEQUENTIAL);
    assert_true(world->snapshot_done_count > before);
    assert_true(world->snapshot_complete);
    world_restart(world, true, world_last_logged(world));
}

/* The writer gives up in the middle of the walk. */
static void test_failure_in_the_middle(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    many_nodes(world, 4000);
    world->snapshot_hold = true;
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    assert_false(world->snapshot_finish_pending);
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_DONE, .error = MK_ERR_IO});
    world->snapshot_running = world->snapshot_slice_pending = false;
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NEXT}); /* too late */
    world_settle(world);
    assert_false(world->snapshot_slice_pending);
    world->snapshot_hold = false;
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    assert_true(world->snapshot_complete);
    world_restart(world, true, world_last_logged(world));
}

static void test_none_begins_while_stopping(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world_step(world, &(struct replica_event){.type = REPLICA_STOP});
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    assert_int_equal(world->snapshot_begin_count, 0);
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
#define PREPARED(test) cmocka_unit_test_setup_teardown(test, world_prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_count),
        PREPARED(test_interval),
        PREPARED(test_by_bytes),
        STARTED(test_never),
        STARTED(test_one_at_a_time),
        STARTED(test_roll),
        STARTED(test_slices_between_writes),
        STARTED(test_digest_of_a_quiet_walk),
        PREPARED(test_failed_one_is_tried_again),
        STARTED(test_failure_in_the_middle),
        STARTED(test_none_begins_while_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
