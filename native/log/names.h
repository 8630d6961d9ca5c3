/* SPDX-License-Identifier: MIT */
/* File names of a data directory: log.<hex>, snapshot.<hex>[.gz|.snappy], leftovers; and the way
 * in which a small file gets its name. Used by the other files of this layer only. */
#ifndef LOG_NAMES_H
#define LOG_NAMES_H

#include "log/store.h"

#define LOG_NAME_BYTES 64

struct log_name {
    int64_t zxid;
    char name[LOG_NAME_BYTES];
};

/* Sorted by zxid, then name. */
struct log_names {
    struct log_name *items;
    size_t count, capacity;
};

enum log_kind { LOG_KIND_LOG, LOG_KIND_SNAPSHOT };

void log_names_fini(struct log_names *names);
/* Behind the last one; `name` is shorter than LOG_NAME_BYTES. */
void log_names_add(struct log_names *names, const char *name, int64_t zxid);
/* The files of one kind. A name like log.5.old is none (Apache would read it as a log). */
int log_names_list(struct store *store, enum log_kind kind, struct log_names *names,
                   struct log_error *error);
/* Files that a crash left unfinished, ours and Apache's (*.tmp, except currentEpoch.tmp, which
 * has a meaning); zxid is 0. */
int log_names_list_leftovers(struct store *store, struct log_names *names, struct log_error *error);
/* The names that start like a log or snapshot but are none; zxid is 0. */
int log_names_list_odd(struct store *store, struct log_names *names, struct log_error *error);
/* "log.<hex>" or "snapshot.<hex>". */
void log_name_make(enum log_kind kind, int64_t zxid, char name[LOG_NAME_BYTES]);
bool log_name_parse(enum log_kind kind, const char *name, int64_t *zxid);
bool log_name_ends_with(const char *name, const char *suffix);

/* A new file of this name (an old one is removed) with this content, synced; its name is not. */
int log_file_write(struct store *store, const char *name, const void *data, size_t size,
                   struct log_error *error);
/* Makes `name` a file with this content, whole and durable, or leaves it as it was: `temporary`,
 * fsync, rename, directory sync. */
int log_file_replace(struct store *store, const char *temporary, const char *name, const void *data,
                     size_t size, struct log_error *error);

#endif
