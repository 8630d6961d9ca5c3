/* SPDX-License-Identifier: MIT */
/* Pausing and resuming (limits in replica.h): a connection stops being read at each limit and goes
 * on when it is over; whatever the limits and the chunks of bytes are, every request is
 * answered, in order, once. Slow readers are dropped, and memory stays bounded. */
#include "tests/lib/replica_fixture.c"

#include "base/rand.h"

static bool is_paused(struct world *world, uint32_t number)
{
    return replica_link(world->replica, number)->paused;
}

static void test_requests_in_flight(void **state)
{
    struct world *world = *state;
    world->options.requests_in_flight_max = 4;
    world_start(world);
    session_open(world, 0);
    session_open(world, 1);
    create(world, 0, "/a", 0);
    world->hold = true;
    int32_t first = send_set(world, 0, "/a", "0", -1);
    for (int i = 0; i < 9; i++)
        send_get(world, 0, "/a", false);
    assert_true(is_paused(world, 0));
    assert_int_equal(replica_stats(world->replica)->outstanding_requests, 4);
    send_ping(world, 1); /* others go on */
    expect_reply(world, 1, MK_XID_PING, 0);
    world_durable_all(world);
    expect_reply(world, 0, first, 0);
    for (int i = 1; i <= 9; i++)
        expect_data(world, 0, first + i, "0");
    assert_false(is_paused(world, 0));
}

static void test_outstanding_transactions(void **state)
{
    struct world *world = *state;
    world->options.outstanding_max = 3;
    world_start(world);
    session_open(world, 0);
    session_open(world, 1);
    session_open(world, 2);
    create(world, 0, "/a", 0);
    world->hold = true;
    int32_t xid = world->peers[0].xid;
    for (int i = 0; i < 6; i++)
        send_set(world, 0, "/a", "0", -1);
    assert_true(is_paused(world, 0));
    /* A connection without a request in flight may send one: nobody is locked out. */
    int32_t other = send_set(world, 1, "/a", "1", -1);
    send_set(world, 1, "/a", "2", -1);
    assert_true(is_paused(world, 1));
    send_ping(world, 2);
    expect_reply(world, 2, MK_XID_PING, 0);
    world->hold = false;
    world_durable_all(world);
    for (int i = 1; i <= 6; i++)
        expect_reply(world, 0, xid + i, 0);
    expect_reply(world, 1, other, 0);
    expect_reply(world, 1, other + 1, 0);
}

static void test_outstanding_bytes(void **state)
{
    struct world *world = *state;
    world->options.outstanding_bytes_max = 1000;
    world_start(world);
    session_open(world, 0);
    create(world, 0, "/a", 0);
    world->hold = true;
    char text[800];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    int32_t xid = world->peers[0].xid;
    int64_t before = world_last_logged(world);
    for (int i = 0; i < 5; i++)
        send_set(world, 0, "/a", text, -1);
    assert_int_equal(world_last_logged(world), before + 2);
    assert_true(is_paused(world, 0));
    world->hold = false;
    world_durable_all(world);
    for (int i = 1; i <= 5; i++)
        expect_reply(world, 0, xid + i, 0);
}

static void test_output_pause(void **state)
{
    struct world *world = *state;
    world->options.output_pause_bytes = 200;
    world_start(world);
    session_open(world, 0);
    world->peers[0].stuck = true;
    for (int i = 0; i < 50; i++)
        send_ping(world, 0); /* 20 bytes each */
    assert_true(is_paused(world, 0));
    assert_int_equal(world->peers[0].stalled.length, 200);
    peer_unstick(world, 0);
    for (int i = 0; i < 50; i++)
        expect_reply(world, 0, MK_XID_PING, 0);
    assert_false(is_paused(world, 0));
}

/* All of a big pile of frames fed at once: the replica takes what the limit allows. */
static void test_output_pause_within_a_step(void **state)
{
    struct world *world = *state;
    world->options.output_pause_bytes = 200;
    world_start(world);
    session_open(world, 0);
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    for (int i = 0; i < 100; i++)
        request_write(&bytes, i, MK_OP_PING, MK_BYTES_NULL);
    world_step(world, &(struct replica_event){.type = REPLICA_BYTES,
                                              .connection = 0,
                                              .bytes = mk_buffer_bytes(&bytes)});
    assert_int_equal(world->update.consumed, 10 * 12);
    assert_int_equal(replica_link(world->replica, 0)->output.length, 200);
    assert_true(is_paused(world, 0));
    mk_buffer_fini(&bytes);
}

/* Many reads of much data wait behind one write. Their answers do not all pile up in memory. */
static void test_queued_reads_do_not_pile_up(void **state)
{
    struct world *world = *state;
    world->options.output_pause_bytes = 10000;
    world_start(world);
    session_open(world, 0);
    create(world, 0, "/a", 0);
    char *text = mk_calloc(1, 5001);
    memset(text, 'x', 5000);
    set(world, 0, "/a", text);
    world->hold = true;
    int32_t write = send_create(world, 0, "/b", "x", 0);
    for (int i = 0; i < 200; i++)
        send_get(world, 0, "/a", false);
    world->peers[0].stuck = true;
    world_durable_all(world);
    assert_true(world->peers[0].stalled.length < 20000);
    assert_true(is_paused(world, 0));
    peer_unstick(world, 0);
    expect_reply(world, 0, write, 0);
    for (int i = 1; i <= 200; i++)
        expect_data(world, 0, write + i, text);
    assert_false(is_paused(world, 0));
    mk_free(text);
}

/* ... but a read never sees a later write of its own connection, however slow the reader. */
static void test_queued_reads_see_their_state(void **state)
{
    struct world *world = *state;
    world->options.output_pause_bytes = 100;
    world_start(world);
    session_open(world, 0);
    create(world, 0, "/a", 0);
    world->hold = true;
    int32_t xid = world->peers[0].xid;
    send_set(world, 0, "/a", "1", -1);
    for (int i = 0; i < 5; i++)
        send_get(world, 0, "/a", false);
    send_set(world, 0, "/a", "2", -1);
    send_get(world, 0, "/a", false);
    int32_t close = send_close(world, 0);
    world->peers[0].stuck = true;
    world_durable(world, world_last_logged(world) - 2);
    assert_true(world->peers[0].stalled.length < 300);
    world_durable_all(world);
    peer_unstick(world, 0);
    expect_reply(world, 0, ++xid, 0);
    for (int i = 0; i < 5; i++)
        expect_data(world, 0, ++xid, "1");
    expect_reply(world, 0, ++xid, 0);
    expect_data(world, 0, ++xid, "2");
    expect_reply(world, 0, close, 0);
}

/* Who asks for more between two writes than it reads is dropped; the writes are applied. */
static void test_reads_between_writes_are_bounded(void **state)
{
    struct world *world = *state;
    world->options.output_pause_bytes = 1000;
    world->options.output_close_bytes = 10000;
    world_start(world);
    session_open(world, 0);
    create(world, 0, "/a", 0);
    char text[901];
    memset(text, 'x', 900);
    text[900] = 0;
    set(world, 0, "/a", text);
    world->hold = true;
    for (int i = 0; i < 50; i++)
        send_get(world, 0, "/a", false); /* answered at once, up to the pause */
    while (peer_receive(world, 0))
        continue;
    send_set(world, 0, "/a", text, -1);
    for (int i = 0; i < 50; i++)
        send_get(world, 0, "/a", false);
    send_set(world, 0, "/a", "last", -1);
    world->peers[0].stuck = true;
    world_durable_all(world);
    assert_true(world->peers[0].ended);
    assert_true(world->peers[0].stalled.length < 12000);
    world->hold = false;
    session_open(world, 1);
    expect_data(world, 1, send_get(world, 1, "/a", false), "last");
}

/* Big frames that wait behind a write are bounded in bytes, not only in number. */
static void test_queued_frames_are_bounded(void **state)
{
    struct world *world = *state;
    world->options.frame_bytes_max = 1000;
    world_start(world);
    session_open(world, 0);
    world->hold = true;
    int32_t write = send_create(world, 0, "/a", "x", 0);
    char path[900];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = 0;
    for (int i = 0; i < 100; i++)
        send_sync(world, 0, path);
    assert_true(is_paused(world, 0));
    assert_true(replica_stats(world->replica)->outstanding_requests < 5);
    world_durable_all(world);
    expect_reply(world, 0, write, 0);
    for (int i = 1; i <= 100; i++)
        expect_reply(world, 0, write + i, 0);
}

/* --- slow readers
 * ------------------------------------------------------------------------------------ */

static void test_slow_reader_is_dropped(void **state)
{
    struct world *world = *state;
    world->options.output_close_bytes = 1000;
    world_start(world);
    session_open(world, 0);
    session_open(world, 1);
    create(world, 1, "/a", 0);
    expect_reply(world, 0, send_add_watch(world, 0, "/a", 0), 0);
    world->peers[0].stuck = true;
    for (int i = 0; i < 100; i++)
        set(world, 1, "/a", "y");
    assert_true(world->peers[0].ended);
    assert_true(world->peers[0].stalled.length <= 1000);
    set(world, 1, "/a", "z");
    assert_int_equal(replica_stats(world->replica)->connection_drop_count, 1);
}

/* A reader that is dropped gets nothing more: a reply behind lost events would tell it that it
 * has seen them. */
static void test_nothing_follows_what_was_lost(void **state)
{
    struct world *world = *state;
    world->options.output_close_bytes = 600;
    world->options.output_pause_bytes = 550;
    world_start(world);
    session_open(world, 0);
    session_open(world, 1);
    world->peers[0].stuck = true;
    for (int i = 0; i < 25; i++)
        send_ping(world, 0); /* 500 bytes unsent */
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct mk_bytes paths[8];
    for (int i = 0; i < 8; i++)
        paths[i] = MK_BYTES("/missing"); /* a NodeDeleted each */
    mk_set_watches_write(&body, &(struct mk_set_watches){.data_watches = {8, paths}});
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    request_write(&frame, 99, MK_OP_SET_WATCHES, mk_buffer_bytes(&body));
    world_step(world, &(struct replica_event){.type = REPLICA_BYTES,
                                              .connection = 0,
                                              .bytes = mk_buffer_bytes(&frame)});
    assert_true(replica_link(world->replica, 0)->closing);
    assert_int_equal(replica_link(world->replica, 0)->output.length, 0);
    mk_buffer_fini(&body);
    mk_buffer_fini(&frame);
    world_settle(world);
}

/* One reply may be larger than the bound. */
static void test_large_reply_to_a_good_reader(void **state)
{
    struct world *world = *state;
    world->options.output_close_bytes = 1000;
    world->options.output_pause_bytes = 100;
    world_start(world);
    session_open(world, 0);
    create(world, 0, "/a", 0);
    char *text = mk_calloc(1, 5001);
    memset(text, 'x', 5000);
    set(world, 0, "/a", text);
    for (int i = 0; i < 3; i++)
        expect_data(world, 0, send_get(world, 0, "/a", false), text);
    mk_free(text);
}

/* A multiRead repeats a big node again and again: the request is small, the reply must not be
 * without bound. */
static void test_multi_read_is_bounded(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    char *text = mk_calloc(1, 1000001);
    memset(text, 'x', 1000000);
    set(world, 0, "/a", text);
    mk_free(text);
    static const int counts[] = {16, 17, 200}; /* the limit is 16 MiB */
    for (size_t n = 0; n < MK_ARRAY_LENGTH(counts); n++) {
        struct mk_buffer body = MK_BUFFER_EMPTY;
        for (int i = 0; i < counts[n]; i++) {
            mk_multi_header_write(&body, &(struct mk_multi_header){MK_OP_GET_DATA, false, -1});
            mk_get_data_request_write(&body, &(struct mk_get_data_request){MK_BYTES("/a"), false});
        }
        mk_multi_header_write(&body, &(struct mk_multi_header){-1, true, -1});
        int32_t xid = send_raw(world, 0, MK_OP_MULTI_READ, mk_buffer_bytes(&body));
        expect_reply(world, 0, xid, counts[n] == 16 ? 0 : MK_ERR_MARSHALLING);
        mk_buffer_fini(&body);
    }
}

/* --- any limits, any chunks
 * ---------------------------------------------------------------------------- */

#define RANDOM_PEERS 4
#define RANDOM_REQUESTS 60

static uint32_t draw(struct mk_rand *rand, uint32_t below)
{
    return (uint32_t)mk_rand_below(rand, below);
}

static void random_limits(struct world *world, struct mk_rand *rand)
{
    struct replica_options *options = &world->options;
    options->requests_in_flight_max = 1 + draw(rand, draw(rand, 2) ? 4 : 100);
    options->outstanding_max = 1 + draw(rand, draw(rand, 2) ? 3 : 100);
    options->outstanding_bytes_max = 1 + draw(rand, draw(rand, 2) ? 200 : 100000);
    options->output_pause_bytes = 1 + draw(rand, draw(rand, 2) ? 100 : 10000);
    options->frame_bytes_max = 100 + (int32_t)draw(rand, 1000);
    options->turn_cost_max = 1 + draw(rand, draw(rand, 2) ? 500 : 100000);
    options->commit_cost_max = 1 + draw(rand, draw(rand, 2) ? 500 : 100000);
    options->continue_cost_max = 1 + draw(rand, draw(rand, 2) ? 1000 : 100000);
}

static void random_request(struct world *world, struct mk_rand *rand, uint32_t number)
{
    static const char *const paths[] = {"/a", "/b", "/c", "/none/x"};
    const char *path = paths[draw(rand, 4)];
    switch (draw(rand, 9)) {
    case 0:
        send_create(world, number, path, "x", (int32_t)draw(rand, 4));
        break;
    case 1:
        send_delete(world, number, path);
        break;
    case 2:
    case 3:
        send_set(world, number, path, "some data", -1);
        break;
    case 4:
        send_raw(world, number, MK_OP_SET_ACL, MK_BYTES("\0\0\0\x7f"));
        break;
    case 5:
        send_raw(world, number, MK_OP_SASL, MK_BYTES("\0\0\0\0"));
        break;
    case 6:
        send_sync(world, number, path);
        break;
    case 7:
        send_children(world, number, "/", false);
        break;
    default:
        send_get(world, number, path, false);
    }
}

static void receive_all(struct world *world, uint32_t number, int32_t *next_xid, int64_t *last_zxid)
{
    while (peer_receive(world, number)) {
        struct mk_reader reader;
        struct mk_reply_header header;
        mk_reader_init(&reader, world->frame.data, world->frame.length, NULL);
        mk_reply_header_read(&reader, &header);
        assert_int_equal(header.xid, ++*next_xid);
        if (header.zxid > 0) {
            assert_true(header.zxid >= *last_zxid);
            *last_zxid = header.zxid;
        }
    }
}

static void random_run(struct world *world, uint64_t seed)
{
    struct mk_rand rand;
    mk_rand_init(&rand, seed);
    random_limits(world, &rand);
    world_start(world);
    for (uint32_t i = 0; i < RANDOM_PEERS; i++) {
        session_open(world, i);
        world->peers[i].chunk = draw(&rand, 3) ? 1 + draw(&rand, 100) : 0;
    }
    world->hold = true;
    for (int i = 0; i < RANDOM_REQUESTS * RANDOM_PEERS; i++) {
        uint32_t number = draw(&rand, RANDOM_PEERS);
        struct peer *peer = &world->peers[number];
        switch (draw(&rand, 10)) {
        case 0:
            peer->stuck = true;
            break;
        case 1:
            if (peer->stuck)
                peer_unstick(world, number);
            break;
        case 2:
            if (world_last_logged(world) > world->durable_zxid)
                world_durable(world, world->durable_zxid + 1 +
                                         draw(&rand, (uint32_t)(world_last_logged(world) -
                                                                world->durable_zxid)));
            break;
        default:
            random_request(world, &rand, number);
        }
    }
    world->hold = false;
    for (uint32_t i = 0; i < RANDOM_PEERS; i++)
        peer_unstick(world, i);
    world_settle(world);
    for (uint32_t i = 0; i < RANDOM_PEERS; i++) {
        int32_t xid = 0;
        int64_t zxid = 0;
        receive_all(world, i, &xid, &zxid);
        if (xid != world->peers[i].xid)
            fail_msg("seed %llu: connection %u got %d of %d replies", (unsigned long long)seed, i,
                     xid, world->peers[i].xid);
        assert_false(is_paused(world, i));
    }
}

static void test_everything_is_answered(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct world world;
        world_init(&world);
        random_run(&world, seed);
        world_fini(&world);
    }
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
#define PREPARED(test) cmocka_unit_test_setup_teardown(test, world_prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PREPARED(test_requests_in_flight),
        PREPARED(test_outstanding_transactions),
        PREPARED(test_outstanding_bytes),
        PREPARED(test_output_pause),
        PREPARED(test_output_pause_within_a_step),
        PREPARED(test_queued_reads_do_not_pile_up),
        PREPARED(test_queued_reads_see_their_state),
        PREPARED(test_reads_between_writes_are_bounded),
        PREPARED(test_queued_frames_are_bounded),
        PREPARED(test_slow_reader_is_dropped),
        PREPARED(test_nothing_follows_what_was_lost),
        PREPARED(test_large_reply_to_a_good_reader),
        STARTED(test_multi_read_is_bounded),
        cmocka_unit_test(test_everything_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
