/* SPDX-License-Identifier: MIT */
/* A first simulator: one server (the real replica, log and recovery code) on a virtual clock and
 * a virtual disk, with random clients, driven by one seed. Everything random is drawn from that
 * seed, so a seed replays the same trace, bit for bit.
 *
 *   sim.c       the scheduler: what happens next; crash and restart
 *   host.c      what the libuv server does for a real replica: log batches, snapshots, output
 *   client.c    a client: session, pipelined requests, replies, watches
 *   workload.c  what clients ask for, and what they know about the answers
 *   check.c     the promises that are checked at each restart and at the end
 *   main.c      seeds, options, the verdict */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "base/rand.h"
#include "log/snapfile.h"
#include "log/txnlog.h"
#include "replica/replica.h"
#include "tests/lib/memory_store.h"

#define SIM_CLIENTS_MAX 8
#define SIM_TICK_MS 100

struct sim;

/* --- clients ------------------------------------------------------------------------------- */

enum sim_request_kind {
    SIM_CREATE_UNIQUE, /* /c<i>/u-<n>: must survive once acknowledged */
    SIM_SET,           /* /c<i>/v = n: versions and values rise in sending order */
    SIM_GET,           /* reads it back: sees the last set that was sent before */
    SIM_SET_BAD,       /* setData with a wrong version: always BadVersion */
    SIM_MULTI,         /* sets /c<i>/m1 and /c<i>/m2 to the same value */
    SIM_MULTI_BAD,     /* sets both, then a check that fails: changes nothing */
    SIM_GET_PAIR_1,    /* reads m1, remembers */
    SIM_GET_PAIR_2,    /* reads m2, compares */
    SIM_EPHEMERAL,     /* /e/<i>-<n> */
    SIM_SEQUENTIAL,    /* /q/s-: unique, rising with zxid */
    SIM_SHARED_SET,    /* sets /shared */
    SIM_SHARED_WATCH,  /* getData /shared with a watch */
    SIM_SETUP,         /* create of the client's own nodes; NodeExists is fine */
    SIM_SET_WATCHES,
    SIM_PING,
    SIM_CLOSE
};

struct sim_request {
    enum sim_request_kind kind;
    int32_t xid;
    int64_t value;  /* n, where the kind has one */
    int64_t expect; /* SIM_GET: the value it must see, -1 unknown */
    int64_t sent_ms;
};

#define SIM_QUEUE_MAX 64

struct sim_client {
    struct sim *sim;
    uint32_t index;
    uint32_t connection;     /* number at the server */
    bool connected;          /* there is a socket */
    bool established;        /* the handshake is answered */
    bool closing;            /* closeSession was sent on this connection */
    bool close_sent;         /* on any connection of this session */
    int64_t silent_until_ms; /* the client does nothing until then */
    int64_t heard_ms;        /* when the newest request that was answered had been sent */

    int64_t session_id;
    uint8_t password[16];
    /* Least of those negotiated: after a restart the one of createSession counts again
     * (client-protocol reference, 2.6). */
    int32_t timeout_ms;
    int64_t last_zxid;
    int32_t next_xid;
    struct sim_request queue[SIM_QUEUE_MAX]; /* sent, not answered; oldest first */
    uint32_t queue_length;
    struct mk_buffer to_server; /* sent, still on the way */
    struct mk_buffer kept;      /* arrived, not consumed by the replica */
    struct mk_buffer from_server;

    /* What it knows. */
    int64_t next_value;    /* never used twice */
    int64_t value_acked;   /* newest acknowledged SIM_SET */
    int64_t value_sent;    /* newest sent SIM_SET on this connection; -1 unknown */
    int64_t pair_seen;     /* m1 as read by SIM_GET_PAIR_1, -1 unknown */
    int64_t *unique_acked; /* acknowledged SIM_CREATE_UNIQUE */
    size_t unique_acked_count, unique_acked_capacity;
    int64_t *unique_sent; /* of the last connection, in order */
    size_t unique_sent_count, unique_sent_capacity;
    bool watch_set;            /* on /shared, registered and not fired */
    int64_t watch_zxid;        /* the state that it was registered on */
    int64_t dead_sessions[64]; /* closed with an answer, or told expired */
    size_t dead_session_count;
};

/* --- the simulation -------------------------------------------------------------------------- */

struct sim_digest {
    int64_t zxid;
    uint64_t digest;
};

struct sim_options {
    uint64_t seed;
    uint32_t steps;
    bool verbose;
};

struct sim {
    struct sim_options options;
    struct mk_rand rand;
    int64_t now_ms, wall_ms;
    uint64_t trace; /* running hash over all that happened */
    uint64_t events;
    uint32_t restarts, failures;
    char failure[512]; /* the first broken promise */

    /* drawn per seed (swarm): how often what happens, in 1/1000 of the steps */
    uint32_t crash_rate, power_cut_rate, fault_rate, cut_rate, silence_rate, stall_rate;
    uint32_t client_count;

    struct memory_store *disk;
    struct log_stores stores;
    struct replica *replica; /* NULL while the server is down */
    struct replica_update update;
    struct txnlog *log;
    bool log_failed;
    struct replica_log_entry *batch; /* taken by the log thread, not yet durable */
    size_t batch_count, batch_capacity;
    int64_t batch_done_ms;
    struct replica_log_entry *waiting;
    size_t waiting_count, waiting_capacity;
    struct snapfile_writer *snapshot;
    bool snapshot_slice_taken, snapshot_finishing;
    struct mk_buffer snapshot_slice;
    struct snapfile_seal snapshot_seal;

    struct sim_client clients[SIM_CLIENTS_MAX];
    uint32_t next_connection;

    int64_t acked_zxid; /* of any reply that a client got */
    struct sim_digest *digests;
    size_t digest_count, digest_capacity;
    int64_t last_sequential;
    int64_t last_sequential_zxid;
};

/* sim.c */
void sim_run(struct sim *sim, const struct sim_options *options);
void sim_fini(struct sim *sim);
/* Notes a broken promise (only the first is kept). */
void sim_fail(struct sim *sim, const char *format, ...) MK_PRINTF(2, 3);
void sim_trace(struct sim *sim, const void *data, size_t size);
void sim_trace_number(struct sim *sim, uint64_t number);
bool sim_chance(struct sim *sim, uint32_t per_thousand);

/* host.c */
void host_start(struct sim *sim);
/* Ends the server at once; what the disk keeps is the disk's business. */
void host_kill(struct sim *sim);
void host_feed(struct sim *sim, struct replica_event *event);
void host_feed_simple(struct sim *sim, enum replica_event_type type, uint32_t connection);
void host_perform(struct sim *sim);
/* The socket takes some of a connection's output. */
void host_output(struct sim *sim, uint32_t connection);
void host_disk(struct sim *sim);     /* lets the log thread get on */
void host_snapshot(struct sim *sim); /* lets the snapshot worker get on */

/* client.c */
void client_init(struct sim *sim, uint32_t index);
void client_fini(struct sim_client *client);
void client_act(struct sim_client *client);
void client_deliver(struct sim_client *client); /* bytes on their way arrive */
void client_disconnected(struct sim_client *client);
void client_append_request(struct sim_client *client, enum sim_request_kind kind, int64_t value,
                           int64_t expect, int32_t op, const struct mk_buffer *body);

/* workload.c */
void workload_send(struct sim_client *client);
void workload_setup(struct sim_client *client);
void workload_reply(struct sim_client *client, const struct sim_request *request,
                    const struct mk_reply_header *header, struct mk_reader *body);
void workload_event(struct sim_client *client, const struct mk_watcher_event *event);

/* check.c */
void check_applied(struct sim *sim); /* after each step that applied something */
void check_restart(struct sim *sim); /* after recovery, before clients return */

#endif
