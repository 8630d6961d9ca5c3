/* SPDX-License-Identifier: MIT */
/* ZooKeeper's atomic broadcast as a step machine: events in, one update out (zab_step). It elects
 * a leader, brings the learners to the leader's history and then spreads transactions, byte for
 * byte as Apache ZooKeeper 3.8 and 3.9 do on their election and quorum ports (quorum-protocol
 * reference). A transaction is opaque bytes with a zxid. No clock, chance, socket, file or global:
 * the host (or the simulator) brings time, bytes and news of the disk, and performs the update.
 *
 * The host's loop:
 *   1. for each thing that happened, zab_step(zab, &event, &update);
 *   2. perform the update before the next step: its parts are independent of each other, because
 *      whatever must wait for the disk is produced only by the step that hears of ZAB_DISK_DONE;
 *   3. call again with ZAB_TICK at update.deadline_ms at the latest.
 *
 * The log has one owner: all that zab wants of the disk is one ordered sequence of steps with
 * rising tickets. A step that fails ends the server (a failed fsync is never retried).
 *
 * Memory follows the disk: a transaction may be applied (update.apply_to) only when it is durable
 * here, so what memory holds is never more than what the log holds. It may run ahead of what is
 * committed only while this server serves nobody (`serving` false); if the new leader does not
 * know it, the host is told to load memory again (update.reload). */
#ifndef ZAB_ZAB_H
#define ZAB_ZAB_H

#include "base/buffer.h"
#include "base/trace.h"
#include "zab/quorum.h"

struct zab;

#define ZAB_NOBODY INT64_MIN /* no server: what observers vote for */

struct zab_options {
    int64_t id;               /* of this server, 1..254 */
    bool observer;            /* learns, never votes */
    struct quorum quorum;     /* the members; copied */
    struct mk_bytes config;   /* their text (/zookeeper/config), told to peers; copied */
    int32_t tick_time_ms;     /* as in zoo.cfg */
    int32_t init_limit_ticks; /* for discovery and synchronization */
    int32_t sync_limit_ticks; /* for a peer that is silent in broadcast */
    /* Recent transactions kept in memory for learners that come back: at most this many and these
     * bytes, but always those that are not yet durable, committed and applied. */
    uint32_t history_entries_max;
    size_t history_bytes_max;
    size_t packet_bytes_max;     /* one transaction or request; longer: the link is closed */
    size_t learner_output_max;   /* a learner that falls this far behind is dropped */
    int32_t notification_min_ms; /* votes are repeated after this, doubling */
    int32_t notification_max_ms; /* up to this */
    int32_t finalize_wait_ms;    /* for a better vote, unless all reachable voters agree */
    /* The last counter of an epoch, then comes the next one; as Apache's by default. */
    uint32_t counter_max;
    /* Whether `entry` can be the transaction `zxid`; a leader that proposes another is left. NULL:
     * whatever it is, it fits. */
    bool (*entry_fits)(int64_t zxid, struct mk_bytes entry);
    const struct mk_trace *trace; /* may be NULL */
};

/* Fills in the defaults; id, quorum and config stay to be set. */
void zab_options_init(struct zab_options *options);

/* Never NULL. The options are copied as they say; the trace is borrowed until zab_free. Nothing
 * happens before ZAB_START. */
struct zab *zab_new(const struct zab_options *options);
void zab_free(struct zab *zab);

/* --- events ----------------------------------------------------------------------------------- */

enum zab_event_type {
    ZAB_START, /* once: `state` is what the disk holds */
    ZAB_TICK,  /* time went by */
    ZAB_STOP,  /* graceful: a leader proposes no more, lets what is under way commit, and leaves */

    /* Election connections: one to each server, of whichever side dialled. */
    ZAB_PEER_UP,      /* `server` can be told votes */
    ZAB_PEER_DOWN,    /* `server` */
    ZAB_PEER_MESSAGE, /* `server`, `bytes`: one message, without its length */

    /* Links between leader and learner. The host chooses the numbers (small, dense; free again
     * after the ZAB_LINK_DOWN step). */
    ZAB_LINK_ACCEPTED,  /* `link`, `bytes` = address, for messages: somebody dialled us */
    ZAB_LINK_CONNECTED, /* `link`: update.connect_to was reached */
    ZAB_LINK_REFUSED,   /* update.connect_to was not reached */
    ZAB_LINK_BYTES,     /* `link`, `bytes`: what has not been consumed yet; see update.consumed */
    ZAB_LINK_DOWN,      /* `link`: closed, for whatever reason */
    ZAB_LINK_DRAINED,   /* `link`: its output was sent; a slow learner may catch up */

    ZAB_DISK_DONE, /* all steps up to `ticket` are on stable storage */
    ZAB_APPLIED,   /* memory has all up to `zxid` (at most update.apply_to) */
    ZAB_RELOADED,  /* update.reload was done: memory is what the disk holds, up to `zxid` */
    /* `count` bytes of update.snapshot_input were loaded (0: a piece of a record; the same bytes
     * come again with more); `flag`: that was all. */
    ZAB_SNAPSHOT_TAKEN,
    ZAB_SNAPSHOT_BYTES, /* `link`, `bytes`: next part of the stream for it; `flag`: that was all */

    ZAB_SUBMIT, /* leader: a transaction, `zxid` = zab_next_zxid, `bytes` */
    ZAB_SYNC,   /* leader: tell by ZAB_SYNC_DONE (with `ticket`) when a read would be linearizable;
                 * with `flag` instead the learner at `link`, which has asked by a REQUEST */
    ZAB_SEND    /* learner to leader, or leader to `link`: `packet_type` and `bytes` of ours, see
                 * zab_delivery; with `identities` for a REQUEST */
};

/* What a start finds on the disk. */
struct zab_state {
    int64_t last_zxid;      /* last transaction of log or snapshot; -1: not to be trusted (damaged,
                             * or empty without permission): this server does not vote */
    int64_t snapshot_zxid;  /* of its snapshot: the log cannot be cut below it; 0 without one */
    int64_t accepted_epoch; /* highest promised */
    int64_t current_epoch;  /* whose history was taken over */
};

struct zab_event {
    enum zab_event_type type;
    int64_t now_ms; /* monotonic, never backward */
    int64_t server;
    uint32_t link;
    int64_t zxid;
    uint64_t ticket;
    size_t count;
    bool flag;
    bool failed; /* ZAB_SNAPSHOT_TAKEN: these bytes are no tree */
    int32_t packet_type;
    struct mk_bytes bytes;      /* borrowed for the call */
    struct mk_bytes identities; /* encoded vector<Id>; null writes null */
    struct zab_state state;
};

/* --- update ----------------------------------------------------------------------------------- */

enum zab_role { ZAB_LOOKING = 0, ZAB_FOLLOWING = 1, ZAB_LEADING = 2, ZAB_OBSERVING = 3 };

enum zab_disk_type {
    ZAB_DISK_APPEND,          /* `entry` */
    ZAB_DISK_TRUNCATE,        /* drop all transactions and snapshots beyond `zxid` */
    ZAB_DISK_ACCEPTED_EPOCH,  /* `epoch` into acceptedEpoch */
    ZAB_DISK_PREPARE_EPOCH,   /* `epoch` into currentEpoch.tmp: transactions of it may follow */
    ZAB_DISK_CURRENT_EPOCH,   /* `epoch` into currentEpoch */
    ZAB_DISK_INSTALL_SNAPSHOT /* what memory holds, as the snapshot `zxid`; nothing older counts */
};

struct zab_entry {
    int64_t zxid;
    const uint8_t *data; /* as proposed: TxnHeader, record, digest */
    uint32_t length;
};

struct zab_disk_step {
    uint64_t ticket;
    enum zab_disk_type type;
    struct zab_entry entry; /* its data stays until the step is done and the entry applied */
    int64_t zxid;
    int64_t epoch;
};

struct zab_message { /* to the election connection of `server`; a newer one replaces an unsent */
    int64_t server;
    size_t offset, length; /* in update.message_bytes */
};

/* What the layers above have to say to each other through the links. */
struct zab_delivery {
    enum {
        ZAB_REQUEST,    /* to the leader: RequestForward and record, and `identities` */
        ZAB_REVALIDATE, /* to the leader: SessionTouch; answered by ZAB_SEND REVALIDATE */
        /* To the learner: RevalidateReply. Up to `zxid` transactions may answer what the client
         * asked for through other servers or connections; later ones are of this one. */
        ZAB_REVALIDATED,
        ZAB_PING,    /* to the learner: answer now by ZAB_SEND PING with SessionTouch... */
        ZAB_TOUCHED, /* to the leader: SessionTouch... */
        /* To the learner: answers its oldest forwarded sync; to the leader's own caller of
         * ZAB_SYNC: `ticket`. Both as soon as memory has `zxid`, and before it has more. */
        ZAB_SYNCED,
        ZAB_SYNC_DONE,
        ZAB_LEARNER_GONE /* to the leader: `link` answers no more */
    } type;
    uint32_t link;
    int64_t server; /* the learner's id */
    uint64_t ticket;
    int64_t zxid;
    struct mk_bytes bytes, identities; /* borrowed from the event, or empty */
};

struct zab_update {
    size_t consumed;   /* of the last ZAB_LINK_BYTES */
    uint32_t *touched; /* links whose zab_link changed, each once */
    size_t touched_count, touched_capacity;
    struct zab_disk_step *disk;
    size_t disk_count, disk_capacity;
    struct zab_message *messages;
    size_t message_count, message_capacity;
    struct mk_buffer message_bytes;
    struct zab_delivery *deliveries;
    size_t delivery_count, delivery_capacity;
    uint32_t *snapshots; /* links that need a stream of the tree (ZAB_SNAPSHOT_BYTES) */
    size_t snapshot_count, snapshot_capacity;

    bool connect; /* dial the quorum port of `connect_to` */
    int64_t connect_to;
    bool reload;                    /* forget memory, load what the disk holds, then ZAB_RELOADED */
    bool snapshot_begin;            /* forget memory: a tree comes in snapshot_input */
    struct mk_bytes snapshot_input; /* borrowed from the last ZAB_LINK_BYTES: load it, tell by
                                     * ZAB_SNAPSHOT_TAKEN how much of it was taken */
    int64_t apply_to; /* apply all up to here (zab_entry) in order; falls only by a reload */
    int64_t deadline_ms;
};

void zab_update_init(struct zab_update *update);
void zab_update_fini(struct zab_update *update);
/* Forgets what was performed. */
void zab_update_clear(struct zab *zab, struct zab_update *update);

/* One step. Its wishes come behind those that `update` holds from earlier steps and that were not
 * performed yet; `consumed`, `apply_to` and `deadline_ms` are those of this step. What an update
 * points to (snapshot_input, entries' data) says at its place how long it stays. Role, phase and
 * service (zab_status) and any link that is touched may be others after it. */
void zab_step(struct zab *zab, const struct zab_event *event, struct zab_update *update);

/* What the host sees of a link: it sends `output` (mk_buffer_consume), and closes the socket when
 * `closing`. While `paused` it feeds no bytes; a later update touches the link unpaused. */
struct zab_link {
    struct mk_buffer output;
    size_t unsent_elsewhere; /* the host sets this: bytes it took but could not send yet */
    bool closing;
    bool paused;
    bool touched; /* zab's own */
};

/* NULL when there is none of that number: never opened, or ZAB_LINK_DOWN was fed. */
struct zab_link *zab_link(struct zab *zab, uint32_t link);

/* --- looking ---------------------------------------------------------------------------------- */

enum zab_phase { ZAB_ELECTION, ZAB_DISCOVERY, ZAB_SYNCHRONIZATION, ZAB_BROADCAST };

struct zab_status {
    enum zab_role role;
    enum zab_phase phase;
    bool serving;   /* in broadcast, with a quorum: clients may be served */
    int64_t leader; /* the one that is followed, or this server; ZAB_NOBODY */
    int64_t epoch;  /* of that leader once known, else 0 */
    int64_t last_logged, persisted, committed, applied;
    int64_t accepted_epoch, current_epoch;
};

void zab_status(const struct zab *zab, struct zab_status *status);

/* The text of the members, as zab_options had it, and its version. */
struct mk_bytes zab_config(const struct zab *zab, int64_t *version);

/* Who is linked to this leader; all 0 on others. A follower is synced from its ACK of NEWLEADER on,
 * as one that has no vote is, too. */
struct zab_learners {
    uint32_t linked; /* of any kind, known or not */
    uint32_t synced_followers, synced_without_vote, synced_observers;
    uint32_t pending_syncs; /* that wait for what was proposed before */
};

void zab_learners(const struct zab *zab, struct zab_learners *learners);

/* How often since zab_new. */
struct zab_counts {
    uint64_t looking; /* that this server began to look for a leader */
    /* As leader. */
    uint64_t proposals, commits;
    uint64_t differences, trees; /* learners that were sent DIFF or TRUNC, or SNAP */
    /* As learner, in broadcast. */
    uint64_t proposals_received, commits_received;
};

const struct zab_counts *zab_counts(const struct zab *zab);

/* The transaction `zxid`, which lies in (applied, apply_to], or else NULL. Its bytes stay until the
 * next step after ZAB_APPLIED for it. */
const struct zab_entry *zab_entry(const struct zab *zab, int64_t zxid);
/* The last one that memory may have now. */
int64_t zab_apply_to(const struct zab *zab);
/* The first one behind `zxid`, or NULL. */
const struct zab_entry *zab_entry_after(const struct zab *zab, int64_t zxid);
/* Leader: what the next ZAB_SUBMIT must have; 0 when the counter is used up or it proposes no more
 * (then a new epoch comes by itself). */
int64_t zab_next_zxid(const struct zab *zab);

/* One transaction that recovery read, in order, before ZAB_START: so that learners can catch up
 * from memory after a restart. Earlier ones fall out by themselves. */
void zab_restore_entry(struct zab *zab, int64_t zxid, struct mk_bytes bytes);

#endif
