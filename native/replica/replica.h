/* SPDX-License-Identifier: MIT */
/* A whole server without I/O: events in, one update out (replica_step). The libuv server and
 * the simulator drive the same code; neither has to know a protocol rule. No clock, chance,
 * thread, file or socket: time comes with each event, the seed with the options.
 *
 * The host's loop:
 *   1. for each thing that happened, replica_step(replica, &event, &update); several steps may
 *      fill one update;
 *   2. perform the update: give `log` entries to the log writer, send the output of each
 *      touched connection, close those that are closing and drained, feed snapshot bytes to
 *      the snapshot writer, answer `commands`; then replica_update_clear;
 *   3. call again with REPLICA_TICK at update.deadline_ms at the latest, and with
 *      REPLICA_CONTINUE in its next turn while update.again is set: once in a turn, and after it
 *      has looked for other events.
 * Work that takes long is cut up: what became durable is applied in several turns if it is much,
 * and the watches of a connection that ended are dropped in several.
 * There is no order between the parts of an update: whatever must wait for the disk is
 * produced only by the step that is told REPLICA_DURABLE, or a later one.
 *
 * In an ensemble (options.ensemble) the replica drives a struct zab: the host brings what happens
 * on quorum and election connections and on the disk as REPLICA_ENSEMBLE, and performs the parts of
 * update.zab that concern network and disk (messages, touched links, connect, disk, reload). The
 * rest (deliveries, snapshots, apply_to) is done here, and `log` stays empty: the disk's steps have
 * all transactions.
 *
 * Life of a connection: REPLICA_CONNECT, REPLICA_BYTES..., REPLICA_DISCONNECT. The host chooses
 * its number (small, dense; free again after the DISCONNECT step). */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H

#include "base/trace.h"
#include "ops/op.h"
#include "zab/zab.h"

struct replica;

struct replica_options {
    uint8_t server_id; /* high byte of session ids; 1 for a standalone server */
    uint64_t seed;     /* hash seeds and the spread of snapshots */
    int32_t tick_time_ms;
    int32_t session_timeout_min_ms, session_timeout_max_ms;
    int32_t handshake_timeout_ms; /* a connection without session is dropped after this */
    int32_t frame_bytes_max;      /* jute.maxbuffer */
    /* Flow control: a connection is paused (not refused) at these. */
    uint32_t requests_in_flight_max; /* of one connection */
    uint32_t outstanding_max;        /* transactions not yet durable, all connections */
    size_t outstanding_bytes_max;    /* their bytes */
    size_t output_pause_bytes;       /* unsent replies of one connection */
    size_t output_close_bytes;       /* a reader this slow is disconnected */
    /* What all connections hold: output, queued requests, kept input. Beyond it those that hold the
     * most are closed at once. At least 8 * frame_bytes_max. */
    size_t buffers_total_bytes;
    /* What a connection's requests may cost (bytes read and answered, with a surcharge for each
     * request and for each znode walked over) before it waits for REPLICA_CONTINUE; and how
     * much one REPLICA_CONTINUE grants to those that wait, by what they took last. */
    uint32_t turn_cost_max;
    uint32_t continue_cost_max;
    uint32_t commit_cost_max; /* bytes of transactions to apply before others are looked at */
    /* In a tree of at least so many znodes the frames that a client has sent ahead are looked at
     * before they are handled (scout.c). It changes no answer. */
    uint32_t scout_znodes_min;
    uint32_t watches_per_connection_max;
    /* Beyond these a watch is refused (watch_limit in tree/watch.h). */
    uint64_t watch_bytes_per_connection_max, watch_bytes_total_max;
    uint32_t sessions_per_address_max; /* living ones that it opened; 0: no limit */
    /* A snapshot after a random number of transactions in (count/2, count], or log bytes
     * likewise; 0 turns either off. */
    uint32_t snapshot_transactions;
    uint64_t snapshot_log_bytes;
    /* Between the beginnings of two: at full speed the counts alone would ask for several a
     * second. Not for REPLICA_SNAPSHOT_NOW. */
    int32_t snapshot_interval_min_ms;
    /* Containers and TTL nodes. */
    int32_t container_check_interval_ms;
    int32_t container_checks_per_minute_max;
    int64_t container_never_used_ms; /* 0: never reaped before it had a child */
    struct op_settings operations;
    /* "super:base64(sha1(super:password))" or NULL; digest_enabled false refuses the scheme. */
    const char *super_digest;
    bool digest_enabled;
    bool tree_digest_enabled; /* TxnDigest in the log; `digest.enabled` */
    /* Four-letter words that are commands: 4 bytes each, one after another. */
    const char *command_words;
    const struct mk_trace *trace; /* may be NULL */
    /* NULL: a single server. Only read by replica_new; its trace is replaced by the one above. */
    const struct zab_options *ensemble;
    bool read_only_enabled; /* a member without a leader serves clients that accept that */
};

/* Fills in the defaults (design: safe by default). */
void replica_options_init(struct replica_options *options);

struct replica *replica_new(const struct replica_options *options);
void replica_free(struct replica *replica);

/* --- restoring, before the first step --------------------------------------------------------- */

/* Matches the callbacks of log/recover.h: reset (a fresh tree), then the snapshot body if there is
 * one, then transactions. */
void replica_restore_reset(struct replica *replica);
int replica_restore_body(struct replica *replica, const uint8_t *data, size_t size,
                         size_t *consumed, const char **reason);
/* `digest_zxid` 0: the snapshot has no digest section. Returns MK_ERR_CORRUPT if the tree has
 * another digest at that zxid. */
int replica_restore_snapshot_done(struct replica *replica, int64_t zxid, int64_t digest_zxid,
                                  uint64_t digest, const char **reason);
/* One log entry: TxnHeader, record, optional TxnDigest. */
int replica_restore_transaction(struct replica *replica, const uint8_t *data, size_t size,
                                const char **reason);

/* --- events ----------------------------------------------------------------------------------- */

enum replica_event_type {
    REPLICA_START,         /* once, after restoring: sessions get a fresh full timeout */
    REPLICA_CONNECT,       /* `connection`, `bytes` = peer address as text, without port */
    REPLICA_BYTES,         /* `connection`, `bytes`; update.consumed says how many were taken */
    REPLICA_DISCONNECT,    /* `connection`: the socket is closed, for whatever reason */
    REPLICA_DRAINED,       /* `connection`: its output was sent; a paused one may go on */
    REPLICA_DURABLE,       /* `zxid`: the log up to here is on stable storage */
    REPLICA_COMMAND_PART,  /* `connection`, `bytes`: of the answer to a four-letter word */
    REPLICA_COMMAND_TEXT,  /* `connection`, `bytes`: the last of it, or all */
    REPLICA_SNAPSHOT_NOW,  /* an operator wants one */
    REPLICA_SNAPSHOT_NEXT, /* the writer took the last slice */
    REPLICA_SNAPSHOT_DONE, /* on stable storage and verified, or given up (`error`) */
    REPLICA_TICK,          /* time went by */
    REPLICA_CONTINUE,      /* the host's next turn: those that had their share go on */
    REPLICA_ENSEMBLE,      /* `zab`: what happened to the ensemble's side of this server */
    REPLICA_STOP           /* graceful: take no more requests; see replica_is_idle */
};

struct replica_event {
    enum replica_event_type type;
    int64_t now_ms;  /* monotonic, never backward */
    int64_t wall_ms; /* since 1970; only ctime, mtime, session ids, TTL come from it */
    uint32_t connection;
    int32_t error;
    int64_t zxid;
    struct mk_bytes bytes; /* borrowed for the call */
    struct zab_event *zab; /* its time is set here; ZAB_RELOADED after replica_restore_* */
};

/* --- update ----------------------------------------------------------------------------------- */

/* A transaction to append to the log: TxnHeader, record, TxnDigest. `data` stays valid and
 * unchanged until the DURABLE step for this zxid, so another thread may read it. */
struct replica_log_entry {
    int64_t zxid;
    const uint8_t *data;
    size_t length;
    bool roll; /* start a new log file with this entry */
};

struct replica_command {
    uint32_t connection;
    char word[5];
    uint64_t mask; /* stmk */
};

struct replica_update {
    size_t consumed;   /* of the last REPLICA_BYTES step */
    uint32_t *touched; /* connections whose link changed, each once */
    size_t touched_count, touched_capacity;
    struct replica_log_entry *log;
    size_t log_count, log_capacity;
    struct replica_command *commands;
    size_t command_count, command_capacity;
    bool snapshot_begin;  /* open the writer for snapshot_zxid */
    bool snapshot_finish; /* behind snapshot_body comes nothing more */
    int64_t snapshot_zxid;
    struct mk_buffer snapshot_body; /* the host may take it (set it to MK_BUFFER_EMPTY) */
    int64_t snapshot_digest_zxid;
    uint64_t snapshot_digest;
    struct zab_update zab; /* in an ensemble; `consumed` as of the last REPLICA_ENSEMBLE step */
    bool roll; /* the next APPEND of zab.disk begins a new log file; the host clears it */
    /* The tree that a leader sends: begun by this flag, given up by zab.reload, whole at the
     * INSTALL_SNAPSHOT step. The body's bytes for the file; the host consumes them. */
    bool received_begin;
    struct mk_buffer received_body;
    bool snapshot_abandon; /* the running snapshot is given up: memory is loaded anew */
    bool failed;         /* the process must end (a line says why): the leader is not understood */
    int64_t deadline_ms; /* monotonic; the next REPLICA_TICK */
    bool again;          /* as of the last step: there is work for REPLICA_CONTINUE */
};

void replica_update_init(struct replica_update *update);
void replica_update_fini(struct replica_update *update);
/* Forgets what was performed and lets the touched connections be listed again. */
void replica_update_clear(struct replica *replica, struct replica_update *update);

/* What the host sees of a connection. It consumes `output` (mk_buffer_consume, or takes the
 * whole buffer); when it is empty and `closing`, it closes the socket. While `paused` it feeds
 * no bytes (it keeps what was not consumed) and stops reading the socket; when a later update
 * touches the connection unpaused, it feeds what it kept and reads on. When it is `abandoned`, the
 * host sends nothing more: it closes the socket and frees what it holds for it in this turn. */
struct replica_link {
    struct mk_buffer output;
    size_t unsent_elsewhere; /* the host sets this: bytes it took but could not send yet */
    size_t kept_elsewhere; /* likewise: all else it keeps, input that was not consumed above all */
    bool closing;
    bool abandoned; /* and closing; the output is empty */
    bool paused;
    bool touched; /* replica's own */
};

struct replica_link *replica_link(struct replica *replica, uint32_t connection);
/* The host changed one of its two figures (or sent much output): counts them anew. Steps do that
 * for their own connection. */
void replica_link_changed(struct replica *replica, uint32_t connection);

void replica_step(struct replica *replica, const struct replica_event *event,
                  struct replica_update *update);

/* After REPLICA_STOP: true when all that was accepted was answered, as far as it is read. */
bool replica_is_idle(const struct replica *replica);
int64_t replica_last_zxid(const struct replica *replica); /* last applied */
/* The writer of update.received_body is behind: no more of the leader's tree is asked for, until a
 * REPLICA_ENSEMBLE step with ZAB_SNAPSHOT_TAKEN, which then tells what was `consumed`. */
void replica_hold_tree(struct replica *replica);
/* In an ensemble; NULL otherwise, or when there is no such link. */
struct zab_link *replica_zab_link(struct replica *replica, uint32_t link);
/* False for a single server. */
bool replica_zab_status(const struct replica *replica, struct zab_status *status);
/* To look at (zab_learners); NULL for a single server. */
const struct zab *replica_zab(const struct replica *replica);
/* Clients are served: always for a single server. */
bool replica_is_serving(const struct replica *replica);
/* Instead, clients that accept it are served what is here, and may not write. */
bool replica_is_read_only(const struct replica *replica);
struct tree *replica_tree(const struct replica *replica); /* to read: commands, tests, checks */

#endif
