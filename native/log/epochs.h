/* SPDX-License-Identifier: MIT */
/* acceptedEpoch and currentEpoch, beside the snapshots: decimal text, no newline. Called by the
 * host for zab. A promise must be durable before it is told to anybody: the writer syncs file
 * and directory before it returns. */
#ifndef LOG_EPOCHS_H
#define LOG_EPOCHS_H

#include "log/store.h"

#define LOG_EPOCH_ACCEPTED "acceptedEpoch"
#define LOG_EPOCH_CURRENT "currentEpoch"

/* `name` is one of the two above. 1: read, 0: there is no such file, MK_ERR_CORRUPT: its first line
 * is not a number from 0 to 2^31-1; or the store failed. */
int log_epoch_read(struct store *snapshots, const char *name, int64_t *epoch,
                   struct log_error *error);
/* <name>.tmp, fsync, rename, directory sync. */
int log_epoch_write(struct store *snapshots, const char *name, int64_t epoch,
                    struct log_error *error);

#endif
