/* SPDX-License-Identifier: MIT */
/* The durable mark: a small file `moonkeeper.durable` beside the logs that says how far the log was
 * made durable at least. It lets recovery tell a torn tail (never acknowledged) from lost or
 * rotten entries that were. Written by txnlog.c after each sync without a sync of its own (so
 * it may lag, and never leads), made durable at roll, close and when the log is idle. Two
 * slots are written in turn, so one of them is always whole. */
#ifndef LOG_INDEX_H
#define LOG_INDEX_H

#include "log/store.h"

#define LOG_INDEX_NAME "moonkeeper.durable"

struct log_mark {
    int64_t file_zxid; /* the log file: hex in its name */
    uint64_t file_id;  /* in its trailers */
    uint64_t offset;   /* the file is durable up to here */
    int64_t zxid;      /* last durable entry */
    uint32_t crc;      /* of that entry's trailer */
    uint64_t counter;  /* rises with each write; the higher slot counts */
};

struct log_index;

/* The newest mark. 1: there is one, 0: no file or no readable slot, negative: the store failed. */
int log_index_read(struct store *logs, struct log_mark *mark, struct log_error *error);
/* Opens or creates the file (durable when this returns). */
int log_index_open(struct store *logs, struct log_index **index, struct log_error *error);
void log_index_free(struct log_index *index);
/* Not synced. The counter is set here. */
int log_index_write(struct log_index *index, const struct log_mark *mark, struct log_error *error);
int log_index_sync(struct log_index *index, struct log_error *error);
/* Both slots, one after the other, each durable: for a mark that takes something back. Otherwise
 * the older slot could come into its own again, by a later write that is torn. */
int log_index_replace(struct log_index *index, const struct log_mark *mark,
                      struct log_error *error);

#endif
