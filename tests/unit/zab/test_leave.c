/* SPDX-License-Identifier: MIT */
/* A leader that stops: it leaves when all its followers have on their disks what it proposed, or a
 * tick after all was committed. (An Apache follower before 3.9.3 whose leader goes while it owes
 * ACKs may lose transactions from its log that its memory has: ZOOKEEPER-4409, seen with 3.8.0.) */
#include "base/mem.h"
#include "zab/packet.h"
#include "zab/zab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct leader {
    struct mk_trace trace;
    char line[200]; /* the last one that was written */
    enum mk_level level;
    struct zab *zab;
    struct zab_update update;
    int64_t now_ms;
};

static void write_line(void *context, enum mk_level level, const char *component, const char *text)
{
    struct leader *leader = context;
    (void)component;
    leader->level = level;
    snprintf(leader->line, sizeof leader->line, "%s", text);
}

/* One step; disk and memory follow at once. */
static void event(struct leader *leader, struct zab_event event)
{
    struct zab_update *update = &leader->update;
    event.now_ms = ++leader->now_ms;
    zab_step(leader->zab, &event, update);
    for (;;) {
        struct zab_status status;
        zab_status(leader->zab, &status);
        struct zab_event next = {.now_ms = leader->now_ms};
        if (update->disk_count > 0) {
            next.type = ZAB_DISK_DONE;
            next.ticket = update->disk[update->disk_count - 1].ticket;
            update->disk_count = 0;
        } else if (status.applied < zab_apply_to(leader->zab)) {
            next.type = ZAB_APPLIED;
            next.zxid = zab_apply_to(leader->zab);
        } else {
            break;
        }
        zab_step(leader->zab, &next, update);
    }
    zab_update_clear(leader->zab, update);
}

static enum zab_role role(const struct leader *leader)
{
    struct zab_status status;
    zab_status(leader->zab, &status);
    return status.role;
}

static int64_t committed(const struct leader *leader)
{
    struct zab_status status;
    zab_status(leader->zab, &status);
    return status.committed;
}

static void packet(struct leader *leader, uint32_t link, int32_t type, int64_t zxid,
                   struct mk_bytes data)
{
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    packet_write(&bytes, &(struct packet){type, zxid, data, MK_BYTES_NULL});
    event(leader, (struct zab_event){
                      .type = ZAB_LINK_BYTES, .link = link, .bytes = mk_buffer_bytes(&bytes)});
    mk_buffer_fini(&bytes);
}

static void ack(struct leader *leader, uint32_t link, int64_t zxid)
{
    packet(leader, link, PACKET_ACK, zxid, MK_BYTES_NULL);
}

/* Server 3 of three, elected by 1 and 2, which follow on the links 1 and 2 in epoch 1. */
static void leader_start(struct leader *leader)
{
    struct zab_options options;
    char reason[100];
    zab_options_init(&options);
    options.id = 3;
    options.config = MK_BYTES("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0");
    assert_int_equal(quorum_parse(&options.quorum, options.config, reason, sizeof reason), 0);
    *leader =
        (struct leader){.trace = {.level = MK_LEVEL_INFO, .write = write_line, .context = leader}};
    options.trace = &leader->trace;
    leader->zab = zab_new(&options);
    zab_update_init(&leader->update);
    event(leader, (struct zab_event){.type = ZAB_START});
    uint8_t vote[40] = {0};
    mk_store_u64(vote + 4, 3);
    mk_store_u64(vote + 20, 1); /* the round */
    for (int64_t server = 1; server <= 2; server++)
        event(leader, (struct zab_event){.type = ZAB_PEER_UP, .server = server});
    for (int64_t server = 1; server <= 2; server++)
        event(leader, (struct zab_event){.type = ZAB_PEER_MESSAGE,
                                         .server = server,
                                         .bytes = mk_bytes_of(vote, sizeof vote)});
    assert_int_equal(role(leader), ZAB_LEADING);
    uint8_t info[20] = {[7] = 0, [9] = 1}; /* protocol version 0x10000 */
    uint8_t epoch[4] = {0};
    for (uint32_t link = 1; link <= 2; link++) {
        info[7] = (uint8_t)link;
        event(leader, (struct zab_event){
                          .type = ZAB_LINK_ACCEPTED, .link = link, .bytes = MK_BYTES("a:1")});
        packet(leader, link, PACKET_FOLLOWER_INFO, 0, mk_bytes_of(info, sizeof info));
    }
    for (uint32_t link = 1; link <= 2; link++)
        packet(leader, link, PACKET_ACK_EPOCH, 0, mk_bytes_of(epoch, sizeof epoch));
    for (uint32_t link = 1; link <= 2; link++)
        ack(leader, link, INT64_C(1) << 32);
    struct zab_status status;
    zab_status(leader->zab, &status);
    assert_true(status.serving);
    assert_int_equal(zab_next_zxid(leader->zab), (INT64_C(1) << 32) + 1);
}

static void leader_end(struct leader *leader)
{
    zab_free(leader->zab);
    zab_update_fini(&leader->update);
}

static int64_t submit(struct leader *leader)
{
    int64_t zxid = zab_next_zxid(leader->zab);
    event(leader,
          (struct zab_event){.type = ZAB_SUBMIT, .zxid = zxid, .bytes = MK_BYTES("a transaction")});
    return zxid;
}

static void test_waits_for_the_slower_follower(void **state)
{
    (void)state;
    struct leader leader;
    leader_start(&leader);
    int64_t zxid = submit(&leader);
    ack(&leader, 1, zxid);
    assert_int_equal(committed(&leader), zxid);
    event(&leader, (struct zab_event){.type = ZAB_STOP});
    assert_int_equal(role(&leader), ZAB_LEADING);
    assert_int_equal(zab_next_zxid(leader.zab), 0); /* proposes no more */
    ack(&leader, 2, zxid);
    assert_int_equal(role(&leader), ZAB_LOOKING);
    leader_end(&leader);
}

static void test_waits_a_tick_at_most(void **state)
{
    (void)state;
    struct leader leader;
    leader_start(&leader);
    int64_t zxid = submit(&leader);
    event(&leader, (struct zab_event){.type = ZAB_STOP});
    leader.now_ms += 3000; /* longer than a tick, but nothing is committed yet */
    event(&leader, (struct zab_event){.type = ZAB_TICK});
    assert_int_equal(role(&leader), ZAB_LEADING);
    ack(&leader, 1, zxid);
    assert_int_equal(committed(&leader), zxid);
    leader.now_ms += 1900;
    event(&leader, (struct zab_event){.type = ZAB_TICK});
    assert_int_equal(role(&leader), ZAB_LEADING);
    leader.now_ms += 200;
    event(&leader, (struct zab_event){.type = ZAB_TICK});
    assert_int_equal(role(&leader), ZAB_LOOKING);
    leader_end(&leader);
}

static void test_leaves_at_once_when_nothing_is_owed(void **state)
{
    (void)state;
    struct leader leader;
    leader_start(&leader);
    int64_t zxid = submit(&leader);
    ack(&leader, 1, zxid);
    ack(&leader, 2, zxid);
    event(&leader, (struct zab_event){.type = ZAB_STOP});
    assert_int_equal(role(&leader), ZAB_LOOKING);
    assert_int_equal(leader.level, MK_LEVEL_INFO); /* nothing that an operator should look at */
    assert_string_equal(leader.line,
                        "this leader leaves the ensemble, because it is being stopped");
    leader_end(&leader);
}

static void test_tells_what_it_leaves_undone(void **state)
{
    (void)state;
    struct leader leader;
    leader_start(&leader);
    submit(&leader);
    event(&leader, (struct zab_event){.type = ZAB_STOP});
    while (role(&leader) == ZAB_LEADING && leader.now_ms < 60000) {
        leader.now_ms += 500;
        event(&leader, (struct zab_event){.type = ZAB_TICK});
    }
    assert_int_equal(role(&leader), ZAB_LOOKING);
    assert_int_equal(leader.level, MK_LEVEL_WARN);
    assert_non_null(strstr(leader.line, "is not committed yet"));
    leader_end(&leader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_for_the_slower_follower),
        cmocka_unit_test(test_waits_a_tick_at_most),
        cmocka_unit_test(test_leaves_at_once_when_nothing_is_owed),
        cmocka_unit_test(test_tells_what_it_leaves_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
