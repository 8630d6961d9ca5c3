/* SPDX-License-Identifier: MIT */
/* Reads transaction logs: every entry from a zxid on, over all files, in order. Called by
 * recovery, the checker, and (later) by synchronization of learners. Tells a clean end, a torn
 * tail (bytes of a batch that was never acknowledged) and damage apart; docs/storage.md has
 * the rules. Changes nothing on disk. */
#ifndef LOG_TXNLOG_SCAN_H
#define LOG_TXNLOG_SCAN_H

#include "log/index.h"
#include "log/report.h"
#include "log/txnlog.h"

struct txnlog_entry {
    int64_t zxid;
    const uint8_t *data; /* TxnHeader, record, TxnDigest: the payload without our trailer */
    size_t length;       /* valid until the next call */
    const char *file;
    uint64_t offset; /* of the entry in that file */
    bool has_trailer;
    uint32_t crc; /* of the trailer; 0 without one */
};

struct txnlog_scan_options {
    int64_t from_zxid; /* entries below are skipped (their framing is checked where read) */
    /* The snapshot that `from_zxid` follows: a first entry beyond the successor of this is a
     * hole. -1: none, any start is accepted; 0: the log must begin at the beginning. */
    int64_t base_zxid;
    /* The checker, which reads from the beginning: a good snapshot holds all up to here, so the
     * durable mark is not missing what is below. 0: none. */
    int64_t covered_zxid;
    bool drop_damaged_tail;    /* the operator's explicit wish; see docs/storage.md */
    bool all_files;            /* the checker: go on behind damage, with the next file */
    struct log_report *report; /* findings; may be NULL */
};

struct txnlog_scan;

int txnlog_scan_open(struct store *logs, const struct txnlog_scan_options *options,
                     struct txnlog_scan **scan, struct log_error *error);
void txnlog_scan_free(struct txnlog_scan *scan);
/* 1: *entry is the next one. 0: the end (see txnlog_scan_tail). MK_ERR_CORRUPT: damage, `error`
 * and the report name file, offset, cause and what to do. Others: the store failed. */
int txnlog_scan_next(struct txnlog_scan *scan, struct txnlog_entry *entry, struct log_error *error);
/* After the end: what txnlog_open needs. */
void txnlog_scan_tail(const struct txnlog_scan *scan, struct txnlog_tail *tail);

#endif
