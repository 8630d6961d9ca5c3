/* SPDX-License-Identifier: MIT */
/* Reads one log file, and judges what its end means. Used by txnlog_scan.c only. */
#ifndef LOG_TXNLOG_FILE_H
#define LOG_TXNLOG_FILE_H

#include "log/index.h"
#include "log/names.h"
#include "log/txnlog_scan.h"

/* Why no further entry can be read. Those before TXNLOG_END_SUM are what Apache's reader takes for
 * the end of a file (storage reference, section 4), the others stop it, or are ours. */
enum txnlog_end {
    TXNLOG_END_CLEAN,   /* nothing but zeros up to the end of the file */
    TXNLOG_END_ZERO,    /* length 0, but something lies behind it */
    TXNLOG_END_SHORT,   /* the file ends inside the entry */
    TXNLOG_END_BYTE,    /* the end byte is not 0x42 */
    TXNLOG_END_SUM,     /* wrong Adler-32 */
    TXNLOG_END_LENGTH,  /* impossible length */
    TXNLOG_END_HEADER,  /* the file's own header is wrong or incomplete */
    TXNLOG_END_TRAILER, /* an entry without trailer in a file that has them */
    TXNLOG_END_CRC,     /* wrong CRC-32C */
    TXNLOG_END_PLACE,   /* an entry of another file or another offset */
    TXNLOG_END_CHAIN,   /* the entry does not follow the one before it */
    TXNLOG_END_ORDER    /* zxid not greater than the one before */
};

struct txnlog_file {
    struct store_file *file;
    struct log_name name;
    uint64_t size;
    uint64_t position; /* of the next entry */
    uint64_t entries;
    int64_t last_zxid; /* of this file; valid if entries > 0 */
    bool trailers;     /* its entries have trailers; valid if entries > 0 */
    uint64_t file_id;  /* 0: unknown */
    uint32_t crc;      /* of the last entry */
    uint64_t durable;  /* highest "durable up to here" seen */
    enum txnlog_end end;
    /* a piece of the file */
    uint8_t *window;
    size_t window_size, window_capacity;
    uint64_t window_at;
};

enum txnlog_verdict {
    TXNLOG_VERDICT_CLEAN,
    TXNLOG_VERDICT_TORN,    /* a batch that never became durable: drop it */
    TXNLOG_VERDICT_SUSPECT, /* may have been acknowledged; dropped at the operator's wish only */
    TXNLOG_VERDICT_DAMAGE   /* was acknowledged, or entries lie behind it */
};

/* Reads the header; a wrong one is not an error here but an end at position 0. */
int txnlog_file_open(struct store *logs, const struct log_name *name, struct txnlog_file *file,
                     struct log_error *error);
void txnlog_file_close(struct txnlog_file *file);
/* 1: an entry, with *previous from its trailer. 0: no more, see file->end. */
int txnlog_file_next(struct txnlog_file *file, struct txnlog_entry *entry, uint32_t *previous,
                     struct log_error *error);
/* What the end means if this is the newest file. `mark` may be NULL. `reason` gets words. */
int txnlog_file_judge(struct txnlog_file *file, const struct log_mark *mark,
                      enum txnlog_verdict *verdict, char *reason, size_t reason_size,
                      struct log_error *error);
const char *txnlog_end_text(enum txnlog_end end);

#endif
