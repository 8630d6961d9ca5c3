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

#include "log/snapfile.h"
#include "log/txnlog.h"
#include "server/server_int.h"
#include "zab/zab.h"

struct disk_figures {
    struct mk_histogram sync_us;
    struct mk_summary sync_batch; /* entries */
};

/* Starts the thread. Takes over `log` if it returns 0; NULL when a member has none before it is
 * given the leader's tree (INSTALL_SNAPSHOT). */
int disk_new(struct server *server, struct txnlog *log, struct disk **disk);
/* The entries' data must stay valid until DURABLE was fed for their zxid. */
void disk_submit(struct disk *disk, const struct replica_log_entry *entries, size_t count);
/* Writes and syncs on the caller's thread, if that is a good idea at the moment: true, and the
 * entries are durable; false, and nothing was done. */
bool disk_write_here(struct disk *disk, const struct replica_log_entry *entries, size_t count);

/* --- the steps of an ensemble member (disk_steps.c) --------------------------------------------
 * A server uses either these or disk_submit and disk_write_here, never both. */

struct disk_listener {
    /* All steps up to `ticket` are on stable storage. Called on the loop's thread. */
    void (*ticket_done)(void *context, uint64_t ticket);
    /* The writer of the received snapshot has caught up (after disk_snapshot_body said that it
     * was behind). Called on the loop's thread. */
    void (*snapshot_drained)(void *context);
    void *context;
};

/* Before the first step. */
void disk_listen(struct disk *disk, const struct disk_listener *listener);
/* zab's steps (struct zab_update), performed in order: entries that stand side by side are one
 * batch with one sync. Data of entries must stay valid until their ticket is done; the steps
 * themselves are copied. The first entry of these steps whose zxid is `roll_at_zxid` or beyond
 * begins a new log file (0: none is asked for).
 * A step that fails ends the process, with file and cause: what follows it never happens.
 * While a TRUNCATE or an INSTALL_SNAPSHOT is performed the snapshot worker stands still; a
 * snapshot that it had not finished is given up (REPLICA_SNAPSHOT_DONE with an error). */
void disk_submit_steps(struct disk *disk, const struct zab_disk_step *steps, size_t count,
                       int64_t roll_at_zxid);

/* --- a snapshot that comes from the leader (disk_snapshot.c) ------------------------------------
 * begin, body..., end, then zab's step INSTALL_SNAPSHOT, which gives it its zxid; or abort. It lies
 * under a temporary name and counts for nothing until that step. A failed write ends the
 * process; what the directory held before is untouched. */

/* update.received_begin (replica.h). One that was begun and not installed is given up. */
void disk_snapshot_begin(struct disk *disk);
/* Body bytes of the stream as they came, whole records or not (copied). False: the writer is
 * behind, the host should take no more from the link until snapshot_drained. */
bool disk_snapshot_body(struct disk *disk, struct mk_bytes bytes);
/* The body is complete; `seal` is put behind it. Before the step INSTALL_SNAPSHOT. */
void disk_snapshot_end(struct disk *disk, const struct snapfile_seal *seal);
/* The stream broke. Nothing happens if there is none, or INSTALL_SNAPSHOT was submitted. */
void disk_snapshot_abort(struct disk *disk);

/* ---------------------------------------------------------------------------------------------- */

/* Waits until all that was submitted is durable, closes the log, ends the thread. */
void disk_stop(struct disk *disk);
/* Closes the uv_async (server_handle_closed follows); after disk_stop. */
void disk_close(struct disk *disk);
void disk_free(struct disk *disk);
void disk_figures(struct disk *disk, struct disk_figures *figures);
void disk_figures_reset(struct disk *disk);

#endif
