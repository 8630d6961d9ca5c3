/* SPDX-License-Identifier: MIT */
/* The allocator behind mem.h, and the two ways in which a process ends itself: memory ran
 * out, or an invariant broke. The failing-allocation hook exists for tests alone; it is
 * the one piece of state below main.c that is not a parameter, and is off by default. */
#include "base/mem.h"

#include "base/mk.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned long fail_after;
static void (*fail_handler)(void);

_Noreturn void mk_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "moonkeeper: broken invariant: %s (%s:%d)\n", expression, file, line);
    abort();
}

_Noreturn static void out_of_memory(size_t size)
{
    if (fail_handler)
        fail_handler();
    fprintf(stderr, "moonkeeper: out of memory: %zu bytes could not be allocated; exiting\n", size);
    _Exit(70);
}

static bool must_fail(void)
{
    return MK_UNLIKELY(fail_after != 0) && --fail_after == 0;
}

void *mk_alloc(size_t size)
{
    void *pointer = must_fail() ? NULL : malloc(size ? size : 1);
    if (!pointer)
        out_of_memory(size);
    return pointer;
}

void *mk_calloc(size_t count, size_t size)
{
    void *pointer = must_fail() ? NULL : calloc(count ? count : 1, size ? size : 1);
    if (!pointer)
        out_of_memory(size && count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return pointer;
}

void *mk_realloc(void *pointer, size_t size)
{
    void *grown = must_fail() ? NULL : realloc(pointer, size ? size : 1);
    if (!grown)
        out_of_memory(size);
    return grown;
}

void *mk_alloc_aligned(size_t alignment, size_t size)
{
    void *pointer = must_fail() ? NULL : aligned_alloc(alignment, size);
    if (!pointer)
        out_of_memory(size);
    return pointer;
}

void mk_free(void *pointer)
{
    free(pointer);
}

char *mk_string_copy(const void *data, size_t length)
{
    MK_ASSERT(length < SIZE_MAX);
    char *copy = mk_alloc(length + 1);
    if (length)
        memcpy(copy, data, length);
    copy[length] = '\0';
    return copy;
}

void mk_mem_fail_after(unsigned long n, void (*handler)(void))
{
    fail_after = n;
    fail_handler = handler;
}
