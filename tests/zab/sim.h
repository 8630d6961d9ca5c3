/* SPDX-License-Identifier: MIT */
/* Whole ensembles of the ZAB step machine in one process, on one virtual clock, driven by one seed.
 * Everything random is drawn from that seed, so a seed replays the same trace, bit for bit.
 *
 *   sim.c       event heap, safety phase, heal, liveness
 *   setup.c     draws an ensemble, its options and its faults (swarm)
 *   node.c      what a host does for its zab: feed events, perform updates, apply, reload
 *   stream.c    snapshots on their way through a link: sent in slices, loaded in pieces
 *   image.c     what is on a node's disk: steps in order, crash, recovery
 *   wire.c      links: byte streams with delay, fragments, cuts, half-open ends
 *   post.c      election connections: the newest vote replaces an unsent one
 *   fault.c     crashes, pauses, partitions, clogs, slow disks, wiped disks
 *   stranger.c  who is no member, on the ports of a server
 *   workload.c  clients: submits, forwarded requests, syncs; what they were promised
 *   tap.c       reads each packet that leaves: promise before word, order, reach marks
 *   ballot.c    reads each vote that leaves or arrives: who may vote for whom, who may win
 *   check.c     the committed history, and the invariants that hold at every step
 *   main.c      seeds, options, the verdict; mutants.c: the same over the planted bugs */
#ifndef TESTS_ZAB_SIM_H
#define TESTS_ZAB_SIM_H

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"
#include "zab/packet.h"
#include "zab/zab.h"

#define NODES_MAX 10
#define WIRES_MAX 512
#define NUMBERS_MAX 128 /* links of one node at a time */
#define CELLS 8
#define NEVER (INT64_MAX / 4)

#define EPOCH_OF(zxid) ((int64_t)((uint64_t)(zxid) >> 32))
#define COUNTER_OF(zxid) ((uint32_t)(zxid))

struct sim;
struct node;

/* --- toy state machine ------------------------------------------------------------------------ */

/* A state of a few cells, each with the last transaction that it saw. A transaction changes one
 * cell, and a cell skips what it has seen, as a tree does when a fuzzy snapshot is replayed. */
struct cell {
    int64_t zxid;
    uint64_t hash;
};

struct machine {
    struct cell cells[CELLS];
    int64_t applied; /* may be the beginning of an epoch, which belongs to no transaction */
    int64_t last;    /* the last transaction at or before `applied` */
};

void machine_apply(struct machine *machine, int64_t zxid, uint64_t id);
uint64_t machine_digest(const struct machine *machine);
int64_t machine_newest(const struct machine *machine);

/* --- transactions ----------------------------------------------------------------------------- */

struct txn { /* its id is its index in sim->txns */
    int64_t zxid;
    int64_t previous; /* the one before it in the log of the leader that proposed it */
    uint32_t session, sequence, length;
    bool committed, acked;
};

/* One submitter on one connection: what it sent is committed as a prefix. */
struct session {
    uint8_t origin;
    uint32_t sent, committed;
};

struct request {
    uint32_t session, sequence, length;
};

/* --- disk ------------------------------------------------------------------------------------- */

struct record {
    int64_t zxid;
    uint64_t id;
};

struct image {
    bool empty; /* wiped: no snapshot, no promise */
    struct machine snapshot;
    struct record *log;
    size_t count, capacity;
    int64_t accepted, current, prepared;
};

struct disk_job {
    enum zab_disk_type type;
    uint64_t ticket;
    struct record record;
    const uint8_t *data; /* zab's: must still be there when the write is done */
    int64_t zxid, epoch;
    struct machine snapshot;
};

struct disk {
    struct image image;
    struct image gone; /* what it held when it was wiped: words of that life may be under way */
    bool wiped;
    bool adopted; /* since then it took over a leader's history */
    struct disk_job *jobs;
    size_t first, count, capacity;
    size_t batch; /* jobs under way; 0: idle */
    int64_t slow_until;
    uint64_t unreported; /* ticket that is done but was not told yet */
};

/* --- links ------------------------------------------------------------------------------------ */

/* Follows the packets of one direction. */
struct tap {
    bool stream;        /* inside a snapshot */
    uint64_t skip;      /* bytes of it that are left; 0: its header is awaited */
    bool new_leader;    /* NEWLEADER was seen */
    bool up_to_date;    /* UPTODATE was seen */
    int64_t epoch;      /* of LEADERINFO */
    int64_t base;       /* of DIFF, TRUNC or SNAP */
    int64_t base_last;  /* the last transaction at or before it, in the leader's log */
    int64_t proposed;   /* last PROPOSAL or INFORM */
    int64_t committed;  /* last COMMIT or INFORM behind NEWLEADER */
    int64_t must_hold;  /* committed by what was sent before NEWLEADER */
    bool acked_leader;  /* ACK of NEWLEADER was seen */
    bool snapshot_sync; /* SNAP was chosen */
};

struct direction {
    struct mk_buffer held;  /* the host took it, the kernel did not yet */
    struct mk_buffer bytes; /* in the kernel, or on the way */
    bool scheduled;
    bool ended; /* after the bytes comes the end */
    int64_t stuck_until;
    size_t watched;  /* of zab's output that the tap has seen */
    bool backlog;    /* ZAB_LINK_DRAINED is owed */
    bool was_paused; /* zab did not read from this end */
    struct tap tap;
};

enum end_state { END_OPENING, END_OPEN, END_CLOSING, END_CLOSED };

struct wire { /* end 0 dialled */
    bool used;
    uint32_t generation;
    uint8_t node[2];
    uint32_t number[2];
    enum end_state state[2];
    struct direction direction[2]; /* [i]: from end i */
    struct mk_buffer inbox[2];     /* arrived at end i, not consumed */
};

struct post { /* election messages from a to b */
    bool up;  /* as a sees it */
    bool flying, waiting;
    struct mk_buffer message, next;
};

/* --- nodes ------------------------------------------------------------------------------------ */

struct stream {
    bool used;
    uint32_t link;
    uint16_t wire;
    uint32_t generation;
    uint32_t sent; /* cells */
    uint32_t padding;
    struct mk_buffer bytes; /* made, not handed over */
};

/* What a server was told last by another one in an election. */
struct heard {
    bool known;
    uint32_t state;
    int64_t leader, round;
};

struct sync_request {
    bool local;
    uint64_t ticket;
    int64_t must_show; /* newest acknowledged zxid when it was asked for */
    int64_t shows;     /* what the answer waits for in memory; -1: not answered yet */
};

struct node {
    struct sim *sim;
    uint8_t index;
    int64_t id;
    bool observer;
    bool up;
    uint32_t life;
    struct mk_trace trace;
    struct zab *zab;
    struct zab_update update;
    struct zab_status status;
    bool stepping;

    int64_t clock_base, clock_origin;
    int32_t drift; /* in 1/1000 */
    int64_t last_now;
    int64_t tick_at; /* when a tick event is due */
    int64_t paused_until;
    uint32_t hurries; /* ticks in a row that asked for another one at once */

    struct disk disk;
    struct machine memory;
    bool memory_valid, reloading, snapshot_loading;
    int64_t apply_to;
    bool apply_scheduled;
    int64_t checked_applied; /* digest was compared there */

    uint32_t dial;       /* generation of dials */
    int64_t dialling_to; /* ZAB_NOBODY: no dial under way */
    struct {
        uint16_t wire;
        uint8_t end;
        bool used;
        bool stranger; /* of no wire */
    } links[NUMBERS_MAX];
    bool stranger_talks;
    size_t stranger_consumed; /* of what it sent last */
    uint16_t fed_wire;        /* the last one whose bytes were fed */
    uint8_t fed_end;
    uint32_t fed_generation;
    uint16_t learner_wire; /* the one that it dialled last */
    uint32_t learner_generation;

    struct mk_buffer input; /* update.snapshot_input, copied */
    bool input_waiting;
    struct machine loaded;
    uint64_t loaded_bytes, loaded_total;
    struct stream streams[NUMBERS_MAX];

    struct request *queue; /* leader: not proposed yet */
    size_t queue_count, queue_capacity;
    bool submit_scheduled;
    uint32_t proposed_unapplied;
    uint32_t session; /* of its own submits; UINT32_MAX: none */
    uint16_t session_wire;
    uint32_t session_generation;
    struct sync_request syncs[64];
    size_t sync_count;
    uint64_t next_ticket;
    bool was_serving;
    enum zab_role was_role;
    int64_t led_epoch; /* in which it was established last */
    bool stop_asked;
    struct heard heard[NODES_MAX];
    int64_t round;  /* of its last vote while looking */
    bool lost;      /* stays down for ever after the heal */
    uint64_t turns; /* elections that it began since the heal */
};

/* --- events ----------------------------------------------------------------------------------- */

enum event_type {
    EVENT_START,
    EVENT_TICK,
    EVENT_DISK,
    EVENT_APPLY,
    EVENT_RELOAD,
    EVENT_STREAM,
    EVENT_TAKEN,
    EVENT_ANSWER,
    EVENT_SUBMIT,
    EVENT_WORK,
    EVENT_DIAL,
    EVENT_REFUSED,
    EVENT_ACCEPT,
    EVENT_WIRE,
    EVENT_CLOSED,
    EVENT_CUT,
    EVENT_PAIR,
    EVENT_PEER_UP,
    EVENT_PEER_DOWN,
    EVENT_POST,
    EVENT_FAULT,
    EVENT_KILL,
    EVENT_RESUME,
    EVENT_TYPES
};

struct event {
    int64_t time;
    uint64_t sequence;
    uint8_t type;
    uint8_t node, other;
    uint16_t index; /* wire, stream or fault */
    uint32_t life;  /* of the node, wire or pair: stale events are dropped */
};

enum fault_type {
    FAULT_CRASH,
    FAULT_CRASH_ALL,
    FAULT_CRASH_LEADER,
    FAULT_STOP,
    FAULT_PAUSE,
    FAULT_CUT,
    FAULT_CUT_VOTES,
    FAULT_CLOG,
    FAULT_ISOLATE,
    FAULT_PARTITION,
    FAULT_ONE_WAY,
    FAULT_BRIDGE,
    FAULT_SLOW_DISK,
    FAULT_WIPE,
    FAULT_AIM,
    FAULT_STRANGER,
    FAULT_TYPES
};

/* The next packet or disk step of a kind ends the server that sends, receives or makes it, or cuts
 * the link. */
struct aim {
    bool armed, disk, receiver, cut;
    int32_t type;
    uint32_t skip;
};

enum mark {
    MARK_ELECTIONS, /* a leader was established */
    MARK_LEADER_CHANGES,
    MARK_DIFF,
    MARK_TRUNC,
    MARK_SNAP,
    MARK_EMPTY_DIFF,
    MARK_ROLLOVERS,
    MARK_GONE, /* a leader lost a learner */
    MARK_RELOADS,
    MARK_COMMITS,
    MARK_FORWARDED,
    MARK_SYNCS,
    MARK_CRASHES,
    MARK_PAUSES,
    MARK_PARTITIONS,
    MARK_TORN, /* a crash kept part of a write under way */
    MARK_WIPES,
    MARK_INFORM,
    MARK_EPOCH_RAISED, /* recovery found history of an epoch that was not taken over */
    MARK_STOPS,
    MARK_AIMED,            /* crashes at a chosen packet or disk step */
    MARK_DAMAGED,          /* disks whose log is not to be trusted, with their epochs */
    MARK_REPAIRED,         /* of those and wiped ones: got a snapshot */
    MARK_MINORITY,         /* runs that ended without some of the servers */
    MARK_STRANGERS,        /* came to the ports of a server */
    MARK_HEALED_ELECTIONS, /* established after all was healed */
    MARKS
};

struct commit {
    int64_t zxid;
    uint64_t id;
    uint64_t digest;
};

struct reign { /* an established leader */
    int64_t epoch, submitted;
    uint8_t leader;
    uint32_t life;
};

struct plan { /* drawn per seed */
    int64_t safety_ms;
    int64_t fault_every_ms[FAULT_TYPES]; /* 0: never */
    int64_t latency_ms, jitter_ms, disk_ms;
    uint32_t kernel_bytes, fragment; /* fragment: 0 whole, 1 halves, 2 single bytes now and then */
    bool host_takes_all, refuses_when_idle, big_payloads;
    int64_t work_every_ms;
    uint32_t burst;
    bool restore_none, compacts;
    int32_t drift_max;
};

struct sim {
    uint64_t seed;
    bool print;
    struct mk_rand rand;
    int64_t now;
    uint64_t sequence;
    struct event *heap;
    size_t heap_count, heap_capacity;
    uint64_t trace;
    uint64_t events, steps;
    uint64_t marks[MARKS];
    bool failed;
    char check[24], failure[400];

    struct plan plan;
    bool healed, quiet;
    int64_t healed_at;       /* when the last fault ends */
    uint64_t healed_commits; /* as many were committed then */
    struct aim aim;
    struct zab_options options;
    struct mk_buffer config;
    struct node nodes[NODES_MAX];
    uint8_t node_count;
    struct post posts[NODES_MAX][NODES_MAX];
    uint32_t pair_generation[NODES_MAX][NODES_MAX];
    bool pair_scheduled[NODES_MAX][NODES_MAX];
    int64_t blocked_until[NODES_MAX][NODES_MAX]; /* from, to */
    struct wire wires[WIRES_MAX];
    uint32_t wipes;

    struct txn *txns;
    size_t txn_count, txn_capacity;
    struct session *sessions;
    size_t session_count, session_capacity;
    struct commit *commits; /* commits[0] is where all began */
    size_t commit_count, commit_capacity;
    struct machine truth; /* after the last commit */
    int64_t acked;        /* newest zxid that any client was told of */
    struct reign *reigns; /* in the order of their becoming */
    size_t reign_count, reign_capacity;
    int64_t epoch_newest;
    int8_t last_leader;
    struct mk_buffer scratch, chain;
};

/* sim.c */
void sim_run(struct sim *sim, uint64_t seed, bool print);
void sim_fini(struct sim *sim);
void sim_schedule(struct sim *sim, int64_t delay, struct event event);
uint64_t sim_below(struct sim *sim, uint64_t limit); /* 0 for limit 0 */
bool sim_one_in(struct sim *sim, uint64_t n);
void sim_fail(struct sim *sim, const char *check, const char *format, ...) MK_PRINTF(3, 4);
void sim_say(struct sim *sim, const struct node *node, const char *format, ...) MK_PRINTF(3, 4);
static inline void sim_trace(struct sim *sim, uint64_t value)
{
    sim->trace = mk_hash_u64(value, sim->trace);
}

/* setup.c */
void setup_draw(struct sim *sim);

/* node.c */
void node_start(struct node *node);
void node_crash(struct node *node, bool silent);
int64_t node_now(struct node *node);
void node_feed(struct node *node, struct zab_event *event);
void node_tick(struct node *node);
void node_apply(struct node *node);
void node_reload(struct node *node);
void node_free(struct node *node);

/* stream.c */
void stream_begin(struct node *node, uint32_t link);
void stream_slice(struct node *node, uint16_t slot);
void stream_input(struct node *node, struct mk_bytes bytes);
void stream_taken(struct node *node);
void stream_reset(struct node *node);
/* Bytes of a whole stream, told by its header. */
#define STREAM_HEADER 8
uint64_t stream_length(const uint8_t *header);

/* image.c */
int64_t image_last(const struct image *image);
bool image_holds(const struct image *image, int64_t zxid, uint64_t id);
/* Likewise, or held it before it was wiped. */
bool disk_held(const struct disk *disk, int64_t zxid, uint64_t id);
/* As image_holds, whichever transaction that is. */
bool image_covers(const struct image *image, int64_t zxid);
/* First record behind `zxid`; NULL if there is none. */
const struct record *image_after(const struct image *image, int64_t zxid);
void image_replay(const struct image *image, struct machine *machine);
/* As image_last, but never the beginning of an epoch, which belongs to no transaction. */
int64_t image_last_transaction(const struct image *image);
void disk_queue_step(struct node *node, const struct zab_disk_step *step);
void disk_begin(struct node *node);
void disk_write_done(struct node *node);
void disk_crash(struct node *node);
/* Durable or in the queue: the first behind `zxid`. */
bool disk_logged_after(const struct node *node, int64_t zxid, struct record *record);
/* Likewise: the last one at or before `zxid`. */
int64_t disk_transaction_at(const struct node *node, int64_t zxid);

/* wire.c */
void wire_dial(struct node *node, int64_t server);
void wire_dialled(struct node *node, uint8_t target, uint32_t dial);
void wire_refused(struct node *node, uint32_t dial);
void wire_accept(struct sim *sim, uint16_t index);
void wire_step(struct sim *sim, uint16_t index, uint8_t end);
void wire_closed(struct sim *sim, uint16_t index, uint8_t end);
void wire_touched(struct node *node, uint32_t number);
void wire_feed(struct sim *sim, uint16_t index, uint8_t end);
void wire_consumed(struct node *node, size_t count);
void wire_cut(struct sim *sim, uint16_t index);
void wires_crash(struct node *node, bool silent);
void wires_resume(struct node *node);
void wires_free(struct sim *sim);

/* post.c */
void post_send(struct node *node, int64_t server, struct mk_bytes message);
void post_arrive(struct sim *sim, uint8_t from, uint8_t to, uint32_t generation);
void post_pair(struct sim *sim, uint8_t a, uint8_t b);
void post_up(struct sim *sim, uint8_t a, uint8_t b, uint32_t generation);
void post_down(struct sim *sim, uint8_t a, uint8_t b, uint32_t generation);
void post_cut(struct sim *sim, uint8_t a, uint8_t b, int64_t delay);
void post_schedule(struct sim *sim, uint8_t a, uint8_t b, int64_t delay);
void posts_crash(struct node *node, bool silent);

/* stranger.c */
void stranger_come(struct node *node);

/* fault.c */
void fault_schedule(struct sim *sim, enum fault_type type);
void fault_happen(struct sim *sim, enum fault_type type);
void fault_heal(struct sim *sim);
void fault_kill(struct node *node);
bool fault_blocked(const struct sim *sim, uint8_t from, uint8_t to);

/* workload.c */
void work_step(struct node *node);
void work_submit(struct node *node);
void work_queue(struct node *node, const struct request *request);
void work_delivery(struct node *node, const struct zab_delivery *delivery);
void work_answer(struct node *node, uint16_t index, uint8_t generation);
void work_applied(struct node *node, int64_t zxid, uint64_t id);
void work_syncs(struct node *node);
void work_serving_changed(struct node *node);
void work_compact(struct node *node);
void payload_make(struct sim *sim, uint64_t id, struct mk_buffer *buffer);
/* The transaction that the bytes are; UINT64_MAX when they are none. */
uint64_t payload_id(const struct sim *sim, const uint8_t *data, size_t length);
bool payload_whole(const struct sim *sim, uint64_t id, const uint8_t *data, size_t length);

/* tap.c */
void tap_output(struct node *node, struct wire *wire, uint8_t end, const uint8_t *data,
                size_t length, size_t *used);
/* A quorum's disks hold these epochs and data that may be trusted. */
bool tap_quorum_promised(const struct sim *sim, int64_t accepted, int64_t current);
/* A packet or disk step of that kind happens; no wire: a disk step. */
void tap_aim(struct node *node, const struct wire *wire, bool disk, int32_t type);

/* ballot.c */
void ballot_sent(struct node *node, struct mk_bytes message);
void ballot_arrived(struct node *node, uint8_t from, struct mk_bytes message);
/* It was looking and is no more. */
void ballot_decided(struct node *node);

/* check.c */
void check_step(struct node *node);
void check_applying(struct node *node, int64_t zxid, uint64_t id);
/* A leader gives `zxid` to a new transaction. */
void check_submit(struct node *node, int64_t zxid);
void check_append(struct node *node, int64_t zxid, uint64_t id);
void check_dropping(struct node *node, int64_t keep);
void check_epochs(struct node *node, int64_t accepted, int64_t current);
/* currentEpoch becomes `epoch`. */
void check_taking_over(struct node *node, int64_t epoch);
bool check_quorum(const struct sim *sim, const bool *members);
/* Number of the last commit at or before `zxid`. */
size_t check_commit_at(const struct sim *sim, int64_t zxid);
void check_end(struct sim *sim);
bool check_converged(const struct sim *sim);
const char *mark_name(enum mark mark);

/* mutants.c: exit code of the table over all planted bugs, each up to `seeds` seeds. */
int mutants_run(uint64_t first, uint64_t seeds);

#endif
