/* SPDX-License-Identifier: MIT */
/* Links between leader and learner on real sockets: when they are let in, how they are fed, paused
 * and ended. */
#include "tests/lib/peers_fixture.h"

/* --- quorum links ----------------------------------------------------------------------------- */

/* Servers 2 (leader) and 1 (follower), and the numbers of the link at both. */
struct pair {
    struct node *leader, *follower;
};

static const uint8_t first_packet[20] = {0, 0, 0, 11};

static struct pair connected_pair(struct world *world)
{
    struct pair pair = {started(world, 1), started(world, 0)};
    become(pair.follower, ZAB_FOLLOWING);
    dial(pair.follower, 2);
    RUN_UNTIL(world, pair.follower->connected == 1);
    mk_buffer_append(&pair.follower->links[0]->output, first_packet, sizeof first_packet);
    touch(pair.follower, 0);
    assert_int_equal(pair.follower->links[0]->output.length, 0);
    run_for(world, 50);
    assert_int_equal(pair.leader->accepted, 0); /* nobody is elected there yet */
    become(pair.leader, ZAB_LEADING);
    RUN_UNTIL(world, pair.leader->bytes.length == sizeof first_packet);
    assert_int_equal(pair.leader->accepted, 1);
    return pair;
}

static void test_links_are_fed_and_paused(void **state)
{
    struct world *world = *state;
    struct pair pair = connected_pair(world);
    struct zab_link *out = pair.leader->links[0];
    struct node *follower = pair.follower;
    follower->consume_max = 0; /* an unfinished packet */
    mk_buffer_append(&out->output, "abcdef", 6);
    touch(pair.leader, 0);
    RUN_UNTIL(world, follower->fed != NULL);
    assert_int_equal(follower->bytes.length, 0);
    follower->consume_max = 2; /* zab takes a little in each step */
    mk_buffer_append(&out->output, "gh", 2);
    touch(pair.leader, 0);
    RUN_UNTIL(world, follower->bytes.length == 8);

    /* Paused: what was fed stays where it is, although more comes. */
    follower->consume_max = 1;
    follower->fed = NULL;
    follower->links[0]->paused = true;
    touch(follower, 0);
    run_for(world, 20);
    mk_buffer_append(&out->output, "ijk", 3);
    touch(pair.leader, 0);
    run_for(world, 50);
    assert_null(follower->fed);
    follower->links[0]->paused = false;
    follower->consume_max = 3;
    touch(follower, 0);
    assert_null(follower->fed); /* not from inside */
    RUN_UNTIL(world, follower->bytes.length == 11);
    assert_memory_equal(follower->bytes.data, "abcdefghijk", 11);
}

static void test_a_snapshot_is_taken_in_place(void **state)
{
    struct world *world = *state;
    struct pair pair = connected_pair(world);
    struct node *follower = pair.follower;
    follower->consume_max = 0;
    mk_buffer_append(&pair.leader->links[0]->output, "123456789", 9);
    touch(pair.leader, 0);
    RUN_UNTIL(world, follower->fed != NULL);
    follower->links[0]->paused = true; /* update.snapshot_input points at what was fed */
    const uint8_t *input = follower->fed;
    touch(follower, 0);
    run_for(world, 20);
    assert_memory_equal(input, "123456789", 9);
    peers_consumed(follower->peers, 4);
    follower->links[0]->paused = false;
    follower->consume_max = SIZE_MAX;
    touch(follower, 0);
    RUN_UNTIL(world, follower->bytes.length == 5);
    assert_memory_equal(follower->bytes.data, "56789", 5);
    /* The link goes down while the host still loads. */
    follower->consume_max = 0;
    follower->fed = NULL;
    mk_buffer_append(&pair.leader->links[0]->output, "last", 4);
    touch(pair.leader, 0);
    RUN_UNTIL(world, follower->fed != NULL);
    input = follower->fed;
    follower->links[0]->closing = true;
    touch(follower, 0);
    RUN_UNTIL(world, follower->down == 1);
    run_for(world, 20);
    assert_memory_equal(input, "last", 4);
    perform(follower);
}

static void test_the_end_of_links(void **state)
{
    struct world *world = *state;
    struct pair pair = connected_pair(world);
    mk_buffer_append(&pair.leader->links[0]->output, "bye", 3);
    pair.leader->links[0]->closing = true;
    touch(pair.leader, 0);
    assert_int_equal(pair.leader->down, 0);
    RUN_UNTIL(world, pair.leader->down == 1 && pair.follower->down == 1);
    assert_memory_equal(pair.follower->bytes.data, "bye", 3);
    /* The number is free again. */
    dial(pair.follower, 2);
    RUN_UNTIL(world, pair.follower->connected == 2);
    assert_int_equal(pair.follower->last_link, 0);
    /* The leader ends. */
    mk_buffer_append(&pair.follower->links[0]->output, first_packet, sizeof first_packet);
    touch(pair.follower, 0);
    RUN_UNTIL(world, pair.leader->accepted == 2);
    node_stop(world, pair.leader);
    RUN_UNTIL(world, pair.follower->down == 2);
    /* Nobody listens; and of two dials only the newer one is answered. */
    dial(pair.follower, 2);
    RUN_UNTIL(world, pair.follower->refused == 1);
    dial(pair.follower, 2);
    dial(pair.follower, 3);
    RUN_UNTIL(world, pair.follower->refused == 2);
    dial(pair.follower, 99); /* in no list */
    assert_int_equal(pair.follower->refused, 2);
    RUN_UNTIL(world, pair.follower->refused == 3);
    dial(pair.follower, 2);
    become(pair.follower, ZAB_LOOKING); /* wanted no more */
    run_for(world, 100);
    assert_int_equal(pair.follower->refused, 3);
}

static void test_slow_readers_do_not_block(void **state)
{
    struct world *world = *state;
    struct pair pair = connected_pair(world);
    struct zab_link *out = pair.leader->links[0];
    enum { SIZE = 32 << 20 };
    pair.follower->links[0]->paused = true;
    touch(pair.follower, 0);
    run_for(world, 20);
    memset(mk_buffer_reserve(&out->output, SIZE), 'x', SIZE);
    out->output.length = SIZE;
    touch(pair.leader, 0);
    assert_int_equal(out->output.length, 0);
    assert_true(out->unsent_elsewhere > 0);
    mk_buffer_append(&out->output, "end", 3);
    touch(pair.leader, 0);
    assert_int_equal(out->output.length, 3);
    assert_int_equal(pair.leader->drained, 0);
    pair.follower->links[0]->paused = false;
    touch(pair.follower, 0);
    RUN_UNTIL(world, pair.follower->bytes.length == SIZE + 3 && pair.leader->drained == 1);
    assert_memory_equal(pair.follower->bytes.data + SIZE, "end", 3);
    assert_int_equal(out->unsent_elsewhere, 0);
    /* Told as well when the kernel takes it all at once. */
    enum { SOME = 100 << 10 };
    memset(mk_buffer_reserve(&out->output, SOME), 'z', SOME);
    out->output.length = SOME;
    touch(pair.leader, 0);
    RUN_UNTIL(world, pair.follower->bytes.length == SIZE + 3 + SOME && pair.leader->drained == 2);
}

static void test_refused_at_the_quorum_door(void **state)
{
    struct world *world = *state;
    world->options.links_max = 1;
    world->options.input_max = 100;
    struct pair pair = connected_pair(world);
    uint16_t port = world->members[1].quorum_port;
    expect_refusal(world, port, "\0\0\0\3", 4, "began with packet type 3");
    expect_refusal(world, port, first_packet, 20, "there are 1 learners already");
    become(pair.leader, ZAB_FOLLOWING);
    expect_refusal(world, port, first_packet, 20, "but this server follows");
    become(pair.leader, ZAB_LEADING);
    pair.leader->consume_max = 0;
    memset(mk_buffer_reserve(&pair.follower->links[0]->output, 101), 'y', 101);
    pair.follower->links[0]->output.length = 101;
    touch(pair.follower, 0);
    RUN_UNTIL(world, pair.leader->down == 1 && pair.follower->down == 1);
    assert_true(logged(world, "bytes that cannot be used"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(links_are_fed_and_paused),  TEST(a_snapshot_is_taken_in_place), TEST(the_end_of_links),
        TEST(slow_readers_do_not_block), TEST(refused_at_the_quorum_door),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
