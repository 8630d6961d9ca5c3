/* SPDX-License-Identifier: MIT */
/* The parts of the jute reader and writer that are too long to be inline; see jute.h. Owns
 * nothing and never reads a byte that was not checked to be there. */
#include "wire/jute.h"

#include "wire/errors.gen.h"

void mk_reader_fail(struct mk_reader *reader, int error)
{
    MK_ASSERT(error < 0);
    if (!reader->error)
        reader->error = error;
    reader->offset = reader->length;
}

void mk_reader_fail_short(struct mk_reader *reader)
{
    mk_reader_fail(reader, MK_ERR_MARSHALLING);
}

struct mk_bytes mk_read_bytes(struct mk_reader *reader)
{
    const struct mk_bytes zero = {NULL, 0};
    int32_t length = mk_read_int(reader);
    if (length == -1)
        return MK_BYTES_NULL;
    if (length > reader->length_max) {
        mk_reader_fail(reader, MK_ERR_TOO_LARGE);
        return zero;
    }
    if (length < 0 || (size_t)length > mk_reader_left(reader)) {
        mk_reader_fail_short(reader);
        return zero;
    }
    if (length == 0)
        return zero;
    return mk_bytes_of(mk_read_take(reader, (size_t)length), (size_t)length);
}

int32_t mk_read_count(struct mk_reader *reader, size_t element_bytes_min)
{
    MK_ASSERT(element_bytes_min > 0);
    int32_t count = mk_read_int(reader);
    if (count == -1)
        return -1;
    if (count <= 0)
        return 0;
    if ((size_t)count > mk_reader_left(reader) / element_bytes_min) {
        mk_reader_fail_short(reader);
        return 0;
    }
    return count;
}

void mk_bytes_vector_read(struct mk_reader *reader, struct mk_bytes_vector *vector)
{
    vector->count = mk_read_count(reader, 4);
    vector->items = NULL;
    if (vector->count <= 0)
        return;
    MK_ASSERT(reader->arena != NULL);
    vector->items = mk_arena_alloc(reader->arena, (size_t)vector->count * sizeof *vector->items);
    for (int32_t i = 0; i < vector->count; i++)
        vector->items[i] = mk_read_bytes(reader);
}

size_t mk_bytes_vector_size(const struct mk_bytes_vector *vector)
{
    size_t size = 4;
    for (int32_t i = 0; i < vector->count; i++)
        size += 4 + mk_bytes_size(vector->items[i]);
    return size;
}

uint8_t *mk_bytes_vector_store(uint8_t *at, const struct mk_bytes_vector *vector)
{
    at = mk_store_int(at, vector->count);
    for (int32_t i = 0; i < vector->count; i++)
        at = mk_store_bytes(at, vector->items[i]);
    return at;
}
