/* SPDX-License-Identifier: MIT */
/* What a leader may ask of a learner's data directory: to forget what was never committed (TRUNC),
 * or to take the leader's tree instead of all that is there (SNAP). Both take many calls; a crash
 * at any of them leaves the whole old state or the whole new one: a durable note (pending.h)
 * decides, and recovery completes what is noted. The order of the calls is such that Apache's
 * server, which does not know the note, finds a state that it can start from, too
 * (quorum-protocol reference, 9.2 steps 3 and 4).
 *
 * Called by the log thread (server/disk_steps.c), while no txnlog is open and nobody else writes
 * snapshots or purges; by recovery; by the simulator. After a failure nothing more may be done to
 * the directory in this process: what the disk holds is found out by the next recovery. */
#ifndef LOG_CUT_H
#define LOG_CUT_H

#include "log/report.h"
#include "log/txnlog.h"

/* Drops every transaction beyond `zxid`, and every snapshot that is named beyond it or whose
 * sections say that it may contain later ones. tail->last_zxid is where the log ends then: `zxid`,
 * or the largest one before it that exists; for txnlog_open.
 * MK_ERR_CORRUPT: what would be left is no state to start from (no readable snapshot at or below
 * `zxid`, or a log with a hole or damage before it); nothing was changed. */
int log_truncate(const struct log_stores *stores, int64_t zxid, struct txnlog_tail *tail,
                 struct log_error *error);

/* Makes the snapshot that was received (snapfile_begin_received, finished) snapshot.<hex zxid> and
 * removes all other snapshots and all logs, whatever their state: hazard T2 (old entries beyond it
 * would be replayed), and an older snapshot must never be taken for the beginning of what is
 * written after this one. */
int log_install_snapshot(const struct log_stores *stores, int64_t zxid, struct txnlog_tail *tail,
                         struct log_error *error);

/* Completes what one of the two began, if anything. Called by log_recover first of all. */
int log_cut_complete(const struct log_stores *stores, struct log_report *report,
                     struct log_error *error);

#endif
