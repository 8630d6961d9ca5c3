/* SPDX-License-Identifier: MIT */
/* No connection holds the loop (replica/fair.c): what one step does for a connection is bounded, by
 * bytes and by znodes walked over; those that had their share go on in turn; and whatever the
 * share is, everything is answered, in order. */
#include "tests/lib/replica_fixture.c"

#define SHARE 20000
#define DATA_BYTES 5000
#define READS 100

static char big_text[DATA_BYTES + 1];

static int prepare_small_shares(void **state)
{
    world_prepare(state);
    struct world *world = *state;
    memset(big_text, 'x', DATA_BYTES);
    world->options.turn_cost_max = SHARE;
    world->options.continue_cost_max = 2 * SHARE;
    world->options.commit_cost_max = 2 * SHARE;
    world_start(world);
    session_open(world, 0);
    create(world, 0, "/big", 0);
    set(world, 0, "/big", big_text);
    while (world->update.again) /* the next share is a whole one */
        world_settle(world);
    return 0;
}

/* A pipeline of reads that arrives in one piece. One byte at a time would be another matter. */
static void queue_reads(struct world *world, uint32_t number, int count)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_get_data_request_write(&body, &(struct mk_get_data_request){MK_BYTES("/big"), false});
    struct peer *peer = &world->peers[number];
    for (int i = 0; i < count; i++)
        request_write(&peer->sent, ++peer->xid, MK_OP_GET_DATA, mk_buffer_bytes(&body));
    peer->may_feed = true;
    mk_buffer_fini(&body);
}

/* One turn of a host: what waits goes on, output leaves, new bytes come in. */
static void turn(struct world *world)
{
    if (world->update.again)
        step_simple(world, REPLICA_CONTINUE, 0);
    perform(world);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        feed(world, i);
    perform(world);
}

static int receive_count(struct world *world, uint32_t number)
{
    int count = 0;
    while (peer_receive(world, number))
        count++;
    return count;
}

static void test_a_deep_pipeline_waits(void **state)
{
    struct world *world = *state;
    session_open(world, 1);
    queue_reads(world, 0, READS);
    assert_true(feed(world, 0));
    assert_true(replica_link(world->replica, 0)->output.length <= SHARE + DATA_BYTES + 200);
    assert_true(replica_link(world->replica, 0)->paused);
    assert_true(world->update.again);
    struct mk_buffer ping = MK_BUFFER_EMPTY; /* the other one's request is the next step */
    request_write(&ping, MK_XID_PING, MK_OP_PING, MK_BYTES_NULL);
    world_step(world, &(struct replica_event){
                          .type = REPLICA_BYTES, .connection = 1, .bytes = mk_buffer_bytes(&ping)});
    assert_int_equal(replica_link(world->replica, 1)->output.length, 20);
    mk_buffer_fini(&ping);
    int32_t first = world->peers[0].xid - READS + 1;
    int turns = 0;
    for (int got = 0; got < READS; turns++) {
        turn(world);
        for (int in_turn = 0; world->peers[0].received.length > 0; in_turn++, got++) {
            expect_data(world, 0, first + got, big_text);
            assert_true(in_turn < 10); /* a turn here is two shares at most */
        }
    }
    assert_true(turns >= READS / 10);
    world_settle(world);
    assert_false(world->update.again);
    assert_false(replica_link(world->replica, 0)->paused);
    expect_reply(world, 1, MK_XID_PING, 0);
}

/* Reads that waited for a write are bounded as well, and so is what may wait. */
static void test_a_queue_behind_a_write_waits(void **state)
{
    struct world *world = *state;
    world->hold = true;
    int32_t write = send_create(world, 0, "/a", "x", 0);
    queue_reads(world, 0, READS);
    send_set(world, 0, "/big", "last", -1);
    world_settle(world);
    assert_true(replica_link(world->replica, 0)->paused);
    assert_true(replica_stats(world->replica)->outstanding_requests <= 2 + SHARE / DATA_BYTES);
    /* so the second write is not on its way: it would force all answers out in one step */
    assert_true(world_last_logged(world) == world->durable_zxid + 1);
    world->hold = false;
    world->durable_zxid++;
    world_step(world,
               &(struct replica_event){.type = REPLICA_DURABLE, .zxid = world->durable_zxid});
    assert_true(replica_link(world->replica, 0)->output.length <= SHARE + DATA_BYTES + 300);
    world_settle(world);
    expect_reply(world, 0, write, 0);
    for (int i = 1; i <= READS; i++)
        expect_data(world, 0, write + i, big_text);
    expect_reply(world, 0, write + READS + 1, 0);
}

/* Many that want much do not hold the loop together, and take turns. */
static void test_many_take_turns(void **state)
{
    struct world *world = *state;
    enum { GREEDY = 8 };
    for (uint32_t i = 1; i < GREEDY; i++)
        session_open(world, i);
    for (uint32_t i = 0; i < GREEDY; i++)
        queue_reads(world, i, READS);
    turn(world); /* each its first share */
    int got[GREEDY];
    for (uint32_t i = 0; i < GREEDY; i++) {
        got[i] = receive_count(world, i);
        assert_in_range(got[i], 1, 5);
    }
    for (int turns = 0; turns < 2 * GREEDY; turns++) {
        turn(world);
        int sum = 0, least = READS, most = 0;
        for (uint32_t i = 0; i < GREEDY; i++) {
            int more = receive_count(world, i);
            sum += more;
            got[i] += more;
            least = MK_MIN(least, got[i]);
            most = MK_MAX(most, got[i]);
        }
        assert_in_range(sum, 1, 2 * 5); /* continue_cost_max: two shares, for all of them */
        assert_true(most - least <= 5);
    }
    world_settle(world);
    for (uint32_t i = 0; i < GREEDY; i++)
        assert_int_equal(got[i] + receive_count(world, i), READS);
}

/* Walking costs, also when nothing is answered. */
static void test_walking_counts(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 50; i++) {
        char path[32];
        snprintf(path, sizeof path, "/e-%d", i);
        create(world, 0, path, 1);
    }
    world_settle(world);
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_write_bytes(&body, MK_BYTES("/no-such-prefix"));
    struct peer *peer = &world->peers[0];
    int32_t first = peer->xid + 1;
    for (int i = 0; i < READS; i++)
        request_write(&peer->sent, ++peer->xid, MK_OP_GET_EPHEMERALS, mk_buffer_bytes(&body));
    mk_buffer_fini(&body);
    peer->may_feed = true;
    feed(world, 0);
    assert_true(world->update.again);
    size_t one = 20 + 4 + 4;
    assert_true(replica_link(world->replica, 0)->output.length <= (SHARE / (50 * 128) + 1) * one);
    world_settle(world);
    for (int i = 0; i < READS; i++)
        expect_reply(world, 0, first + i, 0);
}

/* What became durable together is not applied in one go if it is much. */
static void test_commits_take_turns(void **state)
{
    struct world *world = *state;
    world->hold = true;
    int32_t first = world->peers[0].xid + 1;
    for (int i = 0; i < 3 * 2 * SHARE / DATA_BYTES; i++)
        send_set(world, 0, "/big", big_text, -1);
    int32_t count = world->peers[0].xid - first + 1;
    int64_t begin = replica_last_zxid(world->replica);
    world->durable_zxid = world_last_logged(world);
    assert_int_equal(world->durable_zxid - begin, count);
    world_step(world,
               &(struct replica_event){.type = REPLICA_DURABLE, .zxid = world->durable_zxid});
    int64_t applied = replica_last_zxid(world->replica) - begin;
    assert_in_range(applied, 1, 2 * SHARE / DATA_BYTES);
    assert_true(world->update.again);
    assert_false(replica_is_idle(world->replica));
    step_simple(world, REPLICA_CONTINUE, 0);
    assert_in_range(replica_last_zxid(world->replica) - begin, applied + 1, 2 * applied);
    world_settle(world);
    assert_false(world->update.again);
    assert_int_equal(replica_last_zxid(world->replica), world->durable_zxid);
    for (int32_t i = 0; i < count; i++)
        expect_reply(world, 0, first + i, 0);
}

static void test_one_that_waits_may_go(void **state)
{
    struct world *world = *state;
    session_open(world, 1);
    session_open(world, 2);
    for (uint32_t i = 0; i < 3; i++)
        queue_reads(world, i, READS);
    for (uint32_t i = 0; i < 3; i++)
        feed(world, i);
    assert_true(world->update.again);
    peer_close(world, 1); /* from the middle, the end and the front of the list */
    peer_close(world, 2);
    peer_close(world, 0);
    assert_false(world->update.again);
}

/* The watches of a connection that has ended are dropped a few at a time, and tell nobody. */
static void test_watches_go_in_slices(void **state)
{
    struct world *world = *state;
    enum { WATCHES = 2000, SLICE = 2 * SHARE / OP_STEP_BYTES };
    session_open(world, 1);
    for (int i = 0; i < WATCHES; i++) {
        char path[32];
        snprintf(path, sizeof path, "/w-%d", i);
        expect_reply(world, 1, send_add_watch(world, 1, path, 0), 0);
    }
    world->hold = true;
    send_create(world, 0, "/w-1999", "x", 0);
    struct watch_counts counts;
    step_simple(world, REPLICA_DISCONNECT, 1);
    watch_count(replica_watches(world->replica), &counts);
    assert_int_equal(counts.data_watches, WATCHES);
    step_simple(world, REPLICA_CONNECT, 1); /* another one */
    world->durable_zxid = world_last_logged(world);
    world_step(world,
               &(struct replica_event){.type = REPLICA_DURABLE, .zxid = world->durable_zxid});
    assert_int_equal(replica_link(world->replica, 1)->output.length, 0);
    uint64_t before = WATCHES;
    while (world->update.again) {
        step_simple(world, REPLICA_CONTINUE, 0);
        watch_count(replica_watches(world->replica), &counts);
        assert_true(before - counts.data_watches <= SLICE);
        before = counts.data_watches;
    }
    assert_int_equal(counts.watches + counts.paths + counts.watchers, 0);
}

/* What was taken in before the stop is answered, though it takes some turns. */
static void test_stop_waits_for_what_waits(void **state)
{
    struct world *world = *state;
    world->hold = true;
    int32_t write = send_create(world, 0, "/a", "x", 0);
    queue_reads(world, 0, 4);
    world_settle(world);
    uint64_t waiting = replica_stats(world->replica)->outstanding_requests;
    assert_true(waiting >= 4);
    step_simple(world, REPLICA_STOP, 0);
    world_step(world,
               &(struct replica_event){.type = REPLICA_DURABLE, .zxid = world_last_logged(world)});
    world->durable_zxid = world_last_logged(world);
    assert_int_equal(replica_is_idle(world->replica), !world->update.again);
    world_settle(world);
    assert_true(replica_is_idle(world->replica));
    assert_int_equal(replica_stats(world->replica)->outstanding_requests, 0);
    expect_reply(world, 0, write, 0);
    for (uint64_t i = 1; i < waiting; i++)
        expect_data(world, 0, write + (int32_t)i, big_text);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, prepare_small_shares, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_deep_pipeline_waits), TEST(test_a_queue_behind_a_write_waits),
        TEST(test_many_take_turns),       TEST(test_walking_counts),
        TEST(test_commits_take_turns),    TEST(test_one_that_waits_may_go),
        TEST(test_watches_go_in_slices),  TEST(test_stop_waits_for_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
