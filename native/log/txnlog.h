/* SPDX-License-Identifier: MIT */
/* Writes the transaction log: files log.<hex zxid of the first entry> in Apache's format, each
 * entry with our trailer inside its payload (format.h). One txnlog belongs to one thread at a
 * time (the log thread). Life: log_recover, txnlog_open, then append... flush in turns.
 *
 * Nothing is durable before txnlog_flush returned 0. A failed write or sync is final: the
 * txnlog refuses every later call with the same error, and the process is to end; what
 * reached the disk is found out by the next recovery. Never appends to a file that it did not
 * create itself. */
#ifndef LOG_TXNLOG_H
#define LOG_TXNLOG_H

#include "log/store.h"

/* Longest payload that the writer takes and the reader believes (without our trailer). */
#define TXNLOG_ENTRY_BYTES_MAX (256u << 20)

struct txnlog_options {
    /* Zeros are written ahead of the entries in steps that double up to this, so that a
     * flush overwrites blocks that exist already. 0: none. Default 4 MiB. */
    uint64_t preallocate_bytes;
    /* Makes file ids differ between runs, so that an old block that comes back is known as
     * such: any number that the last run did not use (random, or the clock). */
    uint64_t identity;
};

void txnlog_options_init(struct txnlog_options *options);

/* Where the log ends: made by log_recover, taken by txnlog_open. */
struct txnlog_tail {
    int64_t last_zxid; /* of the last entry, or the snapshot's; entries go on behind it */
    bool chained;      /* `crc` is that of the last entry's trailer */
    uint32_t crc;
    char newest_file[64];         /* the newest one with an entry; "" if there is none */
    uint64_t newest_file_end;     /* behind its last good entry; what follows is cut off */
    uint64_t newest_file_durable; /* what lies before was certainly synced */
};

struct txnlog;

/* Cuts padding or a torn tail off the newest file, makes what recovery read from it durable (it may
 * have come from the cache of a process that died before its sync, or whose sync failed: so it
 * is written again), removes files named beyond the last zxid (they hold no entry), opens the
 * durable mark (index.h). When it returns 0, all that recovery found is durable and may be
 * served. No log file is created before the first entry is flushed. */
int txnlog_open(struct store *logs, const struct txnlog_options *options,
                const struct txnlog_tail *tail, struct txnlog **log, struct log_error *error);
/* Drops what was not flushed, closes the file; no write, no sync. */
void txnlog_free(struct txnlog *log);

/* Buffers one entry: TxnHeader, record, optional TxnDigest (`data`, copied). `zxid` must be that
 * of the header and greater than the one before. Only fails (MK_ERR_TOO_LARGE, nothing is
 * buffered) beyond TXNLOG_ENTRY_BYTES_MAX, or if the log failed before. */
int txnlog_append(struct txnlog *log, int64_t zxid, const void *data, size_t length,
                  struct log_error *error);
/* One write of all that is buffered and one fdatasync; a new file is created (and the directory
 * synced) if there is none yet. When it returns 0 everything appended is durable. */
int txnlog_flush(struct txnlog *log, struct log_error *error);
/* Flushes, cuts the padding off and closes the file; the next entry starts a new one. */
int txnlog_roll(struct txnlog *log, struct log_error *error);
/* To be called when there is nothing to append: writes zeros ahead, makes the durable mark
 * durable. At most a few ms a call; *more tells whether another call has work to do. */
int txnlog_idle(struct txnlog *log, bool *more, struct log_error *error);
/* Like roll, and makes the durable mark durable; before a clean exit. Then txnlog_free. */
int txnlog_close(struct txnlog *log, struct log_error *error);

/* Last zxid that is durable. */
int64_t txnlog_durable_zxid(const struct txnlog *log);
/* Bytes of the current file, buffered ones included; 0 if there is none. */
uint64_t txnlog_file_bytes(const struct txnlog *log);

#endif
