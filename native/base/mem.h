/* SPDX-License-Identifier: MIT */
/* Memory for every layer. These calls never return NULL: when memory runs out, the
 * process says so and exits at once, before anything of the request at hand has been
 * acknowledged (crash-only, docs/decisions/0002-memory.md). Whoever passes a size that
 * came from outside has bounded it before. All functions may be called from any thread. */
#ifndef MK_BASE_MEM_H
#define MK_BASE_MEM_H

#include <stddef.h>

/* `size` 0 is allowed and gives a pointer that mk_free takes. */
void *mk_alloc(size_t size);
/* Zeroed. The product count * size is checked for overflow. */
void *mk_calloc(size_t count, size_t size);
/* `pointer` may be NULL. */
void *mk_realloc(void *pointer, size_t size);
/* On a boundary of `alignment` (a power of two); `size` is a multiple of it. For mk_free. */
void *mk_alloc_aligned(size_t alignment, size_t size);
void mk_free(void *pointer);
/* A zero-terminated copy of `length` bytes. */
char *mk_string_copy(const void *data, size_t length);

/* Test hook: called instead of exiting when memory runs out (it must not return), and the
 * n-th allocation from now fails (0: none does). */
void mk_mem_fail_after(unsigned long n, void (*out_of_memory)(void));

#endif
