/* SPDX-License-Identifier: MIT */
/* What a stranger can do who speaks the protocol: as a leader, propose bytes that are not the
 * transaction they are called (the log would end the process); as a learner, come again and again
 * (the log of the server would fill), or a thousandfold (so would memory). */
#include "base/mem.h"
#include "zab/packet.h"
#include "zab/zab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct server {
    struct zab *zab;
    struct zab_update update;
    struct mk_trace trace;
    int64_t now_ms;
    int appended;   /* entries for the log */
    int lines;      /* of the log of the server */
    char last[300]; /* the last one */
};

static void write_line(void *context, enum mk_level level, const char *component, const char *text)
{
    struct server *server = context;
    (void)level;
    (void)component;
    server->lines++;
    snprintf(server->last, sizeof server->last, "%s", text);
}

/* One step; the disk follows at once. */
static void event(struct server *server, struct zab_event event)
{
    struct zab_update *update = &server->update;
    event.now_ms = ++server->now_ms;
    zab_step(server->zab, &event, update);
    while (update->disk_count > 0) {
        for (size_t i = 0; i < update->disk_count; i++)
            server->appended += update->disk[i].type == ZAB_DISK_APPEND;
        struct zab_event done = {.type = ZAB_DISK_DONE,
                                 .now_ms = server->now_ms,
                                 .ticket = update->disk[update->disk_count - 1].ticket};
        update->disk_count = 0;
        zab_step(server->zab, &done, update);
    }
    zab_update_clear(server->zab, update);
}

static enum zab_role role(const struct server *server)
{
    struct zab_status status;
    zab_status(server->zab, &status);
    return status.role;
}

static void packet(struct server *server, uint32_t link, int32_t type, int64_t zxid,
                   struct mk_bytes data)
{
    struct mk_buffer bytes = MK_BUFFER_EMPTY;
    packet_write(&bytes, &(struct packet){type, zxid, data, MK_BYTES_NULL});
    event(server, (struct zab_event){
                      .type = ZAB_LINK_BYTES, .link = link, .bytes = mk_buffer_bytes(&bytes)});
    mk_buffer_fini(&bytes);
}

static bool begins_with_zxid(int64_t zxid, struct mk_bytes entry)
{
    return entry.length >= 8 && (int64_t)mk_load_u64(entry.data) == zxid;
}

/* Server `id` of three; the other two vote for server 3. */
static void server_start(struct server *server, int64_t id)
{
    struct zab_options options;
    char reason[100];
    *server = (struct server){.trace = {MK_LEVEL_INFO, write_line, server}};
    zab_options_init(&options);
    options.id = id;
    options.config = MK_BYTES("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0");
    options.entry_fits = begins_with_zxid;
    options.trace = &server->trace;
    assert_int_equal(quorum_parse(&options.quorum, options.config, reason, sizeof reason), 0);
    server->zab = zab_new(&options);
    zab_update_init(&server->update);
    event(server, (struct zab_event){.type = ZAB_START});
    uint8_t vote[40] = {0};
    mk_store_u64(vote + 4, 3);
    mk_store_u64(vote + 20, 1); /* the round */
    for (int64_t other = 1; other <= 3; other++) {
        if (other == id)
            continue;
        event(server, (struct zab_event){.type = ZAB_PEER_UP, .server = other});
        event(server, (struct zab_event){.type = ZAB_PEER_MESSAGE,
                                         .server = other,
                                         .bytes = mk_bytes_of(vote, sizeof vote)});
    }
    assert_int_equal(role(server), id == 3 ? ZAB_LEADING : ZAB_FOLLOWING);
}

static void server_end(struct server *server)
{
    zab_free(server->zab);
    zab_update_fini(&server->update);
}

static void follow(struct server *server)
{
    server_start(server, 1);
    event(server, (struct zab_event){.type = ZAB_LINK_CONNECTED, .link = 1});
    uint8_t version[4] = {0, 1, 0, 0};
    packet(server, 1, PACKET_LEADER_INFO, INT64_C(1) << 32, mk_bytes_of(version, sizeof version));
    packet(server, 1, PACKET_DIFF, 0, MK_BYTES_NULL);
    assert_int_equal(role(server), ZAB_FOLLOWING);
}

static void propose(struct server *server, int64_t zxid, int64_t written)
{
    uint8_t entry[40] = {0};
    mk_store_u64(entry, (uint64_t)written);
    packet(server, 1, PACKET_PROPOSAL, zxid, mk_bytes_of(entry, sizeof entry));
}

static void test_leaves_a_leader_whose_proposal_has_another_zxid(void **state)
{
    (void)state;
    struct server server;
    int64_t first = (INT64_C(1) << 32) + 1;
    follow(&server);
    propose(&server, first, first);
    assert_int_equal(role(&server), ZAB_FOLLOWING);
    assert_int_equal(server.appended, 1);
    propose(&server, first + 1, first + 2);
    assert_int_equal(role(&server), ZAB_LOOKING);
    assert_int_equal(server.appended, 1); /* nothing of it reaches the log */
    server_end(&server);

    follow(&server);
    packet(&server, 1, PACKET_PROPOSAL, first, MK_BYTES("short"));
    assert_int_equal(role(&server), ZAB_LOOKING);
    assert_int_equal(server.appended, 0);
    server_end(&server);
}

static void info(struct server *server, uint32_t link, int64_t id)
{
    uint8_t data[20] = {[9] = 1}; /* protocol version 0x10000 */
    uint8_t epoch[4] = {0};
    mk_store_u64(data, (uint64_t)id);
    event(server,
          (struct zab_event){.type = ZAB_LINK_ACCEPTED, .link = link, .bytes = MK_BYTES("a:1")});
    packet(server, link, PACKET_OBSERVER_INFO, 0, mk_bytes_of(data, sizeof data));
    packet(server, link, PACKET_ACK_EPOCH, 0, mk_bytes_of(epoch, sizeof epoch));
}

/* Leads with 1 and 2 on the links of these numbers. */
static void lead(struct server *server)
{
    server_start(server, 3);
    uint8_t data[20] = {[9] = 1};
    uint8_t epoch[4] = {0};
    for (uint32_t link = 1; link <= 2; link++) {
        data[7] = (uint8_t)link;
        event(server, (struct zab_event){
                          .type = ZAB_LINK_ACCEPTED, .link = link, .bytes = MK_BYTES("a:1")});
        packet(server, link, PACKET_FOLLOWER_INFO, 0, mk_bytes_of(data, sizeof data));
    }
    for (uint32_t link = 1; link <= 2; link++) {
        packet(server, link, PACKET_ACK_EPOCH, 0, mk_bytes_of(epoch, sizeof epoch));
        packet(server, link, PACKET_ACK, INT64_C(1) << 32, MK_BYTES_NULL);
    }
}

static void test_strangers_do_not_fill_the_log(void **state)
{
    (void)state;
    struct server server;
    lead(&server);
    int before = server.lines;
    for (int64_t i = 0; i < 1000; i++) {
        info(&server, 3, 1000 + i);
        event(&server, (struct zab_event){.type = ZAB_LINK_DOWN, .link = 3});
    }
    assert_in_range(server.lines - before, 5, 25);
    before = server.lines;
    server.now_ms += 70000;
    info(&server, 3, 5000);
    assert_in_range(server.lines - before, 2, 5); /* how many were kept back, and this one again */
    server_end(&server);
}

static void test_only_so_many_strangers_follow(void **state)
{
    (void)state;
    struct server server;
    lead(&server);
    int following = 0;
    for (uint32_t link = 3; link < 303; link++) {
        info(&server, link, 1000 + link);
        following += !zab_link(server.zab, link)->closing;
    }
    assert_int_equal(following, 16);
    event(&server, (struct zab_event){.type = ZAB_LINK_DOWN, .link = 3});
    info(&server, 3, 5000); /* in the place of the one that went */
    assert_false(zab_link(server.zab, 3)->closing);
    info(&server, 303, 5000); /* the same again: the older connection ends */
    assert_true(zab_link(server.zab, 3)->closing);
    assert_false(zab_link(server.zab, 303)->closing);
    assert_int_equal(role(&server), ZAB_LEADING);
    server_end(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_a_leader_whose_proposal_has_another_zxid),
        cmocka_unit_test(test_strangers_do_not_fill_the_log),
        cmocka_unit_test(test_only_so_many_strangers_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
