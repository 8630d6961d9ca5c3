/* SPDX-License-Identifier: MIT */
/* A growable run of bytes: what encoders append to. It owns its memory and never fails
 * (mem.h). Whoever appends has bounded what it appends. */
#ifndef MK_BASE_BUFFER_H
#define MK_BASE_BUFFER_H

#include "base/mk.h"

struct mk_buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
};

#define MK_BUFFER_EMPTY ((struct mk_buffer){NULL, 0, 0})

static inline void mk_buffer_init(struct mk_buffer *buffer)
{
    *buffer = MK_BUFFER_EMPTY;
}

void mk_buffer_fini(struct mk_buffer *buffer);
/* Slow path of mk_buffer_reserve: room for `more` bytes behind `length`. */
void mk_buffer_grow(struct mk_buffer *buffer, size_t more);
/* printf into the buffer; no terminating zero is kept. */
void mk_buffer_print(struct mk_buffer *buffer, const char *format, ...) MK_PRINTF(2, 3);
/* Drops the first `count` bytes and moves the rest to the front. */
void mk_buffer_consume(struct mk_buffer *buffer, size_t count);
/* Gives memory beyond `keep_bytes` back once the buffer is empty. */
void mk_buffer_shrink(struct mk_buffer *buffer, size_t keep_bytes);

/* Room for `more` bytes; returns where they go. The caller then raises `length`. */
static inline uint8_t *mk_buffer_reserve(struct mk_buffer *buffer, size_t more)
{
    if (MK_UNLIKELY(buffer->capacity - buffer->length < more))
        mk_buffer_grow(buffer, more);
    return buffer->data + buffer->length;
}

static inline void mk_buffer_append(struct mk_buffer *buffer, const void *data, size_t size)
{
    if (!size)
        return;
    memcpy(mk_buffer_reserve(buffer, size), data, size);
    buffer->length += size;
}

static inline void mk_buffer_append_bytes(struct mk_buffer *buffer, struct mk_bytes bytes)
{
    mk_buffer_append(buffer, bytes.data, mk_bytes_size(bytes));
}

static inline void mk_buffer_append_string(struct mk_buffer *buffer, const char *string)
{
    mk_buffer_append(buffer, string, strlen(string));
}

static inline void mk_buffer_clear(struct mk_buffer *buffer)
{
    buffer->length = 0;
}

static inline struct mk_bytes mk_buffer_bytes(const struct mk_buffer *buffer)
{
    return mk_bytes_of(buffer->data, buffer->length);
}

#endif
