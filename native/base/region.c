/* SPDX-License-Identifier: MIT */
/* Chunks of a region; see region.h. */
#include "base/region.h"

#include "base/mem.h"

#include <sys/mman.h>

#define CHUNK_BYTES_MIN ((size_t)64 << 10)
#define CHUNK_BYTES_MAX ((size_t)4 << 20)
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

void mk_region_fini(struct mk_region *region)
{
    for (size_t i = 0; i < region->chunk_count; i++)
        mk_free(region->chunks[i]);
    mk_free(region->chunks);
    mk_region_init(region);
}

static size_t chunk_bytes(const struct mk_region *region, size_t wanted)
{
    size_t bytes = CHUNK_BYTES_MIN;
    for (size_t i = 0; i < region->chunk_count && bytes < CHUNK_BYTES_MAX; i++)
        bytes *= 2;
    while (bytes < wanted)
        bytes *= 2;
    return bytes;
}

static void add_chunk(struct mk_region *region, size_t wanted)
{
    size_t bytes = chunk_bytes(region, wanted);
    bool huge = bytes >= CHUNK_BYTES_MAX;
    uint8_t *chunk = mk_alloc_aligned(huge ? HUGE_PAGE_BYTES : CHUNK_BYTES_MIN, bytes);
    if (huge)
        (void)madvise(chunk, bytes, MADV_HUGEPAGE); /* a wish; small pages serve as well */
    region->chunks = mk_realloc(region->chunks, (region->chunk_count + 1) * sizeof *region->chunks);
    region->chunks[region->chunk_count++] = chunk;
    region->next = chunk;
    region->end = chunk + bytes;
}

void *mk_region_alloc(struct mk_region *region, size_t size, size_t alignment)
{
    MK_ASSERT(size > 0 && size <= SIZE_MAX / 4);
    MK_ASSERT(alignment <= CHUNK_BYTES_MIN && (alignment & (alignment - 1)) == 0);
    uintptr_t skip = region->next ? -(uintptr_t)region->next & (alignment - 1) : 0;
    if ((size_t)(region->end - region->next) < size + skip) {
        add_chunk(region, size);
        skip = 0;
    }
    uint8_t *block = region->next + skip;
    region->next = block + size;
    return block;
}
