/* SPDX-License-Identifier: MIT */
/* The bound on what all connections together hold (buffers.c): whatever it is made of, those that
 * hold the most are closed, at once and no more of them than needed, and the others notice
 * nothing. The sum is right at any time. */
#include "tests/lib/replica_fixture.c"

#include "base/quiet.h"

#define TOTAL 100000
#define DATA 10000

struct lines {
    int count;
    char last[1024];
};

static struct lines lines;

static void note(void *context, enum mk_level level, const char *component, const char *line)
{
    (void)context, (void)component;
    if (level != MK_LEVEL_WARN || !strstr(line, "buffers_total_bytes"))
        return;
    lines.count++;
    snprintf(lines.last, sizeof lines.last, "%s", line);
}

static const struct mk_trace trace = {.level = MK_LEVEL_INFO, .write = note};

/* With a node /a of DATA bytes, made by connection 0. */
static void start(struct world *world)
{
    lines.count = 0;
    world->options.trace = &trace;
    world->options.buffers_total_bytes = TOTAL;
    world->options.output_pause_bytes = 2 * TOTAL;
    world_start(world);
    session_open(world, 0);
    create(world, 0, "/a", 0);
    char *text = mk_calloc(1, DATA + 1);
    memset(text, 'x', DATA);
    set(world, 0, "/a", text);
    mk_free(text);
}

static uint64_t closed_count(const struct world *world)
{
    return replica_stats(world->replica)->counters[COUNTER_BUFFER_CONNECTIONS_CLOSED];
}

/* Opens a connection whose client asks for /a so often and reads nothing. */
static void open_reader(struct world *world, uint32_t number, int requests)
{
    session_open(world, number);
    world->peers[number].stuck = true;
    for (int i = 0; i < requests; i++)
        send_get(world, number, "/a", false);
}

static void assert_sum(const struct world *world, size_t expected)
{
    uint64_t sum = replica_buffer_bytes(world->replica);
    assert_true(sum >= expected && sum <= expected + 5000); /* headers, identities */
}

static void test_those_that_hold_most_are_closed(void **state)
{
    struct world *world = *state;
    start(world);
    open_reader(world, 1, 2);
    open_reader(world, 2, 4);
    open_reader(world, 3, 1);
    open_reader(world, 4, 2);
    assert_sum(world, 9 * DATA);
    assert_int_equal(closed_count(world), 0);
    send_get(world, 3, "/a", false);
    assert_ended(world, 2);
    assert_int_equal(closed_count(world), 1);
    assert_sum(world, 6 * DATA);
    for (uint32_t i = 0; i < 5; i++)
        if (i != 2)
            assert_open(world, i);
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "127.0.0.1"));

    /* It frees an eighth: two more of these three are over 7/8 of the limit. */
    send_get(world, 1, "/a", false);
    send_get(world, 1, "/a", false);
    send_get(world, 4, "/a", false);
    assert_sum(world, 9 * DATA);
    send_get(world, 3, "/a", false);
    assert_ended(world, 1);
    assert_open(world, 3);
    assert_open(world, 4);
    assert_sum(world, 6 * DATA);

    peer_unstick(world, 4);
    int32_t last = world->peers[4].xid;
    for (int32_t xid = last - 2; xid <= last; xid++)
        expect_reply(world, 4, xid, 0);
    assert_sum(world, 3 * DATA);
    session_resume(world, 5, 2); /* only the connection was closed */
    peer_close(world, 3);
    assert_sum(world, 0);
}

static void test_lines_are_few(void **state)
{
    struct world *world = *state;
    start(world);
    open_reader(world, 1, 1);
    for (int i = 0; i < 20; i++) {
        open_reader(world, 2, 9);
        assert_ended(world, 2);
    }
    assert_int_equal(closed_count(world), 20);
    assert_int_equal(lines.count, MK_QUIET_LINES);
}

/* What becomes durable together may be told to many: the limit holds within the step. */
static void test_within_a_step(void **state)
{
    struct world *world = *state;
    start(world);
    char path[3001];
    memset(path, 'p', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = 0;
    create(world, 0, path, 0);
    for (uint32_t i = 1; i <= 60; i++) {
        session_open(world, i);
        expect_reply(world, i, send_add_watch(world, i, path, 0), 0);
    }
    world->hold = true;
    for (int i = 0; i < 20; i++)
        send_set(world, 0, path, "y", -1);
    uint64_t sent = replica_stats(world->replica)->packets_sent;
    world_step(world,
               &(struct replica_event){.type = REPLICA_DURABLE, .zxid = world_last_logged(world)});
    /* 60 fill the limit twice; of those that are left fewer and fewer get on: 1220 otherwise. */
    assert_true(replica_stats(world->replica)->packets_sent - sent < 400);
    size_t held = 0, abandoned = 0;
    for (uint32_t i = 0; i <= 60; i++) {
        const struct replica_link *link = replica_link(world->replica, i);
        held += link->output.length;
        abandoned += link->abandoned;
    }
    assert_true(held <= TOTAL);
    assert_int_equal(abandoned, closed_count(world));
    world->durable_zxid = world_last_logged(world);
    world_settle(world);
    assert_open(world, 0); /* with its 20 short answers */
    assert_sum(world, 0);
}

/* Requests that wait behind a write count as well, and need no memory once they are answered. */
static void test_queued_requests(void **state)
{
    struct world *world = *state;
    start(world);
    char path[2001];
    memset(path, 'q', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = 0;
    for (uint32_t i = 1; i <= 2; i++)
        session_open(world, i);
    world->hold = true;
    int32_t writes[3];
    for (uint32_t i = 1; i <= 2; i++)
        writes[i] = send_set(world, i, "/a", "y", -1);
    for (int i = 0; i < 22; i++)
        send_exists(world, 1, path, false);
    for (int i = 0; i < 20; i++)
        send_exists(world, 2, path, false);
    assert_sum(world, 42 * 2000);
    assert_int_equal(closed_count(world), 0);
    for (int i = 0; i < 10 && closed_count(world) == 0; i++)
        send_exists(world, 2, path, false);
    assert_int_equal(closed_count(world), 1);
    assert_ended(world, 2);
    world->hold = false;
    world_step(world,
               &(struct replica_event){.type = REPLICA_DURABLE, .zxid = world_last_logged(world)});
    assert_sum(world, 0);
    world->durable_zxid = world_last_logged(world);
    world_settle(world);
    expect_reply(world, 1, writes[1], 0);
    for (int i = 1; i <= 22; i++)
        expect_reply(world, 1, writes[1] + i, MK_ERR_NO_NODE);
    assert_sum(world, 0);
}

/* What the host keeps: also of a connection that never came to a session. */
static void test_beginnings_of_requests(void **state)
{
    struct world *world = *state;
    start(world);
    char *bytes = mk_calloc(1, 40000);
    mk_store_u32((uint8_t *)bytes, 50000);
    for (uint32_t i = 1; i <= 3; i++) {
        peer_open(world, i);
        peer_send(world, i, bytes, 40000 - i);
    }
    world_tick(world); /* the first step that knows of the last */
    assert_sum(world, 80000 - 5);
    assert_ended(world, 1);
    assert_open(world, 2);
    assert_open(world, 3);
    peer_close(world, 2);
    peer_close(world, 3);
    assert_sum(world, 0);
    mk_free(bytes);
}

static void test_identities(void **state)
{
    struct world *world = *state;
    start(world);
    char user[30000];
    memset(user, 'u', sizeof user);
    memcpy(user + sizeof user - 3, ":p", 3);
    for (uint32_t i = 1; i <= 3; i++) {
        session_open(world, i);
        send_auth(world, i, "digest", user);
        expect_reply(world, i, MK_XID_AUTH, 0);
    }
    assert_sum(world, 90000);
    session_open(world, 4);
    send_auth(world, 4, "digest", user + sizeof user / 2);
    assert_int_equal(closed_count(world), 1);
    assert_ended(world, 1);
    expect_reply(world, 4, MK_XID_AUTH, 0);
}

/* The host has sent what is still counted, and tells nothing: nobody is closed for it. */
static void test_a_sum_that_is_too_high(void **state)
{
    struct world *world = *state;
    start(world);
    struct mk_buffer body = MK_BUFFER_EMPTY, frame = MK_BUFFER_EMPTY;
    mk_get_data_request_write(&body, &(struct mk_get_data_request){.path = MK_BYTES("/a")});
    request_write(&frame, 1, MK_OP_GET_DATA, mk_buffer_bytes(&body));
    for (uint32_t i = 1; i <= 30; i++) {
        session_open(world, i);
        world_step(world, &(struct replica_event){.type = REPLICA_BYTES,
                                                  .connection = i,
                                                  .bytes = mk_buffer_bytes(&frame)});
        struct replica_link *link = replica_link(world->replica, i);
        assert_true(link->output.length > DATA);
        mk_buffer_clear(&link->output);
        replica_update_clear(world->replica, &world->update);
        if (i == 9)
            assert_sum(world, 9 * DATA);
    }
    assert_int_equal(closed_count(world), 0);
    mk_buffer_fini(&body);
    mk_buffer_fini(&frame);
}

#define PREPARED(test) cmocka_unit_test_setup_teardown(test, world_prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PREPARED(test_those_that_hold_most_are_closed),
        PREPARED(test_lines_are_few),
        PREPARED(test_within_a_step),
        PREPARED(test_queued_requests),
        PREPARED(test_beginnings_of_requests),
        PREPARED(test_identities),
        PREPARED(test_a_sum_that_is_too_high),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
