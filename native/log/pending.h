/* SPDX-License-Identifier: MIT */
/* The note of a change to a data directory that takes several steps: `moonkeeper.pending`, beside
 * the snapshots. Once it is durable the change is decided, and whoever finds it completes it before
 * he reads anything else (cut.h); before that nothing was touched. Used by cut.c, recover.c and
 * check.c only. */
#ifndef LOG_PENDING_H
#define LOG_PENDING_H

#include "log/store.h"

#define LOG_PENDING_NAME "moonkeeper.pending"

enum log_pending_type {
    LOG_PENDING_TRUNCATE, /* drop all beyond `zxid` */
    LOG_PENDING_INSTALL   /* the received snapshot is snapshot `zxid`, and all there is */
};

struct log_pending {
    enum log_pending_type type;
    int64_t zxid;
};

/* 1: there is one, 0: none. MK_ERR_CORRUPT: it is not what was written. */
int log_pending_read(struct store *snapshots, struct log_pending *pending, struct log_error *error);
/* Durable when it returns 0; otherwise it may or may not be there. */
int log_pending_write(struct store *snapshots, const struct log_pending *pending,
                      struct log_error *error);
/* Likewise. */
int log_pending_remove(struct store *snapshots, struct log_error *error);
/* What is under way, for messages. */
const char *log_pending_text(const struct log_pending *pending);

#endif
