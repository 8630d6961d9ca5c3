/* SPDX-License-Identifier: MIT */
/* Memory for tables that only grow: cut off chunks that double from 64 KiB to 4 MiB, given back
 * all at once. The large chunks lie on 2 MiB boundaries and are offered to the kernel for huge
 * pages: a random look-up among a million znodes then misses the TLB far less, and loading
 * them takes a fraction of the page faults. */
#ifndef MK_BASE_REGION_H
#define MK_BASE_REGION_H

#include "base/mk.h"

struct mk_region {
    void **chunks;
    size_t chunk_count;
    uint8_t *next, *end;
};

static inline void mk_region_init(struct mk_region *region)
{
    *region = (struct mk_region){NULL, 0, NULL, NULL};
}

void mk_region_fini(struct mk_region *region);
/* `size` bytes on a boundary of `alignment` (a power of two, at most 64 KiB), not zeroed; valid
 * until fini. */
void *mk_region_alloc(struct mk_region *region, size_t size, size_t alignment);

#endif
