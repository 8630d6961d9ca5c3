/* SPDX-License-Identifier: MIT */
/* The size-class allocator of block.h. A page is 64 KiB, aligned to its size, so that the
 * page of a block is found by masking; its header counts the live blocks and holds their free
 * list. Under the address sanitizer free blocks are poisoned, so that it sees misuse here as
 * it does with malloc. */
#include "tree/block.h"

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define BLOCK_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BLOCK_POISON 1
#endif
#endif
#ifdef BLOCK_POISON
#include <sanitizer/asan_interface.h>
#define POISON(address, size) __asan_poison_memory_region(address, size)
#define UNPOISON(address, size) __asan_unpoison_memory_region(address, size)
#else
#define POISON(address, size) ((void)(address), (void)(size))
#define UNPOISON(address, size) ((void)(address), (void)(size))
#endif

#define BLOCK_PAGE_BYTES ((size_t)65536)

struct block_page {
    struct block_page *next; /* in room[] of its class, or in `empty` */
    struct block_page *previous;
    void *free;     /* freed blocks, linked through their first 8 bytes */
    uint32_t fresh; /* offset of the first block never used */
    uint32_t live;
    uint32_t block_bytes;
    uint32_t listed; /* 1: in room[] */
};

void block_heap_init(struct block_heap *heap)
{
    *heap = (struct block_heap){.empty = NULL};
}

void block_heap_fini(struct block_heap *heap)
{
    MK_ASSERT(heap->large_count == 0);
    mk_region_fini(&heap->region);
    block_heap_init(heap);
}

static void list_page(struct block_heap *heap, struct block_page *page)
{
    struct block_page **head = &heap->room[page->block_bytes / BLOCK_STEP_BYTES];
    page->previous = NULL;
    page->next = *head;
    if (*head)
        (*head)->previous = page;
    *head = page;
    page->listed = 1;
}

static void unlist_page(struct block_heap *heap, struct block_page *page)
{
    if (page->previous)
        page->previous->next = page->next;
    else
        heap->room[page->block_bytes / BLOCK_STEP_BYTES] = page->next;
    if (page->next)
        page->next->previous = page->previous;
    page->listed = 0;
}

static struct block_page *add_page(struct block_heap *heap, uint32_t block_bytes)
{
    struct block_page *page = heap->empty;
    if (page) {
        heap->empty = page->next;
    } else {
        page = mk_region_alloc(&heap->region, BLOCK_PAGE_BYTES, BLOCK_PAGE_BYTES);
    }
    *page = (struct block_page){.fresh = sizeof *page, .block_bytes = block_bytes};
    POISON((uint8_t *)page + sizeof *page, BLOCK_PAGE_BYTES - sizeof *page);
    list_page(heap, page);
    heap->page_count++;
    return page;
}

static bool page_is_full(const struct block_page *page)
{
    return !page->free && page->fresh + page->block_bytes > BLOCK_PAGE_BYTES;
}

void *block_alloc(struct block_heap *heap, size_t size)
{
    MK_ASSERT(size > 0);
    if (size > BLOCK_SMALL_BYTES_MAX) {
        heap->large_count++;
        return mk_alloc(size);
    }
    uint32_t block_bytes = (uint32_t)block_capacity(size);
    struct block_page *page = heap->room[block_bytes / BLOCK_STEP_BYTES];
    if (!page)
        page = add_page(heap, block_bytes);
    void *block = page->free;
    if (block) {
        UNPOISON(block, block_bytes);
        memcpy(&page->free, block, sizeof page->free);
    } else {
        block = (uint8_t *)page + page->fresh;
        page->fresh += block_bytes;
        UNPOISON(block, block_bytes);
    }
    page->live++;
    heap->small_count++;
    if (page_is_full(page))
        unlist_page(heap, page);
    return block;
}

static void release_page(struct block_heap *heap, struct block_page *page)
{
    unlist_page(heap, page);
    page->next = heap->empty;
    heap->empty = page;
    heap->page_count--;
}

void block_free(struct block_heap *heap, void *block, size_t size)
{
    if (size > BLOCK_SMALL_BYTES_MAX) {
        MK_ASSERT(heap->large_count > 0);
        heap->large_count--;
        mk_free(block);
        return;
    }
    size_t offset = (uintptr_t)block & (BLOCK_PAGE_BYTES - 1);
    struct block_page *page = (struct block_page *)(void *)((uint8_t *)block - offset);
    MK_ASSERT(page->block_bytes == block_capacity(size) && page->live > 0);
    memcpy(block, &page->free, sizeof page->free);
    POISON(block, page->block_bytes);
    page->free = block;
    page->live--;
    heap->small_count--;
    if (!page->listed)
        list_page(heap, page);
    if (page->live == 0)
        release_page(heap, page);
}
