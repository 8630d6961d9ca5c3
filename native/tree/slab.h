/* SPDX-License-Identifier: MIT */
/* Items of one size in pages of 1024, addressed by 32-bit numbers that never move: half the
 * size of pointers, and no page is ever copied when the slab grows. Number 0 is none. Used by
 * the tree, the ACL table and the watch table; owns its pages, knows nothing of the items. A
 * freed item's first four bytes link the free list. */
#ifndef TREE_SLAB_H
#define TREE_SLAB_H

#include "base/region.h"

#define SLAB_PAGE_ITEMS 1024u
#define SLAB_PAGE_SHIFT 10

struct slab {
    struct mk_region region; /* what the pages are cut from */
    uint8_t **pages;
    uint32_t page_count;
    uint32_t page_capacity;
    uint32_t item_bytes;
    uint32_t next; /* smallest number that was never used; starts at 1 */
    uint32_t free; /* newest freed number, 0: none */
    uint32_t live;
};

/* `item_bytes` at least 4, a multiple of the items' alignment. */
void slab_init(struct slab *slab, uint32_t item_bytes);
void slab_fini(struct slab *slab);
/* Slow path of slab_alloc. */
void slab_add_page(struct slab *slab);

static inline void *slab_at(const struct slab *slab, uint32_t number)
{
    return slab->pages[number >> SLAB_PAGE_SHIFT] +
           (size_t)(number & (SLAB_PAGE_ITEMS - 1)) * slab->item_bytes;
}

/* A number whose item holds anything; the caller fills all of it. */
static inline uint32_t slab_alloc(struct slab *slab)
{
    uint32_t number = slab->free;
    slab->live++;
    if (number) {
        memcpy(&slab->free, slab_at(slab, number), sizeof slab->free);
        return number;
    }
    if (MK_UNLIKELY(slab->next >> SLAB_PAGE_SHIFT == slab->page_count))
        slab_add_page(slab);
    return slab->next++;
}

static inline void slab_free(struct slab *slab, uint32_t number)
{
    MK_ASSERT(number != 0 && number < slab->next);
    memcpy(slab_at(slab, number), &slab->free, sizeof slab->free);
    slab->free = number;
    slab->live--;
}

#endif
