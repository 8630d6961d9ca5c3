/* SPDX-License-Identifier: MIT */
/* What the files of the log thread share: disk.c (the thread, batches of entries), disk_steps.c
 * (zab's steps), disk_snapshot.c (a snapshot that comes from a leader). Nobody else includes it. */
#ifndef SERVER_DISK_INT_H
#define SERVER_DISK_INT_H

#include "server/disk.h"

struct entry_list {
    struct replica_log_entry *items;
    size_t count, capacity;
};

struct step_list {
    struct disk_step *items;
    size_t count, capacity;
};

/* One of zab's, as the thread wants it. */
struct disk_step {
    uint64_t ticket;
    enum zab_disk_type type;
    struct replica_log_entry entry;
    int64_t number; /* zxid or epoch */
};

enum received_state { RECEIVED_NONE, RECEIVED_OPEN, RECEIVED_ENDED, RECEIVED_INSTALLING };

/* What the thread is to do for a received snapshot, in this order. */
struct received_orders {
    bool abort, begin;
    struct mk_buffer body;
    bool end;
    struct snapfile_seal seal;
};

struct received {
    /* Under the mutex. */
    enum received_state state;
    struct received_orders orders;
    bool behind;  /* the host waits */
    bool drained; /* to be told */
    /* The thread's. */
    struct snapfile_writer *writer;
    struct store *store; /* in front of the snapshot store; NULL before the first one */
    uint64_t began_ns;
};

struct disk {
    struct server *server;
    struct txnlog *log;
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t wake;
    uv_async_t async;
    /* Under the mutex. */
    struct entry_list gathering;
    struct step_list steps;
    uint64_t done_ticket;
    struct received received;
    int64_t durable_zxid;
    bool stop, sleeping;
    bool idle_work; /* txnlog_idle has something to do */
    struct disk_figures figures;
    uint64_t usual_ns;   /* what a sync takes of late */
    uint64_t slow_at_ns; /* when one was slow */
    uint64_t written_at_ns;
    /* The thread's. */
    struct entry_list writing;
    struct step_list performing;
    uint64_t ahead_bytes; /* size of the next prepared file */
    uint64_t rolled_at_ns;
    /* The loop's. */
    int64_t told_zxid;
    uint64_t told_ticket;
    struct disk_listener listener;
    bool running; /* there is a thread to join */
};

/* --- disk.c ----------------------------------------------------------------------------------- */

/* Ends the process. */
_Noreturn void disk_failed(const struct disk *disk, const char *what,
                           const struct log_error *error);
/* Appends and flushes. Returns the time that the write and the sync took, in ns. */
uint64_t disk_write_batch(struct disk *disk, const struct replica_log_entry *entries, size_t count);
/* With the mutex held. */
void disk_count_sync(struct disk *disk, uint64_t elapsed_ns, size_t entries);
/* After something was submitted, with the mutex held: unlocks it, wakes the thread. */
void disk_unlock_and_wake(struct disk *disk);

/* --- disk_steps.c ----------------------------------------------------------------------------- */

/* With the mutex held: there are steps, or orders for a received snapshot. */
bool disk_steps_wait(const struct disk *disk);
/* On the thread, with the mutex held (it is released meanwhile): performs all that wait. */
void disk_steps_perform(struct disk *disk);
void disk_steps_fini(struct disk *disk);

/* --- disk_snapshot.c, on the thread ----------------------------------------------------------- */

void disk_snapshot_obey(struct disk *disk, struct received_orders *orders);
/* What is not finished is given up; before the thread ends. */
void disk_snapshot_drop(struct disk *disk);

#endif
