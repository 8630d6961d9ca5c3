/* SPDX-License-Identifier: MIT */
/* The disk seam: all that the log layer may ask of a disk, as a table of blocking calls on one
 * directory. server/store_posix.h is the real one, tests/lib/memory_store.h a disk in memory
 * with crashes and faults. The log layer calls these from whatever thread its caller uses;
 * calls on one store may come from several threads (log thread, snapshot worker), calls on
 * one file only from one at a time.
 *
 * Every call returns 0 (or a size) or a negative code and then fills the error: MK_ERR_NOT_FOUND
 * (no such file), MK_ERR_NO_SPACE (device or quota full), MK_ERR_LOCKED, MK_ERR_IO (all else).
 * A call is never retried by the log layer after a failed write or sync: what the kernel
 * still holds of that file is unknown from then on. */
#ifndef LOG_STORE_H
#define LOG_STORE_H

#include "base/mk.h"

/* Why a call failed, in words for an operator: path, call, system error. */
struct log_error {
    int code; /* MK_ERR_... */
    char text[1024];
};

/* Fills `error` (may be NULL) and returns `code`. The text is cut at its limit. */
int log_error_set(struct log_error *error, int code, const char *format, ...) MK_PRINTF(3, 4);

enum store_mode {
    STORE_READ,   /* must exist */
    STORE_CREATE, /* read and write; must not exist */
    STORE_UPDATE  /* read and write; must exist */
};

struct store;

/* Implementations embed this. */
struct store_file {
    struct store *store;
};

struct store_calls {
    /* Every regular file's name, in any order. `each` must not call the store. */
    int (*list)(struct store *store, void (*each)(void *context, const char *name), void *context,
                struct log_error *error);
    int (*open)(struct store *store, const char *name, enum store_mode mode,
                struct store_file **file, struct log_error *error);
    void (*close)(struct store_file *file);
    /* Bytes read: fewer than `size` only at the end of the file. */
    int64_t (*read)(struct store_file *file, uint64_t offset, void *data, size_t size,
                    struct log_error *error);
    /* All or an error (then any part of it may have been written). */
    int (*write)(struct store_file *file, uint64_t offset, const void *data, size_t size,
                 struct log_error *error);
    /* Likewise for whole blocks in aligned memory: offset, size and address are multiples of
     * store->block_bytes. Past the page cache, if that goes. */
    int (*write_blocks)(struct store_file *file, uint64_t offset, const void *data, size_t size,
                        struct log_error *error);
    /* Puts `size` zero bytes at `offset`, really written, so that a later write there touches
     * no metadata; MK_ERR_NO_SPACE leaves the file as it was or partly longer. */
    int (*write_zeros)(struct store_file *file, uint64_t offset, uint64_t size,
                       struct log_error *error);
    /* Content and size durable (fdatasync). */
    int (*sync_data)(struct store_file *file, struct log_error *error);
    /* Content and all metadata durable (fsync). */
    int (*sync_full)(struct store_file *file, struct log_error *error);
    /* A hint: these written bytes should reach the device now, waiting for them but for no
     * journal; they are durable only after a sync. */
    void (*write_out)(struct store_file *file, uint64_t offset, uint64_t size);
    /* A hint before reading back what was synced: let it come from the device. */
    void (*forget_cache)(struct store_file *file);
    int (*truncate)(struct store_file *file, uint64_t size, struct log_error *error);
    int64_t (*size)(struct store_file *file, struct log_error *error);
    /* Replaces `to` if it exists. Durable after sync_directory. */
    int (*rename)(struct store *store, const char *from, const char *to, struct log_error *error);
    /* MK_ERR_NOT_FOUND if it is not there. Durable after sync_directory. */
    int (*remove)(struct store *store, const char *name, struct log_error *error);
    int (*sync_directory)(struct store *store, struct log_error *error);
    /* Takes the directory for this store until it is freed; MK_ERR_LOCKED if another store or
     * process has it. */
    int (*lock)(struct store *store, struct log_error *error);
    /* Free bytes for this process. */
    int64_t (*free_space)(struct store *store, struct log_error *error);
};

/* Implementations embed this. */
struct store {
    const struct store_calls *calls;
    const char *path; /* of the directory, for messages */
    /* A power of two: writes of whole blocks are cheaper than others. 0: they are not, and
     * write_blocks is not called. */
    uint32_t block_bytes;
};

/* Where a server's data lies: `<dataDir>/version-2` and `<dataLogDir>/version-2`. Both point to
 * the same store if they are one directory. Borrowed by all who take it. */
struct log_stores {
    struct store *snapshots; /* snapshot.<hex>, acceptedEpoch, currentEpoch */
    struct store *logs;      /* log.<hex>, moonkeeper.durable */
};

static inline int store_list(struct store *store, void (*each)(void *context, const char *name),
                             void *context, struct log_error *error)
{
    return store->calls->list(store, each, context, error);
}

static inline int store_open(struct store *store, const char *name, enum store_mode mode,
                             struct store_file **file, struct log_error *error)
{
    return store->calls->open(store, name, mode, file, error);
}

/* `file` may be NULL. */
static inline void store_close(struct store_file *file)
{
    if (file)
        file->store->calls->close(file);
}

static inline int64_t store_read(struct store_file *file, uint64_t offset, void *data, size_t size,
                                 struct log_error *error)
{
    return file->store->calls->read(file, offset, data, size, error);
}

static inline int store_write(struct store_file *file, uint64_t offset, const void *data,
                              size_t size, struct log_error *error)
{
    return file->store->calls->write(file, offset, data, size, error);
}

static inline int store_write_blocks(struct store_file *file, uint64_t offset, const void *data,
                                     size_t size, struct log_error *error)
{
    return file->store->calls->write_blocks(file, offset, data, size, error);
}

static inline int store_write_zeros(struct store_file *file, uint64_t offset, uint64_t size,
                                    struct log_error *error)
{
    return file->store->calls->write_zeros(file, offset, size, error);
}

static inline int store_sync_data(struct store_file *file, struct log_error *error)
{
    return file->store->calls->sync_data(file, error);
}

static inline int store_sync_full(struct store_file *file, struct log_error *error)
{
    return file->store->calls->sync_full(file, error);
}

static inline void store_write_out(struct store_file *file, uint64_t offset, uint64_t size)
{
    file->store->calls->write_out(file, offset, size);
}

static inline void store_forget_cache(struct store_file *file)
{
    file->store->calls->forget_cache(file);
}

static inline int store_truncate(struct store_file *file, uint64_t size, struct log_error *error)
{
    return file->store->calls->truncate(file, size, error);
}

static inline int64_t store_size(struct store_file *file, struct log_error *error)
{
    return file->store->calls->size(file, error);
}

static inline int store_rename(struct store *store, const char *from, const char *to,
                               struct log_error *error)
{
    return store->calls->rename(store, from, to, error);
}

static inline int store_remove(struct store *store, const char *name, struct log_error *error)
{
    return store->calls->remove(store, name, error);
}

static inline int store_sync_directory(struct store *store, struct log_error *error)
{
    return store->calls->sync_directory(store, error);
}

static inline int store_lock(struct store *store, struct log_error *error)
{
    return store->calls->lock(store, error);
}

static inline int64_t store_free_space(struct store *store, struct log_error *error)
{
    return store->calls->free_space(store, error);
}

#endif
