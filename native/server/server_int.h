/* SPDX-License-Identifier: MIT */
/* What the files of this layer share. One struct server, owned by the loop's thread; the log
 * thread and the snapshot worker own what disk.c and snapshots.c hand them and post back
 * through uv_async. Nobody outside native/server includes this. */
#ifndef SERVER_SERVER_INT_H
#define SERVER_SERVER_INT_H

#include "log/txnlog.h"
#include "server/server.h"

enum server_state {
    SERVER_STARTING, /* restoring; no sockets yet */
    SERVER_RUNNING,
    SERVER_STOPPING, /* no new requests; accepted writes are being answered */
    SERVER_CLOSING   /* handles are being closed; then freed */
};

struct clients;
struct disk;
struct ensemble_host;
struct snapshots;

struct server {
    uv_loop_t *loop;
    struct server_options options; /* owned copy, strings too */
    struct server_callbacks callbacks;
    const struct mk_trace *trace;
    struct replica *replica;
    struct replica_update update; /* filled by the steps of this turn */
    bool turn_pending;            /* a step was made since the last perform */
    bool call_again;              /* callbacks.again is asked for */
    bool wall_known;              /* wall_ms was read in this turn */
    int64_t wall_ms;
    int64_t timer_at_ms; /* when the tick timer fires; INT64_MAX: not armed */
    uint32_t *touched;   /* scratch of perform */
    size_t touched_capacity;
    struct replica_log_entry *log_kept; /* of this round, to be written behind its outputs */
    size_t log_count, log_capacity;
    uint64_t packets_seen; /* replica_stats, at the end of the last turn */

    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t again; /* active while a turn left work for the next one */
    uv_timer_t tick_timer, stop_timer;
    bool has_handles; /* the five above are open */
    int open_handles; /* libuv handles of this server that are not closed yet */
    enum server_state state;
    bool start_failed; /* `stopped` is not called */

    struct store *snapshot_store, *log_store; /* NULL: memory only; may be the same */
    struct store *log_filter; /* in front of log_store, with force_sync off; or NULL */
    struct store *log_ahead;  /* in front of log_store, prepares files; or NULL */
    struct txnlog *log;       /* until the log thread takes it over */
    bool fresh;               /* the directory held no data */
    struct clients *clients;
    struct disk *disk;              /* NULL: memory only */
    struct snapshots *snapshots;    /* NULL: memory only */
    struct ensemble_host *ensemble; /* NULL: a single server */
    /* What storage_open found; false: the directory was empty and may have held data once. */
    bool data_is_whole;
    int64_t snapshot_zxid; /* that the log begins with; -1: none */
    int64_t accepted_epoch, current_epoch;
    /* Told at the end of the round; 0: nothing. */
    int64_t durable_zxid;
    bool memory_snapshot_begun;
    /* The part of the figures that is known since the start. */
    struct mk_summary restore_ms, snapshot_load_ms, replay_ms, replayed_transactions;
    uint64_t rejected_before_reset;
};

/* --- server.c ----------------------------------------------------------------------------------
 */

/* One step; what it wants done is performed at the end of the loop's turn. Fills in the times. */
void server_feed(struct server *server, struct replica_event *event);
void server_feed_simple(struct server *server, enum replica_event_type type, uint32_t connection);
/* Performs what was gathered, until nothing is left. */
void server_perform(struct server *server);
/* For uv_close of every handle of the server: counts, and frees the server after the last. */
void server_handle_opened(struct server *server);
void server_handle_closed(struct server *server);

/* --- options.c ----------------------------------------------------------------------------------
 */

/* A deep copy; options_fini frees it. */
void server_options_copy(struct server_options *to, const struct server_options *from);
void server_options_fini(struct server_options *options);

/* --- storage.c: the data directory at start and at the end
 * ---------------------------------------- */

/* Opens and locks the stores, restores the replica, opens the log. Just an empty tree in
 * memory-only mode. */
int storage_open(struct server *server, struct server_error *error);
/* The log behind `tail`: at start, and by the log thread after the history was changed. */
int storage_open_log(struct server *server, const struct txnlog_tail *tail, struct txnlog **log,
                     struct log_error *error);
/* After START: the snapshot of a fresh directory, written before anyone is served. */
int storage_first_snapshot(struct server *server, struct server_error *error);
/* Forgets the replica's memory and loads what the directory holds now; the log thread is idle. */
int storage_reload(struct server *server, int64_t *last_zxid, struct server_error *error);
/* Starts the log thread and the snapshot worker. */
int storage_start(struct server *server, struct server_error *error);
/* Ends the threads and closes the log; blocks until the disk is done. Their handles close. */
void storage_stop(struct server *server);
/* Frees what is left; after storage_stop and after its handles were closed. */
void storage_close(struct server *server);
/* Bytes of the files in the directory of a store. */
uint64_t storage_directory_bytes(const struct store *store);

/* --- clients.c
 * ------------------------------------------------------------------------------------ */

struct clients *clients_new(struct server *server);
/* Takes the client addresses, all or none, and answers nobody yet: clients are refused by the
 * system, at once, until clients_listen. Before the data is restored, so that an address in use is
 * told early. */
int clients_bind(struct clients *clients, struct server_error *error);
/* Lets clients in; after clients_bind and with the data restored. */
int clients_listen(struct clients *clients, struct server_error *error);
/* The replica touched this connection: send, close, or feed what was kept. */
void clients_perform(struct clients *clients, uint32_t number);
/* Closes those whose peer sent its end, once their turn was performed. */
void clients_reap(struct clients *clients);
/* A command of this connection goes to the callbacks; its number stays taken until answered. */
void clients_command_begin(struct clients *clients, uint32_t number);
/* Somebody waits for more of an answer. */
bool clients_command_is_open(const struct clients *clients, uint32_t number);
/* False if nobody is left to answer. */
bool clients_command_end(struct clients *clients, uint32_t number);
/* No more accepting and reading. */
void clients_stop(struct clients *clients);
/* All output is with the kernel (or nobody is there). */
bool clients_are_drained(const struct clients *clients);
/* Closes every connection and handle; server_handle_closed is called for each. */
void clients_close(struct clients *clients);
void clients_free(struct clients *clients);
uint16_t clients_port(const struct clients *clients, size_t index);
uint16_t clients_peer_port(const struct clients *clients, uint32_t number);
uint64_t clients_rejected(const struct clients *clients);

#endif
