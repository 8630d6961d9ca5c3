/* SPDX-License-Identifier: MIT */
/* Watches from the request to the event on the wire (client-protocol reference, section 6 and
 * traps 7, 8, 33, 34 of 14): events stand before any reply that shows the change, carry its
 * zxid, go only to those who may read the node, and end with their connection. */
#include "tests/lib/replica_fixture.c"

static struct mk_bytes text(const char *string)
{
    return mk_bytes_of_string(string);
}

/* --- order and zxid
 * ------------------------------------------------------------------------------- */

static void test_event_before_own_reply(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    expect_data(world, 0, send_get(world, 0, "/a", true), "x");
    int32_t write = send_set(world, 0, "/a", "y", -1);
    int64_t event = expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a");
    assert_int_equal(expect_reply(world, 0, write, 0), event);
    set(world, 0, "/a", "z"); /* one-shot: no second event */
    assert_silent(world, 0);
}

static void test_event_before_others_see_it(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    create(world, 0, "/a", 0);
    world->hold = true;
    int32_t own = send_create(world, 1, "/own", "x", 0);
    send_get(world, 1, "/a", true);
    world_durable_all(world);
    expect_reply(world, 1, own, 0);
    expect_data(world, 1, own + 1, "x");
    int32_t write = send_set(world, 0, "/a", "y", -1);
    int64_t zxid = world_last_logged(world);
    int32_t second = send_set(world, 1, "/own", "o", -1);
    int32_t read = send_get(world, 1, "/a", false);
    assert_silent(world, 1); /* not before it is durable */
    world_durable_all(world);
    assert_int_equal(expect_event(world, 1, MK_EVENT_NODE_DATA_CHANGED, "/a"), zxid);
    expect_reply(world, 1, second, 0);
    expect_data(world, 1, read, "y");
    expect_reply(world, 0, write, 0);
}

/* A watch that is set by a read behind a write is there from that write on, not earlier. */
static void test_watch_is_set_when_the_read_is_answered(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    create(world, 0, "/a", 0);
    world->hold = true;
    send_set(world, 1, "/a", "1", -1);
    int32_t own = send_create(world, 0, "/b", "x", 0);
    int32_t read = send_get(world, 0, "/a", true);
    send_set(world, 1, "/a", "2", -1);
    world_durable_all(world);
    expect_reply(world, 0, own, 0);
    expect_data(world, 0, read, "1");
    assert_int_equal(expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a"),
                     world_last_logged(world));
    assert_silent(world, 0);
}

static void test_exists_on_a_missing_node(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    expect_reply(world, 0, send_exists(world, 0, "/a", true), MK_ERR_NO_NODE);
    expect_reply(world, 0, send_get(world, 0, "/b", true), MK_ERR_NO_NODE); /* leaves none */
    create(world, 1, "/b", 0);
    assert_silent(world, 0);
    int64_t zxid = create(world, 1, "/a", 0);
    assert_int_equal(expect_event(world, 0, MK_EVENT_NODE_CREATED, "/a"), zxid);
}

static void test_delete_and_children(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    create(world, 0, "/a", 0);
    create(world, 0, "/a/b", 0);
    expect_reply(world, 0, send_children(world, 0, "/a", true), 0);
    expect_reply(world, 0, send_children(world, 0, "/a/b", true), 0);
    expect_reply(world, 0, send_get(world, 0, "/a/b", true), 0);
    expect_reply(world, 1, send_delete(world, 1, "/a/b"), 0);
    /* Data and child watch of the node: one event; then its parent. */
    expect_event(world, 0, MK_EVENT_NODE_DELETED, "/a/b");
    expect_event(world, 0, MK_EVENT_NODE_CHILDREN_CHANGED, "/a");
    assert_silent(world, 0);
}

static void test_persistent_and_recursive(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    expect_reply(world, 0, send_add_watch(world, 0, "/", 1), 0);
    expect_reply(world, 1, send_add_watch(world, 1, "/a", 0), 0);
    session_open(world, 2);
    create(world, 2, "/a", 0);
    create(world, 2, "/a/b", 0);
    set(world, 2, "/a/b", "y");
    expect_reply(world, 2, send_delete(world, 2, "/a/b"), 0);
    set(world, 2, "/a", "y");
    expect_event(world, 0, MK_EVENT_NODE_CREATED, "/a");
    expect_event(world, 0, MK_EVENT_NODE_CREATED, "/a/b");
    expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a/b");
    expect_event(world, 0, MK_EVENT_NODE_DELETED, "/a/b");
    expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a");
    assert_silent(world, 0);
    expect_event(world, 1, MK_EVENT_NODE_CREATED, "/a");
    expect_event(world, 1, MK_EVENT_NODE_CHILDREN_CHANGED, "/a");
    expect_event(world, 1, MK_EVENT_NODE_CHILDREN_CHANGED, "/a");
    expect_event(world, 1, MK_EVENT_NODE_DATA_CHANGED, "/a");
    assert_silent(world, 1);
}

static void test_multi_events_before_its_reply(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    expect_reply(world, 0, send_add_watch(world, 0, "/a", 1), 0);
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct mk_multi_header set_header = {MK_OP_SET_DATA, false, -1};
    mk_multi_header_write(&body, &set_header);
    mk_set_data_request_write(&body, &(struct mk_set_data_request){text("/a"), text("1"), 0});
    mk_multi_header_write(&body, &set_header);
    mk_set_data_request_write(&body, &(struct mk_set_data_request){text("/a"), text("2"), 1});
    mk_multi_header_write(&body, &(struct mk_multi_header){-1, true, -1});
    int32_t xid = send_raw(world, 0, MK_OP_MULTI, mk_buffer_bytes(&body));
    int64_t zxid = expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a");
    assert_int_equal(expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a"), zxid);
    assert_int_equal(expect_reply(world, 0, xid, 0), zxid);
    /* One that fails changes nothing and tells nobody. */
    xid = send_raw(world, 0, MK_OP_MULTI, mk_buffer_bytes(&body));
    assert_int_equal(expect_reply(world, 0, xid, 0), zxid + 1);
    assert_silent(world, 0);
    mk_buffer_fini(&body);
}

/* A client's own ephemerals go before it hears that its session is closed. */
static void test_own_ephemeral_at_close(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    create(world, 0, "/e", MK_CREATE_EPHEMERAL);
    expect_reply(world, 0, send_get(world, 0, "/e", true), 0);
    expect_reply(world, 1, send_children(world, 1, "/", true), 0);
    int32_t close = send_close(world, 0);
    int64_t zxid = expect_event(world, 0, MK_EVENT_NODE_DELETED, "/e");
    assert_int_equal(expect_reply(world, 0, close, 0), zxid);
    assert_ended(world, 0);
    assert_int_equal(expect_event(world, 1, MK_EVENT_NODE_CHILDREN_CHANGED, "/"), zxid);
}

/* --- who may see it
 * ----------------------------------------------------------------------------------- */

static void test_acl_at_trigger(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    send_auth(world, 0, "digest", "u:p");
    expect_reply(world, 0, MK_XID_AUTH, 0);
    create(world, 0, "/a", 0);
    expect_reply(world, 1, send_get(world, 1, "/a", true), 0);
    expect_reply(world, 1, send_add_watch(world, 1, "/a", 1), 0);
    expect_reply(world, 0, send_get(world, 0, "/a", true), 0);
    expect_reply(world, 0, send_set_acl(world, 0, "/a", "31:auth:"), 0); /* no event of its own */
    assert_silent(world, 0);
    int32_t write = send_set(world, 0, "/a", "y", -1);
    expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a");
    expect_reply(world, 0, write, 0);
    assert_silent(world, 1); /* may not read it any more */
    expect_reply(world, 0, send_set_acl(world, 0, "/a", OPEN_ACL), 0);
    set(world, 0, "/a", "z");
    /* The one-shot watch is used up although it was not told; the persistent one lives. */
    expect_event(world, 1, MK_EVENT_NODE_DATA_CHANGED, "/a");
    assert_silent(world, 1);
}

static void test_acl_of_deleted_and_parent(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    send_auth(world, 0, "digest", "u:p");
    expect_reply(world, 0, MK_XID_AUTH, 0);
    create(world, 0, "/p", 0);
    expect_reply(world, 0, send_create_acl(world, 0, "/p/secret", "31:auth:"), 0);
    expect_reply(world, 1, send_exists(world, 1, "/p/secret", true), MK_ERR_NO_AUTH);
    expect_reply(world, 1, send_add_watch(world, 1, "/p", 1), 0); /* recursive */
    expect_reply(world, 1, send_children(world, 1, "/p", true), 0);
    expect_reply(world, 0, send_delete(world, 0, "/p/secret"), 0);
    /* Not the node that it may not read; the parent's list it may. */
    expect_event(world, 1, MK_EVENT_NODE_CHILDREN_CHANGED, "/p");
    assert_silent(world, 1);
}

/* --- after a reconnect
 * ---------------------------------------------------------------------------------- */

static int32_t send_set_watches2(struct world *world, uint32_t number,
                                 const struct mk_set_watches2 *watches)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_set_watches2_write(&body, watches);
    int32_t xid = send_raw(world, number, MK_OP_SET_WATCHES2, mk_buffer_bytes(&body));
    mk_buffer_fini(&body);
    return xid;
}

static void test_catch_up(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/old", 0);
    int64_t seen = create(world, 0, "/changed", 0);
    set(world, 0, "/changed", "y");
    create(world, 0, "/changed/child", 0);
    create(world, 0, "/new", 0);
    peer_close(world, 0);
    session_resume(world, 1, 0);
    struct mk_bytes data[] = {text("/old"), text("/changed"), text("/gone")};
    struct mk_bytes exist[] = {text("/new"), text("/never")};
    struct mk_bytes child[] = {text("/changed"), text("/gone"), text("/old")};
    struct mk_bytes persistent[] = {text("/p")}, recursive[] = {text("/r")};
    int32_t xid = send_set_watches2(
        world, 1,
        &(struct mk_set_watches2){
            seen, {3, data}, {2, exist}, {3, child}, {1, persistent}, {1, recursive}});
    static const struct {
        int32_t type;
        const char *path;
    } events[] = {{MK_EVENT_NODE_DATA_CHANGED, "/changed"},
                  {MK_EVENT_NODE_DELETED, "/gone"},
                  {MK_EVENT_NODE_CREATED, "/new"},
                  {MK_EVENT_NODE_CHILDREN_CHANGED, "/changed"},
                  {MK_EVENT_NODE_DELETED, "/gone"}};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(events); i++)
        assert_int_equal(expect_event(world, 1, events[i].type, events[i].path), -1);
    assert_int_equal(expect_reply(world, 1, xid, 0), world_last_logged(world));
    expect_end_of_body(world);
    /* What did not fire is registered. */
    session_open(world, 2);
    set(world, 2, "/old", "y");
    create(world, 2, "/old/child", 0);
    create(world, 2, "/never", 0);
    create(world, 2, "/p", 0);
    create(world, 2, "/r", 0);
    create(world, 2, "/r/x", 0);
    expect_event(world, 1, MK_EVENT_NODE_DATA_CHANGED, "/old");
    expect_event(world, 1, MK_EVENT_NODE_CHILDREN_CHANGED, "/old");
    expect_event(world, 1, MK_EVENT_NODE_CREATED, "/never");
    expect_event(world, 1, MK_EVENT_NODE_CREATED, "/p");
    expect_event(world, 1, MK_EVENT_NODE_CREATED, "/r");
    expect_event(world, 1, MK_EVENT_NODE_CREATED, "/r/x");
    assert_silent(world, 1);
}

/* A replay tells nobody about a node that it may not read. */
static void test_acl_at_replay(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    send_auth(world, 0, "digest", "u:p");
    expect_reply(world, 0, MK_XID_AUTH, 0);
    expect_reply(world, 0, send_create_acl(world, 0, "/secret", "31:auth:"), 0);
    struct mk_bytes paths[] = {text("/secret")};
    for (uint32_t number = 0; number < 2; number++) {
        int32_t xid =
            send_set_watches2(world, number, &(struct mk_set_watches2){.data_watches = {1, paths}});
        if (number == 0)
            expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/secret");
        expect_reply(world, number, xid, 0);
        assert_silent(world, number);
    }
}

static void test_set_watches_waits_its_turn(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    create(world, 0, "/a", 0);
    int64_t seen = world_last_logged(world);
    world->hold = true;
    int32_t write = send_set(world, 0, "/a", "y", -1);
    struct mk_bytes paths[] = {text("/a")};
    int32_t xid =
        send_set_watches2(world, 0, &(struct mk_set_watches2){seen, .data_watches = {1, paths}});
    world_durable_all(world);
    expect_reply(world, 0, write, 0);
    expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a");
    expect_reply(world, 0, xid, 0);
}

static void test_null_lists_are_refused(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    int32_t xid = send_raw(world, 0, MK_OP_SET_WATCHES,
                           MK_BYTES("\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0"));
    expect_reply(world, 0, xid, MK_ERR_MARSHALLING);
    assert_open(world, 0);
}

/* --- the end of a watch
 * --------------------------------------------------------------------------------- */

static void test_gone_after_disconnect(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    session_open(world, 1);
    create(world, 1, "/a", 0);
    expect_reply(world, 0, send_add_watch(world, 0, "/a", 1), 0);
    expect_reply(world, 0, send_get(world, 0, "/a", true), 0);
    peer_close(world, 0);
    struct watch_counts counts;
    watch_count(replica_watches(world->replica), &counts);
    assert_int_equal(counts.watches, 0);
    session_open(world, 0); /* the same number, somebody else */
    set(world, 1, "/a", "y");
    assert_silent(world, 0);
}

static void test_watches_limit(void **state)
{
    struct world *world = *state;
    world->options.watches_per_connection_max = 3;
    world_start(world);
    session_open(world, 0);
    expect_reply(world, 0, send_exists(world, 0, "/a", true), MK_ERR_NO_NODE);
    expect_reply(world, 0, send_exists(world, 0, "/b", true), MK_ERR_NO_NODE);
    expect_reply(world, 0, send_add_watch(world, 0, "/c", 0), 0);
    expect_reply(world, 0, send_exists(world, 0, "/a", true), MK_ERR_NO_NODE);
    expect_reply(world, 0, send_exists(world, 0, "/d", false), MK_ERR_NO_NODE);
    assert_open(world, 0);
    send_exists(world, 0, "/d", true);
    assert_ended(world, 0);
}

/* The limit holds for every way to set a watch, also with bytes behind the record. */
static void test_watches_limit_cannot_be_passed_by(void **state)
{
    struct world *world = *state;
    world->options.watches_per_connection_max = 1;
    world_start(world);
    session_open(world, 0);
    expect_reply(world, 0, send_exists(world, 0, "/a", true), MK_ERR_NO_NODE);
    send_raw(world, 0, MK_OP_EXISTS, MK_BYTES("\0\0\0\2/b\1\0"));
    assert_ended(world, 0);
    session_open(world, 0);
    expect_reply(world, 0, send_exists(world, 0, "/a", true), MK_ERR_NO_NODE);
    struct mk_bytes paths[] = {text("/x"), text("/y")};
    send_set_watches2(world, 0, &(struct mk_set_watches2){.exist_watches = {2, paths}});
    assert_ended(world, 0);
}

/* Every way to leave a watch is refused beyond the limit, and leaves none. */
static void test_watch_bytes_of_a_connection(void **state)
{
    struct world *world = *state;
    world->options.watch_bytes_per_connection_max = 42 + 43;
    world_start(world);
    session_open(world, 0);
    session_open(world, 1);
    create(world, 0, "/a", 0);
    create(world, 0, "/bb", 0);
    create(world, 0, "/n", 0);
    expect_data(world, 0, send_get(world, 0, "/a", true), "x");
    expect_reply(world, 0, send_exists(world, 0, "/no", true), MK_ERR_NO_NODE);
    expect_reply(world, 0, send_exists(world, 0, "/n", true), MK_ERR_BAD_ARGUMENTS);
    expect_end_of_body(world);
    expect_reply(world, 0, send_exists(world, 0, "/missing", true), MK_ERR_BAD_ARGUMENTS);
    expect_reply(world, 0, send_get(world, 0, "/bb", true), MK_ERR_BAD_ARGUMENTS);
    expect_end_of_body(world);
    expect_reply(world, 0, send_children(world, 0, "/bb", true), MK_ERR_BAD_ARGUMENTS);
    expect_reply(world, 0, send_add_watch(world, 0, "/bb", 1), MK_ERR_BAD_ARGUMENTS);
    assert_int_equal(watch_count_of(replica_watches(world->replica), 0), 2);
    expect_data(world, 0, send_get(world, 0, "/bb", false), "x");
    expect_data(world, 0, send_get(world, 0, "/a", true), "x"); /* not one more */
    expect_reply(world, 0, send_add_watch(world, 0, "/a", 1), 0);
    expect_data(world, 1, send_get(world, 1, "/bb", true), "x"); /* others are not concerned */
    assert_int_equal(replica_stats(world->replica)->counters[COUNTER_WATCHES_REFUSED], 5);
    assert_open(world, 0);
}

static void test_watch_bytes_in_total(void **state)
{
    struct world *world = *state;
    world->options.watch_bytes_total_max = 82 + 40;
    world_start(world);
    session_open(world, 0);
    session_open(world, 1);
    create(world, 0, "/a", 0);
    expect_data(world, 0, send_get(world, 0, "/a", true), "x");
    expect_reply(world, 1, send_exists(world, 1, "/b", true), MK_ERR_BAD_ARGUMENTS);
    expect_data(world, 1, send_get(world, 1, "/a", true), "x"); /* the path is there already */
    expect_reply(world, 0, send_exists(world, 0, "/b", true), MK_ERR_BAD_ARGUMENTS);
    int32_t write = send_set(world, 0, "/a", "y", -1); /* fires both: there is room again */
    expect_event(world, 0, MK_EVENT_NODE_DATA_CHANGED, "/a");
    expect_reply(world, 0, write, 0);
    expect_event(world, 1, MK_EVENT_NODE_DATA_CHANGED, "/a");
    expect_reply(world, 1, send_exists(world, 1, "/b", true), MK_ERR_NO_NODE);
}

/* setWatches cannot be refused: its clients do not look at the answer. */
static void test_watch_bytes_of_set_watches(void **state)
{
    struct world *world = *state;
    world->options.watch_bytes_per_connection_max = 2 * 42;
    world_start(world);
    struct mk_bytes paths[] = {text("/x"), text("/y"), text("/z")};
    struct mk_bytes_vector two = {2, paths}, three = {3, paths};
    session_open(world, 1);
    create(world, 1, "/seen", 0);
    const struct mk_set_watches2 requests[] = {
        {.exist_watches = three},
        {.persistent_watches = three},
        {.persistent_recursive_watches = three},
        {.exist_watches = two, .persistent_watches = three},
    };
    for (size_t i = 0; i < MK_ARRAY_LENGTH(requests); i++) {
        session_open(world, 0);
        send_set_watches2(world, 0, &requests[i]);
        assert_ended(world, 0);
        assert_int_equal(watch_bytes(replica_watches(world->replica)), 0);
    }
    struct mk_bytes root = text("/"), seen = text("/seen");
    session_open(world, 0);
    send_set_watches2(world, 0,
                      &(struct mk_set_watches2){.relative_zxid = INT64_MAX,
                                                .exist_watches = two,
                                                .data_watches = {1, &root}});
    assert_ended(world, 0);
    session_open(world, 0);
    send_set_watches2(world, 0,
                      &(struct mk_set_watches2){.relative_zxid = INT64_MAX,
                                                .exist_watches = two,
                                                .child_watches = {1, &seen}});
    assert_ended(world, 0);
    session_open(world, 0);
    int32_t xid = send_set_watches2(world, 0, &(struct mk_set_watches2){.exist_watches = two});
    expect_reply(world, 0, xid, 0);
    assert_open(world, 0);
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
#define PREPARED(test) cmocka_unit_test_setup_teardown(test, world_prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STARTED(test_event_before_own_reply),
        STARTED(test_event_before_others_see_it),
        STARTED(test_watch_is_set_when_the_read_is_answered),
        STARTED(test_exists_on_a_missing_node),
        STARTED(test_delete_and_children),
        STARTED(test_persistent_and_recursive),
        STARTED(test_multi_events_before_its_reply),
        STARTED(test_own_ephemeral_at_close),
        STARTED(test_acl_at_trigger),
        STARTED(test_acl_of_deleted_and_parent),
        STARTED(test_catch_up),
        STARTED(test_acl_at_replay),
        STARTED(test_set_watches_waits_its_turn),
        STARTED(test_null_lists_are_refused),
        STARTED(test_gone_after_disconnect),
        PREPARED(test_watches_limit),
        PREPARED(test_watches_limit_cannot_be_passed_by),
        PREPARED(test_watch_bytes_of_a_connection),
        PREPARED(test_watch_bytes_in_total),
        PREPARED(test_watch_bytes_of_set_watches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
