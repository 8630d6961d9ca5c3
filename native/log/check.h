/* SPDX-License-Identifier: MIT */
/* Walks a data directory without changing it and says what is in each file and what is wrong:
 * `moonkeeper check DIR`. */
#ifndef LOG_CHECK_H
#define LOG_CHECK_H

#include "base/buffer.h"
#include "log/report.h"
#include "log/store.h"

struct log_check_result {
    uint64_t snapshots, snapshots_bad;
    uint64_t logs, entries;
    int64_t first_zxid, last_zxid; /* of the log; -1: none */
    int64_t best_snapshot_zxid;    /* newest good one; -1: none */
    bool usable;                   /* a server would start from it */
    bool empty;                    /* there is nothing to check; a server would start afresh */
};

/* `snapshot_alone` as in struct log_recover_options. `text` gets one line per file, in the order of
 * zxids, then the findings and a verdict; plain sentences for an operator. 0 if the walk went
 * through (look at result->usable), negative if the directory could not be read. */
int log_check(const struct log_stores *stores, bool snapshot_alone, struct log_check_result *result,
              struct log_report *report, struct mk_buffer *text, struct log_error *error);

#endif
