/* SPDX-License-Identifier: MIT */
/* The recent transactions in order of zxid, in memory: what a learner that comes back is sent
 * (the "committed log"), what is not yet durable, committed or applied, and the only copy of the
 * bytes that log writer and tree are given. List and bounds are one structure, so they cannot
 * disagree, and it has no holes: within an epoch each zxid is the one before plus 1, a later
 * epoch begins with counter 1 (quorum-protocol reference, 9.3 step 6; hazards 2846, 4352, 4925). */
#ifndef ZAB_HISTORY_H
#define ZAB_HISTORY_H

#include "zab/zab.h"

struct history {
    struct zab_entry *ring; /* capacity is a power of two */
    uint32_t capacity, first, count;
    size_t bytes;
    int64_t base; /* zxid before the first entry: what a learner must have to get all from here */
    uint32_t entries_max;
    size_t bytes_max;
};

void history_init(struct history *history, uint32_t entries_max, size_t bytes_max);
void history_fini(struct history *history);

/* `zxid` may come after the last one (or after base when empty). */
bool history_follows(const struct history *history, int64_t zxid);
/* Copies the bytes. MK_ASSERT(history_follows). */
const struct zab_entry *history_append(struct history *history, int64_t zxid,
                                       struct mk_bytes bytes);
/* Empty, with `zxid` as the state that the next entry follows; any next zxid is taken when
 * `zxid` is a beginning of an epoch (counter 0) or the first entry is of a later epoch. */
void history_reset(struct history *history, int64_t zxid);
/* Drops all beyond `zxid` (never below base). */
void history_truncate(struct history *history, int64_t zxid);
/* Drops the oldest beyond the limits, but none above `keep_above`. */
void history_trim(struct history *history, int64_t keep_above);

int64_t history_last(const struct history *history); /* base when empty */
/* The i-th of history->count, oldest first. */
const struct zab_entry *history_at(const struct history *history, uint32_t index);
/* Index of the first entry with a zxid above `zxid`; count if there is none. Binary search. */
uint32_t history_after(const struct history *history, int64_t zxid);
const struct zab_entry *history_find(const struct history *history, int64_t zxid);

#endif
