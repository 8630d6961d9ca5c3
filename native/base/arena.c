/* SPDX-License-Identifier: MIT */
/* Bump allocation in blocks that double; see arena.h. */
#include "base/arena.h"

#include "base/mem.h"
#include "base/mk.h"

#define ARENA_BLOCK_BYTES 8192
#define ARENA_ALIGNMENT 16

struct mk_arena_block {
    struct mk_arena_block *older;
    size_t size; /* of `data` */
    _Alignas(ARENA_ALIGNMENT) uint8_t data[];
};

void mk_arena_init(struct mk_arena *arena)
{
    *arena = (struct mk_arena){NULL, NULL, NULL};
}

static void use_block(struct mk_arena *arena, struct mk_arena_block *block)
{
    arena->block = block;
    arena->next = block->data;
    arena->end = block->data + block->size;
}

void mk_arena_fini(struct mk_arena *arena)
{
    struct mk_arena_block *block = arena->block;
    while (block) {
        struct mk_arena_block *older = block->older;
        mk_free(block);
        block = older;
    }
    mk_arena_init(arena);
}

void mk_arena_reset(struct mk_arena *arena)
{
    if (!arena->block)
        return;
    while (arena->block->older) {
        struct mk_arena_block *block = arena->block;
        arena->block = block->older;
        mk_free(block);
    }
    use_block(arena, arena->block);
}

static void add_block(struct mk_arena *arena, size_t size)
{
    size_t block_bytes = arena->block ? arena->block->size : ARENA_BLOCK_BYTES / 2;
    block_bytes = MK_MAX(block_bytes * 2, size);
    struct mk_arena_block *block = mk_alloc(sizeof *block + block_bytes);
    block->older = arena->block;
    block->size = block_bytes;
    use_block(arena, block);
}

void *mk_arena_alloc(struct mk_arena *arena, size_t size)
{
    MK_ASSERT(size <= SIZE_MAX / 4);
    size = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (MK_UNLIKELY((size_t)(arena->end - arena->next) < size || !arena->block))
        add_block(arena, size);
    void *pointer = arena->next;
    arena->next += size;
    return pointer;
}

void *mk_arena_copy(struct mk_arena *arena, const void *data, size_t size)
{
    void *copy = mk_arena_alloc(arena, size);
    if (size)
        memcpy(copy, data, size);
    return copy;
}
