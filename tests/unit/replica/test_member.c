/* SPDX-License-Identifier: MIT */
/* A replica as a member of an ensemble: it follows a leader that is a bare struct zab with a tree
 * that no log describes. Proves that the tree is taken over once, whatever else happens in the same
 * update; when clients are served; and what is told of it (times, counts, /zookeeper/config). */
#include "base/mem.h"
#include "base/zxid.h"
#include "replica/replica.h"
#include "replica/stats.h"
#include "tree/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CONFIG "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nversion=100000000"
#define LEADERS_ZXID mk_zxid_make(1, 7)
#define LINK 0
#define WALL_MS INT64_C(1700000000000)

struct world {
    struct zab *leader; /* server 2 */
    struct zab_update to_perform;
    struct mk_buffer to_leader; /* bytes of the link that the leader has not taken */
    struct replica *replica;    /* server 1 */
    struct replica_update update;
    struct mk_buffer to_replica;
    struct tree *tree; /* what the leader sends */
    bool linked, dialled;
    int64_t now_ms;
};

static void lead(struct world *world, struct zab_event event)
{
    event.now_ms = world->now_ms;
    zab_step(world->leader, &event, &world->to_perform);
}

static void feed(struct world *world, struct zab_event event)
{
    struct replica_event wrapped = {.type = REPLICA_ENSEMBLE,
                                    .now_ms = world->now_ms,
                                    .wall_ms = WALL_MS + world->now_ms,
                                    .zab = &event};
    world->update.consumed = 0;
    replica_step(world->replica, &wrapped, &world->update);
}

static void stream_tree(struct world *world, uint32_t link)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct tree_snapshot *walk = tree_snapshot_begin(world->tree, LEADERS_ZXID);
    while (!tree_snapshot_step(walk, &body, 1 << 20))
        continue;
    tree_snapshot_end(walk);
    lead(world, (struct zab_event){.type = ZAB_SNAPSHOT_BYTES,
                                   .link = link,
                                   .bytes = mk_buffer_bytes(&body),
                                   .flag = true});
    mk_buffer_fini(&body);
}

static void perform_leader(struct world *world)
{
    struct zab_update *update = &world->to_perform;
    uint64_t ticket = update->disk_count ? update->disk[update->disk_count - 1].ticket : 0;
    bool stream = update->snapshot_count > 0;
    int64_t apply_to = update->apply_to;
    for (size_t i = 0; i < update->message_count; i++)
        feed(world, (struct zab_event){.type = ZAB_PEER_MESSAGE,
                                       .server = 2,
                                       .bytes = mk_bytes_of(update->message_bytes.data +
                                                                update->messages[i].offset,
                                                            update->messages[i].length)});
    zab_update_clear(world->leader, update);
    if (ticket)
        lead(world, (struct zab_event){.type = ZAB_DISK_DONE, .ticket = ticket});
    if (stream)
        stream_tree(world, LINK);
    if (apply_to > LEADERS_ZXID)
        lead(world, (struct zab_event){.type = ZAB_APPLIED, .zxid = apply_to});
    struct zab_link *link = zab_link(world->leader, LINK);
    if (link) {
        assert_false(link->closing);
        mk_buffer_append(&world->to_replica, link->output.data, link->output.length);
        mk_buffer_consume(&link->output, link->output.length);
    }
}

/* The disk takes its time: several events come before the update is performed. */
static void perform_replica(struct world *world)
{
    struct zab_update *update = &world->update.zab;
    uint64_t ticket = update->disk_count ? update->disk[update->disk_count - 1].ticket : 0;
    world->dialled = world->dialled || update->connect;
    for (size_t i = 0; i < update->message_count; i++)
        lead(world, (struct zab_event){.type = ZAB_PEER_MESSAGE,
                                       .server = 1,
                                       .bytes = mk_bytes_of(update->message_bytes.data +
                                                                update->messages[i].offset,
                                                            update->messages[i].length)});
    replica_update_clear(world->replica, &world->update);
    if (ticket)
        feed(world, (struct zab_event){.type = ZAB_DISK_DONE, .ticket = ticket});
    struct zab_link *link = replica_zab_link(world->replica, LINK);
    if (link) {
        assert_false(link->closing);
        mk_buffer_append(&world->to_leader, link->output.data, link->output.length);
        mk_buffer_consume(&link->output, link->output.length);
    }
}

static void carry(struct world *world)
{
    struct zab_event event = {.type = ZAB_LINK_BYTES, .link = LINK};
    while (world->to_leader.length > 0) {
        event.bytes = mk_buffer_bytes(&world->to_leader);
        lead(world, event);
        if (world->to_perform.consumed == 0)
            break;
        mk_buffer_consume(&world->to_leader, world->to_perform.consumed);
        perform_leader(world);
    }
    while (world->to_replica.length > 0) {
        event.bytes = mk_buffer_bytes(&world->to_replica);
        feed(world, event);
        size_t consumed = world->update.zab.consumed;
        if (consumed == 0)
            break;
        mk_buffer_consume(&world->to_replica, consumed);
        feed(world, (struct zab_event){.type = ZAB_TICK}); /* in the same update */
    }
}

static void dial(struct world *world)
{
    struct zab_status status;
    zab_status(world->leader, &status);
    if (!world->dialled || world->linked || status.role != ZAB_LEADING)
        return;
    world->linked = true;
    lead(world, (struct zab_event){
                    .type = ZAB_LINK_ACCEPTED, .link = LINK, .bytes = mk_bytes_of_string("here")});
    feed(world, (struct zab_event){.type = ZAB_LINK_CONNECTED, .link = LINK});
}

static void run(struct world *world, int64_t until_ms)
{
    for (; world->now_ms < until_ms; world->now_ms += 10) {
        lead(world, (struct zab_event){.type = ZAB_TICK});
        feed(world, (struct zab_event){.type = ZAB_TICK});
        perform_leader(world);
        perform_replica(world);
        dial(world);
        if (world->linked)
            carry(world);
    }
}

static int begin(void **state)
{
    struct world *world = mk_calloc(1, sizeof *world);
    *state = world;
    struct zab_options zab;
    char reason[200];
    zab_options_init(&zab);
    assert_int_equal(quorum_parse(&zab.quorum, mk_bytes_of_string(CONFIG), reason, sizeof reason),
                     0);
    zab.config = mk_bytes_of_string(CONFIG);
    zab.id = 2;
    world->leader = zab_new(&zab);
    zab_update_init(&world->to_perform);
    zab.id = 1;
    struct replica_options options;
    replica_options_init(&options);
    options.server_id = 1;
    options.ensemble = &zab;
    world->replica = replica_new(&options);
    replica_update_init(&world->update);
    struct tree_options tree = {0};
    world->tree = tree_new(&tree);
    int error = tree_create(world->tree, &(struct tree_create){.path = MK_BYTES("/from-the-leader"),
                                                               .data = MK_BYTES("x"),
                                                               .acl = ACL_OPEN_UNSAFE,
                                                               .parent_cversion = -1,
                                                               .zxid = LEADERS_ZXID});
    assert_int_equal(error, 0);
    world->now_ms = 5000;
    lead(world, (struct zab_event){.type = ZAB_START, .state = {LEADERS_ZXID, 1, 1}});
    struct replica_event start = {
        .type = REPLICA_START, .now_ms = world->now_ms, .wall_ms = WALL_MS + world->now_ms};
    replica_step(world->replica, &start, &world->update);
    feed(world, (struct zab_event){.type = ZAB_START});
    lead(world, (struct zab_event){.type = ZAB_PEER_UP, .server = 1});
    feed(world, (struct zab_event){.type = ZAB_PEER_UP, .server = 2});
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    zab_update_fini(&world->to_perform);
    zab_free(world->leader);
    replica_update_fini(&world->update);
    replica_free(world->replica);
    tree_free(world->tree);
    mk_buffer_fini(&world->to_leader);
    mk_buffer_fini(&world->to_replica);
    mk_free(world);
    return 0;
}

static void test_a_tree_is_taken_over_once(void **state)
{
    struct world *world = *state;
    assert_false(replica_is_serving(world->replica));
    run(world, 8000);
    struct zab_status status;
    assert_true(replica_zab_status(world->replica, &status));
    assert_int_equal(status.role, ZAB_FOLLOWING);
    assert_true(replica_is_serving(world->replica));
    assert_int_equal(zab_counts(world->leader)->trees, 1);
    assert_non_null(
        tree_find(replica_tree(world->replica), mk_bytes_of_string("/from-the-leader")));
}

static void test_the_members_are_in_the_tree(void **state)
{
    struct world *world = *state;
    run(world, 8000);
    struct tree *tree = replica_tree(world->replica);
    const struct znode *node = tree_find(tree, mk_bytes_of_string("/zookeeper/config"));
    assert_non_null(node);
    assert_true(mk_bytes_equal_string(znode_data(node), CONFIG));
    struct mk_stat_persisted stat;
    tree_stat_persisted(tree, node, &stat);
    assert_int_equal(stat.version, -1);
    assert_int_equal(stat.mzxid, INT64_C(1) << 32);
}

static void test_times_and_counts(void **state)
{
    struct world *world = *state;
    const struct replica_stats *stats = replica_stats(world->replica);
    int64_t serving_at = world->now_ms;
    while (!replica_is_serving(world->replica) && serving_at < 8000)
        run(world, serving_at += 10);
    const struct mk_summary *unavailable = &stats->summaries[SUMMARY_UNAVAILABLE_TIME];
    assert_int_equal(unavailable->count, 1);
    assert_in_range(unavailable->sum, (uint64_t)(serving_at - 5000 - 20),
                    (uint64_t)(serving_at - 5000));
    const struct mk_summary *election = &stats->summaries[SUMMARY_ELECTION_TIME];
    const struct mk_summary *sync = &stats->summaries[SUMMARY_FOLLOWER_SYNC_TIME];
    assert_int_equal(election->count, 1);
    assert_int_equal(sync->count, 1);
    assert_int_equal(election->sum + sync->sum, unavailable->sum);
    assert_int_equal(stats->summaries[SUMMARY_LEADER_UNAVAILABLE_TIME].count, 0);
    assert_int_equal(stats->counters[COUNTER_LOOKING_COUNT], 1);
    assert_in_range(replica_serving_since_ms(world->replica), serving_at - 20, serving_at);

    lead(world, (struct zab_event){.type = ZAB_SUBMIT,
                                   .zxid = zab_next_zxid(world->leader),
                                   .bytes = mk_bytes_of_string("no transaction")});
    replica_stats_reset(world->replica);
    assert_int_equal(stats->counters[COUNTER_LOOKING_COUNT], 0);
    feed(world, (struct zab_event){.type = ZAB_LINK_DOWN, .link = LINK});
    assert_false(replica_is_serving(world->replica));
    assert_int_equal(stats->counters[COUNTER_LOOKING_COUNT], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_tree_is_taken_over_once, begin, end),
        cmocka_unit_test_setup_teardown(test_the_members_are_in_the_tree, begin, end),
        cmocka_unit_test_setup_teardown(test_times_and_counts, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
