/* SPDX-License-Identifier: MIT */
/* Memory for names and data: blocks of up to 1 KiB in size classes 8 bytes apart, cut from
 * 64 KiB pages without a header per block (malloc's headers and rounding would cost 20 bytes
 * a znode); larger ones come from mk_alloc. Whoever frees a block knows its size. A page that
 * becomes empty serves any class again. Used by the tree and the watch table. */
#ifndef TREE_BLOCK_H
#define TREE_BLOCK_H

#include "base/region.h"

#define BLOCK_STEP_BYTES 8u
#define BLOCK_SMALL_BYTES_MAX 1024u
#define BLOCK_CLASS_COUNT (BLOCK_SMALL_BYTES_MAX / BLOCK_STEP_BYTES + 1)

struct block_page;

struct block_heap {
    struct block_page *room[BLOCK_CLASS_COUNT]; /* pages with a free block, by class */
    struct block_page *empty;
    struct mk_region region; /* what the pages are cut from */
    uint64_t large_count;    /* blocks from mk_alloc; their owner frees them */
    uint64_t small_count;
    uint64_t page_count; /* pages in use by a class */
};

void block_heap_init(struct block_heap *heap);
/* Frees all small blocks; large ones must have been freed. */
void block_heap_fini(struct block_heap *heap);

/* `size` at least 1. Aligned to 8 bytes. */
void *block_alloc(struct block_heap *heap, size_t size);
/* `size` as at block_alloc. */
void block_free(struct block_heap *heap, void *block, size_t size);

/* Bytes that a block made for `size` really has: a change within them needs no new block. */
static inline size_t block_capacity(size_t size)
{
    if (size > BLOCK_SMALL_BYTES_MAX)
        return size;
    return (size + BLOCK_STEP_BYTES - 1) & ~(size_t)(BLOCK_STEP_BYTES - 1);
}

#endif
