/* SPDX-License-Identifier: MIT */
/* Sessions over time (client-protocol reference, section 7): when they expire, what goes with
 * them, what a stalled host does to them (nothing), closing, and their life across a restart
 * of the server with snapshot and log. */
#include "tests/lib/replica_fixture.c"

static size_t session_count(struct world *world)
{
    return tree_session_count(replica_tree(world->replica));
}

/* --- expiry
 * --------------------------------------------------------------------------------------- */

/* ((heard + timeout) / tick + 1) * tick: between timeout and timeout + tick of silence. */
static void test_expiry_rule(void **state)
{
    struct world *world = *state;
    for (int64_t offset = 0; offset < TICK_MS; offset += 499) {
        world_pass(world, offset);
        session_open_with(world, 0, 4000);
        int64_t heard = world->now_ms;
        int64_t expired = 0;
        while (session_count(world) == 1 && world->now_ms < heard + 20000) {
            world_pass(world, 1);
            expired = world->now_ms;
        }
        assert_ended(world, 0);
        assert_true(expired - heard > 4000 - 1);
        assert_true(expired - heard <= 4000 + TICK_MS);
    }
}

/* The host hears of expiry at the deadline that it was given, not by polling. */
static void test_deadlines_suffice(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 5000);
    int64_t heard = world->now_ms;
    int ticks = 0;
    while (session_count(world) == 1 && ticks++ < 100)
        world_pass(world, MK_MAX(world->update.deadline_ms - world->now_ms, INT64_C(1)));
    assert_true(world->now_ms - heard <= 5000 + TICK_MS);
    assert_true(ticks < 10);
}

static void test_every_request_touches(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 4000);
    for (int i = 0; i < 10; i++) {
        world_pass(world, 3900);
        switch (i % 3) {
        case 0:
            send_ping(world, 0);
            break;
        case 1:
            send_get(world, 0, "/", false);
            break;
        default:
            send_set(world, 0, "/none", "x", -1);
        }
        assert_true(peer_receive(world, 0));
    }
    assert_open(world, 0);
    /* auth and sasl do not. */
    world_pass(world, 3900);
    send_auth(world, 0, "digest", "u:p");
    world_pass(world, 4000 + TICK_MS - 3900);
    assert_true(world->peers[0].ended);
}

static void test_silent_and_lively(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 4000);
    session_open_with(world, 1, 40000);
    session_open_with(world, 2, 8000);
    session_open_with(world, 3, 4000);
    for (int i = 0; i < 5; i++) {
        world_pass(world, 2000);
        send_ping(world, 3);
    }
    assert_true(world->peers[0].ended);
    assert_open(world, 1);
    assert_true(world->peers[2].ended);
    assert_open(world, 3);
    assert_int_equal(replica_stats(world->replica)->sessions_expired_count, 2);
    assert_int_equal(replica_stats(world->replica)->connection_count, 2);
}

static void test_many_sessions_expire(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 1000; i++) {
        session_open_with(world, 0, 4000 + (i * 7919) % 30000);
        peer_close(world, 0);
    }
    int64_t before = world_last_logged(world);
    int64_t begin = world->now_ms;
    size_t left = 1000;
    while (session_count(world) > 0) {
        world_pass(world, 100);
        assert_true(session_count(world) <= left);
        left = session_count(world);
        if (world->now_ms - begin < 4000)
            assert_int_equal(left, 1000);
    }
    assert_true(world->now_ms - begin <= 34000 + TICK_MS);
    assert_int_equal(world_last_logged(world), before + 1000);
}

static void test_expiry_takes_ephemerals_in_one_zxid(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 4000);
    session_open_with(world, 1, 40000);
    create(world, 0, "/e1", MK_CREATE_EPHEMERAL);
    create(world, 0, "/e2", MK_CREATE_EPHEMERAL);
    create(world, 0, "/stays", 0);
    create(world, 1, "/other", MK_CREATE_EPHEMERAL);
    expect_reply(world, 1, send_add_watch(world, 1, "/", 1), 0);
    int64_t before = world_last_logged(world);
    world->hold = true;
    world_pass(world, 4000 + TICK_MS);
    assert_int_equal(world_last_logged(world), before + 1);
    /* What it sends now is too late, and gets no answer. */
    send_create(world, 0, "/late", "x", 0);
    assert_silent(world, 0);
    assert_int_equal(world_last_logged(world), before + 1);
    assert_true(tree_has(world, "/e1")); /* not durable yet */
    world_durable_all(world);
    assert_ended(world, 0); /* without a word */
    assert_false(tree_has(world, "/e1") || tree_has(world, "/e2"));
    assert_true(tree_has(world, "/stays") && tree_has(world, "/other"));
    int64_t first = 0;
    for (int i = 0; i < 2; i++) {
        assert_true(peer_receive(world, 1));
        struct mk_reader reader;
        struct mk_reply_header header;
        struct mk_watcher_event event;
        mk_reader_init(&reader, world->frame.data, world->frame.length, NULL);
        mk_reply_header_read(&reader, &header);
        mk_watcher_event_read(&reader, &event);
        assert_int_equal(event.type, MK_EVENT_NODE_DELETED);
        assert_int_equal(header.zxid, before + 1);
        first = header.zxid;
    }
    assert_int_equal(first, before + 1);
    assert_silent(world, 1);
}

/* An ephemeral that is still in flight when its session expires goes with it. */
static void test_expiry_with_creates_in_flight(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 4000);
    create(world, 0, "/a", MK_CREATE_EPHEMERAL);
    world->hold = true;
    send_create(world, 0, "/b", "x", MK_CREATE_EPHEMERAL);
    send_delete(world, 0, "/a");
    peer_close(world, 0);
    world_pass(world, 4000 + TICK_MS);
    world_durable_all(world);
    assert_false(tree_has(world, "/a") || tree_has(world, "/b"));
    assert_int_equal(session_count(world), 0);
    assert_int_equal(tree_ephemeral_count(replica_tree(world->replica)), 0);
}

/* --- a stalled host
 * --------------------------------------------------------------------------------- */

static void test_stall_expires_nobody(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 4000);
    world_pass(world, 1000);
    world_stall(world, 10000);
    world_tick(world); /* the timer is looked at before the sockets */
    assert_open(world, 0);
    send_ping(world, 0); /* it had been in the socket */
    expect_reply(world, 0, MK_XID_PING, 0);
    world_pass(world, 4000);
    assert_open(world, 0);
    world_pass(world, 2 * TICK_MS);
    assert_true(world->peers[0].ended);
}

/* A stall is not an excuse for ever: the client stays silent, so it goes. */
static void test_stall_then_silence(void **state)
{
    struct world *world = *state;
    session_open_with(world, 0, 4000);
    world_stall(world, 100000);
    world_tick(world);
    assert_open(world, 0);
    world_pass(world, 4000 + TICK_MS);
    assert_true(world->peers[0].ended);
}

/* --- closing
 * ------------------------------------------------------------------------------------------ */

static void test_close(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/e", MK_CREATE_EPHEMERAL);
    struct peer first = world->peers[0];
    int32_t xid = send_close(world, 0);
    assert_int_equal(expect_reply(world, 0, xid, 0), world_last_logged(world));
    expect_end_of_body(world);
    assert_ended(world, 0);
    assert_false(tree_has(world, "/e"));
    assert_int_equal(session_count(world), 0);
    peer_open(world, 1);
    peer_send_connect(world, 1,
                      &(struct connect){.timeout_ms = 10000,
                                        .session_id = first.session_id,
                                        .password = mk_bytes_of(first.password, 16)});
    assert_true(peer_established(world, 1));
    assert_true(world->peers[1].session_id == 0);
    assert_int_equal(world->peers[1].timeout_ms, 0);
}

static void test_close_behind_requests(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world->hold = true;
    int32_t write = send_create(world, 0, "/a", "x", 0);
    int32_t read = send_get(world, 0, "/a", false);
    int32_t close = send_close(world, 0);
    world_durable_all(world);
    expect_reply(world, 0, write, 0);
    expect_data(world, 0, read, "x");
    expect_reply(world, 0, close, 0);
    assert_ended(world, 0);
}

static void test_disconnect_before_close_is_durable(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/e", MK_CREATE_EPHEMERAL);
    world->hold = true;
    send_close(world, 0);
    peer_close(world, 0);
    world_pass(world, 60000); /* it is closing: it does not expire on top */
    world_durable_all(world);
    assert_false(tree_has(world, "/e"));
    assert_int_equal(session_count(world), 0);
    assert_int_equal(replica_stats(world->replica)->connection_count, 0);
}

/* --- restart
 * ---------------------------------------------------------------------------------------------- */

struct picture {
    uint64_t digest, nodes, sessions, ephemerals;
    int64_t zxid;
};

static struct picture picture_of(struct world *world)
{
    const struct tree *tree = replica_tree(world->replica);
    return (struct picture){tree_digest(tree), tree_node_count(tree), tree_session_count(tree),
                            tree_ephemeral_count(tree), replica_last_zxid(world->replica)};
}

static void assert_same(struct picture a, struct picture b)
{
    assert_true(a.digest == b.digest);
    assert_int_equal(a.nodes, b.nodes);
    assert_int_equal(a.sessions, b.sessions);
    assert_int_equal(a.ephemerals, b.ephemerals);
    assert_int_equal(a.zxid, b.zxid);
}

static void some_history(struct world *world)
{
    session_open_with(world, 0, 30000);
    session_open_with(world, 1, 6000);
    create(world, 0, "/a", 0);
    create(world, 0, "/a/e", MK_CREATE_EPHEMERAL);
    create(world, 0, "/a/s-", MK_CREATE_PERSISTENT_SEQUENTIAL);
    create(world, 1, "/a/f", MK_CREATE_EPHEMERAL);
    set(world, 1, "/a", "new");
    expect_reply(world, 1, send_create(world, 1, "/a", "x", 0), MK_ERR_NODE_EXISTS);
    expect_reply(world, 0, send_set_acl(world, 0, "/a", "31:ip:127.0.0.1"), 0);
    expect_reply(world, 0, send_create_op(world, 0, MK_OP_CREATE_TTL, "/ttl", 5, 1000000), 0);
    expect_reply(world, 0, send_create_op(world, 0, MK_OP_CREATE_CONTAINER, "/c", 4, 0), 0);
}

static void test_restart_from_log(void **state)
{
    struct world *world = *state;
    some_history(world);
    struct picture before = picture_of(world);
    world_restart(world, false, world_last_logged(world));
    assert_same(picture_of(world), before);
    /* Fresh full timers, those of createSession. */
    world_pass(world, 5900);
    assert_int_equal(session_count(world), 2);
    session_resume(world, 2, 1);
    assert_int_equal(world->peers[2].timeout_ms, 6000);
    world_pass(world, 6000 + TICK_MS);
    assert_true(world->peers[2].ended);
    assert_false(tree_has(world, "/a/f"));
    assert_true(tree_has(world, "/a/e"));
    world_pass(world, 30000);
    assert_false(tree_has(world, "/a/e"));
}

static void test_restart_from_snapshot_and_log(void **state)
{
    struct world *world = *state;
    some_history(world);
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    assert_true(world->snapshot_complete);
    create(world, 0, "/later", 0);
    create(world, 1, "/a/g", MK_CREATE_EPHEMERAL);
    struct picture before = picture_of(world);
    world_restart(world, true, world_last_logged(world));
    assert_same(picture_of(world), before);
    /* It goes on from there: zxids, digests of new transactions, again a restart. */
    session_open(world, 3);
    assert_int_equal(world_last_logged(world), before.zxid + 1);
    create(world, 3, "/more", 0);
    before = picture_of(world);
    world_restart(world, true, world_last_logged(world));
    assert_same(picture_of(world), before);
}

/* What was not durable is gone, and its zxids are used again. */
static void test_restart_loses_what_was_not_durable(void **state)
{
    struct world *world = *state;
    some_history(world);
    struct picture before = picture_of(world);
    world->hold = true;
    int64_t durable = world->durable_zxid;
    send_create(world, 0, "/lost", "x", 0);
    send_close(world, 1);
    world_restart(world, false, durable);
    world->hold = false;
    assert_same(picture_of(world), before);
    assert_false(tree_has(world, "/lost"));
    session_open(world, 0);
    assert_int_equal(world_last_logged(world), durable + 1);
}

/* A session id of an earlier life is not given out again. */
static void test_ids_differ_after_restart(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    int64_t old = world->peers[0].session_id;
    world_restart(world, false, world_last_logged(world));
    session_open(world, 0); /* in the same millisecond */
    assert_true(world->peers[0].session_id != old);
}

/* Ephemerals whose owner is not in the session table go at the start, in one transaction each
 * owner (storage reference, 6.2 rule 10). */
static void test_orphans_go_at_start(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/e1", MK_CREATE_EPHEMERAL);
    create(world, 0, "/e2", MK_CREATE_EPHEMERAL);
    /* A snapshot without the session: what a fuzzy one of Apache's may look like. */
    tree_session_remove(replica_tree(world->replica), world->peers[0].session_id);
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    int64_t zxid = world_last_logged(world);
    world_restart(world, true, zxid);
    assert_int_equal(world_last_logged(world), zxid + 1);
    assert_false(tree_has(world, "/e1") || tree_has(world, "/e2"));
    assert_int_equal(tree_ephemeral_count(replica_tree(world->replica)), 0);
}

static void test_wrong_digest_is_refused(void **state)
{
    struct world *world = *state;
    some_history(world);
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    struct replica *replica = replica_new(&world->options);
    replica_restore_reset(replica);
    const char *reason = NULL;
    size_t consumed = 0;
    assert_int_equal(replica_restore_body(replica, world->snapshot_body.data,
                                          world->snapshot_body.length, &consumed, &reason),
                     1);
    assert_int_equal(replica_restore_snapshot_done(replica, world->snapshot_zxid,
                                                   world->snapshot_zxid, world->snapshot_digest + 1,
                                                   &reason),
                     MK_ERR_CORRUPT);
    assert_non_null(reason);
    replica_free(replica);
}

/* The digest of a fuzzy snapshot is that of a later zxid: it is compared when the log is there. */
static void test_wrong_digest_of_later_zxid_is_refused(void **state)
{
    struct world *world = *state;
    some_history(world);
    world_step(world, &(struct replica_event){.type = REPLICA_SNAPSHOT_NOW});
    world_settle(world);
    create(world, 0, "/later", 0);
    struct replica *replica = replica_new(&world->options);
    replica_restore_reset(replica);
    const char *reason = NULL;
    size_t consumed = 0;
    replica_restore_body(replica, world->snapshot_body.data, world->snapshot_body.length, &consumed,
                         &reason);
    assert_int_equal(replica_restore_snapshot_done(replica, world->snapshot_zxid,
                                                   world_last_logged(world), 12345, &reason),
                     0);
    const struct kept_entry *last = &world->log[world->log_count - 1];
    assert_int_equal(
        replica_restore_transaction(replica, last->bytes.data, mk_bytes_size(last->bytes), &reason),
        MK_ERR_CORRUPT);
    replica_free(replica);
}

static void test_garbage_is_no_transaction(void **state)
{
    struct world *world = *state;
    const char *reason = NULL;
    assert_int_equal(
        replica_restore_transaction(world->replica, (const uint8_t *)"abc", 3, &reason),
        MK_ERR_CORRUPT);
    assert_non_null(reason);
}

/* --- how many one address may open
 * ----------------------------------------------------------------- */

static void open_from(struct world *world, uint32_t number, const char *address)
{
    peer_open_from(world, number, address);
    peer_send_connect(world, number, &(struct connect){.timeout_ms = 10000, .read_only = 0});
}

static void assert_opens_from(struct world *world, uint32_t number, const char *address)
{
    open_from(world, number, address);
    assert_true(peer_established(world, number));
}

static void assert_refused_from(struct world *world, uint32_t number, const char *address)
{
    open_from(world, number, address);
    assert_false(peer_established(world, number)); /* not even a refusal */
    assert_ended(world, number);
}

static void test_sessions_of_an_address(void **state)
{
    struct world *world = *state;
    world->options.sessions_per_address_max = 2;
    world_start(world);
    assert_opens_from(world, 0, "10.0.0.1");
    assert_opens_from(world, 1, "10.0.0.1");
    assert_refused_from(world, 2, "10.0.0.1");
    assert_opens_from(world, 3, "10.0.0.2"); /* others are not concerned */
    peer_close(world, 0);                    /* away is not dead */
    assert_refused_from(world, 2, "10.0.0.1");
    assert_int_equal(session_count(world), 3);
    assert_int_equal(replica_stats(world->replica)->counters[COUNTER_SESSIONS_REFUSED], 2);

    /* Resumed from elsewhere, it still counts for the address that opened it. */
    uint8_t password[16];
    memcpy(password, world->peers[0].password, sizeof password);
    peer_open_from(world, 4, "10.0.0.2");
    peer_send_connect(world, 4,
                      &(struct connect){.timeout_ms = 10000,
                                        .session_id = world->peers[0].session_id,
                                        .password = mk_bytes_of(password, 16)});
    assert_true(peer_established(world, 4));
    assert_refused_from(world, 2, "10.0.0.1");
    assert_opens_from(world, 5, "10.0.0.2");

    int32_t xid = send_close(world, 4);
    expect_reply(world, 4, xid, 0);
    assert_opens_from(world, 2, "10.0.0.1");
    assert_refused_from(world, 6, "10.0.0.1");
    peer_close(world, 1);
    world_pass(world, 6000);
    send_ping(world, 2);
    world_pass(world, 8000); /* the session of 1 expires */
    assert_opens_from(world, 6, "10.0.0.1");
}

static void test_no_limit_of_an_address(void **state)
{
    struct world *world = *state;
    world->options.sessions_per_address_max = 0;
    world_start(world);
    for (uint32_t i = 0; i < 20; i++)
        assert_opens_from(world, i, "10.0.0.1");
}

/* Restored sessions have no address until they are resumed, and resuming is never refused. */
static void test_restored_sessions_of_an_address(void **state)
{
    struct world *world = *state;
    world->options.sessions_per_address_max = 2;
    world_start(world);
    assert_opens_from(world, 0, "10.0.0.1");
    assert_opens_from(world, 1, "10.0.0.1");
    assert_opens_from(world, 2, "10.0.0.2");
    world_restart(world, false, world_last_logged(world));
    assert_int_equal(session_count(world), 3);
    assert_opens_from(world, 3, "10.0.0.1");
    assert_opens_from(world, 4, "10.0.0.1");
    assert_refused_from(world, 5, "10.0.0.1");
    for (uint32_t old = 0; old < 3; old++) {
        session_resume(world, 10 + old, old);
        assert_open(world, 10 + old);
    }
    /* three now count for the address that session_resume connects from */
    send_close(world, 10);
    open_from(world, 6, "127.0.0.1");
    assert_ended(world, 6);
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
#define PREPARED(test) cmocka_unit_test_setup_teardown(test, world_prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STARTED(test_expiry_rule),
        STARTED(test_deadlines_suffice),
        STARTED(test_every_request_touches),
        STARTED(test_silent_and_lively),
        STARTED(test_many_sessions_expire),
        STARTED(test_expiry_takes_ephemerals_in_one_zxid),
        STARTED(test_expiry_with_creates_in_flight),
        STARTED(test_stall_expires_nobody),
        STARTED(test_stall_then_silence),
        STARTED(test_close),
        STARTED(test_close_behind_requests),
        STARTED(test_disconnect_before_close_is_durable),
        STARTED(test_restart_from_log),
        STARTED(test_restart_from_snapshot_and_log),
        STARTED(test_restart_loses_what_was_not_durable),
        STARTED(test_ids_differ_after_restart),
        STARTED(test_orphans_go_at_start),
        STARTED(test_wrong_digest_is_refused),
        STARTED(test_wrong_digest_of_later_zxid_is_refused),
        STARTED(test_garbage_is_no_transaction),
        PREPARED(test_sessions_of_an_address),
        PREPARED(test_no_limit_of_an_address),
        PREPARED(test_restored_sessions_of_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
