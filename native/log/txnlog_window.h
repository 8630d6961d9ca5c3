/* SPDX-License-Identifier: MIT */
/* Random access to a log file in big pieces, and searches through it. */
#ifndef LOG_TXNLOG_WINDOW_H
#define LOG_TXNLOG_WINDOW_H

#include "log/txnlog_file.h"

/* *bytes = `size` bytes at `offset`, valid until the next call; they lie inside the file. */
int txnlog_window(struct txnlog_file *file, uint64_t offset, size_t size, const uint8_t **bytes,
                  struct log_error *error);
/* *at = first byte that is not 0, from `offset` on; the size of the file if there is none. */
int txnlog_find_nonzero(struct txnlog_file *file, uint64_t offset, uint64_t *at,
                        struct log_error *error);

struct txnlog_traces {
    bool found;       /* some trailer of this file lies behind the end */
    uint64_t durable; /* the highest "durable up to here" in them */
    uint64_t own_end; /* where the entry at file->position ends by its trailer; 0: not found */
    uint64_t file_id; /* of the trailers, if the file's was unknown */
};

/* Looks for trailers of this file behind its position. */
int txnlog_find_trailers(struct txnlog_file *file, struct txnlog_traces *traces,
                         struct log_error *error);
/* *at = a whole good entry behind the position (in a file without trailers); 0: none found. */
int txnlog_find_entry(struct txnlog_file *file, uint64_t *at, struct log_error *error);
/* *lost: some sector of the entry from the position to `end` ends in zeros, as if it (or its last
 * part) was never written. Only sectors that begin before `until` are looked at. */
int txnlog_find_lost_sector(struct txnlog_file *file, uint64_t end, uint64_t until, bool *lost,
                            struct log_error *error);

#endif
