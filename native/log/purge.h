/* SPDX-License-Identifier: MIT */
/* Deletes old snapshots and the logs that no kept snapshot needs. Called by the snapshot worker
 * after a snapshot was finished (hence verified), or by an operator's command. */
#ifndef LOG_PURGE_H
#define LOG_PURGE_H

#include "log/store.h"

#define LOG_PURGE_KEEP_MIN 3

struct log_purge_result {
    uint64_t snapshots, logs; /* files removed */
    uint64_t bytes;           /* given back */
    int64_t oldest_kept_zxid; /* -1: nothing was purged */
};

/* Keeps the `keep` (at least LOG_PURGE_KEEP_MIN) newest snapshots that pass the quick test and are
 * not newer than `committed_zxid`, and every log from the newest one that may hold the
 * successor of the oldest kept. The newest snapshot is read whole and checked before anything
 * is removed. Oldest files go first, so a crash in the middle leaves no hole. */
int log_purge(const struct log_stores *stores, int keep, int64_t committed_zxid,
              struct log_purge_result *result, struct log_error *error);

#endif
