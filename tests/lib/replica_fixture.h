/* SPDX-License-Identifier: MIT */
/* A host around replica_step for tests/unit/replica: a virtual clock, a log whose entries become
 * durable at once or when the test says so, sockets as byte streams, a snapshot writer. It keeps
 * the host's side of the contract in replica.h to the letter (a paused connection is fed again
 * only after an update touched it unpaused; DRAINED comes only to paused ones), so that a lost
 * wake-up shows. Requests are encoded and replies parsed by the generated codecs.
 * Include replica_fixture.c: each test program is one file. */
#ifndef TESTS_LIB_REPLICA_FIXTURE_H
#define TESTS_LIB_REPLICA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "replica/replica.h"
#include "replica/stats.h"
#include "tree/snapshot.h"
#include "wire/frame.h"

#define PEERS_MAX 64
#define TICK_MS 2000
#define WALL_START_MS INT64_C(1700000000000)
#define OPEN_ACL "31:world:anyone"

/* A client's end of a connection. */
struct peer {
    bool open;             /* the replica knows this number */
    bool ended;            /* the replica ended it; `received` may still hold frames */
    bool may_feed;         /* new bytes came, or it was touched unpaused */
    bool stuck;            /* its socket takes nothing: output piles up */
    size_t chunk;          /* bytes that are fed at a time; 0: all */
    struct mk_buffer sent; /* what the replica has not consumed */
    struct mk_buffer received;
    struct mk_buffer stalled; /* taken from the replica, not yet received (stuck) */
    int32_t xid;              /* of the last request */
    int64_t session_id;
    int32_t timeout_ms;
    uint8_t password[16];
};

struct kept_entry {
    int64_t zxid;
    struct mk_bytes bytes;
    bool roll;
};

struct world {
    struct replica_options options;
    struct replica *replica;
    struct replica_update update;
    int64_t now_ms, wall_ms;
    struct mk_arena arena;
    struct peer peers[PEERS_MAX];

    bool hold; /* nothing becomes durable but through world_durable */
    struct kept_entry *log;
    size_t log_count, log_capacity;
    int64_t durable_zxid;

    bool snapshot_hold;     /* the writer takes no slice until world_snapshot_next */
    int32_t snapshot_error; /* the writer fails with this at its end */
    bool snapshot_running, snapshot_complete, snapshot_slice_pending, snapshot_finish_pending;
    uint32_t snapshot_begin_count, snapshot_slice_count, snapshot_done_count;
    struct mk_buffer snapshot_body;
    int64_t snapshot_zxid, snapshot_digest_zxid;
    uint64_t snapshot_digest;

    struct replica_command commands[16];
    size_t command_count;
    struct mk_reader body;  /* of the last reply, behind its header */
    struct mk_buffer frame; /* owns the last frame's bytes */
};

/* --- life --------------------------------------------------------------------------------------
 */

/* Options may be changed before world_start. */
void world_init(struct world *world);
void world_start(struct world *world);
/* Checks the tree, frees all. */
void world_fini(struct world *world);
int world_setup(void **state);   /* cmocka: a started world */
int world_prepare(void **state); /* cmocka: not started yet */
int world_teardown(void **state);
/* A new replica from a snapshot (or NULL) and log entries beyond its zxid up to `last_zxid`;
 * started, with the same clocks. All connections are gone. */
void world_restart(struct world *world, bool from_snapshot, int64_t last_zxid);

/* --- events --------------------------------------------------------------------------------------
 */

void world_step(struct world *world, struct replica_event *event);
/* Performs updates until there is nothing left to do. */
void world_settle(struct world *world);
/* All that was logged up to `zxid` is durable. */
void world_durable(struct world *world, int64_t zxid);
void world_durable_all(struct world *world);
/* Both clocks go on; ticks come at each deadline. */
void world_pass(struct world *world, int64_t ms);
/* The host is stalled: no step at all, then time has passed. */
void world_stall(struct world *world, int64_t ms);
void world_tick(struct world *world);
void world_snapshot_next(struct world *world);
int64_t world_last_logged(const struct world *world);

/* --- sockets -------------------------------------------------------------------------------------
 */

void peer_open(struct world *world, uint32_t number);
void peer_open_from(struct world *world, uint32_t number, const char *address);
void peer_close(struct world *world, uint32_t number);
void peer_send(struct world *world, uint32_t number, const void *data, size_t size);
/* Fed in pieces of one byte. */
void peer_send_bytewise(struct world *world, uint32_t number, const void *data, size_t size);
void peer_unstick(struct world *world, uint32_t number);
/* True if there was a frame; it is in world->frame without its length. */
bool peer_receive(struct world *world, uint32_t number);
void assert_silent(struct world *world, uint32_t number);
/* Ended by the replica, and every frame was received. */
void assert_ended(struct world *world, uint32_t number);
void assert_open(struct world *world, uint32_t number);

/* --- the handshake -------------------------------------------------------------------------------
 */

struct connect {
    int64_t last_zxid_seen;
    int32_t timeout_ms;
    int64_t session_id;
    struct mk_bytes password;
    int read_only; /* -1: the byte is left out */
};

/* The whole frame, length included. */
void connect_write(struct mk_buffer *buffer, const struct connect *connect);
void peer_send_connect(struct world *world, uint32_t number, const struct connect *connect);
/* The response; false when none has come. Fills in the peer's session. */
bool peer_established(struct world *world, uint32_t number);
/* Open, handshake with this timeout, response checked. */
void session_open_with(struct world *world, uint32_t number, int32_t timeout_ms);
void session_open(struct world *world, uint32_t number);
/* On a new connection `number`, the session of peer `old`. */
void session_resume(struct world *world, uint32_t number, uint32_t old);

/* --- requests: each returns its xid
 * ---------------------------------------------------------------- */

/* Frame with header and body. */
void request_write(struct mk_buffer *buffer, int32_t xid, int32_t op, struct mk_bytes body);
int32_t send_raw(struct world *world, uint32_t number, int32_t op, struct mk_bytes body);
int32_t send_create(struct world *world, uint32_t number, const char *path, const char *data,
                    int32_t flags);
int32_t send_create_acl(struct world *world, uint32_t number, const char *path, const char *acl);
int32_t send_create_op(struct world *world, uint32_t number, int32_t op, const char *path,
                       int32_t flags, int64_t ttl);
int32_t send_delete(struct world *world, uint32_t number, const char *path);
int32_t send_set(struct world *world, uint32_t number, const char *path, const char *data,
                 int32_t version);
int32_t send_set_acl(struct world *world, uint32_t number, const char *path, const char *acl);
int32_t send_get(struct world *world, uint32_t number, const char *path, bool watch);
int32_t send_exists(struct world *world, uint32_t number, const char *path, bool watch);
int32_t send_children(struct world *world, uint32_t number, const char *path, bool watch);
int32_t send_add_watch(struct world *world, uint32_t number, const char *path, int32_t mode);
int32_t send_sync(struct world *world, uint32_t number, const char *path);
/* xid -2. */
void send_ping(struct world *world, uint32_t number);
int32_t send_close(struct world *world, uint32_t number);
/* xid -4. */
void send_auth(struct world *world, uint32_t number, const char *scheme, const char *credentials);
struct mk_acl_vector acl_parse(struct world *world, const char *list);

/* --- replies
 * ----------------------------------------------------------------------------------------- */

/* The next frame is this reply; returns its zxid, world->body stands at the record. */
int64_t expect_reply(struct world *world, uint32_t number, int32_t xid, int32_t error);
/* ... and no byte follows the record. */
void expect_end_of_body(struct world *world);
/* The next frame is this event; returns the zxid of its header. */
int64_t expect_event(struct world *world, uint32_t number, int32_t type, const char *path);
/* getData with this text. */
int64_t expect_data(struct world *world, uint32_t number, int32_t xid, const char *text);
/* Request and reply in one; for setting a scene. */
int64_t create(struct world *world, uint32_t number, const char *path, int32_t flags);
int64_t set(struct world *world, uint32_t number, const char *path, const char *data);
bool tree_has(struct world *world, const char *path);

#endif
