/* SPDX-License-Identifier: MIT */
/* State shared by the files of the replica, and what they call of one another. One picture:
 *
 *   bytes -> ingress.c -> handshake.c (first frame) | request.c (later frames)
 *     read:  request.c -> ops -> egress.c, at once or when the connection's writes before it
 *            are answered (pipeline.c)
 *     write: propose.c (validate, make the transaction) -> update.log -> DURABLE -> commit.c
 *            (apply, watches, reply) -> pipeline.c (reads that waited)
 *   in an ensemble the log is zab's: propose.c submits, commit.c takes what zab lets be applied
 *     (ensemble.c), a learner forwards its clients' writes (forward.c) to the leader (remote.c),
 *     and trees travel from server to server (stream.c)
 *   a connection that had its share of a turn -> fair.c -> CONTINUE -> its next requests
 *   time -> expiry.c (sessions), reaper.c (containers, TTL), snapshots.c
 *
 * A request belongs to its connection's queue until it is answered; a proposal belongs to the
 * replica until it is applied. Either may go first: they point at each other and forget. */
#ifndef REPLICA_REPLICA_INT_H
#define REPLICA_REPLICA_INT_H

#include "base/pool.h"
#include "base/quiet.h"
#include "base/rand.h"
#include "replica/replica.h"
#include "replica/stats.h"
#include "tree/snapshot.h"

#include <stdarg.h>

#define PASSWORD_BYTES 16
#define DIGEST_INTERVAL 128 /* one replica_digest per so many transactions */
#define DIGESTS_KEPT_MAX 1024
#define FAIR_REQUEST_COST 128 /* in bytes: what any request costs */

struct address_sessions;
struct connection;
struct proposal;

/* A session that this server knows; `connection` is NULL while its client is away. */
struct session {
    int64_t id;
    int32_t timeout_ms; /* as negotiated by the last connection */
    bool committed;     /* its createSession is applied */
    bool closing;       /* its closeSession is proposed: takes no more requests */
    int64_t heard_ms;   /* on the expiry clock */
    size_t heap_index;  /* place in expiry.heap */
    int64_t heap_deadline_ms;
    int64_t owner; /* on the leader: the server whose client has it; 0: not known yet */
    bool touched;  /* on a learner: heard since the leader's last PING */
    bool local;    /* of a read-only server: in no tree, ends with its connection */
    struct connection *connection;
    struct address_sessions *address; /* that it counts for; NULL: none yet */
    struct session *hash_next;
};

/* What waits in a connection's queue for its turn to be answered. */
enum request_state {
    REQUEST_UNREAD,   /* a read whose turn has not come: `frame` is kept */
    REQUEST_PROPOSED, /* a write in the log's hands, or a write or sync in the leader's */
    REQUEST_ANSWERED  /* the answer is known (`error`), only its turn is missing */
};

#define ZXID_LAST_APPLIED INT64_MAX

struct request {
    struct request *next;
    struct proposal *proposal; /* REQUEST_PROPOSED */
    int64_t started_ms;
    enum request_state state;
    int32_t xid;
    int32_t op;
    int32_t error;
    int64_t answer_zxid;    /* REQUEST_ANSWERED; ZXID_LAST_APPLIED: known when its turn comes */
    uint64_t sync_ticket;   /* of a sync that the leader was asked for */
    int32_t identity_count; /* who the client was when it asked: these first of its identities */
    bool close_after;       /* the connection ends with this answer */
    bool null_token_body;   /* the body is one null buffer: of sasl, and of a sync without path */
    bool path_body; /* a sync that the leader has answered: the body is the path in `frame` */
    uint32_t frame_length;
    uint32_t forwarded_bytes; /* a write in the leader's hands */
    uint64_t cost;            /* REQUEST_UNREAD: a guess of what its answer will cost */
    uint8_t frame[];
};

/* Kinds of lines that clients can cause; see complain.c. */
enum complaint {
    COMPLAINT_FRAME,
    COMPLAINT_OPCODE,
    COMPLAINT_OUTPUT,
    COMPLAINT_BUFFERS,
    COMPLAINT_WATCHES,
    COMPLAINT_WATCH_BYTES,
    COMPLAINT_WATCH_BYTES_TOTAL,
    COMPLAINT_SESSIONS,
    COMPLAINT_AUTH,
    COMPLAINT_IDENTITIES,
    COMPLAINT_AHEAD,
    COMPLAINT_DIGEST,
    COMPLAINT_QUOTA,
    COMPLAINT_COUNT
};

/* Limits of quotas that have a line of their own in a minute. */
#define QUOTA_LINES 64

struct quota_line {
    uint64_t key;     /* which limit of which path */
    int64_t until_ms; /* no other before; not later than now: free */
};

enum connection_phase {
    PHASE_HANDSHAKE,    /* nothing but a connect request or a four-letter word is expected */
    PHASE_COMMAND,      /* a four-letter word is being answered */
    PHASE_ESTABLISHING, /* createSession is proposed, or the leader is asked about the session */
    PHASE_SERVING,
    PHASE_ENDING /* nothing more is read: closeSession or a fatal error is queued */
};

struct connection {
    struct replica_link link; /* first: replica_link returns it */
    uint32_t number;
    enum connection_phase phase;
    struct session *session;
    struct proposal *establishing; /* its createSession, until that is applied */
    bool reply_has_read_only;      /* mirror the optional byte of the connect request */
    bool revalidating;             /* the leader was asked about its session */
    /* Transactions up to here answer other connections of its session: a client may number its
     * requests anew on each, as kazoo does. */
    int64_t answers_after;
    char *address;
    struct mk_id_vector identities; /* items are malloc'd, strings too */
    size_t identity_bytes;
    struct request *queue_head, *queue_tail;
    uint32_t queue_length;
    size_t queue_bytes;   /* of the frames that are kept */
    uint64_t queue_cost;  /* of the reads that wait */
    size_t counted_bytes; /* its part of replica.buffer_bytes */
    uint64_t cost;        /* of what it asked for since its share was renewed */
    bool waits_for_turn;  /* in replica.turn_first..turn_last */
    struct connection *turn_previous, *turn_next;
    int64_t opened_ms;
    struct connection *handshake_previous, *handshake_next; /* oldest first */
    struct replica_connection_info info;
};

/* A transaction between the log and the tree. */
struct proposal {
    struct proposal *next;
    struct request *request; /* NULL for internal ones, or when the client went away */
    struct connection *connection;
    int64_t zxid;
    int64_t session_id;
    int32_t op;             /* of the request: create and create2 make the same transaction */
    int32_t create2_length; /* op_result.create2_parts, behind the transaction; -1 for null */
    uint32_t length;
    uint32_t data_length; /* as much of it is here: all, or nothing where zab has it */
    uint8_t data[];
};

static inline void proposal_free(struct mk_pool *pool, struct proposal *proposal)
{
    size_t marks = (size_t)MK_MAX(proposal->create2_length, 0);
    mk_pool_free(pool, proposal, sizeof *proposal + proposal->data_length + marks);
}

/* See measure.c; monotonic. */
struct measure {
    int64_t looking_since_ms, role_since_ms, unavailable_since_ms, serving_since_ms;
    struct zab_counts taken; /* are in the counters of struct replica_stats */
};

/* What an ensemble adds to a server. */
struct ensemble {
    struct zab *zab;
    struct zab_status status; /* as of the last step */
    struct measure measure;
    bool serving;       /* as the clients know it */
    size_t consumed;    /* of the link bytes of this step */
    uint64_t disk_seen; /* ticket of the last disk step that was looked at */
    int64_t deadline_ms;
    uint64_t sync_next;  /* tickets of syncs that the leader's own clients wait for */
    struct sync_ticket { /* oldest first: a learner's SYNC answers have no other mark */
        uint64_t ticket;
        uint32_t connection;
        bool answered; /* by the leader: memory must have `zxid`, and not yet more */
        int64_t zxid;
    } * syncs;
    size_t sync_count, sync_capacity;
    size_t sync_answered_count;
    int64_t *touched; /* sessions that were heard since the last PING */
    size_t touched_count, touched_capacity;
    struct mk_buffer scratch;
    /* Trees on their way to learners, one walk at a time. */
    struct tree_snapshot *walk;
    uint32_t *streams; /* links that wait for one; the first has it */
    size_t stream_count, stream_capacity;
    bool started; /* zab has had ZAB_START */
    bool leaving; /* and ZAB_STOP */
    bool looking; /* for a leader, since: */
    int64_t looking_since_ms;
    bool read_only;
    bool loading; /* the leader's tree comes in */
    bool held;    /* the host's writer is behind: what was loaded is told to zab when it is not */
    bool taken_waits;
    size_t taken_count;
    bool taken_all, taken_failed;
    bool reloading; /* the host loads memory again */
};

struct expiry {
    struct session **heap; /* binary heap by heap_deadline_ms */
    size_t count, capacity;
    int64_t clock_ms; /* advances with now_ms, but a stall of our own host counts one tick */
};

struct snapshot_state {
    struct tree_snapshot *walk; /* NULL: none is running, or its end is being written */
    bool running;               /* begun, DONE not yet heard */
    bool roll_next;             /* the next log entry begins a new file */
    bool wanted;
    int64_t not_before_ms;            /* snapshot_interval_min_ms after the last began */
    uint64_t transactions, log_bytes; /* since the last one began */
    uint64_t transactions_limit, log_bytes_limit;
};

/* A stretch of time in which the wall clock ran evenly; it ended with a jump, forward or back.
 * Containers and TTL nodes must neither fall to such a jump nor live for ever by it. */
struct wall_era {
    int64_t wall_begin_ms, wall_end_ms;
    int64_t now_end_ms; /* on the monotonic clock */
};

#define WALL_ERAS_MAX 8
#define WALL_JUMP_MS 60000 /* less is a clock that is being set right */

struct wall_history {
    struct wall_era eras[WALL_ERAS_MAX]; /* those that are over, oldest first */
    uint32_t count;
    bool forgot;                         /* there were more */
    int64_t wall_begin_ms;               /* of the era at hand */
    int64_t first_wall_ms, first_now_ms; /* of the first that is known */
};

struct replica {
    struct replica_options options;
    char *super_digest;
    char *command_words;
    struct mk_rand rand;
    struct tree *tree;
    struct view *view;
    struct watch_table *watches;
    struct mk_arena arena; /* of the step at hand */
    struct mk_buffer scratch;
    struct mk_pool pool; /* requests and proposals */
    struct op_changes changes;

    struct connection **connections; /* by number, holes are NULL */
    size_t connection_capacity;
    size_t connection_open_count;
    struct connection *handshake_first, *handshake_last;
    size_t paused_count;
    size_t buffer_bytes;                       /* see buffers.c */
    struct connection *turn_first, *turn_last; /* had their share; the longest waiting first */

    struct session **session_buckets;
    size_t session_bucket_count, session_count;
    int64_t next_session_id;
    struct address_sessions *addresses; /* uthash */
    struct expiry expiry;

    struct proposal *proposal_first, *proposal_last;
    uint64_t proposal_count;
    size_t proposal_bytes;
    size_t forwarded_bytes; /* of what this learner's clients wait for */
    int64_t last_proposed_zxid;
    int64_t durable_zxid; /* the log is; what one turn may apply can be less */
    int64_t last_zxid;    /* applied */

    struct snapshot_state snapshot;
    struct tree_loader *loader;
    int64_t restore_digest_zxid; /* 0: no comparison yet; -1: comparing */
    uint64_t restore_digest;     /* the snapshot's own, of that zxid */
    int64_t reaper_next_ms;
    struct wall_history wall_history;
    bool stopping;
    bool failed;               /* update.failed was said: nothing more is applied */
    struct ensemble *ensemble; /* NULL: a single server */

    struct replica_stats stats;
    struct mk_quiet complaints[COMPLAINT_COUNT];
    struct quota_line quota_lines[QUOTA_LINES];
    struct replica_digest *digests;
    size_t digest_count;

    /* Of the step at hand. */
    struct replica_update *update;
    int64_t now_ms, wall_ms;
};

/* replica.c */
/* A fresh tree and the view over it. */
void replica_tree_init(struct replica *replica);
void replica_tree_fini(struct replica *replica);
/* The sessions of the tree get a fresh full timeout. */
void replica_adopt_sessions(struct replica *replica);
void replica_forget_sessions(struct replica *replica);
/* Ephemerals whose owner is not in the session table are removed (storage reference, 6.2). */
void replica_close_orphans(struct replica *replica);
void replica_touch(struct replica *replica, struct connection *connection);
void replica_log(struct replica *replica, enum mk_level level, const char *format, ...)
    MK_PRINTF(3, 4);
void replica_log_list(struct replica *replica, enum mk_level level, const char *format,
                      va_list arguments) MK_PRINTF(3, 0);

/* ingress.c */
void connection_open(struct replica *replica, uint32_t number, struct mk_bytes address);
void connection_closed(struct replica *replica, uint32_t number);
void connection_bytes(struct replica *replica, struct connection *connection,
                      struct mk_bytes bytes);
/* The host must end it: at once (`drop`: unsent output is thrown away) or after its output. */
void connection_end(struct replica *replica, struct connection *connection);
void connection_drop(struct replica *replica, struct connection *connection);
/* The session loses its connection; one that is only here is over. */
void connection_leave_session(struct replica *replica, struct connection *connection);
void connection_pause(struct replica *replica, struct connection *connection);
/* Its unsent output has reached the limit at which nothing is added of its own accord. */
bool connection_output_is_full(const struct replica *replica, const struct connection *connection);
/* Lets a paused connection go on if what paused it is over. */
void connection_resume(struct replica *replica, struct connection *connection);
void connections_resume_all(struct replica *replica);
struct connection *connection_find(const struct replica *replica, uint32_t number);
void handshake_list_remove(struct replica *replica, struct connection *connection);

/* buffers.c */
/* Over the limit: closes those that hold the most. */
void buffers_relieve(struct replica *replica);
/* What this connection (or NULL) holds may have changed. */
void buffers_check(struct replica *replica, struct connection *connection);
void buffers_forget(struct replica *replica, struct connection *connection);
/* It holds so much more, or less. */
static inline void buffers_more(struct replica *replica, struct connection *connection,
                                size_t bytes)
{
    connection->counted_bytes += bytes;
    replica->buffer_bytes += bytes;
}
static inline void buffers_less(struct replica *replica, struct connection *connection,
                                size_t bytes)
{
    bytes = MK_MIN(bytes, connection->counted_bytes); /* nothing of an abandoned one counts */
    connection->counted_bytes -= bytes;
    replica->buffer_bytes -= bytes;
}

/* fair.c */
/* It had its share: nothing more is done for it before REPLICA_CONTINUE. */
static inline bool fair_is_spent(const struct replica *replica, const struct connection *connection)
{
    return connection->cost >= replica->options.turn_cost_max;
}
/* It is paused: if that is for its share, it goes on with REPLICA_CONTINUE. */
void fair_wait(struct replica *replica, struct connection *connection);
void fair_forget(struct replica *replica, struct connection *connection);
void fair_continue(struct replica *replica);
/* Drops some watches of connections that have ended. */
void fair_sweep(struct replica *replica);
/* There is something to go on with. */
bool fair_is_due(const struct replica *replica);

/* scout.c */
/* Fetches what the next frames will look up; returns how many frames that covers (SIZE_MAX: there
 * is nothing to gain). */
size_t scout_frames(struct replica *replica, struct mk_bytes bytes);

/* handshake.c */
void handshake_frame(struct replica *replica, struct connection *connection, struct mk_bytes frame);
/* The leader's word about the session that it asked for. */
void handshake_revalidated(struct replica *replica, struct connection *connection, bool valid,
                           int64_t zxid);
/* createSession is applied. */
void handshake_established(struct replica *replica, struct connection *connection);
void session_password(int64_t session_id, uint8_t password[PASSWORD_BYTES]);

/* request.c */
void request_frame(struct replica *replica, struct connection *connection, struct mk_bytes frame);
/* Answers a read, ping, sasl or known error now; `frame` includes the request header. */
void request_answer(struct replica *replica, struct connection *connection, struct request *request,
                    struct mk_bytes frame);

/* ensemble.c */
void ensemble_init(struct replica *replica, const struct zab_options *options);
void ensemble_fini(struct replica *replica);
/* A transaction of the log, before the first step: learners may need it. */
void ensemble_restored(struct replica *replica, int64_t zxid, struct mk_bytes bytes);
void ensemble_event(struct replica *replica, struct zab_event *event);
/* What follows from the steps so far: role, deliveries, transactions to apply. */
void ensemble_follow_up(struct replica *replica);
/* Whether it is time for a tick. */
bool ensemble_is_due(const struct replica *replica);
void ensemble_tick(struct replica *replica);
/* It takes no part any more. */
bool ensemble_has_left(const struct replica *replica);
/* One step of zab whose consequences ensemble_follow_up draws. */
void ensemble_step(struct replica *replica, struct zab_event *event);

/* measure.c */
void measure_begin(struct replica *replica);
void measure_status(struct replica *replica, const struct zab_status *before);
void measure_proposal(struct replica *replica, size_t bytes); /* of a leader */
static inline bool replica_learns(const struct replica *replica)
{
    return replica->ensemble && replica->ensemble->status.role != ZAB_LEADING;
}
/* This server makes the transactions: it leads, or it is alone. */
static inline bool replica_leads(const struct replica *replica)
{
    return !replica->ensemble || (replica->ensemble->serving && !replica_learns(replica));
}
/* A transaction can be made now; false also on a leader that is about to go. */
bool replica_may_propose(const struct replica *replica);

/* read_only.c */
/* Begins or ends it, as the role says. */
void read_only_consider(struct replica *replica);
int64_t read_only_deadline_ms(const struct replica *replica);
/* False: the client must try another server. */
bool read_only_session(struct replica *replica, struct connection *connection,
                       const struct mk_connect_request *request, int32_t timeout_ms);
/* This server is read-only, and the operation is none for it. */
bool read_only_refuses(const struct replica *replica, int32_t op);
/* All clients go: whatever they wait for, this server cannot say what became of it. */
void replica_drop_clients(struct replica *replica);

/* forward.c: a learner's side */
void forward_write(struct replica *replica, struct connection *connection, int32_t xid, int32_t op,
                   struct mk_bytes body);
void forward_create_session(struct replica *replica, struct connection *connection);
void forward_close_session(struct replica *replica, struct connection *connection, int32_t xid);
void forward_revalidate(struct replica *replica, struct connection *connection);
void forward_revalidated(struct replica *replica, struct mk_bytes bytes, int64_t zxid);
void forward_touched(struct replica *replica, struct session *session);
void forward_ping(struct replica *replica);
/* Learner and leader: a sync of a client that is connected here. */
void forward_sync(struct replica *replica, struct connection *connection, int32_t xid,
                  struct mk_bytes path);
/* `ticket` 0: the oldest one. */
void forward_synced(struct replica *replica, uint64_t ticket, int64_t zxid);
/* Before the next transaction is applied, and behind the last. */
void forward_syncs_run(struct replica *replica);
/* The request that this transaction of another server answers; NULL if there is none here. */
struct request *forward_match(struct replica *replica, const struct mk_txn_header *header,
                              struct connection **connection);

/* remote.c: the leader's side */
void remote_request(struct replica *replica, const struct zab_delivery *delivery);
void remote_revalidate(struct replica *replica, const struct zab_delivery *delivery);
void remote_touched(struct replica *replica, struct mk_bytes bytes);

/* stream.c */
void stream_add(struct replica *replica, uint32_t link);
void stream_continue(struct replica *replica);
bool stream_is_due(const struct replica *replica);
void stream_end(struct replica *replica);
void stream_receive_begin(struct replica *replica);
void stream_receive(struct replica *replica, struct mk_bytes bytes);
void stream_received(struct replica *replica, int64_t zxid);
/* The host's writer has caught up. */
void stream_go_on(struct replica *replica);

/* pipeline.c */
struct request *pipeline_push(struct replica *replica, struct connection *connection,
                              enum request_state state, int32_t xid, int32_t op,
                              struct mk_bytes frame);
/* Answers those at the head of the queue whose turn has come, as long as there is room for their
 * output; the rest when it was sent (the connection is paused meanwhile). */
void pipeline_run(struct replica *replica, struct connection *connection);
/* The write of this connection that comes next is about to be applied: what was asked before it
 * must be answered from the state before it. */
void pipeline_finish(struct replica *replica, struct connection *connection);
void pipeline_pop(struct replica *replica, struct connection *connection);
void pipeline_free(struct replica *replica, struct connection *connection);

/* propose.c */
/* A write that a learner forwarded; its answer is the transaction. */
void propose_remote(struct replica *replica, int64_t session_id, int32_t cxid, int32_t op,
                    struct mk_bytes body, const struct mk_id_vector *identities);
void propose_remote_session(struct replica *replica, int64_t session_id, int64_t owner,
                            struct mk_bytes body);
void propose_error(struct replica *replica, int64_t session_id, int32_t cxid, int32_t op,
                   int32_t error);
/* The oldest one is applied. */
void proposal_done(struct replica *replica);
/* None of them will be answered here. */
void proposals_drop(struct replica *replica);
/* Validates a write, gives it the next zxid and hands it to the log. */
void propose_request(struct replica *replica, struct connection *connection, int32_t xid,
                     int32_t op, struct mk_bytes body);
void propose_create_session(struct replica *replica, struct connection *connection);
/* `request_xid` is used when `connection` asked for it (it then gets the reply). */
void propose_close_session(struct replica *replica, int64_t session_id,
                           struct connection *connection, int32_t request_xid);
/* Internal; false when validation refused it (then nothing is logged). */
bool propose_delete_container(struct replica *replica, struct mk_bytes path);

/* commit.c */
/* Applies what is durable now, as much as one turn may take; the rest with REPLICA_CONTINUE. */
void commit_durable(struct replica *replica, int64_t zxid);
void commit_continue(struct replica *replica);
bool commit_is_due(const struct replica *replica);
/* What another server has computed for the tree after this transaction; `reader` is behind its
 * record. A difference is told, and counted: two servers disagree. */
void commit_compare_digest(struct replica *replica, int64_t zxid, struct mk_reader *reader);

/* egress.c */
size_t egress_reply_begin(struct connection *connection);
void egress_reply_end(struct replica *replica, struct connection *connection, size_t begin,
                      int32_t xid, int64_t zxid, int32_t error);
void egress_event(struct replica *replica, struct connection *connection, int64_t zxid,
                  int32_t event_type, struct mk_bytes path);
void egress_changes(struct replica *replica, int64_t zxid);
/* Something was added to its output: drops a reader that is too slow. */
void egress_check(struct replica *replica, struct connection *connection);

/* complain.c */
/* A line at level warn, unless there were many of this kind in the last minute. */
void replica_complain(struct replica *replica, enum complaint kind, const char *format, ...)
    MK_PRINTF(3, 4);
/* Writes beyond limits of quotas: a line for each limit, once in a minute. */
void replica_complain_quota(struct replica *replica, const struct op_quota_excess *excess);
/* Tells how many were kept back, when it is time. */
void complaints_run(struct replica *replica);
int64_t complaints_deadline_ms(const struct replica *replica);

/* session.c */
struct session *session_find(const struct replica *replica, int64_t id);
struct session *session_add(struct replica *replica, int64_t id, int32_t timeout_ms);
void session_free(struct replica *replica, struct session *session);
void session_table_fini(struct replica *replica);
int64_t session_next_id(struct replica *replica);
/* Its client has another connection, here or elsewhere: this one ends. */
void session_leave_connection(struct replica *replica, struct session *session);
void session_visit_all(const struct replica *replica,
                       void (*visit)(void *context, struct session *session), void *context);

/* address.c */
uint32_t address_session_count(const struct replica *replica, const char *address);
/* Counts the session for this address, unless it counts for one already. */
void address_enter(struct replica *replica, struct session *session, const char *address);
void address_leave(struct replica *replica, struct session *session);

/* expiry.c */
void expiry_insert(struct replica *replica, struct session *session);
void expiry_remove(struct replica *replica, struct session *session);
void expiry_advance(struct replica *replica, int64_t elapsed_ms);
void expiry_run(struct replica *replica);
int64_t expiry_deadline_ms(const struct replica *replica); /* on now's clock; INT64_MAX: none */
int64_t expiry_session_deadline_ms(const struct replica *replica, const struct session *session);
static inline void expiry_heard(const struct replica *replica, struct session *session)
{
    session->heard_ms = replica->expiry.clock_ms;
}

/* auth.c */
void auth_init(struct connection *connection, struct mk_bytes address);
void auth_fini(struct connection *connection);
/* 0 or MK_ERR_AUTH_FAILED. */
int auth_add(struct replica *replica, struct connection *connection,
             const struct mk_auth_packet *packet);

/* reaper.c */
void reaper_run(struct replica *replica);
void wall_history_init(struct replica *replica); /* the clocks are known now */
/* The wall clock jumped; the clocks of the replica are still those before. */
void wall_history_jump(struct replica *replica, int64_t wall_ms);

/* snapshots.c */
void snapshot_init(struct replica *replica);
void snapshot_logged(struct replica *replica, size_t bytes); /* one more log entry */
void snapshot_maybe_begin(struct replica *replica);
void snapshot_next(struct replica *replica);
void snapshot_done(struct replica *replica, int32_t error);
/* The tree goes away. */
void snapshot_give_up(struct replica *replica);
void snapshot_fini(struct replica *replica);

/* stats.c */
static inline void stats_count(struct replica *replica, enum metric_counter counter)
{
    replica->stats.counters[counter]++;
}
static inline void stats_sample(struct replica *replica, enum metric_summary summary,
                                uint64_t value)
{
    mk_summary_add(&replica->stats.summaries[summary], value);
}
/* A frame to a client, of so many bytes without its length. */
void stats_sent(struct replica *replica, size_t bytes);
/* One sample serves the server and the kind of request; the connection has its own. */
void stats_replied(struct replica *replica, struct connection *connection,
                   enum metric_histogram latency, int32_t xid, int32_t op, int64_t zxid,
                   int64_t started_ms);
enum metric_histogram stats_latency_of(int32_t op);
void stats_digest(struct replica *replica, int64_t zxid);

#endif
