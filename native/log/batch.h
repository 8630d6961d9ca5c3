/* SPDX-License-Identifier: MIT */
/* The memory of the next flush of the log: entries are encoded straight into it. It begins on a
 * block boundary, with what the file's last block holds already, so that a flush can write whole
 * blocks. Used by txnlog.c alone; does no I/O. */
#ifndef LOG_BATCH_H
#define LOG_BATCH_H

#include "base/mk.h"

struct log_batch {
    uint8_t *data;
    size_t length; /* head and entries */
    size_t capacity;
    size_t head;  /* bytes in front that are in the file already */
    size_t block; /* a power of two; 1: no blocks, no head */
};

/* `block_bytes` as in struct store. */
void log_batch_init(struct log_batch *batch, uint32_t block_bytes);
void log_batch_fini(struct log_batch *batch);
/* Slow path of log_batch_reserve. */
void log_batch_grow(struct log_batch *batch, size_t more);
/* A new file, which begins with these bytes (less than a block). */
void log_batch_restart(struct log_batch *batch, const void *head, size_t size);
/* Zeros behind the entries, up to the end of the block; returns the number of bytes to write. */
size_t log_batch_pad(struct log_batch *batch);
/* All is written: what the last block holds becomes the head. */
void log_batch_written(struct log_batch *batch);
/* Gives memory back, if there is much and no entry in it. */
void log_batch_trim(struct log_batch *batch, size_t keep_bytes);

/* Bytes of entries. */
static inline size_t log_batch_size(const struct log_batch *batch)
{
    return batch->length - batch->head;
}

/* Room for `more` bytes; the caller then raises `length`. */
static inline uint8_t *log_batch_reserve(struct log_batch *batch, size_t more)
{
    if (MK_UNLIKELY(batch->capacity - batch->length < more))
        log_batch_grow(batch, more);
    return batch->data + batch->length;
}

#endif
