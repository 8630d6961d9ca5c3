/* SPDX-License-Identifier: MIT */
/* Free lists for short-lived blocks of similar sizes (requests, transactions in flight): what was
 * given back last is handed out first, so it is still in the processor's cache. Larger blocks,
 * and what is beyond the bound on idle memory, go to mem.h. One owner, one thread. */
#ifndef MK_BASE_POOL_H
#define MK_BASE_POOL_H

#include "base/mem.h"
#include "base/mk.h"

#define MK_POOL_CLASS_BYTES 64u
#define MK_POOL_CLASSES 16u /* blocks of up to 1 KiB */
#if defined(__SANITIZE_ADDRESS__)
#define MK_POOL_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MK_POOL_SANITIZED 1
#endif
#endif
#ifdef MK_POOL_SANITIZED
#define MK_POOL_IDLE_BYTES_MAX ((size_t)0) /* nothing is kept: a use after free shows */
#else
#define MK_POOL_IDLE_BYTES_MAX ((size_t)4 << 20)
#endif

struct mk_pool {
    void *free[MK_POOL_CLASSES]; /* each block begins with a pointer to the next */
    size_t idle_bytes;
};

static inline size_t mk_pool_class(size_t size)
{
    return size ? (size - 1) / MK_POOL_CLASS_BYTES : 0;
}

static inline void *mk_pool_alloc(struct mk_pool *pool, size_t size)
{
    size_t class = mk_pool_class(size);
    if (MK_UNLIKELY(class >= MK_POOL_CLASSES))
        return mk_alloc(size);
    void *block = pool->free[class];
    if (!block)
        return mk_alloc((class + 1) * MK_POOL_CLASS_BYTES);
    memcpy(&pool->free[class], block, sizeof(void *));
    pool->idle_bytes -= (class + 1) * MK_POOL_CLASS_BYTES;
    return block;
}

/* `size` as given to mk_pool_alloc. */
static inline void mk_pool_free(struct mk_pool *pool, void *block, size_t size)
{
    size_t class = mk_pool_class(size);
    if (MK_UNLIKELY(class >= MK_POOL_CLASSES ||
                    pool->idle_bytes + MK_POOL_CLASS_BYTES > MK_POOL_IDLE_BYTES_MAX)) {
        mk_free(block);
        return;
    }
    memcpy(block, &pool->free[class], sizeof(void *));
    pool->free[class] = block;
    pool->idle_bytes += (class + 1) * MK_POOL_CLASS_BYTES;
}

static inline void mk_pool_fini(struct mk_pool *pool)
{
    for (size_t class = 0; class < MK_POOL_CLASSES; class ++) {
        while (pool->free[class]) {
            void *block = pool->free[class];
            memcpy(&pool->free[class], block, sizeof(void *));
            mk_free(block);
        }
    }
    pool->idle_bytes = 0;
}

#endif
