/* SPDX-License-Identifier: MIT */
/* A follower and a leader that is out of its mind: what is of a later epoch than the leader's own
 * must come neither into the log nor into memory. No epoch that follows could lie above it, and a
 * server that held it could not lead. Nor may it name the end of a log a transaction that this log
 * never had. */
#include "base/mem.h"
#include "base/zxid.h"
#include "zab/packet.h"
#include "zab/zab.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LINK 0
#define LATER_ZXID mk_zxid_make(0x7fffffff, 1)

struct follower {
    struct zab *zab;
    struct zab_update update;
    int64_t now_ms;
    bool appended, tree_begun, truncated, dialled;
};

/* One step; disk and memory follow at once. */
static void event(struct follower *follower, struct zab_event event)
{
    struct zab_update *update = &follower->update;
    event.now_ms = ++follower->now_ms;
    zab_step(follower->zab, &event, update);
    uint64_t ticket = update->disk_count ? update->disk[update->disk_count - 1].ticket : 0;
    for (size_t i = 0; i < update->disk_count; i++) {
        follower->appended = follower->appended || update->disk[i].type == ZAB_DISK_APPEND;
        follower->truncated = follower->truncated || update->disk[i].type == ZAB_DISK_TRUNCATE;
    }
    follower->dialled = follower->dialled || update->connect;
    follower->tree_begun = follower->tree_begun || update->snapshot_begin;
    zab_update_clear(follower->zab, update);
    if (!ticket)
        return;
    zab_step(
        follower->zab,
        &(struct zab_event){.type = ZAB_DISK_DONE, .now_ms = follower->now_ms, .ticket = ticket},
        update);
    zab_update_clear(follower->zab, update);
}

static void packet(struct follower *follower, int32_t type, int64_t zxid, struct mk_bytes data)
{
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    packet_write(&bytes, &(struct packet){type, zxid, data, MK_BYTES_NULL});
    event(follower, (struct zab_event){
                        .type = ZAB_LINK_BYTES, .link = LINK, .bytes = mk_buffer_bytes(&bytes)});
    mk_buffer_fini(&bytes);
}

static struct zab_status status_of(const struct follower *follower)
{
    struct zab_status status;
    zab_status(follower->zab, &status);
    return status;
}

/* Both others vote for server 3 with all there can be, in the round `epoch`; it leads `epoch`. */
static void discover(struct follower *follower, int64_t epoch)
{
    uint8_t vote[40] = {0};
    mk_store_u64(vote + 4, 3);
    mk_store_u64(vote + 12, (uint64_t)mk_zxid_make(epoch, 0));
    mk_store_u64(vote + 20, (uint64_t)epoch);
    mk_store_u64(vote + 28, (uint64_t)epoch - 1);
    for (int64_t server = 2; server <= 3; server++)
        event(follower, (struct zab_event){.type = ZAB_PEER_MESSAGE,
                                           .server = server,
                                           .bytes = mk_bytes_of(vote, sizeof vote)});
    event(follower, (struct zab_event){.type = ZAB_LINK_CONNECTED, .link = LINK});
    uint8_t version[4] = {0, 1, 0, 0};
    packet(follower, PACKET_LEADER_INFO, mk_zxid_make(epoch, 0),
           mk_bytes_of(version, sizeof version));
    assert_int_equal(status_of(follower).phase, ZAB_SYNCHRONIZATION);
}

/* Server 1 of three, which follows server 3 and waits for DIFF, TRUNC or SNAP of `epoch`. */
static struct follower *follow(const struct zab_state *disk, int64_t epoch)
{
    struct follower *follower = mk_calloc(1, sizeof *follower);
    struct zab_options options;
    char reason[100];
    zab_options_init(&options);
    options.id = 1;
    options.config = MK_BYTES("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0");
    assert_int_equal(quorum_parse(&options.quorum, options.config, reason, sizeof reason), 0);
    follower->zab = zab_new(&options);
    zab_update_init(&follower->update);
    for (int64_t zxid = 1; zxid <= disk->last_zxid && disk->snapshot_zxid == 0; zxid++)
        zab_restore_entry(follower->zab, zxid, MK_BYTES("a transaction"));
    event(follower, (struct zab_event){.type = ZAB_START, .state = *disk});
    for (int64_t server = 2; server <= 3; server++)
        event(follower, (struct zab_event){.type = ZAB_PEER_UP, .server = server});
    discover(follower, epoch);
    return follower;
}

static int begin(void **state)
{
    *state = follow(&(struct zab_state){0}, 1);
    return 0;
}

static int end(void **state)
{
    struct follower *follower = *state;
    zab_free(follower->zab);
    zab_update_fini(&follower->update);
    mk_free(follower);
    return 0;
}

static void test_a_tree_of_a_later_epoch(void **state)
{
    struct follower *follower = *state;
    packet(follower, PACKET_SNAP, LATER_ZXID, MK_BYTES_NULL);
    assert_int_equal(status_of(follower).role, ZAB_LOOKING);
    assert_false(follower->tree_begun);
}

static void test_history_of_a_later_epoch(void **state)
{
    struct follower *follower = *state;
    packet(follower, PACKET_DIFF, 0, MK_BYTES_NULL);
    packet(follower, PACKET_PROPOSAL, LATER_ZXID, MK_BYTES("a transaction"));
    assert_int_equal(status_of(follower).role, ZAB_LOOKING);
    assert_false(follower->appended);
    assert_int_equal(status_of(follower).last_logged, 0);
}

static void test_a_proposal_of_a_later_epoch(void **state)
{
    struct follower *follower = *state;
    packet(follower, PACKET_DIFF, 0, MK_BYTES_NULL);
    packet(follower, PACKET_NEW_LEADER, mk_zxid_make(1, 0), MK_BYTES_NULL);
    packet(follower, PACKET_UP_TO_DATE, -1, MK_BYTES_NULL);
    packet(follower, PACKET_PROPOSAL, mk_zxid_make(1, 1), MK_BYTES("a transaction"));
    assert_true(status_of(follower).serving);
    assert_int_equal(status_of(follower).last_logged, mk_zxid_make(1, 1));
    packet(follower, PACKET_PROPOSAL, LATER_ZXID, MK_BYTES("a transaction"));
    assert_int_equal(status_of(follower).role, ZAB_LOOKING);
    assert_int_equal(status_of(follower).last_logged, mk_zxid_make(1, 1));
}

/* Its log: 0x1 and 0x2, applied, then 1:1, which nobody committed; its leader went, and the one of
 * epoch 2 is about to say from where on. */
static int begin_with_rest(void **state)
{
    struct follower *follower = follow(&(struct zab_state){.last_zxid = 2}, 1);
    *state = follower;
    packet(follower, PACKET_DIFF, 2, MK_BYTES_NULL);
    packet(follower, PACKET_NEW_LEADER, mk_zxid_make(1, 0), MK_BYTES_NULL);
    packet(follower, PACKET_UP_TO_DATE, -1, MK_BYTES_NULL);
    packet(follower, PACKET_PROPOSAL, mk_zxid_make(1, 1), MK_BYTES("a transaction"));
    assert_int_equal(status_of(follower).last_logged, mk_zxid_make(1, 1));
    event(follower, (struct zab_event){.type = ZAB_LINK_DOWN, .link = LINK});
    assert_int_equal(status_of(follower).role, ZAB_LOOKING);
    discover(follower, 2);
    follower->dialled = false;
    return 0;
}

static void test_a_cut_at_a_transaction(void **state)
{
    struct follower *follower = *state;
    packet(follower, PACKET_TRUNC, 2, MK_BYTES_NULL);
    assert_true(follower->truncated);
    assert_int_equal(status_of(follower).last_logged, 2);
}

/* What epoch 1 began with is what lies before its first transaction. */
static void test_a_cut_at_the_begin_of_an_epoch(void **state)
{
    struct follower *follower = *state;
    packet(follower, PACKET_TRUNC, mk_zxid_make(1, 0), MK_BYTES_NULL);
    assert_true(follower->truncated);
    assert_int_equal(status_of(follower).last_logged, 2);
}

static void test_a_cut_at_what_is_not_there(void **state)
{
    struct follower *follower = *state;
    packet(follower, PACKET_TRUNC, 7, MK_BYTES_NULL);
    assert_false(follower->truncated);
    assert_int_equal(status_of(follower).last_logged, mk_zxid_make(1, 1));
    assert_int_equal(status_of(follower).phase, ZAB_DISCOVERY);
    assert_true(follower->dialled);
}

/* Its memory was loaded from disk, and of its log no transaction is left in memory. */
static int begin_without_log(void **state)
{
    struct follower *follower = follow(&(struct zab_state){.last_zxid = 9, .snapshot_zxid = 2}, 1);
    *state = follower;
    follower->dialled = false;
    return 0;
}

static void test_a_cut_that_turns_out_too_deep(void **state)
{
    struct follower *follower = *state;
    packet(follower, PACKET_TRUNC, 7, MK_BYTES_NULL);
    assert_true(follower->truncated);
    event(follower, (struct zab_event){.type = ZAB_RELOADED, .zxid = 5});
    assert_int_equal(status_of(follower).last_logged, 5);
    assert_int_equal(status_of(follower).applied, 5);
    assert_int_equal(status_of(follower).phase, ZAB_DISCOVERY);
    assert_true(follower->dialled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_tree_of_a_later_epoch, begin, end),
        cmocka_unit_test_setup_teardown(test_history_of_a_later_epoch, begin, end),
        cmocka_unit_test_setup_teardown(test_a_proposal_of_a_later_epoch, begin, end),
        cmocka_unit_test_setup_teardown(test_a_cut_at_a_transaction, begin_with_rest, end),
        cmocka_unit_test_setup_teardown(test_a_cut_at_the_begin_of_an_epoch, begin_with_rest, end),
        cmocka_unit_test_setup_teardown(test_a_cut_at_what_is_not_there, begin_with_rest, end),
        cmocka_unit_test_setup_teardown(test_a_cut_that_turns_out_too_deep, begin_without_log, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
