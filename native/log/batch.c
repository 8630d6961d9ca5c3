/* SPDX-License-Identifier: MIT */
/* Growth, head and padding of the batch; see batch.h. */
#include "log/batch.h"

#include "base/mem.h"

#define ALIGNMENT_MIN 64u
#define CAPACITY_MIN ((size_t)16 << 10)

void log_batch_init(struct log_batch *batch, uint32_t block_bytes)
{
    *batch = (struct log_batch){.block = MK_MAX(block_bytes, 1u)};
}

void log_batch_fini(struct log_batch *batch)
{
    mk_free(batch->data);
    batch->data = NULL;
    batch->length = batch->capacity = batch->head = 0;
}

/* Always a power of two, so there is room for padding: a multiple of the block. */
static void set_capacity(struct log_batch *batch, size_t capacity)
{
    uint8_t *data = mk_alloc_aligned(MK_MAX(batch->block, (size_t)ALIGNMENT_MIN), capacity);
    if (batch->length)
        memcpy(data, batch->data, batch->length);
    mk_free(batch->data);
    batch->data = data;
    batch->capacity = capacity;
}

void log_batch_grow(struct log_batch *batch, size_t more)
{
    MK_ASSERT(more <= SIZE_MAX / 4);
    size_t capacity = MK_MAX(batch->capacity, MK_MAX(CAPACITY_MIN, batch->block));
    while (capacity - batch->length < more)
        capacity *= 2;
    set_capacity(batch, capacity);
}

void log_batch_restart(struct log_batch *batch, const void *head, size_t size)
{
    MK_ASSERT(log_batch_size(batch) == 0);
    batch->length = batch->head = 0;
    if (batch->block == 1)
        return;
    MK_ASSERT(size < batch->block);
    memcpy(log_batch_reserve(batch, size), head, size);
    batch->length = batch->head = size;
}

size_t log_batch_pad(struct log_batch *batch)
{
    size_t padded = (batch->length + batch->block - 1) & ~(batch->block - 1);
    if (padded > batch->length)
        memset(batch->data + batch->length, 0, padded - batch->length);
    return padded;
}

void log_batch_written(struct log_batch *batch)
{
    size_t rest = batch->length & (batch->block - 1);
    if (rest)
        memmove(batch->data, batch->data + batch->length - rest, rest);
    batch->length = batch->head = rest;
}

void log_batch_trim(struct log_batch *batch, size_t keep_bytes)
{
    if (log_batch_size(batch) > 0 || batch->capacity <= keep_bytes)
        return;
    size_t capacity = MK_MAX(CAPACITY_MIN, batch->block);
    MK_ASSERT(batch->length <= capacity);
    if (capacity < batch->capacity)
        set_capacity(batch, capacity);
}
