/* SPDX-License-Identifier: MIT */
/* A server on a libuv loop: listeners, connections, the log thread, the snapshot worker, around
 * one replica. It touches the world and thinks nothing: every protocol rule is in replica/.
 * Several servers may live in one process, each on any loop (an embedding program's too).
 * All calls on the loop's thread. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/summary.h"
#include "replica/replica.h"

#include <uv.h>

struct server;

struct server_address {
    char host[256]; /* name or address; "0.0.0.0" and "::" for all */
    uint16_t port;  /* 0: any free one; server_port tells */
};

/* A line server.N of an ensemble. */
struct server_member {
    int64_t id;     /* 1..254 */
    char host[256]; /* name or address; resolved anew at each dial and bind */
    uint16_t quorum_port, election_port;
    bool observer;
    int64_t group;    /* of a hierarchical quorum; 0: none */
    uint64_t weight;  /* 1 by default */
    char client[272]; /* "host:port" behind the semicolon, or "" */
};

struct server_options {
    struct replica_options replica;
    /* The ensemble, this server (replica.server_id) among them; none or one: a single server. */
    struct server_member *members;
    size_t member_count;
    bool hierarchical;       /* there are groups or weights */
    int64_t members_version; /* as a dynamicConfigFile has it; 0: never agreed */
    int32_t init_limit_ticks, sync_limit_ticks;
    bool quorum_listen_on_all;           /* on every address, not only on the own line's */
    int32_t election_connect_timeout_ms; /* cnxTimeout */
    /* Parent of version-2; created if missing. NULL with memory_only. */
    const char *data_dir;
    const char *data_log_dir; /* NULL: the same */
    bool memory_only;         /* nothing is written: for tests */
    bool force_sync;          /* false: replies do not wait for the disk (forceSync=no) */
    bool trust_empty_snapshot;
    bool drop_damaged_last_record;
    struct server_address *addresses;
    size_t address_count;
    int listen_backlog;
    uint32_t connections_max;             /* 0: only bounded by descriptors */
    uint32_t connections_per_address_max; /* 0: unlimited */
    uint64_t log_preallocate_bytes;
    bool log_direct;                    /* the log is written past the page cache */
    uint64_t log_file_bytes_max;        /* 0: rolled by snapshots only */
    uint32_t snapshots_retained;        /* at least 3; 0: nothing is ever deleted */
    uint64_t snapshot_bytes_per_second; /* 0: unlimited; paces the writer */
    int32_t slow_sync_warning_ms;
    int32_t stop_timeout_ms;
};

void server_options_init(struct server_options *options);

struct server_callbacks {
    void *context;
    /* A four-letter word arrived. The callee answers, now or later and in parts, with
     * server_answer. */
    void (*command)(void *context, struct server *server, uint32_t connection, const char *word,
                    uint64_t mask);
    /* server_call_again was called, and this is the loop's next turn. */
    void (*again)(void *context, struct server *server);
    /* Everything is closed; the server is freed after this returns. `error` 0 for a clean stop. */
    void (*stopped)(void *context, struct server *server, int error);
};

/* What went wrong, for a person: what, where, what to do. */
struct server_error {
    int code;
    char text[1024];
};

/* Locks the directory, restores, listens. 0, or a negative code with `error` filled in. After 0
 * the server runs on `loop` until server_stop and ends with the `stopped` callback. The options
 * are copied, strings too. A failure of the log (write or sync) ends the process at once with
 * file and cause on the trace: never retried, nothing of the batch acknowledged. */
int server_start(uv_loop_t *loop, const struct server_options *options,
                 const struct server_callbacks *callbacks, struct server **server,
                 struct server_error *error);
/* Graceful: stops accepting and reading, lets accepted writes be answered (stop_timeout_ms at
 * most), closes the log, then `stopped`. */
void server_stop(struct server *server);
/* The end of the answer to a four-letter word; due once for each, even if nobody waits for it. */
void server_answer(struct server *server, uint32_t connection, struct mk_bytes text);
/* Some of it before. False when nobody waits for it any more: then nothing was taken. */
bool server_answer_part(struct server *server, uint32_t connection, struct mk_bytes text);
/* Asks for callbacks.again, once. A server that stops gracefully waits for those who ask. */
void server_call_again(struct server *server);
/* Port of the n-th address, as bound. */
uint16_t server_port(const struct server *server, size_t index);
/* Remote port of a connection (its address is in replica_connection_info); 0 if it is gone. */
uint16_t server_peer_port(const struct server *server, uint32_t connection);
struct replica *server_replica(struct server *server);
void server_snapshot_now(struct server *server);

/* Figures that only the host knows. */
struct server_figures {
    uint64_t data_dir_bytes, log_dir_bytes; /* 0 in memory-only mode */
    uint64_t file_descriptors_open, file_descriptors_max;
    uint64_t connections_rejected;
    struct mk_histogram sync_us;   /* write and sync of a batch of the log */
    struct mk_summary sync_batch;  /* entries of a batch */
    struct mk_summary snapshot_ms; /* from begin to end, finished ones */
    /* The start: one value each; none in memory-only mode. */
    struct mk_summary restore_ms, snapshot_load_ms, replay_ms, replayed_transactions;
    int64_t last_snapshot_zxid;
    int64_t last_snapshot_wall_ms;
};
void server_figures(const struct server *server, struct server_figures *figures);
/* Begins what counts syncs, snapshots and rejected connections anew. */
void server_figures_reset(struct server *server);
const struct server_options *server_options(const struct server *server);
int64_t server_now_ms(const struct server *server); /* the monotonic clock of its events */

#endif
