/* SPDX-License-Identifier: MIT */
/* Order and zxids of replies (client-protocol reference, 3.1 to 3.4, traps 5, 6, 20, 24 of 14):
 * reads wait behind the connection's own writes, answers come in the order of the requests
 * whatever these are, and no zxid in a header is older than one before it. */
#include "tests/lib/replica_fixture.c"

/* --- waiting -------------------------------------------------------------------------------------
 */

static void test_read_waits_for_own_write(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    create(world, 0, "/a", 0);
    world->hold = true;
    int32_t first = send_set(world, 0, "/a", "1", -1);
    int64_t zxid = world_last_logged(world);
    int32_t read = send_get(world, 0, "/a", false);
    send_ping(world, 0);
    assert_silent(world, 0);
    /* Another session's read does not wait, and sees the old state. */
    expect_data(world, 1, send_get(world, 1, "/a", false), "x");
    world_durable_all(world);
    assert_int_equal(expect_reply(world, 0, first, 0), zxid);
    assert_int_equal(expect_data(world, 0, read, "1"), zxid);
    assert_int_equal(expect_reply(world, 0, MK_XID_PING, 0), zxid);
    assert_silent(world, 0);
}

static void test_many_in_flight(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    world->hold = true;
    int64_t before = world_last_logged(world);
    int32_t xid = world->peers[0].xid;
    static const char *const values[] = {"0", "1", "2", "3", "4"};
    for (int i = 0; i < 5; i++) {
        send_set(world, 0, "/a", values[i], i);
        send_get(world, 0, "/a", false);
    }
    world_durable(world, before + 2); /* two of the five */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(expect_reply(world, 0, ++xid, 0), before + 1 + i);
        assert_int_equal(expect_data(world, 0, ++xid, values[i]), before + 1 + i);
    }
    assert_silent(world, 0);
    world_durable_all(world);
    for (int i = 2; i < 5; i++) {
        expect_reply(world, 0, ++xid, 0);
        assert_int_equal(expect_data(world, 0, ++xid, values[i]), before + 1 + i);
    }
    assert_silent(world, 0);
}

static void test_durable_twice_and_early(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world->hold = true;
    int32_t xid = send_create(world, 0, "/a", "x", 0);
    world_durable(world, 1); /* again: nothing new */
    assert_silent(world, 0);
    world_durable(world, 2);
    world_durable(world, 2);
    expect_reply(world, 0, xid, 0);
    assert_silent(world, 0);
}

/* Auth, sasl, an undecodable write and an undecodable read between writes: all in order. */
static void test_all_kinds_in_order(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    world->hold = true;
    int64_t before = world_last_logged(world);
    int32_t write = send_set(world, 0, "/a", "1", -1);
    send_auth(world, 0, "digest", "u:p");
    int32_t sasl = send_raw(world, 0, MK_OP_SASL, MK_BYTES("\0\0\0\0"));
    int32_t bad_write = send_raw(world, 0, MK_OP_SET_DATA, MK_BYTES("\0\0\0\x63/a"));
    int32_t bad_read = send_raw(world, 0, MK_OP_GET_DATA, MK_BYTES("\0\0\0\x63/a"));
    int32_t second = send_set(world, 0, "/a", "2", -1);
    int32_t sync = send_sync(world, 0, NULL);
    assert_int_equal(world_last_logged(world), before + 2);
    assert_silent(world, 0);
    world_durable_all(world);
    assert_int_equal(expect_reply(world, 0, write, 0), before + 1);
    assert_int_equal(expect_reply(world, 0, MK_XID_AUTH, 0), 0);
    expect_end_of_body(world);
    assert_int_equal(expect_reply(world, 0, sasl, 0), 0);
    assert_int_equal(mk_read_bytes(&world->body).length, -1); /* no SASL here: a null token */
    expect_end_of_body(world);
    assert_int_equal(expect_reply(world, 0, bad_write, MK_ERR_MARSHALLING), before + 1);
    assert_int_equal(expect_reply(world, 0, bad_read, MK_ERR_MARSHALLING), before + 1);
    assert_int_equal(expect_reply(world, 0, second, 0), before + 2);
    assert_int_equal(expect_reply(world, 0, sync, 0), before + 2);
    assert_int_equal(mk_read_bytes(&world->body).length, -1);
    assert_silent(world, 0);
}

/* --- zxids
 * ----------------------------------------------------------------------------------------- */

static void test_zxid_of_each_kind(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    int64_t last = 1;
    assert_int_equal(create(world, 0, "/a", 0), ++last);
    /* A write that fails takes a zxid too. */
    assert_int_equal(
        expect_reply(world, 0, send_create(world, 0, "/a", "x", 0), MK_ERR_NODE_EXISTS), ++last);
    assert_int_equal(expect_reply(world, 0, send_delete(world, 0, "/b"), MK_ERR_NO_NODE), ++last);
    assert_int_equal(expect_reply(world, 0, send_set(world, 0, "/a", "y", 7), MK_ERR_BAD_VERSION),
                     ++last);
    assert_int_equal(
        expect_reply(world, 0, send_create(world, 0, "foo", "x", 0), MK_ERR_BAD_ARGUMENTS), ++last);
    /* One that cannot be decoded does not; a multi does. */
    assert_int_equal(expect_reply(world, 0, send_raw(world, 0, MK_OP_CREATE, MK_BYTES("\0")),
                                  MK_ERR_MARSHALLING),
                     last);
    assert_int_equal(world_last_logged(world), last);
    assert_int_equal(
        expect_reply(world, 0, send_raw(world, 0, MK_OP_MULTI, MK_BYTES("\0")), MK_ERR_MARSHALLING),
        ++last);
    /* Reads carry the last applied. */
    assert_int_equal(expect_reply(world, 0, send_get(world, 0, "/none", false), MK_ERR_NO_NODE),
                     last);
    expect_reply(world, 0, send_exists(world, 0, "/a", false), 0);
    send_ping(world, 0);
    assert_int_equal(expect_reply(world, 0, MK_XID_PING, 0), last);
    int32_t check = send_raw(world, 0, MK_OP_CHECK_WATCHES, MK_BYTES("\0\0\0\2/a\0\0\0\3"));
    assert_int_equal(expect_reply(world, 0, check, MK_ERR_NO_WATCHER), last);
    int32_t add = send_add_watch(world, 0, "/a", 0);
    assert_int_equal(expect_reply(world, 0, add, 0), last);
    assert_int_equal(mk_read_int(&world->body), 0); /* the four bytes of addWatch */
    expect_end_of_body(world);
    int32_t reconfig = send_raw(world, 0, MK_OP_RECONFIG,
                                MK_BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"
                                         "\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_int_equal(expect_reply(world, 0, reconfig, MK_ERR_RECONFIG_DISABLED), ++last);
    int32_t close = send_close(world, 0);
    assert_int_equal(expect_reply(world, 0, close, 0), ++last);
    expect_end_of_body(world);
    assert_ended(world, 0);
}

static void test_xids_are_echoed(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    static const int32_t xids[] = {0, -1, -3, -8, INT32_MIN + 1, INT32_MAX, 5, 5};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(xids); i++) {
        world->peers[0].xid = xids[i] - 1;
        expect_reply(world, 0, send_exists(world, 0, "/", false), 0);
    }
    /* The reply to a ping is -2 whatever was sent. */
    send_raw(world, 0, MK_OP_PING, MK_BYTES("body"));
    expect_reply(world, 0, MK_XID_PING, 0);
    /* go-zookeeper numbers its auth packets like any other. */
    int32_t xid = send_raw(world, 0, MK_OP_AUTH, MK_BYTES("\0\0\0\0\0\0\0\6digest\0\0\0\3u:p"));
    assert_int_equal(expect_reply(world, 0, xid, 0), 0);
}

/* --- what ends a connection
 * --------------------------------------------------------------------------- */

static void test_unknown_opcodes(void **state)
{
    struct world *world = *state;
    static const int32_t ops[] = {0,   10, 13, /* check outside a multi */
                                  20,          /* deleteContainer is internal */
                                  -10,         /* createSession too */
                                  -1,  -2, 23, 99, 108, 127, 128, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(ops); i++) {
        session_open(world, 0);
        int64_t before = world_last_logged(world);
        int32_t xid = send_raw(world, 0, ops[i], MK_BYTES("\0\0\0\2/a\0\0\0\0"));
        assert_int_equal(expect_reply(world, 0, xid, MK_ERR_UNIMPLEMENTED), -1);
        assert_ended(world, 0);
        assert_int_equal(world_last_logged(world), before);
    }
    assert_int_equal(tree_session_count(replica_tree(world->replica)), MK_ARRAY_LENGTH(ops));
}

static void test_unknown_opcode_behind_writes(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world->hold = true;
    int32_t write = send_create(world, 0, "/a", "x", 0);
    int32_t unknown = send_raw(world, 0, 42, MK_BYTES_NULL);
    send_create(world, 0, "/b", "x", 0); /* no longer read */
    assert_silent(world, 0);
    world_durable_all(world);
    expect_reply(world, 0, write, 0);
    assert_int_equal(expect_reply(world, 0, unknown, MK_ERR_UNIMPLEMENTED), -1);
    assert_ended(world, 0);
    assert_false(tree_has(world, "/b"));
}

static void test_frames_behind_close_are_ignored(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    request_write(&bytes, 1, MK_OP_CLOSE_SESSION, MK_BYTES_NULL);
    request_write(&bytes, 2, MK_OP_DELETE, MK_BYTES("\0\0\0\2/a\xff\xff\xff\xff"));
    request_write(&bytes, 3, MK_OP_CLOSE_SESSION, MK_BYTES_NULL);
    mk_buffer_append(&bytes, "\xff\xff\xff\xff", 4);
    int64_t before = world_last_logged(world);
    peer_send(world, 0, bytes.data, bytes.length);
    assert_int_equal(expect_reply(world, 0, 1, 0), before + 1);
    assert_ended(world, 0);
    assert_int_equal(world_last_logged(world), before + 1);
    mk_buffer_fini(&bytes);
}

static void test_undecodable_auth_and_sasl_close(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    send_raw(world, 0, MK_OP_AUTH,
             MK_BYTES("\0\0\0\0\0\0\0\x09"
                      "dig"));
    assert_ended(world, 0);
    session_open(world, 0);
    send_raw(world, 0, MK_OP_SASL, MK_BYTES("\0\0"));
    assert_ended(world, 0);
    session_open(world, 0);
    send_raw(world, 0, MK_OP_SASL, MK_BYTES("\xff\xff\xff\xff")); /* a null token */
    assert_ended(world, 0);
}

/* The connection goes while its writes are in the log: they are applied all the same. */
static void test_disconnect_with_writes_in_flight(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    world->hold = true;
    send_create(world, 0, "/a", "x", 0);
    send_get(world, 0, "/a", false);
    send_create(world, 0, "/b", "x", 0);
    peer_close(world, 0);
    peer_open(world, 0);
    world_durable_all(world);
    assert_true(tree_has(world, "/a") && tree_has(world, "/b"));
    assert_silent(world, 0);
    assert_int_equal(replica_stats(world->replica)->outstanding_requests, 0);
}

/* Graceful stop: what was accepted is answered, nothing more is read. */
static void test_stop(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    world->hold = true;
    int32_t write = send_create(world, 0, "/a", "x", 0);
    world_step(world, &(struct replica_event){.type = REPLICA_STOP});
    send_create(world, 0, "/b", "x", 0);
    assert_false(replica_is_idle(world->replica));
    world_durable_all(world);
    expect_reply(world, 0, write, 0);
    assert_silent(world, 0);
    assert_true(replica_is_idle(world->replica));
    world_pass(world, 100000); /* and nobody expires any more */
    assert_int_equal(tree_session_count(replica_tree(world->replica)), 1);
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STARTED(test_read_waits_for_own_write),
        STARTED(test_many_in_flight),
        STARTED(test_durable_twice_and_early),
        STARTED(test_all_kinds_in_order),
        STARTED(test_zxid_of_each_kind),
        STARTED(test_xids_are_echoed),
        STARTED(test_unknown_opcodes),
        STARTED(test_unknown_opcode_behind_writes),
        STARTED(test_frames_behind_close_are_ignored),
        STARTED(test_undecodable_auth_and_sasl_close),
        STARTED(test_disconnect_with_writes_in_flight),
        STARTED(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
