/* SPDX-License-Identifier: MIT */
/* The figures behind the four-letter words (client-protocol reference, 11.1): packets, latency,
 * connections, sessions, operations, digests, and the two resets. */
#include "tests/lib/replica_fixture.c"

static const struct replica_stats *stats(struct world *world)
{
    return replica_stats(world->replica);
}

struct connections {
    struct replica_connection_info items[8];
    size_t count;
};

static void visit_connection(void *context, const struct replica_connection_info *info)
{
    struct connections *connections = context;
    assert_true(connections->count < 8);
    connections->items[connections->count++] = *info;
}

static struct connections connections(struct world *world)
{
    struct connections found = {.count = 0};
    uint32_t from = 0;
    while (replica_connection_visit(world->replica, &from, 1, visit_connection, &found))
        continue;
    assert_int_equal(replica_connection_count(world->replica), found.count);
    return found;
}

static void test_packets(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    expect_data(world, 0, send_get(world, 0, "/a", true), "x");
    int32_t xid = send_set(world, 0, "/a", "y", -1);
    expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a");
    expect_reply(world, 0, xid, 0);
    send_ping(world, 0);
    expect_reply(world, 0, MK_XID_PING, 0);
    assert_int_equal(stats(world)->packets_received, 5);
    assert_int_equal(stats(world)->packets_sent, 6); /* the event too */
    assert_int_equal(stats(world)->op_count[MK_OP_CREATE], 1);
    assert_int_equal(stats(world)->op_count[MK_OP_GET_DATA], 1);
    assert_int_equal(stats(world)->op_count[MK_OP_SET_DATA], 1);
    assert_int_equal(stats(world)->op_count[MK_OP_PING], 1);
    /* connect 49, create 54, getData 19 (4+8+4+2+1), setData 4+8+4+2+4+1+4, ping 12 */
    assert_int_equal(stats(world)->bytes_received, 49 + 54 + 19 + 27 + 12);
}

static void test_bytes_sent(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    expect_data(world, 0, send_get(world, 0, "/a", true), "x");
    int32_t xid = send_set(world, 0, "/a", "y", -1);
    expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a");
    expect_reply(world, 0, xid, 0);
    /* response 41, path 20+6, data 20+5+68, event 20+14, stat 20+68 */
    assert_int_equal(stats(world)->bytes_sent, 41 + 26 + 93 + 34 + 88);
}

static void test_latency(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world->hold = true;
    int32_t write = send_create(world, 0, "/a", "x", 0);
    int32_t read = send_get(world, 0, "/a", false);
    assert_int_equal(stats(world)->outstanding_requests, 2);
    assert_int_equal(connections(world).items[0].queued, 2);
    world_pass(world, 30);
    world_durable_all(world);
    expect_reply(world, 0, write, 0);
    expect_data(world, 0, read, "x");
    send_ping(world, 0);
    expect_reply(world, 0, MK_XID_PING, 0);
    assert_int_equal(stats(world)->outstanding_requests, 0);
    struct replica_latency latency = replica_latency(stats(world));
    assert_int_equal(latency.count, 3);
    assert_int_equal(latency.min_ms, 0);
    assert_int_equal(latency.max_ms, 30);
    assert_int_equal(latency.total_ms, 60);
    struct replica_connection_info info = connections(world).items[0];
    assert_int_equal(info.latency.max_ms, 30);
    assert_int_equal(info.last_latency_ms, 0);
    assert_int_equal(info.last_response_now_ms, world->now_ms);
}

static const struct mk_summary *summary(struct world *world, enum metric_summary which)
{
    return &stats(world)->summaries[which];
}

static const struct mk_histogram *histogram(struct world *world, enum metric_histogram which)
{
    return &stats(world)->histograms[which];
}

static void test_latency_by_kind(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world->hold = true;
    int32_t write = send_create(world, 0, "/a", "x", 0);
    world_pass(world, 10);
    int32_t read = send_get(world, 0, "/a", false);
    world_pass(world, 20);
    world_durable_all(world);
    world->hold = false;
    expect_reply(world, 0, write, 0);
    expect_data(world, 0, read, "x");
    int32_t failed = send_create(world, 0, "/a", "x", 0);
    expect_reply(world, 0, failed, MK_ERR_NODE_EXISTS);
    send_ping(world, 0);
    expect_reply(world, 0, MK_XID_PING, 0);
    const struct mk_histogram *reads = histogram(world, HISTOGRAM_READLATENCY);
    const struct mk_histogram *updates = histogram(world, HISTOGRAM_UPDATELATENCY);
    assert_int_equal(reads->summary.count, 2);
    assert_int_equal(reads->summary.max, 20);
    assert_int_equal(updates->summary.count, 2);
    assert_int_equal(updates->summary.sum, 30);
    assert_int_equal(mk_histogram_quantile(updates, 500), 0);
    assert_int_equal(mk_histogram_quantile(updates, 990), 30);
    /* createSession, and the two creates: a failed one is a transaction too */
    assert_int_equal(histogram(world, HISTOGRAM_PROPAGATION_LATENCY)->summary.count, 3);
    assert_int_equal(histogram(world, HISTOGRAM_PROPAGATION_LATENCY)->summary.max, 30);
    assert_int_equal(stats(world)->counters[COUNTER_SYNC_PROCESSOR_REQUEST_QUEUED], 3);
}

static void test_queues(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world->hold = true;
    send_create(world, 0, "/a", "x", 0);
    send_create(world, 0, "/b", "x", 0);
    send_get(world, 0, "/a", false);
    const struct mk_summary *log = summary(world, SUMMARY_SYNC_PROCESSOR_QUEUE_SIZE);
    const struct mk_summary *session = summary(world, SUMMARY_REQUESTS_IN_SESSION_QUEUE);
    assert_int_equal(log->count, 3); /* createSession found nothing, neither did the first */
    assert_int_equal(log->sum, 1);
    assert_int_equal(session->count, 3);
    assert_int_equal(session->sum, 0 + 1 + 2);
    assert_int_equal(session->max, 2);
    world_durable_all(world);
    mk_buffer_clear(&world->peers[0].received);
}

static void test_watch_counts(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    for (uint32_t i = 0; i < 2; i++) {
        expect_reply(world, i, send_exists(world, i, "/a", true), MK_ERR_NO_NODE);
        expect_reply(world, i, send_children(world, i, "/", i == 0), 0);
    }
    int32_t xid = send_create(world, 0, "/b", "x", 0);
    expect_event(world, 0, MK_EVENT_NODE_CHILDREN_CHANGED, "/");
    expect_reply(world, 0, xid, 0);
    assert_int_equal(summary(world, SUMMARY_NODE_CREATED_WATCH_COUNT)->count, 0);
    assert_int_equal(summary(world, SUMMARY_NODE_CHILDREN_WATCH_COUNT)->sum, 1);
    xid = send_create(world, 0, "/a", "x", 0);
    for (uint32_t i = 0; i < 2; i++)
        expect_event(world, i, MK_EVENT_NODE_CREATED, "/a");
    expect_reply(world, 0, xid, 0);
    assert_int_equal(summary(world, SUMMARY_NODE_CREATED_WATCH_COUNT)->count, 1);
    assert_int_equal(summary(world, SUMMARY_NODE_CREATED_WATCH_COUNT)->sum, 2);
    assert_int_equal(summary(world, SUMMARY_NODE_CHILDREN_WATCH_COUNT)->count, 1);
    /* 16 of the header, type, state and the path: "/" and twice "/a" */
    assert_int_equal(stats(world)->counters[COUNTER_WATCH_BYTES], 16 + 13 + 2 * (16 + 14));
}

static void test_connection_counters(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    peer_close(world, 0);
    session_resume(world, 1, 0);
    peer_open(world, 2);
    world_pass(world, world->options.handshake_timeout_ms + TICK_MS);
    assert_ended(world, 2);
    peer_open(world, 3);
    peer_send(world, 3, "\x7f\0\0\0", 4);
    assert_ended(world, 3);
    const uint64_t *counters = stats(world)->counters;
    assert_int_equal(counters[COUNTER_CONNECTION_REQUEST_COUNT], 2);
    assert_int_equal(counters[COUNTER_CONNECTION_REVALIDATE_COUNT], 1);
    assert_int_equal(counters[COUNTER_SESSIONLESS_CONNECTIONS_EXPIRED], 1);
    assert_int_equal(counters[COUNTER_LARGE_REQUESTS_REJECTED], 1);
}

static void test_response_sizes(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    assert_int_equal(stats(world)->response_bytes.count, 0);
    send_ping(world, 0);
    expect_reply(world, 0, MK_XID_PING, 0);
    create(world, 0, "/a", 0);
    assert_int_equal(stats(world)->response_bytes.count, 2);
    assert_int_equal(mk_summary_min(&stats(world)->response_bytes), 16);
    assert_int_equal(stats(world)->response_bytes.max, 16 + 6);
    assert_int_equal(stats(world)->response_last_bytes, 16 + 6);
}

static void test_connection_line(void **state)
{
    struct world *world = *state;
    peer_open_from(world, 3, "10.0.0.9");
    session_open_with(world, 1, 12000);
    create(world, 1, "/a", 0);
    int32_t xid = send_get(world, 1, "/a", false);
    expect_data(world, 1, xid, "x");
    struct connections found = connections(world);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.items[0].connection, 1);
    assert_true(found.items[0].has_session);
    assert_true(found.items[0].session_id == world->peers[1].session_id);
    assert_int_equal(found.items[0].timeout_ms, 12000);
    assert_int_equal(found.items[0].received, 3);
    assert_int_equal(found.items[0].sent, 3);
    assert_int_equal(found.items[0].last_op, MK_OP_GET_DATA);
    assert_int_equal(found.items[0].last_xid, xid);
    assert_int_equal(found.items[0].last_zxid, 2);
    assert_true(found.items[0].established_wall_ms == world->wall_ms);
    assert_int_equal(found.items[1].connection, 3);
    assert_false(found.items[1].has_session);
    assert_true(mk_bytes_equal_string(found.items[1].address, "10.0.0.9"));
}

/* A ping is the last operation, but its xid is no client's: the one before it stays, as in Apache.
 */
static void test_last_xid(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    int32_t xid = send_get(world, 0, "/zookeeper", false);
    expect_reply(world, 0, xid, 0);
    send_ping(world, 0);
    expect_reply(world, 0, MK_XID_PING, 0);
    assert_int_equal(connections(world).items[0].last_op, MK_OP_PING);
    assert_int_equal(connections(world).items[0].last_xid, xid);
}

static void test_connection_count(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    session_open_with(world, 2, 4000);
    session_open(world, 3);
    peer_open(world, 4); /* no session */
    assert_int_equal(stats(world)->connection_count, 4);
    peer_close(world, 0);
    assert_int_equal(stats(world)->connection_count, 3);
    send_close(world, 1);
    assert_int_equal(stats(world)->connection_count, 2);
    send_raw(world, 3, 99, MK_BYTES_NULL); /* unknown opcode */
    assert_int_equal(stats(world)->connection_count, 1);
    session_resume(world, 5, 2);
    assert_int_equal(stats(world)->connection_count, 1);
    world_pass(world, 4000 + TICK_MS);
    assert_int_equal(stats(world)->connection_count, 0);
    assert_int_equal(stats(world)->sessions_expired_count, 1);
}

struct sessions {
    int64_t id, expires_ms;
    int32_t timeout_ms;
    int count;
};

static void visit_session(void *context, int64_t id, int32_t timeout_ms, int64_t expires_ms)
{
    *(struct sessions *)context =
        (struct sessions){id, expires_ms, timeout_ms, ((struct sessions *)context)->count + 1};
}

static void test_session_expiry_time(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 5000);
    world_pass(world, 1000);
    struct sessions found = {.count = 0};
    uint32_t from = 0;
    while (replica_session_visit(world->replica, &from, 1, visit_session, &found))
        continue;
    assert_int_equal(found.count, 1);
    assert_true(found.id == world->peers[0].session_id);
    assert_int_equal(found.timeout_ms, 5000);
    world_pass(world, found.expires_ms - world->now_ms - 1);
    assert_open(world, 0);
    world_pass(world, 1);
    assert_true(world->peers[0].ended);
}

static void test_watcher_session(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    peer_open(world, 1);
    assert_true(replica_watcher_session(world->replica, 0) == world->peers[0].session_id);
    assert_int_equal(replica_watcher_session(world->replica, 1), 0);
    assert_int_equal(replica_watcher_session(world->replica, 77777), 0);
}

static void test_resets(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    replica_stats_reset(world->replica);
    assert_int_equal(stats(world)->packets_received, 0);
    assert_int_equal(stats(world)->packets_sent, 0);
    assert_int_equal(replica_latency(stats(world)).count, 0);
    assert_int_equal(replica_latency(stats(world)).max_ms, 0);
    assert_int_equal(stats(world)->op_count[MK_OP_CREATE], 0);
    assert_int_equal(stats(world)->counters[COUNTER_CONNECTION_REQUEST_COUNT], 0);
    assert_int_equal(summary(world, SUMMARY_SYNC_PROCESSOR_QUEUE_SIZE)->count, 0);
    assert_int_equal(mk_histogram_quantile(histogram(world, HISTOGRAM_UPDATELATENCY), 990), 0);
    assert_int_equal(stats(world)->connection_count, 1); /* it is there */
    assert_int_equal(connections(world).items[0].received, 2);
    replica_connections_reset(world->replica);
    struct replica_connection_info info = connections(world).items[0];
    assert_int_equal(info.received, 0);
    assert_int_equal(info.sent, 0);
    assert_int_equal(info.last_op, 0);
    assert_true(info.has_session);
}

/* One digest every 128 transactions, that of the tree at this zxid. */
static void test_digests(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    uint64_t expected[4] = {0};
    while (world_last_logged(world) < 300) {
        int64_t zxid = create(world, 0, "/s-", MK_CREATE_PERSISTENT_SEQUENTIAL);
        if (zxid % 128 == 0)
            expected[zxid / 128] = tree_digest(replica_tree(world->replica));
    }
    const struct replica_digest *digests;
    assert_int_equal(replica_digests(world->replica, &digests), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(digests[i].zxid, 128 * (i + 1));
        assert_true(digests[i].digest == expected[i + 1]);
    }
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STARTED(test_packets),
        STARTED(test_bytes_sent),
        STARTED(test_latency),
        STARTED(test_connection_line),
        STARTED(test_connection_count),
        STARTED(test_session_expiry_time),
        STARTED(test_watcher_session),
        STARTED(test_resets),
        STARTED(test_digests),
        STARTED(test_latency_by_kind),
        STARTED(test_last_xid),
        STARTED(test_queues),
        STARTED(test_watch_counts),
        STARTED(test_response_sizes),
        STARTED(test_connection_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
