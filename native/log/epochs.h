/* SPDX-License-Identifier: MIT */
/* acceptedEpoch, currentEpoch and currentEpoch.tmp, beside the snapshots: decimal text, no newline,
 * as Apache has them. Of the first two there is a second copy with a checksum
 * (moonkeeper.acceptedEpoch and so on): a promise that is lost could be given twice.
 * Called by the host for zab: reading at start, writing on the log thread. A promise must be
 * durable before it is told to anybody: the writer syncs files and directory before it returns,
 * and a crash leaves the old number or the new one. */
#ifndef LOG_EPOCHS_H
#define LOG_EPOCHS_H

#include "log/report.h"
#include "log/store.h"

#define LOG_EPOCH_ACCEPTED "acceptedEpoch" /* highest epoch promised */
#define LOG_EPOCH_CURRENT "currentEpoch"   /* epoch whose history was taken over */
/* Transactions of this epoch may be in the log though currentEpoch is older. For Apache's server,
 * which otherwise refuses to start then; ours goes by acceptedEpoch. */
#define LOG_EPOCH_PREPARED "currentEpoch.tmp"

#define LOG_EPOCH_COPY "moonkeeper." /* before the name */

/* Apache's copy. `name` is one of the three above. 1: read, 0: there is no such file,
 * MK_ERR_CORRUPT: its first line is not a number from 0 to 2^31-1; or the store failed. */
int log_epoch_read(struct store *snapshots, const char *name, int64_t *epoch,
                   struct log_error *error);
/* Likewise our copy of one of the first two; MK_ERR_CORRUPT: its checksum is wrong. */
int log_epoch_read_copy(struct store *snapshots, const char *name, int64_t *epoch,
                        struct log_error *error);
/* Both copies. LOG_EPOCH_CURRENT goes by way of LOG_EPOCH_PREPARED, which is gone then. */
int log_epoch_write(struct store *snapshots, const char *name, int64_t epoch,
                    struct log_error *error);

/* Both epochs at the start of a member whose data ends at `last_zxid`; what was derived, raised or
 * mended is durable when this returns 0.
 *
 * Epochs only rise, so of two copies the higher one counts (Apache's server may have run here, and
 * knows only its own), and one that is damaged or missing is written again from the other.
 * An interrupted synchronization leaves transactions of an epoch above currentEpoch: if
 * acceptedEpoch promised it, currentEpoch is raised to it (quorum-protocol reference, 17.1: 2354).
 * A standalone server writes no epoch files: when both are missing and the data is of epoch 0, both
 * are 0; of a later epoch, they are derived from `last_zxid` only if `derive` is set (the operator
 * vouches that this directory was never a member's, or that the promises it made are void).
 * A missing acceptedEpoch (both copies) is never guessed: this server might promise an epoch twice.
 * A missing currentEpoch is known only if acceptedEpoch is that of the last transaction.
 * MK_ERR_CORRUPT: nothing of that applies, or acceptedEpoch is below currentEpoch; nothing was
 * changed, and this server must not vote. */
int log_epochs_read(struct store *snapshots, int64_t last_zxid, bool derive, int64_t *accepted,
                    int64_t *current, struct log_report *report, struct log_error *error);

#endif
