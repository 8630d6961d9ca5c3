/* SPDX-License-Identifier: MIT */
/* The log thread: takes batches of log entries from the loop, makes each batch durable with one
 * write and one fdatasync, and posts how far it got. Entries gather while a batch is being
 * synced, so the group grows with the load by itself. A failure of the log ends the process.
 *
 * On a fast disk the way to the thread and back costs a quarter of the time, so a batch may
 * also be written on the loop itself: when the thread sleeps, no reader is kept waiting, and
 * syncs have been short of late. */
#ifndef SERVER_DISK_H
#define SERVER_DISK_H

#include "log/txnlog.h"
#include "server/server_int.h"

struct disk_figures {
    struct mk_histogram sync_us;
    struct mk_summary sync_batch; /* entries */
};

/* Starts the thread. Takes over `log` if it returns 0. */
int disk_new(struct server *server, struct txnlog *log, struct disk **disk);
/* The entries' data must stay valid until DURABLE was fed for their zxid. */
void disk_submit(struct disk *disk, const struct replica_log_entry *entries, size_t count);
/* Writes and syncs on the caller's thread, if that is a good idea at the moment: true, and the
 * entries are durable; false, and nothing was done. */
bool disk_write_here(struct disk *disk, const struct replica_log_entry *entries, size_t count);
/* Waits until all that was submitted is durable, closes the log, ends the thread. */
void disk_stop(struct disk *disk);
/* Closes the uv_async (server_handle_closed follows); after disk_stop. */
void disk_close(struct disk *disk);
void disk_free(struct disk *disk);
void disk_figures(struct disk *disk, struct disk_figures *figures);
void disk_figures_reset(struct disk *disk);

#endif
