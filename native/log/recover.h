/* SPDX-License-Identifier: MIT */
/* From a data directory to the last state: the newest good snapshot, then the log behind it.
 * Called once at start, before anything is written. The caller's callbacks build the state.
 * Never gives an empty state for a directory that had data: what cannot be read whole is
 * refused, with file, offset, cause and what to do. */
#ifndef LOG_RECOVER_H
#define LOG_RECOVER_H

#include "log/report.h"
#include "log/snapfile.h"
#include "log/txnlog.h"
#include "log/txnlog_scan.h"

/* A file of this name beside version-2 sets snapshot_alone for one start. */
#define LOG_INITIALIZE_NAME "initialize"

struct log_recover_options {
    /* Logs but no snapshot: replay from nothing (Apache's snapshot.trust.empty). */
    bool trust_empty;
    /* Snapshots but no log and no durable mark: start from the snapshot. Otherwise refused, for a
     * data_log_dir that was forgotten looks like this (Apache starts, silently). */
    bool snapshot_alone;
    /* A damaged last entry that may or may not have been acknowledged is dropped. For one start,
     * at the operator's explicit wish. */
    bool drop_damaged_tail;
    /* Remove leftovers (*.tmp, an empty newest log file), and complete what was interrupted
     * (cut.h). Off for a checker: then such a directory is refused. */
    bool clean_up;
};

struct log_recover_calls {
    /* Empty state; called before each snapshot that is tried, and once when there is none. */
    void (*reset)(void *context);
    snapfile_body *snapshot_body;
    /* All seals are good. MK_ERR_CORRUPT with *reason: the state does not match; the next older
     * snapshot is tried. */
    int (*snapshot_done)(void *context, const struct snapfile_info *info, const char **reason);
    /* An entry with zxid > the snapshot's. MK_ERR_CORRUPT with *reason: recovery is refused (for
     * example a digest that differs). */
    int (*transaction)(void *context, const struct txnlog_entry *entry, const char **reason);
    /* May be NULL: bytes done and to do, for progress lines. */
    void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
};

struct log_recover_result {
    bool empty;            /* no data at all: a fresh directory. last_zxid is 0 */
    int64_t last_zxid;     /* of the recovered state */
    int64_t snapshot_zxid; /* -1: none was used */
    char snapshot_file[64];
    uint64_t snapshot_bytes;
    uint64_t snapshots_skipped; /* newer ones that were not readable */
    uint64_t transactions;      /* replayed */
    uint64_t log_bytes;         /* of them */
    struct txnlog_tail tail;    /* for txnlog_open */
};

/* `report` gets every finding (may be NULL). On failure `error` has the whole story in one text and
 * the state built so far is not to be used. A fresh server should write snapshot 0 first
 * (snapfile.h), as Apache does. */
int log_recover(const struct log_stores *stores, const struct log_recover_options *options,
                const struct log_recover_calls *calls, void *context,
                struct log_recover_result *result, struct log_report *report,
                struct log_error *error);

#endif
