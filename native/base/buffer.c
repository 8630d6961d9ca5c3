/* SPDX-License-Identifier: MIT */
/* Growth, printing and trimming of struct mk_buffer; see buffer.h. */
#include "base/buffer.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define BUFFER_BYTES_MIN 64

void mk_buffer_fini(struct mk_buffer *buffer)
{
    mk_free(buffer->data);
    mk_buffer_init(buffer);
}

void mk_buffer_grow(struct mk_buffer *buffer, size_t more)
{
    MK_ASSERT(more <= SIZE_MAX / 4);
    size_t needed = buffer->length + more;
    size_t capacity = MK_MAX(buffer->capacity, (size_t)BUFFER_BYTES_MIN);
    while (capacity < needed)
        capacity *= 2;
    buffer->data = mk_realloc(buffer->data, capacity);
    buffer->capacity = capacity;
}

void mk_buffer_print(struct mk_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    MK_ASSERT(length >= 0);
    mk_buffer_reserve(buffer, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf((char *)buffer->data + buffer->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
}

void mk_buffer_consume(struct mk_buffer *buffer, size_t count)
{
    MK_ASSERT(count <= buffer->length);
    if (count == 0)
        return;
    memmove(buffer->data, buffer->data + count, buffer->length - count);
    buffer->length -= count;
}

void mk_buffer_shrink(struct mk_buffer *buffer, size_t keep_bytes)
{
    if (buffer->length == 0 && buffer->capacity > keep_bytes)
        mk_buffer_fini(buffer);
}
