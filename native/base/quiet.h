/* SPDX-License-Identifier: MIT */
/* Keeps repeated log lines from filling a disk: of one kind of line the first few of an interval
 * are written, the others only counted, and the count is told once. Time is an argument, so a
 * run repeats itself exactly. Used by replica/ and server/ for lines that strangers
 * can cause. */
#ifndef MK_BASE_QUIET_H
#define MK_BASE_QUIET_H

#include "base/mk.h"

#define MK_QUIET_LINES 5
#define MK_QUIET_INTERVAL_MS 60000

/* One kind of line. Zeroed memory is a fresh one. */
struct mk_quiet {
    int64_t began_ms; /* of the interval */
    uint32_t lines;   /* written in it; 0: none is running */
    uint64_t kept_back;
};

/* True if this line may be written; else it is counted. An interval begins with the first line
 * behind the last one. */
bool mk_quiet_pass(struct mk_quiet *quiet, int64_t now_ms);
/* How many lines were kept back in an interval that is over; 0 as long as there is nothing to
 * tell. Tells each number once. Call it before mk_quiet_pass, and at mk_quiet_deadline_ms. */
uint64_t mk_quiet_take(struct mk_quiet *quiet, int64_t now_ms);
/* When mk_quiet_take will have something to tell; INT64_MAX: nothing so far. */
int64_t mk_quiet_deadline_ms(const struct mk_quiet *quiet);

#endif
