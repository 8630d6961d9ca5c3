/* SPDX-License-Identifier: MIT */
/* Memory that is given back all at once: what one request decodes or builds. A reset
 * keeps the first block, so a steady stream of requests allocates nothing. */
#ifndef MK_BASE_ARENA_H
#define MK_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct mk_arena_block;

struct mk_arena {
    struct mk_arena_block *block; /* newest; older ones hang behind it */
    uint8_t *next;                /* first free byte in the newest block */
    uint8_t *end;
};

void mk_arena_init(struct mk_arena *arena);
void mk_arena_fini(struct mk_arena *arena);
/* Invalidates all that was handed out; frees every block but the oldest. */
void mk_arena_reset(struct mk_arena *arena);
/* `size` bytes, aligned for any type, not zeroed; valid until reset or fini. */
void *mk_arena_alloc(struct mk_arena *arena, size_t size);
/* A copy of `size` bytes in the arena. */
void *mk_arena_copy(struct mk_arena *arena, const void *data, size_t size);

#endif
