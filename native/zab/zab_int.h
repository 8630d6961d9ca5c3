/* SPDX-License-Identifier: MIT */
/* The state that the files of this layer share, and what each of them gives the others. One server
 * is in one role at a time: looking (elect.c), leader (lead_*.c) or learner (learn_*.c). */
#ifndef ZAB_ZAB_INT_H
#define ZAB_ZAB_INT_H

#include "base/arena.h"
#include "base/quiet.h"
#include "zab/history.h"
#include "zab/packet.h"
#include "zab/zab.h"

/* Deliberate bugs, compiled in for the simulator's tests only: it must find each of them
 * by itself. ZAB_MUTANT(n) is false in every other build. */
#ifdef MK_MUTANTS
extern int zab_mutant;
#define ZAB_MUTANT(number) (zab_mutant == (number))
#else
#define ZAB_MUTANT(number) false
#endif

#define EPOCH_MAX 0x7ffffff0 /* no stranger can push epochs to their end */

struct vote {
    int64_t leader, zxid, peer_epoch;
    int64_t round;
};

/* What was last heard of a voter in this election. */
struct ballot {
    bool known;
    enum zab_role state;
    struct vote vote;
};

struct election {
    bool due;     /* a round is to begin as soon as the disk is quiet and memory is whole */
    bool running; /* a round is under way */
    int64_t round;
    struct vote own; /* proposed now, or the one that the last election ended with */
    /* By index of the member: */
    struct ballot heard[QUORUM_MEMBERS_MAX];   /* while a round is due: the last message */
    struct ballot looking[QUORUM_MEMBERS_MAX]; /* votes of this round */
    struct ballot settled[QUORUM_MEMBERS_MAX]; /* of those that follow or lead */
    struct quorum_set up;                      /* election connections that stand */
    struct quorum_set waiting;                 /* were last heard looking */
    struct quorum_set disagreeing;             /* have another list of servers; it was said */
    int64_t repeat_ms, repeat_after_ms;        /* when votes are sent again; the interval */
    int64_t finalize_ms;                       /* 0, or the moment at which the winner is taken */
};

enum peer_phase {
    PEER_UNUSED,
    PEER_CONNECTED, /* its FOLLOWERINFO or OBSERVERINFO is awaited */
    PEER_INFO,      /* known; waits for a quorum that fixes the new epoch */
    PEER_EPOCH,     /* LEADERINFO was sent; its ACKEPOCH is awaited */
    PEER_PROMISED,  /* waits for a quorum of promises, or to be synchronized */
    PEER_SNAPSHOT,  /* the tree is streamed to it */
    PEER_SYNCING,   /* NEWLEADER was sent; its ACK is awaited */
    PEER_SYNCED,    /* acked; waits for a quorum */
    PEER_ACTIVE     /* UPTODATE was sent */
};

/* A link and, on the leader, the learner at its other end. */
struct peer {
    struct zab_link link;
    uint32_t number; /* the host's, of the link */
    enum peer_phase phase;
    bool votes, observer;
    bool promises; /* its ACKEPOCH counts for the quorum of promises */
    bool quiet;    /* no lines about its synchronization: it is one of many strangers */
    int64_t server;
    int64_t last_zxid, current_epoch; /* of its ACKEPOCH */
    struct mk_buffer behind;          /* what goes after the snapshot stream */
    int64_t forwarded;                /* proposals up to here are in its output */
    int64_t commit_sent;              /* COMMITs likewise */
    int64_t acked;                    /* proposals that it made durable */
    int64_t heard_ms;
    int64_t behind_since_ms; /* it owes an ACK since then; 0: it does not */
    uint64_t first_round;    /* of pings that it was sent; 0: none yet */
    uint64_t answers;        /* to pings, which come in order */
    char address[64];
};

/* A sync that the leader must let wait: for a quorum that still follows it, and for what was
 * proposed before. */
struct sync_wait {
    bool local;
    uint32_t link;
    uint64_t ticket;
    int64_t zxid;
    uint64_t ping_round;
};

struct sync_waits {
    struct sync_wait *items;
    size_t count, capacity;
};

struct leadership {
    int64_t epoch_asked; /* largest accepted epoch that was reported */
    int64_t epoch;       /* fixed: 1 + that; 0 before */
    bool epoch_durable, promised, epoch_current, established, stopping;
    int64_t summary_epoch, summary_zxid; /* own (currentEpoch, last zxid) when it began */
    uint64_t accepted_ticket, current_ticket;
    int64_t phase_deadline_ms; /* of the quorum that is waited for */
    int64_t ping_ms;
    uint64_t ping_round;
    int64_t proposed; /* the last zxid given away, epoch << 32 at first */
    int64_t proving;  /* a quorum has this: it followed when what comes before was proposed */
    struct sync_waits syncs;
};

enum learner_phase {
    LEARNER_CONNECTING,
    LEARNER_INFO,       /* FOLLOWERINFO was sent, LEADERINFO is awaited */
    LEARNER_PROMISING,  /* acceptedEpoch is being made durable */
    LEARNER_SYNC,       /* DIFF, TRUNC or SNAP is awaited */
    LEARNER_TRUNCATING, /* the cut is being made durable; then memory is loaded again if need be */
    LEARNER_SNAPSHOT,   /* the stream comes in */
    LEARNER_SIGNATURE,  /* it is loaded; its signature is awaited */
    LEARNER_INSTALLING, /* it is being made durable */
    LEARNER_HISTORY,    /* proposals until NEWLEADER */
    LEARNER_ADOPTING,   /* history, then currentEpoch, are being made durable */
    LEARNER_ADOPTED,    /* NEWLEADER was acked; UPTODATE is awaited */
    LEARNER_ACTIVE
};

struct learnership {
    enum learner_phase phase;
    bool linked;
    uint32_t link;
    int tries;
    int64_t retry_ms;   /* 0: no dial is due */
    int64_t epoch;      /* the leader's */
    int64_t sync_zxid;  /* of TRUNC or SNAP */
    int64_t committed;  /* as told by the leader; zab->committed follows at UPTODATE */
    int64_t acked;      /* ACKs up to here were sent */
    int64_t ping_zxid;  /* of the last PING */
    uint64_t ticket;    /* of the disk step that is waited for */
    bool wants_tree;    /* the leader's TRUNC lies below what the disk can be cut to */
    bool dirty;         /* memory was begun anew and is not whole: it must be loaded again */
    bool loading;       /* the host has snapshot input */
    int32_t starved;    /* bytes of the stream that were too few for it */
    int64_t serve_from; /* clients are served when memory has this */
    int64_t deadline_ms;
};

/* When `ticket` is done, the log up to `zxid` is durable. */
struct append_mark {
    uint64_t ticket;
    int64_t zxid;
};

struct zab {
    struct zab_options options;
    struct mk_buffer config;
    enum zab_role role;
    enum zab_phase phase;
    bool serving, started, stopped;
    bool reloading; /* the host loads memory again; looking waits for it */
    int64_t now_ms;
    int64_t accepted_epoch; /* durable, or being written: no vote is cast before that is done */
    int64_t current_epoch;  /* durable */
    int64_t epoch_writing;  /* the next current_epoch, with epoch_ticket; 0: none */
    uint64_t epoch_ticket;
    bool trusted;      /* may vote */
    int64_t persisted; /* own log up to here is durable */
    int64_t floor;     /* zxid of the snapshot that the log begins with */
    int64_t applied, apply_to;
    int64_t committed;
    uint64_t ticket_issued, ticket_done;
    struct append_mark *appends; /* under way, a ring */
    uint32_t append_capacity, append_first, append_count;
    struct history history;
    struct election election;
    struct leadership lead;
    struct learnership learn;
    struct peer **peers; /* by link number */
    uint32_t peer_capacity;
    struct zab_counts counts;
    struct mk_quiet drops; /* lines about links of those that have no vote */
    struct mk_quiet joins; /* lines about those that come and have no vote */
    struct zab_update *update;
    struct mk_arena arena;
};

#define ZAB_TRACE(zab, level, ...) mk_trace((zab)->options.trace, level, "zab", __VA_ARGS__)

/* --- role.c: what every role needs ------------------------------------------------------------ */

/* Last transaction in the log, durable or on its way there. */
static inline int64_t zab_last_logged(const struct zab *zab)
{
    return history_last(&zab->history);
}

/* Ends the role: closes links, forgets what was not durable, and looks for a leader as soon as the
 * disk is quiet (hazards 2845 and 4712). */
void look_again(struct zab *zab, const char *format, ...) MK_PRINTF(2, 3);
/* The same at a stop, after which no election begins. `remark` ends the line for the operator. */
void leave(struct zab *zab, enum mk_level level, const char *remark);
void role_enter(struct zab *zab, enum zab_role role, enum zab_phase phase);
void serve(struct zab *zab, bool serving);
/* Memory shall have the log up to `zxid`. */
void apply_up_to(struct zab *zab, int64_t zxid);
/* Memory is to be loaded from the disk again. */
void reload(struct zab *zab);
void deliver(struct zab *zab, const struct zab_delivery *delivery);
struct sync_wait *sync_wait_add(struct sync_waits *waits);
int member_index(const struct zab *zab, int64_t server); /* -1: no member */
int64_t ticks_ms(const struct zab *zab, int32_t ticks);

/* --- disk.c: the one ordered sequence of steps ------------------------------------------------ */

/* All but appends; returns the ticket. */
uint64_t disk_step(struct zab *zab, enum zab_disk_type type, int64_t zxid_or_epoch);
/* Into history and log; MK_ASSERT(history_follows). */
void disk_append(struct zab *zab, int64_t zxid, struct mk_bytes bytes);
/* The log, cut or replaced: `zxid` is its end. */
uint64_t disk_truncate(struct zab *zab, int64_t zxid);
uint64_t disk_install(struct zab *zab, int64_t zxid);
void disk_done(struct zab *zab, uint64_t ticket);
static inline bool disk_idle(const struct zab *zab)
{
    return zab->ticket_done == zab->ticket_issued;
}

/* --- link.c: links and packets out ------------------------------------------------------------ */

struct peer *link_open(struct zab *zab, uint32_t link);
struct peer *link_find(struct zab *zab, uint32_t link); /* NULL also when it is closing */
void link_touch(struct zab *zab, struct peer *peer);
void link_send(struct zab *zab, struct peer *peer, int32_t type, int64_t zxid,
               struct mk_bytes data);
/* Into whatever buffer: `peer` may still be fed a snapshot. */
void packet_send(struct zab *zab, struct peer *peer, struct mk_buffer *buffer,
                 const struct packet *packet);
/* Closes it for a reason that an operator can use. */
void link_drop(struct zab *zab, struct peer *peer, const char *format, ...) MK_PRINTF(3, 4);
void link_forget(struct zab *zab, uint32_t link); /* at ZAB_LINK_DOWN */
void links_close(struct zab *zab);
void links_free(struct zab *zab);

/* --- elect.c ---------------------------------------------------------------------------------- */

void elect_later(struct zab *zab); /* a round is due; votes are kept until it begins */
void elect_begin(struct zab *zab);
void elect_message(struct zab *zab, int64_t server, struct mk_bytes bytes);
void elect_peer_up(struct zab *zab, int64_t server);
void elect_peer_down(struct zab *zab, int64_t server);
void elect_tick(struct zab *zab);
/* The moment of the next elect_tick; INT64_MAX when none is due. */
int64_t elect_deadline(const struct zab *zab);
/* After the winner serves: late joiners see its epoch in everybody's vote (hazard 1732). */
void elect_settled(struct zab *zab, int64_t epoch);
int vote_read(struct mk_bytes bytes, enum zab_role *state, struct vote *vote); /* vote.c */
void vote_send(struct zab *zab, int64_t server);
bool vote_beats(const struct zab *zab, const struct vote *a, const struct vote *b);
/* Tells once when the list of servers in a notification is another one (lists.c). */
void lists_compare(struct zab *zab, int64_t server, struct mk_bytes bytes);

/* --- lead_*.c: called while leading ----------------------------------------------------------- */

void lead_begin(struct zab *zab); /* lead.c */
void lead_accepted(struct zab *zab, struct peer *peer, struct mk_bytes address);
void lead_packet(struct zab *zab, struct peer *peer, const struct packet *packet);
void lead_disk_done(struct zab *zab);
void lead_applied(struct zab *zab);
void lead_peer_gone(struct zab *zab, struct peer *peer);
void lead_tick(struct zab *zab);
int64_t lead_deadline(const struct zab *zab);
void lead_stop(struct zab *zab);
void lead_end(struct zab *zab);
/* This server and the voters for which `counts` is true are a quorum. */
bool lead_quorum_in(const struct zab *zab, bool (*counts)(const struct peer *peer));

void lead_info(struct zab *zab, struct peer *peer, const struct packet *packet);
void lead_promise(struct zab *zab, struct peer *peer, const struct packet *packet);
void lead_discover_progress(struct zab *zab); /* lead_discover.c */

/* Where the next packet for it goes: behind a tree, while that is still being sent. */
static inline struct mk_buffer *peer_output(struct peer *peer)
{
    return peer->phase == PEER_SNAPSHOT ? &peer->behind : &peer->link.output;
}

void lead_sync_begin(struct zab *zab, struct peer *peer); /* lead_sync.c */
void lead_snapshot_bytes(struct zab *zab, struct peer *peer, struct mk_bytes bytes, bool last);
void lead_sync_ack(struct zab *zab, struct peer *peer, int64_t zxid);
void lead_sync_progress(struct zab *zab);

void lead_submit(struct zab *zab, int64_t zxid, struct mk_bytes bytes); /* lead_broadcast.c */
void lead_ack(struct zab *zab, struct peer *peer, int64_t zxid);
/* Proposals and what is committed, as far as `peer` may have them by now. */
void lead_forward(struct zab *zab, struct peer *peer);
void lead_commit_progress(struct zab *zab);

void lead_ping_round(struct zab *zab); /* lead_confirm.c */
void lead_ping_answer(struct zab *zab, struct peer *peer, const struct packet *packet);
void lead_sync_request(struct zab *zab, struct peer *peer, uint64_t ticket);
void lead_syncs_progress(struct zab *zab);
/* Where a commit up to `limit` must stop, so that an answer to a sync stands between the commits
 * before it and those behind; `limit` if nowhere. */
int64_t lead_next_sync(const struct zab *zab, int64_t limit);

/* --- learn_*.c: called while following or observing ------------------------------------------- */

void learn_begin(struct zab *zab); /* learn.c */
void learn_connected(struct zab *zab, struct peer *peer);
void learn_refused(struct zab *zab);
void learn_packet(struct zab *zab, struct peer *peer, const struct packet *packet);
/* Over a new connection, what the log cannot be cut to: the leader's tree. */
void learn_ask_tree(struct zab *zab, const char *reason);
/* Whether the next packet may be read: not while the disk is waited for. */
bool learn_reads(const struct zab *zab);
void learn_disk_done(struct zab *zab);
void learn_progress(struct zab *zab); /* acknowledges, applies and serves what can be */
void learn_tick(struct zab *zab);
int64_t learn_deadline(const struct zab *zab);
void learn_end(struct zab *zab);
/* What it hears from the leader keeps it waiting for another `ticks`. */
void learn_wait(struct zab *zab, int32_t ticks);

void learn_sync_packet(struct zab *zab, const struct packet *packet); /* learn_sync.c */
/* Takes what it can of the stream and its signature; returns the bytes consumed. */
size_t learn_snapshot_input(struct zab *zab, struct mk_bytes bytes);
void learn_snapshot_taken(struct zab *zab, const struct zab_event *event);
void learn_sync_disk_done(struct zab *zab);
void learn_reloaded(struct zab *zab, int64_t zxid);

/* A transaction of the leader: false when the link had to be given up. learn_broadcast.c */
bool learn_proposal(struct zab *zab, const struct packet *packet);
bool learn_commit(struct zab *zab, int64_t zxid);
void learn_broadcast_packet(struct zab *zab, struct peer *peer, const struct packet *packet);

#endif
