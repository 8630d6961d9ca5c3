/* SPDX-License-Identifier: MIT */
/* Pages of a slab; see slab.h. Only the directory of page addresses is ever copied: 8 bytes
 * for 1024 items. */
#include "tree/slab.h"

#include "base/mem.h"

#define SLAB_DIRECTORY_MIN 16
#define SLAB_PAGE_ALIGNMENT 64 /* a cache line */

void slab_init(struct slab *slab, uint32_t item_bytes)
{
    MK_ASSERT(item_bytes >= sizeof(uint32_t));
    *slab = (struct slab){.item_bytes = item_bytes, .next = 1};
}

void slab_fini(struct slab *slab)
{
    mk_region_fini(&slab->region);
    mk_free(slab->pages);
    slab_init(slab, slab->item_bytes);
}

void slab_add_page(struct slab *slab)
{
    MK_ASSERT(slab->next < UINT32_MAX - SLAB_PAGE_ITEMS);
    if (slab->page_count == slab->page_capacity) {
        slab->page_capacity = MK_MAX(slab->page_capacity * 2, SLAB_DIRECTORY_MIN);
        slab->pages = mk_realloc(slab->pages, slab->page_capacity * sizeof *slab->pages);
    }
    slab->pages[slab->page_count++] = mk_region_alloc(
        &slab->region, (size_t)SLAB_PAGE_ITEMS * slab->item_bytes, SLAB_PAGE_ALIGNMENT);
}
